"""Subscriptions of the console: what channels deliver becomes news."""

from __future__ import annotations

import math
from typing import Any

import attrs
import trio

import trioflex
from trioflex import LocalProtocolError
from trioflex.protocol import Channel

from ..exits import sentence_of
from ..lines import describe
from ..report import Balance, Book, GapReport, Report, ResumedReport, Ticker
from ..spelling import spell
from ..watch import Watch
from .outbox import Outbox
from .outputs import News

BOOK_EVERY = 1.0
"""Seconds between two lines about a book, above a prompt at which somebody may be typing."""

LONGEST = 400
"""Characters of a line; five lines of the narrowest terminal."""

PATIENCE = 20.0
"""Seconds that a subscription may take, a lost connection in between included."""


OVER = (trio.BrokenResourceError, trio.ClosedResourceError)
"""What is raised where there is no client any more."""


@attrs.frozen(eq=False)
class Subscription:
    """One that is on."""

    receiver: trioflex.Receiver[Any]
    scope: trio.CancelScope
    since: float


class Following:
    """Follows channels, each in a task, until told otherwise.

    Args:
        outbox: takes the news.
        nursery: in which the tasks live.
    """

    def __init__(self, outbox: Outbox, nursery: trio.Nursery) -> None:
        self._outbox = outbox
        self._nursery = nursery
        self._watch = Watch(
            audience=self,
            count=math.inf,
            began=trio.current_time(),
            enough=trio.CancelScope(),
            book_every=BOOK_EVERY,
        )
        self._said: dict[str, str] = {}
        self.running: dict[str, Subscription] = {}
        """By how channels are spelt."""

    def show(self, report: Report) -> None:
        """Pass a report on, unless it says of a state what was said last; it is an audience."""
        word, text = describe(report)
        text = " ".join(text.split())
        match report:
            case Book() | Ticker():
                known = f"{word} {report.market}"
            case Balance():
                known = f"{word} {report.asset}"
            case _:
                known = ""
                if isinstance(report, GapReport):
                    self._said.clear()
        if known and self._said.get(known) == text:
            return
        self._said[known] = text
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]} ... ({len(text) - LONGEST} characters more)"
        if isinstance(report, GapReport | ResumedReport):
            self._outbox.tell(News(word, text))
        else:
            self._outbox.push(News(word, text))

    def newest(self, name: str) -> float | None:
        """Return when a channel's newest item came, on Trio's clock."""
        return self._watch.newest.get(name)

    async def start(self, client: trioflex.Client, channel: Channel[Any]) -> None:
        """Subscribe, and return when the channel is live.

        Raises:
            LocalProtocolError: it is on already, or nothing came in time.
            TrioflexError: it was refused, or not confirmed.
        """
        name = spell(channel)
        if name in self.running:
            raise LocalProtocolError(f"{name} is on already.")
        with trio.move_on_after(PATIENCE) as patience:
            await self._nursery.start(self._follow, client, channel, name, name=f"following {name}")
        if patience.cancelled_caught:
            raise LocalProtocolError(f"{name} is not on: nothing came within {PATIENCE:g} s.")

    def stop(self, name: str) -> None:
        """Unsubscribe."""
        self.running.pop(name).scope.cancel()

    async def _follow(
        self,
        client: trioflex.Client,
        channel: Channel[Any],
        name: str,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        mine: Subscription | None = None

        class Live:
            """Takes the receiver of a channel that is live."""

            def started(self, value: Any = None) -> None:
                nonlocal mine
                mine = following.running[name] = Subscription(value, scope, trio.current_time())
                task_status.started()

        following = self
        with trio.CancelScope() as scope:
            try:
                await self._watch.follow(client, channel, task_status=Live())
            except (trioflex.TrioflexError, *OVER) as error:
                if mine is None:
                    raise
                why = "the client is gone" if isinstance(error, OVER) else sentence_of(error)
                self._outbox.tell(News("ENDED", f"{name}: {why}"))
            finally:
                if mine is not None and self.running.get(name) is mine:
                    del self.running[name]
