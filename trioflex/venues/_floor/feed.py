"""One watched ticker: what its session knows of it."""

from __future__ import annotations

from typing import Any

import attrs

from ...protocol import Channel
from .notices import TickerChanged
from .replies import TickerSnapshot


@attrs.define(eq=False)
class Feed:
    """One watched ticker."""

    channel: Channel[Any]
    ticker: TickerSnapshot | None = None
    """``None`` until the snapshot is here."""
    early: list[TickerChanged] = attrs.field(factory=list)
