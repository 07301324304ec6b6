"""The one who breaks things: seeded faults of the network and of the exchange, one after the other.

A dark network is one that has lost what was under way when both ends have given it up: otherwise a
request could arrive an hour after its sender was told that nobody knows, and had looked for it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import trio

from trioflex.simulator import SimulatedExchange
from trioflex.testing import Direction, FaultProxy

from .desks import Desk

WEIGHTS = {
    "rst": 4,
    "fin": 2,
    "cut in a frame": 6,
    "cut in a request": 6,
    "drop": 4,
    "drop in a frame": 2,
    "half close": 2,
    "close": 4,
    "garble": 2,
    "slices": 3,
    "short dark": 4,
    "long dark": 1,
    "deaf": 1,
    "hole": 2,
    "hole in requests": 1,
    "lost answers": 6,
    "lost requests": 4,
    "late answers": 3,
    "answers twice": 2,
    "answers in disorder": 2,
    "refusal": 3,
    "refused connections": 2,
    "accept and drop": 2,
    "late welcome": 1,
}
"""What happens, and how often compared with the rest; ``long dark`` takes as long as the client."""

CODES = (1000, 1001, 1006, 1011, 1012, 1013)


class Nemesis:
    """Breaks something every few seconds.

    Args:
        desk: whose exchange it is.
        exchange: it is told to misbehave.
        proxy: it stands before the exchange.
        chance: what is drawn.
        note: told of everything that is done.
    """

    def __init__(
        self,
        desk: Desk,
        exchange: SimulatedExchange,
        proxy: FaultProxy,
        chance: random.Random,
        note: Callable[[str], None],
    ) -> None:
        self._desk = desk
        self._exchange = exchange
        self._proxy = proxy
        self._chance = chance
        self._note = note
        self.done: Counter[str] = Counter()

    async def run(self, least: float, most: float) -> None:
        """Break something every ``least`` to ``most`` seconds until cancelled; then heal it all."""
        try:
            while True:
                await trio.sleep(self._chance.uniform(least, most))
                [fault] = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
                self.done[fault] += 1
                await self.strike(fault)
        finally:
            self.heal()

    def heal(self) -> None:
        """End all faults that last."""
        self._exchange.faults.stop_all()
        self._proxy.release()

    async def strike(self, fault: str) -> None:
        """Do one of :data:`WEIGHTS`."""
        self._note(f"fault: {fault}")
        chance, exchange, proxy = self._chance, self._exchange, self._proxy
        place, once = self._desk.place, {"times": 1}
        match fault:
            case "rst":
                proxy.cut()
            case "fin":
                proxy.cut(reset=False)
            case "cut in a frame":
                proxy.cut(chance.randint(1, 600))
            case "cut in a request":
                proxy.cut(chance.randint(1, 300), direction=Direction.TO_SERVER)
            case "drop":
                exchange.drop()
            case "drop in a frame":
                exchange.drop(mid_frame=True)
            case "half close":
                exchange.half_close()
            case "close":
                exchange.close(chance.choice(CODES), "of the nemesis")
            case "garble":
                exchange.garble()
            case "slices":
                proxy.slice(chance.randint(1, 40), pause=chance.choice((0, 0.001, 0.01)))
                await trio.sleep(chance.uniform(0.1, 5))
                proxy.release()
            case "short dark":
                proxy.go_dark()
                await trio.sleep(chance.uniform(0.5, 10))
                proxy.release()
            case "long dark":
                await self._dark(None, self._desk.noticed + chance.uniform(-20, 5))
            case "deaf":
                await self._dark(chance.choice(list(Direction)), chance.uniform(1, 70))
            case "hole" | "hole in requests":
                way = Direction.TO_CLIENT if fault == "hole" else Direction.TO_SERVER
                # Beginning and end of the hole are to be inside of frames.
                proxy.slice(7, pause=0.001, direction=way)
                await trio.sleep(chance.uniform(0, 0.2))
                proxy.discard(way)
                await trio.sleep(chance.uniform(0.01, 0.5))
                # TCP has no holes: what comes after one is not what was sent, so all of it goes.
                proxy.cut(chance.randint(1, 60), direction=way)
                proxy.release()
            case "lost answers":
                exchange.silence(place, **once)
            case "lost requests":
                exchange.silence(place, execute=False, **once)
            case "late answers" if self._desk.tagged:
                exchange.delay("*", chance.uniform(0.1, 20), **once)
            # Where answers have no tag, order is all that tells them apart.
            case "answers twice" if self._desk.tagged:
                exchange.duplicate("*", **once)
            case "answers in disorder" if self._desk.tagged:
                exchange.reorder(2)
            case "refusal":
                exchange.refuse(place, self._desk.refusal, "the nemesis says no", **once)
            case "refused connections":
                exchange.refuse_connections(times=chance.randint(1, 3))
                exchange.drop()
            case "accept and drop":
                exchange.accept_and_drop(times=chance.randint(1, 3))
                exchange.drop()
            case "late welcome":
                exchange.withhold_welcome(chance.uniform(1, 12), **once)
                exchange.drop()

    async def _dark(self, direction: Direction | None, seconds: float) -> None:
        """Let nothing pass for a while; connections that were given up meanwhile are gone."""
        connections = self._proxy.next_connection
        self._proxy.hold(direction)
        await trio.sleep(seconds)
        if self._proxy.next_connection != connections:
            self._proxy.cut()
        self._proxy.release()
