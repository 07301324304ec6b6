"""Writing without waiting, for streams over sockets.

Trio's streams write in ``await`` only, and a task of its own that does it costs an order two turns
of the scheduler, a third of its way out and back. A socket's kernel, though, takes a message at
once or says that it has no room; so whoever has one may hand it over on the spot. What happens in
one go cannot be cut short by a cancellation, which is why elsewhere only one task may write.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias, cast

import trio

WriteNow: TypeAlias = Callable[[bytes], int]
"""Takes bytes while nobody else writes; returns how many of them it took, none where anything is
wrong: who then waits to write the rest is told what."""


def prompt_writer(stream: trio.abc.Stream) -> WriteNow | None:
    """Return what writes to a stream without waiting, if it can be done.

    Args:
        stream: a ``trio.SocketStream``, or a stream with a ``write_now`` of its own (which may be
            ``None``).
    """
    if isinstance(stream, trio.SocketStream):
        if os.name != "posix":
            return None  # a socket is no file elsewhere
        fileno = stream.socket.fileno

        def write(data: bytes) -> int:
            try:
                return os.write(fileno(), data)
            except OSError:
                return 0

        return write
    return cast("WriteNow | None", getattr(stream, "write_now", None))
