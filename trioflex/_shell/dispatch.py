"""The way in of one connection: from frames to tickets and receivers, without an ``await``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import Any, Protocol

import trio

from .._sansio.entry import State
from .._sansio.registry import Ask, Bootstrap
from .._vocabulary.errors import RemoteProtocolError
from .._vocabulary.events import GapReason
from ..protocol import (
    BatchSession,
    Channel,
    Correlation,
    Denied,
    Event,
    Goodbye,
    Ignored,
    Interrupted,
    Progress,
    Push,
    Pushes,
    Ready,
    Refusal,
    Reply,
    Rhythm,
    Session,
    Transmit,
)
from .core import Core, Unmatched, excerpt
from .observer import EXCERPT
from .sending import Owner, Sender
from .ticket import Ticket

logger = logging.getLogger("trioflex")


class Life(Protocol):
    """What a session says about the connection itself."""

    def on_ready(self, ready: Ready) -> None:
        """Requests may be sent, or an open session was logged in."""

    def on_denied(self, denied: Denied) -> None:
        """The login was refused."""

    def on_rhythm(self, rhythm: Rhythm) -> None:
        """The venue told how long its silence may last."""

    def on_goodbye(self, goodbye: Goodbye) -> None:
        """The venue said that it would close."""


class Dispatcher:
    """Everything of a connection that points inwards."""

    def __init__(
        self, core: Core, session: Session, sender: Sender, life: Life, number: int
    ) -> None:
        self._core = core
        self._session = session
        self._sender = sender
        self._life = life
        self._number = number
        self._batch_session = session if isinstance(session, BatchSession) else None
        self._wake_on_answer = core.venue.correlation is not Correlation.BY_KEY

    def frames(self, frames: Sequence[bytes]) -> None:
        """Hand over everything that one read brought.

        Raises:
            RemoteProtocolError: a frame broke the protocol; what came before it was handed over.
        """
        core = self._core
        if core.watched:
            for frame in frames:
                core.show("<", frame.decode("utf-8", "replace"), self._number)
        remaining = iter(frames)
        try:
            if self._batch_session is None or len(frames) == 1:
                self._one_by_one(remaining)
            else:
                self._at_once(self._batch_session, remaining)
        except RemoteProtocolError as exc:
            error, at_fault = exc, frames[len(frames) - length_hint(remaining) - 1]
            text = excerpt(core, at_fault, EXCERPT)
            core.counters.malformed += 1
            core.observers.tell(lambda o: o.malformed(self._number, text, error))
            raise
        finally:
            core.registry.flush()

    def _one_by_one(self, frames: Iterator[bytes]) -> None:
        core, receive = self._core, self._session.receive
        registry, counters = core.registry, core.counters
        entries = registry.entries
        live = State.LIVE
        for frame in frames:
            for event in receive(frame):
                if type(event) is not Push:
                    self._handle(event)
                    continue
                counters.pushes += 1
                channel = event.channel
                if channel.private and core.ledger.curious:
                    self._weigh(event.value)
                entry = entries.get(channel)
                if entry is not None and entry.state is live:
                    batch = entry.batch
                    if not batch:
                        registry.dirty.append(entry)
                    batch.append(event.value)
                else:
                    self._push(channel, event.value)

    def _at_once(self, session: BatchSession, frames: Iterator[bytes]) -> None:
        core = self._core
        registry, ledger, counters = core.registry, core.ledger, core.counters
        entries, live, deliver = registry.entries, State.LIVE, registry.deliver
        events: list[Event] = []
        try:
            session.receive_batch(frames, events)
        finally:
            for event in events:
                if type(event) is not Pushes:
                    self._handle(event)
                    continue
                # Nearly always; the rest of the cases is in _pushes.
                channel, values = event.channel, event.values
                entry = entries.get(channel)
                if (
                    entry is not None
                    and entry.state is live
                    and not (ledger.curious and channel.private)
                ):
                    counters.pushes += len(values)
                    deliver(entry, values)
                else:
                    self._pushes(channel, values)

    def _pushes(self, channel: Channel[Any], values: list[Any]) -> None:
        """Hand over items of one channel that one read brought."""
        core = self._core
        registry = core.registry
        core.counters.pushes += len(values)
        if channel.private and core.ledger.curious:
            for value in values:
                self._weigh(value)
        entry = registry.entries.get(channel)
        if entry is None or entry.state is not State.LIVE:
            for value in values:
                self._push(channel, value)
        else:
            registry.deliver(entry, values)

    def events(self, events: Sequence[Event]) -> None:
        """Hand over what the session says without having received anything."""
        for event in events:
            self._handle(event)
        self._core.registry.flush()

    def _push(self, channel: Channel[Any], value: Any) -> None:
        """Hand over an item of a channel that is not plainly live."""
        self._sender.apply(self._core.registry.push(channel, value, trio.current_time()))

    def _weigh(self, value: Any) -> None:
        """Look whether a value proves that some request was executed."""
        ledger = self._core.ledger
        for caller_id, proven in self._core.venue.evidence(value):
            ledger.prove(caller_id, proven)

    def _handle(self, event: Event) -> None:
        core, life = self._core, self._life
        match event:
            case Reply(key, value, kind):
                self._answer(event, key, kind, value)
            case Refusal(key=key, request_kind=kind):
                self._answer(event, key, kind, event)
            case Transmit(frame):
                self._sender.transmit(frame)
            case Progress(key, kind):
                if not self._sender.extend(key, kind):
                    why = "it is a part of an answer to nothing that was asked"
                    core.unmatched.put(Unmatched(event, why, self._number))
            case Push(channel, value):
                self._pushes(channel, [value])
            case Pushes(channel, values):
                self._pushes(channel, values)
            case Ignored(message):
                core.counters.ignored += 1
                text = excerpt(core, message, EXCERPT)
                core.observers.tell(lambda o: o.ignored(self._number, text))
                core.unmatched.put(Unmatched(message, "it means nothing here", self._number))
            case Ready():
                life.on_ready(event)
            case Denied():
                life.on_denied(event)
            case Interrupted(channel, why):
                logger.info("%s #%d: %r: %s", core.venue.name, self._number, channel, why)
                now = trio.current_time()
                self._sender.apply(core.registry.interrupt(channel, GapReason.SEQUENCE, now))
            case Rhythm():
                life.on_rhythm(event)
            case Goodbye():
                life.on_goodbye(event)

    def _answer(self, event: Reply | Refusal, key: int | None, kind: str, shown: Any) -> None:
        """Find whose answer it is, and hand it over."""
        counters, correlator = self._core.counters, self._sender.correlator
        late = correlator.late
        owner = correlator.finish(key, kind)
        if owner is None:
            counters.orphans += 1
            why = f"it answers nothing that was asked (key {key})"
            self._core.unmatched.put(Unmatched(shown, why, self._number))
            return
        counters.late_replies += correlator.late - late
        if isinstance(event, Reply):
            counters.replies += 1
            self._replied(owner, event.value)
        else:
            counters.refusals += 1
            self._refused(owner, event)
        if self._wake_on_answer:
            self._sender.look_again()

    def _replied(self, owner: Owner, value: Any) -> None:
        core = self._core
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
            confirmed = core.registry.confirmed(owner.entry, owner.generation, value, now)
            self._sender.apply(confirmed)
        else:
            self._sender.apply(core.registry.stopped(owner))

    def _refused(self, owner: Owner, refusal: Refusal) -> None:
        core = self._core
        code, message = refusal.code, refusal.message
        if isinstance(owner, Ticket):
            if owner._refuse(code, message, refusal.kind):
                core.ledger.over(owner)
        elif isinstance(owner, Ask) and not owner.on:
            logger.info("%r was not unsubscribed: %s", owner.entry.channel, message)
            self._sender.apply(core.registry.stopped(owner))
        else:
            entry, generation = owner.entry, owner.generation
            current = core.registry.refused(entry, generation, code, message)
            if current and isinstance(owner, Bootstrap):
                self._sender.apply([core.registry.stop(entry, generation)])
