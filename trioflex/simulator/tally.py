"""What a simulated exchange remembers: frames that passed, and counts of what happened."""

from __future__ import annotations

from collections import Counter, deque
from typing import Literal

import attrs
import trio

FRAMES_KEPT = 10_000
"""How many frames are remembered: the whole of an ordinary test, and some megabytes of a day-long
run."""


@attrs.frozen
class SeenFrame:
    """One frame that passed, in either direction."""

    at: float
    """Trio's time, in seconds."""
    connection: int
    """Number of the connection."""
    direction: Literal[">", "<"]
    """``">"`` from the client to the venue, ``"<"`` from the venue to the client."""
    text: str | bytes
    """What passed; bytes if it was a binary message."""


@attrs.frozen(kw_only=True)
class ExchangeStatistics:
    """What happened at a simulated exchange until now."""

    connections: int
    """WebSockets that were opened."""
    open: int
    """Those that still are."""
    refused: int
    """Attempts whose upgrade was refused, by the script or for being no upgrade at all."""
    requests: int
    """Frames received."""
    frames: int
    """Frames sent."""
    queued_bytes: int
    """What waits for clients to read it, over all open connections."""
    dropped_slow: int
    """Connections dropped because their client did not read (``max_queued_bytes``)."""
    dropped_idle: int
    """Connections dropped because nothing passed for the venue's idle timeout."""
    failed: int
    """Connections ended by an error of the simulator itself; the log has the traceback."""


class Tally:
    """The memory of one exchange.

    Args:
        frames_kept: how many frames, the newest.
    """

    def __init__(self, frames_kept: int) -> None:
        self.frames: deque[SeenFrame] = deque(maxlen=frames_kept)
        self.connections = 0
        self.refused = 0
        self.dropped_slow = 0
        self.dropped_idle = 0
        self.failed = 0
        self._requests: Counter[str] = Counter()
        self._frames_sent = 0
        self._request_arrived = trio.Event()

    def note_request(self, connection: int, method: str, frame: str) -> None:
        """Count and remember a frame that arrived, and tell whoever waits for it."""
        self._requests[method] += 1
        self.frames.append(SeenFrame(trio.current_time(), connection, ">", frame))
        self._request_arrived.set()
        self._request_arrived = trio.Event()

    def note_frame(self, connection: int, frame: str | bytes) -> None:
        """Count and remember a frame that leaves."""
        self._frames_sent += 1
        self.frames.append(SeenFrame(trio.current_time(), connection, "<", frame))

    def count(self, method: str) -> int:
        """Return how many requests of that name have arrived; ``"*"``: of any."""
        return self._requests.total() if method == "*" else self._requests[method]

    async def wait_count(self, method: str, count: int) -> None:
        """Wait until so many requests of that name have arrived."""
        await trio.lowlevel.checkpoint()
        while self.count(method) < count:
            await self._request_arrived.wait()

    def statistics(self, open_connections: int, queued_bytes: int) -> ExchangeStatistics:
        """Return it all as one record."""
        return ExchangeStatistics(
            connections=self.connections,
            open=open_connections,
            refused=self.refused,
            requests=self.count("*"),
            frames=self._frames_sent,
            queued_bytes=queued_bytes,
            dropped_slow=self.dropped_slow,
            dropped_idle=self.dropped_idle,
            failed=self.failed,
        )
