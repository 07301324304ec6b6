"""How long to wait before connecting again, and when to give up.

The delays have full jitter: each is drawn evenly between nothing and a bound that doubles with each
failure, up to a cap. Clients that one outage threw off together therefore come back one by one.

An *outage* begins with the first failure after a stable connection, and only a connection that
stayed ready for ``stable_after`` seconds ends it. A venue that accepts and drops is thus met with
growing delays, and one bad minute with a dozen short connections is one outage.

Two clocks run in an outage. The bound grows with each failure. ``give_up_after`` measures the time
*without* a ready connection: a line that drops every twenty seconds is a nuisance, but a client
that is connected nine tenths of the time has no reason to die of it.

No attempt is planned for after the end. Where the drawn delay would pass it, one last attempt is
drawn evenly from the time that is left. It is not simply put at the end: all clients of one outage
share that instant, and would meet there. And it is one, because delays drawn again and again from
what is left would become a burst.

Rules of the file: time and randomness are handed in; nothing here sleeps.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from .._vocabulary.settings import Reconnect
from ..protocol import Retry

# An hour is the longest window in which a venue of ours counts anything (CoinFLEX: 1,000 logins an
# hour, "coinflex-exchange/API LIMITS.md"). What a peer asks beyond it is a mistake or malice, and a
# client without give_up_after must not be parked for a year by one header.
RETRY_AFTER_MAX = 3600.0


class Wait(msgspec.Struct, frozen=True):
    """Connect again after this delay."""

    seconds: float
    """At least 0."""


class GiveUp(msgspec.Struct, frozen=True):
    """Do not connect again."""

    why: str
    """One sentence for people."""


class Backoff:
    """The delays of one client, over all its connections.

    Args:
        policy: how often, how long.
        random: returns a number in [0, 1), a fresh one each time; clients must not share a
            sequence.

    Attributes:
        attempts: attempts that were made in this outage and came to nothing, the one that began it
            included; the loss of a connection that was made before the outage is none of them.
    """

    def __init__(self, policy: Reconnect, random: Callable[[], float]) -> None:
        self._policy = policy
        self._random = random
        self.attempts = 0
        self._bound = policy.base
        self._outage_began: float | None = None
        self._ready_since: float | None = None
        self._last_attempt = False

    def ready(self, now: float) -> None:
        """Note that a connection became ready."""
        self._ready_since = now

    def failed(self, now: float, retry: Retry, retry_after: float | None = None) -> Wait | GiveUp:
        """Note that an attempt failed, or that a connection that was ready was lost.

        Args:
            now: seconds on some monotonic clock.
            retry: what the classification of the loss says.
            retry_after: seconds that the peer asked to wait, if it did (HTTP ``Retry-After``);
                waited at least, up to an hour.

        Returns:
            :class:`Wait`, or :class:`GiveUp` with the reason.
        """
        self._account(now)
        policy = self._policy
        if retry is Retry.NEVER:
            return GiveUp("trying again cannot help")
        if not policy.enabled:
            return GiveUp("reconnecting is switched off")
        if policy.max_attempts is not None and self.attempts >= policy.max_attempts:
            return GiveUp(f"{self.attempts} attempts failed (the limit of max_attempts)")

        least = policy.later if retry is Retry.LATER else 0.0
        if retry_after is not None:
            least = max(least, min(retry_after, RETRY_AFTER_MAX))
        left = self._time_left(now)
        if left <= 0:
            return GiveUp(f"the outage lasted {policy.give_up_after:g} s (give_up_after)")
        if self._last_attempt:
            return GiveUp(
                f"the last attempt that fits into an outage of {policy.give_up_after:g} s "
                "(give_up_after) failed"
            )
        if least >= left:
            # Waiting to the end and not trying helps nobody; trying before `least` is what the
            # venue asked us not to do.
            return GiveUp(
                f"the next attempt is allowed in {least:g} s, past the end of an outage of "
                f"{policy.give_up_after:g} s (give_up_after)"
            )

        bound = min(self._bound, policy.cap)
        self._bound = min(self._bound * 2, policy.cap)
        seconds = least + self._random() * bound
        if seconds > left:
            self._last_attempt = True
            seconds = least + self._random() * (left - least)
        return Wait(seconds)

    def _account(self, now: float) -> None:
        """Move the books on: is this a new outage, and does it count an attempt?"""
        ready_since, self._ready_since = self._ready_since, None
        if ready_since is not None and now - ready_since >= self._policy.stable_after:
            self._outage_began = None
            self._bound = self._policy.base
            self._last_attempt = False
        if self._outage_began is None:
            self._outage_began = now
            self.attempts = 0 if ready_since is not None else 1
            return
        self.attempts += 1
        if ready_since is not None:
            self._outage_began += now - ready_since

    def _time_left(self, now: float) -> float:
        """Return how many seconds of this outage are left."""
        if self._policy.give_up_after is None or self._outage_began is None:
            return math.inf
        return self._outage_began + self._policy.give_up_after - now


__all__ = ["RETRY_AFTER_MAX", "Backoff", "GiveUp", "Wait"]
