"""Where an order is, open or closed, and whole histories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

import attrs

from ..._vocabulary.errors import RefusalKind, Refused
from ...protocol import Request
from .replies import Order
from .requests import GetClosedOrder, GetOrder, GetOrderHistory

R = TypeVar("R")

PER = 100
"""Rows of a page where none are asked for; the venue names no maximum."""


class Asks(Protocol):
    """Whatever can ask a venue; a :class:`trioflex.Client` can."""

    async def request(self, request: Request[R], /) -> R:
        """Send a request and return its reply."""


async def find_order(client: Asks, order_id: int) -> Order:
    """Return an order, whether it is open or closed.

    Args:
        client: an open client, logged in.
        order_id: the venue's id.

    Raises:
        Refused: neither knows it (``NOT_FOUND``), or another refusal.
        RequestError: a question was not answered.

    Cancellation: nothing is changed by asking.
    """
    try:
        return await client.request(GetOrder(order_id))
    except Refused as exc:
        if exc.kind is not RefusalKind.NOT_FOUND:
            raise
    return await client.request(GetClosedOrder(order_id))


async def closed_orders(client: Asks, request: GetOrderHistory) -> AsyncIterator[Order]:
    """Yield the orders of all pages of a history, from ``request.page`` on.

    Args:
        client: an open client, logged in.
        request: the first page to ask for.

    Raises:
        RequestError: a page was refused or not answered.
    """
    page, per = request.page or 1, request.per or PER
    while True:
        found = await client.request(attrs.evolve(request, page=page, per=per))
        for order in found.resources:
            yield order
        if not found.resources or page * per >= found.resources_count:
            return
        page += 1
