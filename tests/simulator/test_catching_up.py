"""What waited for a fault to end is executed in the order in which it was sent."""

from __future__ import annotations

import json

import trio

from tests import acme
from trioflex import open_client
from trioflex.simulator import SimulatedExchange


async def test_a_request_that_uses_a_fault_up_is_not_overtaken(autojump_clock):
    """Of two requests that waited in the dark, the second is not executed within the first."""
    exchange = SimulatedExchange(acme.Model())
    async with open_client(
        acme.VENUE, credentials=acme.JOE, connector=exchange.connector
    ) as client:
        dark = exchange.go_dark()
        tickets = [await client.submit(acme.Place(name, 3)) for name in ("first", "second")]
        await trio.sleep(1)
        exchange.silence("place", times=1)
        dark.stop()
        assert 2 == await tickets[1].reply()

    assert ["first", "second"] == list(exchange.model.orders)
    executed = [json.loads(frame.text)["id"] for frame in exchange.frames if "place" in frame.text]
    assert [1, 2] == executed
