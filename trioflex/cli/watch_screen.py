"""What is watched as one live picture, for terminals of 80 columns and 24 lines or more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal

from rich.align import Align
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

import trioflex

from .lines import describe
from .report import (
    Balance,
    Book,
    Connected,
    Disconnected,
    GapReport,
    Item,
    Report,
    ResumedReport,
    Retrying,
    Ticker,
    Trade,
    text,
)
from .screen import STYLES, ladder, panel

SPARKS = "▁▂▃▄▅▆▇█"
ASCII_SPARKS = "_.-~=*^#"

HISTORY = 200
"""Last prices that are kept for the sparkline: what the widest terminals show."""

TICKER_HEIGHT = 6

LADDERS = ("OrderBook", "Book")
"""Classes of channels that are drawn as ladders."""

TAPES = (*LADDERS, "Trades")
"""Classes of channels that tell trades."""

PICTURED = (*TAPES, "Ticker", "Balances")
"""Classes of channels that have a picture of their own; items of others are told in lines."""


class WatchScreen:
    """Keeps what was reported last and draws it; an audience, and a rich renderable.

    Args:
        venue: its name.
        channels: what is watched: how each is spelt, and whether it is private.
        clock: seconds since it started.
    """

    def __init__(
        self, venue: str, channels: Sequence[tuple[str, bool]], clock: Callable[[], float]
    ) -> None:
        self._venue = venue
        self._channels = [name for name, _ in channels]
        self._clock = clock
        self._client: trioflex.Client | None = None
        self._connected: Connected | None = None
        self._up = False
        self._books: dict[str, Book | None] = {}
        self._tickers: dict[str, Ticker | None] = {}
        self._lasts: dict[str, deque[Decimal]] = {}
        self._balances: dict[str, Decimal] = {}
        self._trades: deque[Trade] = deque(maxlen=HISTORY)
        self._items: deque[Item] = deque(maxlen=HISTORY)
        self._log: deque[tuple[float, str, str]] = deque(maxlen=HISTORY)
        self._stale: dict[str, float] = {}
        self._news: float | None = None
        self._gaps = 0
        self._dropped = 0

    def opened(self, client: trioflex.Client) -> None:
        """Take the client whose statistics are shown."""
        self._client = client

    # -- what happened -------------------------------------------------------------------------

    def show(self, report: Report) -> None:
        """Take one report into the picture; the next drawing shows it."""
        match report:
            case Connected():
                self._connected, self._up = report, True
                self._note(report)
                return
            case Disconnected():
                self._up = False
                self._note(report)
                return
            case Retrying():
                self._note(report)
                return
            case GapReport():
                self._gap(report)
                return
            case ResumedReport():
                self._stale.pop(report.channel, None)
                self._note(report)
                return
            case Book():
                self._books[report.market] = report
            case Ticker():
                self._tickers[report.market] = report
                if report.last is not None:
                    lasts = self._lasts.setdefault(report.market, deque(maxlen=HISTORY))
                    lasts.append(report.last)
            case Balance():
                self._balances[report.asset] = report.available
            case Trade():
                self._trades.append(report)
            case Item():
                self._items.append(report)
        self._news = self._clock()

    def _gap(self, report: GapReport) -> None:
        self._gaps += 1
        self._dropped += report.dropped
        self._stale[report.channel] = self._clock()
        market = report.channel.partition(":")[2]
        kind = report.channel.partition(":")[0]
        # Nothing that may be wrong stays on the screen: a price least of all.
        if kind == "Ticker":
            self._tickers[market] = None
        elif kind == "Balances":
            self._balances.clear()
        elif market in self._books:
            self._books[market] = None
        self._note(report)

    def _note(self, report: Report) -> None:
        word, sentence = describe(report)
        self._log.append((report.at, word, sentence))

    # -- how it looks --------------------------------------------------------------------------

    def epilogue(self) -> RenderableType:
        """Return what stays in the terminal when the picture is gone."""
        told = [self._line(*entry, wrap=True) for entry in self._log]
        told.append(
            Text(
                f"Watched {', '.join(self._channels)} for {self._clock():.1f} s: "
                f"{self._gaps} gaps, {self._dropped} items dropped.",
                "bold",
            )
        )
        return Group(*told)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or console.height
        log_height = max(5, height // 5)
        body_height = max(1, height - 2 - log_height)  # a terminal may be smaller than that
        layout = Layout()
        layout.split_column(
            Layout(self._header(width), size=1),
            Layout(self._counts(width), size=1),
            Layout(name="body", size=body_height),
            Layout(self._log_panel(log_height - 2), size=log_height),
        )
        left = [name for name in self._channels if self._kind(name) in LADDERS]
        right = self._right(body_height)
        if left:
            book_width = width if not right else max(38, width * 9 // 20)
            ladders = Layout(name="books", size=book_width)
            each = max(1, body_height // len(left))
            ladders.split_column(
                *(
                    Layout(self._ladder(name, each - 2, book_width - 4, options.ascii_only))
                    for name in left
                )
            )
            columns = [ladders]
            if right:
                columns.append(Layout(name="right"))
                columns[1].split_column(*right)
            layout["body"].split_row(*columns)
        elif right:
            layout["body"].split_column(*right)
        else:
            layout["body"].update(panel(Text("waiting", "dim"), ", ".join(self._channels)))
        yield layout

    def _right(self, height: int) -> list[Layout]:
        """Return everything but the ladders."""
        parts = [
            Layout(self._ticker(name), size=TICKER_HEIGHT)
            for name in self._channels
            if self._kind(name) == "Ticker"
        ]
        if "Balances" in self._channels:
            lines = max(1, len(self._balances))
            parts.append(Layout(self._balances_panel(), size=max(1, min(2 + lines, height // 2))))
        if any(self._kind(name) in TAPES for name in self._channels):
            parts.append(Layout(self._tape()))
        others = [n for n in self._channels if self._kind(n) not in PICTURED]
        if others or self._items:
            parts.append(Layout(self._items_panel(others)))
        if len(parts) == 1 and parts[0].size is not None:
            # Not an empty text: Rich takes that for nothing at all, and draws a box of its own.
            parts.append(Layout(Text(" ")))
        return parts

    @staticmethod
    def _kind(name: str) -> str:
        return name.partition(":")[0]

    def _header(self, width: int) -> RenderableType:
        if self._connected is None:
            state = Text("connecting", "yellow")
        elif not self._up:
            state = Text("DISCONNECTED, connecting again", "bold red")
        else:
            who = self._connected.account
            state = Text(f"connected as {who}" if who else "connected", "bold green")
            state.append(f", connection {self._connected.connection}", "green")
        left = Text.assemble((f" trioflex watch {self._venue}", "bold"), "  ", state)
        right = f"{self._clock():.1f} s "
        left.truncate(max(0, width - len(right) - 1), overflow="ellipsis", pad=True)
        return Text.assemble(left, " ", (right, "dim"), no_wrap=True)

    def _counts(self, width: int) -> RenderableType:
        """Return the line that is always there: lag, gaps, drops."""
        statistics = None if self._client is None else self._client.statistics()
        ping = None if statistics is None else statistics.ping_time
        parts = [
            "news -" if self._news is None else f"news {self._clock() - self._news:.1f} s ago",
            "ping -" if ping is None else f"ping {ping * 1000:.1f} ms",
            f"messages {0 if statistics is None else statistics.messages_in}",
        ]
        shown = Text.assemble((f" {'  '.join(parts)}  ", "dim"), no_wrap=True, overflow="ellipsis")
        shown.append(f"gaps {self._gaps}", "bold red" if self._gaps else "dim")
        shown.append("  ")
        shown.append(f"dropped {self._dropped}", "bold red" if self._dropped else "dim")
        if self._stale:
            shown.append(f"  stale: {', '.join(self._stale)}", "bold red")
        return shown

    def _ladder(self, name: str, height: int, width: int, ascii_only: bool) -> Panel:
        market = name.partition(":")[2]
        title = f"order book {market}"
        since = self._stale.get(name)
        if since is not None:
            message = Text.assemble(
                ("the book is stale\n", "bold red"),
                f"for {max(0.0, self._clock() - since):.1f} s\n\n",
                ("no price is shown until\na snapshot has come", "dim"),
                justify="center",
            )
            return panel(Align.center(message, vertical="middle"), title, style="red")
        book = self._books.get(market)
        if book is None:
            return panel(Text("waiting for the first snapshot", "dim"), title)
        return panel(ladder(book, height, width, ascii_only), title)

    def _ticker(self, name: str) -> Panel:
        market = name.partition(":")[2]
        ticker = self._tickers.get(market)
        if ticker is None:
            stale = name in self._stale
            words = Text("stale", "bold red") if stale else Text("waiting", "dim")
            return panel(words, f"ticker {market}", style="red" if stale else "blue")
        table = Table.grid(padding=(0, 2), expand=True)
        for _ in range(3):
            table.add_column(justify="right", ratio=1, no_wrap=True)
        for row in (
            (("bid", ticker.bid), ("ask", ticker.ask), ("last", ticker.last)),
            (("low", ticker.low), ("high", ticker.high), ("vol", ticker.volume)),
        ):
            table.add_row(*(Text.assemble((f"{k} ", "dim"), text(v)) for k, v in row))
        return panel(Group(table, Text(), Spark(self._lasts.get(market, ()))), f"ticker {market}")

    def _balances_panel(self) -> Panel:
        lines = [
            Text.assemble((f"{asset:<8}", "bold"), f"{text(available):>20}", (" available", "dim"))
            for asset, available in self._balances.items()
        ]
        if not lines:
            lines = [Text("stale", "bold red") if "Balances" in self._stale else Text("-", "dim")]
        return panel(Group(*lines), "balances")

    def _tape(self) -> Panel:
        """Return the newest trades, newest first; what does not fit is cut off below."""
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(width=7, justify="right", no_wrap=True)
        table.add_column(width=4, no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        for trade in reversed(self._trades):
            style = STYLES.get(trade.side or "", "")
            table.add_row(
                Text(f"{trade.at:.1f}", "dim"),
                Text(trade.side or "", style),
                Text(text(trade.quantity), style),
                Text(text(trade.price), style),
            )
        return panel(table if self._trades else Text("none yet", "dim"), "trades")

    def _items_panel(self, names: Sequence[str]) -> Panel:
        lines = [
            self._line(
                item.at,
                item.kind,
                describe(item)[1].removeprefix(f"{item.channel}  {item.kind}").strip(),
            )
            for item in reversed(self._items)
        ]
        return panel(Group(*lines) if lines else Text("nothing yet", "dim"), ", ".join(names))

    def _line(self, at: float, word: str, sentence: str, *, wrap: bool = False) -> Text:
        head = ((f"{at:6.2f} ", "dim"), (f"{word:<10}", STYLES.get(word, "")))
        return Text.assemble(*head, " ", sentence, no_wrap=not wrap, overflow="ellipsis")

    def _log_panel(self, rows: int) -> Panel:
        lines = [self._line(*entry) for entry in list(self._log)[-rows:]]
        return panel(Group(*lines), "what happened")


class Spark:
    """A line of numbers, as high as they are."""

    def __init__(self, numbers: Sequence[Decimal] | deque[Decimal]) -> None:
        self._numbers = list(numbers)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        marks = ASCII_SPARKS if options.ascii_only else SPARKS
        shown = self._numbers[-options.max_width :]
        if not shown:
            yield Text("-", "dim")
            return
        low, high = min(shown), max(shown)
        steps = len(marks) - 1
        # Where all are the same the line is in the middle: nothing has moved.
        ranks = [
            steps // 2 if high == low else int((number - low) / (high - low) * steps)
            for number in shown
        ]
        style = "green" if shown[-1] >= shown[0] else "red"
        yield Text("".join(marks[rank] for rank in ranks), style, no_wrap=True)
