"""What comes over the wire, as values: exact numbers, sides in one spelling.

Source: "OceanEx/ocean-websocket-client", user guide "Websocket API Specifications" 0.5;
"api.oceanex.pro/doc/v1".
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

MAX_EXPONENT = 100
"""Amounts beyond 10**100, or finer than 10**-100, are garbage."""

FINAL = frozenset({"cancel", "done"})


class Side(enum.Enum):
    """Which side of the book; the venue also writes ``bid`` and ``ask``."""

    BUY = "buy"
    SELL = "sell"

    @classmethod
    def _missing_(cls, value: object) -> Side | None:
        return {"bid": cls.BUY, "ask": cls.SELL}.get(value) if isinstance(value, str) else None


class _Checked(msgspec.Struct, frozen=True):
    """A struct whose amounts are finite and of sane size."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if type(value) is Decimal and not (
                value.is_finite() and abs(value.adjusted()) <= MAX_EXPONENT
            ):
                raise ValueError(f"{name} is out of all bounds")


class Market(_Checked, frozen=True, kw_only=True):
    """A market and its rules."""

    id: str
    """As in ``"vetusdt"``; requests take this."""
    name: str
    """As in ``"VET/USDT"``."""
    price_precision: int
    """Most decimals of a price."""
    amount_precision: int
    """Most decimals of a volume."""
    minimum_trading_amount: Decimal
    """Smallest price times volume, in the quote currency."""
    enabled: bool = True
    display_name: str = ""
    group: str = ""
    """The quote section, as in ``"USDT"``."""
    ask_precision: int | None = None
    bid_precision: int | None = None
    usd_precision: int | None = None

    @property
    def base(self) -> str:
        """The base currency, in lower case."""
        return self.name.partition("/")[0].lower()

    @property
    def quote(self) -> str:
        """The quote currency, in lower case."""
        return self.name.partition("/")[2].lower()


class FeeRate(_Checked, frozen=True):
    """A fee; ``relative``: a fraction of the trade."""

    type: str
    value: Decimal


class Fee(_Checked, frozen=True, kw_only=True):
    """Fees of a market: sellers pay in the quote currency, buyers in the base currency."""

    market_id: str
    ask_fee: FeeRate
    bid_fee: FeeRate


class Ticker(_Checked, frozen=True, kw_only=True):
    """Prices and volumes of 24 hours; all zero: no trades; ``None``: the venue did not say."""

    name: str = ""
    display_name: str = ""
    base_unit: str = ""
    quote_unit: str = ""
    position: int | None = None
    first: Decimal | None = None
    open: Decimal | None = None
    last: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    buy: Decimal | None = None
    """Best bid."""
    sell: Decimal | None = None
    """Best ask."""
    volume: Decimal | None = None
    """Traded, in the base currency."""
    funds: Decimal | None = None
    """Traded, in the quote currency."""
    h24_trend: Decimal | None = None
    """Change in percent."""
    at: int | None = None
    """Seconds since 1970."""


class Level(_Checked, frozen=True, array_like=True):
    """One price of a book."""

    price: Decimal
    volume: Decimal


class Book(msgspec.Struct, frozen=True):
    """A whole book; bids fall, asks rise, whatever order they came in."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class Candle(_Checked, frozen=True, array_like=True):
    """One row of a K-line."""

    time: int
    """Seconds since 1970."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Account(_Checked, frozen=True, kw_only=True):
    """What is there of one currency."""

    currency: str
    """In lower case."""
    balance: Decimal
    """What is free."""
    locked: Decimal
    """What is in orders."""
    type: str = ""
    btc_equivalent_balance: Decimal | None = None
    deposit: str = ""
    withdraw: str = ""
    exchange: str = ""

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return self.balance + self.locked


class Trade(_Checked, frozen=True, kw_only=True):
    """A fill of an order."""

    id: int
    price: Decimal
    volume: Decimal
    order_id: int | None = None
    market: str = ""
    side: Side | None = None
    funds: Decimal | None = None
    """Price times volume."""
    fee: Decimal | None = None
    """The rate."""
    ask_fee: Decimal | None = None
    ask_fee_currency_id: str | None = None
    bid_fee: Decimal | None = None
    bid_fee_currency_id: str | None = None
    created_at: str = ""
    created_on: int | None = None
    """Seconds since 1970."""


class Order(_Checked, frozen=True, kw_only=True):
    """An order as the venue has it."""

    id: int
    market: str
    side: Side
    state: str
    """``wait``, ``wait_trigger``, ``cancelling``, ``cancel``, ``done``, or a word of the venue's
    that nobody has described."""
    volume: Decimal
    remaining_volume: Decimal
    executed_volume: Decimal
    ord_type: str = "limit"
    price: Decimal | None = None
    """``None`` for market orders."""
    avg_price: Decimal = Decimal(0)
    """Of the fills; 0 if there are none."""
    trades_count: int = 0
    market_name: str = ""
    market_display_name: str = ""
    created_at: str = ""
    created_on: int | None = None
    """Seconds since 1970."""
    trades: tuple[Trade, ...] = ()
    """Its fills; only where one order was asked for."""

    @property
    def final(self) -> bool:
        """Nothing more will happen."""
        return self.state in FINAL


class Orders(msgspec.Struct, frozen=True):
    """A page of orders."""

    resources: tuple[Order, ...]
    resources_count: int
    """All matches, not those of this page."""


class _Accounts(msgspec.Struct):
    accounts: tuple[Account, ...]


def read(shape: Any, data: Any) -> Any:
    """Return data in a shape; integers may be written as text, as REST has them.

    Raises:
        msgspec.ValidationError: it has another shape.
    """
    return msgspec.convert(data, shape, strict=False)


def read_accounts(data: Any) -> tuple[Account, ...]:
    """Return the accounts of a reply."""
    accounts: _Accounts = read(_Accounts, data)
    return accounts.accounts


def read_book(data: Any) -> Book:
    """Return a book, sorted, without empty levels."""
    book: Book = read(Book, data)
    return Book(
        tuple(sorted((r for r in book.bids if r.volume), key=lambda r: r.price, reverse=True)),
        tuple(sorted((r for r in book.asks if r.volume), key=lambda r: r.price)),
    )


def read_candles(data: Any) -> tuple[Candle, ...]:
    """Return a K-line, oldest row first."""
    rows: tuple[Candle, ...] = read(tuple[Candle, ...], data)
    return tuple(sorted(rows, key=lambda row: row.time))
