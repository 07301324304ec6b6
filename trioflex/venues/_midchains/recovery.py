"""What became of an order: found by the caller's name, proven by news; and all orders cancelled."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Protocol, TypeVar

import attrs

from ..._vocabulary.errors import RefusalKind, Refused
from ...protocol import Request
from .replies import OrderAccepted, OrderRow
from .requests import CancelOrder, QueryOrders

R = TypeVar("R")


class Asks(Protocol):
    """Whatever can ask a venue; a :class:`trioflex.Client` can."""

    async def request(self, request: Request[R], /) -> R:
        """Send a request and return its reply."""


@attrs.frozen
class NotKnown:
    """The venue shows no order of this name."""

    client_order_id: str


async def find_order(
    client: Asks, security: str, *, client_order_id: str, from_time: int | None = None
) -> OrderRow | NotKnown:
    """Look for an order by your name for it, e.g. after an outcome was unknown. It only looks.

    Args:
        client: an open client.
        security: the pair.
        client_order_id: of the order. The venue shows it in its rows; if it has dropped it, the
            order is not found although it is there, so compare the positions before you order
            again.
        from_time: milliseconds since 1970, shortly before the order was sent; ``None``: all.

    Raises:
        RequestError: the question was not answered, or was refused.
    """
    for row in await client.request(QueryOrders(security, from_time=from_time)):
        if row.client_order_id == client_order_id:
            return row
    return NotKnown(client_order_id)


async def cancel_all(client: Asks, security: str | None = None) -> tuple[OrderRow, ...]:
    """Cancel all open orders one by one (the venue has no request for it), five a second.

    Args:
        client: an open client.
        security: the pair; ``None``: all.

    Returns:
        The orders that were cancelled, as they stood; those that were gone already are not among
        them.

    Raises:
        RequestError: the first one that was not answered, or refused for another reason.

    Cancellation: what was cancelled stays cancelled.
    """
    cancelled = []
    for row in await client.request(QueryOrders(security)):
        if row.open_quantity <= 0 and row.category != "STAGE":
            continue
        try:
            await client.request(CancelOrder(row.security, row.refno))
        except Refused as refused:
            if refused.kind is not RefusalKind.NOT_FOUND:
                raise
        else:
            cancelled.append(row)
    return tuple(cancelled)


def evidence(value: Any) -> Iterable[tuple[Hashable, Any]]:
    """Return which ``AddOrder`` a value proves executed, by its name, with what its reply said."""
    for row in value if isinstance(value, tuple) else (value,):
        if isinstance(row, OrderRow) and row.client_order_id is not None:
            accepted = OrderAccepted(
                refno=row.refno, security=row.security, client_order_id=row.client_order_id
            )
            yield row.client_order_id, accepted
