"""The seam between the client and the network: one open WebSocket, seen as text messages.

This module is the contract; ``websocket.py`` (ours) and ``trio_websocket.py`` implement it over
sockets, the simulator implements it without any.

Rules for every transport:

* ``receive`` never writes, and never waits for anything but the peer.
* Only ``send`` writes, and ``send_now`` while nobody is in ``send``. What the transport owes the
  peer (pongs, pings, Close) it keeps until the next of them, and calls ``notify`` to ask for one.
* A ``send`` that did not end well leaves the transport *broken*: nothing more is ever written,
  and leaving the connector drops the connection instead of closing it politely.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import attrs

from .._vocabulary.errors import TrioflexError

READ_SIZE: Final = 256 * 1024
"""Bytes asked for in one read, where nobody says otherwise: about 1,200 ordinary messages. Less
wakes tasks too often, more leaves the caches (4 % of a message at 512 KiB)."""


@attrs.frozen(kw_only=True)
class Target:
    """Where to connect, and within which limits."""

    url: str
    """``ws://`` or ``wss://``; credentials in it are refused, a fragment is too."""
    ssl_context: ssl.SSLContext | None = None
    """``None``: the system's trust store, host names checked."""
    connect_timeout: float = 10.0
    """Seconds for TCP, TLS and the HTTP upgrade together."""
    close_timeout: float = 3.0
    """Seconds that leaving the connector may spend on being polite."""
    max_message_bytes: int = 4 * 1024 * 1024
    """A larger message is refused before it is buffered whole."""


class Disconnected(TrioflexError):
    """The WebSocket is over; raised by :meth:`Transport.receive` and :meth:`Transport.send`.

    Attributes:
        code: the close code that the peer sent, or ``None`` if it sent no Close frame.
        reason: the text that came with it.
        clean: the closing handshake was complete, or the peer began it.
    """

    def __init__(
        self, message: str, *, code: int | None = None, reason: str = "", clean: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.clean = clean


@attrs.frozen(kw_only=True)
class TransportStatistics:
    """What went over one connection."""

    messages_in: int
    """Whole text messages received."""
    bytes_in: int
    """Bytes received from the stream, framing included."""
    messages_out: int
    """Messages sent."""
    bytes_out: int
    """Bytes handed to the stream, framing included."""
    pings: int
    """Pings of ours that were written."""
    pongs: int
    """Pongs received for them."""
    ping_time: float | None
    """Seconds from the newest answered ping to its pong."""


class Transport(Protocol):
    """One open WebSocket."""

    notify: Callable[[], None]
    """Called, synchronously, when the transport owes the peer something: call ``send`` soon.
    Set by the connection that uses the transport; does nothing until then."""

    read_size: int
    """Bytes that one read may bring, set by the connection: it knows how many tasks a read wakes.
    A transport that has no choice ignores it."""

    @property
    def writes_now(self) -> bool:
        """Whether :meth:`send_now` can do anything; where not, nobody calls it."""

    async def receive(self) -> list[bytes]:
        """Wait for at least one whole frame; return the text messages that one read completed.

        The list is empty where only control frames (or fragments) arrived: those are signs of
        life, too.

        Raises:
            Disconnected: the connection is over; what arrived before was returned before.
            RemoteProtocolError: the peer broke the WebSocket protocol, or a limit.

        Cancellation: nothing that was received is lost.
        """

    async def send(self, messages: Sequence[str]) -> None:
        """Write what is owed (newest pongs, ping, Close) and then the messages, in one go.

        Only one task may be in here. With no messages it only writes what is owed.

        Raises:
            Disconnected: the stream broke, or a Close frame has been sent or received.

        Cancellation: the transport is broken from then on.
        """

    def send_now(self, messages: Sequence[str], /) -> bool:
        """Write what is owed and then the messages as far as that needs no waiting.

        Only while nobody is in :meth:`send` and before :meth:`close`, and it never raises: what
        could not be written, for whatever reason, is the first thing that the next ``send`` writes,
        or fails with.

        Returns:
            Whether all was written; if not, call ``send`` soon.
        """

    def ping(self) -> None:
        """Owe the peer a Ping."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Owe the peer a Close; ``receive`` raises :class:`Disconnected` when it has answered."""

    def abort(self) -> None:
        """Give the peer up: nothing more is written, leaving the connector drops the stream."""

    def statistics(self) -> TransportStatistics:
        """Return what went over this connection until now."""


class Connector(Protocol):
    """Makes transports; the network as an argument.

    A connector may have an attribute ``env``, a :class:`trioflex.protocol.Env`: the clock and the
    randomness of what it leads to. :func:`trioflex.open_client` takes it where it is given no
    ``env`` itself. Simulated exchanges in memory and tapes bring theirs in this way, because their
    time is not ours; a connector that wraps another passes it on.
    """

    def __call__(self, target: Target, /) -> AbstractAsyncContextManager[Transport]:
        """Connect on entering; close, or drop, on leaving.

        Entering raises :class:`trioflex.ConnectFailed`, for whatever reason it failed, within
        ``connect_timeout``. Leaving sends what the closing handshake still owes, for at most
        ``close_timeout``, and never raises for the peer's sake; if the transport is broken, or
        the task is cancelled, it drops the stream at once.
        """
