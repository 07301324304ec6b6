"""A byte stream with taps in both directions, for faults below the WebSocket library."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import trio

# SO_LINGER switched on with 0 seconds: closing the socket sends RST instead of FIN (socket(7)).
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def _ignore() -> None:
    """Do nothing: nobody listens yet."""


class TappedStream(trio.abc.Stream):
    """A stream that can be stopped in either direction, and that notices its end.

    Args:
        stream: what it taps.
        read_before: bytes that were read off the stream already.
    """

    def __init__(self, stream: trio.abc.Stream, read_before: bytes = b"") -> None:
        self.keep_open = False
        """While true, closing does nothing: a peer that keeps TCP after the closing handshake."""
        self.ended = trio.Event()
        """Set when no more bytes will ever be read."""
        self.touched: Callable[[], None] = _ignore
        """Called when bytes have passed."""
        self._stream = stream
        self._read_before = read_before
        self._reading = self._writing = True
        self._changed = trio.Event()
        self._sending = trio.Lock()

    def open_taps(self, *, reading: bool, writing: bool) -> None:
        """Let bytes pass in each direction, or not."""
        self._reading, self._writing = reading, writing
        self._changed.set()
        self._changed = trio.Event()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See :meth:`trio.abc.ReceiveStream.receive_some`."""
        if self._read_before:
            await trio.lowlevel.checkpoint()
            data, self._read_before = self._read_before, b""
            return data
        try:
            data = bytes(await self._stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ended.set()
            raise
        # Checked after the read, too: the tap may have been closed while this waited for bytes.
        while not self._reading:
            await self._changed.wait()
        if data:
            self.touched()
        else:
            self.ended.set()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See :meth:`trio.abc.SendStream.send_all`."""
        async with self._sending:
            while not self._writing:
                await self._changed.wait()
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
        else:
            try:
                await self._stream.aclose()
            finally:
                self.ended.set()

    def _bottom(self) -> trio.abc.Stream:
        stream = self._stream
        while isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        return stream
