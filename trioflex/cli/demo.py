"""``trioflex demo``: a simulated exchange and a client that trades on it, in one process.

What is shown comes from receivers and tickets alone. The exchange is touched in two places: it lets
the other participants trade, and in the middle it cuts the line, with an order in flight.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal

import trio
from rich.console import Console

import trioflex
from trioflex.simulator import SimulatedExchange, open_exchange
from trioflex.venues import coinflex

from .follower import Follower
from .lines import JsonLines, PlainLines
from .report import Audience, Order, Summary
from .screen import Screen
from .stage import is_drawable, open_screen, write

BASE, COUNTER = "XBT", "USDT"

CUT_AT = 0.45
"""Where in the run the line is cut: late enough to have seen the market, early enough to see it
come back."""

ORDER_EVERY = 0.5
"""Seconds between two orders of ours."""

MOST_OPEN = 4
"""Orders of ours that rest in the book before the oldest is cancelled: what 24 lines show."""

SIZE = Decimal("0.05")
BEHIND = Decimal(1)
"""How far behind the best price most orders stand: near enough to be reached now and then."""

REACH = Decimal(25)
"""How far behind the best price the order stands that is in flight when the line is cut: it must
still be there when the line is back."""

LOGIN_TAKES = 0.6
"""Seconds for the login after the cut: a gap that nobody could see would show nothing."""

RECONNECT = trioflex.Reconnect(base=0.5)
"""Sooner than by default, so that a few seconds hold all of it."""


class Demo:
    """One run: trades, and has what happens followed and reported.

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
        self._follower = Follower(BASE, COUNTER, audience, self._now)
        self._tonces = itertools.count(1)
        self._recovered = 0

    def _now(self) -> float:
        return trio.current_time() - self._began

    async def run(self) -> None:
        """Trade for as long as was asked for, and sum it up."""
        async with trioflex.open_client(
            coinflex.VENUE,
            credentials=coinflex.Credentials.from_env(self._exchange.model.credentials()),
            connector=self._exchange.connector,
            reconnect=RECONNECT,
            observer=self._follower.observer,
        ) as client:
            async with self._follower.following(client) as nursery:
                nursery.start_soon(self._trade, client)
                await trio.sleep_until(self._began + self._seconds)
            self._sum_up(len(client.unsettled))

    # -- trading -------------------------------------------------------------------------------

    async def _trade(self, client: trioflex.Client) -> None:
        """Buy and sell a little: most orders stand behind the best price, some cross the spread."""
        book = self._follower.book
        cut_at: float | None = self._began + CUT_AT * self._seconds
        async with trio.open_nursery() as nursery:
            for turn in itertools.count():
                await trio.sleep(ORDER_EVERY)
                # The one rule of trading on a stream: no order while the book is not known.
                if not book.valid or book.crossed or not client.ready:
                    continue
                bid, ask = book.best_bid, book.best_ask
                if bid is None or ask is None:
                    continue
                if cut_at is not None and trio.current_time() >= cut_at:
                    cut_at = None
                    nursery.start_soon(self._place, client, self._order(SIZE, bid.price - REACH))
                    await self._cut()
                    continue
                buys = turn % 2 == 0
                crosses = turn % 3 == 2 and not self._rests(ask.price if buys else bid.price)
                if crosses:
                    price = ask.price if buys else bid.price
                else:
                    price = bid.price - BEHIND if buys else ask.price + BEHIND
                order = self._order(SIZE if buys else -SIZE, price)
                nursery.start_soon(self._place, client, order)
                await self._cancel_the_oldest(client)

    def _rests(self, price: Decimal) -> bool:
        """Is an order of ours there? Trading with oneself costs a place in the queue."""
        return any(o.price == price for o in self._follower.orders.values() if o.state == "open")

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
        size = abs(order.quantity)
        self._follower.placing(
            Order(
                at=self._now(),
                tonce=tonce,
                side="buy" if order.quantity > 0 else "sell",
                quantity=size,
                remaining=size,
                price=order.price,
                state="sent",
            )
        )
        try:
            ticket = await client.submit(order)
            try:
                await ticket.reply()
            except trioflex.OutcomeUnknown:
                self._follower.update(tonce, "unknown", "cut off before an answer came")
                await self._find(client, ticket, tonce)
        except trioflex.Refused as refused:
            self._follower.update(tonce, "refused", refused.message)
        except trioflex.NotSent:
            self._follower.update(tonce, "not sent", "the line is down")

    async def _find(
        self, client: trioflex.Client, ticket: trioflex.Ticket[coinflex.OrderPlaced], tonce: int
    ) -> None:
        """Find out what became of an order, by its name."""
        await client.wait_ready()
        found = await coinflex.find_order(client, tonce=tonce)
        if isinstance(found, coinflex.Order):
            self._follower.update(tonce, "open", "found by its tonce", order_id=found.id)
            if ticket.state is trioflex.TicketState.UNKNOWN:
                ticket.settle(coinflex.OrderPlaced(id=found.id, time=found.time))
            await ticket.reply()
        else:
            self._follower.update(tonce, "gone", "the venue has no open order of that name")
        self._recovered += 1

    async def _cancel_the_oldest(self, client: trioflex.Client) -> None:
        resting = [order for order in self._follower.orders.values() if order.state == "open"]
        if len(resting) > MOST_OPEN:
            # It may be filled meanwhile, or the line down: the own orders tell which.
            with contextlib.suppress(trioflex.RequestError):
                await client.request(coinflex.CancelOrder(tonce=resting[0].tonce))

    def _sum_up(self, unsettled: int) -> None:
        follower = self._follower
        self._audience.show(
            Summary(
                at=self._now(),
                seconds=self._now(),
                connections=follower.count["connection"],
                book_updates=follower.count["book"],
                tickers=follower.count["ticker"],
                orders=follower.count["order"],
                fills=follower.count["fill"],
                gaps=follower.count["gap"],
                resumed=follower.count["resumed"],
                downtime=follower.downtime,
                recovered=self._recovered,
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
    elif is_drawable(console):
        await run_demo(_screen(console), seconds, seed)
    else:
        await run_demo(_lines(PlainLines), seconds, seed)


def _lines(
    kind: Callable[[Callable[[str], object]], Audience],
) -> Callable[[float, Callable[[], float]], AbstractAsyncContextManager[Audience]]:
    """Gather whoever reads lines; each has left this process before the next thing happens."""

    @asynccontextmanager
    async def gather(seconds: float, clock: Callable[[], float]) -> AsyncIterator[Audience]:
        yield kind(write)

    return gather


def _screen(
    console: Console,
) -> Callable[[float, Callable[[], float]], AbstractAsyncContextManager[Audience]]:
    """Gather whoever looks at the terminal; what was noteworthy stays there afterwards."""

    def gather(seconds: float, clock: Callable[[], float]) -> AbstractAsyncContextManager[Audience]:
        return open_screen(console, Screen("trioflex demo", seconds, clock))

    return gather
