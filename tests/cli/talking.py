"""A person at a console's two channels, for its tests."""

from __future__ import annotations

from contextlib import asynccontextmanager

import trio

from trioflex.cli.console.dialogue import Dialogue
from trioflex.cli.console.outputs import Answer, Ask, News, Output, Prompt, Say, Status
from trioflex.cli.reaching import Wishes, find_way


class Person:
    """Types lines and reads what is shown until it is asked for the next one."""

    def __init__(self, lines, outputs):
        self._lines = lines
        self._outputs = outputs
        self.seen: list[Output] = []
        """What came since the last line that was typed."""

    async def listen(self):
        """Read until something is to be typed, or to the end; return all of it as text."""
        self.seen = []
        async for output in self._outputs:
            self.seen.append(output)
            if isinstance(output, Prompt | Ask):
                break
        return self.text

    async def types(self, line):
        """Type a line and return what comes of it, as text."""
        await self._lines.send(line)
        return await self.listen()

    async def hears(self, word):
        """Wait for news, and return it; the prompt stays as it is."""
        with trio.fail_after(600):
            async for output in self._outputs:
                if isinstance(output, News) and output.word == word:
                    return output.text
        raise AssertionError(f"no news of {word}")

    async def ends_input(self):
        await self._lines.aclose()

    @property
    def text(self):
        """What was seen, a line each."""
        lines = []
        for output in self.seen:
            match output:
                case Say(text):
                    lines.append(text)
                case News(word, text):
                    lines.append(f"{word}: {text}")
                case Ask(question):
                    lines.append(f"? {question}")
        return "\n".join(lines)

    @property
    def answer(self):
        """The value of the reply that was shown."""
        [value] = [output.value for output in self.seen if isinstance(output, Answer)]
        return value

    @property
    def status(self):
        """The newest status line that was seen."""
        return [output for output in self.seen if isinstance(output, Status)][-1]

    @property
    def asked(self):
        """Whether the next line is an answer."""
        return isinstance(self.seen[-1], Ask)

    @property
    def over(self):
        return not self.seen or not isinstance(self.seen[-1], Prompt | Ask)


@asynccontextmanager
async def talking(exchange, *, login=False, credentials=None, url=None):
    """Run a dialogue with a simulated exchange, past its greeting.

    ``credentials`` are what is at hand; ``None``: the exchange's.
    """
    found = exchange.model.credentials() if credentials is None else credentials
    way = find_way(Wishes(venue=exchange.model.name, url=url))
    dialogue = Dialogue(way, connector=exchange.connector, found=found)
    line_send, line_receive = trio.open_memory_channel(0)
    out_send, out_receive = trio.open_memory_channel(0)
    async with trio.open_nursery() as nursery:

        async def talk():
            await dialogue.run(line_receive, out_send, login=login)

        nursery.start_soon(talk)
        person = Person(line_send, out_receive)
        person.dialogue = dialogue
        person.nursery = nursery
        await person.listen()
        yield person
        nursery.cancel_scope.cancel()
