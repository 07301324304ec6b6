"""From what a person types to requests and channels: ``PlaceOrder base=XBT``, ``Ticker:XBT:USDT``.

Names of requests, channels and fields are taken without regard to capitals, hyphens and
underscores; ``place-order`` is ``PlaceOrder``.
"""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import attrs

from trioflex import LocalProtocolError
from trioflex.protocol import Channel, Request, Venue

from . import catalogue
from .catalogue import Argument, Entry

TICKERS = ("base", "counter", "asset")
"""Fields that hold the name of an asset, which venues write in capitals."""

_WORDS = {"true": True, "yes": True, "false": False, "no": False}


def make_request(venue: Venue, name: str, fields: Sequence[str]) -> Request[Any]:
    """Return the request that a person asked for.

    Args:
        venue: whose it is.
        name: of the request.
        fields: each as ``field=value``.

    Raises:
        LocalProtocolError: there is no such request or field, one is missing, or a value is not
            what it should be. The sentence lists what there is.
    """
    entry = find_request(venue, name)
    known = {_folded(argument.name): argument for argument in entry.arguments}
    values: dict[str, object] = {}
    for field in fields:
        key, equals, text = field.partition("=")
        argument = known.get(_folded(key))
        if not equals or argument is None:
            what = f"has no field {key!r}" if equals else f"takes field=value, not {field!r}"
            raise LocalProtocolError(f"{entry.name} {what}. Usage: {entry.usage}")
        if argument.name in values:
            raise LocalProtocolError(f"{argument.name} is given twice. Usage: {entry.usage}")
        values[argument.name] = parse(entry, argument, text)
    missing = [a.name for a in entry.arguments if a.required and a.name not in values]
    if missing:
        raise LocalProtocolError(f"{entry.name} needs {', '.join(missing)}. Usage: {entry.usage}")
    made = _make(entry, values)
    if not isinstance(made, Request):
        raise TypeError(f"{entry.name} of {venue.name} is not a request")
    return made


def find_request(venue: Venue, name: str) -> Entry:
    """Return what is known of a request.

    Raises:
        LocalProtocolError: the venue has none of that name.
    """
    entries = catalogue.requests(venue)
    found = _named(entries, name)
    if found is None:
        raise LocalProtocolError(
            f"{venue.name} has no request {name!r}; there are: {_list(entries)}."
        )
    return found


def make_channel(venue: Venue, text: str) -> Channel[Any]:
    """Return the channel that a person asked for.

    Args:
        venue: whose it is.
        text: the class's name and its fields in order, separated by colons, as in
            ``OrderBook:XBT:USDT``; or the venue's own name, where its channels have one.

    Raises:
        LocalProtocolError: there is no such channel, or its fields do not fit.
    """
    name, colon, rest = text.partition(":")
    entries = catalogue.channels(venue)
    entry = _named(entries, name)
    if entry is None:
        channel = venue.channel_named(text)
        if channel is not None:
            return channel
        usages = ", ".join(each.usage for each in entries) or "none"
        raise LocalProtocolError(f"{venue.name} has no channel {name!r}; there are: {usages}.")
    count = len(entry.arguments)
    # The last field takes what is left: names that venues give may hold colons themselves.
    parts = rest.split(":", max(0, count - 1)) if colon else []
    least = sum(argument.required for argument in entry.arguments)
    if not least <= len(parts) <= count or not all(parts):
        raise LocalProtocolError(f"{text!r} does not name a channel. Usage: {entry.usage}")
    given = zip(entry.arguments, parts, strict=False)
    made = _make(entry, {a.name: parse(entry, a, part) for a, part in given})
    if not isinstance(made, Channel):
        raise TypeError(f"{entry.name} of {venue.name} is not a channel")
    return made


def spell(channel: Channel[Any]) -> str:
    """Return a channel as :func:`make_channel` takes it."""
    entry = catalogue.entry_of(type(channel))
    parts = (getattr(channel, argument.name) for argument in entry.arguments)
    return ":".join([entry.name, *(str(part) for part in parts if part is not None)])


def spell_request(request: Request[Any]) -> str:
    """Return a request as :func:`make_request` takes it, without what has its default."""
    words = [type(request).__name__]
    kind: Any = type(request)
    for field in attrs.fields(kind):
        value = getattr(request, field.name)
        default: Any = field.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            default = default.factory()
        if value != default:
            words.append(f"{field.name}={_spelt(value)}")
    return " ".join(words)


def parse(entry: Entry, argument: Argument, text: str) -> object:
    """Return the value that a text stands for.

    Raises:
        LocalProtocolError: it cannot be one.
    """
    if argument.name in TICKERS and text.islower():
        text = text.upper()
    for kind in _members(argument.kind):
        try:
            return _value(kind, text)
        except (ValueError, InvalidOperation):
            continue
    raise LocalProtocolError(
        f"{argument.name} of {entry.name} takes {argument.type_name}, not {text!r}."
    )


def _spelt(value: object) -> str:
    match value:
        case enum.Enum():
            return value.name
        case bool():
            return str(value).lower()
        case Decimal():
            return format(value, "f")
        case Mapping():
            return ",".join(f"{name}:{_spelt(each)}" for name, each in value.items())
        case list() | tuple() as several:
            pairs = all(isinstance(each, tuple) and len(each) == 2 for each in several)
            if pairs:
                return _spelt(dict(several))
            return ",".join(map(_spelt, several))
    return str(value)


def _make(entry: Entry, values: dict[str, object]) -> object:
    try:
        return entry.kind(**values)
    except (ValueError, TypeError) as wrong:
        raise LocalProtocolError(f"{wrong} Usage: {entry.usage}") from wrong


def _value(kind: object, text: str) -> object:
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if kind is type(None):
        if text.lower() != "none":
            raise ValueError(text)
        return None
    if kind is bool:
        if text.lower() not in _WORDS:
            raise ValueError(text)
        return _WORDS[text.lower()]
    if kind is int:
        if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
            raise ValueError(text)
        return int(text)
    if kind is Decimal:
        number = Decimal(text)
        if not number.is_finite():
            raise ValueError(text)
        return number
    if catalogue.takes_pairs(kind):
        pairs = [part.partition(":") for part in text.split(",") if part]
        if not all(name and colon for name, colon, _ in pairs):
            raise ValueError(text)
        return {name: value for name, _, value in pairs}
    if origin is tuple:
        return tuple(_value(members[0], part) for part in text.split(",") if part)
    if origin is typing.Literal:
        return next(iter(m for m in members if str(m).lower() == text.lower()), None) or _no(text)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        for member in kind:
            if text.lower() in (member.name.lower(), str(member.value).lower()):
                return member
        raise ValueError(text)
    return text


def _no(text: str) -> object:
    raise ValueError(text)


def _members(kind: object) -> Iterable[object]:
    """Return the types of a union, text last: anything would be text."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return sorted(typing.get_args(kind), key=lambda member: member is str)
    return (kind,)


def _named(entries: Iterable[Entry], name: str) -> Entry | None:
    return next((entry for entry in entries if _folded(entry.name) == _folded(name)), None)


def _folded(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()


def _list(entries: Iterable[Entry]) -> str:
    return ", ".join(entry.name for entry in entries) or "none"
