"""Which channels are wanted, which are live, and what each receiver is to see.

Theory of operation
-------------------

One :class:`Entry` stands for one channel that at least one receiver wants. Its state says how far
the wire is (the table is in ``entry.py``; the manual's picture is drawn from it)::

    WANTED ──frame out──▶ PENDING ──confirmed──▶ LIVE
       ▲                     │ refused              │ connection ends, sequence hole
       │                     ▼                      │
       │                  REFUSED                   │
       └──────────────── INTERRUPTED ◀──────────────┘

The first receiver asks, the last one to leave stops; two receivers of one channel share the wire
and nothing else. Nobody waits in here: each method changes state, talks to the receivers through
the synchronous :class:`Subscriber` protocol, and returns what must be put on the wire.

Rules of the file:

* Everything that changes an entry's state lives here.
* A *generation* counts the attempts to make an entry live. What comes back for an older generation
  means nothing any more.
* While ``PENDING``, pushes are held (bounded) and released behind the snapshot: a venue may push
  before it has answered, and what is pushed then may or may not be in the snapshot, so venues'
  updates carry absolute values.
* Pushes that arrive before the subscription's frame has left are dropped: the snapshot, taken
  later, contains them.
* A start waits until the stop before it was answered. What was on its way when the channel was
  stopped is older than what happened between stop and start, of which nobody tells; held and
  released behind the snapshot it would undo that (an order would come back from the dead). Until
  the answer it is dropped with the rest.
* Items of one read are handed over at once. Those that come one by one are gathered per entry
  until :meth:`Registry.flush`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from .._vocabulary.errors import LOCAL, SubscriptionRefused, SubscriptionTimeout, TrioflexError
from .._vocabulary.events import Gap, GapReason, Resumed
from ..protocol import BatchFold, Channel, Confirm, Fold, Request
from .entry import Cause, Entry, Membership, State, Subscriber

HELD_LIMIT = 20_000
"""Early pushes held for one channel. A snapshot takes one round trip; the busiest feed we measured
brings some thousand messages in that time. Beyond it the subscription starts over."""


class Ask(msgspec.Struct, frozen=True):
    """Put the request that starts (or stops) this channel into the control lane."""

    entry: Entry
    generation: int
    on: bool


class Bootstrap(msgspec.Struct, frozen=True):
    """Put the channel's bootstrap request into the control lane."""

    entry: Entry
    generation: int
    request: Request[Any]


class Withdraw(msgspec.Struct, frozen=True):
    """Take the entry's queued frame out of the control lane: nobody wants it any more."""

    entry: Entry


Effect: TypeAlias = Ask | Bootstrap | Withdraw


def _own_bootstrap(channel: Channel[Any]) -> Request[Any] | None:
    return channel.bootstrap


def _follow(fold: Fold[Any]) -> Callable[[Sequence[Any]], None]:
    """Return what takes the items of a read into a fold."""
    if isinstance(fold, BatchFold):
        return fold.apply_all

    def apply_all(items: Sequence[Any]) -> None:
        for item in items:
            fold.apply(item)

    return apply_all


class Registry:
    """All wanted channels of a client; outlives its connections.

    Args:
        bootstrap: what is asked after every (re)subscription of a channel (``Venue.bootstrap``).
    """

    def __init__(
        self, bootstrap: Callable[[Channel[Any]], Request[Any] | None] = _own_bootstrap
    ) -> None:
        self._bootstrap = bootstrap
        self.entries: dict[Channel[Any], Entry] = {}
        self.dirty: list[Entry] = []
        self.deliveries: int = 0
        """Times that items were handed to the receivers of a channel."""
        self.unrouted: int = 0
        """Pushes that nobody wanted."""
        self.connection: int = 0
        self._ready = False
        # Channels whose stop was asked for and not answered yet.
        self._stopping: dict[Channel[Any], Ask] = {}

    # -- receivers come and go -----------------------------------------------------------------

    def join(self, channel: Channel[Any], subscriber: Subscriber, now: float) -> list[Effect]:
        """Add a receiver; it is started at once if the channel is live."""
        entry = self.entries.get(channel)
        if entry is None:
            make = type(channel).fold
            fold = None if make is None else make()
            entry = Entry(channel)
            if fold is not None:
                entry.fold, entry.follow, entry.snapshot = fold, _follow(fold), fold.snapshot
            entry.members.append(Membership(subscriber))
            self.entries[channel] = entry
            return self._want(entry) if self._ready else []
        member = Membership(subscriber)
        if entry.state is State.LIVE:
            self._flush_entry(entry)
            entry.members.append(member)
            member.started = True
            subscriber.comes_from(self.connection)
            snapshot = None if entry.snapshot is None else entry.snapshot()
            if snapshot is not None:
                subscriber.start([snapshot])
            else:
                # The venue sends its snapshot with the first subscription only.
                subscriber.start(
                    [Gap(GapReason.JOINED_LATE, connection=self.connection), Resumed(False)]
                )
        else:
            entry.members.append(member)
        return []

    def leave(self, channel: Channel[Any], subscriber: Subscriber) -> list[Effect]:
        """Remove a receiver; the last one takes the subscription with it."""
        entry = self.entries.get(channel)
        if entry is None:
            return []
        entry.members = [member for member in entry.members if member.subscriber is not subscriber]
        if entry.members:
            return []
        del self.entries[channel]
        state = entry.state
        entry.move(Cause.LAST_LEFT)
        entry.batch.clear()
        entry.held.clear()
        if not self._ready or state is State.INTERRUPTED:
            return []
        if state is State.WANTED:
            return [Withdraw(entry)]
        return [self.stop(entry, entry.generation)]

    # -- the connection comes and goes ---------------------------------------------------------

    def ready(self, connection: int) -> list[Effect]:
        """The session is ready: ask for everything that is wanted."""
        self.connection = connection
        self._ready = True
        effects: list[Effect] = []
        for entry in self.entries.values():
            effects += self._want(entry)
        return effects

    def lost(self, now: float) -> None:
        """The connection is gone: everything live is interrupted."""
        self.flush()
        self._ready = False
        self._stopping.clear()
        for entry in self.entries.values():
            self._interrupt(entry, GapReason.DISCONNECTED, now)
            entry.move(Cause.LOST)
            entry.queued = None

    def interrupt(self, channel: Channel[Any], reason: GapReason, now: float) -> list[Effect]:
        """Continuity of one channel is lost: stop it and start it anew."""
        entry = self.entries.get(channel)
        if entry is None or not self._ready or entry.state is State.WANTED:
            return []
        self._flush_entry(entry)
        self._interrupt(entry, reason, now)
        stop = self.stop(entry, entry.generation)
        entry.move(Cause.HOLE)
        entry.generation += 1
        return [stop, *self._start(entry)]

    # -- the wire answers ----------------------------------------------------------------------

    def sent(self, entry: Entry, generation: int, now: float) -> list[Effect]:
        """The frame that starts the channel is out (or none was needed)."""
        if entry.generation != generation or entry.state is not State.WANTED:
            return []
        entry.move(Cause.FRAME_OUT)
        entry.queued = None
        if entry.channel.confirm in (Confirm.SENT, Confirm.IMPLICIT):
            return self.confirmed(entry, generation, None, now)
        return []

    def confirmed(self, entry: Entry, generation: int, value: Any, now: float) -> list[Effect]:
        """The venue confirmed; ``value`` is its snapshot, ``None`` if it has none."""
        if entry.generation != generation or entry.state is not State.PENDING:
            return []
        request = self._bootstrap(entry.channel)
        if request is not None and value is None:
            return [Bootstrap(entry, generation, request)]
        self._go_live(entry, value, now)
        return []

    def bootstrapped(self, entry: Entry, generation: int, value: Any, now: float) -> None:
        """The bootstrap's reply is here: it is the snapshot."""
        if entry.generation == generation and entry.state is State.PENDING:
            self._go_live(entry, value, now)

    def refused(self, entry: Entry, generation: int, code: str, message: str) -> bool:
        """The venue will not serve the channel: its receivers, and nobody else, end.

        Returns:
            Whether that is news: it may be about an attempt that is over.
        """
        return self._end(
            entry,
            generation,
            lambda: SubscriptionRefused(
                f"{entry.channel!r} cannot be subscribed: {message}"
                if code == LOCAL
                else f"the venue refused {entry.channel!r}: {message} (code {code})",
                channel=entry.channel,
                code=code,
                text=message,
            ),
        )

    def timed_out(self, entry: Entry, generation: int, seconds: float) -> list[Effect]:
        """No confirmation in time."""
        if entry.generation != generation or entry.state is not State.PENDING:
            return []
        self._end(
            entry,
            generation,
            lambda: SubscriptionTimeout(
                f"the venue did not confirm {entry.channel!r} within {seconds:g} s",
                channel=entry.channel,
            ),
        )
        return [self.stop(entry, generation)]

    def stop(self, entry: Entry, generation: int) -> Ask:
        """Make the wish that the venue serves a channel no longer."""
        ask = Ask(entry, generation, on=False)
        if entry.channel.confirm is Confirm.REPLY:
            self._stopping[entry.channel] = ask
        return ask

    def stopped(self, ask: Ask) -> list[Effect]:
        """The venue answered a stop, whatever it said, or no answer will come."""
        channel = ask.entry.channel
        if self._stopping.get(channel) is not ask:
            return []
        del self._stopping[channel]
        entry = self.entries.get(channel)
        if entry is None or entry.state is not State.WANTED:
            return []
        return self._start(entry)

    def push(self, channel: Channel[Any], value: Any, now: float) -> list[Effect]:
        """Take an item; the shell calls it only where the channel is not plainly live."""
        entry = self.entries.get(channel)
        if entry is None or entry.state in (State.WANTED, State.INTERRUPTED):
            self.unrouted += 1
            return []
        if entry.state is State.LIVE:
            self._gather(entry, value)
            return []
        entry.held.append(value)
        if len(entry.held) == 1 and entry.channel.confirm is Confirm.FIRST_PUSH:
            return self.confirmed(entry, entry.generation, None, now)
        if len(entry.held) > HELD_LIMIT:
            return self.interrupt(channel, GapReason.SEQUENCE, now)
        return []

    def deliver(self, entry: Entry, items: list[Any]) -> None:
        """Hand items of a live channel to its receivers, behind those that are gathered."""
        if entry.batch:
            entry.batch.extend(items)
            return
        self.deliveries += 1
        for member in entry.members:  # to put does not run anybody: no one joins or leaves
            member.subscriber.put(items, entry.snapshot)
        if entry.follow is not None:
            entry.follow(items)

    def flush(self) -> None:
        """Hand the gathered items of the read in hand to the receivers."""
        if self.dirty:
            dirty, self.dirty = self.dirty, []
            for entry in dirty:
                self._flush_entry(entry)

    def end(self) -> list[Subscriber]:
        """Forget everything; return the receivers there were."""
        self.flush()
        members = [member for entry in self.entries.values() for member in entry.members]
        self.entries.clear()
        return [member.subscriber for member in members]

    # -- inside --------------------------------------------------------------------------------

    def _want(self, entry: Entry) -> list[Effect]:
        entry.move(Cause.READY)
        entry.generation += 1
        entry.held.clear()
        return self._start(entry)

    def _start(self, entry: Entry) -> list[Effect]:
        if entry.channel in self._stopping:
            return []
        return [Ask(entry, entry.generation, on=True)]

    def _interrupt(self, entry: Entry, reason: GapReason, now: float) -> None:
        entry.held.clear()
        if entry.fold is not None:
            entry.fold.invalidate()
        gap = Gap(reason, connection=self.connection)
        for member in entry.members:
            if member.started and member.gap_since is None:
                member.gap_since = now
                member.subscriber.gap(gap)

    def _go_live(self, entry: Entry, snapshot: Any, now: float) -> None:
        entry.move(Cause.CONFIRMED)
        first: list[Any] = [] if snapshot is None else [snapshot]
        if entry.fold is not None and snapshot is not None:
            entry.fold.apply(snapshot)
        for member in list(entry.members):
            member.subscriber.comes_from(self.connection)
            if member.started:
                since = now if member.gap_since is None else member.gap_since
                member.gap_since = None
                member.subscriber.resume(Resumed(snapshot is not None, now - since), first)
            else:
                member.started = True
                member.subscriber.start(first)
        held, entry.held = entry.held, []
        for value in held:
            self._gather(entry, value)

    def _gather(self, entry: Entry, value: Any) -> None:
        if not entry.batch:
            self.dirty.append(entry)
        entry.batch.append(value)

    def _flush_entry(self, entry: Entry) -> None:
        if entry.batch:
            batch, entry.batch = entry.batch, []
            self.deliver(entry, batch)

    def _end(self, entry: Entry, generation: int, error: Callable[[], TrioflexError]) -> bool:
        if entry.generation != generation or entry.state not in (State.WANTED, State.PENDING):
            return False
        entry.move(Cause.REFUSED)
        if self.entries.get(entry.channel) is entry:
            del self.entries[entry.channel]
        members, entry.members = entry.members, []
        for member in members:
            member.subscriber.fail(error)
        return True
