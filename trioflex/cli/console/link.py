"""The console's client: opened and closed on demand, replaced when it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
import trio

import trioflex
from trioflex import LocalProtocolError

from ..exits import sentence_of
from ..reaching import Way, reach
from .outputs import News


class Link:
    """Holds one client at a time.

    Args:
        way: to the venue; its credentials are those of the next client.
        nursery: in which the client lives.
        tell: is given what the connection does, and ``None`` where only its state changed.
        connector: instead of the network.
    """

    def __init__(
        self,
        way: Way,
        nursery: trio.Nursery,
        tell: Callable[[News | None], object],
        connector: trioflex.Connector | None = None,
    ) -> None:
        self.way: Way = way
        self.client: trioflex.Client | None = None
        self.wanted: bool = False
        """The end of a connection that comes now was asked for."""
        self.away: bool = False
        """It was asked to stay away: no attempts are made until somebody wants a connection."""
        self.reason: str = ""
        """Why the newest connection, or attempt, ended."""
        self.connection: int = 0
        """Number of the connection that is ready, or was."""
        self._nursery = nursery
        self._tell = tell
        self._connector = connector
        self._release = trio.Event()
        self._released = trio.Event()
        self._attempt: trio.CancelScope | None = None

    @property
    def ready(self) -> bool:
        """Requests may be sent."""
        return self.client is not None and self.client.ready

    @property
    def account(self) -> str | None:
        """Who is logged in."""
        return None if self.client is None else self.client.account

    async def open(self) -> None:
        """Open a client, where there is none.

        Raises:
            TrioflexError: it never became ready.

        Cancellation: nothing is left of it.
        """
        if self.client is None:
            await self._nursery.start(self._hold, name="client")

    async def close(self) -> None:
        """Close the client politely, if there is one.

        Cancellation: the connection is dropped.
        """
        if self.client is not None:
            self.wanted = True
            self._release.set()
            await self._released.wait()

    async def take(self, credentials: object) -> None:
        """Log in, now or with the first connection.

        Raises:
            LocalProtocolError: there is no connection, and the attempt to make one failed.
            TrioflexError: it did not work; everything is as before.
        """
        if self.client is not None:
            self.away = False
            with self._asked_for(), self._one_attempt() as attempt:
                await self.client.login(credentials)
            if attempt.cancelled_caught:
                raise LocalProtocolError(
                    "Not logged in: there is no connection now. It goes on trying; `login` again "
                    "when there is one."
                )
            self.way = attrs.evolve(self.way, credentials=credentials)
            return
        before = self.way
        self.way = attrs.evolve(self.way, credentials=credentials)
        try:
            await self.open()
        except BaseException:
            self.way = before
            raise

    async def disconnect(self) -> None:
        """Close the connection; subscriptions stay, and see a gap."""
        if self.client is not None:
            self.away = True
            with self._asked_for():
                await self.client.disconnect()

    async def reconnect(self) -> None:
        """Let the client connect anew, and wait for the end of one attempt."""
        if self.client is not None:
            self.away = False
            with self._asked_for(), self._one_attempt():
                await self.client.reconnect()

    def tried(self) -> None:
        """Let nobody wait any longer for an attempt that failed; others follow by themselves."""
        if self._attempt is not None:
            self._attempt.cancel()

    @contextmanager
    def _one_attempt(self) -> Iterator[trio.CancelScope]:
        """Wait no longer than for one attempt, whatever makes it fail."""
        venue = self.way.venue
        with trio.move_on_after(venue.connect_timeout + venue.handshake_timeout) as self._attempt:
            attempt = self._attempt
            try:
                yield attempt
            finally:
                self._attempt = None

    def _asked_for(self) -> _AskedFor:
        return _AskedFor(self)

    async def _hold(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        opened = False
        self._release, self._released = trio.Event(), trio.Event()
        self.wanted = self.away = False
        try:
            async with reach(
                self.way, observer=Life(self, self._tell), connector=self._connector
            ) as client:
                self.client, opened = client, True
                task_status.started()
                await self._release.wait()
        except trioflex.TrioflexError as error:
            if not opened:
                raise
            why = sentence_of(error).rstrip(".")
            self._tell(News("FAILED", f"{why}. `connect` begins anew."))
        finally:
            self.client = None
            self._released.set()
            self._tell(None)


class _AskedFor:
    """While it is entered, connections end because somebody wanted it."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __enter__(self) -> None:
        self._link.wanted = True

    def __exit__(self, *exception: object) -> None:
        self._link.wanted = False


class Life(trioflex.Observer):
    """Tells what the connection does."""

    def __init__(self, link: Link, tell: Callable[[News | None], object]) -> None:
        self._link = link
        self._tell = tell
        self._ready = 0
        self._untold: News | None = None

    def ready(self, connection: int, account: str | None, seconds: float) -> None:
        """Tell it."""
        self._untold = None
        self._link.connection = self._ready = connection
        who = "nobody is logged in" if account is None else f"logged in as {account}"
        self._tell(News("connected", f"connection {connection} after {seconds:.2f} s; {who}"))

    def disconnected(self, connection: int, reason: str, code: int | None) -> None:
        """Tell it; an end that was asked for is no loss.

        Of an attempt that failed whoever asked for it may be told otherwise, as of a login that
        was refused: only if others follow it is known that this is not so.
        """
        self._link.reason, self._untold = reason, None
        if connection == self._ready:
            word = "closed" if self._link.wanted else "LOST"
            self._tell(News(word, f"connection {connection}: {reason}"))
        elif self._link.client is not None:
            vain = News("in vain", f"connection {connection}: {reason}")
            if self._link.wanted:
                self._untold = vain
            else:
                self._tell(vain)

    def retrying(self, attempts: int, delay: float) -> None:
        """Tell it, and why, if that was not told yet."""
        if self._untold is not None:
            self._tell(self._untold)
        self._untold = None
        self._tell(News("retrying", f"in {delay:.1f} s"))
        self._link.tried()

    def malformed(self, connection: int, excerpt: str, error: BaseException) -> None:
        """Tell it without the frame, which may be long."""
        self._tell(News("GARBAGE", " ".join(str(error).split())))
