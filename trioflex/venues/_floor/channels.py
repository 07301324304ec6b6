"""The streams that the venues offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import attrs

from ...protocol import Channel, Confirm, Request
from .arguments import as_asset
from .balances import BalanceSheet
from .kept_book import KeptBook
from .notices import (
    BalanceChanged,
    OrderClosed,
    OrderModified,
    OrderOpened,
    OrdersMatched,
    TradeVolumeChanged,
)
from .own_orders import OpenOrders, OwnOrderItem
from .replies import BalancesSnapshot, BookSnapshot, TickerSnapshot
from .requests import GetBalances, GetOrders

BookItem: TypeAlias = BookSnapshot | OrderOpened | OrderModified | OrdersMatched | OrderClosed
"""What a book channel delivers."""

BalanceItem: TypeAlias = BalancesSnapshot | BalanceChanged
"""What :class:`Balances` delivers."""


class Latest:
    """Keeps the newest item, for channels whose every item is the whole state."""

    def __init__(self) -> None:
        self._item: TickerSnapshot | None = None

    def apply(self, item: TickerSnapshot) -> None:
        """Take the next item."""
        self._item = item

    def apply_all(self, items: Sequence[TickerSnapshot]) -> None:
        """Take the next items: the last one says it all."""
        self._item = items[-1]

    def snapshot(self) -> TickerSnapshot | None:
        """Return the newest item, ``None`` if there is none."""
        return self._item

    def invalidate(self) -> None:
        """Forget it."""
        self._item = None


@attrs.frozen(cache_hash=True)
class OrderBook(Channel[BookItem]):
    """All orders of one market: a snapshot, then every change.

    :class:`trioflex.book.OrderBook` makes a book of it.
    """

    fold: ClassVar[Any] = KeptBook

    base: str = attrs.field(converter=as_asset)
    """Name of the asset that is traded."""
    counter: str = attrs.field(converter=as_asset)
    """Name of the asset it is paid in."""


@attrs.frozen(cache_hash=True)
class Ticker(Channel[TickerSnapshot]):
    """One market at a glance: the whole ticker each time a part of it changes."""

    fold: ClassVar[Any] = Latest

    base: str = attrs.field(converter=as_asset)
    """Name of the asset that is traded."""
    counter: str = attrs.field(converter=as_asset)
    """Name of the asset it is paid in."""


@attrs.frozen(cache_hash=True)
class OwnOrders(Channel[OwnOrderItem]):
    """What happens to your own orders, in any book: those that are open, then every change.

    :class:`OpenOrders` follows them. Market orders appear with their trades only.
    """

    private: ClassVar[bool] = True
    confirm: ClassVar[Confirm] = Confirm.IMPLICIT
    fold: ClassVar[Any] = OpenOrders

    @property
    def bootstrap(self) -> Request[Any]:
        """``GetOrders``: the venue announces changes unasked, but not what was before."""
        return GetOrders()


@attrs.frozen(cache_hash=True)
class Balances(Channel[BalanceItem]):
    """Your balances: all of them, then every change.

    Where a change crossed the reply with all balances, they are asked for once more; so a second
    snapshot may follow. :class:`BalanceSheet` keeps them.
    """

    private: ClassVar[bool] = True
    confirm: ClassVar[Confirm] = Confirm.IMPLICIT
    fold: ClassVar[Any] = BalanceSheet

    @property
    def bootstrap(self) -> Request[Any]:
        """``GetBalances``: the venue announces changes unasked, but not what was before."""
        return GetBalances()


@attrs.frozen(cache_hash=True)
class TradeVolume(Channel[TradeVolumeChanged]):
    """Your trade volume of the last 30 days, asset by asset, whenever it changes."""

    private: ClassVar[bool] = True
    confirm: ClassVar[Confirm] = Confirm.IMPLICIT
