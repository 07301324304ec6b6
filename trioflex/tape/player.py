"""Playing: a tape as an exchange that says what was said, in its time, to whoever asks the same."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from .. import Connector, LocalProtocolError, find_venue
from ..protocol import Correlation, Env, Venue
from ..simulator import Link, SimulatedExchange
from ..simulator.crew import Crew, open_crew
from .entries import Tape, TapeEntry, TapeError, TapeFrame, TapeMark
from .likeness import alike, find_key, key_of, parse, rekeyed, shape

_log = logging.getLogger("trioflex.tape")

PATIENCE = 2.0
"""Seconds that the tape stands still for what was asked when it was recorded: less than clients
wait for answers."""

OVERTAKEN = 0.25
"""Seconds where the client has already asked what comes later on the tape: it may ask in another
order, and no more often than its venue lets it."""

UNSENDABLE = frozenset({1005, 1006, 1015})
"""Close codes that say that there was none (RFC 6455, 7.4.1)."""


@attrs.frozen(kw_only=True)
class _Asked:
    """A request that was recorded."""

    at: int
    """Its place among the entries of the connection."""
    content: Any
    """As it was parsed."""
    key: str | int | None


class TapePlayer:
    """A tape that is being played; made by :func:`open_player`."""

    def __init__(
        self, tape: Tape, key: bool, crew: Crew, speed: float, patience: float, rewind: bool
    ) -> None:
        self.tape = tape
        self.ended: trio.Event = trio.Event()
        """Set when the tape was played to its end for the first time."""
        self.exchange: SimulatedExchange = SimulatedExchange(
            _Model(self, tape.head.venue), clock=self._clock
        )
        """The exchange that it is, for :func:`trioflex.simulator.open_server`."""
        self.played: int = 0
        """Messages that were sent to clients."""
        self.unanswered: int = 0
        """Requests of clients that are not on the tape, or not any more."""
        self.position: float = 0.0
        """Seconds into the tape."""
        self.crew = crew
        self.speed = speed
        self.patience = patience
        self.rewind = rewind
        self.connections: tuple[tuple[TapeEntry, ...], ...] = tape.connections
        self.next: int = 0
        """Which connection of the tape the next client gets."""
        self.key: str | None = find_key(tape.frames) if key else None
        self.strange: set[str] = set()
        """Shapes of requests that were recorded, and that nobody asked when the time had come."""

    @property
    def connector(self) -> Connector:
        """Reaches it in memory, and brings :attr:`env`."""
        return self.exchange.connector

    @property
    def env(self) -> Env:
        """The real world, but for the wall clock, which is the tape's. Its connector brings it;
        for a client on loopback it is the ``env`` of :func:`trioflex.open_client`, where sessions
        look at the time of day."""
        return self.exchange.env

    def _clock(self) -> int:
        # Rounded: an error of the floating point must not become a millisecond.
        return self.tape.epoch_ms * 1000 + round(self.position * 1_000_000)

    def end(self) -> None:
        """Take notice that the last connection was played."""
        self.next = 0
        self.ended.set()
        if not self.rewind:
            self.exchange.refuse_connections(503, body="The tape has ended.\n")


@asynccontextmanager
async def open_player(
    tape: Tape,
    *,
    venue: Venue | None = None,
    speed: float = 1.0,
    patience: float = PATIENCE,
    rewind: bool = False,
) -> AsyncIterator[TapePlayer]:
    """Play a tape as an exchange while the block runs::

        tape = read_tape("monday.jsonl.gz")
        async with (
            open_player(tape) as player,
            open_client(coinflex.VENUE, connector=player.connector) as client,
        ):
            ...

    A client that asks what was asked on the tape is told what was told then, in that order and in
    that time, on Trio's clock. Where it asks later, the tape waits for it; where it does not ask at
    all, the tape goes on after ``patience`` seconds, without the answers, and waits for nothing of
    that kind again. A login is answered whoever logs in: secrets are not on the tape. What was not
    asked on the tape gets no answer, and a line in the log ``trioflex.tape``.

    Where the tape lost the connection the client loses it, too, and its next one goes on behind
    that; any other connection begins at the beginning.

    Args:
        tape: what to play.
        venue: whose it is; ``None``: the registered one of that name.
        speed: how much faster than it was recorded; ``math.inf``: as fast as possible.
        patience: seconds that the tape stands still for a request that was recorded and does not
            come (a quarter of a second at most, where one that came later on the tape has come).
            More than the client takes from one request to the next: what it asks after that gets
            no answer.
        rewind: when the tape has ended, close the connection (1001), and let the next one begin
            anew. Otherwise it stays open and silent, and further ones are refused with HTTP status
            503.

    Yields:
        The player.

    Raises:
        TapeError: nothing was recorded, or the venue is not known.
        ValueError: ``speed`` is not above 0.

    Cancellation: all connections are dropped.
    """
    if not speed > 0:
        raise ValueError(f"a tape is played with a speed above 0, not {speed:g}")
    if not tape.connections:
        raise TapeError("Nothing can be played: no connection was open when this was recorded.")
    if venue is None:
        try:
            venue = find_venue(tape.head.venue)
        except ValueError as unknown:
            raise TapeError(f"The tape cannot be played: {unknown}") from None
    async with open_crew() as crew:
        keyed = venue.correlation is Correlation.BY_KEY
        yield TapePlayer(tape, keyed, crew, speed, patience, rewind)


class _Model:
    """The tape in the place of a simulated venue."""

    idle_timeout: float | None = None

    def __init__(self, player: TapePlayer, name: str) -> None:
        self.name = name
        self._player = player

    def connect(self, link: Link) -> _Peer:
        """Make the far side of a connection."""
        player = self._player
        index, player.next = player.next, 0
        return _Peer(player, link, player.exchange.next_connection - 1, index)

    def credentials(self) -> Mapping[str, str]:
        """Return none: a tape lets everybody in."""
        return {}

    @property
    def methods(self) -> Mapping[str, str]:
        """None: what it is asked is known by its likeness, so a script can say "any" at most."""
        return {}

    def trade(self) -> float:
        """Do nothing: what others did is on the tape."""
        return math.inf


class _Peer:
    """A connection of the tape, played to a client."""

    def __init__(self, player: TapePlayer, link: Link, number: int, index: int) -> None:
        self._player = player
        self._link = link
        self._number = number
        self._index = index
        self._entries: Sequence[TapeEntry] = player.connections[index]
        self._open = [
            _Asked(at=at, content=content, key=key_of(content, player.key))
            for at, entry in enumerate(self._entries)
            if isinstance(entry, TapeFrame) and entry.dir == ">"
            for content in [parse(entry.frame)]
        ]
        """Requests of the tape that are still to come."""
        self._last_word = max(
            (at for at, e in enumerate(self._entries) if isinstance(e, TapeFrame) and e.dir == "<"),
            default=-1,
        )
        """Requests behind it need not be waited for."""
        self._keys: dict[str | int, str | int] = {}
        """Recorded keys to those of this client."""
        self._missed: set[str | int] = set()
        self._latest = -1
        """The place of the last request of the tape that was asked."""
        self._impatient = False
        """A request did not come, and nothing was said since: those that went with it would be here
        by now."""
        self._asked: trio.Event = trio.Event()
        self._scope = trio.CancelScope()

    # -- what the exchange asks ----------------------------------------------------------------

    def opened(self) -> None:
        """Begin."""
        self._player.crew.start_soon(self._play)

    def received(self, frame: str) -> Sequence[str]:
        """Take notice of a request; what answers it comes in its place on the tape."""
        live = parse(frame)
        key = self._player.key
        for asked in self._open:
            if alike(asked.content, live, key):
                self._open.remove(asked)
                self._latest = max(self._latest, asked.at)
                new = key_of(live, key)
                if asked.key is not None and new is not None:
                    self._keys[asked.key] = new
                self._asked.set()
                break
        else:
            self._player.unanswered += 1
            _log.info("a request is not on the tape, or not any more: it gets no answer")
        return ()

    def method_of(self, frame: str) -> str:
        """Return nothing: requests are known by their likeness."""
        return ""

    def refusal(self, frame: str, code: str, message: str) -> str:
        """Refuse to make one up.

        Raises:
            LocalProtocolError: always.
        """
        raise LocalProtocolError("a tape says what was recorded; it cannot refuse a request")

    def closed(self) -> None:
        """Stop: the client is gone."""
        self._scope.cancel()

    # -- playing -------------------------------------------------------------------------------

    async def _play(self) -> None:
        player = self._player
        with self._scope:
            start, origin = trio.current_time(), self._entries[0].t
            for at, entry in enumerate(self._entries):
                due = start + (entry.t - origin) / player.speed
                if isinstance(entry, TapeFrame) and entry.dir == ">":
                    await self._wait_for(at, due)
                    # The tape stood still; all that follows comes so much later.
                    start += max(0.0, trio.current_time() - due)
                    continue
                if due > trio.current_time():
                    await trio.sleep_until(due)
                else:
                    await trio.lowlevel.checkpoint()
                player.position = entry.t
                if isinstance(entry, TapeFrame):
                    self._tell(entry)
                elif entry.mark in ("lost", "closed"):
                    self._end(entry)
                    return
            self._end(None)

    async def _wait_for(self, at: int, due: float) -> None:
        """Wait until the request at that place has come, or may be taken not to come."""
        asked = next((each for each in self._open if each.at == at), None)
        if asked is None:
            return
        kind = shape(asked.content, self._player.key)
        if at < self._last_word and kind not in self._player.strange:
            patience = 0.0 if self._impatient else self._player.patience
            due = max(due, trio.current_time())
            with trio.move_on_at(due + patience) as waiting:
                while asked in self._open:
                    if self._latest > at:
                        soon = max(due, trio.current_time()) + min(OVERTAKEN, patience)
                        waiting.deadline = min(waiting.deadline, soon)
                    self._asked = trio.Event()
                    await self._asked.wait()
            if asked in self._open:
                self._impatient = True
                self._player.strange.add(kind)
        if asked in self._open:
            self._open.remove(asked)
            if asked.key is not None:
                self._missed.add(asked.key)

    def _tell(self, entry: TapeFrame) -> None:
        """Say what was said, unless it answers what was not asked."""
        frame, key = entry.frame, self._player.key
        if key is not None and key in frame:
            old = key_of(parse(frame), key)
            if old is not None and old in self._missed:
                return
            new = None if old is None else self._keys.get(old)
            if old is not None and new is not None and new != old:
                frame = rekeyed(frame, key, old, new)
        self._player.played += 1
        self._impatient = False
        self._link.send(frame)

    def _end(self, mark: TapeMark | None) -> None:
        """Do what happened at the end of the connection."""
        player = self._player
        last = self._index + 1 == len(player.connections)
        lost = mark is not None and mark.mark == "lost"
        if last:
            player.end()
        else:
            player.next = self._index + 1
        if mark is not None and lost and mark.code is not None and mark.code not in UNSENDABLE:
            self._link.close(mark.code, "")
        elif lost or not last:
            player.exchange.drop(self._number)
        elif player.rewind:
            self._link.close(1001, "the tape has ended")
