"""Hosting one connection of a simulated exchange on a byte stream, from its request to its end.

trio-websocket carries the WebSocket, so that the two ends of a test share no connection code. It is
kept on a short lead: it only sees upgrades that were checked before (one odd byte in a header
would raise out of it), its tasks live in a nursery whose failures end one connection and nothing
else, and the stream under it is ours.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING

import trio
import trio_websocket

from .crew import open_crew
from .faults import Dark, HangUpgrade, RefuseConnections
from .stream_wire import CLOSE_TIMEOUT, StreamWire
from .tap import TappedStream
from .upgrade import MAX_HEAD, BadUpgrade, check_head, refusal

if TYPE_CHECKING:
    from .exchange import SimulatedExchange

_log = logging.getLogger("trioflex.simulator")

UPGRADE_TIMEOUT = 10.0
"""Seconds for TLS and the whole request; clients allow as much for their side of it."""

MAX_REQUEST = 65_536
"""Characters of one message of a client. Venues' commands have some hundred."""

REQUESTS_WAITING = 1_000
"""Messages that trio-websocket may have read ahead. Handling one waits for nothing, so this is
never a queue; it keeps one large read from being handed over task switch by task switch."""

# The beginning of a text frame of 256 bytes that never comes to its end (RFC 6455, 5.2).
_HALF_FRAME = b"\x81\x7e\x01\x00" + b'{"cut":"'


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
        await answer(tapped, refusal(bad.status, f"{bad}\n", bad.headers))
    except (trio.BrokenResourceError, trio.ClosedResourceError) as gone:
        _log.info("a client went away: %r", gone.__cause__ or gone)
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
        await stream.drain()
        return False
    refuse = take(RefuseConnections, number)
    if refuse is None:
        return True
    exchange.tally.refused += 1
    headers = {} if refuse.retry_after is None else {"Retry-After": f"{refuse.retry_after:g}"}
    await answer(stream, refusal(refuse.status, refuse.body, headers))
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
        # A second is plenty on loopback; a client that does not read hears of it no later.
        with trio.move_on_after(1), suppress(trio.BrokenResourceError):
            await stream.send_all(_HALF_FRAME)


async def answer(stream: TappedStream, response: bytes) -> None:
    """Send the last bytes of a connection so that the client has a chance to read them."""
    with trio.move_on_after(CLOSE_TIMEOUT):
        try:
            await stream.send_all(response)
            if stream.encrypted:
                await stream.aclose()
            else:
                await stream.half_close()
                # Closing with unread bytes would send RST, which may overtake the answer.
                await stream.drain()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
