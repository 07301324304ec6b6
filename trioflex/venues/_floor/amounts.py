"""The engine's numbers: 64 bits, and scales that are powers of ten."""

from __future__ import annotations

from ..._vocabulary.errors import LocalProtocolError

MAX_INT = 2**63 - 1
"""The engine computes in 64 bits with a sign."""


def check_scale(name: str, scale: int) -> None:
    """Refuse a scale that is not a power of ten."""
    if type(scale) is not int or scale < 1 or scale != 10 ** (len(str(scale)) - 1):
        raise LocalProtocolError(f"{name}: a scale is a power of ten, not {scale!r}")


def digits_of(scale: int) -> int:
    """Return how many decimals a scale of a power of ten stands for."""
    return len(str(scale)) - 1
