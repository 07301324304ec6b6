"""Cancel a scenario after its first step, its second, its third; all must be well each time.

Cancellation can arrive at every ``await``, and tests that try a few of them by hand miss the one
that leaks. :func:`cancellation_sweep` tries them all: it counts the steps that the scenario's tasks
take and then runs it anew once for each of them, on a fresh Trio and an autojump clock, cancelling
it at exactly that point.
"""

from __future__ import annotations

import enum
import gc
import math
import os
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import attrs
import outcome
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

_FD_FOLDERS: Final = ("/proc/self/fd", "/dev/fd")
_LONGEST: Final = 86_400.0
"""Virtual seconds after which a run that was not cancelled is taken for one that hangs."""
_PUSHES: Final = 100
"""How often a run that does not end is interrupted before even that is given up."""


class Verdict(enum.Enum):
    """What must hold after a cancelled run; a fault names the one that did not."""

    ENDS = "ends"
    """It is over within the patience granted, on the virtual clock."""
    CLEAN = "clean"
    """No task is left."""
    CLOSED = "closed"
    """No file descriptor and nothing that the caller watches is left open."""
    QUIET = "quiet"
    """No exception came out of it, no warning was issued, nothing failed in a destructor."""


@attrs.frozen
class SweepFault:
    """One run that did not end well."""

    step: int | None
    """The run was cancelled after this many steps; ``None``: it was not cancelled at all."""
    verdict: Verdict
    detail: str


@attrs.frozen
class SweepReport:
    """What a sweep found."""

    steps: int
    """Points at which the scenario was cancelled."""
    faults: tuple[SweepFault, ...]
    """Empty if all is well."""


def cancellation_sweep(
    scenario: Callable[[], Awaitable[object]],
    *,
    left_open: Callable[[], Sequence[str]] | None = None,
    allowed: tuple[type[Exception], ...] = (),
    patience: float = 60.0,
    max_steps: int = 5000,
    every: int = 1,
    first: int = 0,
) -> SweepReport:
    """Run a scenario once for each of its steps, or for a sample, cancelled at that step.

    Not for use inside Trio: it calls :func:`trio.run` itself, once for each step. ::

        def test_leaving_is_clean_wherever_it_is_cancelled():
            report = cancellation_sweep(connect_talk_close)
            assert () == report.faults

    Args:
        scenario: async function without arguments; everything it needs is made inside it.
        left_open: called after each run; names what should have been closed and is not.
        allowed: exceptions that may come out of a run.
        patience: virtual seconds that a run may take to end once it is cancelled.
        max_steps: longer scenarios are refused.
        every: take only every so many-th step, at least 1: a sample of a long scenario.
        first: the first of the steps taken, at least 0; another one makes another sample. 0 is
            before the first step.

    Returns:
        At how many steps it was cancelled, and every fault found, in the order of the steps.

    Raises:
        ValueError: the scenario has more than ``max_steps`` steps, or none is taken of it, or
            ``every`` or ``first`` is too small.
    """
    if every < 1 or first < 0:
        raise ValueError(
            f"every={every}, first={first} is no sample: every has to be at least 1, first at"
            " least 0"
        )
    faults: list[SweepFault] = []
    # What is alive now is not looked at again and again by the collections after each run.
    gc.collect()
    gc.freeze()
    try:
        faults += _Run(scenario, None, allowed, patience).judge(left_open)
        for number, step in enumerate(range(first, max_steps + every, every)):
            run = _Run(scenario, step, allowed, patience)
            faults += run.judge(left_open)
            if not run.cancelled:  # it was over before
                if number == 0:
                    raise ValueError(f"the scenario has no step {first}; begin with an earlier one")
                return SweepReport(number, tuple(faults))
    finally:
        gc.unfreeze()
    raise ValueError(f"the scenario has more than {max_steps} steps; sweep a part of it")


class _Run(trio.abc.Instrument):
    """One run of the scenario; as an instrument, it counts steps and cancels at the right one."""

    def __init__(
        self,
        scenario: Callable[[], Awaitable[object]],
        step: int | None,
        allowed: tuple[type[Exception], ...],
        patience: float,
    ) -> None:
        self.cancelled = False
        self._scenario = scenario
        self._step = math.inf if step is None else step
        self._label = step
        self._allowed = allowed
        self._patience = patience
        self._counted = 0
        self._counting = False
        self._cancelled_at = math.inf
        self._faults: list[SweepFault] = []

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count; called by Trio."""
        if self._counting and task is not self._watcher:
            self._counted += 1
            if self._counted == self._step:
                self._cancel()

    def _cancel(self) -> None:
        self.cancelled = True
        self._cancelled_at = trio.current_time()
        self._scope.cancel()

    def _fault(self, verdict: Verdict, detail: str) -> None:
        self._faults.append(SweepFault(self._label, verdict, detail))

    def judge(self, left_open: Callable[[], Sequence[str]] | None) -> list[SweepFault]:
        """Run the scenario and return what was wrong."""
        descriptors = _descriptors()
        with _eavesdropping() as overheard:
            trio.run(
                self._main,
                clock=MockClock(autojump_threshold=0),
                instruments=[self],
                strict_exception_groups=True,
            )
            # Some leaks only complain when they are collected.
            gc.collect()
        for text in overheard:
            self._fault(Verdict.QUIET, text)
        if _descriptors() > descriptors:
            more = _descriptors() - descriptors
            self._fault(Verdict.CLOSED, f"{more} more file descriptors are open than before")
        if left_open is not None:
            for name in left_open():
                self._fault(Verdict.CLOSED, f"{name} is still open")
        return self._faults

    async def _main(self) -> None:
        """Run the scenario in a scope and look at what it leaves behind."""
        here = trio.lowlevel.current_task()
        self._watcher = trio.lowlevel.spawn_system_task(self._watch, here)
        living = trio.lowlevel.current_statistics().tasks_living
        # Trio's own tasks begin beside this one, and their first steps are not the scenario's.
        await wait_all_tasks_blocked()
        self._scope = trio.CancelScope()
        with self._scope:
            try:
                if self._step == 0:
                    self._cancel()
                self._counting = True
                await self._scenario()
            except self._allowed:
                pass
            except BaseException as exc:
                self._judge_exception(exc)
        self._counting = False
        took = trio.current_time() - self._cancelled_at
        if took > self._patience:
            self._fault(Verdict.ENDS, f"took {took:g} s to end after it was cancelled")
        left = trio.lowlevel.current_statistics().tasks_living - living
        if left > 0:
            self._fault(Verdict.CLEAN, f"{left} tasks are left")

    def _judge_exception(self, exc: BaseException) -> None:
        """Record what came out, unless it is the cancellation that was asked for."""
        rest: BaseException | None = exc
        if self.cancelled:
            if isinstance(exc, trio.Cancelled):
                rest = None
            elif isinstance(exc, BaseExceptionGroup):
                rest = exc.split(trio.Cancelled)[1]
        group = rest if isinstance(rest, BaseExceptionGroup) else None
        if isinstance(rest, _Interrupted) or (group and group.subgroup(_Interrupted) is not None):
            self._fault(Verdict.ENDS, "did not end by itself")
        elif rest is not None:
            self._fault(Verdict.QUIET, f"raised {rest!r}")

    async def _watch(self, main: trio.lowlevel.Task) -> None:
        """Interrupt a scenario that does not end although it was cancelled."""
        pushes = 0
        while pushes < _PUSHES:
            await trio.sleep(self._patience + 1)
            limit = self._cancelled_at + self._patience if self.cancelled else _LONGEST
            if self._counting and trio.current_time() > limit:
                await wait_all_tasks_blocked()
                # Only who is blocked can be woken. What they waited for is in no good state
                # afterwards, but this Trio ends here anyway.
                for task in _leaves(main) if self._counting else ():
                    trio.lowlevel.reschedule(task, outcome.Error(_Interrupted()))
                pushes += 1


class _Interrupted(BaseException):
    """Thrown into what does not end by itself."""


def _leaves(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    """Yield the tasks below ``task`` that wait for something other than their children."""
    children = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    if not children:
        yield task
    for child in children:
        yield from _leaves(child)


def _descriptors() -> int:
    """Return how many file descriptors are open, or 0 where one cannot tell."""
    for folder in _FD_FOLDERS:
        if os.path.isdir(folder):
            return len(os.listdir(folder))
    return 0


@contextmanager
def _eavesdropping() -> Iterator[list[str]]:
    """Collect warnings, and exceptions that nobody can catch, in words."""
    overheard: list[str] = []

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        overheard.append(f"nobody could catch {args.exc_value!r} in {args.object!r}")

    previous = sys.unraisablehook
    sys.unraisablehook = unraisable
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield overheard
        overheard += [f"warned: {warning.message}" for warning in caught]
    finally:
        sys.unraisablehook = previous
