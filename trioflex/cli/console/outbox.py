"""The one queue in which everything that is to be shown stands, in the order it happened."""

from __future__ import annotations

from collections import deque

import trio

from .outputs import News, Output, Status

PUSHES = 1000
"""Items of channels that may wait to be shown: a front end that is a screenful behind is late, one
that is this far behind will not catch up."""


class Outbox:
    """Takes outputs without waiting and hands them on.

    What the dialogue says is never dropped; a person types it into being. Items of channels are,
    when too many wait, and it is said how many.
    """

    def __init__(self) -> None:
        self._queue: deque[tuple[Output, bool]] = deque()
        self._wake = trio.lowlevel.ParkingLot()
        self._waiting = 0
        self._dropped = 0
        self._ended = False

    def tell(self, output: Output) -> None:
        """Queue an output; of two status lines the older one is forgotten."""
        if isinstance(output, Status) and self._queue and isinstance(self._queue[-1][0], Status):
            self._queue.pop()
        self._put(output, pushed=False)

    def push(self, news: News) -> None:
        """Queue an item of a channel, or count it as dropped."""
        if self._waiting >= PUSHES:
            self._dropped += 1
            return
        self._waiting += 1
        self._put(news, pushed=True)

    def end(self) -> None:
        """Hand on what is there, and be done."""
        self._ended = True
        self._wake.unpark_all()

    async def run(self, out: trio.MemorySendChannel[Output]) -> None:
        """Hand on until the end; then close the channel.

        Cancellation: what is queued is lost.
        """
        async with out:
            while self._queue or not self._ended:
                if not self._queue:
                    await self._wake.park()
                    continue
                output, pushed = self._queue.popleft()
                self._waiting -= pushed
                try:
                    await out.send(output)
                except trio.BrokenResourceError:
                    return  # nobody looks any more
                if self._dropped and not self._waiting:
                    dropped, self._dropped = self._dropped, 0
                    self.tell(News("dropped", f"{dropped} items that came too fast to be shown"))

    def _put(self, output: Output, *, pushed: bool) -> None:
        self._queue.append((output, pushed))
        self._wake.unpark_all()
