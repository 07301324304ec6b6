"""What all tests share: how hypothesis draws, and that a test which passes has run to its end."""

from __future__ import annotations

import functools
import inspect
import os

import hypothesis
import pytest
import trio

# Deadlines measure the machine, not the code; the suite has a time limit of its own.
hypothesis.settings.register_profile("here", deadline=None)
# The same examples in every run: a red build must mean that the change is wrong.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


def only_cancelled(exc):
    """Whether nothing but cancellation is in here."""
    if isinstance(exc, BaseExceptionGroup):
        return all(only_cancelled(inner) for inner in exc.exceptions)
    return isinstance(exc, trio.Cancelled)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_call(item):
    """Fail a test that was cancelled and passed all the same.

    pytest-trio takes a ``Cancelled`` out of a test for the echo of a failure elsewhere. Where
    nothing failed elsewhere it is a stray one, of the kind that skips the rest of a program in
    silence, and the rest of a test too.
    """
    strays = []
    test = getattr(item, "obj", None)
    if inspect.iscoroutinefunction(test) and not hasattr(test, "hypothesis"):

        @functools.wraps(test)
        async def watched(*args, **kwargs):
            try:
                return await test(*args, **kwargs)
            except BaseException as exc:
                if only_cancelled(exc):
                    strays.append(exc)
                raise

        item.obj = watched
    outcome = yield
    if strays and outcome.excinfo is None:
        outcome.force_exception(
            AssertionError("the test was cancelled by nobody and did not run to its end")
        )
