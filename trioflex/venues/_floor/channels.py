"""The streams that the venues offer."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import attrs

from ...book import OrderBook as BookFold
from ...protocol import Channel, Confirm, Request
from . import wire
from .folds import BalanceSheet, Latest, OpenOrders
from .requests import GetBalances, GetOrders, asset_name

BookItem: TypeAlias = (
    wire.BookSnapshot
    | wire.OrderOpened
    | wire.OrderModified
    | wire.OrdersMatched
    | wire.OrderClosed
)
"""What a book channel delivers."""

OwnOrderItem: TypeAlias = (
    wire.OrdersSnapshot
    | wire.OrderOpened
    | wire.OrderModified
    | wire.OrdersMatched
    | wire.OrderClosed
)
"""What :class:`OwnOrders` delivers."""

BalanceItem: TypeAlias = wire.BalancesSnapshot | wire.BalanceChanged
"""What :class:`Balances` delivers."""


@attrs.frozen(cache_hash=True)
class OrderBook(Channel[BookItem]):
    """All orders of one market: a snapshot, then every change.

    :class:`trioflex.book.OrderBook` makes a book of it.
    """

    fold: ClassVar[Any] = BookFold

    base: str = attrs.field(converter=asset_name)
    """Name of the asset that is traded."""
    counter: str = attrs.field(converter=asset_name)
    """Name of the asset it is paid in."""


@attrs.frozen(cache_hash=True)
class Ticker(Channel[wire.TickerSnapshot]):
    """One market at a glance: the whole ticker each time a part of it changes."""

    fold: ClassVar[Any] = Latest

    base: str = attrs.field(converter=asset_name)
    """Name of the asset that is traded."""
    counter: str = attrs.field(converter=asset_name)
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
class TradeVolume(Channel[wire.TradeVolumeChanged]):
    """Your trade volume of the last 30 days, asset by asset, whenever it changes."""

    private: ClassVar[bool] = True
    confirm: ClassVar[Confirm] = Confirm.IMPLICIT
