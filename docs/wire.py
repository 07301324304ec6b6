"""A directive that shows what each request and channel of a venue is on the wire.

The page says what is asked, in the words of the venue's module; a client asks a simulated exchange,
in memory and in virtual time, while the page is built, and what went over the wire is shown::

    .. wire:: coinflex

       GetBalances()
       PlaceOrder("XBT", "USDT", quantity="0.25", price="5000", tonce=7)

``_`` is the newest reply. A request or channel of the venue that the page leaves out is an error.
"""

from __future__ import annotations

import ast
import importlib
import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import trio
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from trio.testing import MockClock

from trioflex import Refused, open_client
from trioflex.protocol import Channel
from trioflex.simulator import open_exchange

if TYPE_CHECKING:
    from sphinx.application import Sphinx

    from trioflex import Client, Frame

WIDTH = 400
"""Characters of a frame; books and lists are longer, and say no more."""


async def converse(venue: str, lines: list[str]) -> list[tuple[str, type[Any], list[Frame]]]:
    """Ask a simulated exchange; return each line with its class and the frames that it made."""
    module = importlib.import_module(f"trioflex.venues.{venue}")
    told = []
    async with (
        open_exchange(venue) as exchange,
        open_client(
            module.VENUE,
            connector=exchange.connector,
            credentials=module.Credentials.from_env(exchange.model.credentials()),
        ) as client,
        trio.open_nursery() as nursery,
    ):
        log: list[Frame] = []
        await nursery.start(_listen, client, log)
        reply: Any = None
        for line in lines:
            what, reply = await _ask(client, module, line, reply)
            await trio.sleep(0.2)
            told.append((line, what, log.copy()))
            log.clear()
        nursery.cancel_scope.cancel()
    return told


async def _listen(client: Client, log: list[Frame], *, task_status: trio.TaskStatus[None]) -> None:
    async with client.frames() as frames:
        task_status.started()
        async for frame in frames:
            log.append(frame)  # noqa: PERF401 - others read it meanwhile


async def _ask(client: Client, module: ModuleType, line: str, reply: Any) -> tuple[type[Any], Any]:
    wish = eval(line, {**vars(module), "_": reply})
    if isinstance(wish, Channel):
        async with client.subscribe(wish):
            await trio.sleep(2.0)
        return type(wish), reply
    try:
        return type(wish), await client.request(wish)
    except Refused:
        return type(wish), reply


def left_out(venue: str, lines: list[str]) -> set[str]:
    """Return the requests and channels of a venue that no line is about."""
    declared = importlib.import_module(f"trioflex.venues.{venue}").VENUE
    called = {
        node.func.id
        for line in lines
        for node in ast.walk(ast.parse(line))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return {kind.__name__ for kind in (*declared.requests, *declared.channels)} - called


def shown(venue: str, what: type[Any], line: str, frames: list[Frame]) -> list[str]:
    """Return one entry of the page as text."""
    ours = [frame for frame in frames if frame.direction == ">"]
    theirs = [frame for frame in frames if frame.direction == "<"]
    # Of a request the answer is enough; of a channel the answer, and the first push behind it.
    picked = ours[:1] + theirs[: 2 if issubclass(what, Channel) else 1]
    text = [
        f"{frame.direction} {frame.text[:WIDTH]}{'…' if len(frame.text) > WIDTH else ''}"
        for frame in picked
    ]
    return [
        f":class:`~trioflex.venues.{venue}.{what.__name__}`",
        "",
        "  ::",
        "",
        *(f"     {one}" for one in (line, *(text if ours else ["sends nothing of its own"]))),
        "",
    ]


class Wire(Directive):
    """``.. wire:: VENUE``: what each line of the content is on the wire."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {}

    def run(self) -> list[nodes.Node]:
        """Ask, and show."""
        venue = self.arguments[0]
        lines = [line.strip() for line in self.content if line.strip()]
        missing = left_out(venue, lines)
        if missing:
            raise self.error(f"{venue}: nothing is said of {', '.join(sorted(missing))}")
        # Sphinx shows whatever is logged while it builds.
        logger = logging.getLogger("trioflex")
        level = logger.level
        logger.setLevel(logging.WARNING)
        try:
            told = trio.run(converse, venue, lines, clock=MockClock(autojump_threshold=0))
        finally:
            logger.setLevel(level)
        text = [row for line, what, frames in told for row in shown(venue, what, line, frames)]
        box = nodes.container()
        self.state.nested_parse(StringList(text, source="wire"), self.content_offset, box)
        return box.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("wire", Wire)
    return {"parallel_read_safe": True}
