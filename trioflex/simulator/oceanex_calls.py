"""What can be called at the simulated OceanEx: fourteen actions of nine handlers, and their rows.

Source of handlers, arguments and rows: "OceanEx/ocean-websocket-client", user guide 0.5 and
``src/ws_client.py``; "api.oceanex.pro/doc/v1".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from .book import Side
from .oceanex_listing import FEE_RATE, LISTINGS, SCALES, Listing, text
from .oceanex_order import SimulatedOrder
from .oceanex_request import (
    BAD_REQUEST,
    CANCEL_REFUSED,
    NO_SUCH_ORDER,
    ORDER_REFUSED,
    PERIODS,
    Complaint,
    Json,
    first,
    order_id,
    whole,
    wish_of,
    word,
)
from .oceanex_tape import Bar

if TYPE_CHECKING:
    from .oceanex import OceanExModel

LEVELS = 300
"""Rows on each side of a book where none are asked for ("api.oceanex.pro/doc/v1")."""

CANDLES = 30
"""Rows of a K-line where none are asked for (the user guide)."""

PER = 100
"""Orders of a page where none are asked for; the documents do not say."""

QUERY, TRADE = "query", "sell/buy"
"""What a key has to be allowed for a call."""

SCOPES: Mapping[str, str] = {
    "AccountHandler/index": QUERY,
    "OrderHandler/create": TRADE,
    "OrderHandler/cancel": TRADE,
    "OrderHandler/clear": TRADE,
    "OrderHandler/index": QUERY,
    "OrderHandler/show": QUERY,
    "OrderHistoryHandler/show": QUERY,
    "OrderHistoryHandler/index": QUERY,
}
"""Calls that need a login, and the scope that they need."""

CLASSES: Mapping[str, str] = {
    "TickerHandler/index": "GetTickers",
    "MarketsHandler/index": "GetMarkets",
    "FeeHandler/trading_fee": "GetFees",
    "ToolHandler/timestamp": "GetTime",
    "OrderBookHandler/index": "GetOrderBook",
    "KlineHandler/index": "GetKline",
    "AccountHandler/index": "GetAccount",
    "OrderHandler/create": "NewOrder",
    "OrderHandler/cancel": "CancelOrders",
    "OrderHandler/clear": "CancelAllOrders",
    "OrderHandler/index": "GetOpenOrders",
    "OrderHandler/show": "GetOrder",
    "OrderHistoryHandler/show": "GetClosedOrder",
    "OrderHistoryHandler/index": "GetOrderHistory",
}
"""The client's classes for the calls."""


class Calls:
    """Carries the calls out.

    Args:
        model: the venue.
    """

    def __init__(self, model: OceanExModel) -> None:
        self._model = model
        self._desk = model.desk
        self._rest = model.other_shapes
        self.public: Mapping[str, Callable[[Json], object]] = {
            "TickerHandler/index": self._tickers,
            "MarketsHandler/index": self._markets,
            "FeeHandler/trading_fee": self._fees,
            "ToolHandler/timestamp": self._time,
            "OrderBookHandler/index": self._book,
            "KlineHandler/index": self._kline,
        }
        """By name; they take the arguments and return the data."""
        self.private: Mapping[str, Callable[[Json, str], object]] = {
            "AccountHandler/index": self._accounts,
            "OrderHandler/create": self._create,
            "OrderHandler/cancel": self._cancel,
            "OrderHandler/clear": self._clear,
            "OrderHandler/index": self._open_orders,
            "OrderHandler/show": self._open_order,
            "OrderHistoryHandler/show": self._closed_order,
            "OrderHistoryHandler/index": self._history,
        }
        """By name; they also take who is asking."""

    # -- public --------------------------------------------------------------------------------

    def _time(self, args: Json) -> object:
        return self._model.clock() // 1_000_000

    def _markets(self, args: Json) -> object:
        number: Callable[[int], object] = str if self._rest else int
        return [
            {
                "id": each.id,
                "name": each.name,
                "display_name": each.name,
                "group": each.quote.upper(),
                "enabled": True,
                "ask_precision": number(8),
                "bid_precision": number(8),
                "price_precision": number(each.price_precision),
                "amount_precision": number(each.amount_precision),
                "usd_precision": number(4),
                "minimum_trading_amount": f"{each.minimum:f}",
            }
            for each in LISTINGS.values()
        ]

    def _fees(self, args: Json) -> object:
        fee = {"type": "relative", "value": str(FEE_RATE)}
        name = "market" if self._rest else "market_id"
        return [{name: market, "ask_fee": fee, "bid_fee": fee} for market in LISTINGS]

    def _tickers(self, args: Json) -> object:
        wanted = first(args, "markets", "market_ids")
        if wanted is not None and not isinstance(wanted, list):
            raise Complaint(BAD_REQUEST, "markets does not have a valid value")
        return {
            market: self._ticker(position, listing)
            for position, (market, listing) in enumerate(LISTINGS.items(), 1)
            if wanted is None or market in wanted
        }

    def _ticker(self, position: int, listing: Listing) -> Json:
        now = self._model.clock() // 1_000_000
        engine, market = self._desk.engine, self._desk.markets[listing.id]
        book = engine.book(market.base, market.counter)
        day = self._desk.tapes[listing.id].day(now)

        change = Decimal(0) if day is None else Decimal(day.close - day.open) * 100 / day.open
        day = day or Bar(now, 0, 0, 0, 0, 0, 0)

        def price(units: int | None) -> str:
            return text(units or 0, listing.price_scale)

        row: Json = {
            "name": listing.name,
            "display_name": listing.name,
            "base_unit": listing.base,
            "quote_unit": listing.quote,
            "position": position,
            "first": price(day.open),
            "open": price(day.open),
            "last": price(self._desk.tapes[listing.id].last),
            "high": price(day.high),
            "low": price(day.low),
            "buy": price(book.bids.best_price()),
            "sell": price(book.asks.best_price()),
            "volume": text(day.volume, listing.base_scale),
            "funds": text(day.funds, listing.quote_scale),
            "h24_trend": f"{change:.2f}",
            "at": now,
        }
        if self._rest:
            del row["first"], row["funds"]
        return row

    def _book(self, args: Json) -> object:
        listing = self._listing(args)
        level = whole(args, "level") or LEVELS
        precision = min(whole(args, "precision") or 8, listing.price_precision)
        market = self._desk.markets[listing.id]
        book = self._desk.engine.book(market.base, market.counter)
        bids = _levels(book.bids, listing, precision, bid=True)[:level]
        asks = _levels(book.asks, listing, precision, bid=False)[:level]
        # The REST documents have both sides fall, the feed of old has asks rise.
        return {"asks": asks if self._rest else asks[::-1], "bids": bids}

    def _kline(self, args: Json) -> object:
        listing = self._listing(args)
        period = whole(args, "period") or 1
        if period not in PERIODS:
            raise Complaint(BAD_REQUEST, "period does not have a valid value")
        bars = self._desk.tapes[listing.id].candles(
            period * 60,
            whole(args, "limit") or CANDLES,
            whole(args, "start_time", least=0),
            whole(args, "end_time", least=0),
        )

        def number(units: int, scale: int) -> msgspec.Raw:
            return msgspec.Raw(text(units, scale).encode())

        return [
            [
                bar.start,
                *(number(n, listing.price_scale) for n in (bar.open, bar.high, bar.low, bar.close)),
                number(bar.volume, listing.base_scale),
            ]
            for bar in bars
        ]

    def _listing(self, args: Json, code: int = BAD_REQUEST) -> Listing:
        market = first(args, "market", "market_id")
        if not isinstance(market, str) or market not in LISTINGS:
            raise Complaint(code, "market does not have a valid value")
        return LISTINGS[market]

    # -- private -------------------------------------------------------------------------------

    def _accounts(self, args: Json, uid: str) -> object:
        return {"accounts": [self._account(uid, currency) for currency in SCALES]}

    def _account(self, uid: str, currency: str) -> Json:
        free, locked = self._desk.balance(uid, currency)
        scale = SCALES[currency]
        row: Json = {
            "currency": currency,
            "balance": text(free, scale),
            "locked": text(locked, scale),
        }
        if self._rest:
            return row
        worth = Decimal(free + locked) / scale * self._dollars(currency) / self._dollars("btc")
        return row | {
            "type": "coin",
            "btc_equivalent_balance": text(int(worth * 10**8), 10**8),
            "deposit": "enabled",
            "withdraw": "enabled",
            "exchange": "enabled",
            "is_combination_address": False,
            "markets": [
                {
                    "base_unit": each.base,
                    "quote_unit": each.quote,
                    "display_name": each.name,
                }
                for each in LISTINGS.values()
                if currency in (each.base, each.quote)
            ],
        }

    def _dollars(self, currency: str) -> Decimal:
        if currency == "usdt":
            return Decimal(1)
        market = f"{currency}usdt"
        return Decimal(self._desk.price(market)) / LISTINGS[market].price_scale

    def _create(self, args: Json, uid: str) -> object:
        if not self._model.allow_order(uid):
            raise Complaint(ORDER_REFUSED, "Exceeding request Limit")
        listing = self._listing(args, ORDER_REFUSED)
        wish = wish_of(args, listing.id, listing.price_precision, listing.amount_precision)
        return self._row(self._desk.create(uid, wish))

    def _cancel(self, args: Json, uid: str) -> object:
        ids = args.get("ids")
        if not isinstance(ids, list) or not ids:
            raise Complaint(CANCEL_REFUSED, "ids does not have a valid value", {"ids": []})
        return self._desk.cancel(uid, [order_id(each, CANCEL_REFUSED) for each in ids])

    def _clear(self, args: Json, uid: str) -> object:
        return self._desk.clear(uid)

    def _open_order(self, args: Json, uid: str) -> object:
        return self._shown(args, uid, is_open=True)

    def _closed_order(self, args: Json, uid: str) -> object:
        return self._shown(args, uid, is_open=False)

    def _shown(self, args: Json, uid: str, *, is_open: bool) -> object:
        order = self._desk.find(uid, order_id(args.get("id"), NO_SUCH_ORDER), is_open=is_open)
        return self._row(order) | {"trades": order.trades(rest=self._rest)}

    def _open_orders(self, args: Json, uid: str) -> object:
        kinds = ("limit", "market", "stop_limit")
        kind = word(args, "ord_type", "order_type", allowed=kinds)
        orders = self._desk.listed(uid, self._listing(args).id, is_open=True)
        return self._page(args, [each for each in orders if kind in (None, each.ord_type)])

    def _history(self, args: Json, uid: str) -> object:
        state = word(args, "state", allowed=("cancel", "done"))
        since, until = whole(args, "start_time", least=0), whole(args, "end_time", least=0)
        orders = self._desk.listed(uid, self._listing(args).id, is_open=False)
        return self._page(
            args,
            [
                each
                for each in orders
                if state in (None, self._desk.state(each))
                and (since is None or since <= each.created_at // 1_000_000)
                and (until is None or each.created_at // 1_000_000 <= until)
            ],
        )

    def _page(self, args: Json, orders: list[SimulatedOrder]) -> Json:
        """Return a page of orders, the newest first unless it is to be otherwise."""
        if word(args, "order_by", allowed=("asc", "desc")) != "asc":
            orders.reverse()
        page, per = whole(args, "page") or 1, whole(args, "per") or PER
        per = min(per, self._model.page_most or per)
        rows = orders[(page - 1) * per : page * per]
        return {"resources": [self._row(each) for each in rows], "resources_count": len(orders)}

    def _row(self, order: SimulatedOrder) -> Json:
        return order.row(self._desk.state(order), rest=self._rest)


def _levels(side: Side, listing: Listing, precision: int, *, bid: bool) -> list[list[str]]:
    """Return the levels of a side, best first; prices are rounded away from the other side."""
    step = int(10 ** (listing.price_precision - precision))
    sums: dict[int, int] = {}
    for order in side:
        price = order.price // step * step if bid else -(-order.price // step) * step
        sums[price] = sums.get(price, 0) + order.quantity
    return [
        [text(price, listing.price_scale), text(quantity, listing.base_scale)]
        for price, quantity in sums.items()
    ]
