"""Who hears of what on the CoinFLEX and Coinfloor wire: subscriptions, logins, and the routing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from .book import AccountId, Market
from .floor_notices import Notice, Notices
from .happenings import (
    BalanceChanged,
    Happening,
    OrderClosed,
    OrderModified,
    OrderOpened,
    OrdersMatched,
    TickerChanged,
)

_encode = msgspec.json.Encoder(order="deterministic").encode


def encode(message: Notice) -> str:
    """Return a message's JSON text, its keys in alphabetical order as the live servers had them."""
    return _encode(message).decode()


class Listener(Protocol):
    """A connection, as far as the audience is concerned."""

    def tell(self, frame: str) -> None:
        """Send a notice."""


class Audience:
    """The connections that hear notices, and what each of them hears.

    A connection hears each happening once, with the owner's fields if it is logged in as an owner
    ("coinflex-exchange/API WEBSOCKET-README.md", notices). Dictionaries serve as sets that keep
    their order, so that the same run always tells in the same order.

    Args:
        notices: makes the messages.
    """

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._book: dict[Market, dict[Listener, None]] = {}
        self._ticker: dict[Market, dict[Listener, None]] = {}
        self._accounts: dict[AccountId, dict[Listener, None]] = {}

    def watch(self, method: str, market: Market, listener: Listener) -> bool:
        """Subscribe a connection (``"WatchOrders"`` or ``"WatchTicker"``).

        Returns:
            False if it is subscribed already.
        """
        watchers = self._watchers(method).setdefault(market, {})
        if listener in watchers:
            return False
        watchers[listener] = None
        return True

    def unwatch(self, method: str, market: Market, listener: Listener) -> bool:
        """Unsubscribe a connection.

        Returns:
            False if it is not subscribed.
        """
        watchers = self._watchers(method).get(market, {})
        if listener not in watchers:
            return False
        del watchers[listener]
        return True

    def log_in(self, account: AccountId, listener: Listener) -> None:
        """Have a connection hear of an account, and of no other."""
        self._log_out(listener)
        self._accounts.setdefault(account, {})[listener] = None

    def leave(self, listener: Listener) -> None:
        """Forget a connection."""
        for watchers in (*self._book.values(), *self._ticker.values()):
            watchers.pop(listener, None)
        self._log_out(listener)

    def tell(self, happening: Happening) -> None:
        """Tell everybody concerned."""
        if isinstance(happening, OrdersMatched):
            self._tell_match(happening)
        elif isinstance(happening, OrderOpened | OrderModified | OrderClosed):
            self._tell_order(happening)
        elif isinstance(happening, TickerChanged):
            self._send(self._ticker.get(happening.market, ()), self._notices.ticker(happening))
        elif isinstance(happening, BalanceChanged):
            self._send(self._accounts.get(happening.account, ()), self._notices.balance(happening))
        else:
            self._send(self._accounts.get(happening.account, ()), self._notices.volume(happening))

    def _watchers(self, method: str) -> dict[Market, dict[Listener, None]]:
        return self._book if method == "WatchOrders" else self._ticker

    def _log_out(self, listener: Listener) -> None:
        for listeners in self._accounts.values():
            listeners.pop(listener, None)

    def _tell_order(self, happening: OrderOpened | OrderModified | OrderClosed) -> None:
        owners = self._accounts.get(happening.owner, {})
        others = [
            watcher for watcher in self._book.get(happening.market, ()) if watcher not in owners
        ]
        for listeners, own in ((others, False), (owners, True)):
            if listeners:
                self._send(
                    listeners,
                    self._notices.closed(happening, own=own)
                    if isinstance(happening, OrderClosed)
                    else self._notices.order(happening, own=own),
                )

    def _tell_match(self, happening: OrdersMatched) -> None:
        buyers = self._accounts.get(happening.bid_owner, {})
        sellers = self._accounts.get(happening.ask_owner, {})
        others = [
            watcher
            for watcher in self._book.get(happening.market, ())
            if watcher not in buyers and watcher not in sellers
        ]
        if others:
            self._send(others, self._notices.matched(happening, bid_own=False, ask_own=False))
        if happening.bid_owner == happening.ask_owner:
            if buyers:
                self._send(buyers, self._notices.matched(happening, bid_own=True, ask_own=True))
            return
        if buyers:
            self._send(buyers, self._notices.matched(happening, bid_own=True, ask_own=False))
        if sellers:
            self._send(sellers, self._notices.matched(happening, bid_own=False, ask_own=True))

    @staticmethod
    def _send(listeners: Iterable[Listener], notice: Notice) -> None:
        frame = ""
        for listener in listeners:
            frame = frame or encode(notice)
            listener.tell(frame)
