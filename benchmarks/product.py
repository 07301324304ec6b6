"""trioflex itself: the whole client as users have it, and its transport alone."""

from __future__ import annotations

import contextlib
import itertools
import math
from typing import Any, ClassVar

import attrs

from . import wire
from .cases import BATCHES, COMPILED, OURS, TRANSPORT
from .measure import ECHO_BYTES, Client, Figures, Job, Receive, TrioLoop, Unfit, round_trips, sample

USER, COOKIE, PASSPHRASE = 1, "HGREqcILTz8blHa/jsUTVTNBJlg=", "opensesame"
"""The account of the venue's own worked example (coinflex-exchange/API, AUTH.md)."""

BUSY = 10
"""Channels with traffic, where the case is about the idle ones."""


class Trioflex(Client):
    """``open_client`` on CoinFLEX, logged in, everything on; one task a channel, item by item."""

    name = OURS
    loop_type = TrioLoop
    modules = ()
    cases: ClassVar[tuple[str, ...]] = (
        "dispatch",
        "memory",
        "ready",
        "order",
        "channels",
        "tickets",
    )
    quiet = "/orders"

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self._open = contextlib.AsyncExitStack()  # nobody leaves before the process ends
        self._receivers: list[Any] = []

    async def connect(self, job: Job, path: str) -> Any:
        import trioflex
        from trioflex.venues import coinflex

        return await self._open.enter_async_context(
            trioflex.open_client(
                # The venue's own limits, 200 orders a second, would be all that is measured.
                attrs.evolve(coinflex.VENUE, rates={}),
                credentials=coinflex.Credentials(USER, COOKIE, passphrase=PASSPHRASE),
                url=job.url + path,
                ssl_context=job.context,
                timeouts=trioflex.Timeouts(reply=math.inf, subscribe=60),
            )
        )

    def receiver(self, connection: Any) -> Receive:
        raise NotImplementedError("A receiver comes with its subscription.")

    async def send(self, connection: Any, text: str) -> None:
        raise NotImplementedError("A client sends requests, not texts.")

    async def route(self, job: Job, channels: list[wire.Stream], *, once: bool) -> list[int]:
        path = f"/market?channels={len(channels)}&once={once:d}"
        return self._listen(await self.connect(job, path), channels)

    async def channels(self, job: Job) -> Figures:
        """Take the market data of a few channels while many are subscribed."""
        path = f"/market?channels={BUSY}&watches={job.size}"
        client = await self.connect(job, path)
        counts = self._listen(client, wire.streams(job.size))
        while not sum(counts):  # all are subscribed once the market has opened
            await self.loop.sleep(0.01)
        return await self.sample(counts, job)

    def _listen(self, client: Any, channels: list[wire.Stream]) -> list[int]:
        from trioflex.venues import coinflex

        counts = [0] * len(channels)

        async def listen(channel: Any, place: int) -> None:
            async with client.subscribe(channel) as receiver:
                self._receivers.append(receiver)
                await receiver.receive()  # the snapshot, which is no message of the market
                await self.consume(receiver, counts, place)

        for place, stream in enumerate(channels):
            kind = coinflex.OrderBook if stream.kind is wire.Kind.BOOK else coinflex.Ticker
            self.loop.spawn(listen, kind(stream.base, stream.counter), place)
        return counts

    async def consume(self, receiver: Any, counts: list[int], place: int) -> None:
        """Take everything and count it."""
        async for _ in receiver:
            counts[place] += 1

    async def sample(self, counts: list[int], job: Job) -> Figures:
        figures = await sample(self.loop, counts, job.seconds)
        lost = sum(receiver.statistics().dropped for receiver in self._receivers)
        if lost:
            raise Unfit(f"{lost} items were dropped: the consumers did not keep up.")
        return figures

    async def order(self, job: Job) -> Figures:
        """Place an order and wait for the reply."""
        return await self._orders(await self.connect(job, "/orders"), job, first=1)

    async def tickets(self, job: Job) -> Figures:
        """Place an order and wait for the reply while others wait for theirs."""
        client = await self.connect(job, "/orders")
        for tonce in range(1, job.size + 1):
            await client.submit(_order(tonce, post_only=True))
        return await self._orders(client, job, first=job.size + 1)

    async def _orders(self, client: Any, job: Job, *, first: int) -> Figures:
        tonces = itertools.count(first)

        async def turn() -> None:
            await client.request(_order(next(tonces)))

        return await round_trips(turn, job.seconds)


def _order(tonce: int, *, post_only: bool = False) -> Any:
    from trioflex.venues import coinflex

    return coinflex.PlaceOrder(
        "XBT", "USDT", quantity="0.25", price="8650", tonce=tonce, post_only=post_only
    )


class Batches(Trioflex):
    """The same, the items of a read at once."""

    name = BATCHES
    cases: ClassVar[tuple[str, ...]] = ("dispatch",)

    async def consume(self, receiver: Any, counts: list[int], place: int) -> None:
        async for batch in receiver.batches():
            counts[place] += len(batch)


class TransportAlone(Client):
    """The transport under the client: whole texts in and out, nobody's protocol on top."""

    name = TRANSPORT
    loop_type = TrioLoop
    modules = ()
    cases = ("receive", "echo", "memory", "ready")

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self._open = contextlib.AsyncExitStack()

    async def connect(self, job: Job, path: str) -> Any:
        from trioflex._shell.transport import Target
        from trioflex._shell.websocket import websocket_connector

        target = Target(url=job.url + path, ssl_context=job.context)
        return await self._open.enter_async_context(websocket_connector()(target))

    def receiver(self, connection: Any) -> Receive:
        receive: Receive = connection.receive
        return receive

    async def send(self, connection: Any, text: str) -> None:
        await connection.send([text])

    async def receive(self, job: Job) -> Figures:
        transport, counts = await self.connect(job, f"/flood?size={job.size}"), [0]

        async def take() -> None:
            while True:
                counts[0] += len(await transport.receive())

        await transport.send(["go"])
        self.loop.spawn(take)
        return await self.sample(counts, job)

    async def echo(self, job: Job) -> Figures:
        transport, texts = await self.connect(job, "/echo"), ["x" * ECHO_BYTES]

        async def turn() -> None:
            await transport.send(texts)
            await transport.receive()

        return await round_trips(turn, job.seconds)


AFFECTED = ("dispatch", "receive", "echo", "order", "book")
"""What goes through compiled modules, message by message."""


def compiled(client: type[Client]) -> type[Client]:
    """Return the same client on the compiled build."""
    name = f"Compiled{client.__name__}"
    cases = tuple(case for case in client.cases if case in AFFECTED)
    return type(name, (client,), {"name": client.name + COMPILED, "compiled": True, "cases": cases})


PRODUCT: tuple[type[Client], ...] = (Trioflex, Batches, TransportAlone)
