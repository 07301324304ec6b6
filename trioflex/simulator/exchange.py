"""A simulated exchange: one venue's far side, hosted for any number of connections.

The verbs of a test are in two places: those that stay in force in ``script.py``, those that act at
once in ``interventions.py``. What is remembered and counted is in ``tally.py``.
"""

from __future__ import annotations

import importlib
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import attrs
import trio
from trio.testing import memory_stream_pair

from .. import ConnectFailed, Connector, system_env, websocket_connector
from .._shell.transport import Target, Transport
from ..protocol import Env, Request
from .bringing import BringingConnector
from .clocks import VirtualClock
from .crew import open_crew
from .faults import AcceptAndDrop, Dark, HangUpgrade, RefuseConnections
from .hosting import host_stream
from .interventions import Interventions
from .line import Line, Spawn, Wire
from .message_transport import MessageTransport
from .message_wire import MessageWire
from .naming import wire_name
from .peer import ExchangeModel
from .script import Script
from .tally import FRAMES_KEPT, ExchangeStatistics, SeenFrame, Tally
from .tap import PacedStream, TappedStream

_log = logging.getLogger("trioflex.simulator")

MODELS = {
    "coinflex": ("trioflex.simulator.coinflex", "CoinflexModel"),
    "coinfloor": ("trioflex.simulator.coinfloor", "CoinfloorModel"),
    "midchains": ("trioflex.simulator.midchains", "MidchainsModel"),
    "oceanex": ("trioflex.simulator.oceanex", "OceanExModel"),
    "theone": ("trioflex.simulator.theone", "TheOneModel"),
}
"""Venue name to the module and the class of its model, imported on first use."""

MAX_QUEUED_BYTES = 64 * 1024 * 1024
"""How far a client may be behind with reading: many minutes of a busy market, and little enough
that a hundred such clients do not fill a small machine."""

FINAL_STATUS = frozenset({401, 403, 404})
"""Refusals of the upgrade that another attempt cannot change."""


class SimulatedExchange(Script, Interventions):
    """A venue's far side: its wire, its engine, its accounts, and a script of faults.

    ::

        exchange = SimulatedExchange("coinflex", seed=7)
        exchange.silence("PlaceOrder")
        async with open_client(coinflex.VENUE, connector=exchange.connector) as client:
            ...
            exchange.drop()

    Args:
        venue: ``"coinflex"``, ``"coinfloor"``, ``"midchains"``, ``"oceanex"`` or ``"theone"``, or a
            model of one's own.
        seed: of everything random: the welcome's nonces, the order flow, ``shuffle``.
        clock: the wall clock given to the model, in microseconds since 1970; ``None``: one that
            moves with Trio's, from 2020-03-01 on.
        notices_first: the notices a request causes precede its reply.
        shuffle: the reply takes a random place among the notices of its request, which keep
            their order among themselves.
        frames_kept: how many frames :attr:`frames` remembers, the newest.
        max_queued_bytes: a client that is further behind with reading is dropped, and counted.
        options: handed to the venue's model (accounts, markets, limits ...).

    Raises:
        ValueError: the venue is not known.
        TypeError: options were given for a model that is made already.
    """

    def __init__(
        self,
        venue: str | ExchangeModel,
        *,
        seed: int = 0,
        clock: Callable[[], int] | None = None,
        notices_first: bool = False,
        shuffle: bool = False,
        frames_kept: int = FRAMES_KEPT,
        max_queued_bytes: int = MAX_QUEUED_BYTES,
        **options: Any,
    ) -> None:
        Script.__init__(self)
        Interventions.__init__(self)
        self.clock: Callable[[], int] = clock if clock is not None else VirtualClock()
        """The venue's wall clock; :attr:`env` is made from it."""
        self.model: ExchangeModel = (
            _model_of(venue, seed=seed, clock=self.clock, **options)
            if isinstance(venue, str)
            else _made_already(venue, options)
        )
        """The venue's state: books, accounts, and what else the model offers for inspection."""
        self.notices_first = notices_first
        self.shuffle = shuffle
        self.max_queued_bytes = max_queued_bytes
        self.tally: Tally = Tally(frames_kept)
        self._random = random.Random(seed)

    @property
    def env(self) -> Env:
        """The real world, but for the wall clock, which is the venue's. Its connectors bring it;
        where it is reached in another way (:meth:`host`, a server on loopback) it is for the
        ``env`` of :func:`trioflex.open_client`: some venues compare time stamps with their own
        clock."""
        return attrs.evolve(system_env(), epoch_ms=lambda: self.clock() // 1_000)

    # -- connectors ----------------------------------------------------------------------------

    @cached_property
    def connector(self) -> Connector:
        """Connects to the exchange without any bytes.

        A frame is executed inside the client's ``send``, and what it causes is in the inboxes of
        all clients when that returns; so the order of things is the same in every run.

        It brings :attr:`env`. Connecting raises :class:`trioflex.ConnectFailed` where the script
        refused the connection, or let it hang for ``target.connect_timeout`` seconds. Where it is
        cancelled, the connection is dropped without a Close.
        """
        return BringingConnector(self._connect, self.env)

    @asynccontextmanager
    async def _connect(self, target: Target, /) -> AsyncIterator[Transport]:
        async with open_crew() as crew:
            await self._admit(target)
            transport = MessageTransport(target)
            wire = MessageWire(transport, self.max_queued_bytes, self.tally)
            wire.line = self.open_line(wire, crew.start_soon)
            raised = True
            try:
                self.welcome(wire.line)
                crew.start_soon(wire.line.watch_idle)
                yield transport
                raised = False
            finally:
                try:
                    await transport.leave()
                except trio.Cancelled:
                    # An error on its way out says more than a cancellation that came later; the
                    # next checkpoint says that again.
                    if not raised:
                        raise
                finally:
                    transport.left()

    @cached_property
    def byte_connector(self) -> Connector:
        """Connects to the exchange over streams in memory.

        Everything is as over sockets, upgrade, frames, Pings and closing included, with the same
        server behind it; but there is no kernel between, so a ``MockClock`` can jump.

        It brings :attr:`env`. Connecting raises :class:`trioflex.ConnectFailed` where the opening
        handshake failed. Where it is cancelled, the connection is dropped without a Close.
        """
        return BringingConnector(self._connect_bytes, self.env)

    @asynccontextmanager
    async def _connect_bytes(self, target: Target, /) -> AsyncIterator[Transport]:
        async with open_crew() as crew:

            async def dial(target: Target) -> trio.abc.Stream:
                await trio.lowlevel.checkpoint()
                client, server = memory_stream_pair()
                far = TappedStream(server)
                crew.start_soon(host_stream, self, far)
                return PacedStream(client, far, server.receive_stream.put_data)

            async with websocket_connector(dial=dial)(target) as transport:
                yield transport

    async def host(self, stream: trio.abc.Stream, /) -> None:
        """Play the venue on a byte stream, from the client's request to the end: a server for
        :func:`trioflex.testing.memory_connector`, or for a proxy of one's own.

        Args:
            stream: the server's end of a fresh connection; closed in any case.

        Raises:
            BaseException: only errors of the simulator itself, whatever the client does.

        Cancellation: the connection is dropped.
        """
        await host_stream(self, stream)

    # -- trading -------------------------------------------------------------------------------

    def trade(self, turns: int = 1) -> None:
        """Let the other market participants act, at once.

        Args:
            turns: how often.
        """
        for _ in range(turns):
            self.model.trade()

    def advance(self, seconds: float) -> int:
        """Let the other market participants do at once what takes them so long.

        No clock moves: only the order flow does.

        Args:
            seconds: of the flow's own rhythm.

        Returns:
            How many turns that were.
        """
        turns = 0
        while seconds > 0:
            seconds -= self.model.trade()
            turns += 1
        return turns

    @asynccontextmanager
    async def trading(self) -> AsyncIterator[None]:
        """Let the other market participants trade, in their own rhythm, while the block runs.

        Cancellation: ends the order flow and the block.
        """
        async with open_crew() as crew:
            crew.start_soon(self._keep_trading)
            yield

    async def _keep_trading(self) -> None:
        rest = 0.0
        while True:
            await trio.sleep(rest)
            rest = self.model.trade()

    # -- what was seen -------------------------------------------------------------------------

    def count(self, method: str | type[Request[Any]]) -> int:
        """Return how many requests of that kind have arrived, over all connections.

        Args:
            method: the venue's request class, or the name on the wire; ``"*"``: any.

        Raises:
            ValueError: the venue has no such request.
        """
        return self.tally.count(self._named(method))

    async def seen(self, method: str | type[Request[Any]], count: int = 1) -> None:
        """Wait until so many requests of that kind have arrived since the exchange was made.

        Args:
            method: the venue's request class, or the name on the wire; ``"*"``: any.
            count: how many.

        Raises:
            ValueError: the venue has no such request.

        Cancellation: nothing changes.
        """
        await self.tally.wait_count(self._named(method), count)

    @property
    def frames(self) -> deque[SeenFrame]:
        """The newest frames that passed, oldest first; no more than ``frames_kept``."""
        return self.tally.frames

    @property
    def next_connection(self) -> int:
        """The number that the next connection will have; the first has 1."""
        return self.tally.connections + 1

    def statistics(self) -> ExchangeStatistics:
        """Return what happened until now."""
        queued = sum(line.wire.queued_bytes for line in self.lines.values())
        return self.tally.statistics(len(self.lines), queued)

    # -- for the hosts (connector, hosting.py) and the lines ------------------------------------

    def open_line(self, wire: Wire, spawn: Spawn) -> Line:
        """Make the far side of a connection whose WebSocket is open."""
        self.tally.connections += 1
        line = Line(self, self.tally.connections, wire, spawn)
        self.lines[line.number] = line
        _log.info("connection %d opened", line.number)
        return line

    def welcome(self, line: Line) -> None:
        """Let the venue speak first, unless the script wants the connection gone."""
        if self.faults.take(AcceptAndDrop, line.number) is not None:
            line.wire.drop(mid_frame=False)
        else:
            line.open()

    def forget(self, line: Line, why: str) -> None:
        """Take a line off the list of the open ones."""
        del self.lines[line.number]
        _log.info("connection %d ended: %s", line.number, why)

    def pushes_before_reply(self, pushes: int) -> int:
        """Return how many of a request's pushes precede its reply."""
        if self.shuffle:
            return self._random.randint(0, pushes)
        return pushes if self.notices_first else 0

    async def _admit(self, target: Target) -> None:
        await trio.lowlevel.checkpoint()
        hangs = self.faults.take(HangUpgrade, self.next_connection) is not None
        if hangs or self.faults.holding(Dark, self.next_connection) is not None:
            await trio.sleep(target.connect_timeout)
            raise ConnectFailed(
                f"{self.model.name} did not answer within {target.connect_timeout:g} s"
                " (connect_timeout)."
            )
        refusal = self.faults.take(RefuseConnections, self.next_connection)
        if refusal is not None:
            self.tally.refused += 1
            raise ConnectFailed(
                f"{self.model.name} refused the connection with HTTP status {refusal.status}.",
                status=refusal.status,
                body=refusal.body,
                retry_after=refusal.retry_after,
                final=refusal.status in FINAL_STATUS,
            )

    def _named(self, method: str | type[Request[Any]]) -> str:
        return wire_name(self.model, method)

    def _faults_changed(self) -> None:
        for line in list(self.lines.values()):
            line.wire.faults_changed()


def _model_of(venue: str, *, seed: int, clock: Callable[[], int], **options: Any) -> ExchangeModel:
    try:
        module, name = MODELS[venue]
    except KeyError:
        raise ValueError(
            f"there is no simulated {venue!r}: choose one of {', '.join(sorted(MODELS))}, or hand"
            " over a model of your own"
        ) from None
    model: ExchangeModel = getattr(importlib.import_module(module), name)(
        seed=seed, clock=clock, **options
    )
    return model


def _made_already(model: ExchangeModel, options: dict[str, Any]) -> ExchangeModel:
    if options:
        raise TypeError(
            f"{', '.join(sorted(options))}: options go to a model that is made here; this one is"
            " made already"
        )
    return model


@asynccontextmanager
async def open_exchange(
    venue: str | ExchangeModel, **options: Any
) -> AsyncIterator[SimulatedExchange]:
    """Make a :class:`SimulatedExchange` whose other market participants trade in the background.

    Args:
        venue: as for :class:`SimulatedExchange`.
        options: as for :class:`SimulatedExchange`.

    Cancellation: ends the order flow and the block.
    """
    exchange = SimulatedExchange(venue, **options)
    async with exchange.trading():
        yield exchange
