"""The promises about logging in, for every venue."""

from __future__ import annotations

import json

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.promises.venues import STAGES, every_venue
from trioflex import (
    AuthenticationDenied,
    AuthenticationTimeout,
    Gap,
    HandshakeTimeout,
    Reconnect,
    RemoteProtocolError,
    Resumed,
    system_env,
)
from trioflex.venues import coinflex, theone

COINFLEX = STAGES[0]
AT_ONCE = Reconnect(base=1e-3, cap=1e-3, first=True)
FIVE_TIMES = attrs.evolve(AT_ONCE, max_attempts=5)

speaking_first = pytest.mark.parametrize(
    "stage", [stage for stage in STAGES if stage.speaks_first], ids=lambda stage: stage.name
)


@speaking_first
@pytest.mark.parametrize("anonymous", [False, True])
async def test_a_welcome_that_never_comes(stage, anonymous, autojump_clock):  # L1
    """The handshake's limit, to the instant; with credentials it is the login's."""
    exchange = stage.exchange()
    venue = stage.module.VENUE
    if anonymous and not venue.anonymous:
        pytest.skip("it cannot be used anonymously")
    exchange.withhold_welcome()
    with pytest.raises(HandshakeTimeout) as caught:
        credentials = {"credentials": None} if anonymous else {}
        async with stage.open(exchange, **credentials):
            pytest.fail("it opened")
    assert (HandshakeTimeout if anonymous else AuthenticationTimeout) is type(caught.value)
    assert stage.handshake == trio.current_time()


@every_venue
async def test_a_login_that_is_never_answered(stage, autojump_clock):  # L1
    """The same limit, and the connection is closed."""
    exchange = stage.exchange()
    exchange.silence(stage.login)
    with pytest.raises(AuthenticationTimeout):
        async with stage.open(exchange):
            pytest.fail("it opened")
    assert stage.handshake == trio.current_time()
    assert () == exchange.open_connections


@every_venue
@pytest.mark.parametrize("late", [-0.1, 0.1])
async def test_an_answer_shortly_before_or_behind_the_limit(stage, late, autojump_clock):  # L2
    """In time it counts; too late it hurts nothing, and logs in nobody."""
    exchange = stage.exchange()
    exchange.delay(stage.login, stage.handshake + late)
    if late < 0:
        async with stage.open(exchange) as client:
            assert stage.handshake + late == trio.current_time()
            assert client.account is not None
        return
    with pytest.raises(AuthenticationTimeout):
        async with stage.open(exchange):
            pytest.fail("it opened")
    await trio.sleep(1)
    assert () == exchange.open_connections


@every_venue
async def test_a_login_that_is_refused(stage, autojump_clock):  # L3
    """One attempt on the wire, even with ``first=True``; code and text are kept."""
    exchange = stage.exchange()
    right = stage.credentials(exchange)
    exchange.model.users.clear()  # from now on the venue knows nobody
    with pytest.raises(AuthenticationDenied) as caught:
        async with stage.open(exchange, credentials=right, reconnect=FIVE_TIMES):
            pytest.fail("it opened")
    assert caught.value.code
    assert caught.value.message
    assert 1 == exchange.count(stage.login) == exchange.statistics().connections
    assert () == exchange.open_connections
    assert 0.0 == trio.current_time()


async def test_too_many_logins(autojump_clock):  # L4
    """CoinFLEX's code 6 means later: neither at once nor never."""
    exchange = COINFLEX.exchange()
    async with COINFLEX.open(exchange, reconnect=attrs.evolve(AT_ONCE, later=60.0)) as client:
        exchange.refuse(COINFLEX.login, "6", "Too many requests.", times=2)
        exchange.drop()
        await wait_all_tasks_blocked()
        await client.wait_ready()
    assert 4 == exchange.count(COINFLEX.login)
    assert 120.0 <= trio.current_time() <= 150.0


@pytest.mark.parametrize("seconds", [-60, 60])
@pytest.mark.parametrize(
    "stage", [s for s in STAGES if s.name in ("oceanex", "theone")], ids=lambda stage: stage.name
)
async def test_a_clock_that_is_off(stage, seconds, autojump_clock):  # L5
    """Where the venue compares clocks, it is denied once, with a message that names the clock."""
    exchange = stage.exchange()
    ours = attrs.evolve(system_env(), epoch_ms=lambda: exchange.clock() // 1_000 + seconds * 1_000)
    with pytest.raises(AuthenticationDenied, match=r"clock.*clock_offset_ms"):
        async with stage.open(exchange, env=ours, reconnect=AT_ONCE):
            pytest.fail("it opened")
    assert 1 == exchange.count(stage.login)


@pytest.mark.parametrize(
    "nonce", ["not Base64!", "AAAA", "A" * 24, "AAAAAAAAAAAAAAAAAAAAAAA=", 5, None]
)
async def test_a_welcome_with_rubbish_in_it(nonce, autojump_clock):  # L6
    """Nothing is signed for it."""
    exchange = COINFLEX.exchange()
    welcome = {"notice": "Welcome", "nonce": nonce}
    exchange.garble(json.dumps(welcome))
    with pytest.raises(RemoteProtocolError, match=r"Welcome|nonce"):
        async with COINFLEX.open(exchange):
            pytest.fail("it opened")
    assert 0 == exchange.count(COINFLEX.login)


async def test_a_second_welcome(autojump_clock):  # L6
    """It ends the connection, unanswered; the next one is fine."""
    exchange = COINFLEX.exchange()
    async with COINFLEX.open(exchange, reconnect=AT_ONCE) as client:
        exchange.push('{"notice": "Welcome", "nonce": "AAAAAAAAAAAAAAAAAAAAAA=="}')
        await wait_all_tasks_blocked()
        await client.wait_ready()
        assert 1 == client.statistics().malformed
    assert 2 == exchange.count(COINFLEX.login)


async def test_pushes_before_the_login_is_answered(autojump_clock):  # L7
    """They crash nothing, and what they told is in the snapshot that follows the login."""
    exchange = COINFLEX.exchange()
    async with (
        COINFLEX.open(exchange, reconnect=AT_ONCE) as client,
        client.subscribe(coinflex.Balances()) as balances,
    ):
        before = await balances.receive()
        exchange.delay(COINFLEX.login, 1, times=1)
        exchange.drop()
        await exchange.seen(COINFLEX.login, 2)
        asset = exchange.model.engine.ledger.accounts[1].available
        name = next(iter(asset))
        asset[name] += 7
        notice = {"notice": "BalanceChanged", "asset": name, "balance": asset[name]}
        exchange.push(json.dumps(notice))
        assert isinstance(await balances.receive(), Gap)
        assert isinstance(await balances.receive(), Resumed)
        after = await balances.receive()
        assert 2 == exchange.count(COINFLEX.login)
        assert before != after
        assert 0 == client.statistics().malformed


def test_nonces_are_distinct():  # L8
    """A hundred thousand of CoinFLEX's sixteen bytes, and of TheOne's texts, at one instant."""
    env = attrs.evolve(system_env(), epoch_ms=lambda: 1_583_020_800_000)
    floor = {env.random_bytes(16) for _ in range(100_000)}
    session = theone.VENUE.session(theone.Credentials("key", "secret"), env)
    ours = {session._nonce(1_583_020_800_000) for _ in range(100_000)}  # type: ignore[attr-defined]
    assert 100_000 == len(floor) == len(ours)


@every_venue
async def test_a_connection_lost_while_the_login_is_under_way(stage, autojump_clock):  # L9
    """The next one signs anew; no frame is ever sent twice."""
    exchange = stage.exchange()
    exchange.silence(stage.login, times=3, execute=False)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def cut():
            for count in (1, 2, 3):
                await exchange.seen(stage.login, count)
                await trio.sleep(1)
                exchange.drop()

        async with stage.open(exchange, reconnect=AT_ONCE) as client:
            assert client.account is not None
    logins = stage.logins(exchange)
    assert 4 == len(logins) == len(set(logins))
