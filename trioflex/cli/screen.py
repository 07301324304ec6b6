"""Reports as one live picture of a market, for terminals of 80 columns and 24 lines or more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal

from rich.align import Align
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .lines import describe
from .report import (
    Balance,
    Book,
    Connected,
    Fill,
    GapReport,
    Level,
    Order,
    Report,
    ResumedReport,
    Summary,
    Ticker,
    text,
)

ALIVE = ("sent", "open", "unknown")
"""States of orders that stay on the screen whatever comes after them."""

NOTEWORTHY = ("refused", "not sent", "unknown")
"""States of orders that the log tells, besides fills."""

TOGETHER = 0.5
"""Gaps, or their ends, of several channels within this many seconds are one line of the log: it is
one lost connection, and a subscription is confirmed one reply after the other."""

STYLES = {
    "buy": "green", "sell": "red", "GAP": "bold red", "RESUMED": "bold green",
    "connected": "bold cyan", "fill": "yellow", "order": "magenta",
    "LOST": "bold red", "retrying": "yellow",
}  # fmt: skip


class Screen:
    """Keeps what was reported last and draws it; an audience, and a rich renderable.

    Args:
        title: what runs here.
        seconds: how long it will.
        clock: seconds since it started.
    """

    def __init__(self, title: str, seconds: float, clock: Callable[[], float]) -> None:
        self._title = title
        self._seconds = seconds
        self._clock = clock
        self._connected: Connected | None = None
        self._book: Book | None = None
        self._ticker: Ticker | None = None
        self._balances: dict[str, Decimal] = {}
        self._orders: dict[int, Order] = {}
        self._log: deque[tuple[float, str, str]] = deque(maxlen=100)
        self._stale: dict[str, float] = {}
        self._fills = 0
        self._summary: Summary | None = None

    # -- what happened -------------------------------------------------------------------------

    def show(self, report: Report) -> None:
        """Take one report into the picture; the next drawing shows it."""
        match report:
            case Connected():
                self._connected = report
                self._note(report)
            case Book():
                self._book = report
            case Ticker():
                self._ticker = report
            case Balance():
                self._balances[report.asset] = report.available
            case Order():
                # The one that changed last stands last.
                self._orders.pop(report.tonce, None)
                self._orders[report.tonce] = report
                if report.state in NOTEWORTHY or report.note:
                    self._note(report)
            case Fill():
                self._fills += 1
                self._note(report)
            case GapReport():
                self._stale[report.channel] = report.at
                self._book = None if report.channel == "order book" else self._book
                self._note_channel(report, report.channel, report.reason)
            case ResumedReport():
                self._stale.pop(report.channel, None)
                self._note_channel(report, report.channel, f"after {report.downtime:.2f} s")
            case Summary():
                self._summary = report

    def _note(self, report: Report) -> None:
        word, sentence = describe(report)
        self._log.append((report.at, word, sentence))

    def _note_channel(self, report: Report, channel: str, why: str) -> None:
        word, _ = describe(report)
        for index, (at, known, sentence) in enumerate(self._log):
            if known == word and sentence.endswith(why) and report.at - at < TOGETHER:
                channels = sentence.removesuffix(f": {why}")
                self._log[index] = (at, word, f"{channels}, {channel}: {why}")
                return
        self._log.append((report.at, word, f"{channel}: {why}"))

    # -- how it looks --------------------------------------------------------------------------

    def epilogue(self) -> RenderableType:
        """Return what stays in the terminal when the picture is gone: the log and the summary."""
        told = [self._line(*entry, wrap=True) for entry in self._log]
        if self._summary is not None:
            told.append(Text(describe(self._summary)[1], "bold"))
        return Group(*told)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or console.height
        ascii_only = options.ascii_only
        log_height = max(7, height // 4)
        body_height = max(1, height - 1 - log_height)  # a terminal may be smaller than that
        book_width = max(38, width * 2 // 5)
        balances_height = 2 + max(1, len(self._balances))
        orders_height = max(1, body_height - 5 - balances_height)

        layout = Layout()
        layout.split_column(
            Layout(self._header(width), size=1),
            Layout(name="body", size=body_height),
            Layout(self._log_panel(log_height - 2), size=log_height),
        )
        layout["body"].split_row(
            Layout(self._book_panel(body_height - 2, book_width - 4, ascii_only), size=book_width),
            Layout(name="right"),
        )
        layout["right"].split_column(
            Layout(self._ticker_panel(), size=5),
            Layout(self._balances_panel(), size=balances_height),
            Layout(self._orders_panel(orders_height - 3), size=orders_height),
        )
        yield layout

    def _header(self, width: int) -> RenderableType:
        if self._connected is None:
            state = Text("connecting", "yellow")
        elif self._stale:
            state = Text("disconnected, connecting again", "bold red")
        else:
            who = self._connected.account
            state = Text(f"connected as user {who}" if who else "connected", "bold green")
            state.append(f", connection {self._connected.connection}", "green")
        left = Text.assemble((f" {self._title}", "bold"), "  ", state)
        right = f"{min(self._clock(), self._seconds):.1f} / {self._seconds:g} s "
        left.truncate(max(0, width - len(right) - 1), overflow="ellipsis", pad=True)
        return Text.assemble(left, " ", (right, "dim"), no_wrap=True)

    def _book_panel(self, height: int, width: int, ascii_only: bool) -> Panel:
        market = "" if self._connected is None else f" {self._connected.market}"
        since = self._stale.get("order book")
        if since is not None:
            message = Text.assemble(
                ("the book is stale\n", "bold red"),
                f"for {max(0.0, self._clock() - since):.1f} s\n\n",
                ("no price is shown until\na snapshot has come", "dim"),
                justify="center",
            )
            return panel(
                Align.center(message, vertical="middle"), f"order book{market}", style="red"
            )
        if self._book is None:
            return panel(Text("waiting for the first snapshot", "dim"), f"order book{market}")
        return panel(ladder(self._book, height, width, ascii_only), f"order book{market}")

    def _ticker_panel(self) -> Panel:
        ticker = self._ticker
        table = Table.grid(padding=(0, 2), expand=True)
        for _ in range(3):
            table.add_column(justify="right", ratio=1, no_wrap=True)
        if ticker is not None:
            rows = (
                (("bid", ticker.bid), ("ask", ticker.ask), ("last", ticker.last)),
                (("low", ticker.low), ("high", ticker.high), ("vol", ticker.volume)),
            )
            for row in rows:
                table.add_row(*(Text.assemble((f"{k} ", "dim"), text(v)) for k, v in row))
            spare = "" if "ticker" not in self._stale else "stale"
            table.add_row(Text(spare, "bold red"), "", "")
        return panel(table, "ticker")

    def _balances_panel(self) -> Panel:
        lines = [
            Text.assemble((f"{asset:<6}", "bold"), f"{text(available):>18}", (" available", "dim"))
            for asset, available in self._balances.items()
        ]
        return panel(Group(*lines) if lines else Text("-", "dim"), "balances")

    def _orders_panel(self, rows: int) -> Panel:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(width=4, no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        head = (Text(word, "dim") for word in ("side", "left", "price", "state"))
        table.add_row(*head)
        newest = list(self._orders.values())[::-1]
        newest.sort(key=lambda order: order.state not in ALIVE)
        for order in newest[: max(1, rows)]:
            alive = order.state in ALIVE
            style = STYLES[order.side] if alive else "dim"
            state = "bold red" if order.state == "unknown" else style
            table.add_row(
                Text(order.side, style),
                Text(text(order.remaining), style),
                Text(text(order.price), style),
                Text(order.state, state),
            )
        noun = "fill" if self._fills == 1 else "fills"
        return panel(table, f"own orders, {self._fills} {noun}")

    def _line(self, at: float, word: str, sentence: str, *, wrap: bool = False) -> Text:
        head = ((f"{at:6.2f} ", "dim"), (f"{word:<10}", STYLES.get(word, "")))
        return Text.assemble(*head, sentence, no_wrap=not wrap, overflow="ellipsis")

    def _log_panel(self, rows: int) -> Panel:
        lines = [self._line(*entry) for entry in list(self._log)[-rows:]]
        return panel(Group(*lines), "what happened")


def ladder(book: Book, height: int, width: int, ascii_only: bool) -> RenderableType:
    """Return a book as a ladder: asks above bids, each with a bar for all that stands up to it.

    Args:
        book: what was reported of it.
        height: lines there are.
        width: columns there are.
        ascii_only: the terminal cannot show block characters.
    """
    # A heading and the line between the sides; what is left is for the levels.
    rows = max(1, (height - 2) // 2)
    bids, asks = book.bids[:rows], book.asks[:rows]
    deepest = max((_sum(bids), _sum(asks), Decimal(1) / 10**9))
    room = max(4, width - 22)
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(justify="right", width=10)
    table.add_column(justify="right", width=9)
    table.add_column(no_wrap=True)
    table.add_row(Text("price", "dim"), Text("quantity", "dim"), Text("depth", "dim"))
    for _ in range(rows - len(asks)):
        table.add_row("", "", "")
    for (price, quantity), depth in reversed(_depths(asks)):
        bar = _bar(depth / deepest, room, ascii_only)
        table.add_row(Text(text(price), "red"), text(quantity), Text(bar, "red"))
    table.add_row(Text(_spread(book), "bold"), Text("spread", "dim"), "")
    for (price, quantity), depth in _depths(bids):
        bar = _bar(depth / deepest, room, ascii_only)
        table.add_row(Text(text(price), "green"), text(quantity), Text(bar, "green"))
    return table


def _spread(book: Book) -> str:
    return text(book.asks[0][0] - book.bids[0][0]) if book.asks and book.bids else "-"


def panel(content: RenderableType, title: str, style: str = "blue") -> Panel:
    """Return a frame with a title round a content."""
    return Panel(content, title=title, title_align="left", border_style=style, padding=(0, 1))


def _sum(levels: tuple[Level, ...]) -> Decimal:
    return sum((quantity for _, quantity in levels), Decimal(0))


def _depths(levels: tuple[Level, ...]) -> list[tuple[Level, Decimal]]:
    """Each level with all that stands up to it."""
    depths = []
    total = Decimal(0)
    for level in levels:
        total += level[1]
        depths.append((level, total))
    return depths


def _bar(share: Decimal, room: int, ascii_only: bool) -> str:
    """Draw a share of the room, to an eighth of a column where the terminal can."""
    if ascii_only:
        return "#" * max(1, round(share * room))
    eighths = max(1, round(share * room * 8))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
