"""The live picture, at the sizes it is promised for."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.cli.reports import ALL, BALANCES, BOOK, CONNECTED, GAPS, OPEN, RESUMED, TICKER
from trioflex.cli.screen import Screen
from trioflex.cli.watch_screen import WatchScreen

SIZES = [(80, 24), (120, 40), (60, 20), (200, 60)]


def drawn(reports, *, width=80, height=24, now=3.5, encoding="utf-8", color=False):
    """Draw the picture after these reports; return its lines, and what the terminal got."""
    screen = Screen("trioflex demo", 8.0, lambda: now)
    for report in reports:
        screen.show(report)
    raw = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(
        file=raw, width=width, height=height, force_terminal=True, no_color=not color,
        legacy_windows=False, record=True, color_system="standard" if color else None,
    )  # fmt: skip
    console.print(screen, end="")
    raw.flush()
    return console.export_text().splitlines(), raw.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("reports", [[], ALL, ALL[:-2]], ids=["empty", "all", "stale"])
def test_it_fits(width, height, reports):
    """Never a line too many or a column too wide, whatever there is to show."""
    lines, _ = drawn(reports, width=width, height=height)
    assert height >= len(lines)
    assert {width} >= {len(line) for line in lines if line.strip()}


@pytest.mark.parametrize("height", [1, 2, 3, 6, 8, 10])
@pytest.mark.parametrize("width", [1, 5, 20])
@pytest.mark.parametrize(
    "screen",
    [
        Screen("trioflex demo", 8.0, lambda: 3.5),
        WatchScreen("coinflex", [("OrderBook:XBT:USDT", False)] * 2, lambda: 3.5),
        WatchScreen("coinflex", [("Balances", False), ("Ticker:XBT:USDT", False)], lambda: 3.5),
    ],
    ids=["demo", "books", "balances"],
)
def test_a_tiny_terminal_is_no_bug(width, height, screen):
    """There is not much to see, and it comes back when there is room."""
    for report in ALL:
        screen.show(report)
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    console.print(screen, height=height, end="")


def test_everything_has_its_place():
    """Book, ticker, balances, orders, connection and log are all there at 80 by 24."""
    picture = "\n".join(drawn(ALL)[0])
    for word in ("7412.5", "7413.5", "1000000.25", "open", "unknown", "connection 1", "RESUMED"):
        assert word in picture


def test_the_spread_stands_between_the_sides():
    """Asks above, bids below, the best ones next to it."""
    lines = drawn([CONNECTED, BOOK])[0]
    column = [line.split()[1] for line in lines if line.startswith("│")]
    asks, bids = column.index("7413.5"), column.index("7412.5")
    assert asks + 2 == bids
    assert "1" == column[asks + 1]


def test_a_stale_book_shows_no_price():
    """From the gap on there is nothing to quote on, on the screen either."""
    picture = "\n".join(drawn([CONNECTED, BOOK, *GAPS])[0])
    assert "7412.5" not in picture
    assert "the book is stale" in picture
    assert "disconnected, connecting again" in picture


def test_a_snapshot_brings_the_book_back():
    """... until the next book is reported."""
    lines = drawn([CONNECTED, BOOK, *GAPS, *RESUMED])[0]
    assert "stale" not in "\n".join(lines)
    assert "waiting for the first snapshot" in "\n".join(lines)
    assert "7412.5" in "\n".join(drawn([CONNECTED, BOOK, *GAPS, *RESUMED, BOOK])[0])


def test_one_loss_is_one_line_of_the_log():
    """A lost connection interrupts every channel; the log tells it once."""
    lines = drawn([CONNECTED, TICKER, *GAPS])[0]
    told = [line for line in lines if "GAP" in line]
    assert 1 == len(told)
    assert "order book, ticker: disconnected" in told[0]


def test_open_orders_stay_in_sight():
    """Orders that ended make room for those that have not."""
    import attrs

    ended = [attrs.evolve(OPEN, tonce=n, state="closed", at=2.0) for n in range(100, 140)]
    picture = "\n".join(drawn([CONNECTED, OPEN, *ended])[0])
    assert "open" in picture


def test_it_can_do_without_color():
    """Sides and states are words, not only colours."""
    _, bytes_out = drawn(ALL, color=False)
    assert "\x1b[3" not in bytes_out
    _, bytes_out = drawn(ALL, color=True)
    assert "\x1b[3" in bytes_out


def test_it_can_do_without_unicode():
    """A terminal that knows ASCII only gets ASCII only."""
    lines, _ = drawn([CONNECTED, BOOK, *BALANCES], encoding="ascii")
    assert any("###" in line for line in lines)
