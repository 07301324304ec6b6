"""Every notice: what it says in decimals, whose it is, and which channels it goes to."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from msgspec import UNSET

from trioflex._vocabulary.errors import RemoteProtocolError
from trioflex.protocol import Ignored, Push, Reply
from trioflex.venues import coinflex, coinfloor

from .floor import (
    BOOK,
    BOOK_REPLY,
    MINE,
    OPENED,
    PAIR,
    TICKER,
    TICKER_REPLY,
    USDT,
    XBT,
    anonymous,
    logged_in,
    pushes,
)

OWN = coinflex.OwnOrders()
MATCHED = {
    "notice": "OrdersMatched",
    "bid": 730021,
    "ask": 730044,
    **PAIR,
    "quantity": 1000,
    "price": 86500000,
    "total": 8650000,
    "bid_rem": 1500,
    "ask_rem": 0,
    "time": 1583020845000120,
}
BOUGHT = {
    **MATCHED,
    "bid_tonce": 1001,
    "bid_base_fee": 0,
    "bid_counter_fee": 2595,
    "taker_side": "ask",
    "taker": False,
}
CLOSED = {"notice": "OrderClosed", "id": 730021, **PAIR, "quantity": 1500, "price": 86500000}
MODIFIED = {**OPENED, "notice": "OrderModified", "quantity": 1000, "price": 86400000}


@pytest.fixture
def talk():
    """A session that watches one book."""
    talk = logged_in()
    talk.starts(BOOK, **BOOK_REPLY)
    return talk


def item(talk, message, channel=BOOK):
    """The item of one channel that a notice brings."""
    (value,) = [value for where, value in pushes(talk.hears(message)) if where == channel]
    return value


# -- what they say -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "kind"),
    [(OPENED, coinflex.OrderOpened), (MODIFIED, coinflex.OrderModified)],
)
def test_an_order_opens_and_changes(talk, message, kind):
    """Signed, with the new values."""
    notice = item(talk, message)
    assert isinstance(notice, kind)
    assert (message["id"], message["time"]) == (notice.id, notice.time)
    assert ("XBT", "USDT") == (notice.base, notice.counter)
    assert D(message["quantity"]) / 10000 == notice.quantity
    assert D(message["price"]) / 10000 == notice.price
    assert (message["quantity"], message["price"]) == (notice.scaled_quantity, notice.scaled_price)


@pytest.mark.parametrize(("more", "when"), [({"time_closed": 1583020990000450}, 1583020990000450),
                                            ({}, None)])  # fmt: skip
def test_an_order_closes(talk, more, when):
    """With what was still open; the time is CoinFLEX's alone, and not of always."""
    notice = item(talk, {**CLOSED, **more})
    assert isinstance(notice, coinflex.OrderClosed)
    assert (D("0.15"), when) == (notice.quantity, notice.time_closed)


def test_orders_match(talk):
    """Everything a trade says, to somebody who had no part in it."""
    notice = item(talk, MATCHED)
    assert isinstance(notice, coinflex.OrdersMatched)
    assert (730021, 730044) == (notice.bid, notice.ask)
    assert (D("0.1"), D(8650), D(865)) == (notice.quantity, notice.price, notice.total)
    assert (D("0.15"), D(0)) == (notice.bid_rem, notice.ask_rem)
    assert (None, None, None, None) == (
        notice.bid_base_fee, notice.bid_counter_fee, notice.ask_base_fee, notice.ask_counter_fee
    )  # fmt: skip
    assert (None, None) == (notice.taker_side, notice.taker)
    assert (False, False, False) == (notice.mine, notice.bought, notice.sold)


def test_a_buyer_learns_more(talk):
    """The fee, and who came second."""
    notice = item(talk, BOUGHT)
    assert (True, True, False) == (notice.mine, notice.bought, notice.sold)
    assert (1001, UNSET) == (notice.bid_tonce, notice.ask_tonce)
    assert (D(0), D("0.2595"), None) == (
        notice.bid_base_fee, notice.bid_counter_fee, notice.ask_counter_fee
    )  # fmt: skip
    assert ("ask", False) == (notice.taker_side, notice.taker)


def test_a_seller_learns_more(talk):
    """The same from the other side; the tonce may be null, and the order is yours all the same."""
    notice = item(talk, {**MATCHED, "ask_tonce": None, "ask_base_fee": 1, "ask_counter_fee": 2595})
    assert (True, False, True) == (notice.mine, notice.bought, notice.sold)
    assert (None, D("0.0001"), D("0.2595")) == (
        notice.ask_tonce, notice.ask_base_fee, notice.ask_counter_fee
    )  # fmt: skip


def test_a_market_order_has_no_number(talk):
    """Nor a remainder."""
    message = {name: MATCHED[name] for name in MATCHED if name not in ("ask", "ask_rem")}
    notice = item(talk, message)
    assert (None, None, D("0.15")) == (notice.ask, notice.ask_rem, notice.bid_rem)
    other = {name: MATCHED[name] for name in MATCHED if name not in ("bid", "bid_rem")}
    assert (None, None) == (item(talk, other).bid, item(talk, other).bid_rem)


def test_a_balance_changes(talk):
    """To a whole new amount."""
    notice = item(
        talk, {"notice": "BalanceChanged", "asset": USDT, "balance": 68375000}, coinflex.Balances()
    )
    assert isinstance(notice, coinflex.BalanceChanged)
    assert ("USDT", D("6837.5"), 68375000) == (
        notice.asset, notice.available, notice.scaled_available
    )  # fmt: skip


def test_a_trade_volume_changes(talk):
    """Of 30 days."""
    notice = item(
        talk, {"notice": "TradeVolumeChanged", "asset": XBT, "volume": 15000},
        coinflex.TradeVolume(),
    )  # fmt: skip
    assert isinstance(notice, coinflex.TradeVolumeChanged)
    assert ("XBT", D("1.5"), 15000) == (notice.asset, notice.volume, notice.scaled_volume)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (MINE, coinflex.OrderOpened),
        ({**MODIFIED, "tonce": None}, coinflex.OrderModified),
        ({**CLOSED, "tonce": None}, coinflex.OrderClosed),
        (BOUGHT, coinflex.OrdersMatched),
    ],
)
def test_an_asset_that_the_table_lacks_has_a_number_all_the_same(talk, message, kind):
    """The venue adds assets: yours are told like all others, equal to notices made by hand."""
    new = item(talk, {**message, "base": 51999}, OWN)
    listed = item(talk, message, OWN)
    assert (51999, "#51999", "USDT") == (new.base_id, new.base, new.counter)
    assert message["quantity"] == new.scaled_quantity
    assert coinflex.ASSETS.bind(kind) is type(new) is type(listed)
    assert msgspec.structs.replace(listed, base_id=51999) == new


def test_a_notice_made_by_hand_equals_the_one_that_came(talk):
    """With the class that the venue's table gives, for tests of one's own."""
    made = coinflex.ASSETS.bind(coinflex.OrderOpened)(
        base_id=XBT, counter_id=USDT, id=730021, scaled_quantity=2500, scaled_price=86500000,
        time=1583020800123456,
    )  # fmt: skip
    assert made == item(talk, OPENED)


def test_numbers_of_listed_assets_are_not_made_anew(talk):
    """Two objects less for each of thousands of notices a second."""
    first, second = item(talk, OPENED), item(talk, MODIFIED)
    assert first.base_id is second.base_id
    assert first.counter_id is second.counter_id


def test_the_same_notice_has_other_decimals_elsewhere():
    """Coinfloor's XBT has eight."""
    talk = logged_in(coinfloor.VENUE)
    book = coinfloor.OrderBook("XBT", "GBP")
    talk.starts(book, orders=[])
    notice = item(talk, {**OPENED, "counter": 64032, "quantity": 1234560000, "price": 54321}, book)
    assert (D("12.3456"), D("543.21")) == (notice.quantity, notice.price)


# -- where they go -------------------------------------------------------------------------------

ORDER_NOTICES = [
    (OPENED, "tonce"),
    (MODIFIED, "tonce"),
    (CLOSED, "tonce"),
    (MATCHED, "bid_tonce"),
    (MATCHED, "ask_tonce"),
]
every_order_notice = pytest.mark.parametrize(("message", "mark"), ORDER_NOTICES)
every_mark = pytest.mark.parametrize("tonce", [1001, None])


@every_order_notice
def test_others_orders_go_to_their_book(talk, message, mark):
    """And nowhere else."""
    ((channel, _),) = pushes(talk.hears(message))
    assert BOOK == channel


@every_order_notice
@every_mark
def test_own_orders_go_to_their_book_and_to_you(talk, message, mark, tonce):
    """It is the presence of a tonce that counts, not its value."""
    (first, value), (second, same) = pushes(talk.hears({**message, mark: tonce}))
    assert (BOOK, OWN) == (first, second)
    assert value is same
    assert value.mine


@every_order_notice
@every_mark
def test_own_orders_of_books_nobody_watches_are_not_book_data(message, mark, tonce):
    """They come unasked, from any book."""
    talk = logged_in()
    ((channel, _),) = pushes(talk.hears({**message, mark: tonce}))
    assert OWN == channel


@every_order_notice
def test_others_orders_of_books_nobody_watches_are_ignored(message, mark):
    """Left over from a subscription that has ended."""
    (event,) = logged_in().hears(message)
    assert isinstance(event, Ignored)


def test_each_book_has_its_own(talk):
    """A notice about another market goes to that market."""
    other = coinflex.OrderBook("ETH", "USDT")
    talk.starts(other, orders=[])
    ((channel, _),) = pushes(talk.hears({**OPENED, "base": 63520}))
    assert other == channel
    (event,) = talk.hears({**OPENED, "base": 63496})
    assert isinstance(event, Ignored)


def test_the_channel_is_the_one_that_was_asked_for(talk):
    """The same object, so that finding it costs nothing."""
    channel = coinflex.OrderBook("ETH", "USDT")
    talk.starts(channel, orders=[])
    ((where, _),) = pushes(talk.hears({**OPENED, "base": 63520}))
    assert channel is where


# -- what is not understood ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        {"notice": "MarketHalted", "why": ["flood", 1.5]},
        {"notice": "orderopened"},
        {"notice": ""},
        {"hello": "world"},
        {},
        {"tag": 5},
        {"tag": 5, "error_code": 0},
        {"error_code": 0},
        {"error_code": 8, "error_msg": "What?"},
        {"tag": None, "error_code": 8, "error_msg": "What?"},
        {"tag": 0, "error_code": 0, "notice_": 1},
    ],
)
def test_unknown_messages_are_ignored(talk, message):
    """And shown, numbers exact."""
    (event,) = talk.hears(message)  # M4, M9
    assert isinstance(event, Ignored)
    assert message == event.message


def test_a_long_unknown_message_is_not_shown_whole(talk):
    """Decoding values that nobody wants is not worth the time."""
    (event,) = talk.hears({"notice": "News", "text": "x" * 100_000})
    assert event.message.startswith('{"notice": "News", "text": "xxx')
    assert 300 > len(event.message)


@pytest.mark.parametrize("message", [OPENED, MATCHED, CLOSED, {**TICKER_REPLY, "error_code": 0}])
def test_unknown_fields_do_no_harm(talk, message):
    """Venues add them without a word."""
    more = {"colour": "red", "deep": [{"x": [1.5, None]}], "taker_fee": "0.1"}
    before = talk.hears(message)
    after = talk.hears({**message, **more})  # M4
    if isinstance(before[0], Push):
        assert before == after


def test_a_notice_is_a_notice_wherever_its_name_stands(talk):
    """Keys have no order; and a message that is both is a notice."""
    backwards = dict(reversed(OPENED.items()))
    assert talk.hears(OPENED) == talk.hears(backwards)
    assert talk.hears(OPENED) == talk.hears({"error_code": 0, "tag": 1, **OPENED})


def test_a_notice_with_an_escaped_key_is_one(talk):
    """JSON may spell a key in more ways than one."""
    frame = b'{"n\\u006ftice":"TradeVolumeChanged","asset":63488,"volume":1}'
    ((channel, _),) = pushes(talk.session.receive(frame))
    assert coinflex.TradeVolume() == channel


def test_a_reply_that_mentions_notices_is_a_reply(talk):
    """The word alone does not make one."""
    _, key = talk.asks(coinflex.PlaceOrder("XBT", "USDT", 1, 1))
    reply = {"tag": key, "error_code": 0, "id": 1, "time": 2, "see": "notice", "x": {"notice": 1}}
    (event,) = talk.hears(reply)
    assert Reply(key, coinflex.OrderPlaced(id=1, time=2)) == event


# -- replies find their requests -----------------------------------------------------------------


def test_replies_may_come_in_any_order(talk):
    """Each finds its own request."""
    first = talk.asks(coinflex.PlaceOrder("XBT", "USDT", 1, 1))[1]
    second = talk.asks(coinflex.GetTradeVolume("XBT"))[1]  # M10

    (later,) = talk.hears({"tag": second, "error_code": 0, "volume": 15000})
    (sooner,) = talk.hears({"tag": first, "error_code": 0, "id": 7, "time": 8})

    assert (second, D("1.5")) == (later.key, later.value.volume)
    assert (first, 7) == (sooner.key, sooner.value.id)


def test_a_second_reply_answers_nothing(talk):
    """However often it is repeated."""
    _, key = talk.asks(coinflex.PlaceOrder("XBT", "USDT", 1, 1))
    reply = {"tag": key, "error_code": 0, "id": 7, "time": 8}
    talk.hears(reply)
    for _ in range(3):
        assert [Ignored(reply)] == talk.hears(reply)  # M9


def test_a_notice_may_come_before_its_reply(talk):
    """There is no order between the two."""
    _, key = talk.asks(coinflex.PlaceOrder("XBT", "USDT", "0.25", "8650", tonce=1001))
    ((_, _), (own, value)) = pushes(talk.hears(MINE))  # M10
    assert (OWN, 730021) == (own, value.id)
    (reply,) = talk.hears({"tag": key, "error_code": 0, "id": 730021, "time": 1})
    assert value.id == reply.value.id


def test_what_is_never_answered_is_forgotten_in_the_end(talk, monkeypatch):
    """The oldest first; a reply to it then answers nothing."""
    monkeypatch.setattr("trioflex.venues._floor.session.UNANSWERED", 3)
    keys = [talk.asks(coinflex.GetTradeVolume("XBT"))[1] for _ in range(4)]
    first, *rest = [talk.hears({"tag": key, "error_code": 0, "volume": 1})[0] for key in keys]
    assert isinstance(first, Ignored)
    assert all(isinstance(event, Reply) for event in rest)


# -- what breaks the protocol --------------------------------------------------------------------

WRONG = [
    (message, field, value)
    for message in (OPENED, MODIFIED, CLOSED, MATCHED, BOUGHT)
    for field in message
    if field != "notice"
    for value in ("7", 1.5, True, [], {})
    if not (field == "taker_side" and value == "7") and not (field == "taker" and value is True)
]


@pytest.mark.parametrize(("message", "field", "value"), WRONG)
def test_a_field_of_another_type_breaks_the_protocol(message, field, value):
    """The error names the field."""
    with pytest.raises(RemoteProtocolError, match=rf"at `\$\.{field}`"):  # M2
        anonymous().hears({**message, field: value})


MUST = [
    (OPENED, set()),
    (CLOSED, set()),
    (MATCHED, {"bid", "ask", "bid_rem", "ask_rem"}),
    ({"notice": "BalanceChanged", "asset": 1, "balance": 1}, set()),
    ({"notice": "TradeVolumeChanged", "asset": 1, "volume": 1}, set()),
    ({"notice": "TickerChanged", **PAIR}, set()),
]
MISSING = [
    (message, field)
    for message, optional in MUST
    for field in message
    if field not in optional | {"notice"}
]


@pytest.mark.parametrize(("message", "field"), MISSING)
def test_a_field_that_is_missing_breaks_the_protocol(message, field):
    """The error names the field."""
    less = {name: message[name] for name in message if name != field}
    with pytest.raises(RemoteProtocolError, match=f"missing required field `{field}`"):  # M2
        anonymous().hears(less)


@pytest.mark.parametrize(
    "message",
    [
        {"notice": 5},
        {"notice": None},
        {"notice": ["Welcome"]},
        {"tag": 1, "error_code": "0"},
        {"tag": "1", "error_code": 0},
        {"tag": 1.5, "error_code": 0},
        {"tag": 1, "error_code": None},
        {"tag": 1, "error_code": 8, "error_msg": 5},
    ],
)
def test_an_envelope_of_another_type_breaks_the_protocol(talk, message):
    """It cannot be known what it is."""
    with pytest.raises(RemoteProtocolError, match="wrong shape"):  # M2
        talk.hears(message)


@pytest.mark.parametrize(
    "frame", [b"", b"pong", b"[]", b"17", b'"notice"', b'{"notice"}', b"null", b'["notice"]']
)
def test_what_is_no_object_breaks_the_protocol(talk, frame):
    """The error names the venue."""
    with pytest.raises(RemoteProtocolError, match="CoinFLEX sent"):  # M1, M2
        talk.session.receive(frame)


def test_an_error_shows_no_secret(talk):
    """Should the venue ever send one back."""
    echo = {"notice": "OrderOpened", "cookie": "HGREqcILTz8blHa", "signature": ["abc", "def"]}
    with pytest.raises(RemoteProtocolError) as caught:  # L8
        talk.hears(echo)
    assert "HGREqc" not in str(caught.value)
    assert '"abc"' not in str(caught.value)


def test_a_ticker_is_not_a_book(talk):
    """Each has its own subscription."""
    talk.starts(TICKER, **TICKER_REPLY)
    ((channel, _),) = pushes(talk.hears({"notice": "TickerChanged", **PAIR, "last": 1}))
    assert TICKER == channel
