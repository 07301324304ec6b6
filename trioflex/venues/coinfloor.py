"""Coinfloor: what differs from the wire it shares with CoinFLEX.

Amounts are exact (``Decimal``, ``int`` or text), assets go by name, sales have negative
quantities::

    from trioflex.venues import coinfloor

    async with open_client(
        coinfloor.VENUE, credentials=coinfloor.Credentials.from_env()
    ) as client:
        placed = await client.request(
            coinfloor.PlaceOrder("XBT", "GBP", quantity="0.01", price="9000", tonce=17)
        )

Sources: "coinfloor/API" (README.md, WEBSOCKET-README.md, AUTH.md, SCALE.md, LIMITS.md). The venue
removed its second WebSocket interface from the documents in 2021; version 1 is read-only since
February 2021.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import attrs

from .._vocabulary.errors import LocalProtocolError
from .._vocabulary.settings import Rate
from ..protocol import Venue
from ._floor.arguments import as_flag
from ._floor.assets import Asset as Asset, AssetTable as AssetTable, Market as Market
from ._floor.balances import BalanceSheet as BalanceSheet
from ._floor.channels import (
    Balances as Balances,
    OrderBook as OrderBook,
    OwnOrders as OwnOrders,
    Ticker as Ticker,
    TradeVolume as TradeVolume,
)
from ._floor.credentials import Credentials as _Credentials
from ._floor.dialect import Dialect
from ._floor.find import Asks, NotOpen as NotOpen, find_open
from ._floor.notices import (
    BalanceChanged as BalanceChanged,
    OrderClosed as OrderClosed,
    OrderOpened as OrderOpened,
    OrdersMatched as OrdersMatched,
    TradeVolumeChanged as TradeVolumeChanged,
)
from ._floor.orders import (
    CancelAllOrders as CancelAllOrders,
    CancelOrder as CancelOrder,
    EstimateMarketOrder as EstimateMarketOrder,
    NewOrder,
)
from ._floor.own_orders import (
    OpenOrders as OpenOrders,
    OrderState as OrderState,
    TrackedOrder as TrackedOrder,
)
from ._floor.replies import (
    Balance as Balance,
    BalancesSnapshot as BalancesSnapshot,
    BookOrder as BookOrder,
    BookSnapshot as BookSnapshot,
    CancelledOrders as CancelledOrders,
    Estimate as Estimate,
    Order as Order,
    OrderPlaced as OrderPlaced,
    OrdersSnapshot as OrdersSnapshot,
    TickerSnapshot as TickerSnapshot,
    TradedVolume as TradedVolume,
)
from ._floor.requests import (
    GetBalances as GetBalances,
    GetOrders as GetOrders,
    GetTradeVolume as GetTradeVolume,
)
from ._floor.venue import declare

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def _table(*assets: Asset) -> AssetTable:
    return AssetTable(
        venue="Coinfloor",
        assets={asset.name: asset for asset in assets},
        price_scale=100,
    )


ASSETS = _table(
    Asset("XBT", 63488, 100_000_000),
    Asset("EUR", 64000, 100),
    Asset("GBP", 64032, 100),
)
"""The assets of version 2, with their numbers and scales."""

ASSETS_V1 = _table(
    Asset("XBT", 63488, 10_000),
    Asset("EUR", 64000, 100),
    Asset("GBP", 64032, 100),
    # Withdrawn before the end, but known to old programs and their records:
    Asset("BCH", 63496, 10_000),
    Asset("ETH", 63520, 10_000),
    Asset("USD", 64128, 100),
    Asset("PLN", 64936, 100),
    *(Asset(f"XBT{month}18", 51200 + n, 10_000) for n, month in enumerate(_MONTHS)),
    *(Asset(f"USD{month}18", 51840 + n, 100) for n, month in enumerate(_MONTHS)),
)
"""The assets of version 1; XBT has other decimals there."""


@attrs.frozen(init=False, repr=True)
class Credentials(_Credentials):
    """A Coinfloor account's credentials; the passphrase is not kept once the key is derived.

    Args:
        user_id: the number shown as "User ID".
        cookie: the text shown as "API key".
        passphrase: the site's login password, exactly as it is; or
        private_key: the key derived from it, 28 bytes, as such or in Base64.

    ``from_env()`` reads COINFLOOR_USER_ID, COINFLOOR_COOKIE and either COINFLOOR_PRIVATE_KEY or
    COINFLOOR_PASSPHRASE.
    """

    prefix: ClassVar[str] = "COINFLOOR"


@attrs.frozen
class PlaceOrder(NewOrder):
    """Place an order: ``quantity`` and ``price`` for a limit order, ``quantity`` alone or ``total``
    alone for a market order. Negative sells.

    A tonce must be greater than that of every order you placed since your last
    ``CancelAllOrders``, else the order is refused as a duplicate. So the same order may safely be
    sent again with the same tonce after a lost connection.
    """

    table: ClassVar[AssetTable | None] = ASSETS

    persist: bool = attrs.field(default=True, kw_only=True, converter=as_flag)
    """False: the venue cancels it when the connection ends (which it may notice only after 60 s).
    No effect on market orders."""

    def fields(self, assets: AssetTable) -> dict[str, object]:
        """Return the fields that go with the method."""
        fields = super().fields(assets)
        if not self.persist:
            fields["persist"] = False
        return fields


_REQUESTS = (
    GetBalances,
    GetOrders,
    EstimateMarketOrder,
    PlaceOrder,
    CancelOrder,
    CancelAllOrders,
    GetTradeVolume,
)

_READ_ONLY = (
    " (Version 1 is read-only since February 2021: it refuses every login with these words.)"
)


def venue(
    *, version: Literal[1, 2] = 2, assets: Iterable[Asset] = (), markets: Iterable[Market] = ()
) -> Venue:
    """Return Coinfloor as a venue; ``VENUE`` is ``venue()``.

    Args:
        version: 2, or 1 for the older interface, which has other decimals for XBT and is
            read-only.
        assets: assets that the table lacks.
        markets: pairs whose prices have a tick or a scale of their own.

    Raises:
        LocalProtocolError: there is no such version, or an asset contradicts the table.
    """
    live = {1: "wss://api.coinfloor.co.uk/", 2: "wss://apiv2.coinfloor.co.uk/"}
    if version not in live:
        raise LocalProtocolError(f"Coinfloor has the versions 1 and 2, not {version!r}")
    table = (ASSETS if version == 2 else ASSETS_V1).extended(assets, markets)
    return declare(
        Dialect(table, _REQUESTS, _READ_ONLY if version == 1 else ""),
        name="coinfloor" if version == 2 else "coinfloor-v1",
        url=live[version],
        urls={"live": live[version]},
        # One a second in the long run, a thousand at once after a rest.
        orders=Rate(1_000, per=1_000.0),
    )


VENUE = venue()
"""Coinfloor, version 2."""


async def find_order(client: Asks, *, tonce: int) -> Order | NotOpen:
    """Look for an own open order by its tonce, e.g. after an outcome was unknown.

    It only looks. What can be concluded:

    * An :class:`Order`: it was placed, and this much of it is still open.
    * :class:`NotOpen`: it was filled or cancelled (an order with ``persist=False`` dies with its
      connection), or it was never placed. To tell these apart, place the same order with the same
      tonce again: if it is accepted, it had not been placed before; if it is refused as a
      duplicate, it was placed before, *or* an order with a higher tonce was. Programs that let
      tonces rise and wait for each outcome before the next order can rule the latter out.

    Args:
        client: an open, logged-in client.
        tonce: of the order.

    Raises:
        RequestError: the question was not answered.
    """
    return await find_open(client, tonce)


__all__ = [
    # the venue
    "VENUE",
    "venue",
    "Credentials",
    "ASSETS",
    "ASSETS_V1",
    "Asset",
    "AssetTable",
    "Market",
    # requests
    "GetBalances",
    "GetOrders",
    "GetTradeVolume",
    "EstimateMarketOrder",
    "PlaceOrder",
    "CancelOrder",
    "CancelAllOrders",
    "find_order",
    # their replies
    "BalancesSnapshot",
    "Balance",
    "OrdersSnapshot",
    "Order",
    "TradedVolume",
    "Estimate",
    "OrderPlaced",
    "CancelledOrders",
    "NotOpen",
    # channels
    "OrderBook",
    "Ticker",
    "OwnOrders",
    "Balances",
    "TradeVolume",
    # their items
    "BookSnapshot",
    "BookOrder",
    "OrderOpened",
    "OrdersMatched",
    "OrderClosed",
    "TickerSnapshot",
    "BalanceChanged",
    "TradeVolumeChanged",
    # state that follows them
    "BalanceSheet",
    "OpenOrders",
    "TrackedOrder",
    "OrderState",
]
