"""What the venue's error texts mean. It has no codes: the text is the error.

Source: "MidChains/slate", ``source/index.html.md``; it prints a handful of texts, so texts nobody
has seen are grouped by their words.
"""

from __future__ import annotations

from ..._vocabulary.errors import RefusalKind

NO_POSITION = "no position"
"""Says that there is nothing; not an error."""

_WORDS = (
    ("not logged in", RefusalKind.NOT_AUTHENTICATED),
    ("invalid user/password", RefusalKind.NOT_AUTHENTICATED),
    ("not found", RefusalKind.NOT_FOUND),
    ("insufficient", RefusalKind.INSUFFICIENT_FUNDS),
    ("too many", RefusalKind.RATE_LIMITED),
    ("rate limit", RefusalKind.RATE_LIMITED),
    ("duplicate", RefusalKind.DUPLICATE),
    ("cannot use", RefusalKind.INVALID),
    ("invalid", RefusalKind.INVALID),
    ("unknown", RefusalKind.INVALID),
    ("missing", RefusalKind.INVALID),
)


def kind_of(error: str) -> RefusalKind:
    """Return what sort of refusal a text is.

    Args:
        error: the ``result`` of an answer, anything but ``OK``.
    """
    flat = error.lower()
    return next((kind for words, kind in _WORDS if words in flat), RefusalKind.OTHER)
