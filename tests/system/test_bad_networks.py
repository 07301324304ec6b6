"""Clients behind a bad network: cut in a frame, dark, lossy, dripping; exact, on a virtual clock.

The last tests show the same over sockets, where only the kernel knows what happens.
"""

from __future__ import annotations

import json
import logging
import random

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioflex import (
    ConnectFailed,
    Gap,
    GapReason,
    Reconnect,
    Resumed,
    find_venue,
    open_client,
)
from trioflex.book import OrderBook
from trioflex.simulator import SimulatedExchange, open_server
from trioflex.simulator.exchange import MODELS
from trioflex.testing import Direction, FaultProxy, memory_connector, open_fault_proxy
from trioflex.venues import coinflex

from .test_book_integrity import clients_book, own_book, scales

DOWN, UP = Direction.TO_CLIENT, Direction.TO_SERVER
BOOK = coinflex.OrderBook("XBT", "USDT")
SOON = Reconnect(base=1e-3, cap=1e-3, stable_after=0, give_up_after=None)

# Seconds until silence is noticed: from the venues' documents, see their keepalive.
NOTICED = {"coinflex": 60, "coinfloor": 60, "midchains": 40, "oceanex": 90, "theone": 40}
# Opening needs no account at those; the others have nothing to say to strangers.
ANONYMOUS = ("coinflex", "coinfloor", "midchains")


class World:
    """An exchange in memory, with a bad network before it."""

    def __init__(self, venue="coinflex", **options):
        self.exchange = SimulatedExchange(venue, seed=4, **options)
        self.proxy = FaultProxy()
        self.connector = memory_connector(self.proxy.between(self.exchange.host))
        self.items = []

    def open(self, venue=coinflex.VENUE, **settings):
        settings.setdefault("connector", self.connector)
        settings.setdefault("env", self.exchange.env)
        settings.setdefault("reconnect", SOON)
        return open_client(venue, **settings)

    async def drain(self, receiver, book):
        await wait_all_tasks_blocked()
        while receiver.statistics().buffered:
            self.items.append(await receiver.receive())
            book.apply(self.items[-1])

    def gaps(self):
        return [item for item in self.items if isinstance(item, Gap)]

    def agrees(self, book):
        """Whether the client's book is the exchange's."""
        return own_book(self.exchange, "coinflex") == clients_book(book, *scales("coinflex"))


async def test_a_frame_that_is_cut_is_not_delivered(autojump_clock):  # W2
    """Cut after every byte of an update: a gap at once, the snapshot next, never half an order."""
    world, book = World(), OrderBook()
    async with (
        world.open() as client,
        client.subscribe(BOOK) as receiver,
    ):
        await world.drain(receiver, book)
        sizes = set()
        for after in range(1, 140):
            before = world.proxy.passed(DOWN)
            connection = world.exchange.next_connection - 1
            world.proxy.cut(after)
            while connection in world.exchange.open_connections:
                world.exchange.trade()
                await wait_all_tasks_blocked()
            sizes.add(world.proxy.passed(DOWN, connection=connection))
            assert after == world.proxy.passed(DOWN) - before
            await world.drain(receiver, book)
            assert not book.valid or world.agrees(book)
            await client.wait_ready()
            await world.drain(receiver, book)
            await trio.sleep(1)
            await world.drain(receiver, book)
            assert book.valid
            assert world.agrees(book)
    assert 139 == len(world.gaps())
    assert {GapReason.DISCONNECTED} == {gap.reason for gap in world.gaps()}
    assert 140 == client.statistics().connections


@pytest.mark.parametrize("name", sorted(MODELS))
async def test_a_half_open_connection_is_dropped_in_the_time_of_its_venue(
    name, caplog, autojump_clock
):
    """One missed pong is enough, and nobody waits for a goodbye."""  # W6
    caplog.set_level(logging.INFO, logger="trioflex.simulator")
    world = World(name)
    venue = find_venue(name)
    module = __import__(f"trioflex.venues.{name}", fromlist=["Credentials"])
    credentials = None
    if name not in ANONYMOUS:
        credentials = module.Credentials.from_env(world.exchange.model.credentials())
    async with world.open(venue, credentials=credentials) as client:
        # What the venue says in the first moments, and answers to it, are over by then.
        await trio.sleep(1)
        world.proxy.go_dark()
        dark = trio.current_time()
        frames = world.exchange.statistics().requests
        while client.ready:  # noqa: ASYNC110 - on the clock's own ticks, to see the moment
            await trio.sleep(0.25)
        noticed = trio.current_time()
        assert NOTICED[name] - 1.25 <= noticed - dark <= NOTICED[name] + 0.25
        world.proxy.release()
        await client.wait_ready()
        # The far side, which has read all there was by now, has seen no Close.
        assert "connection 1 ended:" in caplog.text
        assert "connection 1 ended: closed by" not in caplog.text
        assert frames == world.exchange.statistics().requests - (credentials is not None)
        assert 2 == client.statistics().connections
        assert 5 > trio.current_time() - noticed


async def test_five_dark_seconds_lose_nothing(autojump_clock):  # W9
    """Everything arrives afterwards, once, in order, and nobody reconnects."""
    world, book = World(), OrderBook()
    async with world.open() as client, client.subscribe(BOOK) as receiver:
        await world.drain(receiver, book)
        for _ in range(10):
            world.proxy.go_dark()
            began = len(world.items)
            for _ in range(10):
                world.exchange.trade(5)
                await trio.sleep(0.5)
                await world.drain(receiver, book)
            assert began == len(world.items)
            world.proxy.release()
            await world.drain(receiver, book)
            assert world.agrees(book)
        assert 1 == client.statistics().connections
    assert [] == world.gaps()


@pytest.mark.parametrize("seed", range(15))
async def test_a_stream_with_a_hole_is_never_wrong_data(seed, autojump_clock):  # W10
    """Bytes get lost and the connection lives on: it is ended by the protocol or the heartbeat."""
    chance = random.Random(seed)
    world, book = World(), OrderBook()
    async with world.open() as client, client.subscribe(BOOK) as receiver:
        await world.drain(receiver, book)
        # A hole that begins and ends inside of frames: bytes drip, and some of them are lost.
        world.proxy.slice(7, pause=0.01, direction=DOWN)
        world.exchange.trade(20)
        await trio.sleep(chance.uniform(0, 0.5))
        world.proxy.discard(DOWN)
        await trio.sleep(chance.uniform(0.02, 1))
        world.proxy.release()
        lost = world.proxy.statistics().discarded
        assert lost
        for _ in range(90):
            world.exchange.trade()
            await trio.sleep(1)
            await world.drain(receiver, book)
            assert not book.valid or world.agrees(book)
        assert book.valid
    assert [GapReason.DISCONNECTED] == [gap.reason for gap in world.gaps()]


async def test_a_handshake_may_come_byte_by_byte(autojump_clock):  # C6
    """Within the deadline, both ways."""
    world = World()
    world.proxy.slice(1, pause=0.01)
    async with world.open() as client:
        assert client.ready
        assert 3 < trio.current_time() < 10


@pytest.mark.parametrize("direction", Direction)
async def test_a_byte_a_minute_is_too_slow(direction, autojump_clock):  # C6
    """The deadline holds, however often something comes."""
    world = World()
    world.proxy.slice(1, pause=60, direction=direction)
    with pytest.raises(ConnectFailed, match="10 s"):
        async with world.open():
            raise AssertionError("not in a minute")
    assert 10.0 == trio.current_time()


async def test_a_byte_a_second_is_no_sign_of_life(autojump_clock):  # M14
    """A message that drips in is not waited for longer than silence is: frames are life."""
    world = World()
    async with world.open() as client, client.subscribe(BOOK) as receiver:
        world.proxy.slice(1, pause=1, direction=DOWN, connection=1)
        whole = world.proxy.passed(DOWN)
        world.exchange.push(json.dumps({"notice": "News", "text": 100 * "."}))
        while not isinstance(item := await receiver.receive(), Gap):
            pass
        assert 60.0 == trio.current_time()
        assert GapReason.DISCONNECTED is item.reason
        assert 60 <= world.proxy.passed(DOWN, connection=1) - whole, "a byte a second, no frame"
        await client.wait_ready()
        assert 2 == client.statistics().connections


# -- over sockets --------------------------------------------------------------------------------


async def test_a_frame_that_is_cut_by_rst():  # W1, W2
    """The gap comes within 50 ms of the RST; 0.25 s are allowed to a busy machine."""
    exchange = SimulatedExchange("coinflex", seed=4)
    book = OrderBook()
    async with (
        open_server(exchange) as server,
        open_fault_proxy(server.host, server.port) as proxy,
        open_client(coinflex.VENUE, url=proxy.url, reconnect=SOON) as client,
        client.subscribe(BOOK) as receiver,
    ):
        book.apply(await receiver.receive())
        for count, after in enumerate((1, 2, 3, 60, 100), 1):
            proxy.cut(after)
            exchange.trade(10)
            with trio.fail_after(5):
                while proxy.statistics().cut < count:  # noqa: ASYNC110 - the kernel sets no event
                    await trio.sleep(0.001)
                began = trio.current_time()
                while not isinstance(item := await receiver.receive(), Gap):
                    book.apply(item)
                assert 0.05 + 0.25 > trio.current_time() - began
                assert isinstance(await receiver.receive(), Resumed)
                book.apply(await receiver.receive())
        assert own_book(exchange, "coinflex") == clients_book(book, *scales("coinflex"))


async def test_dark_for_a_while_over_sockets():  # W9
    """The kernel keeps what was sent; nobody reconnects, and nothing is lost."""
    exchange = SimulatedExchange("coinflex", seed=4)
    book = OrderBook()
    async with (
        open_server(exchange) as server,
        open_fault_proxy(server.host, server.port) as proxy,
        open_client(coinflex.VENUE, url=proxy.url) as client,
        client.subscribe(BOOK) as receiver,
    ):
        book.apply(await receiver.receive())
        proxy.go_dark()
        exchange.trade(500)
        await trio.sleep(0.5)
        assert 0 == receiver.statistics().buffered
        proxy.release()
        with trio.fail_after(5):
            while own_book(exchange, "coinflex") != clients_book(book, *scales("coinflex")):
                book.apply(item := await receiver.receive())
                assert not isinstance(item, Gap)
        assert 1 == client.statistics().connections
