"""The promises about subscriptions and slow consumers, where they need a whole client."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests import acme
from trioflex import Overflow, open_client
from trioflex.simulator import SimulatedExchange, open_server


async def test_a_sleeping_consumer_delays_nobody():  # S1
    """Over sockets, during a busy feed: requests take less than 10 ms, memory is bounded."""
    model = acme.Model()
    exchange = SimulatedExchange(model, frames_kept=0)
    async with (
        open_server(exchange) as server,
        open_client(acme.VENUE, url=server.url) as client,
        client.subscribe(acme.Trades("X"), buffer=64) as asleep,
        client.subscribe(acme.Trades("X"), overflow=Overflow.FAIL) as awake,
    ):
        took = []
        for n in range(200):
            for more in range(20):
                model.push("trades:X", 20 * n + more)
            began = trio.current_time()
            await client.request(acme.Echo("now"))
            took.append(trio.current_time() - began)
            seen = [awake.receive_nowait() for _ in range(awake.statistics().buffered)]
            assert n == 0 or seen[-1] == 20 * n + 19
        # What a request takes when the machine has time for it; a busy one stumbles.
        assert sorted(took)[20] < 0.010
        figures = asleep.statistics()
        assert figures.peak <= 64
        assert 4000 == figures.received
        assert figures.dropped >= 4000 - 64


async def test_a_receiver_that_nobody_reads_leaves_nothing(autojump_clock):  # S5
    """It is unsubscribed when its block ends, and what it had is gone with it."""
    model = acme.Model()
    exchange = SimulatedExchange(model)
    async with open_client(acme.VENUE, connector=exchange.connector) as client:
        for _ in range(10):
            async with client.subscribe(acme.Trades("X")) as receiver:
                for n in range(50):
                    model.push("trades:X", n)
                await wait_all_tasks_blocked()
                assert 50 == receiver.statistics().buffered
            assert 0 == receiver.statistics().buffered
            await wait_all_tasks_blocked()
        assert (0, 0) == (client.statistics().channels, client.statistics().receivers)
        [peer] = model.peers
        assert set() == peer.channels
    wishes = [json.loads(f.text)["on"] for f in exchange.frames if '"watch"' in f.text]
    assert [True, False] * 10 == wishes


async def test_an_error_in_the_users_loop_ends_what_structure_says(autojump_clock):  # S8
    """Its own task and nursery; other receivers, requests and the client go on."""
    model = acme.Model()
    exchange = SimulatedExchange(model)
    error = ZeroDivisionError("in the user's loop")

    async def consume(client):
        async with client.subscribe(acme.Trades("X")) as receiver:
            async for _ in receiver.values():
                raise error

    async with (
        open_client(acme.VENUE, connector=exchange.connector) as client,
        client.subscribe(acme.Trades("X")) as other,
    ):
        with pytest.raises(ExceptionGroup) as caught:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(consume, client)
                await wait_all_tasks_blocked()
                model.push("trades:X", 1)
        assert (error,) == caught.value.exceptions
        assert 1 == await other.receive()
        model.push("trades:X", 2)
        assert 2 == await other.receive()
        assert "alive" == await client.request(acme.Echo("alive"))
        assert (1, 1) == (client.statistics().receivers, client.statistics().connections)
