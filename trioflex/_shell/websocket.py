"""The connector that speaks WebSocket over TCP and TLS, or over whatever byte stream one has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import trio

from .transport import Connector, Target, Transport

Dial = Callable[[Target], Awaitable[trio.abc.Stream]]
"""Opens the byte stream that the WebSocket upgrade is sent over. For ``wss://`` that includes TLS.
It is called within ``connect_timeout``, and cancelled when that is over."""


def websocket_connector(*, dial: Dial | None = None) -> Connector:
    """Return the connector that speaks WebSocket over TCP and TLS, or over what ``dial`` opens.

    The environment is not read: a program that must go through a proxy passes a ``dial`` that
    connects through it, and does TLS itself where the URL is ``wss://``.

    Args:
        dial: opens the byte stream for a target; ``None``: TCP, and TLS with the target's
            ``ssl_context`` (by default the system's trust store, host names checked). An
            ``OSError`` or ``trio.BrokenResourceError`` of it becomes
            :class:`trioflex.ConnectFailed`.
    """
    # Imported by who connects: it brings wsproto and h11, which `import trioflex` can do without.
    from .dialling import Opening

    def connect(target: Target, /) -> AbstractAsyncContextManager[Transport]:
        return Opening(target, dial)

    return connect
