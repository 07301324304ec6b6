"""The far side of a WebSocket, frame by frame, for scripts that must misbehave exactly so."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

import attrs
import trio

from .. import RemoteProtocolError

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


@attrs.frozen
class RawFrame:
    """One frame as it came from the client, unmasked."""

    opcode: int
    """1 text, 2 binary, 8 Close, 9 Ping, 10 Pong, 0 continuation (RFC 6455, 5.2)."""
    payload: bytes
    fin: bool = True


def encode_raw_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = None,
    length: int | None = None,
) -> bytes:
    """Encode one frame, legal or not.

    Args:
        opcode: 0 to 15.
        payload: what follows the header.
        fin: the last frame of its message.
        rsv: the three reserved bits, 0 to 7.
        mask: four bytes; servers must not mask.
        length: what the header announces, where that is to differ from the payload.
    """
    announced = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if mask is not None else 0
    if announced < 126:
        head += bytes([bit | announced])
    elif announced < 1 << 16:
        head += bytes([bit | 126]) + announced.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + announced.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class ScriptedPeer:
    """The server's side of one WebSocket on a byte stream; it does what it is told and no more.

    It answers nothing by itself: not a Ping, not a Close. It shares no code with the client's
    side. ::

        async def serve(stream):
            peer = ScriptedPeer(stream)
            await peer.accept()
            await peer.send(encode_raw_frame(1, b"half a", length=12))
            # ... and then nothing: what does the client do?

    Args:
        stream: the server's end, e.g. from :func:`trioflex.testing.memory_connector`.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        """The byte stream; a script may use it directly."""
        self.request: bytes = b""
        """The head of the client's upgrade request, after :meth:`read_request`."""
        self._buffer = bytearray()

    @property
    def unread(self) -> bytes:
        """What came and was not taken by any of the methods: a torn frame, for instance."""
        return bytes(self._buffer)

    async def read_request(self) -> bytes:
        """Read the client's upgrade request up to its blank line, and return it.

        Raises:
            trio.EndOfChannel: the client ended the stream before.
        """
        while b"\r\n\r\n" not in self._buffer:
            await self._fill()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        self.request = head
        return head

    async def accept(self, *, headers: Iterable[bytes] = (), trailing: bytes = b"") -> None:
        """Read the upgrade request and switch to WebSocket.

        Args:
            headers: more header lines (without line ends).
            trailing: bytes that go out together with the answer.
        """
        await self.read_request()
        await self.send(self.acceptance(headers=headers) + trailing)

    def acceptance(self, *, headers: Iterable[bytes] = ()) -> bytes:
        """Return the good answer to the request that was read."""
        return b"\r\n".join(
            [
                b"HTTP/1.1 101 Switching Protocols",
                b"Upgrade: websocket",
                b"Connection: Upgrade",
                b"Sec-WebSocket-Accept: " + self.accept_token(),
                *headers,
                b"",
                b"",
            ]
        )

    def accept_token(self) -> bytes:
        """Return the ``Sec-WebSocket-Accept`` that belongs to the request that was read."""
        for line in self.request.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"sec-websocket-key":
                return base64.b64encode(hashlib.sha1(value.strip() + _GUID).digest())
        raise RemoteProtocolError("the client's request has no Sec-WebSocket-Key")

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self.stream.send_all(data)

    async def send_text(self, text: str) -> None:
        """Send one text message in one frame."""
        await self.send(encode_raw_frame(0x1, text.encode()))

    async def send_ping(self, payload: bytes = b"") -> None:
        """Send a Ping."""
        await self.send(encode_raw_frame(0x9, payload))

    async def send_close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a Close frame; ``None`` sends one without a code."""
        payload = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
        await self.send(encode_raw_frame(0x8, payload))

    async def receive_frame(self) -> RawFrame:
        """Read the client's next frame.

        Raises:
            trio.EndOfChannel: the client ended the stream, inside a frame or between two.
            RemoteProtocolError: the frame is not masked.
        """
        head = await self._peek(2)
        if not head[1] & 0x80:
            raise RemoteProtocolError("the client sent a frame without a mask")
        length = head[1] & 0x7F
        size = 2
        if length == 126:
            size = 4
            length = int.from_bytes((await self._peek(4))[2:], "big")
        elif length == 127:
            size = 10
            length = int.from_bytes((await self._peek(10))[2:], "big")
        frame = await self._peek(size + 4 + length)
        del self._buffer[: len(frame)]
        mask, payload = frame[size : size + 4], frame[size + 4 :]
        clear = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        return RawFrame(head[0] & 0x0F, clear, bool(head[0] & 0x80))

    async def receive_text(self) -> str:
        """Read the client's next frame, which must be a whole text message.

        Raises:
            trio.EndOfChannel: the client ended the stream.
            RemoteProtocolError: it is something else.
        """
        frame = await self.receive_frame()
        if frame.opcode != 0x1 or not frame.fin:
            raise RemoteProtocolError(f"expected a whole text message, the client sent {frame!r}")
        return frame.payload.decode()

    async def receive_all(self) -> list[RawFrame]:
        """Read frames until the client ends the stream, and return them."""
        frames: list[RawFrame] = []
        try:
            while True:
                frames.append(await self.receive_frame())
        except trio.EndOfChannel:
            return frames

    async def _peek(self, size: int) -> bytes:
        """Return the next ``size`` bytes and leave them in the buffer."""
        while len(self._buffer) < size:
            await self._fill()
        return bytes(self._buffer[:size])

    async def _fill(self) -> None:
        """Wait for more bytes."""
        data = await self.stream.receive_some(65536)
        if not data:
            raise trio.EndOfChannel("the client ended the stream")
        self._buffer += data
