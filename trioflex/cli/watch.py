"""``trioflex watch``: live views of channels, as pictures, as lines or as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import attrs
import trio
import typer
from rich.console import Console

import trioflex
from trioflex import Gap, Overflow, Resumed
from trioflex.book import OrderBook
from trioflex.protocol import Channel

from .exits import one_reason
from .plain import plain
from .reaching import (
    CaFile,
    ChannelNames,
    Insecure,
    KeyFile,
    Seconds,
    Url,
    VenueName,
    Way,
    Wishes,
    find_way,
    reach,
    with_login,
)
from .report import (
    Audience,
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
)
from .running import execute
from .spelling import make_channel, spell

BOOK_EVERY = 0.2
"""Seconds between two books that are reported: as fast as anybody can look."""

SIDES = {"bid": "buy", "ask": "sell", "B": "buy", "S": "sell"}
"""How venues write what the one did who came second."""

LEVELS = 20
"""Of each side that are reported: what the tallest terminals show."""


class Life(trioflex.Observer):
    """Reports the life of a client's connections.

    Args:
        venue: its name.
        tell: is given the reports.
        clock: seconds since the command started.
    """

    def __init__(
        self, venue: str, tell: Callable[[Report], object], clock: Callable[[], float]
    ) -> None:
        self._venue = venue
        self._tell = tell
        self._now = clock
        self.over: bool = False
        """The end that comes now is ours, and no news."""

    def ready(self, connection: int, account: str | None, seconds: float) -> None:
        """Report it."""
        self._tell(
            Connected(
                at=self._now(),
                venue=self._venue,
                market="",
                account=account,
                connection=connection,
            )
        )

    def disconnected(self, connection: int, reason: str, code: int | None) -> None:
        """Report it."""
        if not self.over:
            self._tell(Disconnected(at=self._now(), connection=connection, reason=reason))

    def retrying(self, attempts: int, delay: float) -> None:
        """Report it."""
        self._tell(Retrying(at=self._now(), delay=delay))


@attrs.define
class Watch:
    """Follows channels and reports what they deliver.

    It tells by what items offer, not by whose they are: something that updates a book is part of a
    book, something with a price and the side of who came second is a trade, something with best and
    last prices is a ticker, something with assets and amounts is a
    balance; all else is told as it is.
    """

    audience: Audience
    count: float
    """Pieces of news after which it is enough."""
    began: float
    enough: trio.CancelScope
    book_every: float = BOOK_EVERY
    """Seconds between two books that are reported."""
    newest: dict[str, float] = attrs.field(factory=dict)
    """When the newest item of each channel was taken, on Trio's clock."""

    def now(self) -> float:
        """Return the seconds since it began."""
        return trio.current_time() - self.began

    async def follow(
        self,
        client: trioflex.Client,
        channel: Channel[Any],
        *,
        task_status: trio.TaskStatus[trioflex.Receiver[Any]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Subscribe to a channel and report it until the client closes.

        Args:
            client: whose channel it is.
            channel: what to follow.
            task_status: is told of the receiver when the channel is live.

        Raises:
            SubscriptionRefused: the venue, or a local limit, says no.
            SubscriptionTimeout: the venue did not confirm in time.

        Cancellation: the subscription is released.
        """
        name = spell(channel)
        market = name.partition(":")[2]
        book: OrderBook | None = None
        due = -math.inf
        changed = False
        async with client.subscribe(channel, overflow=Overflow.GAP) as receiver:
            task_status.started(receiver)
            while True:
                item: object = None
                # What changed shortly after a book was shown is shown when it is due, also where
                # nothing more comes. A book that cannot be shown is due at no time: it takes an
                # item to change that.
                waiting = book is not None and changed and book.valid and not book.crossed
                with trio.move_on_at(due if waiting else math.inf):
                    try:
                        item = await receiver.receive()
                        self.newest[name] = trio.current_time()
                    except trio.EndOfChannel:
                        return
                match item:
                    case None:
                        pass
                    case Gap() | Resumed():
                        if book is not None:
                            book.apply(item)
                        due, changed = -math.inf, False
                        self._mark(name, item)
                    case _ if hasattr(item, "update_book") and not channel.private:
                        book = OrderBook() if book is None else book
                        book.apply(item)
                        changed = True
                        self._trade(market, item)
                    case _ if hasattr(item, "taker_side") and hasattr(item, "price"):
                        self._trade(market, item)
                    case _:
                        for report in self._reports(name, market, item):
                            self._tell(report)
                now = trio.current_time()
                if book is not None and changed and now >= due and book.valid and not book.crossed:
                    due, changed = now + self.book_every, False
                    self._tell(
                        Book(
                            at=self.now(),
                            market=market,
                            bids=tuple((x.price, x.quantity) for x in book.bids[:LEVELS]),
                            asks=tuple((x.price, x.quantity) for x in book.asks[:LEVELS]),
                        )
                    )

    def _tell(self, report: Report) -> None:
        """Report a piece of news, unless there have been enough."""
        if self.count > 0:
            self.count -= 1
            self.audience.show(report)
            if self.count <= 0:
                self.enough.cancel()

    def _mark(self, name: str, marker: Gap | Resumed) -> None:
        if isinstance(marker, Gap):
            report: Report = GapReport(
                at=self.now(),
                channel=name,
                reason=marker.reason.value,
                connection=marker.connection,
                dropped=marker.dropped,
            )
        else:
            report = ResumedReport(
                at=self.now(),
                channel=name,
                snapshot=marker.snapshot,
                downtime=marker.downtime,
            )
        self.audience.show(report)

    def _trade(self, market: str, item: Any) -> None:
        """Report a trade, if the item of a book is one: it has a price and no order's id."""
        if hasattr(item, "price") and hasattr(item, "quantity") and not hasattr(item, "id"):
            side = SIDES.get(str(getattr(item, "taker_side", "")))
            self._tell(
                Trade(
                    at=self.now(),
                    market=market,
                    price=item.price,
                    quantity=item.quantity,
                    side=side,
                )
            )

    def _reports(self, name: str, market: str, item: Any) -> Iterable[Report]:
        """Return what to report of an item that is no part of a book."""
        if all(hasattr(item, word) for word in ("bid", "ask", "last", "low", "high", "volume")):
            yield Ticker(
                at=self.now(),
                market=market,
                **{
                    word: getattr(item, word)
                    for word in ("bid", "ask", "last", "low", "high", "volume")
                },
            )
            return
        each = [item] if hasattr(item, "asset") else _members(item)
        if each and all(hasattr(x, "asset") and _available(x) is not None for x in each):
            for balance in each:
                yield Balance(at=self.now(), asset=balance.asset, available=_available(balance))
            return
        yield Item(at=self.now(), channel=name, kind=type(item).__name__, value=plain(item))


def _members(item: Any) -> list[Any]:
    return [] if isinstance(item, str | bytes) or not hasattr(item, "__iter__") else list(item)


def _available(balance: Any) -> Any:
    """Return what can be used of a balance, ``None`` if it is none."""
    return getattr(balance, "available", getattr(balance, "free", None))


async def watch(
    way: Way,
    channels: Sequence[Channel[Any]],
    audience: Audience,
    *,
    count: int | None = None,
    seconds: float | None = None,
    connector: trioflex.Connector | None = None,
    opened: Callable[[trioflex.Client], object] = lambda client: None,
) -> None:
    """Watch channels until there was enough.

    Args:
        way: to the venue.
        channels: what to watch.
        audience: is given the reports.
        count: pieces of news, gaps and the like not counted; ``None``: without end.
        seconds: how long; ``None``: without end.
        connector: instead of the network.
        opened: is given the client, for its statistics.

    Raises:
        TrioflexError: it cannot go on.

    Cancellation: the connection is dropped.
    """
    began = trio.current_time()
    deadline = math.inf if seconds is None else began + seconds
    life = Life(way.venue.name, audience.show, lambda: trio.current_time() - began)
    async with reach(way, observer=life, connector=connector) as client:
        opened(client)
        # What is cancelled when it was enough is in here: the client's own block ends in peace,
        # and so closes politely.
        try:
            with one_reason():
                async with trio.open_nursery() as nursery:
                    nursery.cancel_scope.deadline = deadline
                    left = math.inf if count is None else count
                    following = Watch(audience, left, began, nursery.cancel_scope)
                    for channel in channels:
                        nursery.start_soon(following.follow, client, channel)
        finally:
            # After Ctrl-C as well. Of a client that failed the end was told before it got here.
            life.over = True


async def watch_command(
    wishes: Wishes,
    names: Sequence[str],
    count: int | None,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Watch channels, for whoever sits at standard output: a program, a terminal or a file.

    Raises:
        LocalProtocolError: something given cannot be right.
        TrioflexError: it cannot go on.
    """
    from .lines import JsonLines, PlainLines
    from .stage import is_drawable, open_screen, write
    from .watch_screen import WatchScreen

    way = find_way(wishes)
    channels = list(dict.fromkeys(make_channel(way.venue, name) for name in names))
    private = next((spell(channel) for channel in channels if channel.private), None)
    way = with_login(way, wishes, needed=private)
    console = Console()
    if as_json:
        await watch(way, channels, JsonLines(write), count=count, seconds=seconds)
    elif is_drawable(console):
        began = trio.current_time()
        screen = WatchScreen(
            way.venue.name,
            [(spell(channel), channel.private) for channel in channels],
            lambda: trio.current_time() - began,
        )
        async with open_screen(console, screen):
            await watch(way, channels, screen, count=count, seconds=seconds, opened=screen.opened)
    else:
        await watch(way, channels, PlainLines(write), count=count, seconds=seconds)


def watch_channels(
    context: typer.Context,
    venue: VenueName,
    channels: ChannelNames,
    url: Url = None,
    count: Annotated[
        int | None,
        typer.Option("--count", min=1, metavar="N", help="Stop after N pieces of news."),
    ] = None,
    seconds: Seconds = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line instead of a screen.")
    ] = False,
    ca_file: CaFile = None,
    insecure: Insecure = False,
    key_file: KeyFile = None,
) -> None:
    """Watch order books, trades, tickers and balances live, until Ctrl-C."""
    wishes = Wishes(venue=venue, url=url, ca_file=ca_file, insecure=insecure, key_file=key_file)
    execute(context, watch_command, wishes, channels, count, seconds, as_json)
