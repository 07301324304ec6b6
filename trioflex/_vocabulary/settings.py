"""Policies: frozen values with a reason beside every default."""

from __future__ import annotations

import enum
import math

import attrs
from attrs.validators import ge, gt, optional


class Overflow(enum.Enum):
    """What happens when a receiver's buffer is full."""

    GAP = "gap"
    """Throw the backlog away, say so with ``Gap(OVERFLOW, dropped=n)`` and ``Resumed``."""
    LATEST = "latest"
    """Drop the oldest items, counted in the statistics; for state that replaces itself."""
    FAIL = "fail"
    """End this receiver with ``ReceiverOverflow``; for streams where missing one is an error."""


@attrs.frozen(kw_only=True)
class Timeouts:
    """Limits in seconds; ``None`` means the venue's own, ``math.inf`` none at all."""

    connect: float | None = attrs.field(default=None, validator=optional(gt(0)))
    """TCP, TLS and the HTTP upgrade together (10 s)."""
    handshake: float | None = attrs.field(default=None, validator=optional(gt(0)))
    """From the open WebSocket to ready, login included (10 s; MidChains 25 s)."""
    reply: float | None = attrs.field(default=None, validator=optional(gt(0)))
    """From the first byte of a request to its reply."""
    subscribe: float | None = attrs.field(default=None, validator=optional(gt(0)))
    """From a subscription's frame to its confirmation (5 s)."""
    send: float | None = attrs.field(default=None, validator=optional(gt(0)))
    """One write to the socket (10 s): a peer that does not read for longer is given up."""
    close: float | None = attrs.field(default=None, validator=optional(gt(0)))
    """Goodbye and WebSocket closing handshake together (3 s)."""


@attrs.frozen(kw_only=True)
class Reconnect:
    """When and how often to connect again; delays have full jitter."""

    enabled: bool = True
    """False: the first loss is the end (``ConnectionLost``)."""
    first: bool = False
    """Retry the very first connection too. A wrong key or URL should fail at once, hence off."""
    base: float = attrs.field(default=1.0, validator=gt(0))
    """The first retry comes within this many seconds; the bound doubles with each failure."""
    cap: float = attrs.field(default=60.0, validator=gt(0))
    """The bound grows no further than this."""
    stable_after: float = attrs.field(default=30.0, validator=ge(0))
    """Only a connection that stayed ready this long resets the bound: a venue that accepts and
    drops must not be hammered."""
    give_up_after: float | None = attrs.field(default=300.0)
    """Seconds one outage may last; ``None`` never gives up."""
    max_attempts: int | None = attrs.field(default=None)
    """Attempts in one outage; ``None``: no limit but time."""
    later: float = attrs.field(default=60.0, validator=ge(0))
    """Least delay, in seconds, where the venue said "later" (a rate-limited login)."""

    @give_up_after.validator
    def _check_patience(self, attribute: object, value: float | None) -> None:
        if value is not None and not value > 0:
            raise ValueError(f"give_up_after must be above 0 or None, not {value!r}")

    @max_attempts.validator
    def _check_attempts(self, attribute: object, value: int | None) -> None:
        if value is not None and value < 1:
            raise ValueError(f"max_attempts must be at least 1 or None, not {value!r}")

    @classmethod
    def never(cls) -> Reconnect:
        """Return the policy that treats the first loss as the end."""
        return cls(enabled=False)


@attrs.frozen(kw_only=True)
class Keepalive:
    """When silence means death. Any whole frame that was received counts as life."""

    ping_after: float = attrs.field(default=30.0, validator=gt(0))
    """Seconds without a received frame before a WebSocket Ping is sent; ``math.inf``: never."""
    pong_within: float = attrs.field(default=10.0, validator=gt(0))
    """Seconds after the Ping without any frame before the peer is believed dead."""
    dead_after: float = attrs.field(default=math.inf, validator=gt(0))
    """Seconds of silence before the peer is believed dead, Ping or not."""


@attrs.frozen
class Rate:
    """A token bucket: ``count`` requests per ``per`` seconds, at most ``burst`` at once."""

    count: float = attrs.field(validator=gt(0))
    per: float = attrs.field(default=1.0, validator=gt(0))
    burst: float | None = attrs.field(default=None, validator=optional(ge(1)))
    """``None``: as many as ``count``."""

    @property
    def capacity(self) -> float:
        """Tokens in a full bucket."""
        return self.count if self.burst is None else self.burst

    @property
    def interval(self) -> float:
        """Seconds until one token has come back."""
        return self.per / self.count
