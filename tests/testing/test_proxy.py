"""The fault proxy: bytes that are cut, sliced, held back and lost, in memory and over sockets."""

from __future__ import annotations

import socket
import struct
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioflex import ConnectFailed, Disconnected, Target
from trioflex.simulator.crew import open_crew
from trioflex.testing import (
    Direction,
    FaultProxy,
    ScriptedPeer,
    memory_connector,
    open_fault_proxy,
)

UP, DOWN = Direction.TO_SERVER, Direction.TO_CLIENT


class Far:
    """A server that takes notes, and says what it is told to."""

    def __init__(self):
        self.heard = bytearray()
        self.stream = None
        self.here = trio.Event()
        self.ended = None

    async def serve(self, stream):
        self.stream = stream
        self.here.set()
        try:
            while data := await stream.receive_some():
                self.heard += data
            self.ended = "end"
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ended = "broken"

    def reset(self):
        linger = struct.pack("ii", 1, 0)
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.stream.socket.close()


class Near:
    """A client of plain bytes."""

    def __init__(self, stream):
        self.stream = stream
        self.heard = bytearray()
        self.pieces = []
        self.ended = None

    async def listen(self):
        try:
            while data := await self.stream.receive_some():
                self.heard += data
                self.pieces.append(bytes(data))
            self.ended = "end"
        except trio.BrokenResourceError:
            self.ended = "broken"
        except trio.ClosedResourceError:
            self.ended = "closed"


@asynccontextmanager
async def in_memory():
    """A client, a proxy and a server on byte streams in memory."""
    proxy, far = FaultProxy(), Far()
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.between(far.serve), server)
        near = Near(client)
        nursery.start_soon(near.listen)
        await far.here.wait()
        yield near, proxy, far
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def over_sockets():
    """The same through the kernel."""
    far = Far()
    async with open_crew() as crew:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        crew.start_soon(trio.serve_listeners, far.serve, listeners)
        host, port = listeners[0].socket.getsockname()
        async with open_fault_proxy(host, port) as proxy:
            port = int(proxy.url.rpartition(":")[2])
            async with await trio.open_tcp_stream("127.0.0.1", port) as client:
                near = Near(client)
                crew.start_soon(near.listen)
                await far.here.wait()
                yield near, proxy, far


async def until(condition):
    """Wait for something that the kernel takes its time for."""
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - the kernel sets no event
            await trio.sleep(0.005)


# -- in memory, exactly --------------------------------------------------------------------------


async def test_without_faults_it_is_not_there(autojump_clock):
    """Bytes pass in both directions, ends too, and are counted."""
    async with in_memory() as (near, proxy, far):
        await near.stream.send_all(b"question")
        await far.stream.send_all(b"the answer")
        await wait_all_tasks_blocked()
        assert (b"question", b"the answer") == (far.heard, near.heard)
        assert (8, 10) == (proxy.passed(UP), proxy.passed(DOWN, connection=1))
        assert (1,) == proxy.open_connections
        await near.stream.send_eof()
        await wait_all_tasks_blocked()
        assert ("end", "end") == (far.ended, near.ended)
        assert () == proxy.open_connections
        assert 0 == proxy.statistics().cut
    assert 0 == trio.current_time()


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("after", [1, 7, 8, 9, 15, 16])
async def test_cut_after_so_many_bytes(direction, after, autojump_clock):
    """Exactly so many arrive, counted from the call, wherever sends and reads begin and end."""
    async with in_memory() as (near, proxy, far):
        source, sink = (near.stream, far) if direction is UP else (far.stream, near)
        await source.send_all(b"before")
        await wait_all_tasks_blocked()
        proxy.cut(after, direction=direction)
        await source.send_all(b"12345678")
        await wait_all_tasks_blocked()
        assert (after <= 8) is (sink.ended is not None)
        if after > 8:
            await source.send_all(b"9abcdefg")
            await wait_all_tasks_blocked()
        assert b"before" + b"123456789abcdefg"[:after] == sink.heard
        assert None is not near.ended
        assert None is not far.ended
        assert 1 == proxy.statistics().cut


async def test_cut_at_once(autojump_clock):
    """All that are open, and none of those that come later."""
    async with in_memory() as (near, proxy, far):
        proxy.cut()
        assert () == proxy.open_connections
        await wait_all_tasks_blocked()
        assert ("end", "end") == (near.ended, far.ended)
        with pytest.raises(ValueError, match="connection 1 is over"):
            proxy.cut(connection=1)


async def test_a_cut_may_be_planned_for_a_connection_to_come(autojump_clock):
    """By its number; the bytes are counted from its beginning."""

    async def serve(stream):
        await ScriptedPeer(stream).accept()
        await trio.sleep_forever()

    proxy = FaultProxy()
    proxy.cut(40, direction=DOWN, connection=2)
    connector = memory_connector(proxy.between(serve))
    async with connector(Target(url="ws://memory/")):
        pass
    assert 40 < proxy.passed(DOWN)
    with pytest.raises(ConnectFailed, match="closed the connection during the handshake"):
        async with connector(Target(url="ws://memory/")):
            raise AssertionError("an answer that was cut is none")
    assert 40 == proxy.passed(DOWN, connection=2)
    async with connector(Target(url="ws://memory/")):
        pass
    assert (3, 1) == (proxy.statistics().connections, proxy.statistics().cut)


async def test_slices(autojump_clock):
    """Pieces of that size, that far apart; released, what is left comes in one piece."""
    async with in_memory() as (near, proxy, far):
        proxy.slice(3, pause=2.0, direction=DOWN)
        await far.stream.send_all(b"0123456789")
        await near.stream.send_all(b"not sliced")
        await trio.sleep(5)
        assert [b"012", b"345", b"678"] == near.pieces
        assert b"not sliced" == far.heard
        proxy.release()
        await far.stream.send_all(b"abcdef")
        await trio.sleep(5)
        assert [b"9", b"abcdef"] == near.pieces[3:]


async def test_held_bytes_arrive_when_they_are_released(autojump_clock):
    """In order; the other direction is not concerned; an end is held back like a byte."""
    async with in_memory() as (near, proxy, far):
        proxy.hold(DOWN)
        await far.stream.send_all(b"one ")
        await trio.sleep(1000)
        await far.stream.send_all(b"two")
        await far.stream.send_eof()
        await near.stream.send_all(b"through")
        await trio.sleep(1)
        assert (b"", None) == (near.heard, near.ended)
        assert b"through" == far.heard
        proxy.release(DOWN)
        await wait_all_tasks_blocked()
        assert (b"one two", "end") == (near.heard, near.ended)


async def test_discarded_bytes_never_arrive(autojump_clock):
    """They are counted, and what comes after them is handed on."""
    async with in_memory() as (near, proxy, far):
        proxy.discard(DOWN)
        await far.stream.send_all(b"lost")
        await wait_all_tasks_blocked()
        proxy.release()
        await far.stream.send_all(b"found")
        await wait_all_tasks_blocked()
        assert b"found" == near.heard
        assert 4 == proxy.statistics().discarded
        assert 5 == proxy.statistics().to_client


async def test_a_cut_counts_discarded_bytes_as_well(autojump_clock):
    """It is about what was sent, not about what arrived."""
    async with in_memory() as (near, proxy, far):
        proxy.discard()
        proxy.cut(6)
        await far.stream.send_all(b"12345")
        await wait_all_tasks_blocked()
        proxy.release()
        await far.stream.send_all(b"6789")
        await wait_all_tasks_blocked()
        assert (b"6", "end") == (near.heard, near.ended)


async def test_dark_is_both_ways_and_for_everybody(autojump_clock):
    """Those that come are dark from the start; a dark connection can be cut."""
    async with in_memory() as (near, proxy, far):
        proxy.go_dark()
        await near.stream.send_all(b"hello?")
        await far.stream.send_all(b"hello!")
        await trio.sleep(10)
        assert (b"", b"") == (near.heard, far.heard)
        client, server = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(proxy.between(Far().serve), server)
            await client.send_all(b"anybody?")
            await trio.sleep(10)
            assert 0 == proxy.passed(UP, connection=2)
            proxy.release(connection=2)
            await wait_all_tasks_blocked()
            assert 8 == proxy.passed(UP, connection=2)
            proxy.cut()
        await wait_all_tasks_blocked()
        assert ("end", "end") == (near.ended, far.ended)
        assert () == proxy.open_connections


async def test_a_failing_server_is_blamed_with_its_own_exception(autojump_clock):
    """Not in a group, and not with the symptom."""
    error = KeyError("the script is wrong")

    async def serve(stream):
        await ScriptedPeer(stream).accept()
        raise error

    proxy = FaultProxy()
    with pytest.raises(KeyError) as caught:
        async with memory_connector(proxy.between(serve))(Target(url="ws://memory/")):
            await trio.sleep_forever()
    assert error is caught.value


async def test_nonsense_is_refused(autojump_clock):
    """With a sentence."""
    proxy = FaultProxy()
    with pytest.raises(ValueError, match="after -1 bytes"):
        proxy.cut(-1)
    with pytest.raises(ValueError, match="pieces of 0 bytes"):
        proxy.slice(0)
    with pytest.raises(ValueError, match="every -1 s"):
        proxy.slice(1, pause=-1)
    with pytest.raises(ValueError, match="there was no connection 1"):
        proxy.passed(UP, connection=1)
    with pytest.raises(ValueError, match="there was no connection 0"):
        proxy.passed(UP, connection=0)


# -- over sockets --------------------------------------------------------------------------------


@pytest.mark.parametrize(("reset", "ended"), [(True, "broken"), (False, "end")])
@pytest.mark.parametrize("after", [0, 5])
async def test_rst_and_fin(reset, ended, after):
    """Both sides read what the test asked for, even where bytes lie unread."""
    async with over_sockets() as (near, proxy, far):
        await near.stream.send_all(b"unread")
        proxy.hold(UP)
        proxy.cut(after, reset=reset)
        await far.stream.send_all(b"12345678")
        await until(lambda: near.ended and far.ended)
        assert (ended, ended) == (near.ended, far.ended)
        if after:
            assert b"12345" == near.heard or reset, "RST may overtake what it follows"


async def test_what_one_side_does_the_other_feels():
    """An end passes as an end; a reset as a reset."""
    async with over_sockets() as (near, proxy, far):
        await near.stream.send_eof()
        await until(lambda: near.ended and far.ended)
        assert ("end", "end") == (near.ended, far.ended)
        await until(lambda: () == proxy.open_connections)
    async with over_sockets() as (near, proxy, far):
        far.reset()
        await until(lambda: near.ended)
        assert "broken" == near.ended
        assert 0 == proxy.statistics().cut


async def test_slices_arrive_one_by_one():
    """No kernel puts them together again where there is a pause."""
    async with over_sockets() as (near, proxy, far):
        proxy.slice(2, pause=0.02)
        await far.stream.send_all(b"abcdef")
        await until(lambda: len(near.heard) == 6)
        assert [b"ab", b"cd", b"ef"] == near.pieces


async def test_a_sender_into_the_dark_waits_when_the_buffers_are_full():
    """Nothing is read in between, so the kernel's limits are felt; released, all arrives."""
    size = 16 * 1024 * 1024
    async with over_sockets() as (near, proxy, far):
        proxy.go_dark()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.stream.send_all, bytes(size))
            await trio.sleep(0.1)
            assert b"" == far.heard
            assert nursery.child_tasks
            proxy.release()
        await until(lambda: size == len(far.heard))


async def test_a_server_that_is_not_there():
    """The client's connection is cut."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    host, port = listeners[0].socket.getsockname()
    await listeners[0].aclose()
    async with open_fault_proxy(host, port) as proxy:
        near = Near(await trio.open_tcp_stream("127.0.0.1", int(proxy.url.rpartition(":")[2])))
        with trio.fail_after(5):
            await near.listen()
        assert "broken" == near.ended
        await near.stream.aclose()
        assert (1, 1) == (proxy.statistics().connections, proxy.statistics().cut)


async def test_leaving_closes_everything():
    """At once, with connections open in every state, and the block's own exception comes out."""
    error = LookupError("of the block")
    with pytest.raises(LookupError) as caught:
        async with over_sockets() as (near, proxy, _):
            proxy.go_dark()
            await near.stream.send_all(b"...")
            raise error
    assert error is caught.value


async def test_transports_feel_a_cut_in_the_middle_of_a_frame(autojump_clock):
    """The half message is not delivered."""

    async def serve(stream):
        peer = ScriptedPeer(stream)
        await peer.accept()
        await peer.send_text("whole")
        await trio.sleep(1)
        await peer.send_text("half of this")
        await trio.sleep_forever()

    proxy = FaultProxy()
    async with memory_connector(proxy.between(serve))(Target(url="ws://memory/")) as transport:
        assert [b"whole"] == await transport.receive()
        proxy.cut(after=4)
        with pytest.raises(Disconnected):
            await transport.receive()
