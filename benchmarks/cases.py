"""What is measured, and what must be reached."""

from __future__ import annotations

import attrs

OURS = "trioflex"
BATCHES = "trioflex batches"
TRANSPORT = "trioflex transport"
BOOK = "trioflex book"
COMPILED = ", compiled"
"""Behind the name of a client of ours: the same, on the compiled build."""
FLOOR = "no parsing"
DECODING = "msgspec alone"
PARTS = "its parts"
REFERENCES = ("trio-websocket", "websockets", "aiohttp", "picows")


@attrs.frozen
class Figure:
    """The number by which a case compares clients."""

    key: str
    unit: str
    more_is_better: bool = False


RATE = Figure("rate", "messages/s of processor time", more_is_better=True)
TRIP = Figure("p50_us", "µs (median)")
MEMORY = Figure("kib", "KiB a connection")
READY = Figure("ms", "ms")
STEP = Figure("us", "µs")


@attrs.frozen(kw_only=True)
class Case:
    """One comparison."""

    name: str
    title: str
    measurement: str
    """Method of :class:`benchmarks.measure.Client`."""
    figure: Figure
    size: int = 1
    """What the measurement's :class:`~benchmarks.measure.Job` says it is."""
    tls: bool = False
    ours: str = OURS
    """The client that the others are compared with."""


def _both(**case: object) -> tuple[Case, Case]:
    plain = Case(**case)  # type: ignore[arg-type]
    return plain, attrs.evolve(
        plain, name=plain.name + "-tls", title=plain.title + ", TLS", tls=True
    )


CASES: tuple[Case, ...] = (
    *(
        case
        for n in (1, 10, 100)
        for case in _both(
            name=f"dispatch-{n}",
            title=f"receive, decode, hand to one task a channel: {n} channel{'s'[: n > 1]}",
            measurement="dispatch",
            figure=RATE,
            size=n,
        )
    ),
    *_both(
        name="receive-200",
        title="receive texts of 200 bytes",
        measurement="receive",
        figure=RATE,
        size=200,
        ours=TRANSPORT,
    ),
    Case(
        name="receive-4096",
        title="receive texts of 4 KiB",
        measurement="receive",
        figure=RATE,
        size=4096,
        ours=TRANSPORT,
    ),
    *_both(
        name="echo",
        title="round trip of 150 bytes",
        measurement="echo",
        figure=TRIP,
        ours=TRANSPORT,
    ),
    Case(
        name="order",
        title="await client.request(PlaceOrder) against a peer that accepts at once",
        measurement="order",
        figure=TRIP,
    ),
    Case(
        name="memory",
        title="memory of one of 100 connections",
        measurement="memory",
        figure=MEMORY,
        size=100,
    ),
    Case(
        name="ready",
        title="open a connection (trioflex: log in, too)",
        measurement="ready",
        figure=READY,
        size=20,
    ),
    Case(name="import", title="import, in processor time", measurement="import", figure=READY),
    *(
        Case(
            name=f"book-{n}",
            title=f"one update of an order book of {n} orders a side, best levels read",
            measurement="book",
            figure=STEP,
            size=n,
            ours=BOOK,
        )
        for n in (10, 1000, 10_000)
    ),
    *(
        Case(
            name=f"channels-{n}",
            title=f"dispatch of 10 busy channels, {n} subscribed",
            measurement="channels",
            figure=RATE,
            size=n,
        )
        for n in (10, 1000, 8000)
    ),
    *(
        Case(
            name=f"tickets-{n}",
            title=f"one order, {n} others unanswered",
            measurement="tickets",
            figure=TRIP,
            size=n,
        )
        for n in (10, 1000, 10_000)
    ),
)

QUICK = ("dispatch-10", "dispatch-10-tls", "receive-200", "echo", "order", "memory", "ready",
         "import", "book-10", "channels-1000", "tickets-1000")  # fmt: skip
"""One of each measurement, for a run that only proves that it runs."""

QUICK_PEERS = ("dispatch-10",)
"""Where the quick run takes the peers along."""


@attrs.frozen(kw_only=True)
class Goal:
    """What one client's figure must be, beside another's of the same run."""

    text: str
    case: str
    client: str = OURS
    beside: tuple[str, str] | None = None
    """Case and client of the other figure; ``None``: the figure alone is judged."""
    minus: bool = False
    """The difference is judged, not the quotient."""
    key: str | None = None
    """Another figure than the case's own."""
    at_least: float = 0.0
    at_most: float = float("inf")

    def met(self, value: float) -> bool:
        """Whether a value is good enough."""
        return self.at_least <= value <= self.at_most


def _dispatch_goals() -> tuple[Goal, ...]:
    goals = []
    for n in (1, 10, 100):
        for tls in ("", "-tls"):
            case = f"dispatch-{n}{tls}"
            goals.append(
                Goal(
                    text=f"{case}: 25 times trio-websocket",
                    case=case,
                    beside=(case, "trio-websocket"),
                    at_least=25,
                )
            )
            shares = (0.65, 0.65) if case == "dispatch-100-tls" else (0.9, 1.0)
            goals += [
                Goal(
                    text=f"{case}{build}: {share} of picows",
                    case=case,
                    client=OURS + build,
                    beside=(case, "picows"),
                    at_least=share,
                )
                for build, share in zip(("", COMPILED), shares, strict=True)
            ]
    for tls, share in (("", 0.9), ("-tls", 0.7)):
        goals.append(
            Goal(
                text=f"dispatch-100{tls}: {share} of the speed of 10 channels",
                case=f"dispatch-100{tls}",
                beside=(f"dispatch-10{tls}", OURS),
                at_least=share,
            )
        )
    return tuple(goals)


def _echo_goals() -> tuple[Goal, ...]:
    return tuple(
        Goal(
            text=f"{case}, {name}: at most {bound} of {peer}",
            case=case,
            client=TRANSPORT,
            beside=(case, peer),
            key=key,
            at_most=bound,
        )
        for case in ("echo", "echo-tls")
        for name, key in (("median", "p50_us"), ("99 %", "p99_us"))
        for peer, bound in (("picows", 1.8), ("trio-websocket", 0.55))
    )


FLAT = 1.25
"""How much dearer a step may be among ten thousand others, whose memory cools the caches."""

GOALS: tuple[Goal, ...] = (
    *_dispatch_goals(),
    *_echo_goals(),
    Goal(
        text="order entry: at most 1.5 of our echo",
        case="order",
        beside=("echo", TRANSPORT),
        at_most=1.5,
    ),
    *(
        Goal(text=f"{case}: at most 1 µs", case=case, client=BOOK, at_most=1.0)
        for case in ("book-10", "book-1000", "book-10000")
    ),
    Goal(
        text="memory: at most trio-websocket's",
        case="memory",
        beside=("memory", "trio-websocket"),
        at_most=1.0,
    ),
    Goal(
        text="memory, transport alone: at most trio-websocket's",
        case="memory",
        client=TRANSPORT,
        beside=("memory", "trio-websocket"),
        at_most=1.0,
    ),
    Goal(
        text="import: at most 1.3 of import trio",
        case="import",
        beside=("import", "trio"),
        at_most=1.3,
    ),
    Goal(
        text="ready: at most 2 ms above TCP, upgrade and signature",
        case="ready",
        beside=("ready", PARTS),
        minus=True,
        at_most=2.0,
    ),
    Goal(
        text="channels: 8,000 subscribed cost no more than 10",
        case="channels-8000",
        beside=("channels-10", OURS),
        at_least=1 / FLAT,
    ),
    Goal(
        text="tickets: 10,000 open cost no more than 10",
        case="tickets-10000",
        beside=("tickets-10", OURS),
        at_most=FLAT,
    ),
)
