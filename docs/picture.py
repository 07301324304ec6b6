"""Draws docs/demo.svg, the picture on the front page, from a run of the demo: ``make picture``."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio.testing
from rich.console import Console

from trioflex.cli.demo import run_demo
from trioflex.cli.screen import Screen

SECONDS = 8.0
MOMENT = 6.4  # the line was cut and is back, and the log can tell


async def main() -> None:
    """Run the demo in no time, and look at one moment of it."""
    console = Console(
        record=True,
        width=100,
        height=32,
        force_terminal=True,
        color_system="truecolor",
        file=io.StringIO(),
    )

    @asynccontextmanager
    async def gather(seconds: float, clock: Callable[[], float]) -> AsyncIterator[Screen]:
        screen = Screen("trioflex demo", seconds, clock)

        async def look() -> None:
            await trio.sleep(MOMENT)
            console.print(screen, end="")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            yield screen

    await run_demo(gather, SECONDS, seed=1)
    picture = console.export_svg(title="trioflex demo", unique_id="demo")
    Path(__file__).with_name("demo.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
