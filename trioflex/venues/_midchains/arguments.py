"""What requests and channels may be given: checked, and turned into what goes over the wire.

Source: "MidChains/slate", ``source/index.html.md`` (texts, times that end in 000, the combinations
of order type and time in force of its later version).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from ..._vocabulary.errors import LocalProtocolError
from .._amounts import Amount, exact

ALL = "*"
"""Stands for all pairs where books are asked for."""

MAX_TEXT = 128
"""Characters of a name or reference; the venue's own have a dozen, and names no maximum."""

MAX_DIGITS = 40
"""Digits of a number on either side of the point: twice what any token has."""

COMBINATIONS = {
    ("LMT", False): ("GTC", "IOC", "FOK", "GTT"),
    ("LMT", True): ("GTC", "IOC", "FOK"),
    ("MKT", False): ("IOC", "FOK"),
    ("MKT", True): ("IOC", "FOK"),
}
"""(order type, is it a stop order) to what may be its time in force."""


def text(value: str, field: str) -> str:
    """Return a text, if it can be sent.

    Args:
        value: the text.
        field: what it is, for the error.

    Raises:
        LocalProtocolError: it is empty, too long, no text, or not printable ASCII.
    """
    if not isinstance(value, str) or not value:
        raise LocalProtocolError(f"midchains: {field} is text that is not empty, not {value!r}")
    if len(value) > MAX_TEXT or not (value.isascii() and value.isprintable()):
        raise LocalProtocolError(
            f"midchains: {field} is printable ASCII of at most {MAX_TEXT} characters, not "
            f"{value[:MAX_TEXT]!r}"
        )
    return value


def as_security(value: str) -> str:
    """Return a pair, as in ``"BTCUSD"``."""
    if value == ALL:
        raise LocalProtocolError(
            'midchains: "*" stands for all pairs in Book("*") only; name one pair, as in "BTCUSD"'
        )
    return text(value, "a pair")


def as_security_or_all(value: str) -> str:
    """Return a pair, or ``"*"`` for all."""
    return text(value, "a pair")


def as_optional_security(value: str | None) -> str | None:
    """Return a pair or an asset; ``None``: all."""
    return None if value is None else as_security(value)


def as_refno(value: str) -> str:
    """Return the venue's name of an order."""
    return text(value, "refno")


def as_client_order_id(value: str | None) -> str | None:
    """Return the caller's name of an order."""
    return None if value is None else text(value, "client_order_id")


def as_side(value: str) -> str:
    """Return ``"B"`` or ``"S"``."""
    return _one_of(value, "side", ("B", "S"))


def as_order_type(value: str) -> str:
    """Return ``"LMT"`` or ``"MKT"``."""
    return _one_of(value, "order_type", ("LMT", "MKT"))


def as_tif(value: str | None) -> str | None:
    """Return a time in force."""
    return None if value is None else _one_of(value, "tif", ("GTC", "IOC", "FOK", "GTT"))


def _one_of(value: str, field: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise LocalProtocolError(
            f"midchains: {field} is one of {', '.join(allowed)}, not {value!r}"
        )
    return value


def _positive(value: Amount | None, field: str) -> Decimal | None:
    if value is None:
        return None
    number = exact(value, f"midchains: {field}")
    exponent = number.as_tuple().exponent
    if number <= 0:
        raise LocalProtocolError(f"midchains: {field} is more than 0, not {number}")
    if number.adjusted() > MAX_DIGITS or not isinstance(exponent, int) or -exponent > MAX_DIGITS:
        raise LocalProtocolError(
            f"midchains: {field} has at most {MAX_DIGITS} digits on either side of the point"
        )
    return number


def as_quantity(value: Amount | None) -> Decimal | None:
    """Return a quantity of the base asset, more than 0."""
    return _positive(value, "quantity")


def as_price(value: Amount | None) -> Decimal | None:
    """Return a price, more than 0."""
    return _positive(value, "price")


def as_amount(value: Amount | None) -> Decimal | None:
    """Return an amount of money, more than 0."""
    return _positive(value, "amount")


def as_stop_price(value: Amount | None) -> Decimal | None:
    """Return the price that triggers a stop order, more than 0."""
    return _positive(value, "stop_price")


def as_time(value: int | None) -> int | None:
    """Return milliseconds since 1970.

    Raises:
        LocalProtocolError: it is no whole number, or lies before 2001 (seconds, most likely).
    """
    if value is None:
        return None
    if type(value) is not int or not 10**12 <= value < 10**15:
        raise LocalProtocolError(
            f"midchains: a time is a whole number of milliseconds since 1970, not {value!r}"
        )
    return value


def as_extra(value: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return further fields of an order, name by name; both are text.

    Raises:
        LocalProtocolError: a name or value cannot be sent, or a name is one of ours.
    """
    pairs = value.items() if isinstance(value, Mapping) else value
    fields = tuple(sorted((text(name, "a field's name"), text(item, name)) for name, item in pairs))
    for name, _ in fields:
        if name in OWN_FIELDS:
            raise LocalProtocolError(
                f"midchains: the field {name!r} of an order has an argument of its own"
            )
    return fields


OWN_FIELDS = frozenset({
    "type", "security", "side", "ordertype", "tif", "qty", "amount", "price", "stoptype",
    "stopprice", "exptime", "clientorderid",
})  # fmt: skip
"""Fields of an order that extra ones must not replace."""


def plain(number: Decimal) -> str:
    """Return a number as the venue reads it: digits and a point, no exponent."""
    return format(number, "f")


def time_down(ms: int) -> str:
    """Return a time as the venue takes it, in whole seconds, not later than it is."""
    return f"{ms // 1000}000"


def time_up(ms: int) -> str:
    """Return a time as the venue takes it, in whole seconds, not earlier than it is."""
    return f"{-(-ms // 1000)}000"
