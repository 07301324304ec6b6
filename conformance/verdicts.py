"""What the suite thought of us, by group of cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

GROUPS = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing",
    "9": "limits and speed",
    "10": "automatic fragmentation",
}

BAD = {"FAILED", "FAILED BY CLIENT", "WRONG CODE", "UNCLEAN"}
"""Verdicts that nobody may get, on behaviour or on closing."""

Report = Mapping[str, Mapping[str, object]]
"""Case number to the suite's record of it."""


def table(report: Report) -> str:
    """Return the verdicts as a table of text, one line for each group."""
    lines = [f"{'group':<28}{'cases':>7}  behaviour; closing"]
    for group, name in GROUPS.items():
        rows = [row for case, row in report.items() if case.split(".")[0] == group]
        if rows:
            lines.append(f"{group:>2} {name:<25}{len(rows):>7}  {_tally(rows)}")
    lines.append(f"{'all':<28}{len(report):>7}  {_tally(list(report.values()))}")
    return "\n".join(lines)


def bad_cases(report: Report) -> list[str]:
    """Return a line for each case with a verdict that nobody may get."""
    return [
        f"case {case}: {row['behavior']}, closing {row['behaviorClose']}"
        for case, row in sorted(report.items(), key=lambda item: _order(item[0]))
        if BAD & {row["behavior"], row["behaviorClose"]}
    ]


def missing_groups(report: Report) -> list[str]:
    """Return the groups of which no case was run."""
    return sorted(GROUPS.keys() - {case.split(".")[0] for case in report}, key=int)


def _tally(rows: list[Mapping[str, object]]) -> str:
    def said(field: str) -> str:
        return ", ".join(f"{n} {what}" for what, n in Counter(str(r[field]) for r in rows).items())

    return f"{said('behavior')}; {said('behaviorClose')}"


def _order(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]
