"""What a client says now, and what one said on a tape: whether it is the same, under which key.

Nothing of a venue is known here. Frames are JSON; what is made anew each time (nonces, time stamps)
is passed over, what was redacted stands for anything, and how answers name their requests is read
off the tape itself: by a value that each request has for itself, and that comes back.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from .entries import TapeFrame

FRESH: Final = frozenset({"nonce", "ts", "timestamp", "time", "sig", "signature"})
"""Names of what is made anew with each request."""

HIDDEN: Final = "***"
"""What redaction leaves in a secret's place."""

ENOUGH: Final = 10_000
"""Messages from which it can be told how answers name their requests."""


def parse(frame: str) -> Any:
    """Return what a frame says: JSON, JSON in its strings included, or text where it is none."""
    try:
        return _inner(json.loads(frame))
    except (ValueError, RecursionError):
        return frame


def _inner(value: Any) -> Any:
    match value:
        case dict():
            return {name: _inner(each) for name, each in value.items()}
        case list():
            return [_inner(each) for each in value]
        case str() if value[:1] == "{":
            return parse(value)
    return value


def alike(recorded: Any, live: Any, key: str | None) -> bool:
    """Return whether two requests ask the same.

    Args:
        recorded: as :func:`parse` returns it.
        live: the same.
        key: the name of the field that answers name it by.
    """
    if isinstance(recorded, dict) and isinstance(live, dict):
        return recorded.keys() == live.keys() and all(
            name == key or name in FRESH or alike(value, live[name], key)
            for name, value in recorded.items()
        )
    if isinstance(recorded, list) and isinstance(live, list):
        return len(recorded) == len(live) and all(
            alike(one, other, key) for one, other in zip(recorded, live, strict=True)
        )
    return bool(recorded in (HIDDEN, live))


def shape(request: Any, key: str | None) -> str:
    """Return what requests of one kind have in common: all but keys, numbers and what is fresh."""

    def bare(value: Any) -> Any:
        match value:
            case dict():
                return {
                    name: bare(each)
                    for name, each in value.items()
                    if name != key and name not in FRESH
                }
            case list():
                return [bare(each) for each in value]
            case int() | float() if not isinstance(value, bool):
                return 0
        return value

    return json.dumps(bare(request), sort_keys=True)


def leaves(value: Any) -> Iterator[tuple[str, str | int]]:
    """Yield the names and values of all that could be a key."""
    match value:
        case dict():
            for name, each in value.items():
                if isinstance(each, (str, int)) and not isinstance(each, bool):
                    yield name, each
                else:
                    yield from leaves(each)
        case list():
            for each in value:
                yield from leaves(each)


def find_key(frames: Sequence[TapeFrame]) -> str | None:
    """Return the name of the field by which answers name their requests.

    Args:
        frames: of a tape, in order.

    Returns:
        ``None`` if there seems to be none.
    """
    asked: dict[str, list[tuple[int, str | int]]] = {}
    told: Counter[tuple[str, int, str | int]] = Counter()
    for frame in frames[:ENOUGH]:
        found = set(leaves(parse(frame.frame)))
        if frame.dir == ">":
            for name, value in found:
                if value != HIDDEN:
                    asked.setdefault(name, []).append((frame.n, value))
        else:
            told.update((name, frame.n, value) for name, value in found)
    best: tuple[int, int] | None = None
    key = None
    for name, values in asked.items():
        answers = sum(told[name, *value] for value in values)
        echoed = sum(told[name, *value] > 0 for value in values)
        # The most requests that were answered; then the fewest other messages that have it, too.
        rank = (echoed, -answers)
        if echoed and len(set(values)) == len(values) and (best is None or rank > best):
            best, key = rank, name
    return key


def key_of(message: Any, key: str | None) -> str | int | None:
    """Return the key that a message carries, if it carries one."""
    return next((value for name, value in leaves(message) if name == key), None)


def rekeyed(frame: str, key: str, old: str | int, new: str | int) -> str:
    """Return a frame that answers another request; nothing else in it changes."""
    pattern = rf'(\\*"{re.escape(key)}\\*"\s*:\s*(?:\\*")?){re.escape(str(old))}(?![\w.+-])'
    return re.sub(pattern, lambda found: f"{found[1]}{new}", frame)
