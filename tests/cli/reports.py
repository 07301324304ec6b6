"""One report of each kind, for the tests of what they look like."""

from __future__ import annotations

from decimal import Decimal as D

from trioflex.cli.report import (
    Balance,
    Book,
    Connected,
    Disconnected,
    Fill,
    GapReport,
    Item,
    Order,
    ResumedReport,
    Retrying,
    Summary,
    Ticker,
    Trade,
)

CONNECTED = Connected(at=0.0, venue="coinflex", market="XBT:USDT", account="1", connection=1)
BOOK = Book(
    at=0.5,
    market="XBT:USDT",
    bids=tuple((D("7412.5") - i, D("0.3") + i) for i in range(30)),
    asks=tuple((D("7413.5") + i, D("0.2") + i) for i in range(30)),
)
TICKER = Ticker(
    at=0.6,
    market="XBT:USDT",
    bid=D("7412.5"),
    ask=D("7413.50"),
    last=None,
    low=D("7E+3"),
    high=D(7500),
    volume=D("123.4567"),
)
BALANCES = [
    Balance(at=0.7, asset="XBT", available=D("1000.5")),
    Balance(at=0.7, asset="USDT", available=D("1000000.25")),
]
OPEN = Order(
    at=1.0,
    tonce=7,
    side="buy",
    quantity=D("0.5"),
    remaining=D("0.25"),
    price=D(7400),
    state="open",
    order_id=101,
)
UNKNOWN = Order(
    at=2.0,
    tonce=8,
    side="sell",
    quantity=D("0.5"),
    remaining=D("0.5"),
    price=D(7600),
    state="unknown",
    note="sent and not answered",
)
FILL = Fill(at=1.5, order_id=101, side="buy", quantity=D("0.25"), price=D(7400))
GAPS = [
    GapReport(at=3.0, channel=channel, reason="disconnected", connection=1)
    for channel in ("order book", "ticker")
]
RESUMED = [
    ResumedReport(at=3.6, channel=channel, snapshot=True, downtime=0.61)
    for channel in ("order book", "ticker")
]
SUMMARY = Summary(
    at=8.0,
    seconds=8.0,
    connections=2,
    book_updates=412,
    tickers=33,
    orders=9,
    fills=1,
    gaps=4,
    resumed=4,
    downtime=0.61,
    recovered=1,
    unsettled=0,
)
LOST = [Disconnected(at=3.0, connection=1, reason="cut"), Retrying(at=3.0, delay=0.5)]
TRADE = Trade(at=4.0, market="XBT:USDT", price=D(7400), quantity=D("0.25"), side="sell")
ITEM = Item(at=4.0, channel="OwnOrders", kind="OrderOpened", value={"id": 1, "tonce": None})
ALL = [
    CONNECTED, BOOK, TICKER, *BALANCES, OPEN, UNKNOWN, FILL, *GAPS, *RESUMED, *LOST, TRADE, ITEM,
    SUMMARY,
]  # fmt: skip
