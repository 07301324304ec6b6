"""What the server answers: replies, as they are decoded, and as users see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, ClassVar, Final

import msgspec
from msgspec import UNSET, UnsetType, field

from ...book import OrderBook, Resting
from .shown import shown
from .wire import Paired, Priced, Wire

SNAPSHOT_DEPTH = 1_000
"""Orders a side that a book's snapshot holds at most ("WEBSOCKET-README.md", WatchOrders)."""


class ReplyHead(msgspec.Struct, frozen=True, gc=False):
    """What all replies share."""

    error_code: int | UnsetType = UNSET
    tag: int | None = None
    error_msg: str | None = None


class Balance(Wire, frozen=True, gc=False, kw_only=True):
    """What an account has of one asset."""

    asset_id: int = field(name="asset")
    """Number of the asset."""
    scaled_available: int = field(name="balance")
    scaled_reserved: int | None = field(name="reserved_balance", default=None)
    scaled_total: int | None = field(name="total_balance", default=None)

    @property
    def asset(self) -> str:
        """Name of the asset."""
        return self._table.name(self.asset_id)

    @property
    def available(self) -> Decimal:
        """What can be used now."""
        return self._table.amount(self.asset_id, self.scaled_available)

    @property
    def reserved(self) -> Decimal | None:
        """What open orders hold, where the venue tells (CoinFLEX)."""
        reserved = self.scaled_reserved
        return None if reserved is None else self._table.amount(self.asset_id, reserved)

    @property
    def total(self) -> Decimal | None:
        """Both together, where the venue tells (CoinFLEX)."""
        total = self.scaled_total
        return None if total is None else self._table.amount(self.asset_id, total)


class BalancesSnapshot(Wire, frozen=True, gc=False, kw_only=True):
    """All balances of an account; iterates over them."""

    _parts: ClassVar[Mapping[str, type[msgspec.Struct]]] = {"balances": Balance}

    balances: tuple[Balance, ...]

    def __iter__(self) -> Iterator[Balance]:
        return iter(self.balances)

    def __getitem__(self, asset: str) -> Balance:
        """Return the balance of an asset by name; of one that the venue left out it is 0."""
        wanted = self._table.asset(asset).id
        for balance in self.balances:
            if balance.asset_id == wanted:
                return balance
        return self._table.bind(Balance)(
            asset_id=wanted, scaled_available=0, scaled_reserved=0, scaled_total=0
        )


class Order(Priced, frozen=True, gc=False, kw_only=True):
    """An order of yours as it stands, or stood when it was cancelled."""

    time: int
    """When it was opened, or modified, in microseconds since 1970-01-01 UTC."""
    tonce: int | None = None
    """Your name for it, if it has one."""


class OrdersSnapshot(Wire, frozen=True, gc=False, kw_only=True):
    """All open orders of an account, in all books; iterates over them."""

    _parts: ClassVar[Mapping[str, type[msgspec.Struct]]] = {"orders": Order}

    orders: tuple[Order, ...]

    def __iter__(self) -> Iterator[Order]:
        return iter(self.orders)

    def __len__(self) -> int:
        return len(self.orders)


class CancelledOrders(OrdersSnapshot, frozen=True, gc=False, kw_only=True):
    """The orders that were open until they were all cancelled; iterates over them."""


class BookOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One order in the snapshot of a book."""

    id: int
    scaled_quantity: int = field(name="quantity")
    """Bids positive, asks negative."""
    scaled_price: int = field(name="price")
    time: int


class BookOrders(msgspec.Struct, frozen=True, gc=False):
    """The reply that is the snapshot of a book."""

    orders: tuple[BookOrder, ...]


class BookSnapshot(Paired, frozen=True, gc=False, kw_only=True):
    """A whole book: up to the best 1,000 orders of each side. :meth:`book` makes levels of it."""

    orders: tuple[BookOrder, ...]
    """In time priority: from a venue by time, then by number."""
    scaled_bid_horizon: int | None = None
    """Bids below this price may be missing, if some are."""
    scaled_ask_horizon: int | None = None
    """Asks above this price may be missing, if some are."""

    def book(self) -> OrderBook:
        """Return a new order book filled with this."""
        book = OrderBook()
        self.update_book(book)
        return book

    def update_book(self, book: OrderBook, /) -> None:
        """Start a book over."""
        table = self._table
        # Made by hand they may be in any order. Those of one moment are as they should be: in a
        # book that was kept they stand as they came.
        orders = sorted(self.orders, key=attrgetter("time"))
        book.load(
            [
                Resting(order.id, order.scaled_price, order.scaled_quantity, order.time)
                for order in orders
            ],
            price_digits=table.price_digits(self.base_id, self.counter_id),
            quantity_digits=table.digits(self.base_id),
            bid_horizon=self.scaled_bid_horizon,
            ask_horizon=self.scaled_ask_horizon,
            remake=self._remake,
        )

    def _remake(self, orders: Sequence[Resting]) -> BookSnapshot:
        """Return the snapshot of a book that began with this one."""
        return msgspec.structs.replace(
            self,
            orders=tuple(
                BookOrder(
                    id=order.id,  # type: ignore[arg-type]  # it came out of such an item
                    scaled_quantity=order.quantity,
                    scaled_price=order.price,
                    time=order.time,
                )
                for order in orders
            ),
        )


class TickerReply(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The reply that is the snapshot of a ticker."""

    last: int | None
    bid: int | None
    ask: int | None
    low: int | None
    high: int | None
    volume: int


_UNTOLD: Final[Any] = UNSET
"""Stands in a ticker for what a notice did not tell, until :meth:`TickerSnapshot.since` puts in
what was there before; so nobody outside sees one."""


class TickerSnapshot(
    Paired, frozen=True, gc=False, kw_only=True, tag_field="notice", tag="TickerChanged"
):
    """A market at a glance; always whole. ``None`` means that there is no such price now.

    The notice of a change is decoded into one of these, too: where it tells everything, and much of
    it comes in one read, it is delivered as it is, an object and 0.15 us less.
    """

    scaled_last: int | None = field(name="last", default=_UNTOLD)
    scaled_bid: int | None = field(name="bid", default=_UNTOLD)
    scaled_ask: int | None = field(name="ask", default=_UNTOLD)
    scaled_low: int | None = field(name="low", default=_UNTOLD)
    scaled_high: int | None = field(name="high", default=_UNTOLD)
    scaled_volume: int = field(name="volume", default=_UNTOLD)

    @property
    def last(self) -> Decimal | None:
        """Price of the last trade."""
        return None if self.scaled_last is None else self._price(self.scaled_last)

    @property
    def bid(self) -> Decimal | None:
        """Best price of a buyer."""
        return None if self.scaled_bid is None else self._price(self.scaled_bid)

    @property
    def ask(self) -> Decimal | None:
        """Best price of a seller."""
        return None if self.scaled_ask is None else self._price(self.scaled_ask)

    @property
    def low(self) -> Decimal | None:
        """Lowest price of the last 24 hours."""
        return None if self.scaled_low is None else self._price(self.scaled_low)

    @property
    def high(self) -> Decimal | None:
        """Highest price of the last 24 hours."""
        return None if self.scaled_high is None else self._price(self.scaled_high)

    @property
    def volume(self) -> Decimal:
        """How much of base was traded in the last 24 hours."""
        return self._amount(self.scaled_volume)

    def since(self, before: TickerSnapshot) -> TickerSnapshot:
        """Return the whole ticker, where this one is what a notice told: the rest is as before."""
        last, bid, ask = self.scaled_last, self.scaled_bid, self.scaled_ask
        low, high, volume = self.scaled_low, self.scaled_high, self.scaled_volume
        return type(self)(
            base_id=self.base_id,
            counter_id=self.counter_id,
            scaled_last=before.scaled_last if last is _UNTOLD else last,
            scaled_bid=before.scaled_bid if bid is _UNTOLD else bid,
            scaled_ask=before.scaled_ask if ask is _UNTOLD else ask,
            scaled_low=before.scaled_low if low is _UNTOLD else low,
            scaled_high=before.scaled_high if high is _UNTOLD else high,
            scaled_volume=before.scaled_volume if volume is _UNTOLD else volume,
        )


class OrderPlaced(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The venue accepted an order. What traded is in :class:`OrdersMatched`, not in here."""

    id: int | None = None
    """The venue's number of a limit order; market orders have none."""
    time: int | None = None
    """When a limit order was opened, in microseconds since 1970-01-01 UTC."""
    remaining: Decimal | None = None
    """What a market order could not trade, for want of liquidity or of funds: base if it was given
    by quantity, counter if by total."""
    scaled_remaining: int | None = None

    def __str__(self) -> str:
        return shown(self)


class LimitReply(msgspec.Struct, frozen=True, gc=False):
    """The reply to a limit order."""

    id: int
    time: int


class MarketReply(msgspec.Struct, frozen=True, gc=False):
    """The reply to a market order."""

    remaining: int


class EstimateReply(msgspec.Struct, frozen=True, gc=False):
    """The reply to an estimate."""

    quantity: int
    total: int


class Estimate(Paired, frozen=True, gc=False, kw_only=True):
    """What a market order would have traded, fees left out; smaller than asked in a thin book."""

    scaled_quantity: int
    scaled_total: int

    @property
    def quantity(self) -> Decimal:
        """How much of base, positive."""
        return self._amount(self.scaled_quantity)

    @property
    def total(self) -> Decimal:
        """How much of counter, positive."""
        return self._total(self.scaled_total)


class VolumeReply(msgspec.Struct, frozen=True, gc=False):
    """The reply that is a trade volume."""

    volume: int


class TradedVolume(Wire, frozen=True, gc=False, kw_only=True):
    """The own trade volume of the last 30 days."""

    asset_id: int
    """Number of the asset."""
    scaled_volume: int

    @property
    def asset(self) -> str:
        """Name of the asset."""
        return self._table.name(self.asset_id)

    @property
    def volume(self) -> Decimal:
        """How much of the asset was traded in the last 30 days."""
        return self._table.amount(self.asset_id, self.scaled_volume)
