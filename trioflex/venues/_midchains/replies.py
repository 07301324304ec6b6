"""What the venue says: typed, with exact numbers, and how it is read.

Values come as text, as numbers, or either way from one message to the next; both are read alike.
Source: "MidChains/slate", ``source/index.html.md``.
"""

from __future__ import annotations

import enum
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec


class Status(enum.Enum):
    """How an order stands; the venue has no such field, it is derived from the quantities."""

    OPEN = "open"
    PARTLY_FILLED = "partly filled"
    FILLED = "filled"
    STAGED = "staged"
    """Not in the book (yet), as a stop order that waits; or it never will be: the venue shows
    orders with nothing open in the category STAGE."""
    DONE = "done"
    """Nothing is open, and it did not trade in full: cancelled, expired or refused."""

    def __str__(self) -> str:
        return self.value


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order, as queries and pushes show it."""

    refno: str
    """The venue's name for it."""
    security: str
    """The pair."""
    side: str
    """``"B"`` or ``"S"``."""
    price: Decimal | None = None
    quantity: Decimal = Decimal(0)
    """Ordered, in the base asset."""
    open_quantity: Decimal = Decimal(0)
    """Still to be traded."""
    executed_quantity: Decimal = Decimal(0)
    executed_amount: Decimal = Decimal(0)
    """What was traded, in money."""
    tif: str | None = None
    category: str = ""
    """``"CROX"``: the matching engine; ``"STAGE"``: not in the book."""
    updated_at: int | None = None
    """Milliseconds since 1970."""
    client_order_id: str | None = None

    @property
    def status(self) -> Status:
        """How it stands."""
        if self.open_quantity > 0:
            return Status.PARTLY_FILLED if self.executed_quantity > 0 else Status.OPEN
        if self.executed_quantity >= self.quantity > 0:
            return Status.FILLED
        return Status.STAGED if self.category == "STAGE" else Status.DONE

    def __str__(self) -> str:
        what = "buy" if self.side == "B" else "sell"
        return (
            f"{self.refno}: {what} {self.quantity} {self.security} at {self.price}, "
            f"{self.status}, {self.executed_quantity} executed"
        )


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of an own order."""

    refno: str
    """Of the order."""
    trade_refno: str
    """Of the execution; doubles have the same."""
    security: str
    side: str
    """``"B"`` or ``"S"``."""
    quantity: Decimal
    price: Decimal
    time: int | None = None
    """Milliseconds since 1970."""
    category: str = ""

    def __str__(self) -> str:
        what = "bought" if self.side == "B" else "sold"
        return f"{self.trade_refno}: {what} {self.quantity} {self.security} at {self.price}"


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an asset there is."""

    security: str
    """The asset, as in ``"BTC"``."""
    quantity: Decimal

    def __str__(self) -> str:
        return f"{self.quantity} {self.security}"


class OrderAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The venue took an order on; that does not mean that it was filled."""

    refno: str
    """The venue's name for the order."""
    security: str = ""
    client_order_id: str | None = None


class OrderCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """The venue took an order out."""

    refno: str
    security: str = ""


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade between others (or one's own, like any other)."""

    security: str
    price: Decimal
    quantity: Decimal
    time: int | None = None
    """Milliseconds since 1970."""
    match_id: str = ""
    """Names the trade; after a reconnect the same one may come again."""
    maker_side: str | None = None
    """``"B"`` or ``"S"``; ``None``: not told, as before September 2021."""

    @property
    def taker_side(self) -> str | None:
        """The other side than the maker's, ``None`` if that is not told."""
        return {"B": "S", "S": "B"}.get(self.maker_side or "")

    def __str__(self) -> str:
        return f"{self.quantity} {self.security} at {self.price}"


Row = dict[str, Any]

_MISSING = object()


def string(row: Row, field: str, default: Any = _MISSING) -> Any:
    """Return a field that is text (or a number, read as text)."""
    value = row.get(field)
    if value is None or value == "":
        if default is _MISSING:
            raise msgspec.ValidationError(f"{field} is missing")
        return default
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise msgspec.ValidationError(f"{field} is neither text nor a number")
    return str(value)


def number(row: Row, field: str, default: Any = _MISSING) -> Any:
    """Return a field that is a number, or text that is one."""
    value = string(row, field, None)
    if value is None:
        if default is _MISSING:
            raise msgspec.ValidationError(f"{field} is missing")
        return default
    try:
        parsed = Decimal(value)
    except InvalidOperation:
        parsed = Decimal("nan")
    if not parsed.is_finite() or abs(parsed.adjusted()) > 60:
        raise msgspec.ValidationError(f"{field} is not a number of sensible size")
    return parsed


def moment(row: Row, field: str) -> int | None:
    """Return a field that is milliseconds since 1970, ``None`` if it is not there."""
    value: Decimal | None = number(row, field, None)
    if value is None:
        return None
    if value != value.to_integral_value():
        raise msgspec.ValidationError(f"{field} is not a whole number")
    return int(value)


def side(row: Row) -> str:
    """Return the side of a row."""
    value = string(row, "side")
    if value not in ("B", "S"):
        raise msgspec.ValidationError("side is neither B nor S")
    return str(value)


def rows(data: Any, field: str = "data") -> list[Row]:
    """Return rows, where one row may stand without its list, and nothing for none."""
    if data is None:
        return []
    listed = data if isinstance(data, list) else [data]
    for each in listed:
        if not isinstance(each, dict):
            raise msgspec.ValidationError(f"{field} holds something that is not an object")
    return listed


def read_order(row: Row) -> OrderRow:
    """Return the order that a row shows."""
    return OrderRow(
        refno=string(row, "refno"),
        security=string(row, "security"),
        side=side(row),
        price=number(row, "price", None),
        quantity=number(row, "qty", Decimal(0)),
        open_quantity=number(row, "liveqty", Decimal(0)),
        executed_quantity=number(row, "execqty", Decimal(0)),
        executed_amount=number(row, "execamount", Decimal(0)),
        tif=string(row, "tif", None),
        category=string(row, "category", ""),
        updated_at=moment(row, "updtime"),
        client_order_id=string(row, "clientorderid", None),
    )


def read_sale(row: Row) -> Sale:
    """Return the execution that a row shows."""
    return Sale(
        refno=string(row, "refno"),
        trade_refno=string(row, "traderefno"),
        security=string(row, "security"),
        side=side(row),
        quantity=number(row, "execqty"),
        price=number(row, "execprice"),
        time=moment(row, "trdtime"),
        category=string(row, "category", ""),
    )


def read_position(row: Row) -> Position:
    """Return the position that a row shows."""
    return Position(security=string(row, "security"), quantity=number(row, "curpos"))


def read_trade(message: Row) -> Trade:
    """Return the trade that a message tells."""
    return Trade(
        security=string(message, "security"),
        price=number(message, "price"),
        quantity=number(message, "qty"),
        time=moment(message, "time"),
        match_id=string(message, "matchid", ""),
        maker_side=string(message, "maker_side", None),
    )
