"""The far side of the long run, a process of its own: exchange, market, bad network, nemesis.

It is asked by lines of JSON on its input, answers on its output, and ends with its input. So what
is measured in the other process is the client, and the truth still comes from here.
"""

from __future__ import annotations

import json
import random
import sys
from collections import deque
from typing import Any

import trio

from trioflex.simulator import open_server, system_clock
from trioflex.testing import FaultProxy, open_fault_proxy

from .desks import DESKS
from .nemesis import Nemesis

BEHIND = 256 * 1024
"""Bytes that may wait for the client. Beyond, the market waits, too: what is to be measured is the
client, not how long a queue gets while the network is dark."""

BEAT = 0.01
"""Seconds between two helpings of market data."""

DESK = DESKS["coinflex"]

ALONE = {"record_kept": 2_000, "frames_kept": 0}
"""What the exchange remembers: the orders of some minutes, and no frames."""


class Far:
    """Everything beyond the client's socket.

    Args:
        seed: of the market and of the faults.
        rate: messages a second.
        faults: seconds between two faults, at least and at most.
    """

    def __init__(self, seed: int, rate: float, faults: tuple[float, float]) -> None:
        self._rate, self._pace = rate, faults
        self._exchange = DESK.exchange(seed, clock=system_clock, **ALONE)
        self._chance = random.Random(seed)
        self._log: deque[str] = deque(maxlen=40)
        self._faults = trio.CancelScope()
        self._go = trio.Event()
        self._nemesis: Nemesis | None = None

    async def run(self) -> None:
        """Serve until the input ends."""
        async with (
            open_server(self._exchange) as server,
            open_fault_proxy(server.host, server.port) as proxy,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._trade)
            nursery.start_soon(self._break_things, proxy)
            self._answer(url=proxy.url, credentials=dict(self._exchange.model.credentials()))
            pending = b""
            async with trio.lowlevel.FdStream(sys.stdin.fileno()) as stdin:
                while data := await stdin.receive_some():
                    *lines, pending = (pending + data).split(b"\n")
                    for line in lines:
                        self._hear(**json.loads(line))
            nursery.cancel_scope.cancel()

    def _hear(self, ask: str, **arguments: Any) -> None:
        """Answer one question."""
        match ask:
            case "go":
                self._go.set()
                self._answer()
            case "rest":
                self._go = trio.Event()
                self._faults.cancel()
                self._answer()
            case "made":
                self._answer(made=DESK.made(self._exchange, arguments["number"]))
            case "truth":
                books = [self._exchange.model.book(*market) for market in arguments["markets"]]
                self._answer(truth=[[order.id for order in book] for book in books])
            case "story":
                done = {} if self._nemesis is None else self._nemesis.done
                failed = self._exchange.statistics().failed
                self._answer(faults=dict(done), log=list(self._log), failed=failed)

    def _answer(self, **answer: Any) -> None:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    async def _break_things(self, proxy: FaultProxy) -> None:
        began = trio.current_time()

        def note(what: str) -> None:
            self._log.append(f"{trio.current_time() - began:9.3f}  {what}")

        self._nemesis = Nemesis(DESK, self._exchange, proxy, self._chance, note)
        while True:
            await self._go.wait()
            with trio.CancelScope() as self._faults:
                await self._nemesis.run(*self._pace)

    async def _trade(self) -> None:
        """Let the others trade so much that the wanted number of messages leaves the exchange."""
        due = trio.current_time()
        sent = self._exchange.statistics().frames
        while True:
            await trio.sleep(BEAT)
            now = trio.current_time()
            # What was missed is made up for, but not for longer than a tenth of a second.
            due = max(due, now - 0.1)
            state = self._exchange.statistics()
            if not self._go.is_set() or not state.open or state.queued_bytes > BEHIND:
                due = now
            turns = 0
            while due < now and turns < self._rate * BEAT * 10:
                self._exchange.trade()
                turns += 1
                before, sent = sent, self._exchange.statistics().frames
                due += (sent - before) / self._rate


if __name__ == "__main__":
    trio.run(
        Far(int(sys.argv[1]), float(sys.argv[2]), (float(sys.argv[3]), float(sys.argv[4]))).run
    )
