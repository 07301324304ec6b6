"""What of a frame must not be shown."""

from __future__ import annotations

import re

# Base64 holds no quotes; the backslashes are those of a login that is JSON text inside a string.
_SIGNATURE = re.compile(r'(\\*"signature\\*"\s*:\s*\\*")[^"\\]*')


def redact(frame: str) -> str:
    """Return a frame without the signature of a login. (The key itself is never sent.)

    Args:
        frame: any frame, whole or cut off.
    """
    return _SIGNATURE.sub(r"\1***", frame) if "signature" in frame else frame
