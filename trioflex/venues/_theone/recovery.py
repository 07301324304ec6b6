"""What became of a swap: found by the caller's name, followed to its end, proven by news."""

from __future__ import annotations

from collections.abc import AsyncIterable, Hashable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

import attrs

from ..._vocabulary.errors import LocalProtocolError, NotSent, RefusalKind, Refused, ReplyLost
from ..._vocabulary.events import Gap, Resumed
from ...protocol import Channel, Request
from .channels import Order
from .replies import OrderUpdate, Status, SwapAccepted
from .requests import GetOrderStatus

R = TypeVar("R")
T = TypeVar("T")


class Asks(Protocol):
    """Whatever can ask a venue; a :class:`trioflex.Client` can."""

    async def request(self, request: Request[R], /) -> R:
        """Send a request and return its reply."""


class Follows(Asks, Protocol):
    """Whatever can listen to a venue as well; a :class:`trioflex.Client` can."""

    def subscribe(
        self, channel: Channel[T], /
    ) -> AbstractAsyncContextManager[AsyncIterable[T | Gap | Resumed]]:
        """Subscribe to a channel for as long as a block lasts."""


@attrs.frozen
class NotKnown:
    """The venue knows no swap of this name. It never arrived, or its id is not taken here."""

    client_order_id: str


async def find_swap(client: Asks, *, client_order_id: str) -> OrderUpdate | NotKnown:
    """Look for a swap by your name for it, e.g. after an outcome was unknown.

    It only looks. What can be concluded:

    * An :class:`OrderUpdate`: it was executed, and this is how it stands. A ticket whose outcome
      was unknown is settled by it.
    * :class:`NotKnown`: most likely it never arrived. The venue's REST interface takes client order
      ids, of its stream that is not written; so compare the balances before you swap again.

    Args:
        client: an open client.
        client_order_id: of the swap; where you gave none, ``swap.client_order_id`` has it.

    Raises:
        RequestError: the question was not answered, or refused for another reason.
    """
    try:
        return await client.request(GetOrderStatus(client_order_id))
    except Refused as refused:
        if refused.kind is not RefusalKind.NOT_FOUND:
            raise
        return NotKnown(client_order_id)


async def follow_swap(client: Follows, order_id: str, *, partial: bool = False) -> OrderUpdate:
    """Wait for the end of a swap: listen to its channel, and ask after every interruption.

    Args:
        client: an open client.
        order_id: the venue's name for the swap, from :class:`SwapAccepted`.
        partial: return at ``PARTIAL_FILLED`` as well, as the venue's example programs do.

    Returns:
        The first update with a final status (FILLED, FAILED, CANCELLED).

    Raises:
        SubscriptionRefused: the venue does not know the order.
        SubscriptionTimeout: it did not confirm the subscription.
        Refused: it would not say how the order stands.
        LocalProtocolError: the client was closed meanwhile.

    Cancellation: ends the listening and nothing else; the swap goes on.
    """
    async with client.subscribe(Order(order_id)) as updates:
        update = await _ask(client, order_id)
        if update is not None and _ended(update, partial):
            return update
        async for item in updates:
            if isinstance(item, Resumed):
                # With a snapshot the next item says it; without one somebody has to ask.
                update = None if item.snapshot else await _ask(client, order_id)
            else:
                update = None if isinstance(item, Gap) else item
            if update is not None and _ended(update, partial):
                return update
    raise LocalProtocolError(
        f"theone: the client was closed before the swap {order_id} had come to its end"
    )


def _ended(update: OrderUpdate, partial: bool) -> bool:
    return update.status.final or (partial and update.status == Status.PARTIAL_FILLED)


async def _ask(client: Asks, order_id: str) -> OrderUpdate | None:
    """Ask until there is an answer, or no connection; then the receiver will say Resumed."""
    while True:
        try:
            return await client.request(GetOrderStatus(order_id))
        except ReplyLost:
            continue
        except NotSent:
            return None


def evidence(value: Any) -> Iterable[tuple[Hashable, Any]]:
    """Return which ``Swap`` a value proves executed, by its name, with what its reply said."""
    if isinstance(value, OrderUpdate) and value.client_order_id is not None:
        return (
            (value.client_order_id, SwapAccepted(order_id=value.order_id, status=value.status)),
        )
    return ()
