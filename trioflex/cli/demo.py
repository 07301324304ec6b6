"""``trioflex demo``: a simulated exchange and a client that trades on it, in one process.

What is shown comes from receivers and tickets alone. The exchange is touched in two places: it lets
the other participants trade, and in the middle it cuts the line, with an order in flight.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import TypeAlias

import attrs
import trio
from rich.console import Console
from rich.live import Live

import trioflex
from trioflex import Gap, Overflow, Resumed
from trioflex.book import OrderBook
from trioflex.simulator import SimulatedExchange, open_exchange
from trioflex.venues import coinflex

from .lines import JsonLines, PlainLines
from .report import (
    Audience,
    Balance,
    Book,
    Connected,
    Fill,
    GapReport,
    Order,
    ResumedReport,
    Summary,
    Ticker,
)
from .screen import Screen

BalanceItem: TypeAlias = coinflex.BalancesSnapshot | coinflex.BalanceChanged
BookItem: TypeAlias = (
    coinflex.BookSnapshot
    | coinflex.OrderOpened
    | coinflex.OrderModified
    | coinflex.OrdersMatched
    | coinflex.OrderClosed
)
OwnOrderItem: TypeAlias = (
    coinflex.OrdersSnapshot
    | coinflex.OrderOpened
    | coinflex.OrderModified
    | coinflex.OrdersMatched
    | coinflex.OrderClosed
)

BASE, COUNTER = "XBT", "USDT"
MARKET = f"{BASE}:{COUNTER}"

CUT_AT = 0.45
"""Where in the run the line is cut: late enough to have seen the market, early enough to see it
come back."""

BOOK_EVERY = 0.2
"""Seconds between two books that are reported: as fast as anybody can look."""

LEVELS = 20
"""Of each side that are reported: what the tallest terminals show."""

ORDER_EVERY = 0.5
"""Seconds between two orders of ours."""

MOST_OPEN = 4
"""Orders of ours that rest in the book before the oldest is cancelled: what 24 lines show."""

SIZE = Decimal("0.05")
REACH = Decimal(25)
"""How far behind the best price the order stands that is in flight when the line is cut: it must
still be there when the line is back."""

LOGIN_TAKES = 0.6
"""Seconds for the login after the cut: a gap that nobody could see would show nothing."""

RECONNECT = trioflex.Reconnect(base=0.5)
"""Sooner than by default, so that a few seconds hold all of it."""

FRAMES = 10
"""Pictures a second."""


class Watcher(trioflex.Observer):
    """Hears from the client when it is ready."""

    def __init__(self, tell: Callable[[int, str | None], None]) -> None:
        self._tell = tell

    def ready(self, connection: int, account: str | None, seconds: float) -> None:
        """Pass it on."""
        self._tell(connection, account)


class Demo:
    """One run: follows receivers and tickets, and reports what they deliver.

    Args:
        exchange: where it trades; its order flow is somebody else's business.
        audience: who is told.
        began: when, on Trio's clock.
        seconds: how long it runs.
    """

    def __init__(
        self, exchange: SimulatedExchange, audience: Audience, began: float, seconds: float
    ) -> None:
        self._exchange = exchange
        self._audience = audience
        self._began = began
        self._seconds = seconds
        self._book = OrderBook()
        self._orders: dict[int, Order] = {}
        self._tonces = itertools.count(1)
        self._count: Counter[str] = Counter()
        self._book_lost: float | None = None
        self._downtime = 0.0

    def now(self) -> float:
        """Seconds since it began."""
        return trio.current_time() - self._began

    async def run(self) -> None:
        """Trade for as long as was asked for, and sum it up."""
        async with trioflex.open_client(
            coinflex.VENUE,
            credentials=coinflex.Credentials.from_env(self._exchange.model.credentials()),
            connector=self._exchange.connector,
            reconnect=RECONNECT,
            observer=Watcher(self._connected),
        ) as client:
            async with self._following(client) as nursery:
                nursery.start_soon(self._trade, client)
                await trio.sleep_until(self._began + self._seconds)
                nursery.cancel_scope.cancel()
            self._sum_up(len(client.unsettled))

    # -- following -----------------------------------------------------------------------------

    @asynccontextmanager
    async def _following(self, client: trioflex.Client) -> AsyncIterator[trio.Nursery]:
        """Subscribe to what is shown, and follow it in the background."""
        async with (
            client.subscribe(coinflex.OrderBook(BASE, COUNTER)) as book,
            client.subscribe(coinflex.Ticker(BASE, COUNTER), overflow=Overflow.LATEST) as ticker,
            client.subscribe(coinflex.Balances()) as balances,
            client.subscribe(coinflex.OwnOrders(), overflow=Overflow.FAIL) as own,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._follow_book, book)
            nursery.start_soon(self._follow_ticker, ticker)
            nursery.start_soon(self._follow_balances, balances)
            nursery.start_soon(self._follow_own_orders, own)
            yield nursery

    async def _follow_book(self, receiver: trioflex.Receiver[BookItem]) -> None:
        due = 0.0
        async for item in receiver:
            self._book.apply(item)
            match item:
                case Gap():
                    self._book_lost = trio.current_time()
                    self._gap("order book", item)
                    continue
                case Resumed():
                    self._resumed("order book", item)
                    due = 0.0
                case _:
                    self._count["book"] += 1
                    self._book_is_back()
            if self._book.valid and not self._book.crossed and trio.current_time() >= due:
                due = trio.current_time() + BOOK_EVERY
                self._audience.show(
                    Book(
                        at=self.now(),
                        market=MARKET,
                        bids=tuple((x.price, x.quantity) for x in self._book.bids[:LEVELS]),
                        asks=tuple((x.price, x.quantity) for x in self._book.asks[:LEVELS]),
                    )
                )

    def _book_is_back(self) -> None:
        if self._book_lost is not None:
            self._downtime += trio.current_time() - self._book_lost
            self._book_lost = None

    async def _follow_ticker(self, receiver: trioflex.Receiver[coinflex.TickerSnapshot]) -> None:
        async for item in receiver:
            match item:
                case Gap():
                    self._gap("ticker", item)
                case Resumed():
                    self._resumed("ticker", item)
                case ticker:
                    self._count["ticker"] += 1
                    self._audience.show(
                        Ticker(
                            at=self.now(),
                            market=MARKET,
                            bid=ticker.bid,
                            ask=ticker.ask,
                            last=ticker.last,
                            low=ticker.low,
                            high=ticker.high,
                            volume=ticker.volume,
                        )
                    )

    async def _follow_balances(self, receiver: trioflex.Receiver[BalanceItem]) -> None:
        async for item in receiver:
            match item:
                case Gap():
                    self._gap("balances", item)
                case Resumed():
                    self._resumed("balances", item)
                case coinflex.BalancesSnapshot():
                    for asset in (BASE, COUNTER):
                        self._balance(asset, item[asset].available)
                case coinflex.BalanceChanged():
                    self._balance(item.asset, item.available)

    def _balance(self, asset: str, available: Decimal) -> None:
        self._audience.show(Balance(at=self.now(), asset=asset, available=available))

    async def _follow_own_orders(self, receiver: trioflex.Receiver[OwnOrderItem]) -> None:
        async for item in receiver:
            match item:
                case Gap():
                    self._gap("own orders", item)
                case Resumed():
                    self._resumed("own orders", item)
                case coinflex.OrdersSnapshot():
                    self._compare({order.tonce: order for order in item})
                case coinflex.OrderOpened(tonce=int(tonce)):
                    self._update(tonce, "open", order_id=item.id, remaining=abs(item.quantity))
                case coinflex.OrdersMatched():
                    self._filled(item)
                case coinflex.OrderClosed(tonce=int(tonce)):
                    left = abs(item.quantity)
                    self._update(tonce, "cancelled" if left else "filled", remaining=left)

    def _compare(self, there: dict[int | None, coinflex.Order]) -> None:
        """Hold what was known of own orders against what the venue says is open."""
        for tonce, order in list(self._orders.items()):
            if tonce in there:
                found = there[tonce]
                if order.state != "open" or order.remaining != abs(found.quantity):
                    self._update(tonce, "open", order_id=found.id, remaining=abs(found.quantity))
            elif order.state == "open":
                self._update(tonce, "gone", "it is not open any more")

    def _filled(self, match: coinflex.OrdersMatched) -> None:
        sides = (
            ("buy", match.bid, match.bid_tonce, match.bid_rem),
            ("sell", match.ask, match.ask_tonce, match.ask_rem),
        )
        for side, order_id, tonce, remaining in sides:
            if isinstance(tonce, int) and order_id is not None and remaining is not None:
                self._count["fill"] += 1
                self._audience.show(
                    Fill(
                        at=self.now(),
                        order_id=order_id,
                        side=side,
                        quantity=match.quantity,
                        price=match.price,
                    )
                )
                if remaining:
                    self._update(tonce, "open", remaining=remaining)

    def _gap(self, channel: str, gap: Gap) -> None:
        self._count["gap"] += 1
        self._audience.show(
            GapReport(
                at=self.now(),
                channel=channel,
                reason=gap.reason.value,
                connection=gap.connection,
            )
        )

    def _resumed(self, channel: str, resumed: Resumed) -> None:
        self._count["resumed"] += 1
        self._audience.show(
            ResumedReport(
                at=self.now(),
                channel=channel,
                snapshot=resumed.snapshot,
                downtime=resumed.downtime,
            )
        )

    # -- trading -------------------------------------------------------------------------------

    async def _trade(self, client: trioflex.Client) -> None:
        """Buy and sell a little: most orders join the best price, some cross the spread."""
        cut_at: float | None = self._began + CUT_AT * self._seconds
        async with trio.open_nursery() as nursery:
            for turn in itertools.count():
                await trio.sleep(ORDER_EVERY)
                # The one rule of trading on a stream: no order while the book is not known.
                if not self._book.valid or self._book.crossed or not client.ready:
                    continue
                bid, ask = self._book.best_bid, self._book.best_ask
                if bid is None or ask is None:
                    continue
                if cut_at is not None and trio.current_time() >= cut_at:
                    cut_at = None
                    nursery.start_soon(self._place, client, self._order(SIZE, bid.price - REACH))
                    await self._cut()
                    continue
                buys = turn % 2 == 0
                crosses = turn % 3 == 2 and not self._rests(ask.price if buys else bid.price)
                price = ask.price if buys is crosses else bid.price
                order = self._order(SIZE if buys else -SIZE, price)
                nursery.start_soon(self._place, client, order)
                await self._cancel_the_oldest(client)

    def _rests(self, price: Decimal) -> bool:
        """Is an order of ours there? Trading with oneself costs a place in the queue."""
        return any(o.price == price for o in self._orders.values() if o.state == "open")

    async def _cut(self) -> None:
        """Cut the line with the next order in flight: executed, and the answer lost on its way."""
        lost = self._exchange.garble('{"notice":"Lost"}', times=None)
        self._exchange.delay(
            "Authenticate", LOGIN_TAKES, times=1, connection=self._exchange.next_connection
        )
        await self._exchange.seen("PlaceOrder", self._exchange.count("PlaceOrder") + 1)
        self._exchange.drop()
        lost.stop()

    def _order(self, quantity: Decimal, price: Decimal) -> coinflex.PlaceOrder:
        return coinflex.PlaceOrder(BASE, COUNTER, quantity, price, tonce=next(self._tonces))

    async def _place(self, client: trioflex.Client, order: coinflex.PlaceOrder) -> None:
        """Place an order and follow its ticket, whatever becomes of it."""
        if order.tonce is None or order.quantity is None or order.price is None:
            raise ValueError(f"the demo places limit orders with a name, not {order!r}")
        tonce = order.tonce
        self._count["order"] += 1
        self._orders[tonce] = Order(
            at=self.now(),
            tonce=tonce,
            side="buy" if order.quantity > 0 else "sell",
            quantity=abs(order.quantity),
            remaining=abs(order.quantity),
            price=order.price,
            state="sent",
        )
        self._audience.show(self._orders[tonce])
        try:
            ticket = await client.submit(order)
            try:
                await ticket.reply()
            except trioflex.OutcomeUnknown:
                self._update(tonce, "unknown", "cut off before an answer came")
                await self._find(client, ticket, tonce)
        except trioflex.Refused as refused:
            self._update(tonce, "refused", refused.message)
        except trioflex.NotSent:
            self._update(tonce, "not sent", "the line is down")

    async def _find(
        self, client: trioflex.Client, ticket: trioflex.Ticket[coinflex.OrderPlaced], tonce: int
    ) -> None:
        """Find out what became of an order, by its name."""
        await client.wait_ready()
        found = await coinflex.find_order(client, tonce=tonce)
        if isinstance(found, coinflex.Order):
            self._update(tonce, "open", "found by its tonce", order_id=found.id)
            if ticket.state is trioflex.TicketState.UNKNOWN:
                ticket.settle(coinflex.OrderPlaced(id=found.id, time=found.time))
            await ticket.reply()
        else:
            self._update(tonce, "gone", "the venue has no open order of that name")
        self._count["recovered"] += 1

    async def _cancel_the_oldest(self, client: trioflex.Client) -> None:
        resting = [order for order in self._orders.values() if order.state == "open"]
        if len(resting) > MOST_OPEN:
            # It may be filled meanwhile, or the line down: the own orders tell which.
            with contextlib.suppress(trioflex.RequestError):
                await client.request(coinflex.CancelOrder(tonce=resting[0].tonce))

    # -- reporting -----------------------------------------------------------------------------

    def _connected(self, connection: int, account: str | None) -> None:
        self._count["connection"] += 1
        self._audience.show(
            Connected(
                at=self.now(),
                venue=coinflex.VENUE.name,
                market=MARKET,
                account=account,
                connection=connection,
            )
        )

    def _update(
        self,
        tonce: int,
        state: str,
        note: str = "",
        *,
        order_id: int | None = None,
        remaining: Decimal | None = None,
    ) -> None:
        """Report an order of ours that changed."""
        known = self._orders.get(tonce)
        if known is None:
            return
        changed = attrs.evolve(
            known,
            at=self.now(),
            state=state,
            note=note,
            order_id=known.order_id if order_id is None else order_id,
            remaining=known.remaining if remaining is None else remaining,
        )
        self._orders[tonce] = changed
        self._audience.show(changed)

    def _sum_up(self, unsettled: int) -> None:
        self._book_is_back()
        self._audience.show(
            Summary(
                at=self.now(),
                seconds=self.now(),
                connections=self._count["connection"],
                book_updates=self._count["book"],
                tickers=self._count["ticker"],
                orders=self._count["order"],
                fills=self._count["fill"],
                gaps=self._count["gap"],
                resumed=self._count["resumed"],
                downtime=self._downtime,
                recovered=self._count["recovered"],
                unsettled=unsettled,
            )
        )


async def run_demo(
    audience: Callable[[float, Callable[[], float]], AbstractAsyncContextManager[Audience]],
    seconds: float,
    seed: int,
) -> None:
    """
    Start a simulated exchange and trade on it.

    Args:
        audience: gathers who is told, given how long it will take and a clock that counts up to
            that.
        seconds: how long.
        seed: of the market.
    """
    began = trio.current_time()
    async with (
        open_exchange("coinflex", seed=seed) as exchange,
        audience(seconds, lambda: trio.current_time() - began) as told,
    ):
        await Demo(exchange, told, began, seconds).run()


async def demo_command(seconds: float, seed: int, as_json: bool) -> None:
    """Run the demo for whoever sits at standard output: a program, a terminal or a file."""
    console = Console()
    if as_json:
        await run_demo(_lines(JsonLines), seconds, seed)
    elif console.is_terminal and not console.is_dumb_terminal:
        await run_demo(_screen(console), seconds, seed)
    else:
        await run_demo(_lines(PlainLines), seconds, seed)


def _lines(
    kind: Callable[[Callable[[str], object]], Audience],
) -> Callable[[float, Callable[[], float]], AbstractAsyncContextManager[Audience]]:
    """Gather whoever reads lines; each has left this process before the next thing happens."""

    def write(line: str) -> None:
        sys.stdout.write(line)
        sys.stdout.flush()

    @asynccontextmanager
    async def gather(seconds: float, clock: Callable[[], float]) -> AsyncIterator[Audience]:
        yield kind(write)

    return gather


def _screen(
    console: Console,
) -> Callable[[float, Callable[[], float]], AbstractAsyncContextManager[Audience]]:
    """Gather whoever looks at the terminal; what was noteworthy stays there afterwards."""

    @asynccontextmanager
    async def gather(seconds: float, clock: Callable[[], float]) -> AsyncIterator[Audience]:
        screen = Screen("trioflex demo", seconds, clock)
        with Live(screen, console=console, screen=True, auto_refresh=False) as live:

            async def draw() -> None:
                while True:
                    live.refresh()
                    await trio.sleep(1 / FRAMES)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(draw)
                yield screen
                nursery.cancel_scope.cancel()
        console.print(screen.epilogue(), end="")

    return gather
