"""The feeds and the account's channels, and the state that follows them.

Source: "MidChains/slate", ``source/index.html.md``. The venue acknowledges no subscription: it is
done when it is sent. What it pushes after a login is described there in words only, so the
channels of the account ask for the state after every subscription.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, TypeAlias

import attrs
import msgspec

from ..._vocabulary.errors import LocalProtocolError
from ..._vocabulary.events import Gap, Resumed
from ...book import OrderBook, Resting
from ...protocol import Channel, Confirm, Request
from .._amounts import EXACT
from .arguments import ALL, as_security, as_security_or_all
from .replies import OrderRow, Position, Sale, Trade
from .requests import QueryOrders, QueryPositions


class BookEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One order of a book."""

    id: int
    """The venue's."""
    side: str
    """``"B"`` or ``"S"``."""
    price: Decimal
    quantity: Decimal
    """Still to be traded; 0: the order is gone."""
    time: int | None = None
    """Milliseconds since 1970."""


class BookChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a message changes in the book of one security; the values are absolute."""

    security: str
    entries: tuple[BookEntry, ...]
    """Those that changed, in order; all there are, if ``whole``."""
    whole: bool = False
    """Start over with these entries."""
    loading_until: int | None = None
    """The first data may be incomplete until then (wall clock, milliseconds since 1970) and, if
    more comes meanwhile, until what that says; ``None``: it is complete. The venue does not mark
    the end: it is complete after a second of silence, or 5 s."""
    price_digits: int = 0
    """Decimals of the prices."""
    quantity_digits: int = 0
    """Decimals of the quantities."""

    def update_book(self, book: OrderBook, /) -> None:
        """Do to a book what the message does."""
        scaled = partial(_resting, self)
        if self.whole:
            book.load(
                [scaled(entry) for entry in self.entries if entry.quantity],
                price_digits=self.price_digits,
                quantity_digits=self.quantity_digits,
                remake=partial(_remake, self),
            )
            return
        for entry in self.entries:
            order = scaled(entry)
            if order.quantity:
                book.amend(order.id, order.price, order.quantity, order.time)
            else:
                book.remove(order.id)


def _resting(change: BookChange, entry: BookEntry) -> Resting:
    quantity = int(EXACT.scaleb(entry.quantity, change.quantity_digits))
    return Resting(
        entry.id,
        int(EXACT.scaleb(entry.price, change.price_digits)),
        quantity if entry.side == "B" else -quantity,
        (entry.time or 0) * 1_000,
    )


def _remake(change: BookChange, orders: Sequence[Resting]) -> BookChange:
    entries = (
        BookEntry(
            id=int(str(order.id)),
            side="B" if order.quantity > 0 else "S",
            price=EXACT.scaleb(order.price, -change.price_digits),
            quantity=EXACT.scaleb(abs(order.quantity), -change.quantity_digits),
            time=order.time // 1_000 or None,
        )
        for order in orders
    )
    return BookChange(
        security=change.security,
        entries=tuple(entries),
        whole=True,
        price_digits=change.price_digits,
        quantity_digits=change.quantity_digits,
    )


class BooksSnapshot(msgspec.Struct, frozen=True):
    """The books of several securities: what late joiners of ``Book("*")`` get first."""

    books: tuple[BookChange, ...]


BookItem: TypeAlias = BookChange | BooksSnapshot
"""What :class:`Book` delivers."""


class Books:
    """The books of all securities that a :class:`Book` channel tells of.

    ::

        books = midchains.Books()
        async for event in receiver:
            books.apply(event)
            book = books["BTCUSD"]
            if book.valid and not books.loading("BTCUSD", now_ms):
                print(book.best_bid, book.best_ask)
    """

    def __init__(self) -> None:
        self._books: dict[str, OrderBook] = {}
        self._loading: dict[str, int | None] = {}

    def __repr__(self) -> str:
        return f"<Books of {', '.join(self._books) or 'nothing'}>"

    def __getitem__(self, security: str) -> OrderBook:
        """Return the book of a security; it is not valid before there is one."""
        return self._books.get(security) or OrderBook()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the securities of which there is a book."""
        return iter(list(self._books))

    def __len__(self) -> int:
        return len(self._books)

    def apply(self, item: BookChange | BooksSnapshot | Gap | Resumed) -> None:
        """Take the next thing a receiver delivered.

        Args:
            item: an item of :class:`Book`, or what the receiver puts between items.
        """
        if isinstance(item, Gap):
            self.invalidate()
        elif isinstance(item, BooksSnapshot):
            self.invalidate()
            for change in item.books:
                self.apply(change)
        elif isinstance(item, BookChange):
            book = self._books.setdefault(item.security, OrderBook())
            book.apply(item)
            self._loading[item.security] = item.loading_until

    def invalidate(self) -> None:
        """Forget everything: continuity is lost."""
        self._books = {}
        self._loading = {}

    def snapshot(self) -> BookItem | None:
        """Return all books as an item of the channel, ``None`` while there is none."""
        changes = []
        for security, book in self._books.items():
            change = book.snapshot()
            if isinstance(change, BookChange):
                until = self._loading[security]
                changes.append(msgspec.structs.replace(change, loading_until=until))
        if len(changes) == 1:
            return changes[0]
        return BooksSnapshot(tuple(changes)) if changes else None

    def loading(self, security: str, now_ms: int) -> bool:
        """Tell whether the first data of a book may still be incomplete, or is not there.

        Args:
            security: the pair.
            now_ms: the wall clock, milliseconds since 1970.
        """
        if security not in self._loading:
            return True
        until = self._loading[security]
        return until is not None and now_ms < until


class OwnOrders:
    """The open orders of an account; feed it what :class:`Orders` delivers."""

    def __init__(self) -> None:
        self._rows: dict[str, OrderRow] | None = None

    def __repr__(self) -> str:
        return "<OwnOrders, not valid>" if self._rows is None else f"<OwnOrders {len(self._rows)}>"

    @property
    def valid(self) -> bool:
        """They follow the account."""
        return self._rows is not None

    @property
    def open(self) -> tuple[OrderRow, ...]:
        """The orders of which something is open, or that wait for their trigger.

        Raises:
            LocalProtocolError: there has been no snapshot since continuity was lost.
        """
        if self._rows is None:
            raise LocalProtocolError("midchains: the orders are not valid: check .valid first")
        return tuple(self._rows.values())

    def apply(self, item: tuple[OrderRow, ...] | OrderRow | Gap | Resumed) -> None:
        """Take the next thing a receiver delivered."""
        if isinstance(item, tuple):
            self._rows = {}
            for row in item:
                self.apply(row)
        elif isinstance(item, OrderRow):
            if self._rows is not None:
                # A waiting stop order shows nothing open, in the category STAGE.
                if item.open_quantity > 0 or item.category == "STAGE":
                    self._rows[item.refno] = item
                else:
                    self._rows.pop(item.refno, None)
        elif isinstance(item, Gap):
            self.invalidate()

    def invalidate(self) -> None:
        """Forget everything: continuity is lost."""
        self._rows = None

    def snapshot(self) -> tuple[OrderRow, ...] | None:
        """Return the open orders as an item of the channel, ``None`` while they are not valid."""
        return None if self._rows is None else tuple(self._rows.values())


class PositionSheet:
    """The positions of an account; feed it what :class:`Positions` delivers."""

    def __init__(self) -> None:
        self._rows: dict[str, Position] | None = None

    def __repr__(self) -> str:
        if self._rows is None:
            return "<PositionSheet, not valid>"
        return f"<PositionSheet, {', '.join(map(str, self._rows.values()))}>"

    @property
    def valid(self) -> bool:
        """They follow the account."""
        return self._rows is not None

    def quantity(self, asset: str) -> Decimal:
        """Return how much there is of an asset; one that the venue has not mentioned is 0.

        Raises:
            LocalProtocolError: there has been no snapshot since continuity was lost.
        """
        if self._rows is None:
            raise LocalProtocolError("midchains: the positions are not valid: check .valid first")
        row = self._rows.get(asset)
        return Decimal(0) if row is None else row.quantity

    def apply(self, item: tuple[Position, ...] | Position | Gap | Resumed) -> None:
        """Take the next thing a receiver delivered."""
        if isinstance(item, tuple):
            self._rows = {row.security: row for row in item}
        elif isinstance(item, Position):
            if self._rows is not None:
                self._rows[item.security] = item
        elif isinstance(item, Gap):
            self.invalidate()

    def invalidate(self) -> None:
        """Forget everything: continuity is lost."""
        self._rows = None

    def snapshot(self) -> tuple[Position, ...] | None:
        """Return all positions as an item of the channel, ``None`` while they are not valid."""
        return None if self._rows is None else tuple(self._rows.values())


class Doubles:
    """Remembers trades by name, to drop those that come again after a reconnect.

    Args:
        kept: how many; the oldest is forgotten first.
    """

    def __init__(self, kept: int = 10_000) -> None:
        self._names: set[tuple[str, str]] = set()
        self._order: deque[tuple[str, str]] = deque()
        self._kept = kept

    def again(self, item: Trade | Sale) -> bool:
        """Tell whether a trade was seen before, and remember it; one without a name never was."""
        name = item.match_id if isinstance(item, Trade) else item.trade_refno
        if not name:
            return False
        known = (item.security, name)
        if known in self._names:
            return True
        self._names.add(known)
        self._order.append(known)
        if len(self._order) > self._kept:
            self._names.discard(self._order.popleft())
        return False


@attrs.frozen(cache_hash=True)
class Book(Channel[BookItem]):
    """Orders of a book, as they come and go; ``"*"``: of all pairs.

    The first message after a (re)subscription is ``whole``. Feed the items to a
    :class:`trioflex.book.OrderBook`, or, with ``"*"`` or for the loading state, to :class:`Books`.
    """

    confirm: ClassVar[Confirm] = Confirm.SENT
    fold: ClassVar[Callable[[], Any] | None] = Books

    security: str = attrs.field(converter=as_security_or_all)
    """The pair, as in ``"BTCUSD"``, or ``"*"``."""


@attrs.frozen(cache_hash=True)
class Trades(Channel[Trade]):
    """Trades of one pair; the latest come first, and after a reconnect again (:class:`Doubles`)."""

    confirm: ClassVar[Confirm] = Confirm.SENT

    security: str = attrs.field(converter=as_security)
    """The pair; the venue does not take ``"*"`` here."""


@attrs.frozen(cache_hash=True)
class Orders(Channel[Any]):
    """Own orders: a tuple of all first, then each as it changes (:class:`OrderRow`)."""

    private: ClassVar[bool] = True
    confirm: ClassVar[Confirm] = Confirm.IMPLICIT
    fold: ClassVar[Callable[[], Any] | None] = OwnOrders

    @property
    def bootstrap(self) -> Request[Any]:
        """All orders there are."""
        return QueryOrders()


@attrs.frozen(cache_hash=True)
class Sales(Channel[Sale]):
    """Own trades as they happen, without doubles; :class:`QueryTrades` knows the older ones."""

    private: ClassVar[bool] = True
    confirm: ClassVar[Confirm] = Confirm.IMPLICIT


@attrs.frozen(cache_hash=True)
class Positions(Channel[Any]):
    """Positions: a tuple of all first, then each as it changes (:class:`Position`)."""

    private: ClassVar[bool] = True
    confirm: ClassVar[Confirm] = Confirm.IMPLICIT
    fold: ClassVar[Callable[[], Any] | None] = PositionSheet

    @property
    def bootstrap(self) -> Request[Any]:
        """All positions."""
        return QueryPositions()


FEEDS: dict[str, Callable[[str], Channel[Any]]] = {"book": Book, "trade": Trades}


def channel_named(name: str) -> Channel[Any] | None:
    """Return a channel from its name: ``"book:BTCUSD"``, ``"book:*"``, ``"trade:BTCUSD"``,
    ``"orders"``, ``"sales"``, ``"positions"``."""
    kind, colon, security = name.partition(":")
    if colon:
        feed = FEEDS.get(kind)
        return None if feed is None or not security else feed(security)
    simple: dict[str, Channel[Any]] = {
        "orders": Orders(),
        "sales": Sales(),
        "positions": Positions(),
    }
    return simple.get(name)


def feed_of(channel: Channel[Any]) -> tuple[str, str] | None:
    """Return ``(msg, security)`` of a feed, ``None`` if it is none."""
    if isinstance(channel, Book):
        return ("book", channel.security)
    if isinstance(channel, Trades):
        return ("trade", channel.security)
    return None


__all__ = [
    "ALL",
    "Book",
    "BookChange",
    "BookEntry",
    "BookItem",
    "Books",
    "BooksSnapshot",
    "Doubles",
    "Orders",
    "OwnOrders",
    "PositionSheet",
    "Positions",
    "Sales",
    "Trades",
    "channel_named",
    "feed_of",
]
