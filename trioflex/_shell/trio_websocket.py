"""The same transport on trio-websocket, for programs that have a reason to run on that package.

Two tasks stand between the package and its user. The *engine* task owns the package's connection
and its nursery, so that whatever is raised in there is recorded instead of striking the user; it
takes every message out at once, because the package answers no Ping while one is waiting. The
*handover* stream shows the package an answer to its upgrade that was already judged by ours, and
sees the bytes go by, which is as close to signs of life as one gets without reaching inside.

What remains different from our own transport is listed in ``docs/explanation/transport.rst``.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

from .._vocabulary.errors import ConnectFailed, LocalProtocolError, RemoteProtocolError
from .transport import READ_SIZE, Connector, Disconnected, Target, Transport, TransportStatistics

if TYPE_CHECKING:
    from trio_websocket import CloseReason, WebSocketConnection

    from .handover import HandoverStream
    from .websocket import Dial

_QUEUE: Final = 1024
"""Messages that the package may hold before it stops reading: more than one read brings."""

_INBOX: Final = 65_536
"""Messages taken out of the package and not yet received. The client's receive loop takes them at
once; who never receives is left to the package's own, deadlier way of backpressure."""

_MAX_PINGS: Final = 16
"""Pings whose answers are waited for; the package keeps an unanswered one for ever."""

_TOO_BIG: Final = "Exceeded maximum message size"
"""How the package's own Close 1009 begins, to tell it from one that the peer sent."""


def trio_websocket_connector(*, dial: Dial | None = None) -> Connector:
    """Return a connector that runs on the package ``trio-websocket``.

    :func:`trioflex.websocket_connector` is what the client uses by itself, and is better at
    everything measured: use this one to compare, or where the package is a requirement.

    Args:
        dial: opens the byte stream for a target; ``None``: TCP and TLS.
    """

    def connect(target: Target, /) -> AbstractAsyncContextManager[Transport]:
        return _connect(target, dial)

    return connect


@asynccontextmanager
async def _connect(target: Target, dial: Dial | None) -> AsyncGenerator[Transport]:
    """Open, use and close one connection."""
    engine = _Engine()
    raised: BaseException | None = None
    try:
        async with trio.open_nursery(strict_exception_groups=True) as nursery:
            nursery.start_soon(engine.run, target, dial, nursery.cancel_scope)
            try:
                await engine.wait_open()
                try:
                    yield engine
                except BaseException as exc:
                    # Remembered before leaving: a cancellation that comes then says less.
                    raised = exc
                await engine.leave(target.close_timeout)
            except BaseException as exc:
                raised = raised or exc
            nursery.cancel_scope.cancel()
    except BaseException:
        if raised is None:
            raise
    # Not from within the handler: the group that the nursery made is nobody's business.
    if engine.fatal is not None:
        raise engine.fatal
    if raised is not None:
        raise raised


class _Engine:
    """A :class:`trioflex.Transport` on trio-websocket."""

    def __init__(self) -> None:
        self.notify: Callable[[], None] = _unheard
        self.read_size = 0  # the library's own setting decides
        self.writes_now = False
        self._socket: WebSocketConnection | None = None
        self._stream: HandoverStream | None = None
        self._nursery: trio.Nursery | None = None
        self._settled = trio.Event()  # open, or never going to be
        self._failure: Exception | None = None
        self.fatal: BaseException | None = None
        self._ending: Callable[[], Exception] | None = None
        self._inbox: list[bytes] = []
        self._inbox_taken = trio.Event()
        self._alive = False
        self._stirred = trio.Event()
        self._limit = 0
        self._broken = False
        self._left = False
        self._sending = False
        self._owed_ping = False
        self._owed_close: tuple[int, str] | None = None
        self._close_started = False
        self._close_done = trio.Event()
        self._own_close: CloseReason | None = None
        self._waiting_pings = 0
        self._messages_in = 0
        self._messages_out = 0
        self._pings = 0
        self._pongs = 0
        self._ping_time: float | None = None

    # The engine's task: nothing is raised here, everything is recorded.

    async def run(self, target: Target, dial: Dial | None, scope: trio.CancelScope) -> None:
        """Connect, take messages out until the end, close the stream."""
        from .streams import close_now

        try:
            await self._run(target, dial)
        except trio.Cancelled:
            raise
        except BaseException as exc:
            failure = _single(exc)
            if isinstance(failure, Exception):
                self._failure = failure
            elif not isinstance(failure, trio.Cancelled):
                self.fatal = failure  # an interrupt that struck here is meant for the program
                scope.cancel()
        finally:
            if self._ending is None:
                self._end(lambda: Disconnected("the connection ended without a Close frame"))
            self._settled.set()
            if self._stream is not None:
                await close_now(self._stream)

    async def _run(self, target: Target, dial: Dial | None) -> None:
        from trio_websocket import wrap_client_stream

        from .._sansio.upgrade import parse_url
        from .dialling import dial_stream, timed_out
        from .handover import HandoverStream
        from .streams import open_socket_stream

        address = parse_url(target.url)
        self._limit = target.max_message_bytes
        stage = "no connection"
        # One deadline for all of connecting, the package's reader included: its own timeout
        # leaves that one running.
        with trio.move_on_after(target.connect_timeout) as patience:
            stream = await dial_stream(target, dial or open_socket_stream, address)
            self._stream = HandoverStream(stream, address, self._seen)
            stage = "no answer to the WebSocket upgrade"
            async with trio.open_nursery(strict_exception_groups=True) as nursery:
                self._nursery = nursery
                self._socket = await wrap_client_stream(
                    nursery,
                    self._stream,  # type: ignore[arg-type] # any stream does, says its docstring
                    address.authority,
                    address.target,
                    message_queue_size=_QUEUE,
                    max_message_size=target.max_message_bytes,
                    receive_buffer_size=READ_SIZE,
                )
                patience.deadline = math.inf
                self._settled.set()
                await self._drain(self._socket)
            return
        if self._socket is None:
            raise timed_out(target, address, stage)

    async def _drain(self, socket: WebSocketConnection) -> None:
        """Take every message at once: one left behind would stop Pongs and hide the end."""
        from trio_websocket import ConnectionClosed

        try:
            while True:
                message = await socket.get_message()
                if isinstance(message, bytes):
                    self._refuse(1003, "a binary message; this protocol is text")
                    break
                data = message.encode()
                if len(data) > self._limit:  # the package counts characters
                    self._refuse(1009, f"a message passed {self._limit} bytes")
                    break
                self._messages_in += 1
                self._inbox.append(data)
                self._stirred.set()
                while len(self._inbox) >= _INBOX:
                    self._inbox_taken = trio.Event()
                    await self._inbox_taken.wait()
        except ConnectionClosed:
            if (
                self._close_started
            ):  # raised as soon as our Close has gone; the peer's is waited for
                await self._close_done.wait()
            self._end(self._ending_of(socket))
        # The reader goes on until the stream ends or the connector is left.

    def _ending_of(self, socket: WebSocketConnection) -> Callable[[], Exception]:
        """Say why the package's connection is over."""
        closed = socket.closed
        # The package notes a Close of its own in the same place as the peer's: as an object that
        # the peer's replaces.
        if closed is None or closed is self._own_close or closed.code == 1006:
            return lambda: Disconnected("the connection ended without a Close frame")
        code, reason = closed.code, closed.reason or ""
        if code in (1002, 1007) or reason.startswith(_TOO_BIG):
            return lambda: RemoteProtocolError(
                f"the peer broke the WebSocket protocol: {reason}", close_code=code
            )
        said = "without a code" if code == 1005 else f"with code {code}"
        colon = f": {reason}" if reason else ""
        return lambda: Disconnected(
            f"the peer closed the WebSocket {said}{colon}", code=code, reason=reason, clean=True
        )

    def _refuse(self, code: int, sentence: str) -> None:
        """Close for a message that the package let through."""
        self._owed_close = (code, "")
        self._end(
            lambda: RemoteProtocolError(
                f"the peer broke the WebSocket protocol: {sentence}", close_code=code
            )
        )

    def _end(self, ending: Callable[[], Exception]) -> None:
        """Remember why no more will come; the first reason counts."""
        if self._ending is None:
            self._ending = ending
        self._stirred.set()

    def _seen(self) -> None:
        """Take bytes for a sign of life: whole frames do not show from out here."""
        self._alive = True
        self._stirred.set()

    # The user's side.

    async def wait_open(self) -> None:
        """Wait until the connection is open.

        Raises:
            ConnectFailed: it will not be.
        """
        from trio_websocket import HandshakeError

        await self._settled.wait()
        if self._socket is not None:
            return
        failure = self._failure or ConnectFailed("the connection ended during the handshake")
        if isinstance(failure, HandshakeError):
            raise ConnectFailed(f"trio-websocket could not connect: {failure}") from failure
        raise failure

    async def receive(self) -> list[bytes]:
        """Wait for messages or, where none came, for bytes."""
        await trio.lowlevel.checkpoint()
        while True:
            if self._left:
                raise trio.ClosedResourceError("the connection was left")
            if self._inbox:
                batch, self._inbox = self._inbox, []
                self._inbox_taken.set()
                self._alive = False
                return batch
            if self._ending is not None:
                raise self._ending() from self._failure
            if self._alive:
                self._alive = False
                return []
            self._stirred = trio.Event()
            await self._stirred.wait()

    async def send(self, messages: Sequence[str]) -> None:
        """Send what is owed, then the messages one by one."""
        from trio_websocket import ConnectionClosed

        socket, nursery = self._sendable()
        if messages and self._owed_close is not None:
            raise Disconnected("nothing can be sent: the WebSocket is being closed")
        for message in messages:
            try:
                message.encode()
            except UnicodeEncodeError as exc:
                raise LocalProtocolError(f"a message to send is not valid Unicode: {exc}") from exc
        self._sending = True
        self._broken = True  # until all of it has gone
        try:
            if self._owed_ping and self._waiting_pings < _MAX_PINGS:
                self._owed_ping = False
                nursery.start_soon(self._ping, socket)
            for message in messages:
                await socket.send_message(message)
                self._messages_out += 1
            if self._owed_close is not None:
                self._close_started = True
                nursery.start_soon(self._close, socket, *self._owed_close)
                self._owed_close = None
            if not messages:
                await trio.lowlevel.checkpoint()
        except ConnectionClosed as exc:
            raise Disconnected("the connection broke while sending") from exc
        finally:
            self._sending = False
        self._broken = False

    def _sendable(self) -> tuple[WebSocketConnection, trio.Nursery]:
        """Refuse to send where nothing may follow any more."""
        if self._left:
            raise trio.ClosedResourceError("the connection was left")
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this connection")
        if self._broken:
            raise Disconnected("nothing can be sent: the connection was given up")
        if self._ending is not None:
            ending = self._ending()
            if isinstance(ending, Disconnected):
                raise ending from self._failure
            raise Disconnected(f"nothing can be sent: {ending}")
        if self._close_started or self._socket is None or self._nursery is None:
            raise Disconnected("nothing can be sent: the WebSocket is being closed")
        return self._socket, self._nursery

    async def _ping(self, socket: WebSocketConnection) -> None:
        """Ping, and wait for the Pong in a task that ends with the connection."""
        from trio_websocket import ConnectionClosed

        self._waiting_pings += 1
        self._pings += 1
        written = trio.current_time()
        try:
            await socket.ping(str(self._pings).encode())
        except ConnectionClosed:
            return
        finally:
            self._waiting_pings -= 1
        self._pongs += 1
        self._ping_time = trio.current_time() - written

    async def _close(self, socket: WebSocketConnection, code: int, reason: str) -> None:
        """Do the closing handshake in a task that ends with the connection."""
        async with trio.open_nursery(strict_exception_groups=True) as nursery:
            nursery.start_soon(socket.aclose, code, reason)
            # Its first step notes our Close, before any of it has gone and could be answered.
            while socket.closed is None:
                await trio.lowlevel.checkpoint()
            self._own_close = socket.closed
        self._close_done.set()

    def send_now(self, messages: Sequence[str]) -> bool:
        """Nobody calls it: this transport has no way to write without waiting."""
        raise NotImplementedError

    def ping(self) -> None:
        """Owe the peer a Ping."""
        self._owed_ping = True
        self.notify()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Owe the peer a Close; the first call counts."""
        from .._sansio.frames import check_close_code

        check_close_code(code)
        if self._owed_close is None and not self._close_started:
            self._owed_close = (code, reason)
            self.notify()

    def abort(self) -> None:
        """Give the peer up."""
        self._broken = True

    def statistics(self) -> TransportStatistics:
        """Return what went over this connection until now."""
        return TransportStatistics(
            messages_in=self._messages_in,
            bytes_in=0 if self._stream is None else self._stream.bytes_in,
            messages_out=self._messages_out,
            bytes_out=0 if self._stream is None else self._stream.bytes_out,
            pings=self._pings,
            pongs=self._pongs,
            ping_time=self._ping_time,
        )

    async def leave(self, limit: float) -> None:
        """Close politely within ``limit`` seconds, unless the connection is broken or over."""
        self._left = True
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._broken or self._socket is None:
            return
        code, reason = self._owed_close or (1000, "")
        with trio.move_on_after(limit):
            if self._close_started:
                await self._close_done.wait()
            else:
                await self._socket.aclose(code, reason)


def _unheard() -> None:
    """Stand in for ``notify`` until a connection listens."""


def _single(exc: BaseException) -> BaseException:
    """Take the one exception that matters out of a nursery's group."""
    while isinstance(exc, BaseExceptionGroup):
        rest = exc.split(trio.Cancelled)[1] or exc
        exc = rest.exceptions[0]
    return exc
