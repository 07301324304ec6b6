"""Follows a client's receivers and reports what they deliver."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeAlias

import attrs
import trio

import trioflex
from trioflex import Gap, Overflow, Resumed
from trioflex.book import OrderBook
from trioflex.venues import coinflex

from .report import (
    Audience,
    Balance,
    Book,
    Connected,
    Fill,
    GapReport,
    Order,
    ResumedReport,
    Ticker,
)

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

BOOK_EVERY = 0.2
"""Seconds between two books that are reported: as fast as anybody can look."""

LEVELS = 20
"""Of each side that are reported: what the tallest terminals show."""


class Watcher(trioflex.Observer):
    """Hears from the client when it is ready."""

    def __init__(self, tell: Callable[[int, str | None], None]) -> None:
        self._tell = tell

    def ready(self, connection: int, account: str | None, seconds: float) -> None:
        """Pass it on."""
        self._tell(connection, account)


class Follower:
    """Follows one market and one account.

    Args:
        base: name of the asset that is traded.
        counter: name of the asset it is paid in.
        audience: who is told.
        clock: seconds since the command started.
    """

    def __init__(
        self, base: str, counter: str, audience: Audience, clock: Callable[[], float]
    ) -> None:
        self._base = base
        self._counter = counter
        self._market = f"{base}:{counter}"
        self._audience = audience
        self._now = clock
        self._book_lost: float | None = None
        self.book: OrderBook = OrderBook()
        """As the venue last told."""
        self.orders: dict[int, Order] = {}
        """Own orders by tonce, as last reported."""
        self.count: Counter[str] = Counter()
        """How often each event was delivered."""
        self._downtime = 0.0
        self.observer: Watcher = Watcher(self._connected)
        """For the client to follow: tells when it is ready."""

    @asynccontextmanager
    async def following(self, client: trioflex.Client) -> AsyncIterator[trio.Nursery]:
        """Subscribe to everything that is shown, and follow it while the block runs.

        Yields:
            The nursery in which that is done, cancelled at the end of the block.
        """
        async with (
            client.subscribe(coinflex.OrderBook(self._base, self._counter)) as book,
            client.subscribe(
                coinflex.Ticker(self._base, self._counter), overflow=Overflow.LATEST
            ) as ticker,
            client.subscribe(coinflex.Balances()) as balances,
            client.subscribe(coinflex.OwnOrders(), overflow=Overflow.FAIL) as own,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._follow_book, book)
            nursery.start_soon(self._follow_ticker, ticker)
            nursery.start_soon(self._follow_balances, balances)
            nursery.start_soon(self._follow_own_orders, own)
            yield nursery
            nursery.cancel_scope.cancel()

    def placing(self, order: Order) -> None:
        """Take an own order that is about to be sent into account."""
        self.count["order"] += 1
        self.orders[order.tonce] = order
        self._audience.show(order)

    def update(
        self,
        tonce: int,
        state: str,
        note: str = "",
        *,
        order_id: int | None = None,
        remaining: Decimal | None = None,
    ) -> None:
        """Report an order of ours that changed."""
        known = self.orders.get(tonce)
        if known is None:
            return
        changed = attrs.evolve(
            known,
            at=self._now(),
            state=state,
            note=note,
            order_id=known.order_id if order_id is None else order_id,
            remaining=known.remaining if remaining is None else remaining,
        )
        self.orders[tonce] = changed
        self._audience.show(changed)

    async def _follow_book(self, receiver: trioflex.Receiver[BookItem]) -> None:
        due = 0.0
        async for item in receiver:
            self.book.apply(item)
            match item:
                case Gap():
                    self._book_lost = trio.current_time()
                    self._gap("order book", item)
                    continue
                case Resumed():
                    self._resumed("order book", item)
                    due = 0.0
                case _:
                    self.count["book"] += 1
                    self._book_is_back()
            if self.book.valid and not self.book.crossed and trio.current_time() >= due:
                due = trio.current_time() + BOOK_EVERY
                self._audience.show(
                    Book(
                        at=self._now(),
                        market=self._market,
                        bids=tuple((x.price, x.quantity) for x in self.book.bids[:LEVELS]),
                        asks=tuple((x.price, x.quantity) for x in self.book.asks[:LEVELS]),
                    )
                )

    def _book_is_back(self) -> None:
        self._downtime = self.downtime
        self._book_lost = None

    @property
    def downtime(self) -> float:
        """Seconds without a valid book, since there was one."""
        running = 0.0 if self._book_lost is None else trio.current_time() - self._book_lost
        return self._downtime + running

    async def _follow_ticker(self, receiver: trioflex.Receiver[coinflex.TickerSnapshot]) -> None:
        async for item in receiver:
            match item:
                case Gap():
                    self._gap("ticker", item)
                case Resumed():
                    self._resumed("ticker", item)
                case ticker:
                    self.count["ticker"] += 1
                    self._audience.show(
                        Ticker(
                            at=self._now(),
                            market=self._market,
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
                    for asset in (self._base, self._counter):
                        self._balance(asset, item[asset].available)
                case coinflex.BalanceChanged():
                    self._balance(item.asset, item.available)

    def _balance(self, asset: str, available: Decimal) -> None:
        self._audience.show(Balance(at=self._now(), asset=asset, available=available))

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
                    self.update(tonce, "open", order_id=item.id, remaining=abs(item.quantity))
                case coinflex.OrdersMatched():
                    self._filled(item)
                case coinflex.OrderClosed(tonce=int(tonce)):
                    left = abs(item.quantity)
                    self.update(tonce, "cancelled" if left else "filled", remaining=left)

    def _compare(self, there: dict[int | None, coinflex.Order]) -> None:
        """Hold what was known of own orders against what the venue says is open."""
        for tonce, order in list(self.orders.items()):
            if tonce in there:
                found = there[tonce]
                if order.state != "open" or order.remaining != abs(found.quantity):
                    self.update(tonce, "open", order_id=found.id, remaining=abs(found.quantity))
            elif order.state == "open":
                self.update(tonce, "gone", "it is not open any more")

    def _filled(self, match: coinflex.OrdersMatched) -> None:
        sides = (
            ("buy", match.bid, match.bid_tonce, match.bid_rem),
            ("sell", match.ask, match.ask_tonce, match.ask_rem),
        )
        for side, order_id, tonce, remaining in sides:
            if isinstance(tonce, int) and order_id is not None and remaining is not None:
                self.count["fill"] += 1
                self._audience.show(
                    Fill(
                        at=self._now(),
                        order_id=order_id,
                        side=side,
                        quantity=match.quantity,
                        price=match.price,
                    )
                )
                if remaining:
                    self.update(tonce, "open", remaining=remaining)

    def _gap(self, channel: str, gap: Gap) -> None:
        self.count["gap"] += 1
        self._audience.show(
            GapReport(
                at=self._now(),
                channel=channel,
                reason=gap.reason.value,
                connection=gap.connection,
            )
        )

    def _resumed(self, channel: str, resumed: Resumed) -> None:
        self.count["resumed"] += 1
        self._audience.show(
            ResumedReport(
                at=self._now(),
                channel=channel,
                snapshot=resumed.snapshot,
                downtime=resumed.downtime,
            )
        )

    def _connected(self, connection: int, account: str | None) -> None:
        self.count["connection"] += 1
        self._audience.show(
            Connected(
                at=self._now(),
                venue=coinflex.VENUE.name,
                market=self._market,
                account=account,
                connection=connection,
            )
        )
