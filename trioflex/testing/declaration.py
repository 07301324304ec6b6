"""Rules for what a venue declares: the value itself, its request and its channel classes."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from .. import LocalProtocolError
from ..protocol import Channel, Confirm, Effect, Loss, Request, Retry, Venue
from .findings import Findings, shortened

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts on which an endpoint needs no TLS: nothing leaves the machine."""

LIMITS = (
    "connect_timeout",
    "handshake_timeout",
    "reply_timeout",
    "subscribe_timeout",
    "send_timeout",
    "goodbye_timeout",
    "close_timeout",
    "refresh_after",
    "max_message_bytes",
)
"""Numbers of a declaration that must be above zero."""

LOSSES = (
    Loss(message="The network went away."),
    Loss(message="The venue closed the connection.", close_code=1001, close_reason="bye"),
    Loss(message="The venue closed the connection.", close_code=4321),
    Loss(message="The upgrade was refused.", http_status=403),
    Loss(message="The upgrade was refused.", http_status=503, retry_after=7.0),
    Loss(message="Something was raised.", error=OSError("unreachable")),
)
"""Ends of connections that ``Venue.fatal`` is asked about."""


def check_declaration(venue: Venue, found: Findings) -> None:
    """Check the value."""
    found.checking("declaration", "requests", "channels")

    def wrong(what: str, remedy: str) -> None:
        found.add("declaration", what, remedy)

    if not venue.name or venue.name != venue.name.lower() or not venue.name.isidentifier():
        wrong(
            f"the name is {venue.name!r}.",
            "Choose a lower-case identifier: it is typed, logged and made part of file names.",
        )
    for label, url in {"url": venue.url, **venue.urls}.items():
        parts = urlsplit(url)
        if parts.scheme != "wss" and not (parts.scheme == "ws" and parts.hostname in LOOPBACK):
            wrong(f"{label} is {url!r}.", "Give a wss:// address: credentials travel there.")
        elif not parts.hostname:
            wrong(f"{label} is {url!r}, which names no host.", "Give a wss:// address.")
    for name in LIMITS:
        if not getattr(venue, name) > 0:
            wrong(f"{name} is {getattr(venue, name)!r}.", "Give a number above zero.")
    if venue.refresh is not None and venue.refresh.effect is not Effect.READ:
        wrong(
            f"refresh is {type(venue.refresh).__name__}, which may change the account.",
            "Choose a request with Effect.READ: it is sent when nobody looks.",
        )
    for loss in LOSSES:
        opinion = _tried(found, "fatal", venue.fatal, loss)
        if opinion is not None and not isinstance(opinion, Retry):
            wrong(f"fatal returned {opinion!r} for a Loss.", "Return a Retry, or None.")
    named = _tried(found, "channel_named", venue.channel_named, "no such channel")
    if named is not None and not isinstance(named, Channel):
        wrong(f"channel_named returned {named!r}.", "Return a Channel, or None for no such one.")
    for request in venue.requests:
        _check_request(request, found)
    for channel in venue.channels:
        _check_channel(channel, found)


def check_buckets(venue: Venue, requests: Iterable[Request[Any]], found: Findings) -> None:
    """Check that each rate limit limits something.

    Args:
        venue: whose ``rates`` they are.
        requests: those that were sent, the ones that start channels included.
        found: takes what is broken.
    """
    named = [getattr(kind, "bucket", None) for kind in venue.requests]
    used = {each for each in named if isinstance(each, str)} | {each.bucket for each in requests}
    if not used or any(isinstance(each, property) for each in named):
        return  # or it is decided request by request, and nobody knows all of them
    for bucket in sorted(venue.rates.keys() - used):
        found.add(
            "declaration",
            f"rates limits {bucket!r}, a bucket that no request counts against.",
            f"Requests have {', '.join(map(repr, sorted(used)))}: spell one of them, or drop it.",
        )


def check_values(values: Iterable[Any], found: Findings) -> None:
    """Check that requests and channels are values: hashable, equal to their copies, frozen."""
    for value in values:
        rule = "requests" if isinstance(value, Request) else "channels"
        name = type(value).__name__
        try:
            same = hash(value) == hash(copy.copy(value)) and value == copy.copy(value)
        except TypeError as exc:
            found.add(
                rule,
                f"{name} cannot be hashed ({exc}).",
                "Give it hashable fields: tuples in place of lists, no dictionaries.",
            )
            continue
        if not same:
            found.add(
                rule,
                f"{name} is not equal to its copy.",
                "Let @attrs.frozen write __eq__ and __hash__: equal fields, equal values.",
            )


def _tried(found: Findings, name: str, function: Any, argument: Any) -> Any:
    try:
        return function(argument)
    except LocalProtocolError:
        return None
    except Exception as exc:  # whatever it raises would end the client
        found.add(
            "declaration",
            f"{name}({shortened(argument)}) raised {type(exc).__name__}: {exc}.",
            "Return None for what it has no answer to.",
        )
        return None


def _check_class(rule: str, kind: Any, base: type[Any], found: Findings) -> bool:
    """Check what requests and channels have in common; return whether there is more to check."""
    if not isinstance(kind, type) or not issubclass(kind, base):
        found.add(
            rule,
            f"{kind!r} is listed, but is no subclass of {base.__name__}.",
            f"List classes that inherit from trioflex.protocol.{base.__name__}.",
        )
        return False
    if "__attrs_attrs__" not in vars(kind) or not _frozen(kind):
        found.add(
            rule,
            f"{kind.__name__} is not a frozen attrs class.",
            "Decorate it with @attrs.frozen: it must not change once it was handed over.",
        )
    if kind.__hash__ is None:
        found.add(
            rule, f"{kind.__name__} cannot be hashed.", "Decorate it with @attrs.frozen as it is."
        )
    if not (vars(kind).get("__doc__") or "").strip():
        found.add(
            rule,
            f"{kind.__name__} has no docstring.",
            "Say in a sentence what it asks or delivers: the console shows it.",
        )
    private = getattr(kind, "private", None)
    if not isinstance(private, bool):
        found.add(rule, f"{kind.__name__}.private is {private!r}.", "Say True or False there.")
    return True


def _frozen(kind: type) -> bool:
    try:
        setattr(object.__new__(kind), "_trioflex_probe", None)  # noqa: B010 - no such attribute
    except attrs.exceptions.FrozenInstanceError:
        return True
    except (AttributeError, TypeError):
        return False
    return False


def _check_request(kind: type[Request[Any]], found: Findings) -> None:
    if not _check_class("requests", kind, Request, found):
        return
    if not isinstance(kind.effect, Effect):
        found.add(
            "requests",
            f"{kind.__name__}.effect is {kind.effect!r}.",
            "Say Effect.READ, or Effect.WRITE if it may change the account.",
        )
    if not isinstance(kind.bucket, (str, property)) or not kind.bucket:
        found.add(
            "requests",
            f"{kind.__name__}.bucket is {kind.bucket!r}.",
            "Name a key of Venue.rates, or any other word: a bucket without a rate is unlimited.",
        )


def _check_channel(kind: type[Channel[Any]], found: Findings) -> None:
    if not _check_class("channels", kind, Channel, found):
        return
    if not isinstance(kind.confirm, Confirm):
        found.add(
            "channels", f"{kind.__name__}.confirm is {kind.confirm!r}.", "Say a Confirm there."
        )
    if kind.fold is None:
        return
    try:
        fold = kind.fold()
    except Exception as exc:  # whatever it raises would end the client
        found.add(
            "channels",
            f"{kind.__name__}.fold() raised {type(exc).__name__}: {exc}.",
            "Let it make an empty fold without arguments.",
        )
        return
    missing = [n for n in ("apply", "snapshot", "invalidate") if not callable(getattr(fold, n, 0))]
    if missing:
        found.add(
            "channels",
            f"{kind.__name__}.fold makes a {type(fold).__name__} without {', '.join(missing)}.",
            "Implement trioflex.protocol.Fold.",
        )
    elif fold.snapshot() is not None:
        found.add(
            "channels",
            f"{kind.__name__}.fold begins with the snapshot {shortened(fold.snapshot())}.",
            "Return None until there was one.",
        )


def check_evidence(venue: Venue, values: Iterable[Any], found: Findings) -> None:
    """Check that whatever is pushed or replied can be weighed as evidence."""
    found.checking("evidence")
    for value in values:
        try:
            for name, _ in venue.evidence(value):
                hash(name)
        except Exception as exc:  # whatever it raises would end the client
            found.add(
                "evidence",
                f"evidence({shortened(value)}) raised {type(exc).__name__}: {exc}.",
                "Return (caller's order id, value) pairs, and none for what proves nothing.",
            )
            return


def listed(venue: Venue) -> Mapping[str, type[Any]]:
    """Return the request and channel classes of a venue by name."""
    return {kind.__name__: kind for kind in (*venue.requests, *venue.channels)}
