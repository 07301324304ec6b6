"""A thread with a Trio run in it that holds one asynchronous context open for other threads.

Theory of operation
-------------------

The thread runs one task that enters the context, waits until it is told to leave, and leaves. What
other threads ask for are *jobs*: tasks beside it, each with a future its caller waits for. Nothing
of a job is left behind when its caller stops waiting: an exception that arrives in the caller while
it waits (Ctrl-C, most of the time) cancels the job and then waits for its end, which comes at once
because everything a client does can be cancelled.

The order of the end: the context is left (a client's polite close takes three seconds at most),
then jobs that are still under way are cancelled, then the thread ends.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future, wait
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Generic, TypeVar

import anyio
import trio
from anyio.from_thread import BlockingPortal

R = TypeVar("R")
T = TypeVar("T")


class Job(Generic[R]):
    """One call from another thread."""

    def __init__(self, function: Callable[..., Awaitable[R]], arguments: tuple[Any, ...]) -> None:
        self._function = function
        self._arguments = arguments
        self._scope = trio.CancelScope()
        self._began = False
        self.done: Future[R] = Future()

    async def run(self) -> None:
        """Do it, in the thread of the host."""
        if self.done.done():
            return  # given up before it began
        self._began = True
        try:
            with self._scope:
                self.done.set_result(await self._function(*self._arguments))
                return
        except trio.Cancelled:
            self.done.set_exception(trio.ClosedResourceError("it was closed meanwhile"))
            raise
        except BaseException as exc:
            self.done.set_exception(exc)
            if not isinstance(exc, Exception):
                raise
        else:
            self.done.set_exception(CancelledError())

    async def cancel(self) -> None:
        """Give it up, in the thread of the host."""
        self._scope.cancel()
        if not self._began:
            # Ctrl-C may have come before it was handed over, and then it never begins.
            self.done.set_exception(CancelledError())


class Host(Generic[T]):
    """Holds a context open in a thread of its own.

    Args:
        manager: the context.
        what: what it is, in error messages: ``"the client of coinflex"``.
    """

    def __init__(self, manager: AbstractAsyncContextManager[T], what: str) -> None:
        self._manager = manager
        self._what = what
        self._portal: Future[BlockingPortal] = Future()
        self._opened: Future[T] = Future()
        self._scope = trio.CancelScope()
        self._leave: trio.Event | None = None
        self._failure: BaseException | None = None
        self._over = threading.Event()
        # A daemon, because a program that never leaves must still be able to end.
        self._thread = threading.Thread(target=self._run, name=f"trioflex: {what}", daemon=True)

    # -- from other threads --------------------------------------------------------------------

    def open(self) -> T:
        """Start the thread and enter the context.

        Returns:
            What the context gives.

        Raises:
            BaseException: what entering raised.
        """
        self._thread.start()
        try:
            return self._opened.result()
        except BaseException:
            self._drop()
            raise

    def call(self, function: Callable[..., Awaitable[R]], *arguments: object) -> R:
        """Have something done in the thread, and wait for it.

        Args:
            function: what.
            arguments: with what.

        Returns:
            What it returns.

        Raises:
            BaseException: what it raises, the same object.
            trio.ClosedResourceError: the context has been left.
            RuntimeError: the caller *is* that thread, which cannot wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                f"{self._what} cannot be used from its own thread, an observer's methods for one: "
                "they would wait for themselves"
            )
        job = Job(function, arguments)
        portal = self._portal.result()
        started = False
        try:
            portal.start_task_soon(job.run)
            started = True
            return job.done.result()
        except BaseException as exc:
            if not started and isinstance(exc, RuntimeError):
                raise trio.ClosedResourceError(f"{self._what} is closed") from None
            if not job.done.done():
                self._abandon(portal, job)
            raise

    def do(self, function: Callable[..., R], *arguments: object) -> R:
        """Have something synchronous done in the thread; otherwise as :meth:`call`."""

        async def done() -> R:
            return function(*arguments)

        return self.call(done)

    def close(self) -> BaseException | None:
        """Leave the context, and wait until the thread is over.

        Returns:
            What leaving raised.
        """
        try:
            if self._leave is not None:
                with suppress(trio.ClosedResourceError):  # it has left already, by itself
                    self.do(self._leave.set)
            self._join()
        except BaseException:
            # Asked twice to hurry: no polite close any more.
            self._drop()
            raise
        return self._failure

    def _abandon(self, portal: BlockingPortal, job: Job[Any]) -> None:
        try:
            portal.start_task_soon(job.cancel)
        except RuntimeError:
            return  # the run is over, and so is the job
        wait([job.done])

    def _drop(self) -> None:
        """Leave at once, and wait for the end of the thread."""

        async def cancel() -> None:
            self._scope.cancel()

        with suppress(CancelledError, RuntimeError):  # the run is over already
            self._portal.result().start_task_soon(cancel)
        self._join()

    def _join(self) -> None:
        """Wait until the thread is over."""
        # Before 3.13 a join() that Ctrl-C ends takes the thread for one that has ended.
        self._over.wait()
        self._thread.join()

    # -- in the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            anyio.run(self._hold, backend="trio")
        except BaseException as exc:
            # Nothing is lost: it is raised where the context is opened or left.
            self._failure = exc
        finally:
            self._portal.cancel()
            if not self._opened.done():
                self._opened.set_exception(
                    self._failure or trio.ClosedResourceError(f"{self._what} was never opened")
                )
            self._over.set()

    async def _hold(self) -> None:
        async with BlockingPortal() as portal:
            self._portal.set_result(portal)
            try:
                with self._scope:
                    await self._enter_and_leave()
            finally:
                await portal.stop(cancel_remaining=True)

    async def _enter_and_leave(self) -> None:
        try:
            async with self._manager as value:
                self._leave = trio.Event()
                self._opened.set_result(value)
                await self._leave.wait()
        except Exception as exc:
            self._failure = exc
            # What failed by itself can still be asked: for what was buffered, and for the reason.
            if self._leave is not None:
                await self._leave.wait()
