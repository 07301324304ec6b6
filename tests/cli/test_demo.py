"""The demo, from its reports and from its command line."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest

from trioflex.cli.demo import demo_command, run_demo
from trioflex.cli.report import (
    Balance,
    Book,
    Connected,
    Fill,
    GapReport,
    Order,
    Report,
    ResumedReport,
    Summary,
    Ticker,
)

COMMAND = [sys.executable, "-m", "trioflex", "demo"]


class Notes:
    """An audience that remembers."""

    def __init__(self):
        self.reports: list[Report] = []

    def show(self, report):
        self.reports.append(report)

    def of(self, kind):
        return [report for report in self.reports if isinstance(report, kind)]


async def take_notes(seconds=12.0, seed=1):
    notes = Notes()

    @asynccontextmanager
    async def gather(seconds, clock):
        yield notes

    await run_demo(gather, seconds, seed)
    return notes


@pytest.mark.parametrize("seed", range(5))
async def test_it_shows_a_market_and_trades_on_it(autojump_clock, seed):
    """Book, ticker, balances, own orders and fills all appear, whatever the market does."""
    notes = await take_notes(seed=seed)
    for kind in (Connected, Book, Ticker, Balance, Order, Fill, GapReport, ResumedReport):
        assert notes.of(kind), kind.__name__
    assert isinstance(notes.reports[-1], Summary)
    assert 1 == len(notes.of(Summary))


@pytest.mark.parametrize("seed", range(5))
async def test_it_survives_one_disconnect(autojump_clock, seed):
    """Every channel has its gap and its end, and the connection that follows is the second."""
    notes = await take_notes(seed=seed)
    gaps, resumed = notes.of(GapReport), notes.of(ResumedReport)
    assert {"order book", "ticker", "balances", "own orders"} == {gap.channel for gap in gaps}
    assert {gap.channel for gap in gaps} == {each.channel for each in resumed}
    assert 4 == len(gaps) == len(resumed)
    assert [1, 2] == [each.connection for each in notes.of(Connected)]


async def test_nothing_stale_is_shown(autojump_clock):
    """Between a gap and its end there is no book, and no order is sent."""
    notes = await take_notes()
    lost = min(gap.at for gap in notes.of(GapReport))
    back = max(each.at for each in notes.of(ResumedReport))
    assert back - lost > 0.5
    assert [] == [book for book in notes.of(Book) if lost < book.at < back]
    assert [] == [o for o in notes.of(Order) if lost < o.at < back and o.state == "sent"]


@pytest.mark.parametrize("seed", range(5))
async def test_the_order_in_flight_is_found_again(autojump_clock, seed):
    """Its outcome is unknown at the cut and known in the end; nothing was sent twice."""
    notes = await take_notes(seed=seed)
    states: dict[int, list[str]] = {}
    for order in notes.of(Order):
        states.setdefault(order.tonce, []).append(order.state)
    unknown = [seen for seen in states.values() if "unknown" in seen]
    assert 1 == len(unknown)
    assert ["sent", "unknown", "open"] == list(dict.fromkeys(unknown[0]))[:3]
    assert all(1 == seen.count("sent") for seen in states.values())
    summary = notes.of(Summary)[0]
    assert (1, 0) == (summary.recovered, summary.unsettled)


async def test_the_summary_counts_what_was_reported(autojump_clock):
    """It is a sum, not a claim."""
    notes = await take_notes()
    summary = notes.of(Summary)[0]
    assert len(notes.of(Connected)) == summary.connections
    assert len(notes.of(Ticker)) == summary.tickers
    assert len(notes.of(Fill)) == summary.fills
    assert len(notes.of(GapReport)) == summary.gaps
    assert len({order.tonce for order in notes.of(Order)}) == summary.orders
    assert summary.seconds == pytest.approx(12.0)


async def test_books_are_in_order(autojump_clock):
    """Best first, never crossed, never empty."""
    for book in (await take_notes()).of(Book):
        bids, asks = ([price for price, _ in side] for side in (book.bids, book.asks))
        assert sorted(bids, reverse=True) == bids
        assert sorted(asks) == asks
        assert bids[0] < asks[0]


async def test_json_lines(autojump_clock, capsys):
    """``--json``: each line an object with a known event, from the first to the summary."""
    await demo_command(6.0, 1, True)
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert "connected" == events[0]
    assert "summary" == events[-1]
    assert {
        "connected", "book", "ticker", "balance", "order", "fill", "gap", "resumed", "summary",
    } == set(events)  # fmt: skip


async def test_plain_lines_without_a_terminal(autojump_clock, capsys):
    """Into a file or a pipe go lines for people, without a single escape sequence."""
    await demo_command(6.0, 1, False)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "GAP" in out
    assert "RESUMED" in out


def test_as_a_program():
    """In a process of its own, over a pipe, in real time: status 0 and nothing on stderr."""
    result = subprocess.run(
        [*COMMAND, "--json", "--seconds", "3"], capture_output=True, text=True, timeout=60
    )
    assert (0, "") == (result.returncode, result.stderr)
    assert "summary" == json.loads(result.stdout.splitlines()[-1])["event"]


def test_in_a_terminal():
    """A screen of its own while it runs; afterwards the log and the summary stay."""
    terminal, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [*COMMAND, "--seconds", "3"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    output = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            read = os.read(terminal, 65536)
        except OSError:  # how a pseudo-terminal says that the other end has closed
            break
        if not read:
            break
        output += read
    os.close(terminal)
    assert 0 == process.wait(timeout=10)
    screen, left, rest = output.decode().partition("\x1b[?1049l")
    assert "\x1b[?1049h" in screen
    assert "order book XBT:USDT" in screen
    assert "the book is stale" in screen
    assert left
    assert "GAP" in rest
    assert "over 2 connections" in rest
