"""What the load server says: CoinFLEX messages of fixed sizes, encoded before anything is timed."""

from __future__ import annotations

import enum
import itertools
import json
import random
import struct
from collections.abc import Iterator

import attrs

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

# The venue's asset table without its odd ones (coinflex-exchange/API, SCALE.md): 66 assets, enough
# for 4,290 pairs and so for 8,580 channels.
ASSETS: dict[str, int] = {
    "XBT": 63488,
    "BCH": 63496,
    "ETH": 63520,
    "USDC": 65282,
    "USDT": 65283,
    "FLEX": 65285,
    **{
        coin + month: first + i
        for coin, first in (
            ("XBT", 51200),
            ("BCH", 51220),
            ("ETH", 51240),
            ("USDC", 51860),
            ("USDT", 51880),
        )
        for i, month in enumerate(MONTHS)
    },
}

WELCOME = b'{"nonce":"azRzAi5rm1ry/l0drnz1vw==","notice":"Welcome"}'
"""The nonce of the venue's own worked example: a load server need not be unpredictable."""


class Kind(enum.Enum):
    """What a channel carries."""

    BOOK = "WatchOrders"
    TICKER = "WatchTicker"


@attrs.frozen
class Stream:
    """One channel of the benchmark; the value of its ``kind`` is the method that watches it."""

    kind: Kind
    base: str
    counter: str

    @property
    def codes(self) -> tuple[int, int]:
        """The pair as the wire names it."""
        return ASSETS[self.base], ASSETS[self.counter]

    @property
    def watch(self) -> str:
        """The command that subscribes to it."""
        base, counter = self.codes
        return (
            f'{{"tag":1,"method":"{self.kind.value}",'
            f'"base":{base},"counter":{counter},"watch":true}}'
        )


BOOK_NOTICES = ("OrderOpened", "OrdersMatched", "OrderClosed")
TICKER_NOTICES = ("TickerChanged",)


def streams(count: int) -> list[Stream]:
    """Return the first ``count`` channels: the book and the ticker of one pair after another."""
    pairs = itertools.permutations(ASSETS, 2)
    both = (Stream(kind, base, counter) for base, counter in pairs for kind in Kind)
    chosen = list(itertools.islice(both, count))
    if len(chosen) < count:
        raise ValueError(f"There are only {len(chosen)} channels, not {count}; ask for fewer.")
    return chosen


def routes(channels: list[Stream]) -> dict[tuple[str, int, int], int]:
    """Map (notice, base, counter) to the place of the channel that it belongs to."""
    return {
        (notice, *stream.codes): place
        for place, stream in enumerate(channels)
        for notice in (BOOK_NOTICES if stream.kind is Kind.BOOK else TICKER_NOTICES)
    }


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """Return an unmasked, final WebSocket frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


def traffic(channels: list[Stream], at_least: int = 1000) -> list[bytes]:
    """Return one round of market data, the channels taking turns.

    49 % are tickers of about 209 bytes, 49 % order notices of about 150, 2 % large ones of 4 KB.
    A single channel is a book: trades, of the tickers' size, take the tickers' place. Every order
    opened in a round is closed in it, so that a client which keeps a book may be sent the same
    round again and again.
    """
    rng = random.Random(7)  # the same round in every run, so that runs can be compared
    scripts = [(_orders if s.kind is Kind.BOOK else _tickers)(rng, s) for s in channels]
    if len(channels) == 1:
        scripts.append(_trades(rng, channels[0]))
    large = itertools.cycle(_large(rng, s) for s in channels if s.kind is Kind.BOOK)
    turns = -(-at_least // (_CYCLE * len(scripts))) * _CYCLE
    payloads: list[bytes] = []
    for script in itertools.chain.from_iterable(itertools.repeat(scripts, turns)):
        payloads.append(next(script))
        if len(payloads) % 50 == 49:
            payloads.append(next(next(large)))
    return payloads


_CYCLE = 5
"""Notices in which a book's orders are opened and closed again."""

_EPOCH = 1_583_020_800_000_000
"""Microseconds; any time will do, this one is the documents'."""


def _notice(name: str, stream: Stream, **fields: object) -> bytes:
    base, counter = stream.codes
    message = {"notice": name, **fields, "base": base, "counter": counter}
    return json.dumps(message, separators=(",", ":")).encode()


def _price(rng: random.Random) -> int:
    return rng.randrange(80_000_000, 90_000_000)


def _orders(rng: random.Random, stream: Stream) -> Iterator[bytes]:
    """Two orders are opened, trade with each other and are closed."""
    while True:
        bid, ask = (rng.randrange(10**12, 10**13) for _ in range(2))
        price, quantity = _price(rng), rng.randrange(10**6, 10**7)
        time = _EPOCH + rng.randrange(10**9)
        for order, signed in ((bid, quantity), (ask, -quantity)):
            yield _notice("OrderOpened", stream, id=order, quantity=signed, price=price, time=time)
        yield _trade(stream, bid=bid, ask=ask, quantity=quantity, price=price, time=time)
        for order in (bid, ask):
            yield _notice(
                "OrderClosed", stream, id=order, quantity=0, price=price, time_closed=time + 1
            )


def _trade(stream: Stream, *, bid: int, ask: int, quantity: int, price: int, time: int) -> bytes:
    return _notice(
        "OrdersMatched",
        stream,
        bid=bid,
        ask=ask,
        quantity=quantity,
        price=price,
        total=quantity * price // 10_000,
        bid_rem=0,
        ask_rem=0,
        time=time,
        taker_side="ask",
    )


def _trades(rng: random.Random, stream: Stream) -> Iterator[bytes]:
    while True:
        yield _trade(
            stream,
            bid=rng.randrange(10**12, 10**13),
            ask=rng.randrange(10**12, 10**13),
            quantity=rng.randrange(10**6, 10**7),
            price=_price(rng),
            time=_EPOCH + rng.randrange(10**9),
        )


def _tickers(rng: random.Random, stream: Stream) -> Iterator[bytes]:
    """Whole tickers, with three fields that a client does not know and must step over."""
    while True:
        last = _price(rng)
        yield _notice(
            "TickerChanged",
            stream,
            last=last,
            bid=last - 1000,
            ask=last + 1000,
            low=last - 900_000,
            high=last + 900_000,
            volume=rng.randrange(10**9, 10**10),
            bid_size=rng.randrange(10**6, 10**7),
            ask_size=rng.randrange(10**6, 10**7),
            time=_EPOCH + rng.randrange(10**9),
        )


def _large(rng: random.Random, stream: Stream) -> Iterator[bytes]:
    """An order nobody knows is closed, with its history in a field that no client knows."""
    while True:
        history = [
            {
                "id": rng.randrange(10**12, 10**13),
                "quantity": rng.randrange(10**6, 10**7),
                "price": _price(rng),
                "time": _EPOCH + rng.randrange(10**9),
            }
            for _ in range(50)
        ]
        yield _notice(
            "OrderClosed",
            stream,
            id=rng.randrange(10**12, 10**13),
            quantity=0,
            price=_price(rng),
            history=history,
        )
