"""What went wrong, as an exit status and a sentence."""

from __future__ import annotations

import ssl

import pytest

import trioflex
from trioflex.cli.exits import Status, Terminated, reason_of, sentence_of, status_of
from trioflex.tape import TapeError

CASES = [
    (trioflex.Refused("no", code="4", text="no"), 3),
    (trioflex.SubscriptionRefused("no", channel=None, code="1", text="no"), 3),
    (trioflex.OutcomeUnknown("?"), 4),
    (trioflex.SubscriptionRefused("no such asset", channel=None, code="local", text="no"), 2),
    (trioflex.NotSent("not"), 5),
    (trioflex.NotSent("too large", permanent=True), 2),
    (trioflex.AuthenticationDenied("denied", code="7", text="denied"), 6),
    (trioflex.AuthenticationTimeout("late"), 6),
    (trioflex.HandshakeTimeout("late"), 6),
    (trioflex.ConnectFailed("nobody listens"), 7),
    (trioflex.ConnectionLost("gone"), 8),
    (trioflex.ReplyLost("gone"), 8),
    (trioflex.SubscriptionTimeout("late", channel=None), 8),
    (trioflex.RemoteProtocolError("not JSON"), 9),
    (trioflex.LocalProtocolError("a float"), 2),
    (TapeError("cut off"), 2),
    (trioflex.InternalError("bug"), 1),
    (ZeroDivisionError("bug"), 1),
    (KeyboardInterrupt(), 130),
    (Terminated(), 143),
]


@pytest.mark.parametrize(("error", "status"), CASES, ids=lambda case: type(case).__name__)
def test_each_error_has_its_status(error, status):
    """Scripts can tell what happened from the number alone."""
    assert status == status_of(error)


def test_every_error_of_ours_was_thought_of():
    """A new leaf of the error tree needs a status of its own, or is a bug."""

    def leaves(kind: type[BaseException]) -> list[type[BaseException]]:
        children = kind.__subclasses__()
        return [kind] if not children else [leaf for c in children for leaf in leaves(c)]

    covered = {type(error) for error, _ in CASES}
    # A reader too slow for its own FAIL policy is the command's own fault; the seam's own error
    # is turned into a loss before anybody above the client sees it.
    covered |= {trioflex.ReceiverOverflow}
    strangers = {
        leaf
        for leaf in leaves(trioflex.TrioflexError)
        if leaf.__module__.startswith("trioflex") and leaf.__name__ != "Disconnected"
    }
    assert set() == strangers - covered


def test_a_group_speaks_with_its_most_telling_member():
    """An unknown outcome matters more than the lost connection that made it unknown."""
    lost = trioflex.ConnectionLost("gone")
    unknown = trioflex.OutcomeUnknown("order 7 may be open")
    group = BaseExceptionGroup("", [lost, BaseExceptionGroup("", [unknown])])
    assert unknown is reason_of(group)
    assert Status.OUTCOME_UNKNOWN is status_of(group)
    assert "order 7 may be open" == sentence_of(group)


def test_ctrl_c_needs_no_words():
    """Who pressed it knows."""
    assert "" == sentence_of(BaseExceptionGroup("", [KeyboardInterrupt()]))


def test_a_bug_asks_to_be_reported():
    """A person is told what to do, not where our code stands."""
    sentence = sentence_of(ZeroDivisionError("division by zero"))
    assert "ZeroDivisionError: division by zero" in sentence
    assert "--debug" in sentence
    assert "\n" not in sentence


def test_an_unknown_authority_names_the_remedy():
    """A private authority is the usual reason on a test network."""
    error = trioflex.ConnectFailed("the certificate of localhost is not trusted")
    error.__cause__ = ssl.SSLCertVerificationError()
    assert "--ca-file" in sentence_of(error)
