"""Draw the comparison as one SVG, with nothing but strings."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from .cases import DECODING, FLOOR, Case
from .report import Spread, beside, number, rows
from .runner import Results

WIDTH, PANEL, NAME, VALUE = 1040, 504, 178, 150
"""Pixels: the picture, a panel of it, and in a panel the room for names and for figures."""

BOUNDS = (FLOOR, DECODING)
"""No clients, but what bounds them."""

BAR, GAP, HEAD = 18, 6, 34

OURS, THEIRS, INK, FAINT = "#0b7a75", "#9aa5b1", "#1f2933", "#616e7c"
"""Dark enough on white, and told apart by those who see no colours."""


def svg(results: Results, cases: list[Case], caption: str) -> str:
    """Return the chart of the cases in which at least two clients took part."""
    caption += "; in brackets: trioflex divided by it"
    results = {
        case: {client: rounds for client, rounds in clients.items() if client not in BOUNDS}
        for case, clients in results.items()
    }
    shown = [case for case in cases if len(results.get(case.name, {})) > 1]
    tops, columns = [], [40, 40]
    for case in shown:
        side = columns.index(min(columns))
        tops.append((side, columns[side]))
        columns[side] += HEAD + len(results[case.name]) * (BAR + GAP) + 22
    height = max(columns) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(caption)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" fill="{FAINT}">{escape(caption)}</text>',
    ]
    for case, (side, top) in zip(shown, tops, strict=True):
        parts += _panel(results, case, 12 + side * (PANEL + 8), top)
    return "\n".join([*parts, "</svg>", ""])


def _panel(results: Results, case: Case, left: int, top: int) -> Iterator[str]:
    better = "more is better" if case.figure.more_is_better else "less is better"
    yield (
        f'<text x="{left}" y="{top + 14}" fill="{INK}" font-weight="600">'
        f"{escape(case.title)}</text>"
        f'<text x="{left}" y="{top + 28}" fill="{FAINT}" font-size="10">'
        f"{escape(case.figure.unit)}; {better}</text>"
    )
    bars = rows(results, case)
    longest = max(value.high for _, value in bars)
    room = PANEL - NAME - VALUE
    for i, (client, value) in enumerate(bars):
        y = top + HEAD + i * (BAR + GAP)
        yield from _bar(client, value, left, y, room / longest)
        ratio = beside(
            results,
            (case.name, case.ours, case.figure.key),
            (case.name, client, case.figure.key),
        )
        label = number(value.median)
        if ratio is not None and client != case.ours:
            label += f"  ({number(ratio.median)})"
        x = left + NAME + value.high * room / longest + 6
        yield f'<text x="{x:.0f}" y="{y + 13}" fill="{INK}">{escape(label)}</text>'


def _bar(client: str, value: Spread, left: int, y: int, scale: float) -> Iterator[str]:
    start, middle = left + NAME, y + BAR / 2
    colour = OURS if client.startswith("trioflex") else THEIRS
    yield (
        f'<text x="{start - 6}" y="{y + 13}" fill="{INK}" text-anchor="end">{escape(client)}</text>'
        f'<rect x="{start}" y="{y}" width="{max(1.0, value.median * scale):.1f}" height="{BAR}" '
        f'rx="2" fill="{colour}"/>'
        f'<line x1="{start + value.low * scale:.1f}" x2="{start + value.high * scale:.1f}" '
        f'y1="{middle}" y2="{middle}" stroke="{INK}" stroke-width="1"/>'
    )
