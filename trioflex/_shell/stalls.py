"""Who holds everybody up: a Trio instrument that names tasks which run too long at a stretch."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Final

import trio

logger = logging.getLogger("trioflex")

_TRIO: Final = os.path.join(os.path.dirname(trio.__file__), "")


class StallWatch(trio.abc.Instrument):
    """Warns when a task runs for too long without a checkpoint, and names it.

    While user code computes, or calls something that blocks, nothing else runs: no Ping is
    answered and no other receiver is served. A connection survives this (what came meanwhile is
    read before the heartbeat judges), but only as long as the venue is patient. ::

        trio.run(main, instruments=[StallWatch()])

    Each stall is one warning in the log ``trioflex``. An instrument costs about a microsecond
    for each step of each task, so nothing of this is on by itself.

    Args:
        limit: seconds that a task may run at a stretch, more than 0. The default is far above what
            a busy market asks for, and far below the shortest time limit of a venue.
        clock: what is measured with; for tests.

    Raises:
        ValueError: ``limit`` is not above 0.
    """

    def __init__(
        self, limit: float = 0.5, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        if not limit > 0:
            raise ValueError(f"limit={limit!r} is no number of seconds above 0")
        self.limit = limit
        self.stalls: int = 0
        """How often a task ran for longer than the limit."""
        self.longest: float = 0.0
        """Seconds that the longest of those took."""
        self._clock = clock
        self._began = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Take the time; called by Trio."""
        self._began = self._clock()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Compare; called by Trio."""
        seconds = self._clock() - self._began
        if seconds > self.limit:
            self.stalls += 1
            self.longest = max(self.longest, seconds)
            logger.warning(
                "the task %r ran for %.1f s without a checkpoint; for that long nothing else ran, "
                "and no ping was answered. %s",
                task.name,
                seconds,
                _whereabouts(task),
            )


def _whereabouts(task: trio.lowlevel.Task) -> str:
    """Say where a task stands after its step: just behind what took so long, as a rule."""
    place = "It has ended"
    if task.coro.cr_frame is None:
        return place + "."  # Trio 0.27 would show its last frame, which is none
    for frame, line in task.iter_await_frames():
        path = frame.f_code.co_filename
        if not path.startswith(_TRIO):
            place = f"It waits now at {path}:{line}"
    return place + "."
