"""Put the last measurements into the manual: ``python -m benchmarks.figures`` (``make figures``).

Takes what ``python -m benchmarks`` left behind, one file for each version of Python, and writes the
tables and the chart that ``docs/explanation/performance.rst`` shows. The newest version is the one
whose tables are shown in full; of the others only what they reached of the goals.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import chart, machine, report
from .cases import CASES, Case
from .runner import RESULTS, ROOT

PAGE = ROOT / "docs" / "explanation" / "figures.inc"
PICTURE = ROOT / "docs" / "performance.svg"


def version(record: dict[str, Any]) -> tuple[int, ...]:
    """Return the version of Python that was measured."""
    return tuple(map(int, record["machine"]["python"].rpartition(" ")[2].split(".")))


def caption(record: dict[str, Any]) -> str:
    """Say where and when it was measured."""
    about, others = record["machine"], record["others"]
    text = f"{about['machine']}, {about['python']}, {about['when']}, {record['rounds']} rounds"
    if others is not None and others > machine.CROWDED:
        text += f", while others used {others:.0%} of it: trust quotients, not figures"
    return text


def cases(record: dict[str, Any]) -> list[Case]:
    """Return the cases that were measured."""
    return [case for case in CASES if case.name in record["results"]]


def table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    """Write a table."""
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield "   :widths: auto"
    yield ""
    for row in (head, *rows):
        for i, cell in enumerate(row):
            yield f"   {'* -' if i == 0 else '  -'} {cell}".rstrip()
    yield ""


def goals(records: list[dict[str, Any]]) -> Iterator[str]:
    """Write what was to be reached and what was, a column for each Python."""
    columns: list[dict[str, str]] = []
    for record in records:
        column = {}
        for goal, value, met in report.judged(record["results"], cases(record)):
            shown = "not measured" if value is None else report.share(value)
            column[goal.text] = shown if met else f"**{shown}**"
        columns.append(column)
    head = ["goal", *(record["machine"]["python"] for record in records)]
    rows = [[text, *(column.get(text, "") for column in columns)] for text in columns[0]]
    yield from table(head, rows)


def comparison(record: dict[str, Any], case: Case) -> Iterator[str]:
    """Write the table of one case, without columns in which there is nothing."""
    head, rows = report.comparison(record["results"], case)
    filled = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    yield f".. rubric:: {report.title(case)}"
    yield ""
    yield from table([head[i] for i in filled], [[row[i] for i in filled] for row in rows])


def page(records: list[dict[str, Any]]) -> Iterator[str]:
    """Write all of it."""
    main = records[0]
    yield ".. Written by `make figures`; whatever is changed here is lost."
    yield ""
    for record in records:
        yield f"| {caption(record)}"
    yield ""
    packages = (f"{name} {main['machine'][name]}" for name in machine.PACKAGES)
    yield f"With {', '.join(packages)}."
    yield ""
    yield "Goals"
    yield "~~~~~"
    yield ""
    yield (
        "Quotients of two figures of one round, the median of the rounds; in brackets the lowest "
        "and the highest.  Bold: missed."
    )
    yield ""
    yield from goals(records)
    yield "Figures"
    yield "~~~~~~~"
    yield ""
    for case in cases(main):
        yield from comparison(main, case)


def main() -> int:
    """Write page and picture; return the exit status."""
    paths = [Path(name) for name in sys.argv[1:]] or sorted(RESULTS.glob("cpython-*.json"))
    if not paths:
        print(f"There are no figures in {RESULTS}; measure first: make bench", file=sys.stderr)
        return 1
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    records.sort(key=version, reverse=True)
    PAGE.write_text("\n".join(page(records)), encoding="utf-8")
    newest = records[0]
    picture = chart.svg(newest["results"], cases(newest), caption(newest))
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}\n{PICTURE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
