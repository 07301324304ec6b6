"""The seam inside the simulator: what a venue's far side implements, and what it is given.

An :class:`ExchangeModel` holds what all connections share (books, accounts, the clock); it makes a
:class:`Peer` for each connection, pure like a session: frames in, frames out, no I/O. Everything
else (memory, sockets, fault scripts, background order flow) is done once, in ``exchange.py`` and
``server.py``, for all venues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable


class Link(Protocol):
    """A peer's way back to its client. Nothing here waits."""

    def send(self, frame: str) -> None:
        """Queue a frame nobody asked for (a notice, a push); frames of a link keep their order.

        While the peer is handling a request, what it sends is kept until the exchange has decided
        whether the reply goes first.
        """

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the WebSocket once what is queued has gone."""


class Peer(Protocol):
    """The far side of one connection."""

    def opened(self) -> None:
        """Take notice that the WebSocket is open (a venue with a welcome sends it here)."""

    def received(self, frame: str) -> Sequence[str]:
        """Execute one request and return its replies; pushes it causes go to the links."""

    def method_of(self, frame: str) -> str:
        """Return the name of the request in a frame (``"PlaceOrder"``), ``""`` if it has none."""

    def refusal(self, frame: str, code: str, message: str) -> str:
        """Return the frame with which the venue refuses the request in ``frame``."""

    def closed(self) -> None:
        """Take notice that the connection is gone: forget its subscriptions, cancel what dies
        with it."""


@runtime_checkable
class BeatingPeer(Peer, Protocol):
    """A peer that speaks by itself at regular times, as venues do that ping."""

    beat_every: float
    """Seconds between two beats, on Trio's clock; the first comes that long after the opening."""

    def beat(self) -> None:
        """Do what is due; what is sent goes to the link."""


class ExchangeModel(Protocol):
    """One simulated venue: the state that all its connections share."""

    name: str
    """The venue's name."""

    idle_timeout: float | None
    """Seconds without a frame in either direction after which the venue drops a connection."""

    def connect(self, link: Link) -> Peer:
        """Make the far side of a new connection."""

    def credentials(self) -> Mapping[str, str]:
        """Return the default account, keyed by the environment variables the command line reads."""

    def trade(self) -> float:
        """Let the other market participants act once; return seconds until their next turn."""


class NamedModel(ExchangeModel, Protocol):
    """A model that says what can be asked of it, so that a script which names anything else is
    told so, and may name request classes instead."""

    @property
    def methods(self) -> Mapping[str, str]:
        """Every name that :meth:`Peer.method_of` returns for a request that the venue has, with
        the name of its class in the venue's module; ``""`` where clients send it by themselves, as
        they do logins and subscriptions."""
