"""Which requests a test's script means: names on the wire, checked, or the venue's own classes.

A fault of a request that does not exist never strikes, and its test is green for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import find_venue
from ..protocol import Request
from .faults import EVERY
from .peer import ExchangeModel


def wire_name(model: ExchangeModel, method: str | type[Request[Any]]) -> str:
    """Return the name on the wire of what a script names.

    Args:
        model: the venue. One that does not say what it knows has every name.
        method: a name on the wire, ``""`` for requests that have none, ``"*"`` for all; or one of
            the venue's request classes.

    Raises:
        ValueError: the venue has no such request.
    """
    known: Mapping[str, str] | None = getattr(model, "methods", None)
    if isinstance(method, str):
        if known is None or method in known or method in ("", EVERY):
            return method
        raise ValueError(f"{model.name} has no request named {method!r}; {_choice(known)}")
    if known is None:
        raise ValueError(
            f"the model of {model.name} has no attribute `methods` that says what "
            f"{method.__name__} is called on the wire: give that name"
        )
    if _is_of(method, model.name):
        for name, each in known.items():
            if each == method.__name__:
                return name
    raise ValueError(
        f"{method.__module__}.{method.__name__} is no request of {model.name}; {_choice(known)}"
    )


def _is_of(request: type[Request[Any]], venue: str) -> bool:
    """Whether a class is the venue's; other venues' have the same names."""
    try:
        return request in find_venue(venue).requests
    except ValueError:
        # It is not registered, so the name has to do.
        return True


def _choice(known: Mapping[str, str]) -> str:
    if not known:
        return f'its requests have no names here: only "{EVERY}" means any'
    names = (f"{name} ({each})" if each not in ("", name) else name for name, each in known.items())
    return f'it has {", ".join(names)}, and "{EVERY}" means any'
