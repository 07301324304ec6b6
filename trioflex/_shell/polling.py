"""A request asked again and again, with the shape of a subscription: for venues that push nothing.

Theory of operation
-------------------

Each poll is a task in the client's nursery. Like the client's other background tasks it never
raises: what cannot pass ends its receiver, and a bug ends the client. It ends when its scope is
left, when its receiver is told an error, and when the client is over.

At most one question of a poll is under way. The next one is due ``every`` seconds after the last
one was; one that took longer than that is followed at once, and none is made up for.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar

import trio

from .._vocabulary.errors import (
    InternalError,
    LocalProtocolError,
    NotSent,
    RefusalKind,
    Refused,
    ReplyLost,
    TrioflexError,
)
from .._vocabulary.events import Gap, GapReason, Resumed
from .._vocabulary.settings import Overflow
from ..protocol import Effect, Request
from .core import NEEDS_LOGIN, Core
from .receiver import Receiver
from .supervisor import Supervisor

R = TypeVar("R")

_PASSING = frozenset({RefusalKind.RATE_LIMITED, RefusalKind.OTHER})
"""Refusals that may be gone the next time; ``OTHER`` holds the venues' own troubles."""


class Polling(AbstractAsyncContextManager[Receiver[R]], Generic[R]):
    """The scope of one poll. Leaving is synchronous in all but its name.

    Args:
        core: the client's.
        supervisor: the client's.
        ask: how a request is asked; :meth:`trioflex.Client.request`.
        request: what to ask; it changes nothing.
        every: seconds from one question to the next.
        buffer: items that may wait to be read.
        overflow: what to do when more would.

    Raises:
        LocalProtocolError: the request may change the account.
        ValueError: ``every`` is no positive, finite number, or the buffer is too small.
    """

    def __init__(
        self,
        core: Core,
        supervisor: Supervisor,
        ask: Callable[[Request[R]], Awaitable[R]],
        request: Request[R],
        every: float,
        buffer: int,
        overflow: Overflow,
    ) -> None:
        name = type(request).__name__
        if not 0 < every < math.inf:
            raise ValueError(f"every={every!r} is no number of seconds to poll {name} by")
        if request.effect is not Effect.READ:
            raise LocalProtocolError(
                f"{core.venue.name}: {name} may change the account, so it must not be repeated by "
                "itself; poll() takes requests that only read"
            )
        self._core = core
        self._supervisor = supervisor
        self._ask = ask
        self._request = request
        self._every = every
        self._scope = trio.CancelScope()
        self._receiver: Receiver[R] = Receiver(request, buffer=buffer, overflow=overflow)
        self._live = False
        self._gap_began: float | None = None

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> Receiver[R]:
        supervisor = self._supervisor
        await trio.lowlevel.checkpoint_if_cancelled()
        supervisor.check_open()
        name = type(self._request).__name__
        if self._request.private and supervisor.anonymous:
            raise NotSent(f"{name} was not sent: {NEEDS_LOGIN}")
        self._receiver._enter()
        supervisor.start_poll(self, name=f"trioflex poll of {name}")
        try:
            await self._receiver._wait_started()
        except BaseException:
            self._leave()
            raise
        return self._receiver

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._receiver._close()
        self._supervisor.polls.discard(self)
        self._scope.cancel()

    # -- the supervisor's side -----------------------------------------------------------------

    def end(self, broken: TrioflexError | None) -> None:
        """The client is over: end the receiver, after what is buffered, and the task."""
        self._receiver.end(broken)
        self._scope.cancel()

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Ask until somebody ends it. Raises nothing but cancellation from outside."""
        try:
            with self._scope:
                await self._poll()
        except Exception as exc:  # the boundary: whatever is raised in here is a bug
            error = InternalError(f"{self._core.venue.name}: a bug in trioflex's poll(): {exc!r}")
            error.__cause__ = exc
            self._supervisor.fail(error)
        finally:
            self._supervisor.polls.discard(self)

    # -- inside --------------------------------------------------------------------------------

    async def _poll(self) -> None:
        due = trio.current_time()
        while True:
            await trio.sleep_until(due)
            if self._receiver._finished:
                return
            went_out = self._core.counters.attempts
            try:
                value = await self._ask(self._request)
            except (NotSent, ReplyLost, Refused) as exc:
                self._failed(exc, went_out)
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                return  # the client is over, and has told the receiver
            else:
                self._came(value)
            now = trio.current_time()
            due = max(due + self._every, now)
            if self._gap_began is not None and not self._supervisor.ready:
                # Nothing can be asked before there is a connection; then it is high time.
                while not self._supervisor.ready:
                    await self._supervisor.changed.park()
                due = trio.current_time()

    def _came(self, value: Any) -> None:
        receiver = self._receiver
        receiver.comes_from(self._core.counters.attempts)
        if not self._live:
            self._live = True
            self._gap_began = None
            receiver.start((value,))
        elif self._gap_began is None:
            receiver.put([value], None)
        else:
            downtime = trio.current_time() - self._gap_began
            self._gap_began = None
            receiver.resume(Resumed(snapshot=True, downtime=downtime), (value,))

    def _failed(self, exc: NotSent | ReplyLost | Refused, went_out: int) -> None:
        """Tell the gap, or that it will never get better.

        Args:
            exc: why there is no reply.
            went_out: number of the connection when the question was asked.
        """
        if isinstance(exc, Refused) and exc.kind not in _PASSING:
            text, code, words, kind = str(exc), exc.code, exc.message, exc.kind
            self._receiver.fail(
                lambda: Refused(text, code=code, text=words, kind=kind, ticket=exc.ticket)
            )
            return
        if isinstance(exc, NotSent) and exc.permanent:
            words = str(exc)
            self._receiver.fail(lambda: NotSent(words, ticket=exc.ticket, permanent=True))
            return
        if self._gap_began is not None:
            return
        self._gap_began = trio.current_time()
        if not self._live:
            return
        lost = not self._supervisor.ready or self._core.counters.attempts != went_out
        reason = GapReason.DISCONNECTED if lost else GapReason.UNANSWERED
        self._receiver.gap(Gap(reason, connection=went_out))
