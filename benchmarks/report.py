"""From figures to tables: medians over the rounds, quotients within each round."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import attrs

from .cases import CASES, GOALS, Case, Figure, Goal
from .measure import Figures
from .runner import Results


@attrs.frozen
class Spread:
    """What several rounds gave."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(min(values), statistics.median(values), max(values))


def spread(results: Results, case: str, client: str, key: str) -> Spread | None:
    """Return one figure of one client."""
    values = [figures[key] for figures in _rounds(results, case, client) if key in figures]
    return Spread.of(values) if values else None


def _rounds(results: Results, case: str, client: str) -> list[Figures]:
    return results.get(case, {}).get(client, [])


def beside(
    results: Results,
    ours: tuple[str, str, str],
    other: tuple[str, str, str],
    *,
    minus: bool = False,
) -> Spread | None:
    """Compare two figures (case, client, key) within each round: the same weather for both."""
    # One that failed in a later round has fewer; one without this figure has none.
    rounds = zip(_rounds(results, *ours[:2]), _rounds(results, *other[:2]), strict=False)
    pairs = [(a[ours[2]], b[other[2]]) for a, b in rounds if ours[2] in a and other[2] in b]
    if not pairs:
        return None
    return Spread.of([(a - b) if minus else a / b for a, b in pairs])


def number(value: float) -> str:
    """Write a number with three digits that count."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def share(ratio: Spread) -> str:
    """Write a quotient and between which bounds it lay."""
    return f"{number(ratio.median)} ({number(ratio.low)} to {number(ratio.high)})"


def rows(results: Results, case: Case) -> list[tuple[str, Spread]]:
    """Return the clients of a case, best first."""
    found = [
        (client, figure)
        for client in results.get(case.name, {})
        if (figure := spread(results, case.name, client, case.figure.key)) is not None
    ]
    return sorted(found, key=lambda row: row[1].median, reverse=case.figure.more_is_better)


def comparison(results: Results, case: Case) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table of one case, best client first."""
    figure = case.figure
    head = ["client", figure.unit, "lowest to highest", f"{case.ours} / it"]
    head += ["by the clock", "CPU µs", "p99 µs"]
    cells = []
    for client, value in rows(results, case):
        row = [client, number(value.median), f"{number(value.low)} to {number(value.high)}"]
        row.append(_beside_ours(results, case, client, figure.key))
        row += [_median(results, case, client, key) for key in ("wall", "cpu_us", "p99_us")]
        cells.append(row)
    return head, cells


def title(case: Case) -> str:
    """Name a case, and say which figures are good."""
    better = "more is better" if case.figure.more_is_better else "less is better"
    return f"{case.name}: {case.title} ({better})"


def table(results: Results, case: Case) -> Iterator[str]:
    """Write the table of one case, in Markdown."""
    head, cells = comparison(results, case)
    yield f"### {title(case)}"
    yield ""
    yield f"| {' | '.join(head)} |"
    yield "| --- | --: | --: | --: | --: | --: | --: |"
    yield from (f"| {' | '.join(row)} |" for row in cells)
    yield ""


def _median(results: Results, case: Case, client: str, key: str) -> str:
    found = spread(results, case.name, client, key)
    return "" if found is None else number(found.median)


def _beside_ours(results: Results, case: Case, client: str, key: str) -> str:
    if client == case.ours:
        return ""
    ours, other = (case.name, case.ours, key), (case.name, client, key)
    ratio = beside(results, ours, other)
    return "" if ratio is None else share(ratio)


def goal_value(results: Results, goal: Goal) -> Spread | None:
    """Return what a goal judges, ``None`` if it was not measured."""
    key = goal.key or _figure(goal.case).key
    if goal.beside is None:
        return spread(results, goal.case, goal.client, key)
    other_key = goal.key or _figure(goal.beside[0]).key
    return beside(
        results,
        (goal.case, goal.client, key),
        (*goal.beside, other_key),
        minus=goal.minus,
    )


def _figure(case: str) -> Figure:
    return next(c.figure for c in CASES if c.name == case)


def judged(results: Results, cases: list[Case]) -> list[tuple[Goal, Spread | None, bool]]:
    """Return every goal of these cases, its value if there is one, and whether it is met."""
    names = {case.name for case in cases}
    found = []
    for goal in GOALS:
        if goal.case in names and (goal.beside is None or goal.beside[0] in names):
            value = goal_value(results, goal)
            found.append((goal, value, value is not None and goal.met(value.median)))
    return found


def goals(results: Results, cases: list[Case]) -> Iterator[str]:
    """Write what was to be reached and what was."""
    yield "### goals"
    yield ""
    yield "| goal | measured | met |"
    yield "| --- | --: | --- |"
    for goal, value, met in judged(results, cases):
        measured = "not measured" if value is None else share(value)
        yield f"| {goal.text} | {measured} | {'yes' if met else '**no**'} |"
    yield ""
