"""What there is: venues, and their requests and channels, read off the classes."""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import types
import typing
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

import attrs

from trioflex import LocalProtocolError
from trioflex.protocol import Channel, Effect, Request, Venue

GROUP = "trioflex.venues"
"""Entry points under which venues are registered."""


@attrs.frozen(kw_only=True)
class Argument:
    """A field of a request or of a channel."""

    name: str
    kind: object
    """Its type, as an annotation evaluates."""
    required: bool
    default: object
    """``attrs.NOTHING`` where it is required, or made anew each time."""

    @property
    def type_name(self) -> str:
        """The type in words that fit on a line."""
        return type_name(self.kind)


@attrs.frozen(kw_only=True)
class Entry:
    """A request class or a channel class."""

    kind: type
    name: str
    summary: str
    """The first sentence of its docstring."""
    paragraphs: tuple[str, ...]
    """All of it, each on one line; what one must not miss (that negative sells) is in the first."""
    private: bool
    arguments: tuple[Argument, ...]

    @property
    def usage(self) -> str:
        """How it is spelt at the command line."""
        if issubclass(self.kind, Channel):
            return ":".join([self.name, *(argument.name.upper() for argument in self.arguments)])
        words = (
            f"{a.name}={a.type_name}" if a.required else f"[{a.name}={a.type_name}]"
            for a in self.arguments
        )
        return " ".join([self.name, *words])

    @property
    def writes(self) -> bool:
        """It may change the account."""
        return issubclass(self.kind, Request) and self.kind.effect is Effect.WRITE


def names() -> tuple[str, ...]:
    """Return the names of all registered venues."""
    return tuple(sorted(entry_points(group=GROUP).names))


def find(name: str) -> tuple[Venue, types.ModuleType]:
    """Return a registered venue and the module that declares it.

    Args:
        name: of the venue; capitals do not matter.

    Raises:
        LocalProtocolError: nothing of that name is registered.
    """
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    entry = known.get(name.lower())
    if entry is None:
        raise LocalProtocolError(
            f"No venue is named {name!r}; there are: {', '.join(sorted(known)) or 'none'}."
        )
    return _loaded(entry), importlib.import_module(entry.module)


def _loaded(entry: EntryPoint) -> Venue:
    venue = entry.load()
    if not isinstance(venue, Venue):
        raise TypeError(f"the entry point {entry.name!r} is not a Venue but {venue!r}")
    return venue


def requests(venue: Venue) -> tuple[Entry, ...]:
    """Return a venue's requests."""
    return tuple(entry_of(kind) for kind in venue.requests)


def channels(venue: Venue) -> tuple[Entry, ...]:
    """Return a venue's channels."""
    return tuple(entry_of(kind) for kind in venue.channels)


def entry_of(kind: type) -> Entry:
    """Return what a request class or a channel class says about itself."""
    hints = typing.get_type_hints(kind)
    docstring = inspect.getdoc(kind) or ""
    paragraphs = tuple(_plain(each) for each in docstring.split("\n\n"))
    arguments = []
    for field in attrs.fields(kind) if attrs.has(kind) else ():
        made = isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]
        arguments.append(
            Argument(
                name=field.name,
                kind=hints.get(field.name, object),
                required=field.default is attrs.NOTHING,
                default=attrs.NOTHING if made else field.default,
            )
        )
    return Entry(
        kind=kind,
        name=kind.__name__,
        summary=_first_sentence(paragraphs[0]),
        paragraphs=paragraphs,
        private=bool(getattr(kind, "private", False)),
        arguments=tuple(arguments),
    )


def _plain(paragraph: str) -> str:
    """Return a paragraph of a docstring without marks, on one line."""
    text = " ".join(paragraph.split())
    for mark in ("``", "**", ":class:", ":func:"):
        text = text.replace(mark, "")
    return re.sub(r"\*(\w+)\*", r"\1", text).replace("`", "")


def _first_sentence(paragraph: str) -> str:
    sentence, stop, _ = paragraph.partition(". ")
    return sentence + "." if stop else sentence


def type_name(kind: object) -> str:
    """Return a type in a few words: ``decimal``, ``whole number``, ``text,text,...``."""
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return "|".join(type_name(member) for member in members if member is not type(None))
    if takes_pairs(kind):
        return "name:value,..."
    if origin is tuple:
        return f"{type_name(members[0])},..."
    if origin is typing.Literal:
        return "|".join(str(member) for member in members)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "|".join(member.name for member in kind)
    if isinstance(kind, type):
        return {"str": "text", "int": "integer", "bool": "true|false"}.get(
            kind.__name__, kind.__name__.lower()
        )
    return "text"


def takes_pairs(kind: object) -> bool:
    """Return whether a type is a mapping, or a tuple of pairs."""
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return True
    return origin is tuple and typing.get_origin(members[0]) is tuple
