"""The promises about exceptions, cancellation and leaving, where a program is needed."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests import acme, conftest
from trioflex import Keepalive, open_client
from trioflex.simulator import SimulatedExchange
from trioflex.testing import ScriptedPeer, memory_connector


@pytest.mark.parametrize("peer", ["healthy", "deaf", "dark", "hostile", "gone"])
@pytest.mark.parametrize("fidelity", ["connector", "byte_connector"])
async def test_the_blocks_exception_whatever_the_peer_does(peer, fidelity, autojump_clock):  # X1
    """The same object, no group, context untouched; within three seconds."""
    exchange = SimulatedExchange(acme.Model())
    error = ValueError("mine")
    context = error.__context__ = KeyError("before")
    with pytest.raises(ValueError, match="mine") as caught:
        async with open_client(acme.VENUE, connector=getattr(exchange, fidelity)):
            await wait_all_tasks_blocked()
            match peer:
                case "deaf":
                    exchange.stall()
                case "dark":
                    exchange.go_dark()
                case "hostile":
                    exchange.push("rubbish")
                    exchange.push(b"\0" * 1000)
                case "gone":
                    exchange.refuse_connections()
                    exchange.drop()
            raise error
    assert error is caught.value
    assert context is error.__context__
    assert error.__cause__ is None
    assert trio.current_time() <= 3


async def test_a_group_of_the_librarys_own_would_be_seen():  # X10
    """The suite looks at every client of every test; here is what it looks for."""
    mine = ExceptionGroup("mine", [ValueError()])
    ours = ExceptionGroup("ours", [ValueError()])
    assert conftest.is_strange(ours, None)
    assert conftest.is_strange(ours, mine)
    assert conftest.is_strange(ours, ValueError())
    assert not conftest.is_strange(mine, mine)
    assert not conftest.is_strange(ValueError(), mine)
    assert not conftest.is_strange(None, None)


PROGRAM = """
import signal, sys
import trio
from tests import acme
from trioflex import Keepalive, open_client
from trioflex.simulator import SimulatedExchange
from trioflex.testing import ScriptedPeer, memory_connector

async def main(how):
    exchange = SimulatedExchange(acme.Model())
    async with (
        open_client(acme.VENUE, credentials=acme.JOE, connector=exchange.byte_connector) as client,
        client.subscribe(acme.Book("X")) as book,
        client.poll(acme.Echo("x"), every=0.01) as polled,
    ):
        await client.submit(acme.Place("a", 1))
        await book.receive()
        await polled.receive()
        match how:
            case "error":
                raise ZeroDivisionError("mine")
            case "exit":
                sys.exit(7)
            case "interrupt":
                signal.raise_signal(signal.SIGINT)
                await trio.sleep_forever()

trio.run(main, sys.argv[1])
"""


@pytest.mark.parametrize(
    ("how", "status", "last"),
    [
        ("well", 0, ""),
        ("error", 1, "ZeroDivisionError: mine"),
        ("exit", 7, ""),
        ("interrupt", -signal.SIGINT, "KeyboardInterrupt"),
    ],
)
def test_programs_end_quietly(how, status, last):  # X3 X11
    """No coroutine unawaited, no resource unclosed, in Python's development mode."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(PROGRAM), how],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert status == done.returncode, done.stderr
    assert last == (done.stderr.splitlines() or [""])[-1].strip(" |")
    for word in ("Warning", "never awaited", "Exception ignored"):
        assert word not in done.stderr


async def test_a_heartbeat_behind_our_close_does_not_cut_the_closing_short(autojump_clock):  # X7
    """Nothing may be written any more; the peer's Close is waited for all the same."""

    async def serve(stream):
        peer = ScriptedPeer(stream)
        await peer.accept()
        await peer.send_text('{"hello": "", "rhythm": 0}')
        while (await peer.receive_frame()).opcode != 8:
            pass
        await trio.sleep(2)
        await peer.send_close()

    keepalive = Keepalive(ping_after=0.5)
    async with open_client(acme.VENUE, connector=memory_connector(serve), keepalive=keepalive):
        await wait_all_tasks_blocked()
    assert 2.0 == trio.current_time()
