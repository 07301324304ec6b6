"""Limits are kept with room to spare, and not one request slower than that."""

from __future__ import annotations

import math
import random
from bisect import bisect_left

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trioflex._sansio.rates import Rates, jitter
from trioflex._vocabulary.settings import Rate

INFO = Rate(10, per=10)
ORDERS = Rate(200, per=1)
FLOOR_ORDERS = Rate(1000, per=1000)
MIDCHAINS_PUBLIC = Rate(3, per=1, burst=6)
HALF = Rate(0.5, per=1)
UNEVEN = Rate(2.5, per=1)
SINGLE = Rate(4, per=1, burst=1)

ALL = [INFO, ORDERS, MIDCHAINS_PUBLIC, HALF, UNEVEN, SINGLE]


def storm(rate, seconds, *, rates=None, start=0.0):
    """Ask without a pause for so long, as the send loop does; return when requests left."""
    rates = rates or Rates({"bucket": rate})
    now, sent = start, []
    while now < start + seconds:
        ready_at = rates.ready_at("bucket", now)
        if ready_at > now:
            now = ready_at
            continue
        rates.take("bucket", now)
        sent.append(now)
    return sent


def test_a_bucket_without_a_limit_is_always_ready():
    """What a venue does not name it does not limit."""
    rates = Rates({"info": INFO})
    for _ in range(1000):
        assert 5.0 == rates.ready_at("orders", 5.0)
        rates.take("orders", 5.0)


def test_a_window_lets_its_count_through_and_then_waits():
    """Ten at once, the eleventh when the first is out of every window the venue may lay."""
    rates = Rates({"info": INFO})
    for _ in range(10):
        assert rates.ready_at("info", 3.0) <= 3.0
        rates.take("info", 3.0)

    assert 3.0 + 10 + jitter(INFO) == rates.ready_at("info", 3.0)
    assert 3.0 + 10 + jitter(INFO) == rates.ready_at("info", 12.0)
    assert rates.ready_at("info", 13.2) <= 13.2


def test_a_window_slides():
    """Each request makes room for exactly one, a window later."""
    rates = Rates({"info": INFO})
    for n in range(10):
        rates.take("info", float(n))

    assert 0.0 + 10.1 == rates.ready_at("info", 9.5)
    rates.take("info", 10.1)
    assert 1.0 + 10.1 == rates.ready_at("info", 10.1)


def test_a_token_bucket_gives_its_burst_and_then_its_rate():
    """All but one of the burst go at once (the last is the margin's), the rest evenly."""
    sent = storm(MIDCHAINS_PUBLIC, 2.0)

    expected = [0.0] * 5 + [0.05] + [0.05 + n / 3 for n in range(1, 6)]
    assert [pytest.approx(time) for time in expected] == sent


def test_a_token_bucket_fills_up_to_its_burst_and_no_further():
    """An hour of silence saves up one burst."""
    rates = Rates({"bucket": MIDCHAINS_PUBLIC})
    storm(None, 10, rates=rates)

    sent = storm(None, 0.06, rates=rates, start=3600.0)

    assert 6 == len(sent)


@pytest.mark.parametrize(
    ("rate", "seconds", "count"),
    [
        (INFO, 100, 100),
        (ORDERS, 10, 2000),
        (FLOOR_ORDERS, 999, 1000),
        (MIDCHAINS_PUBLIC, 10, 35),
        (HALF, 100, 49),
        (UNEVEN, 100, 192),
        (SINGLE, 10, 34),
    ],
)
def test_little_is_lost_to_the_margin(rate, seconds, count):
    """A storm gets through at close to the venue's own rate."""
    assert count == pytest.approx(len(storm(rate, seconds)), rel=0.06)


def test_buckets_do_not_know_each_other():
    """Orders are not held back by questions."""
    rates = Rates({"info": INFO, "orders": ORDERS})
    for _ in range(10):
        rates.take("info", 0.0)

    assert rates.ready_at("info", 0.0) > 0
    assert rates.ready_at("orders", 0.0) <= 0


@pytest.mark.parametrize("rate", ALL)
def test_what_goes_too_early_is_counted_too(rate):
    """A request that went without waiting still moves the next one back."""
    rates = Rates({"bucket": rate})
    storm(rate, 5, rates=rates)
    before = rates.ready_at("bucket", 5.0)
    for _ in range(math.ceil(rate.capacity)):
        rates.take("bucket", 5.0)

    assert rates.ready_at("bucket", 5.0) > before


# -- three kinds of venue ------------------------------------------------------------------------


class FixedWindow:
    """A venue that starts counting anew every ``per`` seconds, from some moment on."""

    def __init__(self, rate, phase):
        self.rate, self.phase, self.window, self.count = rate, phase, None, 0

    def accepts(self, at):
        window = math.floor((at - self.phase) / self.rate.per)
        if window != self.window:
            self.window, self.count = window, 0
        self.count += 1
        return self.count <= max(1, self.rate.count)


class SlidingWindow:
    """A venue that looks back ``per`` seconds at each request."""

    def __init__(self, rate, phase):
        self.rate, self.seen = rate, []

    def accepts(self, at):
        self.seen = [time for time in self.seen if time > at - self.rate.per]
        self.seen.append(at)
        return len(self.seen) <= max(1, self.rate.count)


class TokenBucket:
    """A venue that refills evenly what was taken."""

    def __init__(self, rate, phase):
        self.rate, self.tokens, self.at = rate, max(1, rate.capacity), None

    def accepts(self, at):
        if self.at is not None:
            refill = (at - self.at) * self.rate.count / self.rate.per
            self.tokens = min(max(1, self.rate.capacity), self.tokens + refill)
        self.at = at
        self.tokens -= 1
        return self.tokens >= -1e-6


def arrivals(sent, rate, seed):
    """Delay each request on the way by up to the margin; they keep their order (it is TCP)."""
    rng = random.Random(seed)
    at = -math.inf
    for time in sent:
        at = max(at, time + 0.02 + rng.random() * jitter(rate) * 0.999)
        yield at


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("venue", [FixedWindow, SlidingWindow, TokenBucket])
@pytest.mark.parametrize("rate", [INFO, ORDERS, HALF, UNEVEN], ids=lambda r: f"{r.count}/{r.per}")
def test_a_storm_is_never_refused_however_the_venue_counts(rate, venue, seed):
    """Ten seconds of asking without a pause, jitter on the way: not one refusal."""  # R8
    server = venue(rate, phase=random.Random(seed).random() * rate.per)

    assert all(server.accepts(at) for at in arrivals(storm(rate, 30), rate, seed))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rate", [MIDCHAINS_PUBLIC, SINGLE], ids=["burst 6", "burst 1"])
def test_a_storm_against_a_token_bucket_is_never_refused(rate, seed):
    """A limit with a burst is what the venue says it is, jitter on the way included."""  # R8
    server = TokenBucket(rate, phase=0)

    assert all(server.accepts(at) for at in arrivals(storm(rate, 30), rate, seed))


@pytest.mark.parametrize("venue", [FixedWindow, SlidingWindow, TokenBucket])
def test_the_simulated_venues_do_refuse(venue):
    """The three judges above are not asleep: one request too many is refused."""
    server = venue(INFO, phase=0)

    assert [*[True] * 10, False] == [server.accepts(1.0) for _ in range(11)]


@settings(deadline=None)
@given(
    rate=st.builds(
        Rate,
        st.floats(0.1, 50),
        per=st.floats(0.1, 100),
        burst=st.none() | st.floats(1, 50),
    ),
    pauses=st.lists(st.floats(0, 20), min_size=1, max_size=60),
)
def test_a_ready_time_is_exact(rate, pauses):
    """Whoever sleeps until the time that was named may go then, without another look."""
    rates = Rates({"bucket": rate})
    now = 0.0
    for pause in pauses:
        now += pause
        ready_at = rates.ready_at("bucket", now)
        if ready_at > now:
            assert ready_at == rates.ready_at("bucket", math.nextafter(ready_at, 0))
            now = ready_at
            assert rates.ready_at("bucket", now) <= now
        rates.take("bucket", now)


class RatesMachine(RuleBasedStateMachine):
    """Whatever is asked when: no window of the venue's holds too many."""

    def __init__(self):
        super().__init__()
        self.rates = Rates({"window": Rate(3, per=1), "bucket": Rate(3, per=1, burst=6)})
        self.now = 0.0
        self.sent = {"window": [], "bucket": []}

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds):
        self.now += seconds

    @rule(bucket=st.sampled_from(["window", "bucket"]))
    def wait_for(self, bucket):
        self.now = max(self.now, self.rates.ready_at(bucket, self.now))

    @rule(bucket=st.sampled_from(["window", "bucket"]))
    def ask(self, bucket):
        if self.rates.ready_at(bucket, self.now) <= self.now:
            self.rates.take(bucket, self.now)
            self.sent[bucket].append(self.now)

    @invariant()
    def no_window_holds_too_many(self):
        sent = self.sent["window"]
        if sent:
            since = sent[-1] - 1
            assert len(sent) - bisect_left(sent, since) <= 3

    @invariant()
    def no_span_exceeds_burst_and_refill(self):
        sent = self.sent["bucket"]
        for n, began in enumerate(reversed(sent), 1):
            assert n <= 6 + (sent[-1] - began) * 3 + 1e-6


RatesMachine.TestCase.settings = settings(deadline=None)
TestRatesMachine = RatesMachine.TestCase
