"""Questions of several lines, as prompt_toolkit has to be given them.

Of all lines but the last it shows as much as fits into the width, and cuts off the rest, which may
be the price of an order. So they are folded here.
"""

from __future__ import annotations

import textwrap


def fold(question: str, width: int) -> str:
    """Return a question whose lines are none of them wider than the terminal."""
    *above, last = question.split("\n")
    return "\n".join([*_folded(above, width), last])


def split(question: str, width: int, height: int) -> tuple[str, str]:
    """Return what is printed before a question, and the question.

    Nothing is, unless the question would fill the terminal: a prompt cannot be scrolled, and what
    does not fit would never be seen.
    """
    above, newline, last = question.rpartition("\n")
    if not newline or len(_folded(above.split("\n"), width)) <= height // 2:
        return "", question
    return above, last


def _folded(lines: list[str], width: int) -> list[str]:
    return [
        part
        for line in lines
        for part in textwrap.wrap(line, max(1, width - 1), break_on_hyphens=False) or [""]
    ]
