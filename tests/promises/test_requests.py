"""The promises about requests, where they need a whole client and a simulated venue."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests import acme
from tests.promises.venues import STAGES
from trioflex import OutcomeUnknown, Reconnect, RefusalKind, Refused, TicketState, open_client
from trioflex.simulator import SimulatedExchange, open_server
from trioflex.testing import ScriptedPeer, memory_connector
from trioflex.venues import coinflex, midchains, theone

AT_ONCE = Reconnect(base=1e-3, cap=1e-3, stable_after=0, give_up_after=None)
COINFLEX, _, MIDCHAINS, _, THEONE = STAGES


async def test_an_answer_and_the_end_together(autojump_clock):  # R3
    """Answered, for what was read was said; byte for byte, whatever lies between them."""

    async def serve(stream):
        peer = ScriptedPeer(stream)
        await peer.accept()
        await peer.send_text('{"hello": "", "rhythm": 0}')
        await peer.receive_text()
        await peer.send_text('{"login": "ok", "user": "joe"}')
        key = json.loads(await peer.receive_text())["id"]
        await peer.send_text(f'{{"id": {key}, "result": {key * 7}}}')

    async with open_client(
        acme.VENUE, credentials=acme.JOE, connector=memory_connector(serve), reconnect=AT_ONCE
    ) as client:
        for _ in range(20):
            await client.wait_ready()
            ticket = await client.submit(acme.Place("a", 1))
            assert 7 == await ticket.reply()
            await wait_all_tasks_blocked()
        assert 20 == client.statistics().connections


async def test_an_answer_and_a_reset_together_over_sockets():  # R3
    """Whether the answer was read before the reset is the kernel's to say; either is the truth."""
    exchange = SimulatedExchange(acme.Model())
    exchange.silence("place", execute=False)
    answered = 0
    async with (
        open_server(exchange) as server,
        open_client(acme.VENUE, credentials=acme.JOE, url=server.url, reconnect=AT_ONCE) as client,
    ):
        for n in range(20):
            await client.wait_ready()
            ticket = await client.submit(acme.Place(str(n), 1))
            await exchange.seen("place", n + 1)
            key = json.loads(exchange.frames[-1].text)["id"]
            exchange.push(f'{{"id": {key}, "result": {n}}}')
            await trio.sleep(0.005)
            exchange.drop()
            try:
                assert n == await ticket.reply()
                answered += 1
            except OutcomeUnknown:
                assert TicketState.UNKNOWN is ticket.state
            with trio.fail_after(5):
                while client.statistics().connections < n + 2:  # noqa: ASYNC110
                    await trio.sleep(0.001)
    assert answered > 0


async def refused_for_rate(client, make, seconds):
    """How many of a storm of requests were answered, and how many refused for their rate."""
    answered = limited = 0

    async def ask(n):
        nonlocal answered, limited
        try:
            await client.request(make(n))
        except Refused as exc:
            limited += exc.kind is RefusalKind.RATE_LIMITED
        answered += 1

    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for n in range(100_000):
                nursery.start_soon(ask, n)
                await trio.lowlevel.checkpoint()
                while client.statistics().queued >= 64:  # noqa: ASYNC110
                    await trio.sleep(0.01)
    return answered, limited


def order(n):
    return coinflex.PlaceOrder(
        base="XBT", counter="USDT", quantity=Decimal("0.01"), price=Decimal(1000 + n)
    )


@pytest.mark.parametrize(
    ("stage", "make", "least"),
    [
        (COINFLEX, order, 1_900),  # 200 a second
        (COINFLEX, lambda n: coinflex.GetBalances(), 9),  # 10 in 10 s
        (MIDCHAINS, lambda n: midchains.QueryPositions(), 40),  # 5 a second
        (THEONE, lambda n: theone.GetBalances(), 500),  # 100 a second, one at a time
    ],
    ids=["coinflex orders", "coinflex information", "midchains", "theone"],
)
async def test_ten_seconds_of_a_storm_are_never_refused_for_their_rate(
    stage, make, least, autojump_clock
):  # R8
    """The client keeps the venue's limits; the simulated venue insists on them."""
    exchange = stage.exchange()
    async with stage.open(exchange) as client:
        answered, limited = await refused_for_rate(client, make, 10)
    assert 0 == limited
    assert answered >= least
