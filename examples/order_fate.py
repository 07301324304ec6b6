"""Find out what became of an order that was in flight when the line broke.

Without --url the venue is simulated in this process, and the line is cut while the order is under
way. With --url it orders **for real** and leaves the line alone; it ends by cancelling every order
that the account has::

    python examples/order_fate.py                               # simulated, in this process
    python examples/order_fate.py --url ws://127.0.0.1:8080/    # `trioflex simulate coinflex`

Credentials come from the environment (COINFLEX_USER_ID, COINFLEX_COOKIE, COINFLEX_PASSPHRASE).
"""

from __future__ import annotations

import time
from decimal import Decimal

import trio
import where

import trioflex
from trioflex import NotSent, OutcomeUnknown, ReplyLost
from trioflex.simulator import SimulatedExchange
from trioflex.venues import coinflex


async def place_once(
    client: trioflex.Client, order: coinflex.PlaceOrder
) -> coinflex.OrderPlaced | coinflex.NotOpen:
    """Place an order, never twice, and come back knowing as much as can be known.

    Returns:
        ``OrderPlaced`` if it was placed. ``NotOpen`` if the answer was lost and no such order is
        open: it was filled, cancelled or never placed.
    """
    if order.tonce is None:
        raise ValueError("give the order a tonce: without a name it cannot be found again")
    while True:
        try:
            ticket = await client.submit(order)
            return await ticket.reply()
        except NotSent as not_sent:
            if not_sent.permanent:
                raise  # an unknown asset, for example: to ask again is in vain
            # Not one byte of it left, so a repeat is no second order. Whether it is still a good
            # idea after an outage is for the program to say; this one insists.
            await client.wait_ready()
        except OutcomeUnknown as unknown:
            print(unknown)
            found = await find(client, order.tonce)
            # Seeing the order has settled the ticket, too.
            return found if isinstance(found, coinflex.NotOpen) else await ticket.reply()


async def find(client: trioflex.Client, tonce: int) -> coinflex.Order | coinflex.NotOpen:
    """Look for an order by the name it was given."""
    while True:
        await client.wait_ready()
        try:
            return await coinflex.find_order(client, tonce=tonce)
        except (NotSent, ReplyLost):
            continue  # a question changes nothing: it may be asked again and again


async def break_the_line(
    exchange: SimulatedExchange, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Let the next order be executed, but all that the venue says about it get lost."""
    # Not the reply alone: a notice of the opened order would be evidence enough for the client.
    lost = exchange.garble('{"notice":"Lost"}', times=None)
    task_status.started()
    await exchange.seen("PlaceOrder")
    exchange.drop()
    lost.stop()


async def main(arguments: list[str] | None = None) -> None:
    """Place an order far from the market, lose the line, and find the order again."""
    options = where.parse(__doc__, arguments, login=coinflex.Credentials)
    async with where.open_client(options) as (client, exchange), trio.open_nursery() as nursery:
        if exchange is not None:
            await nursery.start(break_the_line, exchange)
        tonce = time.time_ns() // 1_000
        order = coinflex.PlaceOrder("XBT", "USDT", Decimal("0.01"), Decimal(1000), tonce=tonce)
        match await place_once(client, order):
            case coinflex.OrderPlaced(id=order_id):
                print(f"it was placed: order {order_id}")
            case coinflex.NotOpen():
                print("not open: so far from the market it cannot have been filled; not placed")
        await client.wait_ready()
        await client.request(coinflex.CancelAllOrders())


if __name__ == "__main__":
    trio.run(main)
