"""Reading what clients of OceanEx send: a call, its arguments, and the complaints about them.

Source of shapes and codes: "OceanEx/ocean-websocket-client", user guide 0.5 and
``src/ws_client.py``; "api.oceanex.pro/doc/v1". Where the two write a name differently, both are
read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import attrs
import msgspec

T = TypeVar("T")

Json = dict[str, object]

BAD_REQUEST = 1001
ORDER_REFUSED = 2002
CANCEL_REFUSED = 2003
NO_SUCH_ORDER = 2004
NOT_ALLOWED = 9003

MOST = 10**12
"""No amount is as large; more would not fit the engine."""

PERIODS = frozenset({1, 5, 15, 30, 60, 120, 240, 360, 720, 1440, 4320, 10080})
"""Minutes of a candle."""


_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
"""What an amount is as text: as JSON has numbers, not as Python has them."""

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class Complaint(Exception):
    """The venue refuses: a code, a text, and what was refused."""

    def __init__(self, code: int, text: str = "", data: object = None) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.data: object = {} if data is None else data


@attrs.frozen
class Call:
    """One request: an action of a handler."""

    handler: str
    action: str
    uuid: object
    args: Json
    header: Json

    @property
    def name(self) -> str:
        """As fault scripts call it, e.g. ``"OrderHandler/create"``."""
        return f"{self.handler}/{self.action}"


def parse(frame: str) -> Json:
    """Return a message; what is none is empty."""
    try:
        message = _DECODER.decode(frame)
    except (ValueError, RecursionError, InvalidOperation):
        return {}
    return message if isinstance(message, dict) else {}


def call_of(message: Json) -> Call | None:
    """Return the call that a message makes, ``None`` if it makes none.

    ``identifier`` and ``data`` may be JSON text inside a string.
    """
    identifier, data = _object(message.get("identifier")), _object(message.get("data"))
    handler, action = identifier.get("handler"), data.get("action")
    if message.get("command") != "message" or not isinstance(handler, str):
        return None
    return Call(
        handler=handler,
        action=action if isinstance(action, str) else "",
        uuid=data.get("uuid"),
        args=_object(data.get("args")),
        header=_object(data.get("header")),
    )


def _object(value: object) -> Json:
    if isinstance(value, str):
        return parse(value)
    return value if isinstance(value, dict) else {}


# -- arguments -----------------------------------------------------------------------------------


def _invalid(name: str, code: int) -> Complaint:
    return Complaint(code, f"{name} does not have a valid value")


def first(args: Mapping[str, object], *names: str) -> object:
    """Return an argument under the first of its names that is given, else ``None``."""
    for name in names:
        if args.get(name) is not None:
            return args[name]
    return None


def whole(
    args: Mapping[str, object], name: str, code: int = BAD_REQUEST, least: int = 1
) -> int | None:
    """Return an integer, which may be text; ``None``: it is not given.

    Args:
        args: of the call.
        name: of the argument.
        code: of the complaint.
        least: the least that it may be.

    Raises:
        Complaint: it is something else.
    """
    value = args.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if type(value) is not int or not least <= value < 10**19:
        raise _invalid(name, code)
    return value


def order_id(value: object, code: int) -> int:
    """Return an order id; the venue's own client sends some as text.

    Raises:
        Complaint: it is none.
    """
    found = whole({"id": value}, "id", code)
    if found is None:
        raise _invalid("id", code)
    return found


def word(
    args: Mapping[str, object], *names: str, allowed: tuple[str, ...], code: int = BAD_REQUEST
) -> str | None:
    """Return one of some words, ``None`` if it is not given.

    Raises:
        Complaint: it is another one.
    """
    value = first(args, *names)
    if value is None:
        return None
    if not isinstance(value, str) or value not in allowed:
        raise _invalid(names[0], code)
    return value


def amount(args: Mapping[str, object], name: str, precision: int) -> Decimal | None:
    """Return a positive amount of an order, a number or text; ``None``: it is not given.

    Args:
        args: the order's fields.
        name: of the field.
        precision: decimals that the market allows.

    Raises:
        Complaint: it is something else, or too fine.
    """
    value = args.get(name)
    if value is None:
        return None
    if not isinstance(value, (int, str, Decimal)) or isinstance(value, bool):
        raise _invalid(name, ORDER_REFUSED)
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise _invalid(name, ORDER_REFUSED)
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise _invalid(name, ORDER_REFUSED) from None
    if not number.is_finite() or not 0 < number < MOST or number.adjusted() < -30:
        raise _invalid(name, ORDER_REFUSED)
    if number != round(number, precision):
        raise Complaint(ORDER_REFUSED, f"{name} has more than {precision} decimals")
    return number


def needed(value: T | None, name: str, code: int = ORDER_REFUSED) -> T:
    """Return an argument that has to be given.

    Raises:
        Complaint: it is not.
    """
    if value is None:
        raise _invalid(name, code)
    return value


@attrs.frozen
class Wish:
    """A new order as it was asked for."""

    market: str
    bid: bool
    ord_type: str
    volume: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    at_or_above: bool
    """Whether the stop is for prices that rise."""


def wish_of(args: Mapping[str, object], market: str, price: int, volume: int) -> Wish:
    """Return what a new order is to be.

    Args:
        args: the order's fields.
        market: its id, known to exist.
        price: decimals that a price may have there.
        volume: decimals that a volume may have there.

    Raises:
        Complaint: a field is missing or wrong.
    """
    side = needed(word(args, "side", allowed=("buy", "sell"), code=ORDER_REFUSED), "side")
    kinds = ("limit", "market", "stop_limit")
    kind = word(args, "ord_type", allowed=kinds, code=ORDER_REFUSED) or "limit"
    size = needed(amount(args, "volume", volume), "volume")
    limit = stop = condition = None
    if kind != "market":
        limit = needed(amount(args, "price", price), "price")
    if kind == "stop_limit":
        stop = needed(amount(args, "stop_price", price), "stop_price")
        condition = needed(
            word(args, "trigger_condition", allowed=("gte", "lte"), code=ORDER_REFUSED),
            "trigger_condition",
        )
    return Wish(market, side == "buy", kind, size, limit, stop, condition == "gte")
