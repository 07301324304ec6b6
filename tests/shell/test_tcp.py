"""A TCP stream of our own: Trio's conformance kit, and what that does not ask."""

from __future__ import annotations

import os
import socket
import struct

import pytest
import trio
from trio.testing import assert_checkpoints, check_half_closeable_stream, memory_stream_pair

from trioflex._shell.tcp import TcpStream, direct, write_now

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere a socket is no file")


async def pair():
    """Return both ends of a connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = await trio.open_tcp_stream(*listener.getsockname())
        far, _ = listener.accept()
    far.setblocking(False)
    return direct(near), direct(trio.SocketStream(trio.socket.from_stdlib_socket(far)))


async def clogged():
    """Return both ends of a connection that takes nothing more."""
    ends = await pair()
    for end in ends:
        while end.write_now(bytes(1 << 16)):
            pass
    return ends


async def test_it_is_a_stream_as_trio_wants_one():
    """Sending, receiving, ends, cancellation, conflicts, closing: all that the kit tries."""
    await check_half_closeable_stream(pair, clogged)


def test_other_streams_stay_as_they_are():
    """Streams in memory have no socket, and nothing that writes at once."""
    near, _ = memory_stream_pair()

    assert near is direct(near)
    assert write_now(near) is None


@pytest.mark.parametrize("size", [1, 3, 5, 100])
async def test_whatever_was_hoped_for_it_reads_what_comes(size):
    """After a full read, and after writing, it tries at once; else it waits first."""
    near, far = await pair()
    async with near, far:
        got, sent = b"", b""
        for text in (b"hello", b"you", b"world"):
            await near.send_all(b"...")
            await far.send_all(text)
            sent += text
            while len(got) < len(sent):
                with assert_checkpoints():
                    got += await near.receive_some(size)

        assert sent == got


async def test_a_cancelled_read_loses_nothing():
    """Neither one that waits nor one that would have tried at once."""
    near, far = await pair()
    async with near, far:
        with trio.move_on_after(0.01):
            await near.receive_some()
        await far.send_all(b"abc")
        for _ in range(2):
            with trio.CancelScope() as scope:
                scope.cancel()
                await near.receive_some()
            assert scope.cancelled_caught
            await near.send_all(b"now it is hopeful")

        assert b"abc" == await near.receive_some()


async def test_a_reset_is_a_broken_resource():
    """With what the system calls it."""
    near, far = await pair()
    far.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await far.aclose()

    async with near:
        with pytest.raises(trio.BrokenResourceError, match="reset"):
            await near.receive_some()


async def test_closing_wakes_who_waits():
    """And whoever comes later is told the same."""
    near, far = await pair()
    async with far:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def read():
                with pytest.raises(trio.ClosedResourceError):
                    await near.receive_some()

            await trio.testing.wait_all_tasks_blocked()
            await near.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await near.receive_some()
        assert 0 == near.write_now(b"x")


async def test_writing_at_once_takes_what_there_is_room_for():
    """And no more; the rest is its caller's."""
    near, far = await pair()
    async with near, far:
        assert 5 == near.write_now(b"hello")
        assert b"hello" == await far.receive_some()
        taken = 0
        while more := near.write_now(bytes(1 << 20)):
            taken += more
        assert taken > 0
        await far.aclose()
        await trio.sleep(0.01)
        assert 0 == near.write_now(b"x")


def test_it_is_what_a_socket_becomes():
    """Of a user's own ``dial``, too."""
    left, right = socket.socketpair()
    with right:
        left.setblocking(False)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(left))
        assert isinstance(direct(stream), TcpStream)
        left.close()
