"""An asyncio program that hosts Trio, in guest mode: one thread, two schedulers.

``hosted()`` is all there is to it, and can be copied: it opens a Trio context manager, a client for
example, inside an asyncio program, and gives a function that runs something in there::

    python examples/asyncio_host.py                               # simulated, in this process
    python examples/asyncio_host.py --url ws://127.0.0.1:8080/    # `trioflex simulate coinflex`

Credentials come from the environment (COINFLEX_USER_ID, COINFLEX_COOKIE, COINFLEX_PASSPHRASE); it
asks for balances, and orders nothing.

The same works in whatever runs on asyncio's loop: a consumer of Django Channels opens it in
``connect()`` through an ``AsyncExitStack`` and closes that in ``disconnect()``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol, TypeVar

import outcome
import trio
import where

import trioflex
from trioflex.venues import coinflex

R = TypeVar("R")
T = TypeVar("T")


class Call(Protocol):
    """Run something under Trio and wait for it under asyncio."""

    async def __call__(self, function: Callable[..., Awaitable[R]], /, *arguments: Any) -> R:
        """Return what it returns; cancelling the one cancels the other."""


@asynccontextmanager
async def hosted(manager: AbstractAsyncContextManager[T]) -> AsyncIterator[tuple[T, Call]]:
    """Hold a Trio context open beside asyncio; if it fails, cancel the block and raise why."""
    loop = asyncio.get_running_loop()
    host = asyncio.current_task()
    opened: asyncio.Future[tuple[T, trio.Nursery]] = loop.create_future()
    over: asyncio.Future[outcome.Outcome[None]] = loop.create_future()
    scope, leave = trio.CancelScope(), trio.Event()
    failed = False

    async def hold() -> None:
        with scope:
            async with manager as value, trio.open_nursery() as jobs:
                opened.set_result((value, jobs))
                await leave.wait()
                jobs.cancel_scope.cancel()

    def done(result: outcome.Outcome[None]) -> None:
        nonlocal failed
        over.set_result(result)
        if isinstance(result, outcome.Error):
            if not opened.done():
                opened.set_exception(result.error)
            elif not left:
                failed = True
                host.cancel()  # what the block waits for may never come now

    def soon(function: Callable[..., object], *arguments: Any) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(function, *arguments)

    async def call(function: Callable[..., Awaitable[R]], *arguments: Any) -> R:
        if left or over.done():
            raise trio.ClosedResourceError("what was hosted is closed")
        future: asyncio.Future[R] = loop.create_future()
        patience = trio.CancelScope()

        async def job() -> None:
            try:
                with patience:
                    value = await function(*arguments)
                    if not future.done():
                        future.set_result(value)
            except Exception as exc:
                if not future.done():
                    future.set_exception(exc)
            finally:
                future.cancel()  # nothing, if it is done

        soon(jobs.start_soon, job)
        try:
            return await future
        except asyncio.CancelledError:
            soon(patience.cancel)
            raise

    left = False
    trio.lowlevel.start_guest_run(
        hold,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        done_callback=done,
        host_uses_signal_set_wakeup_fd=True,
    )
    token = trio.lowlevel.current_trio_token()
    try:
        value, jobs = await opened
        yield value, call
    except asyncio.CancelledError:
        if not failed:
            soon(scope.cancel)  # cancellation means now
            raise
        host.uncancel()
    finally:
        left = True
        soon(leave.set)
        (await asyncio.shield(over)).unwrap()


async def pump(client: trioflex.Client, queue: asyncio.Queue[object]) -> None:
    """Runs under Trio: both loops live in one thread, so the queue can be filled from here."""
    async with client.subscribe(coinflex.Ticker("XBT", "USDT")) as receiver:
        async for event in receiver:
            queue.put_nowait(event)


@asynccontextmanager
async def client_of(options: Any) -> AsyncIterator[trioflex.Client]:
    """Open a client where the options say."""
    async with where.open_client(options) as (client, _):
        yield client


async def main(arguments: list[str] | None = None) -> None:
    """Runs under asyncio."""
    options = where.parse(__doc__, arguments, login=coinflex.Credentials)
    async with hosted(client_of(options)) as (client, call):
        balances = await call(client.request, coinflex.GetBalances())
        print(f"{len(list(balances))} balances")
        queue: asyncio.Queue[object] = asyncio.Queue()
        pumping = asyncio.create_task(call(pump, client, queue))
        try:
            async with asyncio.timeout(options.seconds):
                while True:
                    print(await queue.get())
        except TimeoutError:
            pumping.cancel()


if __name__ == "__main__":
    asyncio.run(main())
