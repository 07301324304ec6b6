"""Rules for a session as a function: the same calls in the same world have the same outcomes."""

from __future__ import annotations

import builtins
import logging
import os
import random
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from .. import LocalProtocolError, RemoteProtocolError
from ..protocol import Event, Request, Session, Transmit, Venue
from .findings import Findings, shortened
from .session_log import Call, SessionLog, perform

EVENTS: tuple[type, ...] = Event.__args__

SURPRISES = (
    *((time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter")),
    *((random, name) for name in ("random", "randint", "randrange", "choice", "shuffle")),
    *((random, name) for name in ("uniform", "getrandbits", "randbytes", "sample")),
    *((secrets, name) for name in ("token_bytes", "token_hex", "token_urlsafe", "randbelow")),
    (os, "urandom"),
    (builtins, "open"),
    (socket, "create_connection"),
)
"""What a session is tempted to call; uuid.uuid4() comes down to os.urandom()."""

ALLOWED = (RemoteProtocolError, LocalProtocolError)
"""Errors that may come out of a session: of ``receive`` the first, of ``send`` and ``watch`` the
second."""


class SurpriseError(RuntimeError):
    """A session reached for the world."""


@contextmanager
def no_surprises() -> Iterator[list[str]]:
    """Make clocks, randomness and I/O raise; yield the names of those that were called."""
    called: list[str] = []

    def trap(name: str) -> Any:
        def surprise(*args: object, **kwargs: object) -> Any:
            called.append(name)
            raise SurpriseError(f"a session called {name}()")

        return surprise

    patches = [
        mock.patch.object(module, name, trap(f"{module.__name__}.{name}"))
        for module, name in SURPRISES
    ]
    # To log is no surprise, and a record asks the clock for its own sake.
    patches.append(mock.patch.object(logging.Logger, "isEnabledFor", return_value=False))
    for patch in patches:
        patch.start()
    try:
        yield called
    finally:
        for patch in reversed(patches):
            patch.stop()


def check_calls(venue: Venue, log: SessionLog, found: Findings) -> None:
    """Check what was returned and raised while the session was recorded."""
    found.checking("errors", "lists")
    name = venue.name
    if log.error is not None and not isinstance(log.error, LocalProtocolError):
        found.add(
            "errors",
            f"making a session raised {type(log.error).__name__}: {log.error}.",
            "Raise LocalProtocolError for credentials that cannot be right.",
        )
    for call in log.calls:
        if call.error is not None:
            if not isinstance(call.error, ALLOWED):
                found.add(
                    "errors",
                    f"{call} raised {type(call.error).__name__}: {call.error}.",
                    "Raise RemoteProtocolError for a frame that breaks the protocol,"
                    " LocalProtocolError for a request that cannot be sent; anything else ends the"
                    " client.",
                )
            elif call.method == "receive":
                found.add(
                    "errors",
                    f"a frame of {name} itself was taken for malformed: {call.error}",
                    "Understand it, or return Ignored.",
                )
            continue
        _check_outcome(venue, call, found)


def _check_outcome(venue: Venue, call: Call, found: Findings) -> None:
    outcome = call.outcome
    if call.method in ("open", "receive", "close", "login"):
        if call.method == "login" and outcome is None:
            return
        kinds = (Transmit,) if call.method == "close" else EVENTS
        if type(outcome) is not list:
            found.add(
                "lists",
                f"{call} returned a {type(outcome).__name__} in place of a list.",
                "Return a list that is complete: a generator would run when somebody iterates, or"
                " never.",
            )
            return
        for event in outcome:
            if not isinstance(event, kinds):
                found.add(
                    "lists",
                    f"{call} returned {shortened(event)}, which is no session event.",
                    "Return "
                    + ("Transmit" if call.method == "close" else "events of trioflex.protocol")
                    + " only.",
                )
        if outcome != call.copy:
            found.add(
                "lists",
                f"the list that {call} returned was changed afterwards.",
                "Return a new list each time and forget it.",
            )
    elif call.method == "send":
        if not isinstance(outcome, str):
            found.add("lists", f"{call} returned {shortened(outcome)}.", "Return a frame as text.")
        elif venue.max_send_bytes is not None and len(outcome.encode()) > venue.max_send_bytes:
            found.add(
                "lists",
                f"{call} returned a frame larger than max_send_bytes.",
                "Raise LocalProtocolError for it, or declare the limit that there is.",
            )
    elif outcome is not None and not isinstance(outcome, Request):
        found.add(
            "lists",
            f"{call} returned {shortened(outcome)}.",
            "Return a Request, or None where none is needed.",
        )


def check_purity(venue: Venue, log: SessionLog, found: Findings) -> None:
    """Check that a replay says the same, without the world, and beside another session."""
    found.checking("pure", "replay", "apart")
    if log.error is not None:
        return
    with no_surprises() as called:
        try:
            session, _ = log.fresh(venue)
            replayed = [perform(session, call.method, call.arguments) for call in log.calls]
        except SurpriseError:
            replayed = []
    for name in dict.fromkeys(called):
        found.add(
            "pure",
            f"a session called {name}().",
            "Take time and randomness from its Env (epoch_ms, random_bytes), and leave I/O to the"
            " client.",
        )
    if called:
        return
    _compare(log.calls, replayed, "replay", found)
    # In step with a second one: what they share shows.
    (one, _), (two, _) = log.fresh(venue), log.fresh(venue)
    beside = []
    for call in log.calls:
        perform(one, call.method, call.arguments)
        beside.append(perform(two, call.method, call.arguments))
    if "replay" not in {each.rule for each in found.broken}:
        _compare(log.calls, beside, "apart", found)


REMEDIES = {
    "replay": "Make everything of the credentials, the Env and the calls; iterate over no set, and"
    " give values an __eq__ (attrs or msgspec do).",
    "apart": "Keep a connection's state in its session: no class attribute, no module variable, no"
    " default argument that changes.",
}


def _compare(calls: list[Call], others: list[Call], rule: str, found: Findings) -> None:
    when = "in a replay" if rule == "replay" else "beside another session of the same venue"
    for call, other in zip(calls, others, strict=True):
        if not same(call, other):
            found.add(
                rule,
                f"{call} had another outcome {when}: {shown(call)}, then {shown(other)}.",
                REMEDIES[rule],
            )
            return


def same(call: Call, other: Call) -> bool:
    """Return whether two calls had the same outcome."""
    if call.error is not None or other.error is not None:
        return type(call.error) is type(other.error) and str(call.error) == str(other.error)
    if call.copy is not None and other.copy is not None:
        return call.copy == other.copy
    return bool(call.outcome == other.outcome)


def shown(call: Call) -> str:
    """Return the outcome of a call for people, without the frame of a ``send`` and its secrets."""
    if call.error is not None:
        return f"{type(call.error).__name__} ({call.error})"
    if call.method == "send":
        return f"a frame of {len(str(call.outcome))} characters"
    return shortened(call.outcome)


def continued(venue: Venue, log: SessionLog) -> Session:
    """Return the session as it was before its last goodbye, able to go on."""
    index = len(log.calls)
    while index and log.calls[index - 1].method == "close":
        index -= 1
    return log.at(venue, index)
