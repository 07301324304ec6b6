"""Items and replies, printed: what a person reads first."""

from __future__ import annotations

import pytest

from trioflex.venues import coinflex, coinfloor

from .floor import BOOK, BOOK_REPLY, MINE, OPENED, TICKER, TICKER_REPLY, logged_in, pushes
from .test_notices import BOUGHT, CLOSED

BIND = coinflex.ASSETS.bind


@pytest.fixture
def talk():
    """A session that watches a book."""
    talk = logged_in()
    talk.starts(BOOK, **BOOK_REPLY)
    return talk


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            OPENED,
            "OrderOpened XBT:USDT id=730021 quantity=0.25 price=8650 "
            "time=2020-03-01T00:00:00.123456Z",
        ),
        (
            MINE,
            "OrderOpened XBT:USDT id=730021 quantity=0.25 price=8650 tonce=1001 "
            "time=2020-03-01T00:00:00.123456Z",
        ),
        (CLOSED, "OrderClosed XBT:USDT id=730021 quantity=0.15 price=8650"),
        (
            BOUGHT,
            "OrdersMatched XBT:USDT quantity=0.1 price=8650 total=865 "
            "time=2020-03-01T00:00:45.000120Z bid=730021 ask=730044 bid_tonce=1001 bid_rem=0.15 "
            "ask_rem=0 bid_base_fee=0 bid_counter_fee=0.2595 taker_side=ask taker=False",
        ),
    ],
)
def test_a_notice_is_a_line(talk, message, line):
    """Names and decimals; what it does not tell is left out."""
    ((_, notice), *_) = pushes(talk.hears(message))
    assert line == str(notice)


def test_a_ticker_is_a_line(talk):
    """Like a notice."""
    line = "TickerSnapshot XBT:USDT last=8650 bid=8648 ask=8653 low=8421 high=8790 volume=193.44"
    assert line == str(talk.starts(TICKER, **TICKER_REPLY))
    assert "TickerSnapshot XBT:USDT bid=8648" == str(
        BIND(coinflex.TickerSnapshot)(base_id=63488, counter_id=65283, scaled_bid=86480000)
    )


def test_collections_are_counted(talk):
    """Nobody reads a book of a thousand orders in a line."""
    assert "BookSnapshot ETH:USDT orders=2" == str(
        talk.starts(coinflex.OrderBook("ETH", "USDT"), **BOOK_REPLY)
    )


def test_what_has_no_scale_is_shown_as_it_came():
    """A new asset of a venue that has no scale for all, and an item made by hand."""
    line = str(
        coinfloor.ASSETS.bind(coinfloor.OrderClosed)(
            base_id=51999, counter_id=64032, id=1, scaled_quantity=15, scaled_price=100
        )
    )
    assert line.startswith("OrderClosed #51999:GBP id=1 scaled_quantity=15 ")
    changed = coinflex.BalanceChanged(asset_id=1, scaled_available=5)
    assert "BalanceChanged asset=#1 scaled_available=5" == str(changed)


def test_a_time_beyond_the_calendar_is_a_number():
    """Whatever the venue sends, it can be printed."""
    placed = coinflex.OrderPlaced(id=7, time=10**18)
    assert "OrderPlaced id=7 time=1000000000000000000" == str(placed)
    assert "OrderPlaced id=7 time=1970-01-01T00:00:00.000001Z" == str(
        coinflex.OrderPlaced(id=7, time=1)
    )
