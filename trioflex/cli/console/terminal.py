"""The front end in a terminal: a prompt that stays intact while news is printed above it.

prompt_toolkit needs an asyncio loop, so it gets one, in a thread of its own; Trio's loop ticks on
beside it. Everything that is printed while a prompt is up goes through that loop, in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import trio
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import DummyHistory, FileHistory, History, InMemoryHistory
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Style
from rich.console import Console

from trioflex.protocol import Venue

from .asking import fold, split
from .completion import complete
from .echo import echo
from .history import is_keepable, make_private
from .outputs import Ask, Output, Prompt, Say, Shell, Status
from .pipe import run_shell
from .render import draw

T = TypeVar("T")

TERMINAL = 0
"""Standard input, from which prompt_toolkit reads."""

STYLE = Style.from_dict(
    {
        "bottom-toolbar": "noreverse",
        "good": "ansigreen",
        "bad": "bold ansired",
        "prompt": "bold",
    }
)


class Keeper(FileHistory):
    """Keeps commands, and forgets at once whatever may be a secret."""

    def __init__(self, path: Path, venue: Venue) -> None:
        self._venue = venue
        super().__init__(str(path))

    def append_string(self, string: str) -> None:
        """Keep a line, if it was a command; without a place to keep it, until the end."""
        if is_keepable(self._venue, string):
            with suppress(OSError):  # it is in memory by then
                super().append_string(string)


class Tab(Completer):
    """Offers what :func:`.completion.complete` finds."""

    def __init__(self, find: Callable[[str], Iterable[Any]]) -> None:
        self._find = find

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Return what may stand at the cursor."""
        before = document.text_before_cursor
        last = before.rpartition(" ")[2]
        for each in self._find(before):
            yield Completion(
                each.text + ("" if each.more else " "),
                start_position=-len(last),
                display=each.text,
                display_meta=each.note,
            )


class Unseen(Processor):
    """Shows nothing of what is typed, not even how much it is."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Return an empty line."""
        return Transformation([], lambda position: 0, lambda position: 0)


class Terminal:
    """Shows outputs and reads lines in the terminal of this process.

    Args:
        venue: whose console it is.
        console: where to print.
        history: file of the lines typed before.
        interrupt: is called when Ctrl-C is typed at a prompt.
    """

    def __init__(
        self, venue: Venue, console: Console, history: Path, interrupt: Callable[[], object]
    ) -> None:
        self._venue = venue
        self._console = console
        self._interrupt = interrupt
        self._status = Status(venue.name, good=False)
        self._prompting = False
        kept: History = Keeper(history, venue) if make_private(history) else InMemoryHistory()
        self._commands: PromptSession[str] = PromptSession(
            history=kept,
            completer=Tab(lambda before: complete(venue, before, self._status.subscribed)),
            complete_while_typing=False,
            complete_style=CompleteStyle.MULTI_COLUMN,
            bottom_toolbar=self._toolbar,
            style=STYLE,
        )
        self._questions: PromptSession[str] = PromptSession(
            history=DummyHistory(), bottom_toolbar=self._toolbar, style=STYLE
        )
        self._secrets: PromptSession[str] = PromptSession(
            history=DummyHistory(),
            input_processors=[Unseen()],
            bottom_toolbar=self._toolbar,
            style=STYLE,
        )
        self._session = self._commands

    async def run(
        self, lines: trio.MemorySendChannel[str], outputs: trio.MemoryReceiveChannel[Output]
    ) -> None:
        """Show outputs, and read where they ask for it, until they end.

        Cancellation: the terminal is as it was before.
        """
        async with lines, open_loop() as loop:
            with echo(TERMINAL, on=False):
                # A prompt that is up leaves the terminal as it found it: in here.
                async with trio.open_nursery() as nursery:
                    await self._show(lines, outputs, loop, nursery)
                    nursery.cancel_scope.cancel()

    async def _show(
        self,
        lines: trio.MemorySendChannel[str],
        outputs: trio.MemoryReceiveChannel[Output],
        loop: Loop,
        nursery: trio.Nursery,
    ) -> None:
        async for output in outputs:
            match output:
                case Status():
                    self._status = output
                    self._session.app.invalidate()
                case Prompt() | Ask():
                    if isinstance(output, Ask):
                        output = self._fitting(output)
                    self._prompting = True
                    self._session = self._session_for(output)
                    nursery.start_soon(self._read, loop, lines, output, name="prompt")
                case Shell():
                    with echo(TERMINAL, on=True):
                        await run_shell(output, interactive=True)
                case _ if self._prompting:
                    await loop.run(self._draw_above(output))
                case _:
                    draw(self._console, output)

    def _fitting(self, wanted: Ask) -> Ask:
        """Return a question that fits into the terminal; what does not is printed above it."""
        size = self._console.size
        above, question = split(wanted.question, size.width, size.height)
        if above:
            draw(self._console, Say(above))
        return Ask(question, wanted.secret)

    def _folded(self, question: str) -> Callable[[], str]:
        """Return what gives the question whenever it is drawn: the width may have changed."""
        return lambda: fold(question, self._questions.app.output.get_size().columns)

    def _session_for(self, wanted: Prompt | Ask) -> PromptSession[str]:
        if isinstance(wanted, Prompt):
            return self._commands
        return self._secrets if wanted.secret else self._questions

    async def _draw_above(self, output: Output) -> None:
        """Print above the prompt; runs in the other loop.

        prompt_toolkit's own way hands the terminal back meanwhile, and what is typed just then is
        echoed into the middle of things. Here it stays as it is.
        """
        app = self._session.app
        if not app.is_running:
            draw(self._console, output)
            return
        app.renderer.erase()
        draw(self._console, output)
        app.renderer.reset()
        app.renderer.request_absolute_cursor_position()
        app.invalidate()

    async def _read(
        self, loop: Loop, lines: trio.MemorySendChannel[str], wanted: Prompt | Ask
    ) -> None:
        try:
            line = await loop.run(self._prompt(wanted))
        finally:
            self._prompting = False
        match line:
            case str():
                await lines.send(line)
            case EOFError():
                await lines.aclose()
            case _:
                self._interrupt()

    async def _prompt(self, wanted: Prompt | Ask) -> str | BaseException:
        """Return a line; or as a value what is no line, for it must not end asyncio's loop."""
        try:
            return await self._session_for(wanted).prompt_async(
                self._folded(wanted.question)
                if isinstance(wanted, Ask)
                else FormattedText([("class:prompt", f"{self._venue.name}> ")]),
                handle_sigint=False,
            )
        except (EOFError, KeyboardInterrupt) as ended:
            return ended

    def _toolbar(self) -> FormattedText:
        good = self._status.good
        return FormattedText(
            [
                ("class:good" if good else "class:bad", "● " if good else "○ "),
                ("", self._status.text),
            ]
        )


class Loop:
    """An asyncio loop in another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run it until :meth:`stop`."""
        task_status.started()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._serve)

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine over there and return what it returns.

        Cancellation: it is cancelled over there, and has ended when this ends.
        """
        token = trio.lowlevel.current_trio_token()
        over = trio.Event()
        made: list[asyncio.Task[T]] = []

        def start() -> None:
            task = self._loop.create_task(coroutine)
            made.append(task)
            task.add_done_callback(lambda _: token.run_sync_soon(over.set))

        self._loop.call_soon_threadsafe(start)
        try:
            await over.wait()
        except trio.Cancelled:
            self._loop.call_soon_threadsafe(lambda: made[0].cancel())
            with trio.CancelScope(shield=True):
                await over.wait()
            raise
        return made[0].result()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


@asynccontextmanager
async def open_loop() -> AsyncIterator[Loop]:
    """Open an asyncio loop for the length of a block."""
    loop = Loop()
    async with trio.open_nursery() as nursery:
        await nursery.start(loop.serve, name="asyncio loop")
        try:
            yield loop
        finally:
            loop.stop()
