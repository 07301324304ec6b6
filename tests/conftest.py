"""What all tests share: how hypothesis draws, and that a test which passes has run to its end."""

from __future__ import annotations

import functools
import inspect
import os
import signal
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

import hypothesis
import pytest
import trio

import trioflex
from tests import rows
from trioflex._shell import opening

# Deadlines measure the machine, not the code; the suite has a time limit of its own.
hypothesis.settings.register_profile("here", deadline=None)
# The same examples in every run: a red build must mean that the change is wrong.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


# What a shell runs in the background ignores Ctrl-C, and so would all that these tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    """``--promise W6``: only the tests of that row of docs/explanation/promises.rst."""
    parser.addoption("--promise", metavar="ROW", help="only the tests that show this promise")


def pytest_collection_modifyitems(config, items):
    """Leave the tests that name the row."""
    row = config.getoption("--promise")
    if row is None:
        return
    if row not in rows.rows():
        raise pytest.UsageError(f"--promise {row}: there is no such row in {rows.PAGE}")
    kept = [i for i in items if rows.shows(str(i.path), getattr(i, "originalname", i.name), row)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def is_strange(raised, users):
    """Whether a client raised a group that is not the user's own."""
    return (
        isinstance(raised, BaseExceptionGroup)
        and raised is not users
        and not only_cancelled(raised)
    )


class Watched(AbstractAsyncContextManager):
    """A client of a test, whose way out is looked at: no group of ours reaches a user. # X10"""

    strange: ClassVar = []

    def __init__(self, manager):
        self._manager = manager

    async def __aenter__(self):
        try:
            return await self._manager.__aenter__()
        except BaseException as exc:
            self._look(exc, None)
            raise

    async def __aexit__(self, kind, exc, traceback):
        try:
            return await self._manager.__aexit__(kind, exc, traceback)
        except BaseException as raised:
            self._look(raised, exc)
            raise

    def _look(self, raised, users):
        if is_strange(raised, users):
            self.strange.append(raised)


@functools.wraps(opening.open_client)
def watched_client(*args, _open=opening.open_client, **kwargs):
    return Watched(_open(*args, **kwargs))


trioflex.open_client = opening.open_client = watched_client


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
    Watched.strange.clear()
    outcome = yield
    if Watched.strange and outcome.excinfo is None:
        outcome.force_exception(AssertionError(f"a group reached the user: {Watched.strange!r}"))
    if strays and outcome.excinfo is None:
        outcome.force_exception(
            AssertionError("the test was cancelled by nobody and did not run to its end")
        )


@pytest.fixture(autouse=True)
def no_thread_of_ours_beside_a_virtual_clock(request, monkeypatch):
    """Do at once what we would do in a thread: meanwhile the clock would jump as it likes."""
    if "autojump_clock" not in request.fixturenames:
        return
    in_a_thread = trio.to_thread.run_sync

    async def run_here(function, /, *args, **options):
        if not function.__module__.startswith("trioflex."):
            return await in_a_thread(function, *args, **options)
        await trio.lowlevel.checkpoint()
        return function(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_here)
