"""The orders of a book as the client keeps them for late joiners: nobody looks into it.

It follows a channel by the same rules as :class:`trioflex.book.OrderBook`, but keeps the items
themselves, by number and in time priority, and beside them what is left of those that have traded;
orders are made of both when a snapshot is asked for. Nearly all items are dealt with in one loop
without making anything, which spares a third of what following cost while each remainder was an
order of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec

from ...book import SPENT_FOR
from .notices import OrderClosed, OrderModified, OrderOpened, OrdersMatched
from .replies import BookOrder, BookSnapshot


class KeptBook:
    """Follows a book channel and can say it again as a snapshot."""

    def __init__(self) -> None:
        self._first: BookSnapshot | None = None  # None: not valid
        # By number, in time priority: the item that put an order where it is.
        self._orders: dict[int, OrderOpened | OrderModified | BookOrder] = {}
        # Of some of them, by number: how much is left. 0 if an order was spent, until the venue
        # says that it is closed, or for SPENT_FOR.
        self._left: dict[int, int] = {}
        self._spent: deque[tuple[int, int]] = deque()
        # Classes of this venue's items, which are bound to its table; each is met before it counts.
        self._opened: type = OrderOpened
        self._closed: type = OrderClosed
        self._matched: type = OrdersMatched

    def apply(self, item: Any) -> None:
        """Take the next item of the channel."""
        self.apply_all((item,))

    def apply_all(self, items: Sequence[Any]) -> None:
        """Take the next items of the channel."""
        orders, left = self._orders, self._left
        opened, closed, matched = self._opened, self._closed, self._matched
        valid = self._first is not None
        for item in items:
            kind = type(item)
            if kind is opened:
                if valid:
                    number = item.id
                    if number in orders:
                        self._remove(number)  # out of its place: the new one goes to the end
                    orders[number] = item
                    if not item.scaled_quantity:
                        left[number] = 0
                        self._spend(number, item.time)
            elif kind is closed:
                number = item.id
                if number in orders:
                    del orders[number]
                    if number in left:
                        del left[number]
            elif kind is matched:
                number, rest = item.bid, item.scaled_bid_rem
                if number in orders and rest is not None:
                    left[number] = rest
                    if not rest:
                        self._spend(number, item.time)
                number, rest = item.ask, item.scaled_ask_rem
                if number in orders and rest is not None:
                    left[number] = -rest
                    if not rest:
                        self._spend(number, item.time)
            elif isinstance(item, OrderModified):
                if valid:
                    self._amend(item)
            elif isinstance(item, BookSnapshot):
                self._load(item)
                valid = True
            else:
                self._meet(kind)
                self.apply_all((item,))
                opened, closed, matched = self._opened, self._closed, self._matched

    def snapshot(self) -> BookSnapshot | None:
        """Return the whole book, ``None`` while there is none."""
        if self._first is None:
            return None
        left = self._left
        orders = tuple(
            order
            if type(order) is BookOrder and number not in left
            else BookOrder(
                id=number,
                scaled_quantity=left.get(number, order.scaled_quantity),
                scaled_price=order.scaled_price,
                time=order.time,
            )
            for number, order in self._orders.items()
            if left.get(number, order.scaled_quantity)
        )
        return msgspec.structs.replace(self._first, orders=orders)

    def invalidate(self) -> None:
        """Forget everything: continuity is lost."""
        self._first = None
        self._orders.clear()
        self._left.clear()
        self._spent.clear()

    def _meet(self, kind: type) -> None:
        """Remember a class of items that was not met before."""
        if issubclass(kind, OrderOpened):
            self._opened = kind
        elif issubclass(kind, OrderClosed):
            self._closed = kind
        elif issubclass(kind, OrdersMatched):
            self._matched = kind
        else:
            raise TypeError(f"{kind.__name__} is no item of an order book")

    def _load(self, snapshot: BookSnapshot) -> None:
        self.invalidate()
        self._first = msgspec.structs.replace(snapshot, orders=())
        for order in sorted(snapshot.orders, key=attrgetter("time")):
            self._orders[order.id] = order

    def _amend(self, item: OrderModified) -> None:
        """Change an order: it keeps its place, and its time, if only the quantity shrank."""
        number, quantity = item.id, item.scaled_quantity
        old = self._orders.get(number)
        if old is not None:
            before = self._left.get(number, old.scaled_quantity)
            if (
                old.scaled_price == item.scaled_price
                and abs(quantity) <= abs(before)
                and quantity * before > 0
            ):
                self._left[number] = quantity
                return
            self._remove(number)
        self._orders[number] = item
        if not quantity:
            self._left[number] = 0
            self._spend(number, item.time)

    def _spend(self, number: int, time: int) -> None:
        """Remember when an order was spent, and forget those spent long ago."""
        spent = self._spent
        spent.append((time, number))
        while spent[0][0] < time - SPENT_FOR:
            _, old = spent.popleft()
            if not self._left.get(old, 1):
                self._remove(old)

    def _remove(self, number: int) -> None:
        del self._orders[number]
        self._left.pop(number, None)
