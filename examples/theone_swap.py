"""Quote a swap at TheOne, make it, lose its answer, find it, and follow it to its end.

Without --url the venue is simulated in this process, and the line is cut while the swap is under
way. With --url it swaps **for real** and leaves the line alone::

    python examples/theone_swap.py                               # simulated, in this process
    python examples/theone_swap.py --url ws://127.0.0.1:8080/    # `trioflex simulate theone`

Credentials come from the environment (BROKER_API_KEY, BROKER_SECRET_KEY).
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import where

import trioflex
from trioflex import Gap, Resumed
from trioflex.simulator import SimulatedExchange, open_exchange
from trioflex.venues import theone


async def show_balances(client: trioflex.Client) -> None:
    """Print what is free of each asset, whenever something changes."""
    sheet = theone.BalanceSheet()
    async with client.subscribe("balances") as receiver:
        async for event in receiver:
            sheet.apply(event)
            match event:
                case Gap():
                    print("  balances: stale")
                case Resumed():
                    pass  # a snapshot is next
                case _:
                    print(f"  balances: {sheet.free('ETH')} ETH, {sheet.free('USDT')} USDT")


async def swap_once(client: trioflex.Client, swap: theone.Swap) -> str | None:
    """Make a swap, and never a second time; return the venue's name for it, if it was made."""
    try:
        return (await client.request(swap)).order_id
    except trioflex.OutcomeUnknown:
        print(f"no answer: {swap.client_order_id} may or may not have been made")
    while True:
        await client.wait_ready()
        try:
            found = await theone.find_swap(client, client_order_id=swap.client_order_id)
        except (trioflex.NotSent, trioflex.ReplyLost):
            continue  # asking changes nothing, so it can be repeated
        return None if isinstance(found, theone.NotKnown) else found.order_id


async def trade(client: trioflex.Client) -> None:
    """Swap half an ether, at no worse than 0.3 % below the quote."""
    quote = await client.request(theone.Estimate("0.5", "ETH", "USDT"))
    print(f"0.5 ETH would bring {quote.expected_out} USDT, by way of {quote.route[0].exchange}")
    order_id = await swap_once(client, theone.Swap("0.5", "ETH", "USDT", slippage_bps=30))
    if order_id is None:
        print("the swap was never made")
        return
    end = await theone.follow_swap(client, order_id)
    print(f"{order_id} is {end.status}: {end.filled_out} USDT")


async def cut_the_line(exchange: SimulatedExchange) -> None:
    """Let the swap be made, and its answer be lost."""
    exchange.silence("swap", times=1)
    await exchange.seen("swap")
    exchange.drop()


@asynccontextmanager
async def open_theone(
    options: argparse.Namespace,
) -> AsyncIterator[tuple[trioflex.Client, SimulatedExchange | None]]:
    """Open a client; with the exchange, if that is simulated in here."""
    if options.url is not None:
        async with trioflex.open_client(
            theone.VENUE, url=options.url, credentials=options.account
        ) as client:
            yield client, None
        return
    async with open_exchange("theone") as exchange:
        credentials = theone.Credentials.from_env(exchange.model.credentials())
        async with trioflex.open_client(
            theone.VENUE,
            credentials=credentials,
            connector=exchange.connector,
        ) as client:
            yield client, exchange


async def main(arguments: list[str] | None = None) -> None:
    """Swap, and be done when the swap is."""
    options = where.parse(__doc__, arguments, login=theone.Credentials)
    async with open_theone(options) as (client, exchange), trio.open_nursery() as nursery:
        nursery.start_soon(show_balances, client)
        if exchange is not None:
            nursery.start_soon(cut_the_line, exchange)
        await trade(client)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
