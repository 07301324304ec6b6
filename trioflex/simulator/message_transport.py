"""The message-level connection: a transport whose messages reach the far side as they are.

There are no bytes and no tasks between the two ends. What the client sends is executed inside its
``send``; what the far side sends is in the client's inbox at once. So a test with a ``MockClock``
sees the same order of things in every run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import trio

from .. import LocalProtocolError, RemoteProtocolError
from .._shell.transport import Disconnected, Target, TransportStatistics
from .message_items import Binary, Close, End, Incoming, Outgoing, Ping, Pong, Text, framed

if TYPE_CHECKING:
    from .message_wire import MessageWire

RESERVED_CODES = frozenset({1004, 1005, 1006, 1015})
"""Close codes that never stand in a Close frame (RFC 6455, 7.4.1)."""

READ_SIZE = 65_536
"""Bytes one ``receive`` returns at most, as one read of a socket would."""


def _ignore() -> None:
    """Do nothing: what ``notify`` is until a connection sets it."""


class MessageTransport:
    """The client's end of a connection in memory: a :class:`trioflex.Transport`.

    Args:
        target: whose limits apply.
    """

    def __init__(self, target: Target) -> None:
        self.notify: Callable[[], None] = _ignore
        self.read_size = READ_SIZE  # and stays so, whatever it is set to: reads are part of a test
        self.writes_now = False
        self._target = target
        self._inbox: deque[Incoming] = deque()
        self._arrived = trio.Event()
        self._owed: list[Outgoing] = []
        self._end: Exception | None = None
        self._closing = False
        self._sending = False
        self._broken = False
        self._left = False
        self.inbox_bytes: int = 0
        self.wire: MessageWire | None = None
        self._pinged_at: float | None = None
        self._ping_time: float | None = None
        self._messages_in = self._bytes_in = self._messages_out = self._bytes_out = 0
        self._pings = self._pongs = 0

    # -- Transport -----------------------------------------------------------------------------

    async def receive(self) -> list[bytes]:
        """See :meth:`trioflex.Transport.receive`."""
        await trio.lowlevel.checkpoint()
        self._check_not_left()
        while not self._inbox:
            if self._end is not None:
                raise self._again(self._end)
            self._arrived = trio.Event()
            await self._arrived.wait()
        messages: list[bytes] = []
        size = 0
        while self._inbox and size < READ_SIZE:
            if messages and self._is_last(self._inbox[0]):
                break
            item = self._inbox.popleft()
            if isinstance(item, Text):
                messages.append(self._text(item.data))
                size += len(item.data)
            else:
                self._control(item)
                if self._end is not None:
                    raise self._again(self._end)
        return messages

    async def send(self, messages: Sequence[str]) -> None:
        """See :meth:`trioflex.Transport.send`."""
        wire = self._wire_for_sending(messages)
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            owed, self._owed = self._owed, []
            for item in (*owed, *messages):
                if isinstance(item, Ping):
                    self._pinged_at = trio.current_time()
                await wire.carry(item)
                self._count_out(item)
        except BaseException:
            self._broken = True
            raise
        finally:
            self._sending = False

    def send_now(self, messages: Sequence[str]) -> bool:
        """Nobody calls it: this transport has no way to write without waiting."""
        raise NotImplementedError

    def ping(self) -> None:
        """See :meth:`trioflex.Transport.ping`."""
        self._owe(Ping())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """See :meth:`trioflex.Transport.close`."""
        if not 1000 <= code <= 4999 or code in RESERVED_CODES:
            raise LocalProtocolError(
                f"close code {code} must not be sent: give one from 1000 to 4999 other than"
                f" {', '.join(map(str, sorted(RESERVED_CODES)))}"
            )
        if not self._closing:
            self._closing = True
            self._owe(Close(code, reason))

    def abort(self) -> None:
        """See :meth:`trioflex.Transport.abort`."""
        self._broken = True

    def statistics(self) -> TransportStatistics:
        """See :meth:`trioflex.Transport.statistics`."""
        return TransportStatistics(
            messages_in=self._messages_in,
            bytes_in=self._bytes_in,
            messages_out=self._messages_out,
            bytes_out=self._bytes_out,
            pings=self._pings,
            pongs=self._pongs,
            ping_time=self._ping_time,
        )

    # -- for the connector and the far end -----------------------------------------------------

    def arrive(self, item: Incoming) -> None:
        """Put something into the inbox."""
        self._inbox.append(item)
        if isinstance(item, Text | Binary):
            self.inbox_bytes += len(item.data)
        self._arrived.set()

    async def leave(self) -> None:
        """Send what the closing handshake owes, if that is possible at all."""
        if self._broken or self.wire is None or self.wire.gone:
            return
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self._closing:
            self._owed.append(Close(1000, ""))
        try:
            with trio.move_on_after(self._target.close_timeout):
                for item in self._owed:
                    await self.wire.carry(item)
        except Disconnected:
            # Gone meanwhile: there is nobody left to be polite to.
            return

    def left(self) -> None:
        """End the use of the transport, whatever state it is in."""
        self._left = True
        if self.wire is not None:
            self.wire.left("cut off by the client")

    def _check_not_left(self) -> None:
        if self._left:
            raise trio.ClosedResourceError("the connection was left")

    def _wire_for_sending(self, messages: Sequence[str]) -> MessageWire:
        self._check_not_left()
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this connection")
        if self.wire is None or self._broken:
            raise Disconnected("Nothing can be sent: the connection was given up.")
        if self._end is not None:
            raise Disconnected(f"Nothing can be sent: {self._end}")
        if self.wire.gone:
            raise Disconnected("Nothing can be sent: the connection was lost.")
        if self._closing and (messages or Close not in map(type, self._owed)):
            raise Disconnected("Nothing can be sent: the WebSocket is being closed.")
        return self.wire

    def _owe(self, item: Outgoing) -> None:
        if isinstance(item, Pong) and item in self._owed:
            # The newest Pong answers every Ping before it (RFC 6455, 5.5.3).
            return
        self._owed.append(item)
        self.notify()

    def _owe_last(self, code: int) -> None:
        """Owe a Close that is written on leaving: the connection is over for its user."""
        if not self._closing:
            self._closing = True
            self._owed.append(Close(code, ""))

    def _count_out(self, item: Outgoing) -> None:
        if isinstance(item, str):
            self._messages_out += 1
            self._bytes_out += framed(len(item.encode()), masked=True)
            return
        self._bytes_out += framed(0, masked=True)
        if isinstance(item, Ping):
            self._pings += 1

    def _is_last(self, item: Incoming) -> bool:
        """Return whether nothing is received after it; what came before is handed over first."""
        if isinstance(item, Text):
            return len(item.data) > self._target.max_message_bytes
        return isinstance(item, Binary | Close | End)

    def _text(self, data: bytes) -> bytes:
        if len(data) > self._target.max_message_bytes:
            self._end = RemoteProtocolError(
                f"A message of {len(data)} bytes exceeds the limit of"
                f" {self._target.max_message_bytes} bytes (max_message_bytes).",
                close_code=1009,
            )
            self._owe_last(1009)
            raise self._again(self._end)
        self._messages_in += 1
        self._bytes_in += framed(len(data), masked=False)
        self.inbox_bytes -= len(data)
        return data

    def _control(self, item: Incoming) -> None:
        match item:
            case Ping():
                self._bytes_in += framed(0, masked=False)
                self._owe(Pong())
            case Pong():
                self._bytes_in += framed(0, masked=False)
                self._pongs += 1
                if self._pinged_at is not None:
                    self._ping_time = trio.current_time() - self._pinged_at
                    self._pinged_at = None
            case Close(code=code, reason=reason):
                self._end = Disconnected(
                    f"The far side closed the WebSocket with code {code}"
                    + (f" ({reason})." if reason else "."),
                    code=code,
                    reason=reason,
                    clean=True,
                )
                self._owe_last(code)
            case End(why=why):
                self._end = Disconnected(why)
            case Binary(data=data):
                self._end = RemoteProtocolError(
                    f"A binary message of {len(data)} bytes: venues send text only.",
                    close_code=1003,
                )
                self._owe_last(1003)

    @staticmethod
    def _again(end: Exception) -> Exception:
        """Return a fresh exception that says the same: shared ones collect tracebacks."""
        if isinstance(end, Disconnected):
            return Disconnected(str(end), code=end.code, reason=end.reason, clean=end.clean)
        if isinstance(end, RemoteProtocolError):
            return RemoteProtocolError(str(end), close_code=end.close_code)
        return end
