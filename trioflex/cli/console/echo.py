"""The terminal's echo, which is off where no prompt is up: what is typed ahead may be a secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

try:
    import termios
except ImportError:  # where there are no such terminals
    HAS_TERMIOS = False
else:
    HAS_TERMIOS = True


@contextmanager
def echo(descriptor: int, *, on: bool) -> Iterator[None]:
    """Set the echo for the length of a block; afterwards the terminal is as it was before.

    Args:
        descriptor: of the terminal; of another file it does nothing.
        on: whether what is typed is shown.
    """
    try:
        before = termios.tcgetattr(descriptor) if HAS_TERMIOS else None
    except termios.error:
        before = None
    if before is None:
        yield
        return
    changed = termios.tcgetattr(descriptor)
    flags = termios.ECHO
    changed[3] = changed[3] | flags if on else changed[3] & ~flags
    # At once, and keeping what was typed already.
    termios.tcsetattr(descriptor, termios.TCSANOW, changed)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
