"""Every public async function is a checkpoint; every exit that claims not to wait is none."""

from __future__ import annotations

from contextlib import AsyncExitStack

import trio
from trio.testing import assert_checkpoints, assert_no_checkpoints

from tests import acme
from trioflex import Ticket


async def test_every_public_async_function_is_a_checkpoint(
    acme_client, exchange, model, autojump_clock
):
    """Whether or not it has to wait."""
    async with AsyncExitStack() as stack:
        with assert_checkpoints():
            client = await stack.enter_async_context(acme_client(credentials=None))
        await check_client(client)


async def check_client(client):
    for call in (
        lambda: client.request(acme.Echo("x")),
        lambda: client.submit(acme.Echo("x")),
        client.wait_ready,
        lambda: client.login(acme.JOE),
        client.disconnect,
        client.reconnect,
    ):
        with assert_checkpoints():
            await call()
    ticket: Ticket[str] = await client.submit(acme.Echo("y"))
    for _ in range(2):
        with assert_checkpoints():
            await ticket.reply()
    for manager_of in (lambda: client.subscribe(acme.Trades("X")), client.frames, client.unmatched):
        with assert_checkpoints():
            entered = manager_of()
            await entered.__aenter__()
        with assert_no_checkpoints():
            await entered.__aexit__(None, None, None)


async def test_reading_is_a_checkpoint_once_a_batch(acme_client, model, autojump_clock):
    """receive() always is; iterating is not while a batch is in hand."""
    async with acme_client() as client, client.subscribe(acme.Trades("X")) as receiver:
        for n in range(600):
            model.push("trades:X", n)
        await trio.testing.wait_all_tasks_blocked()
        with assert_checkpoints():
            await receiver.receive()
        model.push("trades:X", 600)
        model.push("trades:X", 601)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(599):  # what was there at the last checkpoint
            with assert_no_checkpoints():
                await receiver.__anext__()
        with assert_checkpoints():
            await receiver.__anext__()
        with assert_checkpoints():
            await receiver.batches().__anext__()
        with assert_checkpoints():
            await receiver.aclose()


async def test_a_second_subscription_enters_through_a_checkpoint(acme_client, autojump_clock):
    """Also where the channel is live already and nothing has to be waited for."""
    async with acme_client() as client, client.subscribe(acme.Trades("X")):
        late = client.subscribe(acme.Trades("X"))
        with assert_checkpoints():
            await late.__aenter__()
        await late.__aexit__(None, None, None)
