"""The byte stream that trio-websocket is given: upgraded under our rules, counted, watched."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from contextlib import suppress

import trio

from .._sansio.upgrade import Address, Upgrade
from .._vocabulary.errors import ConnectFailed
from .dialling import hear_answer


class HandoverStream(trio.abc.Stream):
    """A byte stream for ``wrap_client_stream``.

    Args:
        stream: open, not yet upgraded.
        address: where it leads.
        seen: called for every read that brought something.
    """

    def __init__(self, stream: trio.abc.Stream, address: Address, seen: Callable[[], None]) -> None:
        self.bytes_in = 0
        self.bytes_out = 0
        self._stream = stream
        self._address = address
        self._seen = seen
        self._request = b""
        self._open = False
        self._ready = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send; the first bytes are the upgrade request."""
        if not self._open and not self._request:
            self._request = bytes(data)
            with suppress(trio.BrokenResourceError):  # a refusal may have come all the same
                await self._stream.send_all(data)
            return
        self.bytes_out += len(data)
        await self._stream.send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive; first the plain answer to the upgrade, once there is a good one."""
        if not self._open:
            await self._upgrade()
        if self._ready:
            await trio.lowlevel.checkpoint()
            data: bytes | bytearray = self._ready
            self._ready = b""
            return data
        data = await self._stream.receive_some(max_bytes)
        if data:
            self.bytes_in += len(data)
            self._seen()
        return data

    async def _upgrade(self) -> None:
        """Judge the real answer, then prepare a plain one: the package fails on 1xx answers, on
        header values that are not ASCII, and on refusals whose body does not end."""
        key = re.search(rb"(?i)\r\nsec-websocket-key: *([^\r ]+)", self._request)
        if key is None:
            raise ConnectFailed(
                f"cannot open {self._address.shown}: trio-websocket sent no key with its request"
            )
        upgrade = Upgrade(self._address, base64.b64decode(key[1]))
        await hear_answer(self._stream, upgrade, self._address)
        self._open = True
        self.bytes_in += len(upgrade.trailing)
        self._ready = upgrade.plain_answer + upgrade.trailing

    async def wait_send_all_might_not_block(self) -> None:
        """Wait as the stream below does."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream below."""
        await self._stream.aclose()
