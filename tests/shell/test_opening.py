"""What comes out of open_client: the table of its module, row by row."""

from __future__ import annotations

from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from tests import acme
from trioflex import (
    AuthenticationDenied,
    AuthenticationTimeout,
    ConnectFailed,
    ConnectionLost,
    HandshakeTimeout,
    InternalError,
    LocalProtocolError,
    Reconnect,
    RemoteProtocolError,
    open_client,
)

NEVER = Reconnect.never()


async def test_a_block_that_ends_returns_after_a_goodbye(acme_client, exchange, autojump_clock):
    """Leaving sends the venue's goodbye and closes the WebSocket, without waiting."""
    async with acme_client() as client:
        assert "joe" == client.account

    assert 0.0 == trio.current_time()
    assert 1 == exchange.count("bye")
    assert () == exchange.open_connections


async def test_a_close_that_nobody_answers_takes_three_seconds_and_is_nobodys_problem(
    acme_client, exchange, autojump_clock
):  # X6
    """A peer that stopped reading holds the caller for the close timeout and no longer."""
    async with acme_client():
        exchange.stall()

    assert 3.0 == trio.current_time()


async def test_the_users_exception_comes_out_as_the_same_object(acme_client, autojump_clock):  # X1
    """Object, context and cause of what the block raised are untouched."""
    cause, context = KeyError("cause"), IndexError("context")
    error = ValueError("mine")
    error.__cause__, error.__context__ = cause, context

    with pytest.raises(ValueError, match="mine") as caught:
        async with acme_client():
            raise error

    assert error is caught.value
    assert cause is error.__cause__
    assert context is error.__context__


async def test_the_users_exception_still_lets_the_client_say_goodbye(
    acme_client, exchange, autojump_clock
):
    """An exception of the block is no reason to be rude to the venue."""
    with pytest.raises(ValueError, match="mine"):
        async with acme_client():
            raise ValueError("mine")

    assert 1 == exchange.count("bye")


async def test_the_users_group_comes_out_as_the_same_object(acme_client, autojump_clock):  # X2
    """A group of the block's is not rebuilt on its way through our nursery."""
    group = ExceptionGroup("mine", [ValueError(1), ExceptionGroup("inner", [KeyError(2)])])

    with pytest.raises(ExceptionGroup) as caught:
        async with acme_client():
            raise group

    assert group is caught.value


async def test_a_nested_nursery_of_the_user_keeps_its_group(acme_client, autojump_clock):  # X2
    """What a nursery inside the block raises is what comes out."""
    inner = None
    with pytest.raises(ExceptionGroup) as caught:
        async with acme_client():
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_raise, ValueError("child"))
            except BaseException as exc:
                inner = exc
                raise

    assert inner is caught.value


async def test_cancelled_from_outside_ends_at_once_without_a_goodbye(
    acme_client, exchange, autojump_clock
):  # X3
    """Cancellation means now: the connection is dropped, the code after the scope runs."""
    exchange.stall()
    with trio.move_on_after(5) as scope:
        async with acme_client(credentials=None):
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert 5.0 == trio.current_time()
    assert 0 == exchange.count("bye")


async def test_fail_after_round_the_client_is_too_slow_error(acme_client, autojump_clock):  # X3
    """A caller's own deadline stays the caller's own."""
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(5):
            async with acme_client():
                await trio.sleep_forever()


async def test_a_client_that_fails_cancels_a_sleeping_block(
    acme_client, exchange, autojump_clock
):  # X5
    """Even trio.sleep() inside the block ends, and the failure comes out alone."""
    with pytest.raises(ConnectionLost) as caught:
        async with acme_client(reconnect=NEVER):
            exchange.close(4321, "maintenance")
            await trio.sleep_forever()

    assert 4321 == caught.value.code
    assert "maintenance" == caught.value.reason
    assert 0.0 == trio.current_time()


async def test_an_error_while_being_torn_down_carries_a_note(acme_client, exchange, autojump_clock):
    """The block's own error wins over the failure that tore it down, and names it."""
    with pytest.raises(ValueError, match="while cleaning up") as caught:
        async with acme_client(reconnect=NEVER):
            exchange.drop()
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("while cleaning up")

    assert any("is lost" in note for note in caught.value.__notes__)


async def test_a_failure_outranks_a_cancellation(acme_client, exchange, autojump_clock):
    """Cancelled from outside after the client has failed: the failure comes out."""
    with pytest.raises(ConnectionLost):
        with trio.CancelScope() as scope:
            async with acme_client(reconnect=NEVER):
                exchange.drop()
                try:
                    await trio.sleep_forever()
                finally:
                    scope.cancel()


async def test_a_bug_in_a_venues_module_is_an_internal_error(acme_client, exchange, autojump_clock):
    """Whatever a session raises by accident ends the client, with the original as cause."""
    with pytest.raises(InternalError) as caught:
        async with acme_client():
            exchange.push('{"boom": 1}')
            await trio.sleep_forever()

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_a_goodbye_does_not_hide_a_bug(acme_client, exchange, autojump_clock):
    """A venue that said that it would close has not caused what went wrong in its module."""
    with pytest.raises(InternalError):
        async with acme_client():
            exchange.push('{"bye": "see you", "back": true}')
            exchange.push('{"boom": 1}')
            await trio.sleep_forever()


async def test_a_bug_in_a_connector_is_an_internal_error(acme_client, autojump_clock):
    """A connector that raises what it must not is a bug, and named as one."""

    @asynccontextmanager
    async def broken(target):
        raise ZeroDivisionError("oops")
        yield

    with pytest.raises(InternalError) as caught:
        async with acme_client(connector=broken):
            pytest.fail("the block must not run")

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_ctrl_c_in_the_block_is_keyboard_interrupt(acme_client, autojump_clock):
    """An interrupt is not wrapped."""
    with pytest.raises(KeyboardInterrupt):
        async with acme_client():
            raise KeyboardInterrupt


async def test_a_refused_upgrade_is_connect_failed(acme_client, exchange, autojump_clock):
    """The first connection is not retried unless asked to, and nothing of ours wraps the error."""
    exchange.refuse_connections(status=503)
    with pytest.raises(ConnectFailed) as caught:
        async with acme_client():
            pytest.fail("the block must not run")

    assert 503 == caught.value.status
    assert 0.0 == trio.current_time()


async def test_a_first_connection_is_retried_where_asked(acme_client, exchange, autojump_clock):
    """``Reconnect(first=True)`` treats the first connection like any other."""
    exchange.refuse_connections(status=503, times=3)
    async with acme_client(reconnect=Reconnect(first=True)) as client:
        assert 4 == client.statistics().attempts


async def test_a_denied_login_is_denied_at_once_and_not_retried(
    acme_client, exchange, autojump_clock
):  # L3
    """Wrong credentials fail with the venue's code and text after exactly one attempt."""
    with pytest.raises(AuthenticationDenied) as caught:
        async with acme_client(
            credentials=acme.Credentials("joe", "wrong"), reconnect=Reconnect(first=True)
        ):
            pytest.fail("the block must not run")

    assert "unknown" == caught.value.code
    assert "you are unknown" == caught.value.message
    assert 1 == exchange.count("login")
    assert "wrong" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize(
    ("credentials", "error"), [(acme.JOE, AuthenticationTimeout), (None, HandshakeTimeout)]
)
async def test_a_welcome_that_never_comes_times_out_after_ten_seconds(
    acme_client, exchange, autojump_clock, credentials, error
):  # L1
    """The handshake has the venue's limit, to the instant."""
    exchange.withhold_welcome()
    with pytest.raises(HandshakeTimeout) as caught:
        async with acme_client(credentials=credentials):
            pytest.fail("the block must not run")

    assert error is type(caught.value)
    assert 10.0 == trio.current_time()


@pytest.mark.parametrize(("seconds", "ready"), [(9.9, True), (10.1, False)])
async def test_a_late_login_answer_succeeds_until_the_limit(
    acme_client, exchange, autojump_clock, seconds, ready
):  # L2
    """At 9.9 s the client opens; at 10.1 s it has given up, and the answer hurts nothing."""
    exchange.delay("login", seconds)
    if ready:
        async with acme_client() as client:
            assert seconds == trio.current_time()
            assert "joe" == client.account
    else:
        with pytest.raises(AuthenticationTimeout):
            async with acme_client():
                pytest.fail("the block must not run")


async def test_a_venue_that_hangs_up_before_it_is_ready_is_connect_failed(
    acme_client, exchange, autojump_clock
):
    """Accepted and dropped is not connected."""
    exchange.accept_and_drop()
    with pytest.raises(ConnectFailed, match="before it was ready"):
        async with acme_client():
            pytest.fail("the block must not run")


async def test_rubbish_before_ready_is_a_remote_protocol_error(acme_client, exchange):
    """A peer that speaks something else is named as that."""
    exchange.garble("this is no JSON")
    with pytest.raises(RemoteProtocolError):
        async with acme_client():
            pytest.fail("the block must not run")


async def test_cancelled_while_connecting_leaves_nothing(acme_client, exchange, autojump_clock):
    """A scope round open_client ends the attempt at once."""  # W16
    exchange.hang_upgrade()
    with trio.move_on_after(1):
        async with acme_client():
            pytest.fail("the block must not run")

    assert 1.0 == trio.current_time()
    assert () == exchange.open_connections


async def test_leaving_during_an_outage_ends_at_once(acme_client, exchange, autojump_clock):
    """Neither the back-off nor an attempt under way holds the caller."""  # W16
    async with acme_client(connector=_open_once(exchange)) as client:
        exchange.drop()
        await trio.sleep(2)
        before = trio.current_time()
        assert not client.ready

    assert before == trio.current_time()


async def test_a_strict_venue_refuses_to_be_anonymous(acme_client):
    """Where the venue needs a login, its absence is the caller's mistake."""
    venue = attrs.evolve(acme.VENUE, anonymous=False)
    with pytest.raises(LocalProtocolError, match="cannot be used anonymously"):
        async with acme_client(venue=venue, credentials=None):
            pytest.fail("the block must not run")


async def test_an_unknown_endpoint_name_lists_the_known_ones(acme_client):
    """A typo in the endpoint's name is caught before anything is sent."""
    with pytest.raises(ValueError, match="sandbox"):
        async with acme_client(url="sandpit"):
            pytest.fail("the block must not run")


async def test_an_unknown_venue_name_lists_the_registered_ones():
    """Choosing a venue at run time fails with what there is to choose from."""
    with pytest.raises(ValueError, match="coinflex"):
        async with open_client("nowhere"):
            pytest.fail("the block must not run")


async def test_two_clients_do_not_notice_each_others_death(
    acme_client, exchange, autojump_clock
):  # X8
    """One client fails; the other goes on."""
    async with acme_client() as survivor:
        with pytest.raises(ConnectionLost):
            async with acme_client(reconnect=NEVER):
                exchange.drop(exchange.open_connections[-1])
                await trio.sleep_forever()
        assert "still here" == await survivor.request(acme.Echo("still here"))


def test_a_caller_without_strict_groups_sees_the_same_contract(exchange):  # X9
    """Our control flow does not hang on the run's setting for exception groups."""
    error = ValueError("mine")

    async def program():
        async with open_client(acme.VENUE, connector=exchange.connector):
            raise error

    with (
        pytest.warns(trio.TrioDeprecationWarning, match="strict_exception_groups"),
        pytest.raises(ValueError, match="mine") as caught,
    ):
        trio.run(program, strict_exception_groups=False)

    assert error is caught.value


async def _raise(error):
    raise error


def _open_once(exchange):
    """A connector whose second and later attempts hang until their deadline."""
    calls = 0

    @asynccontextmanager
    async def connector(target):
        nonlocal calls
        calls += 1
        if calls > 1:
            await trio.sleep(target.connect_timeout)
            raise ConnectFailed("it did not answer")
        async with exchange.connector(target) as transport:
            yield transport

    return connector


async def test_an_interrupt_in_the_background_comes_out_alone(
    acme_client, exchange, autojump_clock
):
    """Ctrl-C may strike while one of our tasks runs; it is not wrapped, and the block ends."""

    @asynccontextmanager
    async def interrupted(target):
        async with exchange.connector(target) as transport:
            yield Interrupting(transport)

    with pytest.raises(KeyboardInterrupt):
        async with acme_client(connector=interrupted):
            await trio.sleep_forever()


async def test_an_interrupt_outranks_an_error_of_the_block_that_it_ends(
    acme_client, exchange, autojump_clock
):
    """What the block's cleaning up raises does not make a bug of Ctrl-C."""

    @asynccontextmanager
    async def interrupted(target):
        async with exchange.connector(target) as transport:
            yield Interrupting(transport)

    with pytest.raises(KeyboardInterrupt):
        async with acme_client(connector=interrupted):
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("mine")


async def test_a_block_that_is_cancelled_can_still_ask_under_a_shield(
    acme_client, exchange, autojump_clock
):
    """The connection lives as long as the block does, so a block can cancel its orders."""
    with trio.move_on_after(1):
        async with acme_client() as client:
            try:
                await trio.sleep_forever()
            finally:
                with trio.move_on_after(1, shield=True):
                    exchange.drop()
                    await trio.testing.wait_all_tasks_blocked()
                    await client.wait_ready()
                    async with client.subscribe(acme.Trades("X")):
                        reply = await client.request(acme.Echo("cancel all"))

    assert "cancel all" == reply
    assert trio.current_time() <= 2
    assert () == exchange.open_connections


async def test_an_error_outranks_a_cancellation_that_comes_while_the_client_closes(
    acme_client, exchange, autojump_clock
):  # X1
    """A peer that holds up the closing must not make the block's own error disappear."""
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught, trio.move_on_after(2):
        async with acme_client():
            exchange.stall()
            await trio.sleep(1)
            raise error

    assert error is caught.value
    assert 2.0 == trio.current_time()


@pytest.mark.parametrize("asked", ["submit", "request"])
async def test_a_cancelled_block_warns_of_what_is_unknown_too(
    acme_client, exchange, autojump_clock, caplog, asked
):
    """Nobody is told by an exception then, so the warning is all there is."""
    exchange.silence("place", execute=False)
    with trio.move_on_after(1):
        async with acme_client() as client:
            await getattr(client, asked)(acme.Place("a", 1))
            await trio.sleep_forever()

    assert "1 request whose outcome nobody knows" in caplog.text


class Interrupting:
    """A transport that is interrupted as soon as it has delivered the login's answer."""

    def __init__(self, transport):
        self._transport = transport
        self._reads = 0

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def __setattr__(self, name, value):
        if name == "notify":
            self._transport.notify = value
        else:
            super().__setattr__(name, value)

    async def receive(self):
        self._reads += 1
        if self._reads > 2:
            raise KeyboardInterrupt
        return await self._transport.receive()
