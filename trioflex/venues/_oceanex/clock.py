"""How far the venue's clock is from ours."""

from __future__ import annotations

from ..._vocabulary.errors import LocalProtocolError


def clock_offset_ms(seconds: int, *, asked_ms: int, answered_ms: int) -> int:
    """Return what to give ``oceanex.venue(clock_offset_ms=…)``.

    Args:
        seconds: the reply to :class:`GetTime`; the venue tells whole seconds only.
        asked_ms: our clock when the question left, milliseconds since 1970.
        answered_ms: our clock when the answer was there.

    Returns:
        Milliseconds that the venue's clock is ahead of ours, right to half a second and half the
        time that asking took.

    Raises:
        LocalProtocolError: the answer came before the question.
    """
    if answered_ms < asked_ms:
        raise LocalProtocolError(
            f"oceanex: answered_ms ({answered_ms}) is before asked_ms ({asked_ms})"
        )
    # A whole second is cut off at its start; its middle is right to half of it.
    return seconds * 1000 + 500 - (asked_ms + answered_ms) // 2
