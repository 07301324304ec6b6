"""TheOne's signatures: HMAC-SHA256 over five lines, with a key that is derived from the secret.

The venue's documents show the raw secret as key; all three of its own clients, for REST and
WebSocket alike, use the Base64 *text* of the secret's SHA-256, with the URL alphabet and its
padding ("the-one-io/api-client", ``client-py``, ``client-go``, ``client-js``, against
``docs/AUTHENTICATION_GUIDE``). We follow the clients; the other form is a switch.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

STREAM_PATH = "/ws/v1/stream"
"""Signed with ``auth``, whatever the path of the address is."""

OPERATION_PATH = "/ws/v1/"
"""Signed with an operation, its name behind it."""


def hmac_key(secret: str, *, derive: bool = True) -> bytes:
    """Return the key that signs.

    Args:
        secret: as the venue shows it.
        derive: as the venue's clients do it (44 ASCII characters); ``False``: the secret itself,
            as its documents have it.
    """
    raw = secret.encode()
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest()) if derive else raw


def path_of(op: str) -> str:
    """Return the path that is signed with an operation."""
    return STREAM_PATH if op == "auth" else OPERATION_PATH + op


def canonical(op: str, ts: int, nonce: str, body: str = "") -> str:
    """Return the text that is signed.

    Args:
        op: the message's ``op``.
        ts: its time, milliseconds since 1970.
        nonce: its nonce.
        body: the text of its ``data``, exactly as it goes out; empty where there is none.
    """
    digest = hashlib.sha256(body.encode()).hexdigest()
    return "\n".join(("WS", path_of(op), str(ts), nonce, digest))


def sign(key: bytes, message: str) -> str:
    """Return the signature of a canonical text: 64 hexadecimal digits in lower case."""
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()
