"""TheOne (the-one.io): a swap desk, with signed operations and nothing that names a request.

Amounts are exact (``Decimal``, ``int`` or text), assets go by symbol::

    from trioflex.venues import theone

    async with open_client(theone.VENUE, credentials=theone.Credentials.from_env()) as client:
        quote = await client.request(theone.Estimate("1.5", "ETH", "USDT"))
        swap = await client.request(theone.Swap("1.5", "ETH", "USDT", slippage_bps=30))
        end = await theone.follow_swap(client, swap.order_id)

Replies name their operation and errors nothing, so one request is under way at a time and others
queue. One that stays unanswered closes the way for the next ones until its late answer is there, or
for 30 s; then the connection is replaced.

Source: "the-one-io/api-client" (``client-py``, ``client-go``, ``client-js``, ``docs``), as of
February 2026. Where its documents and its clients disagree, the clients are followed.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from .._vocabulary.errors import LocalProtocolError
from .._vocabulary.settings import Keepalive, Rate, Reconnect
from ..protocol import Channel, Correlation, Request, Venue
from ._theone.channels import (
    Balances as Balances,
    BalanceSheet as BalanceSheet,
    Order as Order,
    OrderState as OrderState,
    channel_named,
)
from ._theone.clock import clock_offset_ms as clock_offset_ms
from ._theone.credentials import (
    BASE_URL,
    Credentials as Credentials,
    stream_url as stream_url,
)
from ._theone.privacy import redact
from ._theone.recovery import (
    NotKnown as NotKnown,
    evidence,
    find_swap as find_swap,
    follow_swap as follow_swap,
)
from ._theone.replies import (
    Balance as Balance,
    BalancesChanged as BalancesChanged,
    BalancesSnapshot as BalancesSnapshot,
    OrderUpdate as OrderUpdate,
    Quote as Quote,
    RouteStep as RouteStep,
    Status as Status,
    SwapAccepted as SwapAccepted,
)
from ._theone.requests import (
    MESSAGES,
    Estimate as Estimate,
    GetBalances as GetBalances,
    GetOrderStatus as GetOrderStatus,
    Swap as Swap,
    Wording,
)
from ._theone.session import (
    MAX_MESSAGE_BYTES,
    MAX_SEND_BYTES,
    NAME,
    Settings,
    TheOneSession,
)

_LIVE = stream_url(BASE_URL)

IDLE_REFRESH = 240.0
"""Seconds: a minute less than the venue's documents allow a connection to be idle."""

FIVE_TRIES = Reconnect(base=1.0, cap=32.0, max_attempts=5, give_up_after=None)
"""Five attempts within 1, 2, 4, 8 and 16 s, then :class:`trioflex.ConnectionLost`, as the venue's
own clients do it. A connection that stayed ready for 30 s starts the count anew."""

ENDLESS = Reconnect(base=1.0, cap=32.0, give_up_after=None)
"""Attempts without end, at most 32 s apart."""


def venue(
    *,
    derive_key: bool = True,
    catch_up: bool = True,
    documented_names: bool = False,
    client_order_ids: bool = True,
    pipelined: bool = False,
    idle_refresh: bool = False,
    clock_offset_ms: int = 0,
    reconnect: Reconnect = FIVE_TRIES,
    max_channels: int | None = 100,
    messages_per_second: float | None = 100,
) -> Venue:
    """Return TheOne as a venue; ``VENUE`` is ``venue()``.

    Args:
        derive_key: sign with a key derived from the secret, as all of the venue's clients do;
            ``False``: with the secret itself, as its documents have it.
        catch_up: ask for all balances, or how the order stands, after every subscription, those
            after a reconnect included; the reply is the first item. ``False``: receivers get what
            the venue pushes, and nothing else.
        documented_names: send ``amount``, ``from``, ``to`` as the documents have it, instead of
            ``amountIn``, ``assetIn``, ``assetOut``.
        client_order_ids: send the client order id of swaps. ``False`` leaves :func:`find_swap`
            without anything to find.
        pipelined: let several requests be under way. Answers are then taken to come in the order
            of asking, and a late one is discarded in its turn instead of the connection being
            replaced; if the venue skips or swaps one, errors go to the wrong request. At your own
            risk.
        idle_refresh: ask for the balances where nothing was asked for four minutes. The venue drops
            connections that are idle for five, and does not say whether Pings count.
        clock_offset_ms: milliseconds that the venue's clock is ahead of ours; it accepts 30 s
            either way. :func:`clock_offset_ms` computes it.
        reconnect: when and how often to connect again; :data:`FIVE_TRIES` or :data:`ENDLESS`, or
            one of your own.
        max_channels: subscriptions refused beyond; ``None``: no limit. The clients' READMEs allow
            100, the documents 50, beyond which there is a warning.
        messages_per_second: sent at most; ``None``: no limit.

    Raises:
        LocalProtocolError: ``clock_offset_ms`` is not an integer.
    """
    if type(clock_offset_ms) is not int:
        raise LocalProtocolError(
            f"theone: clock_offset_ms is an integer of milliseconds, not {clock_offset_ms!r}"
        )
    settings = Settings(
        derive_key=derive_key,
        catch_up=catch_up,
        pipelined=pipelined,
        clock_offset_ms=clock_offset_ms,
        wording=Wording(documented_names=documented_names, client_order_ids=client_order_ids),
    )
    return Venue(
        name=NAME,
        url=_LIVE,
        urls={
            "production": _LIVE,
            "development": stream_url("https://partner-api-dev.the-one.io"),
        },
        session=partial(TheOneSession, settings),
        requests=(GetBalances, Estimate, Swap, GetOrderStatus),
        channels=(Balances, Order),
        correlation=Correlation.BY_KEY if pipelined else Correlation.SERIAL,
        anonymous=False,
        reconnect=reconnect,
        # The READMEs of the clients: "heartbeat interval 30 s".
        keepalive=Keepalive(ping_after=30.0, pong_within=10.0),
        refresh=GetBalances() if idle_refresh else None,
        refresh_after=IDLE_REFRESH,
        rates={} if messages_per_second is None else {MESSAGES: Rate(messages_per_second)},
        max_channels=max_channels,
        warn_channels=50,
        max_message_bytes=MAX_MESSAGE_BYTES,
        max_send_bytes=MAX_SEND_BYTES,
        redact=redact,
        evidence=evidence,
        channel_named=channel_named,
        bootstrap=_own_bootstrap if catch_up else _no_bootstrap,
    )


def _own_bootstrap(channel: Channel[Any]) -> Request[Any] | None:
    return channel.bootstrap


def _no_bootstrap(channel: Channel[Any]) -> Request[Any] | None:
    return None


VENUE = venue()
"""TheOne as its own clients speak to it."""


__all__ = [
    # the venue
    "VENUE",
    "venue",
    "Credentials",
    "FIVE_TRIES",
    "ENDLESS",
    "stream_url",
    "clock_offset_ms",
    # requests
    "GetBalances",
    "Estimate",
    "Swap",
    "GetOrderStatus",
    # what became of a swap
    "find_swap",
    "follow_swap",
    "NotKnown",
    # their replies
    "BalancesSnapshot",
    "Balance",
    "Quote",
    "RouteStep",
    "SwapAccepted",
    "OrderUpdate",
    "Status",
    # channels
    "Balances",
    "Order",
    # their items
    "BalancesChanged",
    # state that follows them
    "BalanceSheet",
    "OrderState",
]
