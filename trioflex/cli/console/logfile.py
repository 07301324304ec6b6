"""The console's log: what was asked, what came, and the life of the connection, in a file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trioflex import LocalProtocolError

LEVELS = {"DEBUG": "DEBUG", "INFO": "INFO", "WARN": "WARNING", "WARNING": "WARNING",
          "ERROR": "ERROR"}  # fmt: skip
"""Names of levels, in capitals; frames are logged at the first, without their secrets."""

FORMAT = "%(asctime)s (%(levelname)s, %(filename)s:%(lineno)d)  %(message)s"


def level_of(text: str) -> str:
    """Return a level of the log from what a person typed; capitals do not matter.

    Raises:
        LocalProtocolError: there is no such level.
    """
    level = LEVELS.get(text.upper())
    if level is None:
        raise LocalProtocolError(
            f"--log-level is one of DEBUG, INFO, WARN and ERROR, not {text!r}."
        )
    return level


@contextmanager
def open_log(path: Path | None, level: str) -> Iterator[None]:
    """Append what the library and the console log to a file while the block runs.

    Args:
        path: of the file; ``None``: nothing is logged.
        level: as :func:`level_of` returns it.

    Raises:
        LocalProtocolError: the file cannot be written.
    """
    handler: logging.Handler
    try:
        # Somewhere to go it needs in any case: Python prints warnings that nobody takes.
        handler = (
            logging.NullHandler() if path is None else logging.FileHandler(path, encoding="utf-8")
        )
    except OSError as wrong:
        raise LocalProtocolError(f"--log {path} cannot be written: {wrong.strerror}.") from None
    handler.setFormatter(logging.Formatter(FORMAT))
    logger = logging.getLogger("trioflex")
    before = logger.level
    logger.addHandler(handler)
    if path is not None:
        logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        handler.close()
