"""Where the time goes: a sampling profiler of one's own process, without any package."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL = 0.001
"""Seconds of processor time between two looks: a thousand looks a second cost one per cent."""


class Sampler:
    """Counts which Python function is running.

    The interpreter looks for signals where a loop turns and where a function begins, so what C
    takes counts for the Python function that called it, and lines cannot be told apart.
    """

    def __init__(self) -> None:
        self.functions: Counter[str] = Counter()

    def start(self) -> None:
        """Start looking."""
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def stop(self) -> None:
        """Stop looking."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _look(self, number: int, frame: FrameType | None) -> None:
        if frame is not None:
            code = frame.f_code
            path = "/".join(Path(code.co_filename).parts[-3:])
            self.functions[f"{path} {code.co_qualname}"] += 1

    def table(self, total: float, unit: str, top: int = 25) -> str:
        """Write the most expensive functions; ``total`` is what all of it took."""
        looks = max(1, self.functions.total())
        rows = [
            f"{count / looks * total:8.3f}  {count / looks:6.1%}  {where}"
            for where, count in self.functions.most_common(top)
        ]
        return "\n".join((f"{unit:>8}   share  function", *rows))
