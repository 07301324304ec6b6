"""One market, several tasks: each gets everything, at its own pace."""

from __future__ import annotations

import trio
import where

import trioflex
from trioflex import Gap, Overflow, Resumed
from trioflex.book import OrderBook
from trioflex.venues import coinflex

CHANNEL = coinflex.OrderBook("XBT", "USDT")


async def keep_spread(client: trioflex.Client) -> None:
    """Follow every update; here nothing is slow."""
    book = OrderBook()
    async with client.subscribe(CHANNEL) as receiver:
        async for event in receiver:
            book.apply(event)
            if book.valid and not book.crossed and book.best_bid and book.best_ask:
                print(f"spread {book.best_ask.price - book.best_bid.price}")


async def count_trades(client: trioflex.Client) -> None:
    """Count, and be told if the count cannot be right."""
    trades = 0
    # The second receiver of a channel costs nothing on the wire: it is still one subscription. It
    # has a buffer of its own, so nobody waits for the slowest.
    async with client.subscribe(CHANNEL, buffer=16) as receiver:
        async for event in receiver:
            match event:
                case Gap(reason=reason, dropped=dropped):
                    print(f"trades may be missing: {reason.value}, {dropped} items dropped")
                case coinflex.OrdersMatched():
                    trades += 1
                    print(f"trade number {trades}: {event.quantity} at {event.price}")
                    await trio.sleep(2)  # a slow database, say


async def write_down(client: trioflex.Client) -> None:
    """Keep every item, or know that one is missing: here a gap in silence would be an error."""
    async with client.subscribe(CHANNEL, overflow=Overflow.FAIL) as receiver:
        kept = 0
        async for event in receiver:
            if isinstance(event, Gap | Resumed):
                print(f"after {kept} items: {event}")
            else:
                kept += 1


async def main(arguments: list[str] | None = None) -> None:
    """Run the three beside each other for a while."""
    options = where.parse(__doc__, arguments)
    with trio.move_on_after(options.seconds):
        async with (
            where.open_client(options) as (client, exchange),
            trio.open_nursery() as nursery,
        ):
            for task in (keep_spread, count_trades, write_down):
                nursery.start_soon(task, client)
            if exchange is not None:
                await trio.sleep(options.seconds / 2)
                exchange.drop()


if __name__ == "__main__":
    trio.run(main)
