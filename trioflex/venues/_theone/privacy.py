"""What of a frame must not be shown."""

from __future__ import annotations

import re

# A string may be cut off where a frame was; what is left of it is a secret all the same.
_SECRET = re.compile(r'("(?:key|sig)"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\Z)', re.DOTALL)


def redact(frame: str) -> str:
    """Return a frame without API key and signature. (The secret itself is never sent.)

    Args:
        frame: any frame, whole or cut off.
    """
    if '"sig"' not in frame and '"key"' not in frame:
        return frame
    return _SECRET.sub(r'\1"***"', frame)
