"""Hooks into a client's life, and the records its statistics are told in."""

from __future__ import annotations

import logging
from collections.abc import Callable

import attrs
import msgspec

from .transport import TransportStatistics

logger = logging.getLogger("trioflex")

EXCERPT = 1024
"""Characters of a frame shown to an observer: enough to recognise it, too few to fill a log."""


class Observer:
    """Override what you want to see; every method does nothing by itself.

    The methods are synchronous and run inside the client's tasks, so they must be quick. They tell
    of the life of connections and of what went wrong, never of single messages. One that raises is
    removed and logged, as Trio does with its instruments.
    """

    def connecting(self, connection: int, url: str) -> None:
        """An attempt begins; ``connection`` counts them from 1."""

    def connected(self, connection: int, seconds: float) -> None:
        """The WebSocket is open, after ``seconds``; the handshake follows."""

    def ready(self, connection: int, account: str | None, seconds: float) -> None:
        """Requests may be sent, ``seconds`` after the attempt began."""

    def disconnected(self, connection: int, reason: str, code: int | None) -> None:
        """The connection, or the attempt, is over."""

    def retrying(self, attempts: int, delay: float) -> None:
        """The next attempt comes in ``delay`` seconds."""

    def failed(self, error: BaseException) -> None:
        """The client failed for good."""

    def ping_sent(self, connection: int) -> None:
        """A heartbeat left."""

    def pong_received(self, connection: int, seconds: float) -> None:
        """It was answered after ``seconds``."""

    def ignored(self, connection: int, excerpt: str) -> None:
        """A message meant nothing to the venue's session, or answered nothing."""

    def malformed(self, connection: int, excerpt: str, error: BaseException) -> None:
        """A message broke the venue's protocol; the connection ends."""


class Observers:
    """The observer of a client, held at arm's length."""

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer

    def tell(self, notify: Callable[[Observer], None]) -> None:
        """Call the observer; remove it if it raises."""
        if self._observer is None:
            return
        try:
            notify(self._observer)
        except Exception:  # an observer must not end the client; the traceback is logged
            logger.exception("the observer %r raised and was removed", self._observer)
            self._observer = None


class Counters(msgspec.Struct):
    """What a client counts over all its connections."""

    attempts: int = 0
    connections: int = 0
    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0
    pings: int = 0
    pongs: int = 0
    pushes: int = 0
    requests: int = 0
    replies: int = 0
    refusals: int = 0
    late_replies: int = 0
    orphans: int = 0
    ignored: int = 0
    malformed: int = 0
    outcome_unknown: int = 0
    evidence: int = 0
    queue_peak: int = 0
    ping_time: float | None = None

    def add(self, statistics: TransportStatistics) -> None:
        """Add what an ended connection carried."""
        self.messages_in += statistics.messages_in
        self.bytes_in += statistics.bytes_in
        self.messages_out += statistics.messages_out
        self.bytes_out += statistics.bytes_out
        self.pings += statistics.pings
        self.pongs += statistics.pongs
        if statistics.ping_time is not None:
            self.ping_time = statistics.ping_time


@attrs.frozen(kw_only=True)
class ClientStatistics:
    """What a client did until now, over all its connections."""

    attempts: int
    """Attempts to connect."""
    connections: int
    """Connections that became ready."""
    messages_in: int
    """Whole text messages received."""
    bytes_in: int
    """Bytes received, framing included."""
    messages_out: int
    """Messages sent."""
    bytes_out: int
    """Bytes sent, framing included."""
    pings: int
    """Heartbeats sent."""
    pongs: int
    """Heartbeats answered."""
    ping_time: float | None
    """Seconds the newest answered heartbeat took."""
    pushes: int
    """Items of channels, wanted or not."""
    unrouted: int
    """Items of channels that nobody wanted."""
    requests: int
    """Requests that were sent, subscriptions included."""
    replies: int
    """Replies that found their request."""
    refusals: int
    """Refusals that found their request."""
    late_replies: int
    """Of those, the ones that came after the reply timeout."""
    orphans: int
    """Answers to nothing."""
    ignored: int
    """Messages that meant nothing to the venue's session."""
    malformed: int
    """Messages that broke the venue's protocol."""
    outcome_unknown: int
    """Times a WRITE went unanswered."""
    evidence: int
    """Unknown outcomes settled by a push."""
    queued: int
    """Requests that wait to be sent, in the queue of 64 or in line before it."""
    queue_peak: int
    """Most requests that ever waited."""
    in_flight: int
    """Requests that wait for their answer."""
    unsettled: int
    """WRITE requests whose outcome nobody has learned."""
    channels: int
    """Channels that are wanted."""
    receivers: int
    """Receivers that want them."""
