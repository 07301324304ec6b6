"""Which request a reply belongs to, for venues that say it and for venues that do not.

How many requests may be under way is decided by what a venue's replies carry:

* ``BY_KEY``: our key. Any number may be under way;
* ``PER_KIND``: the kind of request. One of each kind: the kind is a *slot*, and the next request of
  that kind waits until it is free;
* ``SERIAL``: nothing. One slot for all.

A request that timed out is *abandoned*, not forgotten. Its answer may still come, and where a slot
is all that tells answers apart, that answer would be taken for the next request's. So the slot
stays closed until the late answer is there. If it does not come either, nobody can ever say again
which answer belongs to what on this connection; :meth:`Correlator.recycle_at` tells when the
connection has to be replaced by a new one.

(Not detectable at all: a venue that names nothing and answers one request twice.)

Rules of the file: tokens are opaque; each leaves exactly once, by :meth:`Correlator.finish` or
:meth:`Correlator.drain`, except that under ``BY_KEY`` the oldest abandoned ones are forgotten in
the end. One correlator per connection.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Hashable
from typing import Generic, TypeVar

import msgspec

from .._vocabulary.errors import InternalError
from ..protocol import Correlation

K = TypeVar("K")

# On the venues that carry our key a 0 means "no tag" ("coinflex-exchange/API WEBSOCKET-README.md"),
# and how wide a tag may be is not written: every implementation holds 31 bits. Keys wrap and skip
# those in use.
KEY_MAX = 2**31 - 1

# Under BY_KEY an abandoned request costs nothing but memory, and a late reply still settles its
# ticket. A venue that answers does so within seconds; with a thousand newer ones abandoned since,
# it is not going to answer this one.
ABANDONED_MAX = 1024


class _Serial(enum.Enum):
    """The one slot of ``SERIAL``; a type of its own, so that no kind can equal it."""

    SLOT = "serial"


class _Entry(msgspec.Struct, Generic[K], eq=False):
    """One request that is under way."""

    token: K
    slot: Hashable | None
    abandoned: bool = False


class Correlator(Generic[K]):
    """The requests that are under way on one connection.

    Args:
        correlation: what the venue's replies carry.
        recycle_after: seconds for which an abandoned request may keep a slot closed before the
            connection is to be replaced.

    Attributes:
        late: answers that came after their request was abandoned.
        orphans: answers that belong to nothing: unknown key, a second answer, nothing under way.
    """

    def __init__(self, correlation: Correlation, *, recycle_after: float = 30.0) -> None:
        self._correlation = correlation
        self._recycle_after = recycle_after
        self._last_key = 0
        self._entries: dict[int, _Entry[K]] = {}
        self._slots: dict[Hashable, int] = {}
        # Abandoned requests, oldest first, with the time.
        self._abandoned: dict[int, float] = {}
        self.late: int = 0
        self.orphans: int = 0

    @property
    def in_flight(self) -> int:
        """Requests under way for which somebody waits (abandoned ones are not counted)."""
        return len(self._entries) - len(self._abandoned)

    def slot(self, kind: str) -> Hashable | None:
        """Return the slot that a request of this kind needs, ``None`` if it needs none."""
        if self._correlation is Correlation.BY_KEY:
            return None
        return kind if self._correlation is Correlation.PER_KIND else _Serial.SLOT

    def free(self, slot: Hashable) -> bool:
        """Return whether a request may go into a slot now."""
        return slot not in self._slots

    def start(self, token: K, kind: str) -> int:
        """Note that a request leaves now.

        Args:
            token: what :meth:`finish` is to return.
            kind: the kind of request.

        Returns:
            Its key, from 1 to 2**31 - 1, different from those of all others under way.

        Raises:
            InternalError: its slot is not free.
        """
        slot = self.slot(kind)
        if slot is not None and slot in self._slots:
            raise InternalError(
                f"a request of kind {kind!r} was sent while the answer to another one is awaited; "
                "their answers cannot be told apart"
            )
        key = self._last_key % KEY_MAX + 1
        while key in self._entries:
            key = key % KEY_MAX + 1
        self._last_key = key
        self._entries[key] = _Entry(token, slot)
        if slot is not None:
            self._slots[slot] = key
        return key

    def finish(self, key: int | None, kind: str = "") -> K | None:
        """Note that an answer came, and free the slot.

        Args:
            key: what the reply carries, ``None`` if nothing.
            kind: the kind of request that the reply names, for ``PER_KIND`` without a key.

        Returns:
            The token of the request that is answered, abandoned or not; ``None`` if the answer
            belongs to nothing.
        """
        key = self._find(key, kind)
        if key is None:
            self.orphans += 1
            return None
        entry = self._entries.pop(key)
        if entry.slot is not None:
            del self._slots[entry.slot]
        if entry.abandoned:
            del self._abandoned[key]
            self.late += 1
        return entry.token

    def peek(self, key: int | None, kind: str = "") -> K | None:
        """Return what :meth:`finish` would return, and change nothing."""
        key = self._find(key, kind)
        return None if key is None else self._entries[key].token

    def abandon(self, key: int, now: float) -> None:
        """Note that nobody waits for this answer any more; it still finds its token.

        Does nothing if the answer has come already, or if this was said before.
        """
        entry = self._entries.get(key)
        if entry is None or entry.abandoned:
            return
        entry.abandoned = True
        self._abandoned[key] = now
        if entry.slot is None and len(self._abandoned) > ABANDONED_MAX:
            oldest = next(iter(self._abandoned))
            del self._abandoned[oldest]
            del self._entries[oldest]

    def recycle_at(self) -> float:
        """Return when the connection has to be replaced, ``math.inf`` if no slot asks for it.

        The answer can change with :meth:`abandon` and :meth:`finish`.
        """
        if self._correlation is Correlation.BY_KEY or not self._abandoned:
            return math.inf
        return min(self._abandoned.values()) + self._recycle_after

    def drain(self) -> list[K]:
        """Remove everything that is unanswered, abandoned or not, in order of starting."""
        tokens = [entry.token for entry in self._entries.values()]
        self._entries.clear()
        self._slots.clear()
        self._abandoned.clear()
        return tokens

    def _find(self, key: int | None, kind: str) -> int | None:
        """Return the key of the request that an answer belongs to, if there is one."""
        if key is not None:
            return key if key in self._entries else None
        slot = self.slot(kind)
        return None if slot is None else self._slots.get(slot)


__all__ = ["ABANDONED_MAX", "KEY_MAX", "Correlator"]
