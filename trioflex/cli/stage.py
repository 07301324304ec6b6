"""Where reports are shown: lines on standard output, or a live picture in the terminal."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

import trio
from rich.console import Console, ConsoleRenderable, RenderableType
from rich.live import Live

FRAMES = 10
"""Pictures a second."""


class Picture(ConsoleRenderable, Protocol):
    """What can be drawn again and again, and leaves something behind."""

    def epilogue(self) -> RenderableType:
        """Return what stays in the terminal when the picture is gone."""


P = TypeVar("P", bound=Picture)


def write(line: str) -> None:
    """Write a line, which has left this process when this returns."""
    sys.stdout.write(line)
    sys.stdout.flush()


def is_drawable(console: Console) -> bool:
    """Return whether a person looks at a terminal that can show pictures."""
    return console.is_terminal and not console.is_dumb_terminal


# Protected: Ctrl-C while the picture begins, ends or is drawn would leave the terminal without its
# cursor. It comes out of the block, or of whatever the main task waits for.
@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def open_screen(console: Console, picture: P) -> AsyncIterator[P]:
    """Draw a picture while the block runs; what was noteworthy stays in the terminal afterwards.

    Args:
        console: where.
        picture: what.

    Yields:
        The picture.

    Cancellation: the terminal is as it was before.
    """
    with Live(picture, console=console, screen=True, auto_refresh=False) as live:

        @trio.lowlevel.enable_ki_protection
        async def draw() -> None:
            while True:
                live.refresh()
                await trio.sleep(1 / FRAMES)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(draw)
            yield picture
            nursery.cancel_scope.cancel()
    console.print(picture.epilogue(), end="")
