"""A ticket: the life of one outgoing request, which outlasts its caller's patience.

:data:`TRANSITIONS` is the whole table; the manual's picture is drawn from it. ``SENT`` is set
before the first byte can leave, so it is wrong only on the safe side, and giving up is decided at
the instant of cancellation: an ``except Cancelled`` would be too late, the send loop runs first.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio
from outcome import Value

from .._vocabulary.errors import (
    LocalProtocolError,
    NotSent,
    OutcomeUnknown,
    RefusalKind,
    Refused,
    ReplyLost,
)
from ..protocol import Effect, Request

R = TypeVar("R")


class TicketState(enum.Enum):
    """How far a request has come."""

    # Members are unique; enum's own runs in Python, 12 times an order. (Hidden, because pyright
    # calls it an ambiguous override.)
    if not TYPE_CHECKING:
        __hash__ = object.__hash__

    QUEUED = "queued"
    """Nothing of it has left."""
    SENT = "sent"
    """It may have left; the answer is awaited."""
    ANSWERED = "answered"
    """The venue answered: a reply, a refusal, or evidence."""
    WITHDRAWN = "withdrawn"
    """The caller gave up while it was queued; it never leaves."""
    NOT_SENT = "not sent"
    """It was never sent, and never will be."""
    UNKNOWN = "unknown"
    """It was sent and not answered: nobody knows."""


class TicketEvent(enum.Enum):
    """What moves a ticket from one state to the next."""

    if not TYPE_CHECKING:
        __hash__ = object.__hash__

    LEAVING = "the send loop takes it"
    ANSWER = "reply, refusal or evidence"
    GIVEN_UP = "caller gives up"
    NO_WAY = "connection ends, limit, or closing"
    SILENCE = "connection ends, or reply timeout"


TRANSITIONS: dict[tuple[TicketState, TicketEvent], TicketState] = {
    (TicketState.QUEUED, TicketEvent.LEAVING): TicketState.SENT,
    (TicketState.QUEUED, TicketEvent.GIVEN_UP): TicketState.WITHDRAWN,
    (TicketState.QUEUED, TicketEvent.NO_WAY): TicketState.NOT_SENT,
    (TicketState.SENT, TicketEvent.NO_WAY): TicketState.NOT_SENT,
    (TicketState.SENT, TicketEvent.ANSWER): TicketState.ANSWERED,
    (TicketState.SENT, TicketEvent.SILENCE): TicketState.UNKNOWN,
    (TicketState.UNKNOWN, TicketEvent.ANSWER): TicketState.ANSWERED,
}
"""``SENT`` to ``NOT_SENT`` happens only where making the frame failed: no byte existed yet."""

_OVER = (TicketState.ANSWERED, TicketState.WITHDRAWN, TicketState.NOT_SENT, TicketState.UNKNOWN)


class Ticket(Generic[R]):
    """The life of one outgoing request; made by :meth:`trioflex.Client.submit`.

    It stays truthful whatever happens to the task that made it: an answer that comes after its
    caller was cancelled, after the reply timeout, or by way of a push, lands here.
    """

    def __init__(self, request: Request[R], withdraw: Callable[[Ticket[Any]], None]) -> None:
        self._request = request
        self._state = TicketState.QUEUED
        self._withdraw = withdraw
        self._waiting: dict[trio.lowlevel.Task, None] = {}
        self._value: Any = None
        self._refusal: tuple[str, str, RefusalKind] | None = None
        self._why = ""
        self._cause: BaseException | None = None
        self._evidence: tuple[Any] | None = None
        self._on_abandoned: Callable[[Ticket[Any]], None] | None = None
        self._on_learned: Callable[[Ticket[Any]], None] | None = None
        self.handle = -1
        self.key = -1

    def __repr__(self) -> str:
        return f"<Ticket {self._state.value}: {self._request!r}>"

    @property
    def request(self) -> Request[R]:
        """The request this ticket was made for."""
        return self._request

    @property
    def state(self) -> TicketState:
        """How far it has come, now."""
        return self._state

    @property
    def final(self) -> bool:
        """Nothing more is awaited (an unknown outcome may still be settled)."""
        return self._state in _OVER

    @trio.lowlevel.enable_ki_protection
    async def reply(self) -> R:
        """Wait for the answer.

        Returns:
            The venue's reply.

        Raises:
            NotSent: it certainly did not happen.
            Refused: the venue said no.
            ReplyLost: no answer, and the request changes nothing: ask again.
            OutcomeUnknown: no answer, and the request may have changed the account.

        Cancellation: if the request is still queued and nobody else waits for it, it is withdrawn
        at that instant and never leaves. If it was sent it stays sent, and a late answer lands in
        this ticket.
        """
        if self._state in _OVER:
            await trio.lowlevel.checkpoint()
        else:
            task = trio.lowlevel.current_task()
            self._waiting[task] = None

            def give_up(_: object) -> trio.lowlevel.Abort:
                del self._waiting[task]
                if not self._waiting:
                    if self._state is TicketState.QUEUED:
                        self._withdraw(self)
                    elif self._on_abandoned is not None:
                        self._on_abandoned(self)
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(give_up)
        return self._result()

    @trio.lowlevel.enable_ki_protection
    def withdraw(self) -> bool:
        """Take the request back if it has not left; return whether that was possible.

        After ``True`` it provably never leaves, and :meth:`reply` raises :class:`NotSent`.
        """
        if self._state is TicketState.QUEUED:
            self._withdraw(self)
        return self._state is TicketState.WITHDRAWN

    @trio.lowlevel.enable_ki_protection
    def settle(self, value: R) -> None:
        """Say what you have found out about an unknown outcome: it did happen, with this reply.

        Args:
            value: the reply as it would have been.

        Raises:
            LocalProtocolError: the ticket's outcome is not unknown.
        """
        if self._state is not TicketState.UNKNOWN:
            raise LocalProtocolError(
                f"only an unknown outcome can be settled; this ticket is {self._state.value}"
            )
        self._answer(value)
        self._learned()

    # -- the connection's side -----------------------------------------------------------------

    def _move(self, event: TicketEvent) -> bool:
        after = TRANSITIONS.get((self._state, event))
        if after is None:
            return False
        self._state = after
        if after in _OVER:
            waiting, self._waiting = self._waiting, {}
            for task in waiting:
                trio.lowlevel.reschedule(task, Value(None))
        return True

    def _leave(self) -> None:
        self._move(TicketEvent.LEAVING)

    def _answer(self, value: Any) -> bool:
        if not self._expects_answer():
            return False
        self._value = value
        self._refusal = None
        return self._move(TicketEvent.ANSWER)

    def _refuse(self, code: str, message: str, kind: RefusalKind) -> bool:
        if not self._expects_answer():
            return False
        self._refusal = (code, message, kind)
        return self._move(TicketEvent.ANSWER)

    def _expects_answer(self) -> bool:
        return (self._state, TicketEvent.ANSWER) in TRANSITIONS

    def _prove(self, value: Any) -> bool:
        """Take evidence; return whether it settled the ticket now.

        While the answer is still awaited the evidence is only kept: the answer says more.
        """
        if self._state is TicketState.SENT:
            self._evidence = (value,)
            return False
        return self._answer(value)

    def _give_up(self) -> None:
        self._why = "it was withdrawn before it was sent"
        self._move(TicketEvent.GIVEN_UP)

    def _not_sent(self, why: str, cause: BaseException | None = None) -> None:
        self._why = why.rstrip(".")
        self._cause = cause
        self._move(TicketEvent.NO_WAY)

    def _silence(self, why: str, cause: BaseException | None = None) -> None:
        """No answer will come on this connection: evidence decides, or the outcome is unknown."""
        if self._evidence is not None:
            self._answer(self._evidence[0])
            return
        self._why = why.rstrip(".")
        self._cause = cause
        self._move(TicketEvent.SILENCE)

    def _learned(self) -> None:
        if self._on_learned is not None:
            self._on_learned(self)

    def _result(self) -> R:
        name = type(self._request).__name__
        if self._state is TicketState.ANSWERED:
            self._learned()
            if self._refusal is None:
                value: R = self._value
                return value
            code, text, kind = self._refusal
            raise Refused(
                f"{name} was refused: {text} (code {code}, {kind.value})",
                code=code,
                text=text,
                kind=kind,
                ticket=self,
            )
        if self._state is not TicketState.UNKNOWN:
            raise NotSent(
                f"{name} was not sent: {self._why}",
                ticket=self,
                permanent=isinstance(self._cause, LocalProtocolError),
            ) from self._cause
        if self._request.effect is Effect.READ:
            raise ReplyLost(f"{name} went unanswered: {self._why}", ticket=self) from self._cause
        raise OutcomeUnknown(
            f"{name} was sent and not answered: {self._why}. It may or may not have happened; "
            "find out before sending it again",
            ticket=self,
        ) from self._cause
