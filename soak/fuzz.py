"""Damaged messages for every venue's models: what comes out is events, or the venue's own error.

``python -m soak.fuzz --cases 1000000`` does a million, drawn from one seed. Sessions are recorded
in a talk with the simulated exchange; each case damages one of its frames and gives it to a session
that is where that frame came, so that requests are under way and channels are open.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

import attrs
import trio
from trio.testing import MockClock

from trioflex import Refused, RemoteProtocolError, find_venue, open_client
from trioflex.protocol import Channel, Event, Session, Venue
from trioflex.simulator import SimulatedExchange
from trioflex.testing.session_log import SessionLog, recorder

from . import quiet
from .talks import TALKS

EVENTS: tuple[type, ...] = Event.__args__

SLOW = 0.05
"""Seconds of processor time that one message may cost at most."""

LONGEST = 4_000
"""Characters of an error: an excerpt of a frame, not the frame."""

LIVES = 10
"""Cases for which one session is used: to log in anew for each would take hours. What a session
does after an error is nothing that its connection would live to see, but a crash is a crash."""

NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 1.5, -0.0, 1e-9, 1e300)
TEXTS = ("", "0", "-1", "1e500", "NaN", "OK", "success", "\x00", "é\ud800", "x" * 300, "azRz==")


@attrs.frozen
class Case:
    """One damaged frame, and what came of it if that was wrong."""

    venue: str
    number: int
    frame: bytes
    wrong: str

    def __str__(self) -> str:
        return f"{self.venue}, case {self.number}: {self.wrong}\n    {self.frame[:500]!r}"


def record(venue: Venue) -> list[SessionLog]:
    """Play everything that a venue can be asked at its simulated exchange; return its sessions."""
    module, options, talk = TALKS[venue.name]
    logs: list[SessionLog] = []
    exchange = SimulatedExchange(venue.name, seed=1, **options)
    recorded = attrs.evolve(venue, session=recorder(venue.session, logs))

    async def play() -> None:
        async with (
            open_client(
                recorded,
                credentials=module.Credentials.from_env(exchange.model.credentials()),
                connector=exchange.connector,
                env=exchange.env,
            ) as client,
            AsyncExitStack() as channels,
        ):
            for item in talk:
                if isinstance(item, Channel):
                    await channels.enter_async_context(client.subscribe(item))
                    continue
                with suppress(Refused):  # a refusal is a message, too
                    await client.request(item)
                exchange.trade(10)
                await trio.sleep(1)

    trio.run(play, clock=MockClock(autojump_threshold=0))
    return logs


# -- damage --------------------------------------------------------------------------------------


def value(chance: random.Random, depth: int = 0) -> Any:
    """Draw a JSON value, of any kind."""
    match chance.randrange(9 if depth < 3 else 6):
        case 0:
            return None
        case 1:
            return chance.random() < 0.5
        case 2 | 3:
            return chance.choice(NUMBERS)
        case 4 | 5:
            return chance.choice(TEXTS)
        case 6:
            return [value(chance, depth + 1) for _ in range(chance.randrange(3))]
        case _:
            names = ("id", "tag", "type", "data", "notice", "op", "price", "x")
            return {
                chance.choice(names): value(chance, depth + 1) for _ in range(chance.randrange(4))
            }


def places(message: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Yield every container and key in a message."""
    if isinstance(message, dict):
        keys: list[Any] = list(message)
    elif isinstance(message, list):
        keys = list(range(min(len(message), 5)))
    else:
        return
    for key in keys:
        yield message, key
        if depth < 5:
            yield from places(message[key], depth + 1)


def other_fields(chance: random.Random, frame: bytes) -> bytes:
    """Replace, remove, add and double fields at any depth."""
    message = json.loads(frame)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        found = list(places(message))
        if not found:
            return json.dumps(value(chance)).encode()
        container, key = chance.choice(found)
        match chance.randrange(6):
            case 0:
                del container[key]
            case 1 if isinstance(container, dict):
                container[chance.choice(("new", "error_code", "result", "code"))] = value(chance)
            case 2:
                other, name = chance.choice(found)
                container[key] = other.get(name) if isinstance(other, dict) else other[name]
                # A message that holds itself has no text.
                return _text(message, frame)
            case _:
                container[key] = value(chance)
    return _text(message, frame)


def _text(message: Any, otherwise: bytes) -> bytes:
    try:
        return json.dumps(message).encode()
    except ValueError:
        return otherwise


def other_bytes(chance: random.Random, frame: bytes) -> bytes:
    """Cut, replace, insert and repeat bytes."""
    damaged = bytearray(frame)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(damaged) + 1)
        match chance.randrange(5):
            case 0:
                del damaged[at:]
            case 1:
                damaged[at : at + 1] = chance.randbytes(chance.randrange(3))
            case 2:
                damaged[at:at] = chance.choice((b'"', b"\\", b"{", b"[", b"\xff", b"\\ud800", b","))
            case 3:
                damaged[at:at] = damaged[:at]
            case 4:
                damaged[at : at + 4] = chance.choice((b"NaN", b"1e999", b"9" * 400, b"[" * 400))
    return bytes(damaged)


def damaged(chance: random.Random, frame: bytes) -> bytes:
    """Return another frame, made of one that was good."""
    match chance.randrange(20):
        case 0:
            return chance.randbytes(chance.randrange(60))
        case 1:
            return json.dumps(value(chance)).encode()
        case n if n < 13:
            return other_fields(chance, frame)
        case _:
            return other_bytes(chance, frame)


# -- judgement -----------------------------------------------------------------------------------


class Fuzzer:
    """Fuzzes one venue.

    Args:
        name: of the venue.
        seed: of everything that is drawn.
    """

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0
        self._chance = random.Random(f"{name} {seed}")
        self._venue = find_venue(name)
        self._logs = record(self._venue)
        self._points = [
            (log, index)
            for log in self._logs
            for index, call in enumerate(log.calls)
            if call.method == "receive"
        ]

    def run(self, cases: int) -> Iterator[Case]:
        """Try so many; yield those that went wrong."""
        session: Session | None = None
        log, index, left = self._logs[0], 0, 0
        for number in range(cases):
            fresh = not left or session is None
            if not left or session is None:
                log, index = self._chance.choice(self._points)
                session = log.at(self._venue, index)
                left = LIVES
            left -= 1
            # The frame that is due, or any other.
            due = fresh or self._chance.random() < 0.5
            from_log, at = (log, index) if due else self._chance.choice(self._points)
            frame = damaged(self._chance, from_log.calls[at].frame)
            wrong = self._try(session, frame)
            if wrong is not None:
                session = None
                yield Case(self.name, number, frame, wrong)

    def _try(self, session: Session, frame: bytes) -> str | None:
        """Give a session a frame; say what is wrong with what it does."""
        began = time.process_time()
        try:
            events = session.receive(frame)
        except RemoteProtocolError as exc:
            self.outcomes["errors"] += 1
            if len(str(exc)) > LONGEST:
                return f"an error of {len(str(exc))} characters"
        except Exception as exc:  # which errors come out is what is being tried
            return f"{type(exc).__name__}: {str(exc)[:200]}"
        else:
            self.outcomes["events"] += 1
            if not isinstance(events, list) or not all(isinstance(e, EVENTS) for e in events):
                return f"receive() returned {str(events)[:200]}"
        took = time.process_time() - began
        if took > SLOW:
            # A collection of garbage may have come between; the message itself is slow each time.
            took = min(took, *(_seconds(session, frame) for _ in range(3)))
        self.slowest = max(self.slowest, took)
        return f"took {took:.3f} s of processor time" if took > SLOW else None


def _seconds(session: Session, frame: bytes) -> float:
    began = time.process_time()
    with suppress(RemoteProtocolError):
        session.receive(frame)
    return time.process_time() - began


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz all venues; return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m soak.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000, help="over all venues (1000000)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (0)")
    parser.add_argument("--venue", action="append", choices=sorted(TALKS), help="(all)")
    options = parser.parse_args(arguments)
    venues = options.venue or sorted(TALKS)
    wrong = 0
    with quiet():
        for name in venues:
            began = time.monotonic()
            fuzzer = Fuzzer(name, options.seed)
            for case in fuzzer.run(options.cases // len(venues)):
                wrong += 1
                if wrong <= 20:
                    print(case, flush=True)
            outcomes = ", ".join(f"{n} {what}" for what, n in sorted(fuzzer.outcomes.items()))
            print(
                f"{name}: {options.cases // len(venues)} cases in {time.monotonic() - began:.0f} s:"
                f" {outcomes}; the slowest took {fuzzer.slowest * 1000:.1f} ms",
                flush=True,
            )
    print(f"{wrong} went wrong" if wrong else "Nothing went wrong.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
