"""The faults of a simulated exchange as values, and the book that is kept of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import attrs

EVERY = "*"
"""Instead of a method's name: every request."""


@attrs.define(eq=False, kw_only=True)
class Fault:
    """One order to misbehave. It ends by itself after ``times``, or when it is stopped."""

    times: int | None = None
    """How often it strikes; ``None``: until it is stopped."""
    connection: int | None = None
    """Number of the only connection it concerns; ``None``: all, later ones too."""
    hits: int = attrs.field(default=0, init=False)
    """How often it has struck."""
    active: bool = attrs.field(default=True, init=False)
    """Whether it can still strike."""
    _changed: Callable[[], None] = attrs.field(default=lambda: None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError(
                f"a fault strikes at least once: times is {self.times}, give 1 or more, or None"
            )

    def stop(self) -> None:
        """End the fault now; what it holds back goes on its way. Stopping twice is harmless."""
        if self.active:
            self.active = False
            self.release()
            self._changed()

    def release(self) -> None:
        """Send on what was held back; called once, when the fault is stopped."""

    def strike(self) -> None:
        """Count one hit, and end after the last."""
        self.hits += 1
        if self.hits == self.times:
            self.active = False

    def concerns(self, connection: int, method: str) -> bool:
        """Return whether it is about this request of this connection."""
        return self.active and self.connection in (None, connection)


@attrs.define(eq=False, kw_only=True)
class MethodFault(Fault):
    """A fault of one kind of request."""

    method: str
    """The request's name, or :data:`EVERY`."""

    def concerns(self, connection: int, method: str) -> bool:
        """Return whether it is about this request of this connection."""
        return self.method in (method, EVERY) and Fault.concerns(self, connection, method)


@attrs.define(eq=False, kw_only=True)
class Silence(MethodFault):
    """The reply never comes."""

    execute: bool = True


@attrs.define(eq=False, kw_only=True)
class Delay(MethodFault):
    """The reply comes late."""

    seconds: float


@attrs.define(eq=False, kw_only=True)
class Refuse(MethodFault):
    """The venue says no."""

    code: str
    message: str


@attrs.define(eq=False, kw_only=True)
class Duplicate(MethodFault):
    """The reply comes twice."""


@attrs.define(eq=False, kw_only=True)
class DuplicatePushes(Fault):
    """What nobody asked for comes twice."""


@attrs.define(eq=False, kw_only=True)
class Reorder(Fault):
    """Replies overtake one another."""

    size: int
    held: list[Callable[[], None]] = attrs.field(factory=list, init=False, repr=False)

    def release(self) -> None:
        """Send what was held back, the last first."""
        held, self.held = self.held, []
        for send in reversed(held):
            send()


@attrs.define(eq=False, kw_only=True)
class Garble(Fault):
    """A frame arrives as something else."""

    replace: Callable[[str], str | bytes]


@attrs.define(eq=False, kw_only=True)
class Stall(Fault):
    """The far side does not read."""

    room: int = 0


@attrs.define(eq=False, kw_only=True)
class Dark(Fault):
    """Nothing passes in either direction."""

    room: int = 0


@attrs.define(eq=False, kw_only=True)
class RefuseConnections(Fault):
    """The HTTP upgrade is refused."""

    status: int
    retry_after: float | None
    body: str


@attrs.define(eq=False, kw_only=True)
class AcceptAndDrop(Fault):
    """The WebSocket opens and is gone."""


@attrs.define(eq=False, kw_only=True)
class HangUpgrade(Fault):
    """The HTTP upgrade is never answered."""


@attrs.define(eq=False, kw_only=True)
class WithholdWelcome(Fault):
    """What the venue says first is not said, or late."""

    seconds: float | None = None


F = TypeVar("F", bound=Fault)


class Faults:
    """All faults that were ordered and have not ended, in the order they were ordered.

    Args:
        changed: called when a fault was added or stopped.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._notify = changed
        self._faults: list[Fault] = []

    def add(self, fault: F) -> F:
        """Let a fault act from now on."""
        fault._changed = self._update
        self._faults.append(fault)
        self._update()
        return fault

    def holding(self, kind: type[F], connection: int, method: str = "") -> F | None:
        """Return the first fault of that kind that concerns the connection, without a hit."""
        for fault in self._faults:
            if isinstance(fault, kind) and fault.concerns(connection, method):
                return fault
        return None

    def take(self, kind: type[F], connection: int, method: str = "") -> F | None:
        """Let the first fault of that kind strike the connection, and return it."""
        if not self._faults:
            # The ordinary case, asked several times a frame.
            return None
        fault = self.holding(kind, connection, method)
        if fault is not None:
            fault.strike()
            if not fault.active:
                self._update()
        return fault

    def stop_all(self) -> None:
        """Stop every fault."""
        for fault in list(self._faults):
            fault.stop()

    def _update(self) -> None:
        self._faults = [fault for fault in self._faults if fault.active]
        self._notify()
