"""One connection of a simulated exchange, whatever carries it: the peer, and the script before it.

The line stands between a venue's :class:`~trioflex.simulator.peer.Peer` (pure) and a
:class:`Wire`, which is a queue in memory or a WebSocket. It decides what is executed, in which
order replies and notices leave, and what faults do to them. Nothing here waits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

import trio

from .faults import (
    Dark,
    Delay,
    Duplicate,
    DuplicatePushes,
    Garble,
    Refuse,
    Reorder,
    Silence,
    Stall,
    WithholdWelcome,
)
from .peer import BeatingPeer

if TYPE_CHECKING:
    from .exchange import SimulatedExchange
    from .peer import Peer

Spawn: TypeAlias = Callable[..., None]
"""``spawn(async_fn, *args)`` runs it beside the connection, for as long as that lives."""

Push: TypeAlias = "str | tuple[int, str]"
"""What a peer sends unasked: a frame, or a Close as code and reason."""


class Wire(Protocol):
    """What carries a line to its client. Nothing here waits; order is kept."""

    @property
    def queued_bytes(self) -> int:
        """How far the client is behind with reading."""

    def send(self, frame: str | bytes) -> None:
        """Queue a text message (or a binary one)."""

    def ping(self) -> None:
        """Queue a Ping."""

    def close(self, code: int, reason: str, *, keep_tcp: bool) -> None:
        """Queue a Close; ``keep_tcp``: and leave the TCP connection open when it is answered."""

    def half_close(self) -> None:
        """Queue the end of the outgoing direction (FIN); go on reading."""

    def drop(self, *, mid_frame: bool) -> None:
        """End the connection now, without a Close; ``mid_frame``: after half a frame."""

    def faults_changed(self) -> None:
        """Look again whether the line is stalled or dark."""


class Line:
    """The far side of one connection; also the :class:`~trioflex.simulator.peer.Link` of its peer.

    Args:
        exchange: the exchange it belongs to.
        number: counted from 1 over the exchange's life.
        wire: what carries it.
        spawn: starts a background task of this connection.
    """

    def __init__(self, exchange: SimulatedExchange, number: int, wire: Wire, spawn: Spawn) -> None:
        self.number = number
        self.wire = wire
        self.over: bool = False
        self.last_activity: float = trio.current_time()
        self._exchange = exchange
        self._faults = exchange.faults
        self._spawn = spawn
        self._held: list[Push] | None = None
        self._peer: Peer = exchange.model.connect(self)

    # -- the Link of the peer ------------------------------------------------------------------

    def send(self, frame: str) -> None:
        """Queue a push; while a request is being handled, until the order is decided."""
        if self._held is not None:
            self._held.append(frame)
        else:
            self._push(frame)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the WebSocket once what is queued has gone."""
        if self._held is not None:
            self._held.append((code, reason))
        elif not self.over:
            self.wire.close(code, reason, keep_tcp=False)

    # -- what the wire reports -----------------------------------------------------------------

    def open(self) -> None:
        """Tell the peer that the WebSocket is open, and let it say what it says first."""
        pushes = self._collect(self._peer.opened)
        withheld = self._faults.take(WithholdWelcome, self.number)
        if withheld is None:
            self._send_pushes(pushes)
        elif withheld.seconds is not None:
            self._spawn(self._later, withheld.seconds, self._send_pushes, pushes)
        if isinstance(self._peer, BeatingPeer):
            self._spawn(self._keep_beating, self._peer)

    def received(self, frame: str) -> None:
        """Take one request off the wire: execute it, unless a fault has other plans."""
        if self.over:
            return
        self.touch()
        method = self._peer.method_of(frame)
        self._exchange.tally.note_request(self.number, method, frame)
        take, number = self._faults.take, self.number
        replies: Sequence[str]
        pushes: Sequence[Push] = ()
        refuse = take(Refuse, number, method)
        if refuse is not None:
            replies = [self._peer.refusal(frame, refuse.code, refuse.message)]
        else:
            silence = take(Silence, number, method)
            if silence is not None and not silence.execute:
                return
            answered: list[str] = []
            pushes = self._collect(lambda: answered.extend(self._peer.received(frame)))
            replies = answered if silence is None else ()
        if replies and take(Duplicate, number, method) is not None:
            replies = [twice for reply in replies for twice in (reply, reply)]
        if replies and (delay := take(Delay, number, method)) is not None:
            self._spawn(self._later, delay.seconds, self._send_replies, replies)
            replies = ()
        self._send_in_order(replies, pushes)

    def touch(self) -> None:
        """Take notice that something passed, in either direction."""
        self.last_activity = trio.current_time()

    def ended(self, why: str) -> None:
        """Take notice that the connection is over; ``why`` is a clause for the log."""
        if not self.over:
            self.over = True
            self._exchange.forget(self, why)
            self._peer.closed()

    async def watch_idle(self) -> None:
        """Drop the connection when nothing has passed for as long as the venue allows."""
        limit = self._exchange.model.idle_timeout
        if limit is None:
            return
        while not self.over:
            deadline = self.last_activity + limit
            await trio.sleep_until(deadline)
            if self.last_activity + limit <= deadline:
                self._exchange.tally.dropped_idle += 1
                self.wire.drop(mid_frame=False)

    async def _keep_beating(self, peer: BeatingPeer) -> None:
        while not self.over:
            await trio.sleep(peer.beat_every)
            if not self.over:
                peer.beat()

    # -- what the wire asks --------------------------------------------------------------------

    @property
    def reading(self) -> bool:
        """Whether what the client sends is read."""
        holding = self._faults.holding
        return holding(Stall, self.number) is None and holding(Dark, self.number) is None

    @property
    def writing(self) -> bool:
        """Whether what the far side sends arrives."""
        return self._faults.holding(Dark, self.number) is None

    @property
    def room(self) -> float:
        """Bytes of the client that the network takes while nobody reads."""
        if (stall := self._faults.holding(Stall, self.number)) is not None:
            return stall.room
        if (dark := self._faults.holding(Dark, self.number)) is not None:
            return dark.room
        return math.inf

    # -- order and faults of what leaves -------------------------------------------------------

    def emit(self, frame: str | bytes) -> None:
        """Hand one frame to the wire, garbled if that was ordered."""
        if self.over:
            return
        if isinstance(frame, str) and (garble := self._faults.take(Garble, self.number)):
            frame = garble.replace(frame)
        self.touch()
        self._exchange.tally.note_frame(self.number, frame)
        self.wire.send(frame)

    def _collect(self, act: Callable[[], None]) -> list[Push]:
        held: list[Push] = []
        self._held = held
        try:
            act()
        finally:
            self._held = None
        return held

    def _send_in_order(self, replies: Sequence[str], pushes: Sequence[Push]) -> None:
        before = self._exchange.pushes_before_reply(len(pushes)) if replies else 0
        self._send_pushes(pushes[:before])
        self._send_replies(replies)
        self._send_pushes(pushes[before:])

    def _send_replies(self, replies: Sequence[str]) -> None:
        for reply in replies:
            reorder = self._faults.holding(Reorder, self.number)
            if reorder is None:
                self.emit(reply)
                continue
            reorder.held.append(partial(self.emit, reply))
            if len(reorder.held) == reorder.size:
                reorder = self._faults.take(Reorder, self.number)
                if reorder is not None:
                    reorder.release()

    def _send_pushes(self, pushes: Sequence[Push]) -> None:
        for push in pushes:
            if isinstance(push, tuple):
                self.close(*push)
            else:
                self._push(push)

    def _push(self, frame: str) -> None:
        self.emit(frame)
        if self._faults.take(DuplicatePushes, self.number) is not None:
            self.emit(frame)

    async def _later(
        self, seconds: float, act: Callable[[Sequence[str]], None], frames: Sequence[str]
    ) -> None:
        await trio.sleep(seconds)
        act(frames)
