"""OceanEx: a query API, with an RSA-signed login. It pushes nothing; poll what you follow.

Amounts are exact (``Decimal``, ``int`` or text), markets go by id::

    from trioflex.venues import oceanex

    credentials = oceanex.Credentials.from_pem("ID4…", "KID…", Path("key.pem").read_bytes())
    async with open_client(oceanex.VENUE, credentials=credentials) as client:
        markets = await client.request(oceanex.GetMarkets())
        order = oceanex.NewOrder("vetusdt", oceanex.Side.BUY, price="0.0255", volume=1000)
        placed = await client.request(order)
        async with client.poll(oceanex.GetOrderBook("vetusdt", level=5), every=2) as books:
            async for book in books:
                print(book)

Source: "OceanEx/ocean-websocket-client" (README, ``src/ws_client.py``, user guide 0.5 of July
2020), "api.oceanex.pro/doc/v1". Where guide and client disagree, the client is followed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from .._vocabulary.errors import LocalProtocolError
from .._vocabulary.settings import Keepalive, Rate, Reconnect
from ..protocol import Correlation, Venue
from ._oceanex.clock import clock_offset_ms as clock_offset_ms
from ._oceanex.credentials import Credentials as Credentials
from ._oceanex.find import (
    closed_orders as closed_orders,
    find_lost_order as find_lost_order,
    find_order as find_order,
)
from ._oceanex.privacy import redact
from ._oceanex.replies import (
    Account as Account,
    Book as Book,
    Candle as Candle,
    Fee as Fee,
    FeeRate as FeeRate,
    Level as Level,
    Market as Market,
    Order as Order,
    Orders as Orders,
    Side as Side,
    Ticker as Ticker,
    Trade as Trade,
)
from ._oceanex.requests import (
    ORDERS,
    PERIODS as PERIODS,
    CancelAllOrders as CancelAllOrders,
    CancelOrders as CancelOrders,
    GetAccount as GetAccount,
    GetClosedOrder as GetClosedOrder,
    GetFees as GetFees,
    GetKline as GetKline,
    GetMarkets as GetMarkets,
    GetOpenOrders as GetOpenOrders,
    GetOrder as GetOrder,
    GetOrderBook as GetOrderBook,
    GetOrderHistory as GetOrderHistory,
    GetTickers as GetTickers,
    GetTime as GetTime,
    NewOrder as NewOrder,
    Wording,
)
from ._oceanex.session import NAME, OceanExSession, Settings


def venue(
    *,
    stringify: bool = False,
    numbers_as_strings: bool = False,
    documented_keys: bool = False,
    check_orders: bool = True,
    markets: Iterable[Market] = (),
    clock_offset_ms: int = 0,
) -> Venue:
    """Return OceanEx as a venue; ``VENUE`` is ``venue()``.

    Args:
        stringify: send ``identifier`` and ``data`` as JSON text inside strings.
        numbers_as_strings: send price and volume as text instead of JSON numbers.
        documented_keys: send ``market_id`` and ``market_ids``, as the user guide has it, instead
            of ``market`` and ``markets``, as the venue's client does.
        check_orders: compare new orders with the rules of their market before they are sent, as
            soon as these are known: from ``markets``, or a reply to :class:`GetMarkets` on the
            same connection. What fails is :class:`trioflex.NotSent`.
        markets: rules known already.
        clock_offset_ms: milliseconds that the venue's clock is ahead of ours;
            :func:`clock_offset_ms` computes it.

    Raises:
        LocalProtocolError: ``clock_offset_ms`` is not an integer.
    """
    if type(clock_offset_ms) is not int:
        raise LocalProtocolError(
            f"oceanex: clock_offset_ms is an integer of milliseconds, not {clock_offset_ms!r}"
        )
    settings = Settings(
        wording=Wording(
            stringify=stringify,
            numbers_as_strings=numbers_as_strings,
            documented_keys=documented_keys,
        ),
        check_orders=check_orders,
        markets={market.id: market for market in markets},
        clock_offset_ms=clock_offset_ms,
    )
    return Venue(
        name=NAME,
        url="wss://ws.oceanex.pro/ws/v1",
        urls={
            "production": "wss://ws.oceanex.pro/ws/v1",
            "alternate": "wss://ws.oceanex.cc/ws/v1",
        },
        session=partial(OceanExSession, settings),
        requests=(
            GetTickers,
            GetMarkets,
            GetFees,
            GetAccount,
            NewOrder,
            CancelOrders,
            CancelAllOrders,
            GetOpenOrders,
            GetOrder,
            GetClosedOrder,
            GetOrderHistory,
            GetTime,
            GetOrderBook,
            GetKline,
        ),
        correlation=Correlation.BY_KEY,
        # The venue's client: a Ping after 60 s, given up 30 s later. Death by silence comes from
        # the interval in the welcome.
        keepalive=Keepalive(ping_after=60.0, pong_within=30.0),
        reconnect=Reconnect(base=1.0, cap=32.0, give_up_after=None),
        # REST: 3000 requests and 1200 orders a minute; together these two are 50 a second.
        rates={"default": Rate(30), ORDERS: Rate(20)},
        redact=redact,
    )


VENUE = venue()
"""OceanEx as its own client speaks to it."""


__all__ = [
    "PERIODS",
    "VENUE",
    "Account",
    "Book",
    "CancelAllOrders",
    "CancelOrders",
    "Candle",
    "Credentials",
    "Fee",
    "FeeRate",
    "GetAccount",
    "GetClosedOrder",
    "GetFees",
    "GetKline",
    "GetMarkets",
    "GetOpenOrders",
    "GetOrder",
    "GetOrderBook",
    "GetOrderHistory",
    "GetTickers",
    "GetTime",
    "Level",
    "Market",
    "NewOrder",
    "Order",
    "Orders",
    "Side",
    "Ticker",
    "Trade",
    "clock_offset_ms",
    "closed_orders",
    "find_lost_order",
    "find_order",
    "venue",
]
