"""``trioflex console``: which front end, which log, and how it ends."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Protocol

import trio
import typer
from rich.console import Console

from ..exits import Terminated
from ..reaching import CaFile, Insecure, KeyFile, Url, VenueName, Wishes, find_way
from ..running import execute
from ..stage import is_drawable
from .dialogue import Dialogue
from .history import history_file, log_file
from .logfile import level_of, open_log
from .outputs import Output, Tone
from .pipe import Pipe


class FrontEnd(Protocol):
    """Shows outputs and sends lines."""

    async def run(
        self, lines: trio.MemorySendChannel[str], outputs: trio.MemoryReceiveChannel[Output]
    ) -> None:
        """Do it until the outputs end."""


async def converse(
    dialogue: Dialogue,
    make: Callable[[Callable[[], object]], FrontEnd],
    *,
    login: bool = False,
) -> int | None:
    """Put a front end before a dialogue, until one of them has enough.

    Args:
        dialogue: with whom a person talks.
        make: makes the front end; is given what to call on Ctrl-C.
        login: log in before the first prompt.

    Returns:
        The signal that ended it; ``None``: nothing but itself.

    Cancellation: the connection is dropped, the terminal is as it was before.
    """
    ended: int | None = None
    line_send, line_receive = trio.open_memory_channel[str](0)
    out_send, out_receive = trio.open_memory_channel[Output](0)

    def end(number: int) -> None:
        nonlocal ended
        ended = number
        dialogue.leave()

    async def listen(signals: AsyncIterator[int]) -> None:
        async for number in signals:
            if ended is not None:  # closing politely takes too long for somebody
                nursery.cancel_scope.cancel()
            end(number)

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, signals, name="signals")
            async with trio.open_nursery() as talk:
                front = make(lambda: end(signal.SIGINT))
                talk.start_soon(front.run, line_send, out_receive, name="front end")
                await dialogue.run(line_receive, out_send, login=login)
            nursery.cancel_scope.cancel()
    return ended


async def console_command(wishes: Wishes, login: bool, log: Path | None, level: str | None) -> None:
    """Talk with whoever sits at standard input.

    Args:
        wishes: what was given about the venue.
        login: log in before the first prompt.
        log: a file for the log; ``None``: one in the user's state directory if ``level`` is given,
            else none.
        level: of the log; ``None``: INFO.

    Raises:
        LocalProtocolError: something given cannot be right.
        KeyboardInterrupt: Ctrl-C; everything is closed.
        Terminated: the same after SIGTERM.
    """
    chosen = level_of(level or "INFO")
    way = find_way(wishes)
    if level is not None and log is None:
        log = log_file(way.venue.name)
        typer.echo(f"The log is {log}.", err=True)
    console = Console(highlight=False)
    drawable = is_drawable(console) and sys.stdin.isatty()

    def make(interrupt: Callable[[], object]) -> FrontEnd:
        if not drawable:
            return Pipe()
        # Imported on use: prompt_toolkit takes longer than all the rest.
        from .terminal import Terminal

        return Terminal(way.venue, console, history_file(way.venue.name), interrupt)

    dialogue = Dialogue(way, key_file=wishes.key_file)
    with open_log(log, chosen, lambda text: dialogue.say(text, Tone.BAD)):
        ended = await converse(dialogue, make, login=login)
    if ended == signal.SIGINT:
        raise KeyboardInterrupt
    if ended is not None:
        raise Terminated


def console(
    context: typer.Context,
    venue: VenueName,
    url: Url = None,
    login: Annotated[bool, typer.Option("--login", help="Log in before the first prompt.")] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="FILE",
            help="Append a log to this file; with a level alone it is one beside the history.",
            show_default=False,
        ),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(
            "--log-level",
            "--logLevel",
            "-l",
            metavar="LEVEL",
            help="Keep a log: DEBUG (every frame, without secrets), INFO, WARN or ERROR.",
            show_default="INFO",
        ),
    ] = None,
    ca_file: CaFile = None,
    insecure: Insecure = False,
    key_file: KeyFile = None,
) -> None:
    """Talk with a venue: requests, subscriptions, the connection; `help` inside lists all."""
    # Where the package for it is missing, whoever runs the command line says so.
    importlib.import_module(f"{__package__}.terminal")
    wishes = Wishes(venue=venue, url=url, ca_file=ca_file, insecure=insecure, key_file=key_file)
    execute(context, console_command, wishes, login, log, log_level)
