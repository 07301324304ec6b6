"""One connection that leads through a fault proxy: two directions, each with rules of its own."""

from __future__ import annotations

import enum
import socket
import struct
from contextlib import suppress
from typing import Final

import attrs
import trio

_READ_SIZE: Final = 65_536
"""Bytes of one read: a socket's usual buffer."""

# SO_LINGER switched on with 0 seconds: closing the socket sends RST instead of FIN (socket(7)).
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Direction(enum.Enum):
    """Which way bytes go."""

    TO_CLIENT = "to client"
    """What the server says."""
    TO_SERVER = "to server"
    """What the client says."""


@attrs.define
class Rules:
    """What is done to the bytes of one direction."""

    held: bool = False
    discarding: bool = False
    size: int | None = None
    """The largest piece that is passed on at once."""
    pause: float = 0.0
    """Seconds after each piece."""


class Flow:
    """One direction of a connection.

    Args:
        rules: what holds from the start.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.passed: int = 0
        """Bytes that were handed on."""
        self.discarded: int = 0
        """Bytes that were thrown away."""
        self.reset_on_cut: bool = True
        """How the connection ends when it is cut here."""
        self._cut_at: int | None = None
        self._changed = trio.Event()

    def change(self) -> None:
        """Let the rules, which were changed, be looked at."""
        self._changed.set()
        self._changed = trio.Event()

    def cut_after(self, count: int, *, reset: bool) -> None:
        """Have the connection cut when so many more bytes have come this way."""
        self._cut_at = self.passed + self.discarded + count
        self.reset_on_cut = reset

    async def run(self, source: trio.abc.Stream, sink: trio.abc.Stream) -> bool:
        """Hand on what comes, by the rules; return whether this is where it is to be cut."""
        while True:
            await self._wait_let_through()
            data = await source.receive_some(_READ_SIZE)
            if not data:
                break
            if await self._hand_on(memoryview(data), sink):
                return True
        # Who is told nothing is not told of the end either.
        while self.rules.held or self.rules.discarding:
            await self._changed.wait()
        if isinstance(sink, trio.abc.HalfCloseableStream):
            await sink.send_eof()
        return False

    async def _hand_on(self, data: memoryview, sink: trio.abc.Stream) -> bool:
        """Hand on one read, piece by piece; return whether the cut is reached."""
        while data:
            await self._wait_let_through()
            size = len(data) if self.rules.size is None else self.rules.size
            if self._cut_at is not None:
                size = min(size, self._cut_at - self.passed - self.discarded)
            piece, data = data[:size], data[size:]
            if self.rules.discarding:
                self.discarded += len(piece)
            else:
                # Counted before: a cut that is ordered meanwhile is about the bytes after these.
                self.passed += len(piece)
                await sink.send_all(piece)
            if self._cut_at == self.passed + self.discarded:
                return True
            await trio.sleep(self.rules.pause)
        return False

    async def _wait_let_through(self) -> None:
        while self.rules.held:
            await self._changed.wait()


class ProxiedConnection:
    """A client's connection, and the one that leads on to the server.

    Args:
        flows: its two directions.
    """

    def __init__(self, flows: dict[Direction, Flow]) -> None:
        self.flows = flows
        self.over: bool = False
        self.was_cut: bool = False
        self._reset = False
        self._scope = trio.CancelScope()

    def cut(self, *, reset: bool) -> None:
        """End both connections now; what is on its way inside the proxy is lost."""
        self.was_cut = True
        self._end(reset=reset)

    async def run(self, client: trio.abc.Stream, server: trio.abc.Stream) -> None:
        """Hand bytes on between two streams until both directions have ended, or it is cut.

        Cancellation: nothing is closed, see :meth:`close`.
        """
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run, Direction.TO_SERVER, client, server)
                nursery.start_soon(self._run, Direction.TO_CLIENT, server, client)
        self.over = True

    async def close(self, client: trio.abc.Stream, server: trio.abc.Stream) -> None:
        """Close both streams, in the way in which the connection ended.

        Cancellation: they are closed all the same.
        """
        self.over = True
        # Closing raises where the task is cancelled, too; and it is both that must be closed.
        try:
            await _end_now(client, reset=self._reset)
        finally:
            await _end_now(server, reset=self._reset)

    async def _run(
        self, direction: Direction, source: trio.abc.Stream, sink: trio.abc.Stream
    ) -> None:
        flow = self.flows[direction]
        try:
            if await flow.run(source, sink):
                self.cut(reset=flow.reset_on_cut)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # What one side did to its connection is done to the other.
            self._end(reset=True)

    def _end(self, *, reset: bool) -> None:
        self.over = True
        self._reset = reset
        self._scope.cancel()


async def _end_now(stream: trio.abc.Stream, *, reset: bool) -> None:
    """Close a stream without waiting; by FIN or by RST, where there is TCP."""
    if isinstance(stream, trio.SocketStream):
        with suppress(OSError):  # its end was said already, or it is closed
            if reset:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            else:
                # Closing alone would send RST where bytes lie unread, FIN elsewhere.
                stream.socket.shutdown(socket.SHUT_WR)
    await trio.aclose_forcefully(stream)
