"""``trioflex watch``: what is reported of what channels deliver, and how it looks."""

from __future__ import annotations

import io
import itertools
import signal
from decimal import Decimal

import pytest
import trio
import trio.testing
from rich.console import Console

import trioflex
from tests.cli.test_demo import Notes
from tests.cli.ways import way_to
from trioflex.cli.report import (
    Balance,
    Book,
    Connected,
    Disconnected,
    GapReport,
    Item,
    ResumedReport,
    Retrying,
    Ticker,
    Trade,
)
from trioflex.cli.spelling import make_channel
from trioflex.cli.watch import watch
from trioflex.cli.watch_screen import WatchScreen
from trioflex.simulator import SimulatedExchange

NAMES = ("OrderBook:XBT:USDT", "Ticker:XBT:USDT", "Balances", "OwnOrders")


async def watched(audience, names=NAMES, *, drop_at=None, seed=3, **limits):
    """Watch a simulated market, and have the line cut once."""
    exchange = SimulatedExchange("coinflex", seed=seed)
    way = way_to("coinflex", exchange.model.credentials())
    channels = [make_channel(way.venue, name) for name in names]

    async def cut():
        await trio.sleep(drop_at)
        exchange.drop()

    async with exchange.trading(), trio.open_nursery() as nursery:
        if drop_at is not None:
            nursery.start_soon(cut)
        await watch(way, channels, audience, connector=exchange.connector, **limits)
        nursery.cancel_scope.cancel()
    return exchange


async def test_everything_is_told(autojump_clock):
    """Books, trades, tickers, balances, and as it is whatever has no picture."""
    notes = Notes()
    await watched(notes, seconds=20.0)
    for kind in (Connected, Book, Trade, Ticker, Balance, Item):
        assert notes.of(kind), kind.__name__
    assert "OrdersSnapshot" == notes.of(Item)[0].kind
    assert {"XBT:USDT"} == {each.market for each in notes.of(Book) + notes.of(Trade)}
    assert [] == notes.of(Disconnected)


@pytest.mark.parametrize("seed", range(5))
async def test_a_book_never_stops(autojump_clock, seed):
    """Also where it was crossed for a moment: there are books as long as there are trades."""
    notes = Notes()
    await watched(notes, NAMES[:1], seconds=60.0, seed=seed)
    assert max(book.at for book in notes.of(Book)) > 55
    assert all(book.bids[0][0] < book.asks[0][0] for book in notes.of(Book))
    ends = [book.at for book in notes.of(Book)]
    assert all(later - before > 0.19 for before, later in itertools.pairwise(ends))


async def test_a_lost_connection_is_told(autojump_clock):
    """Every channel has its gap and its end; between them there is nothing of it."""
    notes = Notes()
    await watched(notes, seconds=30.0, drop_at=10.0)
    assert [1, 2] == [each.connection for each in notes.of(Connected)]
    assert 1 == len(notes.of(Disconnected)) == len(notes.of(Retrying))
    assert set(NAMES) == {gap.channel for gap in notes.of(GapReport)}
    assert set(NAMES) == {each.channel for each in notes.of(ResumedReport)}
    lost, back = notes.of(Disconnected)[0].at, notes.of(Connected)[1].at
    assert [] == [book for book in notes.of(Book) if lost < book.at < back]


def test_who_ends_it_lost_nothing():
    """After Ctrl-C the connection closes as it was told to, and that is no news."""
    notes = Notes()
    exchange = SimulatedExchange("coinflex", seed=1)

    class Audience:
        def show(self, report):
            notes.show(report)
            if isinstance(report, Ticker):
                signal.raise_signal(signal.SIGINT)

    async def run():
        way = way_to("coinflex")
        channels = [make_channel(way.venue, "Ticker:XBT:USDT")]
        await watch(way, channels, Audience(), connector=exchange.connector)

    with pytest.raises(KeyboardInterrupt):
        trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
    assert 1 == len(notes.of(Ticker))
    assert [] == notes.of(Disconnected)


async def test_enough_is_enough(autojump_clock):
    """``--count`` counts news, not connections; ``--for`` is the time in all."""
    notes = Notes()
    await watched(notes, NAMES[1:2], count=3)
    assert [Connected, Ticker, Ticker, Ticker] == [type(report) for report in notes.reports]
    began = trio.current_time()
    await watched(Notes(), NAMES[:1], seconds=2.5)
    assert pytest.approx(2.5) == trio.current_time() - began


async def test_it_closes_in_peace(autojump_clock):
    """When it was enough the exchange is told so."""
    exchange = await watched(Notes(), NAMES[:1], seconds=2.0)
    assert () == exchange.open_connections


async def test_a_refused_channel_ends_it(autojump_clock):
    """With the venue's refusal."""
    exchange = SimulatedExchange("coinflex")
    exchange.refuse("WatchTicker", 1, "No such market.")
    way = way_to("coinflex")
    channel = make_channel(way.venue, NAMES[1])
    with pytest.raises(trioflex.SubscriptionRefused, match="No such market"):
        await watch(way, [channel], Notes(), connector=exchange.connector)


async def test_trades_of_a_channel_of_their_own(autojump_clock):
    """They are trades like those that books tell, with their side."""
    exchange = SimulatedExchange("midchains", seed=1)
    way = way_to("midchains")
    screen = WatchScreen("midchains", [("Trades:BTCUSD", False)], lambda: 1.0)
    notes = Notes()
    channel = make_channel(way.venue, "Trades:BTCUSD")
    async with exchange.trading():
        await watch(way, [channel], notes, count=5, connector=exchange.connector)
    trades = notes.of(Trade)
    assert 5 == len(trades)
    assert {trade.side for trade in trades} <= {"buy", "sell"}
    for trade in trades:
        screen.show(trade)
    screen.show(Item(at=1.0, channel="Trades:BTCUSD", kind="Trade", value={"price": "7"}))
    lines = drawn(screen, 80, 24, color_system=None)
    assert any("buy" in line or "sell" in line for line in lines)
    assert any("Trade      price=7" in line for line in lines)


# -- pictures --------------------------------------------------------------------------------------


def drawn(screen, width, height, **settings):
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, **settings
    )
    with console.capture() as capture:
        console.print(screen)
    return capture.get().rstrip("\n").split("\n")


@pytest.fixture
async def screen(autojump_clock):
    """A picture of a market, before, in and after an outage."""
    began = trio.current_time()
    screen = WatchScreen(
        "coinflex",
        [(name, name in NAMES[2:]) for name in NAMES],
        lambda: trio.current_time() - began,
    )
    return screen


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("names", [NAMES, NAMES[:1], NAMES[1:2], NAMES[2:], (*NAMES[:1], NAMES[3])])
async def test_it_fits(autojump_clock, size, names):
    """Whatever is watched, at every size: exactly the terminal, no line too long."""
    screen = WatchScreen("coinflex", [(name, False) for name in names], lambda: 1.0)
    for _ in range(2):
        lines = drawn(screen, *size, color_system=None)
        assert size[1] == len(lines)
        assert not any("Layout" in line for line in lines)
        assert {size[0]} >= {len(line) for line in lines if len(line) > size[0]}
        await watched(screen, names, seconds=5.0)


async def test_nothing_stale_is_drawn(autojump_clock, screen):
    """After a gap there is no price; connection, gaps and drops are always there."""
    await watched(screen, seconds=5.0)
    shown = "\n".join(drawn(screen, 80, 24, color_system=None))
    for words in ("connected as 1", "gaps 0", "dropped 0", "spread", "order book XBT:USDT"):
        assert words in shown
    screen.show(Disconnected(at=6.0, connection=1, reason="cut"))
    for name in NAMES:
        screen.show(GapReport(at=6.0, channel=name, reason="overflow", connection=1, dropped=2))
    shown = "\n".join(drawn(screen, 80, 24, color_system=None))
    for words in ("DISCONNECTED", "gaps 4", "dropped 8", "the book is stale"):
        assert words in shown
    for words in ("spread", "bid "):
        assert words not in shown


async def test_without_colour_there_are_no_colours(autojump_clock, screen, monkeypatch):
    """``NO_COLOR`` is respected; marks that ASCII lacks are not used where it is all there is."""
    await watched(screen, seconds=5.0)
    monkeypatch.setenv("NO_COLOR", "1")
    shown = "\n".join(drawn(screen, 80, 24))
    assert "\x1b[31m" not in shown
    assert "\x1b[32m" not in shown


def test_the_epilogue_says_what_it_came_to(autojump_clock):
    """The log and the counts stay in the terminal."""
    screen = WatchScreen("coinflex", [("Ticker:XBT:USDT", False)], lambda: 2.0)
    screen.show(Trade(at=1.0, market="X", price=Decimal(1), quantity=Decimal(1), side=None))
    screen.show(GapReport(at=1.0, channel="Ticker:XBT:USDT", reason="overflow", connection=1))
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as capture:
        console.print(screen.epilogue())
    assert "1 gaps, 0 items dropped" in capture.get()
    assert "GAP" in capture.get()
