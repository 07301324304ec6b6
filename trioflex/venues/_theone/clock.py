"""How far the venue's clock is from ours.

The venue tells its time over REST, ``GET /api/v1/time`` on the host of the stream, to everybody
("the-one-io/api-client", ``docs/API_DOCUMENTATION``). Fetching it is the program's business.
"""

from __future__ import annotations

import msgspec

from ..._vocabulary.errors import LocalProtocolError, RemoteProtocolError


class _Time(msgspec.Struct):
    """What ``/api/v1/time`` answers."""

    server_time: int = msgspec.field(name="serverTime")


def clock_offset_ms(body: bytes | str, *, asked_ms: int, answered_ms: int) -> int:
    """Return what to give ``theone.venue(clock_offset_ms=…)``.

    ::

        asked = time.time_ns() // 1_000_000
        body = (fetch https://partner-api.the-one.io/api/v1/time, by any HTTP client)
        answered = time.time_ns() // 1_000_000
        offset = theone.clock_offset_ms(body, asked_ms=asked, answered_ms=answered)

    Args:
        body: the answer to ``GET /api/v1/time``, ``{"serverTime": <ms>}``.
        asked_ms: our clock when the question left, milliseconds since 1970.
        answered_ms: our clock when the answer was there.

    Returns:
        Milliseconds that the venue's clock is ahead of ours, right to half the time that asking
        took.

    Raises:
        LocalProtocolError: the answer came before the question.
        RemoteProtocolError: the body has another shape.
    """
    if answered_ms < asked_ms:
        raise LocalProtocolError(
            f"theone: answered_ms ({answered_ms}) is before asked_ms ({asked_ms})"
        )
    try:
        time = msgspec.json.decode(body, type=_Time).server_time
    except (msgspec.DecodeError, ValueError) as exc:
        raise RemoteProtocolError(
            'theone told its time in an unknown shape; expected {"serverTime": <ms>}'
        ) from exc
    return time - (asked_ms + answered_ms) // 2
