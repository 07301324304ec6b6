"""What the user holds: ask, listen, and have a say in the connection."""

from __future__ import annotations

import logging
import math
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar, overload

import msgspec
import trio

from .._vocabulary.errors import NotSent
from .._vocabulary.settings import Overflow
from ..protocol import Channel, Request
from .connection import Connection
from .core import NEEDS_LOGIN, Core, Frame, Unmatched
from .observer import ClientStatistics
from .polling import Polling
from .receiver import DEFAULT_BUFFER, Receiver
from .subscription import Subscription, Tapping
from .supervisor import Supervisor
from .ticket import Ticket, TicketState

logger = logging.getLogger("trioflex")

R = TypeVar("R")
T = TypeVar("T")


class Client:
    """An open client; made by :func:`trioflex.open_client`.

    Its methods may be called from any task of the same Trio run, inside the block or outside.
    """

    def __init__(self, core: Core, supervisor: Supervisor) -> None:
        self._core = core
        self._supervisor = supervisor

    def __repr__(self) -> str:
        state = "closed" if self._supervisor.closing else "ready" if self.ready else "not ready"
        return f"<Client of {self._core.venue.name}, {state}>"

    # -- asking --------------------------------------------------------------------------------

    @trio.lowlevel.enable_ki_protection
    async def request(self, request: Request[R], *, send_within: float = math.inf) -> R:
        """Send a request and wait for its reply.

        Args:
            request: what to ask; each venue's module has its request classes.
            send_within: seconds it may wait for its turn (its rate limit, the queue) before it is
                :class:`NotSent` instead of late.

        Returns:
            The venue's reply.

        Raises:
            NotSent: it certainly did not happen.
            Refused: the venue said no.
            ReplyLost: no answer to a request that changes nothing: ask again.
            OutcomeUnknown: no answer to a request that may have changed the account.
            trio.ClosedResourceError: the client is closed.

        Cancellation: if it has not left it is withdrawn and never will; if it has, its outcome
        lands in :attr:`unsettled`.
        """
        connection = await self._usable(request)
        now = trio.current_time()
        if connection.sender.full:
            ticket = await self._stand_in_line(connection, request, send_within)
        else:
            ticket = Ticket(request, connection.sender.withdraw)
            # A caller that is cancelled already withdraws it at once: it must not have left.
            cancelled = trio.current_effective_deadline() <= now
            (connection.sender if cancelled else connection).submit(ticket, now + send_within)
        return await ticket.reply()

    @trio.lowlevel.enable_ki_protection
    async def submit(self, request: Request[R], *, send_within: float = math.inf) -> Ticket[R]:
        """Let a request leave, or queue it, and return its ticket, which outlasts your patience.

        Args:
            request: what to ask.
            send_within: seconds it may wait for its turn before it is :class:`NotSent`.

        Returns:
            The ticket; ``await ticket.reply()`` waits for the answer.

        Raises:
            NotSent: there is no connection, or the request needs a login; nothing was queued.
            trio.ClosedResourceError: the client is closed.

        Cancellation: nothing was queued. While 64 requests wait, this waits for room; that is the
        only backpressure towards callers.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        connection = await self._usable(request)
        if connection.sender.full:
            return await self._stand_in_line(connection, request, send_within)
        ticket = Ticket(request, connection.sender.withdraw)
        connection.submit(ticket, trio.current_time() + send_within)
        # Afterwards, not before: requests leave in the order in which they were made.
        await trio.lowlevel.cancel_shielded_checkpoint()
        return ticket

    async def _stand_in_line(
        self, connection: Connection, request: Request[R], send_within: float
    ) -> Ticket[R]:
        """Wait for room in the queue, behind those who wait already."""
        ticket = Ticket(request, connection.sender.withdraw)
        expires = trio.current_time() + send_within
        with trio.move_on_at(expires):
            await connection.sender.stand_in_line(ticket, expires)
            if ticket.state is not TicketState.NOT_SENT:
                return ticket
        if ticket.state is TicketState.QUEUED:
            ticket._not_sent("the queue was full for longer than send_within")
        ticket._result()  # raises NotSent
        return ticket

    @property
    def unsettled(self) -> list[Ticket[Any]]:
        """Tickets of requests that may have changed the account and whose outcome nobody has
        learned, oldest first: unanswered ones, and ones whose caller was cancelled."""
        return self._core.ledger.unsettled()

    # -- listening -----------------------------------------------------------------------------

    @overload
    def subscribe(
        self,
        channel: Channel[T],
        *,
        buffer: int = DEFAULT_BUFFER,
        overflow: Overflow = Overflow.GAP,
    ) -> AbstractAsyncContextManager[Receiver[T]]: ...

    @overload
    def subscribe(
        self, channel: str, *, buffer: int = DEFAULT_BUFFER, overflow: Overflow = Overflow.GAP
    ) -> AbstractAsyncContextManager[Receiver[Any]]: ...

    def subscribe(
        self,
        channel: Channel[T] | str,
        *,
        buffer: int = DEFAULT_BUFFER,
        overflow: Overflow = Overflow.GAP,
    ) -> AbstractAsyncContextManager[Receiver[T]]:
        """Subscribe to a channel for as long as the block lasts.

        Entering waits until the channel is live; during an outage that is until it is over. The
        first receiver of a channel subscribes on the wire, the last one to leave unsubscribes, and
        a reconnect restores what is wanted. Leaving never waits.

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
            LocalProtocolError: the context manager was entered before.
            trio.ClosedResourceError: the client is closed.
            trio.BrokenResourceError: the client failed; the failure is the cause.

        Cancellation: entering releases the wish; leaving needs no ``await`` at all.
        """
        wanted = self._named(channel) if isinstance(channel, str) else channel
        if not isinstance(wanted, Channel):
            raise TypeError(
                f"subscribe() takes a channel of {self._core.venue.name}, not {wanted!r}"
            )
        return Subscription(self._core, self._supervisor, wanted, buffer, overflow)

    def poll(
        self,
        request: Request[R],
        *,
        every: float,
        buffer: int = DEFAULT_BUFFER,
        overflow: Overflow = Overflow.GAP,
    ) -> AbstractAsyncContextManager[Receiver[R]]:
        """Ask a request again and again for as long as the block lasts, and receive the replies.

        It gives venues that push nothing the shape of a subscription. Entering waits for the first
        reply; during an outage that is until it is over. When a poll fails (not sent, unanswered,
        refused for now) the receiver sees ``Gap``, and ``Resumed`` before the next reply. After an
        outage the next question goes out as soon as the client is ready. Leaving never waits.

        At most one question of a poll is under way: where replies take longer than ``every``, they
        set the pace. ``receiver.resubscribe()`` does nothing, since every reply is a fresh one.

        Args:
            request: what to ask; one that changes nothing.
            every: seconds from one question to the next, more than 0. The venue's rate limits
                hold for polls as for any request.
            buffer: replies that may wait to be read, at least 4.
            overflow: what to do when more would wait; ``Overflow.LATEST`` suits state.

        Returns:
            A context manager; entering it gives the receiver. Its ``channel`` is the request.

        Raises:
            LocalProtocolError: the request may change the account.
            ValueError: ``every`` or ``buffer`` is out of bounds.

        Raises (entering, and later from the receiver):
            NotSent: the request can never be sent: it needs a login, or cannot be written.
            Refused: the venue refuses it in a way that will not pass.

        Raises (entering):
            LocalProtocolError: the context manager was entered before.
            trio.ClosedResourceError: the client is closed.
            trio.BrokenResourceError: the client failed; the failure is the cause.

        Cancellation: no further question is asked; an answer that is under way is dropped.
        """
        if not isinstance(request, Request):
            raise TypeError(f"poll() takes a request of {self._core.venue.name}, not {request!r}")
        return Polling(self._core, self._supervisor, self.request, request, every, buffer, overflow)

    def unmatched(
        self, *, buffer: int = DEFAULT_BUFFER
    ) -> AbstractAsyncContextManager[Receiver[Unmatched]]:
        """Receive what fits nothing: answers to no question, messages of unknown kinds.

        Args:
            buffer: items that may wait to be read; beyond it the backlog is dropped, with a gap.

        Returns:
            A context manager; entering it gives the receiver, at once.
        """
        return Tapping(self._supervisor, self._core.unmatched, "unmatched messages", buffer)

    def frames(
        self, *, buffer: int = DEFAULT_BUFFER
    ) -> AbstractAsyncContextManager[Receiver[Frame]]:
        """Receive every frame of the connections to come and of this one, secrets replaced.

        Args:
            buffer: items that may wait to be read; beyond it the backlog is dropped, with a gap.

        Returns:
            A context manager; entering it gives the receiver, at once. Each frame names its
            connection; reconnecting makes no gap in here.
        """
        return Tapping(self._supervisor, self._core.frames, "frames", buffer)

    # -- the connection ------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Requests may be sent now."""
        return self._supervisor.ready

    @property
    def account(self) -> str | None:
        """Who is logged in, in the venue's terms; ``None`` while nobody is."""
        return self._supervisor.account

    async def wait_ready(self) -> None:
        """Wait until requests may be sent; return at once (after a checkpoint) if they may.

        Raises:
            trio.ClosedResourceError: the client is closed.
            trio.BrokenResourceError: the client failed; the failure is the cause.
        """
        await trio.lowlevel.checkpoint()
        while not self.ready:
            self._supervisor.check_open()
            await self._supervisor.changed.park()

    @trio.lowlevel.enable_ki_protection
    async def login(self, credentials: object) -> None:
        """Log an anonymous client in.

        In place where the venue's session allows it, else by a new connection (receivers then see
        a gap). From then on every reconnect logs in with these credentials.

        Args:
            credentials: as for :func:`open_client`.

        Raises:
            AuthenticationDenied: the venue refused; the client stays as it was.
            AuthenticationTimeout: no answer in time; the client stays as it was, by a new
                connection where the old one may still be answered.
            LocalProtocolError: these are not this venue's credentials, or :meth:`disconnect` was
                called meanwhile.
            trio.ClosedResourceError: the client is closed.
            trio.BrokenResourceError: the client failed; the failure is the cause.

        Cancellation: a login that is under way may still succeed.
        """
        await trio.lowlevel.checkpoint()
        self._supervisor.check_open()
        await self._supervisor.login(credentials)

    @trio.lowlevel.enable_ki_protection
    async def disconnect(self) -> None:
        """Close the connection and stay disconnected until :meth:`reconnect`.

        Receivers stay and see a gap; queued requests are :class:`NotSent`; a :meth:`login` or
        :meth:`reconnect` that is under way ends with :class:`LocalProtocolError`.

        Cancellation: the connection closes all the same.
        """
        await trio.lowlevel.checkpoint()
        self._supervisor.check_open()
        await self._supervisor.disconnect()

    @trio.lowlevel.enable_ki_protection
    async def reconnect(self) -> None:
        """Connect anew, at once; wait until the client is ready.

        A connection that is open is closed first; a back-off that is under way is cut short.

        Raises:
            LocalProtocolError: :meth:`disconnect` was called meanwhile.
            trio.ClosedResourceError: the client is closed.
            trio.BrokenResourceError: the client failed; the failure is the cause.

        Cancellation: the client reconnects all the same.
        """
        await trio.lowlevel.checkpoint()
        self._supervisor.check_open()
        await self._supervisor.reconnect()

    def statistics(self) -> ClientStatistics:
        """Return what this client did until now, over all its connections."""
        core, connection = self._core, self._supervisor.connection
        counters = msgspec.structs.replace(core.counters, evidence=core.ledger.proven)
        if connection is not None:
            connection.add_running(counters)
        return ClientStatistics(
            **msgspec.structs.asdict(counters),
            unrouted=core.registry.unrouted,
            queued=0 if connection is None else connection.sender.queued,
            in_flight=0 if connection is None else connection.sender.correlator.in_flight,
            unsettled=len(core.ledger),
            channels=len(core.registry.entries),
            receivers=sum(len(entry.members) for entry in core.registry.entries.values()),
        )

    # -- inside: requests and subscriptions ----------------------------------------------------

    async def _usable(self, request: Request[Any]) -> Connection:
        """Return the connection a request can go out on, at once; or say why there is none."""
        try:
            return self._connection_for(request)
        except (NotSent, trio.ClosedResourceError, trio.BrokenResourceError):
            await trio.lowlevel.checkpoint()  # who asks again at once must not hold all others up
            raise

    def _connection_for(self, request: Request[Any]) -> Connection:
        if not isinstance(request, Request):
            raise TypeError(
                f"{self._core.venue.name} takes requests of its own classes, not {request!r}"
            )
        self._supervisor.check_open()
        name = type(request).__name__
        connection = self._supervisor.connection
        if connection is None or not connection.ready:
            raise NotSent(
                f"{name} was not sent: there is no connection to {self._core.venue.name} now; "
                "wait_ready() tells when there is one"
            )
        if request.private and connection.account is None:
            raise NotSent(f"{name} was not sent: {NEEDS_LOGIN}")
        return connection

    def _named(self, name: str) -> Channel[Any]:
        channel = self._core.venue.channel_named(name)
        if channel is None:
            raise ValueError(
                f"{self._core.venue.name} has no channel named {name!r}; use its channel classes"
            )
        return channel
