"""The orders of a book as the client keeps them for late joiners: nobody looks into it.

It follows a channel by the same rules as :class:`trioflex.book.OrderBook`, but keeps the items
themselves, by number and in time priority, and makes orders of them when a snapshot is asked for:
that spares 0.06 to 0.13 of 1.4 to 2.8 us of every message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...book import SPENT_FOR
from .notices import OrderClosed, OrderModified, OrderOpened, OrdersMatched
from .replies import BookOrder, BookSnapshot

_OPENED: Final = 1
_CLOSED: Final = 2
_MODIFIED: Final = 3
_MATCHED: Final = 4
_SNAPSHOT: Final = 5


class _Kinds(dict[type, int]):
    """What an item is, by its class: each venue's are subclasses, bound to its table."""

    def __missing__(self, shape: type) -> int:
        for base, kind in (
            (OrderOpened, _OPENED),
            (OrderClosed, _CLOSED),
            (OrderModified, _MODIFIED),
            (OrdersMatched, _MATCHED),
            (BookSnapshot, _SNAPSHOT),
        ):
            if issubclass(shape, base):
                self[shape] = kind
                return kind
        raise TypeError(f"{shape.__name__} is no item of an order book")


_KINDS: Final = _Kinds()


class KeptBook:
    """Follows a book channel and can say it again as a snapshot."""

    def __init__(self) -> None:
        self._first: BookSnapshot | None = None  # None: not valid
        # By number, in time priority: the item that says what is left of an order; 0 if it was
        # spent, until the venue says that it is closed, or for SPENT_FOR.
        self._orders: dict[int, OrderOpened | OrderModified | BookOrder] = {}
        self._spent: deque[tuple[int, int]] = deque()

    def apply(self, item: Any) -> None:
        """Take the next item of the channel."""
        self.apply_all((item,))

    def apply_all(self, items: Sequence[Any]) -> None:
        """Take the next items of the channel."""
        orders, kinds = self._orders, _KINDS
        valid = self._first is not None
        for item in items:
            kind = kinds[type(item)]
            if kind == _OPENED:
                if valid:
                    number = item.id
                    if number in orders:
                        del orders[number]  # out of its place: the new one goes to the end
                    orders[number] = item
                    if not item.scaled_quantity:
                        self._spend(number, item.time)
            elif kind == _CLOSED:
                orders.pop(item.id, None)
            elif kind == _MODIFIED:
                if valid:
                    self._amend(item)
            elif kind == _MATCHED:
                if item.bid is not None and item.scaled_bid_rem is not None:
                    self._fill(item.bid, item.scaled_bid_rem, item.time)
                if item.ask is not None and item.scaled_ask_rem is not None:
                    self._fill(item.ask, -item.scaled_ask_rem, item.time)
            else:
                self._load(item)
                orders, valid = self._orders, True

    def snapshot(self) -> BookSnapshot | None:
        """Return the whole book, ``None`` while there is none."""
        if self._first is None:
            return None
        orders = tuple(
            order
            if type(order) is BookOrder
            else BookOrder(
                id=order.id,
                scaled_quantity=order.scaled_quantity,
                scaled_price=order.scaled_price,
                time=order.time,
            )
            for order in self._orders.values()
            if order.scaled_quantity
        )
        return msgspec.structs.replace(self._first, orders=orders)

    def invalidate(self) -> None:
        """Forget everything: continuity is lost."""
        self._first = None
        self._orders = {}
        self._spent.clear()

    def _load(self, snapshot: BookSnapshot) -> None:
        self._first = msgspec.structs.replace(snapshot, orders=())
        ordered = sorted(snapshot.orders, key=lambda order: (order.time, order.id))
        self._orders = {order.id: order for order in ordered}
        self._spent.clear()

    def _amend(self, item: OrderModified) -> None:
        """Change an order: it keeps its place, and its time, if only the quantity shrank."""
        old = self._orders.get(item.id)
        quantity = item.scaled_quantity
        if (
            old is not None
            and old.scaled_price == item.scaled_price
            and abs(quantity) <= abs(old.scaled_quantity)
            and quantity * old.scaled_quantity > 0
        ):
            self._fill(item.id, quantity, item.time)
            return
        self._orders.pop(item.id, None)
        self._orders[item.id] = item
        if not quantity:
            self._spend(item.id, item.time)

    def _fill(self, number: int, quantity: int, time: int) -> None:
        """Set what remains of an order, in its place."""
        old = self._orders.get(number)
        if old is None:
            return
        self._orders[number] = BookOrder(
            id=number, scaled_quantity=quantity, scaled_price=old.scaled_price, time=old.time
        )
        if not quantity:
            self._spend(number, time)

    def _spend(self, number: int, time: int) -> None:
        """Remember when an order was spent, and forget those spent long ago."""
        spent, orders = self._spent, self._orders
        spent.append((time, number))
        while spent[0][0] < time - SPENT_FOR:
            _, old = spent.popleft()
            order = orders.get(old)
            if order is not None and not order.scaled_quantity:
                del orders[old]
