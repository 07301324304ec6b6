"""Opening our own WebSocket: dial, upgrade, use, close; with one deadline for all of connecting."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Final

import trio

from .._sansio.frames import FrameReader
from .._sansio.upgrade import Address, Upgrade, parse_url
from .._vocabulary.errors import ConnectFailed
from .framed import FramedTransport
from .streams import close_now, explain, open_socket_stream
from .tcp import direct
from .transport import READ_SIZE, Target, Transport
from .websocket import Dial

BODY_WAIT: Final = 1.0
"""Seconds that the body of a refused upgrade may take. The status is what counts."""


class Opening(AbstractAsyncContextManager[Transport, None]):
    """One use of the connector: enter to connect, leave to close."""

    def __init__(self, target: Target, dial: Dial | None) -> None:
        self._target = target
        self._dial = open_socket_stream if dial is None else dial

    async def __aenter__(self) -> Transport:
        self._transport = await open_transport(self._target, self._dial)
        return self._transport

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._transport.leave(self._target.close_timeout)
        except trio.Cancelled:
            # An error on its way out says more than a cancellation that came later. (If the
            # scope is still cancelled, the next checkpoint says so again.)
            if exc is None:
                raise
        finally:
            await self._transport.drop()


async def open_transport(
    target: Target, dial: Dial, *, binary: list[bytes] | None = None
) -> FramedTransport:
    """Dial, upgrade, and return the open transport; all of it within ``connect_timeout``.

    Args:
        target: where to connect.
        dial: opens the byte stream.
        binary: where to append binary messages; ``None`` refuses them.

    Raises:
        ConnectFailed: for whatever reason; the stream is closed.

    Cancellation: the stream is closed.
    """
    address = parse_url(target.url)
    stage = "no connection"
    with trio.move_on_after(target.connect_timeout):
        stream = await dial_stream(target, dial, address)
        stage = "no answer to the WebSocket upgrade"
        upgrade = Upgrade(address, os.urandom(16))
        try:
            await _upgrade(stream, upgrade, address)
        except BaseException:
            await close_now(stream)
            raise
        reader = FrameReader(target.max_message_bytes, binary=binary)
        return FramedTransport(stream, reader, upgrade.trailing)
    raise timed_out(target, address, stage)


async def dial_stream(target: Target, dial: Dial, address: Address) -> trio.abc.Stream:
    """Call ``dial``; whatever the network did to it becomes ``ConnectFailed``."""
    try:
        return direct(await dial(target))
    except OSError as exc:
        raise ConnectFailed(f"cannot open {address.shown}: {explain(exc)}") from exc
    except trio.BrokenResourceError as exc:
        raise ConnectFailed(f"cannot open {address.shown}: the stream broke") from exc


def timed_out(target: Target, address: Address, stage: str) -> ConnectFailed:
    """Say how far connecting had come when its time was over."""
    return ConnectFailed(
        f"cannot open {address.shown}: {stage} within {target.connect_timeout:g} s"
    )


async def _upgrade(stream: trio.abc.Stream, upgrade: Upgrade, address: Address) -> None:
    """Do the opening handshake over a stream."""
    broken: trio.BrokenResourceError | None = None
    try:
        await stream.send_all(upgrade.request)
    except trio.BrokenResourceError as exc:
        broken = exc  # a peer that refuses without reading: what it said may still be there
    try:
        await hear_answer(stream, upgrade, address)
    except ConnectFailed as exc:
        if broken is not None and exc.__cause__ is None:
            raise exc from broken
        raise


async def hear_answer(stream: trio.abc.Stream, upgrade: Upgrade, address: Address) -> None:
    """Read the answer to an upgrade that was sent, until it is open.

    Raises:
        ConnectFailed: it was refused, or the answer is not one.
    """
    try:
        while not (upgrade.open or upgrade.refused):
            upgrade.feed(await stream.receive_some(READ_SIZE))
    except trio.BrokenResourceError as exc:
        raise ConnectFailed(
            f"cannot open {address.shown}: the peer closed the connection during the handshake"
        ) from exc
    if upgrade.refused:
        # The status is known; the rest of its explanation has a moment to come.
        with trio.move_on_after(BODY_WAIT), suppress(trio.BrokenResourceError):
            while not upgrade.complete:
                upgrade.feed(await stream.receive_some(READ_SIZE))
        raise upgrade.refusal()
