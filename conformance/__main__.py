"""``python -m conformance``: groups 1 to 10 of the Autobahn|Testsuite against our transport.

Exit status: 0 if all is well, 1 if a case is not, 2 if the machine lacks what the suite needs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import trio

from . import suite, verdicts
from .trioflex_adapter import NAME, run_all


def main() -> int:
    """Run the suite and print what it found."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument("--py27", default="", help="a CPython 2.7 with pip (python2.7)")
    parser.add_argument("--case-timeout", type=float, default=150.0, help="seconds (150)")
    parser.add_argument(
        "--folder", type=Path, default=suite.ROOT / "build" / "conformance", help="where to work"
    )
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    try:
        python = suite.install(suite.find_python27(arguments.py27), folder)
        with suite.serving(python, folder) as url:
            trio.run(run_all, url, arguments.case_timeout)
    except suite.Missing as missing:
        print(missing, file=sys.stderr)
        return 2
    index = json.loads((folder / "reports" / "index.json").read_text(encoding="utf-8"))
    report: verdicts.Report = index[NAME]
    print(verdicts.table(report))
    wrong = verdicts.bad_cases(report)
    wrong += [f"no case of group {group} was run" for group in verdicts.missing_groups(report)]
    for line in wrong:
        print(line)
    print(f"Details: {folder / 'reports' / 'index.html'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
