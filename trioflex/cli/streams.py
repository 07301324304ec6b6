"""The standard streams, where whoever started the command closed one, or nothing fits into one."""

from __future__ import annotations

import errno
import os
import sys

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def open_missing() -> None:
    """Put the null device in the place of standard streams that are closed (``>&-``).

    In this order each gets the number that it should have: the lowest that is free. A connection
    must not get it, for somebody will read from, or write to, that number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def give_up_output() -> None:
    """Send what is still to be written nowhere: Python would complain of it once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def give_up_errors() -> None:
    """Send what is still to be said nowhere: Python would change the exit status for it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def output_failed(error: OSError) -> bool:
    """Return whether an error means that standard output cannot be written."""
    if error.filename is not None:
        return False
    try:
        sys.stdout.flush()  # what could not be written is still there, unless nothing is buffered
    except OSError:
        return True
    return error.errno in _FULL
