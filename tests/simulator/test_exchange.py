"""Hosting a venue in memory: the message-level connection and what the exchange counts."""

from __future__ import annotations

import json
import time

import pytest
import trio
from trio.testing import assert_checkpoints

from tests.simulator.echo import EchoModel, ask
from trioflex import LocalProtocolError, RemoteProtocolError
from trioflex._shell.transport import Disconnected, Target, Transport
from trioflex.simulator import (
    SeenFrame,
    SimulatedExchange,
    VirtualClock,
    open_exchange,
    system_clock,
)

TARGET = Target(url="ws://echo.test/")


async def drain(transport: Transport, count: int) -> list[str]:
    """Receive until so many messages have come."""
    messages: list[str] = []
    while len(messages) < count:
        messages += [message.decode() for message in await transport.receive()]
    return messages


# -- the transport -----------------------------------------------------------------------------


async def test_a_conversation(exchange):
    """Requests are answered, in order; what the venue says first comes first."""
    async with exchange.connector(TARGET) as transport:
        await transport.send([ask(1), ask(2)])
        assert ['["welcome"]', '["echo",1]', '["echo",2]'] == await drain(transport, 3)


async def test_receive_waits_for_something_to_come(exchange, autojump_clock):
    """An idle receive is woken by a push."""
    async with exchange.connector(TARGET) as transport, trio.open_nursery() as nursery:
        await transport.receive()

        async def push():
            await trio.sleep(3)
            exchange.push("hello")

        nursery.start_soon(push)
        assert [b"hello"] == await transport.receive()
    assert 3.0 == trio.current_time()


async def test_one_receive_returns_no_more_than_one_read(exchange):
    """A burst is handed over in pieces of 64 KiB, as a socket would."""
    async with exchange.connector(TARGET) as transport:
        await transport.receive()
        for _ in range(200):
            exchange.push("x" * 1000)
        assert [66, 66, 66, 2] == [len(await transport.receive()) for _ in range(4)]


async def test_a_ping_is_answered_and_timed(exchange, autojump_clock):
    """The pong counts; a receive that saw only that returns nothing, which is a sign of life."""
    async with exchange.connector(TARGET) as transport:
        await transport.receive()
        transport.ping()
        assert (0, 0, None) == counts(transport)
        await transport.send([])
        assert [] == await transport.receive()
        assert (1, 1, 0.0) == counts(transport)


def counts(transport: Transport) -> tuple[int, int, float | None]:
    statistics = transport.statistics()
    return statistics.pings, statistics.pongs, statistics.ping_time


async def test_the_ping_time_is_the_time_until_the_pong(exchange, autojump_clock):
    """A pong that was held up for two seconds says so."""
    async with exchange.connector(TARGET) as transport:
        await transport.receive()
        dark = exchange.go_dark()
        transport.ping()
        await transport.send([])
        await trio.sleep(2)
        dark.stop()
        assert [] == await transport.receive()
        assert (1, 1, 2.0) == counts(transport)


async def test_pings_of_the_venue_are_owed_an_answer_once(exchange):
    """Several pings, one pong (the newest answers all); ``notify`` asks for the send."""
    async with exchange.connector(TARGET) as transport:
        asked = []
        transport.notify = lambda: asked.append("send")
        await transport.receive()
        for _ in range(3):
            exchange.ping()
        assert [] == await transport.receive()
        assert ["send"] == asked
        before = transport.statistics().bytes_out
        await transport.send([])
        assert 6 == transport.statistics().bytes_out - before


async def test_bytes_are_counted_as_if_they_were_framed(exchange):
    """Headers of 2, 4 and 10 bytes from the venue; 4 bytes of mask more from the client."""
    async with exchange.connector(TARGET) as transport:
        welcome = 2 + len('["welcome"]')
        for size in (125, 126, 65_536):
            exchange.push("x" * size)
        await drain(transport, 4)
        await transport.send([ask(1)])
        statistics = transport.statistics()
    assert welcome + 127 + 130 + 65_546 == statistics.bytes_in
    assert 6 + len(ask(1)) == statistics.bytes_out
    assert (4, 1) == (statistics.messages_in, statistics.messages_out)


async def test_a_close_of_the_client_is_answered(exchange):
    """The closing handshake ends in a clean Disconnected with the code that was sent."""
    async with exchange.connector(TARGET) as transport:
        await transport.receive()
        transport.close(4001, "enough")
        await transport.send([])
        with pytest.raises(Disconnected) as caught:
            await transport.receive()
        assert (4001, True) == (caught.value.code, caught.value.clean)
        assert () == exchange.open_connections


@pytest.mark.parametrize("code", [999, 1005, 1006, 5000])
async def test_a_close_code_that_must_not_be_sent_is_refused(exchange, code):
    """As every transport does."""
    async with exchange.connector(TARGET) as transport:
        with pytest.raises(LocalProtocolError, match=str(code)):
            transport.close(code)


async def test_a_close_of_the_venue_comes_after_what_it_sent_before(exchange):
    """Code and text reach the client; asked again, the transport says the same in a new error."""
    async with exchange.connector(TARGET) as transport:
        exchange.push("last words")
        exchange.close(1012, "restart")
        assert [b'["welcome"]', b"last words"] == await transport.receive()
        errors = []
        for _ in range(2):
            with pytest.raises(Disconnected) as caught:
                await transport.receive()
            errors.append(caught.value)
    assert (1012, "restart", True) == (errors[0].code, errors[0].reason, errors[0].clean)
    assert str(errors[0]) == str(errors[1])
    assert errors[0] is not errors[1]


@pytest.mark.parametrize("messages", [[], [ask(1)]])
async def test_nothing_is_sent_after_the_end(exchange, messages):
    """Not by a transport that knows that it is over."""
    async with exchange.connector(TARGET) as transport:
        exchange.close()
        await transport.receive()
        with pytest.raises(Disconnected):
            await transport.receive()
        with pytest.raises(Disconnected):
            await transport.send(messages)


async def test_no_message_follows_a_close(exchange):
    """A Close that is owed already forbids it."""
    async with exchange.connector(TARGET) as transport:
        transport.close()
        with pytest.raises(Disconnected, match="being closed"):
            await transport.send([ask(1)])
    assert 0 == exchange.count("Echo")


async def test_a_lost_connection_cannot_be_sent_on(exchange):
    """The drop is felt by send before receive has told of it."""
    async with exchange.connector(TARGET) as transport:
        exchange.drop()
        with pytest.raises(Disconnected, match="lost"):
            await transport.send([ask(1)])


async def test_an_aborted_transport_sends_nothing_any_more(exchange):
    """Giving up is for good, and leaving says nothing to the peer."""
    async with exchange.connector(TARGET) as transport:
        transport.abort()
        with pytest.raises(Disconnected, match="given up"):
            await transport.send([ask(1)])
    assert 0 == exchange.count("*")


async def test_a_cancelled_send_breaks_the_transport(exchange):
    """As over a stream: half of it may be out, so nothing may follow. # R10"""
    async with exchange.connector(TARGET) as transport:
        with trio.CancelScope() as scope:
            scope.cancel()
            await transport.send([ask(1)])
        with pytest.raises(Disconnected, match="given up"):
            await transport.send([ask(2)])
    assert 0 == exchange.count("*")


async def test_two_tasks_cannot_send_at_once(exchange, autojump_clock):
    """The second one hears of it at once."""
    exchange.stall()
    async with exchange.connector(TARGET) as transport, trio.open_nursery() as nursery:
        nursery.start_soon(transport.send, [ask(1)])
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await transport.send([ask(2)])
        nursery.cancel_scope.cancel()


async def test_a_transport_that_was_left_is_closed(exchange):
    """Using it afterwards is the user's mistake, and says so."""
    async with exchange.connector(TARGET) as transport:
        pass
    with pytest.raises(trio.ClosedResourceError):
        await transport.receive()
    with pytest.raises(trio.ClosedResourceError):
        await transport.send([])


async def test_a_message_above_the_limit_ends_the_connection(exchange):
    """Counted in bytes, not in characters; what came before it is handed over. # M5"""
    target = Target(url="ws://echo.test/", max_message_bytes=20)
    async with exchange.connector(target) as transport:
        exchange.push("é" * 10)
        exchange.push("é" * 11)
        assert [b'["welcome"]', "é".encode() * 10] == await transport.receive()
        with pytest.raises(RemoteProtocolError, match="22 bytes") as caught:
            await transport.receive()
        with pytest.raises(RemoteProtocolError):
            await transport.receive()
    assert 1009 == caught.value.close_code


async def test_a_binary_message_breaks_the_protocol(exchange):
    """Venues send text. # M3"""
    async with exchange.connector(TARGET) as transport:
        await transport.receive()
        exchange.push(b"\x00\x01")
        with pytest.raises(RemoteProtocolError, match="2 bytes") as caught:
            await transport.receive()
    assert 1003 == caught.value.close_code


async def test_every_operation_is_a_checkpoint(exchange):
    """Also where there is nothing to wait for."""
    with assert_checkpoints():
        async with exchange.connector(TARGET) as transport:
            pass
    async with exchange.connector(TARGET) as transport:
        with assert_checkpoints():
            await transport.receive()
        with assert_checkpoints():
            await transport.send([])
        with assert_checkpoints():
            await transport.send([ask(1)])
        with assert_checkpoints():
            await exchange.seen("Echo")


# -- the connector -----------------------------------------------------------------------------


async def test_leaving_closes_politely(exchange, model, caplog):
    """A Close is sent, and the venue's peer is told that it is over."""
    caplog.set_level("INFO", "trioflex.simulator")
    async with exchange.connector(TARGET):
        assert 1 == len(model.peers)
    assert [] == model.peers
    assert [
        "connection 1 opened",
        "connection 1 ended: closed by the client with code 1000",
    ] == caplog.messages


async def test_leaving_under_cancellation_drops(exchange, model, caplog):
    """Cancellation means now."""
    caplog.set_level("INFO", "trioflex.simulator")
    with trio.CancelScope() as scope:
        async with exchange.connector(TARGET):
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert [] == model.peers
    assert "connection 1 ended: cut off by the client" == caplog.messages[-1]


async def test_the_users_exception_comes_out_as_it_is(exchange):
    """The same object, no group around it."""
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with exchange.connector(TARGET):
            raise error
    assert caught.value is error


async def test_a_users_exception_is_kept_when_leaving_is_cancelled(exchange, autojump_clock):
    """An error on its way out says more than a cancellation."""
    exchange.stall()
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        with trio.move_on_after(1):
            async with exchange.connector(TARGET):
                raise error
    assert caught.value is error


async def test_leaving_a_peer_that_does_not_read_takes_the_close_timeout(exchange, autojump_clock):
    """And not longer. # X6"""
    exchange.stall()
    async with exchange.connector(TARGET):
        pass
    assert 3.0 == trio.current_time()
    assert () == exchange.open_connections


async def test_a_drop_while_leaving_ends_the_leaving(exchange, autojump_clock):
    """Nobody is left to be polite to."""
    exchange.stall()
    async with trio.open_nursery() as nursery:

        async def cut():
            await trio.sleep(1)
            exchange.drop()

        nursery.start_soon(cut)
        async with exchange.connector(TARGET):
            pass
        assert 1.0 == trio.current_time()


async def test_a_model_that_fails_in_the_background_ends_the_block(model, autojump_clock):
    """Its error comes out alone, and loudly."""
    model.idle_timeout = 5
    exchange = SimulatedExchange(model)
    model.peers.clear()

    with pytest.raises(ValueError, match="remove"):
        async with exchange.connector(TARGET):
            model.peers.clear()  # closed() will not find its peer
            await trio.sleep_forever()


async def test_connections_are_numbered_and_live_side_by_side(exchange):
    """What one causes reaches the others at once."""
    async with exchange.connector(TARGET) as first, exchange.connector(TARGET) as second:
        assert (1, 2) == exchange.open_connections
        await first.send([ask(7, "Shout")])
        assert ['["welcome"]', '["heard",7,1]', '["heard",7,2]'] == await drain(second, 3)
    async with exchange.connector(TARGET):
        assert (3,) == exchange.open_connections
    assert 4 == exchange.next_connection


async def test_the_model_can_close_a_connection_after_its_reply(exchange):
    """A Close asked for while a request is handled keeps its place behind the reply."""
    async with exchange.connector(TARGET) as transport:
        await transport.send([ask(1, "Leave")])
        assert ['["welcome"]', '["echo",1]'] == await drain(transport, 2)
        with pytest.raises(Disconnected) as caught:
            await transport.receive()
    assert (4000, "as you wish") == (caught.value.code, caught.value.reason)


# -- order -------------------------------------------------------------------------------------


async def test_replies_come_before_their_notices(exchange):
    """That is the default."""
    async with exchange.connector(TARGET) as transport:
        await transport.send([ask(1, "Shout")])
        assert ['["echo",1]', '["heard",1,1]', '["heard",1,2]'] == (await drain(transport, 4))[1:]


async def test_notices_can_come_before_their_reply(model):
    """As venues do when their engine is faster than their gateway. # M10"""
    exchange = SimulatedExchange(model, notices_first=True)
    async with exchange.connector(TARGET) as transport:
        await transport.send([ask(1, "Shout")])
        assert ['["heard",1,1]', '["heard",1,2]', '["echo",1]'] == (await drain(transport, 4))[1:]


async def shuffled(seed: int) -> list[str]:
    exchange = SimulatedExchange(EchoModel(), seed=seed, shuffle=True)
    async with exchange.connector(TARGET) as transport:
        await transport.send([ask(n, "Shout") for n in range(50)])
        return (await drain(transport, 151))[1:]


async def test_a_shuffled_reply_takes_any_place_and_notices_keep_theirs():
    """Before, between and after its notices, the same way for the same seed. # T5"""
    messages = await shuffled(1)
    places = {
        [m for m in messages if f",{n}," in m or m == f'["echo",{n}]'].index(f'["echo",{n}]')
        for n in range(50)
    }
    assert {0, 1, 2} == places
    notices = [m for m in messages if "heard" in m]
    assert [f'["heard",{n},{part}]' for n in range(50) for part in (1, 2)] == notices
    assert messages == await shuffled(1)
    assert messages != await shuffled(2)


async def played(venue: str, seed: int) -> list[SeenFrame]:
    """Return all that passes while a market trades and somebody watches it."""
    exchange = SimulatedExchange(venue, seed=seed, shuffle=True)
    counter = 65283 if venue == "coinflex" else 64032
    async with exchange.connector(TARGET) as transport, exchange.trading():
        for tag, method in enumerate(("WatchOrders", "WatchTicker"), 1):
            fields = {"tag": tag, "method": method, "base": 63488, "counter": counter}
            await transport.send([json.dumps({**fields, "watch": True})])
        await trio.sleep(60)
        exchange.trade(50)
    return list(exchange.frames)


@pytest.mark.parametrize("venue", ["coinflex", "coinfloor"])
async def test_the_same_seed_plays_the_same_market(venue, autojump_clock):
    """Frame by frame, times included; another seed plays another. # T5"""
    first = await played(venue, 1)
    assert len(first) > 100
    base = first[0].at
    second = await played(venue, 1)
    shift = second[0].at - base
    assert [(f.at, f.text) for f in first] == [
        (pytest.approx(f.at - shift), f.text) for f in second
    ]
    assert [f.text for f in first] != [f.text for f in await played(venue, 2)]


# -- time --------------------------------------------------------------------------------------


async def test_an_idle_connection_is_dropped(exchange, model, autojump_clock):
    """At the venue's limit, exactly; dropped, not closed."""
    model.idle_timeout = 60
    async with exchange.connector(TARGET) as transport:
        await transport.receive()
        with pytest.raises(Disconnected) as caught:
            await transport.receive()
    assert (60.0, None) == (trio.current_time(), caught.value.code)
    assert 1 == exchange.statistics().dropped_idle


async def test_a_ping_keeps_a_connection(exchange, model, autojump_clock):
    """So does any frame, in either direction."""
    model.idle_timeout = 60
    async with exchange.connector(TARGET) as transport:
        await transport.receive()
        await trio.sleep(45)
        transport.ping()
        await transport.send([])
        await trio.sleep(45)
        exchange.push("news")
        await trio.sleep(45)
        await transport.send([ask(1)])
        await trio.sleep(59)
        assert (1,) == exchange.open_connections
        await trio.sleep(2)
        assert () == exchange.open_connections


async def test_the_virtual_clock_moves_with_trios(autojump_clock):
    """From the same moment in every run, however long it takes in truth."""
    clock = VirtualClock()
    readings = [clock()]
    await trio.sleep(1.5)
    readings.append(clock())
    assert [1_583_020_800_000_000, 1_583_020_801_500_000] == readings


def test_the_virtual_clock_stands_outside_of_a_run():
    """An exchange that a plain fixture makes can seed its books."""
    assert 1_583_020_800_000_000 == VirtualClock()()


def test_the_system_clock_is_the_real_one():
    """In microseconds."""
    assert abs(system_clock() / 1_000_000 - time.time()) < 5


# -- the order flow ----------------------------------------------------------------------------


async def test_the_order_flow_has_its_own_rhythm(autojump_clock):
    """It trades while the block runs, from the first moment on."""
    model = EchoModel()
    async with open_exchange(model) as exchange:
        async with exchange.connector(TARGET) as transport:
            await trio.sleep(1.75)
            assert 4 == model.turns
            assert ['["turn",2]', '["turn",3]', '["turn",4]'] == (await drain(transport, 4))[-3:]
    await trio.sleep(10)
    assert 4 == model.turns


async def test_the_order_flow_can_be_turned_by_hand(exchange, model):
    """So many turns, or as many as take so long; the clock stands."""
    exchange.trade(3)
    assert 3 == model.turns
    assert 4 == exchange.advance(2.0)
    assert 7 == model.turns


# -- what is counted ---------------------------------------------------------------------------


async def test_frames_are_remembered(exchange, autojump_clock):
    """When, on which connection, in which direction, and what."""
    async with exchange.connector(TARGET) as transport:
        await trio.sleep(2)
        await transport.send([ask(1)])
    assert [
        (0.0, 1, "<", '["welcome"]'),
        (2.0, 1, ">", ask(1)),
        (2.0, 1, "<", '["echo",1]'),
    ] == [(f.at, f.connection, f.direction, f.text) for f in exchange.frames]


async def test_only_so_many_frames_are_remembered(model):
    """The newest; counts go on."""
    exchange = SimulatedExchange(model, frames_kept=3)
    async with exchange.connector(TARGET) as transport:
        await transport.send([ask(n) for n in range(10)])
    assert ['["echo",8]', ask(9), '["echo",9]'] == [frame.text for frame in exchange.frames]
    assert 10 == exchange.count("Echo")


async def test_seen_waits_for_requests(exchange, autojump_clock):
    """For one of a kind, or for more of them, or of any kind."""
    async with exchange.connector(TARGET) as transport, trio.open_nursery() as nursery:
        times = []

        async def watch(method, count):
            await exchange.seen(method, count)
            times.append((method, count, trio.current_time()))

        nursery.start_soon(watch, "Shout", 1)
        nursery.start_soon(watch, "Shout", 2)
        nursery.start_soon(watch, "*", 3)
        for method in ("Echo", "Shout", "Shout"):
            await trio.sleep(1)
            await transport.send([ask(1, method)])
    assert [("*", 3, 3.0), ("Shout", 1, 2.0), ("Shout", 2, 3.0)] == sorted(times)


async def test_a_client_that_does_not_read_is_dropped(model):
    """When it is too far behind, and it is counted; the others are not touched."""
    exchange = SimulatedExchange(model, max_queued_bytes=1000)
    async with exchange.connector(TARGET) as slow, exchange.connector(TARGET) as fast:
        for _ in range(11):
            exchange.push("x" * 100)
            await fast.receive()
        assert (2,) == exchange.open_connections
        assert 1 == exchange.statistics().dropped_slow
        await slow.receive()
        with pytest.raises(Disconnected):
            await slow.receive()


async def test_statistics(exchange):
    """One record says what happened."""
    exchange.refuse_connections(times=1)
    with pytest.raises(Exception, match="503"):
        async with exchange.connector(TARGET):
            pass
    async with exchange.connector(TARGET) as transport:
        await transport.send([ask(1, "Shout")])
        statistics = exchange.statistics()
    assert (1, 1, 1, 1, 4) == (
        statistics.connections,
        statistics.open,
        statistics.refused,
        statistics.requests,
        statistics.frames,
    )


def test_an_unknown_venue_is_refused():
    """With the names of those that are known."""
    with pytest.raises(ValueError, match="coinflex, coinfloor"):
        SimulatedExchange("mtgox")


def test_options_go_to_a_model_that_is_made_here(model):
    """Nothing that was asked for is dropped in silence."""
    with pytest.raises(TypeError, match="accounts"):
        SimulatedExchange(model, accounts=[])
