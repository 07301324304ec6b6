"""What is kept in the user's state directory: commands, nothing that may be secret, and the log."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from trioflex.protocol import Venue

from .choices import choice_of
from .commands import is_request, word_of

BARE = ("login",)
"""Commands that take nothing: what follows them was typed by mistake, and may be a secret."""


def history_file(venue: str) -> Path:
    """Return where the history of a venue's console is kept."""
    return platformdirs.user_state_path("trioflex") / f"console-{venue}.history"


def log_file(venue: str) -> Path:
    """Return where the log of a venue's console is kept, unless another file is named."""
    path = platformdirs.user_state_path("trioflex") / f"console-{venue}.log"
    make_private(path)
    return path


def is_keepable(venue: Venue, line: str) -> bool:
    """Return whether a line may be kept: it was a command, and no secret pasted at the prompt.

    Args:
        venue: whose console it is.
        line: what was typed.
    """
    first, space, _ = line.strip().partition(" ")
    word = word_of(first)
    if word is not None:
        return word not in BARE or not space
    return choice_of(venue.name, first) is not None or is_request(venue, first)


def make_private(path: Path) -> bool:
    """Make sure that a file exists and only its owner can read it.

    Returns:
        Whether it can be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        path.chmod(0o600)
    except OSError:
        return False
    return True
