"""What comes over the wire, as values: exact numbers, statuses in one spelling.

Source: "the-one-io/api-client", ``docs/WEBSOCKET_DOCUMENTATION``, ``WS_README.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Self

import msgspec

from .._amounts import EXACT

MAX_EXPONENT = 100
"""Amounts beyond 10**100, or finer than 10**-100, are garbage; exact arithmetic on them would
fill the memory."""

_FINAL = frozenset({"FILLED", "FAILED", "CANCELLED"})
_SPELLINGS = {"CANCELED": "CANCELLED", "PARTIAL": "PARTIAL_FILLED"}


class Status(str):
    """How far a swap is: the venue's word, in capitals and one spelling.

    ``"canceled"`` becomes ``"CANCELLED"``, ``"PARTIAL"`` becomes ``"PARTIAL_FILLED"``; words that
    nobody has described are passed on.
    """

    __slots__ = ()

    PENDING: ClassVar[Status]
    PROCESSING: ClassVar[Status]
    PARTIAL_FILLED: ClassVar[Status]
    FILLED: ClassVar[Status]
    FAILED: ClassVar[Status]
    CANCELLED: ClassVar[Status]

    def __new__(cls, word: str) -> Self:
        """Return the status that a word stands for.

        Args:
            word: as the venue spells it.
        """
        upper = word.strip().upper()
        return super().__new__(cls, _SPELLINGS.get(upper, upper))

    @property
    def final(self) -> bool:
        """Nothing more will happen: FILLED, FAILED or CANCELLED."""
        return self in _FINAL


for _word in ("PENDING", "PROCESSING", "PARTIAL_FILLED", "FILLED", "FAILED", "CANCELLED"):
    setattr(Status, _word, Status(_word))


class Balance(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What an account has of one asset."""

    asset: str
    """Symbol of the asset."""
    total: Decimal
    """All of it, whole units."""
    locked: Decimal
    """What swaps under way hold of it."""

    def __post_init__(self) -> None:
        _check_amounts(self.total, self.locked)

    @property
    def free(self) -> Decimal:
        """What can be used now: total less locked."""
        return EXACT.subtract(self.total, self.locked)


class _BalanceList(msgspec.Struct, frozen=True):
    """Balances of several assets, in the venue's order."""

    balances: tuple[Balance, ...]

    def __iter__(self) -> Iterator[Balance]:
        return iter(self.balances)

    def __len__(self) -> int:
        return len(self.balances)

    def get(self, asset: str) -> Balance | None:
        """Return the balance of an asset, ``None`` if it is not in here.

        Args:
            asset: its symbol.
        """
        for balance in self.balances:
            if balance.asset == asset:
                return balance
        return None


class BalancesSnapshot(_BalanceList, frozen=True):
    """All balances."""


class BalancesChanged(_BalanceList, frozen=True):
    """Assets that have these balances now; those not in here are as they were."""


class RouteStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a route that a swap would take."""

    from_asset: str
    to_asset: str
    amount_in: Decimal
    """Of ``from_asset``."""
    amount_out: Decimal
    """Of ``to_asset``."""
    exchange: str = ""
    """The liquidity source; empty where the venue does not say."""
    pool: str = ""

    def __post_init__(self) -> None:
        _check_amounts(self.amount_in, self.amount_out)


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a swap would bring, until it expires."""

    price: Decimal
    """Of one unit of the input asset, in the output asset."""
    expected_out: Decimal = msgspec.field(name="expectedOut")
    """Of the output asset."""
    fee: Decimal
    expires_at: int = msgspec.field(name="expiresAt")
    """Milliseconds since 1970-01-01 UTC, on the venue's clock."""
    route: tuple[RouteStep, ...] = ()

    def __post_init__(self) -> None:
        _check_amounts(self.price, self.expected_out, self.fee)

    def expired(self, at_ms: int) -> bool:
        """Tell whether the quote is worth nothing any more at a time.

        Args:
            at_ms: milliseconds since 1970-01-01 UTC, on the venue's clock.
        """
        return at_ms >= self.expires_at


class SwapAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The venue took a swap on."""

    order_id: str
    """The venue's name for it; opaque."""
    status: Status
    """``PENDING`` as a rule."""


class OrderUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """How a swap stands; fields that the venue left out are ``None``."""

    order_id: str
    """The venue's name for it."""
    status: Status
    filled_out: Decimal | None = None
    """What it has brought until now, of the output asset."""
    tx_hash: str | None = None
    """The transaction on the chain."""
    updated_at: int | None = None
    """Milliseconds since 1970-01-01 UTC, on the venue's clock."""
    client_order_id: str | None = None
    """The caller's name for it."""

    def newer_than(self, other: OrderUpdate) -> bool:
        """Tell whether this is the later of two; where the venue names no times, whether the other
        is not the end.

        Args:
            other: of the same order.
        """
        if self.updated_at is None or other.updated_at is None:
            return not other.status.final
        return self.updated_at > other.updated_at


# -- from JSON ---------------------------------------------------------------------------------


class _OrderFields(msgspec.Struct, rename="camel"):
    """An order as it is written."""

    status: str
    order_id: str | int | None = None
    filled_out: Any = None
    tx_hash: str | None = None
    updated_at: int | None = None
    client_order_id: str | None = None


class _SwapFields(msgspec.Struct, rename="camel"):
    """The reply to a swap as it is written."""

    order_id: str | int
    status: str = "PENDING"


_CAMEL = {
    "fromAsset": "from_asset",
    "toAsset": "to_asset",
    "amountIn": "amount_in",
    "amountOut": "amount_out",
}


def read_balances(data: Any) -> tuple[Balance, ...]:
    """Return balances from either shape: a list, or an object that holds one.

    Raises:
        msgspec.ValidationError: it is neither.
    """
    if isinstance(data, Mapping):
        data = data.get("balances")
    return msgspec.convert(data, tuple[Balance, ...])


def read_quote(data: Any) -> Quote:
    """Return a quote; the steps of its route may be spelled either way.

    Raises:
        msgspec.ValidationError: it is none.
    """
    if isinstance(data, Mapping) and isinstance(data.get("route"), list):
        data = {**data, "route": [_respelled(step) for step in data["route"]]}
    elif isinstance(data, Mapping) and data.get("route") is None:
        data = {**data, "route": ()}
    return msgspec.convert(data, Quote)


def read_swap(data: Any) -> SwapAccepted:
    """Return the reply to a swap.

    Raises:
        msgspec.ValidationError: it is none.
    """
    fields = msgspec.convert(data, _SwapFields)
    return SwapAccepted(order_id=str(fields.order_id), status=Status(fields.status))


def read_order(data: Any, order_id: str | None = None) -> OrderUpdate:
    """Return how an order stands.

    Args:
        data: as it came.
        order_id: its id, where the data may leave it out.

    Raises:
        msgspec.ValidationError: it is none.
    """
    fields = msgspec.convert(data, _OrderFields)
    named = order_id if fields.order_id is None else str(fields.order_id)
    if named is None:
        raise msgspec.ValidationError("Object missing required field `orderId`")
    return OrderUpdate(
        order_id=named,
        status=Status(fields.status),
        filled_out=_amount(fields.filled_out),
        tx_hash=fields.tx_hash or None,
        updated_at=fields.updated_at,
        client_order_id=fields.client_order_id or None,
    )


def _respelled(step: Any) -> Any:
    if not isinstance(step, Mapping):
        return step
    named = {_CAMEL.get(str(name), str(name)): value for name, value in step.items()}
    return {name: value for name, value in named.items() if value is not None}


def _amount(value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    amount = msgspec.convert(value, Decimal)
    try:
        _check_amounts(amount)
    except ValueError as exc:
        raise msgspec.ValidationError(str(exc)) from None
    return amount


def _check_amounts(*amounts: Decimal) -> None:
    """Refuse what is no amount; a ``ValueError`` in here is a ``ValidationError`` of msgspec's."""
    for amount in amounts:
        exponent = amount.as_tuple().exponent
        if not isinstance(exponent, int) or max(abs(exponent), abs(amount.adjusted())) > (
            MAX_EXPONENT
        ):
            raise ValueError("Expected an amount, got a number out of all bounds")
