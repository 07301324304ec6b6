"""Ctrl-C where Trio does not run: while the command is imported and its arguments are read.

Python would show a traceback there, and the parser of the arguments would make an error of its own
out of it. While Trio runs, Ctrl-C is Trio's business, and what it raises is in ``exits``.
"""

from __future__ import annotations

import atexit
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(INTERRUPTED)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process with the status of an interruption, without a word."""
    # Whoever ignores it (nohup) or handles it in another way goes on doing so.
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # When all is done but to flush and to go, nothing of that is worth a traceback.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_DFL)


@contextmanager
def leaving_in_order() -> Iterator[None]:
    """Let Ctrl-C be what Trio makes of it."""
    if signal.getsignal(signal.SIGINT) is not _leave:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _leave)
