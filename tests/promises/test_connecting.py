"""The promises about connecting, where they need a whole client or many cases."""

from __future__ import annotations

import math
import random

import pytest
import trio

from tests import acme
from trioflex import ConnectFailed, ConnectionLost, Observer, Reconnect, open_client
from trioflex._sansio.upgrade import Upgrade, parse_url
from trioflex.simulator import SimulatedExchange

PATIENT = Reconnect(base=1, cap=1, give_up_after=None)


class Attempts(Observer):
    """Notes when connections are tried."""

    def __init__(self):
        self.at = []

    def connecting(self, connection, url):
        self.at.append(trio.current_time())


@pytest.mark.parametrize(("first", "attempts"), [(False, 1), (True, 4)])
async def test_the_first_connection_is_retried_only_where_asked(
    first, attempts, autojump_clock
):  # C1
    """A wrong address should fail at once."""
    exchange = SimulatedExchange(acme.Model())
    exchange.refuse_connections(status=503)
    seen = Attempts()
    policy = Reconnect(base=1, cap=1, first=first, max_attempts=4)
    with pytest.raises((ConnectFailed, ConnectionLost)) as caught:
        async with open_client(
            acme.VENUE, connector=exchange.connector, observer=seen, reconnect=policy
        ):
            pytest.fail("it opened")
    assert attempts == len(seen.at)
    assert isinstance(caught.value, ConnectionLost if first else ConnectFailed)


@pytest.mark.parametrize("fidelity", ["connector", "byte_connector"])
async def test_an_upgrade_that_is_never_answered(fidelity, autojump_clock):  # C2
    """The connect deadline, to the instant; nothing is left open."""
    exchange = SimulatedExchange(acme.Model())
    exchange.hang_upgrade()
    with pytest.raises(ConnectFailed):
        async with open_client(acme.VENUE, connector=getattr(exchange, fidelity)):
            pytest.fail("it opened")
    assert 10.0 == trio.current_time()
    assert () == exchange.open_connections


@pytest.mark.parametrize("fidelity", ["connector", "byte_connector"])
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_venue_that_asks_for_time_gets_it(fidelity, status, autojump_clock):  # C4
    """``Retry-After`` is the least delay; then the client comes back."""
    exchange = SimulatedExchange(acme.Model())
    seen = Attempts()
    async with open_client(
        acme.VENUE, connector=getattr(exchange, fidelity), observer=seen, reconnect=PATIENT
    ) as client:
        exchange.refuse_connections(status=status, retry_after=120, times=2)
        exchange.drop()
        await trio.testing.wait_all_tasks_blocked()
        await client.wait_ready()
    _, second, third, fourth = seen.at
    assert second <= 1
    assert 120 <= third - second <= 180
    assert 120 <= fourth - third <= 180


@pytest.mark.parametrize("fidelity", ["connector", "byte_connector"])
@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_cannot_get_better_is_not_tried_again(fidelity, status, autojump_clock):  # C4
    """During an outage, and where the first connection is retried."""
    exchange = SimulatedExchange(acme.Model())
    seen = Attempts()
    with pytest.raises(ConnectionLost) as caught:
        async with open_client(
            acme.VENUE, connector=getattr(exchange, fidelity), observer=seen, reconnect=PATIENT
        ):
            exchange.refuse_connections(status=status)
            exchange.drop()
            await trio.sleep(math.inf)
    assert status == caught.value.__cause__.status
    assert 2 == len(seen.at)


def test_ten_thousand_damaged_answers():  # C5
    """Each opens, refuses or fails in one way."""
    rng = random.Random(5)
    ends = {"open": 0, "refused": 0, "failed": 0, "more": 0}
    for _ in range(10_000):
        upgrade = Upgrade(parse_url("ws://venue.example/"), bytes(16))
        answer = bytearray(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n"
        )
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(answer))
            match rng.randrange(5):
                case 0:
                    answer[at] = rng.randrange(256)
                case 1:
                    del answer[at : at + rng.randrange(1, 20)]
                case 2:
                    answer[at:at] = rng.randbytes(rng.randrange(1, 5))
                case 3:
                    answer[at:at] = answer[: rng.randrange(60)]
                case 4:
                    answer[9:12] = b"%03d" % rng.randrange(1000)
        try:
            upgrade.feed(bytes(answer))
        except ConnectFailed:
            ends["failed"] += 1
            continue
        if upgrade.refused:
            assert isinstance(upgrade.refusal(), ConnectFailed)
        ends["open" if upgrade.open else "refused" if upgrade.refused else "more"] += 1
    assert all(ends.values()), ends
