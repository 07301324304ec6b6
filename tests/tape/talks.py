"""Talks with simulated venues, put on tape and played again."""

from __future__ import annotations

from contextlib import asynccontextmanager

import attrs
import trio
import trio.testing

import trioflex
from trioflex.cli import catalogue
from trioflex.cli.spelling import make_channel
from trioflex.simulator import SimulatedExchange
from trioflex.tape import open_player, open_recorder, read_tape

CHANNELS = {
    "coinflex": ("OrderBook:XBT:USDT", "Ticker:XBT:USDT", "Balances", "OwnOrders"),
    "coinfloor": ("OrderBook:XBT:GBP", "Ticker:XBT:GBP"),
    "midchains": ("Book:BTCUSD", "Orders", "Positions"),
    "theone": ("Balances",),
}

SOON = trioflex.Reconnect(base=0.5)


def channels_of(name):
    """What is watched of a venue in these tests."""
    venue, _ = catalogue.find(name)
    return [make_channel(venue, text) for text in CHANNELS[name]]


@asynccontextmanager
async def open_login(exchange, name, **options):
    """Open a client with the login of a simulated exchange."""
    venue, module = catalogue.find(name)
    found = module.Credentials.from_env(dict(exchange.model.credentials()))
    options = {"env": exchange.env} | options
    async with trioflex.open_client(venue, credentials=found, reconnect=SOON, **options) as client:
        yield client


async def follow(client, channels, into):
    """Gather what channels deliver, by channel."""

    async def gather(channel):
        items = into.setdefault(channel, [])
        async with client.subscribe(channel, overflow=trioflex.Overflow.GAP) as receiver:
            async for item in receiver:
                # How soon a client comes back is its own business, and random.
                timeless = isinstance(item, trioflex.Resumed)
                items.append(attrs.evolve(item, downtime=0.0) if timeless else item)

    async with trio.open_nursery() as nursery:
        for channel in channels:
            nursery.start_soon(gather, channel)


async def record(path, name, *, seconds=20.0, losses=True, **options):
    """Record a simulated venue, which loses the connection twice; return what was delivered."""
    exchange = SimulatedExchange(name, seed=3)
    venue, _ = catalogue.find(name)
    items = {}

    async def lose():
        await trio.sleep(5)
        exchange.drop()
        await trio.sleep(7)
        exchange.close(1012, "restart")

    async with (
        exchange.trading(),
        open_recorder(
            path, venue, channels=CHANNELS[name], env=exchange.env, **options
        ) as recorder,
        open_login(
            exchange, name, connector=recorder.connector(exchange.connector), observer=recorder
        ) as client,
        trio.open_nursery() as nursery,
    ):
        if losses:
            nursery.start_soon(lose)
        with trio.move_on_after(seconds):
            await follow(client, channels_of(name), items)
        nursery.cancel_scope.cancel()
    return items


async def play(path, name, channels=None, **options):
    """Play a tape to its end; return what was delivered, and how often nothing was answered."""
    items = {}
    exchange = SimulatedExchange(name)
    async with (
        open_player(read_tape(path), **options) as player,
        open_login(exchange, name, connector=player.connector, env=player.env) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(follow, client, channels or channels_of(name), items)
        await player.ended.wait()
        await trio.testing.wait_all_tasks_blocked()
        unanswered = player.unanswered
        nursery.cancel_scope.cancel()
    return items, unanswered
