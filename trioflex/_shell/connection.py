"""One connection: four sibling tasks in one nursery; the first cause ends it.

==============  ==============================================================
task            what it may wait for (the whole list)
==============  ==============================================================
receive loop    ``transport.receive()``
send loop       work to do; a rate limit; ``transport.send()``; after that
                failed, a moment for the receive loop's last words
heartbeat       the next deadline (that of writing, 10 s, is among them)
handshake       ready, at most ``handshake_timeout``; then the subscriptions'
                frames, and it returns
==============  ==============================================================

The tasks *return*; they do not raise in order to stop. :meth:`Connection.end` records the first
cause, settles everything that hangs on the connection, synchronously, and cancels the nursery.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import attrs
import trio

from .._sansio.keepalive import Dead, Ping, keepalive
from .._vocabulary.errors import (
    AuthenticationTimeout,
    HandshakeTimeout,
    InternalError,
    RemoteProtocolError,
)
from ..protocol import Denied, Event, Goodbye, Loss, Ready, Rhythm, Session
from .core import Core
from .dispatch import Dispatcher
from .observer import Counters
from .sending import Sender
from .ticket import Ticket
from .transport import READ_SIZE, Disconnected, Transport

logger = logging.getLogger("trioflex")

LAST_WORDS = 0.25
"""Seconds the receive loop is given, after writing failed, to find last replies or a Close."""

LAST_TURNS = 2
"""Turns of the scheduler that reading and writing get before the heartbeat gives the peer up. User
code may have held up the whole program; then what came meanwhile lies in the kernel, unread, and
who has written does not know it yet. The first turn asks the kernel, the second reads."""

CROWD = 256
"""Messages of one read before which the receivers' tasks get a turn of their own. Trio runs tasks
in any order, so that two reads may come between two turns of a reader; then a large one need not
fit into its buffer, though it is fast. An empty buffer takes any read. The turn costs 3 us, less
than 1 % of such a read."""


READ_CHANNEL: Final = 8 * 1024
READ_MOST: Final = 1024 * 1024
"""Bytes of a read for each channel that was in the last one, within limits. A read wakes the task
of each channel in it, for 5 us, however few messages there are for it; 8 KiB are 32, and the
wake-up a sixth of them. One read must not hold up the program for long, though: 1 MiB takes some
5 ms."""


class Connection:
    """One WebSocket with one session, from opening to the end."""

    def __init__(self, core: Core, number: int, session: Session, *, login: bool) -> None:
        self.core = core
        self.number = number
        self.session = session
        self.login: bool = login
        self.scope: trio.CancelScope = trio.CancelScope()
        """Round the connector: cancelling it drops the connection."""
        self.ready: bool = False
        self.account: str | None = None
        self.over: Loss | None = None
        """Why it ended; ``None`` while it lives."""
        self.renewed = False
        """It was ended on demand, to be replaced at once."""
        self.sender: Sender = Sender(core, session, number, wake=self._wake, hurry=self._hurry)
        self._dispatcher = Dispatcher(core, session, self.sender, self, number)
        self._transport: Transport | None = None
        self._nursery: trio.CancelScope | None = None
        self._welcome = trio.Event()
        self._goodbye: Goodbye | None = None
        self._farewell: Loss | None = None
        self._close_sent = False
        self._work = False
        self._idle: trio.lowlevel.Task | None = None
        self._write_due = math.inf
        self._nap: trio.CancelScope | None = None
        self._last_in = self._last_out = trio.current_time()
        self._ping_sent_at: float | None = None
        self._pong_awaited = False
        self._pongs = 0
        self._dead_after: float | None = None
        self._counted = False
        self._in_hand: list[bytes] | None = None  # read, and not handed over yet

    # -- life ----------------------------------------------------------------------------------

    async def run(self, transport: Transport) -> None:
        """Live until the end; return when it has come.

        Cancellation: the connection ends at once; requests that were sent become unknown.
        """
        self._transport = transport
        transport.notify = self._wake
        self._last_in = self._last_out = trio.current_time()
        try:
            async with trio.open_nursery(strict_exception_groups=True) as nursery:
                self._nursery = nursery.cancel_scope
                if self.over is not None:
                    nursery.cancel_scope.cancel()
                for name, task in (
                    ("receive loop", self._receive_loop),
                    ("send loop", self._send_loop),
                    ("heartbeat", self._heartbeat),
                    ("handshake", self._handshake),
                ):
                    name = f"{self.core.venue.name} #{self.number} {name}"
                    nursery.start_soon(self._guarded, task, transport, name=name)
        finally:
            self.end(Loss(message="the connection was dropped"))
            self.add_running(self.core.counters)
            self._counted = True

    @trio.lowlevel.enable_ki_protection
    async def _guarded(
        self, task: Callable[[Transport], Awaitable[None]], transport: Transport
    ) -> None:
        """Turn a bug, ours or a venue's, into the connection's end."""
        try:
            await task(transport)
        except Exception as exc:  # the boundary: whatever is raised in here is a bug
            self._bug(exc)

    def _bug(self, exc: Exception) -> None:
        """End the connection for a bug, ours or a venue's."""
        error = InternalError(
            f"{self.core.venue.name}: a bug in trioflex or in the venue's module: {exc!r}"
        )
        error.__cause__ = exc
        self.end(Loss(message=str(error), error=error))

    def end(self, loss: Loss) -> None:
        """End the connection; the first cause wins. Synchronous: users are told now."""
        if self.over is not None:
            return
        self._hand_over()  # an answer that was read is an answer, whatever ends the connection
        if self.over is not None:
            return
        bug = isinstance(loss.error, InternalError)
        if self._goodbye is not None and loss.goodbye is None and not bug:
            loss = attrs.evolve(loss, goodbye=self._goodbye, error=None)
        self.over = loss
        self.ready = False
        self.sender.settle(loss.message, loss.error)
        self.core.registry.lost(trio.current_time())
        if self._nursery is not None:
            self._nursery.cancel()

    def _hand_over(self) -> None:
        """Hand over what was read, if anything is left of it."""
        frames, self._in_hand = self._in_hand, None
        if frames is None:
            return
        try:
            self._dispatcher.frames(frames)
        except RemoteProtocolError as exc:
            self.end(self._broken(exc))
        except Exception as exc:  # the boundary, as for the tasks
            self._bug(exc)

    def _broken(self, exc: RemoteProtocolError) -> Loss:
        """Say that the peer broke the protocol."""
        logger.warning("%s #%d: %s", self.core.venue.name, self.number, exc)
        return Loss(message=str(exc), error=exc)

    def drop(self, loss: Loss) -> None:
        """End it and do not wait for the peer: it is believed dead."""
        self.end(loss)
        if self._transport is not None:
            self._transport.abort()
        self.scope.cancel()

    def close(self, loss: Loss, timeout: float) -> None:
        """Begin to close politely: goodbye, closing handshake, all within ``timeout``."""
        if self.over is not None or self._farewell is not None:
            return
        if self._transport is None or not self._welcome.is_set():
            self.drop(loss)
            return
        self._farewell = loss
        self.ready = False
        self.sender.close(loss.message)
        for goodbye in self.session.close():
            self.sender.transmit(goodbye.frame)
        self.scope.deadline = min(self.scope.deadline, trio.current_time() + timeout)
        self._wake()

    def add_running(self, counters: Counters) -> None:
        """Add what this connection carried, unless that was done for good."""
        if self._transport is not None and not self._counted:
            counters.add(self._transport.statistics())

    @trio.lowlevel.enable_ki_protection
    def submit(self, ticket: Ticket[Any], expires: float) -> None:
        """Queue a ticket, and write it at once where that needs no waiting (see ``tcp.py``).

        Only while the send loop rests: what it is about to write must not be overtaken.
        """
        idle, transport = self._idle, self._transport
        leaving = self._farewell is not None
        if idle is None or leaving or transport is None or not transport.writes_now:
            self.sender.submit(ticket, expires)
            return
        self._idle = None  # until the end of this, who wants to wake the loop leaves a note
        self.sender.submit(ticket, expires)
        self._work = False
        try:
            frames, until = self.sender.take_turn()
            if frames:
                self._last_out = trio.current_time()
                if not transport.send_now(frames):
                    self._work = True
            self._work |= until != math.inf
        except Exception as exc:  # the boundary, as for the tasks
            self._bug(exc)
        if self.over is None:
            self._idle = idle
            if self._work:
                self._wake()

    # -- the four tasks ------------------------------------------------------------------------

    async def _receive_loop(self, transport: Transport) -> None:
        self._dispatcher.events(self.session.open())
        registry = self.core.registry
        try:
            while self.over is None:
                self._in_hand = frames = await transport.receive()
                self._last_in = trio.current_time()
                self._ping_sent_at = None  # any frame is life
                if self._pong_awaited:
                    self._check_pong(transport)
                if len(frames) > CROWD:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                before = registry.deliveries
                self._hand_over()  # what the end, if it came meanwhile, has not handed over
                worth = (registry.deliveries - before) * READ_CHANNEL
                transport.read_size = min(max(READ_SIZE, worth), READ_MOST)
        except Disconnected as exc:
            lost = Loss(message=str(exc), close_code=exc.code, close_reason=exc.reason, error=exc)
            self.end(lost if self._farewell is None else self._farewell)
        except RemoteProtocolError as exc:
            self.end(self._broken(exc))

    async def _send_loop(self, transport: Transport) -> None:
        while True:
            frames, until = self.sender.take_turn()
            owed, self._work = self._work, False
            if frames or owed:
                try:
                    await self._write(transport, frames)
                except Disconnected as exc:
                    self._write_due = math.inf
                    await trio.sleep(LAST_WORDS)
                    self.end(Loss(message=str(exc), close_code=exc.code, error=exc))
                    return
                if self._close_sent:
                    return  # nothing may follow a Close; the receive loop awaits the peer's
                if self._work or until == -math.inf:
                    continue
            if until == math.inf:
                await self._park()  # nearly always: a scope costs 6 us
            else:
                with trio.CancelScope(deadline=until):
                    await self._park()

    async def _write(self, transport: Transport, frames: Sequence[str]) -> None:
        """Write what a turn brought, and what the transport owes."""
        now = trio.current_time()
        if frames:
            self._last_out = now
        if self._farewell is not None and not self._close_sent and self.sender.empty:
            if frames:
                self._work = True  # the goodbye first, the Close behind it
            else:
                transport.close()
                self._close_sent = True
        # The heartbeat watches: a scope of its own would cost each order 6 us.
        self._write_due = now + self.core.limits.send
        self._hurry(self._write_due)
        await transport.send(frames)
        self._write_due = math.inf

    async def _heartbeat(self, transport: Transport) -> None:
        core, sender = self.core, self.sender
        doubted = False
        while True:
            now = trio.current_time()
            sender.expire(now)
            if sender.correlator.recycle_at() <= now:
                why = "an unanswered request blocked its kind for too long; a new connection helps"
                self.end(Loss(message=why))
                return
            verdict = keepalive(
                core.keepalive,
                now=now,
                last_in=self._last_in,
                ping_sent_at=self._ping_sent_at,
                dead_after=self._dead_after,
            )
            if isinstance(verdict, Dead) or self._write_due <= now:
                if doubted:
                    why = f"the peer did not read for {core.limits.send:g} s while we were writing"
                    self.drop(Loss(message=verdict.why if isinstance(verdict, Dead) else why))
                    return
                doubted = True
                for _ in range(LAST_TURNS):
                    await trio.lowlevel.cancel_shielded_checkpoint()
                continue
            doubted = False
            if isinstance(verdict, Ping):
                self._ping_sent_at = now
                self._pong_awaited = True
                transport.ping()
                self._wake()
                core.observers.tell(lambda observer: observer.ping_sent(self.number))
                continue
            until = min(verdict.until, self._write_due, sender.next_deadline(), self._refresh(now))
            with trio.CancelScope(deadline=until) as self._nap:
                await trio.sleep_forever()
            self._nap = None

    async def _handshake(self, transport: Transport) -> None:
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
        # What woke this task may have been followed by the end in the same turn, and then nobody is
        # to believe in this connection any more.
        if self.over is None:
            await self.sender.replay(self.core.registry.ready(self.number))
        if self.over is None and self._farewell is None:
            self.ready = True
            self.core.on_ready()

    def _refresh(self, now: float) -> float:
        """Ask something if nothing has been for too long; return when to look again."""
        venue = self.core.venue
        if venue.refresh is None:
            return math.inf
        if now >= self._last_out + venue.refresh_after:
            self._last_out = now
            if self.ready and not self.sender.full:
                # Nobody waits for the answer; where none comes the venue's reply timeout acts.
                self.sender.submit(Ticket(venue.refresh, self.sender.withdraw), math.inf)
        return self._last_out + venue.refresh_after

    # -- what the session says about the connection --------------------------------------------

    def on_ready(self, ready: Ready) -> None:
        """Requests may be sent, or an open session was logged in."""
        self.account = ready.account
        if self._welcome.is_set():
            self.core.on_account(ready.account)
        else:
            self._welcome.set()

    def on_denied(self, denied: Denied) -> None:
        """The login was refused: the end, unless an open session asked for it."""
        why = f"login denied: {denied.message} (code {denied.code})"
        loss = Loss(message=why, denied=denied)
        if self._welcome.is_set():
            self.core.on_denied(loss)
        else:
            self.end(loss)

    def on_rhythm(self, rhythm: Rhythm) -> None:
        """The venue told how long its silence may last."""
        self._dead_after = rhythm.dead_after
        self._hurry(self._last_in + rhythm.dead_after)

    def on_goodbye(self, goodbye: Goodbye) -> None:
        """The venue said that it would close."""
        self._goodbye = goodbye
        logger.info("%s #%d: goodbye: %s", self.core.venue.name, self.number, goodbye.reason)

    def start_login(self, events: Sequence[Event]) -> None:
        """Log an open session in, in place."""
        self.login = True
        self._dispatcher.events(events)

    # -- waking the tasks ----------------------------------------------------------------------

    def _wake(self) -> None:
        """Let the send loop look again."""
        self._work = True
        task, self._idle = self._idle, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    async def _park(self) -> None:
        """Wait for the next :meth:`_wake`. (A parking lot for one costs 2 us more.)"""
        self._idle = trio.lowlevel.current_task()

        def leave(_: object) -> trio.lowlevel.Abort:
            self._idle = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)

    def _hurry(self, deadline: float) -> None:
        """Let the heartbeat wake no later than this."""
        if self._nap is not None and deadline < self._nap.deadline:
            self._nap.deadline = deadline

    def _check_pong(self, transport: Transport) -> None:
        statistics = transport.statistics()
        if statistics.pongs == self._pongs:
            return
        self._pongs = statistics.pongs
        self._pong_awaited = False
        seconds = statistics.ping_time
        if seconds is not None:
            self.core.observers.tell(lambda o: o.pong_received(self.number, seconds))
