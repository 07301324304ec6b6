"""The manual as programs: its pages taken apart into blocks, and its blocks run.

What a page may hold, and what becomes of it:

``.. code-block:: python``
    Runs, in its place, in one namespace with the other blocks of its page. ``await`` and ``async
    with`` may stand at the top. A program (one that calls ``trio.run``) is run. One that would go
    on for ever is stopped after some virtual time, and must have said something by then.
``:caption: NAME.py`` under it
    It is a file: it runs with a namespace of its own, and later files of the tutorials can import
    it. ``test_NAME.py`` is given to pytest.
``.. code-block:: console``
    Each line after ``$`` is a command; it must exist, with these options.
``.. code-block:: toml`` and ``json``
    Can be read; JSON line by line.
``.. code-block:: text``
    Is no code.
``.. literalinclude::``
    Shows a file that is run elsewhere: an example, or a part of the tutorial.

Three comments, which no reader sees:

``.. hidden: python``
    Runs as if it could be seen: what a page takes for granted.
``.. against: VENUE ...``
    From here on, whoever goes to these venues finds simulated ones, with the credentials of an
    account in the environment.
``.. without trio``
    The page's programs run in a thread of their own time, not under Trio. ``print`` presses Ctrl-C
    after some lines.

A ``::`` without a language is refused: nobody could tell what it is.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.rst", ROOT / "CONTRIBUTING.rst", *sorted(DOCS.rglob("*.rst"))]
LANGUAGES = {"python", "console", "toml", "json", "text"}

_DIRECTIVE = re.compile(r"( *)\.\. ([\w-]+):: *(.*)$")
_HIDDEN = re.compile(r"( *)\.\. hidden: *(\w+)$")
_AGAINST = re.compile(r" *\.\. against: *(.+)$")
_BODIED = {"code-block", "literalinclude"}


@attrs.frozen
class Block:
    """Something on a page that can be run, or checked."""

    page: Path
    line: int
    """Where its text begins."""
    language: str
    """As written; ``include``, ``against`` or ``literal`` for what is no code block."""
    text: str
    caption: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def compiled(self) -> object:
        """The code of a Python block, whose tracebacks lead to the page."""
        return compile(
            "\n" * (self.line - 1) + self.text,
            str(self.page),
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )


def indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def body(lines: list[str], at: int, outer: int) -> int:
    """Return where the indented text that begins after ``at`` ends."""
    end = at + 1
    while end < len(lines) and (not lines[end].strip() or indent(lines[end]) > outer):
        end += 1
    return end


def blocks(page: Path) -> Iterator[Block]:
    """Every block of a page, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        if found := _AGAINST.match(line):
            yield Block(page, at + 1, "against", found[1])
        elif found := _HIDDEN.match(line):
            end = body(lines, at, len(found[1]))
            yield _code(page, lines, at, end, found[2])
            at = end - 1
        elif (found := _DIRECTIVE.match(line)) and found[2] in _BODIED:
            end = body(lines, at, len(found[1]))
            if found[2] == "literalinclude":
                yield Block(page, at + 1, "include", found[3])
            else:
                yield _code(page, lines, at, end, found[3])
            at = end - 1
        elif line.rstrip().endswith("::") and not found:
            end = body(lines, at, indent(line))
            yield Block(page, at + 1, "literal", "\n".join(lines[at + 1 : end]))
            at = end - 1
        at += 1


def _code(page: Path, lines: list[str], at: int, end: int, language: str) -> Block:
    start = at + 1
    caption = None
    while start < end and re.match(r" *:[\w-]+:", lines[start]):
        if option := re.match(r" *:caption: *(\S+)$", lines[start]):
            caption = option[1]
        start += 1
    while start < end and not lines[start].strip():
        start += 1
    text = textwrap.dedent("\n".join(lines[start:end])).rstrip() + "\n"
    return Block(page, start + 1, language, text, caption)


def files() -> dict[str, Block]:
    """The files that the pages tell their readers to write, by name; the last one counts."""
    return {
        block.caption: block
        for page in PAGES
        for block in blocks(page)
        if block.caption is not None
    }


def without_trio(page: Path) -> bool:
    return "\n.. without trio\n" in page.read_text(encoding="utf-8")


def commands(block: Block) -> Iterator[str]:
    """The commands of a console block, continued lines joined."""
    text = block.text.replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("$ "):
            yield line[2:]
