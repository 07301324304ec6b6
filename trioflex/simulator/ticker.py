"""A market's and an account's figures over a moving window: last, low, high, volume."""

from __future__ import annotations

from collections import deque

from .book import Book

DAY = 86_400_000_000
"""Microseconds that a ticker's low, high and volume look back ("coinflex-exchange/API
WEBSOCKET-README.md", WatchTicker)."""

MONTH = 30 * DAY
"""Microseconds that a trade volume looks back (the same text, GetTradeVolume)."""

MINUTE = 60_000_000
"""Trade volumes are added up by the minute: the window is exact to one, and a busy month needs
43,200 entries at most."""


class RollingVolume:
    """An amount that forgets what is older than a month."""

    __slots__ = ("_minutes", "total")

    def __init__(self) -> None:
        self._minutes: deque[tuple[int, int]] = deque()
        self.total: int = 0

    def add(self, time: int, amount: int) -> None:
        """Count an amount traded at a time (microseconds, never going back)."""
        minute = time // MINUTE
        if self._minutes and self._minutes[-1][0] == minute:
            self._minutes[-1] = (minute, self._minutes[-1][1] + amount)
        else:
            self._minutes.append((minute, amount))
        self.total += amount

    def expire(self, time: int) -> None:
        """Forget what has left the window at a time."""
        horizon = (time - MONTH) // MINUTE
        while self._minutes and self._minutes[0][0] < horizon:
            self.total -= self._minutes.popleft()[1]


class Ticker:
    """One market's figures, and what of them was told last."""

    __slots__ = ("_book", "_highs", "_lows", "_told", "_trades", "_volume", "last")

    def __init__(self, book: Book) -> None:
        self._book = book
        self.last: int | None = None
        self._volume = 0
        self._trades: deque[tuple[int, int]] = deque()  # time, quantity
        # Each holds the prices that can still become the extreme, the present one first.
        self._lows: deque[tuple[int, int]] = deque()  # time, price
        self._highs: deque[tuple[int, int]] = deque()
        self._told: dict[str, int | None] = self._figures()

    def trade(self, time: int, price: int, quantity: int) -> None:
        """Count a trade; ``quantity`` is 0 for one that is no volume (with oneself)."""
        self.last = price
        if quantity:
            self._trades.append((time, quantity))
            self._volume += quantity
        while self._lows and self._lows[-1][1] >= price:
            self._lows.pop()
        self._lows.append((time, price))
        while self._highs and self._highs[-1][1] <= price:
            self._highs.pop()
        self._highs.append((time, price))

    def changes(self, time: int) -> dict[str, int | None]:
        """Return the figures that differ from the ones told before, and take them for told.

        Args:
            time: now, in microseconds; trades older than a day are forgotten first.
        """
        horizon = time - DAY
        while self._trades and self._trades[0][0] < horizon:
            self._volume -= self._trades.popleft()[1]
        for extremes in (self._lows, self._highs):
            while extremes and extremes[0][0] < horizon:
                extremes.popleft()
        figures = self._figures()
        if figures == self._told:
            return {}
        changed = {name: value for name, value in figures.items() if value != self._told[name]}
        self._told = figures
        return changed

    def told(self) -> dict[str, int | None]:
        """Return all six figures as they were told last."""
        return dict(self._told)

    def _figures(self) -> dict[str, int | None]:
        return {
            "last": self.last,
            "bid": self._book.bids.best_price(),
            "ask": self._book.asks.best_price(),
            "low": self._lows[0][1] if self._lows else None,
            "high": self._highs[0][1] if self._highs else None,
            "volume": self._volume,
        }
