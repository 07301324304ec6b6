"""The console's log: what was asked, what came, and the life of the connection, in a file."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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


class LogFile(logging.FileHandler):
    """A log that ends where it cannot be written any more, as on a full disk.

    Args:
        path: of the file.
        complain: is told so, once.
    """

    def __init__(self, path: Path, complain: Callable[[str], object]) -> None:
        # What was typed may hold what is no text; it must not end the log.
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._complain = complain
        self._over = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless that failed before."""
        if not self._over:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say what went wrong, instead of a traceback for each record."""
        wrong = sys.exc_info()[1]
        if not isinstance(wrong, OSError):
            super().handleError(record)
            return
        self._over = True
        self._complain(f"The log ends here: {self.baseFilename}: {wrong.strerror}.")

    def close(self) -> None:
        """Close the file; of what did not fit into it somebody was told."""
        with suppress(OSError):
            super().close()


@contextmanager
def open_log(
    path: Path | None, level: str, complain: Callable[[str], object] = lambda text: None
) -> Iterator[None]:
    """Append what the library and the console log to a file while the block runs.

    Args:
        path: of the file; ``None``: nothing is logged.
        level: as :func:`level_of` returns it.
        complain: is told when it cannot be written any more.

    Raises:
        LocalProtocolError: the file cannot be written.
    """
    handler: logging.Handler
    try:
        # Somewhere to go it needs in any case: Python prints warnings that nobody takes.
        handler = logging.NullHandler() if path is None else LogFile(path, complain)
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
