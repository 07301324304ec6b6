"""The way out of one connection: the queue, the turn, the frame, and the answers that are due.

Synchronous throughout, but for standing in line. The send loop asks for the next turn and writes
it; signatures and time stamps are made in that moment, because requests may have waited for their
rate limit, because nonces must rise in wire order, and because a withdrawn request must cost none.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec
import trio

from .._sansio.correlator import Correlator
from .._sansio.keepalive import Sleep
from .._sansio.outbox import Lane, Outbox
from .._sansio.registry import Ask, Bootstrap, Effect, Withdraw
from .._vocabulary.errors import LOCAL, LocalProtocolError
from ..protocol import BundlingSession, Confirm, Effect as RequestEffect, Request, Session
from .core import Core
from .ticket import Ticket, TicketState

QUEUE = 64
"""Requests that may wait to be sent; beyond it callers wait. A few round trips' worth: an order
that is older when it leaves was meant for another market."""

TURN = 64
"""Frames written at once: enough to fill a segment, few enough to notice a pong in between."""

Owner: TypeAlias = Ticket[Any] | Ask | Bootstrap
"""Whose request it is: a caller's, or the registry's."""


class Outgoing(msgspec.Struct, frozen=True, eq=False):
    """A request on its way, and whose it is."""

    owner: Owner
    request: Request[Any]


def _kind(request: Request[Any]) -> str:
    return request.kind or type(request).__name__


def _answered(owner: Owner) -> bool:
    """Whether the venue answers this request."""
    return not isinstance(owner, Ask) or owner.entry.channel.confirm is Confirm.REPLY


class Sender:
    """Everything of a connection that points outwards."""

    def __init__(
        self,
        core: Core,
        session: Session,
        number: int,
        *,
        wake: Callable[[], None],
        hurry: Callable[[float], None],
    ) -> None:
        self.correlator: Correlator[Owner] = Correlator(core.venue.correlation)
        self.closed: bool = False
        """Nothing more is taken in."""
        self.replayed: trio.Event = trio.Event()
        """Every subscription that was wanted when the session became ready has left."""
        self._core = core
        self._session = session
        self._number = number
        self._wake = wake
        self._hurry = hurry
        self._outbox: Outbox[Outgoing] = Outbox(core.rates)
        self._line: OrderedDict[Ticket[Any], tuple[trio.lowlevel.Task, float]] = OrderedDict()
        self._replaying = 0
        # In order of time. Deques from the first entry on: an empty one takes 760 bytes.
        self._reply_due: deque[tuple[float, int, Ticket[Any]]] | None = None
        self._confirm_due: deque[tuple[float, int, Ask | Bootstrap]] | None = None
        self._extended: dict[int, float] = {}
        self._bundling = session if isinstance(session, BundlingSession) else None

    # -- in: what wants to leave ---------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Requests that wait to be sent: in the queue, and in the line before it."""
        return self._outbox.queued + len(self._line)

    @property
    def empty(self) -> bool:
        """Nothing waits, not even for a rate limit."""
        return self._outbox.empty

    @property
    def full(self) -> bool:
        """The queue has no room for a newcomer."""
        return self._outbox.queued >= QUEUE or bool(self._line)

    async def stand_in_line(self, ticket: Ticket[Any], expires: float) -> None:
        """Wait until the ticket is queued, in the order of asking, or cannot be any more.

        The ticket moves from the line to the queue by the hand that makes the room: were the
        waiting tasks woken to do it themselves, Trio would run them in any order.

        Cancellation: the ticket leaves the line.
        """
        task = trio.lowlevel.current_task()
        self._line[ticket] = (task, expires)
        self._note_peak()

        def leave(_: object) -> trio.lowlevel.Abort:
            del self._line[ticket]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)

    def submit(self, ticket: Ticket[Any], expires: float) -> None:
        """Queue a ticket; there is room."""
        request = ticket.request
        ticket.handle = self._outbox.put(
            Outgoing(ticket, request),
            Lane.REQUEST,
            bucket=request.bucket,
            slot=self.correlator.slot(_kind(request)),
            expires=expires,
        )
        self._note_peak()
        if expires < math.inf:
            self._hurry(expires)
        self._wake()

    def withdraw(self, ticket: Ticket[Any]) -> None:
        """Take a queued ticket back."""
        self._outbox.withdraw(ticket.handle)
        ticket._give_up()
        self._make_room()

    def transmit(self, frame: str) -> None:
        """Send a frame of the session's own, ahead of everything."""
        self._outbox.transmit(frame)
        self._wake()

    def look_again(self) -> None:
        """A slot has come free: something may leave that could not."""
        self._wake()

    def apply(self, effects: Sequence[Effect]) -> None:
        """Put what the registry asks for into the control lane."""
        if self.closed:
            return
        for effect in effects:
            if isinstance(effect, Withdraw):
                if effect.entry.queued is not None:
                    if self._outbox.withdraw(effect.entry.queued):
                        self._replay_left()
                    effect.entry.queued = None
            elif isinstance(effect, Bootstrap):
                self._queue(effect, effect.request)
            else:
                request = self._session.watch(effect.entry.channel, effect.on)
                if request is not None:
                    handle = self._queue(effect, request)
                    if effect.on:
                        effect.entry.queued = handle
                        if not self._outbox.gate:
                            self._replaying += 1
                elif effect.on:
                    self._watched(effect)
                else:
                    self.apply(self._core.registry.stopped(effect))

    async def replay(self, effects: Sequence[Effect]) -> None:
        """Send what a fresh session has to subscribe, then open the lane of requests."""
        self.apply(effects)
        if self._replaying:
            await self.replayed.wait()
        self._outbox.gate = not self.closed

    def close(self, why: str) -> None:
        """Take nothing more in; what waits was not sent. Goodbyes may still follow."""
        self.closed = True
        self._outbox.gate = False
        self._clear(why, None)

    def settle(self, why: str, cause: BaseException | None) -> None:
        """The connection is over: say of every ticket what is known."""
        self.closed = True
        self._clear(why, cause)
        for owner in self.correlator.drain():
            if isinstance(owner, Ticket) and owner.state is TicketState.SENT:
                self._silence(owner, why, cause)

    # -- out: the next turn --------------------------------------------------------------------

    def take_turn(self) -> tuple[list[str], float]:
        """Take what may be sent now; return it, and when to look again: ``-inf`` at once, ``inf``
        when something has changed."""
        frames: list[str] = []
        now = trio.current_time()
        core = self._core
        while len(frames) < TURN:
            item = self._outbox.next(now, self.correlator.free)
            if item is None:
                return frames, math.inf
            if isinstance(item, Sleep):
                return frames, item.until
            frame = item if isinstance(item, str) else self._make_frame(item, now)
            if frame is not None:
                frames.append(frame)
                if core.watched:
                    core.show(">", frame, self._number)
        return frames, -math.inf

    def _make_frame(self, item: Outgoing, now: float) -> str | None:
        owner, request = item.owner, item.request
        if isinstance(owner, Ticket):
            owner._leave()
            self._make_room()
        answered = _answered(owner)
        bundled: list[Ask] = []
        if self._bundling is not None and not answered and isinstance(owner, Ask) and owner.on:
            request, bundled = self._bundle(self._bundling, request)
        key = self.correlator.start(owner, _kind(request)) if answered else 0
        try:
            frame = self._session.send(request, key)
            self._check(frame)
        except LocalProtocolError as exc:
            if answered:
                self.correlator.finish(key, _kind(request))
            self._unsendable(owner, exc)
            for ask in bundled:
                self._unsendable(ask, exc)
            return None
        self._core.counters.requests += 1
        limits = self._core.limits
        if isinstance(owner, Ticket):
            owner.key = key
            self._core.ledger.sent(owner)
            if limits.reply < math.inf:
                self._await_reply(now + limits.reply, key, owner)
            return frame
        # Where a slot is all that tells answers apart, an unsubscription that is never answered
        # would keep it closed for ever: its time is measured like the others'.
        starts = isinstance(owner, Ask) and owner.on
        if limits.subscribe < math.inf and (answered or starts):
            if self._confirm_due is None:
                self._confirm_due = deque()
            for due in (owner, *bundled):
                self._confirm_due.append((now + limits.subscribe, key, due))
            self._hurry(now + limits.subscribe)
        if isinstance(owner, Ask) and owner.on:
            for ask in (owner, *bundled):
                self._watched(ask)
                self._replay_left()
        return frame

    def _bundle(
        self, session: BundlingSession, request: Request[Any]
    ) -> tuple[Request[Any], list[Ask]]:
        """Take along what can leave in the same frame; return the whole, and whose the rest is."""
        taken: list[Ask] = []
        for handle, item in self._outbox.alike(Lane.CONTROL, bucket=request.bucket, slot=None):
            ask = item.owner
            if not isinstance(ask, Ask) or not ask.on:
                break  # what stops a channel must not be overtaken by what starts it anew
            whole = session.bundle((request, item.request))
            if whole is None:
                break
            self._outbox.withdraw(handle)
            request = whole
            taken.append(ask)
        return request, taken

    def _check(self, frame: str) -> None:
        """Refuse a frame that the venue, or UTF-8, cannot take."""
        name, limit = self._core.venue.name, self._core.venue.max_send_bytes
        try:
            size = len(frame) if frame.isascii() else len(frame.encode())
        except UnicodeEncodeError as exc:
            raise LocalProtocolError(
                f"{name} takes text; this message has a lone surrogate at position {exc.start}"
            ) from exc
        if limit is not None and size > limit:
            raise LocalProtocolError(
                f"{name} takes messages of at most {limit} bytes; this one has {size}"
            )

    def _unsendable(self, owner: Owner, exc: LocalProtocolError) -> None:
        if isinstance(owner, Ticket):
            owner._not_sent(str(exc), exc)
            return
        if isinstance(owner, Ask) and not owner.on:
            self.apply(self._core.registry.stopped(owner))
            return
        self._core.registry.refused(owner.entry, owner.generation, LOCAL, str(exc))
        if isinstance(owner, Ask):
            self._replay_left()

    # -- time ----------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When the next of the things below happens."""
        deadline = min(self._outbox.next_expiry, self.correlator.recycle_at())
        if self._reply_due:
            deadline = min(deadline, self._reply_due[0][0])
        if self._confirm_due:
            deadline = min(deadline, self._confirm_due[0][0])
        return deadline

    def _await_reply(self, due: float, key: int, ticket: Ticket[Any]) -> None:
        if self._reply_due is None:
            self._reply_due = deque()
        self._reply_due.append((due, key, ticket))
        self._hurry(due)

    def extend(self, key: int | None, kind: str) -> bool:
        """A part of an answer came: its time begins anew. Return whether it answers anything."""
        owner = self.correlator.peek(key, kind)
        if owner is None:
            return False
        limit = self._core.limits.reply
        if isinstance(owner, Ticket) and owner.state is TicketState.SENT and limit < math.inf:
            due = trio.current_time() + limit
            self._extended[owner.key] = due
            self._await_reply(due, owner.key, owner)
        return True

    def expire(self, now: float) -> None:
        """Let everything run out whose time has come."""
        limits = self._core.limits
        for item in self._outbox.expired(now):
            if isinstance(item.owner, Ticket):
                item.owner._not_sent(f"{self._held_back(item, now)} for longer than send_within")
                self._make_room()
        while self._reply_due and self._reply_due[0][0] <= now:
            due, key, ticket = self._reply_due.popleft()
            if due < self._extended.get(key, due) and ticket.state is TicketState.SENT:
                continue  # a later entry is about it
            self._extended.pop(key, None)
            if ticket.state is TicketState.SENT:
                self._silence(ticket, f"no answer within {limits.reply:g} s", None)
                self.correlator.abandon(key, now)
        while self._confirm_due and self._confirm_due[0][0] <= now:
            _, key, owner = self._confirm_due.popleft()
            if _answered(owner):
                if self.correlator.peek(key) is not owner:
                    continue
                self.correlator.abandon(key, now)
            registry, entry = self._core.registry, owner.entry
            if isinstance(owner, Ask) and not owner.on:
                self.apply(registry.stopped(owner))
            else:
                self.apply(registry.timed_out(entry, owner.generation, limits.subscribe))

    # -- inside --------------------------------------------------------------------------------

    def _queue(self, owner: Ask | Bootstrap, request: Request[Any]) -> int:
        handle = self._outbox.put(
            Outgoing(owner, request),
            Lane.CONTROL,
            bucket=request.bucket,
            slot=self.correlator.slot(_kind(request)) if _answered(owner) else None,
        )
        self._wake()
        return handle

    def _watched(self, ask: Ask) -> None:
        """The frame that starts a channel leaves, or none is needed."""
        now = trio.current_time()
        self.apply(self._core.registry.sent(ask.entry, ask.generation, now))

    def _replay_left(self) -> None:
        if self._replaying:
            self._replaying -= 1
            if not self._replaying:
                self.replayed.set()

    def _note_peak(self) -> None:
        counters = self._core.counters
        counters.queue_peak = max(counters.queue_peak, self.queued)

    def _held_back(self, item: Outgoing, now: float) -> str:
        """Say what a request waits for."""
        slot = self.correlator.slot(_kind(item.request))
        if slot is not None and not self.correlator.free(slot):
            return "an earlier request that was still unanswered held it back"
        if self._core.rates.ready_at(item.request.bucket, now) > now:
            return "its rate limit held it back"
        return "it waited for its turn behind what was being written"

    def _make_room(self) -> None:
        while self._line and self._outbox.queued < QUEUE:
            ticket, (task, expires) = self._line.popitem(last=False)
            self.submit(ticket, expires)
            trio.lowlevel.reschedule(task)

    def _clear(self, why: str, cause: BaseException | None) -> None:
        _, requests = self._outbox.drain()
        for item in requests:
            if isinstance(item.owner, Ticket):
                item.owner._not_sent(why, cause)
        while self._line:
            ticket, (task, _) = self._line.popitem(last=False)
            ticket._not_sent(why, cause)
            trio.lowlevel.reschedule(task)

    def _silence(self, ticket: Ticket[Any], why: str, cause: BaseException | None) -> None:
        ticket._silence(why, cause)
        self._core.ledger.over(ticket)
        if ticket.state is TicketState.UNKNOWN and ticket.request.effect is RequestEffect.WRITE:
            self._core.counters.outcome_unknown += 1
