"""What the simulated MidChains is asked for: an order as it was written, and the numbers in it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import attrs

from .book import Order

MATCHING, STAGE = "CROX", "STAGE"
"""Where an order is: in the book, or waiting for its price."""


class Complaint(Exception):
    """The venue refuses; the text is what it says."""


@attrs.define(eq=False)
class SimulatedOrder:
    """An order with everything that was asked."""

    refno: str
    owner: str
    security: str
    bid: bool
    order_type: str
    tif: str
    quantity: int
    """Engine units; 0 for a market buy."""
    price: int
    amount: int
    """Money to spend, engine units; for a market buy."""
    stop_price: int
    """0: no stop order, or not any more."""
    expires_at: int | None
    """Microseconds."""
    client_order_id: str | None
    updated_at: int
    """Microseconds."""
    resting: Order | None = None
    executed: int = 0
    executed_amount: int = 0
    category: str = MATCHING

    @property
    def waiting(self) -> bool:
        """It waits for its trigger."""
        return self.stop_price > 0

    @property
    def open_quantity(self) -> int:
        """What is in the book, engine units."""
        resting = self.resting
        return resting.quantity if resting is not None and resting.resting else 0


def decimal(units: int, scale: int) -> str:
    """Return scaled units as the venue writes a number."""
    text = format(Decimal(units) / scale, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def units(fields: Mapping[str, object], name: str, scale: int) -> int:
    """Return a number of a request in the engine's units.

    Raises:
        Complaint: it is missing, no number, not positive, or too fine or large for the market.
    """
    value = fields.get(name)
    if value is None:
        raise Complaint(f"missing {name}")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Complaint(f"invalid {name}") from None
    if not number.is_finite() or not 0 < number < 10**12:
        raise Complaint(f"invalid {name}")
    scaled = number * scale
    if scaled != int(scaled):
        raise Complaint(f"invalid {name}")
    return int(scaled)


def milliseconds(value: object, name: str) -> int:
    """Return a time of a request: seconds, or milliseconds that end in 000.

    Raises:
        Complaint: it is neither.
    """
    text = str(value)
    if not (isinstance(value, str | int) and text.isascii() and text.isdecimal()):
        raise Complaint(f"invalid {name}")
    if len(text) == 10:
        return int(text) * 1_000
    if len(text) != 13 or not text.endswith("000"):
        raise Complaint(f"invalid {name}")
    return int(text)
