"""The rule for secrets: none survives redaction, and none is shown."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from ..protocol import Venue
from .findings import Findings
from .session_log import SessionLog

SHORTEST = 4
"""Characters of a secret that is looked for: fewer would be found by accident."""

REMEDY_FRAME = "Blank it in Venue.redact: frames go into logs and tapes."
REMEDY_SHOWN = "Leave it out, or give its field repr=False: representations go into logs."


def secrets_of(credentials: Any) -> set[str]:
    """Return the secrets in credentials: what has ``repr=False``, in every spelling it may have.

    Args:
        credentials: an attrs class or dataclass; anything else has none that can be found, nor
            have objects that keep theirs to themselves, as keys of ``cryptography`` do.
    """
    found: set[str] = set()
    for value in _hidden(credentials, shown=True):
        if not isinstance(value, (str, bytes, bytearray)):
            continue
        if isinstance(value, str):
            texts = [value, *(line for line in value.splitlines() if not line.startswith("---"))]
            raw = value.encode("utf-8", "surrogatepass")
        else:
            raw = bytes(value)
            texts = [raw.hex()]
            if raw.isascii():
                texts.append(raw.decode("ascii"))
        for coded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
            texts.append(coded.decode("ascii").rstrip("="))
        for text in texts:
            found |= {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return {text for text in found if len(text) >= SHORTEST}


def _hidden(value: Any, *, shown: bool) -> Iterator[object]:
    """Yield what is below a field with ``repr=False``."""
    if isinstance(value, (str, bytes, bytearray)):
        if not shown:
            yield value
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from _hidden(getattr(value, field.name), shown=shown and bool(field.repr))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for each in dataclasses.fields(value):
            yield from _hidden(getattr(value, each.name), shown=shown and each.repr)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _hidden(inner, shown=shown)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _hidden(inner, shown=shown)
    elif not shown and value is not None:
        yield str(value) if isinstance(value, int) else value


def check_redaction(
    venue: Venue,
    logs: Iterable[SessionLog],
    credentials: Any,
    secrets: Iterable[str],
    found: Findings,
) -> None:
    """Check what is sent, received, returned and raised for secrets."""
    found.checking("redaction")
    hidden = secrets_of(credentials) | set(secrets)
    if credentials is not None and not any(True for _ in _hidden(credentials, shown=True)):
        found.add(
            "redaction",
            f"{type(credentials).__name__} has no field with repr=False.",
            "Mark what must not be shown: attrs.field(repr=False).",
        )

    def look(text: str, where: str, remedy: str) -> None:
        if any(secret in text for secret in hidden):
            found.add("redaction", f"a secret of the credentials is in {where}.", remedy)

    look(repr(credentials), f"the representation of {type(credentials).__name__}", REMEDY_SHOWN)
    for log in logs:
        for call in log.calls:
            for frame in call.transmitted():
                look(_redacted(venue, frame, found), f"a redacted frame of {call}", REMEDY_FRAME)
            if call.method == "receive":
                text = call.frame.decode("utf-8", "replace")
                look(_redacted(venue, text, found), "a redacted frame of the venue", REMEDY_FRAME)
            if call.error is not None:
                error = type(call.error).__name__
                look(f"{call.error}", f"the {error} of {call}", REMEDY_SHOWN)
            for event in call.events:
                name = type(event).__name__
                look(repr(event), f"the representation of a {name}", REMEDY_SHOWN)
            if call.method == "send":
                request = type(call.arguments[0]).__name__
                look(repr(call.arguments[0]), f"the representation of {request}", REMEDY_SHOWN)
    for odd in ("", "{", '"', "no JSON at all", "[" * 1_000):
        _redacted(venue, odd, found)


def _redacted(venue: Venue, frame: str, found: Findings) -> str:
    try:
        text = venue.redact(frame)
        again = venue.redact(text)
    except Exception as exc:  # whatever it raises would end the client, while it logs
        found.add(
            "redaction",
            f"redact() raised {type(exc).__name__}.",
            "Return what it does not understand as it is: frames may be cut off, or no JSON.",
        )
        return ""
    if not isinstance(text, str):
        found.add(
            "redaction", f"redact() returned a {type(text).__name__}.", "Return the frame as text."
        )
        return ""
    if again != text:
        found.add(
            "redaction",
            "redact() changes a frame that is redacted already.",
            "Let it leave its own marks alone: a tape is redacted again when it is shown.",
        )
    return text
