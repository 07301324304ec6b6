"""Place an order at OceanEx, lose its answer, and find out what became of it; it has no name there.

Without --url the venue is simulated in this process, and the line is cut while the order is under
way. With --url it orders **for real** and leaves the line alone::

    python examples/oceanex_fate.py                               # simulated, in this process
    python examples/oceanex_fate.py --url ws://127.0.0.1:8080/    # `trioflex simulate oceanex`

Credentials come from the environment (OCEANEX_UID, OCEANEX_KEY_ID, OCEANEX_KEY_FILE).
"""

from __future__ import annotations

import trio
import where

import trioflex
from trioflex.simulator import open_exchange
from trioflex.venues import oceanex

# Far below the market: it waits in the book until it is cancelled.
ORDER = oceanex.NewOrder("vetusdt", oceanex.Side.BUY, price="0.01", volume=2000)


async def show_market(client: trioflex.Client) -> None:
    """Print the best prices three times; the venue pushes nothing, so it is asked."""
    async with client.poll(oceanex.GetOrderBook("vetusdt", level=1), every=0.5) as books:
        for _ in range(3):
            book = await books.receive()
            if isinstance(book, oceanex.Book) and book.bids and book.asks:
                print(f"VET/USDT  {book.bids[0].price} / {book.asks[0].price}")


async def place_once(client: trioflex.Client) -> list[int]:
    """Place the order, and never a second time; return the ids of what was placed."""
    # Its rules are known from now on: an order that breaks them is not even sent.
    await client.request(oceanex.GetMarkets())
    # The venue's clock, and a second for what it cuts off.
    since = await client.request(oceanex.GetTime()) - 1
    ticket = await client.submit(ORDER)
    try:
        return [(await ticket.reply()).id]
    except trioflex.OutcomeUnknown:
        print("no answer: the order may or may not have been placed")
    await client.wait_ready()
    found = await oceanex.find_lost_order(client, ORDER, since=since)
    for order in found:
        print(f"found: order {order.id}, {order.state}")
    if len(found) == 1:
        # Nothing is pushed that could settle the ticket, so we do: now it has its answer.
        ticket.settle(found[0])
    return [order.id for order in found]


async def trade(client: trioflex.Client) -> None:
    """Look at the market, place the order, and take it back."""
    await show_market(client)
    ids = await place_once(client)
    if ids:
        cancelled = await client.request(oceanex.CancelOrders(ids))
        print(f"cancelled: {', '.join(map(str, cancelled))}")


async def main(arguments: list[str] | None = None) -> None:
    """Place one order."""
    options = where.parse(__doc__, arguments, login=oceanex.Credentials)
    if options.url is not None:
        async with trioflex.open_client(
            oceanex.VENUE, url=options.url, credentials=options.account
        ) as client:
            await trade(client)
        return
    async with open_exchange("oceanex") as exchange:
        account = oceanex.Credentials.from_env(exchange.model.credentials())
        async with (
            trioflex.open_client(
                oceanex.VENUE,
                credentials=account,
                connector=exchange.connector,
            ) as client,
            trio.open_nursery() as nursery,
        ):
            exchange.silence(oceanex.NewOrder, times=1)

            async def cut_the_line() -> None:
                await exchange.seen(oceanex.NewOrder)
                exchange.drop()

            nursery.start_soon(cut_the_line)
            await trade(client)


if __name__ == "__main__":
    trio.run(main)
