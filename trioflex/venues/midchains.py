"""MidChains: order books and trades for everybody, and a trading session.

Amounts are exact (``Decimal``, ``int`` or text), times milliseconds since 1970::

    from trioflex.venues import midchains

    async with open_client(midchains.VENUE) as client:            # feeds need no login
        async with client.subscribe(midchains.Book("BTCUSD")) as receiver:
            ...

    account = midchains.Credentials.from_env()
    async with open_client(midchains.VENUE, credentials=account) as client:
        order = midchains.AddOrder("BTCUSD", "B", "0.5", "42000", client_order_id="a-17")
        print((await client.request(order)).refno)

Answers name their type and no request, so one of each type is under way at a time and others queue.
The venue acknowledges no subscription and documents no way to end one: a receiver that leaves frees
no bandwidth until the next connection (``midchains.venue(send_unsubscribe=True)`` tries). Its books
have no sequence numbers; one that stays crossed for more than 5 s, which is noticed with the next
message, makes the client connect anew.

Source: "MidChains/slate", ``source/index.html.md`` of 2021; what it leaves open is decided here and
said at its place.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from .._vocabulary.errors import LocalProtocolError
from .._vocabulary.settings import Keepalive, Rate, Reconnect
from ..protocol import Correlation, Venue
from ._midchains.channels import (
    Book as Book,
    BookChange as BookChange,
    BookEntry as BookEntry,
    Books as Books,
    BooksSnapshot as BooksSnapshot,
    Doubles as Doubles,
    Orders as Orders,
    OwnOrders as OwnOrders,
    Positions as Positions,
    PositionSheet as PositionSheet,
    Sales as Sales,
    Trades as Trades,
    channel_named,
)
from ._midchains.credentials import Credentials as Credentials
from ._midchains.privacy import redact
from ._midchains.recovery import (
    NotKnown as NotKnown,
    cancel_all as cancel_all,
    evidence,
    find_order as find_order,
)
from ._midchains.replies import (
    OrderAccepted as OrderAccepted,
    OrderCancelled as OrderCancelled,
    OrderRow as OrderRow,
    Position as Position,
    Sale as Sale,
    Status as Status,
    Trade as Trade,
)
from ._midchains.requests import (
    PRIVATE,
    PUBLIC,
    AddOrder as AddOrder,
    CancelOrder as CancelOrder,
    QueryOrder as QueryOrder,
    QueryOrders as QueryOrders,
    QueryPendingPositions as QueryPendingPositions,
    QueryPositions as QueryPositions,
    QueryTrades as QueryTrades,
)
from ._midchains.session import MAX_MESSAGE_BYTES, NAME, MidchainsSession, Settings

_CHOICES = ("reconnect", "resubscribe", "ignore")


def venue(
    *,
    send_unsubscribe: bool = False,
    singular_query: bool = False,
    out_of_sync: Literal["reconnect", "resubscribe", "ignore"] = "reconnect",
) -> Venue:
    """Return MidChains as a venue; ``VENUE`` is ``venue()``.

    Args:
        send_unsubscribe: tell the venue when a feed is not wanted any more, with a message that its
            documents do not have.
        singular_query: send :class:`QueryOrders` as ``querymultiorder``, as the documents' sample
            has it; their text says ``querymultiorders``. Answers may say either.
        out_of_sync: what to do with a book that contradicts itself or stays crossed for more than
            5 s. ``"resubscribe"`` asks again on the same connection, which is only right if the
            venue then sends the whole book, which nobody knows; ``"ignore"``: nothing.

    Raises:
        LocalProtocolError: ``out_of_sync`` is none of them.
    """
    if out_of_sync not in _CHOICES:
        raise LocalProtocolError(
            f"midchains: out_of_sync is one of {', '.join(_CHOICES)}, not {out_of_sync!r}"
        )
    settings = Settings(
        send_unsubscribe=send_unsubscribe, singular_query=singular_query, out_of_sync=out_of_sync
    )
    return Venue(
        name=NAME,
        url="wss://ws.midchains.com:8081",
        urls={
            "production": "wss://ws.midchains.com:8081",
            "sandbox": "wss://ws-sandbox.midchains.com:8081/",
        },
        session=partial(MidchainsSession, settings),
        requests=(
            AddOrder,
            CancelOrder,
            QueryOrder,
            QueryOrders,
            QueryTrades,
            QueryPositions,
            QueryPendingPositions,
        ),
        channels=(Book, Trades, Orders, Sales, Positions),
        correlation=Correlation.PER_KIND,
        # The server closes a connection that is not logged in 30 s after it was opened.
        handshake_timeout=25.0,
        reconnect=Reconnect(base=1.0, cap=32.0, give_up_after=None),
        # Nothing is documented; 30 s is what most servers and routers bear.
        keepalive=Keepalive(ping_after=30.0, pong_within=10.0),
        # "Public 3 requests per second, bursts up to 6; private 5, bursts up to 10."
        rates={PUBLIC: Rate(3, burst=6), PRIVATE: Rate(5, burst=10)},
        max_message_bytes=MAX_MESSAGE_BYTES,
        redact=redact,
        evidence=evidence,
        channel_named=channel_named,
    )


VENUE = venue()
"""MidChains as its documents have it."""


__all__ = [
    # the venue
    "VENUE",
    "venue",
    "Credentials",
    # requests
    "AddOrder",
    "CancelOrder",
    "QueryOrder",
    "QueryOrders",
    "QueryTrades",
    "QueryPositions",
    "QueryPendingPositions",
    # what became of an order, and all of them cancelled
    "find_order",
    "NotKnown",
    "cancel_all",
    # their replies
    "OrderAccepted",
    "OrderCancelled",
    "OrderRow",
    "Status",
    "Sale",
    "Position",
    # channels
    "Book",
    "Trades",
    "Orders",
    "Sales",
    "Positions",
    # their items
    "BookChange",
    "BookEntry",
    "BooksSnapshot",
    "Trade",
    # state that follows them
    "Books",
    "OwnOrders",
    "PositionSheet",
    "Doubles",
]
