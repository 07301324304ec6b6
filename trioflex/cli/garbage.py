"""Hears of what a venue should not have sent, and says so where the loss would hide it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trioflex


class Listener(trioflex.Observer):
    """Keeps the error with which a venue broke its protocol."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def malformed(self, connection: int, excerpt: str, error: BaseException) -> None:
        """Keep it."""
        self.error = error

    @contextmanager
    def blaming(self) -> Iterator[None]:
        """Turn a loss that came of a broken protocol into the error that names it.

        Raises:
            RemoteProtocolError: instead of the lost connection, or the lost reply.
        """
        try:
            yield
        except (trioflex.ConnectionLost, trioflex.ReplyLost) as lost:
            if isinstance(self.error, trioflex.RemoteProtocolError):
                raise self.error from lost
            raise
