"""What the venues on the CoinFLEX and Coinfloor wire differ in, and who their users are."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from .book import Market
from .flow import Habits
from .limits import Limits
from .rules import Rules


@attrs.frozen
class FloorAccount:
    """A user of the simulated venue."""

    user_id: int = 1

    cookie: str = "HGREqcILTz8blHa/jsUTVTNBJlg="
    """Base64, as given to users. This default and the next are those of the worked example in
    "coinflex-exchange/API AUTH.md"."""

    passphrase: str = attrs.field(default="opensesame", repr=False)

    balances: Mapping[str, int] | None = None
    """What the account starts with, in the wire's units by asset name; ``None``: plenty of all."""


@attrs.frozen
class Listing:
    """An asset of a venue."""

    name: str
    id: int
    scale: int
    """Units of the wire in a whole coin."""

    price: int = 1
    """What it is worth, very roughly, in whole dollars or pounds: whole coins are handed out, and
    markets priced, after it."""


@attrs.frozen(kw_only=True)
class Profile:
    """A venue."""

    name: str

    extended: bool
    """Whether with everything that CoinFLEX added to Coinfloor's protocol."""

    environment: str
    """What the names of the environment variables begin with."""

    assets: Mapping[str, Listing]
    """By name."""

    markets: Mapping[str, Market]
    """By name; a model opens some of them."""

    price_scale: int

    rules: Rules

    limits: Limits
    """The documented ones."""

    read_only: bool = False
    """Whether every login is refused like one with a wrong cookie."""

    def listing(self, name: str) -> Listing:
        """Return an asset.

        Raises:
            ValueError: there is none of that name.
        """
        listing = self.assets.get(name)
        if listing is None:
            raise ValueError(
                f"{self.name} has no asset {name!r}; it has {', '.join(sorted(self.assets))}"
            )
        return listing

    def market(self, name: str) -> Market:
        """Return a market.

        Raises:
            ValueError: there is none of that name.
        """
        market = self.markets.get(name)
        if market is None:
            raise ValueError(
                f"{self.name} has no market {name!r}; it has {', '.join(sorted(self.markets))}"
            )
        return market

    def habits(self, market: Market) -> Habits:
        """Return how the other participants behave in a market."""
        listing = self.listing(market.name.partition(":")[0])
        # Fifty ticks leave room for two dozen levels even where the tick is coarse.
        anchor = max(listing.price * self.price_scale, 50 * market.tick)
        return Habits(
            anchor=anchor,
            # Levels a ten-thousandth of the price apart, as near as the tick allows.
            step=max(anchor // (10_000 * market.tick), 1) * market.tick,
            # Worth about a thousand dollars or pounds.
            size=max(1_000 * listing.scale // listing.price, 2),
            modify=self.extended,
        )


def plenty(listing: Listing) -> int:
    """Return the units with which an account starts: worth about ten million."""
    return 10_000_000 // listing.price * listing.scale
