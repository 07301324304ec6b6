"""Sessions on record: every call with its outcome, and the way to make them again.

A session is a function of its credentials, what its ``Env`` answered, and the calls it got. All
three are kept, so a session can be brought to any point of its life as often as a check likes.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from ..protocol import (
    BundlingSession,
    Channel,
    Env,
    Event,
    Request,
    Session,
    Transmit,
    Venue,
)

EPOCH_MS = 1_583_020_800_000
"""2020-03-01 00:00 UTC: what the wall clock says where no simulated exchange has one."""


@attrs.define
class Call:
    """One call of a session's method."""

    method: str
    arguments: tuple[Any, ...]
    outcome: Any = None
    error: Exception | None = None
    copy: list[Any] | None = None
    """Of an outcome that is a list, as it was when the session returned it."""

    @property
    def events(self) -> list[Event]:
        """The events it returned."""
        return self.copy if self.copy is not None and self.method != "close" else []

    @property
    def frame(self) -> bytes:
        """The frame that arrived, of a ``receive``."""
        frame: bytes = self.arguments[0]
        return frame

    def transmitted(self) -> Iterable[str]:
        """Return the frames that left."""
        if self.method == "send" and isinstance(self.outcome, str):
            yield self.outcome
        for event in self.copy or ():
            if isinstance(event, Transmit):
                yield event.frame

    def __str__(self) -> str:
        if self.method == "receive":
            return "receive() of a frame"
        shown = ", ".join(
            type(each).__name__ if isinstance(each, (Request, Channel)) else repr(each)
            for each in self.arguments
        )
        return f"{self.method}({shown})" if self.method != "login" else "login()"


def perform(session: Session, method: str, arguments: tuple[Any, ...]) -> Call:
    """Call a method and keep what came of it, errors included."""
    call = Call(method, arguments)
    try:
        call.outcome = getattr(session, method)(*arguments)
    except Exception as exc:  # which errors may come out of a session is what is being checked
        call.error = exc
    if isinstance(call.outcome, list):
        call.copy = list(call.outcome)
    return call


@attrs.define
class World:
    """An :class:`Env` that remembers what it answered, or answers as one did before.

    Args:
        answers: of another world, used up function by function; beyond them, and without them,
            everything is made of a counter.
        source: who answers in earnest, for a world that remembers.
    """

    answers: Sequence[tuple[str, Any]] = ()
    source: Env | None = None
    given: list[tuple[str, Any]] = attrs.field(factory=list)
    _left: dict[str, deque[Any]] = attrs.field(factory=dict, init=False)
    _count: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        for name, answer in self.answers:
            self._left.setdefault(name, deque()).append(answer)

    @property
    def env(self) -> Env:
        """What a session is given."""
        return Env(
            random_bytes=lambda n: self._answer("random_bytes", n),
            epoch_ms=lambda: self._answer("epoch_ms"),
            encrypt_pkcs1v15=lambda der, data: self._answer("encrypt_pkcs1v15", der, data),
        )

    def _answer(self, name: str, *arguments: Any) -> Any:
        if self.source is not None:
            answer = getattr(self.source, name)(*arguments)
        else:
            left = self._left.get(name)
            answer = left.popleft() if left else self._made(name, *arguments)
            if name == "random_bytes" and len(answer) != arguments[0]:
                answer = self._made(name, *arguments)
        self.given.append((name, answer))
        return answer

    def _made(self, name: str, *arguments: Any) -> Any:
        self._count += 1
        if name == "epoch_ms":
            last = [answer for given, answer in self.given if given == name]
            return (last[-1] if last else EPOCH_MS) + 1
        size = arguments[0] if name == "random_bytes" else 256
        return hashlib.shake_256(f"{name} {self._count}".encode()).digest(size)


@attrs.define
class SessionLog:
    """The life of one session."""

    credentials: Any
    world: World
    calls: list[Call] = attrs.field(factory=list)
    error: Exception | None = None
    """What making it raised."""

    def fresh(self, venue: Venue) -> tuple[Session, World]:
        """Make the session again, in the same world."""
        world = World(self.world.given)
        return venue.session(self.credentials, world.env), world

    def at(self, venue: Venue, index: int) -> Session:
        """Make the session again and bring it to where it was before the call of that number."""
        session, _ = self.fresh(venue)
        for call in self.calls[:index]:
            perform(session, call.method, call.arguments)
        return session


class _Recording:
    """A session in front of another, keeping its log; the core sees no difference.

    It has no ``receive_batch``, so that each frame has its own events.
    """

    def __init__(self, session: Session, log: SessionLog) -> None:
        self._session = session
        self._log = log

    def _call(self, method: str, *arguments: Any) -> Any:
        call = perform(self._session, method, arguments)
        self._log.calls.append(call)
        if call.error is not None:
            raise call.error
        return call.outcome

    def open(self) -> Any:
        return self._call("open")

    def receive(self, frame: bytes) -> Any:
        return self._call("receive", bytes(frame))

    def send(self, request: Request[Any], key: int) -> Any:
        return self._call("send", request, key)

    def watch(self, channel: Channel[Any], on: bool) -> Any:
        return self._call("watch", channel, on)

    def login(self, credentials: Any) -> Any:
        return self._call("login", credentials)

    def close(self) -> Any:
        return self._call("close")


class _RecordingBundles(_Recording):
    """The same for a session that bundles."""

    def bundle(self, requests: Sequence[Request[Any]]) -> Any:
        return self._call("bundle", tuple(requests))


def recorder(
    make: Callable[[Any, Env], Session], logs: list[SessionLog]
) -> Callable[[Any, Env], Session]:
    """Return a venue's ``session`` whose sessions are kept on record.

    Args:
        make: the venue's own.
        logs: a log is appended here for each session that is made.
    """

    def session(credentials: Any, env: Env) -> Session:
        log = SessionLog(credentials, World(source=env))
        logs.append(log)
        try:
            made = make(credentials, log.world.env)
        except Exception as exc:
            log.error = exc
            raise
        return (_RecordingBundles if isinstance(made, BundlingSession) else _Recording)(made, log)

    return session
