"""What one client process measures, written once for every client and both kinds of event loop."""

from __future__ import annotations

import abc
import asyncio
import gc
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Protocol

import attrs
import trio

from . import wire
from .machine import resident
from .sampler import Sampler
from .turns import TAKER, Figures

Receive = Callable[[], Awaitable[Any]]
"""Waits for the next text."""

WARM_UP = 0.25
"""Share of the measuring time that goes before it: caches, specialised bytecode, buffers."""

ECHO_BYTES = 150
"""What an order takes on the wire."""

QUEUE = 1024
"""Messages a queue between two tasks may hold: several reads, as a careful user would choose."""

IDLE = 20.0
"""Seconds after which a client that hardly uses the processor has been measured long enough."""

PATIENCE = 5.0
"""Seconds in which one round of messages must have been delivered."""


class Unfit(Exception):
    """The client cannot do this, or did it wrongly; it gets no figure."""


@attrs.frozen(kw_only=True)
class Job:
    """One measurement."""

    url: str
    """The load server."""
    context: ssl.SSLContext | None = None
    """How to trust it, over TLS."""
    seconds: float
    """How long to measure."""
    size: int
    """How many of what the case is about: channels, bytes, connections, tickets, levels."""


def percentile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


# -- event loops -------------------------------------------------------------------------------


class Loop(Protocol):
    """The little that the measurements need of an event loop."""

    async def sleep(self, seconds: float) -> None:
        """Sleep."""

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        """Start a task."""

    def queue(
        self, counts: list[int], place: int
    ) -> tuple[Callable[[Any], Awaitable[None]], Callable[[], Awaitable[None]]]:
        """Return the ends of a queue between tasks: one puts, the other takes and counts."""


class TrioLoop:
    """Trio, with its memory channels."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.sleep = trio.sleep
        self.spawn = nursery.start_soon

    def queue(
        self, counts: list[int], place: int
    ) -> tuple[Callable[[Any], Awaitable[None]], Callable[[], Awaitable[None]]]:
        put, take = trio.open_memory_channel[Any](QUEUE)

        async def consume() -> None:
            async for _ in take:
                counts[place] += 1

        return put.send, consume

    @classmethod
    def run(cls, main: Callable[[Loop], Awaitable[None]]) -> None:
        """Run a program in this kind of loop."""

        async def program() -> None:
            async with trio.open_nursery() as nursery:
                await main(cls(nursery))

        trio.run(program)


class UvLoop:
    """asyncio on uvloop, with its queues."""

    def __init__(self) -> None:
        self.sleep = asyncio.sleep
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        task = asyncio.ensure_future(function(*args))
        self._tasks.add(task)  # the loop itself holds no strong reference

    def queue(
        self, counts: list[int], place: int
    ) -> tuple[Callable[[Any], Awaitable[None]], Callable[[], Awaitable[None]]]:
        queue: asyncio.Queue[Any] = asyncio.Queue(QUEUE)

        async def consume() -> None:
            while True:
                await queue.get()
                counts[place] += 1

        return queue.put, consume

    @classmethod
    def run(cls, main: Callable[[Loop], Awaitable[None]]) -> None:
        """Run a program in this kind of loop."""
        import uvloop

        async def program() -> None:
            await main(cls())

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(program())


class Profile:
    """Starts and stops a sampler round what is measured, if there is one."""

    sampler: Sampler | None = None

    def start(self) -> None:
        """Begin."""
        if self.sampler is not None:
            self.sampler.start()

    def stop(self) -> None:
        """End."""
        if self.sampler is not None:
            self.sampler.stop()


PROFILE = Profile()


# -- measurements ------------------------------------------------------------------------------


async def sample(loop: Loop, counts: list[int], seconds: float) -> Figures:
    """Return how far ``counts`` grow in a second of processor time, and in one on the clock.

    A client that is never idle makes no difference between the two, while others who use the
    machine, or a server that is the bottleneck, spoil the second only.
    """
    await loop.sleep(seconds * WARM_UP)
    TAKER.stop()
    PROFILE.start()
    count, began, spent = sum(counts), time.monotonic(), time.process_time()
    end = began + IDLE
    while time.process_time() - spent < seconds and time.monotonic() < end:
        await loop.sleep(seconds / 20)
    done = sum(counts) - count
    ended, spent = time.monotonic(), time.process_time() - spent
    PROFILE.stop()
    if not done:
        raise Unfit("Nothing arrived.")
    return rates(done, spent, began, ended)


def rates(done: float, spent: float, began: float, ended: float) -> Figures:
    """Return the figures of so many messages; by the clock only if nobody took turns with us."""
    figures = {"rate": done / spent, "cpu_us": spent / done * 1e6}
    if TAKER.active:
        return {**figures, "done": done, "began": began, "ended": ended}
    return {**figures, "wall": done / (ended - began)}


async def check_delivery(loop: Loop, counts: list[int], channels: list[wire.Stream]) -> None:
    """Wait until one round has been counted, and see that each channel got exactly its own.

    Raises:
        Unfit: something is missing, or too much, or in the wrong channel.
    """
    expected = delivery(channels)
    end = time.monotonic() + PATIENCE
    while sum(counts) < sum(expected) and time.monotonic() < end:
        await loop.sleep(0.002)
    await loop.sleep(0.005)  # whatever comes too much comes now
    if counts != expected:
        raise Unfit(f"Delivered {sum(counts)} messages of {sum(expected)}, or in wrong places.")


def delivery(channels: list[wire.Stream]) -> list[int]:
    """Return how many messages of one round belong to each channel."""
    import msgspec

    class Head(msgspec.Struct):
        notice: str
        base: int
        counter: int

    places, counts = wire.routes(channels), [0] * len(channels)
    for payload in wire.traffic(channels):
        head = msgspec.json.decode(payload, type=Head)
        counts[places[head.notice, head.base, head.counter]] += 1
    return counts


async def round_trips(turn: Callable[[], Awaitable[None]], seconds: float) -> Figures:
    """Return how long one turn takes, doing nothing else."""
    clock, times = time.perf_counter, list[float]()
    start = clock()
    while clock() - start < seconds * WARM_UP:
        await turn()
    PROFILE.start()
    start, spent = clock(), time.process_time()
    while clock() - start < seconds:
        before = clock()
        await turn()
        times.append(clock() - before)
    spent = (time.process_time() - spent) / len(times)
    PROFILE.stop()
    return {
        "p50_us": percentile(times, 0.5) * 1e6,
        "p99_us": percentile(times, 0.99) * 1e6,
        "cpu_us": spent * 1e6,
    }


# -- clients -----------------------------------------------------------------------------------


class Client(abc.ABC):
    """A client library in its natural use: one coroutine receives, another sends.

    A library with a faster way of its own overrides the measurement itself.
    """

    name: ClassVar[str]
    loop_type: ClassVar[type[TrioLoop | UvLoop]]
    modules: ClassVar[tuple[str, ...]]
    """What must be installed."""
    quiet: ClassVar[str] = "/echo"
    """Where nothing comes unless one asks."""
    compiled: ClassVar[bool] = False
    """It is ours and runs on the compiled build."""
    cases: ClassVar[tuple[str, ...]] = ("receive", "dispatch", "echo", "memory", "ready")
    """The measurements it takes part in: names of its own coroutine methods."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop

    async def measure(self, case: str, job: Job) -> Figures:
        """Do one of :attr:`cases`."""
        measurement: Callable[[Job], Awaitable[Figures]] = getattr(self, case)
        return await measurement(job)

    @abc.abstractmethod
    async def connect(self, job: Job, path: str) -> Any:
        """Open a connection that stays open until the process ends."""

    @abc.abstractmethod
    def receiver(self, connection: Any) -> Receive:
        """Return what waits for the next text."""

    @abc.abstractmethod
    async def send(self, connection: Any, text: str) -> None:
        """Send one text."""

    async def receive(self, job: Job) -> Figures:
        """Take texts of one size as they come, and do nothing with them."""
        connection = await self.connect(job, f"/flood?size={job.size}")
        receive, counts = self.receiver(connection), [0]

        async def take() -> None:
            while True:
                await receive()
                counts[0] += 1

        await self.send(connection, "go")
        self.loop.spawn(take)
        return await self.sample(counts, job)

    async def dispatch(self, job: Job) -> Figures:
        """Take market data, decode it and hand each message to its channel's task."""
        channels = wire.streams(job.size)
        await check_delivery(self.loop, await self.route(job, channels, once=True), channels)
        return await self.sample(await self.route(job, channels, once=False), job)

    async def sample(self, counts: list[int], job: Job) -> Figures:
        """Measure how fast messages are taken."""
        return await sample(self.loop, counts, job.seconds)

    async def route(self, job: Job, channels: list[wire.Stream], *, once: bool) -> list[int]:
        """Start delivery to one task a channel; return the messages that each has taken."""
        from orjson import loads

        connection = await self.connect(job, f"/market?channels={job.size}&once={once:d}")
        receive, counts = self.receiver(connection), [0] * job.size
        for stream in channels:
            await self.send(connection, stream.watch)
        for _ in range(1 + job.size):  # Welcome and a reply to each
            await receive()
        ends = [self.loop.queue(counts, place) for place in range(job.size)]
        puts = {key: ends[place][0] for key, place in wire.routes(channels).items()}

        async def deliver() -> None:
            while True:
                message = loads(await receive())
                await puts[message["notice"], message["base"], message["counter"]](message)

        for _, consume in ends:
            self.loop.spawn(consume)
        self.loop.spawn(deliver)
        return counts

    async def echo(self, job: Job) -> Figures:
        """Send a text and wait until it is back."""
        connection = await self.connect(job, "/echo")
        receive, send, text = self.receiver(connection), self.send, "x" * ECHO_BYTES

        async def turn() -> None:
            await send(connection, text)
            await receive()

        return await round_trips(turn, job.seconds)

    async def memory(self, job: Job) -> Figures:
        """Keep connections open; as many before them have used up what memory lay about."""
        kept = [await self.connect(job, self.quiet) for _ in range(job.size)]
        gc.collect()
        before = resident()
        kept += [await self.connect(job, self.quiet) for _ in range(job.size)]
        gc.collect()
        return {"kib": (resident() - before) / job.size / 1024}

    async def ready(self, job: Job) -> Figures:
        """Open connections, one after the other."""
        times = []
        for _ in range(1 + job.size):
            before = time.perf_counter()
            await self.connect(job, self.quiet)
            times.append(time.perf_counter() - before)
        return {"ms": percentile(times[1:], 0.5) * 1e3}
