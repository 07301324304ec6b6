"""The promises about losing the connection, where they need a whole client."""

from __future__ import annotations

import gc
import math
import os

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests import acme
from tests.promises.venues import every_venue
from trioflex import (
    ConnectionLost,
    Gap,
    Keepalive,
    NotSent,
    Observer,
    OutcomeUnknown,
    Reconnect,
    Resumed,
    TicketState,
    open_client,
)
from trioflex.simulator import SimulatedExchange, open_server

AT_ONCE = Reconnect(base=1e-3, cap=1e-3, stable_after=0, give_up_after=None)
DAY = 24 * 3600


class Ends(Observer):
    """Notes when connections end, and why."""

    def __init__(self):
        self.seen = []

    def disconnected(self, connection, reason, code):
        self.seen.append((trio.current_time(), reason, code))


def opened(exchange, **settings):
    settings.setdefault("connector", exchange.connector)
    settings.setdefault("credentials", acme.JOE)
    settings.setdefault("reconnect", AT_ONCE)
    return open_client(acme.VENUE, **settings)


async def marker(receiver):
    """The next gap of a receiver."""
    while not isinstance(item := await receiver.receive(), Gap):
        pass
    return item


def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("mid_frame", [False, True])
async def test_a_reset_is_a_gap_within_fifty_milliseconds(mid_frame):  # W1 W2
    """Between messages or inside one; what was whole before it was delivered, no half is."""
    model = acme.Model()
    exchange = SimulatedExchange(model)
    async with (
        open_server(exchange) as server,
        opened(exchange, connector=None, url=server.url) as client,
        client.subscribe(acme.Trades("X")) as trades,
    ):
        model.push("trades:X", 1)
        assert 1 == await trades.receive()
        exchange.drop(mid_frame=mid_frame)
        began = trio.current_time()
        with trio.fail_after(0.3):  # 50 ms, and what a busy machine may take
            assert isinstance(await trades.receive(), Gap)
            assert isinstance(await trades.receive(), Resumed)
        assert trio.current_time() - began < 0.3


@pytest.mark.parametrize("fidelity", ["connector", "byte_connector"])
async def test_an_end_without_a_close_is_a_loss(fidelity, autojump_clock):  # W3
    """FIN alone, at once; and the next connection takes over."""
    exchange = SimulatedExchange(acme.Model())
    async with (
        opened(exchange, connector=getattr(exchange, fidelity)) as client,
        client.subscribe(acme.Trades("X")) as trades,
    ):
        exchange.half_close()
        assert isinstance(await trades.receive(), Gap)
        assert 0.0 == trio.current_time()
        assert isinstance(await trades.receive(), Resumed)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4000, 4999])
@pytest.mark.parametrize("fidelity", ["connector", "byte_connector"])
async def test_code_and_text_of_a_close_reach_the_user(code, fidelity, autojump_clock):  # W4
    """The observer's, and the error's where there is no next connection."""
    exchange = SimulatedExchange(acme.Model())
    ends = Ends()
    with pytest.raises(ConnectionLost, match="so long") as caught:
        async with opened(
            exchange,
            connector=getattr(exchange, fidelity),
            observer=ends,
            reconnect=Reconnect.never(),
        ):
            exchange.close(code, "so long")
            await trio.sleep_forever()
    assert (code, "so long") == (caught.value.code, caught.value.reason)
    [(when, reason, seen)] = ends.seen
    assert code == seen
    assert "so long" in reason
    assert 0.0 == when


async def test_a_peer_that_closes_and_leaves_tcp_open(autojump_clock):  # W5
    """Its slowness to hang up does not hold up the next connection."""
    exchange = SimulatedExchange(acme.Model())
    async with (
        opened(exchange, connector=exchange.byte_connector) as client,
        client.subscribe(acme.Trades("X")) as trades,
    ):
        exchange.close(1001, keep_tcp=True)
        assert isinstance(await trades.receive(), Gap)
        assert 0.0 == trio.current_time()
        assert isinstance(await trades.receive(), Resumed)
        assert trio.current_time() <= 3


@every_venue
@pytest.mark.parametrize("fidelity", ["connector", "byte_connector"])
async def test_a_dead_peer_is_noticed_in_the_venues_time(stage, fidelity, autojump_clock):  # W6
    """Idle time and the time for one pong, to the instant; then dropped, not closed."""
    exchange = stage.exchange()
    exchange.model.idle_timeout = None  # it would hang up itself, through the darkness
    ends = Ends()
    async with stage.open(
        exchange, connector=getattr(exchange, fidelity), observer=ends, reconnect=AT_ONCE
    ) as client:
        await wait_all_tasks_blocked()
        quiet_since = max(frame.at for frame in exchange.frames if frame.direction == "<")
        dark = exchange.go_dark()
        await trio.sleep(stage.silence - 0.001)
        assert [] == ends.seen
        await trio.sleep(0.002)
        [(when, reason, code)] = ends.seen
        assert stage.silence == pytest.approx(when - quiet_since, abs=1e-6)
        assert "nothing was received" in reason
        assert code is None
        dark.stop()
        await client.wait_ready()


@every_venue
async def test_a_quiet_market_is_never_dropped(stage, autojump_clock):  # W7
    """A virtual day in which nothing happens."""
    exchange = stage.exchange()
    async with stage.open(exchange) as client:
        await trio.sleep(DAY)
        assert client.ready
        assert 1 == client.statistics().attempts


async def test_a_peer_that_stops_reading(autojump_clock):  # W11
    """Ten seconds for one write; then what was under way is unknown, what waited was not sent."""
    exchange = SimulatedExchange(acme.Model())
    async with opened(exchange, keepalive=Keepalive(ping_after=math.inf)) as client:
        exchange.stall(connection=1)
        half_sent = await client.submit(acme.Place("a", 1))
        await wait_all_tasks_blocked()
        waiting = [await client.submit(acme.Place(str(n), 1)) for n in range(5)]
        with pytest.raises(OutcomeUnknown):
            await half_sent.reply()
        assert 10.0 == trio.current_time()
        for ticket in waiting:
            with pytest.raises(NotSent):
                await ticket.reply()
        assert 10.0 == trio.current_time()
        await client.wait_ready()


async def test_a_peer_that_stops_reading_does_not_delay_closing(autojump_clock):  # W11
    """The close timeout holds, although a write is stuck."""
    exchange = SimulatedExchange(acme.Model())
    async with opened(exchange) as client:
        exchange.stall()
        ticket = await client.submit(acme.Place("a", 1))
        await wait_all_tasks_blocked()
    assert 3.0 == trio.current_time()
    assert TicketState.UNKNOWN is ticket.state


async def test_fifty_restarts_over_sockets():  # W13
    """Fifty pairs for every receiver; descriptors and tasks are where they were."""
    model = acme.Model()
    exchange = SimulatedExchange(model)
    async with (
        open_server(exchange) as server,
        opened(exchange, connector=None, url=server.url) as client,
        client.subscribe(acme.Book("X")) as book,
        client.subscribe(acme.Trades("X")) as trades,
    ):
        before, seen = None, []
        with trio.fail_after(30):
            for n in range(50):
                exchange.drop()
                await marker(book)
                assert isinstance(await book.receive(), Resumed)
                while len(seen) < 2 * n + 2:
                    seen.append(type(await trades.receive()))
                if n == 9:
                    before = descriptors(), trio.lowlevel.current_statistics().tasks_living
        await client.wait_ready()
        assert before is not None
        assert abs(before[0] - descriptors()) <= 1
        assert before[1] == trio.lowlevel.current_statistics().tasks_living
        assert [Gap, Resumed] * 50 == seen
        assert 51 == client.statistics().connections


@pytest.mark.parametrize("how", ["left", "cancelled"])
@pytest.mark.parametrize("during", ["back-off", "connecting", "login"])
async def test_leaving_an_outage_takes_no_time(how, during, autojump_clock):  # W16
    """Whatever the client is about, and whether its block ends or is cancelled."""
    exchange = SimulatedExchange(acme.Model())
    patient = Reconnect(base=1e12, cap=1e12, give_up_after=None)  # a drawn part of it: never 1 s
    policy = patient if during == "back-off" else AT_ONCE
    with trio.CancelScope() as scope:
        async with opened(exchange, reconnect=policy) as client:
            if during == "connecting":
                exchange.hang_upgrade()
            elif during == "login":
                exchange.silence("login")
            exchange.drop()
            await trio.sleep(1)
            began = trio.current_time()
            assert not client.ready
            attempts = {"back-off": 1, "connecting": 2, "login": 2}[during]
            assert attempts == client.statistics().attempts
            if how == "cancelled":
                scope.cancel()
                await trio.sleep_forever()
    assert began == trio.current_time()
    assert (how == "cancelled") is scope.cancelled_caught
    await wait_all_tasks_blocked()
    assert () == exchange.open_connections


async def test_wishes_of_an_outage_are_honoured_at_the_next_login(autojump_clock):  # W17
    """Added ones are subscribed, dropped ones are not."""
    exchange = SimulatedExchange(acme.Model())
    async with opened(exchange) as client, trio.open_nursery() as nursery:
        async with client.subscribe(acme.Trades("dropped")):
            refusal = exchange.refuse_connections()
            exchange.drop()
            await wait_all_tasks_blocked()

        live = trio.Event()

        @nursery.start_soon
        async def add():
            async with client.subscribe(acme.Trades("added")):
                live.set()
                await trio.sleep_forever()

        await wait_all_tasks_blocked()
        assert not live.is_set()
        refusal.stop()
        await live.wait()
        nursery.cancel_scope.cancel()
    wanted = [f.text for f in exchange.frames if '"watch"' in f.text and f.connection > 1]
    assert ["trades:added"] == [text.split('"channel": "')[1].split('"')[0] for text in wanted][:1]
    assert not any("dropped" in text for text in wanted)
