"""An in-memory network: the real transport, with your own code as its peer instead of a socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

import trio
from trio.testing import memory_stream_pair

from .. import Connector, Dial, Target, Transport, websocket_connector

Serve = Callable[[trio.abc.Stream], Awaitable[object]]
"""Plays the server of one connection, on the byte stream that leads to its client."""

Streams = Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]]
"""Makes the two ends of a connection, the client's first."""


class DialingConnector(Protocol):
    """What makes a connector over a byte stream of the caller's choice."""

    def __call__(self, *, dial: Dial | None) -> Connector:
        """Return a connector that opens its byte streams with ``dial``."""


_LAST_TURNS: Final = 100
"""Scheduler turns that a peer gets to read what its client sent last, before it is cancelled.
Counted in turns, not in seconds, so that leaving takes no time on any clock."""


def memory_connector(
    serve: Serve,
    *,
    via: DialingConnector = websocket_connector,
    streams: Streams = memory_stream_pair,
) -> Connector:
    """Return a connector whose every connection is played by ``serve``.

    Frames travel through the same code as over sockets; only the bytes stay in memory. With
    :class:`trio.testing.MockClock` an hour of such a network takes milliseconds, exactly::

        async def serve(stream):
            peer = ScriptedPeer(stream)
            await peer.accept()
            await peer.send_text("hello")
            assert "hi" == await peer.receive_text()

        async def test_manners(autojump_clock):
            connector = memory_connector(serve)
            async with connector(Target(url="ws://memory/")) as transport:
                assert [b"hello"] == await transport.receive()
                await transport.send(["hi"])

    ``wss://`` is accepted and does no TLS: there is no wire to protect.

    Args:
        serve: called once for each connection, with the server's end of its stream, which is
            closed when ``serve`` returns. It lives inside the connector's context: leaving that
            gives it a few turns to read what came last, then cancels it. If it raises, the
            user's block is cancelled and the exception comes out of the context as it is; an
            exception of the block's own goes first and gets a note.
        via: the client's side: :func:`trioflex.websocket_connector`, or
            :func:`trioflex.trio_websocket_connector`.
        streams: makes the two ends of a connection, the client's first. With
            :func:`trio.testing.lockstep_stream_pair` a send waits for its receiver, as with a
            peer that does not read.
    """

    def connect(target: Target, /) -> AbstractAsyncContextManager[Transport]:
        return _connect(target, serve, via, streams)

    return connect


@asynccontextmanager
async def _connect(
    target: Target, serve: Serve, via: DialingConnector, streams: Streams
) -> AsyncGenerator[Transport]:
    """Open one connection with ``serve`` at its other end."""
    peer = _Peer(serve)
    raised: BaseException | None = None
    try:
        async with trio.open_nursery(strict_exception_groups=True) as nursery:

            async def dial(target: Target) -> trio.abc.Stream:
                client, server = streams()
                nursery.start_soon(peer.run, server, nursery.cancel_scope)
                return client

            try:
                async with via(dial=dial)(target) as transport:
                    yield transport
                await peer.last_turns()
            except BaseException as exc:
                raised = exc
                raise
            finally:
                nursery.cancel_scope.cancel()
    except BaseException:
        # Only the block's own exception comes this way, rebuilt as a group by the nursery; the
        # peer's is in `peer`. Both are raised below, as they are and out of this handler, so that
        # the group becomes nobody's context.
        if raised is None:
            raise
    if peer.failure is None:
        if raised is not None:
            raise raised
    elif raised is None or _is_cancellation(raised):
        context = peer.failure.__context__
        try:
            raise peer.failure
        finally:
            # The cancellation with which the block was told of it explains nothing.
            peer.failure.__context__ = context
    else:
        raised.add_note(f"The peer's script failed as well: {peer.failure!r}")
        raise raised


def _is_cancellation(exc: BaseException) -> bool:
    """Whether an exception is, or holds, the cancellation of a block whose peer failed."""
    if isinstance(exc, BaseExceptionGroup):
        return exc.subgroup(trio.Cancelled) is not None
    return isinstance(exc, trio.Cancelled)


class _Peer:
    """The server's task of one connection."""

    def __init__(self, serve: Serve) -> None:
        self.failure: BaseException | None = None
        self._serve = serve
        self._done = False

    async def run(self, stream: trio.abc.Stream, scope: trio.CancelScope) -> None:
        """Play the server; remember a failure instead of raising it among the client's tasks."""
        try:
            await self._serve(stream)
        except trio.Cancelled:
            raise
        except BaseException as exc:
            self.failure = exc
            if isinstance(exc, BaseExceptionGroup):
                self.failure = exc.split(trio.Cancelled)[1]
            # Before the stream closes: the reason must reach the client ahead of its symptom.
            scope.cancel()
        finally:
            self._done = True
            await trio.aclose_forcefully(stream)

    async def last_turns(self) -> None:
        """Let the server take notice of what its client sent last."""
        for _ in range(_LAST_TURNS):
            if self._done:
                break
            await trio.lowlevel.checkpoint()
