"""The book of one security as a connection builds it, and what it tells of every message.

Source of the feed: "MidChains/slate", ``source/index.html.md``. It has neither sequence numbers nor
a mark for the end of the first data, so a book is judged by its looks: entries that contradict each
other, or a book that stays crossed, are out of sync.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any

import msgspec

from .channels import BookChange, BookEntry
from .replies import Row, moment, number, rows, side

logger = logging.getLogger("trioflex")

QUIET = 1_000
"""Milliseconds without a message after which the first data is taken to be complete."""

LONGEST = 5_000
"""Milliseconds after which it is taken to be complete, however much still comes."""

CROSSED = 5_000
"""Milliseconds for which a book may be crossed."""


class OutOfSync(Exception):
    """The book cannot be right."""


class BookState:
    """All orders of one security, since the subscription.

    Args:
        security: the pair.
        strict: an order that is on the other side all at once is an error, not a move.
    """

    def __init__(self, security: str, *, strict: bool = True) -> None:
        self.security = security
        self._strict = strict
        self.crossed_since: int | None = None
        """Wall clock, milliseconds."""
        self.removals = 0
        """Entries that said ``R``; a server without them cannot give a correct book."""
        self.odd: dict[str, int] = {}
        """How often each ``act`` came that nobody knows."""
        self._entries: dict[int, BookEntry] = {}
        self._levels: dict[str, dict[Decimal, int]] = {"B": {}, "S": {}}
        self._best: dict[str, Decimal | None] = {"B": None, "S": None}
        self._price_digits = 0
        self._quantity_digits = 0
        self._first: int | None = None
        self._last = 0
        self._complete = False

    @property
    def entries(self) -> tuple[BookEntry, ...]:
        """The orders, the one that came first at the front."""
        return tuple(self._entries.values())

    @property
    def crossed(self) -> bool:
        """The best bid is not below the best ask."""
        bid, ask = self._best["B"], self._best["S"]
        return bid is not None and ask is not None and bid >= ask

    def apply(self, message: Row, now: int) -> BookChange:
        """Take one message.

        Args:
            message: as it came.
            now: wall clock, milliseconds.

        Returns:
            What it changes.

        Raises:
            msgspec.ValidationError: it has another shape.
            OutOfSync: it contradicts what is there.
        """
        whole = self._first is None
        changes: list[BookEntry] = []
        for row in rows(message.get("books"), "books"):
            self._take(row, changes)
        for entry in changes:
            whole |= self._widen(entry)
        if self.crossed:
            self.crossed_since = now if self.crossed_since is None else self.crossed_since
        else:
            self.crossed_since = None
        return BookChange(
            security=self.security,
            entries=self.entries if whole else tuple(changes),
            whole=whole,
            loading_until=self._loading_until(now),
            price_digits=self._price_digits,
            quantity_digits=self._quantity_digits,
        )

    def _take(self, row: Row, changes: list[BookEntry]) -> None:
        act = str(row.get("act"))
        if act not in ("U", "R"):
            if act not in self.odd:
                logger.info("midchains: book entries of %s say act=%.20s", self.security, act)
            if act in self.odd or len(self.odd) < 100:
                self.odd[act] = self.odd.get(act, 0) + 1
            return
        order_id = _id(row)
        if act == "R":
            self.removals += 1
            if order_id is not None:
                self._remove(order_id, changes)
                return
            where, price = side(row), number(row, "price")
            for entry in self.entries:
                if entry.side == where and entry.price == price:
                    self._remove(entry.id, changes)
            return
        if order_id is None:
            raise msgspec.ValidationError("id is missing from an entry that is not removed")
        quantity = number(row, "qty")
        if quantity <= 0:
            self._remove(order_id, changes)
            return
        entry = BookEntry(
            id=order_id,
            side=side(row),
            price=number(row, "price"),
            quantity=quantity,
            time=moment(row, "time"),
        )
        old = self._entries.get(order_id)
        if old is not None:
            if self._strict and old.side != entry.side:
                raise OutOfSync(f"order {order_id} is on both sides")
            self._leave(old)
            if (old.side, old.price) != (entry.side, entry.price):
                del self._entries[order_id]  # it goes to the end of its new level
        self._entries[order_id] = entry
        self._enter(entry)
        changes.append(entry)

    def _remove(self, order_id: int, changes: list[BookEntry]) -> None:
        entry = self._entries.pop(order_id, None)
        if entry is not None:
            self._leave(entry)
            changes.append(msgspec.structs.replace(entry, quantity=Decimal(0)))

    def _enter(self, entry: BookEntry) -> None:
        levels = self._levels[entry.side]
        levels[entry.price] = levels.get(entry.price, 0) + 1
        best = self._best[entry.side]
        if best is None or (entry.price > best if entry.side == "B" else entry.price < best):
            self._best[entry.side] = entry.price

    def _leave(self, entry: BookEntry) -> None:
        levels = self._levels[entry.side]
        levels[entry.price] -= 1
        if levels[entry.price]:
            return
        del levels[entry.price]
        if entry.price == self._best[entry.side]:
            choose = max if entry.side == "B" else min
            self._best[entry.side] = choose(levels, default=None)

    def _widen(self, entry: BookEntry) -> bool:
        """Make room for the digits of an entry; return whether there was too little."""
        price = max(self._price_digits, _digits(entry.price))
        quantity = max(self._quantity_digits, _digits(entry.quantity))
        if (price, quantity) == (self._price_digits, self._quantity_digits):
            return False
        self._price_digits, self._quantity_digits = price, quantity
        return True

    def _loading_until(self, now: int) -> int | None:
        """Note a message; return when the first data will be complete, ``None`` if it is."""
        if self._first is None:
            self._first = self._last = now
        last, self._last = self._last, now
        if now - last > QUIET or now - self._first >= LONGEST:
            self._complete = True
        return None if self._complete else min(now + QUIET, self._first + LONGEST)


def _id(row: Row) -> int | None:
    value: Any = row.get("id")
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 40:
        value = int(value)
    if type(value) is not int:
        raise msgspec.ValidationError("id is not a whole number")
    return value


def _digits(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


__all__ = ["CROSSED", "BookState", "OutOfSync"]
