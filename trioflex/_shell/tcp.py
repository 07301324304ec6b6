"""A TCP stream without detours: read when there is something, written to without waiting.

``trio.SocketStream`` asks the kernel first and waits if it has nothing, in several layers that
guard against two tasks in one socket. Here one task reads, and most of the time nothing is there
yet when it comes back: so it waits first and reads then, unless there is a reason to hope. That
spares a failing call, and the exception that it ends in, for every message that comes alone; and
that call lay between an order's answer and its task.

Writing goes through Trio, but for :meth:`TcpStream.write_now`: a task of its own that writes costs
an order two turns of the scheduler. A socket's kernel takes a message at once or says that it has
no room, so whoever has one may hand it over on the spot. What happens in one go cannot be cut short
by a cancellation, which is why elsewhere only one task may write.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeAlias, cast

import trio

WriteNow: TypeAlias = Callable[[bytes], int]
"""Takes bytes while nobody else writes; returns how many of them it took, none where anything is
wrong: who then waits to write the rest is told what."""

DEFAULT_SIZE: Final = 64 * 1024
"""Bytes of a read, where nobody says how many."""


def direct(stream: trio.abc.Stream) -> trio.abc.Stream:
    """Return a stream that does the same without detours, where that can be had."""
    # Elsewhere a socket is no file.
    if isinstance(stream, trio.SocketStream) and os.name == "posix":
        return TcpStream(stream)
    return stream


def write_now(stream: trio.abc.Stream) -> WriteNow | None:
    """Return what writes to a stream without waiting, if it has that."""
    return cast("WriteNow | None", getattr(stream, "write_now", None))


class TcpStream(trio.abc.HalfCloseableStream):
    """A TCP stream that one task at a time reads from.

    Args:
        stream: open; belongs to this one from now on.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self.socket: trio.socket.SocketType = stream.socket
        self._hopeful = False  # something may be there: the last read was full, or we have written

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what there is, nothing at the end of the stream.

        Raises:
            trio.BrokenResourceError: the connection broke.
            trio.ClosedResourceError: the stream was closed.

        Cancellation: nothing that came is lost.
        """
        size = DEFAULT_SIZE if max_bytes is None else max_bytes
        if size < 1:
            raise ValueError("max_bytes must be at least 1")
        sock = self.socket
        wait = not self._hopeful
        while True:
            if sock.fileno() < 0:
                raise trio.ClosedResourceError("the stream was closed")
            if wait:
                await trio.lowlevel.wait_readable(sock)
            else:
                await trio.lowlevel.checkpoint()
            try:
                data = os.read(sock.fileno(), size)
            except BlockingIOError:
                wait = True
            except OSError as exc:
                if sock.fileno() < 0:
                    raise trio.ClosedResourceError("the stream was closed") from None
                raise trio.BrokenResourceError(f"the connection broke: {exc}") from exc
            else:
                self._hopeful = len(data) == size
                return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See :meth:`trio.abc.SendStream.send_all`."""
        self._hopeful = True
        await self._stream.send_all(data)

    def write_now(self, data: bytes) -> int:
        """Write as much as needs no waiting; see :data:`WriteNow`."""
        self._hopeful = True
        try:
            return os.write(self.socket.fileno(), data)
        except OSError:
            return 0

    async def wait_send_all_might_not_block(self) -> None:
        """See :meth:`trio.abc.SendStream.wait_send_all_might_not_block`."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """See :meth:`trio.abc.HalfCloseableStream.send_eof`."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """See :meth:`trio.abc.AsyncResource.aclose`."""
        await self._stream.aclose()
