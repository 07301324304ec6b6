"""A login asked for while the client runs: who waits for it, and which connection tries it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from .._vocabulary.errors import LocalProtocolError, TrioflexError


@attrs.define(eq=False)
class Login:
    """One login, for the task that waits for it."""

    credentials: object = attrs.field(repr=False)
    done: trio.Event = attrs.field(factory=trio.Event)
    error: Callable[[], TrioflexError] | None = None

    def finish(self, error: Callable[[], TrioflexError] | None = None) -> None:
        """Tell the task that asked; the first word counts."""
        if not self.done.is_set():
            self.error = error
            self.done.set()


@attrs.define(eq=False)
class Logins:
    """One login at a time, and the one under way; they differ when whoever asked has given up."""

    wanted: Login | None = None
    """The login that somebody waits for."""
    candidate: Login | None = None
    """The login that this connection tries, whether anybody waits for it or not."""

    async def turn(self) -> None:
        """Wait until nobody waits for a login."""
        while self.wanted is not None:
            await self.wanted.done.wait()

    def refuse(self, login: Login, error: Callable[[], TrioflexError]) -> None:
        """A connection was made for this login, in vain."""
        login.finish(error)
        if self.wanted is login:
            self.wanted = None

    def drop(self, venue: str) -> None:
        """There will be no connection to try a login on, unless somebody asks for one."""
        login, self.candidate = self.wanted, None
        if login is not None:
            why = f"{venue}: disconnect() was called while the login was under way"
            self.refuse(login, lambda: LocalProtocolError(why))

    def forget(self, login: Login) -> None:
        """Nobody waits for this login any more; the connection may still try it."""
        login.finish()
        if self.wanted is login:
            self.wanted = None

    def end(self) -> None:
        """The client is over; who waits looks for itself why."""
        if self.wanted is not None:
            self.wanted.finish()
