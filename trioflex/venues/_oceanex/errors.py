"""What the venue's error codes mean.

Source: "api.oceanex.pro/doc/v1", the error table of REST; the WebSocket's documentation has none.
"""

from __future__ import annotations

from typing import Any

from ..._vocabulary.errors import RefusalKind
from ...protocol import Retry

SERVER = frozenset({-1, -2, -9, 1005})
"""Trouble on the venue's side; it may pass."""

MEANINGS = {
    -1: "trouble on the venue's side",
    -2: "trouble on the venue's side",
    -9: "trouble on the venue's side",
    1001: "bad token or request",
    1002: "empty payload",
    1003: "wrong algorithm",
    1004: "a parameter of the login is missing or malformed",
    1005: "trouble on the venue's side",
    1006: "the account does not exist",
    1007: "the account has no public key",
    1008: "the API key is disabled",
    1010: "the signature does not verify",
    1011: "this address is not in the key's list",
    2001: "the authorisation has expired or failed",
    2002: "the order was not created",
    2003: "the order was not cancelled",
    2004: "the order does not exist",
    2012: "the deposit does not exist",
    3001: "the withdrawal is below the minimum",
    3002: "the destination is not allowed",
    9001: "wrong algorithm",
    9002: "a parameter of the login is missing or malformed",
    9003: "no permission for this call, or no such call",
}
"""Code to what it says, for refusals that come without a text."""

EXPIRED = 2001
CLOCK_HINT = (
    " (a login is signed over our clock: set this machine's, or pass clock_offset_ms to"
    " oceanex.venue(); GetTime and clock_offset_ms() measure it)"
)

_AUTHENTICATION = frozenset({1001, 1002, 1003, 1004, 1006, 1007, 1008, 1010, 2001, 9001, 9002})
_PERMISSION = frozenset({1011, 9003})
_TEXTS = (
    ("request limit", RefusalKind.RATE_LIMITED),
    ("cannot lock funds", RefusalKind.INSUFFICIENT_FUNDS),
    ("market does not have a valid value", RefusalKind.UNKNOWN_MARKET),
    ("does not have a valid value", RefusalKind.INVALID),
)


def text_of(code: int, message: dict[str, Any]) -> str:
    """Return what a refusal says: the venue's text, else what the code means.

    Args:
        code: the venue's.
        message: the reply's ``message``.
    """
    data = message.get("data")
    inner = data.get("message") if isinstance(data, dict) else None
    for text in (message.get("message"), message.get("error"), inner):
        if text:
            return text if isinstance(text, str) else str(text)
    words = MEANINGS.get(code, "the venue gave no reason")
    if code == 2003 and isinstance(data, dict) and data.get("ids"):
        words = f"{words}: {data['ids']}"
    return words


def kind_of(code: int, text: str) -> RefusalKind:
    """Return what a refusal means; its text may say more than its code.

    Args:
        code: the venue's.
        text: as :func:`text_of` returns it.
    """
    flat = text.lower()
    for words, kind in _TEXTS:
        if words in flat:
            return kind
    if code in _AUTHENTICATION or code in _PERMISSION:
        return RefusalKind.NOT_AUTHENTICATED
    if code in (2004, 2012):
        return RefusalKind.NOT_FOUND
    return RefusalKind.INVALID if code in (2002, 2003) else RefusalKind.OTHER


def retry_of(code: int, kind: RefusalKind) -> Retry:
    """Return what to do where a login was refused."""
    if kind is RefusalKind.RATE_LIMITED:
        return Retry.LATER
    return Retry.AGAIN if code in SERVER else Retry.NEVER
