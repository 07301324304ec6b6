"""``trioflex record``: what passes between this machine and a venue, written to a tape."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import attrs
import trio
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

import trioflex
from trioflex import LocalProtocolError, Overflow
from trioflex.protocol import Channel
from trioflex.tape import Recorder, RecorderStatistics, open_recorder

from .exits import one_reason
from .reaching import (
    CaFile,
    ChannelNames,
    Insecure,
    KeyFile,
    Seconds,
    Url,
    VenueName,
    Way,
    Wishes,
    find_way,
    reach,
    with_login,
)
from .running import execute
from .spelling import make_channel, spell
from .stage import FRAMES, is_drawable


@attrs.define
class Counting:
    """Takes what channels deliver until there was enough; what it is, the tape knows."""

    left: float
    enough: trio.CancelScope

    async def follow(self, client: trioflex.Client, channel: Channel[Any]) -> None:
        """Subscribe to a channel and count what it delivers.

        Raises:
            SubscriptionRefused: the venue, or a local limit, says no.
            SubscriptionTimeout: the venue did not confirm in time.

        Cancellation: the subscription is released.
        """
        async with client.subscribe(channel, overflow=Overflow.LATEST) as receiver:
            async for _ in receiver:
                self.left -= 1
                if self.left <= 0:
                    self.enough.cancel()


async def record(
    way: Way,
    channels: Sequence[Channel[Any]],
    path: Path,
    *,
    count: int | None = None,
    seconds: float | None = None,
    force: bool = False,
    connector: trioflex.Connector | None = None,
    began: Callable[[Recorder], object] = lambda recorder: None,
) -> RecorderStatistics:
    """Record channels until there was enough.

    Args:
        way: to the venue.
        channels: what to ask for.
        path: of the tape; it is removed again if there never was a connection, and what it should
            have replaced is as it was.
        count: items of the channels; ``None``: without end.
        seconds: how long; ``None``: without end.
        force: replace a file that is there already.
        connector: instead of the network.
        began: is given the recorder, for its statistics.

    Returns:
        What was recorded.

    Raises:
        LocalProtocolError: the file cannot be written.
        TrioflexError: it cannot go on.

    Cancellation: the connection is dropped; the tape is whole.
    """
    deadline = math.inf if seconds is None else trio.current_time() + seconds
    recorder: Recorder | None = None
    aside: Path | None = None
    try:
        aside = _set_aside(path) if force else None
        async with open_recorder(
            path, way.venue, channels=[spell(channel) for channel in channels], overwrite=force
        ) as recorder:
            began(recorder)
            async with (
                reach(way, observer=recorder, connector=recorder.connector(connector)) as client,
                _open_nursery() as nursery,
            ):
                nursery.cancel_scope.deadline = deadline
                counting = Counting(math.inf if count is None else count, nursery.cancel_scope)
                for channel in channels:
                    nursery.start_soon(counting.follow, client, channel)
        return recorder.statistics()
    except FileExistsError:
        raise LocalProtocolError(
            f"{path} is there already; give another name, or --force to replace it."
        ) from None
    except OSError as wrong:
        raise LocalProtocolError(f"{path} cannot be written: {wrong.strerror}.") from wrong
    finally:
        if recorder is not None and recorder.statistics().connections:
            if aside is not None:
                _remove(aside)
        elif aside is not None:
            aside.replace(path)
        elif recorder is not None:
            _remove(path)


@asynccontextmanager
async def _open_nursery() -> AsyncIterator[trio.Nursery]:
    """Open a nursery out of which one exception comes, not a group."""
    with one_reason():
        async with trio.open_nursery() as nursery:
            yield nursery


def _set_aside(path: Path) -> Path | None:
    """Give what is to be replaced another name, in case nothing will replace it."""
    if path.is_symlink() or not path.is_file():
        return None
    return path.replace(path.with_name(f"{path.name}.replaced"))


def _remove(path: Path) -> None:
    if path.is_file():  # a device was not made by us
        path.unlink()


def summary(path: Path, venue: str, told: RecorderStatistics) -> str:
    """Return in a sentence or two what was recorded."""
    dropped = f" {told.dropped:,} messages were DROPPED: the disk is too slow." * bool(told.dropped)
    connections = "1 connection" if told.connections == 1 else f"{told.connections} connections"
    return (
        f"{path}: {told.seconds:.1f} s, {connections}, {told.frames_in:,} messages from {venue} "
        f"and {told.frames_out:,} to it, {size(told.characters)} in {size(path.stat().st_size)} of "
        f"file.{dropped}"
    )


def size(number: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


# Protected as the screen is, see open_screen().
@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def showing(console: Console, picture: Callable[[], Text]) -> AsyncIterator[None]:
    """Keep a line of progress at the bottom of the terminal while the block runs.

    Args:
        console: where; nothing is shown if it is no terminal.
        picture: makes the line.

    Cancellation: the line is gone.
    """
    if not is_drawable(console):
        yield
        return
    with Live(picture(), console=console, transient=True, auto_refresh=False) as live:

        @trio.lowlevel.enable_ki_protection
        async def draw() -> None:
            while True:
                live.update(picture(), refresh=True)
                await trio.sleep(1 / FRAMES)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(draw)
            yield
            nursery.cancel_scope.cancel()


def bar(share: float, width: int = 20) -> str:
    """Return a bar of progress, drawn in eighths of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")).ljust(width, "·")


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def progress(venue: str, told: RecorderStatistics, seconds: float | None) -> Text:
    """Return the line that tells how far a recording is."""
    line = Text(no_wrap=True, overflow="ellipsis")
    if told.connected:
        line.append("● ", "bold red").append("recording ", "bold")
    else:
        line.append("○ ", "yellow").append("no connection ", "bold yellow")
    line.append(f"{venue}  {clock(told.seconds)}")
    if seconds is not None:
        line.append(f" {bar(told.seconds / seconds if seconds else 1)} {clock(seconds)}", "cyan")
    line.append(f"  {told.frames_in:,} messages  {size(told.characters)}")
    if told.dropped:
        line.append(f"  {told.dropped:,} DROPPED", "bold red")
    return line


async def record_command(
    wishes: Wishes,
    names: Sequence[str],
    path: Path,
    count: int | None,
    seconds: float | None,
    force: bool,
) -> None:
    """Record channels, show the progress where somebody looks, and sum it up.

    Raises:
        LocalProtocolError: something given cannot be right.
        TrioflexError: it cannot go on.
    """
    way = find_way(wishes)
    channels = list(dict.fromkeys(make_channel(way.venue, name) for name in names))
    private = next((spell(channel) for channel in channels if channel.private), None)
    way = with_login(way, wishes, needed=private)
    recorders: list[Recorder] = []

    def picture() -> Text:
        if not recorders:
            return Text("")
        return progress(way.venue.name, recorders[0].statistics(), seconds)

    told: RecorderStatistics | None = None
    try:
        async with showing(Console(stderr=True), picture):
            told = await record(
                way,
                channels,
                path,
                count=count,
                seconds=seconds,
                force=force,
                began=recorders.append,
            )
    finally:
        # After Ctrl-C as well: that is how most recordings end.
        if recorders and (told := told or recorders[0].statistics()).connections:
            print(summary(path, way.venue.name, told), flush=True)


def record_channels(
    context: typer.Context,
    venue: VenueName,
    channels: ChannelNames,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The tape; .gz, .xz or .zst at its end compress it."),
    ],
    url: Url = None,
    count: Annotated[
        int | None,
        typer.Option("--count", min=1, metavar="N", help="Stop after N items of the channels."),
    ] = None,
    seconds: Seconds = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is there already.")
    ] = False,
    ca_file: CaFile = None,
    insecure: Insecure = False,
    key_file: KeyFile = None,
) -> None:
    """Record channels to a tape, without secrets, until Ctrl-C."""
    wishes = Wishes(venue=venue, url=url, ca_file=ca_file, insecure=insecure, key_file=key_file)
    execute(context, record_command, wishes, channels, file, count, seconds, force)
