"""Typed models of the market data, for a peer that decodes with msgspec."""

from __future__ import annotations

import msgspec

from . import wire


class _Notice(msgspec.Struct, tag_field="notice", gc=False):
    base: int
    counter: int


class OrderOpened(_Notice, tag=True, gc=False):
    """See :mod:`benchmarks.wire`."""

    id: int
    quantity: int
    price: int
    time: int


class OrderClosed(_Notice, tag=True, gc=False):
    """See :mod:`benchmarks.wire`."""

    id: int
    quantity: int
    price: int
    time_closed: int | None = None


class OrdersMatched(_Notice, tag=True, gc=False):
    """See :mod:`benchmarks.wire`."""

    quantity: int
    price: int
    total: int
    time: int
    bid: int | None = None
    ask: int | None = None
    bid_rem: int | None = None
    ask_rem: int | None = None
    taker_side: str | None = None


class TickerChanged(_Notice, tag=True, gc=False):
    """See :mod:`benchmarks.wire`."""

    last: int | None = None
    bid: int | None = None
    ask: int | None = None
    low: int | None = None
    high: int | None = None
    volume: int | None = None


Notice = OrderOpened | OrderClosed | OrdersMatched | TickerChanged


def decoder() -> msgspec.json.Decoder[Notice]:
    """Return a decoder of all market data."""
    return msgspec.json.Decoder(Notice)


def places(channels: list[wire.Stream]) -> dict[tuple[type[Notice], int, int], int]:
    """Map (class, base, counter) to the place of the channel that it belongs to."""
    classes = {kind.__name__: kind for kind in Notice.__args__}
    return {
        (classes[notice], base, counter): place
        for (notice, base, counter), place in wire.routes(channels).items()
    }
