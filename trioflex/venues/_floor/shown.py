"""Items and replies as a line for people: ``print(item)``.

What ``repr()`` shows is what came, number by number, and can be pasted; a person wants the amounts
in decimals, the names of assets, and the time of day.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import UNSET

from ..._vocabulary.errors import LocalProtocolError
from .assets import PAIR

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = ("time", "time_closed")


def shown(item: Any) -> str:
    """Return an item in a line; what it does not tell is left out.

    Args:
        item: a struct. Where it has a scaled integer, or a number of an asset, and a property for
            people, that is shown, unless the scale is not known; of collections the size only.
    """
    kind = type(item)
    words = [kind.__name__]
    if PAIR.keys() <= {*kind.__struct_fields__}:
        words.append(f"{item.base}:{item.counter}")
    for name in kind.__struct_fields__:
        value = getattr(item, name)
        if value is None or value is UNSET or name in PAIR:
            continue
        short = name.removeprefix("scaled_").removesuffix("_id")
        if short != name and hasattr(kind, short):
            with suppress(LocalProtocolError):
                name, value = short, getattr(item, short)
        words.append(f"{name}={_word(name, value)}")
    return " ".join(words)


def _word(name: str, value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, tuple):
        return str(len(value))
    if name in TIMES and isinstance(value, int):
        with suppress(OverflowError):
            return (EPOCH + timedelta(microseconds=value)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return str(value)
