"""Where an order is, open or closed, whole histories, and orders whose answer was lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Protocol, TypeVar

import attrs

from ..._vocabulary.errors import RefusalKind, Refused
from ...protocol import Request
from .replies import Order
from .requests import GetClosedOrder, GetOpenOrders, GetOrder, GetOrderHistory, NewOrder

R = TypeVar("R")

PER = 100
"""Rows of a page where none are asked for; the venue names no maximum."""

READINGS = 10
"""How often pages that change under their reader are read."""


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
    # Counted, not computed: a venue may give fewer rows a page than it was asked for.
    seen = (page - 1) * per
    while True:
        found = await client.request(attrs.evolve(request, page=page, per=per))
        for order in found.resources:
            yield order
        seen += len(found.resources)
        if not found.resources or seen >= found.resources_count:
            return
        page += 1


async def find_lost_order(
    client: Asks, order: NewOrder, *, since: int, known: Collection[int] = ()
) -> tuple[Order, ...]:
    """Look for an order whose outcome was unknown. It only looks.

    The venue has no name of yours for an order, so all orders are compared with it: open ones and
    closed ones, by market, side, kind, price and volume. What can be concluded:

    * One order: it was placed, and this is how it stands.
    * None: it did not arrive. (Give an answer that is merely late some seconds before you ask.)
    * Several: you, or somebody with the same account, have ordered the same more than once.

    Args:
        client: an open client, logged in.
        order: as it was sent.
        since: seconds since 1970 on the venue's clock, shortly before it was sent.
        known: ids of orders that are accounted for; those are left out.

    Returns:
        The orders that it can be, oldest first.

    Raises:
        RequestError: a question was refused or not answered.

    Cancellation: nothing is changed by asking.
    """
    # The open ones first: what is closed meanwhile is then in the history.
    found = {each.id: each for each in await _open_orders(client, order.market)}
    history = GetOrderHistory(order.market, order_by="asc", start_time=since)
    async for each in closed_orders(client, history):
        found[each.id] = each
    return tuple(
        each
        for _, each in sorted(found.items())
        if each.id not in known
        and (each.created_on is None or each.created_on >= since)
        and (each.market, each.side, each.ord_type, each.price, each.volume)
        == (order.market, order.side, order.ord_type, order.price, order.volume)
    )


async def _open_orders(client: Asks, market: str) -> list[Order]:
    """Return all open orders of a market.

    Where one is closed between two pages the next page begins too late, so they are read again
    until nothing has changed meanwhile. Where that never happens, all that was seen is returned.
    """
    rows: dict[int, Order] = {}
    for _ in range(READINGS):
        ids: set[int] = set()
        counts: set[int] = set()
        page = 0
        while True:
            page += 1
            found = await client.request(GetOpenOrders(market, order_by="asc", page=page, per=PER))
            new = {each.id: each for each in found.resources if each.id not in ids}
            rows |= new
            ids |= new.keys()
            counts.add(found.resources_count)
            if not new or len(ids) >= found.resources_count:
                break
        if len(counts) == 1 and len(ids) == found.resources_count:
            break
    return list(rows.values())
