"""The simulated Coinfloor, versions 1 and 2: its assets, its markets, its limits, its rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal

from .book import Market
from .floor import RECORD_KEPT, FloorModel
from .floor_profile import FloorAccount, Listing, Profile
from .limits import Limit, Limits
from .rules import Rules, Tonces

PRICE_SCALE = 100
"""Of every pair in both versions ("coinfloor/API SCALE.md")."""

XBT_SCALE = {1: 10_000, 2: 100_000_000}
"""By version of the API (the same text)."""

LIMITS = Limits(
    authentication=Limit(1_000, 3_600),
    placements=Limit(1_000, 1_000),
    information=Limit(10, 10),
)
"""The documented limits ("coinfloor/API LIMITS.md")."""

MARKETS = ("XBT:GBP", "XBT:EUR")
"""Opened unless others are asked for: all there were at the end."""


def profile_of(version: Literal[1, 2], *, read_only: bool = False) -> Profile:
    """Return Coinfloor as its documents describe it.

    Args:
        version: of the API; they differ in the scale of XBT.
        read_only: refuse every login, as version 1 did from February 2021 on (coinfloor/API
            issue 46).
    """
    xbt = Listing("XBT", 63488, XBT_SCALE[version], 7_000)
    # Pence and cents: factor 100 in both versions.
    assets = {
        listing.name: listing
        for listing in (xbt, Listing("EUR", 64000, 100), Listing("GBP", 64032, 100))
    }
    return Profile(
        name="coinfloor",
        extended=False,
        environment="COINFLOOR",
        assets=assets,
        markets={
            name: Market.of_scales(
                xbt.id,
                assets[name[4:]].id,
                base_scale=xbt.scale,
                counter_scale=assets[name[4:]].scale,
                price_scale=PRICE_SCALE,
                name=name,
            )
            for name in MARKETS
        },
        price_scale=PRICE_SCALE,
        rules=Rules(fee_from_reservation=True, tonces=Tonces.INCREASING),
        limits=LIMITS,
        read_only=read_only,
    )


class CoinfloorModel(FloorModel):
    """A simulated Coinfloor.

    Args:
        seed: of everything random: nonces, the lots of rounding, the other participants.
        clock: microseconds since 1970; ``None``: the real time. A model whose clock stands still
            still gives every event a time of its own, but never lets a rate limit recover.
        accounts: the users; ``None``: the one of the documents' worked example, with plenty of
            everything that is traded.
        markets: names of the markets to open.
        limits: how often what may be done; ``None``: no limits.
        fee_rate: fraction of the total that each side of a trade pays; ``None``: 0.0003.
        empty: begin with empty books; otherwise other participants have filled them.
        record_kept: how many commands :attr:`record` keeps, the newest.
        version: 1 or 2, which differ in the scale of XBT.
        read_only: refuse every login with code 7, as version 1 did at its end.

    Raises:
        ValueError: a market or an asset that the venue does not have, or a user id given twice.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Callable[[], int] | None = None,
        accounts: Sequence[FloorAccount] | None = None,
        markets: Sequence[str] = MARKETS,
        limits: Limits | None = LIMITS,
        fee_rate: Decimal | None = None,
        empty: bool = False,
        record_kept: int = RECORD_KEPT,
        version: Literal[1, 2] = 2,
        read_only: bool = False,
    ) -> None:
        super().__init__(
            profile_of(version, read_only=read_only),
            seed=seed,
            clock=clock,
            accounts=accounts,
            markets=markets,
            limits=limits,
            fee_rate=fee_rate,
            empty=empty,
            record_kept=record_kept,
        )
