"""Orders placed through seeded faults, held against the exchange's own record.

``python -m soak.history --seeds 1000`` plays a thousand courses of events in memory, on a virtual
clock. A seed that fails is named, and plays the same course each time::

    python -m soak.history --venue coinflex --first 17 --seeds 1 --verbose

With ``--sockets`` a course runs over loopback: what the kernel does to bytes and endings is real.
The clock jumps all the same, as soon as nothing moves. There, a seed determines what is done, but
not how the kernel cuts the bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any

import attrs
import trio
from trio.testing import MockClock

from trioflex import (
    Client,
    Gap,
    NotSent,
    OutcomeUnknown,
    Overflow,
    Reconnect,
    Refused,
    ReplyLost,
    Resumed,
    SubscriptionTimeout,
    TicketState,
    find_venue,
    open_client,
)
from trioflex.simulator import open_server
from trioflex.testing import FaultProxy, memory_connector, open_fault_proxy

from . import quiet
from .desks import DESKS, Desk
from .laws import BrokenPromise, Listener, Wire
from .nemesis import Nemesis

ORDERS = 10
"""Orders of one course; more of them make courses longer, more courses make other things happen."""

READERS = 2
"""One that keeps up, and one that does not."""

ATTEMPTS = 6
"""How often an order is sent that provably was not made."""

STILL = 0.002
"""Seconds without a byte after which a course over sockets is taken to wait for its clock. Loopback
delivers within the call that sends, so this is much."""

PATIENT = Reconnect(base=0.2, cap=2, stable_after=5, give_up_after=None)


@attrs.define
class Course:
    """What happened in one course of events."""

    desk: Desk
    seed: int
    log: list[str] = attrs.field(factory=list)
    outcomes: Counter[str] = attrs.field(factory=Counter)
    digest: str = ""
    """Of all that passed, times included: two plays of a seed have the same."""
    gaps: int = 0
    connections: int = 0
    seconds: float = 0.0

    def note(self, what: str) -> None:
        """Remember something, with its time."""
        self.log.append(f"{trio.current_time():10.4f}  {what}")


def require(holds: object, law: str) -> None:
    """Say that a promise was broken unless it holds."""
    if not holds:
        raise BrokenPromise(law)


class Play:
    """Plays one course."""

    def __init__(self, desk: Desk, seed: int, *, sockets: bool = False) -> None:
        self.sockets = sockets
        self.course = Course(desk, seed)
        self.desk = desk
        self.chance = random.Random(f"{desk.venue} {seed}")
        # Room for all frames: the wire is the truth.
        self.exchange = desk.exchange(seed, frames_kept=1_000_000)
        self.proxy = FaultProxy()
        self.known: dict[int, str] = {}
        self.lost = 0
        """Attempts of which nobody knew, and that left no trace."""
        self.resting = False
        self.gaps = 0
        self.listeners: list[tuple[Listener, Any]] = []
        """What was delivered, and the receiver that delivers."""

    async def run(self) -> Course:
        """Play it, and check everything.

        Raises:
            BrokenPromise: something did not hold.
        """
        async with self.network() as way:
            await self.live(way)
            await trio.testing.wait_all_tasks_blocked()
            require(self.exchange.open_connections == (), "a connection outlives its client")
        course = self.course
        course.gaps = self.gaps + sum(listener.gaps for listener, _ in self.listeners)
        course.seconds = trio.current_time()
        require(self.exchange.statistics().failed == 0, "the simulator failed")
        wire = Wire(self.exchange.frames, self.desk.key_of_frame)
        for listener, _ in self.listeners:
            for run in filter(None, listener.runs):
                wire.check(run)
        course.digest = self.digest()
        return course

    @asynccontextmanager
    async def network(self) -> AsyncIterator[dict[str, Any]]:
        """Put the exchange behind the proxy; yield by which settings a client gets there."""
        if not self.sockets:
            yield {"connector": memory_connector(self.proxy.between(self.exchange.host))}
            return
        async with (
            open_server(self.exchange) as server,
            open_fault_proxy(server.host, server.port) as self.proxy,
        ):
            yield {"url": self.proxy.url}

    async def live(self, way: dict[str, Any]) -> None:
        """Trade through the faults until all is healed and known."""
        course = self.course
        env = attrs.evolve(
            self.exchange.env, random_bytes=random.Random(self.course.seed).randbytes
        )
        async with open_client(
            find_venue(self.desk.venue),
            credentials=self.desk.credentials(self.exchange),
            env=env,
            reconnect=PATIENT,
            **way,
        ) as client:
            async with trio.open_nursery() as background:
                nemesis = Nemesis(self.desk, self.exchange, self.proxy, self.chance, course.note)
                background.start_soon(self.trade)
                for pace, buffer in ((0.0, 4096), (3.0, 8)):
                    background.start_soon(self.follow, client, pace, buffer)
                await trio.testing.wait_all_tasks_blocked()
                async with trio.open_nursery() as under_attack:
                    under_attack.start_soon(nemesis.run, 0.2, 6)
                    async with trio.open_nursery() as orders:
                        for number in range(1, ORDERS + 1):
                            await trio.sleep(self.chance.choice((0.0, 0.3, 2.0, 5.0)))
                            orders.start_soon(self.order, client, number)
                    under_attack.cancel_scope.cancel()
                await self.come_to_rest(client)
                background.cancel_scope.cancel()
            course.connections = client.statistics().connections
            unknown = [t for t in client.unsettled if t.state is TicketState.UNKNOWN]
            # What was found has settled its ticket, where the venue shows the name of an order.
            require(
                len(unknown) <= self.lost or self.desk.venue == "oceanex",
                f"these were found and are unknown all the same: {unknown}",
            )

    # -- the user's tasks ----------------------------------------------------------------------

    async def trade(self) -> None:
        """Let the others trade."""
        while not self.resting or self.desk.restless:
            self.exchange.trade(self.chance.randint(1, 4))
            await trio.sleep(self.chance.uniform(0.05, 1))

    async def follow(self, client: Client, pace: float, buffer: int) -> None:
        """Read a channel, or a poll, and hold it to the laws."""
        while True:
            fold = None if self.desk.channel is None else self.desk.fold()
            listener = Listener(fold, self.desk.snapshots, self.desk.key_of_item)
            try:
                async with self.opened(client, buffer) as receiver:
                    self.listeners.append((listener, receiver))
                    async for item in receiver:
                        if isinstance(item, Gap | Resumed):
                            self.course.note(f"reader {buffer}: {item!r}")
                        listener.take(item)
                        await trio.sleep(0 if self.resting else pace)
            except SubscriptionTimeout:
                # The nemesis may hold up the confirmation; that is the end of this receiver alone.
                self.course.note(f"reader {buffer}: no confirmation")
                self.listeners = [each for each in self.listeners if each[0] is not listener]
                self.gaps += listener.gaps

    def opened(self, client: Client, buffer: int) -> Any:
        """Return the subscription, or the poll."""
        if self.desk.poll is not None:
            return client.poll(self.desk.poll(), every=2)
        return client.subscribe(self.desk.channel, buffer=buffer, overflow=Overflow.GAP)

    async def order(self, client: Client, number: int) -> None:
        """Place one order, by the how-to, until it is known what became of it."""
        for attempt in range(1, ATTEMPTS + 1):
            began = trio.current_time()
            outcome, found = await self.attempt(client, number)
            took = trio.current_time() - began
            self.course.note(f"order {number}, attempt {attempt}: {outcome} {found or ''}")
            self.course.outcomes[outcome] += 1
            limit = self.desk.noticed + 5
            require(took <= limit, f"order {number} hung for {took:g} s")
            made = self.desk.made(self.exchange, number)
            require(len(made) <= 1, f"order {number} was made {len(made)} times")
            if outcome == "ok":
                require(made == [found], f"order {number} is {made}, not {found}")
            elif outcome in ("not sent", "refused"):
                require(made == [], f"order {number} was {outcome} and made: {made}")
            else:
                found = await self.look(client, number)
                self.course.note(f"order {number} is found: {found}")
                made = self.desk.made(self.exchange, number)
                require(
                    ([] if found is None else [found]) == made,
                    f"order {number} was looked for: {found} was found and {made} is there",
                )
            if found is not None:
                self.known[number] = found
                return
            self.lost += outcome == "unknown"
            if outcome == "not sent":
                await client.wait_ready()

    async def attempt(self, client: Client, number: int) -> tuple[str, str | None]:
        """Send an order once; return what was said, and its id where that was."""
        try:
            ticket = await client.submit(self.desk.order(number))
            reply = await ticket.reply()
        except NotSent:
            return "not sent", None
        except Refused:
            return "refused", None
        except OutcomeUnknown as unknown:
            require(
                unknown.ticket.state in (TicketState.UNKNOWN, TicketState.ANSWERED), "its state"
            )
            return "unknown", None
        return "ok", self.desk.name_of(reply)

    async def look(self, client: Client, number: int) -> str | None:
        """Look for an order until there is an answer."""
        while True:
            await client.wait_ready()
            try:
                return await self.desk.find(client, number)
            except (NotSent, ReplyLost, Refused):
                # Asked again after a while: the nemesis may refuse questions, too.
                await trio.sleep(0.5)

    # -- the truth -----------------------------------------------------------------------------

    async def come_to_rest(self, client: Client) -> None:
        """Let all faults end; then client and exchange have to agree, in bounded time."""
        self.course.note("all faults end")
        healed = trio.current_time()
        self.resting = True
        with trio.move_on_after(self.desk.noticed + 5 + 40) as scope:
            await client.wait_ready()
            while not self.agree():
                await trio.sleep(0.5)
                await trio.testing.wait_all_tasks_blocked()
        took = trio.current_time() - healed
        require(not scope.cancelled_caught, f"after {took:g} healthy seconds there is no agreement")
        for number in range(1, ORDERS + 1):
            made = self.desk.made(self.exchange, number)
            expected = [self.known[number]] if number in self.known else []
            require(made == expected, f"order {number} is {made}, believed to be {expected}")

    def agree(self) -> bool:
        """Whether every reader is up to date, and what it has kept is what there is."""
        if len(self.listeners) != READERS:
            return False
        for listener, receiver in self.listeners:
            if isinstance(listener.newest, Gap | Resumed):
                return False
            if listener.fold is not None and (
                receiver.statistics().buffered
                or not listener.fold.valid
                or self.desk.kept(listener.fold) != self.desk.truth(self.exchange)
            ):
                return False
        return True

    def digest(self) -> str:
        """Return a fingerprint of all that happened."""
        whole = hashlib.sha256("\n".join(self.course.log).encode())
        redact = find_venue(self.desk.venue).redact
        for frame in self.exchange.frames:
            text = frame.text if isinstance(frame.text, str) else frame.text.decode("latin-1")
            # Keys, signatures and ciphertexts are the operating system's; all have one length.
            whole.update(f"{frame.at} {frame.connection} {frame.direction} ".encode())
            shown = re.sub(r'"key":"[^"]*"', "", redact(text))
            whole.update(f"{shown} {len(text)}".encode())
        return whole.hexdigest()


@contextmanager
def determined(seed: int) -> Iterator[None]:
    """Let Trio's scheduler and the clients' back-off draw the same in each run."""
    # What hypothesis' support in Trio does as well: without it tasks take turns at random.
    scheduler: Any = trio._core._run
    before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    states = scheduler._r.getstate(), random.getstate()
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    scheduler._r.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = before
        scheduler._r.setstate(states[0])
        random.setstate(states[1])


def play(desk: Desk, seed: int, *, sockets: bool = False) -> Course:
    """Play one course of events, in memory or over loopback sockets.

    Raises:
        BrokenPromise: something did not hold; its notes are what happened.
    """
    with determined(seed):
        player = Play(desk, seed, sockets=sockets)
        try:
            clock = MockClock(autojump_threshold=STILL if sockets else 0)
            return trio.run(player.run, clock=clock)
        except BaseException as exc:
            broken = _broken(exc)
            if broken is None:
                exc.add_note("\n".join(player.course.log))
                raise
            broken.add_note("\n".join(player.course.log))
            raise broken from None


def _broken(exc: BaseException) -> BrokenPromise | None:
    """Return the broken promise in an exception, if it is one."""
    if isinstance(exc, BaseExceptionGroup):
        return next(filter(None, map(_broken, exc.exceptions)), None)
    return exc if isinstance(exc, BrokenPromise) else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Play many courses; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m soak.history", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--venue", action="append", choices=sorted(DESKS), help="(all in turn)")
    parser.add_argument("--sockets", action="store_true", help="over loopback, not in memory")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what happens")
    options = parser.parse_args(arguments)
    with nullcontext() if options.verbose else quiet():
        return play_all(options)


def play_all(options: argparse.Namespace) -> int:
    """Play the courses that were asked for, and print what came of them."""
    venues = options.venue or sorted(DESKS)
    outcomes: Counter[str] = Counter()
    began, gaps, connections, seconds = time.monotonic(), 0, 0, 0.0
    failed = []
    sockets = "--sockets " if options.sockets else ""
    for seed in range(options.first, options.first + options.seeds):
        venue = venues[seed % len(venues)]
        try:
            course = play(DESKS[venue], seed, sockets=options.sockets)
        except Exception as exc:
            failed.append(f"{sockets}--venue {venue} --first {seed}")
            print(f"{venue}, seed {seed}: {exc!r}", flush=True)
            print("\n".join(getattr(exc, "__notes__", ())) if options.verbose else "", end="")
            continue
        if options.verbose:
            print("\n".join(course.log))
            print(f"{venue}, seed {seed}: {course.digest}")
        outcomes += course.outcomes
        gaps += course.gaps
        connections += course.connections
        seconds += course.seconds
    print(
        f"{options.seeds} seeds in {time.monotonic() - began:.0f} s, {seconds / 3600:.1f} virtual"
        f" hours: {', '.join(f'{n} {what}' for what, n in sorted(outcomes.items()))};"
        f" {connections} connections, {gaps} gaps; {len(failed)} broken"
    )
    for each in failed:
        print(f"again: python -m soak.history {each} --seeds 1 --verbose")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
