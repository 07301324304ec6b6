"""``python -m benchmarks``: trioflex beside published clients, on this machine, over loopback."""

from __future__ import annotations

import argparse
import json
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import attrs

from . import chart, machine, report
from .cases import CASES, COMPILED, QUICK, Case
from .runner import RESULTS, Runner


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", help="names of cases, * allowed; default: all")
    parser.add_argument("--clients", help="names of clients, with commas; default: all")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="of one measurement; default: %(default)s"
    )
    parser.add_argument(
        "--limit", type=float, default=285, help="seconds for all of it; default: %(default)s"
    )
    parser.add_argument("--quick", action="store_true", help="only prove that it runs")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a goal is missed")
    parser.add_argument("--list", action="store_true", help="name the cases and leave")
    parser.add_argument("--profile", metavar="CLIENT", help="show where it spends the first case")
    parser.add_argument("--json", type=Path, help="default: benchmarks/results/cpython-3xx.json")
    parser.add_argument("--svg", type=Path, help="default: benchmarks/results/cpython-3xx.svg")
    return parser.parse_args()


def named(clients: str) -> set[str]:
    """Return the names in a list with commas; those of compiled clients have one themselves."""
    return set(re.split(rf",(?!{COMPILED.removeprefix(',')})", clients))


def chosen(names: list[str], *, quick: bool) -> list[Case]:
    """Return the cases asked for."""
    cases = [case for case in CASES if not quick or case.name in QUICK]
    return [case for case in cases if not names or any(fnmatch(case.name, n) for n in names)]


def main() -> int:
    """Run, print, write; return the exit status."""
    options = parse()
    cases = chosen(options.cases, quick=options.quick)
    if options.list:
        for case in cases:
            print(f"{case.name:18} {case.title}")
        return 0
    if not cases:
        print(f"No case is called {' or '.join(options.cases)}; try --list.", file=sys.stderr)
        return 2

    def tell(line: str) -> None:
        print(f"# {line}", file=sys.stderr, flush=True)

    about = machine.describe()
    others = None if options.quick else machine.busy(1.0)
    if others is not None and others > machine.CROWDED:
        tell(f"others use {others:.0%} of this machine: trust quotients, not figures")
    runner = Runner(
        cases=cases,
        only=named(options.clients) if options.clients else None,
        seconds=0.05 if options.quick else options.seconds,
        quick=options.quick,
        tell=tell,
    )
    if options.profile:
        print(runner.profile(options.profile))
        return 0
    runner.run(1 if options.quick else options.rounds, options.limit)

    caption = f"{about['machine']}, {about['python']}, {about['when']}, {runner.rounds} rounds"
    print(f"{caption}\n" + ", ".join(f"{k} {about[k]}" for k in machine.PACKAGES) + "\n")
    for case in cases:
        if case.name in runner.results:
            print("\n".join(report.table(runner.results, case)))
    missed = False
    if not options.quick:  # which measures too briefly to judge by
        print("\n".join(report.goals(runner.results, cases)))
        _write(options, runner, about, others, cases, caption)
        missed = not all(met for _, _, met in report.judged(runner.results, cases))
    return 1 if runner.failed or (options.strict and missed) else 0


def _write(
    options: argparse.Namespace,
    runner: Runner,
    about: dict[str, str],
    others: float | None,
    cases: list[Case],
    caption: str,
) -> None:
    record = {
        "machine": about,
        "others": others,
        "rounds": runner.rounds,
        "seconds": options.seconds,
        "skipped": runner.skipped,
        "failed": {f"{case}: {client}": why for (case, client), why in runner.failed.items()},
        "results": runner.results,
        "goals": [
            {"goal": goal.text, "measured": value and attrs.asdict(value), "met": met}
            for goal, value, met in report.judged(runner.results, cases)
        ],
    }
    tag = sys.implementation.cache_tag
    for path, text in (
        (options.json or RESULTS / f"{tag}.json", json.dumps(record, indent=1)),
        (options.svg or RESULTS / f"{tag}.svg", chart.svg(runner.results, cases, caption)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"# wrote {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
