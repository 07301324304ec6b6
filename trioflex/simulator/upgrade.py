"""The HTTP upgrade as a server must see it before a WebSocket library may: whole, bounded, checked.

What passes here is a request that no parser behind it can stumble over. Everything else is
answered from here, with a status and a sentence.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from http import HTTPStatus

MAX_HEAD = 16_384
"""Bytes of request line and headers together. Common servers allow 8 to 16 KiB; a client of ours
sends some 200."""

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/(\d)\.(\d)")
# RFC 9110, 5.1 and 5.5: a token, a colon, and visible ASCII with blanks and tabs between. Bytes
# above 0x7f are allowed there as "opaque", but nobody who speaks WebSocket has a use for them.
_HEADER = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?[ \t]*"
)


class BadUpgrade(Exception):
    """A request that is no upgrade to WebSocket.

    Attributes:
        status: the HTTP status to answer with.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})


def check_head(head: bytes) -> None:
    """Check the head of a request, up to and with its empty line.

    Args:
        head: request line and headers.

    Raises:
        BadUpgrade: it is not an upgrade to WebSocket version 13 (RFC 6455, 4.2.1).
    """
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(lines[0])
    if request is None:
        raise BadUpgrade(400, "The request line is malformed.")
    method, _, major, minor = request.groups()
    if (major, minor) != (b"1", b"1"):
        raise BadUpgrade(505, "Only HTTP/1.1 is spoken here.")
    headers: dict[str, list[str]] = {}
    for line in lines[1:]:
        field = _HEADER.fullmatch(line)
        if field is None:
            raise BadUpgrade(400, "A header is malformed, folded, or not ASCII.")
        name, value = field.groups(default=b"")
        headers.setdefault(name.decode().lower(), []).append(value.decode())
    if method != b"GET":
        raise BadUpgrade(405, "Only GET opens a WebSocket.", {"Allow": "GET"})
    if "content-length" in headers or "transfer-encoding" in headers:
        raise BadUpgrade(400, "An upgrade has no body.")
    if len(headers.get("host", ())) != 1:
        raise BadUpgrade(400, "Exactly one Host header is needed.")
    if "websocket" not in _tokens(headers, "upgrade") or "upgrade" not in _tokens(
        headers, "connection"
    ):
        raise BadUpgrade(
            426,
            "This is a WebSocket server, for simulated trading.",
            {"Upgrade": "websocket", "Connection": "Upgrade"},
        )
    if headers.get("sec-websocket-version") != ["13"]:
        raise BadUpgrade(
            426, "Only WebSocket version 13 is spoken here.", {"Sec-WebSocket-Version": "13"}
        )
    keys = headers.get("sec-websocket-key", [])
    if len(keys) != 1 or not _is_key(keys[0]):
        raise BadUpgrade(400, "Exactly one Sec-WebSocket-Key of 16 bytes in Base64 is needed.")


def refusal(status: int, body: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the whole answer that refuses an upgrade.

    Args:
        status: the HTTP status.
        body: text for people.
        headers: further headers.
    """
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Refused"
    content = body.encode()
    fields = {
        "Connection": "close",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(content)),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} {phrase}\r\n{head}\r\n".encode() + content


def _tokens(headers: Mapping[str, list[str]], name: str) -> set[str]:
    """Return the members of a header that is a list, in lower case (RFC 9110, 5.6.1)."""
    return {token.strip().lower() for value in headers.get(name, ()) for token in value.split(",")}


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False
