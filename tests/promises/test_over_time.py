"""The promises about long runs and many clients, where they fit into a test."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests import acme
from trioflex import Gap, Keepalive, Reconnect, Resumed, StallWatch, Timeouts, open_client
from trioflex.simulator import SimulatedExchange

DAY, MINUTE = 24 * 3600, 60


async def test_a_day_of_restarts_and_churn(autojump_clock):  # V1
    """A restart an hour and a subscription a minute: pairs of markers, and flat memory."""
    model = acme.Model()
    exchange = SimulatedExchange(model, frames_kept=0)
    pairs = 0

    async def stay(client):
        nonlocal pairs
        last = None
        async with client.subscribe(acme.Book("X")) as book:
            async for item in book:
                assert isinstance(last, Gap) == isinstance(item, Resumed)
                pairs += isinstance(item, Resumed)
                last = item

    def blocks():
        gc.collect()
        return sys.getallocatedblocks()

    async with (
        trio.open_nursery() as nursery,
        open_client(
            acme.VENUE,
            credentials=acme.JOE,
            connector=exchange.connector,
            reconnect=Reconnect(give_up_after=None),
        ) as client,
    ):
        nursery.start_soon(stay, client)
        for minute in range(DAY // MINUTE):
            async with client.subscribe(acme.Trades(str(minute % 7))) as trades:
                model.push(f"trades:{minute % 7}", minute)
                assert minute == await trades.receive()
                await trio.sleep(MINUTE - 1)
            model.tick(minute % 5, minute)
            if minute % 60 == 59:
                exchange.drop()
                await wait_all_tasks_blocked()
                await client.wait_ready()
            if minute == 60:
                began = blocks()
        # A block is some 64 bytes, so this is far below a mebibyte.
        assert blocks() - began < 5_000
        await wait_all_tasks_blocked()
        assert 24 == pairs == client.statistics().connections - 1
        assert (1, 1) == (client.statistics().channels, client.statistics().receivers)
        nursery.cancel_scope.cancel()


CROWD = """
import resource, sys, time
import trio
from tests import acme
from trioflex import open_client
from trioflex.simulator import SimulatedExchange, open_server

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

async def main():
    model = acme.Model()
    exchange = SimulatedExchange(model, frames_kept=0)
    async with open_server(exchange) as server, trio.open_nursery() as nursery:
        ready = []

        async def one(n):
            async with open_client(acme.VENUE, credentials=acme.JOE, url=server.url) as client:
                async with client.subscribe(acme.Book("X")) as book:
                    await book.receive()
                    ready.append(n)
                    await trio.sleep_forever()

        await nursery.start(warm_up, server)
        before, began = resident(), time.monotonic()
        for n in range(100):
            nursery.start_soon(one, n)
        while len(ready) < 100:
            await trio.sleep(0.01)
        print(time.monotonic() - began, resident() - before)
        nursery.cancel_scope.cancel()

async def warm_up(server, task_status):
    # What one client loads, all clients share.
    async with open_client(acme.VENUE, credentials=acme.JOE, url=server.url) as client:
        async with client.subscribe(acme.Book("X")):
            pass
    task_status.started()

trio.run(main)
"""


def test_a_hundred_clients_in_one_process():  # V4
    """Less than 60 MiB together, server included, and ready within five seconds."""
    done = subprocess.run([sys.executable, "-c", CROWD], capture_output=True, text=True, timeout=60)
    assert 0 == done.returncode, done.stderr
    seconds, size = map(float, done.stdout.split())
    assert size < 60 * 1024 * 1024
    assert seconds < 5


def test_who_blocks_the_loop_is_named_and_the_connection_survives(caplog):  # V5
    """Two seconds of user code without a checkpoint are one warning, and no reconnect."""
    clock = MockClock()
    watch = StallWatch(clock=clock.current_time)

    async def hog():
        clock.jump(2)
        await trio.sleep_forever()

    async def program():
        model = acme.Model()
        exchange = SimulatedExchange(model)
        async with (
            open_client(
                acme.VENUE,
                connector=exchange.byte_connector,
                # One second of silence and one for the pong: both pass while the hog runs.
                keepalive=Keepalive(ping_after=1, pong_within=1.5),
            ) as client,
            client.subscribe(acme.Trades("X")) as trades,
            trio.open_nursery() as nursery,
        ):
            await wait_all_tasks_blocked()
            nursery.start_soon(hog, name="the hog")
            await wait_all_tasks_blocked()
            model.push("trades:X", 5)
            assert 5 == await trades.receive()
            assert 1 == client.statistics().attempts
            nursery.cancel_scope.cancel()

    trio.run(program, clock=clock, instruments=[watch])
    assert (1, 2.0) == (watch.stalls, watch.longest)
    [warning] = [r.getMessage() for r in caplog.records if "without a checkpoint" in r.getMessage()]
    assert "the task 'the hog' ran for 2.0 s" in warning
    assert f"{__file__}:" in warning


def test_a_stall_that_ends_its_task_is_named_too(caplog):  # V5
    """There is no line to show any more."""
    clock = MockClock()
    watch = StallWatch(1.0, clock=clock.current_time)

    async def main():
        clock.jump(1)  # as long as it may take
        await trio.lowlevel.checkpoint()
        clock.jump(3)

    trio.run(main, clock=clock, instruments=[watch])
    assert (1, 3.0) == (watch.stalls, watch.longest)
    assert "It has ended." in caplog.text


def test_code_beside_trio_is_named_though_its_folder_begins_alike(caplog):  # V5
    """``site-packages/trioflex`` is not within ``site-packages/trio``."""
    clock = MockClock()
    path = os.path.dirname(trio.__file__) + "flex/some.py"
    source = "async def hog():\n    clock.jump(3)\n    await trio.lowlevel.checkpoint()\n"
    names = {"clock": clock, "trio": trio}
    exec(compile(source, path, "exec"), names)
    trio.run(names["hog"], clock=clock, instruments=[StallWatch(clock=clock.current_time)])
    assert f"It waits now at {path}:3" in caplog.text


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_limit_is_a_time(limit):
    """Zero would name everybody."""
    with pytest.raises(ValueError, match="no number of seconds above 0"):
        StallWatch(limit)


def test_a_write_that_is_done_is_not_held_against_the_peer():  # V5
    """User code that blocks the loop while a request is written costs no connection."""
    clock = MockClock()

    async def hog():
        for _ in range(5):
            clock.jump(11)  # longer than a write may take
            await trio.lowlevel.checkpoint()

    async def program():
        exchange = SimulatedExchange(acme.Model())
        async with open_client(
            acme.VENUE,
            connector=exchange.byte_connector,
            keepalive=Keepalive(ping_after=1e6, pong_within=1e6),
            timeouts=Timeouts(reply=1e6),
        ) as client:
            for _ in range(30):  # Trio runs tasks in any order
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(hog)
                    await client.submit(acme.Echo("x"))
                await wait_all_tasks_blocked()
            assert 1 == client.statistics().attempts

    trio.run(program, clock=clock)
