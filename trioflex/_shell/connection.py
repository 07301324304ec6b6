"""One connection: four sibling tasks in one nursery; the first cause ends it.

==============  ==============================================================
task            what it may wait for (the whole list)
==============  ==============================================================
receive loop    ``transport.receive()``
send loop       work to do; a rate limit; ``transport.send()`` (10 s)
heartbeat       the next deadline
handshake       ready, at most ``handshake_timeout``; then the subscriptions'
                frames, and it returns
==============  ==============================================================

The tasks *return*; they do not raise in order to stop. :meth:`Connection.end` records the first
cause, settles everything that hangs on the connection, synchronously, and cancels the nursery.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import attrs
import trio

from .._sansio.correlator import Correlator
from .._sansio.keepalive import Dead, Ping, Sleep, keepalive
from .._sansio.outbox import Lane, Outbox
from .._sansio.registry import Ask, Bootstrap, Effect as WireEffect, State, Withdraw
from .._vocabulary.errors import (
    AuthenticationTimeout,
    HandshakeTimeout,
    InternalError,
    LocalProtocolError,
    RemoteProtocolError,
)
from .._vocabulary.events import GapReason
from ..protocol import (
    Channel,
    Confirm,
    Correlation,
    Denied,
    Event,
    Goodbye,
    Ignored,
    Interrupted,
    Loss,
    Push,
    Ready,
    Refusal,
    Reply,
    Request,
    Rhythm,
    Session,
    Transmit,
)
from .core import Core, Unmatched, excerpt
from .observer import EXCERPT, Counters
from .ticket import Ticket, TicketState
from .transport import Disconnected, Transport

logger = logging.getLogger("trioflex")

QUEUE = 64
"""Requests that may wait to be sent; beyond it callers wait. A few round trips' worth: an order
that is older when it leaves was meant for another market."""

TURN = 64
"""Frames written at once: enough to fill a segment, few enough to notice a pong in between."""

LAST_WORDS = 0.25
"""Seconds the receive loop is given, after writing failed, to find last replies or a Close."""


@attrs.frozen
class Outgoing:
    """A request on its way, and whose it is."""

    owner: Ticket[Any] | Ask | Bootstrap
    request: Request[Any]


Owner: TypeAlias = Ticket[Any] | Ask | Bootstrap


def _kind(request: Request[Any]) -> str:
    return request.kind or type(request).__name__


class Connection:
    """One WebSocket with one session, from opening to the end."""

    def __init__(self, core: Core, number: int, session: Session, *, login: bool) -> None:
        self.core = core
        self.number = number
        self.session = session
        self.login = login
        self.scope = trio.CancelScope()
        """Round the connector: cancelling it drops the connection."""
        self.ready = False
        self.over: Loss | None = None
        self.account: str | None = None
        self.outbox: Outbox[Outgoing] = Outbox(core.rates)
        self.correlator: Correlator[Owner] = Correlator(core.venue.correlation)
        self._line: OrderedDict[Ticket[Any], tuple[trio.lowlevel.Task, float]] = OrderedDict()
        self.goodbye: Goodbye | None = None
        self.renewed = False
        """It was ended to be replaced at once."""
        self._transport: Transport | None = None
        self._nursery: trio.CancelScope | None = None
        self._welcome = trio.Event()
        self._replayed = trio.Event()
        self._replaying = 0
        self._work = False
        self._sender = trio.lowlevel.ParkingLot()
        self._closing = False
        self._close_sent = False
        self._last_in = trio.current_time()
        self._ping_sent_at: float | None = None
        self._pongs = 0
        self._pong_awaited = False
        self._counted = False
        self._closed_by_us: Loss | None = None
        self._dead_after: float | None = None
        self._nap: trio.CancelScope | None = None
        self._reply_due: deque[tuple[float, int, Ticket[Any]]] = deque()
        self._confirm_due: deque[tuple[float, int, Ask | Bootstrap]] = deque()

    # -- life ----------------------------------------------------------------------------------

    async def run(self, transport: Transport) -> None:
        """Live until the end; return when it has come.

        Cancellation: the connection ends at once; requests that were sent become unknown.
        """
        self._transport = transport
        transport.notify = self.wake
        self._last_in = trio.current_time()
        try:
            async with trio.open_nursery(strict_exception_groups=True) as nursery:
                self._nursery = nursery.cancel_scope
                if self.over is not None:
                    nursery.cancel_scope.cancel()
                self._dispatch_events(self.session.open())
                for task in (
                    self._receive_loop,
                    self._send_loop,
                    self._heartbeat,
                    self._handshake,
                ):
                    nursery.start_soon(self._guarded, task, name=f"{task.__name__} #{self.number}")
        finally:
            self.end(Loss(message="the connection was dropped"))
            self.add_running(self.core.counters)
            self._counted = True

    async def _guarded(self, task: Callable[[], Awaitable[None]]) -> None:
        """Turn a bug, ours or a venue's, into the connection's end."""
        try:
            await task()
        except Exception as exc:  # the boundary: whatever is raised in here is a bug
            error = InternalError(
                f"{self.core.venue.name}: a bug in trioflex or in the venue's module: {exc!r}"
            )
            error.__cause__ = exc
            self.end(Loss(message=str(error), error=error))

    def end(self, loss: Loss) -> None:
        """End the connection; the first cause wins. Synchronous: users are told now."""
        if self.over is not None:
            return
        if self.goodbye is not None and loss.goodbye is None:
            loss = attrs.evolve(loss, goodbye=self.goodbye, error=None)
        self.over = loss
        self.ready = False
        why, cause = loss.message, loss.error
        _, queued = self.outbox.drain()
        for item in queued:
            if isinstance(item.owner, Ticket):
                item.owner._not_sent(why, cause)
        for owner in self.correlator.drain():
            if isinstance(owner, Ticket) and owner.state is TicketState.SENT:
                self._silence(owner, why, cause)
        self._clear_line(why, cause)
        self.core.registry.lost(trio.current_time())
        if self._nursery is not None:
            self._nursery.cancel()

    def drop(self, loss: Loss) -> None:
        """End it and do not wait for the peer: it is believed dead."""
        self.end(loss)
        if self._transport is not None:
            self._transport.abort()
        self.scope.cancel()

    def close(self, loss: Loss, timeout: float) -> None:
        """Begin to close politely: goodbye, closing handshake, all within ``timeout``."""
        if self.over is not None or self._closing:
            return
        if self._transport is None or not self._welcome.is_set():
            self.drop(loss)
            return
        self._closing = True
        self.ready = False
        self.outbox.gate = False
        _, queued = self.outbox.drain()
        for item in queued:
            if isinstance(item.owner, Ticket):
                item.owner._not_sent(loss.message)
        self._clear_line(loss.message, None)
        for transmit in self.session.close():
            self.outbox.transmit(transmit.frame)
        self.scope.deadline = min(self.scope.deadline, trio.current_time() + timeout)
        self._closed_by_us = loss
        self.wake()

    def add_running(self, counters: Counters) -> None:
        """Add what this connection carried, unless that was done for good."""
        if self._transport is not None and not self._counted:
            counters.add(self._transport.statistics())

    # -- the four tasks ------------------------------------------------------------------------

    async def _receive_loop(self) -> None:
        transport = self._transport
        assert transport is not None  # run() has set it
        try:
            while True:
                frames = await transport.receive()
                self._last_in = trio.current_time()
                self._ping_sent_at = None  # any frame is life
                if self._pong_awaited:
                    self._check_pong(transport)
                self._dispatch(frames)
        except Disconnected as exc:
            if self._closed_by_us is not None:
                self.end(self._closed_by_us)
            else:
                self.end(
                    Loss(
                        message=str(exc),
                        close_code=exc.code,
                        close_reason=exc.reason,
                        error=exc,
                    )
                )
        except RemoteProtocolError as exc:
            self.core.counters.malformed += 1
            logger.warning("%s #%d: %s", self.core.venue.name, self.number, exc)
            self.end(Loss(message=str(exc), error=exc))

    async def _send_loop(self) -> None:
        transport = self._transport
        assert transport is not None  # run() has set it
        while True:
            frames, until = self._take_turn()
            owed, self._work = self._work, False
            if not frames and not owed:
                if until == math.inf:
                    await self._sender.park()
                else:
                    with trio.CancelScope(deadline=until):
                        await self._sender.park()
                continue
            if self._closing and not self._close_sent and self.outbox.empty:
                if frames:
                    self._work = True  # the goodbye first, the Close behind it
                else:
                    transport.close()
                    self._close_sent = True
            try:
                with trio.CancelScope(
                    deadline=trio.current_time() + self.core.limits.send
                ) as scope:
                    await transport.send(frames)
            except Disconnected as exc:
                await trio.sleep(LAST_WORDS)
                self.end(Loss(message=str(exc), error=exc, close_code=exc.code))
                return
            if scope.cancelled_caught:
                self.drop(
                    Loss(
                        message=f"the peer did not read for {self.core.limits.send:g} s while we "
                        "were writing"
                    )
                )
                return

    async def _heartbeat(self) -> None:
        core = self.core
        while True:
            now = trio.current_time()
            verdict = keepalive(
                core.keepalive,
                now=now,
                last_in=self._last_in,
                ping_sent_at=self._ping_sent_at,
                dead_after=self._dead_after,
            )
            until = now
            if isinstance(verdict, Dead):
                self.drop(Loss(message=verdict.why))
                return
            if isinstance(verdict, Ping):
                self._ping_sent_at = now
                self._pong_awaited = True
                assert self._transport is not None  # run() has set it
                self._transport.ping()
                self.wake()
                core.observers.tell(lambda observer: observer.ping_sent(self.number))
            else:
                until = verdict.until
            if not self._expire(now):
                return
            if until > now:
                with trio.CancelScope(deadline=min(until, self._next_deadline())) as self._nap:
                    await trio.sleep_forever()
                self._nap = None

    async def _handshake(self) -> None:
        limit = self.core.limits.handshake
        with trio.move_on_after(limit) as scope:
            await self._welcome.wait()
        if scope.cancelled_caught:
            name = self.core.venue.name
            error = (
                AuthenticationTimeout(
                    f"{name} did not answer the login within {limit:g} s of the connection"
                )
                if self.login
                else HandshakeTimeout(
                    f"{name} did not make the session ready within {limit:g} s of the connection"
                )
            )
            self.end(Loss(message=str(error), error=error))
            return
        if self._closing:
            return
        self.apply(self.core.registry.ready(self.number))
        if self._replaying:
            await self._replayed.wait()
        if self._closing:
            return
        self.outbox.gate = True
        self.ready = True
        self.core.on_ready()

    # -- outwards ------------------------------------------------------------------------------

    def wake(self) -> None:
        """Let the send loop look again."""
        self._work = True
        self._sender.unpark()

    @property
    def full(self) -> bool:
        """The queue has no room for a newcomer."""
        return self.outbox.queued >= QUEUE or bool(self._line)

    async def stand_in_line(self, ticket: Ticket[Any], expires: float) -> None:
        """Wait until the ticket is queued, in the order of asking, or cannot be any more.

        The ticket moves from the line to the queue by the hand that makes the room: were the
        waiting tasks woken to do it themselves, Trio would run them in any order.

        Cancellation: the ticket leaves the line.
        """
        task = trio.lowlevel.current_task()
        self._line[ticket] = (task, expires)

        def leave(_: object) -> trio.lowlevel.Abort:
            del self._line[ticket]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)

    def submit(self, ticket: Ticket[Any], expires: float) -> None:
        """Queue a ticket; there is room."""
        request = ticket.request
        ticket.handle = self.outbox.put(
            Outgoing(ticket, request),
            Lane.REQUEST,
            bucket=request.bucket,
            slot=self.correlator.slot(_kind(request)),
            expires=expires,
        )
        counters = self.core.counters
        counters.queue_peak = max(counters.queue_peak, self.outbox.queued)
        if expires < math.inf:
            self._hurry(expires)
        self.wake()

    def withdraw(self, ticket: Ticket[Any]) -> None:
        """Take a queued ticket back."""
        self.outbox.withdraw(ticket.handle)
        ticket._give_up()
        self._make_room()

    def apply(self, effects: Sequence[WireEffect]) -> None:
        """Put what the registry asks for into the control lane."""
        if self._closing or self.over is not None:
            return
        for effect in effects:
            if isinstance(effect, Withdraw):
                if effect.entry.queued is not None:
                    if self.outbox.withdraw(effect.entry.queued):
                        self._replay_left()
                    effect.entry.queued = None
            elif isinstance(effect, Bootstrap):
                self._queue(effect, effect.request)
            else:
                request = self.session.watch(effect.entry.channel, effect.on)
                if request is not None:
                    handle = self._queue(effect, request)
                    if effect.on:
                        effect.entry.queued = handle
                        if not self.ready:
                            self._replaying += 1
                elif effect.on:
                    self._watched(effect)

    def start_login(self, events: Sequence[Event]) -> None:
        """Log an open session in, in place."""
        self._dispatch_events(events)
        self.wake()

    def _queue(self, owner: Ask | Bootstrap, request: Request[Any]) -> int:
        handle = self.outbox.put(
            Outgoing(owner, request),
            Lane.CONTROL,
            bucket=request.bucket,
            slot=self.correlator.slot(_kind(request)) if self._answered(owner) else None,
        )
        self.wake()
        return handle

    @staticmethod
    def _answered(owner: Owner) -> bool:
        """Whether the venue answers this request."""
        return not isinstance(owner, Ask) or owner.entry.channel.confirm is Confirm.REPLY

    def _take_turn(self) -> tuple[list[str], float]:
        """Take what may be sent now; return it, and when to look again."""
        frames: list[str] = []
        now = trio.current_time()
        core = self.core
        while len(frames) < TURN:
            item = self.outbox.next(now, self.correlator.free)
            if item is None:
                return frames, math.inf
            if isinstance(item, Sleep):
                return frames, item.until
            frame = item if isinstance(item, str) else self._make_frame(item, now)
            if frame is not None:
                frames.append(frame)
                if core.watched:
                    core.show(">", frame, self.number)
        return frames, now

    def _make_frame(self, item: Outgoing, now: float) -> str | None:
        owner, request = item.owner, item.request
        core = self.core
        if isinstance(owner, Ticket):
            owner._leave()
            self._make_room()
        answered = self._answered(owner)
        key = self.correlator.start(owner, _kind(request)) if answered else 0
        try:
            frame = self.session.send(request, key)
            limit = core.venue.max_send_bytes
            if limit is not None and len(frame.encode()) > limit:
                raise LocalProtocolError(
                    f"{core.venue.name} takes messages of at most {limit} bytes; this one has "
                    f"{len(frame.encode())}"
                )
        except LocalProtocolError as exc:
            if answered:
                self.correlator.finish(key, _kind(request))
            self._unsendable(owner, exc)
            return None
        core.counters.requests += 1
        if isinstance(owner, Ticket):
            owner.key = key
            core.ledger.sent(owner)
            due = now + core.limits.reply
            if due < math.inf:
                self._reply_due.append((due, key, owner))
                self._hurry(due)
            return frame
        due = now + core.limits.subscribe
        if due < math.inf and (isinstance(owner, Bootstrap) or owner.on):
            self._confirm_due.append((due, key, owner))
            self._hurry(due)
        if isinstance(owner, Ask) and owner.on:
            self._watched(owner)
            self._replay_left()
        return frame

    def _unsendable(self, owner: Owner, exc: LocalProtocolError) -> None:
        if isinstance(owner, Ticket):
            owner._not_sent(str(exc), exc)
        else:
            self.core.registry.refused(owner.entry, owner.generation, "local", str(exc))
            if isinstance(owner, Ask) and owner.on:
                self._replay_left()

    def _watched(self, ask: Ask) -> None:
        """The frame that starts a channel leaves, or none is needed."""
        now = trio.current_time()
        self.apply(self.core.registry.sent(ask.entry, ask.generation, now))

    def _replay_left(self) -> None:
        if self._replaying:
            self._replaying -= 1
            if not self._replaying:
                self._replayed.set()

    def _make_room(self) -> None:
        while self._line and self.outbox.queued < QUEUE:
            ticket, (task, expires) = self._line.popitem(last=False)
            self.submit(ticket, expires)
            trio.lowlevel.reschedule(task)

    def _clear_line(self, why: str, cause: BaseException | None) -> None:
        while self._line:
            ticket, (task, _) = self._line.popitem(last=False)
            ticket._not_sent(why, cause)
            trio.lowlevel.reschedule(task)

    # -- inwards: synchronous, no await --------------------------------------------------------

    def _dispatch(self, frames: Sequence[bytes]) -> None:
        """Hand over everything that one read brought."""
        core = self.core
        registry = core.registry
        entries, dirty = registry.entries, registry.dirty
        receive = self.session.receive
        counters = core.counters
        live = State.LIVE
        watched = core.watched
        frame = b""
        try:
            for frame in frames:
                if watched:
                    core.show("<", frame.decode("utf-8", "replace"), self.number)
                for event in receive(frame):
                    if type(event) is Push:
                        counters.pushes += 1
                        channel = event.channel
                        if channel.private and core.ledger.curious:
                            self._weigh(event.value)
                        entry = entries.get(channel)
                        if entry is not None and entry.state is live:
                            batch = entry.batch
                            if not batch:
                                dirty.append(entry)
                            batch.append(event.value)
                        else:
                            self._push(channel, event.value)
                            dirty = registry.dirty
                    else:
                        self._handle(event)
                        dirty = registry.dirty
        except RemoteProtocolError as exc:
            error, text = exc, excerpt(core, frame, EXCERPT)
            core.observers.tell(lambda o: o.malformed(self.number, text, error))
            raise
        finally:
            registry.flush()

    def _dispatch_events(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Push):
                self._push(event.channel, event.value)
            else:
                self._handle(event)
        self.core.registry.flush()

    def _push(self, channel: Channel[Any], value: Any) -> None:
        self.apply(self.core.registry.push(channel, value, trio.current_time()))

    def _weigh(self, value: Any) -> None:
        ledger = self.core.ledger
        for caller_id, proven in self.core.venue.evidence(value):
            ledger.prove(caller_id, proven)

    def _handle(self, event: Event) -> None:
        core = self.core
        match event:
            case Reply(key, value, kind):
                late = self.correlator.late
                owner = self.correlator.finish(key, kind)
                if owner is None:
                    self._orphan(value, f"a reply with key {key} answers nothing")
                    return
                core.counters.replies += 1
                core.counters.late_replies += self.correlator.late - late
                self._replied(owner, value)
                self._slot_freed()
            case Refusal(key, code, message, refusal_kind, kind):
                late = self.correlator.late
                owner = self.correlator.finish(key, kind)
                if owner is None:
                    self._orphan(event, f"a refusal with key {key} answers nothing")
                    return
                core.counters.refusals += 1
                core.counters.late_replies += self.correlator.late - late
                if isinstance(owner, Ticket):
                    if owner._refuse(code, message, refusal_kind):
                        core.ledger.over(owner)
                else:
                    self._watch_refused(owner, code, message)
                self._slot_freed()
            case Transmit(frame):
                self.outbox.transmit(frame)
                self.wake()
            case Push(channel, value):
                self._push(channel, value)
            case Ignored(message):
                core.counters.ignored += 1
                text = excerpt(core, message, EXCERPT)
                core.observers.tell(lambda o: o.ignored(self.number, text))
                core.unmatched.put(Unmatched(message, "it means nothing here", self.number))
            case Ready(account):
                self.account = account
                if self._welcome.is_set():
                    core.on_account(account)
                else:
                    self._welcome.set()
            case Denied(code, message, _):
                loss = Loss(message=f"login denied: {message} (code {code})", denied=event)
                if self._welcome.is_set():
                    core.on_denied(loss)
                else:
                    self.end(loss)
            case Interrupted(channel, why):
                logger.info("%s #%d: %r: %s", core.venue.name, self.number, channel, why)
                now = trio.current_time()
                self.apply(core.registry.interrupt(channel, GapReason.SEQUENCE, now))
            case Rhythm(dead_after):
                self._dead_after = dead_after
                self._hurry(self._last_in + dead_after)
            case Goodbye():
                self.goodbye = event
                logger.info("%s #%d: goodbye: %s", core.venue.name, self.number, event.reason)

    def _replied(self, owner: Owner, value: Any) -> None:
        core = self.core
        if isinstance(owner, Ticket):
            if owner._answer(value):
                core.ledger.over(owner)
            if core.ledger.curious:
                self._weigh(value)
            return
        now = trio.current_time()
        if isinstance(owner, Bootstrap):
            if core.ledger.curious:
                self._weigh(value)
            core.registry.bootstrapped(owner.entry, owner.generation, value, now)
        elif owner.on:
            self.apply(core.registry.confirmed(owner.entry, owner.generation, value, now))

    def _watch_refused(self, owner: Ask | Bootstrap, code: str, message: str) -> None:
        if isinstance(owner, Ask) and not owner.on:
            logger.info("%r was not unsubscribed: %s", owner.entry.channel, message)
            return
        self.core.registry.refused(owner.entry, owner.generation, code, message)
        if isinstance(owner, Bootstrap):
            self.apply([Ask(owner.entry, owner.generation, on=False)])

    def _orphan(self, message: Any, why: str) -> None:
        self.core.counters.orphans += 1
        self.core.unmatched.put(Unmatched(message, why, self.number))

    def _slot_freed(self) -> None:
        if self.core.venue.correlation is not Correlation.BY_KEY:
            self.wake()

    def _silence(self, ticket: Ticket[Any], why: str, cause: BaseException | None = None) -> None:
        ticket._silence(why, cause)
        self.core.ledger.over(ticket)
        if ticket.state is TicketState.UNKNOWN:
            self.core.counters.outcome_unknown += 1

    # -- time ----------------------------------------------------------------------------------

    def _check_pong(self, transport: Transport) -> None:
        statistics = transport.statistics()
        if statistics.pongs != self._pongs:
            self._pongs = statistics.pongs
            self._pong_awaited = False
            seconds = statistics.ping_time
            if seconds is not None:
                self.core.counters.ping_time = seconds
                taken = seconds
                self.core.observers.tell(lambda o: o.pong_received(self.number, taken))

    def _hurry(self, deadline: float) -> None:
        """Let the heartbeat wake no later than this."""
        if self._nap is not None and deadline < self._nap.deadline:
            self._nap.deadline = deadline

    def _next_deadline(self) -> float:
        deadline = min(self.outbox.next_expiry, self.correlator.recycle_at())
        if self._reply_due:
            deadline = min(deadline, self._reply_due[0][0])
        if self._confirm_due:
            deadline = min(deadline, self._confirm_due[0][0])
        return deadline

    def _expire(self, now: float) -> bool:
        """Let everything run out whose time has come; return whether the connection lives on."""
        core = self.core
        for item in self.outbox.expired(now):
            if isinstance(item.owner, Ticket):
                item.owner._not_sent("its rate limit held it back for longer than send_within")
                self._make_room()
        while self._reply_due and self._reply_due[0][0] <= now:
            _, key, ticket = self._reply_due.popleft()
            if ticket.state is TicketState.SENT:
                self._silence(ticket, f"no answer within {core.limits.reply:g} s")
                self.correlator.abandon(key, now)
        while self._confirm_due and self._confirm_due[0][0] <= now:
            _, key, owner = self._confirm_due.popleft()
            answered = self._answered(owner)
            if answered and self.correlator.peek(key, "") is not owner:
                continue
            if answered:
                self.correlator.abandon(key, now)
            seconds = core.limits.subscribe
            self.apply(core.registry.timed_out(owner.entry, owner.generation, seconds))
        if self.correlator.recycle_at() <= now:
            self.end(
                Loss(
                    message="an unanswered request kept its reply slot closed for too long; "
                    "the connection is replaced"
                )
            )
            return False
        return True
