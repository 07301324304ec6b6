"""The far side's end of a connection over bytes: a queue, and trio-websocket behind it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeAlias

import attrs
import trio
import trio_websocket

from .crew import Crew
from .line import Line
from .tap import TappedStream

if TYPE_CHECKING:
    from .exchange import SimulatedExchange

CLOSE_TIMEOUT = 3.0
"""Seconds a client has to answer a Close, and to take what is still queued before it."""


@attrs.frozen
class _Close:
    code: int
    reason: str
    keep_tcp: bool


@attrs.frozen
class _Ping:
    pass


@attrs.frozen
class _End:
    pass


_Item: TypeAlias = str | bytes | _Close | _Ping | _End


class StreamWire:
    """A :class:`~trioflex.simulator.line.Wire` over a byte stream.

    Args:
        exchange: whose limits and counts apply.
        stream: what carries the bytes.
        crew: the connection's tasks.
    """

    def __init__(self, exchange: SimulatedExchange, stream: TappedStream, crew: Crew) -> None:
        self.line: Line | None = None
        self.mid_frame: bool = False
        self._exchange = exchange
        self._stream = stream
        self._crew = crew
        self._queue: deque[_Item] = deque()
        self.queued_bytes: int = 0
        """What waits to be written."""
        self._wake = trio.Event()
        self._closing = False
        self._closed = trio.Event()

    def send(self, frame: str | bytes) -> None:
        """Queue a text message, or a binary one; drop a client that is too far behind."""
        if self._closing:
            return
        self._put(frame)
        self.queued_bytes += len(frame)
        if self.queued_bytes > self._exchange.max_queued_bytes:
            self._exchange.tally.dropped_slow += 1
            self.drop(mid_frame=False)

    def ping(self) -> None:
        """Queue a Ping."""
        self._put(_Ping())

    def close(self, code: int, reason: str, *, keep_tcp: bool) -> None:
        """Queue a Close."""
        self._put(_Close(code, reason, keep_tcp))

    def half_close(self) -> None:
        """Queue the end of the outgoing direction."""
        self._put(_End())

    def drop(self, *, mid_frame: bool) -> None:
        """End the connection now, by RST where there is TCP."""
        self.mid_frame = mid_frame
        self._stream.keep_open = False
        self._stream.reset_on_close()
        self._crew.dismiss()
        if self.line is not None:
            self.line.ended("dropped by the venue")

    def faults_changed(self) -> None:
        """Open or close the taps."""
        if self.line is not None:
            self._stream.open_taps(
                reading=self.line.reading, writing=self.line.writing, room=self.line.room
            )

    async def keep_sending(self, websocket: trio_websocket.WebSocketConnection) -> None:
        """Write what is queued, in order, until the connection is over."""
        try:
            while not self._closing:
                if self._queue:
                    await self._send_next(websocket, self._queue.popleft())
                else:
                    self._wake = trio.Event()
                    await self._wake.wait()
        except (
            trio_websocket.ConnectionClosed,
            trio.BrokenResourceError,
            trio.ClosedResourceError,
        ):
            # keep_receiving hears of it as well, and ends the connection.
            return
        finally:
            self._closed.set()

    async def keep_receiving(self, websocket: trio_websocket.WebSocketConnection) -> str:
        """Hand requests to the line until the connection is over.

        Returns:
            How it ended, as a clause for the log.
        """
        if self.line is None:
            raise RuntimeError("a wire was used before its line was made")
        while True:
            try:
                message = await websocket.get_message()
            except trio_websocket.ConnectionClosed:
                break
            if isinstance(message, bytes):
                self.close(1003, "text messages only", keep_tcp=False)
            else:
                self.line.received(message)
        if self._closing:
            await self._closed.wait()
        else:
            # trio-websocket answers the Close and shuts the stream after it has told us.
            with trio.move_on_after(CLOSE_TIMEOUT):
                await self._stream.ended.wait()
        code = 1006 if websocket.closed is None else websocket.closed.code
        return f"closed with code {code}"

    async def _send_next(self, websocket: trio_websocket.WebSocketConnection, item: _Item) -> None:
        match item:
            case str() | bytes():
                await websocket.send_message(item)
                self.queued_bytes -= len(item)
            case _Ping():
                # It waits for its Pong; nothing else may.
                self._crew.start_soon(_ping, websocket)
            case _End():
                self._closing = True
                await self._stream.half_close()
                await self._stream.ended.wait()
            case _Close(code=code, reason=reason, keep_tcp=keep_tcp):
                self._closing = True
                self._stream.keep_open = keep_tcp
                with trio.move_on_after(CLOSE_TIMEOUT):
                    await websocket.aclose(code, reason or None)
                if keep_tcp:
                    await self._stream.drain()

    def _put(self, item: _Item) -> None:
        self._queue.append(item)
        self._wake.set()


async def _ping(websocket: trio_websocket.WebSocketConnection) -> None:
    try:
        await websocket.ping()
    except trio_websocket.ConnectionClosed:
        return
