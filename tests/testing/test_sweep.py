"""The cancellation sweep finds what goes wrong, and nothing else."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress

import pytest
import trio

from trioflex.testing import SweepReport, Verdict, cancellation_sweep


def verdicts(report: SweepReport) -> set[Verdict]:
    return {fault.verdict for fault in report.faults}


def test_a_good_scenario_has_no_faults_and_is_cancelled_at_every_step():
    """Tasks, timeouts and clean-up that works: nothing to report."""
    reached: set[str] = set()

    async def child() -> None:
        await trio.sleep(1)
        reached.add("child")

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            await trio.sleep(3600)
        reached.add("end")

    report = cancellation_sweep(scenario)
    assert () == report.faults
    assert {"child", "end"} == reached
    # sleep, child's sleep, child's end, nursery's end, and the step that returns
    assert 4 <= report.steps <= 8


def test_a_leaked_descriptor_is_seen():
    """CLOSED: one await between opening and the block that closes."""
    opened: list[int] = []

    async def scenario() -> None:
        fd = os.open(os.devnull, os.O_RDONLY)
        opened.append(fd)
        await trio.lowlevel.checkpoint()
        try:
            await trio.lowlevel.checkpoint()
        finally:
            os.close(fd)

    report = cancellation_sweep(scenario)
    assert {Verdict.CLOSED} == verdicts(report)
    assert [0, 1] == sorted({fault.step for fault in report.faults if fault.step is not None})[:2]
    for fd in opened:
        with suppress(OSError):
            os.close(fd)


def test_what_the_caller_watches_is_reported_by_name():
    """CLOSED: the caller's own list of open things."""

    async def scenario() -> None:
        await trio.lowlevel.checkpoint()

    report = cancellation_sweep(scenario, left_open=lambda: ["the till"])
    assert {"the till is still open"} == {fault.detail for fault in report.faults}


def test_an_exception_instead_of_the_cancellation_is_seen():
    """QUIET: clean-up that fails when it is cancelled."""

    async def scenario() -> None:
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            raise RuntimeError("oops") from None

    report = cancellation_sweep(scenario)
    assert {Verdict.QUIET} == verdicts(report)
    assert "RuntimeError" in report.faults[0].detail
    assert () == cancellation_sweep(scenario, allowed=(RuntimeError,)).faults


def test_a_warning_and_a_failing_destructor_are_seen():
    """QUIET: also what no caller could catch."""

    class Grumpy:
        def __del__(self) -> None:
            raise RuntimeError("dropped")

    async def scenario() -> None:
        warnings.warn("careful", ResourceWarning, stacklevel=1)
        Grumpy()
        await trio.lowlevel.checkpoint()

    report = cancellation_sweep(scenario)
    assert {Verdict.QUIET} == verdicts(report)
    assert any("careful" in fault.detail for fault in report.faults)
    assert any("dropped" in fault.detail for fault in report.faults)


def test_a_task_left_behind_is_seen():
    """CLEAN: a system task outlives its scenario."""

    async def scenario() -> None:
        trio.lowlevel.spawn_system_task(trio.sleep_forever)
        await trio.lowlevel.checkpoint()

    assert {Verdict.CLEAN} == verdicts(cancellation_sweep(scenario))


def test_slow_clean_up_is_seen_on_the_virtual_clock():
    """ENDS: a shield longer than the patience."""

    async def scenario() -> None:
        try:
            await trio.lowlevel.checkpoint()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(61)

    report = cancellation_sweep(scenario, patience=60)
    assert {Verdict.ENDS} == verdicts(report)
    assert () == cancellation_sweep(scenario, patience=62).faults


def test_patience_may_be_nothing_at_all():
    """Cancellation means now: not one virtual second is granted."""

    async def prompt() -> None:
        await trio.sleep(5)

    async def slow() -> None:
        try:
            await trio.sleep(5)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.1)

    assert () == cancellation_sweep(prompt, patience=0).faults
    assert {Verdict.ENDS} == verdicts(cancellation_sweep(slow, patience=0))


def test_a_scenario_that_never_ends_is_interrupted_and_reported():
    """ENDS: a shielded wait for ever does not hang the sweep."""

    async def stuck() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    async def hanging() -> None:
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stuck)
            raise

    report = cancellation_sweep(hanging)
    assert Verdict.ENDS in verdicts(report)


def test_a_scenario_that_hangs_without_any_cancellation_is_reported():
    """The first run of a sweep is not cancelled, and must end as well."""
    runs = 0

    async def scenario() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            await trio.sleep_forever()

    report = cancellation_sweep(scenario)
    assert [(None, Verdict.ENDS)] == [(fault.step, fault.verdict) for fault in report.faults]


def test_a_scenario_without_an_end_in_sight_is_refused():
    """More steps than wanted."""

    async def scenario() -> None:
        for _ in range(100):
            await trio.lowlevel.checkpoint()

    with pytest.raises(ValueError, match="more than 10 steps"):
        cancellation_sweep(scenario, max_steps=10)


def test_a_sample_takes_every_so_many_th_step():
    """From the first that is wanted on; with all first ones, every step is taken once."""
    taken: list[int] = []

    async def scenario() -> None:
        done = 0
        try:
            for _ in range(10):
                await trio.lowlevel.checkpoint()
                done += 1
        except trio.Cancelled:
            taken.append(done)
            raise

    whole = cancellation_sweep(scenario)
    everywhere, taken[:] = list(taken), []
    samples = [cancellation_sweep(scenario, every=3, first=first) for first in range(3)]
    assert whole.steps == sum(sample.steps for sample in samples)
    assert sorted(everywhere) == sorted(taken)
    assert 3 <= min(sample.steps for sample in samples)


@pytest.mark.parametrize(
    ("sample", "wrong"),
    [
        ({"every": 0}, "every has to be at least 1"),
        ({"first": -1}, "first at least 0"),
        ({"first": 100}, "no step 100"),
    ],
)
def test_a_sample_of_nothing_is_refused(sample, wrong):
    """It would find nothing whatever there is."""
    with pytest.raises(ValueError, match=wrong):
        cancellation_sweep(trio.lowlevel.checkpoint, **sample)
