"""Every verb of the script, over messages in memory and over the bytes of the real server."""

from __future__ import annotations

import json
import re

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.simulator.echo import ask
from trioflex import ConnectFailed, RemoteProtocolError
from trioflex._shell.transport import Connector, Disconnected, Target, Transport
from trioflex.simulator import SimulatedExchange

TARGET = Target(url="ws://echo.test/")
WELCOME = '["welcome"]'


@pytest.fixture(params=["messages", "bytes"])
def connector(request, exchange) -> Connector:
    return exchange.connector if request.param == "messages" else exchange.byte_connector


async def hear(transport: Transport, count: int) -> list[str]:
    """Receive until so many messages have come, for at most an hour."""
    messages: list[str] = []
    with trio.fail_after(3600):
        while len(messages) < count:
            messages += [message.decode() for message in await transport.receive()]
    return messages


async def hear_nothing(transport: Transport, seconds: float) -> None:
    """Make sure that nothing comes for so long."""
    with trio.move_on_after(seconds):
        messages = await transport.receive()
        raise AssertionError(f"came: {messages}")


async def hear_end(transport: Transport) -> Disconnected:
    """Receive until the end, which must come without any more messages."""
    with trio.fail_after(3600), pytest.raises(Disconnected) as caught:
        while True:
            assert [] == await transport.receive()
    return caught.value


# -- handles -----------------------------------------------------------------------------------


async def test_a_fault_ends_by_itself(exchange, connector, autojump_clock):
    """After as many hits as were ordered; the handle counts them."""
    fault = exchange.silence("Echo", times=2)
    async with connector(TARGET) as transport:
        await transport.send([ask(n) for n in (1, 2, 3)])
        assert [WELCOME, '["echo",3]'] == await hear(transport, 2)
    assert (2, False) == (fault.hits, fault.active)


async def test_a_fault_can_be_stopped(exchange, connector, autojump_clock):
    """And stopped again, without harm."""
    fault = exchange.silence("Echo")
    async with connector(TARGET) as transport:
        await transport.send([ask(1)])
        await exchange.seen("Echo")
        fault.stop()
        fault.stop()
        await transport.send([ask(2)])
        assert [WELCOME, '["echo",2]'] == await hear(transport, 2)
    assert (1, False) == (fault.hits, fault.active)


async def test_all_faults_can_be_stopped(exchange, connector, autojump_clock):
    """At once."""
    faults = [exchange.silence("Echo"), exchange.refuse("Echo", 6, "slow down"), exchange.stall()]
    exchange.faults.stop_all()
    async with connector(TARGET) as transport:
        await transport.send([ask(1)])
        assert [WELCOME, '["echo",1]'] == await hear(transport, 2)
    assert [False, False, False] == [fault.active for fault in faults]


async def test_a_fault_can_concern_one_connection(exchange, connector, autojump_clock):
    """Named by its number, the next one's included."""
    async with connector(TARGET) as first:
        await hear(first, 1)
        exchange.silence("Echo", connection=exchange.next_connection)
        async with connector(TARGET) as second:
            await second.send([ask(1), ask(2, "Shout")])
            assert [WELCOME, '["echo",2]'] == (await hear(second, 4))[:2]
            await first.send([ask(3)])
            assert '["echo",3]' == (await hear(first, 3))[-1]


async def test_a_fault_can_concern_every_method(exchange, connector, autojump_clock):
    """An asterisk stands for all."""
    exchange.silence("*", times=2)
    async with connector(TARGET) as transport:
        await transport.send([ask(1), ask(2, "Shout"), ask(3)])
        assert [WELCOME, '["heard",2,1]', '["heard",2,2]', '["echo",3]'] == await hear(transport, 4)


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        (lambda exchange: exchange.silence("Echo", times=0), "at least once"),
        (lambda exchange: exchange.delay("Echo", -1), "0 or more"),
        (lambda exchange: exchange.reorder(1), "2 or more"),
        (lambda exchange: exchange.refuse_connections(200), "300 to 599"),
        (lambda exchange: exchange.drop(7), "connection 7 is not open"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(exchange, order, complaint):
    """With what would make sense."""
    with pytest.raises(ValueError, match=complaint):
        order(exchange)


# -- requests and replies ----------------------------------------------------------------------


async def test_silence_withholds_the_reply(exchange, connector, model, autojump_clock):
    """The request is executed, and what it causes is heard."""
    exchange.silence("Shout")
    async with connector(TARGET) as transport:
        await transport.send([ask(1, "Shout")])
        assert [WELCOME, '["heard",1,1]', '["heard",1,2]'] == await hear(transport, 3)
    assert [1] == model.executed


async def test_silence_can_swallow_the_request(exchange, connector, model, autojump_clock):
    """It has arrived, and nothing happened."""
    exchange.silence("Shout", execute=False)
    async with connector(TARGET) as transport:
        await transport.send([ask(1, "Shout")])
        await exchange.seen("Shout")
        assert [WELCOME] == await hear(transport, 1)
        await hear_nothing(transport, 10)
    assert [] == model.executed
    assert 1 == exchange.count("Shout")


async def test_delay_makes_the_reply_late(exchange, connector, autojump_clock):
    """Only the reply: notices come at once, and other replies overtake it."""
    exchange.delay("Shout", 5)
    async with connector(TARGET) as transport:
        await transport.send([ask(1, "Shout"), ask(2)])
        assert [WELCOME, '["heard",1,1]', '["heard",1,2]', '["echo",2]'] == await hear(transport, 4)
        assert 0.0 == trio.current_time()
        assert ['["echo",1]'] == await hear(transport, 1)
        assert 5.0 == trio.current_time()


async def test_a_late_reply_to_a_connection_that_is_gone_is_lost(
    exchange, connector, autojump_clock
):
    """And hurts nobody."""
    exchange.delay("Echo", 5)
    async with connector(TARGET) as transport:
        await transport.send([ask(1)])
        await exchange.seen("Echo")
    await trio.sleep(10)
    assert '["echo",1]' not in [frame.text for frame in exchange.frames]


async def test_refuse_answers_in_the_venues_own_way(exchange, connector, model, autojump_clock):
    """The request is not executed."""
    exchange.refuse("Echo", 6, "slow down", times=1)
    async with connector(TARGET) as transport:
        await transport.send([ask(1), ask(2)])
        assert [WELCOME, '["refused", 1, "6", "slow down"]', '["echo",2]'] == await hear(
            transport, 3
        )
    assert [2] == model.executed


async def test_duplicate_sends_the_reply_twice(exchange, connector, autojump_clock):
    """The request is executed once. # M9"""
    exchange.duplicate("Echo", times=1)
    async with connector(TARGET) as transport:
        await transport.send([ask(1), ask(2)])
        assert [WELCOME, '["echo",1]', '["echo",1]', '["echo",2]'] == await hear(transport, 4)


async def test_duplicate_pushes_sends_notices_twice(exchange, connector, autojump_clock):
    """Replies are not concerned. # M12"""
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        exchange.duplicate_pushes(times=1)
        await transport.send([ask(1, "Shout")])
        assert ['["echo",1]', '["heard",1,1]', '["heard",1,1]', '["heard",1,2]'] == await hear(
            transport, 4
        )


async def test_a_welcome_can_come_twice(exchange, connector, autojump_clock):
    """It is a push like others. # L6"""
    exchange.duplicate_pushes(times=1)
    async with connector(TARGET) as transport:
        assert [WELCOME, WELCOME] == await hear(transport, 2)


async def test_reorder_turns_a_group_of_replies_round(exchange, connector, autojump_clock):
    """Held back until the group is complete; one group unless more are ordered. # M10"""
    exchange.reorder(3)
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        await transport.send([ask(1), ask(2)])
        await hear_nothing(transport, 10)
        await transport.send([ask(3), ask(4)])
        assert ['["echo",3]', '["echo",2]', '["echo",1]', '["echo",4]'] == await hear(transport, 4)


async def test_stopping_reorder_sends_what_is_held_back(exchange, connector, autojump_clock):
    """Nothing is lost by it."""
    fault = exchange.reorder(3, times=None)
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        await transport.send([ask(n) for n in range(5)])
        assert [2, 1, 0] == [json.loads(m)[1] for m in await hear(transport, 3)]
        await exchange.seen("Echo", 5)
        fault.stop()
        assert [4, 3] == [json.loads(m)[1] for m in await hear(transport, 2)]


async def test_garble_makes_the_next_frame_something_else(exchange, connector, autojump_clock):
    """By default something that is not JSON. # M1"""
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        exchange.garble()
        await transport.send([ask(1), ask(2)])
        broken, whole = await hear(transport, 2)
    assert ('["ech', '["echo",2]') == (broken, whole)


async def test_garble_sends_what_it_is_given(exchange, connector, autojump_clock):
    """A text, or what a function makes of the frame; the next connection's welcome, too. # L6"""
    exchange.garble("[]", connection=exchange.next_connection)
    async with connector(TARGET) as transport:
        assert ["[]"] == await hear(transport, 1)
        exchange.garble(lambda frame: frame.upper(), times=2)
        await transport.send([ask(1), ask(2), ask(3)])
        assert ['["ECHO",1]', '["ECHO",2]', '["echo",3]'] == await hear(transport, 3)


async def test_garble_can_send_bytes(exchange, connector, autojump_clock):
    """A binary message is not for us. # M3"""
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        exchange.garble(b"\x00\x01")
        await transport.send([ask(1)])
        with pytest.raises(RemoteProtocolError) as caught:
            await transport.receive()
    assert 1003 == caught.value.close_code


async def test_push_sends_anything(exchange, connector, autojump_clock):
    """To all, or to one."""
    async with connector(TARGET) as first, connector(TARGET) as second:
        await hear(first, 1)
        await hear(second, 1)
        assert 2 == exchange.push("not JSON")
        assert 1 == exchange.push("for you", 2)
        assert ["not JSON"] == await hear(first, 1)
        assert ["not JSON", "for you"] == await hear(second, 2)
        await hear_nothing(first, 1)


# -- the way between ---------------------------------------------------------------------------


async def test_drop_ends_connections_without_a_close(exchange, connector, model, autojump_clock):
    """All of them, or one; the venue's peer is told."""
    async with connector(TARGET) as first, connector(TARGET) as second:
        await hear(first, 1)
        await hear(second, 1)
        assert 1 == exchange.drop(1)
        assert None is (await hear_end(first)).code
        assert 1 == len(model.peers)
        assert 1 == exchange.drop()
        end = await hear_end(second)
        assert (None, False) == (end.code, end.clean)
        assert [] == model.peers
        assert 0 == exchange.drop()


async def test_drop_can_cut_a_frame_in_two(exchange, connector, autojump_clock):
    """The half message is never delivered. # W2"""
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        exchange.drop(mid_frame=True)
        assert None is (await hear_end(transport)).code


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4001])
async def test_close_says_goodbye(exchange, connector, model, code, autojump_clock):
    """Code and text arrive, after what was sent before. # W4"""
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        exchange.push("last words")
        assert 1 == exchange.close(code, "bye")
        assert ["last words"] == await hear(transport, 1)
        end = await hear_end(transport)
    assert (code, "bye", True) == (end.code, end.reason, end.clean)
    await wait_all_tasks_blocked()
    assert [] == model.peers


async def test_close_can_leave_tcp_open(exchange, model, autojump_clock):
    """The client must not wait for the end of the stream longer than it wants to. # W5"""
    async with exchange.byte_connector(TARGET) as transport:
        await hear(transport, 1)
        exchange.close(1001, keep_tcp=True)
        assert 1001 == (await hear_end(transport)).code
        await trio.sleep(60)
        assert 1 == len(model.peers)
        before = trio.current_time()
    assert trio.current_time() - before <= 3
    assert [] == model.peers


async def test_half_close_ends_one_direction(exchange, connector, model, autojump_clock):
    """The client hears the end without a Close; what it still sends is executed."""
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        assert 1 == exchange.half_close()
        end = await hear_end(transport)
        assert (None, False) == (end.code, end.clean)
        assert 1 == len(model.peers)


async def test_a_half_closed_connection_is_read_on(exchange, connector, model, autojump_clock):
    """A request on its way is executed, although nobody will hear of it. # W3"""
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        exchange.half_close()
        await transport.send([ask(1)])
        await exchange.seen("Echo")
    assert [1] == model.executed


async def test_stall_stops_reading(exchange, connector, model, autojump_clock):
    """Writes wait; pushes still arrive; afterwards everything is executed. # W11"""
    async with connector(TARGET) as transport, trio.open_nursery() as nursery:
        await hear(transport, 1)
        stall = exchange.stall()
        nursery.start_soon(transport.send, [ask(1), ask(2)])
        await trio.sleep(100)
        assert [] == model.executed
        assert 1 == len(nursery.child_tasks)
        exchange.push("news")
        assert ["news"] == await hear(transport, 1)
        stall.stop()
        assert ['["echo",1]', '["echo",2]'] == await hear(transport, 2)
        assert [1, 2] == model.executed


async def test_a_stall_has_room(exchange, connector, model, autojump_clock):
    """The network takes some bytes off the client before it must wait."""
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        stall = exchange.stall(room=100)
        await transport.send([ask(1)])
        await transport.send([ask(2)])
        with trio.move_on_after(10) as scope:
            for n in range(3, 10):
                await transport.send([ask(n)])
        assert scope.cancelled_caught
        assert [] == model.executed
        stall.stop()
        await exchange.seen("Echo", 2)


async def test_a_stalled_connection_can_be_dropped(exchange, connector, model, autojump_clock):
    """Whoever waits to write hears of it; what waits unread is not executed."""
    async with connector(TARGET) as transport, trio.open_nursery() as nursery:
        await hear(transport, 1)
        exchange.stall(room=50)

        async def send():
            with pytest.raises(Disconnected):
                for n in range(10):
                    await transport.send([ask(n)])

        nursery.start_soon(send)
        await trio.sleep(1)
        exchange.drop()
    assert [] == model.executed


async def test_go_dark_lets_nothing_pass(exchange, connector, model, autojump_clock):
    """In neither direction; when it is over, everything arrives in order. # W9"""
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        dark = exchange.go_dark()
        await transport.send([ask(1)])
        exchange.push("first")
        exchange.push("second")
        transport.ping()
        await transport.send([])
        await hear_nothing(transport, 5)
        assert [] == model.executed
        dark.stop()
        assert ["first", "second", '["echo",1]'] == await hear(transport, 3)
        with trio.fail_after(1):
            while not transport.statistics().pongs:
                assert [] == await transport.receive()


async def test_a_dark_venue_still_drops_idle_clients(exchange, connector, model, autojump_clock):
    """Its own clock goes on, and the client hears nothing of it until it is light again."""
    model.idle_timeout = 60
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        exchange.go_dark()
        await trio.sleep(61)
        assert () == exchange.open_connections


async def test_an_idle_connection_is_dropped(exchange, connector, model, autojump_clock):
    """Pings count as traffic, on both fidelities."""
    model.idle_timeout = 60
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        await trio.sleep(45)
        transport.ping()
        await transport.send([])
        await transport.receive()
        await trio.sleep(59)
        assert (1,) == exchange.open_connections
        assert None is (await hear_end(transport)).code
        assert 105.0 == trio.current_time()
    assert 1 == exchange.statistics().dropped_idle


async def test_pings_of_the_venue_are_answered(exchange, connector, autojump_clock):
    """By the next send."""
    async with connector(TARGET) as transport:
        await hear(transport, 1)
        asked = []
        transport.notify = lambda: asked.append("send")
        assert 1 == exchange.ping()
        assert [] == await transport.receive()
        assert ["send"] == asked
        await transport.send([])


# -- connecting --------------------------------------------------------------------------------


async def attempt(connector: Connector, target: Target = TARGET) -> ConnectFailed:
    with pytest.raises(ConnectFailed) as caught:
        async with connector(target):
            raise AssertionError("connected")
    return caught.value


@pytest.mark.parametrize(
    ("status", "final"), [(503, False), (429, False), (401, True), (404, True)]
)
async def test_refuse_connections_answers_with_a_status(
    exchange, connector, status, final, autojump_clock
):
    """As often as ordered; with a body and a time to wait. # C4"""
    exchange.refuse_connections(status, retry_after=30, body="closed for today", times=1)
    failure = await attempt(connector)
    assert (status, 30, final) == (failure.status, failure.retry_after, failure.final)
    assert "closed for today" == failure.body
    assert re.search(str(status), str(failure))
    async with connector(TARGET) as transport:
        assert [WELCOME] == await hear(transport, 1)
    assert (1, 1) == (exchange.statistics().refused, exchange.statistics().connections)


async def test_accept_and_drop_opens_and_is_gone(exchange, connector, model, autojump_clock):
    """Before the venue has said anything. # W14"""
    exchange.accept_and_drop(times=1)
    async with connector(TARGET) as transport:
        assert None is (await hear_end(transport)).code
    assert [] == model.peers
    assert 0 == len(exchange.frames)
    async with connector(TARGET) as transport:
        assert [WELCOME] == await hear(transport, 1)


async def test_hang_upgrade_lets_the_client_wait(exchange, connector, autojump_clock):
    """Until its own patience ends. # C2"""
    exchange.hang_upgrade(times=1)
    failure = await attempt(connector, Target(url="ws://echo.test/", connect_timeout=7))
    assert (None, 7.0) == (failure.status, trio.current_time())
    async with connector(TARGET) as transport:
        assert [WELCOME] == await hear(transport, 1)


async def test_a_dark_venue_cannot_be_reached(exchange, connector, autojump_clock):
    """Connecting in the dark fails at the deadline."""
    dark = exchange.go_dark()
    await attempt(connector)
    assert 10.0 == trio.current_time()
    dark.stop()
    async with connector(TARGET) as transport:
        assert [WELCOME] == await hear(transport, 1)


async def test_withhold_welcome_says_nothing_at_first(exchange, connector, autojump_clock):
    """The connection is usable otherwise. # L1"""
    exchange.withhold_welcome(times=1)
    async with connector(TARGET) as transport:
        await hear_nothing(transport, 100)
        await transport.send([ask(1)])
        assert ['["echo",1]'] == await hear(transport, 1)
    async with connector(TARGET) as transport:
        assert [WELCOME] == await hear(transport, 1)


async def test_withhold_welcome_can_be_late(exchange, connector, autojump_clock):
    """By so many seconds. # L2"""
    exchange.withhold_welcome(9.5, times=1)
    async with connector(TARGET) as transport:
        assert [WELCOME] == await hear(transport, 1)
        assert 9.5 == trio.current_time()


# -- nobody there ------------------------------------------------------------------------------


def test_verbs_without_connections_do_nothing(exchange: SimulatedExchange):
    """And say so: nobody was concerned."""
    assert [0, 0, 0, 0, 0] == [
        exchange.drop(),
        exchange.close(),
        exchange.half_close(),
        exchange.push("hello"),
        exchange.ping(),
    ]
