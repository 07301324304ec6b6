"""CoinFLEX (version 1): what differs from the wire it shares with Coinfloor.

Amounts are exact (``Decimal``, ``int`` or text), assets go by name, sales have negative
quantities::

    from trioflex.venues import coinflex

    async with open_client(coinflex.VENUE, credentials=coinflex.Credentials.from_env()) as client:
        placed = await client.request(
            coinflex.PlaceOrder("XBT", "USDT", quantity="0.25", price="8650", tonce=17)
        )

Source: "coinflex-exchange/API" (WEBSOCKET-README.md, AUTH.md, SCALE.md, LIMITS.md, CONTRACTS.md),
as of April 2020.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from decimal import Decimal
from typing import ClassVar, Final

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
    OrderModified as OrderModified,
    OrderOpened as OrderOpened,
    OrdersMatched as OrdersMatched,
    TradeVolumeChanged as TradeVolumeChanged,
)
from ._floor.orders import (
    CancelAllOrders as CancelAllOrders,
    CancelOrder as CancelOrder,
    EstimateMarketOrder as EstimateMarketOrder,
    ModifyOrder as _ModifyOrder,
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

_SCALE = 10_000
"""Of every asset and of every pair's price (a few differed in early 2019)."""

_IDS = {
    "XBT": 0xF800,
    "BCH": 0xF808,
    "ETH": 0xF820,
    "USDC": 0xFF02,
    "USDT": 0xFF03,
    "FLEX": 0xFF05,
    "DOTF": 0xFF07,
    "USDTDOT": 0xFF08,
    "DFNF": 0xFF0A,
    "USDTDFN": 0xFF0B,
    "LIBF": 0xFF0F,
    "USDTLIB": 0xFF10,
    # Futures of the month of that name next to expire: the numbers carry no year.
    **{
        coin + month: first + n
        for coin, first in (
            ("XBT", 0xC800),
            ("BCH", 0xC814),
            ("ETH", 0xC828),
            ("USDC", 0xCA94),
            ("USDT", 0xCAA8),
        )
        for n, month in enumerate(_MONTHS)
    },
    # June 2020, the one set with a year.
    "XBTJUN20": 0x2715,
    "BCHJUN20": 0x2721,
    "ETHJUN20": 0x272D,
    "USDCJUN20": 0x2739,
    "USDTJUN20": 0x2745,
}

_TICKS = {
    ("XBT", "USDT"): "1",
    ("BCH", "USDT"): "0.25",
    ("ETH", "USDT"): "0.1",
    ("USDC", "USDT"): "0.001",
    ("FLEX", "USDT"): "0.005",
    ("DOTF", "USDTDOT"): "2",
    ("DFNF", "USDTDFN"): "0.05",
    ("LIBF", "USDTLIB"): "0.01",
    **{
        (coin + term, "USDT" + term): tick
        for coin, tick in (("XBT", "0.5"), ("BCH", "0.25"), ("ETH", "0.1"), ("USDC", "0.001"))
        for term in (*_MONTHS, "JUN20")
    },
    # The table says so, against 0.001 for its siblings; the live list may know better.
    ("USDCJUN20", "USDTJUN20"): "0.0001",
}

ASSETS = AssetTable(
    venue="CoinFLEX",
    assets={name: Asset(name, number, _SCALE) for name, number in _IDS.items()},
    price_scale=_SCALE,
    markets={pair: Market(*pair, tick=Decimal(tick)) for pair, tick in _TICKS.items()},
    other_scale=_SCALE,
)
"""The assets of the documents, with their numbers and scales, and the ticks of 60 pairs.

The live list is at ``/assets/`` and ``/markets/`` of the venue's HTTP interface.
"""


@attrs.frozen(init=False, repr=True)
class Credentials(_Credentials):
    """A CoinFLEX account's credentials; the passphrase is not kept once the key is derived.

    Args:
        user_id: the number shown as "User ID" or "Core ID".
        cookie: the text shown as "API key".
        passphrase: the site's login password, exactly as it is; or
        private_key: what the site shows as "Derived API Key", 28 bytes, as such or in Base64.

    ``from_env()`` reads COINFLEX_USER_ID, COINFLEX_COOKIE and either COINFLEX_PRIVATE_KEY or
    COINFLEX_PASSPHRASE.
    """

    prefix: ClassVar[str] = "COINFLEX"


class Persist(enum.Enum):
    """What ``PlaceOrder(persist=…)`` can be besides True and False."""

    IMMEDIATE_OR_CANCEL = "fill_or_kill"
    """Trade what can be traded at once, cancel the rest. The venue calls it fill_or_kill, but a
    partial fill is kept."""


IMMEDIATE_OR_CANCEL: Final = Persist.IMMEDIATE_OR_CANCEL
"""For ``PlaceOrder(persist=IMMEDIATE_OR_CANCEL)``: trade what can be traded at once."""


def _persist(value: bool | Persist) -> bool | Persist:
    if type(value) is not bool and not isinstance(value, Persist):
        raise LocalProtocolError(
            f"persist is True, False or IMMEDIATE_OR_CANCEL, not {value!r}"
            + (" (which cancels what cannot trade at once)" if value == "fill_or_kill" else "")
        )
    return value


@attrs.frozen
class PlaceOrder(NewOrder):
    """Place an order: ``quantity`` and ``price`` for a limit order, ``quantity`` alone or ``total``
    alone for a market order. Negative sells.

    The venue moves a price to the market's tick, a bid down and an ask up
    (``coinflex.ASSETS.on_tick``); :class:`OrderOpened` tells the result. A tonce must differ from
    those of your *open* orders only, so sending an order again after a lost connection may double
    it: see :func:`find_order`.
    """

    table: ClassVar[AssetTable | None] = ASSETS

    persist: bool | Persist = attrs.field(default=True, kw_only=True, converter=_persist)
    """True: it rests until it is filled or cancelled. False: the venue cancels it when the
    connection ends (which it may notice only after 60 s). ``IMMEDIATE_OR_CANCEL``: it never
    rests. No effect on market orders."""
    post_only: bool = attrs.field(default=False, kw_only=True, converter=as_flag)
    """Refuse the order if it would trade at once. Limit orders only."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.post_only and self.price is None:
            raise LocalProtocolError(
                "post_only is for limit orders: a market order always trades at once"
            )

    def fields(self, assets: AssetTable) -> dict[str, object]:
        """Return the fields that go with the method."""
        fields = super().fields(assets)
        if isinstance(self.persist, Persist):
            fields["persist"] = self.persist.value
        elif not self.persist:
            fields["persist"] = False
        if self.post_only:
            fields["post_only"] = True
        return fields


@attrs.frozen
class ModifyOrder(_ModifyOrder):
    """Change an open limit order in place.

    The order is named by ``id`` or by ``tonce``, exactly one of them; at least one of
    ``quantity_delta`` and ``price`` changes. Enlarging it, or another price, puts it at the back
    of the queue; shrinking it keeps its place; at 0, or beyond, it is cancelled.
    """

    table: ClassVar[AssetTable | None] = ASSETS


_REQUESTS = (
    GetBalances,
    GetOrders,
    EstimateMarketOrder,
    PlaceOrder,
    ModifyOrder,
    CancelOrder,
    CancelAllOrders,
    GetTradeVolume,
)

_LIVE = "wss://api.coinflex.com/v1"


def venue(*, assets: Iterable[Asset] = (), markets: Iterable[Market] = ()) -> Venue:
    """Return CoinFLEX as a venue; ``VENUE`` is ``venue()``.

    Args:
        assets: assets that the table lacks: the live list grows month by month.
        markets: pairs whose prices have a tick or a scale of their own.

    Raises:
        LocalProtocolError: an asset contradicts the table.
    """
    return declare(
        Dialect(ASSETS.extended(assets, markets), _REQUESTS),
        name="coinflex",
        url=_LIVE,
        urls={"live": _LIVE, "staging": "wss://stgapi.coinflex.com/v1"},
        orders=Rate(200, per=1.0),
    )


VENUE = venue()
"""CoinFLEX as its documents describe it."""


async def find_order(client: Asks, *, tonce: int) -> Order | NotOpen:
    """Look for an own open order by its tonce, e.g. after an outcome was unknown.

    It only looks. What can be concluded:

    * An :class:`Order`: it was placed, and this much of it is still open.
    * :class:`NotOpen`: it was filled or cancelled (an order with ``persist=False`` dies with its
      connection), or it was never placed. Sending it again is *not* safe: the venue refuses a
      tonce only while an order with it is open, so the second one would open beside a first one
      that has filled. The trade history of the venue's HTTP interface (``/trades/``) tells the
      two apart; so may :class:`Balances`.

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
    "Asset",
    "AssetTable",
    "Market",
    # requests
    "GetBalances",
    "GetOrders",
    "GetTradeVolume",
    "EstimateMarketOrder",
    "PlaceOrder",
    "Persist",
    "IMMEDIATE_OR_CANCEL",
    "ModifyOrder",
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
    "OrderModified",
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
