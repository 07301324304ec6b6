"""What the core itself tells a receiver: continuity lost, continuity restored."""

from __future__ import annotations

import enum

import attrs


class GapReason(enum.Enum):
    """Why continuity was lost."""

    DISCONNECTED = "disconnected"
    """The connection ended; what happened meanwhile is unknown."""
    SEQUENCE = "sequence"
    """The venue's own numbering, or its peer, showed that something is missing."""
    OVERFLOW = "overflow"
    """This receiver was not read fast enough and its backlog was thrown away."""
    JOINED_LATE = "joined late"
    """The subscription was live before this receiver; earlier items were never its own."""
    RESUBSCRIBED = "resubscribed"
    """A fresh subscription was asked for on purpose."""
    UNANSWERED = "unanswered"
    """A poll was refused for now, not sent in time, or not answered."""


@attrs.frozen
class Gap:
    """Continuity is lost; whatever was derived from this channel is stale now.

    Every ``Gap`` is followed by exactly one :class:`Resumed` or by the end, with no item between.
    """

    reason: GapReason
    """Why."""
    dropped: int = 0
    """Items of this receiver that were thrown away (``OVERFLOW``)."""
    connection: int = 0
    """Number of the connection on which it happened, counted from 1."""


@attrs.frozen
class Resumed:
    """The channel is live again."""

    snapshot: bool
    """The next item is full state."""
    downtime: float = 0.0
    """Seconds since the gap began, on Trio's clock."""
