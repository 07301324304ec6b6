"""The long run: one client, real sockets, a busy market, and a nemesis that never tires.

The far side is a process of its own, see ``far.py``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Self

import attrs
import trio

from trioflex import (
    Client,
    Gap,
    NotSent,
    OutcomeUnknown,
    Overflow,
    Reconnect,
    Refused,
    ReplyLost,
    RequestError,
    Resumed,
    SubscriptionTimeout,
    open_client,
)
from trioflex.venues import coinflex

from .desks import DESKS
from .laws import BrokenPromise, Listener

ROUND = 30.0
"""Seconds between two rests, in which client and exchange must come to agree."""

MEMORY = 4.0
"""MiB that the resident memory may grow from the second quarter of a run to the last: what ten
minutes show of a leak that would fill a machine within days."""

LEAST_FOR_MEMORY = 120.0
"""Seconds below which memory is still finding its size, and is not judged."""

PATIENT = Reconnect(base=0.2, cap=2, stable_after=5, give_up_after=None)

DESK = DESKS["coinflex"]
Market = tuple[str, str]
MARKETS: tuple[Market, ...] = (("XBT", "USDT"), ("ETH", "USDT"))


@attrs.frozen(kw_only=True)
class Row:
    """How things stood at one moment."""

    seconds: float
    messages: int
    gaps: int
    dropped: int
    reconnects: int
    orders: int
    unknown: int
    faults: int
    memory: float
    """MiB, resident, of the client's process."""


def resident() -> float:
    """Return the resident memory in MiB; 0 where one cannot tell."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0.0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


class FarSide:
    """The other process: started on entering, asked, and ended on leaving."""

    def __init__(self, *arguments: object) -> None:
        self._command = [sys.executable, "-m", "soak.far", *map(str, arguments)]
        self._lock = trio.Lock()
        self._pending = b""

    async def __aenter__(self) -> Self:
        self._process = await trio.lowlevel.open_process(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.hello = await self._read()
        return self

    async def __aexit__(self, *exc: object) -> None:
        with trio.CancelScope(shield=True):
            await self._process.stdin.aclose()
            await self._process.stdout.aclose()
            with trio.move_on_after(5):
                await self._process.wait()
            if self._process.returncode is None:
                self._process.kill()

    async def ask(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Ask, and return the answer."""
        question = json.dumps({"ask": what, **arguments}) + "\n"
        # An answer belongs to its question only if nobody stops waiting for it.
        async with self._lock:
            with trio.CancelScope(shield=True):
                await self._process.stdin.send_all(question.encode())
                return await self._read()

    async def _read(self) -> dict[str, Any]:
        while b"\n" not in self._pending:
            data = await self._process.stdout.receive_some()
            if not data:
                raise BrokenPromise("the far side is gone; what it said is above")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Marathon:
    """One long run.

    Args:
        seed: of the faults and the market.
        rate: messages a second.
        pace: seconds between two rows of the table.
        faults: seconds between two faults, at least and at most.
    """

    def __init__(
        self, seed: int, rate: float, pace: float, faults: tuple[float, float] = (2, 10)
    ) -> None:
        self.rows: list[Row] = []
        self.log: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.far_log: list[str] = []
        """The faults that were done last, as of the last row."""
        self._far = FarSide(seed, rate, *faults)
        self._pace = pace
        self._began = 0.0
        self._books: list[tuple[Listener, Any, Market]] = []
        """What was delivered, the receiver that delivers, and of which market."""
        self._ended_gaps = self._ended_dropped = 0
        self._resting = False
        self._memory: list[tuple[float, float]] = []

    def note(self, what: str) -> None:
        """Remember something, with its time."""
        self.log.append(f"{trio.current_time() - self._began:9.3f}  {what}")
        del self.log[:-1_000]

    async def run(self, seconds: float) -> None:
        """Run for so long.

        Raises:
            BrokenPromise: in a group, as soon as something does not hold.
        """
        self._began = trio.current_time()
        async with (
            self._far as far,
            open_client(
                coinflex.VENUE,
                credentials=coinflex.Credentials.from_env(far.hello["credentials"]),
                url=far.hello["url"],
                reconnect=PATIENT,
            ) as client,
        ):
            self._began = trio.current_time()
            async with trio.open_nursery() as nursery:
                for market in MARKETS:
                    nursery.start_soon(self._follow, client, market, 4096, 0.0)
                nursery.start_soon(self._follow, client, MARKETS[0], 64, 0.05)
                nursery.start_soon(self._keep_ordering, client)
                nursery.start_soon(self._watch, client)
                await trio.sleep(0.5)
                start = _handles()
                while (left := self._began + seconds - trio.current_time()) > 0:
                    await far.ask("go")
                    await trio.sleep(min(ROUND, left))
                    await self._rest(client)
                    self._check_handles(start)
                await self._note_row(client)
                nursery.cancel_scope.cancel()
        self._check_memory(seconds)

    # -- the user's tasks ----------------------------------------------------------------------

    async def _follow(self, client: Client, market: Market, buffer: int, pace: float) -> None:
        """Keep a book, and hold what comes to the laws; begin anew if it is not confirmed."""
        while True:
            listener = Listener(DESK.fold(), DESK.snapshots)
            channel = coinflex.OrderBook(*market)
            try:
                async with client.subscribe(
                    channel, buffer=buffer, overflow=Overflow.GAP
                ) as receiver:
                    self._books.append((listener, receiver, market))
                    async for item in receiver:
                        listener.take(item)
                        if pace and not self._resting:
                            await trio.sleep(pace)
            except SubscriptionTimeout:
                self.note(f"{channel} was not confirmed")
                self._books = [each for each in self._books if each[0] is not listener]
                self._ended_gaps += listener.gaps
                self._ended_dropped += listener.dropped

    async def _keep_ordering(self, client: Client) -> None:
        """Place orders one after the other, find out what became of them, and cancel them."""
        number = 0
        while True:
            number += 1
            began = trio.current_time()
            outcome, found = await self._order(client, number)
            took = trio.current_time() - began
            self.outcomes[outcome] += 1
            self.note(f"order {number}: {outcome} {found or ''}")
            made = await self._made(number)
            _require(took <= DESK.noticed + 5, f"order {number} hung for {took:.1f} s")
            _require(len(made) <= 1, f"order {number} was made {len(made)} times")
            if outcome == "unknown":
                found = await self._look(client, number)
                made = await self._made(number)
            _require(
                made == ([] if found is None else [found]),
                f"order {number}: {outcome}, {found} was found and {made} is there",
            )
            if found is not None:
                await self._cancel(client, int(found))
            await trio.sleep(0.2)
            while self._resting:  # noqa: ASYNC110 - now and then, for some seconds
                await trio.sleep(0.1)

    async def _made(self, number: int) -> list[str]:
        made: list[str] = (await self._far.ask("made", number=number))["made"]
        return made

    async def _order(self, client: Client, number: int) -> tuple[str, str | None]:
        try:
            placed = await client.request(DESK.order(number))
        except NotSent:
            return "not sent", None
        except Refused:
            return "refused", None
        except OutcomeUnknown:
            return "unknown", None
        return "ok", DESK.name_of(placed)

    async def _look(self, client: Client, number: int) -> str | None:
        while True:
            await client.wait_ready()
            try:
                return await DESK.find(client, number)
            except (NotSent, ReplyLost, Refused):
                await trio.sleep(0.5)

    async def _cancel(self, client: Client, order_id: int) -> None:
        """Cancel an order for certain: cancelling twice does no harm."""
        while True:
            await client.wait_ready()
            try:
                await client.request(coinflex.CancelOrder(id=order_id))
            except Refused:
                return
            except RequestError:
                await trio.sleep(0.5)
            else:
                return

    # -- what must hold ------------------------------------------------------------------------

    async def _watch(self, client: Client) -> None:
        """Take down how things stand."""
        due = trio.current_time()
        while True:
            self._memory.append((trio.current_time() - self._began, resident()))
            if trio.current_time() >= due:
                await self._note_row(client)
                due += self._pace
            await trio.sleep(min(1.0, self._pace))

    async def _rest(self, client: Client) -> None:
        """With all faults ended and nobody trading, books must come to be the exchange's."""
        self.note("a rest")
        self._resting = True
        await self._far.ask("rest")
        limit = DESK.noticed + 5
        with trio.move_on_after(limit) as scope:
            await client.wait_ready()
            while not await self._agree():  # noqa: ASYNC110 - two sides agree, nobody tells
                await trio.sleep(0.05)
        _require(not scope.cancelled_caught, f"{limit:g} healthy seconds brought no agreement")
        self._resting = False

    async def _agree(self) -> bool:
        """Whether every reader is up to date, and what it has kept is what there is."""
        if len(self._books) != len(MARKETS) + 1:
            return False
        truth = (await self._far.ask("truth", markets=MARKETS))["truth"]
        for listener, receiver, market in self._books:
            if (
                receiver.statistics().buffered
                or isinstance(listener.newest, Gap | Resumed)
                or not listener.fold.valid
            ):
                return False
            kept = [key for key, *_ in DESK.kept(listener.fold)["orders"]]
            if truth[MARKETS.index(market)] != kept:
                return False
        return True

    def _check_handles(self, start: tuple[int, int]) -> None:
        """Descriptors and tasks must be as many as in the beginning, give or take a connection."""
        files, tasks = _handles()
        _require(files <= start[0] + 6, f"{files} descriptors are open, {start[0]} were")
        _require(tasks <= start[1] + 12, f"there are {tasks} tasks, and there were {start[1]}")

    def _check_memory(self, seconds: float) -> None:
        if seconds < LEAST_FOR_MEMORY:
            return
        early, late = (
            statistics.median(m for at, m in self._memory if low <= at / seconds < high)
            for low, high in ((0.25, 0.5), (0.75, 1.0))
        )
        _require(late - early <= MEMORY, f"memory grew from {early:.1f} to {late:.1f} MiB")

    async def _note_row(self, client: Client) -> None:
        now = client.statistics()
        story = await self._far.ask("story")
        self.faults = Counter(story["faults"])
        self.far_log = story["log"]
        _require(story["failed"] == 0, "the simulator failed")
        self.rows.append(
            Row(
                seconds=trio.current_time() - self._began,
                messages=now.messages_in,
                gaps=self._ended_gaps + sum(each.gaps for each, _, _ in self._books),
                dropped=self._ended_dropped + sum(each.dropped for each, _, _ in self._books),
                reconnects=now.connections - 1,
                orders=self.outcomes.total(),
                unknown=self.outcomes["unknown"],
                faults=self.faults.total(),
                memory=resident(),
            )
        )


def _handles() -> tuple[int, int]:
    """Return how many descriptors are open, and how many tasks there are."""
    folder = "/proc/self/fd"
    files = len(os.listdir(folder)) if os.path.isdir(folder) else 0
    return files, trio.lowlevel.current_statistics().tasks_living


def _require(holds: object, law: str) -> None:
    if not holds:
        raise BrokenPromise(law)


def table(marathon: Marathon) -> str:
    """Return the rows as text, with what happened in all below."""
    names = [field.name for field in attrs.fields(Row)]
    lines = ["".join(f"{name:>11}" for name in names)]
    for row in marathon.rows:
        values = attrs.astuple(row)
        lines.append("".join(f"{v:>11.1f}" if isinstance(v, float) else f"{v:>11}" for v in values))
    for title, counted in (("orders", marathon.outcomes), ("faults", marathon.faults)):
        shown = ", ".join(f"{n} {what}" for what, n in sorted(counted.items())) or "none"
        lines.append(f"{title}: {shown}")
    return "\n".join(lines)
