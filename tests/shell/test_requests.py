"""Requests and tickets: certainly not, refused, or nobody knows."""

from __future__ import annotations

import json
import math
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
import trio

from tests import acme
from trioflex import (
    LocalProtocolError,
    NotSent,
    OutcomeUnknown,
    RefusalKind,
    Refused,
    ReplyLost,
    RequestError,
    TicketState,
    Timeouts,
)

ORDER = acme.Place("mine", 3)


@contextmanager
def exchange_stalled(exchange):
    """The exchange reads nothing for the length of the block."""
    stalled = exchange.stall()
    yield
    stalled.stop()


async def test_a_request_returns_its_reply(acme_client, autojump_clock):
    """Ask, and be answered."""
    async with acme_client() as client:
        assert "hello" == await client.request(acme.Echo("hello"))


async def test_a_refusal_keeps_the_venues_own_code(acme_client, autojump_clock):  # R6
    """Code, text and our word for it are on the error; the ticket is final."""
    async with acme_client() as client:
        with pytest.raises(Refused) as caught:
            await client.request(acme.Place("poor", -1))

    error = caught.value
    assert ("broke", "it is broke", RefusalKind.INSUFFICIENT_FUNDS) == (
        error.code,
        error.message,
        error.kind,
    )
    assert TicketState.ANSWERED is error.ticket.state


async def test_replies_out_of_order_find_their_requests(
    acme_client, exchange, autojump_clock
):  # M10
    """Each reply to its own ticket, whatever the order on the wire."""
    async with acme_client() as client:
        exchange.reorder(3)
        tickets = [await client.submit(acme.Echo(str(n))) for n in range(3)]
        assert ["0", "1", "2"] == [await ticket.reply() for ticket in tickets]


async def test_a_second_reply_is_counted_and_answers_nothing(
    acme_client, exchange, autojump_clock
):  # M9
    """A duplicate is an orphan, visible in the statistics and to unmatched()."""
    async with acme_client() as client, client.unmatched() as unmatched:
        exchange.duplicate("echo")
        assert "one" == await client.request(acme.Echo("one"))
        assert "two" == await client.request(acme.Echo("two"))
        orphan = await unmatched.receive()

        assert "one" == orphan.message
        assert 1 <= client.statistics().orphans


@pytest.mark.parametrize(
    ("request_", "error"), [(ORDER, OutcomeUnknown), (acme.Echo("x"), ReplyLost)]
)
async def test_no_answer_in_time_is_lost_or_unknown(
    acme_client, exchange, model, autojump_clock, request_, error
):  # R4
    """The venue's reply timeout decides; the connection goes on."""
    model.quiet = True
    async with acme_client() as client:
        exchange.silence("*", times=1)
        with pytest.raises(error):
            await client.request(request_)

        assert 10.0 == trio.current_time()
        assert "alive" == await client.request(acme.Echo("alive"))


async def test_a_late_reply_lands_in_the_ticket(acme_client, exchange, model, autojump_clock):
    """After the timeout the outcome is unknown; the late answer settles it."""
    model.quiet = True
    async with acme_client() as client:
        exchange.delay("place", 15)
        ticket = await client.submit(ORDER)
        with pytest.raises(OutcomeUnknown) as caught:
            await ticket.reply()
        assert ticket is caught.value.ticket
        assert [ticket] == client.unsettled

        await trio.sleep(6)

        assert TicketState.ANSWERED is ticket.state
        assert 1 == await ticket.reply()
        assert [] == client.unsettled
        assert 1 == client.statistics().late_replies


async def test_an_order_in_flight_when_the_line_drops_is_unknown_and_never_repeated(
    acme_client, exchange, autojump_clock
):  # R2
    """It is neither failed nor sent again."""
    async with acme_client() as client:
        exchange.silence("place", execute=False)
        ticket = await client.submit(ORDER)
        await exchange.seen("place")
        exchange.drop()
        with pytest.raises(OutcomeUnknown):
            await ticket.reply()
        await client.wait_ready()
        await trio.sleep(100)

        assert 1 == exchange.count("place")
        assert [ticket] == client.unsettled


async def test_what_waits_when_the_line_drops_is_not_sent(
    acme_client, exchange, autojump_clock
):  # R1
    """Held back by its rate limit, it certainly did not happen."""
    async with acme_client() as client:
        tickets = [await client.submit(acme.Limited(str(n))) for n in range(5)]
        await trio.testing.wait_all_tasks_blocked()
        exchange.drop()
        for ticket in tickets[2:]:
            with pytest.raises(NotSent):
                await ticket.reply()

        assert 2 == exchange.count("limited")


async def test_without_a_connection_nothing_is_queued(acme_client, exchange, autojump_clock):
    """During an outage a request fails at once: no order waits for another market."""
    async with acme_client() as client:
        exchange.drop()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(NotSent, match="no connection"):
            await client.request(ORDER)
        with pytest.raises(NotSent, match="no connection"):
            await client.submit(ORDER)


async def test_a_private_request_of_an_anonymous_client_is_refused_locally(
    acme_client, exchange, autojump_clock
):
    """It says what to do, and nothing leaves."""
    async with acme_client(credentials=None) as client:
        with pytest.raises(NotSent, match="needs a login") as caught:
            await client.request(ORDER)
        assert not caught.value.permanent

    assert 0 == exchange.count("place")


async def test_a_request_over_the_venues_limit_is_not_sent(
    acme_client, exchange, autojump_clock
):  # R11
    """The size limit is kept on our side, and named."""
    async with acme_client() as client:
        with pytest.raises(NotSent, match="at most 4096 bytes") as caught:
            await client.request(acme.Echo("x" * 5000))
        assert isinstance(caught.value.__cause__, LocalProtocolError)
        assert caught.value.permanent
        assert "next" == await client.request(acme.Echo("next"))

    assert 1 == exchange.count("echo")


async def test_text_that_is_no_text_is_not_sent(acme_client, exchange, autojump_clock):
    """A lone surrogate cannot be written as UTF-8; it ends the request, not the client."""
    async with acme_client() as client:
        with pytest.raises(NotSent, match="lone surrogate"):
            await client.request(acme.Echo("\ud800"))
        assert "näxt" == await client.request(acme.Echo("näxt"))


async def test_cancelled_while_queued_is_withdrawn_and_never_leaves(
    acme_client, exchange, autojump_clock
):  # R5
    """Giving up is decided at the instant of cancellation."""
    async with acme_client() as client:
        for n in range(2):
            await client.request(acme.Limited(str(n)))
        with trio.CancelScope() as scope:
            scope.cancel()
            await client.request(acme.Limited("never"))
        ticket = await client.submit(acme.Limited("nor this"))
        with trio.move_on_after(0.1):
            await ticket.reply()
        assert TicketState.WITHDRAWN is ticket.state
        await trio.sleep(10)

    assert 2 == exchange.count("limited")


async def test_a_queued_ticket_is_kept_while_another_task_waits_for_it(
    acme_client, exchange, autojump_clock
):
    """Only the last one to give up withdraws the request."""
    async with acme_client() as client, trio.open_nursery() as nursery:
        for n in range(2):
            await client.request(acme.Limited(str(n)))
        ticket = await client.submit(acme.Limited("shared"))
        nursery.start_soon(ticket.reply)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.1):
            await ticket.reply()
        assert TicketState.QUEUED is ticket.state
        assert "shared" == await ticket.reply()


async def test_cancelled_while_sent_keeps_the_outcome(acme_client, exchange, autojump_clock):
    """The ticket of a cancelled order is unsettled until somebody has read its outcome."""  # R5
    async with acme_client() as client:
        exchange.delay("place", 2)
        with trio.move_on_after(1):
            await client.request(ORDER)
        [ticket] = client.unsettled
        assert TicketState.SENT is ticket.state
        await trio.sleep(2)
        assert TicketState.ANSWERED is ticket.state
        assert [ticket] == client.unsettled
        assert 1 == await ticket.reply()
        assert [] == client.unsettled


async def test_withdraw_says_whether_it_was_in_time(acme_client, exchange, autojump_clock):
    """True means that it provably never leaves; after sending it is too late."""
    async with acme_client() as client:
        for n in range(2):
            await client.request(acme.Limited(str(n)))
        ticket = await client.submit(acme.Limited("back"))
        assert ticket.withdraw()
        with pytest.raises(NotSent, match="withdrawn"):
            await ticket.reply()
        done = await client.submit(acme.Echo("gone"))
        await done.reply()
        assert not done.withdraw()


async def test_send_within_turns_a_late_order_into_not_sent(acme_client, exchange, autojump_clock):
    """What its rate limit holds back for too long does not arrive late."""
    async with acme_client() as client:
        for n in range(2):
            await client.request(acme.Limited(str(n)))
        began = trio.current_time()
        with pytest.raises(NotSent, match="its rate limit held it back for longer"):
            await client.request(acme.Limited("late"), send_within=0.25)
        assert 0.25 == trio.current_time() - began

    assert 2 == exchange.count("limited")


async def test_send_within_blames_a_peer_that_does_not_read(acme_client, exchange, autojump_clock):
    """No rate limit has a part in it, so none is named."""
    async with acme_client() as client:
        with exchange_stalled(exchange):
            await client.submit(acme.Echo("being written"))
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(NotSent, match="waited for its turn behind what was being written"):
                await client.request(acme.Echo("late"), send_within=0.25)


async def test_evidence_settles_an_order_whose_reply_never_came(
    acme_client, exchange, model, autojump_clock
):
    """A push that carries the caller's name for the order says what the reply would have."""
    async with acme_client() as client:
        exchange.silence("place")
        assert 1 == await client.request(ORDER)

        assert 10.0 == trio.current_time()
        assert [] == client.unsettled


async def test_evidence_after_a_reconnect_settles_an_unknown_outcome(
    acme_client, exchange, autojump_clock
):
    """The order was swallowed with the connection; a later push proves it."""
    async with acme_client() as client:
        exchange.silence("place", execute=False)
        ticket = await client.submit(ORDER)
        await exchange.seen("place")
        exchange.drop()
        await trio.testing.wait_all_tasks_blocked()
        await client.wait_ready()
        assert TicketState.UNKNOWN is ticket.state
        exchange.push('{"channel": "orders", "value": {"name": "mine", "order": 77}}')
        await trio.testing.wait_all_tasks_blocked()

        assert 77 == await ticket.reply()
        assert 1 == client.statistics().evidence


async def test_the_caller_can_settle_what_it_found_out(acme_client, exchange, autojump_clock):
    """settle() is for unknown outcomes, and for nothing else."""
    async with acme_client() as client:
        exchange.silence("place", execute=False)
        ticket = await client.submit(ORDER)
        with pytest.raises(LocalProtocolError, match=r"queued|sent"):
            ticket.settle(5)
        with pytest.raises(OutcomeUnknown):
            await ticket.reply()
        ticket.settle(5)

        assert 5 == await ticket.reply()
        assert [] == client.unsettled


async def test_a_thousand_requests_wait_in_a_bounded_queue_in_fair_order(
    acme_client, exchange, autojump_clock
):  # R9
    """64 wait in the queue, the others in line before it; they leave in the order they came."""
    served = []
    async with acme_client(timeouts=Timeouts(reply=math.inf)) as client:

        async def ask(n):
            served.append(int(await client.request(acme.Echo(str(n)))))

        stalled = exchange.stall()
        async with trio.open_nursery() as nursery:
            for n in range(1000):
                nursery.start_soon(ask, n)
                await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
            waiting = client.statistics()
            assert 1000 - waiting.in_flight == waiting.queued == waiting.queue_peak
            stalled.stop()

    assert list(range(1000)) == sorted(served)
    sent = [f.text for f in exchange.frames if f.direction == ">" and "echo" in f.text]
    assert [str(n) for n in range(1000)] == [json.loads(text)["text"] for text in sent]


async def test_the_sixty_fifth_waits_until_there_is_room(
    acme_client, exchange, autojump_clock
):  # R9
    """Whoever submits while 64 wait is the only one who is held up, and is counted."""
    async with acme_client() as client:
        for n in range(2 + 64):  # two leave at once; the bucket gives two a second
            with trio.fail_after(0.1):
                await client.submit(acme.Limited(str(n)))
            if n == 1:
                await trio.testing.wait_all_tasks_blocked()
        assert 64 == client.statistics().queued
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.submit, acme.Limited("one more"))
            await trio.testing.wait_all_tasks_blocked()
            assert 65 == client.statistics().queued == client.statistics().queue_peak
        assert 0.0 < trio.current_time()


@pytest.mark.parametrize("how", ["drop", "disconnect"])
async def test_who_stands_in_line_when_the_line_drops_is_told_at_once(
    acme_client, exchange, autojump_clock, how
):  # R1 R9
    """Those in the queue and those before it: not one byte of theirs has left."""
    told = []
    async with acme_client() as client, trio.open_nursery() as nursery:

        async def ask(n):
            with pytest.raises(NotSent):
                await client.request(acme.Limited(str(n)))
            told.append((n, trio.current_time()))

        for n in range(2):
            await client.request(acme.Limited(str(n)))
        for n in range(100):
            nursery.start_soon(ask, n)
        await trio.testing.wait_all_tasks_blocked()
        assert 100 == client.statistics().queued
        if how == "drop":
            exchange.drop()
        else:
            await client.disconnect()
        await trio.testing.wait_all_tasks_blocked()
        assert [(n, 0.0) for n in range(100)] == sorted(told)

    assert 2 == exchange.count("limited")


async def test_closing_settles_every_ticket(acme_client, exchange, autojump_clock, caplog):
    """Leaving the block names what nobody knows, in one warning."""
    async with acme_client() as client:
        exchange.silence("place", execute=False)
        sent = await client.submit(ORDER)
        await exchange.seen("place")
        for n in range(2):
            await client.submit(acme.Limited(str(n)))
        queued = await client.submit(acme.Limited("waiting"))

    assert TicketState.UNKNOWN is sent.state
    assert TicketState.NOT_SENT is queued.state
    assert [sent] == client.unsettled
    assert "1 request whose outcome nobody knows" in caplog.text


async def test_a_closed_client_says_so(acme_client, autojump_clock):
    """After the block, Trio's own error."""
    async with acme_client() as client:
        pass
    for ask in (client.request, client.submit):
        with pytest.raises(trio.ClosedResourceError):
            await ask(acme.Echo("x"))
    with pytest.raises(trio.ClosedResourceError):
        await client.wait_ready()


async def test_what_is_no_request_is_a_type_error(acme_client, autojump_clock):
    """A typo is caught where it is made."""
    async with acme_client() as client:
        with pytest.raises(TypeError, match="requests of its own classes"):
            await client.request("ping")


async def test_only_writes_count_as_outcomes_that_are_unknown(
    acme_client, exchange, autojump_clock
):
    """An answer that is lost to a question is no loss to the account."""
    exchange.silence("echo", execute=False)
    async with acme_client() as client:
        with pytest.raises(ReplyLost):
            await client.request(acme.Echo("anybody?"))
        assert 0 == client.statistics().outcome_unknown


@pytest.mark.parametrize("method", ["request", "submit"])
async def test_asking_in_vain_lets_others_run(acme_client, autojump_clock, method):
    """Who asks again at once, while there is no connection, does not stop the way back to one."""
    turns = 0

    async def others():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with acme_client() as client, trio.open_nursery() as nursery:
        await client.disconnect()
        nursery.start_soon(others)
        for _ in range(100):
            with pytest.raises(NotSent):
                await getattr(client, method)(acme.Echo("x"))
        nursery.cancel_scope.cancel()

    assert turns > 10


async def left_in_order(client, frames, names):
    """Return these texts in the order in which they left."""
    left = []
    async for frame in frames:
        if frame.direction == ">":
            left += [name for name in names if f'"{name}"' in frame.text]
        if len(left) == len(names):
            return left


@pytest.mark.parametrize("seed", range(6))
async def test_who_asked_first_leaves_first(acme_client, autojump_clock, seed):  # R9
    """Even if the queue, full at first, had room in the same turn; Trio runs tasks in any order."""
    asked = []

    async def ask(client, name):
        asked.append(name)
        with suppress(NotSent):
            await client.request(acme.Limited(name))

    async with acme_client() as client, client.frames() as frames, trio.open_nursery() as nursery:
        tickets = [await client.submit(acme.Limited(f"{n}")) for n in range(66)]
        assert 64 == client.statistics().queued
        nursery.start_soon(ask, client, "first")
        while not asked:
            await trio.lowlevel.checkpoint()
        assert tickets[-1].withdraw()
        nursery.start_soon(ask, client, "second")

        assert asked == await left_in_order(client, frames, ["first", "second"])
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("seed", range(6))
async def test_a_ticket_and_a_request_leave_in_their_order(acme_client, autojump_clock, seed):  # R9
    """A ticket does not wait for a turn before it leaves."""
    async with acme_client() as client, client.frames() as frames, trio.open_nursery() as nursery:
        asked = []

        async def ask(name, method):
            asked.append(name)
            await method(acme.Echo(name))

        nursery.start_soon(ask, "one", client.submit)
        nursery.start_soon(ask, "two", client.request)
        nursery.start_soon(ask, "three", client.submit)
        left = await left_in_order(client, frames, ["one", "two", "three"])

        assert asked == left


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("turn", range(4))
async def test_an_answer_that_was_read_is_an_answer(
    acme_client, exchange, autojump_clock, turn, seed
):  # R3
    """Whatever ends the connection while a large read is in our hands."""
    transports, handed = [], []

    @asynccontextmanager
    async def connector(target):
        async with exchange.byte_connector(target) as transport:
            transports.append(transport)
            yield transport

    async with acme_client(connector=connector, timeouts=Timeouts(reply=60)) as client:
        await trio.testing.wait_all_tasks_blocked()
        exchange.silence("place")
        ticket = await client.submit(acme.Place("a", 1))
        due = trio.current_time() + 10  # when whoever writes is given up

        async def receive():
            if handed:
                await trio.sleep_forever()
            await trio.sleep_until(due)
            for _ in range(turn):
                await trio.lowlevel.cancel_shielded_checkpoint()
            handed.append(ticket.state)
            answer = json.dumps({"id": ticket.key, "result": 77}).encode()
            return [answer, *[b'{"x": 1}'] * 256]

        async def write(messages):
            await trio.sleep_forever()

        transports[0].receive = receive
        exchange.model.push("orders", {"x": 1})  # so that the next read is ours
        await trio.testing.wait_all_tasks_blocked()
        transports[0].send_now = lambda messages: False
        transports[0].send = write
        with suppress(RequestError):
            await client.request(acme.Echo("stuck"))

        read_in_time = handed == [TicketState.SENT]
        assert (TicketState.ANSWERED if read_in_time else TicketState.UNKNOWN) is ticket.state
