"""What the two venues declare, and what their evidence and look-ups can tell."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from trioflex._vocabulary.errors import LocalProtocolError
from trioflex._vocabulary.settings import Keepalive, Rate
from trioflex.protocol import Channel, Confirm, Correlation
from trioflex.venues import coinflex, coinfloor

from .floor import MINE, PAIR, logged_in, pushes

BOTH = pytest.mark.parametrize("venue", [coinflex.VENUE, coinfloor.VENUE], ids=lambda v: v.name)


def test_addresses():
    """Of the documents."""
    assert ("coinflex", "wss://api.coinflex.com/v1") == (coinflex.VENUE.name, coinflex.VENUE.url)
    assert {
        "live": "wss://api.coinflex.com/v1",
        "staging": "wss://stgapi.coinflex.com/v1",
    } == coinflex.VENUE.urls
    assert ("coinfloor", "wss://apiv2.coinfloor.co.uk/") == (
        coinfloor.VENUE.name, coinfloor.VENUE.url
    )  # fmt: skip
    old = coinfloor.venue(version=1)
    assert ("coinfloor-v1", "wss://api.coinfloor.co.uk/") == (old.name, old.url)


@pytest.mark.parametrize("version", [0, 3, "2", None])
def test_there_are_two_versions_of_coinfloor(version):
    """Others are refused."""
    with pytest.raises(LocalProtocolError, match="versions 1 and 2"):
        coinfloor.venue(version=version)


@BOTH
def test_what_is_the_same(venue):
    """Keepalive, limits of time, correlation."""
    assert Keepalive(ping_after=45, pong_within=15) == venue.keepalive
    assert (10, 10, 30, 5) == (
        venue.connect_timeout, venue.handshake_timeout, venue.reply_timeout,
        venue.subscribe_timeout,
    )  # fmt: skip
    assert Correlation.BY_KEY is venue.correlation
    assert venue.anonymous
    assert (True, 60, 300) == (
        venue.reconnect.enabled, venue.reconnect.cap, venue.reconnect.give_up_after
    )  # fmt: skip
    assert venue.max_message_bytes >= 1024 * 1024
    assert set(venue.rates) == {"orders", "information"}


@BOTH
def test_information_leaves_room_for_a_question_of_the_sessions_own(venue):
    """Ten in ten seconds, together."""
    assert Rate(9, per=10) == venue.rates["information"]


def test_order_limits():
    """Two hundred a second; one a second with a thousand at once."""
    assert Rate(200, per=1) == coinflex.VENUE.rates["orders"]
    assert Rate(1000, per=1000) == coinfloor.VENUE.rates["orders"]


# -- channels ------------------------------------------------------------------------------------


@BOTH
def test_channels(venue):
    """Public ones are confirmed by a reply, private ones come unasked."""
    assert {
        "OrderBook": (False, Confirm.REPLY),
        "Ticker": (False, Confirm.REPLY),
        "OwnOrders": (True, Confirm.IMPLICIT),
        "Balances": (True, Confirm.IMPLICIT),
        "TradeVolume": (True, Confirm.IMPLICIT),
    } == {kind.__name__: (kind.private, kind.confirm) for kind in venue.channels}


def test_channels_are_values():
    """Two equal ones are the same subscription."""
    one, other = coinflex.OrderBook("XBT", "USDT"), coinflex.OrderBook("XBT", "USDT")
    assert one == other
    assert hash(one) == hash(other)
    assert one != coinflex.OrderBook("ETH", "USDT")
    assert one != coinflex.Ticker("XBT", "USDT")
    assert "OrderBook(base='XBT', counter='USDT')" == repr(one)
    assert coinflex.OwnOrders() == coinflex.OwnOrders()


def test_every_channel_but_one_can_start_late_joiners():
    """A trade volume comes asset by asset; there is no whole of it."""
    without = {kind.__name__ for kind in coinflex.VENUE.channels if kind.fold is None}
    assert {"TradeVolume"} == without
    for kind in coinflex.VENUE.channels:
        if kind.fold is not None:
            fold = kind.fold()
            assert fold.snapshot() is None
            fold.invalidate()
    assert coinflex.TradeVolume().bootstrap is None
    assert coinflex.OrderBook("XBT", "USDT").bootstrap is None


class Elsewhere(Channel):
    """A channel of another venue."""


def test_channels_of_other_venues_are_refused():
    """When they are asked for, by name."""
    talk = logged_in()
    with pytest.raises(LocalProtocolError, match="CoinFLEX has no channel"):
        talk.watches(Elsewhere())


@pytest.mark.parametrize("kind", [coinflex.OrderBook, coinflex.Ticker])
def test_markets_of_unknown_assets_are_refused(kind):
    """When they are asked for; nothing remains of it."""
    talk = logged_in()
    with pytest.raises(LocalProtocolError, match="no asset 'BTC'"):
        talk.watches(kind("BTC", "USDT"))
    assert {} == talk.session._waiting


# -- evidence ------------------------------------------------------------------------------------


def own(message):
    return pushes(logged_in().hears(message))[-1][1]


ROW = {"id": 5, **PAIR, "quantity": 1, "price": 1, "time": 6}


@BOTH
def test_an_opened_order_proves_that_it_was_placed(venue):
    """By its tonce, with what the reply would have said."""
    assert [(1001, coinflex.OrderPlaced(id=730021, time=1583020800123456))] == list(
        venue.evidence(own(MINE))
    )


def test_open_orders_prove_that_they_were_placed():
    """Those that have a tonce."""
    snapshot = logged_in().gets(
        coinflex.GetOrders(), orders=[{**ROW, "tonce": 7}, {**ROW, "tonce": None}]
    )
    assert [(7, coinflex.OrderPlaced(id=5, time=6))] == list(coinflex.VENUE.evidence(snapshot))


def test_nothing_else_proves_anything():
    """Not a null tonce, not an order of somebody else, not one that was cancelled."""
    talk = logged_in()
    others = talk.hears({name: MINE[name] for name in MINE if name != "tonce"})[0].message
    values = [
        own({**MINE, "tonce": None}),
        others,
        own({**MINE, "notice": "OrderModified"}),
        own({"notice": "BalanceChanged", "asset": 1, "balance": 1}),
        talk.gets(coinflex.CancelAllOrders(), orders=[{**ROW, "tonce": 7}]),
        talk.gets(coinflex.CancelOrder(5), **ROW, tonce=7),
        talk.gets(coinflex.GetBalances(), balances=[]),
        coinflex.OrderPlaced(id=1, time=2),
        None,
        "text",
    ]
    assert [] == [proof for value in values for proof in coinflex.VENUE.evidence(value)]


# -- looking an order up -------------------------------------------------------------------------


class Client:
    """Answers GetOrders."""

    def __init__(self, *tonces):
        self.orders = [{**ROW, "id": n, "tonce": tonce} for n, tonce in enumerate(tonces)]

    async def request(self, request):
        assert coinflex.GetOrders() == request
        return logged_in().gets(request, orders=self.orders)


@pytest.mark.parametrize("venue", [coinflex, coinfloor])
def test_an_order_is_found_by_its_tonce(venue):
    """Or it is said that it is not open, which is all that can be known."""

    def find(*tonces):
        return asyncio.run(venue.find_order(Client(*tonces), tonce=7))

    found = find(None, 6, 7, 8)
    assert isinstance(found, venue.Order)
    assert (2, 7) == (found.id, found.tonce)
    assert venue.NotOpen(7) == find() == find(None, 6, -7)


# -- the modules ---------------------------------------------------------------------------------


def test_importing_a_venue_loads_nothing_heavy():
    """Signatures are for who logs in."""
    code = (
        "import sys, trioflex.venues.coinflex, trioflex.venues.coinfloor; "
        "assert not {'ecdsa', 'cryptography'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
