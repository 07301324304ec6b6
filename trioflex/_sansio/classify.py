"""Whether a lost connection is worth another: the default table, and the venue's last word."""

from __future__ import annotations

from .._vocabulary.errors import ConnectFailed, InternalError
from ..protocol import Loss, Retry, Venue

RETRYABLE_STATUS = frozenset({408, 425, 429})
"""Refusals below 500 that ask for patience; every other one below 500 says that the request
itself is wrong (the address, the credentials), which no repetition mends."""


def classify(venue: Venue, loss: Loss) -> Retry:
    """Decide what to do after a loss; the venue is asked first.

    Args:
        venue: its ``fatal`` may know better than the table.
        loss: why the connection ended.

    Returns:
        Again, later or never.
    """
    verdict = venue.fatal(loss)
    if verdict is not None:
        return verdict
    if loss.denied is not None:
        return loss.denied.retry
    if loss.goodbye is not None:
        return Retry.AGAIN if loss.goodbye.reconnect else Retry.NEVER
    if isinstance(loss.error, InternalError):
        return Retry.NEVER
    status = loss.http_status
    if status is not None:
        if status == 429:
            return Retry.LATER
        return Retry.AGAIN if status >= 500 or status in RETRYABLE_STATUS else Retry.NEVER
    if isinstance(loss.error, ConnectFailed) and loss.error.final:
        return Retry.NEVER
    return Retry.AGAIN
