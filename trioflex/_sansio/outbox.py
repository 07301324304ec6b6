"""What waits to be sent on one connection, and which of it goes next.

Three kinds wait here, in order of precedence:

* *raw frames*: what a session wants transmitted (a login, an application pong). Before everything,
  first in first out, never held back;
* the *control lane*: subscribing and unsubscribing;
* the *request lane*: what users ask, closed by the *gate* until the session is ready and the
  subscriptions are under way again.

An item can be held by its rate (too soon for its bucket) or by its slot (a venue whose replies name
nothing can answer only one at a time). Items that share lane, bucket and slot are held by the same
things, so they form one queue in which nobody overtakes; an item that is held keeps back those
behind it in its own queue and nobody else. Among the queues whose head may go, the head that waited
longest goes.

Rules of the file: items are opaque and leave exactly once, by :meth:`Outbox.next`,
:meth:`Outbox.withdraw`, :meth:`Outbox.expired` or :meth:`Outbox.drain`; only the first of them
means that it was sent. No operation but the last looks at a whole queue: the cost grows with the
number of *queues* that hold something (buckets times kinds, a handful), not with that of items.
"""

from __future__ import annotations

import enum
import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import msgspec

from .keepalive import Sleep
from .rates import Rates

I = TypeVar("I")  # noqa: E741


class Lane(enum.Enum):
    """Which lane an item waits in."""

    # Members are unique; enum's own runs in Python. (Hidden, because pyright calls it
    # an ambiguous override.)
    if not TYPE_CHECKING:
        __hash__ = object.__hash__

    CONTROL = "control"
    """Subscriptions: before requests, gate or not."""
    REQUEST = "request"
    """What users ask: only while the gate is open."""


_Key: TypeAlias = tuple[Lane, str, Hashable | None]


class _Entry(msgspec.Struct, Generic[I], eq=False):
    """One item that waits."""

    item: I
    key: _Key
    expires: float


class Outbox(Generic[I]):
    """The frames and items of one client that wait for the wire.

    Args:
        rates: the limits; a request is counted when its item is handed out.

    Attributes:
        gate: the request lane is open; closed at first.
        queued: items of the request lane that have not left (those that expired and were not
            collected yet are among them).
    """

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self.gate = False
        self.queued = 0
        # A list: there are hardly ever two, and an empty deque takes 760 bytes.
        self._frames: list[str] = []
        self._last_handle = 0
        # Handles only grow, so the smallest is the oldest. The queues are OrderedDicts and not
        # dicts: finding the first key of a dict whose first keys were deleted means walking over
        # their remains, which makes a long queue quadratic.
        self._entries: dict[int, _Entry[I]] = {}
        self._queues: dict[Lane, dict[_Key, OrderedDict[int, _Entry[I]]]] = {
            Lane.CONTROL: {},
            Lane.REQUEST: {},
        }
        # (expires, handle) of entries that can expire; those that left otherwise stay until they
        # come up or are more than half of the heap.
        self._expiries: list[tuple[float, int]] = []
        self._expiring = 0

    # -- putting in ----------------------------------------------------------------------------

    def transmit(self, frame: str) -> None:
        """Queue a raw frame: it goes before everything but earlier raw frames."""
        self._frames.append(frame)

    def put(
        self,
        item: I,
        lane: Lane,
        *,
        bucket: str,
        slot: Hashable | None,
        expires: float = math.inf,
    ) -> int:
        """Queue an item.

        Args:
            item: whatever the caller wants back.
            lane: where it waits.
            bucket: the rate limit that it counts against.
            slot: what has to be free before it may go, ``None``: nothing.
            expires: when it stops being worth sending; from then on it is never handed out.

        Returns:
            A handle, larger than all before.
        """
        self._last_handle += 1
        handle = self._last_handle
        key = (lane, bucket, slot)
        entry = _Entry(item, key, expires)
        self._entries[handle] = entry
        queues = self._queues[lane]
        queue = queues.get(key)
        if queue is None:
            queue = queues[key] = OrderedDict()
        queue[handle] = entry
        if lane is Lane.REQUEST:
            self.queued += 1
        if expires != math.inf:
            self._expiring += 1
            heapq.heappush(self._expiries, (expires, handle))
        return handle

    # -- taking out ----------------------------------------------------------------------------

    def next(self, now: float, free: Callable[[Hashable], bool]) -> str | I | Sleep | None:
        """Hand out what is to be sent now.

        Args:
            now: seconds, on the clock of ``expires`` and of the rates.
            free: says whether a slot is free.

        Returns:
            A raw frame; or an item, counted against its bucket; or :class:`Sleep` if all that may
            go waits for a rate; or ``None`` if there is nothing to do until something changes (an
            item comes, the gate opens, a slot becomes free).
        """
        if self._frames:
            return self._frames.pop(0)
        wake_at = math.inf
        for lane, queues in self._queues.items():
            if lane is Lane.REQUEST and not self.gate:
                continue
            oldest = 0
            for (_, bucket, slot), queue in queues.items():
                handle = self._first_fresh(queue, now)
                if not handle or (oldest and handle > oldest):
                    continue
                if slot is not None and not free(slot):
                    continue
                ready_at = self._rates.ready_at(bucket, now)
                if ready_at > now:
                    wake_at = min(wake_at, ready_at)
                    continue
                oldest = handle
            if oldest:
                entry = self._remove(oldest)
                self._rates.take(entry.key[1], now)
                return entry.item
        return None if wake_at == math.inf else Sleep(wake_at)

    def alike(self, lane: Lane, *, bucket: str, slot: Hashable | None) -> list[tuple[int, I]]:
        """Return what waits in one lane for the same rate and slot, oldest first, with handles.

        Args:
            lane: where it waits.
            bucket: the rate limit that it counts against.
            slot: what has to be free before it may go.
        """
        queue = self._queues[lane].get((lane, bucket, slot))
        return [] if queue is None else [(handle, entry.item) for handle, entry in queue.items()]

    def withdraw(self, handle: int) -> bool:
        """Take an item back.

        Returns:
            Whether it was still here: then it is gone now and was certainly never sent.
        """
        if handle not in self._entries:
            return False
        self._remove(handle)
        return True

    def expired(self, now: float) -> list[I]:
        """Remove the items whose time has passed and return them, earliest first."""
        items: list[I] = []
        while self.next_expiry <= now:
            items.append(self._remove(self._expiries[0][1]).item)
        return items

    def drain(self) -> tuple[list[I], list[I]]:
        """Remove everything; drop the raw frames.

        Returns:
            The items of the control lane and those of the request lane, oldest first.
        """
        control = [e.item for e in self._entries.values() if e.key[0] is Lane.CONTROL]
        requests = [e.item for e in self._entries.values() if e.key[0] is Lane.REQUEST]
        self._frames.clear()
        self._entries.clear()
        for queues in self._queues.values():
            queues.clear()
        self._expiries.clear()
        self._expiring = 0
        self.queued = 0
        return control, requests

    # -- looking in ----------------------------------------------------------------------------

    @property
    def next_expiry(self) -> float:
        """The earliest ``expires`` of what is queued, ``math.inf`` if nothing can expire."""
        expiries = self._expiries
        while expiries and expiries[0][1] not in self._entries:
            heapq.heappop(expiries)
        return expiries[0][0] if expiries else math.inf

    @property
    def empty(self) -> bool:
        """Nothing is left, not even behind a closed gate."""
        return not self._frames and not self._entries

    def __bool__(self) -> bool:
        return not self.empty

    # -- bookkeeping ---------------------------------------------------------------------------

    def _first_fresh(self, queue: OrderedDict[int, _Entry[I]], now: float) -> int:
        """Return the handle of the first item that is still worth sending, 0 if there is none.

        Those before it lose their place in the queue and wait to be collected by `expired`.
        """
        while queue:
            handle, entry = next(iter(queue.items()))
            if entry.expires > now:
                return handle
            del queue[handle]
        return 0

    def _remove(self, handle: int) -> _Entry[I]:
        """Forget one item, wherever it stands."""
        entry = self._entries.pop(handle)
        lane = entry.key[0]
        queues = self._queues[lane]
        queue = queues.get(entry.key)
        if queue is not None:
            queue.pop(handle, None)
            if not queue:
                del queues[entry.key]
        if lane is Lane.REQUEST:
            self.queued -= 1
        if entry.expires != math.inf:
            self._expiring -= 1
            # Withdrawn early and put anew for hours, they would pile up; at twice the number that
            # is needed, the sweep costs each of them one look.
            if len(self._expiries) > 2 * self._expiring + 16:
                self._expiries = [e for e in self._expiries if e[1] in self._entries]
                heapq.heapify(self._expiries)
        return entry


__all__ = ["Lane", "Outbox"]
