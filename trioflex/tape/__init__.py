"""Tapes: what passed between a client and a venue, to be kept, looked at and played again.

A tape is a text file of JSON lines, redacted by the venue's own module, compressed if its name ends
in ``.gz``, ``.xz`` or ``.zst``. Recording wraps a connector, so it is no feature of the client; a
tape that is played is an exchange like a simulated one.
"""

from __future__ import annotations

from .entries import (
    Tape as Tape,
    TapeError as TapeError,
    TapeFrame as TapeFrame,
    TapeHead as TapeHead,
    TapeMark as TapeMark,
    read_tape as read_tape,
)
from .player import TapePlayer as TapePlayer, open_player as open_player
from .recorder import (
    Recorder as Recorder,
    RecorderStatistics as RecorderStatistics,
    open_recorder as open_recorder,
)
