"""SIGTERM, as `kill` and service managers send it: Ctrl-C with an exit status of its own.

While Trio runs it makes a ``KeyboardInterrupt`` of Ctrl-C, at a moment where that does no harm;
SIGTERM goes the same way. At other times nothing is open, and the system may end the process.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import attrs
import trio

from .exits import Terminated, reason_of


def run(function: Callable[..., Awaitable[object]], *args: object) -> None:
    """
    Run an async function to its end, which SIGTERM brings about as Ctrl-C does.

    Raises:
        Terminated: instead of the interruption, if SIGTERM was its cause.
    """
    gate = Gate()

    async def main() -> None:
        with gate.open():
            await function(*args)

    try:
        with gate.prepared():
            trio.run(main)
    except (KeyboardInterrupt, BaseExceptionGroup) as error:
        if gate.passed and isinstance(reason_of(error), KeyboardInterrupt):
            raise Terminated from error
        raise


@attrs.define
class Gate:
    """Where SIGTERM joins the way of Ctrl-C."""

    passed: bool = False
    """SIGTERM came."""
    _deaf: bool = False
    """Ctrl-C is ignored, as in what a shell runs in the background: just there SIGTERM is usual."""

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Let Trio make its way for Ctrl-C, which it does not where that is ignored."""
        main_thread = threading.current_thread() is threading.main_thread()
        self._deaf = main_thread and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        if self._deaf:
            # Until open(), which is next.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield
        finally:
            if self._deaf:
                signal.signal(signal.SIGINT, signal.SIG_IGN)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let SIGTERM pass while Trio runs; whoever handles or ignores it goes on doing so."""
        interrupt = signal.getsignal(signal.SIGINT)
        ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        )
        if not (ours and callable(interrupt)):
            yield
            return

        def terminate(number: int, frame: FrameType | None) -> None:
            self.passed = True
            interrupt(signal.SIGINT, frame)

        if self._deaf:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, terminate)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
