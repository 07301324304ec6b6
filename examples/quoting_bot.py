"""Quote both sides of a market, on a book that knows when it is wrong.

Without --url the venue is simulated in this process, and the line is cut in the middle. With --url
it quotes **for real**, and begins by cancelling every order that the account has::

    python examples/quoting_bot.py                               # simulated, in this process
    python examples/quoting_bot.py --url ws://127.0.0.1:8080/    # `trioflex simulate coinflex`

Credentials come from the environment (COINFLEX_USER_ID, COINFLEX_COOKIE, COINFLEX_PASSPHRASE).
"""

from __future__ import annotations

import itertools
import time
from decimal import Decimal

import trio
import where

import trioflex
from trioflex import NotSent, OutcomeUnknown, RefusalKind, Refused
from trioflex.book import OrderBook
from trioflex.venues import coinflex

BASE, COUNTER = "XBT", "USDT"
SIZE = Decimal("0.01")
# Behind the best prices, where one is rarely hit: this bot shows how to quote, not how to earn.
BEHIND = Decimal(3)


class Quoter:
    """Keeps one bid and one ask where they should be."""

    def __init__(self, client: trioflex.Client) -> None:
        self._client = client
        self._tonces = itertools.count(time.time_ns() // 1_000)  # rising, also over restarts
        self._quotes: dict[int, tuple[int, Decimal]] = {}  # sign -> tonce and price
        self._clean = False

    def line_lost(self) -> None:
        """Forget the quotes: they are persist=False, the venue takes them down with the line."""
        self._quotes.clear()
        # ... but it may notice the loss only after a minute. Until we have asked, some may stand.
        self._clean = False

    async def quote(self, bid: Decimal, ask: Decimal) -> None:
        """Have a bid and an ask at these prices."""
        try:
            if not self._clean:
                await self._client.request(coinflex.CancelAllOrders())
                self._clean = True
            await self._move(1, bid)
            await self._move(-1, ask)
        except (NotSent, OutcomeUnknown):
            # The line has just been lost, and the receiver is about to say so. What was in flight
            # is among what is cancelled when it is back.
            self.line_lost()

    async def _move(self, sign: int, price: Decimal) -> None:
        tonce, standing = self._quotes.get(sign, (0, None))
        if standing == price:
            return
        if standing is not None:
            del self._quotes[sign]
            try:
                await self._client.request(coinflex.CancelOrder(tonce=tonce))
            except Refused as refused:
                if refused.kind is not RefusalKind.NOT_FOUND:
                    raise
                print(f"filled: {'bid' if sign > 0 else 'ask'} at {standing}")
        tonce = next(self._tonces)
        await self._client.request(
            coinflex.PlaceOrder(BASE, COUNTER, sign * SIZE, price, persist=False, tonce=tonce)
        )
        self._quotes[sign] = (tonce, price)
        print(f"{'bid' if sign > 0 else 'ask'} {SIZE} at {price}")


async def trade(client: trioflex.Client) -> None:
    """Follow the book and keep quoting on it."""
    book = OrderBook()
    quoter = Quoter(client)
    async with client.subscribe(coinflex.OrderBook(BASE, COUNTER)) as receiver:
        # One decision for all that has arrived, not one for each of a hundred updates.
        async for batch in receiver.batches():
            for event in batch:
                book.apply(event)
                if isinstance(event, trioflex.Gap):
                    print(f"the book is stale ({event.reason.value}): no quotes until it is back")
                    quoter.line_lost()
            # A crossed book is a trade half told.
            if book.valid and not book.crossed and book.best_bid and book.best_ask:
                await quoter.quote(book.best_bid.price - BEHIND, book.best_ask.price + BEHIND)


async def main(arguments: list[str] | None = None) -> None:
    """Quote for a while; a simulated line is cut in the middle."""
    options = where.parse(__doc__, arguments, login=coinflex.Credentials)
    with trio.move_on_after(options.seconds):
        async with where.open_client(options) as (client, exchange), trio.open_nursery() as nursery:
            nursery.start_soon(trade, client)
            if exchange is not None:
                await trio.sleep(options.seconds / 2)
                exchange.drop()


if __name__ == "__main__":
    trio.run(main)
