"""Every request and every channel of each venue: what sessions are recorded of, to be fuzzed."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from trioflex.protocol import Channel, Request
from trioflex.venues import coinflex, coinfloor, midchains, oceanex, theone

Talk = list[Request[Any] | Channel[Any]]


def _floor(module: Any, counter: str) -> Talk:
    return [
        module.OrderBook("XBT", counter),
        module.Ticker("XBT", counter),
        module.OwnOrders(),
        module.Balances(),
        module.TradeVolume(),
        module.GetBalances(),
        module.GetOrders(),
        module.GetTradeVolume("XBT"),
        module.EstimateMarketOrder("XBT", counter, total=100),
        module.PlaceOrder("XBT", counter, "0.1", 1000, tonce=1),
        *([module.ModifyOrder(tonce=1, price=900)] if module is coinflex else []),
        module.PlaceOrder("XBT", counter, "0.1", tonce=2),
        module.CancelOrder(99_999_999),
        module.CancelAllOrders(),
    ]


TALKS: dict[str, tuple[ModuleType, dict[str, Any], Talk]] = {
    "coinflex": (coinflex, {"limits": None}, _floor(coinflex, "USDT")),
    "coinfloor": (coinfloor, {"limits": None}, _floor(coinfloor, "GBP")),
    "midchains": (
        midchains,
        {},
        [
            midchains.Book("*"),
            midchains.Trades("BTCUSD"),
            midchains.Orders(),
            midchains.Sales(),
            midchains.Positions(),
            midchains.AddOrder("BTCUSD", "B", "0.01", "100", client_order_id="a"),
            midchains.QueryOrders(),
            midchains.QueryOrder("BTCUSD", "R00001"),
            midchains.QueryTrades(),
            midchains.QueryPositions(),
            midchains.QueryPendingPositions(),
            midchains.CancelOrder("BTCUSD", "R00001"),
        ],
    ),
    "oceanex": (
        oceanex,
        {},
        [
            oceanex.GetTime(),
            oceanex.GetMarkets(),
            oceanex.GetFees(),
            oceanex.GetTickers(["vetusdt"]),
            oceanex.GetOrderBook("vetusdt", level=2),
            oceanex.GetKline("vetusdt", limit=2, period=5),
            oceanex.GetAccount(),
            oceanex.NewOrder("vetusdt", "buy", price="0.03", volume=1000),
            oceanex.GetClosedOrder(1),
            oceanex.NewOrder("vetusdt", "buy", price="0.02", volume=1000),
            oceanex.GetOrder(2),
            oceanex.GetOpenOrders("vetusdt"),
            oceanex.CancelOrders(2),
            oceanex.CancelAllOrders(),
            oceanex.GetOrderHistory("vetusdt"),
            oceanex.GetOrder(99),
        ],
    ),
    "theone": (
        theone,
        {},
        [
            theone.Balances(),
            theone.GetBalances(),
            theone.Estimate("1.5", "ETH", "USDT"),
            theone.Swap("1.5", "ETH", "USDT", client_order_id="a"),
            theone.Order("ord_000001"),
            theone.GetOrderStatus("a"),
            theone.GetOrderStatus("nobody"),
        ],
    ),
}
"""Venue to its module, the options of its simulated exchange, and what is asked there."""
