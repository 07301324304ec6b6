"""What a matching engine tells: one record per event, in the order in which they happened."""

from __future__ import annotations

import msgspec

from .book import AccountId, Asset, Market


class BalanceChanged(msgspec.Struct, frozen=True):
    """An account's available amount of an asset is another one now."""

    account: AccountId
    asset: Asset
    available: int
    reserved: int


class OrderOpened(msgspec.Struct, frozen=True):
    """A limit order came in; ``quantity`` is signed, negative for an ask."""

    id: int
    owner: AccountId
    tonce: int | None
    market: Market
    quantity: int
    price: int
    time: int


class OrderModified(msgspec.Struct, frozen=True):
    """An order's quantity or price was changed by its owner; the new values."""

    id: int
    owner: AccountId
    tonce: int | None
    market: Market
    quantity: int
    price: int
    time: int


class OrderClosed(msgspec.Struct, frozen=True):
    """An order left; ``quantity`` is what was still open, signed, and 0 if it was filled."""

    id: int
    owner: AccountId
    tonce: int | None
    market: Market
    quantity: int
    price: int
    time: int


class OrdersMatched(msgspec.Struct, frozen=True):
    """Two orders traded; the side that was a market order has no id and no remainder."""

    market: Market
    bid: int | None
    ask: int | None
    bid_owner: AccountId
    ask_owner: AccountId
    bid_tonce: int | None
    ask_tonce: int | None
    quantity: int
    price: int
    total: int
    bid_rem: int | None
    ask_rem: int | None
    bid_fee: int
    """Counter units, on top of the total."""

    ask_fee: int
    """Counter units, out of the total."""

    taker_bid: bool
    """Whether the bid was the order that came second."""

    time: int


class TickerChanged(msgspec.Struct, frozen=True):
    """Some of a market's figures changed; ``changes`` holds those and no other."""

    market: Market
    changes: dict[str, int | None]


class TradeVolumeChanged(msgspec.Struct, frozen=True):
    """An account's traded amount of an asset, over the last 30 days, is another one now."""

    account: AccountId
    asset: Asset
    volume: int


Happening = (
    BalanceChanged
    | OrderOpened
    | OrderModified
    | OrderClosed
    | OrdersMatched
    | TickerChanged
    | TradeVolumeChanged
)
"""Anything an engine tells."""
