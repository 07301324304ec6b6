"""What is on a tape, what is not, and what is said of a broken one."""

from __future__ import annotations

import gzip
import itertools
import json
import lzma

import pytest
import trio

import trioflex
from tests.tape.talks import record
from trioflex.simulator import SimulatedExchange
from trioflex.tape import TapeError, TapeMark, open_recorder, read_tape
from trioflex.venues import coinflex

HEAD = '{"tape":1,"venue":"coinflex","started":"2020-03-01T00:00:00.000Z","trioflex":"1"}'
FRAME = '{"t":1.5,"n":1,"dir":"<","frame":"hello"}'


async def test_the_format(tmp_path, autojump_clock):
    """One JSON object a line: a head, messages, and what happened between them."""
    path = tmp_path / "tape.jsonl"
    await record(path, "coinflex")
    head, *lines = map(json.loads, path.read_text().splitlines())
    assert (1, "coinflex", "2020-03-01T00:00:00.000Z", "OrderBook:XBT:USDT") == (
        head["tape"],
        head["venue"],
        head["started"],
        head["channels"][0],
    )
    marks = [(line["mark"], line["n"]) for line in lines if "mark" in line and "n" in line]
    assert [
        *[("opened", 1), ("ready", 1), ("lost", 1)],
        *[("opened", 2), ("ready", 2), ("lost", 2)],
        *[("opened", 3), ("ready", 3), ("closed", 3)],
    ] == marks
    # A virtual clock goes on while a thread writes.
    assert ("end", True) == (lines[-1]["mark"], lines[-1]["t"] >= 20.0)
    assert [1012] == [line["code"] for line in lines if "code" in line]
    frames = [line for line in lines if "frame" in line]
    assert {"t", "n", "dir", "frame"} == set().union(*frames)
    assert all(before["t"] <= after["t"] for before, after in itertools.pairwise(lines))
    assert 3 == sum('"cookie":"***"' in frame["frame"] for frame in frames)


async def test_attempts_that_fail_are_marked(tmp_path, autojump_clock):
    """With the reason, and a number of their own."""
    path = tmp_path / "tape.jsonl"
    exchange = SimulatedExchange("coinflex")
    exchange.refuse_connections(503, times=1)
    async with open_recorder(path, coinflex.VENUE) as recorder:
        with pytest.raises(trioflex.ConnectFailed):
            async with trioflex.open_client(
                coinflex.VENUE, connector=recorder.connector(exchange.connector)
            ):
                pass
        assert (0, False) == (
            recorder.statistics().connections,
            recorder.statistics().connected,
        )
    failed, end = read_tape(path).entries
    assert isinstance(failed, TapeMark)
    assert ("failed", 1, True) == (failed.mark, failed.n, "503" in failed.reason)
    assert () == read_tape(path).connections
    assert isinstance(end, TapeMark)
    assert "end" == end.mark


async def test_what_cannot_be_kept_is_counted(tmp_path, autojump_clock):
    """Nobody waits for a disk: beyond the limit messages are dropped, and the tape says so."""
    path = tmp_path / "tape.jsonl"
    async with open_recorder(path, coinflex.VENUE, max_buffered=10) as recorder:
        recorder.keep(1, "<", ["1234", "5678", "90", "too much", "and more"])
        assert 2 == recorder.statistics().dropped
        await trio.sleep(1)
        recorder.keep(1, "<", ["abc"])
    entries = read_tape(path).entries
    assert ["1234", "5678", "90", 2, "abc", "end"] == [
        e.frame if not isinstance(e, TapeMark) else e.count or e.mark for e in entries
    ]


@pytest.mark.parametrize("ending", ["", ".gz", ".xz"])
async def test_a_cancelled_recording_is_whole(tmp_path, autojump_clock, ending):
    """Also what came in the last moment is on it."""
    path = tmp_path / f"tape.jsonl{ending}"
    with trio.CancelScope() as scope:
        async with open_recorder(path, coinflex.VENUE) as recorder:
            recorder.keep(1, "<", ["hello"])
            scope.cancel()
            await trio.sleep_forever()
    (frame,) = read_tape(path).frames
    assert ("hello", "<", 1) == (frame.frame, frame.dir, frame.n)


async def test_a_recording_replaces_nothing(tmp_path):
    """Unless that is asked for."""
    path = tmp_path / "tape.jsonl"
    path.write_text("dear diary")
    with pytest.raises(FileExistsError):
        async with open_recorder(path, coinflex.VENUE):
            pass
    async with open_recorder(path, coinflex.VENUE, overwrite=True):
        pass
    assert "coinflex" == read_tape(path).head.venue


async def test_a_disk_that_fails_ends_the_recording(autojump_clock):
    """With the error of the disk."""
    with pytest.raises(OSError, match="No space"):
        async with open_recorder("/dev/full", coinflex.VENUE, overwrite=True) as recorder:
            recorder.keep(1, "<", ["hello"])
            await trio.sleep(10)


@pytest.mark.parametrize(
    ("lines", "line", "complaint"),
    [
        ([], 1, "empty"),
        (["dear diary"], 1, "no tape"),
        (['{"venue":"coinflex"}'], 1, "missing required field `tape`"),
        ([HEAD.replace(":1,", ":2,")], 1, "version 2"),
        ([HEAD.replace("2020-03-01T", "x")], 1, "started"),
        ([HEAD, FRAME.replace("1.5", '"x"')], 2, r"Expected `float`, got `str` - at `\$.t`"),
        ([HEAD, FRAME, FRAME.replace("<", "=")], 3, r"\$.dir"),
        ([HEAD, FRAME, FRAME.replace("frame", "form")], 3, "neither `frame` nor `mark`"),
        ([HEAD, FRAME.replace('"n":1,', "")], 2, "needs `n`"),
        ([HEAD, FRAME.replace('"dir":"<",', "")], 2, "needs `dir`"),
        ([HEAD, FRAME, FRAME.replace("1.5", "1.4")], 3, "1.4 lies before the one before it, 1.5"),
    ],
)
def test_a_broken_tape_is_explained(tmp_path, lines, line, complaint):
    """With the number of the line, the field, and what to do."""
    path = tmp_path / "tape.jsonl"
    path.write_text("".join(f"{each}\n" for each in lines))
    with pytest.raises(TapeError, match=complaint) as caught:
        read_tape(path)
    assert line == caught.value.line
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress])
def test_a_tape_that_was_cut_off(tmp_path, compress):
    """It is said that it was; what is whole of it can be had."""
    whole = compress("".join(f"{each}\n" for each in [HEAD] + [FRAME] * 5000).encode())
    ending = {gzip.compress: ".gz", lzma.compress: ".xz"}.get(compress, "")
    path = tmp_path / f"tape.jsonl{ending}"
    path.write_bytes(whole[: -12 if ending else -3])
    with pytest.raises(TapeError, match=r"cut off.*--partial"):
        read_tape(path)
    tape = read_tape(path, partial=True)
    assert 0 < len(tape.frames) <= 5000
    assert {"hello"} == {frame.frame for frame in tape.frames}


def test_a_tape_that_was_cut_off_within_a_character(tmp_path):
    """That is no other accident than between two of them."""
    path = tmp_path / "tape.jsonl"
    whole = f"{HEAD}\n{FRAME}\n{FRAME.replace('hello', 'é')}".encode()
    path.write_bytes(whole[: whole.index("é".encode()) + 1])
    with pytest.raises(TapeError, match=r"cut off.*--partial"):
        read_tape(path)
    assert ["hello"] == [frame.frame for frame in read_tape(path, partial=True).frames]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (
            "tape.jsonl.gz",
            gzip.compress(HEAD.encode(), mtime=0)[:20],
            "within its first line, so nothing",
        ),
        ("tape.jsonl", None, "No such file"),
        ("tape.jsonl.gz", b"dear diary", "Not a gzipped file|compressed data is broken"),
        ("tape.jsonl.xz", b"dear diary", "compressed data is broken"),
        ("tape.jsonl", b"\xff\xfe", "UTF-8"),
    ],
)
def test_an_unreadable_tape_is_explained(tmp_path, name, content, complaint):
    """What the file system or the decompressor said, without their tracebacks."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TapeError, match=complaint):
        read_tape(path)
    with pytest.raises(TapeError, match=complaint):
        read_tape(path, partial=True)
