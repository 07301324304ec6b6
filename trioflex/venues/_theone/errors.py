"""What the venue's errors mean: texts and codes to kinds, and whether to try again.

Over the WebSocket an error is a text; should it be an object as over REST, its code counts. Source:
"the-one-io/api-client", ``docs/WEBSOCKET_DOCUMENTATION``, ``docs/API_DOCUMENTATION``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..._vocabulary.errors import RefusalKind
from ...protocol import Retry

AUTHENTICATION, CLOCK, NONCE, REQUEST, OTHER = (
    "authentication",
    "clock",
    "nonce",
    "request",
    "error",
)
"""Codes for errors that come as mere text: what they are about."""

_TEXTS = {
    "not authenticated": AUTHENTICATION,
    "invalid signature": AUTHENTICATION,
    "invalid api key": AUTHENTICATION,
    "request timestamp outside allowed window": CLOCK,
    "nonce has already been used or is expired": NONCE,
    "invalid channel format": REQUEST,
}

_UNKNOWN_OPERATION = "unknown operation"

_CODES = {
    "UNAUTHORIZED": AUTHENTICATION,
    "INVALID_SIGNATURE": AUTHENTICATION,
    "MISSING_API_KEY": AUTHENTICATION,
    "EXPIRED_REQUEST": CLOCK,
    "INVALID_NONCE": NONCE,
    "INVALID_REQUEST": REQUEST,
    "INVALID_AMOUNT": REQUEST,
}

_KINDS = {
    AUTHENTICATION: RefusalKind.NOT_AUTHENTICATED,
    CLOCK: RefusalKind.INVALID,
    NONCE: RefusalKind.INVALID,
    REQUEST: RefusalKind.INVALID,
}

_CODE_KINDS = {
    "INSUFFICIENT_BALANCE": RefusalKind.INSUFFICIENT_FUNDS,
    "NOT_FOUND": RefusalKind.NOT_FOUND,
    "ORDER_NOT_FOUND": RefusalKind.NOT_FOUND,
    "RATE_LIMIT": RefusalKind.RATE_LIMITED,
    "RATE_LIMIT_EXCEEDED": RefusalKind.RATE_LIMITED,
    "DUPLICATE_REQUEST": RefusalKind.DUPLICATE,
}

_KEY_HINT = (
    " (the key is derived from the secret as the venue's own clients do it; its documents sign with"
    " the secret itself: theone.venue(derive_key=False))"
)
_RAW_HINT = (
    " (signed with the secret itself, as the venue's documents have it; its own clients derive the"
    " key: theone.venue(derive_key=True))"
)
_CLOCK_HINT = (
    " (the venue allows 30 s between its clock and ours: set this machine's clock, or pass"
    " clock_offset_ms to theone.venue())"
)


@attrs.frozen
class VenueError:
    """An error, in our words."""

    code: str
    """The venue's code where it gave one, else what the error is about."""
    text: str
    """The venue's text, with a hint where one helps."""
    kind: RefusalKind
    about: str
    """What the error is about: one of the codes above."""

    @property
    def retry(self) -> Retry:
        """What to do where this refused a login."""
        if self.about in (AUTHENTICATION, CLOCK):
            return Retry.NEVER
        if self.about == NONCE or self.code == "INTERNAL_ERROR":
            return Retry.AGAIN
        # A text nobody has described: it may pass, but must not be hammered.
        return Retry.LATER


def read_error(error: Any, *, derived: bool) -> VenueError:
    """Return what a message's ``error`` means.

    Args:
        error: the field, not empty.
        derived: whether the key is derived, for the hint.
    """
    code = ""
    if isinstance(error, Mapping):
        code = str(error.get("code") or "")
        words = str(error.get("message") or code or "the venue gave no reason")
    else:
        words = str(error)
    flat = words.strip().rstrip(".").lower()
    about = _CODES.get(code.upper()) or _TEXTS.get(flat, "")
    if flat.startswith(_UNKNOWN_OPERATION):
        about = about or REQUEST
    # "Insufficient balance" says what INSUFFICIENT_BALANCE says.
    spelled = code.upper() or flat.upper().replace(" ", "_")
    about = about or _CODES.get(spelled, OTHER)
    kind = _CODE_KINDS.get(spelled) or _KINDS.get(about, RefusalKind.OTHER)
    if "signature" in flat and about == AUTHENTICATION:
        words += _KEY_HINT if derived else _RAW_HINT
    elif about == CLOCK:
        words += _CLOCK_HINT
    return VenueError(code or about, words, kind, about)
