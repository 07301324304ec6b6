"""The supervisor: one connection at a time, back-off between them, and the client's one failure.

Background tasks do not raise; they record and cancel. So the client's nursery holds at most one
real exception, the user's, and :func:`trioflex.open_client` can promise a single one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Protocol

import trio

from .._sansio.backoff import Backoff, GiveUp
from .._sansio.classify import classify
from .._vocabulary.errors import (
    ConnectFailed,
    InternalError,
    LocalProtocolError,
    TrioflexError,
)
from ..protocol import Loss, Retry
from .connection import Connection
from .core import Core
from .failures import denied, login_refusal, lost, never_ready, unanswered
from .login import Login, Logins
from .ticket import TicketState
from .transport import Connector, Target

logger = logging.getLogger("trioflex")


class Poll(Protocol):
    """A task beside the supervisor, for as long as the client lasts; it never raises."""

    def run(self) -> Awaitable[None]:
        """Do the work; return when it is over."""

    def end(self, broken: TrioflexError | None) -> None:
        """The client is over; ``broken`` says if it failed. Synchronous."""


class Supervisor:
    """Owns the connection of a client, and what the client is: open, closing or failed."""

    def __init__(
        self,
        core: Core,
        connector: Connector,
        target: Target,
        credentials: object,
        nursery: trio.Nursery,
    ) -> None:
        self.core = core
        self.credentials: object = credentials
        self.connection: Connection | None = None
        self.account: str | None = None
        self.opened: trio.Event = trio.Event()
        """The client was ready once, or has failed."""
        self.failure: TrioflexError | None = None
        self.closing: bool = False
        self.changed: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()
        """Tasks that wait for something to change; they look for themselves what it was."""
        self._connector = connector
        self._target = target
        self.polls: set[Poll] = set()
        """Polls that run in the client's nursery."""
        self._nursery = nursery
        self._scope = trio.CancelScope(shield=True)
        self._up = True
        self._nap: trio.CancelScope | None = None
        self._logins = Logins()
        self._was_ready = False
        self._attempt_began = 0.0
        self._backoff = Backoff(core.reconnect, core.random)
        core.on_ready = self._on_ready
        core.on_account = self._on_account
        core.on_denied = self._on_denied

    @property
    def ready(self) -> bool:
        """Requests may be sent now."""
        return self.connection is not None and self.connection.ready and not self.closing

    @property
    def anonymous(self) -> bool:
        """Nobody is logged in, and no credentials are at hand for the next connection."""
        return self.credentials is None and self.account is None

    def check_open(self) -> None:
        """Raise if the client is closed or has failed."""
        name = self.core.venue.name
        if self.failure is not None:
            raise trio.BrokenResourceError(f"the client of {name} failed") from self.failure
        if self.closing:
            raise trio.ClosedResourceError(f"the client of {name} is closed")

    # -- the task ------------------------------------------------------------------------------

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Keep one connection at a time; return when the client is over. Never raises.

        Cancellation: waits until :meth:`expose`, so that a block that is cancelled can still
        cancel its orders, under a shield of its own. For its sake Ctrl-C does not strike in here,
        nor in any other task of the client's: it comes out of the program's main task.
        """
        with self._scope:
            await self._keep_connected()

    async def _keep_connected(self) -> None:
        try:
            while not (self.closing or self.failure is not None):
                if not self._up:
                    await self.changed.park()
                    continue
                loss = await self._attempt()
                delay = 0.0 if loss is None or self.closing else self._decide(loss)
                if delay > 0:
                    with trio.CancelScope(deadline=trio.current_time() + delay) as self._nap:
                        await trio.sleep_forever()
                    self._nap = None
        except LocalProtocolError as exc:  # the caller's mistake: credentials of another venue
            self.fail(exc)
        except Exception as exc:  # the boundary: whatever is raised in here is a bug
            error = InternalError(
                f"{self.core.venue.name}: a bug in trioflex or in the connector: {exc!r}"
            )
            error.__cause__ = exc
            self.fail(error)

    async def _attempt(self) -> Loss | None:
        """Live through one connection; return why it ended, ``None`` if it was ours to end."""
        core = self.core
        core.counters.attempts += 1
        number = core.counters.attempts
        self._attempt_began = trio.current_time()
        core.observers.tell(lambda o: o.connecting(number, core.url))
        logger.info("%s #%d: connecting to %s", core.venue.name, number, core.url)
        login = self._logins.wanted
        credentials = self.credentials if login is None else login.credentials
        try:
            session = core.venue.session(credentials, core.env)
        except LocalProtocolError as exc:
            if login is None:
                raise
            why = str(exc)
            self._logins.refuse(login, lambda: LocalProtocolError(why))
            return None
        self._logins.candidate = login
        connection = Connection(core, number, session, login=credentials is not None)
        self.connection = connection
        try:
            with connection.scope:
                async with self._connector(self._target) as transport:
                    seconds = trio.current_time() - self._attempt_began
                    core.observers.tell(lambda o: o.connected(number, seconds))
                    await connection.run(transport)
        except ConnectFailed as exc:
            connection.end(
                Loss(
                    message=str(exc), http_status=exc.status, retry_after=exc.retry_after, error=exc
                )
            )
        finally:
            connection.end(Loss(message="the connection was dropped"))
            self.connection = None
            self.account = None
            self._logins.candidate = None
            self.changed.unpark_all()
        loss = connection.over
        assert loss is not None  # end() has been called
        core.observers.tell(lambda o: o.disconnected(number, loss.message, loss.close_code))
        logger.info("%s #%d: over: %s", core.venue.name, number, loss.message)
        refusal = None if login is None else login_refusal(core.venue.name, loss)
        if login is not None and refusal is not None:
            # The candidate was refused, not the credentials the client was opened with.
            self._logins.refuse(login, refusal)
            return None
        return None if connection.renewed else loss

    def _decide(self, loss: Loss) -> float:
        """Return the seconds until the next attempt; 0 also where the client has failed."""
        core = self.core
        retry = classify(core.venue, loss)
        if not self._was_ready and (not core.reconnect.first or retry is Retry.NEVER):
            self.fail(never_ready(core.venue.name, loss))
            return 0.0
        verdict = self._backoff.failed(trio.current_time(), retry, loss.retry_after)
        if isinstance(verdict, GiveUp):
            self.fail(
                lost(core.venue.name, loss, verdict.why, retry, attempts=self._backoff.attempts)
            )
            return 0.0
        delay = verdict.seconds
        core.observers.tell(lambda o: o.retrying(self._backoff.attempts, delay))
        logger.info("%s: next attempt in %.1f s", core.venue.name, delay)
        return delay

    def start_poll(self, poll: Poll, *, name: str) -> None:
        """Run a poll in the client's nursery until it ends, or the client does."""
        self.polls.add(poll)
        self._nursery.start_soon(poll.run, name=name)

    # -- on demand -----------------------------------------------------------------------------

    async def login(self, credentials: object) -> None:
        """Log an anonymous client in, in place if the session can, else by a new connection."""
        logins = self._logins
        await logins.turn()
        self.check_open()
        name, limit = self.core.venue.name, self.core.limits.handshake
        login = logins.wanted = Login(credentials)
        connection = self.connection
        try:
            events = None
            # A login whose caller gave up may still be answered on this connection, and its answer
            # would be taken for this one's.
            if connection is not None and connection.ready and logins.candidate is None:
                events = connection.session.login(credentials)
            if connection is None or events is None:
                self._up = True
                self.renew("logging in by a new connection")
                await login.done.wait()
            else:
                logins.candidate = login
                with trio.move_on_after(limit) as scope:
                    connection.start_login(events)
                    await login.done.wait()
                if scope.cancelled_caught:
                    login.finish(lambda: unanswered(name, limit))
                    if logins.candidate is login:
                        # It may still be answered, and must not log in a client that was told no.
                        logins.candidate = None
                        self.renew("a login was not answered")
        finally:
            logins.forget(login)
        if login.error is not None:
            raise login.error()
        self.check_open()

    async def disconnect(self) -> None:
        """Close the connection and stay away until :meth:`reconnect`."""
        self._up = False
        self._logins.drop(self.core.venue.name)
        before = self.renew("disconnected on demand")
        while before is not None and self.connection is before:
            await self.changed.park()

    async def reconnect(self) -> None:
        """Connect anew, at once, and wait until the client is ready."""
        self._up = True
        before = self.renew("reconnecting on demand")
        while not self.ready or self.connection is before:
            self.check_open()
            if not self._up:
                raise LocalProtocolError(
                    f"{self.core.venue.name}: disconnect() was called while reconnect() waited"
                )
            await self.changed.park()

    def renew(self, why: str) -> Connection | None:
        """Let the connection end politely, and a new one begin at once; return the old one."""
        connection = self.connection
        if connection is not None:
            connection.renewed = True
            connection.close(Loss(message=why), self.core.limits.close)
        if self._nap is not None:
            self._nap.cancel()
        self.changed.unpark_all()
        return connection

    # -- the end -------------------------------------------------------------------------------

    def expose(self) -> None:
        """The block is over: let a cancellation from outside reach the connection, too."""
        self._scope.shield = False

    @trio.lowlevel.enable_ki_protection
    def begin_closing(self, *, now: bool) -> None:
        """Close: no new requests, receivers end, the connection says goodbye. Synchronous.

        Args:
            now: the block was cancelled: drop the connection instead.
        """
        self.closing = True
        loss = Loss(message="the client was closed")
        if self.connection is not None:
            if now:
                self.connection.drop(loss)
            else:
                self.connection.close(loss, self.core.limits.close)
        if self._nap is not None:
            self._nap.cancel()
        self._end_receivers(None)

    def fail(self, error: TrioflexError) -> None:
        """Fail for good: tell everybody, and cancel the user's block."""
        name = self.core.venue.name
        if self.failure is not None:
            return
        if self.closing and not isinstance(error, InternalError):
            logger.info("%s: while closing: %s", name, error)
            return
        self.failure = error
        logger.info("%s: failed: %s", name, error)  # it is raised: to warn would tell it twice
        self.core.observers.tell(lambda o: o.failed(error))
        self._end_receivers(error)
        self.opened.set()
        self._nursery.cancel_scope.cancel()

    def warn_unsettled(self) -> None:
        """Name the requests whose outcome is unknown at the end, in one warning."""
        unknown = [t for t in self.core.ledger.unsettled() if t.state is TicketState.UNKNOWN]
        if unknown:
            logger.warning(
                "%s: closed with %d %s whose outcome nobody knows: %s",
                self.core.venue.name,
                len(unknown),
                "request" if len(unknown) == 1 else "requests",
                ", ".join(repr(ticket) for ticket in unknown[:10]),
            )

    def _end_receivers(self, broken: TrioflexError | None) -> None:
        for receiver in self.core.registry.end():
            receiver.end(broken)
        for poll in tuple(self.polls):
            poll.end(broken)
        self.core.unmatched.end(broken)
        self.core.frames.end(broken)
        self._logins.end()
        self.changed.unpark_all()

    # -- what connections tell -----------------------------------------------------------------

    def _on_ready(self) -> None:
        connection = self.connection
        assert connection is not None  # it is the one that tells
        now = trio.current_time()
        self._was_ready = True
        self._backoff.ready(now)
        self.core.counters.connections += 1
        self._on_account(connection.account)
        self.core.observers.tell(
            lambda o: o.ready(connection.number, connection.account, now - self._attempt_began)
        )
        logger.info("%s #%d: ready", self.core.venue.name, connection.number)
        self.opened.set()
        self.changed.unpark_all()

    def _on_account(self, account: str | None) -> None:
        if not self.ready:  # it is on its way out
            return
        self.account = account
        login = self._logins.candidate
        if login is not None and account is not None:
            self.credentials = login.credentials
            self._logins.candidate = None
            login.finish()

    def _on_denied(self, loss: Loss) -> None:
        login, self._logins.candidate = self._logins.candidate, None
        if login is not None:
            login.finish(lambda: denied(self.core.venue.name, loss))
