"""Wall clocks for simulated exchanges: microseconds since 1970-01-01 UTC, as venues count them."""

from __future__ import annotations

import time

import trio

EPOCH = 1_583_020_800_000_000
"""2020-03-01 00:00 UTC, when simulated time begins: inside the years the documents speak of."""


class VirtualClock:
    """A wall clock that moves with Trio's, so that a ``MockClock`` moves both.

    It reads :data:`EPOCH` until a Trio run has begun, and at the first reading inside one; two
    runs of one test therefore see the same times.
    """

    def __init__(self, epoch: int = EPOCH) -> None:
        self._epoch = epoch
        self._start: float | None = None

    def __call__(self) -> int:
        """Return microseconds since 1970."""
        try:
            now = trio.current_time()
        except RuntimeError:
            # Outside of a run: an exchange made by an ordinary fixture seeds its books there.
            return self._epoch
        if self._start is None:
            self._start = now
        return self._epoch + round((now - self._start) * 1_000_000)


def system_clock() -> int:
    """Return the real time, in microseconds since 1970."""
    return time.time_ns() // 1000
