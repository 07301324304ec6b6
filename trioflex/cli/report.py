"""What a live command reports, as values; how they look is decided elsewhere."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Protocol, TypeAlias

import attrs

Level: TypeAlias = tuple[Decimal, Decimal]
"""Price and quantity."""


@attrs.frozen(kw_only=True)
class Report:
    """One thing that happened."""

    event: ClassVar[str]
    """Its name in JSON."""
    at: float
    """Seconds since the command started, on Trio's clock."""


@attrs.frozen(kw_only=True)
class Connected(Report):
    """The client is ready, for the first time or again."""

    event = "connected"
    venue: str
    market: str
    account: str | None
    connection: int


@attrs.frozen(kw_only=True)
class Book(Report):
    """The best levels of a book that is valid, best first."""

    event = "book"
    market: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@attrs.frozen(kw_only=True)
class Ticker(Report):
    """A market in one line."""

    event = "ticker"
    market: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    low: Decimal | None
    high: Decimal | None
    volume: Decimal


@attrs.frozen(kw_only=True)
class Balance(Report):
    """What is available of one asset."""

    event = "balance"
    asset: str
    available: Decimal


@attrs.frozen(kw_only=True)
class Order(Report):
    """What is known of an own order now."""

    event = "order"
    tonce: int
    side: str
    quantity: Decimal
    """What it asked for at first."""
    remaining: Decimal
    price: Decimal
    state: str
    """``sent``, ``open``, ``closed``, ``refused``, ``not sent`` or ``unknown``."""
    order_id: int | None = None
    note: str = ""
    """Why, where there is something to say."""


@attrs.frozen(kw_only=True)
class Fill(Report):
    """An own order traded."""

    event = "fill"
    order_id: int
    side: str
    quantity: Decimal
    price: Decimal


@attrs.frozen(kw_only=True)
class GapReport(Report):
    """Continuity of a channel was lost."""

    event = "gap"
    channel: str
    reason: str
    connection: int
    dropped: int = 0
    """Items that were thrown away because they were not shown fast enough."""


@attrs.frozen(kw_only=True)
class ResumedReport(Report):
    """... and restored."""

    event = "resumed"
    channel: str
    snapshot: bool
    downtime: float


@attrs.frozen(kw_only=True)
class Disconnected(Report):
    """A connection, or the attempt at one, is over."""

    event = "disconnected"
    connection: int
    reason: str


@attrs.frozen(kw_only=True)
class Retrying(Report):
    """The next attempt to connect comes soon."""

    event = "retrying"
    delay: float
    """Seconds until then."""


@attrs.frozen(kw_only=True)
class Trade(Report):
    """Two orders of others, or of ours, traded."""

    event = "trade"
    market: str
    price: Decimal
    quantity: Decimal
    side: str | None
    """``buy`` or ``sell``: what the one did who came second; ``None`` where nobody tells."""


@attrs.frozen(kw_only=True)
class Item(Report):
    """Something on a channel that has no picture of its own."""

    event = "item"
    channel: str
    kind: str
    """The name of its class."""
    value: Any
    """What it says, as what JSON can hold."""


@attrs.frozen(kw_only=True)
class Summary(Report):
    """What all of it came to."""

    event = "summary"
    seconds: float
    connections: int
    book_updates: int
    tickers: int
    orders: int
    fills: int
    gaps: int
    resumed: int
    downtime: float
    """Seconds without a valid book."""
    recovered: int
    """Orders whose fate was unknown after the disconnect, and is known now."""
    unsettled: int
    """Orders whose fate nobody knows."""


class Audience(Protocol):
    """Whoever is shown the reports."""

    def show(self, report: Report) -> None:
        """Take one report; quick and synchronous."""


def as_json(report: Report) -> dict[str, Any]:
    """
    Return a report as what JSON can hold: an ``event`` key, and decimals as text.

    Text, because a JSON number becomes a binary float in most programs that read it.
    """
    return {"event": report.event} | attrs.asdict(report, value_serializer=_plain)


def _plain(_: object, __: object, value: Any) -> Any:
    if isinstance(value, Decimal):
        return text(value)
    if isinstance(value, float):
        return round(value, 3)
    return value


def text(number: Decimal | None) -> str:
    """Return a decimal without an exponent and without zeros that say nothing."""
    if number is None:
        return "-"
    shown = f"{number:f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
