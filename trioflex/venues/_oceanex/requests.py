"""The fourteen operations as request classes, checked when they are made.

Source: "OceanEx/ocean-websocket-client", user guide 0.5 and ``src/ws_client.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import attrs
import msgspec

from ..._vocabulary.errors import LocalProtocolError
from ...protocol import Effect, Request
from .._amounts import EXACT, Amount, exact
from .replies import (
    Account,
    Book,
    Candle,
    Fee,
    Market,
    Order,
    Orders,
    Side,
    Ticker,
    read,
    read_accounts,
    read_book,
    read_candles,
)

R = TypeVar("R")

ORDERS = "orders"
"""The bucket of new orders."""

MAX_DIGITS = 60
"""Digits of an amount on either side of the point; no currency has more than 18 decimals."""

PERIODS = (1, 5, 15, 30, 60, 120, 240, 360, 720, 1440, 4320, 10080)
"""Minutes that a row of a K-line may stand for."""


@attrs.frozen(kw_only=True)
class Wording:
    """What of a request's text is a setting."""

    stringify: bool = False
    numbers_as_strings: bool = False
    documented_keys: bool = False
    """``market_id`` and ``market_ids``, as the user guide has it."""

    @property
    def market(self) -> str:
        """The market's name in book and K-line requests."""
        return "market_id" if self.documented_keys else "market"

    def number(self, value: Decimal) -> msgspec.Raw | str:
        """Return an amount as it is written."""
        return format(value, "f") if self.numbers_as_strings else plain(value)


def plain(value: Decimal) -> msgspec.Raw:
    """Return a JSON number: digits and a point, no exponent, which some readers take for a float.

    Raises:
        LocalProtocolError: it is not finite.
    """
    if not value.is_finite():
        raise LocalProtocolError(f"oceanex takes finite numbers, not {value}")
    return msgspec.Raw(format(value, "f"))


class OceanExRequest(Request[R]):
    """An operation: a handler and an action of it."""

    __slots__ = ()

    handler: ClassVar[str] = ""
    action: ClassVar[str] = "index"

    def args(self, wording: Wording) -> dict[str, object]:
        """Return its arguments as they are written."""
        return {}

    def value(self, data: Any) -> Any:
        """Return the reply's value.

        Raises:
            msgspec.ValidationError: the data has another shape.
        """
        raise NotImplementedError


def _text(value: str) -> str:
    if not isinstance(value, str) or not value:
        raise LocalProtocolError(f"oceanex: text that is not empty is needed, not {value!r}")
    return value


def _market(value: str) -> str:
    if not isinstance(value, str) or not value or value != value.lower() or "/" in value:
        raise LocalProtocolError(
            f"oceanex: a market goes by its id in lower case, as in 'vetusdt', not {value!r}"
        )
    return value


def _markets(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(_market(each) for each in ((value,) if isinstance(value, str) else value))


def _fields(value: Mapping[str, object]) -> Mapping[str, object]:
    return MappingProxyType(dict(value))


def _id(value: int) -> int:
    if type(value) is not int or value < 0:
        raise LocalProtocolError(f"oceanex: an order id is a whole number, not {value!r}")
    return value


def _ids(value: Iterable[int]) -> tuple[int, ...]:
    ids = tuple(_id(each) for each in ((value,) if isinstance(value, int) else value))
    if not ids:
        raise LocalProtocolError("oceanex: give at least one order id")
    return ids


def _amount(value: Amount, field: str) -> Decimal:
    amount = exact(value, field)
    if amount <= 0:
        raise LocalProtocolError(f"oceanex: {field} is more than 0, not {amount}")
    if amount.adjusted() > MAX_DIGITS or -int(amount.as_tuple().exponent) > MAX_DIGITS:
        raise LocalProtocolError(
            f"oceanex: {field} has at most {MAX_DIGITS} digits on either side of the point"
        )
    return amount


def _volume(value: Amount) -> Decimal:
    return _amount(value, "volume")


def _price(value: Amount | None) -> Decimal | None:
    return None if value is None else _amount(value, "price")


def _side(value: Side | str) -> Side:
    try:
        return Side(value)
    except ValueError:
        raise LocalProtocolError(f"oceanex: side is 'buy' or 'sell', not {value!r}") from None


def _count(value: int | None) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise LocalProtocolError(f"oceanex: a whole number of at least 1 is needed, not {value!r}")
    return value


def _seconds(value: int | None) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise LocalProtocolError(
            f"oceanex: a time is a whole number of seconds since 1970, not {value!r}"
        )
    return value


def _period(value: int | None) -> int | None:
    if value is not None and value not in PERIODS:
        raise LocalProtocolError(f"oceanex: period is one of {PERIODS} minutes, not {value!r}")
    return value


def _direction(value: str | None) -> str | None:
    if value not in (None, "asc", "desc"):
        raise LocalProtocolError(f"oceanex: order_by is 'asc' or 'desc', not {value!r}")
    return value


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


# -- public --------------------------------------------------------------------------------------


@attrs.frozen
class GetTime(OceanExRequest[int]):
    """The venue's time: whole seconds since 1970."""

    private: ClassVar[bool] = False
    handler: ClassVar[str] = "ToolHandler"
    action: ClassVar[str] = "timestamp"

    def value(self, data: Any) -> int:
        return int(read(int, data))


@attrs.frozen
class GetMarkets(OceanExRequest[tuple[Market, ...]]):
    """All markets. Later orders on this connection are checked against their rules."""

    private: ClassVar[bool] = False
    handler: ClassVar[str] = "MarketsHandler"

    def value(self, data: Any) -> Any:
        return read(tuple[Market, ...], data)


@attrs.frozen
class GetFees(OceanExRequest[tuple[Fee, ...]]):
    """Trading fees of all markets."""

    private: ClassVar[bool] = False
    handler: ClassVar[str] = "FeeHandler"
    action: ClassVar[str] = "trading_fee"

    def value(self, data: Any) -> Any:
        if not isinstance(data, list):
            return read(tuple[Fee, ...], data)
        return read(tuple[Fee, ...], [_fee_row(row) for row in data])


def _fee_row(row: Any) -> Any:
    """Return a row under the WebSocket's names; REST calls the market ``market``."""
    return {"market_id": row["market"], **row} if isinstance(row, dict) and "market" in row else row


@attrs.frozen
class GetTickers(OceanExRequest[dict[str, Ticker]]):
    """Tickers by market id; of all markets where none are named."""

    markets: tuple[str, ...] = attrs.field(default=(), converter=_markets)
    private: ClassVar[bool] = False
    handler: ClassVar[str] = "TickerHandler"

    def args(self, wording: Wording) -> dict[str, object]:
        name = "market_ids" if wording.documented_keys else "markets"
        return {name: list(self.markets)} if self.markets else {}

    def value(self, data: Any) -> Any:
        tickers = read(dict[str, Ticker], data)
        # A venue that does not know the filter returns everything.
        return {k: v for k, v in tickers.items() if not self.markets or k in self.markets}


@attrs.frozen
class GetOrderBook(OceanExRequest[Book]):
    """A market's book; whole each time, for ``client.poll()``."""

    market: str = attrs.field(converter=_market)
    level: int | None = attrs.field(default=None, converter=_count)
    """Rows on each side."""
    precision: int | None = attrs.field(default=None, converter=_count)
    """Decimals that prices are rounded to."""
    private: ClassVar[bool] = False
    handler: ClassVar[str] = "OrderBookHandler"

    def args(self, wording: Wording) -> dict[str, object]:
        return {wording.market: self.market} | _given(level=self.level, precision=self.precision)

    def value(self, data: Any) -> Book:
        return read_book(data)


@attrs.frozen
class GetKline(OceanExRequest[tuple[Candle, ...]]):
    """A market's K-line, oldest row first; the last row is still running."""

    market: str = attrs.field(converter=_market)
    limit: int | None = attrs.field(default=None, converter=_count)
    """Rows; the venue's default is 30."""
    period: int | None = attrs.field(default=None, converter=_period)
    """Minutes of a row, one of :data:`PERIODS`; the venue's default is 1."""
    start_time: int | None = attrs.field(default=None, converter=_seconds)
    """Seconds since 1970; so is ``end_time``."""
    end_time: int | None = attrs.field(default=None, converter=_seconds)
    private: ClassVar[bool] = False
    handler: ClassVar[str] = "KlineHandler"

    def args(self, wording: Wording) -> dict[str, object]:
        return {wording.market: self.market} | _given(
            limit=self.limit,
            period=self.period,
            start_time=self.start_time,
            end_time=self.end_time,
        )

    def value(self, data: Any) -> tuple[Candle, ...]:
        return read_candles(data)


# -- private -------------------------------------------------------------------------------------


@attrs.frozen
class GetAccount(OceanExRequest[tuple[Account, ...]]):
    """What the account has, by currency."""

    handler: ClassVar[str] = "AccountHandler"

    def value(self, data: Any) -> tuple[Account, ...]:
        return read_accounts(data)


@attrs.frozen
class NewOrder(OceanExRequest[Order]):
    """Place an order.

    The venue knows no name of yours for it: where its outcome is unknown, ask
    :func:`find_lost_order` before you send it again.
    """

    market: str = attrs.field(converter=_market)
    side: Side = attrs.field(converter=_side)
    volume: Decimal = attrs.field(converter=_volume, kw_only=True)
    """In the base currency."""
    price: Decimal | None = attrs.field(default=None, converter=_price, kw_only=True)
    """For one unit; needed for limit orders, left out for market orders."""
    ord_type: str = attrs.field(default="limit", converter=_text, kw_only=True)
    """``limit``, ``market``, or what the venue may know besides."""
    extra: Mapping[str, object] = attrs.field(
        factory=dict,
        converter=_fields,
        kw_only=True,
        hash=False,
        repr=lambda extra: repr(dict(extra)),
    )
    """Further fields, sent as they are, such as ``stop_price`` and ``trigger_condition``."""
    effect: ClassVar[Effect] = Effect.WRITE
    bucket: ClassVar[str] = ORDERS
    handler: ClassVar[str] = "OrderHandler"
    action: ClassVar[str] = "create"

    def __attrs_post_init__(self) -> None:
        if self.ord_type == "limit" and self.price is None:
            raise LocalProtocolError("oceanex: a limit order has a price")
        if self.ord_type == "market" and self.price is not None:
            raise LocalProtocolError("oceanex: a market order has no price; leave it out")
        twice = set(self.extra) & {"market", "side", "ord_type", "price", "volume"}
        if twice:
            raise LocalProtocolError(
                f"oceanex: extra repeats fields that the order has: {', '.join(sorted(twice))}"
            )

    def args(self, wording: Wording) -> dict[str, object]:
        fields: dict[str, object] = {
            "market": self.market,
            "side": self.side.value,
            "ord_type": self.ord_type,
        }
        if self.price is not None:
            fields["price"] = wording.number(self.price)
        extra = {
            name: plain(value) if isinstance(value, Decimal) else value
            for name, value in self.extra.items()
        }
        return {**fields, "volume": wording.number(self.volume), **extra}

    def value(self, data: Any) -> Any:
        return read(Order, data)

    def check(self, market: Market) -> None:
        """Compare with the rules of its market.

        Args:
            market: the market it is for.

        Raises:
            LocalProtocolError: too many decimals, or too small.
        """
        for name, amount, digits in (
            ("price", self.price, market.price_precision),
            ("volume", self.volume, market.amount_precision),
        ):
            if amount is not None and -int(_shortest(amount).as_tuple().exponent) > digits:
                raise LocalProtocolError(
                    f"oceanex: {name} has at most {digits} decimals in {self.market}, not as many "
                    f"as {amount}"
                )
        if self.price is None:
            return
        worth = EXACT.multiply(self.price, self.volume)
        if worth < market.minimum_trading_amount:
            raise LocalProtocolError(
                f"oceanex: price times volume is at least {market.minimum_trading_amount} "
                f"{market.quote} in {self.market}; here it is {worth}"
            )


def _shortest(amount: Decimal) -> Decimal:
    """Return the same amount without zeros at its end."""
    text = format(amount, "f")
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


@attrs.frozen
class CancelOrders(OceanExRequest[tuple[int, ...]]):
    """Cancel orders; replies with the ids that were accepted, which is not yet the end of them."""

    ids: tuple[int, ...] = attrs.field(converter=_ids)
    effect: ClassVar[Effect] = Effect.WRITE
    handler: ClassVar[str] = "OrderHandler"
    action: ClassVar[str] = "cancel"

    def args(self, wording: Wording) -> dict[str, object]:
        return {"ids": list(self.ids)}

    def value(self, data: Any) -> Any:
        return read(tuple[int, ...], data)


@attrs.frozen
class CancelAllOrders(OceanExRequest[tuple[int, ...]]):
    """Cancel every open order; replies with their ids."""

    effect: ClassVar[Effect] = Effect.WRITE
    handler: ClassVar[str] = "OrderHandler"
    action: ClassVar[str] = "clear"

    def value(self, data: Any) -> Any:
        return read(tuple[int, ...], data)


@attrs.frozen
class GetOpenOrders(OceanExRequest[Orders]):
    """A page of the open orders of a market."""

    market: str = attrs.field(converter=_market)
    ord_type: str | None = None
    order_by: str | None = attrs.field(default=None, converter=_direction)
    page: int | None = attrs.field(default=None, converter=_count)
    """Counted from 1."""
    per: int | None = attrs.field(default=None, converter=_count)
    """Rows of a page."""
    handler: ClassVar[str] = "OrderHandler"

    def args(self, wording: Wording) -> dict[str, object]:
        return {"market": self.market} | _given(
            ord_type=self.ord_type, order_by=self.order_by, page=self.page, per=self.per
        )

    def value(self, data: Any) -> Any:
        return read(Orders, data)


@attrs.frozen
class GetOrder(OceanExRequest[Order]):
    """An open order and its fills."""

    id: int = attrs.field(converter=_id)
    handler: ClassVar[str] = "OrderHandler"
    action: ClassVar[str] = "show"

    def args(self, wording: Wording) -> dict[str, object]:
        return {"id": self.id}

    def value(self, data: Any) -> Any:
        return read(Order, data)


@attrs.frozen
class GetClosedOrder(GetOrder):
    """An order that is not open any more, and its fills."""

    handler: ClassVar[str] = "OrderHistoryHandler"


@attrs.frozen
class GetOrderHistory(OceanExRequest[Orders]):
    """A page of the closed orders of a market."""

    market: str = attrs.field(converter=_market)
    state: str | None = None
    """``cancel`` or ``done``; ``None``: both."""
    order_by: str | None = attrs.field(default=None, converter=_direction)
    page: int | None = attrs.field(default=None, converter=_count)
    per: int | None = attrs.field(default=None, converter=_count)
    start_time: int | None = attrs.field(default=None, converter=_seconds)
    """Seconds since 1970; so is ``end_time``."""
    end_time: int | None = attrs.field(default=None, converter=_seconds)
    handler: ClassVar[str] = "OrderHistoryHandler"

    def args(self, wording: Wording) -> dict[str, object]:
        return {"market": self.market} | _given(
            state=self.state,
            order_by=self.order_by,
            page=self.page,
            per=self.per,
            start_time=self.start_time,
            end_time=self.end_time,
        )

    def value(self, data: Any) -> Any:
        return read(Orders, data)
