"""The client, for threads."""

from __future__ import annotations

import math
import ssl
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar, overload

import trio

from .. import (
    Client,
    ClientStatistics,
    Connector,
    Frame,
    Keepalive,
    Observer,
    Overflow,
    Reconnect,
    Timeouts,
    Unmatched,
    open_client as open_async_client,
)
from ..protocol import Channel, Env, Request, Venue
from .host import Host
from .receiver import BlockingReceiver, BlockingTicket, Subscribed

R = TypeVar("R")
T = TypeVar("T")

DEFAULT_BUFFER = 4096
"""As for :meth:`trioflex.Client.subscribe`."""


class BlockingClient:
    """An open client whose calls wait; made by :func:`open_client`.

    Its methods may be called from any thread, and from several at a time. Each raises what the
    method of the same name of :class:`trioflex.Client` raises, and
    :class:`trio.ClosedResourceError` once the client's block was left. Ctrl-C in the main thread
    ends what it waits for, as a cancellation would.
    """

    def __init__(self, host: Host[Client], client: Client) -> None:
        self._host = host
        self._client = client

    def __repr__(self) -> str:
        return f"<Blocking {repr(self._client)[1:]}"

    # -- asking --------------------------------------------------------------------------------

    def request(self, request: Request[R], *, send_within: float = math.inf) -> R:
        """Send a request and wait for its reply.

        Args:
            request: what to ask; each venue's module has its request classes.
            send_within: seconds it may wait for its turn before it is :class:`trioflex.NotSent`.

        Returns:
            The venue's reply.

        Raises:
            NotSent: it certainly did not happen.
            Refused: the venue said no.
            ReplyLost: no answer to a request that changes nothing: ask again.
            OutcomeUnknown: no answer to a request that may have changed the account.
            trio.ClosedResourceError: the client is closed.
            trio.BrokenResourceError: the client failed; the failure is the cause.

        Cancellation: Ctrl-C withdraws it if it has not left; if it has, its outcome lands in
        :attr:`unsettled`.
        """

        async def ask() -> R:
            return await self._client.request(request, send_within=send_within)

        return self._host.call(ask)

    def submit(self, request: Request[R], *, send_within: float = math.inf) -> BlockingTicket[R]:
        """Queue a request and return its ticket, which outlasts the caller's patience.

        Args:
            request: what to ask.
            send_within: seconds it may wait for its turn before it is :class:`trioflex.NotSent`.

        Returns:
            The ticket; ``ticket.reply()`` waits for the answer.

        Raises:
            NotSent: there is no connection, or the request needs a login; nothing was queued.
            trio.ClosedResourceError: the client is closed.
            trio.BrokenResourceError: the client failed; the failure is the cause.
        """

        async def submit() -> BlockingTicket[R]:
            ticket = await self._client.submit(request, send_within=send_within)
            return BlockingTicket(self._host, ticket)

        return self._host.call(submit)

    @property
    def unsettled(self) -> list[BlockingTicket[Any]]:
        """Tickets of requests whose outcome nobody has learned, oldest first; as
        :attr:`trioflex.Client.unsettled`."""
        tickets = self._host.do(lambda: self._client.unsettled)
        return [BlockingTicket(self._host, ticket) for ticket in tickets]

    # -- listening -----------------------------------------------------------------------------

    @overload
    def subscribe(
        self,
        channel: Channel[T],
        *,
        buffer: int = DEFAULT_BUFFER,
        overflow: Overflow = Overflow.GAP,
    ) -> AbstractContextManager[BlockingReceiver[T]]: ...

    @overload
    def subscribe(
        self, channel: str, *, buffer: int = DEFAULT_BUFFER, overflow: Overflow = Overflow.GAP
    ) -> AbstractContextManager[BlockingReceiver[Any]]: ...

    def subscribe(
        self,
        channel: Channel[Any] | str,
        *,
        buffer: int = DEFAULT_BUFFER,
        overflow: Overflow = Overflow.GAP,
    ) -> AbstractContextManager[BlockingReceiver[Any]]:
        """Subscribe to a channel for as long as the ``with`` block lasts.

        Entering waits until the channel is live; during an outage that is until it is over.

        Args:
            channel: each venue's module has its channel classes; a name where the venue's own
                channel names are text.
            buffer: items that may wait to be read, at least 4.
            overflow: what to do when more would wait.

        Returns:
            A context manager; entering it gives the receiver.

        Raises (entering):
            SubscriptionRefused: the venue, or a local limit, says no.
            SubscriptionTimeout: the venue did not confirm in time.
            trio.ClosedResourceError: the client is closed.
            trio.BrokenResourceError: the client failed; the failure is the cause.
        """
        manager = self._host.do(
            lambda: self._client.subscribe(channel, buffer=buffer, overflow=overflow)
        )
        return Subscribed(self._host, manager, overflow)

    def poll(
        self,
        request: Request[R],
        *,
        every: float,
        buffer: int = DEFAULT_BUFFER,
        overflow: Overflow = Overflow.GAP,
    ) -> AbstractContextManager[BlockingReceiver[R]]:
        """Ask a request again and again while the ``with`` block lasts, and receive the replies.

        Args:
            request: what to ask; one that changes nothing.
            every: seconds from one question to the next, more than 0.
            buffer: replies that may wait to be read, at least 4.
            overflow: what to do when more would wait.

        Returns:
            A context manager; entering it gives the receiver.

        Raises:
            Exception: as :meth:`trioflex.Client.poll`.
        """
        manager = self._host.do(
            lambda: self._client.poll(request, every=every, buffer=buffer, overflow=overflow)
        )
        return Subscribed(self._host, manager, overflow)

    def unmatched(
        self, *, buffer: int = DEFAULT_BUFFER
    ) -> AbstractContextManager[BlockingReceiver[Unmatched]]:
        """Receive what fits nothing: answers to no question, messages of unknown kinds.

        Args:
            buffer: items that may wait to be read.

        Returns:
            A context manager; entering it gives the receiver, at once.
        """
        manager = self._host.do(lambda: self._client.unmatched(buffer=buffer))
        return Subscribed(self._host, manager, Overflow.GAP)

    def frames(
        self, *, buffer: int = DEFAULT_BUFFER
    ) -> AbstractContextManager[BlockingReceiver[Frame]]:
        """Receive every frame of the connections, secrets replaced.

        Args:
            buffer: items that may wait to be read.

        Returns:
            A context manager; entering it gives the receiver, at once.
        """
        manager = self._host.do(lambda: self._client.frames(buffer=buffer))
        return Subscribed(self._host, manager, Overflow.GAP)

    # -- the connection ------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Requests may be sent now."""
        return self._client.ready

    @property
    def account(self) -> str | None:
        """Who is logged in, in the venue's terms; ``None`` while nobody is."""
        return self._client.account

    def wait_ready(self, timeout: float = math.inf) -> None:
        """Wait until requests may be sent.

        Args:
            timeout: seconds to wait.

        Raises:
            TimeoutError: the client was not ready in time.
            trio.ClosedResourceError: the client is closed.
            trio.BrokenResourceError: the client failed; the failure is the cause.
        """

        async def waited() -> None:
            with trio.move_on_after(timeout):
                return await self._client.wait_ready()
            raise TimeoutError(f"the client was not ready within {timeout:g} s")

        self._host.call(waited)

    def login(self, credentials: object) -> None:
        """Log an anonymous client in.

        Args:
            credentials: as for :func:`open_client`.

        Raises:
            Exception: as :meth:`trioflex.Client.login`.
        """
        self._host.call(self._client.login, credentials)

    def disconnect(self) -> None:
        """Close the connection and stay disconnected until :meth:`reconnect`."""
        self._host.call(self._client.disconnect)

    def reconnect(self) -> None:
        """Connect anew, at once; wait until the client is ready."""
        self._host.call(self._client.reconnect)

    def statistics(self) -> ClientStatistics:
        """Return what this client did until now, over all its connections."""
        return self._host.do(self._client.statistics)


class Opened(AbstractContextManager[BlockingClient]):
    """The scope of a client, for threads."""

    def __init__(self, host: Host[Client]) -> None:
        self._host = host

    def __enter__(self) -> BlockingClient:
        return BlockingClient(self._host, self._host.open())

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        failure = self._host.close()
        if failure is None:
            return
        # A call was told of the failure, or nobody was: either way this is what came to pass.
        told = isinstance(exc, trio.BrokenResourceError) and exc.__cause__ is failure
        if exc is None or told:
            raise failure from failure.__cause__
        exc.add_note(f"While the client was failing: {failure}")


def open_client(
    venue: Venue | str,
    *,
    credentials: object | None = None,
    url: str | None = None,
    connector: Connector | None = None,
    ssl_context: ssl.SSLContext | None = None,
    timeouts: Timeouts | None = None,
    reconnect: Reconnect | None = None,
    keepalive: Keepalive | None = None,
    observer: Observer | None = None,
    env: Env | None = None,
) -> AbstractContextManager[BlockingClient]:
    """Open one session with a venue for as long as the ``with`` block lasts, without Trio.

    Entering returns when the session is ready. A thread of its own keeps the connection alive and
    restores it while your program does other things. Leaving closes politely, within
    ``timeouts.close``; a second Ctrl-C meanwhile drops the connection.

    When the client fails for good, the next call of yours raises :class:`trio.BrokenResourceError`,
    and what comes out of the block is the failure itself; a block that is busy elsewhere cannot be
    cancelled, and learns of it then.

    Args:
        venue: as for :func:`trioflex.open_client`, like all of them.
        credentials: the venue module's ``Credentials``; ``None`` for public data alone.
        url: a ``ws://`` or ``wss://`` address, or the name of one of the venue's endpoints.
        connector: how to connect; it runs in the client's thread.
        ssl_context: for ``wss://``.
        timeouts: limits in seconds.
        reconnect: when and how often to connect again.
        keepalive: when silence means death.
        observer: hooks into the life of connections; called in the client's thread.
        env: randomness and wall clock for the venue's session; ``None``: what the connector
            brings, else the real world's.

    Returns:
        A context manager; entering it gives the :class:`BlockingClient`.

    Raises (entering):
        Exception: as :func:`trioflex.open_client`.

    Cancellation: Ctrl-C while it connects gives up, and leaves nothing behind.
    """
    manager = open_async_client(
        venue,
        credentials=credentials,
        url=url,
        connector=connector,
        ssl_context=ssl_context,
        timeouts=timeouts,
        reconnect=reconnect,
        keepalive=keepalive,
        observer=observer,
        env=env,
    )
    name = venue if isinstance(venue, str) else venue.name
    return Opened(Host(manager, f"the client of {name}"))
