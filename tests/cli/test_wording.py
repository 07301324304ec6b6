"""What a person is asked before a request goes that may change the account."""

from __future__ import annotations

import pytest

from trioflex.cli.wording import question, trade_of
from trioflex.venues import coinflex, coinfloor, midchains, oceanex, theone


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            coinflex.PlaceOrder("XBT", "USDT", quantity="0.10", price=8650),
            "Buy 0.1 XBT at 8650 USDT",
        ),
        (
            coinflex.PlaceOrder("XBT", "USDT", quantity="-0.1", price=8650),
            "Sell 0.1 XBT at 8650 USDT",
        ),
        (
            coinfloor.PlaceOrder("XBT", "GBP", quantity=-2, tonce=1),
            "Sell 2 XBT at the market's price",
        ),
        (
            coinflex.PlaceOrder("XBT", "USDT", total=-865),
            "Sell XBT for 865 USDT at the market's price",
        ),
        (
            oceanex.NewOrder("vetusdt", "sell", volume=10, price="0.02"),
            "Sell 10 on vetusdt at 0.02",
        ),
        (
            oceanex.NewOrder("vetusdt", "buy", volume=10, ord_type="market"),
            "Buy 10 on vetusdt at the market's price",
        ),
        (midchains.AddOrder("BTCUSD", "S", 1, 100), "Sell 1 on BTCUSD at 100"),
        (
            midchains.AddOrder("BTCUSD", "B", order_type="MKT", amount=500),
            "Buy for 500 on BTCUSD at the market's price",
        ),
        (
            midchains.AddOrder("BTCUSD", "B", 1, 100, stop_price=99),
            "Buy 1 on BTCUSD at 100 when 99 is reached",
        ),
        (coinflex.ModifyOrder(id=7, quantity_delta=-1), ""),
        (coinflex.CancelAllOrders(), ""),
        (theone.Swap(1, "BTC", "USDT"), ""),
    ],
)
def test_the_side_of_an_order_is_told(request_, words):
    """Also where it is but a sign; what is no order is not made one."""
    assert words == trade_of(request_).replace("0.10 ", "0.1 ")


class Odd:
    """An order of a venue with ways of its own."""

    base, counter, side, quantity = "A", "B", "buy", -1


def test_nothing_is_claimed_that_is_not_clear():
    """A side and a sign may contradict each other; a side may be called in another way."""
    assert "" == trade_of(Odd())
    odd = Odd()
    odd.side, odd.quantity = "long", 1
    assert "" == trade_of(odd)


def test_the_question_is_whole():
    """Venue, request as it may be typed again, what it does, and what is asked."""
    request = coinflex.PlaceOrder("XBT", "USDT", quantity="-1", price=8650)
    assert (
        "coinflex at 127.0.0.1: PlaceOrder base=XBT counter=USDT quantity=-1 price=8650\n"
        "Sell 1 XBT at 8650 USDT.\nThis may change your account. Send it? [y/N] "
    ) == question("coinflex at 127.0.0.1", request)
    assert question("x", coinflex.CancelAllOrders()).endswith(
        "CancelAllOrders\nThis may change your account. Send it? [y/N] "
    )
