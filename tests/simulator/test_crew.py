"""What comes out of a block with background tasks."""

from __future__ import annotations

import signal

import pytest
import trio
import trio.testing

from trioflex.simulator.crew import open_crew


async def fail(error: BaseException, after: float = 0) -> None:
    await trio.sleep(after)
    raise error


async def test_tasks_end_with_the_block(autojump_clock):
    """Leaving the block cancels its tasks; nothing is raised."""
    ended = []

    async def work():
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async with open_crew() as crew:
        crew.start_soon(work)
        await trio.sleep(1)
    assert [1.0] == ended


async def test_the_blocks_exception_is_the_same_object(autojump_clock):
    """No group is put around what the block raises, and nothing is chained to it."""
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with open_crew() as crew:
            crew.start_soon(trio.sleep_forever)
            raise error
    assert caught.value is error
    assert error.__context__ is None


async def test_a_group_of_the_block_stays_that_group():
    """The user's own group comes out as it went in."""
    group = ExceptionGroup("mine", [ValueError(1), KeyError(2)])
    with pytest.raises(ExceptionGroup) as caught:
        async with open_crew() as crew:
            crew.start_soon(trio.sleep_forever)
            raise group
    assert caught.value is group


async def test_a_failing_task_ends_the_block_with_its_error(autojump_clock):
    """The block is cancelled, and the task's error comes out alone."""
    error = KeyError("task")
    with pytest.raises(KeyError) as caught:
        async with open_crew() as crew:
            crew.start_soon(fail, error, 1)
            await trio.sleep_forever()
    assert caught.value is error
    assert 1.0 == trio.current_time()


def test_a_task_that_is_cancelled_within_a_nursery_has_not_failed():
    """Nurseries wrap the cancellation of their children into groups."""

    async def work():
        async with trio.open_nursery(strict_exception_groups=True) as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(trio.sleep_forever)

    async def main():
        async with open_crew() as crew:
            crew.start_soon(work)
            await trio.testing.wait_all_tasks_blocked()
        return "left"

    # Not under pytest-trio, which takes a group of cancellations for the end of the test.
    assert "left" == trio.run(main)


async def test_ctrl_c_in_a_task_is_ctrl_c(autojump_clock):
    """It may be any task that Python interrupts; the block hears of it as itself."""
    with pytest.raises(KeyboardInterrupt):
        async with open_crew() as crew:
            crew.start_soon(fail, KeyboardInterrupt(), 1)
            await trio.sleep_forever()


async def test_only_the_first_failure_counts(autojump_clock):
    """Errors of tasks that are being torn down are noise."""

    async def fail_late():
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("late")

    with pytest.raises(ValueError, match="early"):
        async with open_crew() as crew:
            crew.start_soon(fail_late)
            crew.start_soon(fail, ValueError("early"), 1)
            await trio.sleep_forever()


async def test_an_error_while_being_torn_down_gets_a_note(autojump_clock):
    """The block's error goes first; the task's is not lost."""
    error = ValueError("clean-up failed")
    with pytest.raises(ValueError, match="clean-up") as caught:
        async with open_crew() as crew:
            crew.start_soon(fail, KeyError("task"))
            try:
                await trio.sleep_forever()
            finally:
                raise error
    assert caught.value is error
    assert ["The simulated exchange had failed before: KeyError('task')"] == error.__notes__


async def test_a_nested_nursery_that_is_torn_down_leaves_no_cancellation_behind(autojump_clock):
    """A group of the block that holds our own cancellation is filtered before it comes out."""

    async def complain():
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("complaint")

    with pytest.raises(ExceptionGroup) as caught:
        async with open_crew() as crew:
            crew.start_soon(fail, KeyError("task"), 1)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(complain)
                nursery.start_soon(trio.sleep_forever)
    assert (None, True) == (
        caught.value.subgroup(trio.Cancelled),
        caught.value.subgroup(ValueError) is not None,
    )


async def test_a_cancellation_from_outside_passes_through(autojump_clock):
    """The caller's own scope catches it."""
    with trio.move_on_after(2) as scope:
        async with open_crew() as crew:
            crew.start_soon(trio.sleep_forever)
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert 2.0 == trio.current_time()


async def test_an_error_of_a_task_outranks_a_cancellation(autojump_clock):
    """Cancelled and failed at once: the error is what the caller hears."""

    async def fail_when_cancelled():
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("task")

    with pytest.raises(KeyError):
        with trio.move_on_after(1):
            async with open_crew() as crew:
                crew.start_soon(fail_when_cancelled)
                await trio.sleep_forever()


async def test_dismissing_ends_the_block_in_silence(autojump_clock):
    """Whoever dismisses the crew ends the block without an error."""
    async with open_crew() as crew:
        crew.dismiss()
        await trio.sleep_forever()
    assert 0.0 == trio.current_time()


def test_ctrl_c_while_the_tasks_leave_is_not_lost():
    """It came after the block and before anything else could be interrupted."""

    async def takes_leave():
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                signal.raise_signal(signal.SIGINT)
                await trio.sleep(1)

    async def main():
        async with open_crew() as crew:
            crew.start_soon(takes_leave)
            await trio.sleep(1)

    # Protected, as Trio's own code is: then it comes out of whatever the main task waits for.
    takes_leave = trio.lowlevel.enable_ki_protection(takes_leave)
    with pytest.raises(KeyboardInterrupt):
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
