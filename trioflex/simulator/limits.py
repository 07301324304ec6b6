"""How often a venue lets something be done: an allowance with the stated capacity and mean rate."""

from __future__ import annotations

import attrs

MICROSECONDS = 1_000_000


def _positive(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if value < 1:
        raise ValueError(f"a limit's {attribute.name} is {value}; use a whole number from 1 on")


@attrs.frozen
class Limit:
    """So many in so many seconds."""

    count: int = attrs.field(validator=_positive)
    """How many may come at once, and how many in each period on average."""

    seconds: int = attrs.field(validator=_positive)
    """The period."""


@attrs.frozen(kw_only=True)
class Limits:
    """A venue's limits; ``None`` means that there is none."""

    authentication: Limit | None = None
    """Login attempts, per user."""

    placements: Limit | None = None
    """Orders placed, modified, cancelled and estimated, per user (per connection before login)."""

    information: Limit | None = None
    """Questions about balances, orders and trade volume, per connection."""


class Allowance:
    """What is left of one limit for one user or connection.

    The venues do not say what shape their windows have. A bucket of ``count`` that is refilled at
    the mean rate is the most lenient reading, and half a request (or a twentieth of the capacity,
    if that is more) is let through early: a client that keeps the stated numbers to the letter
    would otherwise be refused whenever the network delivers two of its messages closer together
    than it sent them.
    """

    __slots__ = ("_count", "_full_at", "_patience", "_period")

    def __init__(self, limit: Limit) -> None:
        # Times are counted in microseconds times ``count``: the interval between two requests is
        # a whole number then.
        self._count = limit.count
        self._period = limit.seconds * MICROSECONDS
        early = max(self._period // 2, self._count * self._period // 20)
        self._patience = (self._count - 1) * self._period + early
        self._full_at = 0

    def take(self, now: int) -> bool:
        """Take one request out of the allowance.

        Args:
            now: microseconds on a clock that does not go back.

        Returns:
            False if it is used up; what was refused does not count.
        """
        time = now * self._count
        start = max(self._full_at, time)
        if start - time > self._patience:
            return False
        self._full_at = start + self._period
        return True
