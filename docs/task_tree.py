"""A directive that draws the tasks of a client, as they are found in one that is connecting.

The page says what each task waits for; which tasks there are, and who is whose child, is looked up
in a live client while the page is built::

    .. task-tree::

       your task: what you wrote
       supervisor: one connection at a time

A task that is not explained, or is explained and does not exist, is an error.
"""

from __future__ import annotations

import logging
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar

import attrs
import trio
import trio.testing
from docutils import nodes
from docutils.parsers.rst import Directive

from trioflex import open_client
from trioflex.simulator import SimulatedExchange
from trioflex.venues import coinflex

if TYPE_CHECKING:
    from sphinx.application import Sphinx

BOX, ROW, STEP = 150, 58, 44
WORDS = 62
"""Letters of an explanation in one line."""

INK = "var(--color-foreground-primary, #333)"
PAPER = "var(--color-background-primary, #fff)"
ACCENT = "var(--color-brand-primary, #2962ff)"
SHADE = "var(--color-background-secondary, #f8f9fb)"


@attrs.frozen
class Found:
    """A task, its depth in the tree, and how many rows its children take."""

    name: str
    depth: int
    below: int


def live(order: list[str]) -> list[Found]:
    """Return the tasks of a client whose handshake is under way, parents before children.

    Args:
        order: names, in the order in which siblings are to come; others come last.
    """
    found: list[Found] = []

    async def look() -> None:
        exchange = SimulatedExchange("coinflex")
        exchange.withhold_welcome()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connect, exchange, name="your task")
            await trio.testing.wait_all_tasks_blocked()
            [task] = nursery.child_tasks
            visit(task, 0)
            nursery.cancel_scope.cancel()

    async def connect(exchange: SimulatedExchange) -> None:
        async with open_client(coinflex.VENUE, connector=exchange.connector):
            pass

    def place(task: trio.lowlevel.Task) -> tuple[int, str]:
        name = short(task.name)
        return (order.index(name) if name in order else len(order)), name

    def visit(task: trio.lowlevel.Task, depth: int) -> int:
        at = len(found)
        found.append(Found(short(task.name), depth, 0))
        children = [
            child
            for inner in task.child_nurseries
            for child in inner.child_tasks
            if not child.name.startswith("trioflex.simulator.")
        ]
        # Trio keeps children in sets.
        for child in sorted(children, key=place):
            visit(child, depth + 1)
        found[at] = attrs.evolve(found[at], below=len(found) - at - 1)
        return len(found) - at

    trio.run(look, clock=trio.testing.MockClock(autojump_threshold=0))
    return found


def short(name: str) -> str:
    """``coinflex #1 send loop`` is the send loop, whatever the venue."""
    for part in ("trioflex ", "coinflex #1 ", " of coinflex"):
        name = name.replace(part, "")
    return name


def draw(found: list[Found], words: dict[str, str]) -> str:
    """Return the picture as SVG.

    Raises:
        ValueError: the tasks that are explained are not the ones that were found.
    """
    names = [task.name for task in found]
    if sorted(names) != sorted(words):
        raise ValueError(f"the page explains {sorted(words)}, but the tasks are {sorted(names)}")
    width = BOX + STEP * max(task.depth for task in found) + 30 + WORDS * 6.6
    height = ROW * len(found) + 16
    parts = [
        f'<svg viewBox="0 0 {width:.0f} {height}" role="img" style="max-width:{width:.0f}px;'
        'width:100%" xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12">'
        f"<desc>{escape('; '.join(f'{name}: {what}' for name, what in words.items()))}</desc>"
    ]
    for row, task in enumerate(found):
        if task.below:
            # The nursery: a field that holds the children.
            parts.append(
                f'<rect x="{8 + STEP * (task.depth + 1) - 10}" y="{8 + ROW * (row + 1) - 5}"'
                f' width="{width - STEP * (task.depth + 1) - 8 - 6 * task.depth:.0f}"'
                f' height="{ROW * task.below - 6 * task.depth}" rx="8" fill="{SHADE}"'
                f' stroke="{ACCENT}"'
                ' stroke-dasharray="4 3" stroke-width="0.8"/>'
            )
    for row, task in enumerate(found):
        x, y = 8 + STEP * task.depth, 8 + ROW * row
        if task.depth:
            up = next(r for r in range(row - 1, -1, -1) if found[r].depth == task.depth - 1)
            spine = x - STEP + 16
            parts.append(
                f'<path d="M{spine},{8 + ROW * up + 40} V{y + 20} H{x}" fill="none"'
                f' stroke="{INK}"/>'
            )
        parts.append(
            f'<rect x="{x}" y="{y}" width="{BOX}" height="40" rx="8" fill="{PAPER}"'
            f' stroke="{ACCENT}" stroke-width="1.5"/>'
            f'<text x="{x + BOX / 2}" y="{y + 24}" text-anchor="middle" font-weight="600"'
            f' fill="{INK}">{escape(task.name)}</text>'
        )
        lines = wrap(words[task.name], WORDS)
        for n, line in enumerate(lines):
            parts.append(
                f'<text x="{x + BOX + 12}" y="{y + 24 + 15 * n - 7.5 * (len(lines) - 1):.1f}"'
                f' fill="{INK}">{escape(line)}</text>'
            )
    return "".join([*parts, "</svg>"])


def explained(lines: list[str]) -> dict[str, str]:
    """Read ``name: words`` from the page; an indented line goes on."""
    words: dict[str, str] = {}
    name = ""
    for line in filter(str.strip, lines):
        if line.startswith(" "):
            words[name] += " " + line.strip()
        else:
            name, _, rest = line.partition(":")
            words[name] = rest.strip()
    return words


class TaskTree(Directive):
    """``.. task-tree::``: the picture, with its words for those who do not see it."""

    has_content = True
    option_spec: ClassVar = {}

    def run(self) -> list[nodes.Node]:
        """Draw."""
        words = explained(list(self.content))
        # Sphinx shows whatever is logged while it builds.
        logger = logging.getLogger("trioflex")
        level = logger.level
        logger.setLevel(logging.WARNING)
        try:
            found = live(list(words))
        finally:
            logger.setLevel(level)
        try:
            picture = draw(found, words)
        except ValueError as error:
            raise self.error(str(error)) from None
        return [nodes.raw("", picture, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("task-tree", TaskTree)
    return {"parallel_read_safe": True}
