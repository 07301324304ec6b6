"""The far side's end of a message-level connection."""

from __future__ import annotations

from collections import deque

import trio

from .._shell.transport import Disconnected
from .line import Line
from .message_items import Binary, Close, End, Incoming, Outgoing, Ping, Pong, Text, framed
from .message_transport import MessageTransport
from .tally import Tally


class MessageWire:
    """The far side's end: a :class:`~trioflex.simulator.line.Wire` without bytes.

    Args:
        transport: the client's end.
        max_queued_bytes: how far a client may be behind with reading before it is dropped.
        tally: where that is counted.
    """

    def __init__(self, transport: MessageTransport, max_queued_bytes: int, tally: Tally) -> None:
        self.line: Line | None = None
        self.gone: bool = False
        self._transport = transport
        self._max_queued_bytes = max_queued_bytes
        self._tally = tally
        self._dark: list[Incoming] = []
        self._unread: deque[Outgoing] = deque()
        self._unread_bytes = 0
        self._closing = False
        self._catching_up = False
        self._progress = trio.Event()
        transport.wire = self

    # -- Wire ----------------------------------------------------------------------------------

    @property
    def queued_bytes(self) -> int:
        """What the client has not read yet."""
        return self._transport.inbox_bytes

    def send(self, frame: str | bytes) -> None:
        """Queue a text message, or a binary one."""
        if not self._closing:
            self._deliver(Text(frame.encode()) if isinstance(frame, str) else Binary(frame))
            if self._transport.inbox_bytes > self._max_queued_bytes:
                self._tally.dropped_slow += 1
                self.drop(mid_frame=False)

    def ping(self) -> None:
        """Queue a Ping."""
        self._deliver(Ping())

    def close(self, code: int, reason: str, *, keep_tcp: bool) -> None:
        """Queue a Close. There is no TCP connection here that could be kept."""
        if not self._closing:
            self._closing = True
            self._deliver(Close(code, reason))

    def half_close(self) -> None:
        """Queue the end of the outgoing direction; go on reading."""
        if not self._closing:
            self._closing = True
            self._deliver(End("The far side ended the connection without a Close frame."))

    def drop(self, *, mid_frame: bool) -> None:
        """End the connection; half a frame is never seen by a client of whole messages."""
        self._finish("dropped by the venue")
        self._transport.arrive(End("The connection was reset by the far side."))

    def faults_changed(self) -> None:
        """Catch up with whatever was held back and may pass now."""
        line = self._line
        if line.writing:
            dark, self._dark = self._dark, []
            for item in dark:
                self._transport.arrive(item)
        if not self._catching_up:
            # A request that waited may use a fault up, which leads here again: the next request
            # must not overtake it.
            self._catching_up = True
            try:
                while self._unread and line.reading and not self.gone:
                    self._take(self._unread.popleft())
            finally:
                self._catching_up = False
        if not self._unread:
            self._unread_bytes = 0
        self._wake()

    # -- what the client's end calls -----------------------------------------------------------

    async def carry(self, item: Outgoing) -> None:
        """Take one message or control frame of the client; wait while nobody reads.

        Raises:
            trioflex.Disconnected: the connection ended meanwhile.
        """
        size = framed(len(item.encode()) if isinstance(item, str) else 0, masked=True)
        while True:
            if self.gone:
                raise Disconnected("The connection was lost.")
            if not self._unread and self._line.reading:
                self._take(item)
                return
            if self._unread_bytes + size <= self._line.room:
                self._unread.append(item)
                self._unread_bytes += size
                return
            await self._progress.wait()

    def left(self, why: str) -> None:
        """Take notice that the client has gone."""
        if not self.gone:
            self._finish(why)

    # -- within --------------------------------------------------------------------------------

    @property
    def _line(self) -> Line:
        if self.line is None:
            raise RuntimeError("a wire in memory was used before its line was made")
        return self.line

    def _deliver(self, item: Incoming) -> None:
        if self.gone:
            return
        if self._line.writing:
            self._transport.arrive(item)
        else:
            self._dark.append(item)

    def _take(self, item: Outgoing) -> None:
        line = self._line
        match item:
            case str():
                line.received(item)
            case Ping():
                line.touch()
                self._deliver(Pong())
            case Pong():
                line.touch()
            case Close(code=code, reason=reason):
                if not self._closing:
                    self._closing = True
                    self._deliver(Close(code, reason))
                self._finish(f"closed by the client with code {code}")

    def _finish(self, why: str) -> None:
        self.gone = True
        self._line.ended(why)
        self._wake()

    def _wake(self) -> None:
        self._progress.set()
        self._progress = trio.Event()
