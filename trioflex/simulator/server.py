"""Serving a simulated exchange over byte streams: sockets with or without TLS, or memory.

trio-websocket carries the WebSocket, so that the two ends of a test share no connection code. It is
kept on a short lead: it only sees upgrades that were checked before (one odd byte in a header
would raise out of it), its tasks live in a nursery whose failures end one connection and nothing
else, and the stream under it is ours.
"""

from __future__ import annotations

import logging
import math
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import attrs
import trio
import trio_websocket

from .crew import Crew, open_crew
from .faults import Dark, HangUpgrade, RefuseConnections
from .line import Line
from .tap import TappedStream
from .upgrade import MAX_HEAD, BadUpgrade, check_head, refusal

if TYPE_CHECKING:
    from .exchange import SimulatedExchange

_log = logging.getLogger("trioflex.simulator")

UPGRADE_TIMEOUT = 10.0
"""Seconds for TLS and the whole request; clients allow as much for their side of it."""

CLOSE_TIMEOUT = 3.0
"""Seconds a client has to answer a Close, and to take what is still queued before it."""

MAX_REQUEST = 65_536
"""Characters of one message of a client. Venues' commands have some hundred."""

REQUESTS_WAITING = 1_000
"""Messages that trio-websocket may have read ahead. Handling one waits for nothing, so this is
never a queue; it keeps one large read from being handed over task switch by task switch."""

MAX_CONNECTIONS = 1_000
"""Connections of one server, half-open ones included: far more than a test of one program opens,
and less than the usual limit of 1,024 descriptors of a process."""

# The beginning of a text frame of 256 bytes that never comes to its end (RFC 6455, 5.2).
_HALF_FRAME = b"\x81\x7e\x01\x00" + b'{"cut":"'


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
        self.mid_frame = False
        self._exchange = exchange
        self._stream = stream
        self._crew = crew
        self._queue: deque[_Item] = deque()
        self._queued_bytes = 0
        self._wake = trio.Event()
        self._closing = False
        self._closed = trio.Event()

    def send(self, frame: str | bytes) -> None:
        """Queue a text message, or a binary one; drop a client that is too far behind."""
        if self._closing:
            return
        self._put(frame)
        self._queued_bytes += len(frame)
        if self._queued_bytes > self._exchange.max_queued_bytes:
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
                while self._queue and not self._closing:
                    await self._send_next(websocket, self._queue.popleft())
                self._wake = trio.Event()
                await self._wake.wait()
        except trio_websocket.ConnectionClosed:
            # keep_receiving hears of it as well, and ends the connection.
            return

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
                self._queued_bytes -= len(item)
            case _Ping():
                # It waits for its Pong; nothing else may.
                self._crew.start_soon(_ping, websocket)
            case _End():
                self._closing = True
                await self._stream.half_close()
                await self._stream.ended.wait()
                self._closed.set()
            case _Close(code=code, reason=reason, keep_tcp=keep_tcp):
                self._closing = True
                self._stream.keep_open = keep_tcp
                with trio.move_on_after(CLOSE_TIMEOUT):
                    await websocket.aclose(code, reason or None)
                if keep_tcp:
                    await _drain(self._stream)
                self._closed.set()

    def _put(self, item: _Item) -> None:
        self._queue.append(item)
        self._wake.set()


async def host_stream(exchange: SimulatedExchange, stream: trio.abc.Stream) -> None:
    """Host one connection on a byte stream, from its request to its end.

    Whatever the client does ends this quietly; only errors of the simulator are raised.

    Args:
        exchange: the exchange that the client reaches.
        stream: a fresh connection, before TLS and upgrade; closed in any case.

    Cancellation: the connection is dropped.
    """
    tapped = stream if isinstance(stream, TappedStream) else TappedStream(stream)
    try:
        request: bytes | None = None
        with trio.move_on_after(UPGRADE_TIMEOUT):
            await tapped.do_handshake()
            request = await _read_request(tapped)
        if request is None:
            raise BadUpgrade(408, "The request did not arrive in time.")
        if await _admit(exchange, tapped):
            await _host_websocket(exchange, tapped, request)
    except BadUpgrade as bad:
        exchange.tally.refused += 1
        _log.info("a request was refused with HTTP status %d: %s", bad.status, bad)
        await _answer(tapped, refusal(bad.status, f"{bad}\n", bad.headers))
    except (trio.BrokenResourceError, trio.ClosedResourceError) as gone:
        _log.info("a client went before its request was complete: %r", gone.__cause__ or gone)
    finally:
        tapped.keep_open = False
        await trio.aclose_forcefully(tapped)


async def _read_request(stream: TappedStream) -> bytes:
    """Return the checked head of a request and whatever came with it."""
    received = b""
    while b"\r\n\r\n" not in received:
        if len(received) > MAX_HEAD:
            raise BadUpgrade(431, f"The request is longer than {MAX_HEAD} bytes.")
        data = await stream.receive_some(MAX_HEAD)
        if not data:
            raise trio.BrokenResourceError("the client ended the connection")
        received += data
    head, end, _ = received.partition(b"\r\n\r\n")
    if len(head) > MAX_HEAD:
        raise BadUpgrade(431, f"The request is longer than {MAX_HEAD} bytes.")
    check_head(head + end)
    return received


async def _admit(exchange: SimulatedExchange, stream: TappedStream) -> bool:
    """Return whether the script lets a new connection in; deal with it if not."""
    take, number = exchange.faults.take, exchange.next_connection
    if take(HangUpgrade, number) is not None or exchange.faults.holding(Dark, number) is not None:
        await _drain(stream)
        return False
    refuse = take(RefuseConnections, number)
    if refuse is None:
        return True
    exchange.tally.refused += 1
    headers = {} if refuse.retry_after is None else {"Retry-After": f"{refuse.retry_after:g}"}
    await _answer(stream, refusal(refuse.status, refuse.body, headers))
    return False


async def _host_websocket(
    exchange: SimulatedExchange, stream: TappedStream, request: bytes
) -> None:
    """Host a connection whose request was found good."""
    failure: Exception | None = None
    try:
        async with trio.open_nursery(strict_exception_groups=True) as carrier:
            try:
                await _converse(exchange, stream, request, carrier)
            except Exception as exc:
                # Kept apart from what the WebSocket library raises in the same nursery.
                failure = exc
            carrier.cancel_scope.cancel()
    except* Exception as group:
        # trio-websocket's reader raises where a client breaks the protocol in ways it did not
        # expect (a Ping that crosses our Close, for one). That is the end of this connection.
        _log.info("a connection broke: %r", group.exceptions)
    if failure is not None:
        raise failure


async def _converse(
    exchange: SimulatedExchange, stream: TappedStream, received: bytes, carrier: trio.Nursery
) -> None:
    head, end, rest = received.partition(b"\r\n\r\n")
    with trio.move_on_after(UPGRADE_TIMEOUT) as opening:
        # Frames that came along with the request wait until it is answered: trio-websocket would
        # give them to its HTTP parser. The line opens the taps.
        stream.open_taps(reading=False, writing=True, room=math.inf)
        stream.push_back(head + end, rest)
        request = await trio_websocket.wrap_server_stream(
            carrier, stream, message_queue_size=REQUESTS_WAITING, max_message_size=MAX_REQUEST
        )
        try:
            websocket = await request.accept()
        except trio_websocket.ConnectionClosed:
            return
    if opening.cancelled_caught:
        return
    async with open_crew() as crew:
        wire = StreamWire(exchange, stream, crew)
        line = wire.line = exchange.open_line(wire, crew.start_soon)
        stream.touched = line.touch
        why = "cut off"
        try:
            wire.faults_changed()
            exchange.welcome(line)
            crew.start_soon(wire.keep_sending, websocket)
            crew.start_soon(line.watch_idle)
            why = await wire.keep_receiving(websocket)
        finally:
            line.ended(why)
    if wire.mid_frame:
        with trio.move_on_after(1):
            await stream.send_all(_HALF_FRAME)


async def _ping(websocket: trio_websocket.WebSocketConnection) -> None:
    try:
        await websocket.ping()
    except trio_websocket.ConnectionClosed:
        return


async def _answer(stream: TappedStream, answer: bytes) -> None:
    """Send the last bytes of a connection so that the client has a chance to read them."""
    with trio.move_on_after(CLOSE_TIMEOUT):
        try:
            await stream.send_all(answer)
            if stream.encrypted:
                await stream.aclose()
            else:
                await stream.half_close()
                # Closing with unread bytes would send RST, which may overtake the answer.
                await _drain(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return


async def _drain(stream: TappedStream) -> None:
    """Read and forget, until the client has gone."""
    try:
        while await stream.receive_some(MAX_HEAD):
            pass
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return


@attrs.frozen
class ServerAddress:
    """Where a simulated exchange is served."""

    host: str
    """The address that was bound."""
    port: int
    """The port, also where any was asked for."""
    url: str
    """What a client connects to."""


@asynccontextmanager
async def open_server(
    exchange: SimulatedExchange,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_context: ssl.SSLContext | None = None,
    max_connections: int = MAX_CONNECTIONS,
) -> AsyncIterator[ServerAddress]:
    """Serve an exchange while the block runs.

    One connection's troubles stay with that connection: bad requests are answered, broken ones
    are dropped, and an error of the simulator itself is logged with its traceback, counted in
    ``exchange.statistics().failed``, and ends the connection that met it.

    Args:
        exchange: what is served; one made with ``clock=system_clock`` keeps real time.
        host: address to bind.
        port: port to bind; 0 picks a free one.
        ssl_context: for ``wss://``; see :func:`trioflex.simulator.open_certificates`.
        max_connections: further ones are refused with HTTP status 503.

    Yields:
        Where it is served.

    Raises:
        OSError: the address cannot be bound.

    Cancellation: all connections are dropped.
    """
    open_streams = 0

    async def handle(stream: trio.SocketStream) -> None:
        nonlocal open_streams
        if open_streams >= max_connections:
            exchange.tally.refused += 1
            # Without TLS even where it is due: not one connection more is to be worked for.
            await _answer(
                TappedStream(stream), refusal(503, f"{max_connections} connections are enough.\n")
            )
            await trio.aclose_forcefully(stream)
            return
        open_streams += 1
        try:
            if ssl_context is None:
                await host_stream(exchange, stream)
            else:
                await host_stream(exchange, trio.SSLStream(stream, ssl_context, server_side=True))
        except Exception:
            # The promise of a server: what one client met must not be felt by the others. The
            # error is not lost, and over memory streams (byte_connector) it is raised.
            exchange.tally.failed += 1
            _log.exception("the simulator failed on a connection, which was dropped")
        finally:
            open_streams -= 1

    listeners = await trio.open_tcp_listeners(port, host=host)
    async with open_crew() as crew:
        bound = listeners[0].socket.getsockname()
        crew.start_soon(trio.serve_listeners, handle, listeners)
        scheme = "ws" if ssl_context is None else "wss"
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield ServerAddress(bound[0], bound[1], f"{scheme}://{name}:{bound[1]}")


async def serve(
    exchange: SimulatedExchange,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_context: ssl.SSLContext | None = None,
    max_connections: int = MAX_CONNECTIONS,
    task_status: trio.TaskStatus[ServerAddress] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an exchange until cancelled; for ``nursery.start``, which returns the address.

    Args:
        exchange: see :func:`open_server`, as for all others.
        host: address to bind.
        port: port to bind.
        ssl_context: for ``wss://``.
        max_connections: further ones are refused.
        task_status: told where it is served.

    Raises:
        OSError: the address cannot be bound.

    Cancellation: all connections are dropped.
    """
    async with open_server(
        exchange,
        host=host,
        port=port,
        ssl_context=ssl_context,
        max_connections=max_connections,
    ) as address:
        task_status.started(address)
        await trio.sleep_forever()
