"""The real command in a terminal of its own, against a simulated exchange on loopback."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
import termios
from contextlib import asynccontextmanager

import pytest
import trio

from trioflex.simulator import SimulatedExchange, open_server, system_clock

SECRETS = (b"opensesame", b"HGREqcILTz8blHa")
ORDER = "PlaceOrder base=XBT counter=USDT quantity=0.1 price=5000 tonce=7\r"
ESCAPES = re.compile(rb"\x1b(\[[0-9;?]*[a-zA-Z]|[()][A-Z0-9]|[=>])")


class Terminal:
    """What a person sees and types."""

    def __init__(self, master, process):
        self.master = master
        self.process = process
        self.raw = b""
        """All of it."""
        self._unread = b""

    async def reads(self, words):
        """Read on until these words were seen; colours and the like do not count."""
        with trio.fail_after(45):
            while words.encode() not in (seen := ESCAPES.sub(b"", self._unread)):
                await trio.lowlevel.wait_readable(self.master)
                try:
                    data = os.read(self.master, 65536)
                except OSError:  # how a pseudo-terminal says that the other end has closed
                    raise AssertionError(f"it ended without {words!r}: {seen!r}") from None
                self._unread = seen + data
                self.raw += data
        before, found, self._unread = seen.partition(words.encode())
        return before + found

    def types(self, text):
        os.write(self.master, text.encode())

    async def ends(self):
        """Wait until it has ended, and return the exit status."""
        with trio.fail_after(45):
            return await self.process.wait()


@asynccontextmanager
async def console(tmp_path, exchange, *arguments, **environ):
    """Run the console in a terminal; afterwards that is as it was before."""
    async with open_server(exchange) as address:
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        before = termios.tcgetattr(slave)
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "XDG_STATE_HOME": str(tmp_path),
            **exchange.model.credentials(),
            **environ,
        }
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "trioflex", "console", exchange.model.name, "--url",
             address.url, *arguments],
            stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
        )  # fmt: skip
        try:
            yield Terminal(master, process)
            assert before == termios.tcgetattr(slave)
        finally:
            process.kill()
            await process.wait()
            os.close(master)
            os.close(slave)


async def test_a_session(tmp_path):
    """From the banner to the farewell: menu, login, order, pushes, reconnecting, history, log."""
    exchange = SimulatedExchange("coinflex", clock=system_clock)
    passphrase = exchange.model.credentials()["COINFLEX_PASSPHRASE"]
    log = tmp_path / "console.log"
    options = ("--log", str(log), "--logLevel", "debug")
    async with console(tmp_path, exchange, *options, COINFLEX_PASSPHRASE="") as terminal:
        await terminal.reads("coinflex>")
        terminal.types("login\r")
        await terminal.reads("COINFLEX_PASSPHRASE:")
        terminal.types(f"{passphrase}\r")
        assert b"*" not in await terminal.reads("Logged in as 1.")
        await terminal.reads("coinflex>")
        terminal.types("subscribe Ticker:XBT:USDT\r")
        await terminal.reads("Ticker:XBT:USDT is on.")
        await terminal.reads("coinflex>")
        terminal.types("getb\t")
        await terminal.reads("GetBalances")
        exchange.drop()
        await terminal.reads("LOST")
        await terminal.reads("RESUMED")
        # What was typed is still there.
        terminal.types("\r")
        await terminal.reads("available")
        await terminal.reads("coinflex>")
        terminal.types(ORDER)
        # What does not fit into the width is on the next line.
        for words in ("coinflex at", "tonce=7", "Buy 0.1 XBT at 5000 USDT.", "Send it? [y/N]"):
            await terminal.reads(words)
        terminal.types("y\r")
        await terminal.reads("remaining")
        await terminal.reads("coinflex>")
        # Ctrl-C is the shell's own while one runs.
        terminal.types("sh echo be''gun; sleep 30\r")
        await terminal.reads("begun")
        terminal.types("\x03")
        await terminal.reads("coinflex>")
        assert not any(secret in terminal.raw for secret in SECRETS)
        # A secret that is pasted at the prompt by mistake is kept nowhere.
        terminal.types("opensesame\r")
        await terminal.reads("not understood")
        await terminal.reads("coinflex>")
        terminal.types("\x04")
        assert 0 == await terminal.ends()
        assert () == exchange.open_connections
    history = (tmp_path / "trioflex" / "console-coinflex.history").read_bytes()
    text = log.read_bytes()
    assert b"PlaceOrder" in history
    assert b"PlaceOrder" in text
    assert 0o600 == (tmp_path / "trioflex" / "console-coinflex.history").stat().st_mode & 0o777
    for secret in SECRETS:
        assert secret not in history + text
    assert b"\ny\n" not in history


async def test_oceanex(tmp_path):
    """The menu, a choice with its question, and the words that end it; without colours."""
    exchange = SimulatedExchange("oceanex", clock=system_clock)
    async with console(tmp_path, exchange, NO_COLOR="1") as terminal:
        seen = await terminal.reads("oceanex>")
        assert b"15  kline" in seen
        assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m", terminal.raw)
        terminal.types("14\r")
        await terminal.reads("market[, level[, precision]]:")
        terminal.types("vetusdt,3\r")
        await terminal.reads("bid")
        await terminal.reads("oceanex>")
        terminal.types("5\r")
        await terminal.reads("needs a login")
        await terminal.reads("oceanex>")
        # As any program may send it, while the prompt is up.
        terminal.process.send_signal(signal.SIGTERM)
        assert 143 == await terminal.ends()


@pytest.mark.parametrize("how", ["prompt", "request", "connecting"])
async def test_ctrl_c(tmp_path, how):
    """130 at any moment, at once, and the terminal is as before."""
    exchange = SimulatedExchange("coinflex", clock=system_clock)
    if how == "connecting":
        exchange.hang_upgrade()
    if how == "request":
        exchange.silence("PlaceOrder", execute=False)
    async with console(tmp_path, exchange, "--login") as terminal:
        await terminal.reads("Logging in" if how == "connecting" else "coinflex>")
        if how == "request":
            terminal.types(ORDER)
            await terminal.reads("Send it? [y/N]")
            terminal.types("y\r")
            await exchange.seen("PlaceOrder")
        terminal.types("\x03")
        with trio.fail_after(20):
            if how == "request":
                await terminal.reads("tonce=7")
                await terminal.reads("before you send it again")
            assert 130 == await terminal.ends()
        assert () == exchange.open_connections


async def test_through_a_pipe(tmp_path):
    """Without a terminal: lines in, lines out, replies as JSON, no escape sequence, status 0."""
    exchange = SimulatedExchange("coinflex", clock=system_clock)
    async with open_server(exchange) as address:
        result = await trio.run_process(
            [sys.executable, "-m", "trioflex", "console", "coinflex", "--url", address.url],
            stdin=b"login\nGetBalances\n" + ORDER.strip().encode() + b"\ny\nsh echo sh\nhelp",
            env=os.environ | dict(exchange.model.credentials()),
            capture_stdout=True,
            capture_stderr=True,
        )
    assert b"" == result.stderr
    assert b"\x1b" not in result.stdout
    for words in (b"Logged in as 1.", b'"available"', b'"remaining":', b"\nsh\n", b"Commands:"):
        assert words in result.stdout
    assert 1 == exchange.count("PlaceOrder")
