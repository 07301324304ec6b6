"""The HTTP upgrade without I/O: where a URL leads, the request, and what the answer means.

h11 (which wsproto stands on) reads the HTTP; what counts as a good answer, and what is worth
keeping of a bad one, is decided here. Whatever goes wrong becomes one type, ``ConnectFailed``,
with one sentence that never shows the URL's query: venues put tokens there.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import attrs
import h11

from .._vocabulary.errors import ConnectFailed

MAX_HEAD: Final = 64 * 1024
"""Bytes of the answer's head, 1xx answers included. Common servers stop at 8 to 16 KiB of their
own; one read's worth leaves room for all of them and bounds a flood of headers."""

MAX_BODY: Final = 4 * 1024
"""Bytes of a refusal's body that are kept: enough for a venue's explanation, too little to hurt."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_PORTS: Final = {"ws": 80, "wss": 443}
_PRINTABLE: Final = re.compile(r"[!-~]+")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+")

FINAL_STATUS: Final = frozenset({301, 308, 401, 403, 404, 405, 410, 426})
"""Answers that the same request will get again: moved for good (redirects are never followed,
they would carry credentials elsewhere), not allowed, not there, not spoken here."""


@attrs.frozen(kw_only=True)
class Address:
    """Where a WebSocket URL leads."""

    secure: bool
    """TLS, ``wss://``."""
    host: str
    """Name or IP address, without brackets."""
    port: int
    target: str = attrs.field(repr=False)
    """Path and query, as they go into the request."""
    authority: str
    """The ``Host`` header: brackets round IPv6, the port only where it is not the default."""
    shown: str
    """The URL for messages: the query is not in it."""


def parse_url(url: str) -> Address:
    """Take a ``ws://`` or ``wss://`` URL apart.

    Raises:
        ConnectFailed: it cannot be one, or holds what must not be in it (final).
    """
    # urlsplit() silently removes line breaks and tabs, so look before it does.
    if not _PRINTABLE.fullmatch(url):
        raise _unusable("it must be printable ASCII without spaces; percent-encode what is not")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname
    except ValueError:
        raise _unusable("its host or port is malformed") from None
    default = _PORTS.get(parts.scheme)
    if default is None:
        raise _unusable("it must begin with ws:// or wss://")
    if parts.username is not None or parts.password is not None:
        raise _unusable("it holds a user name; give credentials to the venue instead")
    if "#" in url:
        raise _unusable("it has a fragment (#...), which means nothing to a WebSocket")
    if not host:
        raise _unusable("it names no host")
    if port == 0:
        raise _unusable("port 0 cannot be connected to")
    bracketed = "[" in parts.netloc
    try:
        if bracketed:
            ipaddress.IPv6Address(host)
        elif not _HOST.fullmatch(host):
            raise ValueError(host)
    except ValueError:
        raise _unusable("its host is neither a name nor an IP address") from None
    authority = f"[{host}]" if bracketed else host
    if port is not None and port != default:
        authority = f"{authority}:{port}"
    path = parts.path or "/"
    return Address(
        secure=parts.scheme == "wss",
        host=host,
        port=default if port is None else port,
        target=f"{path}?{parts.query}" if "?" in url else path,
        authority=authority,
        shown=f"{parts.scheme}://{authority}{path}{'?…' if '?' in url else ''}",
    )


def _unusable(why: str) -> ConnectFailed:
    """Refuse a URL without repeating it."""
    return ConnectFailed(f"the URL cannot be used: {why}", final=True)


class Upgrade:
    """The client's side of one opening handshake.

    Send :attr:`request`, :meth:`feed` what comes back until :attr:`open` or :attr:`refused`;
    after a refusal its body may be fed too, until :attr:`complete`, then raise :meth:`refusal`.

    Args:
        address: where the request goes.
        nonce: 16 unpredictable bytes.
    """

    def __init__(self, address: Address, nonce: bytes) -> None:
        self.open = False
        """The peer switched to WebSocket."""
        self.trailing = b""
        """What came behind the answer: the first frames."""
        self.refused = False
        """The peer answered with something else; its body may follow."""
        self.complete = False
        """No more of the refusal is worth reading."""
        self._address = address
        self._secrets = _secrets_of(address.target)
        key = base64.b64encode(nonce).decode()
        digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
        self._accept = base64.b64encode(digest)
        self._head_bytes = 0
        self._status = 0
        self._phrase = ""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        request = h11.Request(
            method="GET",
            target=address.target,
            headers=[
                ("Host", address.authority),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Key", key),
                ("Sec-WebSocket-Version", "13"),
                ("User-Agent", "trioflex"),
            ],
        )
        head = self._http.send(request) or b""
        self.request = head + (self._http.send(h11.EndOfMessage()) or b"")
        """The bytes to send."""

    @property
    def plain_answer(self) -> bytes:
        """The shortest answer that opens, for a parser that others upset."""
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + self._accept + b"\r\n\r\n"
        )

    def feed(self, data: bytes | bytearray) -> None:
        """Take the next bytes of the answer; nothing means that the peer ended the stream.

        Raises:
            ConnectFailed: the answer cannot become a WebSocket. (A refusal in good HTTP is not
                raised here, see :meth:`refusal`.)
        """
        if not data and not self.refused:
            raise self._failed("the peer closed the connection during the handshake")
        self._head_bytes += len(data)
        try:
            self._http.receive_data(bytes(data))
            while not (self.open or self.complete):
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    break
                self._act(event)
        except h11.RemoteProtocolError as exc:
            if self.refused:  # what is known of the refusal is worth more than its broken body
                self.complete = True
                return
            why = self._scrub(str(exc))[:120]
            raise self._failed(f"the answer to the upgrade is not good HTTP ({why})") from exc
        if not (self.open or self.refused) and self._head_bytes > MAX_HEAD:
            raise self._failed(f"the answer's head has more than {MAX_HEAD} bytes")

    def _act(self, event: object) -> None:
        """Act on one HTTP event."""
        if isinstance(event, h11.InformationalResponse):
            if event.status_code == 101:  # any other 1xx says "wait, there is more"
                self._headers = list(event.headers)
                self._check()
                self.trailing = bytes(self._http.trailing_data[0])
                self.open = True
        elif isinstance(event, h11.Response):
            self._status = event.status_code
            self._phrase = event.reason.decode("latin-1")
            self._headers = list(event.headers)
            self.refused = True
        elif isinstance(event, h11.Data):
            self._body += event.data[: MAX_BODY - len(self._body)]
            self.complete = len(self._body) >= MAX_BODY
        else:
            self.complete = True

    def _check(self) -> None:
        """Hold a 101 answer to RFC 6455, 4.1."""
        if b"websocket" not in self._tokens(b"upgrade"):
            raise self._failed("the 101 answer does not upgrade to websocket")
        if b"upgrade" not in self._tokens(b"connection"):
            raise self._failed("the 101 answer lacks 'Connection: Upgrade'")
        if [self._accept] != self._values(b"sec-websocket-accept"):
            raise self._failed("the 101 answer's Sec-WebSocket-Accept is not for our key")
        if any(self._values(b"sec-websocket-extensions")):
            raise self._failed("the peer uses a WebSocket extension that was not offered")
        if any(self._values(b"sec-websocket-protocol")):
            raise self._failed("the peer chose a subprotocol although none was offered")

    def _values(self, name: bytes) -> list[bytes]:
        """Return the values of a header, one for each time it occurs."""
        return [value.strip() for key, value in self._headers if key == name]

    def _tokens(self, name: bytes) -> list[bytes]:
        """Return the comma-separated tokens of a header, in lower case."""
        return [part.strip().lower() for part in b",".join(self._values(name)).split(b",")]

    def refusal(self) -> ConnectFailed:
        """Return the error for the refusal, with as much of its body as has come."""
        words = f"HTTP {self._status} {self._phrase}".strip()[:120]
        sentence = f"the server refused the WebSocket upgrade with {self._scrub(words)}"
        if 300 <= self._status < 400:
            sentence += "; redirects are never followed"
        return self._failed(
            sentence,
            status=self._status,
            body=self._scrub(self._body.decode(errors="replace")),
            retry_after=self._retry_after(),
            final=self._status in FINAL_STATUS,
        )

    def _retry_after(self) -> float | None:
        """Return the seconds that ``Retry-After`` asks for, in either of its two forms."""
        value = b"".join(self._values(b"retry-after")[:1]).decode("latin-1")
        if value.isascii() and value.isdigit():
            return float(value[:9])  # nine digits are thirty years
        try:
            # The peer's own Date is the clock: ours may be off, and there is none in this layer.
            date = b"".join(self._values(b"date")[:1]).decode("latin-1")
            wait = parsedate_to_datetime(value) - parsedate_to_datetime(date)
        except (ValueError, TypeError):  # not dates, or one with a time zone and one without
            return None
        return max(0.0, wait.total_seconds())

    def _failed(
        self,
        why: str,
        *,
        status: int | None = None,
        body: str = "",
        retry_after: float | None = None,
        final: bool = False,
    ) -> ConnectFailed:
        """Make the error, with the URL that may be shown."""
        return ConnectFailed(
            f"cannot open {self._address.shown}: {why}",
            status=status,
            body=body,
            retry_after=retry_after,
            final=final,
        )

    def _scrub(self, text: str) -> str:
        """Take the URL's query out of a text of the peer's: servers like to repeat requests."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


def _secrets_of(target: str) -> list[str]:
    """Return what must not be repeated of a request's target, longest first."""
    query = target.partition("?")[2]
    # Values of one or two characters are no secrets, and hiding them would garble every text.
    values = {value for _, value in parse_qsl(query) if len(value) > 2}
    encoded = {part.partition("=")[2] for part in query.split("&")}
    found = {query} | values | {value for value in encoded if len(value) > 2}
    return sorted((text for text in found if text), key=len, reverse=True)
