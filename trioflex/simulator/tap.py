"""A byte stream with taps in both directions, for faults below the WebSocket library."""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import Callable

import trio

DRAIN_SIZE = 65_536
"""Bytes of one read of what nobody wants: a socket's usual buffer."""

# SO_LINGER switched on with 0 seconds: closing the socket sends RST instead of FIN (socket(7)).
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def _ignore() -> None:
    """Do nothing: nobody listens yet."""


class TappedStream(trio.abc.Stream):
    """A stream that can be stopped in either direction, and that notices its end.

    Args:
        stream: what it taps.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.keep_open = False
        """While true, closing does nothing: a peer that keeps TCP after the closing handshake."""
        self.ended: trio.Event = trio.Event()
        """Set when no more bytes will ever be read."""
        self.touched: Callable[[], None] = _ignore
        """Called when bytes have passed."""
        self.bytes_read: int = 0
        """Bytes that came through."""
        self.room: float = math.inf
        """Bytes that may lie unread before a :class:`PacedStream` waits."""
        self.changed: trio.Event = trio.Event()
        """Set, and replaced, when any of this has changed."""
        self._stream = stream
        self._head = self._rest = b""
        self._reading = self._writing = True
        self._receiving = trio.Lock()
        self._sending = trio.Lock()

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken on it."""
        return isinstance(self._stream, trio.SSLStream)

    async def do_handshake(self) -> None:
        """Do the TLS handshake, if there is one to do."""
        if isinstance(self._stream, trio.SSLStream):
            await self._stream.do_handshake()

    def push_back(self, head: bytes, rest: bytes) -> None:
        """Let bytes that were read be read again: ``head`` at once, ``rest`` when the tap opens."""
        self._head, self._rest = head, rest

    def open_taps(self, *, reading: bool, writing: bool, room: float) -> None:
        """Let bytes pass in each direction, or not."""
        self._reading, self._writing, self.room = reading, writing, room
        self._note_change()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See :meth:`trio.abc.ReceiveStream.receive_some`."""
        await trio.lowlevel.checkpoint()
        if self._head:
            data, self._head = self._head, b""
            return data
        while not self._reading:
            await self.changed.wait()
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        # Locked: whoever waits for the end of the stream may find trio-websocket still reading.
        async with self._receiving:
            try:
                data = bytes(await self._stream.receive_some(max_bytes))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._note_end()
                raise
        # Checked after the read, too: the tap may have been closed while this waited for bytes.
        while not self._reading:
            await self.changed.wait()
        if data:
            self.bytes_read += len(data)
            self._note_change()
            self.touched()
        else:
            self._note_end()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See :meth:`trio.abc.SendStream.send_all`."""
        async with self._sending:
            while not self._writing:
                await self.changed.wait()
            await self._stream.send_all(data)
            self.touched()

    async def wait_send_all_might_not_block(self) -> None:
        """See :meth:`trio.abc.SendStream.wait_send_all_might_not_block`."""
        await self._stream.wait_send_all_might_not_block()

    async def half_close(self) -> None:
        """End the outgoing direction, without a closing message of TLS."""
        async with self._sending:
            stream = self._bottom()
            if isinstance(stream, trio.abc.HalfCloseableStream):
                await stream.send_eof()

    def reset_on_close(self) -> None:
        """Make closing a RST, where there is TCP."""
        stream = self._bottom()
        if isinstance(stream, trio.SocketStream):
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    async def aclose(self) -> None:
        """See :meth:`trio.abc.AsyncResource.aclose`."""
        if self.keep_open:
            await trio.lowlevel.checkpoint()
            return
        try:
            await self._stream.aclose()
        finally:
            self._note_end()

    async def drain(self) -> None:
        """Read and forget, until the client has gone."""
        try:
            while await self.receive_some(DRAIN_SIZE):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    def _bottom(self) -> trio.abc.Stream:
        stream = self._stream
        while isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        return stream

    def _note_end(self) -> None:
        self.ended.set()
        self._note_change()

    def _note_change(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


class PacedStream(trio.abc.Stream):
    """A client's end in memory whose writes wait as over a network: while too much is unread.

    Args:
        stream: the client's end of a pair in memory, where writing never waits.
        far: the other end.
        arrive: lets bytes arrive there at once.
    """

    def __init__(
        self, stream: trio.abc.Stream, far: TappedStream, arrive: Callable[[bytes], None]
    ) -> None:
        self._stream = stream
        self._far = far
        self._arrive = arrive
        self._bytes_sent = 0

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See :meth:`trio.abc.ReceiveStream.receive_some`."""
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See :meth:`trio.abc.SendStream.send_all`."""
        await self._stream.send_all(data)
        self._bytes_sent += len(data)
        while self._bytes_sent - self._far.bytes_read > self._far.room:
            if self._far.ended.is_set():
                raise trio.BrokenResourceError("the far side has closed the connection")
            await self._far.changed.wait()

    def write_now(self, data: bytes) -> int:
        """Take what there is room for, as the kernel does behind a socket."""
        room = self._far.room - (self._bytes_sent - self._far.bytes_read)
        taken = data if len(data) <= room else data[: max(0, int(room))]
        if not taken or self._far.ended.is_set():
            return 0
        try:
            self._arrive(taken)
        except trio.ClosedResourceError:
            return 0
        self._bytes_sent += len(taken)
        return len(taken)

    async def wait_send_all_might_not_block(self) -> None:
        """See :meth:`trio.abc.SendStream.wait_send_all_might_not_block`."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """See :meth:`trio.abc.AsyncResource.aclose`."""
        await self._stream.aclose()
