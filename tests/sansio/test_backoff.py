"""Delays spread, grow, are reset by a stable connection only, and end."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trioflex._sansio.backoff import RETRY_AFTER_MAX, Backoff, GiveUp, Wait
from trioflex._vocabulary.settings import Reconnect
from trioflex.protocol import Retry

ENDLESS = Reconnect(give_up_after=None)


def backoff(policy=ENDLESS, draw=0.5):
    """Make one that draws the same number each time."""
    return Backoff(policy, lambda: draw)


def delays(subject, count, *, retry=Retry.AGAIN, now=0.0):
    """Fail so often at one time; return the delays."""
    return [subject.failed(now, retry).seconds for _ in range(count)]


# -- how long ------------------------------------------------------------------------------------


def test_the_bound_doubles_up_to_the_cap():
    """Each delay is drawn from [0, min(cap, base * 2**n))."""
    policy = Reconnect(base=1, cap=60, give_up_after=None)

    assert [0.5, 1, 2, 4, 8, 16, 30, 30, 30] == delays(backoff(policy, 0.5), 9)


def test_the_whole_range_is_drawn_from():
    """Full jitter: a delay may be nothing, and comes close to the bound."""
    assert [0.0] * 9 == delays(backoff(draw=0.0), 9)
    almost = math.nextafter(1, 0)
    assert [almost * bound for bound in (1, 2, 4)] == delays(backoff(draw=almost), 3)


def test_a_base_above_the_cap_is_capped():
    """The cap has the last word."""
    assert [5.0, 5.0] == delays(backoff(Reconnect(base=100, cap=10, give_up_after=None)), 2)


def test_thousands_of_failures_stay_at_the_cap():
    """Doubling does not overflow in an outage that lasts for weeks."""
    assert 30.0 == delays(backoff(), 5000)[-1]


def test_later_waits_for_the_policys_least_delay_and_some_jitter():
    """A rate-limited login is neither repeated at once nor by everybody at the same time."""  # L4
    policy = Reconnect(base=1, later=60, give_up_after=None)

    assert [60.5, 61, 62] == delays(backoff(policy), 3, retry=Retry.LATER)


@pytest.mark.parametrize(
    ("retry", "retry_after", "expected"),
    [
        (Retry.AGAIN, 7, 7.5),
        (Retry.AGAIN, 0, 0.5),
        (Retry.AGAIN, -3, 0.5),
        (Retry.AGAIN, math.nan, 0.5),
        (Retry.AGAIN, 10**9, RETRY_AFTER_MAX + 0.5),
        (Retry.AGAIN, math.inf, RETRY_AFTER_MAX + 0.5),
        (Retry.LATER, 7, 60.5),
        (Retry.LATER, 70, 70.5),
    ],
)
def test_what_the_peer_asks_is_the_least_delay(retry, retry_after, expected):
    """Retry-After is honoured, up to an hour, and spread like everything."""  # C4
    assert Wait(expected) == backoff().failed(0, retry, retry_after)


# -- when the bound falls back -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ready_for", "next_delay"), [(0, 4.0), (1, 4.0), (29.9, 4.0), (30, 0.5), (3600, 0.5)]
)
def test_only_a_stable_connection_resets_the_bound(ready_for, next_delay):
    """A venue that accepts and drops is not hammered."""  # W14
    subject = backoff()
    delays(subject, 3)

    subject.ready(100)

    assert Wait(next_delay) == subject.failed(100 + ready_for, Retry.AGAIN)


def test_a_connection_that_was_ready_counts_once():
    """The attempt after a stable connection is not stable by inheritance."""
    subject = backoff()
    subject.ready(0)

    assert [0.5, 1.0, 2.0] == delays(subject, 3, now=100)


# -- attempts ------------------------------------------------------------------------------------


def test_attempts_count_those_of_this_outage():
    """The first attempt of all counts; the connection whose loss began an outage does not."""
    subject = backoff()
    assert 0 == subject.attempts

    delays(subject, 2)
    assert 2 == subject.attempts

    subject.ready(10)
    subject.failed(20, Retry.AGAIN)
    assert 3 == subject.attempts, "it was ready, but not for long"

    subject.ready(30)
    subject.failed(60, Retry.AGAIN)
    assert 0 == subject.attempts, "a stable connection was lost: a new outage"

    subject.failed(61, Retry.AGAIN)
    assert 1 == subject.attempts


def test_losing_the_very_first_connection_early_begins_an_outage():
    """It was made before the outage, so it is no attempt of it."""
    subject = backoff()
    subject.ready(0)

    assert Wait(0.5) == subject.failed(1, Retry.AGAIN)
    assert 0 == subject.attempts


# -- giving up -----------------------------------------------------------------------------------


def test_never_means_never():
    """What cannot get better is not tried, whatever the policy allows."""  # L3
    assert GiveUp("trying again cannot help") == backoff().failed(0, Retry.NEVER)


@pytest.mark.parametrize("retry", [Retry.AGAIN, Retry.LATER])
def test_reconnecting_can_be_switched_off(retry):
    """The first loss is the end."""
    subject = backoff(Reconnect.never())
    subject.ready(0)

    assert GiveUp("reconnecting is switched off") == subject.failed(10**6, retry)


def test_max_attempts_bounds_the_attempts_of_one_outage():
    """Three attempts are allowed and three are made; the next outage has three again."""
    subject = backoff(Reconnect(max_attempts=3, give_up_after=None))
    for began in (1000, 2000):
        subject.ready(began - 100)

        assert Wait(0.5) == subject.failed(began, Retry.AGAIN)
        assert [1.0, 2.0] == delays(subject, 2, now=began)
        verdict = subject.failed(began, Retry.AGAIN)
        assert GiveUp("3 attempts failed (the limit of max_attempts)") == verdict


def test_an_outage_ends_at_give_up_after():
    """At the end, not a moment later."""
    policy = Reconnect(give_up_after=300)

    subject = backoff(policy)
    subject.failed(1000, Retry.AGAIN)
    verdict = subject.failed(1300, Retry.AGAIN)
    assert GiveUp("the outage lasted 300 s (give_up_after)") == verdict

    subject = backoff(policy, draw=0.0)
    subject.failed(1000, Retry.AGAIN)
    assert Wait(0.0) == subject.failed(1299.9, Retry.AGAIN)


def test_the_last_attempt_is_spread_over_what_is_left_and_is_the_last():
    """No delay passes the end, and the clients of one outage do not meet there."""
    subject = backoff(Reconnect(base=60, give_up_after=300))
    subject.failed(0, Retry.AGAIN)

    assert Wait(5.0) == subject.failed(290, Retry.AGAIN), "30 s would be too long: half of 10"
    verdict = subject.failed(295, Retry.AGAIN)
    assert isinstance(verdict, GiveUp)
    assert "the last attempt that fits into an outage of 300 s (give_up_after) failed" in (
        verdict.why
    )


def test_a_delay_that_just_fits_is_an_ordinary_one():
    """At the end is not past the end."""
    subject = backoff(Reconnect(base=20, cap=20, give_up_after=300))
    subject.failed(0, Retry.AGAIN)

    assert Wait(10.0) == subject.failed(290, Retry.AGAIN)


def test_a_stable_connection_after_the_last_attempt_starts_afresh():
    """The end of one outage is not the end of the next."""
    subject = backoff(Reconnect(base=60, give_up_after=300))
    subject.failed(0, Retry.AGAIN)
    subject.failed(290, Retry.AGAIN)
    subject.ready(295)

    assert Wait(30.0) == subject.failed(400, Retry.AGAIN)
    assert Wait(30.0) == subject.failed(401, Retry.AGAIN)


@pytest.mark.parametrize(
    ("retry", "retry_after", "least"),
    [(Retry.LATER, None, 60), (Retry.AGAIN, 20, 20), (Retry.AGAIN, 10, 10)],
)
def test_a_delay_that_the_venue_asks_for_past_the_end_is_the_end(retry, retry_after, least):
    """Trying before it was allowed would be rude, waiting without trying foolish."""  # L4
    subject = backoff(Reconnect(give_up_after=300))
    subject.failed(0, Retry.AGAIN)

    verdict = subject.failed(290, retry, retry_after)

    assert isinstance(verdict, GiveUp)
    assert f"the next attempt is allowed in {least} s, past the end" in verdict.why


def test_a_last_attempt_still_waits_as_long_as_the_venue_asks():
    """What is left is spread behind the least delay."""  # C4
    subject = backoff(Reconnect(base=60, give_up_after=300))
    subject.failed(0, Retry.AGAIN)

    assert Wait(25.0) == subject.failed(270, Retry.AGAIN, 20)


def test_time_spent_connected_is_not_part_of_an_outage():
    """A line that drops every 20 s does not kill a client that is nearly always connected."""  # V2
    subject = backoff(Reconnect(give_up_after=300), draw=0.0)
    now = 0.0
    for _ in range(100):
        subject.ready(now)
        now += 20
        assert Wait(0.0) == subject.failed(now, Retry.AGAIN)
        now += 1

    assert Wait(0.0) == subject.failed(now + 150, Retry.AGAIN)
    assert isinstance(subject.failed(now + 300, Retry.AGAIN), GiveUp)


# -- many clients, many seeds --------------------------------------------------------------------


def attempts_against(seed, *, until, policy=None, ready_for=None):
    """Simulate a client whose stable connection is lost at 0; return the times of its attempts.

    Args:
        seed: of its random numbers.
        until: seconds after which the venue works again, or looking ends.
        policy: the default, if ``None``.
        ready_for: how long the venue keeps each connection before it drops it; ``None``: it
            refuses them.
    """
    subject = Backoff(policy or Reconnect(), random.Random(seed).random)
    subject.ready(-100)
    now, times = 0.0, []
    while isinstance(verdict := subject.failed(now, Retry.AGAIN), Wait):
        now += verdict.seconds
        if now >= until:
            break
        times.append(now)
        if ready_for is not None:
            subject.ready(now)
            now += ready_for
    return times


@pytest.mark.parametrize("ready_for", [None, 0.0, 0.5, 5.0, 29.9])
@pytest.mark.parametrize("policy", [Reconnect(), ENDLESS], ids=["300 s", "endless"])
def test_accepting_and_dropping_is_not_hammered(ready_for, policy):
    """At most 30 attempts in the first five minutes, for every seed."""  # W14
    worst = max(
        len(attempts_against(seed, until=300, policy=policy, ready_for=ready_for))
        for seed in range(1000)
    )

    assert worst <= 30


@pytest.mark.parametrize("outage", [8, 30, 60, 300])
def test_two_hundred_clients_do_not_come_back_at_once(outage):
    """Their attempts during one outage are spread, and no two share a schedule.

    Each makes its first within the first second (that is what a user with a blip wants), so only
    an outage of more than five seconds leaves room for a spread.
    """  # W15
    schedules = [attempts_against(seed, until=outage) for seed in range(200)]
    seconds = Counter(int(time) for schedule in schedules for time in schedule)
    total = seconds.total()

    assert 200 == len({tuple(schedule) for schedule in schedules})
    assert seconds.pop(0) <= 0.40 * total
    assert max(seconds.values()) <= 0.25 * total


def test_the_end_of_an_outage_is_no_meeting_point():
    """The last attempts of 200 clients that give up together are spread as well."""  # W15
    last = [attempts_against(seed, until=math.inf)[-1] for seed in range(200)]

    assert max(last) < 300
    assert max(Counter(int(time) for time in last).values()) <= 0.25 * len(last)


# -- the machine ---------------------------------------------------------------------------------


class BackoffMachine(RuleBasedStateMachine):
    """Any course of attempts, against a model that knows the bounds only."""

    def __init__(self):
        super().__init__()
        self.policy = Reconnect(base=2, cap=50, give_up_after=200, max_attempts=12, later=20)
        self.draw = 0.0
        self.subject = Backoff(self.policy, lambda: self.draw)
        self.now = 0.0
        self.ready_at = None
        self.failures = 0
        self.attempts = 0
        self.unready = 0.0
        self.over = False
        self.last = False
        self.lost_at = None

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds):
        self.now += seconds
        if self.ready_at is None and self.lost_at is not None:
            self.unready += seconds

    @precondition(lambda self: self.ready_at is None and not self.over)
    @rule()
    def become_ready(self):
        self.subject.ready(self.now)
        self.ready_at = self.now

    @precondition(lambda self: not self.over)
    @rule(
        draw=st.floats(0, 1, exclude_max=True),
        retry=st.sampled_from([Retry.AGAIN, Retry.AGAIN, Retry.LATER]),
        retry_after=st.none() | st.floats(0, 300),
    )
    def fail(self, draw, retry, retry_after):
        self.draw = draw
        was_ready, self.ready_at = self.ready_at, None
        if self.lost_at is None or (was_ready is not None and self.now - was_ready >= 30):
            self.failures = self.attempts = 0
            self.unready = 0.0
            self.last = False
            self.lost_at = self.now
            self.attempts -= was_ready is not None
        self.failures += 1
        self.attempts += 1
        verdict = self.subject.failed(self.now, retry, retry_after)

        assert self.attempts == self.subject.attempts
        left = 200 - self.unready
        least = max(20 if retry is Retry.LATER else 0, retry_after or 0)
        bound = min(50, 2 * 2 ** (self.failures - 1))
        if isinstance(verdict, GiveUp):
            self.over = True
            assert self.attempts >= 12 or least >= left - 1e-6 or self.last
            return
        assert self.attempts < 12
        assert left > -1e-6
        assert not self.last
        self.last = least + draw * bound > left
        assert least <= verdict.seconds <= least + bound
        assert verdict.seconds <= left + 1e-6

    @invariant()
    def attempts_are_never_negative(self):
        assert self.subject.attempts >= 0


BackoffMachine.TestCase.settings = settings(deadline=None)
TestBackoffMachine = BackoffMachine.TestCase
