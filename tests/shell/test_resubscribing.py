"""Leaving a channel and coming back: the new subscription waits for the end of the old one."""

from __future__ import annotations

import json
from typing import ClassVar

import attrs
import pytest
import trio

from tests import acme
from trioflex.protocol import Channel, Confirm, Push

BOOK = acme.Book("X")


def watches(exchange):
    """Return what was asked of channels, and when."""
    requests = [
        (frame.at, json.loads(frame.text)) for frame in exchange.frames if frame.direction == ">"
    ]
    return [(at, request["on"]) for at, request in requests if request["op"] == "watch"]


async def leave_and_come_back(client):
    async with client.subscribe(BOOK):
        pass
    async with client.subscribe(BOOK) as receiver:
        return await receiver.receive()


async def test_coming_back_at_once_gets_a_snapshot_that_nothing_older_follows(
    acme_client, exchange, model, autojump_clock
):  # M12
    """What was pushed for the old subscription is not taken for news behind the new snapshot."""
    exchange.delay("watch", 2.0)
    async with acme_client() as client:
        async with client.subscribe(BOOK):
            model.tick(1, 10)
        began = trio.current_time()
        async with client.subscribe(BOOK) as receiver:
            assert began + 4.0 == trio.current_time(), "the stop's answer, then the start's"
            assert acme.Prices(model.levels) == await receiver.receive()
            with pytest.raises(trio.WouldBlock):
                receiver.receive_nowait()

    assert [(0.0, True), (began, False), (began + 2.0, True)] == watches(exchange)[:3]


async def test_a_stop_that_is_never_answered_holds_the_start_for_the_subscribe_timeout(
    acme_client, exchange, model, autojump_clock
):
    """Then the venue is believed to have heard it."""
    async with acme_client() as client:
        async with client.subscribe(BOOK):
            exchange.silence("watch", times=1)
        async with client.subscribe(BOOK) as receiver:
            assert 5.0 == trio.current_time()
            assert acme.Prices(model.levels) == await receiver.receive()


async def test_a_stop_that_is_refused_is_answered(acme_client, exchange, model, autojump_clock):
    """Whatever the venue has against it: it will not push what it does not serve."""
    async with acme_client() as client:
        async with client.subscribe(BOOK):
            [peer] = model.peers
            peer.channels.clear()  # the venue forgot
        async with client.subscribe(BOOK) as receiver:
            assert acme.Prices(model.levels) == await receiver.receive()


async def test_a_venue_that_cannot_stop_starts_at_once(acme_client, exchange, autojump_clock):
    """There is no answer to wait for where there is no question."""

    class Endless(acme.Session):
        def watch(self, channel, on):
            return super().watch(channel, on) if on else None

    venue = attrs.evolve(acme.VENUE, session=Endless)
    async with acme_client(venue=venue) as client:
        async with client.subscribe(BOOK):
            pass
        exchange.model.peers[0].channels.clear()  # it counts each subscription as the first
        async with client.subscribe(BOOK):
            assert 0.0 == trio.current_time()

    assert [(0.0, True), (0.0, True)] == watches(exchange)


async def test_a_connection_that_is_lost_meanwhile_settles_it(
    acme_client, exchange, model, autojump_clock
):
    """The new connection knows nothing of the old subscription."""
    async with acme_client() as client:
        async with client.subscribe(BOOK):
            exchange.silence("watch", times=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave_and_come_back, client)
            await trio.testing.wait_all_tasks_blocked()
            exchange.drop()
        assert trio.current_time() < 5.0


@attrs.frozen
class Rain(Channel):
    """Done when sent, with something to ask for then."""

    confirm: ClassVar[Confirm] = Confirm.SENT

    @property
    def bootstrap(self):
        return acme.GetOrders()


class RainSession(acme.Session):
    def watch(self, channel, on):
        return acme.Watch("weather", on)

    def _push(self, name, value, seq):
        return [Push(Rain(), value)]


async def test_a_refusal_that_is_about_an_older_attempt_stops_nothing(
    acme_client, exchange, model, autojump_clock
):  # M9
    """The newer attempt is under way; stopped on the wire it would be live and silent."""
    exchange.delay("getorders", 1)
    exchange.refuse("getorders", "no", "no", times=1)
    venue = attrs.evolve(acme.VENUE, session=RainSession)
    async with acme_client(venue=venue) as client, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def start_over():
            await trio.testing.wait_all_tasks_blocked()
            client._core.registry.entries[Rain()].members[0].subscriber.resubscribe()

        async with client.subscribe(Rain()) as receiver:
            assert () == await receiver.receive()
            model.push("weather", "rain")
            assert "rain" == await receiver.receive()
