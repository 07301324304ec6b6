"""A thousand orders, each with the line cut at another point; what is said of each is the truth."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests import acme
from trioflex import NotSent, OutcomeUnknown, Reconnect, ReplyLost, open_client
from trioflex.simulator import SimulatedExchange
from trioflex.testing import Direction, FaultProxy, memory_connector

SOON = Reconnect(base=1e-3, cap=1e-3, stable_after=0, give_up_after=None)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_thousand_cuts_and_recoveries(seed, autojump_clock):  # R1, R2, R7
    """What was not sent is not there; what is unknown is found or is not there; nothing is twice.

    The line is cut after so many bytes of either direction, or so many steps of the program after
    the order, whichever is drawn.
    """
    chance = random.Random(seed)
    model = acme.Model()
    model.quiet = True  # a push would prove that an order was executed
    exchange = SimulatedExchange(model, frames_kept=0)
    proxy = FaultProxy()
    outcomes = Counter()

    async def once(client, name):
        """Place an order until it is known to be there, by the how-to."""
        while True:
            try:
                ticket = await client.submit(acme.Place(name, 3))
                number = await ticket.reply()
            except NotSent:
                outcomes["not sent"] += 1
                await wait_all_tasks_blocked()
                assert name not in model.orders, "provably"
                await client.wait_ready()
                continue
            except OutcomeUnknown:
                outcomes["unknown"] += 1
                found = name in await look(client)
                assert found is (name in model.orders)
                outcomes["found"] += found
                if found:
                    return
                continue
            outcomes["answered"] += 1
            assert model.orders[name] == number
            return

    async def look(client):
        while True:
            await client.wait_ready()
            try:
                return await client.request(acme.GetOrders())
            except (NotSent, ReplyLost):
                continue

    async def cut_later(steps):
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        proxy.cut()

    async with open_client(
        acme.VENUE,
        credentials=acme.JOE,
        connector=memory_connector(proxy.between(exchange.host)),
        reconnect=SOON,
    ) as client:
        for number in range(500):
            await client.wait_ready()
            async with trio.open_nursery() as nursery:
                match chance.randrange(3):
                    case 0:
                        proxy.cut(chance.randint(1, 90), direction=Direction.TO_SERVER)
                    case 1:
                        proxy.cut(chance.randint(1, 60), direction=Direction.TO_CLIENT)
                    case 2:
                        nursery.start_soon(cut_later, chance.randint(0, 25))
                await once(client, f"order {number}")
    assert 500 == len(model.orders)
    assert 500 == exchange.count("place"), "whatever was sent again had not arrived"
    assert [] == [what for what in ("not sent", "unknown", "found") if outcomes[what] < 15]
