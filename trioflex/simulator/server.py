"""Serving a simulated exchange over sockets, with or without TLS."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import trio

from .crew import open_crew
from .hosting import answer, host_stream
from .tap import TappedStream
from .upgrade import refusal

if TYPE_CHECKING:
    from .exchange import SimulatedExchange

_log = logging.getLogger("trioflex.simulator")

MAX_CONNECTIONS = 1_000
"""Connections of one server, half-open ones included: far more than a test of one program opens,
and less than the usual limit of 1,024 descriptors of a process."""


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
            await answer(
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
