"""What outlives a connection: one object that the client and its connections share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Generic, Literal, Protocol, TypeVar

import attrs
import msgspec
import trio

from .._sansio.rates import Rates
from .._sansio.registry import Registry
from .._vocabulary.settings import Keepalive, Reconnect, Timeouts
from ..protocol import Env, Loss, Venue
from .ledger import Ledger
from .observer import Counters, Observers
from .receiver import Receiver

logger = logging.getLogger("trioflex")

NEEDS_LOGIN = (
    "it needs a login, and this client is anonymous; open it with credentials, or call login()"
)
"""Why a private request, poll or channel is refused locally."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """All time limits of one client, in seconds, resolved against the venue's."""

    connect: float
    handshake: float
    reply: float
    subscribe: float
    send: float
    close: float

    @classmethod
    def resolve(cls, venue: Venue, timeouts: Timeouts | None) -> Limits:
        """Take what the caller set, and the venue's for the rest."""
        own = Timeouts() if timeouts is None else timeouts

        def pick(value: float | None, default: float) -> float:
            return default if value is None else value

        return cls(
            connect=pick(own.connect, venue.connect_timeout),
            handshake=pick(own.handshake, venue.handshake_timeout),
            reply=pick(own.reply, venue.reply_timeout),
            subscribe=pick(own.subscribe, venue.subscribe_timeout),
            send=pick(own.send, venue.send_timeout),
            close=pick(own.close, venue.close_timeout),
        )


@attrs.frozen
class Frame:
    """One frame as it went over the wire, its secrets replaced."""

    direction: Literal["<", ">"]
    """``<`` from the venue, ``>`` to it."""
    text: str
    """The frame, redacted by the venue's module."""
    connection: int
    """Number of the connection, counted from 1."""
    at: float
    """Trio's clock, in seconds."""


@attrs.frozen
class Unmatched:
    """A message that fits nothing: an answer to no question, an unknown kind."""

    message: object
    """What the venue's session made of it."""
    why: str
    """What it could not be matched to."""
    connection: int
    """Number of the connection, counted from 1."""


class Numbered(Protocol):
    """Something that happened on a connection."""

    @property
    def connection(self) -> int:
        """Number of the connection, counted from 1."""


T = TypeVar("T", bound=Numbered)


class Tap(Generic[T]):
    """A stream of the client's own, for as many receivers as like to see it."""

    def __init__(self) -> None:
        self._receivers: list[Receiver[T]] = []

    def __bool__(self) -> bool:
        return bool(self._receivers)

    def add(self, receiver: Receiver[T]) -> None:
        self._receivers.append(receiver)

    def remove(self, receiver: Receiver[T]) -> None:
        self._receivers.remove(receiver)

    def put(self, item: T) -> None:
        for receiver in self._receivers:
            receiver.comes_from(item.connection)
            receiver.put([item], None)

    def end(self, broken: BaseException | None) -> None:
        for receiver in self._receivers:
            receiver.end(broken)


@attrs.define(eq=False)
class Core:
    """The venue, the settings, and the state that outlives connections."""

    venue: Venue
    env: Env
    url: str
    """For people: without the query, which may hold secrets."""
    limits: Limits
    reconnect: Reconnect
    keepalive: Keepalive
    observers: Observers
    random: Callable[[], float]
    rates: Rates
    registry: Registry = attrs.field(
        default=attrs.Factory(lambda core: Registry(core.venue.bootstrap), takes_self=True)
    )
    ledger: Ledger = attrs.field(factory=Ledger)
    counters: Counters = attrs.field(factory=Counters)
    unmatched: Tap[Unmatched] = attrs.field(factory=Tap)
    frames: Tap[Frame] = attrs.field(factory=Tap)
    on_ready: Callable[[], None] = attrs.field(default=lambda: None)
    """The handshake is done and the request lane open."""
    on_account: Callable[[str | None], None] = attrs.field(default=lambda _: None)
    """An open session was logged in."""
    on_denied: Callable[[Loss], None] = attrs.field(default=lambda _: None)
    """Logging in an open session was refused."""

    @property
    def watched(self) -> bool:
        """Somebody wants to see single frames."""
        return bool(self.frames) or logger.isEnabledFor(logging.DEBUG)

    def show(self, direction: Literal["<", ">"], text: str, connection: int) -> None:
        """Show one frame, redacted, to those who asked for frames."""
        text = self.venue.redact(text)
        logger.debug("%s #%d %s %s", self.venue.name, connection, direction, text)
        self.frames.put(Frame(direction, text, connection, trio.current_time()))


def excerpt(core: Core, frame: Any, size: int) -> str:
    """Return the beginning of a frame, redacted, for people."""
    try:
        text = frame.decode("utf-8", "replace") if isinstance(frame, bytes) else str(frame)
    except RecursionError:
        # A decoder may go deeper than repr() does; a hostile message must not end the client.
        text = f"<{type(frame).__name__}, nested too deeply to be shown>"
    # Redacting first: a secret cut in half would not be recognised.
    return core.venue.redact(text[: 64 * 1024])[:size]
