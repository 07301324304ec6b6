"""The methods that place, change and cancel orders, and the one that estimates them."""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import ClassVar

import attrs

from ..._vocabulary.errors import LocalProtocolError, RefusalKind
from ...protocol import Effect
from . import replies as shapes
from .amounts import MAX_INT
from .arguments import (
    as_asset,
    as_delta,
    as_flag,
    as_order_id,
    as_price,
    as_quantity,
    as_tonce,
    as_total,
)
from .assets import AssetTable
from .requests import ORDERS, FloorRequest, Replies


@attrs.frozen
class EstimateMarketOrder(FloorRequest[shapes.Estimate]):
    """Ask what a market order would trade, fees left out.

    Exactly one of ``quantity`` and ``total`` is given; negative sells, positive buys.
    """

    private: ClassVar[bool] = False
    bucket: ClassVar[str] = ORDERS
    method: ClassVar[str] = "EstimateMarketOrder"
    not_found: ClassVar[RefusalKind] = RefusalKind.UNKNOWN_MARKET

    base: str = attrs.field(converter=as_asset)
    """Name of the asset that is traded."""
    counter: str = attrs.field(converter=as_asset)
    """Name of the asset it is paid in."""
    quantity: Decimal | None = attrs.field(default=None, kw_only=True, converter=as_quantity)
    """How much of base."""
    total: Decimal | None = attrs.field(default=None, kw_only=True, converter=as_total)
    """How much of counter."""

    def __attrs_post_init__(self) -> None:
        if (self.quantity is None) is (self.total is None):
            raise LocalProtocolError("EstimateMarketOrder takes either quantity or total")

    def fields(self, assets: AssetTable) -> dict[str, object]:
        fields: dict[str, object] = {
            "base": assets.asset(self.base).id,
            "counter": assets.asset(self.counter).id,
        }
        if self.quantity is not None:
            fields["quantity"] = assets.scale_amount("quantity", self.base, self.quantity)
        if self.total is not None:
            fields["total"] = assets.scale_amount("total", self.counter, self.total)
        return fields

    def value(self, frame: bytes, replies: Replies) -> shapes.Estimate:
        reply = replies.decode(frame, shapes.EstimateReply)
        assets = replies.assets
        return assets.bind(shapes.Estimate)(
            base_id=assets.asset(self.base).id,
            counter_id=assets.asset(self.counter).id,
            scaled_quantity=abs(reply.quantity),
            scaled_total=abs(reply.total),
        )


@attrs.frozen
class NewOrder(FloorRequest[shapes.OrderPlaced]):
    """What the venues' ``PlaceOrder`` have in common."""

    effect: ClassVar[Effect] = Effect.WRITE
    bucket: ClassVar[str] = ORDERS
    method: ClassVar[str] = "PlaceOrder"
    not_found: ClassVar[RefusalKind] = RefusalKind.UNKNOWN_MARKET
    table: ClassVar[AssetTable | None] = None
    """The venue's own, by which orders are checked when they are made."""

    base: str = attrs.field(converter=as_asset)
    """Name of the asset that is traded."""
    counter: str = attrs.field(converter=as_asset)
    """Name of the asset it is paid in."""
    quantity: Decimal | None = attrs.field(default=None, converter=as_quantity)
    """How much of base; positive buys, negative sells."""
    price: Decimal | None = attrs.field(default=None, converter=as_price)
    """Limit price, in counter for one base; ``None``: a market order."""
    total: Decimal | None = attrs.field(default=None, kw_only=True, converter=as_total)
    """How much of counter a market order spends (positive) or sells for (negative), instead of a
    quantity."""
    tonce: int | None = attrs.field(default=None, kw_only=True, converter=as_tonce)
    """Your own name for the order, other than 0."""

    def __attrs_post_init__(self) -> None:
        given = (self.quantity is not None, self.price is not None, self.total is not None)
        if given not in ((True, True, False), (True, False, False), (False, False, True)):
            raise LocalProtocolError(
                "PlaceOrder takes quantity and price (a limit order), quantity alone, or total "
                "alone (market orders)"
            )
        if self.table is not None and self.table.knows(self.base, self.counter):
            self.amounts(self.table)

    @property
    def caller_id(self) -> Hashable | None:
        """The tonce."""
        return self.tonce

    def amounts(self, assets: AssetTable) -> dict[str, object]:
        """Return the amounts, scaled, and the pair."""
        fields: dict[str, object] = {
            "base": assets.asset(self.base).id,
            "counter": assets.asset(self.counter).id,
        }
        if self.total is not None:
            fields["total"] = assets.scale_amount("total", self.counter, self.total)
        if self.quantity is not None:
            fields["quantity"] = quantity = assets.scale_amount(
                "quantity", self.base, self.quantity
            )
            if self.price is not None:
                fields["price"] = price = assets.scale_price(self.base, self.counter, self.price)
                if abs(quantity) * price > MAX_INT:
                    raise LocalProtocolError(
                        f"{assets.venue}: {self.quantity} {self.base} at {self.price} overflows "
                        "the 64 bits in which the venue multiplies the two; split the order"
                    )
        return fields

    def fields(self, assets: AssetTable) -> dict[str, object]:
        fields = self.amounts(assets)
        if self.tonce is not None:
            fields["tonce"] = self.tonce
        return fields

    def value(self, frame: bytes, replies: Replies) -> shapes.OrderPlaced:
        if self.price is not None:
            limit = replies.decode(frame, shapes.LimitReply)
            return shapes.OrderPlaced(id=limit.id, time=limit.time)
        market = replies.decode(frame, shapes.MarketReply)
        assets = replies.assets
        # The documents do not say which sign it has.
        remaining = abs(market.remaining)
        asset = assets.asset(self.counter if self.quantity is None else self.base)
        return shapes.OrderPlaced(
            remaining=assets.amount(asset.id, remaining), scaled_remaining=remaining
        )


@attrs.frozen
class ModifyOrder(FloorRequest[shapes.Order]):
    """Change an open limit order in place.

    The order is named by ``id`` or by ``tonce``, exactly one of them; at least one of
    ``quantity_delta`` and ``price`` changes. Enlarging it, or another price, puts it at the back
    of the queue; shrinking it keeps its place; at 0, or beyond, it is cancelled.
    """

    effect: ClassVar[Effect] = Effect.WRITE
    bucket: ClassVar[str] = ORDERS
    method: ClassVar[str] = "ModifyOrder"
    table: ClassVar[AssetTable | None] = None
    """The venue's own, by which changes are checked when they are made."""

    id: int | None = attrs.field(default=None, kw_only=True, converter=as_order_id)
    """The venue's number of the order."""
    tonce: int | None = attrs.field(default=None, kw_only=True, converter=as_tonce)
    """Your own name for the order."""
    quantity_delta: Decimal | None = attrs.field(default=None, kw_only=True, converter=as_delta)
    """Added to the signed quantity: on a purchase positive enlarges, on a sale negative does."""
    price: Decimal | None = attrs.field(default=None, kw_only=True, converter=as_price)
    """New limit price."""
    post_only: bool = attrs.field(default=False, kw_only=True, converter=as_flag)
    """Leave the order as it is if the change would make it trade at once."""
    base: str | None = attrs.field(default=None, kw_only=True)
    """Name of the asset that is traded; needed, with ``counter``, only if the table of assets was
    extended by ones with another scale."""
    counter: str | None = attrs.field(default=None, kw_only=True)
    """Name of the asset it is paid in."""

    def __attrs_post_init__(self) -> None:
        if (self.id is None) is (self.tonce is None):
            raise LocalProtocolError("ModifyOrder names the order by either id or tonce")
        if self.quantity_delta is None and self.price is None:
            raise LocalProtocolError("ModifyOrder changes quantity_delta, price or both")
        if (self.base is None) is not (self.counter is None):
            raise LocalProtocolError("ModifyOrder takes base and counter together, or neither")
        if self.table is not None and self.base is None:
            self.fields(self.table)

    def fields(self, assets: AssetTable) -> dict[str, object]:
        fields: dict[str, object] = {"id": self.id} if self.id is not None else {}
        if self.tonce is not None:
            fields["tonce"] = self.tonce
        base, counter = self.base, self.counter
        if base is None or counter is None:
            if not assets.uniform:
                raise LocalProtocolError(
                    f"{assets.venue}: the assets have different scales; give ModifyOrder the "
                    "order's base and counter, too"
                )
            base = counter = next(iter(assets.assets))  # any will do
        if self.quantity_delta is not None:
            fields["quantity_delta"] = assets.scale_amount(
                "quantity_delta", base, self.quantity_delta
            )
        if self.price is not None:
            fields["price"] = assets.scale_price(base, counter, self.price)
        if self.post_only:
            fields["post_only"] = True
        return fields

    def value(self, frame: bytes, replies: Replies) -> shapes.Order:
        return replies.decode(frame, shapes.Order)


@attrs.frozen
class CancelOrder(FloorRequest[shapes.Order]):
    """Cancel one order, named by ``id`` or by ``tonce``, exactly one of them.

    The reply is the order with what was still open. It is over when :class:`OrderClosed` says so.
    """

    effect: ClassVar[Effect] = Effect.WRITE
    bucket: ClassVar[str] = ORDERS
    method: ClassVar[str] = "CancelOrder"

    id: int | None = attrs.field(default=None, converter=as_order_id)
    """The venue's number of the order."""
    tonce: int | None = attrs.field(default=None, kw_only=True, converter=as_tonce)
    """Your own name for the order."""

    def __attrs_post_init__(self) -> None:
        if (self.id is None) is (self.tonce is None):
            raise LocalProtocolError("CancelOrder names the order by either id or tonce")

    def fields(self, assets: AssetTable) -> dict[str, object]:
        return {"tonce": self.tonce} if self.id is None else {"id": self.id}

    def value(self, frame: bytes, replies: Replies) -> shapes.Order:
        return replies.decode(frame, shapes.Order)


@attrs.frozen
class CancelAllOrders(FloorRequest[shapes.CancelledOrders]):
    """Cancel all open orders, in all books; where tonces must rise, they may start over."""

    effect: ClassVar[Effect] = Effect.WRITE
    bucket: ClassVar[str] = ORDERS
    method: ClassVar[str] = "CancelAllOrders"

    def value(self, frame: bytes, replies: Replies) -> shapes.CancelledOrders:
        return replies.decode(frame, shapes.CancelledOrders)
