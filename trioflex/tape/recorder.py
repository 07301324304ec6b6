"""Recording: a connector around another, and a task that writes what it saw."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

import attrs
import msgspec
import trio

from .. import (
    Connector,
    Disconnected,
    Observer,
    RemoteProtocolError,
    Target,
    Transport,
    TransportStatistics,
    TrioflexError,
    system_env,
    websocket_connector,
)
from ..protocol import Env, Venue
from ..simulator.bringing import bringing
from ..simulator.crew import open_crew
from .entries import VERSION, TapeEntry, TapeFrame, TapeHead, TapeMark, open_tape_file, utc

MAX_BUFFERED = 64 * 1024 * 1024
"""Characters that may wait to be written: minutes of a busy market, should the disk stall."""

GATHERING = 0.1
"""Seconds between two writes: frames come by the thousand, and a write each would cost more than
they do."""


@attrs.frozen(kw_only=True)
class RecorderStatistics:
    """What a recorder did until now."""

    seconds: float
    """Since it began."""
    connections: int
    """Connections that were open."""
    frames_in: int
    """Messages from the venue."""
    frames_out: int
    """Messages to it."""
    characters: int
    """Of all messages."""
    dropped: int
    """Messages that came while too many waited to be written."""
    connected: bool
    """A connection is open now."""


class Recorder(Observer):
    """Writes what passes through its connectors; made by :func:`open_recorder`.

    As an observer of the client it also marks when a connection became ready.
    """

    def __init__(self, venue: Venue, limit: int) -> None:
        self._redact = venue.redact
        self._began = trio.current_time()
        self._limit = limit
        self._waiting: list[tuple[float, int, str, str | bytes] | TapeMark] = []
        self._waiting_size = 0
        self._lost = 0  # messages dropped since the last line that says so
        self._news = trio.Event()
        self._attempts = 0
        self._open = 0
        self._connections = 0
        self._passed = {"<": 0, ">": 0}
        self._characters = 0
        self._dropped = 0

    def connector(self, inner: Connector | None = None) -> Connector:
        """Return a connector whose connections are recorded.

        Args:
            inner: makes the connections; ``None``: over TCP and TLS. What it brings is passed on.
        """
        connect = websocket_connector() if inner is None else inner

        def recording(target: Target, /) -> AbstractAsyncContextManager[Transport]:
            self._attempts += 1
            return _Recorded(self, self._attempts, connect(target))

        return bringing(recording, connect)

    def statistics(self) -> RecorderStatistics:
        """Return what was recorded until now."""
        return RecorderStatistics(
            seconds=trio.current_time() - self._began,
            connections=self._connections,
            frames_in=self._passed["<"],
            frames_out=self._passed[">"],
            characters=self._characters,
            dropped=self._dropped,
            connected=self._open > 0,
        )

    def ready(self, connection: int, account: str | None, seconds: float) -> None:
        """Mark it."""
        self.note("ready", connection, account=account or "")

    # -- for the connections -------------------------------------------------------------------

    def note(
        self,
        mark: str,
        connection: int = 0,
        *,
        reason: str = "",
        code: int | None = None,
        account: str = "",
    ) -> None:
        """Keep a mark. Quick and synchronous."""
        if mark == "opened":
            self._connections += 1
            self._open += 1
        elif mark in ("lost", "closed"):
            self._open -= 1
        self._tell_dropped()
        self._waiting.append(
            TapeMark(
                t=self._now(),
                n=connection,
                mark=mark,
                reason=reason,
                code=code,
                account=account,
            )
        )
        self._news.set()

    def keep(self, connection: int, direction: str, messages: Iterable[str | bytes]) -> None:
        """Keep messages, unless too many wait to be written. Quick and synchronous."""
        now = self._now()
        for message in messages:
            if self._waiting_size + len(message) > self._limit:
                self._lost += 1
                self._dropped += 1
                continue
            self._tell_dropped()
            self._waiting_size += len(message)
            self._waiting.append((now, connection, direction, message))
            self._passed[direction] += 1
            self._characters += len(message)
        self._news.set()

    def _tell_dropped(self) -> None:
        if self._lost:
            self._waiting.append(TapeMark(t=self._now(), mark="dropped", count=self._lost))
            self._lost = 0

    def _now(self) -> float:
        return round(trio.current_time() - self._began, 6)

    # -- writing -------------------------------------------------------------------------------

    @trio.lowlevel.enable_ki_protection
    async def keep_writing(self, file: IO[str]) -> None:
        """Write what comes until cancelled, in another thread: disks and compression take time.

        Raises:
            OSError: it cannot be written.

        Cancellation: what is not written yet, :meth:`finish` writes.
        """
        while True:
            await self._news.wait()
            await trio.sleep(GATHERING)
            # Not to be abandoned: what was taken would be lost, and two threads write at once.
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._write, file, self._take())

    def finish(self, file: IO[str]) -> None:
        """Write what is left, a tenth of a second's worth, and close the file.

        It waits for the disk, and for nothing else: here neither a cancellation nor Ctrl-C may
        come between, and everybody else has left.

        Raises:
            OSError: it cannot be written.
        """
        self.note("end")
        with file:
            self._write(file, self._take())

    def _take(self) -> list[tuple[float, int, str, str | bytes] | TapeMark]:
        waiting, self._waiting, self._waiting_size = self._waiting, [], 0
        self._news = trio.Event()
        return waiting

    def _write(
        self, file: IO[str], waiting: list[tuple[float, int, str, str | bytes] | TapeMark]
    ) -> None:
        for each in waiting:
            file.write(_line(self._entry(each)))
        file.flush()

    def _entry(self, waiting: tuple[float, int, str, str | bytes] | TapeMark) -> TapeEntry:
        if isinstance(waiting, TapeMark):
            return msgspec.structs.replace(waiting, reason=self._redact(waiting.reason))
        t, n, direction, message = waiting
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        return TapeFrame(t=t, n=n, dir="<" if direction == "<" else ">", frame=self._redact(text))


# Ctrl-C comes out of the block, or of what is awaited in it, but not between two lines of ours.
@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def open_recorder(
    path: str | os.PathLike[str],
    venue: Venue,
    *,
    channels: Sequence[str] = (),
    env: Env | None = None,
    overwrite: bool = False,
    max_buffered: int = MAX_BUFFERED,
) -> AsyncIterator[Recorder]:
    """Record what passes between clients and a venue while the block runs::

        async with (
            open_recorder("monday.jsonl.gz", coinflex.VENUE) as recorder,
            open_client(
                coinflex.VENUE, connector=recorder.connector(), observer=recorder
            ) as client,
        ):
            ...

    Nothing waits for the disk: what passes is kept in memory and written by a task. What is
    written has gone through the venue's ``redact``.

    Args:
        path: of the file; ``.gz``, ``.xz`` and ``.zst`` at its end compress it.
        venue: whose frames they are.
        channels: what is going to be asked for, in words, for the tape's first line.
        env: as given to :func:`trioflex.open_client`, for the time of day; ``None``: the real one.
        overwrite: replace a file that is there already.
        max_buffered: characters that may wait to be written; messages beyond are dropped, and a
            line of the tape says how many.

    Yields:
        The recorder.

    Raises:
        TapeError: this Python cannot compress in that way.
        OSError: the file cannot be written, now or later; ``FileExistsError`` where it is there.

    Cancellation: what was seen is written before the block is left.
    """
    file = open_tape_file(Path(path), "w" if overwrite else "x")
    recorder = Recorder(venue, max_buffered)
    epoch_ms = (system_env() if env is None else env).epoch_ms()
    head = TapeHead(
        version=VERSION,
        venue=venue.name,
        started=utc(epoch_ms),
        trioflex=importlib.metadata.version("trioflex"),
        channels=list(channels),
    )
    file.write(_line(head))
    try:
        async with open_crew() as crew:
            crew.start_soon(recorder.keep_writing, file)
            yield recorder
    finally:
        recorder.finish(file)


def _line(entry: TapeEntry | TapeHead) -> str:
    return msgspec.json.encode(entry).decode() + "\n"


class _Recorded(AbstractAsyncContextManager[Transport, None]):
    """A connection on record, from the attempt to its end."""

    def __init__(
        self,
        recorder: Recorder,
        number: int,
        context: AbstractAsyncContextManager[Transport],
    ) -> None:
        self._recorder = recorder
        self._number = number
        self._context = context

    async def __aenter__(self) -> Transport:
        try:
            inner = await self._context.__aenter__()
        except TrioflexError as exc:
            self._recorder.note("failed", self._number, reason=str(exc))
            raise
        self._recorder.note("opened", self._number)
        self._transport = _RecordedTransport(inner, self._recorder, self._number)
        return self._transport

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loss = self._transport.loss
        if loss is None:
            self._recorder.note("closed", self._number)
        else:
            code = loss.code if isinstance(loss, Disconnected) else None
            self._recorder.note("lost", self._number, reason=str(loss), code=code)
        await self._context.__aexit__(kind, exc, traceback)


class _RecordedTransport:
    """A transport that is listened to."""

    def __init__(self, transport: Transport, recorder: Recorder, number: int) -> None:
        self._transport = transport
        self._recorder = recorder
        self._number = number
        self.loss: TrioflexError | None = None
        """With what it ended, unless the client left."""
        self._leaving = False

    @property
    def notify(self) -> Callable[[], None]:
        """The inner transport's."""
        return self._transport.notify

    @notify.setter
    def notify(self, notify: Callable[[], None]) -> None:
        self._transport.notify = notify

    @property
    def read_size(self) -> int:
        """The inner transport's."""
        return self._transport.read_size

    @read_size.setter
    def read_size(self, size: int) -> None:
        self._transport.read_size = size

    @property
    def writes_now(self) -> bool:
        """The inner transport's."""
        return self._transport.writes_now

    async def receive(self) -> list[bytes]:
        """Receive, and keep it."""
        try:
            messages = await self._transport.receive()
        except (Disconnected, RemoteProtocolError) as exc:
            if not self._leaving:
                self.loss = exc
            raise
        self._recorder.keep(self._number, "<", messages)
        return messages

    async def send(self, messages: Sequence[str]) -> None:
        """Keep it, and send: what answers it may come before this returns."""
        self._recorder.keep(self._number, ">", messages)
        await self._transport.send(messages)

    def send_now(self, messages: Sequence[str]) -> bool:
        """Keep it, and send."""
        self._recorder.keep(self._number, ">", messages)
        return self._transport.send_now(messages)

    def ping(self) -> None:
        """Pass it on."""
        self._transport.ping()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Pass it on, and remember who it was that left."""
        self._leaving = True
        self._transport.close(code, reason)

    def abort(self) -> None:
        """Pass it on."""
        self._transport.abort()

    def statistics(self) -> TransportStatistics:
        """Return the inner transport's."""
        return self._transport.statistics()
