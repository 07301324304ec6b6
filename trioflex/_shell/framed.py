"""One open WebSocket over any byte stream: what has come, what is owed, and how it ends.

Who does what: the reader of ``_sansio/frames.py`` says what the bytes mean, this file moves them
and keeps what is owed. Three facts decide everything about the end:

* *half sent*: a write began and has not ended well. Whatever followed it would be read as part of
  a torn frame, so nothing follows.
* *aborted*: the peer was given up.
* *over*: no more will be read: the peer's Close, a broken rule, or the end of the stream.

Leaving is polite only while neither of the first two holds, and within limits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import trio

from .._sansio.frames import (
    NO_STATUS,
    FrameReader,
    MaskSource,
    check_close_code,
    encode_close,
    encode_messages,
    encode_ping,
    encode_pong,
)
from .._vocabulary.errors import RemoteProtocolError
from .streams import close_now
from .tcp import write_now
from .tls import TlsStream
from .transport import READ_SIZE, Disconnected, TransportStatistics

FAREWELL: Final = 1.0
"""Seconds for the last word to a peer that has said its own (a Close, or broken rules), and for
it to end the stream: one slow round trip. A peer that leaves TCP open must not delay the next
connection."""

MAX_PINGS: Final = 16
"""Pings whose answers are waited for. A connection is given up after the first one that is not
answered, so more than two are never under way; the bound is there for other users."""


def _unheard() -> None:
    """Stand in for ``notify`` until a connection listens."""


class FramedTransport:
    """One open WebSocket over a byte stream; see :class:`trioflex.Transport` for the contract.

    Args:
        stream: open and upgraded; belongs to the transport.
        reader: decides what the bytes mean.
        trailing: bytes that came with the answer to the upgrade.
        mask: source of frame masks.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        reader: FrameReader,
        trailing: bytes = b"",
        *,
        mask: MaskSource = os.urandom,
    ) -> None:
        self.notify: Callable[[], None] = _unheard
        self.read_size = READ_SIZE
        self._stream = stream
        self._reader = reader
        self._trailing = trailing
        self._mask = mask
        self._ended = False
        self._lost: trio.BrokenResourceError | None = None
        self._half_sent = False
        self._write_now = write_now(stream)
        self.writes_now = self._write_now is not None
        self._unsent: bytes | None = None  # what send_now() left for send() to begin with
        self._unsent_messages = 0  # that end in it
        self._aborted = False
        self._left = False
        self._sending = False
        self._owed_ping = False
        self._owed_close: tuple[int, str] | None = None
        self._close_sent = False
        self._asked: dict[bytes, float] = {}  # payload of a Ping -> when it was written
        self._messages_in = 0
        self._bytes_in = 0
        self._messages_out = 0
        self._bytes_out = 0
        self._pings = 0
        self._pongs = 0
        self._ping_time: float | None = None

    async def receive(self) -> list[bytes]:
        """Wait for at least one whole frame; return the messages that this read completed."""
        reader = self._reader
        while True:
            if self._left:
                raise trio.ClosedResourceError("the connection was left")
            if reader.finished or self._ended:
                raise self._ending() from self._lost
            frames = reader.frames
            messages = self._digest(await self._read())
            # Frames are life, bytes are not: a read that completed none is not worth a return.
            if messages or (reader.frames != frames and not reader.finished):
                return messages

    async def _read(self) -> bytes:
        """Return the next bytes, or nothing at the end of the stream."""
        # The one place where bytes come in; a faster way of reading belongs here.
        if self._trailing:
            await trio.lowlevel.checkpoint()
            data, self._trailing = self._trailing, b""
            return data
        try:
            received = await self._stream.receive_some(self.read_size)
        except trio.BrokenResourceError as exc:
            self._lost = exc
            return b""
        return received if type(received) is bytes else bytes(received)

    def _digest(self, data: bytes) -> list[bytes]:
        """Let the reader have what came, and note what is owed for it."""
        if not data:
            self._ended = True
            return []
        reader = self._reader
        self._bytes_in += len(data)
        messages = reader.feed(data)
        self._messages_in += len(messages)
        if reader.pongs:
            self._answered(reader.pongs)
            reader.pongs.clear()
        if reader.unanswered and not (self._close_sent or reader.finished):
            self.notify()
        return messages

    def _answered(self, pongs: list[bytes]) -> None:
        """Match Pongs with our Pings; one answers all that were sent before it, too."""
        for payload in pongs:
            written = self._asked.get(payload)
            if written is None:
                continue
            self._pongs += 1
            self._ping_time = trio.current_time() - written
            while self._asked:
                oldest = next(iter(self._asked))
                del self._asked[oldest]
                if oldest == payload:
                    break

    def _ending(self) -> Disconnected | RemoteProtocolError:
        """Make the error that says why no more will come."""
        reader = self._reader
        if reader.closed is not None:
            code, reason = reader.closed
            said = "without a code" if code == NO_STATUS else f"with code {code}"
            colon = f": {reason}" if reason else ""
            return Disconnected(
                f"the peer closed the WebSocket {said}{colon}",
                code=code,
                reason=reason,
                clean=True,
            )
        if reader.failure:
            return RemoteProtocolError(
                f"the peer broke the WebSocket protocol: {reader.failure}",
                close_code=reader.failure_code,
            )
        how = "broke" if self._lost is not None else "ended"
        where = " in the middle of a message" if reader.partial else ""
        return Disconnected(f"the connection {how}{where} without a Close frame")

    async def send(self, messages: Sequence[str]) -> None:
        """Write what is owed and then the messages, in one go."""
        self._check_sendable()
        if messages and self._owed_close is not None:
            raise Disconnected("nothing can be sent: the WebSocket is being closed")
        body = encode_messages(messages, self._mask) if messages else b""
        data = self._take_owed() + body
        if data or self._unsent is not None:
            await self._write(data)
            self._messages_out += len(messages)
        else:
            await trio.lowlevel.checkpoint()

    def send_now(self, messages: Sequence[str]) -> bool:
        """Write what is owed and then the messages, as far as that needs no waiting."""
        given_up = self._aborted or (self._half_sent and self._unsent is None)
        closing = self._close_sent or self._owed_close is not None
        if self._left or given_up or closing or self._reader.finished or self._ended:
            return False  # send() will say why
        data = self._take_owed() + encode_messages(messages, self._mask)
        self._bytes_out += len(data)
        taken = 0
        if self._unsent is None and self._write_now is not None:
            taken = self._write_now(data)
            lagging = isinstance(self._stream, TlsStream) and self._stream.lagging
            if taken == len(data) and not lagging:
                self._messages_out += len(messages)
                return True
        self._unsent_messages += len(messages)
        self._half_sent = True
        self._unsent = (self._unsent or b"") + data[taken:]
        return False

    def _check_sendable(self) -> None:
        """Refuse to write where nothing may follow any more."""
        if self._left:
            raise trio.ClosedResourceError("the connection was left")
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this connection")
        if (self._half_sent and self._unsent is None) or self._aborted:
            raise Disconnected("nothing can be sent: the connection was given up")
        if self._reader.finished or self._ended:
            ending = self._ending()
            if isinstance(ending, Disconnected):
                raise ending from self._lost
            raise Disconnected(f"nothing can be sent: {ending}")
        if self._close_sent:
            raise Disconnected("nothing can be sent: the WebSocket is being closed")

    def _take_owed(self) -> bytes:
        """Encode what is owed: Pongs, a Ping, a Close."""
        owed = b""
        if self._reader.unanswered:
            for payload in self._reader.take_pings():
                owed += encode_pong(payload, self._mask)
        if self._owed_ping:
            self._owed_ping = False
            self._pings += 1
            payload = str(self._pings).encode()
            self._asked[payload] = trio.current_time()
            if len(self._asked) > MAX_PINGS:
                del self._asked[next(iter(self._asked))]
            owed += encode_ping(payload, self._mask)
        if self._owed_close is not None:
            owed += encode_close(*self._owed_close, self._mask)
            self._owed_close = None
            self._close_sent = True
        return owed

    async def _write(self, data: bytes) -> None:
        """Write, and remember if it did not end well."""
        self._sending = True
        self._half_sent = True
        self._bytes_out += len(data)
        if self._unsent is not None:
            data, self._unsent = self._unsent + data, None
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as exc:
            raise Disconnected("the connection broke while sending") from exc
        finally:
            self._sending = False
        self._half_sent = False
        self._messages_out += self._unsent_messages
        self._unsent_messages = 0

    def ping(self) -> None:
        """Owe the peer a Ping."""
        self._owed_ping = True
        self.notify()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Owe the peer a Close; the first call counts.

        Raises:
            LocalProtocolError: ``code`` must not be sent by a client.
        """
        check_close_code(code)
        if self._owed_close is None and not self._close_sent:
            self._owed_close = (code, reason)
            self.notify()

    def abort(self) -> None:
        """Give the peer up."""
        self._aborted = True

    def statistics(self) -> TransportStatistics:
        """Return what went over this connection until now."""
        return TransportStatistics(
            messages_in=self._messages_in,
            bytes_in=self._bytes_in,
            messages_out=self._messages_out,
            bytes_out=self._bytes_out,
            pings=self._pings,
            pongs=self._pongs,
            ping_time=self._ping_time,
        )

    async def leave(self, limit: float) -> None:
        """Do what the closing handshake still owes, within ``limit`` seconds.

        Never raises for the peer's sake. The stream stays open: :meth:`drop` follows.

        Cancellation: the handshake is cut short.
        """
        if self._half_sent or self._aborted or self._ended:
            return
        await trio.lowlevel.checkpoint_if_cancelled()
        reader = self._reader
        with trio.move_on_after(limit) as patience:
            try:
                if reader.finished:
                    patience.deadline = min(patience.deadline, trio.current_time() + FAREWELL)
                if not self._close_sent:
                    if reader.closed is not None:
                        self._owed_close = reader.closed
                    elif reader.failure:
                        self._owed_close = (reader.failure_code, "")
                    elif self._owed_close is None:
                        self._owed_close = (1000, "")
                    await self._write(self._take_owed())
                while not (reader.finished or self._ended):
                    self._digest(await self._read())
                if isinstance(self._stream, TlsStream):
                    with suppress(trio.BrokenResourceError):
                        await self._stream.send_eof()
                # The end of the stream is the server's to make (RFC 6455, 7.1.1). What it still
                # sends is thrown away: unread bytes would turn our Close into a reset.
                patience.deadline = min(patience.deadline, trio.current_time() + FAREWELL)
                while not self._ended:
                    self._ended = not await self._read()
            except Disconnected:
                pass  # it is gone: there is nobody left to be polite to

    async def drop(self) -> None:
        """Close the stream at once, whatever state it is in."""
        self._left = True
        await close_now(self._stream)
