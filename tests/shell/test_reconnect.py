"""Losing and regaining the connection: heartbeat, back-off, login, and the ways on demand."""

from __future__ import annotations

import gc
import math
import os
import random
import socket
import tracemalloc

import attrs
import pytest
import trio

from tests import acme
from trioflex import (
    AuthenticationDenied,
    AuthenticationTimeout,
    ConnectionLost,
    Gap,
    Keepalive,
    LocalProtocolError,
    NotSent,
    Observer,
    Reconnect,
    Resumed,
    Timeouts,
    open_client,
    websocket_connector,
)
from trioflex.protocol import Ignored, Retry
from trioflex.simulator import SimulatedExchange
from trioflex.testing import ScriptedPeer, encode_raw_frame

ENDLESS = Reconnect(give_up_after=None)


class Diary(Observer):
    """Writes everything down."""

    def __init__(self):
        self.entries = []

    def connecting(self, connection, url):
        self.entries.append(("connecting", connection))

    def connected(self, connection, seconds):
        self.entries.append(("connected", connection))

    def ready(self, connection, account, seconds):
        self.entries.append(("ready", connection, account))

    def disconnected(self, connection, reason, code):
        self.entries.append(("disconnected", connection, code))

    def retrying(self, attempts, delay):
        self.entries.append(("retrying", attempts))
        self.delays = [*getattr(self, "delays", []), delay]

    def failed(self, error):
        self.entries.append(("failed", type(error).__name__))

    def ping_sent(self, connection):
        self.entries.append(("ping", connection))

    def pong_received(self, connection, seconds):
        self.entries.append(("pong", connection, seconds))

    def ignored(self, connection, excerpt):
        self.entries.append(("ignored", excerpt))

    def malformed(self, connection, excerpt, error):
        self.entries.append(("malformed", excerpt))


async def settle():
    await trio.testing.wait_all_tasks_blocked()


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4000])
async def test_a_close_by_the_venue_is_a_loss_and_is_mended(
    acme_client, exchange, autojump_clock, code
):  # W4
    """Even a normal closure is a loss to us; code and text reach the observer."""
    diary = Diary()
    async with acme_client(observer=diary) as client, client.subscribe(acme.Book("X")) as book:
        await book.receive()
        exchange.close(code, "so long")
        assert isinstance(await book.receive(), Gap)
        assert isinstance(await book.receive(), Resumed)

    assert ("disconnected", 1, code) in diary.entries


async def test_a_final_close_code_of_the_venue_is_not_retried(
    acme_client, exchange, autojump_clock
):  # W4
    """What only the venue knows is the venue's to say."""

    def fatal(loss):
        return Retry.NEVER if loss.close_code == 4007 else None

    venue = attrs.evolve(acme.VENUE, fatal=fatal)
    with pytest.raises(ConnectionLost, match="banned") as caught:
        async with acme_client(venue=venue):
            exchange.close(4007, "banned")
            await trio.sleep_forever()

    assert 4007 == caught.value.code
    assert 0.0 == trio.current_time()


async def test_a_goodbye_without_return_ends_the_client(acme_client, exchange, autojump_clock):
    """The venue said not to come back."""
    with pytest.raises(ConnectionLost, match="moving house"):
        async with acme_client():
            exchange.push('{"bye": "moving house", "back": false}')
            exchange.close(1001)
            await trio.sleep_forever()


async def test_a_silent_peer_is_dropped_after_idle_and_pong_limits(
    acme_client, exchange, autojump_clock
):  # W6
    """Twenty seconds of silence, a ping, ten more: dead, and dropped without a goodbye."""
    async with acme_client() as client, client.subscribe(acme.Book("X")) as book:
        await book.receive()
        dark = exchange.go_dark()
        assert isinstance(await book.receive(), Gap)
        assert 30.0 == trio.current_time()
        dark.stop()
        assert isinstance(await book.receive(), Resumed)


async def test_a_quiet_market_is_never_dropped(acme_client, exchange, autojump_clock):  # W7
    """Pings keep an idle connection alive for a virtual day."""
    diary = Diary()
    async with acme_client(observer=diary) as client:
        await trio.sleep(24 * 3600 + 1)
        assert 1 == client.statistics().connections
        assert 0.0 == client.statistics().ping_time

    assert 24 * 3600 // 20 == diary.entries.count(("ping", 1))
    assert 24 * 3600 // 20 == diary.entries.count(("pong", 1, 0.0))


async def test_any_frame_is_life(acme_client, exchange, model, autojump_clock):  # W8
    """A busy peer is never pinged."""
    diary = Diary()
    async with (
        acme_client(observer=diary) as client,
        client.subscribe(acme.Trades("X")) as trades,
    ):
        for n in range(100):
            await trio.sleep(15)
            model.push("trades:X", n)
            await trades.receive()

    assert ("ping", 1) not in diary.entries


def test_a_program_that_stood_still_reads_before_it_judges():  # V5
    """What came while user code held up everything lies in the kernel; it is life all the same."""
    ours, theirs = trio.socket.socketpair()

    async def dial(target):
        await trio.lowlevel.checkpoint()
        return trio.SocketStream(ours)

    async def serve():
        peer = ScriptedPeer(trio.SocketStream(theirs))
        await peer.accept()
        await peer.send_text('{"hello": "", "rhythm": 0}')
        await peer.receive_all()

    async def program():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            async with open_client(
                acme.VENUE, connector=websocket_connector(dial=dial), reconnect=Reconnect.never()
            ) as client:
                for n in range(50):  # tasks that are due together run in any order
                    kernel.send(encode_raw_frame(1, b'{"new": "kind"}'))
                    clock.jump(31)  # more than ping_after and pong_within together
                    await trio.testing.wait_all_tasks_blocked()
                    assert n + 1 == client.statistics().ignored
                nursery.cancel_scope.cancel()
                await trio.lowlevel.checkpoint()

    clock = trio.testing.MockClock()
    with socket.socket(fileno=os.dup(theirs.fileno())) as kernel, theirs:
        trio.run(program, clock=clock)


def test_a_clock_that_jumps_is_a_loss(acme_client):  # W12
    """A laptop that slept for an hour finds its connection dead at the first heartbeat."""
    clock = trio.testing.MockClock()

    async def program():
        async with acme_client() as client:
            await settle()
            clock.jump(3600)
            await settle()
            assert 1 == client.statistics().connections
            assert not client.ready

    trio.run(program, clock=clock)


async def test_the_servers_rhythm_bounds_silence(exchange, model, acme_client, autojump_clock):
    """A venue that tells its heartbeat's interval is believed dead without it."""
    model.rhythm = 7
    keepalive = Keepalive(ping_after=math.inf)
    async with (
        acme_client(keepalive=keepalive) as client,
        client.subscribe(acme.Book("X")) as book,
    ):
        await book.receive()
        assert isinstance(await book.receive(), Gap)
        assert 7.0 == trio.current_time()


async def test_a_peer_that_stops_reading_is_given_up(acme_client, exchange, autojump_clock):
    """Ten seconds for one write; what was under way is unknown, what waited was not sent."""  # W11
    quiet = {"keepalive": Keepalive(ping_after=math.inf), "timeouts": Timeouts(reply=math.inf)}
    async with acme_client(**quiet) as client:
        exchange.stall()
        await trio.sleep(5)
        ticket = await client.submit(acme.Place("a", 1))
        await trio.sleep(9.9)
        assert "sent" == ticket.state.value
        await trio.sleep(0.2)
        assert "unknown" == ticket.state.value
        await trio.sleep(1)
        assert client.statistics().attempts > 1


async def test_fifty_restarts_are_fifty_pairs(acme_client, exchange, autojump_clock):  # W13
    """Every receiver sees exactly as many gaps as there were, each with its end."""
    async with acme_client(reconnect=ENDLESS) as client, client.subscribe(acme.Book("X")) as book:
        for _ in range(50):
            exchange.drop()
            await settle()
            await client.wait_ready()
            await trio.sleep(31)
        markers = []
        while book.statistics().buffered:
            item = await book.receive()
            if isinstance(item, Gap | Resumed):
                markers.append(type(item))

    assert [Gap, Resumed] * 50 == markers


async def test_accept_and_drop_is_not_hammered(acme_client, exchange, autojump_clock):  # W14
    """Only a connection that stayed ready resets the back-off."""
    random.seed(1)
    async with acme_client(reconnect=ENDLESS) as client:
        exchange.accept_and_drop()
        exchange.drop()
        await trio.sleep(300)
        assert client.statistics().attempts <= 30


async def test_an_outage_ends_at_give_up_after(acme_client, exchange, autojump_clock):
    """Then the client fails, with the number of attempts and the last cause."""
    with pytest.raises(ConnectionLost, match="give_up_after") as caught:
        async with acme_client(reconnect=Reconnect(give_up_after=20)):
            exchange.refuse_connections(status=503)
            exchange.drop()
            await trio.sleep_forever()

    assert caught.value.attempts > 1
    assert 503 == caught.value.__cause__.status
    assert trio.current_time() <= 20


async def test_http_404_during_an_outage_is_final(acme_client, exchange, autojump_clock):  # C4
    """An address that is gone does not come back by asking again."""
    with pytest.raises(ConnectionLost):
        async with acme_client():
            exchange.refuse_connections(status=404)
            exchange.drop()
            await trio.sleep_forever()

    assert 2 == exchange.statistics().connections + exchange.statistics().refused


async def test_a_rate_limited_login_comes_later(acme_client, exchange, autojump_clock):  # L4
    """Not at once, and not for ever."""
    async with acme_client() as client:
        exchange.refuse("login", "busy", "", times=1)
        exchange.drop()
        await settle()
        await client.wait_ready()
        assert 60.0 <= trio.current_time() <= 65.0


async def test_every_login_is_fresh(acme_client, exchange, autojump_clock):  # L9
    """A connection lost between login and answer: the next one signs its own challenge."""
    async with acme_client() as client:
        exchange.silence("login", times=1, execute=False)
        exchange.drop()
        await exchange.seen("login", 2)
        exchange.drop()
        await settle()
        await client.wait_ready()
    proofs = [f.text for f in exchange.frames if '"login", ' in f.text and f.direction == ">"]

    assert 3 == len(proofs) == len(set(proofs))


async def test_malformed_frames_end_the_connection_not_the_client(
    acme_client, exchange, autojump_clock
):  # M1 M3
    """Counted, shown, and answered by a new connection; what came before it was delivered."""
    diary = Diary()
    async with (
        acme_client(observer=diary) as client,
        client.subscribe(acme.Trades("X")) as trades,
    ):
        exchange.push('{"channel": "trades:X", "value": 1}')
        exchange.push('{"bad": "' + "x" * 5000 + '"}')
        assert 1 == await trades.receive()
        assert isinstance(await trades.receive(), Gap)
        assert isinstance(await trades.receive(), Resumed)
        assert 1 == client.statistics().malformed

    [excerpt] = [entry[1] for entry in diary.entries if entry[0] == "malformed"]
    assert 1024 == len(excerpt)


async def test_unknown_messages_are_ignored_and_countable(
    acme_client, exchange, autojump_clock
):  # M4
    """New kinds of messages are no error; whoever cares can read them."""
    diary = Diary()
    async with acme_client(observer=diary) as client, client.unmatched() as unmatched:
        exchange.push('{"new": "kind"}')
        assert {"new": "kind"} == (await unmatched.receive()).message
        assert 1 == client.statistics().ignored

    assert ("ignored", "{'new': 'kind'}") in diary.entries


async def test_a_message_nested_too_deeply_to_be_shown_ends_nothing(
    acme_client, exchange, autojump_clock
):  # M2
    """Showing it to people is no reason to fail."""
    diary = Diary()

    class Deep:
        def __repr__(self):
            raise RecursionError("maximum recursion depth exceeded")

    class DeepSession(acme.Session):
        def receive(self, frame):
            return [Ignored(Deep())] if frame == b"deep" else super().receive(frame)

    venue = attrs.evolve(acme.VENUE, session=DeepSession)
    async with acme_client(venue=venue, observer=diary) as client:
        exchange.push("deep")
        assert "alive" == await client.request(acme.Echo("alive"))

    assert ("ignored", "<Deep, nested too deeply to be shown>") in diary.entries


async def test_an_observer_that_raises_is_removed(acme_client, exchange, autojump_clock, caplog):
    """As Trio treats its instruments: logged, gone, and the client lives."""

    class Clumsy(Observer):
        def ready(self, connection, account, seconds):
            raise ZeroDivisionError("clumsy")

    async with acme_client(observer=Clumsy()) as client:
        assert "fine" == await client.request(acme.Echo("fine"))

    assert "was removed" in caplog.text


async def test_the_observer_sees_the_life_of_connections(acme_client, exchange, autojump_clock):
    """In order, numbered from 1."""
    diary = Diary()
    with pytest.raises(ConnectionLost):
        async with acme_client(observer=diary, reconnect=Reconnect(max_attempts=1)) as client:
            exchange.drop()
            await settle()
            await client.wait_ready()
            exchange.refuse_connections(status=503)
            exchange.drop()
            await trio.sleep_forever()

    assert [
        ("connecting", 1),
        ("connected", 1),
        ("ready", 1, "joe"),
        ("disconnected", 1, None),
        ("retrying", 0),
        ("connecting", 2),
        ("connected", 2),
        ("ready", 2, "joe"),
        ("disconnected", 2, None),
    ] == diary.entries[:9]
    assert ("failed", "ConnectionLost") == diary.entries[-1]


async def test_logging_in_in_place(acme_client, exchange, autojump_clock):
    """An anonymous client becomes somebody on the same connection, and stays it."""
    async with acme_client(credentials=None) as client:
        assert client.account is None
        await client.login(acme.JOE)
        assert "joe" == client.account
        assert 1 == await client.request(acme.Place("a", 1))
        assert 1 == client.statistics().connections
        exchange.drop()
        await settle()
        await client.wait_ready()
        assert "joe" == client.account


async def test_a_denied_login_in_place_leaves_the_client_as_it_was(
    acme_client, exchange, autojump_clock
):
    """Anonymous before, anonymous after, and connected."""
    async with acme_client(credentials=None) as client:
        with pytest.raises(AuthenticationDenied):
            await client.login(acme.Credentials("joe", "wrong"))
        assert client.account is None
        assert "still" == await client.request(acme.Echo("still"))
        with pytest.raises(NotSent):
            await client.request(acme.Place("a", 1))


async def test_a_login_in_place_that_is_not_answered_times_out(
    acme_client, exchange, autojump_clock
):
    """The handshake's limit holds for it too."""
    async with acme_client(credentials=None, timeouts=Timeouts(handshake=4)) as client:
        exchange.silence("login", execute=False)
        with pytest.raises(AuthenticationTimeout):
            await client.login(acme.JOE)
        assert 4.0 == trio.current_time()


async def test_logging_in_by_a_new_connection(acme_client, exchange, model, autojump_clock):
    """Where the session cannot do it in place, receivers see a gap and the client is logged in."""
    model.users["elsewhere"] = "secret"
    async with (
        acme_client(credentials=None) as client,
        client.subscribe(acme.Book("X")) as book,
    ):
        await book.receive()
        await client.login(acme.Credentials("elsewhere", "secret"))
        assert "elsewhere" == client.account
        assert isinstance(await book.receive(), Gap)
        assert isinstance(await book.receive(), Resumed)


async def test_a_denied_login_by_a_new_connection_goes_back_to_what_was(
    acme_client, exchange, autojump_clock
):
    """The candidate is forgotten; the client connects as before."""
    async with acme_client(credentials=None) as client:
        with pytest.raises(AuthenticationDenied):
            await client.login(acme.Credentials("elsewhere", "wrong"))
        await client.wait_ready()
        assert client.account is None


async def test_a_late_answer_to_a_login_does_not_log_in_half_a_session(
    acme_client, exchange, autojump_clock
):  # L2
    """Who was told that no answer came stays anonymous: by a new connection, to be sure."""
    async with acme_client(credentials=None, timeouts=Timeouts(handshake=4)) as client:
        exchange.silence("login", execute=False)
        with pytest.raises(AuthenticationTimeout):
            await client.login(acme.JOE)
        exchange.push('{"login": "ok", "user": "joe"}')
        await settle()
        await client.wait_ready()
        assert client.account is None
        assert 2 == client.statistics().connections


@pytest.mark.parametrize("user", ["joe", "elsewhere"])
async def test_a_login_whose_caller_gave_up_may_succeed_for_good(
    acme_client, exchange, model, autojump_clock, user
):
    """Then it holds for the connections to come, too."""
    model.users["elsewhere"] = acme.JOE.secret
    async with acme_client(credentials=None) as client:
        silence = exchange.silence("login", execute=False)
        with trio.move_on_after(1):
            await client.login(acme.Credentials(user, acme.JOE.secret))
        silence.stop()
        exchange.push(f'{{"login": "ok", "user": "{user}"}}')
        await settle()
        assert user == client.account
        exchange.drop()
        await settle()
        await client.wait_ready()
        assert user == client.account


@pytest.mark.parametrize("user", ["joe", "elsewhere"])
async def test_a_login_whose_caller_gave_up_may_be_denied(
    acme_client, exchange, autojump_clock, user
):
    """It was a candidate; the client lives on with what it had."""
    async with acme_client(credentials=None) as client:
        exchange.silence("login", execute=False)
        with trio.move_on_after(1):
            await client.login(acme.Credentials(user, "wrong"))
        exchange.push('{"login": "unknown"}')
        await settle()
        await client.wait_ready()
        assert client.account is None
        assert "alive" == await client.request(acme.Echo("alive"))


async def test_the_answer_to_a_login_that_was_given_up_is_not_the_next_ones(
    acme_client, exchange, autojump_clock
):
    """Answers to logins carry no name, so the next one takes a new connection."""
    async with acme_client(credentials=None) as client:
        exchange.delay("login", 2)
        with trio.move_on_after(1):
            await client.login(acme.Credentials("joe", "wrong"))
        await client.login(acme.JOE)
        assert "joe" == client.account


async def test_a_login_in_place_survives_its_connection(acme_client, exchange, autojump_clock):
    """The next connection tries it; if that is denied, in time or not, the client lives on."""
    async with acme_client(credentials=None, timeouts=Timeouts(handshake=4)) as client:
        exchange.silence("login", execute=False)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def log_in():
                with pytest.raises(AuthenticationTimeout):
                    await client.login(acme.Credentials("joe", "wrong"))

            await trio.sleep(1)
            exchange.drop()
        exchange.push('{"login": "unknown"}')
        await settle()
        await client.wait_ready()
        assert client.account is None


async def test_a_login_by_a_new_connection_that_is_not_answered_times_out(
    acme_client, exchange, autojump_clock
):
    """The handshake's limit holds, and the client goes back to what it was."""
    async with acme_client(credentials=None, timeouts=Timeouts(handshake=4)) as client:
        exchange.silence("login", execute=False)
        with pytest.raises(AuthenticationTimeout):
            await client.login(acme.Credentials("elsewhere", "secret"))
        assert 4.0 == trio.current_time()
        await client.wait_ready()
        assert client.account is None


async def test_credentials_of_another_venue_do_not_end_a_client(
    acme_client, exchange, autojump_clock
):
    """They are the mistake of the one who wanted to log in with them."""

    def session(credentials, env):
        if isinstance(credentials, str):
            raise LocalProtocolError("acme does not take a str")
        return acme.Session(credentials, env)

    venue = attrs.evolve(acme.VENUE, session=session)
    async with acme_client(venue=venue, credentials=None) as client:
        await client.disconnect()
        with pytest.raises(LocalProtocolError, match="does not take a str"):
            await client.login("open sesame")
        await client.wait_ready()


async def test_a_client_that_closes_during_a_login_is_closed(acme_client, exchange, autojump_clock):
    """What every other method says then, login says too."""
    async with trio.open_nursery() as nursery:
        async with acme_client(credentials=None) as client:
            exchange.silence("login", execute=False)

            @nursery.start_soon
            async def log_in():
                with pytest.raises(trio.ClosedResourceError):
                    await client.login(acme.JOE)

            await trio.sleep(1)


@pytest.mark.parametrize("user", ["joe", "elsewhere"])
async def test_a_login_ends_with_the_connection_that_is_ended_on_demand(
    acme_client, exchange, autojump_clock, user
):
    """In place or by a new connection: there is none to try it on, and the caller is told so."""
    async with acme_client(credentials=None) as client:
        exchange.silence("login", execute=False)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def log_in():
                with pytest.raises(LocalProtocolError, match=r"disconnect\(\) was called"):
                    await client.login(acme.Credentials(user, "secret"))
                assert 1.0 == trio.current_time()

            await trio.sleep(1)
            await client.disconnect()
        await client.reconnect()
        assert client.account is None


async def test_disconnect_and_reconnect_on_demand(acme_client, exchange, autojump_clock):
    """Receivers stay, the gap is marked, and nothing reconnects by itself meanwhile."""
    async with acme_client() as client, client.subscribe(acme.Book("X")) as book:
        await book.receive()
        await client.disconnect()
        assert not client.ready
        assert isinstance(await book.receive(), Gap)
        with pytest.raises(NotSent):
            await client.request(acme.Echo("x"))
        await trio.sleep(1000)
        assert () == exchange.open_connections
        await client.reconnect()
        assert client.ready
        assert isinstance(await book.receive(), Resumed)
        await client.reconnect()
        assert 3 == client.statistics().connections


async def test_a_reconnect_that_is_called_off_ends(acme_client, exchange, autojump_clock):
    """disconnect() has the last word: whoever waits for the new connection is told."""
    async with acme_client() as client, trio.open_nursery() as nursery:
        exchange.hang_upgrade()

        async def wait():
            with pytest.raises(LocalProtocolError, match=r"disconnect\(\) was called"):
                await client.reconnect()

        nursery.start_soon(wait)
        await trio.sleep(1)
        await client.disconnect()
        assert not client.ready


async def test_reconnect_cuts_a_back_off_short(acme_client, exchange, autojump_clock):
    """Whoever knows better need not wait."""
    async with acme_client() as client:
        refusal = exchange.refuse_connections(status=503)
        exchange.drop()
        await trio.sleep(100)
        refusal.stop()
        before = trio.current_time()
        await client.reconnect()
        assert before == trio.current_time()


async def test_a_thousand_reconnects_leave_nothing_behind(model, autojump_clock):  # W13
    """Tasks, descriptors and memory are where they were; receivers stay bounded."""
    exchange = SimulatedExchange(model, frames_kept=0)
    async with (
        open_client(
            acme.VENUE,
            credentials=acme.JOE,
            connector=exchange.connector,
            reconnect=attrs.evolve(ENDLESS, stable_after=0),
        ) as client,
        client.subscribe(acme.Book("X"), buffer=8) as book,
    ):

        async def lose(times):
            for _ in range(times):
                exchange.drop()
                await settle()
                await client.wait_ready()
                await settle()
            gc.collect()
            tasks = trio.lowlevel.current_statistics().tasks_living
            return tasks, len(os.listdir("/proc/self/fd")), tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            tasks, descriptors, memory = await lose(10)
            tasks_later, descriptors_later, memory_later = await lose(1000)
        finally:
            tracemalloc.stop()

        assert (tasks, descriptors) == (tasks_later, descriptors_later)
        assert memory_later - memory < 256 * 1024
        assert 1011 == client.statistics().connections
        assert book.statistics().buffered <= 8 + 3
