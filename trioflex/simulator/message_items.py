"""What passes between the two ends of a message-level connection."""

from __future__ import annotations

from typing import TypeAlias

import attrs


@attrs.frozen
class Text:
    """A text message."""

    data: bytes


@attrs.frozen
class Binary:
    """A binary message."""

    data: bytes


@attrs.frozen
class Ping:
    """A Ping."""


@attrs.frozen
class Pong:
    """A Pong."""


@attrs.frozen
class Close:
    """A Close frame."""

    code: int
    reason: str


@attrs.frozen
class End:
    """The end of the stream: by FIN, or by RST."""

    why: str


Incoming: TypeAlias = Text | Binary | Ping | Pong | Close | End
"""What a client finds in its inbox."""

Outgoing: TypeAlias = str | Ping | Pong | Close
"""What a client sends."""


def framed(size: int, *, masked: bool) -> int:
    """Return the bytes that a message takes on a wire (RFC 6455, 5.2)."""
    header = 2 if size < 126 else 4 if size < 65_536 else 10
    return size + header + (4 if masked else 0)
