"""Checks of what requests and channels are given: they convert, or say what is wrong."""

from __future__ import annotations

from decimal import Decimal

from ..._vocabulary.errors import LocalProtocolError
from .._amounts import Amount, exact
from .amounts import MAX_INT


def as_quantity(value: Amount | None) -> Decimal | None:
    """Return a quantity, exact and not 0."""
    return None if value is None else _not_zero(exact(value, "quantity"), "quantity")


def as_delta(value: Amount | None) -> Decimal | None:
    """Return a change of a quantity, exact and not 0."""
    return None if value is None else _not_zero(exact(value, "quantity_delta"), "quantity_delta")


def as_total(value: Amount | None) -> Decimal | None:
    """Return a total, exact and not 0."""
    return None if value is None else _not_zero(exact(value, "total"), "total")


def as_price(value: Amount | None) -> Decimal | None:
    """Return a price, exact and positive."""
    price = None if value is None else _not_zero(exact(value, "price"), "price")
    if price is not None and price < 0:
        raise LocalProtocolError(
            f"price is {price}; prices are positive, it is the quantity of a sale that is negative"
        )
    return price


def _not_zero(number: Decimal, field: str) -> Decimal:
    if not number:
        raise LocalProtocolError(f"{field} is 0; the venue refuses that")
    return number


def as_tonce(value: int | None) -> int | None:
    """Return a tonce, in range and not 0."""
    if value is None:
        return None
    if type(value) is not int or value == 0 or abs(value) > MAX_INT:
        raise LocalProtocolError(f"tonce is an integer of 64 bits other than 0, not {value!r}")
    return value


def as_order_id(value: int | None) -> int | None:
    """Return a venue's number of an order."""
    if value is None:
        return None
    if type(value) is not int or abs(value) > MAX_INT:
        raise LocalProtocolError(f"id is the number that the venue gave the order, not {value!r}")
    return value


def as_flag(value: bool) -> bool:
    """Return a flag, if that is one."""
    if type(value) is not bool:
        raise LocalProtocolError(f"post_only and the like are True or False, not {value!r}")
    return value


def as_asset(value: str) -> str:
    """Return an asset's name, if that can be one."""
    if not isinstance(value, str) or not value:
        raise LocalProtocolError(f"an asset is given by its name, as in 'XBT'; not {value!r}")
    return value
