"""The rows of the page "What you may rely on", and the tests that name them."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "explanation" / "promises.rst"

_ON_THE_PAGE = re.compile(r"^   \* - ([A-Z]\d+)$", re.MULTILINE)
_ROW = r"[CLMPRSTVWX]\d{1,2}\b(?!:)"
# In a comment, or at the end of a docstring: "# W5", "# M1 M3", "# C4, row 3".
_NAMED = re.compile(rf"# ({_ROW}(?:[, ]+{_ROW})*)")


def rows() -> list[str]:
    """The rows of the page, in its order."""
    return _ON_THE_PAGE.findall(PAGE.read_text(encoding="utf-8"))


def named(line: str) -> list[str]:
    """The rows that a line of a test names."""
    return [row for found in _NAMED.findall(line) for row in re.findall(_ROW, found)]


@cache
def by_row() -> dict[str, set[tuple[str, str]]]:
    """For each row that is named: the file and the name of the tests; "" is the whole file."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for path in sorted(TESTS.rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if not _NAMED.search(source):
            continue
        tests = [
            node
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test")
        ]
        for number, line in enumerate(source.splitlines(), 1):
            for row in named(line):
                name = ""
                for test in tests:
                    first = min([test.lineno, *(d.lineno for d in test.decorator_list)])
                    if first <= number <= (test.end_lineno or first):
                        name = test.name
                found[row].add((str(path), name))
    return dict(found)


def shows(path: str, name: str, row: str) -> bool:
    """Whether a test names a row, itself or by its file."""
    tests = by_row().get(row, set())
    return (path, name) in tests or (path, "") in tests
