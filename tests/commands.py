"""Whether a command that the manual shows could be typed: it exists, with these options."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Collection
from typing import Any

import typer

from tests.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# What belongs to the reader's machine and needs no check.
THEIRS = {
    "bash", "cat", "cd", "curl", "done", "export", "for", "git", "head", "jq", "less", "printf",
    "source", "sudo", "tail",
}  # fmt: skip

BETWEEN = {"|", "&&", ";", "&"}
"""What ends one command on a line and may begin another."""


def complaint(command: str, files: Collection[str]) -> str | None:
    """Say what is wrong with a command, or nothing.

    Args:
        command: a line as it would be typed.
        files: names of files that the reader has written by now.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in BETWEEN:
            words.append(word)
            continue
        while words and re.fullmatch(r"\w+=.*|do", words[0]):
            del words[0]
        wrong = _complaint(words, files) if words else None
        if wrong is not None:
            return f"{shlex.join(words)}: {wrong}"
        words = []
    return None


def _complaint(words: list[str], files: Collection[str]) -> str | None:
    match words:
        case ["trioflex", *rest] | ["python", "-m", "trioflex", *rest]:
            return _trioflex(rest)
        case ["make", *rest]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            targets = {word for word in rest if "=" not in word}
            return _missing(targets - set(re.findall(r"(?m)^([a-z-]+):", makefile)), "targets")
        case ["python", "-m", "pip", "install", *rest] | ["pip", "install", *rest]:
            extras = {
                extra
                for word in rest
                for found in re.findall(r"(?:^|trioflex|\.)\[([\w,]+)\]$", word)
                for extra in found.split(",")
            }
            return _missing(extras - PROJECT["optional-dependencies"].keys(), "extras")
        case ["python" | "python3", "-m", "venv" | "build", *_]:
            return None
        case ["python", "-m", package, *_]:
            return _missing(
                {package} - {p.parent.name for p in ROOT.glob("*/__main__.py")}, "modules"
            )
        case ["python", "-c", program]:
            compile(program, "-c", "exec")
            return None
        case ["python", name, *_]:
            return _file(name, files)
        case ["pytest", *rest] | ["python", "-m", "pytest", *rest]:
            wrong = [_file(name, files) for name in rest if name.endswith(".py")]
            return next((each for each in wrong if each), None)
        case [name, *_] if name in THEIRS or name.endswith("/activate"):
            return None
    return "nobody checks this command; teach tests/commands.py to"


def _missing(names: set[str], what: str) -> str | None:
    return f"there are no {what} {sorted(names)}" if names else None


def _file(name: str, files: Collection[str]) -> str | None:
    if name in files or (ROOT / name).exists() or (ROOT / "docs" / "tutorial" / name).exists():
        return None
    return f"there is no file {name}, and no page has written it"


def _trioflex(words: list[str]) -> str | None:
    """Parse as the command would, and stop before it runs.

    Which classes typer parses with depends on its version, so they are told by what they have.
    """
    from trioflex.cli.app import app

    command: Any = typer.main.get_command(app)
    try:
        context = command.make_context("trioflex", list(words))
        while hasattr(command, "commands"):
            left = [*context._protected_args, *context.args]
            if not left:
                break
            name, command, left = command.resolve_command(context, left)
            context = command.make_context(name, left, parent=context)
    except Exception as exc:
        if type(exc).__name__ == "Exit":
            return None  # --version, --help
        if hasattr(exc, "format_message"):
            return str(exc.format_message())
        raise
    return None
