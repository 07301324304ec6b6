"""What was traded in one market of the simulated OceanEx: by the minute, as candles, over a day."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import attrs

MINUTE = 60
DAY = 86_400

BARS_KEPT = 50_000
"""Minutes with trades that are remembered: more than a month of a busy market."""


@attrs.define
class Bar:
    """The trades of some time; prices and amounts in the engine's units."""

    start: int
    """Seconds since 1970."""
    open: int
    high: int
    low: int
    close: int
    volume: int
    funds: int

    def take(self, later: Bar) -> None:
        """Add the trades of a later bar."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.funds += later.funds


def _together(start: int, bars: Iterable[Bar]) -> Bar | None:
    whole = None
    for bar in bars:
        if whole is None:
            whole = attrs.evolve(bar, start=start)
        else:
            whole.take(bar)
    return whole


class Tape:
    """The trades of one market. A time in which nothing was traded has no bar."""

    def __init__(self) -> None:
        self._bars: deque[Bar] = deque(maxlen=BARS_KEPT)

    @property
    def last(self) -> int | None:
        """The price of the latest trade."""
        return self._bars[-1].close if self._bars else None

    def trade(self, seconds: int, price: int, quantity: int, total: int) -> None:
        """Count a trade.

        Args:
            seconds: when, since 1970; never going back.
            price: of one unit.
            quantity: of the base asset.
            total: of the counter asset.
        """
        bar = Bar(seconds // MINUTE * MINUTE, price, price, price, price, quantity, total)
        if self._bars and self._bars[-1].start == bar.start:
            self._bars[-1].take(bar)
        else:
            self._bars.append(bar)

    def day(self, now: int) -> Bar | None:
        """Return the last 24 hours as one bar, right to a minute; ``None``: nothing was traded.

        Args:
            now: seconds since 1970.
        """
        start = now - DAY
        return _together(start, [bar for bar in self._bars if bar.start >= start])

    def candles(
        self, seconds: int, limit: int, since: int | None = None, until: int | None = None
    ) -> list[Bar]:
        """Return candles, oldest first; the last one may still be running.

        Args:
            seconds: length of one.
            limit: how many at most, the newest.
            since: start of the first at the earliest, in seconds since 1970.
            until: start of the last at the latest.
        """
        groups: dict[int, list[Bar]] = {}
        for bar in reversed(self._bars):
            start = bar.start // seconds * seconds
            if since is not None and start < since:
                break
            if until is not None and start > until:
                continue
            if start not in groups and len(groups) == limit:
                break
            groups.setdefault(start, []).append(bar)
        candles = [_together(start, reversed(bars)) for start, bars in reversed(groups.items())]
        return [candle for candle in candles if candle is not None]
