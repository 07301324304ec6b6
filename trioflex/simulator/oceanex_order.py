"""An order of the simulated OceanEx, its fills, and how both are written.

Source of fields and states: "OceanEx/ocean-websocket-client", user guide 0.5.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import attrs

from .book import Order
from .oceanex_listing import FEE_RATE, Listing, text

WAIT, TRIGGER, CANCELLING, CANCEL, DONE = "wait", "wait_trigger", "cancelling", "cancel", "done"

OPEN_STATES = frozenset({WAIT, TRIGGER, CANCELLING})

AVERAGE_DECIMALS = 8
"""Of an average price, which need not be a price of the market."""


@attrs.frozen(kw_only=True)
class Fill:
    """A trade as one side of it sees it; amounts in the engine's units."""

    id: int
    price: int
    quantity: int
    total: int
    ask_fee: int
    bid_fee: int
    at: int
    """Microseconds."""


@attrs.define(eq=False, kw_only=True)
class SimulatedOrder:
    """An order with everything that was asked."""

    id: int
    owner: str
    listing: Listing
    bid: bool
    ord_type: str
    quantity: int
    """Engine units."""
    price: int | None
    stop_price: int | None
    """``None``: no stop order, or not any more."""
    at_or_above: bool
    created_at: int
    """Microseconds."""
    resting: Order | None = None
    cancelled_at: int | None = None
    """Microseconds; when its owner withdrew it."""
    fills: list[Fill] = attrs.field(factory=list)

    @property
    def executed(self) -> int:
        """What was traded, engine units."""
        return sum(fill.quantity for fill in self.fills)

    def state(self, now: int, settling: int) -> str:
        """Return its state.

        Args:
            now: microseconds.
            settling: microseconds from a cancellation to its settlement.
        """
        if self.stop_price is not None:
            return TRIGGER
        if self.resting is not None and self.resting.resting:
            return WAIT
        if self.executed == self.quantity:
            return DONE
        if self.cancelled_at is not None and now < self.cancelled_at + settling:
            return CANCELLING
        return CANCEL

    def row(self, state: str, *, rest: bool) -> dict[str, object]:
        """Return the order as it is written.

        Args:
            state: its state.
            rest: in the spelling of the REST interface.
        """
        listing, executed = self.listing, self.executed
        average = Decimal(0)
        if executed:
            funds = Decimal(sum(fill.total for fill in self.fills)) / listing.quote_scale
            average = funds * listing.base_scale / executed
        scale = listing.base_scale
        return {
            "id": self.id,
            **_market(listing),
            "side": _side(self.bid, rest),
            "ord_type": self.ord_type,
            "state": state,
            "price": None if self.price is None else text(self.price, listing.price_scale),
            "avg_price": text(int(average * 10**AVERAGE_DECIMALS), 10**AVERAGE_DECIMALS),
            "volume": text(self.quantity, scale),
            "remaining_volume": text(self.quantity - executed, scale),
            "executed_volume": text(executed, scale),
            "trades_count": len(self.fills),
            **_times(self.created_at, rest),
        }

    def trades(self, *, rest: bool) -> list[dict[str, object]]:
        """Return its fills as they are written."""
        listing = self.listing
        return [
            {
                "id": fill.id,
                "order_id": self.id,
                **_market(listing),
                "side": _side(self.bid, rest),
                "price": text(fill.price, listing.price_scale),
                "volume": text(fill.quantity, listing.base_scale),
                "funds": text(fill.total, listing.quote_scale),
                "fee": str(FEE_RATE),
                "ask_fee": text(fill.ask_fee, listing.quote_scale),
                "ask_fee_currency_id": listing.quote,
                "bid_fee": text(fill.bid_fee, listing.base_scale),
                "bid_fee_currency_id": listing.base,
                **_times(fill.at, rest),
            }
            for fill in self.fills
        ]


def _market(listing: Listing) -> dict[str, object]:
    return {
        "market": listing.id,
        "market_name": listing.name,
        "market_display_name": listing.name,
    }


def _side(bid: bool, rest: bool) -> str:
    if rest:
        return "buy" if bid else "sell"
    return "bid" if bid else "ask"


def _times(microseconds: int, rest: bool) -> dict[str, object]:
    seconds = microseconds // 1_000_000
    at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return {
        "created_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "created_on": str(seconds) if rest else seconds,
    }
