"""Silence becomes a ping, a ping without an answer becomes death, and nothing else does."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings, strategies as st

from trioflex._sansio.keepalive import Dead, Ping, Sleep, keepalive
from trioflex._vocabulary.settings import Keepalive

COINFLEX = Keepalive(ping_after=45, pong_within=15)


@pytest.mark.parametrize(
    ("now", "last_in", "ping_sent_at", "expected"),
    [
        pytest.param(0, 0, None, Sleep(45), id="just connected"),
        pytest.param(44.9, 0, None, Sleep(45), id="quiet, but not yet for long"),
        pytest.param(45, 0, None, Ping(), id="quiet for ping_after"),
        pytest.param(59.9, 0, None, Ping(), id="looked late, within pong_within"),
        pytest.param(45, 0, 45, Sleep(60), id="ping just sent"),
        pytest.param(59.9, 0, 45, Sleep(60), id="answer not due yet"),
        pytest.param(46, 45.5, 45, Sleep(90.5), id="pong came"),
        pytest.param(45, 45, 45, Sleep(90), id="pong came in no time"),
        pytest.param(100, 90.5, 45, Sleep(135.5), id="old ping means nothing"),
        pytest.param(135.5, 90.5, 45, Ping(), id="quiet again after an answered ping"),
    ],
)
def test_what_is_done_at_which_time(now, last_in, ping_sent_at, expected):
    """Each cell of the table: who was heard when, and what follows."""
    actual = keepalive(COINFLEX, now=now, last_in=last_in, ping_sent_at=ping_sent_at)

    assert expected == actual


def test_a_ping_without_an_answer_is_death():
    """One missed answer is enough, and it is noticed at idle + pong_within."""  # W6
    verdict = keepalive(COINFLEX, now=60, last_in=0, ping_sent_at=45)

    assert isinstance(verdict, Dead)
    assert "nothing was received for 60.0 s, and nothing at all within 15 s of a ping" in (
        verdict.why
    )


def test_a_clock_that_jumped_is_death():
    """After a laptop's sleep nobody is asked any more: the venue has hung up long since."""  # W12
    verdict = keepalive(COINFLEX, now=3600, last_in=10, ping_sent_at=None)

    assert isinstance(verdict, Dead)
    assert "nothing was received for 3590.0 s" in verdict.why
    assert "the clock jumped" in verdict.why


@pytest.mark.parametrize(("now", "dead"), [(59.999, False), (60, True)])
def test_an_unasked_peer_is_dead_when_an_asked_one_would_be(now, dead):
    """The jump's limit is the one that a ping in time would have led to."""  # W12
    verdict = keepalive(COINFLEX, now=now, last_in=0, ping_sent_at=None)

    assert dead == isinstance(verdict, Dead)


def test_a_clock_that_jumped_after_an_answered_ping_is_death():
    """A ping that was answered before the jump does not count as the one that is missing."""  # W12
    verdict = keepalive(COINFLEX, now=3600, last_in=45.1, ping_sent_at=45)

    assert isinstance(verdict, Dead)
    assert "the clock jumped" in verdict.why


def test_a_clock_that_jumped_while_a_ping_was_out_is_death():
    """The answer is overdue, however it came about."""  # W12
    verdict = keepalive(COINFLEX, now=3600, last_in=0, ping_sent_at=45)

    assert isinstance(verdict, Dead)
    assert "within 15 s of a ping" in verdict.why


@pytest.mark.parametrize(
    ("policy_limit", "venue_limit", "limit"),
    [(50, None, 50), (50, 60, 50), (60, 50, 50), (math.inf, 50, 50), (50, math.inf, 50)],
)
def test_silence_alone_is_death_at_the_shorter_limit(policy_limit, venue_limit, limit):
    """The policy's and the venue's own rhythm are both kept, ping or not."""
    policy = Keepalive(ping_after=100, pong_within=10, dead_after=policy_limit)

    def at(now, ping_sent_at=None):
        return keepalive(
            policy, now=now, last_in=0, ping_sent_at=ping_sent_at, dead_after=venue_limit
        )

    assert Sleep(limit) == at(0)
    assert Sleep(limit) == at(limit - 1, ping_sent_at=limit - 2)
    verdict = at(limit)
    assert isinstance(verdict, Dead)
    assert f"nothing was received for {limit}.0 s (limit {limit} s)" == verdict.why


def test_an_infinite_ping_after_never_pings():
    """Such a policy leaves everything to the venue's rhythm, or to nobody."""
    policy = Keepalive(ping_after=math.inf)

    assert Sleep(math.inf) == keepalive(policy, now=10**6, last_in=0, ping_sent_at=None)
    assert Sleep(60) == keepalive(policy, now=30, last_in=0, ping_sent_at=None, dead_after=60)


def test_an_infinite_pong_within_asks_and_never_gives_up():
    """Whoever does not want to hear about death gets pings for nothing."""
    policy = Keepalive(ping_after=10, pong_within=math.inf)

    assert Ping() == keepalive(policy, now=10**6, last_in=0, ping_sent_at=None)
    assert Sleep(math.inf) == keepalive(policy, now=10**6, last_in=0, ping_sent_at=10)


def live(policy, until, *, frames=(), answer_after=None):
    """Run a heartbeat as the shell does; return the pings' times, the end or ``None``, and when
    the newest frame came."""
    now, last_in, ping_sent_at, pings = 0.0, 0.0, None, []
    arriving = sorted(frames)
    for _ in range(100_000):
        verdict = keepalive(policy, now=now, last_in=last_in, ping_sent_at=ping_sent_at)
        if isinstance(verdict, Dead):
            return pings, now, last_in
        if isinstance(verdict, Ping):
            pings.append(now)
            ping_sent_at = now
            if answer_after is not None:
                arriving = sorted([*arriving, now + answer_after])
            continue
        assert verdict.until > now, "a heartbeat that sleeps until now spins"
        now = verdict.until
        while arriving and arriving[0] <= now:
            last_in = arriving.pop(0)
        if now >= until:
            return pings, None, last_in
    pytest.fail("the heartbeat spins")


@pytest.mark.parametrize("answer_after", [0.0, 0.05, 14.9])
def test_a_quiet_peer_that_answers_lives_for_ever(answer_after):
    """24 hours of a market in which nothing happens, at any speed of answers."""  # W7
    day = 24 * 3600.0
    pings, died, _ = live(COINFLEX, day, answer_after=answer_after)

    assert None is died
    assert math.ceil(day / (45 + answer_after)) - 1 == len(pings)


def test_a_busy_peer_that_never_answers_pings_lives():
    """Any frame counts as life: its pong may be stuck behind bulk data."""  # W8
    pings, died, _ = live(COINFLEX, 3600, frames=[46 * n for n in range(1, 80)])

    assert None is died
    assert 78 == len(pings)


def test_a_silent_peer_dies_within_idle_plus_pong_within():
    """The half-open connection is noticed at its last frame + 60 s."""  # W6
    pings, died, _ = live(COINFLEX, 3600, frames=[1, 2, 7.5])

    assert ([52.5], 67.5) == (pings, died)


TIMES = st.floats(0, 1e9)
SPANS = st.floats(0.001, 1e4)


@settings(deadline=None)
@given(
    ping_after=SPANS | st.just(math.inf),
    pong_within=SPANS,
    dead_after=SPANS | st.just(math.inf),
    last_in=TIMES,
    ping_sent_at=TIMES | st.none(),
    data=st.data(),
)
def test_a_sleep_ends_in_something_else(
    ping_after, pong_within, dead_after, last_in, ping_sent_at, data
):
    """Whoever sleeps as told is not told to sleep until that very time again."""
    policy = Keepalive(ping_after=ping_after, pong_within=pong_within, dead_after=dead_after)
    now = data.draw(st.floats(max(last_in, ping_sent_at or 0), 2e9))

    def at(time):
        return keepalive(policy, now=time, last_in=last_in, ping_sent_at=ping_sent_at)

    verdict = at(now)
    if isinstance(verdict, Sleep):
        assert verdict.until > now
        if verdict.until < math.inf:
            assert not isinstance(at(verdict.until), Sleep)
            assert verdict == at(math.nextafter(verdict.until, 0))


@settings(deadline=None)
@given(
    frames=st.lists(st.floats(0, 1000), max_size=30),
    answer_after=st.none() | st.floats(0, 20),
)
def test_death_comes_neither_early_nor_late(frames, answer_after):
    """The peer is given up exactly if it was silent for 60 s, and never before."""  # W6, W7, W8
    _, died, heard = live(COINFLEX, 2000, frames=frames, answer_after=answer_after)

    if answer_after is not None and answer_after < 15:
        assert died is None
    elif died is not None:
        assert died == pytest.approx(heard + 60)
