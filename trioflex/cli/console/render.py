"""Outputs as text for a terminal: replies as tables, news with a coloured word in front."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ..screen import STYLES
from .outputs import Answer, Clear, News, Output, Say, Tone

ROWS = 40
"""Of a table; who wants more reads the log, or calls `trioflex call`."""

FIRST = (
    "", "id", "order_id", "market", "security", "currency", "asset", "side", "state", "status",
    "price", "quantity", "volume", "remaining", "remaining_volume", "avg_price", "last", "buy",
    "sell", "bid", "ask", "balance", "available", "locked", "reserved", "total", "name", "high",
    "low", "created_at",
)  # fmt: skip
"""Fields that people look for, the most wanted first."""

TONES = {
    Tone.PLAIN: "", Tone.GOOD: "green", Tone.BAD: "red", Tone.DIM: "dim", Tone.TITLE: "bold",
}  # fmt: skip

WORDS = {**STYLES, "FAILED": "bold red", "GARBAGE": "bold red", "ENDED": "red",
         "dropped": "yellow", "closed": "yellow", "trade": "yellow", "book": "blue",
         "ticker": "cyan", "balance": "magenta", "item": "magenta"}  # fmt: skip

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def draw(console: Console, output: Output) -> None:
    """Print what is to be seen of an output."""
    match output:
        case Say(text, tone):
            console.print(Text(text, TONES[tone]))
        case News(word, text):
            line = Table.grid(padding=(0, 2, 0, 0))
            line.add_column(width=9, no_wrap=True, style=WORDS.get(word, ""))
            line.add_column(overflow="fold")
            line.add_row(word, Text(text))
            console.print(line)
        case Answer(name, int() as seconds) if name.endswith("Time"):
            at = dt.datetime.fromtimestamp(seconds, dt.UTC)
            console.print(Text(f"{seconds}  ") + Text(f"{at:%Y-%m-%d %H:%M:%S} UTC", "dim"))
        case Answer(value=value):
            for part in _parts(value, console.width):
                console.print(part)
        case Clear():
            console.clear()


def _parts(value: object, width: int) -> Iterator[RenderableType]:
    """Return a reply as tables and lines."""
    if _is_book(value):
        yield from _book(value)
    elif isinstance(value, Mapping) and value and all(map(_is_record, value.values())):
        yield from _table([{"": key, **each} for key, each in value.items()], width)
    elif isinstance(value, Mapping) and [*value.values()] == [[]]:
        yield Text(f"{next(iter(value))}: none")  # it is the whole reply, and so was told
    elif isinstance(value, Mapping):
        yield from _record(value, width)
    elif isinstance(value, list) and value and all(map(_is_record, value)):
        yield from _table(value, width)
    elif isinstance(value, list):
        yield Text(", ".join(map(_cell, value)) or "none")
    else:
        yield Text("done" if value is None else _cell(value))


def _is_record(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_book(value: object) -> bool:
    return isinstance(value, Mapping) and set(value) == {"bids", "asks"}


def _record(record: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """Return a record: its fields one below the other, then the lists in it as tables."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    lists = {key: each for key, each in record.items() if _is_rows(each)}
    for key, each in record.items():
        if key not in lists:
            grid.add_row(key, Text(_cell(each)))
    if grid.row_count:
        yield grid
    for key, each in lists.items():
        yield Text(f"{key}:", "bold")
        yield from _table(each, width)


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_record, value))


def _table(rows: Sequence[Mapping[str, Any]], width: int) -> Iterator[RenderableType]:
    """Return records as a table, or below each other where they are few and wide.

    Nothing but want of room keeps a column out, and then its name is told: of two that are equal
    in all rows (fees, totals) nobody but the reader knows whether one can be spared.
    """
    shown = [_flat(row) for row in rows[:ROWS]]
    cells = _columns(shown)
    wide = {name: max(len(name), *map(len, column)) + 2 for name, column in cells.items()}
    left = width + 2
    fitting: list[str] = []
    for name in sorted(cells, key=lambda name: _rank(name, cells[name])):
        if wide[name] <= left or not fitting:
            fitting.append(name)
            left -= wide[name]
    left_out = [name for name in cells if name not in fitting]
    if left_out and len(rows) <= 3:
        for index, row in enumerate(rows):
            if index:
                yield Text()
            yield from _record(row, width)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for name in (name for name in cells if name in fitting):
        numbers = all(_NUMBER.fullmatch(cell) or cell == "-" for cell in cells[name])
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for index in range(len(shown)):
        table.add_row(*(Text(column[index]) for name, column in cells.items() if name in fitting))
    yield table
    if left_out:
        yield Text(f"not shown here: {', '.join(left_out)}; a wider terminal has room", "dim")
    if len(rows) > len(shown):
        yield Text(f"and {len(rows) - len(shown)} more rows", "dim")


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record whose fields are no records themselves."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if _is_record(value):
            flat |= {f"{key} {inner}": each for inner, each in value.items()}
        else:
            flat[key] = value
    return flat


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return all columns by name."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [_cell(row.get(name)) for row in rows] for name in names}


def _rank(name: str, cells: Sequence[str]) -> tuple[bool, bool, int]:
    """Return how soon a column is taken where not all fit; one that is empty is the last."""
    empty = all(cell in ("", "-") for cell in cells)
    return (empty, name not in FIRST, FIRST.index(name) if name in FIRST else 0)


def _book(book: Any) -> Iterator[RenderableType]:
    """Return a book, the best prices on top."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for name, style in (("volume", ""), ("bid", "green"), ("ask", "red"), ("volume", "")):
        table.add_column(name, justify="right", style=style)
    bids, asks = ([_level(level) for level in book[side]] for side in ("bids", "asks"))
    count = max(len(bids), len(asks))
    for index in range(min(count, ROWS)):
        bid = bids[index] if index < len(bids) else ("", "")
        ask = asks[index] if index < len(asks) else ("", "")
        table.add_row(bid[1], bid[0], ask[0], ask[1])
    yield table
    if count > ROWS:
        yield Text(f"and {count - ROWS} more rows", "dim")


def _level(level: Any) -> tuple[str, str]:
    price, volume = list(level.values())[:2] if isinstance(level, Mapping) else list(level)[:2]
    return _cell(price), _cell(volume)


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case []:
            return "-"  # none there, or none told: what the venue left out is empty as well
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return " ".join(str(value).split())
