"""Ctrl-C at any moment: 130 at once, what was open closed, what was recorded whole."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress

import pytest
import trio
import trio.testing

from tests.cli.test_demo import Notes
from tests.cli.ways import way_to
from trioflex.cli import main
from trioflex.cli.call import ask
from trioflex.cli.check import check
from trioflex.cli.demo import Demo
from trioflex.cli.exits import reason_of, sentence_of, status_of
from trioflex.cli.record import record
from trioflex.cli.replay import tell_events
from trioflex.cli.watch import watch
from trioflex.simulator import SimulatedExchange
from trioflex.tape import read_tape
from trioflex.venues import coinflex

TICKER = coinflex.Ticker("XBT", "USDT")
BOOK = coinflex.OrderBook("XBT", "USDT")

# What a command may take to close: the venue's close_timeout, and nothing beyond.
POLITE = 3.1


class Presses(trio.abc.Instrument):
    """Presses Ctrl-C before a step of some task of the program."""

    def __init__(self, step):
        self.steps = 0
        self.at = None
        self._step = step

    def before_task_step(self, task):
        self.steps += 1
        if self.steps == self._step:
            self.at = trio.current_time()
            signal.raise_signal(signal.SIGINT)


def interrupted(step, make, path):
    """Run a command in memory with Ctrl-C before that step; return how it ended."""
    presses = Presses(step)
    took = 0.0

    async def run():
        nonlocal took
        try:
            await make(path)
        finally:
            if presses.at is not None:
                took = trio.current_time() - presses.at

    try:
        trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0), instruments=[presses])
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        reason = reason_of(error)
        return presses.steps, int(status_of(reason)), sentence_of(reason), took
    if presses.at is None and step is not None:
        return presses.steps, 130, "", took  # it was over before: tasks run in any order
    return presses.steps, 0, "", took


def way_and_exchange():
    exchange = SimulatedExchange("coinflex", seed=1)
    return way_to("coinflex", exchange.model.credentials()), exchange


async def calls(path):
    way, exchange = way_and_exchange()
    await ask(way, coinflex.GetBalances(), exchange.byte_connector)


async def checks(path):
    way, exchange = way_and_exchange()
    await check(way, lambda line: None, exchange.byte_connector)


async def watches(path):
    way, exchange = way_and_exchange()
    async with exchange.trading():
        await watch(way, [TICKER, BOOK], Notes(), seconds=0.5, connector=exchange.byte_connector)


async def records(path):
    way, exchange = way_and_exchange()
    async with exchange.trading():
        await record(
            way, [TICKER], path, seconds=0.5, force=True, connector=exchange.byte_connector
        )


async def replays(path):
    await tell_events(read_tape(path), Notes(), 1.0)


async def demonstrates(path):
    exchange = SimulatedExchange("coinflex", seed=1)
    async with exchange.trading():
        await Demo(exchange, Notes(), trio.current_time(), 2.0).run()


@pytest.mark.parametrize("make", [calls, checks, watches, records, replays, demonstrates])
def test_ctrl_c_at_any_step(tmp_path, make):
    """Before steps from the first to the last (``make sweep``: every one): an interruption and
    nothing else, and no longer than a polite goodbye may take."""
    path = tmp_path / "tape.jsonl"
    if make is replays:
        assert 0 == interrupted(None, records, path)[1]
    steps, status, _, _ = interrupted(None, make, path)
    assert 0 == status
    stride = 1 if os.environ.get("SWEEP") else max(1, steps // 16)
    for step in range(1, steps, stride):
        _, status, sentence, took = interrupted(step, make, path)
        assert (130, "") == (status, sentence), f"step {step} of {steps}"
        if make is not records:
            assert took <= POLITE
        elif (
            path.exists()
        ):  # a file is written in a thread, which a virtual clock does not wait for
            assert "end" == read_tape(path).entries[-1].mark


def terminal():
    """Open a pseudo-terminal of 80x24; return the two ends."""
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    return near, far


def read(near, seconds, into, until=b""):
    """Read what a terminal shows, for some time or until it shows something."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if not select.select([near], [], [], left)[0]:
            break
        with suppress(OSError):
            into += os.read(near, 65_536)
        if until and until in into:
            break


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A simulated exchange in a process of its own, and a tape of it."""
    path = tmp_path_factory.mktemp("tapes") / "tape.jsonl"
    trio.run(records, path, clock=trio.testing.MockClock(autojump_threshold=0))
    command = [sys.executable, "-m", "trioflex", "simulate", "coinflex"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        yield json.loads(process.stdout.readline())["url"], str(path)
        process.terminate()
        process.communicate()


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        ("watch coinflex OrderBook:XBT:USDT --url URL", b"XBT"),
        ("record coinflex OrderBook:XBT:USDT TAPE.new --url URL", b"recording"),
        ("replay TAPE", b"waiting for a client"),
        ("demo", b"XBT"),
    ],
)
def test_the_terminal_is_sane(served, command, shows):
    """Ctrl-C typed in the middle of a picture: 130, the cursor and the screen are back, nothing is
    left of the picture's modes."""
    url, tape = served
    words = command.replace("URL", url).replace("TAPE", tape).split()
    near, far = terminal()
    before = termios.tcgetattr(far)
    shown = bytearray()
    process = subprocess.Popen(
        [sys.executable, "-m", "trioflex", *words],
        stdin=far,
        stdout=far,
        stderr=far,
        start_new_session=True,
        env=os.environ | {"TERM": "xterm-256color"},
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    try:
        read(near, 20, shown, until=shows)
        assert shows in shown
        os.write(near, b"\x03")
        began = time.monotonic()
        while process.poll() is None and time.monotonic() - began < 10:
            read(near, 0.05, shown)
        read(near, 0.05, shown)
        assert 130 == process.poll()
        assert before == termios.tcgetattr(far)
    finally:
        process.kill()
        process.wait()
        os.close(near)
        os.close(far)
    assert b"Traceback" not in shown
    assert shown.count(b"\x1b[?1049h") == shown.count(b"\x1b[?1049l")
    assert shown.rfind(b"\x1b[?25l") <= shown.rfind(b"\x1b[?25h")


def test_ctrl_c_outside_of_trio(monkeypatch):
    """While arguments are read it ends the process without a word; afterwards all is as it was."""

    def press(**options):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("trioflex.cli.app.app", press)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as leaving:
        main()
    assert 130 == leaving.value.code
    assert before is signal.getsignal(signal.SIGINT)
