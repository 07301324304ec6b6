"""The markets of the simulated OceanEx: their rules, and how many units a coin has in the engine.

An order's volume is a whole number of steps of ``amount_precision``, and prices and units are
chosen so that price times volume is a whole number of units as well: nothing is ever rounded but
fees.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs

from .book import Market
from .flow import Habits

SCALES: Mapping[str, int] = {"btc": 10**8, "eth": 10**8, "usdt": 10**8, "vet": 10**6}
"""Units of one coin in the engine."""

BALANCES: Mapping[str, Decimal] = {
    "btc": Decimal(10),
    "eth": Decimal(100),
    "usdt": Decimal(1_000_000),
    "vet": Decimal(1_000_000),
}
"""What an account starts with unless it says otherwise."""

FEE_RATE = Decimal("0.001")
"""Of each side of a trade, as in the samples of the user guide."""


@attrs.frozen(kw_only=True)
class Listing:
    """A market as the venue describes it."""

    base: str
    quote: str
    price_precision: int
    amount_precision: int
    minimum: Decimal
    """Least price times volume, in the quote currency."""
    fair: int
    """The price around which others trade, in the last decimal."""
    step: int
    """The distance of their levels."""
    size: int
    """Their ordinary order, in hundreds of the smallest volume: so that every per cent of it is a
    volume, too."""

    @property
    def id(self) -> str:
        """As in ``"vetusdt"``."""
        return self.base + self.quote

    @property
    def name(self) -> str:
        """As in ``"VET/USDT"``."""
        return f"{self.base}/{self.quote}".upper()

    @property
    def price_scale(self) -> int:
        """Units of a price in the engine."""
        return int(10**self.price_precision)

    @property
    def base_scale(self) -> int:
        """Units of the base currency in the engine."""
        return SCALES[self.base]

    @property
    def quote_scale(self) -> int:
        """Units of the quote currency in the engine."""
        return SCALES[self.quote]

    def market(self) -> Market:
        """Return the market as the engine has it."""
        return Market.of_scales(
            self.base,
            self.quote,
            base_scale=self.base_scale,
            counter_scale=self.quote_scale,
            price_scale=self.price_scale,
            name=self.id,
        )

    def habits(self) -> Habits:
        """Return how others behave here."""
        grid = self.base_scale // int(10**self.amount_precision)
        return Habits(
            anchor=self.fair,
            step=self.step,
            size=self.size * 100 * grid,
            modify=False,
            by_total=False,
            orders=40,
        )


LISTINGS: Mapping[str, Listing] = {
    listing.id: listing
    for listing in (
        Listing(
            base="vet", quote="usdt", price_precision=6, amount_precision=2,
            minimum=Decimal(10), fair=25_500, step=10, size=80_000,
        ),
        Listing(
            base="btc", quote="usdt", price_precision=2, amount_precision=6,
            minimum=Decimal(10), fair=6_000_000, step=500, size=300,
        ),
        Listing(
            base="eth", quote="usdt", price_precision=2, amount_precision=4,
            minimum=Decimal(10), fair=300_000, step=20, size=70,
        ),
        Listing(
            base="eth", quote="btc", price_precision=6, amount_precision=2,
            minimum=Decimal("0.0005"), fair=50_000, step=10, size=1,
        ),
    )
}  # fmt: skip
"""Market id to its rules."""


def text(units: int, scale: int) -> str:
    """Return scaled units as the venue writes a number: with a point, always."""
    written = format(Decimal(units) / scale, "f")
    whole, _, decimals = written.partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"
