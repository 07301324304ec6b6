"""What venues decide differently about the same engine, and why a command may be refused."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, auto

import attrs

GREATEST = 2**63 - 1
"""No quantity times price may exceed it: the wire's integers are signed and have 64 bits."""


class Reason(Enum):
    """Why an engine refuses a command."""

    NO_MARKET = auto()
    NO_ORDER = auto()
    TONCE = auto()
    FUNDS = auto()
    TOO_MANY_ORDERS = auto()
    WOULD_MATCH = auto()
    ZERO_TONCE = auto()
    ZERO_QUANTITY = auto()
    ZERO_PRICE = auto()
    ZERO_TOTAL = auto()
    ZERO_DELTA = auto()
    NEGATIVE_PRICE = auto()
    NO_CHANGE = auto()
    OVERFLOW = auto()


class Refusal(Exception):
    """A command was refused, and nothing has changed."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the engine refuses: {reason.name.lower().replace('_', ' ')}")
        self.reason = reason


class Tonces(Enum):
    """What a venue asks of tonces."""

    UNIQUE = auto()
    """Another one than that of every open order of the account (CoinFLEX)."""

    INCREASING = auto()
    """Above every one accepted since all orders were cancelled at once (Coinfloor)."""


@attrs.frozen
class Rules:
    """What venues decide differently."""

    fee_rate: Decimal = Decimal("0.0003")
    """Fraction of the total that each side of a trade pays. The default is the rate in the worked
    examples of the venues' documents, which publish no other."""

    fee_from_reservation: bool = False
    """Whether a bid's fee always comes out of its reservation (Coinfloor)."""

    tonces: Tonces = Tonces.UNIQUE

    max_open_orders: int = 1_000
    """Per account ("coinflex-exchange/API LIMITS.md")."""
