"""Writing without waiting: a request leaves in its caller's turn, and everything else holds."""

from __future__ import annotations

import contextlib
import ssl

import attrs
import pytest
import trio
import trustme
from trio.testing import assert_no_checkpoints, memory_stream_pair

from tests import acme
from trioflex import Disconnected, InternalError, OutcomeUnknown, TicketState
from trioflex._sansio.frames import FrameReader
from trioflex._shell.framed import FramedTransport
from trioflex._shell.tls import TlsStream
from trioflex.testing import ScriptedPeer


class Taking(trio.abc.Stream):
    """A client's end in memory that takes so many bytes at once, and then none."""

    def __init__(self, room):
        self.near, self.far = memory_stream_pair()
        self.room = room
        self.at_once = 0

    def write_now(self, data):
        taken = data[: self.room]
        self.room -= len(taken)
        self.at_once += len(taken)
        if taken:
            self.far.receive_stream.put_data(taken)
        return len(taken)

    async def receive_some(self, max_bytes=None):
        return await self.near.receive_some(max_bytes)

    async def send_all(self, data):
        await self.near.send_all(data)

    async def wait_send_all_might_not_block(self):
        await self.near.wait_send_all_might_not_block()

    async def aclose(self):
        await self.near.aclose()


def transport_over(stream):
    return FramedTransport(stream, FrameReader(1 << 20))


async def texts(stream, count):
    """Read texts as a server does that shares no code with the client."""
    peer = ScriptedPeer(stream)
    return [await peer.receive_text() for _ in range(count)]


# -- the transport -------------------------------------------------------------------------------


async def test_what_the_kernel_takes_is_written(autojump_clock):
    """In the order of asking, with what is owed ahead of it, and counted."""
    stream = Taking(1000)
    transport = transport_over(stream)

    with assert_no_checkpoints():
        assert transport.send_now(["one", "two"])
    await transport.send(["three"])

    assert ["one", "two", "three"] == await texts(stream.far, 3)
    assert 3 == transport.statistics().messages_out


@pytest.mark.parametrize("room", range(25))  # a Ping of 7 bytes and two texts of 9
async def test_the_rest_goes_ahead_of_all_else(autojump_clock, room):
    """Wherever the kernel's room ends: no frame is torn, and none is overtaken."""
    stream = Taking(room)
    transport = transport_over(stream)
    transport.ping()

    whole = transport.send_now(["one", "two"])
    await transport.send(["three"])

    peer = ScriptedPeer(stream.far)
    assert b"1" == (await peer.receive_frame()).payload
    assert ["one", "two", "three"] == [await peer.receive_text() for _ in range(3)]
    assert (False, room) == (whole, stream.at_once)


async def test_what_could_not_be_written_is_told_by_send(autojump_clock):
    """Nothing is raised before somebody waits."""
    stream = Taking(1000)
    transport = transport_over(stream)
    transport.abort()

    assert not transport.send_now(["one"])
    with pytest.raises(Disconnected, match="given up"):
        await transport.send([])

    assert 0 == stream.at_once


async def test_nothing_passes_a_rest(autojump_clock):
    """However often one tries before somebody waits."""
    stream = Taking(3)
    transport = transport_over(stream)

    assert not transport.send_now(["one"])
    stream.room = 1000
    assert not transport.send_now(["two"])
    assert 3 == stream.at_once
    await transport.send(["three"])

    assert ["one", "two", "three"] == await texts(stream.far, 3)


async def test_a_rest_that_is_cut_short_breaks_the_connection(autojump_clock):
    """As any write that is cut short: half a frame is out."""
    stream = Taking(3)
    transport = transport_over(stream)
    assert not transport.send_now(["one"])

    with trio.CancelScope() as scope:
        scope.cancel()
        await transport.send([])
    assert not transport.send_now(["two"])
    with pytest.raises(Disconnected, match="given up"):
        await transport.send(["three"])
    await transport.leave(1)
    await transport.drop()

    assert b"" == (await stream.far.receive_some())[3:]


async def test_leaving_with_a_rest_says_nothing_more(autojump_clock):
    """A Close behind half a frame would be read as a part of it."""
    stream = Taking(3)
    transport = transport_over(stream)
    assert not transport.send_now(["one"])

    await transport.leave(1)
    await transport.drop()

    assert 3 == len(await stream.far.receive_some())
    assert b"" == await stream.far.receive_some()


# -- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 1, 5, 30, 1 << 20])
async def test_over_tls_records_are_written_whole_or_finished_later(autojump_clock, room):
    """All is encrypted at once, so what is not written now goes ahead of the next record."""
    authority = trustme.CA()
    context, serving = (
        ssl.create_default_context(),
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
    )
    authority.configure_trust(context)
    authority.issue_cert("venue.example").configure_cert(serving)
    below = Taking(0)
    client = TlsStream(below, context, "venue.example")
    server = trio.SSLStream(below.far, serving, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.do_handshake)
        nursery.start_soon(server.do_handshake)
    transport = transport_over(client)
    below.room = room

    whole = transport.send_now(["one", "two"])
    assert whole == (room == 1 << 20)
    assert client.lagging == (not whole)
    assert whole == transport.send_now([])  # nothing more is written before the rest is
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.send, ["three"])
        assert ["one", "two", "three"] == await texts(server, 3)
    assert not client.lagging


# -- a client ------------------------------------------------------------------------------------


@pytest.fixture
def prompt_client(acme_client, exchange):
    """A client whose writes are told: by which task, at once or not."""
    writers = []

    def open_prompt(**settings):
        @contextlib.asynccontextmanager
        async def connector(target):
            async with exchange.byte_connector(target) as transport:
                send, send_now = transport.send, transport.send_now

                async def told_send(messages):
                    if messages:
                        writers.append(("later", len(messages)))
                    await send(messages)

                def told_send_now(messages):
                    done = send_now(messages)
                    writers.append(("at once", len(messages), done))
                    return done

                transport.send, transport.send_now = told_send, told_send_now
                yield transport

        return acme_client(connector=connector, **settings)

    open_prompt.writers = writers
    return open_prompt


async def test_a_request_leaves_in_its_callers_turn(prompt_client, autojump_clock):
    """The send loop need not be woken for it."""
    async with prompt_client() as client:
        await trio.testing.wait_all_tasks_blocked()
        del prompt_client.writers[:]

        assert "hello" == await client.request(acme.Echo("hello"))

        assert [("at once", 1, True)] == prompt_client.writers


async def test_requests_leave_in_the_order_of_asking(prompt_client, autojump_clock):
    """Each as soon as it is asked, whether somebody waits for the answer or keeps the ticket."""
    async with prompt_client() as client, client.frames() as frames:
        await trio.testing.wait_all_tasks_blocked()
        del prompt_client.writers[:]

        ticket = await client.submit(acme.Echo("first"))
        assert TicketState.SENT is ticket.state
        assert "second" == await client.request(acme.Echo("second"))

        assert "first" == await ticket.reply()
        assert [("at once", 1, True)] * 2 == prompt_client.writers
        sent = [frame.text async for frame in first(4, frames) if frame.direction == ">"]
        assert ["first" in sent[0], "second" in sent[1]] == [True, True]


async def first(count, receiver):
    for _ in range(count):
        yield await receiver.receive()


@pytest.mark.parametrize("how", ["cancelled", "deadline"])
async def test_a_cancelled_caller_sends_nothing(prompt_client, exchange, autojump_clock, how):
    """Giving up is decided before anything leaves, not behind it."""  # W4
    async with prompt_client() as client:
        await trio.testing.wait_all_tasks_blocked()
        del prompt_client.writers[:]

        with trio.CancelScope() as scope:
            if how == "cancelled":
                scope.cancel()
            else:
                scope.deadline = trio.current_time()
            await client.request(acme.Place("a", 1))
        await trio.testing.wait_all_tasks_blocked()

        assert scope.cancelled_caught
        assert [] == prompt_client.writers
        assert [] == client.unsettled


async def test_what_the_kernel_does_not_take_the_send_loop_writes(
    prompt_client, exchange, autojump_clock
):
    """A full socket costs a wait, nothing else."""
    async with prompt_client() as client:
        await trio.testing.wait_all_tasks_blocked()
        stalled = exchange.stall(room=5)
        del prompt_client.writers[:]
        answers = []

        async def ask(text):
            answers.append(await client.request(acme.Echo(text)))

        async with trio.open_nursery() as nursery:
            for text in ("a", "b", "c"):
                nursery.start_soon(ask, text)
            await trio.sleep(1)
            assert [] == answers
            stalled.stop()

        assert ["a", "b", "c"] == sorted(answers)
        assert [("at once", 1, False), ("later", 2)] == prompt_client.writers


async def test_a_rate_limit_holds_for_it(prompt_client, autojump_clock):
    """Two a second: the third waits for its turn, in the send loop's hands."""
    async with prompt_client() as client:
        began = trio.current_time()
        for number in range(3):
            await client.request(acme.Limited(f"{number}"))

        assert trio.current_time() - began >= 0.5


@pytest.mark.parametrize("prompt", [True, False])
async def test_a_bug_of_the_venue_is_told_alike(prompt_client, acme_client, autojump_clock, prompt):
    """Whoever happens to write: the request has begun to leave, and the client fails."""

    class Buggy(acme.Session):
        def send(self, request, key):
            if isinstance(request, acme.Place):
                raise ZeroDivisionError
            return super().send(request, key)

    buggy = attrs.evolve(acme.VENUE, session=Buggy)
    with pytest.raises(OutcomeUnknown) as caught:
        async with (prompt_client if prompt else acme_client)(venue=buggy) as client:
            await trio.testing.wait_all_tasks_blocked()
            await client.request(acme.Place("a", 1))

    assert isinstance(caught.value.__cause__, InternalError)
    assert isinstance(caught.value.__cause__.__cause__, ZeroDivisionError)


async def test_the_ticket_of_a_request_that_left_tells_the_truth(
    prompt_client, exchange, autojump_clock
):
    """The line breaks behind it: its outcome is unknown, not that it was not sent."""
    async with prompt_client() as client:
        await trio.testing.wait_all_tasks_blocked()
        exchange.silence("place")
        with trio.move_on_after(1):
            await client.request(acme.Place("a", 1))

        assert [TicketState.SENT] == [ticket.state for ticket in client.unsettled]


async def test_nothing_follows_a_close():
    """A Close is `send`'s to write, alone."""
    stream = Taking(1000)
    transport = transport_over(stream)
    transport.close()

    assert not transport.send_now(["one"])
    assert 0 == stream.at_once
    await transport.send([])
    assert 8 == (await ScriptedPeer(stream.far).receive_frame()).opcode
    assert 0 == transport.statistics().messages_out


async def test_a_message_counts_once_it_is_out():
    """Half of one is none."""
    stream = Taking(5)
    transport = transport_over(stream)

    assert not transport.send_now(["one"])
    assert 0 == transport.statistics().messages_out
    await transport.send(["two"])
    assert 2 == transport.statistics().messages_out
    assert ["one", "two"] == await texts(stream.far, 2)


async def test_what_is_owed_since_the_writing_is_written(acme_client, exchange, autojump_clock):
    """A transport may ask for `send` in the middle of `send_now`."""
    transports = []

    @contextlib.asynccontextmanager
    async def connector(target):
        async with exchange.byte_connector(target) as transport:
            send_now = transport.send_now

            def send_and_owe(messages):
                done = send_now(messages)
                transport.ping()
                return done

            transport.send_now = send_and_owe
            transports.append(transport)
            yield transport

    async with acme_client(connector=connector) as client:
        await trio.testing.wait_all_tasks_blocked()
        await client.request(acme.Echo("x"))
        await trio.testing.wait_all_tasks_blocked()

        assert 1 == transports[0].statistics().pings
