"""Many venues in one program: a client for each, one task that sees everything.

Each venue has a task and a connection of its own, and sends what it hears through one channel. A
venue that is lost for good is told, and the others go on::

    python examples/many_venues.py --seconds 5      # simulated, in this process
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import trio
import where

from trioflex import Connector, Gap, Reconnect, TrioflexError, open_client
from trioflex.book import OrderBook
from trioflex.protocol import Channel, Venue
from trioflex.simulator import SimulatedExchange, open_exchange
from trioflex.venues import coinflex, coinfloor, midchains


@attrs.frozen
class Market:
    """A book somewhere."""

    venue: Venue
    channel: Channel[Any]
    make: Callable[[], OrderBook] = OrderBook


@attrs.frozen
class Best:
    """The best prices of a venue, ``None`` while they are not known."""

    venue: str
    bid: object
    ask: object


MARKETS = [
    Market(coinflex.VENUE, coinflex.OrderBook("XBT", "USDT")),
    Market(coinfloor.VENUE, coinfloor.OrderBook("XBT", "GBP")),
    Market(midchains.VENUE, midchains.Book("BTCUSD")),
]


async def follow(
    market: Market, out: trio.MemorySendChannel[Best | str], connector: Connector | None = None
) -> None:
    """Follow one book for as long as its venue can be reached."""
    name = market.venue.name
    async with out:
        try:
            async with (
                open_client(
                    market.venue, connector=connector, reconnect=Reconnect(first=True)
                ) as client,
                client.subscribe(market.channel) as receiver,
            ):
                book = market.make()
                # All that one read brought, then one decision.
                async for batch in receiver.batches():
                    for event in batch:
                        book.apply(event)
                    if book.valid and not book.crossed:
                        await out.send(Best(name, book.best_bid, book.best_ask))
                    elif any(isinstance(event, Gap) for event in batch):
                        await out.send(Best(name, None, None))
        except TrioflexError as exc:
            # This venue's trouble, not the program's. Bugs, and Ctrl-C, pass.
            await out.send(f"{name} is lost: {exc}")


async def compare(news: trio.MemoryReceiveChannel[Best | str]) -> None:
    """Print what is best, whenever something changes."""
    best: dict[str, Best] = {}
    async for item in news:
        if isinstance(item, str):
            print(item)
        elif best.get(item.venue) != item:
            best[item.venue] = item
            print(f"{item.venue:10} {item.bid} | {item.ask}")


async def main(
    arguments: list[str] | None = None,
    connectors: dict[str, Connector] | None = None,
) -> None:
    """Follow all markets for a while; without connectors against simulated venues."""
    options = where.parse(__doc__, arguments, elsewhere=False)
    with trio.move_on_after(options.seconds):
        async with trio.open_nursery() as exchanges:
            if connectors is None:
                connectors = {}
                for market in MARKETS:
                    exchange = await exchanges.start(keep_open, market.venue.name)
                    connectors[market.venue.name] = exchange.connector
            # A small buffer: whoever is faster than the one who compares waits for it. That is
            # no harm to a connection; its own receiver keeps reading, and tells of a gap.
            send, receive = trio.open_memory_channel[Best | str](16)
            async with trio.open_nursery() as nursery, send:
                nursery.start_soon(compare, receive)
                for market in MARKETS:
                    nursery.start_soon(
                        follow, market, send.clone(), connectors.get(market.venue.name)
                    )
            exchanges.cancel_scope.cancel()


async def keep_open(venue: str, task_status: trio.TaskStatus[SimulatedExchange]) -> None:
    """Simulate a venue until cancelled."""
    async with open_exchange(venue) as exchange:
        task_status.started(exchange)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
