"""What of a frame must not be shown."""

from __future__ import annotations

import re

# A string may be cut off where a frame was; what is left of it is a secret all the same.
_SECRET = re.compile(r'("pass(?:word)?"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\Z)', re.DOTALL | re.IGNORECASE)


def redact(frame: str) -> str:
    """Return a frame without the (encrypted) password.

    Args:
        frame: any frame, whole or cut off.
    """
    return _SECRET.sub(r'\1"***"', frame)
