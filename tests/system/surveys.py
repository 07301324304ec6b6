"""What each venue's documents describe, in the order in which a client may try it.

A talk is made of requests and channels; refusals are the error codes and texts that the documents
name, as they reach the request that is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from tests.promises.venues import STAGES, Stage
from trioflex import RefusalKind as K
from trioflex.venues import coinflex, coinfloor, midchains, oceanex, theone
from trioflex.venues._floor.requests import KINDS as FLOOR_CODES
from trioflex.venues._oceanex.errors import MEANINGS
from trioflex.venues._theone import errors as theone_errors

STAGE = {stage.name: stage for stage in STAGES}


@attrs.frozen
class Refusal:
    """An error as the documents have it."""

    asked: Any
    """The request, or the channel, that is refused."""
    method: str
    """Its name on the wire."""
    code: str | int
    text: str
    kind: K


@attrs.frozen
class Survey:
    """A venue with all that its documents describe."""

    stage: Stage
    talk: Sequence[Any]
    methods: Sequence[str]
    """The names on the wire of all that the documents let a client send."""
    refusals: Sequence[Refusal]
    known: frozenset[str]
    """The codes and texts that the venue's own module knows."""
    options: Mapping[str, Any] = attrs.field(factory=dict)
    """Of the simulated exchange."""
    kept: Any = None
    """A channel that is subscribed while connections are lost."""


# -- CoinFLEX and Coinfloor ----------------------------------------------------------------------

_NO_PAIR = "You specified an invalid asset pair."
_NO_ORDER = "The specified order was not found."
_SYNTAX = (
    "Tonce must not be zero.",
    "Price must not be zero.",
    "Quantity must not be zero.",
    "Total must not be zero.",
    "Order total would overflow.",
    "You must specify either quantity or total for a market order.",
)


def _floor(module: Any, counter: str) -> Survey:
    flex = module is coinflex
    pair = ("XBT", counter)
    place, cancel = module.PlaceOrder(*pair, "0.1", 1000, tonce=1), module.CancelOrder(tonce=1)
    book, ticker = module.OrderBook(*pair), module.Ticker(*pair)
    estimate = module.EstimateMarketOrder(*pair, total=100)
    volume = module.GetTradeVolume("XBT")
    modify = [module.ModifyOrder(tonce=1, price=900)] if flex else []
    refusals = [
        Refusal(estimate, "EstimateMarketOrder", 1, _NO_PAIR, K.UNKNOWN_MARKET),
        Refusal(place, "PlaceOrder", 1, _NO_PAIR, K.UNKNOWN_MARKET),
        Refusal(book, "WatchOrders", 1, _NO_PAIR, K.UNKNOWN_MARKET),
        Refusal(ticker, "WatchTicker", 1, _NO_PAIR, K.UNKNOWN_MARKET),
        Refusal(cancel, "CancelOrder", 1, _NO_ORDER, K.NOT_FOUND),
        Refusal(place, "PlaceOrder", 3, "Tonce is out of sequence.", K.DUPLICATE),
        Refusal(place, "PlaceOrder", 4, "You have insufficient funds.", K.INSUFFICIENT_FUNDS),
        Refusal(place, "PlaceOrder", 5, "You have too many outstanding orders.", K.OTHER),
        Refusal(place, "PlaceOrder", 6, "You are sending orders too rapidly.", K.RATE_LIMITED),
        Refusal(
            volume,
            "GetTradeVolume",
            6,
            "You are making information requests too rapidly.",
            K.RATE_LIMITED,
        ),
        Refusal(volume, "GetTradeVolume", 7, "You are not authenticated.", K.NOT_AUTHENTICATED),
        *(Refusal(place, "PlaceOrder", 8, text, K.INVALID) for text in _SYNTAX),
        Refusal(cancel, "CancelOrder", 8, "You must specify either order ID or tonce.", K.INVALID),
    ]
    for change in modify:
        texts = "Quantity delta must not be zero.", "You must specify quantity delta and/or price."
        refusals += [
            Refusal(change, "ModifyOrder", 1, _NO_ORDER, K.NOT_FOUND),
            *(Refusal(change, "ModifyOrder", 8, text, K.INVALID) for text in texts),
            Refusal(
                change,
                "ModifyOrder",
                9,
                "Post-only order with these parameters would result in an immediate match.",
                K.OTHER,
            ),
        ]
    return Survey(
        stage=STAGE[module.VENUE.name],
        talk=[
            book,
            ticker,
            module.OwnOrders(),
            module.Balances(),
            module.TradeVolume(),
            module.GetBalances(),
            estimate,
            place,
            module.GetOrders(),
            *modify,
            cancel,
            module.PlaceOrder(*pair, "0.1", tonce=2),
            module.CancelAllOrders(),
            volume,
        ],
        methods=[
            *("Authenticate", "GetBalances", "GetOrders", "EstimateMarketOrder", "PlaceOrder"),
            *(["ModifyOrder"] if flex else []),
            *("CancelOrder", "CancelAllOrders", "GetTradeVolume", "WatchOrders", "WatchTicker"),
        ],
        refusals=refusals,
        known=frozenset(map(str, FLOOR_CODES)),
        options={"limits": None},
        kept=book,
    )


# -- MidChains -----------------------------------------------------------------------------------

_ADD = midchains.AddOrder("BTCUSD", "B", "0.01", "100")
_SPEND = midchains.AddOrder("BTCUSD", "B", order_type="MKT", amount="500")

_MIDCHAINS = Survey(
    stage=STAGE["midchains"],
    talk=[
        midchains.Book("BTCUSD"),
        midchains.Trades("BTCUSD"),
        midchains.Orders(),
        midchains.Sales(),
        midchains.Positions(),
        _ADD,
        midchains.QueryOrder("BTCUSD", "R00001"),
        midchains.QueryOrders("BTCUSD"),
        midchains.CancelOrder("BTCUSD", "R00001"),
        _SPEND,
        midchains.QueryTrades("BTCUSD"),
        midchains.QueryPositions("BTC"),
        midchains.QueryPendingPositions(),
    ],
    methods=[
        *("challenge", "login", "subscribe", "addorder", "cancelorder", "queryorder"),
        *("querymultiorders", "querytrade", "querypos", "querypendingpos", "logout"),
    ],
    refusals=[
        Refusal(_SPEND, "addorder", "", "cannot use qty for market buy order", K.INVALID),
        Refusal(
            midchains.CancelOrder("BTCUSD", "R00009"),
            "cancelorder",
            "",
            "order not found",
            K.NOT_FOUND,
        ),
        Refusal(
            midchains.QueryOrder("BTCUSD", "R00009"),
            "queryorder",
            "",
            "order not found",
            K.NOT_FOUND,
        ),
    ],
    known=frozenset(),
    kept=midchains.Book("BTCUSD"),
)

# -- OceanEx -------------------------------------------------------------------------------------

_BUY = oceanex.NewOrder("vetusdt", "buy", price="0.02", volume=1000)
_CODES = {
    K.OTHER: (-1, -2, -9, 1005, 3001, 3002),
    K.NOT_AUTHENTICATED: (
        *(1001, 1002, 1003, 1004, 1006, 1007, 1008, 1010, 1011, 2001, 9001, 9002, 9003),
    ),
    K.INVALID: (2002, 2003),
    K.NOT_FOUND: (2004, 2012),
}

_OCEANEX = Survey(
    stage=STAGE["oceanex"],
    talk=[
        oceanex.GetTime(),
        oceanex.GetMarkets(),
        oceanex.GetFees(),
        oceanex.GetTickers(["vetusdt"]),
        oceanex.GetOrderBook("vetusdt", level=2),
        oceanex.GetKline("vetusdt", limit=2, period=5),
        oceanex.GetAccount(),
        oceanex.NewOrder("vetusdt", "buy", price="0.03", volume=1000),
        oceanex.GetClosedOrder(1),
        _BUY,
        oceanex.GetOrder(2),
        oceanex.GetOpenOrders("vetusdt"),
        oceanex.CancelOrders(2),
        oceanex.CancelAllOrders(),
        oceanex.GetOrderHistory("vetusdt"),
    ],
    methods=[
        *("AuthHandler/login", "TickerHandler/index", "MarketsHandler/index"),
        *("FeeHandler/trading_fee", "AccountHandler/index", "OrderHandler/create"),
        *("OrderHandler/cancel", "OrderHandler/clear", "OrderHandler/index", "OrderHandler/show"),
        *("OrderHistoryHandler/show", "OrderHistoryHandler/index", "ToolHandler/timestamp"),
        *("OrderBookHandler/index", "KlineHandler/index", "pong"),
    ],
    refusals=[
        *(
            Refusal(_BUY, "OrderHandler/create", code, "", kind)
            for kind, codes in _CODES.items()
            for code in codes
        ),
        Refusal(
            _BUY,
            "OrderHandler/create",
            2002,
            "Account::AccountError: Cannot lock funds",
            K.INSUFFICIENT_FUNDS,
        ),
        Refusal(_BUY, "OrderHandler/create", -2, "Exceeding request Limit", K.RATE_LIMITED),
    ],
    known=frozenset(map(str, MEANINGS)),
)

# -- TheOne --------------------------------------------------------------------------------------

_SWAP = theone.Swap("1.5", "ETH", "USDT", client_order_id="a")
_TEXTS = {
    "Not authenticated": K.NOT_AUTHENTICATED,
    "Invalid signature": K.NOT_AUTHENTICATED,
    "Invalid API key": K.NOT_AUTHENTICATED,
    "Request timestamp outside allowed window": K.INVALID,
    "Nonce has already been used or is expired": K.INVALID,
    "Unknown operation: swap": K.INVALID,
}
_REST = {
    "UNAUTHORIZED": K.NOT_AUTHENTICATED,
    "INVALID_REQUEST": K.INVALID,
    "INTERNAL_ERROR": K.OTHER,
    "NOT_FOUND": K.NOT_FOUND,
    "RATE_LIMIT": K.RATE_LIMITED,
    "INVALID_SIGNATURE": K.NOT_AUTHENTICATED,
    "EXPIRED_REQUEST": K.INVALID,
    "INVALID_NONCE": K.INVALID,
    "MISSING_API_KEY": K.NOT_AUTHENTICATED,
    "DUPLICATE_REQUEST": K.DUPLICATE,
    "SWAP_ERROR": K.OTHER,
    "INSUFFICIENT_BALANCE": K.INSUFFICIENT_FUNDS,
    "INVALID_AMOUNT": K.INVALID,
    "RATE_LIMIT_EXCEEDED": K.RATE_LIMITED,
    "ORDER_NOT_FOUND": K.NOT_FOUND,
}

_THEONE = Survey(
    stage=STAGE["theone"],
    talk=[
        theone.Balances(),
        theone.GetBalances(),
        theone.Estimate("1.5", "ETH", "USDT"),
        _SWAP,
        theone.Order("ord_000001"),
        theone.GetOrderStatus("a"),
    ],
    methods=["auth", "subscribe", "unsubscribe", "balances", "estimate", "swap", "order_status"],
    refusals=[
        *(Refusal(_SWAP, "swap", "", text, kind) for text, kind in _TEXTS.items()),
        *(Refusal(_SWAP, "swap", code, "why not", kind) for code, kind in _REST.items()),
        Refusal(theone.Order("odd"), "subscribe", "", "Invalid channel format", K.INVALID),
    ],
    known=frozenset(
        text.lower()
        for table in (theone_errors._TEXTS, theone_errors._CODES, theone_errors._CODE_KINDS)
        for text in table
    ),
    kept=theone.Balances(),
)

SURVEYS = {
    survey.stage.name: survey
    for survey in (
        _floor(coinflex, "USDT"),
        _floor(coinfloor, "GBP"),
        _MIDCHAINS,
        _OCEANEX,
        _THEONE,
    )
}
