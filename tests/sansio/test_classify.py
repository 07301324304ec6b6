"""Whether a lost connection is worth another: the default table."""

from __future__ import annotations

import attrs
import pytest

from trioflex import ConnectFailed, InternalError, RemoteProtocolError
from trioflex._sansio.classify import classify
from trioflex.protocol import Denied, Goodbye, Loss, Retry, Venue


def never_used(credentials, env):
    raise NotImplementedError


VENUE = Venue(name="acme", url="wss://acme.example", session=never_used)


@pytest.mark.parametrize(
    ("loss", "retry"),
    [
        (Loss(message="reset"), Retry.AGAIN),
        (Loss(message="closed", close_code=1000), Retry.AGAIN),
        (Loss(message="closed", close_code=1008), Retry.AGAIN),
        (Loss(message="closed", close_code=4999), Retry.AGAIN),
        (Loss(message="rubbish", error=RemoteProtocolError("rubbish")), Retry.AGAIN),
        (Loss(message="bug", error=InternalError("bug")), Retry.NEVER),
        (Loss(message="no route", error=ConnectFailed("no route")), Retry.AGAIN),
        (Loss(message="bad certificate", error=ConnectFailed("bad", final=True)), Retry.NEVER),
        (Loss(message="denied", denied=Denied("7", "no", Retry.NEVER)), Retry.NEVER),
        (Loss(message="denied", denied=Denied("6", "slow", Retry.LATER)), Retry.LATER),
        (Loss(message="bye", goodbye=Goodbye("bye", reconnect=True)), Retry.AGAIN),
        (Loss(message="bye", goodbye=Goodbye("bye", reconnect=False)), Retry.NEVER),
    ],
)
def test_a_loss_is_again_later_or_never(loss, retry):
    """The cause alone decides."""
    assert retry is classify(VENUE, loss)


@pytest.mark.parametrize(
    ("status", "retry"),
    [
        (301, Retry.NEVER),
        (400, Retry.NEVER),
        (401, Retry.NEVER),
        (403, Retry.NEVER),
        (404, Retry.NEVER),
        (408, Retry.AGAIN),
        (425, Retry.AGAIN),
        (429, Retry.LATER),
        (500, Retry.AGAIN),
        (503, Retry.AGAIN),
    ],
)
def test_a_refused_upgrade_goes_by_its_status(status, retry):
    """Whoever says that the request itself is wrong is not asked again."""
    assert retry is classify(VENUE, Loss(message="refused", http_status=status))


def test_the_venue_has_the_last_word():
    """It may know better than the table, in either direction, or have no opinion."""
    loss = Loss(message="closed", close_code=4001)
    for verdict in (Retry.NEVER, Retry.LATER, Retry.AGAIN):
        venue = attrs.evolve(VENUE, fatal=lambda loss, verdict=verdict: verdict)
        assert verdict is classify(venue, loss)
    assert Retry.AGAIN is classify(attrs.evolve(VENUE, fatal=lambda loss: None), loss)
