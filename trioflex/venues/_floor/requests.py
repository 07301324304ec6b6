"""The methods as request classes: checked when they are made, scaled when they leave.

Amounts are given exactly (``Decimal``, ``int`` or text), assets by name. What can be checked
without knowing which venue a request will go to is checked at once, scales by the venue's own
table; assets that are not in it (they may be in a table of the program's own) when it is sent.

Source: "coinflex-exchange/API WEBSOCKET-README.md", "coinfloor/API WEBSOCKET-README.md".
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import Any, ClassVar, Protocol, TypeVar

import attrs

from ..._vocabulary.errors import LocalProtocolError, RefusalKind
from ...protocol import Channel, Effect, Request
from . import wire
from .assets import MAX_INT, Amount, AssetTable, exact

R = TypeVar("R")
S = TypeVar("S")

ORDERS = "orders"
"""Bucket of order placements, changes, cancellations and estimates, per user."""

INFORMATION = "information"
"""Bucket of questions about the account, per session."""


class Replies(Protocol):
    """Decodes replies for one venue."""

    @property
    def assets(self) -> AssetTable:
        """The venue's table."""

    def decode(self, frame: bytes, shape: type[S]) -> S:
        """Decode a frame into a shape that knows the table."""


class FloorRequest(Request[R]):
    """A method of the wire."""

    __slots__ = ()

    method: ClassVar[str] = ""
    """Its name on the wire."""
    not_found: ClassVar[RefusalKind] = RefusalKind.NOT_FOUND
    """What error code 1 means as an answer to it."""

    def fields(self, assets: AssetTable) -> dict[str, object]:
        """Return the fields that go with the method.

        Raises:
            LocalProtocolError: they cannot be said to the venue this table is of.
        """
        return {}

    def value(self, frame: bytes, replies: Replies) -> R:
        """Return what a successful reply says."""
        raise NotImplementedError


# -- amounts and names -------------------------------------------------------------------------


def _quantity(value: Amount | None) -> Decimal | None:
    return None if value is None else _not_zero(exact(value, "quantity"), "quantity")


def _delta(value: Amount | None) -> Decimal | None:
    return None if value is None else _not_zero(exact(value, "quantity_delta"), "quantity_delta")


def _total(value: Amount | None) -> Decimal | None:
    return None if value is None else _not_zero(exact(value, "total"), "total")


def _price(value: Amount | None) -> Decimal | None:
    price = None if value is None else _not_zero(exact(value, "price"), "price")
    if price is not None and price < 0:
        raise LocalProtocolError(
            f"price is {price}; prices are positive, it is the quantity of a sale that is negative"
        )
    return price


def _not_zero(number: Decimal, field: str) -> Decimal:
    if not number:
        raise LocalProtocolError(f"{field} is 0; the venue refuses that")
    return number


def _tonce(value: int | None) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value == 0 or abs(value) > MAX_INT:
        raise LocalProtocolError(f"tonce is an integer of 64 bits other than 0, not {value!r}")
    return value


def _order_id(value: int | None) -> int | None:
    if value is None:
        return None
    if type(value) is not int or abs(value) > MAX_INT:
        raise LocalProtocolError(f"id is the number that the venue gave the order, not {value!r}")
    return value


def flag(value: bool) -> bool:
    """Return a flag, if that is one."""
    if type(value) is not bool:
        raise LocalProtocolError(f"post_only and the like are True or False, not {value!r}")
    return value


def asset_name(value: str) -> str:
    """Return an asset's name, if that can be one."""
    if not isinstance(value, str) or not value:
        raise LocalProtocolError(f"an asset is given by its name, as in 'XBT'; not {value!r}")
    return value


# -- the account -------------------------------------------------------------------------------


@attrs.frozen
class GetBalances(FloorRequest[wire.BalancesSnapshot]):
    """Ask for all balances."""

    bucket: ClassVar[str] = INFORMATION
    method: ClassVar[str] = "GetBalances"

    def value(self, frame: bytes, replies: Replies) -> wire.BalancesSnapshot:
        return replies.decode(frame, wire.BalancesSnapshot)


@attrs.frozen
class GetOrders(FloorRequest[wire.OrdersSnapshot]):
    """Ask for all open orders, in all books."""

    bucket: ClassVar[str] = INFORMATION
    method: ClassVar[str] = "GetOrders"

    def value(self, frame: bytes, replies: Replies) -> wire.OrdersSnapshot:
        return replies.decode(frame, wire.OrdersSnapshot)


@attrs.frozen
class GetTradeVolume(FloorRequest[wire.TradedVolume]):
    """Ask how much of an asset was traded in the last 30 days; fees depend on it."""

    bucket: ClassVar[str] = INFORMATION
    method: ClassVar[str] = "GetTradeVolume"

    asset: str = attrs.field(converter=asset_name)
    """Name of the asset."""

    def fields(self, assets: AssetTable) -> dict[str, object]:
        return {"asset": assets.asset(self.asset).id}

    def value(self, frame: bytes, replies: Replies) -> wire.TradedVolume:
        reply = replies.decode(frame, wire.VolumeReply)
        return replies.assets.bind(wire.TradedVolume)(
            asset_id=replies.assets.asset(self.asset).id, scaled_volume=reply.volume
        )


# -- orders ------------------------------------------------------------------------------------


@attrs.frozen
class EstimateMarketOrder(FloorRequest[wire.Estimate]):
    """Ask what a market order would trade, fees left out.

    Exactly one of ``quantity`` and ``total`` is given; negative sells, positive buys.
    """

    private: ClassVar[bool] = False
    bucket: ClassVar[str] = ORDERS
    method: ClassVar[str] = "EstimateMarketOrder"
    not_found: ClassVar[RefusalKind] = RefusalKind.UNKNOWN_MARKET

    base: str = attrs.field(converter=asset_name)
    """Name of the asset that is traded."""
    counter: str = attrs.field(converter=asset_name)
    """Name of the asset it is paid in."""
    quantity: Decimal | None = attrs.field(default=None, kw_only=True, converter=_quantity)
    """How much of base."""
    total: Decimal | None = attrs.field(default=None, kw_only=True, converter=_total)
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

    def value(self, frame: bytes, replies: Replies) -> wire.Estimate:
        reply = replies.decode(frame, wire.EstimateReply)
        assets = replies.assets
        return assets.bind(wire.Estimate)(
            base_id=assets.asset(self.base).id,
            counter_id=assets.asset(self.counter).id,
            scaled_quantity=abs(reply.quantity),
            scaled_total=abs(reply.total),
        )


@attrs.frozen
class NewOrder(FloorRequest[wire.OrderPlaced]):
    """What the venues' ``PlaceOrder`` have in common."""

    effect: ClassVar[Effect] = Effect.WRITE
    bucket: ClassVar[str] = ORDERS
    method: ClassVar[str] = "PlaceOrder"
    not_found: ClassVar[RefusalKind] = RefusalKind.UNKNOWN_MARKET
    table: ClassVar[AssetTable | None] = None
    """The venue's own, by which orders are checked when they are made."""

    base: str = attrs.field(converter=asset_name)
    """Name of the asset that is traded."""
    counter: str = attrs.field(converter=asset_name)
    """Name of the asset it is paid in."""
    quantity: Decimal | None = attrs.field(default=None, converter=_quantity)
    """How much of base; positive buys, negative sells."""
    price: Decimal | None = attrs.field(default=None, converter=_price)
    """Limit price, in counter for one base; ``None``: a market order."""
    total: Decimal | None = attrs.field(default=None, kw_only=True, converter=_total)
    """How much of counter a market order spends (positive) or sells for (negative), instead of a
    quantity."""
    tonce: int | None = attrs.field(default=None, kw_only=True, converter=_tonce)
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

    def value(self, frame: bytes, replies: Replies) -> wire.OrderPlaced:
        if self.price is not None:
            limit = replies.decode(frame, wire.LimitReply)
            return wire.OrderPlaced(id=limit.id, time=limit.time)
        market = replies.decode(frame, wire.MarketReply)
        assets = replies.assets
        # The documents do not say which sign it has.
        remaining = abs(market.remaining)
        asset = assets.asset(self.counter if self.quantity is None else self.base)
        return wire.OrderPlaced(
            remaining=assets.amount(asset.id, remaining), scaled_remaining=remaining
        )


@attrs.frozen
class ModifyOrder(FloorRequest[wire.Order]):
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

    id: int | None = attrs.field(default=None, kw_only=True, converter=_order_id)
    """The venue's number of the order."""
    tonce: int | None = attrs.field(default=None, kw_only=True, converter=_tonce)
    """Your own name for the order."""
    quantity_delta: Decimal | None = attrs.field(default=None, kw_only=True, converter=_delta)
    """Added to the signed quantity: on a purchase positive enlarges, on a sale negative does."""
    price: Decimal | None = attrs.field(default=None, kw_only=True, converter=_price)
    """New limit price."""
    post_only: bool = attrs.field(default=False, kw_only=True, converter=flag)
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

    def value(self, frame: bytes, replies: Replies) -> wire.Order:
        return replies.decode(frame, wire.Order)


@attrs.frozen
class CancelOrder(FloorRequest[wire.Order]):
    """Cancel one order, named by ``id`` or by ``tonce``, exactly one of them.

    The reply is the order with what was still open. It is over when :class:`OrderClosed` says so.
    """

    effect: ClassVar[Effect] = Effect.WRITE
    bucket: ClassVar[str] = ORDERS
    method: ClassVar[str] = "CancelOrder"

    id: int | None = attrs.field(default=None, converter=_order_id)
    """The venue's number of the order."""
    tonce: int | None = attrs.field(default=None, kw_only=True, converter=_tonce)
    """Your own name for the order."""

    def __attrs_post_init__(self) -> None:
        if (self.id is None) is (self.tonce is None):
            raise LocalProtocolError("CancelOrder names the order by either id or tonce")

    def fields(self, assets: AssetTable) -> dict[str, object]:
        return {"tonce": self.tonce} if self.id is None else {"id": self.id}

    def value(self, frame: bytes, replies: Replies) -> wire.Order:
        return replies.decode(frame, wire.Order)


@attrs.frozen
class CancelAllOrders(FloorRequest[wire.CancelledOrders]):
    """Cancel all open orders, in all books; where tonces must rise, they may start over."""

    effect: ClassVar[Effect] = Effect.WRITE
    bucket: ClassVar[str] = ORDERS
    method: ClassVar[str] = "CancelAllOrders"

    def value(self, frame: bytes, replies: Replies) -> wire.CancelledOrders:
        return replies.decode(frame, wire.CancelledOrders)


# -- what channels ask -------------------------------------------------------------------------


@attrs.frozen
class _Watch(FloorRequest[R]):
    """Start or stop a channel; made by the session."""

    private: ClassVar[bool] = False

    channel: Channel[Any]
    base: str
    counter: str
    watch: bool

    def fields(self, assets: AssetTable) -> dict[str, object]:
        return {
            "base": assets.asset(self.base).id,
            "counter": assets.asset(self.counter).id,
            "watch": self.watch,
        }


@attrs.frozen
class WatchOrders(_Watch["wire.BookSnapshot | None"]):
    """Start or stop a book."""

    method: ClassVar[str] = "WatchOrders"

    def value(self, frame: bytes, replies: Replies) -> wire.BookSnapshot | None:
        if not self.watch:
            return None
        orders = replies.decode(frame, wire.BookOrders).orders
        assets = replies.assets
        bids = [order.scaled_price for order in orders if order.scaled_quantity > 0]
        asks = [order.scaled_price for order in orders if order.scaled_quantity < 0]
        return assets.bind(wire.BookSnapshot)(
            base_id=assets.asset(self.base).id,
            counter_id=assets.asset(self.counter).id,
            orders=orders,
            # A side that came full goes on behind its worst price, unseen.
            scaled_bid_horizon=min(bids) if len(bids) >= wire.SNAPSHOT_DEPTH else None,
            scaled_ask_horizon=max(asks) if len(asks) >= wire.SNAPSHOT_DEPTH else None,
        )


@attrs.frozen
class WatchTicker(_Watch["wire.TickerSnapshot | None"]):
    """Start or stop a ticker."""

    method: ClassVar[str] = "WatchTicker"

    def value(self, frame: bytes, replies: Replies) -> wire.TickerSnapshot | None:
        if not self.watch:
            return None
        reply = replies.decode(frame, wire.TickerReply)
        assets = replies.assets
        return assets.bind(wire.TickerSnapshot)(
            base_id=assets.asset(self.base).id,
            counter_id=assets.asset(self.counter).id,
            scaled_last=reply.last,
            scaled_bid=reply.bid,
            scaled_ask=reply.ask,
            scaled_low=reply.low,
            scaled_high=reply.high,
            scaled_volume=reply.volume,
        )
