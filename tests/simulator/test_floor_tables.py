"""What there is to be traded at the simulated CoinFLEX and Coinfloor."""

from __future__ import annotations

import pytest

from tests.simulator.floor_client import (
    EUR,
    GBP,
    XBT,
    flex,
    floor,
)


def test_coinflex_has_its_assets_and_markets():
    """Seventy-seven assets and sixty markets, with the documented ids and ticks."""
    profile = flex().profile
    assert (77, 60) == (len(profile.assets), len(profile.markets))
    assert {10_000} == {listing.scale for listing in profile.assets.values()}
    assert 77 == len({listing.id for listing in profile.assets.values()})
    ids = {
        "XBT": 0xF800,
        "FLEX": 0xFF05,
        "USDTLIB": 0xFF10,
        "XBTMAR": 0xC802,
        "BCHJAN": 0xC814,
        "ETHDEC": 0xC833,
        "USDCAUG": 0xCA9B,
        "USDTDEC": 0xCAB3,
        "XBTJUN20": 0x2715,
        "USDTJUN20": 0x2745,
    }
    assert ids == {name: profile.assets[name].id for name in ids}
    ticks = {
        "XBT:USDT": 10_000,
        "XBTMAR:USDTMAR": 5_000,
        "XBTJUN20:USDTJUN20": 5_000,
        "BCHFEB:USDTFEB": 2_500,
        "ETH:USDT": 1_000,
        "USDCDEC:USDTDEC": 10,
        "USDCJUN20:USDTJUN20": 1,
        "FLEX:USDT": 50,
        "DOTF:USDTDOT": 20_000,
        "DFNF:USDTDFN": 500,
        "LIBF:USDTLIB": 100,
    }
    assert ticks == {name: profile.markets[name].tick for name in ticks}
    assert {10_000} == {market.divisor for market in profile.markets.values()}


@pytest.mark.parametrize(("version", "divisor"), [(1, 10_000), (2, 100_000_000)])
def test_coinfloors_versions_differ_in_scale(version, divisor):
    """A total is quantity times price by 10,000 in version 1, by 100,000,000 in version 2."""
    profile = floor(version=version).profile
    assert {XBT, GBP, EUR} == {listing.id for listing in profile.assets.values()}
    assert {divisor} == {market.divisor for market in profile.markets.values()}
    assert {1} == {market.tick for market in profile.markets.values()}


def test_every_market_can_be_opened_and_traded():
    """Other participants find a price and a size for each of them."""
    names = sorted(flex().profile.markets)
    model = flex(markets=names, empty=False)
    for name in names:
        base, counter = name.split(":")
        book = model.book(base, counter)
        bids = {order.price for order in book if order.bid}
        asks = {order.price for order in book if not order.bid}
        assert min(len(bids), len(asks)) >= 20, name
        assert max(bids) < min(asks)
        assert model.ticker(base, counter)["volume"] > 0
