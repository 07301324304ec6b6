"""One watched ticker: what its session knows of it."""

from __future__ import annotations

from typing import Any

import attrs

from ...protocol import Channel
from .replies import TickerSnapshot


@attrs.define(eq=False)
class Feed:
    """One watched ticker."""

    channel: Channel[Any]
    ticker: TickerSnapshot | None = None
    """``None`` until the snapshot is here."""
    early: list[TickerSnapshot] = attrs.field(factory=list)
    """What notices told before the snapshot was here."""
