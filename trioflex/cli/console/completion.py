"""What the Tab key offers: commands, requests and their fields, channels."""

from __future__ import annotations

import enum
import typing
from collections.abc import Iterable, Iterator, Sequence

import attrs

from trioflex.protocol import Venue

from .. import catalogue
from ..catalogue import Argument, Entry
from .choices import CHOICES, VENUE
from .commands import WORDS, folded, word_of


@attrs.frozen
class Candidate:
    """Something that may stand at the cursor."""

    text: str
    note: str = ""
    more: bool = False
    """It is not whole yet: no space follows."""


def complete(venue: Venue, before: str, subscribed: Sequence[str] = ()) -> list[Candidate]:
    """Return what may stand in place of the last word before the cursor.

    Args:
        venue: whose console it is.
        before: the line as far as the cursor.
        subscribed: channels that are on.
    """
    first, space, _ = before.lstrip().partition(" ")
    last = before.rpartition(" ")[2]
    offered = _arguments(venue, first, before, last, subscribed) if space else _first(venue)
    return [each for each in offered if folded(each.text).startswith(folded(last))]


def _first(venue: Venue) -> Iterator[Candidate]:
    for entry in catalogue.requests(venue):
        yield Candidate(entry.name, entry.summary)
    if venue.name == VENUE:
        for choice in CHOICES:
            yield Candidate(choice.name, f"{choice.number}: {choice.summary}")
    for word in WORDS:
        for name in word.names:
            if len(name) > 1:
                yield Candidate(name, word.summary)


def _arguments(
    venue: Venue, first: str, before: str, last: str, subscribed: Sequence[str]
) -> Iterable[Candidate]:
    match word_of(first):
        case "subscribe":
            return [_channel(entry) for entry in catalogue.channels(venue)]
        case "unsubscribe":
            return [*map(Candidate, subscribed), Candidate("all")]
        case "help":
            every = (*catalogue.requests(venue), *catalogue.channels(venue))
            return [Candidate(entry.name, entry.summary) for entry in every]
        case None:
            known = {folded(entry.name): entry for entry in catalogue.requests(venue)}
            entry = known.get(folded(first))
            return () if entry is None else _fields(entry, before, last)
    return ()


def _channel(entry: Entry) -> Candidate:
    fields = bool(entry.arguments)
    return Candidate(f"{entry.name}:" if fields else entry.name, entry.usage, more=fields)


def _fields(entry: Entry, before: str, last: str) -> Iterator[Candidate]:
    name, equals, _ = last.partition("=")
    given = {folded(word.partition("=")[0]) for word in before.split()[1:] if "=" in word}
    for argument in entry.arguments:
        if equals:
            if folded(argument.name) == folded(name):
                yield from (Candidate(f"{name}={value}") for value in _values(argument))
        elif folded(argument.name) not in given:
            need = "" if argument.required else ", may be left out"
            yield Candidate(f"{argument.name}=", f"{argument.type_name}{need}", more=True)


def _values(argument: Argument) -> Iterator[str]:
    """Return the values of a field that has few."""
    for kind in typing.get_args(argument.kind) or (argument.kind,):
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            yield from (member.name for member in kind)
        elif kind is bool:
            yield from ("true", "false")
        elif isinstance(kind, str):  # of a Literal
            yield kind
