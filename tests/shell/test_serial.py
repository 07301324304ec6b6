"""Venues whose replies name nothing: one request under way, and what an unanswered one closes."""

from __future__ import annotations

import attrs
import pytest
import trio

from tests import acme
from trioflex import Gap, ReplyLost, Resumed
from trioflex.protocol import Correlation

SERIAL = attrs.evolve(acme.VENUE, correlation=Correlation.SERIAL)


async def test_requests_leave_one_at_a_time(acme_client, exchange, autojump_clock):
    """The next one leaves when the answer to the one before is there."""
    exchange.delay("echo", 1.0)
    async with acme_client(venue=SERIAL) as client, trio.open_nursery() as nursery:
        for n in range(3):
            nursery.start_soon(client.request, acme.Echo(str(n)))
        await trio.sleep(0.5)
        assert 1 == exchange.count("echo")
        await trio.sleep(1.0)
        assert 2 == exchange.count("echo")


async def test_an_unanswered_request_closes_the_way_until_its_late_answer(
    acme_client, exchange, autojump_clock
):  # M11
    """A late answer is nobody else's, and opens the way again."""
    exchange.delay("echo", SERIAL.reply_timeout + 7, times=1)
    async with acme_client(venue=SERIAL) as client:
        began = trio.current_time()
        with pytest.raises(ReplyLost):
            await client.request(acme.Echo("late"))
        assert "next" == await client.request(acme.Echo("next"))
        assert SERIAL.reply_timeout + 7 == trio.current_time() - began
        assert (1, 1) == (client.statistics().connections, client.statistics().late_replies)


async def test_an_unanswered_unsubscription_closes_the_way_for_half_a_minute_at_most(
    acme_client, exchange, autojump_clock
):  # M11
    """Nobody waits for it, but everybody waits behind it: the connection is replaced."""
    async with (
        acme_client(venue=SERIAL) as client,
        client.subscribe(acme.Trades("Y")) as others,
    ):
        began = trio.current_time()
        async with client.subscribe(acme.Trades("X")):
            exchange.silence("watch", times=1)
        await trio.sleep(SERIAL.subscribe_timeout + 29)
        assert 1 == client.statistics().connections
        events = [await others.receive(), await others.receive()]

        assert [Gap, Resumed] == [type(event) for event in events]
        assert "hello" == await client.request(acme.Echo("hello"))
        assert 2 == client.statistics().connections
        assert trio.current_time() - began < SERIAL.subscribe_timeout + 30 + 2


async def test_an_unsubscription_that_is_answered_late_opens_the_way(
    acme_client, exchange, autojump_clock
):
    """Then nothing needs replacing."""
    async with acme_client(venue=SERIAL) as client:
        async with client.subscribe(acme.Trades("X")):
            exchange.delay("watch", SERIAL.subscribe_timeout + 3, times=1)
        assert "hello" == await client.request(acme.Echo("hello"))
        assert 1 == client.statistics().connections
        await trio.sleep(60)
        assert 1 == client.statistics().connections


async def test_a_venue_may_say_what_is_asked_after_a_subscription(
    acme_client, exchange, autojump_clock
):
    """Where that is a setting, the venue's word replaces the channel's."""
    silent = attrs.evolve(acme.VENUE, bootstrap=lambda channel: None)
    async with acme_client(venue=silent) as client, client.subscribe(acme.Orders()) as orders:
        await client.request(acme.Place("mine", 3))
        assert {"name": "mine", "order": 1} == await orders.receive()
    assert 0 == exchange.count("getorders")
