"""The simulated CoinFLEX (v1): its assets, its markets, its limits, its rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from .book import Market
from .floor import RECORD_KEPT, FloorModel
from .floor_profile import FloorAccount, Listing, Profile
from .limits import Limit, Limits
from .rules import Rules, Tonces

SCALE = 10_000
"""Of every asset and every price ("coinflex-exchange/API SCALE.md")."""

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

LIMITS = Limits(
    authentication=Limit(1_000, 3_600),
    placements=Limit(200, 1),
    information=Limit(10, 10),
)
"""The documented limits ("coinflex-exchange/API LIMITS.md")."""

MARKETS = ("XBT:USDT", "ETH:USDT")
"""Opened unless others are asked for."""

# Name, id, rough price in dollars ("coinflex-exchange/API SCALE.md" for the ids; the prices are
# those of early 2020 where there was one, and otherwise fit the tick).
_SPOT = (
    ("XBT", 63488, 8_650),
    ("BCH", 63496, 250),
    ("ETH", 63520, 190),
    ("USDC", 65282, 1),
    ("USDT", 65283, 1),
    ("FLEX", 65285, 1),
    ("DOTF", 65287, 200),
    ("USDTDOT", 65288, 1),
    ("DFNF", 65290, 10),
    ("USDTDFN", 65291, 1),
    ("LIBF", 65295, 5),
    ("USDTLIB", 65296, 1),
)

# Coin, id of its January future (one more for each month), id of its June 2020 future, price.
_FUTURES = (
    ("XBT", 51200, 10005, 8_650),
    ("BCH", 51220, 10017, 250),
    ("ETH", 51240, 10029, 190),
    ("USDC", 51860, 10041, 1),
    ("USDT", 51880, 10053, 1),
)

# Base, counter, tick ("coinflex-exchange/API CONTRACTS.md"); prices are moved to a multiple.
_TICKS = (
    ("XBT", "USDT", 10_000),
    ("BCH", "USDT", 2_500),
    ("ETH", "USDT", 1_000),
    ("USDC", "USDT", 10),
    ("FLEX", "USDT", 50),
    ("DOTF", "USDTDOT", 20_000),
    ("DFNF", "USDTDFN", 500),
    ("LIBF", "USDTLIB", 100),
)

# Coin, tick of its monthly futures, tick of its June 2020 future.
_FUTURES_TICKS = (
    ("XBT", 5_000, 5_000),
    ("BCH", 2_500, 2_500),
    ("ETH", 1_000, 1_000),
    ("USDC", 10, 1),
)


def _listings() -> dict[str, Listing]:
    listings = [Listing(name, code, SCALE, price) for name, code, price in _SPOT]
    for coin, january, june_2020, price in _FUTURES:
        listings += [
            Listing(coin + month, january + index, SCALE, price)
            for index, month in enumerate(MONTHS)
        ]
        listings.append(Listing(coin + "JUN20", june_2020, SCALE, price))
    return {listing.name: listing for listing in listings}


def _markets(assets: dict[str, Listing]) -> dict[str, Market]:
    pairs = list(_TICKS)
    for coin, monthly, june_2020 in _FUTURES_TICKS:
        pairs += [(coin + month, "USDT" + month, monthly) for month in MONTHS]
        pairs.append((coin + "JUN20", "USDTJUN20", june_2020))
    return {
        f"{base}:{counter}": Market.of_scales(
            assets[base].id,
            assets[counter].id,
            base_scale=SCALE,
            counter_scale=SCALE,
            price_scale=SCALE,
            tick=tick,
            name=f"{base}:{counter}",
        )
        for base, counter, tick in pairs
    }


_ASSETS = _listings()

PROFILE = Profile(
    name="coinflex",
    extended=True,
    environment="COINFLEX",
    assets=_ASSETS,
    markets=_markets(_ASSETS),
    price_scale=SCALE,
    rules=Rules(fee_from_reservation=False, tonces=Tonces.UNIQUE),
    limits=LIMITS,
)
"""CoinFLEX as its documents of April 2020 describe it."""


class CoinflexModel(FloorModel):
    """A simulated CoinFLEX.

    Args:
        seed: of everything random: nonces, the lots of rounding, the other participants.
        clock: microseconds since 1970; ``None``: the real time. A model whose clock stands still
            still gives every event a time of its own, but never lets a rate limit recover.
        accounts: the users; ``None``: the one of the documents' worked example, with plenty of
            everything that is traded.
        markets: names of the markets to open, out of the venue's sixty.
        limits: how often what may be done; ``None``: no limits.
        fee_rate: fraction of the total that each side of a trade pays; ``None``: 0.0003.
        empty: begin with empty books; otherwise other participants have filled them.
        record_kept: how many commands :attr:`record` keeps, the newest.

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
    ) -> None:
        super().__init__(
            PROFILE,
            seed=seed,
            clock=clock,
            accounts=accounts,
            markets=markets,
            limits=limits,
            fee_rate=fee_rate,
            empty=empty,
            record_kept=record_kept,
        )
