"""Both loops of the fast lane: the same frames out of the same bytes, and no others."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from trioflex._sansio.lane import cut, cut_by_bytes, cut_by_words

LOOPS = pytest.mark.parametrize("loop", [cut_by_words, cut_by_bytes])

LONGEST = st.sampled_from([0, 1, 100, 125, 126, 300, 0xFFFF, 1 << 20])


def frame(payload: bytes) -> bytes:
    size = len(payload)
    head = bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
    return head + payload


PAYLOADS = st.binary(max_size=140) | st.integers(120, 400).map(lambda size: b"x" * size)
FRAMES = PAYLOADS.map(frame)
NOT_PLAIN = st.sampled_from(
    [
        b"\x01\x03abc",  # the first of several fragments
        b"\x80\x03abc",
        b"\x82\x03abc",
        b"\x89\x00",
        b"\x88\x02\x03\xe8",
        b"\xc1\x03abc",  # a reserved bit
        b"\x81\x83mask\x00\x00\x00",
        b"\x81\x7e\x00\x03abc",  # a length that would have fitted into the short form
        b"\x81\x7f" + (70_000).to_bytes(8, "big"),
    ]
)
STREAMS = st.lists(FRAMES | FRAMES | NOT_PLAIN | st.binary(max_size=6), max_size=8).map(b"".join)


def plainly(data: bytes, pos: int, longest: int) -> tuple[int, list[bytes]]:
    """Say once more, in the words of RFC 6455 (5.2), what the lane takes."""
    out = []
    while True:
        head = data[pos : pos + 4]
        if len(head) < 4 or head[0] != 0x81:
            return pos, out
        size, start = head[1], pos + 2
        if size == 126:
            size, start = int.from_bytes(head[2:], "big"), pos + 4
            if size < 126:
                return pos, out
        elif size > 125:
            return pos, out
        if size > longest or start + size > len(data):
            return pos, out
        out.append(data[start : start + size])
        pos = start + size


@LOOPS
@given(STREAMS, st.integers(0, 3), LONGEST)
@example(frame(b"x" * 125) + frame(b"x" * 126) + frame(b"abcd"), 0, 125)
@example(frame(b"x" * 125) + frame(b"x" * 126) + frame(b"abcd"), 0, 126)
def test_whole_plain_frames_are_cut_out(loop, data, pos, longest):
    """Wherever the read begins and ends, and whatever lies between."""
    out = [b"before"]
    expected, payloads = plainly(data, pos, longest)

    assert expected == loop(data, pos, longest, out)
    assert [b"before", *payloads] == out


@LOOPS
@pytest.mark.parametrize("length", [0, 1, 124, 125, 126, 127, 128, 255, 256, 0xFFFF])
def test_each_form_of_a_length_is_read(loop, length):
    """The short form up to 125 bytes, the long one from there on."""
    payload = bytes(length)
    data = frame(payload) + frame(b"behind it")
    out = []

    assert len(data) == loop(data, 0, 0xFFFF, out)
    assert [payload, b"behind it"] == out


def test_one_of_them_is_used():
    """Which one depends on the build."""
    assert cut in (cut_by_words, cut_by_bytes)
