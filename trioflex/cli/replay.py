"""``trioflex replay``: a tape served as an exchange on this machine, or told."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import attrs
import msgspec
import trio
import typer
from rich.console import Console
from rich.text import Text

from trioflex import LocalProtocolError
from trioflex.simulator import SimulatedExchange, open_server
from trioflex.tape import Tape, TapeFrame, TapeMark, TapePlayer, open_player, read_tape

from . import accounts
from .lines import JsonLines, PlainLines
from .reaching import Wishes, find_way
from .record import bar, clock, showing, size
from .report import Audience
from .running import execute
from .simulate import log_to_stderr
from .spelling import make_channel
from .stage import write
from .watch import watch

PATIENCE = 0.5
"""Seconds to wait for a request of ours: all of them are asked at once."""

LAST_WORDS = 0.1
"""Seconds in which what came last is told."""


async def tell_events(tape: Tape, audience: Audience, speed: float) -> None:
    """Watch the channels that were recorded, on the tape instead of the venue.

    Args:
        tape: with the names of its channels.
        audience: is told.
        speed: how much faster than it was recorded.

    Raises:
        LocalProtocolError: the venue is not known, or has no such channel.
        TrioflexError: it cannot go on.

    Cancellation: ends it.
    """
    way = find_way(Wishes(venue=tape.head.venue))
    channels = [make_channel(way.venue, name) for name in tape.head.channels]
    if tape.account:
        # Whose secrets these are does not matter: the tape answers every login as it was answered.
        anybody = SimulatedExchange(way.venue.name).model.credentials()
        way = attrs.evolve(
            way,
            credentials=accounts.credentials(
                way.venue.name, way.module, needed="The tape", found=anybody
            ),
        )
    async with (
        open_player(tape, venue=way.venue, speed=speed, patience=PATIENCE) as player,
        trio.open_nursery() as nursery,
    ):

        async def follow() -> None:
            await watch(way, channels, audience, connector=player.connector)

        nursery.start_soon(follow)
        await player.ended.wait()
        await trio.sleep(LAST_WORDS)
        nursery.cancel_scope.cancel()


async def tell_lines(
    tape: Tape, tell: Callable[[str], object], speed: float, as_json: bool
) -> None:
    """Tell what is on a tape, line by line, in its time.

    Args:
        tape: what to tell.
        tell: is given the lines.
        speed: how much faster than it was recorded.
        as_json: as on the tape, instead of for people.

    Cancellation: ends it.
    """
    began = trio.current_time()
    for entry in tape.entries:
        await trio.sleep_until(began + entry.t / speed)
        if as_json:
            tell(msgspec.json.encode(entry).decode() + "\n")
        elif isinstance(entry, TapeFrame):
            tell(f"{entry.t:9.3f}  #{entry.n} {entry.dir}  {entry.frame}\n")
        else:
            tell(f"{entry.t:9.3f}  {_mark(entry)}\n")


def _mark(mark: TapeMark) -> str:
    words = f"#{mark.n} {mark.mark}" if mark.n else mark.mark
    details = [mark.reason, f"code {mark.code}" if mark.code else "", str(mark.count or "")]
    return " ".join([f"{words:<12}", *(each for each in details if each)]).rstrip()


def describe(tape: Tape) -> str:
    """Return in a clause what a tape holds."""
    number = len(tape.connections)
    connections = "1 connection" if number == 1 else f"{number} connections"
    characters = sum(len(frame.frame) for frame in tape.frames)
    return (
        f"{tape.head.venue} of {tape.head.started[:19].replace('T', ' ')} UTC, "
        f"{clock(tape.seconds)} with {connections} and {len(tape.frames):,} messages, "
        f"{size(characters)}"
    )


# Protected: between the entry into a block and the note that it is to be left, inside of an exit
# stack, Ctrl-C would leave a nursery open. It comes out of whatever is waited for.
@trio.lowlevel.enable_ki_protection
async def serve_tape(tape: Tape, speed: float, port: int) -> None:
    """Serve a tape on 127.0.0.1 until interrupted; at its end it begins anew for the next client.

    Raises:
        LocalProtocolError: the port cannot be bound, or the tape cannot be played.

    Cancellation: all connections are dropped.
    """
    console = Console(stderr=True)
    async with AsyncExitStack() as stack:
        player = await stack.enter_async_context(open_player(tape, speed=speed, rewind=True))
        try:
            address = await stack.enter_async_context(open_server(player.exchange, port=port))
        except OSError as exc:
            raise LocalProtocolError(
                f"cannot listen on port {port}: {exc.strerror}; give another one, or 0 to have a "
                "free one picked"
            ) from exc
        print(json.dumps({"url": address.url}), flush=True)
        await stack.enter_async_context(showing(console, lambda: progress(player)))
        # Behind the line of progress, which lets them pass above it.
        stack.enter_context(log_to_stderr("trioflex.simulator", "trioflex.tape"))
        logging.getLogger("trioflex.tape").info(
            "%s is served on %s; Ctrl-C ends it", describe(tape), address.url
        )
        await trio.sleep_forever()


def progress(player: TapePlayer) -> Text:
    """Return the line that tells how far a tape is."""
    line = Text(no_wrap=True, overflow="ellipsis")
    seconds = player.tape.seconds
    clients = len(player.exchange.open_connections)
    line.append("▶ " if clients else "■ ", "bold green" if clients else "yellow")
    line.append("playing " if clients else "waiting for a client ", "bold")
    line.append(f"{player.tape.head.venue}  {clock(player.position)} ")
    line.append(f"{bar(player.position / seconds if seconds else 1)} {clock(seconds)}", "cyan")
    line.append(f"  {player.played:,} messages")
    if player.unanswered:
        line.append(f"  {player.unanswered:,} unanswered", "yellow")
    return line


async def replay_command(
    path: Path, speed: float, port: int, told: bool, as_json: bool, partial: bool
) -> None:
    """Serve a tape, or tell what is on it.

    Raises:
        LocalProtocolError: something given cannot be right, or the tape is broken.
    """
    tape = read_tape(path, partial=partial)
    pace = math.inf if speed == 0 else speed
    if not (told or as_json):
        await serve_tape(tape, pace, port)
    elif tape.head.channels and tape.connections:
        await tell_events(tape, (JsonLines if as_json else PlainLines)(write), pace)
    else:
        await tell_lines(tape, write, pace, as_json)


def replay(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A tape of `trioflex record`.")],
    speed: Annotated[
        float,
        typer.Option(
            "--speed", min=0.0, metavar="X", help="X times as fast; 0: as fast as possible."
        ),
    ] = 1.0,
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT", min=0, max=65_535, help="TCP port on 127.0.0.1; 0 picks a free one."
        ),
    ] = 0,
    told: Annotated[
        bool, typer.Option("--print", help="Tell what happened, instead of serving it.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The same, as one JSON object a line.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Take what is whole of a tape that was cut off.")
    ] = False,
) -> None:
    """Serve a tape as an exchange on this machine until Ctrl-C, or tell what is on it."""
    execute(context, replay_command, file, speed, port, told, as_json, partial)
