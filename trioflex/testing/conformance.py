"""The conformance kit: one call that checks a venue against the rules of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from .. import RefusalKind
from ..protocol import Channel, Ready, Reply, Request, Venue
from .answers import check_answers, check_correlation
from .batches import check_batches, check_channels_of, pushed
from .declaration import (
    check_buckets,
    check_declaration,
    check_evidence,
    check_values,
    listed,
)
from .findings import BrokenRule, Findings, VenueCheckFailed, VenueReport
from .hostile import check_hostile
from .purity import check_calls, check_purity
from .redaction import check_redaction, secrets_of
from .rehearsal import recite, rehearse
from .session_log import SessionLog

if TYPE_CHECKING:
    from ..simulator import ExchangeModel, SimulatedExchange


def check_venue(
    venue: Venue,
    *,
    talk: Sequence[Request[Any] | Channel[Any] | str | bytes | Callable[[str], str]],
    exchange: SimulatedExchange | ExchangeModel | str | None = None,
    credentials: Any = None,
    refused: Mapping[Request[Any], RefusalKind] | None = None,
    secrets: Iterable[str] = (),
) -> VenueReport:
    """Check a venue against the rules of the contract (:mod:`trioflex.protocol`).

    Its sessions are recorded while they work, and then replayed, in one piece and in parts, under
    all the conditions the contract speaks of. With ``exchange`` a real client talks to it, under a
    virtual clock; where the venue can be used anonymously, a second one does so before it logs in.
    Without, the talk itself holds the venue's frames, in order::

        def test_the_contract():
            check_venue(
                acme.VENUE,
                credentials=acme.Credentials("joe", "hunter2"),
                talk=[
                    '{"hello": "a challenge"}',
                    '{"login": "ok"}',
                    acme.Echo("hi"),                    # has key 1
                    '{"id": 1, "result": "hi"}',
                    '{"surprise": "of tomorrow"}',
                ],
            )

    The rules, by the names that a failure gives them: *declaration*, *requests*, *channels* (the
    value and its classes make sense), *rehearsal* (what was asked is answered), *errors* (the two
    kinds that may come out of a session), *lists* (complete, of events, never changed afterwards),
    *pure* (no clock, randomness or I/O but ``Env``), *replay* (the same again), *apart* (sessions
    share nothing), *keys*, *refusals*, *pushes* (to listed channels, with folds that hold them),
    *evidence*, *redaction*, *hostile* (cut off, huge, no JSON, wrong in any field), *unknown*,
    *batches* (``receive_batch``, where there is one).

    Call it from an ordinary function: with ``exchange`` it runs Trio itself.

    Args:
        venue: what is checked.
        talk: requests to send and channels to watch, in order; without ``exchange`` also the
            venue's frames, where they arrive, or in place of one a function that makes it from the
            newest frame that was sent (for venues that repeat a name of the session's own making).
            Requests then have the keys 1, 2, 3 and so on, those that start channels included.
        exchange: the far side: a simulated exchange, a model to make one of, or the name of a
            venue that comes simulated.
        credentials: who logs in, ``None`` for nobody.
        refused: requests that the venue refuses, and as what; with ``exchange`` they are sent after
            the talk, unless they are part of it.
        secrets: further texts that must not be shown, besides the fields of the credentials that
            have ``repr=False``.

    Returns:
        What was checked, and with how much.

    Raises:
        VenueCheckFailed: rules are broken; the message lists them, each with a remedy.
        TypeError: the talk holds something else, or frames although there is an exchange.
        ValueError: a request in ``refused`` is not in the talk, where that has the frames.
    """
    found = Findings()
    secrets = tuple(secrets)
    refusals = dict(refused or {})
    check_declaration(venue, found)
    check_values([each for each in talk if isinstance(each, (Request, Channel))], found)
    found.checking("rehearsal")
    if exchange is None:
        logs = recite(venue, credentials, talk, refusals)
    else:
        # The plugin loads this module wherever pytest starts; the simulator is not for everybody.
        from ..simulator import SimulatedExchange

        far_side = (
            exchange if isinstance(exchange, SimulatedExchange) else SimulatedExchange(exchange)
        )
        logs = rehearse(venue, far_side, credentials, talk, refusals, found)
    hostile = _check_logs(venue, logs, refusals, found)
    check_buckets(venue, _requests(logs), found)
    check_evidence(venue, _values(logs), found)
    check_redaction(venue, logs, credentials, secrets, found)
    if found.broken:
        raise VenueCheckFailed(venue.name, _masked(found.broken, credentials, secrets))
    return _report(venue, logs, found, hostile)


def _check_logs(
    venue: Venue,
    logs: list[SessionLog],
    refused: Mapping[Request[Any], RefusalKind],
    found: Findings,
) -> int:
    hostile = 0
    seen: set[Any] = set()
    for log in logs:
        check_calls(venue, log, found)
        check_purity(venue, log, found)
        check_answers(venue, log, refused, found)
        check_correlation(venue, log, found)
        check_channels_of(venue, log, found)
        check_batches(venue, log, found)
        hostile += check_hostile(venue, log, seen, found)
    if not any(isinstance(event, Ready) for log in logs for c in log.calls for event in c.events):
        found.add(
            "rehearsal",
            "no session was ever Ready.",
            "Return Ready() from open() or receive() once requests may be sent; a talk without an"
            " exchange begins with the frames that lead there.",
        )
    return hostile


def _requests(logs: Iterable[SessionLog]) -> list[Request[Any]]:
    return [call.arguments[0] for log in logs for call in log.calls if call.method == "send"]


def _values(logs: Iterable[SessionLog]) -> list[Any]:
    """Return what is weighed as evidence: items of private channels, and replies."""
    values = [value for log in logs for channel, value in pushed(log) if channel.private]
    return values + [
        event.value
        for log in logs
        for call in log.calls
        for event in call.events
        if isinstance(event, Reply)
    ]


def _masked(
    broken: Iterable[BrokenRule], credentials: Any, secrets: Iterable[str]
) -> tuple[BrokenRule, ...]:
    """Take the secrets out of what was quoted: test reports are logs, too."""
    # The longest first: one may be a part of another.
    hidden = sorted(secrets_of(credentials) | set(secrets), key=len, reverse=True)

    def masked(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, "***")
        return text

    return tuple(attrs.evolve(each, what=masked(each.what)) for each in broken)


def _report(venue: Venue, logs: list[SessionLog], found: Findings, hostile: int) -> VenueReport:
    calls = [call for log in logs for call in log.calls]
    used = {type(call.arguments[0]).__name__ for call in calls if call.method in ("send", "watch")}
    return VenueReport(
        venue=venue.name,
        rules=tuple(found.rules),
        sessions=len(logs),
        received=sum(call.method == "receive" for call in calls),
        sent=sum(1 for call in calls for _ in call.transmitted()),
        pushes=sum(1 for log in logs for _ in pushed(log)),
        hostile=hostile,
        untried=tuple(name for name in listed(venue) if name not in used),
    )
