"""The operations as request classes: checked when they are made, signed when they leave.

Source: "the-one-io/api-client", ``client-go`` (the only client with every field),
``docs/WEBSOCKET_DOCUMENTATION``.
"""

from __future__ import annotations

import uuid
from collections.abc import Hashable
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

import attrs
import msgspec

from ..._vocabulary.errors import LocalProtocolError
from ...protocol import Channel, Effect, Request
from .arguments import (
    as_account,
    as_amount,
    as_asset,
    as_client_order_id,
    as_network,
    as_order_id,
    as_slippage,
    as_sources,
    plain,
)
from .replies import (
    BalancesSnapshot,
    OrderUpdate,
    Quote,
    SwapAccepted,
    read_balances,
    read_order,
    read_quote,
    read_swap,
)

R = TypeVar("R")

MESSAGES = "messages"
"""The one bucket: everything that is sent counts."""


@attrs.frozen(kw_only=True)
class Wording:
    """What of a request's text is a setting."""

    documented_names: bool = False
    """``amount``, ``from``, ``to``, as the documents have it, instead of ``amountIn``, ``assetIn``,
    ``assetOut``, as all clients send it."""
    client_order_ids: bool = True
    """Swaps carry their client order id."""


class TheOneRequest(Request[R]):
    """An operation of the stream."""

    __slots__ = ()

    bucket: ClassVar[str] = MESSAGES
    op: ClassVar[str] = ""
    """Its name on the wire."""
    signed: ClassVar[bool] = True
    """It carries a time stamp, a nonce and a signature."""

    @property
    def ch(self) -> str | None:
        """The name of the channel it is about, if it is about one."""
        return None

    def data(self, wording: Wording) -> dict[str, object] | None:
        """Return the ``data`` that goes with the operation, ``None`` where there is none.

        Raises:
            LocalProtocolError: it cannot be sent.
        """
        return None

    def value(self, data: Any) -> R:
        """Return what the ``data`` of a reply says.

        Raises:
            msgspec.ValidationError: it has another shape.
        """
        raise NotImplementedError


@attrs.frozen
class GetBalances(TheOneRequest[BalancesSnapshot]):
    """Ask for all balances."""

    op: ClassVar[str] = "balances"

    def value(self, data: Any) -> BalancesSnapshot:
        """Return all balances."""
        return BalancesSnapshot(read_balances(data))


@attrs.frozen
class Estimate(TheOneRequest[Quote]):
    """Ask what a swap would bring; replies with a :class:`Quote`, which expires.

    Refused are amounts and assets that the venue does not trade (``RefusalKind.INVALID`` or
    ``OTHER``; the venue has texts only).
    """

    op: ClassVar[str] = "estimate"

    amount_in: Decimal = attrs.field(converter=as_amount)
    """Of the input asset, in whole units, exactly: ``Decimal``, ``int`` or text."""
    asset_in: str = attrs.field(converter=as_asset)
    """Symbol of the asset given away, as in ``"ETH"``."""
    asset_out: str = attrs.field(converter=as_asset)
    """Symbol of the asset wanted."""
    filter: tuple[str, ...] = attrs.field(default=(), converter=as_sources, kw_only=True)
    """Liquidity sources to choose from: ``"binance"``, ``"bybit"``, ``"gate"``; empty: all."""
    network: str | None = attrs.field(default=None, converter=as_network, kw_only=True)
    """As in ``"ETH"``, ``"BSC"``."""
    account: str | None = attrs.field(default=None, converter=as_account, kw_only=True)
    """Wallet address or account."""

    def data(self, wording: Wording) -> dict[str, object]:
        """Return the ``data`` that goes with the operation."""
        data = _main_fields(self, wording)
        _add(data, filter=list(self.filter), network=self.network, account=self.account)
        return data

    def value(self, data: Any) -> Quote:
        """Return the quote."""
        return read_quote(data)


def _new_name() -> str:
    # Made with the request and not when it leaves: the caller needs the name in hand when the
    # connection is lost before the answer, and repr() shows it.
    return str(uuid.uuid4())


@attrs.frozen
class Swap(TheOneRequest[SwapAccepted]):
    """Swap one asset for another. **This moves money**, and is never repeated by the library.

    Unanswered, it is :class:`trioflex.OutcomeUnknown`: :func:`find_swap` asks the venue by
    ``client_order_id``. Nothing says that the venue refuses a second swap of the same name, so
    sending it again is *not* safe. Refused for want of funds it is
    ``RefusalKind.INSUFFICIENT_FUNDS``.
    """

    op: ClassVar[str] = "swap"
    effect: ClassVar[Effect] = Effect.WRITE

    amount_in: Decimal = attrs.field(converter=as_amount)
    """Of the input asset, in whole units, exactly: ``Decimal``, ``int`` or text."""
    asset_in: str = attrs.field(converter=as_asset)
    """Symbol of the asset given away."""
    asset_out: str = attrs.field(converter=as_asset)
    """Symbol of the asset wanted."""
    slippage_bps: int | None = attrs.field(default=None, converter=as_slippage, kw_only=True)
    """How much worse than quoted it may come out, in basis points, 0 to 10000; ``None``: the
    venue's default."""
    client_order_id: str = attrs.field(
        factory=_new_name, converter=as_client_order_id, kw_only=True
    )
    """Your name for it, at most 64 characters; a fresh UUID if you give none."""
    account: str | None = attrs.field(default=None, converter=as_account, kw_only=True)
    """Wallet address or account."""
    filter: tuple[str, ...] = attrs.field(default=(), converter=as_sources, kw_only=True)
    """Liquidity sources to choose from: ``"binance"``, ``"bybit"``, ``"gate"``; empty: all."""

    @property
    def caller_id(self) -> Hashable | None:
        """``client_order_id``."""
        return self.client_order_id

    def data(self, wording: Wording) -> dict[str, object]:
        """Return the ``data`` that goes with the operation."""
        data = _main_fields(self, wording)
        _add(data, slippage_bps=self.slippage_bps, account=self.account, filter=list(self.filter))
        if wording.client_order_ids:
            data["clientOrderId"] = self.client_order_id
        return data

    def value(self, data: Any) -> SwapAccepted:
        """Return the venue's name for the swap, and its status."""
        return read_swap(data)


@attrs.frozen
class GetOrderStatus(TheOneRequest[OrderUpdate]):
    """Ask how a swap stands; one that the venue does not know is ``RefusalKind.NOT_FOUND``."""

    op: ClassVar[str] = "order_status"

    order_id: str = attrs.field(converter=as_order_id)
    """The venue's id, or a client order id (its REST interface takes either, so the stream is
    assumed to)."""

    def data(self, wording: Wording) -> dict[str, object]:
        """Return the ``data`` that goes with the operation."""
        return {"id": self.order_id}

    def value(self, data: Any) -> OrderUpdate:
        """Return how it stands."""
        return read_order(data)


@attrs.frozen
class WatchChannel(TheOneRequest[None]):
    """Start or stop a channel; what :meth:`Session.watch` makes."""

    signed: ClassVar[bool] = False

    name: str
    on: bool

    @property
    def op(self) -> str:  # type: ignore[override]  # one class for two operations
        """``subscribe`` or ``unsubscribe``."""
        return "subscribe" if self.on else "unsubscribe"

    @property
    def ch(self) -> str:
        """The channel's name."""
        return self.name

    def value(self, data: Any) -> None:
        """Return nothing: the reply confirms, and brings no snapshot."""


@attrs.frozen
class NoSuchChannel(TheOneRequest[None]):
    """Stands for a channel of another venue: it is refused where it would leave."""

    channel: Channel[Any]

    def data(self, wording: Wording) -> dict[str, object]:
        """Refuse."""
        raise LocalProtocolError(
            f"theone has no channel {type(self.channel).__name__} of "
            f"{type(self.channel).__module__}"
        )


def _main_fields(request: Estimate | Swap, wording: Wording) -> dict[str, object]:
    names = ("amount", "from", "to") if wording.documented_names else _CLIENTS_NAMES
    values = (plain(request.amount_in), request.asset_in, request.asset_out)
    return dict(zip(names, values, strict=True))


_CLIENTS_NAMES = ("amountIn", "assetIn", "assetOut")


def _add(data: dict[str, object], **fields: object) -> None:
    """Add what was given: an empty list and ``None`` are left out, a slippage of 0 is not."""
    data.update((name, value) for name, value in fields.items() if value not in (None, []))


_BODY = msgspec.json.Encoder(order="sorted")


def body_of(data: dict[str, object]) -> str:
    """Return the text of ``data`` that is hashed and sent: compact, keys sorted, ASCII.

    The one form on which all of the venue's clients agree.
    """
    return _BODY.encode(data).decode("ascii")
