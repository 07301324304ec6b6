"""What the server announces: notices, as they are decoded.

Fields that a venue added over the years are optional ("coinflex-exchange/API WEBSOCKET-README.md",
its change log).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import UNSET, UnsetType, field

from ...book import OrderBook
from .wire import Paired, Priced, Wire


class NoticeHead(msgspec.Struct, frozen=True, gc=False):
    """What all notices share."""

    notice: str | UnsetType = UNSET


class Welcome(msgspec.Struct, frozen=True, gc=False, tag_field="notice", tag="Welcome"):
    """The first message on every connection."""

    nonce: str


class BalanceChanged(Wire, frozen=True, gc=False, kw_only=True, tag_field="notice", tag=str):
    """An own balance has a new value."""

    asset_id: int = field(name="asset")
    """Number of the asset."""
    scaled_available: int = field(name="balance")

    @property
    def asset(self) -> str:
        """Name of the asset."""
        return self._table.name(self.asset_id)

    @property
    def available(self) -> Decimal:
        """What can be used now: the whole amount, not the difference."""
        return self._table.amount(self.asset_id, self.scaled_available)


class TradeVolumeChanged(Wire, frozen=True, gc=False, kw_only=True, tag_field="notice", tag=str):
    """The own trade volume of the last 30 days has a new value."""

    asset_id: int = field(name="asset")
    """Number of the asset."""
    scaled_volume: int = field(name="volume")

    @property
    def asset(self) -> str:
        """Name of the asset."""
        return self._table.name(self.asset_id)

    @property
    def volume(self) -> Decimal:
        """How much of the asset was traded in the last 30 days."""
        return self._table.amount(self.asset_id, self.scaled_volume)


class OrderNotice(Priced, frozen=True, gc=False, kw_only=True, tag_field="notice", tag=str):
    """Something happened to one order."""

    tonce: int | UnsetType | None = UNSET
    """Your name for the order; ``None`` if it has none, ``UNSET`` if the order is not yours."""

    @property
    def mine(self) -> bool:
        """The order is yours."""
        return self.tonce is not UNSET


class OrderOpened(OrderNotice, frozen=True, gc=False, kw_only=True):
    """An order entered the book."""

    time: int
    """When, in microseconds since 1970-01-01 UTC."""

    def update_book(self, book: OrderBook, /) -> None:
        """Put the order into a book."""
        book.put(self.id, self.scaled_price, self.scaled_quantity, self.time)


class OrderModified(OrderNotice, frozen=True, gc=False, kw_only=True):
    """An order's quantity or price changed; both are the new ones."""

    time: int
    """When, in microseconds since 1970-01-01 UTC."""

    def update_book(self, book: OrderBook, /) -> None:
        """Change the order in a book."""
        book.amend(self.id, self.scaled_price, self.scaled_quantity, self.time)


class OrderClosed(OrderNotice, frozen=True, gc=False, kw_only=True):
    """An order left the book; ``quantity`` is what was still open, 0 if it has traded in full."""

    time_closed: int | None = None
    """When, in microseconds since 1970-01-01 UTC, where the venue tells (CoinFLEX)."""

    def update_book(self, book: OrderBook, /) -> None:
        """Take the order out of a book."""
        book.remove(self.id)


class OrdersMatched(Paired, frozen=True, gc=False, kw_only=True, tag_field="notice", tag=str):
    """Two orders traded. A side without an id was a market order."""

    scaled_quantity: int = field(name="quantity")
    """What was traded, positive."""
    scaled_price: int = field(name="price")
    scaled_total: int = field(name="total")
    """What was paid. The venue rounds at random: take it, do not compute it."""
    time: int
    """When, in microseconds since 1970-01-01 UTC."""
    bid: int | None = None
    """The venue's number of the buying order."""
    ask: int | None = None
    """The venue's number of the selling order."""
    bid_tonce: int | UnsetType | None = UNSET
    """Your name for the buying order; ``UNSET`` unless you are the buyer."""
    ask_tonce: int | UnsetType | None = UNSET
    """Your name for the selling order; ``UNSET`` unless you are the seller."""
    scaled_bid_rem: int | None = field(name="bid_rem", default=None)
    """What remains of the buying order; never negative."""
    scaled_ask_rem: int | None = field(name="ask_rem", default=None)
    """What remains of the selling order; never negative either."""
    scaled_bid_base_fee: int | None = field(name="bid_base_fee", default=None)
    scaled_bid_counter_fee: int | None = field(name="bid_counter_fee", default=None)
    scaled_ask_base_fee: int | None = field(name="ask_base_fee", default=None)
    scaled_ask_counter_fee: int | None = field(name="ask_counter_fee", default=None)
    taker_side: str | None = None
    """``"bid"`` or ``"ask"``: who came second, where the venue tells (CoinFLEX)."""
    taker: bool | None = None
    """You were the one who came second, where the venue tells; do not rely on it when you trade
    with yourself."""

    @property
    def mine(self) -> bool:
        """You are the buyer, the seller or both."""
        return self.bid_tonce is not UNSET or self.ask_tonce is not UNSET

    @property
    def bought(self) -> bool:
        """You are the buyer."""
        return self.bid_tonce is not UNSET

    @property
    def sold(self) -> bool:
        """You are the seller."""
        return self.ask_tonce is not UNSET

    @property
    def quantity(self) -> Decimal:
        """How much of base was traded, positive."""
        return self._amount(self.scaled_quantity)

    @property
    def price(self) -> Decimal:
        """In counter for one base."""
        return self._price(self.scaled_price)

    @property
    def total(self) -> Decimal:
        """How much of counter was paid."""
        return self._total(self.scaled_total)

    @property
    def bid_rem(self) -> Decimal | None:
        """What remains of the buying order, ``None`` for a market order."""
        return None if self.scaled_bid_rem is None else self._amount(self.scaled_bid_rem)

    @property
    def ask_rem(self) -> Decimal | None:
        """What remains of the selling order, ``None`` for a market order."""
        return None if self.scaled_ask_rem is None else self._amount(self.scaled_ask_rem)

    @property
    def bid_base_fee(self) -> Decimal | None:
        """The buyer's fee in base; ``None`` unless that is you."""
        fee = self.scaled_bid_base_fee
        return None if fee is None else self._amount(fee)

    @property
    def bid_counter_fee(self) -> Decimal | None:
        """The buyer's fee in counter, on top of the total; ``None`` unless that is you."""
        fee = self.scaled_bid_counter_fee
        return None if fee is None else self._total(fee)

    @property
    def ask_base_fee(self) -> Decimal | None:
        """The seller's fee in base; ``None`` unless that is you."""
        fee = self.scaled_ask_base_fee
        return None if fee is None else self._amount(fee)

    @property
    def ask_counter_fee(self) -> Decimal | None:
        """The seller's fee in counter, out of the total; ``None`` unless that is you."""
        fee = self.scaled_ask_counter_fee
        return None if fee is None else self._total(fee)

    def update_book(self, book: OrderBook, /) -> None:
        """Set what remains of both orders in a book.

        Never computed from the quantity: the venue cuts a remainder that its reservation no
        longer covers ("IMPL-GUIDE.md", reservations).
        """
        bid, ask = self.bid, self.ask
        if bid is not None and self.scaled_bid_rem is not None:
            book.fill(bid, self.scaled_bid_rem, self.time)
        if ask is not None and self.scaled_ask_rem is not None:
            book.fill(ask, -self.scaled_ask_rem, self.time)
