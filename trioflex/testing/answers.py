"""Rules for keys and refusals: whose answer it is, and what a no means."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from .. import RefusalKind
from ..protocol import (
    Correlation,
    Effect,
    Progress,
    Refusal,
    Reply,
    Request,
    Venue,
)
from .findings import Findings, shortened
from .purity import continued
from .session_log import Call, SessionLog, perform

SPARE = 2**30
"""A key that no recorded request has, and that the core could give."""


def kind_of(request: Request[Any]) -> str:
    """Return a request's kind as the core sees it."""
    return request.kind or type(request).__name__


def check_answers(
    venue: Venue, log: SessionLog, refused: Mapping[Request[Any], RefusalKind], found: Findings
) -> None:
    """Check every Reply, Refusal and Progress of a session."""
    found.checking("keys")
    sent: dict[int, Request[Any]] = {}
    waiting: dict[int, Request[Any]] = {}
    for call in log.calls:
        if call.method == "send" and call.error is None:
            request, key = call.arguments
            sent[key] = waiting[key] = request
        for event in call.events:
            if not isinstance(event, (Reply, Refusal, Progress)):
                continue
            kind = event.kind if isinstance(event, Reply) else event.request_kind
            request = _owner(venue, event, kind, sent, waiting, found)
            if isinstance(event, Refusal):
                _check_refusal(event, request, call, refused, found)
            elif isinstance(event, Reply) and request is not None and request in refused:
                found.add(
                    "refusals",
                    f"{type(request).__name__} was replied to, though refused= says that the venue"
                    " refuses it.",
                    "Return a Refusal where the venue says no.",
                )


def _owner(
    venue: Venue,
    event: Reply | Refusal | Progress,
    kind: str,
    sent: Mapping[int, Request[Any]],
    waiting: dict[int, Request[Any]],
    found: Findings,
) -> Request[Any] | None:
    """Return the request an event belongs to, and forget it."""
    name, key = type(event).__name__, event.key
    over = not isinstance(event, Progress)
    if key is not None:
        if type(key) is not int or key not in sent:
            found.add(
                "keys",
                f"a {name} has the key {key!r}, which was never given to send().",
                "Return the key that send() was given with the request, as an integer.",
            )
            return None
        return (waiting.pop(key, None) if over else waiting.get(key)) or sent[key]
    if venue.correlation is Correlation.BY_KEY:
        found.add(
            "keys",
            f"a {name} has no key, though the venue is declared as BY_KEY.",
            "Return the key of its request, or declare the correlation that there is.",
        )
        return None
    if venue.correlation is Correlation.SERIAL:
        candidates = list(waiting)
    else:
        candidates = [each for each, request in waiting.items() if kind_of(request) == kind]
        if kind not in {kind_of(request) for request in sent.values()}:
            found.add(
                "keys",
                f"a {name} without a key names the kind {kind!r}, of which nothing was sent.",
                "Name Request.kind (by default the class name) of the request that is answered.",
            )
    if not candidates:
        return None
    return waiting.pop(candidates[0]) if over else waiting[candidates[0]]


def _check_refusal(
    event: Refusal,
    request: Request[Any] | None,
    call: Call,
    refused: Mapping[Request[Any], RefusalKind],
    found: Findings,
) -> None:
    found.checking("refusals")
    if not isinstance(event.kind, RefusalKind):
        found.add(
            "refusals",
            f"a Refusal has the kind {event.kind!r}.",
            "Choose a RefusalKind; OTHER, if none fits.",
        )
    if not isinstance(event.code, str) or not event.code or not isinstance(event.message, str):
        found.add(
            "refusals",
            f"a Refusal has the code {event.code!r} and the message {event.message!r}.",
            "Pass on the venue's own code as text, as it is; where it has none, say in a word what"
            " the refusal is about.",
        )
    if request is not None and request in refused and event.kind is not refused[request]:
        found.add(
            "refusals",
            f"{type(request).__name__} was refused as {event.kind!s} (code {event.code!r}), not as"
            f" {refused[request]!s}.",
            "Map the venue's codes, or its texts, to RefusalKind.",
        )


def check_correlation(venue: Venue, log: SessionLog, found: Findings) -> None:
    """Check that answers find their requests whatever their order, where replies carry keys."""
    if venue.correlation is not Correlation.BY_KEY:
        return
    asked = [
        (index, call)
        for index, call in enumerate(log.calls)
        if call.method == "send" and call.error is None and call.arguments[0].effect is Effect.READ
    ]
    if not asked:
        return
    request = asked[-1][1].arguments[0]
    session = continued(venue, log)
    frames = [perform(session, "send", (request, SPARE + n)) for n in range(2)]
    if frames[0].error is None and frames[0].outcome == frames[1].outcome:
        found.add(
            "keys",
            f"send({type(request).__name__}) makes the same frame for two keys, though the venue is"
            " declared as BY_KEY.",
            "Put the key, or something it stands for, into the frame; or declare SERIAL.",
        )
        return
    for (first, one), (second, two) in itertools.pairwise(asked):
        answers = [_answer(log, first, second), _answer(log, second, len(log.calls))]
        if None not in answers:
            _check_swapped(venue, log, first, [one, two], answers, found)


def _answer(log: SessionLog, start: int, stop: int) -> Call | None:
    """Return the call with the one Reply to the request sent at ``start``, if it stands alone."""
    for call in log.calls[start + 1 : stop]:
        if call.method != "receive":
            return None
        if [event.key for event in call.events if isinstance(event, Reply)] == [
            log.calls[start].arguments[1]
        ]:
            return call
    return None


def _check_swapped(
    venue: Venue,
    log: SessionLog,
    index: int,
    sends: list[Call],
    answers: list[Any],
    found: Findings,
) -> None:
    session = log.at(venue, index)
    frames = [perform(session, "send", call.arguments).outcome for call in sends]
    if frames != [call.outcome for call in sends]:
        return  # what is sent depends on what came, and so the recorded answers do not fit
    for send, answer in reversed(list(zip(sends, answers, strict=True))):
        call = perform(session, "receive", answer.arguments)
        keys = [event.key for event in call.events if isinstance(event, Reply)]
        if call.error is not None or keys != [send.arguments[1]]:
            found.add(
                "keys",
                f"the answer to {type(send.arguments[0]).__name__} came before an older one's, and"
                f" went to {shortened(keys)} in place of [{send.arguments[1]}]"
                + (f" with {type(call.error).__name__}." if call.error else "."),
                "Remember requests by key, and find the one that an answer names.",
            )
            return
