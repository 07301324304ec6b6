"""Turning an engine's happenings into notices of the CoinFLEX and Coinfloor wire.

A notice about an order exists in several versions: what everybody who watches the book may see, and
what only an owner may ("coinflex-exchange/API WEBSOCKET-README.md", notices). ``own`` and the
``..._own`` flags ask for the owner's; those fields are present for owners even where they are null.
"""

from __future__ import annotations

from .happenings import (
    BalanceChanged,
    OrderClosed,
    OrderModified,
    OrderOpened,
    OrdersMatched,
    TickerChanged,
    TradeVolumeChanged,
)

Notice = dict[str, object]


class Notices:
    """Makes the notices of one venue.

    Args:
        extended: whether with the fields that only CoinFLEX has (``time_closed``, ``taker_side``,
            ``taker``).
    """

    def __init__(self, *, extended: bool) -> None:
        self._extended = extended

    def order(self, happening: OrderOpened | OrderModified, *, own: bool) -> Notice:
        """Make an ``OrderOpened`` or an ``OrderModified``."""
        notice: Notice = {
            "notice": "OrderOpened" if isinstance(happening, OrderOpened) else "OrderModified",
            "id": happening.id,
            "base": happening.market.base,
            "counter": happening.market.counter,
            "quantity": happening.quantity,
            "price": happening.price,
            "time": happening.time,
        }
        if own:
            notice["tonce"] = happening.tonce
        return notice

    def closed(self, happening: OrderClosed, *, own: bool) -> Notice:
        """Make an ``OrderClosed``."""
        notice: Notice = {
            "notice": "OrderClosed",
            "id": happening.id,
            "base": happening.market.base,
            "counter": happening.market.counter,
            "quantity": happening.quantity,
            "price": happening.price,
        }
        if self._extended:
            notice["time_closed"] = happening.time
        if own:
            notice["tonce"] = happening.tonce
        return notice

    def matched(self, happening: OrdersMatched, *, bid_own: bool, ask_own: bool) -> Notice:
        """Make an ``OrdersMatched``."""
        notice: Notice = {
            "notice": "OrdersMatched",
            "base": happening.market.base,
            "counter": happening.market.counter,
            "quantity": happening.quantity,
            "price": happening.price,
            "total": happening.total,
            "time": happening.time,
        }
        if happening.bid is not None:
            notice["bid"] = happening.bid
            notice["bid_rem"] = happening.bid_rem
        if happening.ask is not None:
            notice["ask"] = happening.ask
            notice["ask_rem"] = happening.ask_rem
        if bid_own:
            notice["bid_tonce"] = happening.bid_tonce
            notice["bid_base_fee"] = 0
            notice["bid_counter_fee"] = happening.bid_fee
        if ask_own:
            notice["ask_tonce"] = happening.ask_tonce
            notice["ask_base_fee"] = 0
            notice["ask_counter_fee"] = happening.ask_fee
        if self._extended:
            notice["taker_side"] = "bid" if happening.taker_bid else "ask"
            if bid_own or ask_own:
                notice["taker"] = bid_own if happening.taker_bid else ask_own
        return notice

    def ticker(self, happening: TickerChanged) -> Notice:
        """Make a ``TickerChanged``, which has what changed and no more."""
        return {
            "notice": "TickerChanged",
            "base": happening.market.base,
            "counter": happening.market.counter,
            **happening.changes,
        }

    def balance(self, happening: BalanceChanged) -> Notice:
        """Make a ``BalanceChanged``: the available amount."""
        return {
            "notice": "BalanceChanged",
            "asset": happening.asset,
            "balance": happening.available,
        }

    def volume(self, happening: TradeVolumeChanged) -> Notice:
        """Make a ``TradeVolumeChanged``."""
        return {
            "notice": "TradeVolumeChanged",
            "asset": happening.asset,
            "volume": happening.volume,
        }
