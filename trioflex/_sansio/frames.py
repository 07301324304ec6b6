"""WebSocket frames without I/O: a reader with a fast lane over wsproto, and the client's frames.

Theory of operation
-------------------
Almost everything a venue sends is a whole, final, unmasked, uncompressed text frame. The *fast
lane* (``lane.py``) cuts such frames out of a read in one loop and looks at nothing else. Every
other frame (control, binary, fragments, reserved bits, unknown opcodes, masks, wasteful lengths)
goes to wsproto as a whole frame, in order; what is legal there is wsproto's verdict, not ours.

The two lanes never disagree about where they are, because wsproto sees whole frames only: between
two of them it holds nothing but the state of an unfinished fragmented message, and the reader
knows of that one itself from the messages that wsproto reports as unfinished. While one is open
the fast lane is shut.

Rules of the file
-----------------
* Nothing waits, nothing raises for the peer's sake: a broken rule is recorded in
  :attr:`FrameReader.failure`, what was whole before it is returned first.
* A frame is refused on its header alone where that is possible, so nothing that is too large is
  ever buffered; bytes of an unfinished frame are kept in one growing buffer, so that a peer which
  sends byte by byte costs linear time.
* Sizes are bytes on the wire, never characters.
* Masks come from the caller: this file draws no random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from .._vocabulary.errors import LocalProtocolError
from .lane import cut

MaskSource = Callable[[int], bytes]
"""``n -> n`` unpredictable bytes; ``os.urandom`` outside of tests (RFC 6455, 10.3)."""

MAX_FRAGMENTS: Final = (1 << 16) + 1
"""Fragments of one message. Honest peers use a handful; the smallest ones that an interoperability
suite is known to use are 64 bytes: 65,536 of them for the default limit of 4 MiB, and an empty
last one. Empty fragments escape the limit on bytes, so they need this one."""

PING_BURST: Final = 16
"""Pings that are answered one by one; RFC 6455 (5.5.3) asks only for the newest. Interoperability
suites send ten at once and count. More than this before we come to answering is a flood."""

PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005
"""Never on the wire: stands for a Close frame that carried no code."""
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009

_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA
_FIN: Final = 0x80
_MASKED: Final = 0x80


class FrameReader:
    """Bytes of one server in, whole text messages out.

    Args:
        max_message_bytes: a larger message is refused with 1009, on its announced length where
            one frame announces it, else as soon as its fragments pass the limit.
        max_fragments: a message in more fragments is refused with 1009.
        binary: where to append whole binary messages; ``None`` refuses them with 1003, because
            every venue's protocol is text.
    """

    def __init__(
        self,
        max_message_bytes: int,
        *,
        max_fragments: int = MAX_FRAGMENTS,
        binary: list[bytes] | None = None,
    ) -> None:
        self.frames = 0
        """Whole frames received, of any kind: the signs of life."""
        self.pings = 0
        """Pings received."""
        self.unanswered: list[bytes] = []
        """Payloads of the Pings to answer, oldest first; of a flood only the newest is kept. See
        :meth:`take_pings`."""
        self.pongs: list[bytes] = []
        """Payloads of the Pongs, oldest first; whoever has seen them clears the list."""
        self.closed: tuple[int, str] | None = None
        """Code (1005: none given) and reason of the peer's Close frame."""
        self.failure: str = ""
        """A sentence about the rule the peer broke, or nothing."""
        self.failure_code: int = 0
        """The close code that answers the failure: 1002, 1003, 1007 or 1009."""
        self.finished = False
        """A Close frame or a failure: whatever comes after it is ignored."""
        self._limit = max_message_bytes
        self._max_fragments = max_fragments
        self._binary = binary
        self._tail = bytearray()
        self._missing = 0  # bytes to wait for before the tail is worth another look
        self._header_given = False  # wsproto has seen the header of the frame in the tail
        self._message: bytearray | None = None  # what has come of a fragmented message
        self._fragments = 0
        self._flooded = False
        self._wsproto: Connection | None = None

    @property
    def partial(self) -> bool:
        """Whether a frame or a fragmented message has begun and not ended."""
        return self._missing > 0 or self._message is not None

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the text messages that are whole now, UTF-8 checked."""
        out: list[bytes] = []
        pos = 0
        end = len(data)
        while self._missing > 0 and pos < end:
            pos = self._mend(data, pos, out)
        while pos < end and not self.finished:
            if self._message is None:
                pos = self._cut(data, pos, out)
                if pos == end or self.finished:
                    break
            pos = self._take(data, pos, out)
        return out

    def take_pings(self) -> list[bytes]:
        """Return the payloads of the Pings that are to be answered now."""
        pings = self.unanswered
        self.unanswered = []
        self._flooded = False
        return pings

    def _cut(self, data: bytes, pos: int, out: list[bytes]) -> int:
        """Run the fast lane from ``pos``; return where it ended."""
        already = len(out)
        pos = cut(data, pos, self._limit, out)
        payloads = out[already:] if already else out
        # One look at all of them; nearly all that venues send is ASCII.
        if not b"".join(payloads).isascii():
            for place, payload in enumerate(payloads, already):
                try:
                    payload.decode()
                except UnicodeDecodeError as exc:
                    del out[place:]
                    self._fail(INVALID_DATA, f"a text message is not UTF-8 ({exc.reason})")
                    break
        self.frames += len(out) - already
        return pos

    def _take(self, data: bytes, pos: int, out: list[bytes]) -> int:
        """Deal with the one frame at ``pos``; return where the next one begins."""
        end = len(data)
        left = end - pos
        if left < 2:
            return self._keep(data, pos, 2 - left)
        first = data[pos]
        second = data[pos + 1]
        length = second & 0x7F
        head = 2 if length < 126 else 4 if length == 126 else 10
        if left < head:
            return self._keep(data, pos, head - left)
        shortest = 0
        if head == 4:
            length = int.from_bytes(data[pos + 2 : pos + 4], "big")
            shortest = 126
        elif head == 10:
            length = int.from_bytes(data[pos + 2 : pos + 10], "big")
            shortest = 1 << 16
        whole = head + length

        if (
            first == _FIN | _TEXT
            and self._message is None
            and not second & _MASKED
            and shortest <= length < 1 << 63
        ):
            if length > self._limit:
                self._fail(TOO_BIG, f"a message of {length} bytes was announced")
                return end
            if left < whole:
                return self._keep(data, pos, whole - left)
            self._text(data[pos + head : pos + whole], out)
            return pos + whole

        if left < whole:
            if not self._header_given:
                # A bad header is refused now, not when its payload has come.
                self._give(data[pos : pos + head], out)
                self._header_given = True
                if self.finished or self._refuse_unseen(first & 0x0F, length):
                    return end
            return self._keep(data, pos, whole - left)
        begin = pos + head if self._header_given else pos
        self._header_given = False
        self._give(data[begin : pos + whole], out)
        if not self.failure:
            self.frames += 1
        elif first == _FIN | _CLOSE and length >= 2:
            # What the peer wanted to say is worth knowing although it said it wrongly.
            code = int.from_bytes(data[pos + head : pos + head + 2], "big")
            self.failure = f"a Close frame with code {code}: {self.failure}"
        return pos + whole

    def _keep(self, data: bytes, pos: int, missing: int) -> int:
        """Keep the unfinished frame at ``pos`` until ``missing`` more bytes have come."""
        self._tail += data[pos:]
        self._missing = missing
        return len(data)

    def _mend(self, data: bytes, pos: int, out: list[bytes]) -> int:
        """Move bytes to the unfinished frame; look at it once what it lacked is there."""
        stop = min(pos + self._missing, len(data))
        self._tail += data[pos:stop]
        self._missing -= stop - pos
        if self._missing == 0:
            frame = bytes(self._tail)
            self._tail.clear()
            self._take(frame, 0, out)
        return stop

    def _text(self, payload: bytes, out: list[bytes]) -> None:
        """Return a whole text message, if it is one."""
        try:
            payload.decode()
        except UnicodeDecodeError as exc:
            self._fail(INVALID_DATA, f"a text message is not UTF-8 ({exc.reason})")
        else:
            self.frames += 1
            out.append(payload)

    def _refuse_unseen(self, opcode: int, length: int) -> bool:
        """Refuse a data frame whose header alone says that its payload is not wanted."""
        if opcode == _BINARY and self._binary is None:
            self._fail(UNSUPPORTED_DATA, "a binary message; this protocol is text")
        elif length + (len(self._message) if self._message is not None else 0) > self._limit:
            self._fail(TOO_BIG, f"a message passed {self._limit} bytes")
        return self.finished

    def _give(self, piece: bytes, out: list[bytes]) -> None:
        """Let wsproto judge a frame, or the header of one, and act on what it says."""
        engine = self._wsproto
        if engine is None:
            engine = self._wsproto = Connection(ConnectionType.CLIENT)
        engine.receive_data(piece)
        for event in engine.events():
            if isinstance(event, Ping):
                self.pings += 1
                if self._flooded or len(self.unanswered) == PING_BURST:
                    self._flooded = True
                    self.unanswered.clear()
                self.unanswered.append(bytes(event.payload))
            elif isinstance(event, Pong):
                self.pongs.append(bytes(event.payload))
            elif isinstance(event, CloseConnection):
                # wsproto reports a broken rule in the shape of a Close, too; the state tells.
                if engine.state is ConnectionState.REMOTE_CLOSING:
                    self.closed = (int(event.code), event.reason or "")
                    self.finished = True
                else:
                    self._fail(int(event.code), event.reason or "")
            elif isinstance(event, TextMessage):
                self._part(event.data.encode(), event.message_finished, out)
            elif isinstance(event, BytesMessage):
                if self._binary is None:
                    self._fail(UNSUPPORTED_DATA, "a binary message; this protocol is text")
                else:
                    self._part(bytes(event.data), event.message_finished, self._binary)
            if self.finished:
                break

    def _part(self, payload: bytes, last: bool, out: list[bytes]) -> None:
        """Add a fragment to its message; pass the message on after its last one."""
        message = self._message
        if message is None:
            message = self._message = bytearray()
            self._fragments = 0
        message += payload
        self._fragments += 1
        if len(message) > self._limit:
            self._fail(TOO_BIG, f"a message passed {self._limit} bytes")
        elif self._fragments > self._max_fragments:
            self._fail(TOO_BIG, f"a message came in more than {self._max_fragments} fragments")
        elif last:
            out.append(bytes(message))
            self._message = None

    def _fail(self, code: int, sentence: str) -> None:
        """Remember the first broken rule and let go of what was kept for later."""
        self.failure = sentence
        self.failure_code = code
        self.finished = True
        self._message = None
        self._tail.clear()
        self._missing = 0


def encode_messages(messages: Sequence[str], mask: MaskSource) -> bytes:
    """Encode text messages as the masked frames of a client, one after the other.

    Raises:
        LocalProtocolError: a message cannot be written as UTF-8 (a lone surrogate).
    """
    keys = mask(4 * len(messages))
    frames: list[bytes] = []
    at = 0
    for message in messages:
        try:
            payload = message.encode()
        except UnicodeEncodeError as exc:
            raise LocalProtocolError(
                f"a message to send is not valid Unicode at position {exc.start}: "
                f"{exc.reason}; remove the surrogate"
            ) from exc
        frames.append(encode_frame(_TEXT, payload, keys[at : at + 4]))
        at += 4
    return b"".join(frames)


def encode_binary(payload: bytes, mask: MaskSource) -> bytes:
    """Encode a binary message as one masked frame."""
    return encode_frame(_BINARY, payload, mask(4))


def encode_ping(payload: bytes, mask: MaskSource) -> bytes:
    """Encode a Ping; the payload is at most 125 bytes."""
    return encode_frame(_PING, payload, mask(4))


def encode_pong(payload: bytes, mask: MaskSource) -> bytes:
    """Encode the Pong that answers a Ping with this payload."""
    return encode_frame(_PONG, payload, mask(4))


def encode_close(code: int, reason: str, mask: MaskSource) -> bytes:
    """Encode a Close frame; 1005 makes one without a code, a long reason is cut at 123 bytes."""
    if code == NO_STATUS:
        return encode_frame(_CLOSE, b"", mask(4))
    text = reason.encode(errors="replace")
    if len(text) > 123:  # a control frame holds 125 bytes, two are the code's
        text = text[:123].decode(errors="ignore").encode()
    return encode_frame(_CLOSE, code.to_bytes(2, "big") + text, mask(4))


def check_close_code(code: int) -> None:
    """Refuse a code that must not be in a Close frame of ours (RFC 6455, 7.4).

    Raises:
        LocalProtocolError: it is neither 1000 to 1014 without the reserved ones, nor a code for
            libraries and applications (3000 to 4999).
    """
    if not (3000 <= code <= 4999 or 1000 <= code <= 1014) or code in (1004, 1005, 1006):
        raise LocalProtocolError(
            f"{code} cannot be sent as a close code; use 1000, or one from 3000 to 4999"
        )


def encode_frame(opcode: int, payload: bytes, key: bytes) -> bytes:
    """Encode one final, masked frame."""
    length = len(payload)
    if length < 126:
        head = bytes((_FIN | opcode, _MASKED | length))
    elif length < 1 << 16:
        head = bytes((_FIN | opcode, _MASKED | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((_FIN | opcode, _MASKED | 127)) + length.to_bytes(8, "big")
    # One XOR of two large numbers: linear, and far cheaper than a loop over bytes.
    pad = (key * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "little") ^ int.from_bytes(pad, "little")
    return head + key + masked.to_bytes(length, "little")
