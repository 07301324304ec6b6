"""SIGTERM at any moment: 143, and all else as after Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from tests.cli.test_interrupting import calls, records, served, watches
from trioflex.cli.exits import Terminated, status_of
from trioflex.cli.termination import run
from trioflex.tape import read_tape

__all__ = ["served"]


@contextmanager
def handling(number, handler):
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def wait_for(path, words):
    """Wait until something is in a file."""
    end = time.monotonic() + 20
    while not (path.exists() and words in path.read_bytes().lower()):
        assert time.monotonic() < end
        time.sleep(0.05)


def terminated(make, path, after):
    """Run a command in memory with SIGTERM after some seconds; return the status."""

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(press)
            await make(path)

    async def press():
        await trio.sleep(after)
        signal.raise_signal(signal.SIGTERM)

    try:
        run(main)
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        return int(status_of(error))
    return 0


@pytest.mark.parametrize("make", [watches, records, calls])
def test_any_command_ends_in_order(tmp_path, make):
    """With its own status; a tape is whole, and the signals are as they were."""
    before = signal.getsignal(signal.SIGINT)
    path = tmp_path / "tape.jsonl"
    assert 143 == terminated(make, path, 0.0 if make is calls else 0.2)
    if make is records:
        assert "end" == read_tape(path).entries[-1].mark
    assert signal.SIG_DFL is signal.getsignal(signal.SIGTERM)
    assert before is signal.getsignal(signal.SIGINT)


def test_where_ctrl_c_is_ignored():
    """A shell lets what it runs in the background ignore it; so it does still, but not SIGTERM."""

    async def main():
        signal.raise_signal(signal.SIGINT)
        await trio.lowlevel.checkpoint()
        signal.raise_signal(signal.SIGTERM)
        await trio.sleep_forever()

    with handling(signal.SIGINT, signal.SIG_IGN):
        with pytest.raises(Terminated):
            run(main)
        assert signal.SIG_IGN is signal.getsignal(signal.SIGINT)


def test_ctrl_c_is_no_sigterm():
    """130 it stays."""

    async def main():
        signal.raise_signal(signal.SIGINT)
        await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt) as caught:
        run(main)
    assert 130 == status_of(caught.value)


def test_whoever_handles_sigterm_goes_on_doing_so():
    """Of what the process did with it before nothing is taken away."""
    heard = []

    async def main():
        signal.raise_signal(signal.SIGTERM)
        await trio.lowlevel.checkpoint()

    with handling(signal.SIGTERM, lambda number, frame: heard.append(number)):
        run(main)
    assert [signal.SIGTERM] == heard


def test_where_ctrl_c_ends_the_process():
    """SIGTERM does, too, as before; it is not swallowed."""

    async def main():
        await trio.lowlevel.checkpoint()
        assert signal.SIG_DFL is signal.getsignal(signal.SIGTERM)

    with handling(signal.SIGINT, signal.SIG_DFL):
        run(main)


def test_in_another_thread_signals_are_left_alone():
    """Only the main thread may have a say in them."""

    async def main():
        await trio.to_thread.run_sync(run, trio.sleep, 0)

    trio.run(main)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("watch coinflex Ticker:XBT:USDT --url URL", b"ticker"),
        ("record coinflex Ticker:XBT:USDT TAPE.new --url URL", None),
        ("replay TAPE", b"url"),
        ("simulate", b"url"),
    ],
)
def test_the_commands_that_go_on_until_ctrl_c(served, command, says):
    """143 from each of them, and what `record` wrote can be read."""
    url, tape = served
    words = command.replace("URL", url).replace("TAPE", tape).split()
    process = subprocess.Popen(
        [sys.executable, "-m", "trioflex", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        if says is None:
            wait_for(Path(f"{tape}.new"), b"ticker")  # nothing is printed before the end
        else:
            while says not in process.stdout.readline():
                pass
        process.terminate()
        output, errors = process.communicate(timeout=10)
    finally:
        process.kill()
        process.communicate()
    assert 143 == process.returncode
    assert b"Traceback" not in errors
    if says is None:
        assert b"messages from coinflex" in output
        assert "end" == read_tape(f"{tape}.new").entries[-1].mark
