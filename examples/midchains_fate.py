"""Place an order at MidChains, lose its answer, and find out what became of it.

Without --url the venue is simulated in this process, and the line is cut while the order is under
way. With --url it orders **for real** and leaves the line alone::

    python examples/midchains_fate.py                               # simulated, in this process
    python examples/midchains_fate.py --url ws://127.0.0.1:8080/    # `trioflex simulate midchains`

Credentials come from the environment (MIDCHAINS_USER_ID, MIDCHAINS_PASSWORD).
"""

from __future__ import annotations

import trio
import where

import trioflex
from trioflex.simulator import open_exchange
from trioflex.venues import midchains

ORDER = midchains.AddOrder("BTCUSD", "B", "0.01", "1000", client_order_id="example-1")


async def place_once(client: trioflex.Client) -> None:
    """Place the order, and never a second time; tell what became of it, and take it back."""
    try:
        print(f"accepted: {(await client.request(ORDER)).refno}")
    except trioflex.OutcomeUnknown:
        print("no answer: the order may or may not have been placed")
    await client.wait_ready()
    found = await midchains.find_order(client, "BTCUSD", client_order_id="example-1")
    print(found)
    for row in await midchains.cancel_all(client, "BTCUSD"):
        print(f"cancelled: {row.refno}")


async def main(arguments: list[str] | None = None) -> None:
    """Place one order."""
    options = where.parse(__doc__, arguments, login=midchains.Credentials)
    if options.url is not None:
        async with trioflex.open_client(
            midchains.VENUE, url=options.url, credentials=options.account
        ) as client:
            await place_once(client)
        return
    async with open_exchange("midchains") as exchange:
        account = midchains.Credentials.from_env(exchange.model.credentials())
        async with (
            trioflex.open_client(
                midchains.VENUE, credentials=account, connector=exchange.connector
            ) as client,
            trio.open_nursery() as nursery,
        ):
            # Not the answer alone: a push of the order would be evidence enough for the client.
            lost = exchange.garble('{"type":"lost"}', times=None)

            async def cut_the_line() -> None:
                await exchange.seen(midchains.AddOrder)
                exchange.drop()
                lost.stop()

            nursery.start_soon(cut_the_line)
            await place_once(client)


if __name__ == "__main__":
    trio.run(main)
