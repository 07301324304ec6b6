"""Rate limits of a venue, kept on our side so that the venue need not refuse.

A limit without a burst ("10 per 10 s") is kept as a *sliding window*: no window of ``per`` seconds,
wherever it is laid, holds more than ``count`` requests. A venue may count in fixed windows, in a
sliding one, or with a bucket that holds ``count`` and refills evenly; the documents rarely say. The
sliding window passes under all three. (A bucket of our own would not: ``count`` at once and as many
again while the window lasts are 2 x ``count`` in one window of the venue's.)

A limit with a burst names a *token bucket*, so it is kept as one.

Rules of the file: one :class:`Rates` belongs to a client and outlives its connections, because the
venue counts the account, not the socket. Nothing is remembered but what the limit needs, at most
``count`` times a bucket. A ready time that was handed out is exact: asked again at that very
instant, the answer is "now".
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from .._vocabulary.settings import Rate

# Requests arrive at the venue with other distances than we send them: what was sent first may be
# held up on the way, and then the last of one window and the first of the next arrive too close.
# A tenth of a second covers the delay variation of an ordinary path; more than a twentieth of a
# short window would cost throughput (200/s becomes 190/s) for little.
JITTER_SECONDS = 0.1
JITTER_FRACTION = 0.05


def jitter(rate: Rate) -> float:
    """Return the seconds by which requests may bunch on the way without a limit being broken."""
    return min(JITTER_SECONDS, JITTER_FRACTION * rate.per)


class _Limit(Protocol):
    def ready_at(self, now: float) -> float: ...

    def take(self, now: float) -> None: ...


class _Window:
    """At most a whole number of requests in any window."""

    def __init__(self, rate: Rate) -> None:
        # 2.5 per second is kept as 2 in any second, the only reading that no window of the venue's
        # can contradict; less than one per window is one per longer window.
        count = max(1, math.floor(rate.count))
        self._length = max(rate.per, rate.interval) + jitter(rate)
        self._count = count
        # Made with the first request: an empty deque takes 760 bytes, and most clients watch.
        self._sent: deque[float] | None = None

    def ready_at(self, now: float) -> float:
        if self._sent is None or len(self._sent) < self._count:
            return now
        return self._sent[0] + self._length

    def take(self, now: float) -> None:
        if self._sent is None:
            self._sent = deque(maxlen=self._count)
        self._sent.append(now)


class _Bucket:
    """A token bucket, written as the time at which it would be full again.

    The usual form, a number of tokens topped up at each look, adds rounding at each look; a point
    in time is exact however often it is looked at.
    """

    def __init__(self, rate: Rate) -> None:
        self._interval = rate.interval
        # With all but one token gone, this much time is missing to a full bucket. Jitter on the
        # way makes our last request of a burst look early to the venue, by at most that much.
        self._allowed = (rate.capacity - 1) * rate.interval - jitter(rate)
        self._full_at = -math.inf

    def ready_at(self, now: float) -> float:
        return self._full_at - self._allowed

    def take(self, now: float) -> None:
        self._full_at = max(self._full_at, now) + self._interval


class Rates:
    """All limits of one client.

    Args:
        rates: bucket name to its limit; a bucket that is not named is unlimited.
    """

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        self._limits: dict[str, _Limit] = {
            bucket: _Window(rate) if rate.burst is None else _Bucket(rate)
            for bucket, rate in rates.items()
        }

    def ready_at(self, bucket: str, now: float) -> float:
        """Return when the next request of a bucket may go: at most ``now`` means now.

        The answer holds until somebody takes from the bucket.
        """
        limit = self._limits.get(bucket)
        return now if limit is None else limit.ready_at(now)

    def take(self, bucket: str, now: float) -> None:
        """Count one request that goes now (even one that should have waited)."""
        limit = self._limits.get(bucket)
        if limit is not None:
            limit.take(now)


__all__ = ["JITTER_FRACTION", "JITTER_SECONDS", "Rates", "jitter"]
