"""Replies and items as what JSON can hold: decimals as text, enumerations by name."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal

import attrs
import msgspec

from .report import text


def plain(value: object) -> object:
    """Return a value as what JSON can hold.

    Records become objects of their public fields and properties. Where a record has both a scaled
    integer as it came (``scaled_price``) and the number it stands for (``price``), or both the
    venue's number of something (``asset_id``) and its name (``asset``), only the second is told.

    Args:
        value: a reply, an item of a channel, or part of one.
    """
    match value:
        case enum.Enum():
            return value.name
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return text(value)
        case bytes():
            return value.hex()
        case Mapping():
            return {str(plain(key)): plain(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(each) for each in value]
    names = _names(type(value))
    if names is None:
        return str(value)
    told = {name: getattr(value, name) for name in names}
    return {name: plain(each) for name, each in told.items() if each is not msgspec.UNSET}


def _names(kind: type) -> tuple[str, ...] | None:
    """Return what is told of a class of records, ``None`` if it is none."""
    if issubclass(kind, msgspec.Struct):
        fields = list(kind.__struct_fields__)
    elif attrs.has(kind):
        # What is kept out of representations is secret, or noise.
        fields = [field.name for field in attrs.fields(kind) if field.repr]
    else:
        return None
    properties = [
        name
        for base in reversed(kind.__mro__)
        for name, member in vars(base).items()
        if isinstance(member, property)
    ]
    names = dict.fromkeys(name for name in [*fields, *properties] if not name.startswith("_"))
    return tuple(
        name
        for name in names
        if not (name.startswith("scaled_") and name.removeprefix("scaled_") in names)
        and not (name.endswith("_id") and name.removesuffix("_id") in properties)
    )
