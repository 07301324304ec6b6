"""What became of an order: one look at the open ones."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Protocol, TypeVar

import attrs

from ...protocol import Request
from .notices import OrderOpened
from .replies import Order, OrderPlaced, OrdersSnapshot
from .requests import GetOrders

R = TypeVar("R")


class Asks(Protocol):
    """Whatever can ask a venue; a :class:`trioflex.Client` can."""

    async def request(self, request: Request[R], /) -> R:
        """Send a request and return its reply."""


@attrs.frozen
class NotOpen:
    """No order with this tonce is open now. It may have been filled, cancelled, or never placed."""

    tonce: int


async def find_open(client: Asks, tonce: int) -> Order | NotOpen:
    """Look for an own open order by its tonce."""
    for order in await client.request(GetOrders()):
        if order.tonce == tonce:
            return order
    return NotOpen(tonce)


def evidence(value: Any) -> Iterable[tuple[Hashable, Any]]:
    """Return which ``PlaceOrder`` a value proves executed, by tonce, with what its reply said."""
    if isinstance(value, OrderOpened):
        if isinstance(value.tonce, int):
            return ((value.tonce, OrderPlaced(id=value.id, time=value.time)),)
    elif type(value).__base__ is OrdersSnapshot:
        return [
            (order.tonce, OrderPlaced(id=order.id, time=order.time))
            for order in value
            if order.tonce is not None
        ]
    return ()
