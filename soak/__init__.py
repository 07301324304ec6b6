"""Long runs through bad networks: an hour's faults in seconds, and ten minutes of real sockets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Keep trioflex from logging, for what it has to say of a thousand faults is known."""
    logger = logging.getLogger("trioflex")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
