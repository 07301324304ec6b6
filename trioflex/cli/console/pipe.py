"""The front end without a terminal: lines from standard input, lines to standard output."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from ..stage import write
from .outputs import Answer, Ask, News, Output, Prompt, Say, Shell

READ = 65536
"""Bytes that are read at once at most."""


class Pipe:
    """Reads a line whenever one is asked for. No prompts, no colours; replies as JSON, one a line.

    Args:
        descriptor: of the file that is read.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._ended = False

    async def run(
        self, lines: trio.MemorySendChannel[str], outputs: trio.MemoryReceiveChannel[Output]
    ) -> None:
        """Show outputs, and read where they ask for it, until they end.

        Cancellation: a read that is under way is abandoned.
        """
        async with lines, trio.open_nursery() as nursery:
            async for output in outputs:
                self._show(output)
                match output:
                    case Prompt() | Ask():
                        nursery.start_soon(self._read, lines, name="standard input")
                    case Shell():
                        await run_shell(output, interactive=False)
            nursery.cancel_scope.cancel()

    def _show(self, output: Output) -> None:
        match output:
            case Say(text):
                write(f"{text}\n")
            case News(word, text):
                write(f"{word:<9}  {text}\n")
            case Answer(value=value):
                write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
            case Ask(question):
                write(f"{question}\n")

    async def _read(self, lines: trio.MemorySendChannel[str]) -> None:
        while b"\n" not in self._rest and not self._ended:
            # In a thread, and past Python's own buffer: a read of that cannot be abandoned without
            # the interpreter waiting for it in the end.
            data = await trio.to_thread.run_sync(
                os.read, self._descriptor, READ, abandon_on_cancel=True
            )
            self._rest += data
            self._ended = not data
        line, newline, self._rest = self._rest.partition(b"\n")
        if newline or line:
            await lines.send(line.decode(errors="replace"))
        else:
            await lines.aclose()


async def run_shell(shell: Shell, *, interactive: bool) -> None:
    """Run the user's shell, and say when it is over.

    Args:
        shell: what to run.
        interactive: it may read from the terminal.

    Cancellation: it is ended.
    """
    program = os.environ.get("SHELL") or "/bin/sh"
    command = [program] if shell.command is None else [program, "-c", shell.command]
    sys.stdout.flush()
    try:
        if shell.command is None and not interactive:
            write("sh: there is no terminal to run a shell in; sh COMMAND runs one command.\n")
        elif interactive:
            with _deaf():
                await trio.run_process(command, stdin=None, check=False)
        else:
            await trio.run_process(command, check=False)
    except OSError as wrong:
        write(f"sh: {program} cannot be run: {wrong.strerror}.\n")
    finally:
        shell.done.set()


@contextmanager
def _deaf() -> Iterator[None]:
    """Leave Ctrl-C to what runs in the terminal; a handler, unlike "ignore", is not inherited."""
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
