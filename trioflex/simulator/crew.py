"""Background tasks beside a block, without an exception group of ours ever coming out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio


class Crew:
    """The background tasks of one block. One that fails is recorded and ends the block."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.failure: BaseException | None = None

    def start_soon(self, work: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run ``work(*args)`` until it returns, or until the block ends."""
        self._nursery.start_soon(self._run, work, args)

    def dismiss(self) -> None:
        """Cancel the tasks, and the block if it still runs."""
        self._nursery.cancel_scope.cancel()

    async def _run(self, work: Callable[..., Awaitable[None]], args: tuple[object, ...]) -> None:
        try:
            await work(*args)
        except BaseException as exc:
            failure = _without_cancellations(exc)
            if failure is None:
                raise
            # KeyboardInterrupt as well, which may arrive in any task. Recorded, not swallowed:
            # open_crew raises it when everybody has left. Raised here it would come out in a
            # group with whatever the block raises.
            if self.failure is None:
                self.failure = failure
            self.dismiss()


def _without_cancellations(exc: BaseException) -> BaseException | None:
    """Return what an exception says besides that somebody was cancelled, ``None``: nothing.

    Nurseries wrap cancellations, too: theirs may come as a group with nothing else in it.
    """
    if isinstance(exc, BaseExceptionGroup):
        return exc.split(trio.Cancelled)[1]
    return None if isinstance(exc, trio.Cancelled) else exc


@asynccontextmanager
async def open_crew() -> AsyncIterator[Crew]:
    """Run background tasks beside a block; they are cancelled when the block ends.

    Raises:
        BaseException: what the block raised, the same object; else what the first task to fail
            raised. An error of a task outranks a cancellation of the block.

    Cancellation: the block and its tasks are cancelled together.
    """
    raised: BaseException | None = None
    caught: BaseException | None = None
    try:
        # Explicitly strict: a caller's trio.run(strict_exception_groups=False) must not change
        # what is caught below.
        async with trio.open_nursery(strict_exception_groups=True) as nursery:
            crew = Crew(nursery)
            try:
                yield crew
            except BaseException as exc:
                raised = exc
                raise
            crew.dismiss()
    except BaseException as exc:
        # Tasks never raise, so this is what the block raised, wrapped by the nursery.
        caught = exc
    failure = crew.failure
    if failure is not None and (caught is None or _without_cancellations(caught) is None):
        raise failure
    if caught is None:
        return
    if raised is None:
        # Ctrl-C came in while the tasks were leaving. A cancellation that did comes again.
        interrupted = _without_cancellations(caught)
        if interrupted is None:
            return
        while isinstance(interrupted, BaseExceptionGroup):
            interrupted = interrupted.exceptions[0]
        raise interrupted
    if failure is None:
        raise raised
    # The block was torn down by the failure and raised something else on the way. What it raised
    # may be a group that holds our own cancellation; the nursery has filtered that out.
    if isinstance(caught, BaseExceptionGroup) and len(caught.exceptions) == 1:
        caught = caught.exceptions[0]
    caught.add_note(f"The simulated exchange had failed before: {failure!r}")
    raise caught
