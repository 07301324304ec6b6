"""The extension point: what a venue declares (:class:`Venue`) and implements (:class:`Session`).

A venue is a frozen value; a session is the protocol state of **one** connection. Neither does I/O,
reads a clock or draws randomness: frames go in, events come out, and whatever a session needs of
the world it is handed as an :class:`Env`. The client core is written once, for all venues.

The rules of the contract, each a test in the conformance kit:

* Same credentials, same :class:`Env`, same inputs: same outputs.
* ``receive`` returns a list; the session's state is consistent when it returns.
* ``send`` is called when the frame leaves, not when the caller asked: time stamps, nonces and
  signatures are made at that moment.
* ``key`` is the core's. The session carries it, translates it or drops it; ``Reply(key=None)``
  means "the one that is under way".
* One message may be several pushes. Pushes nobody wants are dropped by the core, and counted.
* Unknown messages are :class:`Ignored`, never an error. Malformed ones raise
  :class:`trioflex.RemoteProtocolError`, which ends the connection and lets the client reconnect.
  Any other exception out of a session is an :class:`trioflex.InternalError` and fatal.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

import attrs
import msgspec

from ._vocabulary.errors import RefusalKind as RefusalKind
from ._vocabulary.settings import Keepalive, Rate, Reconnect

R = TypeVar("R")
T = TypeVar("T")


class Effect(enum.Enum):
    """What a request may do to the account."""

    READ = "read"
    """Nothing. Unanswered, it is :class:`trioflex.ReplyLost`."""
    WRITE = "write"
    """It may change something. Unanswered, it is :class:`trioflex.OutcomeUnknown`."""


class Confirm(enum.Enum):
    """What makes a subscription live."""

    REPLY = "reply"
    """The reply to the request that :meth:`Session.watch` made; its value is the snapshot, or
    ``None`` where there is none."""
    FIRST_PUSH = "first push"
    """The first push, where the venue confirms nothing."""
    SENT = "sent"
    """That the frame has left."""
    IMPLICIT = "implicit"
    """Nothing has to be asked: the venue sends it anyway."""


class Correlation(enum.Enum):
    """How replies find their requests, and so how many may be under way."""

    BY_KEY = "by key"
    """Replies carry our key: any number."""
    PER_KIND = "per kind"
    """Replies name the kind of request: one of each ``Request.kind``."""
    SERIAL = "serial"
    """Replies name nothing: one in all."""


class Retry(enum.Enum):
    """What to do after a connection ended."""

    AGAIN = "again"
    """Connect again, with back-off."""
    LATER = "later"
    """Connect again, but not before ``Reconnect.later`` seconds."""
    NEVER = "never"
    """It cannot get better: the client fails."""


# -- what users hold ---------------------------------------------------------------------------


class Request(Generic[R]):
    """One question to a venue; ``R`` is the type of its reply.

    Subclasses are frozen attrs classes whose fields are the arguments. They *are* the venue's
    methods: they print, compare, can be recorded and listed.
    """

    __slots__ = ()

    effect: ClassVar[Effect] = Effect.READ
    """Whether it may change the account."""
    private: ClassVar[bool] = True
    """It needs a login; refused locally while the client is anonymous."""
    bucket: ClassVar[str] = "default"
    """The rate limit it counts against (``Venue.rates``)."""
    kind: ClassVar[str] = ""
    """Its name for ``Correlation.PER_KIND``; empty: the class name."""

    @property
    def caller_id(self) -> Hashable | None:
        """The caller's own name for what is asked (tonce, client order id), or ``None``."""
        return None


class Channel(Generic[T]):
    """A stream a venue offers; ``T`` is the type of its items.

    Subclasses are frozen, hashable attrs classes; two equal channels are the same subscription.
    """

    __slots__ = ()

    private: ClassVar[bool] = False
    """It needs a login; refused locally while the client is anonymous."""
    confirm: ClassVar[Confirm] = Confirm.REPLY
    """What makes a subscription live."""
    fold: ClassVar[Callable[[], Fold[Any]] | None] = None
    """Makes the folded state with which the core starts late joiners, or ``None``."""

    @property
    def bootstrap(self) -> Request[T] | None:
        """A request asked after every (re)subscription, whose reply is the snapshot."""
        return None


class Fold(Protocol[T]):
    """State that follows a channel: a snapshot, then one update at a time."""

    def apply(self, item: T, /) -> None:
        """Take one item, a snapshot or an update, into the state."""

    def snapshot(self) -> T | None:
        """Return the whole state as an item of the channel, ``None`` while there is none."""

    def invalidate(self) -> None:
        """Forget everything: continuity is lost."""


@runtime_checkable
class BatchFold(Fold[T], Protocol[T]):
    """A fold that can take the items of a read at once, for channels with thousands a second."""

    def apply_all(self, items: Sequence[T], /) -> None:
        """Do what :meth:`Fold.apply` would do with each item, in order; there is at least one."""


# -- what a session says -----------------------------------------------------------------------


class Transmit(msgspec.Struct, frozen=True, gc=False):
    """Send this frame, ahead of all requests."""

    frame: str

    def __repr__(self) -> str:
        # A login is such a frame, and representations end up in logs and test reports.
        return f"Transmit(<{len(self.frame)} characters>)"


class Ready(msgspec.Struct, frozen=True, gc=False):
    """Requests may be sent now; ``account`` names who is logged in, ``None`` if nobody is."""

    account: str | None = None


class Denied(msgspec.Struct, frozen=True, gc=False):
    """The login was refused."""

    code: str
    message: str
    retry: Retry = Retry.NEVER


class Reply(msgspec.Struct, frozen=True):
    """The answer to a request; ``key=None``: to the one under way."""

    key: int | None
    value: Any
    kind: str = ""
    """For ``Correlation.PER_KIND``: the kind of request that is answered."""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The venue said no to a request; ``key=None``: to the one under way."""

    key: int | None
    code: str
    message: str
    kind: RefusalKind = RefusalKind.OTHER
    request_kind: str = ""
    """For ``Correlation.PER_KIND``: the kind of request that is refused."""


class Progress(msgspec.Struct, frozen=True, gc=False):
    """A part of an answer came, and more will: the time for the reply begins anew.

    ``key=None``: of the answer to the request of that kind that is under way.
    """

    key: int | None
    request_kind: str = ""
    """For ``Correlation.PER_KIND``: the kind of request that is being answered."""


class Push(msgspec.Struct, frozen=True):
    """An item of a channel."""

    channel: Channel[Any]
    value: Any


class Pushes(msgspec.Struct, frozen=True):
    """Items of one channel, in wire order, out of one read (:class:`BatchSession`)."""

    channel: Channel[Any]
    values: list[Any]


class Interrupted(msgspec.Struct, frozen=True):
    """Continuity of one channel is lost (a hole in its sequence): subscribe anew."""

    channel: Channel[Any]
    why: str


class Rhythm(msgspec.Struct, frozen=True, gc=False):
    """The server told its heartbeat interval: longer silence than ``dead_after`` is death."""

    dead_after: float


class Goodbye(msgspec.Struct, frozen=True, gc=False):
    """The server says that it will close; ``reconnect`` tells whether to come back."""

    reason: str
    reconnect: bool


class Ignored(msgspec.Struct, frozen=True):
    """A message that means nothing to us, or an answer to nothing; counted and shown."""

    message: Any


Event: TypeAlias = (
    Transmit
    | Ready
    | Denied
    | Reply
    | Refusal
    | Progress
    | Push
    | Pushes
    | Interrupted
    | Rhythm
    | Goodbye
    | Ignored
)


@attrs.frozen(kw_only=True)
class Env:
    """All that can surprise a session: randomness and the wall clock, injected."""

    random_bytes: Callable[[int], bytes]
    """``n`` bytes from a secure source."""
    epoch_ms: Callable[[], int]
    """Milliseconds since 1970-01-01 UTC."""
    encrypt_pkcs1v15: Callable[[bytes, bytes], bytes]
    """``(public key as DER, data)`` to the RSA ciphertext; random by nature, hence here."""


class Session(Protocol):
    """The protocol state of one connection. Pure; never reused."""

    def open(self) -> list[Event]:
        """Return what is to happen as soon as the WebSocket is open."""

    def receive(self, frame: bytes) -> list[Event]:
        """Take one text frame, as UTF-8 bytes, and say what it means.

        Raises:
            trioflex.RemoteProtocolError: the frame breaks the venue's protocol.
        """

    def send(self, request: Request[Any], key: int) -> str:
        """Return the frame of a request that leaves now."""

    def watch(self, channel: Channel[Any], on: bool) -> Request[Any] | None:
        """Return the request that starts or stops a channel, ``None`` where none is needed."""

    def login(self, credentials: Any) -> list[Event] | None:
        """Log an anonymous session in; ``None``: this connection cannot, take a new one.

        ``Ready`` or ``Denied`` follows from ``receive``.
        """

    def close(self) -> list[Transmit]:
        """Return the goodbye to send before closing, if the venue has one."""


@runtime_checkable
class BatchSession(Session, Protocol):
    """A session that can take a whole read at once; worth its while for the busiest venues only.

    An event object, a list and a call for each message cost as much as cutting its frame out of the
    read. A session with this method gathers the items of each channel in one loop instead.
    """

    def receive_batch(self, frames: Iterator[bytes], out: list[Event]) -> None:
        """Do what :meth:`Session.receive` would do for each frame, in order.

        Args:
            frames: taken one by one, so that whoever asks can tell which one was at fault.
            out: the events are appended here. Items of a channel may be gathered into one
                :class:`Pushes` as long as nothing but items of channels lies between them. If a
                frame is malformed, what came before it is in here when the error is raised.

        Raises:
            trioflex.RemoteProtocolError: a frame breaks the venue's protocol.
        """


@runtime_checkable
class BundlingSession(Session, Protocol):
    """A session that can start several channels with one frame, where frames are what is counted.

    It is asked about requests of :meth:`Session.watch` that wait for the same rate limit and that
    the venue does not answer one by one (every :class:`Confirm` but ``REPLY``).
    """

    def bundle(self, requests: Sequence[Request[Any]]) -> Request[Any] | None:
        """Return one request that does what all of these do, ``None`` if there is none.

        Args:
            requests: two or more that start channels, in the order of asking; the first one may
                be a bundle that was made here.
        """


# -- what a venue declares ---------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Loss:
    """Why a connection ended, as far as anyone knows; at most one of the last four is set."""

    message: str
    """One sentence for people."""
    close_code: int | None = None
    """The peer's WebSocket close code, if it sent a Close frame."""
    close_reason: str = ""
    http_status: int | None = None
    """Status of a refused upgrade."""
    retry_after: float | None = None
    """Seconds that the peer asked to wait."""
    denied: Denied | None = None
    """The login was refused."""
    goodbye: Goodbye | None = None
    """The venue said that it would close."""
    error: BaseException | None = None
    """What was raised, if anything was."""


def _no_opinion(loss: Loss) -> Retry | None:
    return None


def _no_redaction(frame: str) -> str:
    return frame


def _no_evidence(value: Any) -> Iterable[tuple[Hashable, Any]]:
    return ()


def _no_channel_names(name: str) -> Channel[Any] | None:
    return None


def _own_bootstrap(channel: Channel[Any]) -> Request[Any] | None:
    return channel.bootstrap


@attrs.frozen(kw_only=True)
class Venue:
    """An exchange's API as declared by its module: facts, and the way to a session."""

    name: str
    """Identity, in lower case."""
    url: str
    """Default endpoint."""
    urls: Mapping[str, str] = attrs.field(factory=dict)
    """Further endpoints by name (``"staging"``)."""
    session: Callable[[Any, Env], Session]
    """``(credentials or None, env)`` to a fresh session."""
    requests: tuple[type[Request[Any]], ...] = ()
    """Every request class, for those who list them (console, documentation)."""
    channels: tuple[type[Channel[Any]], ...] = ()
    """Every channel class, for those who list them."""
    correlation: Correlation = Correlation.BY_KEY
    anonymous: bool = True
    """It can be used without credentials."""
    connect_timeout: float = 10.0
    """Seconds for TCP, TLS and the HTTP upgrade."""
    handshake_timeout: float = 10.0
    """Seconds from the open WebSocket to ready."""
    reply_timeout: float = 10.0
    """Seconds from a request's first byte to its reply."""
    subscribe_timeout: float = 5.0
    """Seconds from a subscription's frame to its confirmation."""
    send_timeout: float = 10.0
    """Seconds one write may take."""
    goodbye_timeout: float = 2.0
    """Seconds for the venue's own goodbye, within the close timeout."""
    close_timeout: float = 3.0
    """Seconds for goodbye and closing handshake together."""
    reconnect: Reconnect = attrs.field(factory=Reconnect)
    keepalive: Keepalive = attrs.field(factory=Keepalive)
    refresh: Request[Any] | None = None
    """A cheap request that changes nothing, sent where nothing was for ``refresh_after`` seconds,
    for venues that may not take Pings for activity; ``None``: none is."""
    refresh_after: float = math.inf
    """Seconds without a message of ours."""
    rates: Mapping[str, Rate] = attrs.field(factory=dict)
    """Bucket name to its limit; a bucket that is not named is unlimited."""
    max_channels: int | None = None
    """Refused locally beyond this many; ``None``: no limit known."""
    warn_channels: int | None = None
    """Warned about beyond this many."""
    max_message_bytes: int = 4 * 1024 * 1024
    """Largest message accepted."""
    max_send_bytes: int | None = None
    """Largest frame sent; refused locally beyond."""
    fatal: Callable[[Loss], Retry | None] = _no_opinion
    """What only the venue knows about a loss; ``None``: the default table decides."""
    redact: Callable[[str], str] = _no_redaction
    """A frame without its secrets, for logs and tapes."""
    evidence: Callable[[Any], Iterable[tuple[Hashable, Any]]] = _no_evidence
    """A pushed value to ``(caller_id, reply value)`` pairs that prove a request was executed."""
    bootstrap: Callable[[Channel[Any]], Request[Any] | None] = _own_bootstrap
    """What is asked after every (re)subscription of a channel, for venues where that is a setting;
    by default what the channel itself says."""
    channel_named: Callable[[str], Channel[Any] | None] = _no_channel_names
    """A channel from its name, for venues whose channels are strings."""


__all__ = [
    "BatchFold",
    "BatchSession",
    "BundlingSession",
    "Channel",
    "Confirm",
    "Correlation",
    "Denied",
    "Effect",
    "Env",
    "Event",
    "Fold",
    "Goodbye",
    "Ignored",
    "Interrupted",
    "Loss",
    "Progress",
    "Push",
    "Pushes",
    "Ready",
    "RefusalKind",
    "Refusal",
    "Reply",
    "Request",
    "Retry",
    "Rhythm",
    "Session",
    "Transmit",
    "Venue",
]
