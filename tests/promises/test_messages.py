"""The promises about messages, where they need a whole client."""

from __future__ import annotations

import json
import time
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests import acme
from tests.promises.venues import every_venue
from trioflex import Gap, Observer, Reconnect, Resumed, open_client
from trioflex.simulator import SimulatedExchange
from trioflex.testing import ScriptedPeer, encode_raw_frame, memory_connector

# Not in the same millisecond: a login whose time is not newer is refused as used before.
AT_ONCE = Reconnect(base=1, cap=1, stable_after=0, give_up_after=None)
RUBBISH = [
    *("what?", "", "[", "[]", "5", '"x"', "null", "NaN", '"\\ud800"'),
    "[" * 1000 + "]" * 1000,
    "9" * 100_000,
]


class Marks(Observer):
    """Notes what broke the protocol, and what meant nothing."""

    def __init__(self):
        self.malformed_ones = []
        self.ignored_ones = []

    def malformed(self, connection, excerpt, error):
        self.malformed_ones.append(excerpt)

    def ignored(self, connection, excerpt):
        self.ignored_ones.append(excerpt)


@every_venue
@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda text: repr(text[:8]))
async def test_rubbish_costs_one_connection_at_most(stage, rubbish, autojump_clock):  # M1 M2
    """Counted and shown, in short; nothing is raised in the user's block."""
    exchange = stage.exchange()
    marks = Marks()
    async with stage.open(exchange, observer=marks, reconnect=AT_ONCE) as client:
        exchange.push(rubbish)
        await wait_all_tasks_blocked()
        await client.wait_ready()
        figures = client.statistics()
        assert 1 == figures.malformed + figures.ignored
        assert 1 + figures.malformed == figures.connections
        [shown] = marks.malformed_ones + marks.ignored_ones
        assert len(shown) <= 1024


@every_venue
async def test_binary_is_rubbish(stage, autojump_clock):  # M3
    """The connection ends with 1003, and a new one begins."""
    exchange = stage.exchange()
    async with stage.open(exchange, connector=exchange.byte_connector, reconnect=AT_ONCE) as client:
        exchange.push(b"{}")
        await wait_all_tasks_blocked()
        await client.wait_ready()
        assert 2 == client.statistics().connections


@every_venue
async def test_news_of_unknown_kinds_are_ignored(stage, autojump_clock):  # M4
    """Countable, readable, and nothing else happens."""
    kinds = {"notice": "Brand New", "op": "new", "type": "new", "command": "new", "extra": [1]}
    exchange = stage.exchange()
    async with stage.open(exchange) as client, client.unmatched() as unmatched:
        exchange.push(json.dumps(kinds))
        await unmatched.receive()
        assert (1, 0, 1) == (
            client.statistics().ignored,
            client.statistics().malformed,
            client.statistics().connections,
        )


async def test_a_message_above_the_limit_is_a_gap(autojump_clock):  # M5
    """Refused on its header; Close 1009; a new connection; the receiver knows."""
    limit = acme.VENUE.max_message_bytes
    closes = []

    async def serve(stream):
        peer = ScriptedPeer(stream)
        await peer.accept()
        await peer.send_text('{"hello": "", "rhythm": 0}')
        watch = json.loads(await peer.receive_text())
        await peer.send_text(json.dumps({"id": watch["id"], "result": {}}))
        if closes:
            await peer.receive_all()
            return
        await peer.send(encode_raw_frame(1, b"x", length=limit + 1))
        frame = await peer.receive_frame()
        closes.append((frame.opcode, int.from_bytes(frame.payload[:2], "big")))

    async with (
        open_client(acme.VENUE, connector=memory_connector(serve), reconnect=AT_ONCE) as client,
        client.subscribe(acme.Trades("X")) as trades,
    ):
        assert isinstance(await trades.receive(), Gap)
        assert isinstance(await trades.receive(), Resumed)
    assert [(8, 1009)] == closes


def ticks(numbers):
    """Messages of a channel as bytes of the wire, all of one length."""
    text = b'{"channel": "trades:X", "value": 1%06d}'
    head = encode_raw_frame(1, text % 0)[:2]
    return b"".join(head + text % n for n in numbers)


async def test_a_burst_is_delivered_or_accounted_for():  # M7
    """100,000 messages over a socket: in order, none uncounted, a Ping answered on the way."""
    count = 100_000
    half = count // 2
    burst = ticks(range(half)) + encode_raw_frame(9, b"now?") + ticks(range(half, count))
    answered, seen = [], []

    async def serve(stream):
        peer = ScriptedPeer(stream)
        await peer.accept()
        await peer.send_text('{"hello": "", "rhythm": 0}')
        watch = json.loads(await peer.receive_text())
        await peer.send_text(json.dumps({"id": watch["id"], "result": None}))
        await peer.receive_text()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, burst)
            frame = await peer.receive_frame()
            answered.append((frame.opcode, frame.payload, len(seen)))
            await peer.receive_all()

    async with trio.open_nursery() as nursery:
        listen = partial(trio.serve_tcp, serve, 0, host="127.0.0.1")
        listeners = await nursery.start(listen)
        port = listeners[0].socket.getsockname()[1]
        async with (
            open_client(acme.VENUE, url=f"ws://127.0.0.1:{port}/") as client,
            client.subscribe(acme.Trades("X"), buffer=8192) as trades,
        ):
            await client.submit(acme.Echo("go"))
            used = time.process_time()
            async for n in trades.values():
                seen.append(n)
                if n == 1_000_000 + count - 1:
                    break
            used = time.process_time() - used
            assert seen == sorted(seen)
            assert count == len(seen) + trades.statistics().dropped
            assert count == client.statistics().pushes
            while not answered:  # noqa: ASYNC110
                await trio.sleep(0.01)
            [(opcode, payload, read)] = answered
            assert (0xA, b"now?") == (opcode, payload)
            assert read < len(seen), "answered during the burst, not after it"
            # In processor time, a fictional venue's json and the sending server included; five
            # times what it takes, for busy machines.
            assert used < 10
        nursery.cancel_scope.cancel()


async def test_a_flood_of_pings_does_not_stop_requests(autojump_clock):  # M8
    """A thousand of them with no pause; every request between them is answered."""
    exchange = SimulatedExchange(acme.Model())
    async with open_client(acme.VENUE, connector=exchange.byte_connector) as client:
        for n in range(20):
            for _ in range(50):
                exchange.ping()
            assert str(n) == await client.request(acme.Echo(str(n)))
            exchange.push('{"new": "kind"}')
        await wait_all_tasks_blocked()
        assert 1 == client.statistics().connections
        assert 0.0 == trio.current_time()
