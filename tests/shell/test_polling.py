"""Polls: replies to one request, asked again and again, in the shape of a subscription."""

from __future__ import annotations

import math

import pytest
import trio

from tests import acme
from trioflex import (
    ConnectionLost,
    Gap,
    GapReason,
    InternalError,
    LocalProtocolError,
    NotSent,
    Overflow,
    ReceiverOverflow,
    Reconnect,
    RefusalKind,
    Refused,
    Resumed,
)

HELLO = acme.Echo("hello")
UNANSWERED = Gap(GapReason.UNANSWERED, connection=1)


async def test_replies_come_at_their_interval(acme_client, exchange, autojump_clock):
    """The first one at once, each further one ``every`` seconds after the one before."""
    async with acme_client() as client, client.poll(HELLO, every=2) as receiver:
        began = trio.current_time()
        times = []
        for _ in range(3):
            assert "hello" == await receiver.receive()
            times.append(trio.current_time() - began)

    assert pytest.approx([0, 2, 4], abs=0.01) == times
    assert HELLO == receiver.channel


async def test_slow_answers_set_the_pace(acme_client, exchange, autojump_clock):
    """One question at a time: what takes three seconds is not asked every second."""
    exchange.delay("echo", 3)
    async with acme_client() as client, client.poll(HELLO, every=1) as receiver:
        began = trio.current_time()
        assert ["hello"] * 3 == [await receiver.receive() for _ in range(3)]

        assert pytest.approx(6, abs=0.01) == trio.current_time() - began
        await trio.sleep(1)
        assert 4 == exchange.count("echo")


async def test_a_refusal_that_may_pass_is_a_gap(acme_client, exchange, autojump_clock):
    """Refused, Gap; refused again, nothing new; answered, Resumed and the reply."""
    async with acme_client() as client, client.poll(HELLO, every=1) as receiver:
        exchange.refuse("echo", "busy", "later", times=2)

        assert "hello" == await receiver.receive()
        assert UNANSWERED == await receiver.receive()
        resumed = await receiver.receive()
        assert "hello" == await receiver.receive()

    assert resumed.snapshot
    assert pytest.approx(2, abs=0.01) == resumed.downtime
    assert (1, 1, 2) == (
        receiver.statistics().gaps,
        receiver.statistics().resumed,
        receiver.statistics().received,
    )


async def test_a_question_that_goes_unanswered_is_a_gap(acme_client, exchange, autojump_clock):
    """After the reply timeout the receiver knows that what it has is stale."""
    async with acme_client() as client, client.poll(HELLO, every=1) as receiver:
        assert "hello" == await receiver.receive()
        exchange.silence("echo", times=1)
        began = trio.current_time()

        assert UNANSWERED == await receiver.receive()
        assert pytest.approx(11, abs=0.01) == trio.current_time() - began
        assert isinstance(await receiver.receive(), Resumed)
        assert "hello" == await receiver.receive()


async def test_a_refusal_for_good_ends_the_receiver(acme_client, exchange, autojump_clock):
    """What was buffered is read, then the refusal is raised, as often as somebody asks."""
    async with acme_client() as client, client.poll(HELLO, every=1) as receiver:
        exchange.refuse("echo", "broke", "it is broke")
        await trio.sleep(5)

        assert "hello" == await receiver.receive()
        for _ in range(2):
            with pytest.raises(Refused, match="it is broke") as caught:
                await receiver.receive()
            assert RefusalKind.INSUFFICIENT_FUNDS is caught.value.kind
        assert 2 == exchange.count("echo")


async def test_a_first_refusal_for_good_is_raised_on_entering(
    acme_client, exchange, autojump_clock
):
    """There is no receiver without a first reply."""
    async with acme_client() as client:
        exchange.refuse("echo", "broke", "it is broke")
        with pytest.raises(Refused):
            async with client.poll(HELLO, every=1):
                pytest.fail("entered")


async def test_entering_waits_for_the_first_reply(acme_client, exchange, autojump_clock):
    """A refusal that may pass is waited out; nobody is told a gap in what never began."""
    async with acme_client() as client:
        exchange.refuse("echo", "busy", "later", times=2)
        began = trio.current_time()
        async with client.poll(HELLO, every=1) as receiver:
            assert pytest.approx(2, abs=0.01) == trio.current_time() - began
            assert "hello" == await receiver.receive()
        assert 0 == receiver.statistics().gaps


async def test_a_poll_survives_a_reconnect(acme_client, exchange, autojump_clock):
    """Lost while idle: a gap at the next question, and an answer as soon as there is a line."""
    async with acme_client() as client, client.poll(HELLO, every=3) as receiver:
        assert "hello" == await receiver.receive()
        await client.disconnect()

        assert Gap(GapReason.DISCONNECTED, connection=1) == await receiver.receive()
        await trio.sleep(100)
        reconnected = trio.current_time()
        await client.reconnect()
        resumed = await receiver.receive()
        assert "hello" == await receiver.receive()

        assert pytest.approx(100, abs=0.01) == resumed.downtime
        assert pytest.approx(0, abs=0.01) == trio.current_time() - reconnected


async def test_a_line_lost_under_a_question_is_a_disconnection(
    acme_client, exchange, autojump_clock
):
    """The reply is lost with the connection, and the gap says which one."""
    async with acme_client() as client, client.poll(HELLO, every=3) as receiver:
        assert "hello" == await receiver.receive()
        exchange.silence("echo", times=1)
        await trio.sleep(3.5)
        exchange.drop()

        assert Gap(GapReason.DISCONNECTED, connection=1) == await receiver.receive()
        assert isinstance(await receiver.receive(), Resumed)
        assert "hello" == await receiver.receive()


async def test_leaving_never_waits(acme_client, exchange, autojump_clock):
    """Not even for a question that is under way; and nothing is asked afterwards."""
    async with acme_client() as client:
        async with client.poll(HELLO, every=1) as receiver:
            exchange.delay("echo", 5)
            await trio.sleep(2)
            left = trio.current_time()
        assert left == trio.current_time()
        with pytest.raises(trio.ClosedResourceError):
            await receiver.receive()
        sent = client.statistics().requests
        await trio.sleep(20)

        assert sent == client.statistics().requests


@pytest.mark.parametrize(
    ("overflow", "expected"),
    [
        (
            Overflow.GAP,
            [Gap(GapReason.OVERFLOW, 4, connection=1), Resumed(False), "hello", "hello"],
        ),
        (Overflow.LATEST, ["hello"] * 4),
    ],
)
async def test_overflow_is_that_of_subscriptions(acme_client, overflow, expected, autojump_clock):
    """A reader that sleeps hurts itself alone, in the way it chose."""
    async with (
        acme_client() as client,
        client.poll(HELLO, every=1, buffer=4, overflow=overflow) as receiver,
    ):
        await trio.sleep(5.5)

        assert expected == [await receiver.receive() for _ in expected]


async def test_a_receiver_that_must_miss_nothing_fails_on_overflow(acme_client, autojump_clock):
    """``Overflow.FAIL``, and then nothing is asked any more."""
    async with (
        acme_client() as client,
        client.poll(HELLO, every=1, buffer=4, overflow=Overflow.FAIL) as receiver,
    ):
        await trio.sleep(10)
        assert ["hello"] * 4 == [await receiver.receive() for _ in range(4)]
        with pytest.raises(ReceiverOverflow):
            await receiver.receive()


async def test_polls_are_private_where_their_request_is(acme_client, autojump_clock):
    """An anonymous client is told at once; one that logs in may poll."""
    async with acme_client(credentials=None) as client:
        with pytest.raises(NotSent, match="needs a login"):
            async with client.poll(acme.GetOrders(), every=1):
                pytest.fail("entered")
        await client.login(acme.JOE)
        async with client.poll(acme.GetOrders(), every=1) as receiver:
            assert () == await receiver.receive()


async def test_what_changes_the_account_is_not_polled(acme_client, autojump_clock):
    """Repeating an order by itself is what the library never does."""
    async with acme_client() as client:
        with pytest.raises(LocalProtocolError, match="may change the account"):
            client.poll(acme.Place("mine", 3), every=1)


@pytest.mark.parametrize("every", [0, -1, math.inf, math.nan])
async def test_an_interval_is_positive_and_finite(acme_client, every, autojump_clock):
    """Anything else is a mistake, told at once."""
    async with acme_client() as client:
        with pytest.raises(ValueError, match="every="):
            client.poll(HELLO, every=every)


async def test_only_requests_are_polled(acme_client, autojump_clock):
    """A channel is subscribed to."""
    async with acme_client() as client:
        with pytest.raises(TypeError, match="takes a request"):
            client.poll(acme.Book("X"), every=1)


async def test_a_closed_client_ends_its_polls(acme_client, autojump_clock):
    """What was buffered is read, then ``async for`` ends; a new poll is refused."""
    async with trio.open_nursery() as nursery:
        async with acme_client() as client:
            items = []

            async def read(task_status):
                async with client.poll(HELLO, every=1) as receiver:
                    task_status.started()
                    items.extend([item async for item in receiver])

            await nursery.start(read)
            await trio.sleep(1.5)
        with pytest.raises(trio.ClosedResourceError):
            async with client.poll(HELLO, every=1):
                pytest.fail("entered")

    assert ["hello", "hello"] == items


async def test_a_failed_client_is_one_exception(acme_client, exchange, autojump_clock):
    """A poll that waits for a line that never comes does not get into the way of the failure."""
    with pytest.raises(ConnectionLost):
        async with acme_client(reconnect=Reconnect.never()) as client:
            async with client.poll(HELLO, every=1) as receiver:
                exchange.drop()
                with pytest.raises(trio.BrokenResourceError):
                    async for _ in receiver:
                        pass
                await trio.sleep_forever()


async def test_an_exception_of_the_block_passes_untouched(acme_client, autojump_clock):
    """The same object, with polls under way."""
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with acme_client() as client, client.poll(HELLO, every=1):
            raise error

    assert error is caught.value


async def test_cancelling_entering_asks_nothing_more(acme_client, exchange, autojump_clock):
    """The wish is released with the task that had it."""
    async with acme_client() as client:
        exchange.silence("echo")
        with trio.move_on_after(15) as scope:
            async with client.poll(HELLO, every=1):
                pytest.fail("entered")
        sent = client.statistics().requests
        await trio.sleep(60)

        assert scope.cancelled_caught
        assert sent == client.statistics().requests


async def test_a_request_that_cannot_be_written_ends_the_poll(acme_client, autojump_clock):
    """The session's local refusal is told; asking again would not help."""
    async with acme_client() as client:
        with pytest.raises(NotSent, match="4096"):
            async with client.poll(acme.Echo("x" * 5000), every=1):
                pytest.fail("entered")


async def test_a_bug_in_the_session_is_the_clients_failure(acme_client, exchange, autojump_clock):
    """A poll whose request breaks the venue's module ends everything, and says why."""
    with pytest.raises(trio.BrokenResourceError) as caught:
        async with acme_client() as client, client.poll(acme.Echo(object()), every=1):
            pytest.fail("entered")

    assert InternalError is type(caught.value.__cause__)


async def test_a_receiver_that_was_closed_asks_no_more(acme_client, autojump_clock):
    """Not even the question that was due next."""
    async with acme_client() as client, client.poll(HELLO, every=2) as receiver:
        await receiver.receive()
        await receiver.aclose()
        asked = client.statistics().requests
        await trio.sleep(10)

        assert asked == client.statistics().requests


async def test_a_receiver_that_overflowed_asks_no_more(acme_client, autojump_clock):
    """Nobody can have the answers."""
    async with (
        acme_client() as client,
        client.poll(HELLO, every=2, buffer=4, overflow=Overflow.FAIL),
    ):
        await trio.sleep(60)
        asked = client.statistics().requests
        await trio.sleep(60)

        assert asked == client.statistics().requests
