"""What waits for the reader of one receiver: a bounded queue of items, and what happens beyond it.

Everything is counted, and every marker keeps its meaning: each :class:`Gap` has one
:class:`Resumed` behind it with no item in between, and the snapshot that a ``Resumed`` promises
follows it, however much of the backlog is thrown away, and whatever of it was read already.

Theory of operation
-------------------

The oldest items are in :attr:`Backlog.hand`, an iterator that the reader runs through with nothing
but ``for``; the others lie in a deque behind it. Nobody has an item before the reader has taken it
out of the hand: until then it counts, and an overflow takes it back. Where the reader keeps up, as
nearly always, the items of a read become the hand as they are, and no item is touched on its own
before it is read; that spares each a way through the deque.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import length_hint
from typing import Any, Final

import attrs

from .._vocabulary.events import Gap, GapReason, Resumed
from .._vocabulary.settings import Overflow

SMALLEST = 4
"""``Gap``, ``Resumed``, a snapshot and an item always fit."""

HAND = 256
"""Most items that move from the deque to the hand at once: an overflow moves them back."""

_EMPTY: Final[Iterator[Any]] = iter(())
"""An iterator that has ended stays ended, so one serves all."""


class Backlog:
    """Items that wait, oldest first.

    Args:
        limit: items that may wait, at least :data:`SMALLEST`.
        overflow: what to do when more would.

    Raises:
        ValueError: the limit is too small.
    """

    def __init__(self, limit: int, overflow: Overflow) -> None:
        if limit < SMALLEST:
            raise ValueError(
                f"buffer={limit} is too small: a receiver holds at least {SMALLEST} entries, so "
                "that a gap, its end and an item always fit"
            )
        self.limit = limit
        self.connection = 0
        """Number of the connection that the items come from; the owner's to set."""
        self.hand: Iterator[Any] = _EMPTY
        """The oldest items; the reader takes them out, see :meth:`deal`."""
        self.behind: deque[Any] = deque()
        """The items behind those in the hand."""
        self.peak = 0
        """Most items that ever waited, markers included."""
        self.received = 0
        """Items that arrived."""
        self.dropped = 0
        """Items thrown away by ``GAP`` and ``FAIL``."""
        self.conflated = 0
        """Items thrown away by ``LATEST``."""
        self.gaps = 0
        self.resumed = 0
        self.lost = 0
        """Items that found no room under ``FAIL``, 1 at least if it was a marker; from the first
        one on nothing more is taken."""
        self._overflow = overflow
        self._promised: list[Any] = []
        """Snapshots that a ``Resumed`` promises, under ``LATEST``; some may be read."""

    def __len__(self) -> int:
        """Items that wait, markers included."""
        return length_hint(self.hand) + len(self.behind)

    # -- the reader's side ---------------------------------------------------------------------

    def deal(self, most: int = HAND) -> int:
        """Put the next items into the hand, if it is empty; return how many are in it.

        Args:
            most: items that may move; never more than :data:`HAND`.
        """
        dealt = length_hint(self.hand)
        if not dealt:
            behind = self.behind
            dealt = min(len(behind), most, HAND)
            self.hand = iter([behind.popleft() for _ in range(dealt)])
        return dealt

    def take_all(self) -> list[Any]:
        """Return everything that waits, and forget it."""
        items = [*self.hand, *self.behind]
        self.behind.clear()
        return items

    # -- the writer's side ---------------------------------------------------------------------

    def start(self, items: Sequence[Any]) -> None:
        """Take what a receiver sees first: a snapshot, or that it joined late."""
        for item in items:
            if type(item) is Gap:
                self.gaps += 1
            elif type(item) is Resumed:
                self.resumed += 1
            else:
                self.received += 1
        self._append(items)

    def put(self, items: Sequence[Any], state: Callable[[], Any] | None) -> int:
        """Take the items of one read.

        Args:
            items: no markers among them.
            state: gives a snapshot of what was before them, for a channel that has one.

        Returns:
            How many readers have something to take that had nothing before: all, once items are
            :attr:`lost`.
        """
        count = len(items)
        self.received += count
        waiting = length_hint(self.hand) + len(self.behind)
        # An empty backlog always takes a whole read: the limit is about falling behind.
        if not waiting and not self.lost:
            self.hand = iter(items)
            if count > self.peak:
                self.peak = count
            return count
        if self.lost or waiting + count > self.limit:
            if self._overflow is Overflow.FAIL:
                return self._fail(count)
            if self._overflow is Overflow.LATEST:
                self._conflate(waiting + count - self.limit)
            else:
                self._start_over(state)
                count = len(self.behind) + count
        self._append(items)
        return count

    def gap(self, gap: Gap) -> None:
        """Take the beginning of a gap; it always fits."""
        self.gaps += 1
        if len(self) >= self.limit and self._overflow is Overflow.GAP:
            gap = attrs.evolve(gap, dropped=self._clear())
        elif len(self) >= self.limit and self._overflow is Overflow.LATEST:
            self._conflate(1)
        self._append((gap,))

    def resume(self, resumed: Resumed, items: Sequence[Any]) -> int:
        """Take the end of a gap, and what comes first behind it; return as :meth:`put` does."""
        self.received += len(items)
        if self._overflow is Overflow.FAIL and len(self) > self.limit + 1:
            # One more gap fits into a full buffer. All gaps of a reader that stands still would
            # fill the memory, with a snapshot each.
            return self._fail(len(items))
        self.resumed += 1
        if self._overflow is Overflow.LATEST:
            waiting = {id(item) for item in self._take_back()}
            self._promised = [item for item in self._promised if id(item) in waiting]
            if resumed.snapshot:
                self._promised.append(items[0])
        self._append((resumed, *items))
        return 1 + len(items)

    def _fail(self, count: int) -> int:
        """Take nothing more, from these items on; return how many readers are to know."""
        self.dropped += count
        self.lost += count or 1
        return sys.maxsize

    def _append(self, items: Sequence[Any]) -> None:
        self.behind.extend(items)
        waiting = len(self)
        if waiting > self.peak:
            self.peak = waiting

    def _take_back(self) -> deque[Any]:
        """Empty the hand, so that all that waits lies in one place; return that."""
        self.behind.extendleft(reversed(list(self.hand)))
        return self.behind

    def _clear(self) -> int:
        """Throw the backlog away; return how many items that were, older gaps' included."""
        waiting = self._take_back()
        dropped = 0
        own = 0
        # The reader has the beginning of this gap already, so its end must not get lost.
        end = waiting.popleft() if waiting and type(waiting[0]) is Resumed else None
        for item in waiting:
            kind = type(item)
            if kind is Gap:
                dropped += item.dropped
            elif kind is not Resumed:
                own += 1
        waiting.clear()
        if end is not None:
            waiting.append(attrs.evolve(end, snapshot=False))
        self.dropped += own
        return dropped + own

    def _start_over(self, state: Callable[[], Any] | None) -> None:
        dropped = self._clear()
        snapshot = None if state is None else state()
        self.gaps += 1
        self.resumed += 1
        self.behind.append(Gap(GapReason.OVERFLOW, dropped, self.connection))
        self.behind.append(Resumed(snapshot=snapshot is not None))
        if snapshot is not None:
            self.behind.append(snapshot)

    def _conflate(self, surplus: int) -> None:
        """Drop the oldest items, but no marker: every gap keeps its end."""
        waiting = self._take_back()
        kept: list[Any] = []
        if waiting and any(waiting[0] is snapshot for snapshot in self._promised):
            # The reader has the marker that promises this snapshot, so it gets the snapshot.
            kept.append(waiting.popleft())
        while surplus > 0 and waiting:
            item = waiting.popleft()
            if type(item) is Gap or type(item) is Resumed:
                # Two gaps with nothing left between them are one gap.
                if type(item) is Gap and kept and type(kept[-1]) is Resumed:
                    kept.pop()
                else:
                    kept.append(item)
            else:
                if kept and type(kept[-1]) is Resumed:
                    kept[-1] = attrs.evolve(kept[-1], snapshot=False)
                self.conflated += 1
                surplus -= 1
        if kept and waiting and type(waiting[0]) is Gap and type(kept[-1]) is Resumed:
            kept.pop()
            waiting.popleft()
        waiting.extendleft(reversed(kept))
