"""One wanted channel: how far the wire is with it, who wants it, and what it holds back.

:data:`TRANSITIONS` is the whole table of its states; ``registry.py`` explains and applies it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from .._vocabulary.errors import TrioflexError
from .._vocabulary.events import Gap, Resumed
from ..protocol import Channel, Fold


class State(enum.Enum):
    """How far the wire is with one channel."""

    WANTED = "wanted"
    """Somebody wants it; its frame waits for a connection, or in the outbox."""
    PENDING = "pending"
    """The frame is out; the confirmation, or the snapshot, is awaited."""
    LIVE = "live"
    """Items flow."""
    INTERRUPTED = "interrupted"
    """It was live or pending; there is no connection now."""
    REFUSED = "refused"
    """The venue said no, or nothing in time; the entry is gone."""
    RELEASED = "released"
    """Its last receiver has left; the entry is gone."""


class Cause(enum.Enum):
    """What moves an entry from one state to the next."""

    FRAME_OUT = "frame out"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    LOST = "connection ends"
    HOLE = "sequence hole"
    READY = "ready again"
    LAST_LEFT = "last receiver leaves"


TRANSITIONS: dict[tuple[State, Cause], State] = {
    (State.WANTED, Cause.FRAME_OUT): State.PENDING,
    (State.WANTED, Cause.REFUSED): State.REFUSED,
    (State.WANTED, Cause.LOST): State.INTERRUPTED,
    (State.WANTED, Cause.LAST_LEFT): State.RELEASED,
    (State.WANTED, Cause.HOLE): State.WANTED,
    (State.PENDING, Cause.CONFIRMED): State.LIVE,
    (State.PENDING, Cause.REFUSED): State.REFUSED,
    (State.PENDING, Cause.LOST): State.INTERRUPTED,
    (State.PENDING, Cause.HOLE): State.WANTED,
    (State.PENDING, Cause.LAST_LEFT): State.RELEASED,
    (State.LIVE, Cause.LOST): State.INTERRUPTED,
    (State.LIVE, Cause.HOLE): State.WANTED,
    (State.LIVE, Cause.LAST_LEFT): State.RELEASED,
    (State.INTERRUPTED, Cause.READY): State.WANTED,
    (State.INTERRUPTED, Cause.LAST_LEFT): State.RELEASED,
    (State.INTERRUPTED, Cause.LOST): State.INTERRUPTED,
}


class Subscriber(Protocol):
    """A receiver, as far as the registry knows it. Nothing here waits."""

    def comes_from(self, connection: int) -> None:
        """What follows comes from the connection of this number."""

    def start(self, items: Sequence[Any]) -> None:
        """Go live for the first time, with these items first."""

    def put(self, items: list[Any], state: Callable[[], Any] | None) -> None:
        """Take the items of one read; ``state`` gives a snapshot of what was before them."""

    def gap(self, gap: Gap) -> None:
        """Continuity is lost."""

    def resume(self, resumed: Resumed, items: Sequence[Any]) -> None:
        """Continuity is restored, with these items first."""

    def fail(self, error: Callable[[], TrioflexError]) -> None:
        """End with this error; each raise makes a fresh one."""

    def end(self, broken: BaseException | None) -> None:
        """The client is over; ``broken`` is its failure, if it failed."""


class Membership(msgspec.Struct, eq=False):
    """One receiver's place in an entry."""

    subscriber: Subscriber
    started: bool = False
    """It has been live at least once."""
    gap_since: float | None = None
    """When the gap it is in began; ``None``: it is in none."""


class Entry(msgspec.Struct, eq=False):
    """One wanted channel."""

    channel: Channel[Any]
    state: State = State.INTERRUPTED
    members: list[Membership] = msgspec.field(default_factory=list)
    generation: int = 0
    held: list[Any] = msgspec.field(default_factory=list)
    batch: list[Any] = msgspec.field(default_factory=list)
    """Items of the read in hand."""
    fold: Fold[Any] | None = None
    follow: Callable[[Sequence[Any]], None] | None = None
    """What the fold does with the items of a read, if there is a fold."""
    snapshot: Callable[[], Any] | None = None
    """What the fold says of all items until now, if there is a fold."""
    queued: int | None = None
    """The outbox's handle of the frame that waits there; the shell's to set."""

    def move(self, cause: Cause) -> None:
        self.state = TRANSITIONS[self.state, cause]
