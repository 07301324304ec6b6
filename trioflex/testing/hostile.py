"""Rules for frames as they should not be: damaged, huge, of another shape, or of tomorrow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from .. import RemoteProtocolError
from ..protocol import Ignored, Session, Venue
from .findings import Findings, shortened
from .purity import EVENTS, no_surprises
from .session_log import SessionLog, perform

FRAMES = 24
"""Frames of a session that are damaged: the newest of each shape, for there are few shapes."""

VALUES: tuple[Any, ...] = (None, True, -1, 10**30, 1.5, "", "no such thing", [], [[]], {}, [{}])
"""What a field is replaced with."""

LONGEST = 4_000
"""Characters of an error about a frame: an excerpt of it, not the frame."""

NO_JSON = ("", " ", "hello", "<html><body>502 Bad Gateway</body></html>", "{", '{"', "}", "nul")
"""Frames that are no JSON, as proxies and broken servers send them."""

ODD_JSON = (
    "null",
    "true",
    "42",
    "1e400",
    "-0",
    '"text"',
    r'"\ud800"',
    "[]",
    "[[]]",
    "[{}]",
    "{}",
    '{"": null}',
)
"""JSON that no venue sends."""

UNKNOWN = (
    '{"of_a_kind_that_is_not_invented_yet": {"x": 1}}',
    '{"something_new": "from tomorrow", "and_more": [1, 2, 3]}',
)
"""Messages that mean nothing to anybody."""

DEPTH = 100_000
"""Brackets within brackets: far beyond what any parser descends to."""


def huge(size: int) -> Iterator[str]:
    """Yield frames of about a size in characters that mean nothing."""
    yield '{"x": [' + "1," * (size // 2) + "1]}"
    yield '{"x": "' + "x" * size + '"}'
    yield '{"x": ' + "9" * size + "}"
    yield "x" * size
    yield '{"x": ' + "[" * DEPTH + "]" * DEPTH + "}"
    yield '{"x":' * DEPTH + "1" + "}" * DEPTH


def check_hostile(venue: Venue, log: SessionLog, seen: set[Any], found: Findings) -> int:
    """Check what a session says to hostile frames; return how many were tried.

    Args:
        venue: whose session it is.
        log: its life; it is told hostile frames at several points of it.
        seen: shapes of frames that were damaged in other sessions already; they are added to it.
        found: takes what is broken.
    """
    found.checking("hostile", "unknown")
    if log.error is not None:
        return 0
    tried = 0
    last = next((n for n, call in enumerate(log.calls) if call.method == "close"), len(log.calls))
    size = min(venue.max_message_bytes, 1024 * 1024)
    with no_surprises():
        for index in sorted({min(1, last), last}):
            trial = _Trial(venue, log, index, found)
            for text in NO_JSON:
                trial.hears(text, "a frame that is no JSON", meaningless=True)
            for text in ODD_JSON:
                trial.hears(text, f"the frame {text}")
            for text in huge(size):
                trial.hears(text, f"a huge frame that begins with {text[:12]!r}", meaningless=True)
            for text in UNKNOWN:
                trial.is_ignored(text)
            tried += trial.tried
        for index, text in _shapes(log, seen):
            trial = _Trial(venue, log, index, found)
            for cut in sorted({len(text) // 3, len(text) // 2, len(text) - 1} - {0}):
                trial.hears(
                    text[:cut], "a frame that is cut off", meaningless=not _is_json(text[:cut])
                )
            for name, damaged in _damaged(text):
                trial.hears(damaged, f"a frame whose {name} is wrong")
            tried += trial.tried
    return tried


class _Trial:
    """A session at one point of its life that is told one hostile frame after the other."""

    def __init__(self, venue: Venue, log: SessionLog, index: int, found: Findings) -> None:
        self._venue, self._log, self._index, self._found = venue, log, index, found
        self._session: Session | None = None
        self.tried = 0

    def hears(self, text: str, what: str, *, meaningless: bool = False) -> list[Any]:
        """Tell the session a frame; return the events."""
        self.tried += 1
        session = self._session or self._log.at(self._venue, self._index)
        call = perform(session, "receive", (text.encode("utf-8", "surrogatepass"),))
        quoted = "" if len(text) > 10_000 else f" ({shortened(self._shown(text))})"
        # After anything but Ignored the session may be another one than before.
        ignored = call.error is None and all(isinstance(e, Ignored) for e in call.events)
        self._session = session if ignored else None
        if call.error is not None:
            self._judge(call.error, what, quoted)
            return []
        if type(call.outcome) is not list or not all(isinstance(e, EVENTS) for e in call.events):
            self._found.add(
                "hostile",
                f"{what}{quoted} made receive() return {shortened(call.outcome)}.",
                "Return a list of events, or raise RemoteProtocolError.",
            )
        elif meaningless and not ignored:
            self._found.add(
                "hostile",
                f"{what}{quoted} was taken for {shortened(call.outcome)}.",
                "Raise RemoteProtocolError for what cannot be read.",
            )
        return call.events

    def is_ignored(self, text: str) -> None:
        """Tell the session something that means nothing; it must say so."""
        events = self.hears(text, "an unknown message")
        if self._session is None or not events:
            self._found.add(
                "unknown",
                f"the unknown message {text} was not Ignored.",
                "Return [Ignored(message)]: venues invent messages, and a client must live on.",
            )

    def _judge(self, error: Exception, what: str, quoted: str) -> None:
        if not isinstance(error, RemoteProtocolError):
            self._found.add(
                "hostile",
                f"{what}{quoted} made receive() raise {type(error).__name__}: {str(error)[:200]}.",
                "Check types and ranges before use, and raise RemoteProtocolError, which ends the"
                " connection; any other exception ends the client.",
            )
        elif len(str(error)) > LONGEST:
            self._found.add(
                "hostile",
                f"{what}{quoted} made an error of {len(str(error))} characters.",
                "Quote the beginning of a frame, redacted: errors are logged.",
            )

    def _shown(self, text: str) -> str:
        try:
            return self._venue.redact(text)
        except Exception:  # the rule about redaction says so
            return "…"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _shapes(log: SessionLog, seen: set[Any]) -> Iterable[tuple[int, str]]:
    """Return the newest frame of each new shape, with its place in the log."""
    shapes: dict[Any, tuple[int, str]] = {}
    for index, call in enumerate(log.calls):
        if call.method == "receive":
            text = call.frame.decode("utf-8", "replace")
            kinds = tuple(type(event).__name__ for event in call.events)
            shapes[kinds, _shape(text)] = index, text
    new = [shape for shape in shapes if shape not in seen][:FRAMES]
    seen.update(new)
    return [shapes[shape] for shape in new]


def _shape(text: str) -> Any:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return text[:4]
    return tuple(sorted(message)) if isinstance(message, dict) else type(message).__name__


def _damaged(text: str) -> Iterator[tuple[str, str]]:
    """Yield a frame with each of its fields replaced and left out, those within included."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return
    for path in _paths(message, 3):
        for number, value in enumerate(VALUES):
            # Deeper fields take turns with the values: together they meet all of them.
            if len(path) == 1 or number % 3 == len(path[-1]) % 3:
                yield ".".join(path), json.dumps(_replaced(message, path, value))
        yield f"{'.'.join(path)} (left out)", json.dumps(_replaced(message, path, ...))


def _paths(value: Any, depth: int) -> Iterator[tuple[str, ...]]:
    if depth == 0:
        return
    if isinstance(value, dict):
        items: Iterable[tuple[str, Any]] = list(value.items())[:12]
    elif isinstance(value, list):
        items = [(str(n), each) for n, each in enumerate(value[:1])]
    else:
        return
    for name, inner in items:
        yield (name,)
        for rest in _paths(inner, depth - 1):
            yield (name, *rest)


def _replaced(value: Any, path: tuple[str, ...], new: Any) -> Any:
    name, rest = path[0], path[1:]
    if isinstance(value, list):
        changed = _replaced(value[0], rest, new) if rest else new
        return [*([] if changed is ... else [changed]), *value[1:]]
    if not rest and new is ...:
        return {key: inner for key, inner in value.items() if key != name}
    return {
        key: (_replaced(inner, rest, new) if rest else new) if key == name else inner
        for key, inner in value.items()
    }
