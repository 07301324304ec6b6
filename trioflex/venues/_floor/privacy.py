"""What of a frame must not be shown."""

from __future__ import annotations

import re

# A string may be cut off where a frame was; what is left of it is a secret all the same.
_TEXT = r'"(?:[^"\\]|\\.)*(?:"|\Z)'
_LIST = r"\[[^\]]*(?:\]|\Z)"
_SECRET = re.compile(rf'("(?:cookie|nonce|signature)"\s*:\s*)(?:{_TEXT}|{_LIST})', re.DOTALL)


def redact(frame: str) -> str:
    """Return a frame without the secrets of a login: cookie, client nonce, signature.

    Args:
        frame: any frame, whole or cut off.
    """
    if '"cookie"' not in frame and '"signature"' not in frame:
        return frame
    return _SECRET.sub(r'\1"***"', frame)
