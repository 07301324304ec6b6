"""What channels ask of the wire; made by the session, not by users."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import attrs

from ..._vocabulary.errors import LocalProtocolError, RefusalKind
from ...protocol import Channel
from . import replies as shapes
from .assets import AssetTable
from .requests import FloorRequest, Replies

R = TypeVar("R")


@attrs.frozen
class _Watch(FloorRequest[R]):
    """Start or stop a channel; made by the session."""

    private: ClassVar[bool] = False

    channel: Channel[Any]
    base: str
    counter: str
    watch: bool

    def refusal(self, code: int) -> RefusalKind:
        """No such market, when it starts; not watching, when it stops."""
        if code == 1 and self.watch:
            return RefusalKind.UNKNOWN_MARKET
        return super().refusal(code)

    def fields(self, assets: AssetTable) -> dict[str, object]:
        return {
            "base": assets.asset(self.base).id,
            "counter": assets.asset(self.counter).id,
            "watch": self.watch,
        }


@attrs.frozen
class WatchOrders(_Watch["shapes.BookSnapshot | None"]):
    """Start or stop a book."""

    method: ClassVar[str] = "WatchOrders"

    def value(self, frame: bytes, replies: Replies) -> shapes.BookSnapshot | None:
        if not self.watch:
            return None
        orders = sorted(
            replies.decode(frame, shapes.BookOrders).orders,
            key=lambda order: (order.time, order.id),
        )
        assets = replies.assets
        bids = [order.scaled_price for order in orders if order.scaled_quantity > 0]
        asks = [order.scaled_price for order in orders if order.scaled_quantity < 0]
        return assets.bind(shapes.BookSnapshot)(
            base_id=assets.asset(self.base).id,
            counter_id=assets.asset(self.counter).id,
            orders=tuple(orders),
            # A side that came full goes on behind its worst price, unseen.
            scaled_bid_horizon=min(bids) if len(bids) >= shapes.SNAPSHOT_DEPTH else None,
            scaled_ask_horizon=max(asks) if len(asks) >= shapes.SNAPSHOT_DEPTH else None,
        )


@attrs.frozen
class WatchTicker(_Watch["shapes.TickerSnapshot | None"]):
    """Start or stop a ticker."""

    method: ClassVar[str] = "WatchTicker"

    def value(self, frame: bytes, replies: Replies) -> shapes.TickerSnapshot | None:
        if not self.watch:
            return None
        reply = replies.decode(frame, shapes.TickerReply)
        assets = replies.assets
        return assets.bind(shapes.TickerSnapshot)(
            base_id=assets.asset(self.base).id,
            counter_id=assets.asset(self.counter).id,
            scaled_last=reply.last,
            scaled_bid=reply.bid,
            scaled_ask=reply.ask,
            scaled_low=reply.low,
            scaled_high=reply.high,
            scaled_volume=reply.volume,
        )


@attrs.frozen
class NoSuchChannel(FloorRequest[None]):
    """Stands for a channel that the venue does not have: it cannot be asked for."""

    private: ClassVar[bool] = False

    channel: Channel[Any]

    def fields(self, assets: AssetTable) -> dict[str, object]:
        raise LocalProtocolError(f"{assets.venue} has no channel {self.channel!r}")
