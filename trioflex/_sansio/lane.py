"""The fast lane: whole, ordinary text frames cut out of a read, and nothing else looked at.

There are two of it, because what is cheap differs. The interpreter pays for each step, so it gets
a loop that takes a header in one call to C: 0.27 us a frame instead of 0.34 byte by byte. Compiled,
steps are nearly free and that call is what costs: 0.15 us instead of 0.02. Whichever is not used is
tested like the other one.

What a loop returns is still to be checked for UTF-8, once a read: see ``frames.py``.
"""

from __future__ import annotations

from struct import Struct
from types import FunctionType
from typing import Final

_WORDS: Final = Struct(">HH").unpack_from
"""``(buffer, offset) -> (first two bytes, next two bytes)``."""

_TEXT: Final = 0x81
"""A final frame of text."""
_LONG: Final = 126
"""Stands for a length that the next two bytes hold."""


def cut_by_words(data: bytes, pos: int, longest: int, out: list[bytes]) -> int:
    """Cut out frames from ``pos`` on; stop before whatever is not plainly one.

    Args:
        data: what a read brought.
        pos: where a frame begins.
        longest: bytes of the longest message accepted.
        out: the payloads are appended here.

    Returns:
        Where the first frame that was not cut out begins, or the end.
    """
    end = len(data)
    last = end - 4  # a frame that is shorter goes the other way; they are rare
    long = _TEXT << 8 | _LONG
    short = _TEXT << 8
    longest_short = short + min(_LONG - 1, longest)
    append, words = out.append, _WORDS
    while pos <= last:
        head, length = words(data, pos)
        if head == long:
            # fewer than 126 would have fitted into the short form: wsproto refuses it
            if length < _LONG or length > longest:
                break
            start = pos + 4
        elif short <= head <= longest_short:
            length = head - short
            start = pos + 2
        else:
            break
        stop = start + length
        if stop > end:
            break
        append(data[start:stop])
        pos = stop
    return pos


def cut_by_bytes(data: bytes, pos: int, longest: int, out: list[bytes]) -> int:
    """Do what :func:`cut_by_words` does, a byte at a time."""
    end = len(data)
    last = end - 4
    longest_short = min(_LONG - 1, longest)
    while pos <= last:
        if data[pos] != _TEXT:
            break
        length = data[pos + 1]
        start = pos + 2
        if length == _LONG:
            length = data[pos + 2] << 8 | data[pos + 3]
            start = pos + 4
            if length < _LONG or length > longest:
                break
        elif length > longest_short:
            break
        stop = start + length
        if stop > end:
            break
        out.append(data[start:stop])
        pos = stop
    return pos


cut: Final = cut_by_words if isinstance(cut_by_words, FunctionType) else cut_by_bytes
"""The one that is cheaper in this build: compiled, functions are of another class."""
