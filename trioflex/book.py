"""Order books as pure folds: feed :class:`OrderBook` what a book channel delivers, and look.

::

    book = OrderBook()
    async for event in receiver:
        book.apply(event)              # snapshots, updates, Gap and Resumed alike
        if book.valid:
            print(book.best_bid, book.best_ask)

Theory of operation
-------------------

A book is a dictionary of resting orders and, from the first look at its levels on, an index of
them: for each side a dictionary from price to level and the sorted list of prices, best price
last. Near the best price, where markets are busy, insertion and removal touch the end of that
list, so an update costs about the same in a deep book as in a shallow one. A book that nobody
looks into (the one the client keeps for late joiners) never builds the index.

Prices and quantities are kept as the venue's scaled integers and become ``Decimal`` when somebody
looks at them.

Venues' items know what they do to a book (:class:`BookItem`); the rules of one venue are in its
module. A venue that sends levels instead of orders fits as well: each level is one order, with
``(side, price)`` for its id.

Rules of the file:

* A book that is not valid answers nothing. Only a snapshot makes it valid.
* Values are absolute: applying an update twice is applying it once.
* The dictionary of orders is in time priority; so is each level's.
"""

from __future__ import annotations

import decimal
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol, TypeAlias, overload

import attrs

from ._sansio.ladder import Resting as Resting, Side
from ._vocabulary.errors import LocalProtocolError
from ._vocabulary.events import Gap, Resumed

SPENT_FOR = 60_000_000
"""Microseconds, on the venue's clock, for which an order that has traded in full is remembered
until the venue says that it is closed; a venue that never says so must not fill our memory."""

# Exact whatever the calling thread's decimal context is: moving the point must never round.
_EXACT = decimal.Context(
    prec=decimal.MAX_PREC,
    Emax=decimal.MAX_EMAX,
    Emin=decimal.MIN_EMIN,
    traps=[decimal.InvalidOperation, decimal.Inexact],
)


class BookItem(Protocol):
    """An item of a book channel: it knows what it does to a book."""

    def update_book(self, book: OrderBook, /) -> None:
        """Call the book's :meth:`~OrderBook.load`, :meth:`~OrderBook.put` … for what happened."""


@attrs.frozen
class Level:
    """All orders of one side at one price."""

    price: Decimal
    quantity: Decimal
    """What they offer or seek together, always positive."""
    orders: int
    """How many there are (1 where the venue does not tell)."""

    def __str__(self) -> str:
        return f"{self.quantity} @ {self.price}"


@attrs.frozen
class RestingOrder:
    """One order in a book."""

    id: Hashable
    """The venue's."""
    price: Decimal
    quantity: Decimal
    """What is still to be traded: positive on the bid side, negative on the ask side."""
    time: int
    """Microseconds since 1970-01-01 UTC: when it took its place in the queue."""


@attrs.frozen
class Horizon:
    """How far a book is complete; ``None``: to the end."""

    bid: Decimal | None = None
    """Bid levels below this price may lack orders."""
    ask: Decimal | None = None
    """Ask levels above this price may lack orders."""


Remake: TypeAlias = Callable[[Sequence[Resting]], object]
"""Makes a channel's snapshot item from the orders of a book."""


class Levels(Sequence[Level]):
    """The levels of one side, best first; a live view of its book.

    Indexing, slicing and ``len()`` look at the book as it is then, and raise
    :class:`trioflex.LocalProtocolError` while it is not valid. Apply no update while iterating.
    """

    __slots__ = ("_book", "_sign")

    def __init__(self, book: OrderBook, sign: int) -> None:
        self._book = book
        self._sign = sign

    def __len__(self) -> int:
        return len(self._side().ranks)

    @overload
    def __getitem__(self, index: int) -> Level: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Level, ...]: ...

    def __getitem__(self, index: int | slice) -> Level | tuple[Level, ...]:
        side = self._side()
        if isinstance(index, slice):
            positions = range(*index.indices(len(side.ranks)))
            return tuple(self._level(side, side.ranks[-1 - position]) for position in positions)
        if index >= 0:
            # The best is the last. An index beyond the end falls off the list's other end.
            return self._level(side, side.ranks[-1 - index])
        if -index > len(side.ranks):
            raise IndexError("the side has no such level")
        return self._level(side, side.ranks[-index - 1])

    def __iter__(self) -> Iterator[Level]:
        side = self._side()
        for rank in reversed(side.ranks):
            yield self._level(side, rank)

    def __repr__(self) -> str:
        side = "bids" if self._sign > 0 else "asks"
        if not self._book.valid:
            return f"<{side} of a book that is not valid>"
        best = ", ".join(str(level) for level in self[:3])
        return f"<{len(self)} {side}: {best}{', …' if len(self) > 3 else ''}>"

    @property
    def complete(self) -> int:
        """How many levels, from the best, are known to lack no order (see ``OrderBook.horizon``).

        When it gets small, ask for a new snapshot.
        """
        side = self._side()
        horizon = self._book._horizons[self._sign]
        if horizon is None:
            return len(side.ranks)
        return len(side.ranks) - bisect_left(side.ranks, horizon * self._sign)

    def orders_at(self, price: Decimal | int) -> tuple[RestingOrder, ...]:
        """Return the orders at a price in the order in which they will trade.

        Args:
            price: as :attr:`Level.price`; a price without orders gives an empty tuple.
        """
        book = self._book
        side = self._side()
        scaled = _EXACT.scaleb(Decimal(price), book._price_digits)
        level = side.levels.get(int(scaled) * self._sign) if scaled == int(scaled) else None
        return () if level is None else tuple(map(book._shown, level.orders.values()))

    def _side(self) -> Side:
        return self._book._look()[self._sign]

    def _level(self, side: Side, rank: int) -> Level:
        level = side.levels[rank]
        shown: Level | None = level.shown
        if shown is None:
            book = self._book
            price = level.price
            if price is None:
                price = level.price = _EXACT.scaleb(rank * self._sign, -book._price_digits)
            shown = level.shown = Level(
                price,
                _EXACT.scaleb(level.total * self._sign, -book._quantity_digits),
                len(level.orders),
            )
        return shown


class OrderBook:
    """An order book that knows when it is wrong.

    It is not valid before the first snapshot, nor between a :class:`trioflex.Gap` and the snapshot
    that follows; meanwhile everything but :attr:`valid` and the methods that change it raises
    :class:`trioflex.LocalProtocolError`, and updates are ignored.

    An aggressive order appears in the book before it trades, so :attr:`crossed` may be true for a
    moment; that is no sign of corruption.
    """

    def __init__(self) -> None:
        self._valid = False
        self._orders: dict[Hashable, Resting] = {}
        self._sides: dict[int, Side] | None = None
        self._spent: deque[tuple[int, Hashable]] = deque()
        self._horizons: Mapping[int, int | None] = {1: None, -1: None}
        self._price_digits = 0
        self._quantity_digits = 0
        self._remake: Remake | None = None
        self.bids: Levels = Levels(self, 1)
        """Bid levels, the highest price first."""
        self.asks: Levels = Levels(self, -1)
        """Ask levels, the lowest price first."""

    def __repr__(self) -> str:
        if not self._valid:
            return "<OrderBook, not valid>"
        return f"<OrderBook, bid {self.best_bid}, ask {self.best_ask}>"

    # -- following a channel -------------------------------------------------------------------

    def apply(self, item: BookItem | Gap | Resumed) -> None:
        """Take the next thing a receiver delivered: a snapshot, an update, ``Gap``, ``Resumed``.

        Args:
            item: an item of a book channel, or what the receiver puts between items.

        Raises:
            TypeError: it is of another kind: a ticker, a trade.
        """
        if isinstance(item, Gap):
            self.invalidate()
        elif not isinstance(item, Resumed):
            try:
                item.update_book(self)
            except AttributeError:
                # Asked afterwards: for what belongs here, the question would cost time.
                if hasattr(item, "update_book"):
                    raise
                raise TypeError(
                    f"an item of type {type(item).__name__} says nothing of an order book; apply() "
                    "takes what the receiver of a venue's book channel delivers"
                ) from None

    def invalidate(self) -> None:
        """Forget everything: continuity is lost."""
        self._valid = False
        self._orders = {}
        self._sides = None
        self._spent.clear()

    def snapshot(self) -> object | None:
        """Return the whole book as an item of its channel, ``None`` while it is not valid."""
        if not self._valid or self._remake is None:
            return None
        return self._remake([order for order in self._orders.values() if order.quantity])

    # -- looking -------------------------------------------------------------------------------

    @property
    def valid(self) -> bool:
        """The book follows its channel; what it shows is what the venue has told."""
        return self._valid

    @property
    def best_bid(self) -> Level | None:
        """The highest bid level, ``None`` if there is none."""
        side = self._look()[1]
        return self.bids._level(side, side.ranks[-1]) if side.ranks else None

    @property
    def best_ask(self) -> Level | None:
        """The lowest ask level, ``None`` if there is none."""
        side = self._look()[-1]
        return self.asks._level(side, side.ranks[-1]) if side.ranks else None

    @property
    def crossed(self) -> bool:
        """The best bid is not below the best ask: a trade is under way. Do not quote on it."""
        sides = self._look()
        bids, asks = sides[1].ranks, sides[-1].ranks
        return bool(bids and asks) and bids[-1] >= -asks[-1]

    @property
    def horizon(self) -> Horizon:
        """How far the book is complete.

        A venue's snapshot may hold only the best orders of a side; worse ones stay unknown until
        something happens to them. Subscribe anew (``receiver.resubscribe()``) before the best
        price gets there.
        """
        self._look()

        def shown(price: int | None) -> Decimal | None:
            return None if price is None else _EXACT.scaleb(price, -self._price_digits)

        return Horizon(shown(self._horizons[1]), shown(self._horizons[-1]))

    def order(self, order_id: Hashable) -> RestingOrder | None:
        """Return one order, ``None`` if the book does not show it.

        Args:
            order_id: the venue's id.
        """
        self._look()
        order = self._orders.get(order_id)
        return None if order is None or not order.quantity else self._shown(order)

    # -- what venues' items call ---------------------------------------------------------------

    def load(
        self,
        orders: Iterable[Resting],
        *,
        price_digits: int,
        quantity_digits: int,
        bid_horizon: int | None = None,
        ask_horizon: int | None = None,
        remake: Remake,
    ) -> None:
        """Start over from a snapshot.

        Args:
            orders: in time priority; of two with one id the last one counts.
            price_digits: decimals of a scaled price.
            quantity_digits: decimals of a scaled quantity.
            bid_horizon: scaled price below which bids may be missing, if some are.
            ask_horizon: scaled price above which asks may be missing, if some are.
            remake: makes a snapshot item of the channel from the orders of a book.
        """
        self._orders = {order.id: order for order in orders}
        self._sides = None
        self._spent.clear()
        self._price_digits = price_digits
        self._quantity_digits = quantity_digits
        self._horizons = {1: bid_horizon, -1: ask_horizon}
        self._remake = remake
        self._valid = True

    def put(self, order_id: Hashable, price: int, quantity: int, time: int) -> None:
        """Insert an order behind the others of its level, or replace the one with this id.

        Args:
            order_id: the venue's id.
            price: scaled.
            quantity: scaled; positive bids, negative asks.
            time: microseconds since 1970-01-01 UTC.
        """
        if not self._valid:
            return
        orders, sides = self._orders, self._sides
        old = orders.pop(order_id, None)  # out of its place first: the new one goes to the end
        orders[order_id] = order = Resting(order_id, price, quantity, time)
        if sides is not None:
            if old is not None and old.quantity:
                sides[1 if old.quantity > 0 else -1].remove(old)
            if quantity:
                sides[1 if quantity > 0 else -1].add(order)
        if not quantity:
            self._spend(order_id, time)

    def amend(self, order_id: Hashable, price: int, quantity: int, time: int) -> None:
        """Change an order: it keeps its place if only the quantity shrank, else it goes to the
        back of its level. An order that is not there is inserted.

        Args:
            order_id: the venue's id.
            price: scaled, new.
            quantity: scaled, signed, new.
            time: microseconds since 1970-01-01 UTC, of the change.
        """
        old = self._orders.get(order_id)
        if (
            old is not None
            and old.price == price
            and abs(quantity) <= abs(old.quantity)
            and quantity * old.quantity > 0
        ):
            self.fill(order_id, quantity, time)
        else:
            self.put(order_id, price, quantity, time)

    def fill(self, order_id: Hashable, quantity: int, time: int) -> None:
        """Set what remains of an order; an id that is not there is ignored.

        At 0 the order leaves its level at once; it is remembered until :meth:`remove`.

        Args:
            order_id: the venue's id.
            quantity: scaled, signed: what is left of it now.
            time: microseconds since 1970-01-01 UTC.
        """
        order = self._orders.get(order_id)
        if order is None:
            return
        old = order.quantity
        sides = self._sides
        if sides is None:
            order.quantity = quantity
        elif old and quantity and (old > 0) is (quantity > 0):
            side = sides[1 if old > 0 else -1]
            level = side.levels[order.price * side.sign]
            level.total += quantity - old
            level.shown = None
            order.quantity = quantity
        else:
            if old:
                sides[1 if old > 0 else -1].remove(order)
            order.quantity = quantity
            if quantity:
                sides[1 if quantity > 0 else -1].add(order)
        if not quantity:
            self._spend(order_id, time)

    def remove(self, order_id: Hashable) -> None:
        """Take an order out; an id that is not there is ignored.

        Args:
            order_id: the venue's id.
        """
        order = self._orders.pop(order_id, None)
        if order is not None and order.quantity and self._sides is not None:
            self._sides[1 if order.quantity > 0 else -1].remove(order)

    # -- inside --------------------------------------------------------------------------------

    def _look(self) -> dict[int, Side]:
        """Return the index by sign; build it at the first look."""
        if not self._valid:
            raise LocalProtocolError(
                "the order book is not valid: it has had no snapshot since it was made, or since "
                "continuity was lost; check its .valid before looking into it"
            )
        sides = self._sides
        if sides is None:
            sides = self._sides = {1: Side(1), -1: Side(-1)}
            bids, asks = sides[1], sides[-1]
            for order in self._orders.values():
                if order.quantity:
                    (bids if order.quantity > 0 else asks).add(order)
        return sides

    def _spend(self, order_id: Hashable, time: int) -> None:
        """Remember when an order was spent, and forget those spent long ago."""
        spent, orders = self._spent, self._orders
        spent.append((time, order_id))
        while spent[0][0] < time - SPENT_FOR:
            _, old = spent.popleft()
            order = orders.get(old)
            if order is not None and not order.quantity:
                del orders[old]

    def _shown(self, order: Resting) -> RestingOrder:
        return RestingOrder(
            order.id,
            _EXACT.scaleb(order.price, -self._price_digits),
            _EXACT.scaleb(order.quantity, -self._quantity_digits),
            order.time,
        )


__all__ = [
    "BookItem",
    "Horizon",
    "Level",
    "Levels",
    "OrderBook",
    "Resting",
    "RestingOrder",
]
