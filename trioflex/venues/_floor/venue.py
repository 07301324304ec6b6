"""Both venues' declaration, as far as it is the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ..._vocabulary.settings import Keepalive, Rate, Reconnect
from ...protocol import Correlation, Venue
from .channels import Balances, OrderBook, OwnOrders, Ticker, TradeVolume
from .dialect import Dialect
from .find import evidence
from .privacy import redact
from .requests import INFORMATION, ORDERS
from .session import FloorSession

INFORMATION_RATE = Rate(9, per=10.0)
"""The venues allow 10 in 10 s for a session; one is kept for the question that the session may
ask itself when a change crossed the reply with all balances."""


def declare(
    dialect: Dialect,
    *,
    name: str,
    url: str,
    urls: Mapping[str, str],
    orders: Rate,
) -> Venue:
    """Return a venue that speaks this wire.

    Args:
        dialect: its table, and the requests it takes.
        name: its identity, in lower case.
        url: its default endpoint.
        urls: all its endpoints, by name.
        orders: its limit of order placements.
    """
    return Venue(
        name=name,
        url=url,
        urls=urls,
        session=partial(FloorSession, dialect),
        requests=dialect.requests,
        channels=(OrderBook, Ticker, OwnOrders, Balances, TradeVolume),
        correlation=Correlation.BY_KEY,
        # An answer of the trade engine may take its time under load; an order that is given up
        # too early is an order of unknown fate.
        reply_timeout=30.0,
        reconnect=Reconnect(cap=60.0),
        # The server drops a connection after 60 s without traffic. It may count ours, too; the
        # ping is for noticing a dead peer, so only what we receive counts.
        keepalive=Keepalive(ping_after=45.0, pong_within=15.0),
        rates={ORDERS: orders, INFORMATION: INFORMATION_RATE},
        redact=redact,
        evidence=evidence,
    )
