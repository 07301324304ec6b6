"""Cancelled at every single step: each life of a client ends at once, clean, closed and quiet.

Each scenario is run once for every step that its tasks take, cancelled right there, over both
fidelities of the simulated exchange: whole messages, and bytes through our WebSocket. Of the bytes'
steps, which are several times as many, the suite takes every fourth; ``make sweep`` takes them all.
"""  # X4

from __future__ import annotations

import os
from contextlib import asynccontextmanager, suppress

import attrs
import pytest
import trio

from tests import acme
from trioflex import (
    Gap,
    NotSent,
    OutcomeUnknown,
    Reconnect,
    Resumed,
    TicketState,
    open_client,
)
from trioflex.simulator import SimulatedExchange
from trioflex.testing import cancellation_sweep
from trioflex.venues import coinflex

NEVER_LEFT = (TicketState.WITHDRAWN, TicketState.NOT_SENT)

NO_TIME = 0.01  # seconds of virtual time; the shortest of our own timeouts is a quarter of one

# Delays are drawn, and a sweep wants the same steps each time; the far side is there again at once.
RECONNECT = Reconnect(base=1e-3, cap=1e-3, stable_after=0)


class World:
    """A fresh exchange for each run, and what must be true of it after the run."""

    def __init__(self, fidelity):
        self.fidelity = fidelity
        self.host(acme.Model())

    def host(self, venue, place="place"):
        """Begin a run: a fresh exchange of that venue, and what it calls an order."""
        self.place = place
        self.orders = 0
        self.exchange = SimulatedExchange(venue)
        self.model = self.exchange.model
        self.connector = getattr(self.exchange, self.fidelity)
        self.tickets = []

    @asynccontextmanager
    async def client(self):
        self.host(acme.Model())
        async with open_client(
            acme.VENUE, credentials=acme.JOE, connector=self.connector, reconnect=RECONNECT
        ) as client:
            yield client

    async def submit(self, client, name):
        self.orders += 1
        ticket = await client.submit(acme.Place(name, 3))
        self.tickets.append(ticket)
        return ticket

    def left_open(self):
        """Name what is wrong after a run: open connections, open tickets, tickets that lie."""
        wrong = [f"connection {number}" for number in self.exchange.open_connections]
        for ticket in self.tickets:
            arrived = ticket.request.name in self.model.orders
            if not ticket.final:
                wrong.append(repr(ticket))
            if arrived and ticket.state in NEVER_LEFT:
                wrong.append(f"the lie of {ticket!r}, which did arrive,")
            if not arrived and ticket.state is TicketState.ANSWERED:
                wrong.append(f"the lie of {ticket!r}, which never arrived,")
        if self.exchange.count(self.place) > self.orders:
            wrong.append(f"an order that was sent twice ({self.exchange.frames})")
        return wrong


@pytest.fixture(params=["connector", "byte_connector"], ids=["messages", "bytes"])
def world(request):
    return World(request.param)


def sweep(world, scenario):
    """Sweep a scenario; cancellation means now, so nothing may take longer than no time at all."""
    every = 4 if world.fidelity == "byte_connector" and not os.environ.get("SWEEP") else 1
    report = cancellation_sweep(scenario, left_open=world.left_open, patience=NO_TIME, every=every)
    assert [] == [attrs.astuple(fault) for fault in report.faults]
    return report.steps * every


def test_connecting_and_logging_in(world):
    """From the first step to ready."""

    async def scenario():
        async with world.client() as client:
            assert "joe" == client.account

    assert sweep(world, scenario) > 20


def test_subscribing_and_receiving(world):
    """Entering a subscription, two readers, items that come, leaving in order and out of order."""

    async def read(receiver, count):
        for _ in range(count):
            await receiver.receive()

    async def scenario():
        async with (
            world.client() as client,
            client.subscribe(acme.Book("X")) as book,
            client.subscribe(acme.Book("X")) as same,
            client.subscribe(acme.Trades("Y")) as trades,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(read, book, 4)
            nursery.start_soon(read, same, 4)
            nursery.start_soon(read, trades, 1)
            for level in range(3):
                world.model.tick(level, 1)
                await trio.sleep(0.1)
            world.model.push("trades:Y", 5)

    assert sweep(world, scenario) > 30


def test_a_subscription_that_was_cancelled_leaves_no_trace(world):
    """Cancelled while entering, inside or leaving: the client goes on, and the wire is clean."""

    async def scenario():
        async with world.client() as client:
            with trio.move_on_after(0.05):
                async with client.subscribe(acme.News()):  # its first push never comes
                    raise AssertionError("live without a push")
            assert 0 == client.statistics().channels
            assert "still here" == await client.request(acme.Echo("still here"))
            [peer] = world.model.peers
            assert set() == peer.channels

    assert sweep(world, scenario) > 20


def test_requests_in_every_state(world):
    """Answered, refused, waiting for a rate, given up: each ticket ends in a state that is true."""

    async def scenario():
        async with world.client() as client:
            first = await world.submit(client, "first")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.request, acme.Echo("a"))
                nursery.start_soon(client.request, acme.Echo("b"))
                for text in "cdef":
                    nursery.start_soon(client.request, acme.Limited(text))
                second = await world.submit(client, "second")
                with trio.move_on_after(0):
                    await second.reply()
            assert 1 == await first.reply()

    assert sweep(world, scenario) > 40


def test_losing_the_connection_and_coming_back(world):
    """With an order under way, an order that waits, and a receiver that sees the gap."""

    async def scenario():
        async with world.client() as client, client.subscribe(acme.Book("X")) as book:
            assert isinstance(await book.receive(), acme.Prices)
            world.model.quiet = True  # or a push proves that the order was executed
            world.exchange.silence("place")
            lost = await world.submit(client, "lost")
            await world.exchange.seen("place")
            world.exchange.drop()
            with pytest.raises(OutcomeUnknown):
                await lost.reply()
            with pytest.raises(NotSent):
                await world.submit(client, "late")
            assert isinstance(await book.receive(), Gap)
            await client.wait_ready()
            assert Resumed is type(await book.receive())
            assert isinstance(await book.receive(), acme.Prices)

    assert sweep(world, scenario) > 40


def test_reconnecting_on_demand(world):
    """Away and back again, with somebody who waits for it."""

    async def scenario():
        async with world.client() as client, client.subscribe(acme.Trades("Y")):
            await client.disconnect()
            assert not client.ready
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.wait_ready)
                await client.reconnect()

    assert sweep(world, scenario) > 40


def test_logging_in_an_open_client(world):
    """In place, and by a new connection."""

    async def scenario():
        world.host(acme.Model())
        async with open_client(
            acme.VENUE, connector=world.connector, reconnect=RECONNECT
        ) as client:
            await client.login(acme.JOE)
            assert "joe" == client.account

    assert sweep(world, scenario) > 20


def test_closing_while_everything_is_under_way(world):
    """The goodbye, with a receiver outside the block, and orders that are still unanswered."""

    async def drain(receiver):
        with suppress(trio.ClosedResourceError):  # its block was left
            async for _ in receiver:
                pass

    async def scenario():
        async with trio.open_nursery() as outside:
            async with world.client() as client, client.frames() as frames:
                outside.start_soon(drain, frames)
                async with client.subscribe(acme.Book("X")) as book:
                    outside.start_soon(drain, book.values())
                    world.exchange.silence("place")
                    await world.submit(client, "unanswered")
                    await world.exchange.seen("place")

    assert sweep(world, scenario) > 20


def test_closing_against_a_peer_that_never_answers(world):
    """Politeness is given up at the moment of cancellation, not three seconds later."""  # X6

    async def scenario():
        async with world.client():
            world.exchange.stall()

    assert sweep(world, scenario) > 20


def test_a_coinflex_client_from_login_to_order(world):
    """The real thing: nonce and signature, a book with its snapshot, an order and its notices."""
    order = coinflex.PlaceOrder("XBT", "USDT", quantity="0.01", price="5000", tonce=1)

    async def scenario():
        world.host("coinflex", coinflex.PlaceOrder)
        credentials = coinflex.Credentials.from_env(world.model.credentials())
        async with (
            open_client(
                coinflex.VENUE, credentials=credentials, connector=world.connector
            ) as client,
            client.subscribe(coinflex.OwnOrders()) as orders,
            client.subscribe(coinflex.OrderBook("XBT", "USDT")) as book,
        ):
            await book.receive()
            await orders.receive()
            world.orders += 1
            placed = await client.request(order)
            assert placed.id > 0
            await book.receive()
            await orders.receive()

    assert sweep(world, scenario) > 40
