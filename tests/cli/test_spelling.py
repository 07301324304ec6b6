"""From what a person types to requests and channels."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal as D
from typing import Any

import attrs
import pytest

from trioflex import LocalProtocolError, find_venue
from trioflex.cli.spelling import make_channel, make_request, spell
from trioflex.protocol import Request
from trioflex.venues import coinflex, theone

VENUES = ("coinflex", "coinfloor", "theone")


@pytest.mark.parametrize("name", ["PlaceOrder", "placeorder", "place-order", "PLACE_ORDER"])
def test_names_are_taken_as_people_type_them(name):
    """Capitals, hyphens and underscores do not matter; nor do capitals of assets."""
    made = make_request(coinflex.VENUE, name, ["base=xbt", "counter=USDT", "quantity=1"])
    assert coinflex.PlaceOrder("XBT", "USDT", D(1)) == made


def test_values_become_what_the_field_takes():
    """Decimals stay exact; enumerations go by name; flags are words."""
    fields = "base=XBT counter=USDT quantity=-0.10 price=9000.5 tonce=7 post-only=yes"
    made = make_request(coinflex.VENUE, "PlaceOrder", [*fields.split(), "persist=false"])
    assert (
        coinflex.PlaceOrder(
            "XBT", "USDT", D("-0.10"), D("9000.5"), tonce=7, persist=False, post_only=True
        )
        == made
    )
    made = make_request(
        coinflex.VENUE,
        "PlaceOrder",
        ["base=XBT", "counter=USDT", "quantity=1", "persist=immediate_or_cancel"],
    )
    assert coinflex.IMMEDIATE_OR_CANCEL is made.persist


def test_lists_are_separated_by_commas():
    """Where a field takes several."""
    fields = ["amount_in=1.5", "asset_in=ETH", "asset_out=USDT", "filter=bybit,gate"]
    made = make_request(theone.VENUE, "Estimate", fields)
    assert theone.Estimate("1.5", "ETH", "USDT", filter=("bybit", "gate")) == made


@pytest.mark.parametrize("kind", [Mapping[str, object], tuple[tuple[str, str], ...]])
def test_pairs_are_joined_by_colons(kind):
    """Where a field takes further fields by name; a value may hold colons."""

    @attrs.frozen
    class Anything(Request[None]):
        extra: Any = ()

    Anything.__annotations__["extra"] = kind
    venue = attrs.evolve(coinflex.VENUE, requests=(Anything,))
    made = make_request(venue, "anything", ["extra=a:1,b:2:3"])
    assert {"a": "1", "b": "2:3"} == made.extra
    with pytest.raises(LocalProtocolError, match="takes name:value"):
        make_request(venue, "anything", ["extra=a"])


@pytest.mark.parametrize(
    ("name", "fields", "complaint"),
    [
        ("Nonsense", [], "there are: GetBalances, GetOrders"),
        ("GetTradeVolume", [], "needs asset. Usage: GetTradeVolume asset=text"),
        ("GetTradeVolume", ["coin=XBT"], "no field 'coin'"),
        ("GetTradeVolume", ["XBT"], "takes field=value, not 'XBT'"),
        ("GetTradeVolume", ["asset=XBT", "ASSET=XBT"], "given twice"),
        ("CancelOrder", ["id=1.5"], "takes integer, not '1.5'"),
        ("CancelOrder", ["id=٣"], "takes integer"),
        ("PlaceOrder", ["base=XBT", "counter=USDT", "quantity=NaN"], "takes decimal"),
        ("PlaceOrder", ["base=XBT", "counter=USDT", "quantity=1", "post_only=1"], "true|false"),
        ("PlaceOrder", ["base=XBT", "counter=USDT", "quantity=0"], "quantity is 0"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(name, fields, complaint):
    """With what there is instead."""
    with pytest.raises(LocalProtocolError) as caught:
        make_request(coinflex.VENUE, name, fields)
    assert complaint in str(caught.value)


def test_channels_are_spelt_with_colons():
    """Fields in order; the venue's own names work, too."""
    assert coinflex.OrderBook("XBT", "USDT") == make_channel(coinflex.VENUE, "orderbook:xbt:usdt")
    assert coinflex.OwnOrders() == make_channel(coinflex.VENUE, "own-orders")
    assert theone.Balances() == make_channel(theone.VENUE, "balances")
    assert theone.Order("a:b") == make_channel(theone.VENUE, "Order:a:b")
    assert theone.Order("17") == make_channel(theone.VENUE, "orders:17")


@pytest.mark.parametrize("text", ["OrderBook", "OrderBook:XBT", "OrderBook:XBT:", "OwnOrders:1"])
def test_a_channel_that_lacks_a_field_says_its_usage(text):
    """Also one that has too many."""
    with pytest.raises(LocalProtocolError, match="Usage: O"):
        make_channel(coinflex.VENUE, text)


def test_an_unknown_channel_lists_what_there_is():
    """With their fields."""
    with pytest.raises(LocalProtocolError, match="OrderBook:BASE:COUNTER, Ticker:BASE:COUNTER"):
        make_channel(coinflex.VENUE, "Candles:XBT")


@pytest.mark.parametrize("name", VENUES)
def test_what_is_spelt_is_understood(name):
    """Every channel of every venue comes back as it was."""
    venue = find_venue(name)
    for kind in venue.channels:
        fields = kind.__attrs_attrs__
        channel = kind(*["X" for _ in fields])
        assert channel == make_channel(venue, spell(channel))
