"""A directive that draws a state machine from its table in the code.

The page says where each state stands; what leads where, and why, comes from the code::

    .. states:: trioflex._shell.ticket

       QUEUED     SENT      ANSWERED
       WITHDRAWN  NOT_SENT  UNKNOWN

A state that is not placed, or is placed and does not exist, is an error.
"""

from __future__ import annotations

import enum
import importlib
import math
from collections import defaultdict
from collections.abc import Mapping
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from docutils import nodes
from docutils.parsers.rst import Directive

if TYPE_CHECKING:
    from sphinx.application import Sphinx

Table: TypeAlias = Mapping[tuple[enum.Enum, enum.Enum], enum.Enum]
Places: TypeAlias = dict[str, tuple[int, int]]

WIDTH, HEIGHT = 124, 40
ACROSS, DOWN = 290, 150
MARGIN = 70
LINE = 14
LETTERS = 23
"""Of a label, in one line."""

INK = "var(--color-foreground-primary, #333)"
PAPER = "var(--color-background-primary, #fff)"
ACCENT = "var(--color-brand-primary, #2962ff)"


def places(lines: list[str]) -> Places:
    """Return column and row of each state; a dot leaves a place free."""
    rows = [line.split() for line in lines if line.strip()]
    return {
        name: (column, row)
        for row, names in enumerate(rows)
        for column, name in enumerate(names)
        if name != "."
    }


def draw(table: Table, where: Places) -> str:
    """Return the picture of a table as SVG.

    Raises:
        ValueError: the states of the table are not the ones that have a place.
    """
    states = {state.name for edge in table for state in (edge[0], table[edge])}
    if states != set(where):
        raise ValueError(
            f"places for {sorted(where)}, but the table has the states {sorted(states)}"
        )
    general = _from_anywhere(table)
    causes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (before, cause), after in table.items():
        if (cause, after) not in general:
            causes[before.name, after.name].extend(wrap(str(cause.value), LETTERS))

    width = max(column for column, _ in where.values()) * ACROSS + WIDTH + 2 * MARGIN
    height = max(row for _, row in where.values()) * DOWN + HEIGHT + 2 * MARGIN
    edges = [_edge(where, *edge, reasons) for edge, reasons in causes.items()]
    edges += [_stub(*where[after.name], str(cause.value)) for cause, after in general]
    boxes = [_box(name, *place) for name, place in where.items()]
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" style="max-width:{width}px;width:100%"'
        ' xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12">'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
        f' markerHeight="7" orient="auto"><path d="M0,0 8,4 0,8z" fill="{INK}"/></marker></defs>'
        + "".join(line for line, _ in edges)
        + "".join(boxes)
        + "".join(label for _, label in edges)
        + "</svg>"
    )


def _from_anywhere(table: Table) -> set[tuple[enum.Enum, enum.Enum]]:
    """Return what leads to the same state from each that is not final; one arrow shows it."""
    lively = {before for before, _ in table}
    return {
        (cause, after)
        for (_, cause), after in table.items()
        if len(lively) > 2 and {b for b in lively if table.get((b, cause)) is after} == lively
    }


def _centre(column: int, row: int) -> tuple[float, float]:
    return MARGIN + WIDTH / 2 + column * ACROSS, MARGIN + HEIGHT / 2 + row * DOWN


def _box(name: str, column: int, row: int) -> str:
    x, y = _centre(column, row)
    return (
        f'<rect x="{x - WIDTH / 2}" y="{y - HEIGHT / 2}" width="{WIDTH}" height="{HEIGHT}" rx="8"'
        f' fill="{PAPER}" stroke="{ACCENT}" stroke-width="1.5"/>'
        f'<text x="{x}" y="{y + 4}" text-anchor="middle" font-weight="600" fill="{INK}">'
        f"{escape(name)}</text>"
    )


def _edge(where: Places, before: str, after: str, causes: list[str]) -> tuple[str, str]:
    """Return the arrow of one pair of states, and its label."""
    x1, y1 = _centre(*where[before])
    if before == after:
        top = y1 - HEIGHT / 2
        path = f"M{x1 - 22},{top} C{x1 - 40},{top - 38} {x1 + 40},{top - 38} {x1 + 22},{top}"
        return _arrow(path), _label(x1, top - 34, causes)
    x2, y2 = _centre(*where[after])
    length = math.hypot(x2 - x1, y2 - y1)
    # To the left of the way there: an arrow and its opposite do not meet.
    steps = max(abs(where[before][n] - where[after][n]) for n in (0, 1))
    bend = 26 if steps == 1 else 96
    middle_x = (x1 + x2) / 2 + bend * (y2 - y1) / length
    middle_y = (y1 + y2) / 2 - bend * (x2 - x1) / length
    start = _border(x1, y1, middle_x, middle_y)
    end = _border(x2, y2, middle_x, middle_y)
    path = (
        f"M{start[0]:.1f},{start[1]:.1f} Q{middle_x:.1f},{middle_y:.1f} {end[0]:.1f},{end[1]:.1f}"
    )
    # A quadratic curve is half-way at a quarter, a half and a quarter of its points.
    at = (start[0] + 2 * middle_x + end[0]) / 4, (start[1] + 2 * middle_y + end[1]) / 4
    return _arrow(path), _label(*at, causes)


def _stub(column: int, row: int, cause: str) -> tuple[str, str]:
    """Return an arrow from nowhere in particular."""
    x, y = _centre(column, row)
    bottom = y + HEIGHT / 2
    return _arrow(f"M{x},{bottom + 38} L{x},{bottom + 2}"), _label(
        x, bottom + 50, [f"from anywhere: {cause}"]
    )


def _border(x: float, y: float, to_x: float, to_y: float) -> tuple[float, float]:
    """Return where a line from the middle of a box leaves it, and two points further."""
    dx, dy = to_x - x, to_y - y
    sideways = (WIDTH / 2 + 2) / abs(dx) if dx else math.inf
    upwards = (HEIGHT / 2 + 2) / abs(dy) if dy else math.inf
    reach = min(sideways, upwards)
    return x + dx * reach, y + dy * reach


def _arrow(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{INK}" marker-end="url(#arrow)"/>'


def _label(x: float, y: float, causes: list[str]) -> str:
    top = y - LINE * (len(causes) - 1) / 2 + 4
    return "".join(
        f'<text x="{x:.1f}" y="{top + LINE * n:.1f}" text-anchor="middle" fill="{INK}"'
        f' stroke="{PAPER}" stroke-width="4" paint-order="stroke">{escape(cause)}</text>'
        for n, cause in enumerate(causes)
    )


def matrix(table: Table) -> nodes.table:
    """Return the same table in words, for those who do not see the picture."""
    header = ["state", "what happens", "then"]
    rows = [[before.value, cause.value, after.value] for (before, cause), after in table.items()]
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    group += nodes.thead("", _row(header))
    body = nodes.tbody()
    body += [_row([str(cell) for cell in row]) for row in rows]
    group += body
    return nodes.table("", group)


def _row(cells: list[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph(text=cell)) for cell in cells))


class States(Directive):
    """``.. states:: MODULE``: the picture and the words of ``MODULE.TRANSITIONS``."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {}

    def run(self) -> list[nodes.Node]:
        """Draw."""
        table = importlib.import_module(self.arguments[0]).TRANSITIONS
        try:
            picture = draw(table, places(list(self.content)))
        except ValueError as error:
            raise self.error(f"{self.arguments[0]}: {error}") from None
        return [nodes.raw("", picture, format="html"), matrix(table)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("states", States)
    return {"parallel_read_safe": True}
