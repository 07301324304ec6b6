"""Allowances of the far side: the stated numbers, and no surprise for who keeps them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trioflex.simulator import Limit
from trioflex.simulator.limits import MICROSECONDS, Allowance

limits = st.builds(Limit, st.integers(1, 1_000), st.integers(1, 3_600))


def taken(allowance: Allowance, now: int, attempts: int) -> int:
    return [allowance.take(now) for _ in range(attempts)].count(True)


@given(limits, st.integers(0, 10**16))
def test_the_capacity_may_come_at_once(limit, now):
    """All of it, and not much more."""
    most = taken(Allowance(limit), now, 2 * limit.count + 2)
    assert limit.count <= most <= limit.count + max(limit.count // 20, 0)


@given(limits, st.lists(st.integers(0, 10**7), max_size=60))
def test_who_keeps_a_bucket_is_never_refused(limit, waits):  # R8
    """A client with a bucket of the stated capacity and mean rate, whenever it sends."""
    allowance = Allowance(limit)
    now, tokens = 10**15, limit.count * limit.seconds * MICROSECONDS
    full = tokens
    for wait in waits:
        now += wait
        tokens = min(tokens + wait * limit.count, full)
        while tokens >= limit.seconds * MICROSECONDS:
            tokens -= limit.seconds * MICROSECONDS
            assert allowance.take(now)


def test_a_used_up_allowance_comes_back_at_the_mean_rate():
    """Ten in ten seconds: one a second after a burst."""
    allowance = Allowance(Limit(10, 10))
    second = MICROSECONDS
    assert 10 == taken(allowance, 0, 20)
    assert [0, 1, 0, 3] == [
        taken(allowance, at, 20) for at in (second // 3, second, second, 4 * second)
    ]


def test_an_early_arrival_is_let_through():
    """The network may deliver two requests closer together than they were sent."""
    allowance = Allowance(Limit(10, 10))
    assert 10 == taken(allowance, 0, 20)
    assert allowance.take(MICROSECONDS - MICROSECONDS // 2)
    assert not allowance.take(MICROSECONDS)


def test_refusals_do_not_count():
    """Who asks too often is let through as soon as who waited."""
    patient, eager = Allowance(Limit(2, 10)), Allowance(Limit(2, 10))
    for allowance in (patient, eager):
        assert 2 == taken(allowance, 0, 2)
    assert 0 == taken(eager, MICROSECONDS, 100)
    assert patient.take(5 * MICROSECONDS)
    assert eager.take(5 * MICROSECONDS)


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0), (-1, 1)])
def test_limits_are_positive(numbers):
    """A limit of nothing would be a venue that answers nothing."""
    with pytest.raises(ValueError, match="from 1 on"):
        Limit(*numbers)
