"""The requests: checked when they are made, written when they leave.

Source: "MidChains/slate", ``source/index.html.md``. Requests are not signed: the connection is the
session.
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

import attrs
import msgspec

from ..._vocabulary.errors import LocalProtocolError
from ...protocol import Channel, Effect, Request
from .arguments import (
    COMBINATIONS,
    as_amount,
    as_client_order_id,
    as_extra,
    as_optional_security,
    as_order_type,
    as_price,
    as_quantity,
    as_refno,
    as_security,
    as_side,
    as_stop_price,
    as_tif,
    as_time,
    plain,
    time_down,
    time_up,
)
from .replies import (
    OrderAccepted,
    OrderCancelled,
    OrderRow,
    Position,
    Row,
    Sale,
    read_order,
    read_position,
    read_sale,
    rows,
    string,
)

R = TypeVar("R")

PUBLIC = "public"
PRIVATE = "private"
"""The two buckets: what is asked without and with a login."""

MAX_BUNDLE = 50
"""Channels started with one frame: some 3 KB, far below what any server refuses."""


class MidchainsRequest(Request[R]):
    """A request of the trading session."""

    __slots__ = ()

    bucket: ClassVar[str] = PRIVATE
    listed: ClassVar[bool] = False
    """Its answer is a list, and may come in parts."""

    def fields(self) -> dict[str, object]:
        """Return what goes with the ``type``."""
        return {}

    def value(self, message: Row, found: list[Row]) -> R:
        """Return what an answer says.

        Args:
            message: the answer (its last part).
            found: the rows of all parts.

        Raises:
            msgspec.ValidationError: it has another shape.
        """
        raise NotImplementedError


@attrs.frozen
class AddOrder(MidchainsRequest[OrderAccepted]):
    """Place an order; the reply says that it was accepted, not that it was filled.

    Allowed are limit orders GTC, IOC, FOK, GTT, market orders IOC, FOK, and with ``stop_price``
    limit orders GTC, IOC, FOK and market orders IOC, FOK. Raises
    :class:`trioflex.LocalProtocolError` for anything else, unless ``unchecked``.

    Refused are e.g. unknown pairs, and what there is no money for; the venue has texts only
    (``RefusalKind.INVALID``, ``INSUFFICIENT_FUNDS``, ``OTHER``).
    """

    kind: ClassVar[str] = "addorder"
    effect: ClassVar[Effect] = Effect.WRITE

    security: str = attrs.field(converter=as_security)
    """The pair, as in ``"BTCUSD"``."""
    side: str = attrs.field(converter=as_side)
    """``"B"`` or ``"S"``."""
    quantity: Decimal | None = attrs.field(default=None, converter=as_quantity)
    """Of the base asset; not for market buys."""
    price: Decimal | None = attrs.field(default=None, converter=as_price)
    """The limit; for limit orders."""
    order_type: str = attrs.field(default="LMT", converter=as_order_type, kw_only=True)
    """``"LMT"`` or ``"MKT"``."""
    tif: str | None = attrs.field(default=None, converter=as_tif, kw_only=True)
    """``"GTC"``, ``"IOC"``, ``"FOK"`` or ``"GTT"``; ``None``: GTC, for market orders IOC (which
    the venue itself would take for GTC and refuse)."""
    amount: Decimal | None = attrs.field(default=None, converter=as_amount, kw_only=True)
    """Money to spend, in the quote currency; for market buys."""
    stop_price: Decimal | None = attrs.field(default=None, converter=as_stop_price, kw_only=True)
    """Makes it a stop order with this trigger."""
    expires_at: int | None = attrs.field(default=None, converter=as_time, kw_only=True)
    """Milliseconds since 1970, sent rounded up to whole seconds; for GTT."""
    client_order_id: str | None = attrs.field(
        default=None, converter=as_client_order_id, kw_only=True
    )
    """Your name for it. The venue shows it in its rows, but does not describe it for this request;
    with it a lost answer can be made good (:func:`find_order`)."""
    extra: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=as_extra, kw_only=True)
    """Further fields, passed on as they are, e.g. the one that marks an order post-only, whose
    name is not public."""
    unchecked: bool = attrs.field(default=False, kw_only=True)
    """Let the venue decide whether the parts fit together."""

    def __attrs_post_init__(self) -> None:
        if not self.unchecked:
            self._check()

    @property
    def caller_id(self) -> Hashable | None:
        """Your name for the order."""
        return self.client_order_id

    @property
    def sent_tif(self) -> str:
        """The time in force as it is sent: always."""
        return self.tif or ("IOC" if self.order_type == "MKT" else "GTC")

    def fields(self) -> dict[str, object]:
        """Return the order."""
        given: dict[str, object | None] = {
            "security": self.security,
            "side": self.side,
            "ordertype": self.order_type,
            "tif": self.sent_tif,
            "qty": None if self.quantity is None else plain(self.quantity),
            "amount": None if self.amount is None else plain(self.amount),
            "price": None if self.price is None else plain(self.price),
            "stoptype": None if self.stop_price is None else "STOP",
            "stopprice": None if self.stop_price is None else plain(self.stop_price),
            "exptime": None if self.expires_at is None else time_up(self.expires_at),
            "clientorderid": self.client_order_id,
            **dict(self.extra),
        }
        return {name: value for name, value in given.items() if value is not None}

    def value(self, message: Row, found: list[Row]) -> OrderAccepted:
        """Return how the venue calls the order."""
        return OrderAccepted(
            refno=string(message, "refno"),
            security=string(message, "security", self.security),
            client_order_id=string(message, "clientorderid", self.client_order_id),
        )

    def _check(self) -> None:
        stop = self.stop_price is not None
        allowed = COMBINATIONS[self.order_type, stop]
        what = f"{'stop ' if stop else ''}{'market' if self.order_type == 'MKT' else 'limit'} order"
        if self.sent_tif not in allowed:
            raise LocalProtocolError(
                f"midchains: the tif of a {what} is one of {', '.join(allowed)}, not "
                f"{self.sent_tif} (unchecked=True lets the venue decide)"
            )
        market_buy = self.order_type == "MKT" and self.side == "B"
        needed = {
            "quantity": not market_buy,
            "amount": market_buy,
            "price": self.order_type == "LMT",
            "expires_at": self.sent_tif == "GTT",
        }
        for field, wanted in needed.items():
            given = getattr(self, field) is not None
            if wanted and not given:
                raise LocalProtocolError(f"midchains: this {what} needs {field}")
            if given and not wanted:
                raise LocalProtocolError(
                    f"midchains: this {what} cannot have {field}"
                    + (
                        ": a market buy is given by amount, the money to spend"
                        if market_buy and field == "quantity"
                        else ""
                    )
                )


@attrs.frozen
class CancelOrder(MidchainsRequest[OrderCancelled]):
    """Cancel an order. Refused if there is none of that name (``RefusalKind.NOT_FOUND``)."""

    kind: ClassVar[str] = "cancelorder"
    effect: ClassVar[Effect] = Effect.WRITE

    security: str = attrs.field(converter=as_security)
    """The pair."""
    refno: str = attrs.field(converter=as_refno)
    """The venue's name for the order."""

    def fields(self) -> dict[str, object]:
        """Return which order."""
        return {"security": self.security, "refno": self.refno}

    def value(self, message: Row, found: list[Row]) -> OrderCancelled:
        """Return what was cancelled."""
        return OrderCancelled(
            refno=string(message, "refno", self.refno),
            security=string(message, "security", self.security),
        )


@attrs.frozen
class QueryOrder(MidchainsRequest[OrderRow]):
    """Ask how an order stands. Refused if there is none (``RefusalKind.NOT_FOUND``)."""

    kind: ClassVar[str] = "queryorder"

    security: str = attrs.field(converter=as_security)
    """The pair."""
    refno: str = attrs.field(converter=as_refno)
    """The venue's name for the order."""

    def fields(self) -> dict[str, object]:
        """Return which order."""
        return {"security": self.security, "refno": self.refno}

    def value(self, message: Row, found: list[Row]) -> OrderRow:
        """Return the order."""
        found = rows(message.get("data"))
        if len(found) != 1:
            raise msgspec.ValidationError("data holds more than one order, or none")
        return read_order(found[0])


@attrs.frozen
class _Query(MidchainsRequest[R]):
    listed: ClassVar[bool] = True

    security: str | None = attrs.field(default=None, converter=as_optional_security)
    """The pair; ``None``: all."""
    from_time: int | None = attrs.field(default=None, converter=as_time, kw_only=True)
    """Milliseconds since 1970, sent rounded down to whole seconds; ``None``: from the beginning."""

    def fields(self) -> dict[str, object]:
        """Return which."""
        given = {
            "security": self.security,
            "fromtime": None if self.from_time is None else time_down(self.from_time),
        }
        return {name: value for name, value in given.items() if value is not None}


@attrs.frozen
class QueryOrders(_Query[tuple[OrderRow, ...]]):
    """Ask for orders; the answer may come in parts, and is handed out when all are there."""

    kind: ClassVar[str] = "querymultiorders"

    def value(self, message: Row, found: list[Row]) -> tuple[OrderRow, ...]:
        """Return the orders."""
        return tuple(map(read_order, found))


@attrs.frozen
class QueryTrades(_Query[tuple[Sale, ...]]):
    """Ask for own trades; the answer may come in parts, and is handed out when all are there."""

    kind: ClassVar[str] = "querytrade"

    def value(self, message: Row, found: list[Row]) -> tuple[Sale, ...]:
        """Return the trades."""
        return tuple(map(read_sale, found))


@attrs.frozen
class QueryPositions(MidchainsRequest[tuple[Position, ...]]):
    """Ask for positions; where there is none, the reply is empty."""

    kind: ClassVar[str] = "querypos"
    listed: ClassVar[bool] = True

    asset: str | None = attrs.field(default=None, converter=as_optional_security)
    """An asset, as in ``"LTC"``, not a pair; ``None``: all."""

    def fields(self) -> dict[str, object]:
        """Return which."""
        return {} if self.asset is None else {"security": self.asset}

    def value(self, message: Row, found: list[Row]) -> tuple[Position, ...]:
        """Return the positions."""
        return tuple(map(read_position, found))


@attrs.frozen
class QueryPendingPositions(MidchainsRequest[tuple[dict[str, Any], ...]]):
    """Ask for pending positions. The fields of the rows are not public: they come as they are."""

    kind: ClassVar[str] = "querypendingpos"
    listed: ClassVar[bool] = True

    asset: str | None = attrs.field(default=None, converter=as_optional_security)
    """An asset, as in ``"LTC"``, not a pair; ``None``: all."""

    def fields(self) -> dict[str, object]:
        """Return which."""
        return {} if self.asset is None else {"security": self.asset}

    def value(self, message: Row, found: list[Row]) -> tuple[dict[str, Any], ...]:
        """Return the rows as they came."""
        return tuple(found)


@attrs.frozen
class Watch(Request[None]):
    """Start (or, where that is switched on, stop) feeds; one frame for all of them."""

    kind: ClassVar[str] = "subscribe"
    private: ClassVar[bool] = False
    bucket: ClassVar[str] = PUBLIC

    feeds: tuple[tuple[str, str], ...]
    """``(msg, security)`` of each."""
    on: bool = True


@attrs.frozen
class NoSuchChannel(Request[None]):
    """A channel of another venue: refused where its frame would be made."""

    kind: ClassVar[str] = "subscribe"
    private: ClassVar[bool] = False
    bucket: ClassVar[str] = PUBLIC

    channel: Channel[Any]
