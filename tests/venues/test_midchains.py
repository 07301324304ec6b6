"""The session of MidChains: login, requests, answers in parts, feeds, books."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal as D

import pytest
from hypothesis import given, strategies as st

from trioflex import LocalProtocolError, RefusalKind, RemoteProtocolError
from trioflex.book import OrderBook
from trioflex.protocol import (
    BundlingSession,
    Channel,
    Confirm,
    Correlation,
    Denied,
    Effect,
    Ignored,
    Interrupted,
    Progress,
    Push,
    Ready,
    Refusal,
    Reply,
    Request,
    Retry,
    Transmit,
)
from trioflex.venues import midchains

from .midchains_talk import (
    EXCHANGES,
    JOHN,
    NOW,
    Talk,
    decrypted,
    env_of,
    private_keys,
    real_env,
    vectors,
)

ADD = midchains.AddOrder("BTCUSD", "B", "0.5", "42000", client_order_id="a-17")
OK = {"result": "OK"}


# -- login ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", vectors("auth")["cases"], ids=lambda case: case["name"])
def test_the_password_arrives(case):
    """Encrypted afresh with the key of the challenge, as the venue decrypts it."""
    key = private_keys()[case["server_private_key_file"]]
    credentials = midchains.Credentials(case["userid"], case["password"])
    frames = []
    for _ in range(2):
        talk = Talk(credentials=credentials, env=real_env(), login=False)
        [login] = talk.hears(case["challenge_reply"])
        assert case["userid"] == json.loads(login.frame)["userid"]
        assert case["pass_length_chars"] == len(json.loads(login.frame)["pass"])
        assert bytes.fromhex(case["password_utf8_hex"]) == decrypted(key, login.frame)
        frames.append(login.frame)
    assert frames[0] != frames[1]


def test_the_example_ciphertexts_decrypt():
    """The framing of the vectors is ours."""
    for case in vectors("auth")["cases"]:
        key = private_keys()[case["server_private_key_file"]]
        plain = decrypted(key, json.dumps(case["example_login_frame"]))
        assert bytes.fromhex(case["password_utf8_hex"]) == plain


def test_a_password_too_long_for_the_key_ends_the_connection():
    """The text says why, and not the password."""
    case = next(c for c in vectors("auth")["cases"] if c["name"].startswith("1024"))
    password = "x" * (case["max_password_bytes"] + 1)
    talk = Talk(credentials=midchains.Credentials("u", password), env=real_env(), login=False)
    with pytest.raises(RemoteProtocolError, match="too short") as caught:
        talk.hears(case["challenge_reply"])
    assert "xxx" not in str(caught.value)
    fits = midchains.Credentials("u", "x" * case["max_password_bytes"])
    assert Talk(credentials=fits, env=real_env(), login=False).hears(case["challenge_reply"])


def test_a_short_key_is_warned_about(caplog):
    """Once a login."""
    caplog.set_level("WARNING", "trioflex")
    Talk()
    assert ["midchains: the key for the password has"] == [r.message[:39] for r in caplog.records]


def test_a_refused_login_is_final():  # L3
    """Nobody tries a wrong password again; a refused challenge may pass."""
    text = "invalid user/password"
    talk = Talk(login=False)
    assert [Denied("login", text, Retry.NEVER)] == talk.hears({"type": "login", "result": text})
    assert [Denied("challenge", "busy", Retry.LATER)] == talk.hears(
        {"type": "challenge", "result": "busy"}
    )


@pytest.mark.parametrize("key", ["***", None, 7])
def test_a_challenge_without_a_key(key):
    """It cannot be answered."""
    with pytest.raises(RemoteProtocolError):
        Talk(login=False, env=real_env()).hears({"type": "challenge", "result": "OK", "key": key})


def test_anonymous_sessions_are_ready_at_once():
    """Feeds need no login; a later login takes a new connection, and there is no goodbye."""
    talk = Talk(credentials=None)
    assert [Ready()] == talk.opened
    assert [] == talk.session.close()
    assert talk.session.login(JOHN) is None
    for kind in ("challenge", "login"):
        message = {"type": kind, "result": "OK", "key": "AAAA"}
        assert [Ignored(message)] == talk.hears(message)


def test_the_goodbye_is_a_logout():
    """And its answer is nothing to be told."""
    talk = Talk()
    assert [Transmit('{"type":"logout"}')] == talk.session.close()
    assert [] == talk.hears({"type": "logout", "result": "OK"})


def test_other_credentials_are_refused():
    """With a text that does not show them."""
    with pytest.raises(LocalProtocolError, match="str is none"):
        midchains.VENUE.session("secret", env_of(lambda: NOW))


def test_secrets_stay_secret():
    """In representations, in errors, in frames that are shown."""
    assert "PASSWORD" not in repr(JOHN)
    for password in ("", "\ud800", "x" * 246, 7):
        with pytest.raises(LocalProtocolError, match="password") as caught:
            midchains.Credentials("u", password)
        assert "xxx" not in str(caught.value)
    frame = '{"type":"login","userid":"u","pass":"c2Vj\\"cmV0'
    for shown in (frame, frame + '"}'):
        assert "c2Vj" not in midchains.VENUE.redact(shown)
        assert '"userid":"u"' in midchains.VENUE.redact(shown)


def test_credentials_from_the_environment():
    """By the names of the venue; what is missing is named."""
    found = {"MIDCHAINS_USER_ID": "JOHNUSER", "MIDCHAINS_PASSWORD": "PASSWORD"}
    assert JOHN == midchains.Credentials.from_env(found)
    for name in found:
        with pytest.raises(LocalProtocolError, match=name):
            midchains.Credentials.from_env({**found, name: ""})


# -- requests ------------------------------------------------------------------------------------

REQUESTS = {
    "add_market_buy": midchains.AddOrder("LTCUSD", "B", order_type="MKT", amount=180),
    "add_rejected": midchains.AddOrder("LTCUSD", "B", 180, order_type="MKT", unchecked=True),
    "add_limit_gtt": midchains.AddOrder(
        "BTCUSD", "S", "0.5", 45000, tif="GTT", expires_at=1_700_003_599_001
    ),
    "add_stop_limit": midchains.AddOrder("BTCUSD", "S", "0.5", 39000, stop_price=39500),
    "cancel_ok": midchains.CancelOrder("BTCUSD", "R00003"),
    "cancel_unknown": midchains.CancelOrder("BTCUSD", "R99999"),
    "query_order": midchains.QueryOrder("BTCUSD", "R00001"),
    "query_multi": midchains.QueryOrders("BTCUSD", from_time=1_700_000_000_999),
    "query_trade": midchains.QueryTrades("BTCUSD", from_time=1_700_000_000_000),
    "query_pos": midchains.QueryPositions(),
    "query_pos_none": midchains.QueryPositions("LTC"),
}
ROW = midchains.OrderRow(
    refno="R00001", security="BTCUSD", side="S", price=D(100), quantity=D(1000),
    open_quantity=D(900), executed_quantity=D(100), executed_amount=D(10000), tif="GTC",
    category="CROX", updated_at=NOW, client_order_id="ID7",
)  # fmt: skip
STAGED = midchains.OrderRow(
    refno="R00005", security="BTCUSD", side="B", price=D(99), quantity=D(1), category="STAGE",
    updated_at=NOW,
)  # fmt: skip
SALE = midchains.Sale(
    refno="R00001", trade_refno="R00001_X1", security="BTCUSD", side="B", quantity=D(10),
    price=D(30), time=NOW + 500, category="CROX",
)  # fmt: skip
NO_QTY = "cannot use qty for market buy order"
POSITIONS = (
    midchains.Position(security="BTC", quantity=D(3)),
    midchains.Position(security="USD", quantity=D(1000)),
)
EXPECTED = {
    "add_market_buy": midchains.OrderAccepted(refno="R00002", security="LTCUSD"),
    "add_rejected": Refusal(None, NO_QTY, NO_QTY, RefusalKind.INVALID, "addorder"),
    "add_limit_gtt": midchains.OrderAccepted(refno="R00003", security="BTCUSD"),
    "add_stop_limit": midchains.OrderAccepted(refno="R00004", security="BTCUSD"),
    "cancel_ok": midchains.OrderCancelled(refno="R00003", security="BTCUSD"),
    "cancel_unknown": Refusal(
        None, "order not found", "order not found", RefusalKind.NOT_FOUND, "cancelorder"
    ),
    "query_order": ROW,
    "query_multi": (STAGED,),
    "query_trade": (SALE,),
    "query_pos": POSITIONS,
    "query_pos_none": (),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_published_requests(name):
    """The frame as it is printed, and what its answer says."""
    talk, request, exchange = Talk(), REQUESTS[name], EXCHANGES[name]
    assert exchange["client"] == talk.asks(request)
    [answer] = exchange["server"]
    expected = EXPECTED[name]
    if not isinstance(expected, Refusal):
        expected = Reply(None, expected, request.kind)
    assert [expected] == talk.hears(answer)
    assert [Ignored(answer)] == talk.hears(answer)  # it answers nothing any more


def test_pending_positions_are_passed_on():
    """Nobody knows their fields."""
    talk = Talk()
    assert {"type": "querypendingpos", "security": "LTC"} == talk.asks(
        midchains.QueryPendingPositions("LTC")
    )
    row = {"rec_no": 1, "what": ["ever"]}
    answer = {"type": "querypendingpos", **OK, "total_rec": 1, "data": [row]}
    assert [Reply(None, (row,), "querypendingpos")] == talk.hears(answer)


def test_extra_fields_of_an_order_are_passed_on():
    """But none that has an argument; the order prints and hashes like others."""
    order = midchains.AddOrder("BTCUSD", "B", 1, 2, extra={"postonly": "Y"})
    assert "Y" == Talk().asks(order)["postonly"]
    assert order == midchains.AddOrder("BTCUSD", "B", 1, 2, extra=[("postonly", "Y")])
    assert hash(order)
    for name in ("price", "type"):
        with pytest.raises(LocalProtocolError, match="argument of its own"):
            midchains.AddOrder("BTCUSD", "B", 1, 2, extra={name: "1"})


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"order_type": "MKT", "quantity": 1}, "needs amount|cannot have quantity"),
        ({"order_type": "MKT", "amount": 1, "tif": "GTC"}, "IOC, FOK, not GTC"),
        ({"order_type": "MKT", "amount": 1, "price": 1}, "cannot have price"),
        ({"quantity": 1}, "needs price"),
        ({"price": 1}, "needs quantity"),
        ({"quantity": 1, "price": 1, "tif": "GTT"}, "needs expires_at"),
        ({"quantity": 1, "price": 1, "expires_at": NOW}, "cannot have expires_at"),
        ({"quantity": 1, "price": 1, "stop_price": 1, "tif": "GTT"}, "stop limit order"),
    ],
)
def test_orders_that_do_not_fit_together(how, complaint):
    """Refused here, unless the venue is to decide."""
    with pytest.raises(LocalProtocolError, match=complaint):
        midchains.AddOrder("BTCUSD", "B", **how)
    assert midchains.AddOrder("BTCUSD", "B", **how, unchecked=True)


@pytest.mark.parametrize(
    "how",
    [
        {"quantity": 0.5},
        {"quantity": 0},
        {"quantity": "-1"},
        {"quantity": "NaN"},
        {"quantity": D("1e41")},
        {"price": "1e-41"},
        {"expires_at": 1_700_000_000},
        {"side": "buy"},
        {"order_type": "LIMIT"},
        {"tif": "DAY"},
        {"security": ""},
        {"security": "*"},
        {"security": "B\n"},
        {"client_order_id": "x" * 129},
    ],
)
def test_arguments_that_cannot_be_sent(how):
    """Named, with what would do."""
    with pytest.raises(LocalProtocolError):
        midchains.AddOrder(**{"security": "BTCUSD", "side": "B", "quantity": 1, "price": 1, **how})


def test_numbers_go_out_as_text_without_exponents():
    """Exactly as they were given."""
    order = midchains.AddOrder("BTCUSD", "S", D("1E-8"), D("4.2E+4"))
    assert ("0.00000001", "42000") == (Talk().asks(order)["qty"], Talk().asks(order)["price"])


def test_the_old_name_of_a_query():
    """Sent where that is switched on, understood always."""
    talk = Talk(midchains.venue(singular_query=True))
    for kind in ("querymultiorder", "querymultiorders"):
        assert {"type": "querymultiorder"} == talk.asks(midchains.QueryOrders())
        assert [Reply(None, (), "querymultiorders")] == talk.hears(
            {"type": kind, **OK, "total_rec": 0}
        )


def test_an_answer_about_another_order_answers_nothing():  # M11
    """Its refno is not the one that was asked for."""
    talk = Talk()
    talk.asks(midchains.CancelOrder("BTCUSD", "R00003"))
    other = {"type": "cancelorder", **OK, "refno": "R00004", "security": "BTCUSD"}
    assert [Ignored(other)] == talk.hears(other)
    [reply] = talk.hears({**other, "refno": "R00003"})
    assert "R00003" == reply.value.refno


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("not logged in", RefusalKind.NOT_AUTHENTICATED),
        ("Insufficient balance", RefusalKind.INSUFFICIENT_FUNDS),
        ("too many requests", RefusalKind.RATE_LIMITED),
        ("invalid exptime", RefusalKind.INVALID),
        ("the dog ate it", RefusalKind.OTHER),
    ],
)
def test_what_error_texts_mean(text, kind):
    """By their words; there are no codes."""
    talk = Talk()
    talk.asks(ADD)
    assert [Refusal(None, text, text, kind, "addorder")] == talk.hears(
        {"type": "addorder", "result": text}
    )


@pytest.mark.parametrize("case", vectors("paging")["cases"], ids=lambda case: case["name"])
def test_answers_in_parts(case):
    """Handed out when all rows are there; every part but the last is progress."""
    talk = Talk()
    talk.asks(midchains.QueryTrades())
    *parts, last = [talk.hears(reply) for reply in case["replies"]]
    assert all(part == [Progress(None, "querytrade")] for part in parts)
    [event] = last
    if "expected_error" in case:
        assert (case["expected_error"], "querytrade") == (event.message, event.request_kind)
        return
    assert case["expected_rows"] == len(event.value)
    numbers = [f"R{number:05}" for number in range(1, case["expected_rows"] + 1)]
    assert numbers == [sale.refno for sale in event.value]


@pytest.mark.parametrize(
    ("live", "executed", "quantity", "category", "status"),
    [
        (2, 0, 2, "CROX", midchains.Status.OPEN),
        (1, 1, 2, "CROX", midchains.Status.PARTLY_FILLED),
        (0, 2, 2, "CROX", midchains.Status.FILLED),
        (0, 1, 2, "CROX", midchains.Status.DONE),
        (0, 0, 2, "STAGE", midchains.Status.STAGED),
    ],
)
def test_how_an_order_stands(live, executed, quantity, category, status):
    """Derived from its quantities."""
    row = midchains.OrderRow(
        refno="R1", security="BTCUSD", side="B", quantity=D(quantity), open_quantity=D(live),
        executed_quantity=D(executed), category=category,
    )  # fmt: skip
    assert status == row.status
    assert str(status) in str(row)


# -- what is pushed after a login ----------------------------------------------------------------


@pytest.mark.parametrize("shape", ["bare", "list", "object"])
def test_pushes_in_all_shapes(shape):
    """Bare, wrapped as a list, wrapped as an object."""

    def shaped(row):
        if shape == "bare":
            return row
        return {"type": row["type"], "data": [row] if shape == "list" else row}

    talk = Talk()
    order = EXCHANGES["query_order"]["server"][0]["data"]
    sale = EXCHANGES["query_trade"]["server"][0]["data"][0]
    position = EXCHANGES["query_pos"]["server"][0]["data"][0]
    assert [Push(midchains.Orders(), ROW)] == talk.hears(shaped(order))
    assert [Push(midchains.Sales(), SALE)] == talk.hears(shaped(sale))
    assert [] == talk.hears(shaped(sale))  # doubles are dropped
    assert [Push(midchains.Positions(), POSITIONS[0])] == talk.hears(shaped(position))


def test_fields_in_capitals_are_read():
    """As the tables print them."""
    talk = Talk()
    assert [Push(midchains.Positions(), POSITIONS[0])] == talk.hears(
        {"Type": "position", "Security": "BTC", "Curpos": 3}
    )


def test_pushes_before_the_first_answer_are_in_it():
    """What came while the snapshot was asked for is older than the snapshot."""
    talk = Talk()
    position = EXCHANGES["query_pos"]["server"][0]["data"][0]
    assert talk.session.watch(midchains.Positions(), True) is None
    talk.asks(midchains.QueryPositions("BTC"))
    assert [] == talk.hears(position)
    talk.hears({"type": "querypos", "result": "no position"})
    assert [] == talk.hears(position)  # that was an answer to another question
    assert midchains.QueryPositions() == midchains.Positions().bootstrap
    talk.asks(midchains.QueryPositions())
    talk.hears(EXCHANGES["query_pos"]["server"][0])
    assert [Push(midchains.Positions(), POSITIONS[0])] == talk.hears(position)
    talk.session.watch(midchains.Orders(), True)
    talk.session.watch(midchains.Orders(), False)
    assert talk.hears(EXCHANGES["query_order"]["server"][0]["data"])


def test_orders_prove_that_they_were_added():
    """By the caller's name, in news and in answers."""
    accepted = midchains.OrderAccepted(refno="R00001", security="BTCUSD", client_order_id="ID7")
    for value in (ROW, (STAGED, ROW)):
        assert [("ID7", accepted)] == list(midchains.VENUE.evidence(value))
    assert [] == list(midchains.VENUE.evidence(SALE))
    assert "a-17" == ADD.caller_id
    assert Effect.WRITE is ADD.effect is midchains.CancelOrder.effect


# -- feeds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("subscribe_book", midchains.Book("BTCUSD")),
        ("subscribe_all_books", midchains.Book("*")),
        ("subscribe_trade", midchains.Trades("BTCUSD")),
    ],
)
def test_the_published_subscriptions(name, channel):
    """The frame as printed, and its first data as items of the channel."""
    talk = Talk(credentials=None)
    assert EXCHANGES[name]["client"] == talk.watches(channel)
    for message in EXCHANGES[name]["server"]:
        [push] = talk.hears(message)
        assert channel == push.channel
    feed = EXCHANGES[name]["client"]["request"][0]
    assert channel == midchains.VENUE.channel_named(f"{feed['msg']}:{feed['security']}")
    assert Confirm.SENT is channel.confirm


def test_trades():
    """With the taker's side, where the maker's is told."""
    talk = Talk(credentials=None)
    [push] = talk.hears(EXCHANGES["subscribe_trade"]["server"][0])
    assert ("T000001", "B", D("42000.5")) == (
        push.value.match_id, push.value.taker_side, push.value.price,
    )  # fmt: skip
    [old] = talk.hears(EXCHANGES["trade_before_2021_09"]["server"][0])
    assert (None, None) == (old.value.maker_side, old.value.taker_side)
    doubles = midchains.Doubles(kept=1)
    assert [False, True] == [doubles.again(push.value), doubles.again(old.value)]
    assert not doubles.again(SALE)
    assert not doubles.again(push.value)  # only the newest is remembered


def test_channels_by_name():
    """And names that are none."""
    named = midchains.VENUE.channel_named
    assert [midchains.Orders(), midchains.Sales(), midchains.Positions()] == [
        named(name) for name in ("orders", "sales", "positions")
    ]
    assert [None] * 3 == [named(name) for name in ("book:", "candle:X", "nothing")]
    with pytest.raises(LocalProtocolError, match="one pair"):
        named("trade:*")


def test_subscriptions_are_bundled():
    """Up to fifty in a frame; what stops a feed stays alone."""
    session = Talk(midchains.venue(send_unsubscribe=True)).session
    assert isinstance(session, BundlingSession)
    book, trades = midchains.Book("BTCUSD"), midchains.Trades("BTCUSD")
    starts = [session.watch(channel, True) for channel in (book, trades)]
    whole = session.bundle(starts)
    assert [
        {"msg": "book", "security": "BTCUSD", "dest": "CROX"},
        {"msg": "trade", "security": "BTCUSD", "dest": "CROX"},
    ] == json.loads(session.send(whole, 0))["request"]
    assert session.bundle([whole, session.watch(book, False)]) is None
    many = [session.watch(midchains.Book(f"P{number}"), True) for number in range(51)]
    assert session.bundle(many) is None
    assert session.bundle(many[:50]) is not None


def test_unsubscribing():
    """Not sent, unless that is switched on."""
    book = midchains.Book("BTCUSD")
    assert Talk().session.watch(book, False) is None
    talk = Talk(midchains.venue(send_unsubscribe=True))
    frame = talk.asks(talk.session.watch(book, False))
    assert {**EXCHANGES["subscribe_book"]["client"], "type": "unsubscribe"} == frame


def test_answers_to_subscriptions():
    """Not documented: an OK is nothing, all else is shown."""
    talk = Talk()
    assert [] == talk.hears({"type": "subscribe", "result": "OK"})
    refused = {"type": "subscribe", "result": "no such pair"}
    assert [Ignored(refused)] == talk.hears(refused)


class Elsewhere(Channel):
    """A channel of another venue."""


class Other(Request):
    """A request of another venue."""


def test_what_other_venues_have():
    """Is refused by name, where its frame would be made."""
    talk = Talk()
    for request in (Other(), talk.session.watch(Elsewhere(), True)):
        with pytest.raises(LocalProtocolError, match="midchains has no"):
            talk.asks(request)


# -- books ---------------------------------------------------------------------------------------


def followed(security, messages, *channels):
    """A book that follows the channels while the venue says these things."""
    talk, book, books = Talk(credentials=None), OrderBook(), midchains.Books()
    for channel in channels:
        talk.watches(channel)
    for message in messages:
        for event in talk.hears(message):
            if isinstance(event, Push):
                books.apply(event.value)
                if event.value.security == security:
                    book.apply(event.value)
    return talk, book, books


def levels(book):
    return {
        side: [[level.price, level.quantity] for level in getattr(book, side)]
        for side in ("bids", "asks")
    }


@pytest.mark.parametrize("channel", ["*", "BTCUSD"])
@pytest.mark.parametrize("case", vectors("book")["cases"], ids=lambda case: case["name"])
def test_the_published_books(case, channel):
    """In full, for one pair and for all."""
    security = case["security"]
    _, book, books = followed(security, case["messages"], midchains.Book(channel))
    expected = {
        side: [[D(price), D(quantity)] for price, quantity in rows]
        for side, rows in case["expected_levels"].items()
    }
    assert expected == levels(book) == levels(books[security])
    seen = [n for n in range(100) if book.order(n) is not None]
    assert case["expected_order_ids"] == seen
    again = midchains.Books()
    again.apply(books.snapshot())
    assert expected == levels(again[security])


def entry(order_id, side, price, quantity=1, act="U", **rest):
    return {"id": order_id, "side": side, "price": str(price), "qty": str(quantity), "act": act,
            "time": str(NOW), **rest}  # fmt: skip


def message(*entries, security="BTCUSD"):
    return {"type": "book", "security": security, "books": list(entries)}


BOOK = midchains.Book("BTCUSD")


def test_a_removal_without_an_id_clears_its_level():
    """Of that side only, whatever the price's spelling."""
    first = message(entry(1, "B", "100.0"), entry(2, "B", 100), entry(3, "B", 99))
    gone = entry(0, "B", "1E+2", act="R")
    del gone["id"]
    _, book, _ = followed("BTCUSD", [first, message(gone)], BOOK)
    assert {"bids": [[D(99), D(1)]], "asks": []} == levels(book)


def test_finer_digits_start_the_book_over():
    """No digit is lost, and nothing is rounded."""
    first, finer = message(entry(1, "B", 100)), message(entry(2, "B", "99.00000000001", "1e-9"))
    _, book, _ = followed("BTCUSD", [first, finer], BOOK)
    assert [[D(100), D(1)], [D("99.00000000001"), D("1e-9")]] == levels(book)["bids"]


def test_unknown_acts_are_logged_once(caplog):
    """And counted."""
    caplog.set_level("INFO", "trioflex")
    odd = message(entry(1, "B", 1, act="X"))
    talk, _, _ = followed("BTCUSD", [odd, odd], BOOK)
    assert 1 == len([record for record in caplog.records if "act=X" in record.message])
    assert {"X": 2} == talk.session._books["BTCUSD"].odd


def test_a_book_is_loading_for_a_while():
    """A second without a message, or five at most; the item says until when."""
    talk = Talk(credentials=None)
    books = midchains.Books()
    talk.watches(BOOK)
    assert books.loading("BTCUSD", NOW)

    def hears(after):
        talk.clock.ms = NOW + after
        [push] = talk.hears(message(entry(after, "B", 1)))
        books.apply(push.value)
        return push.value.loading_until

    assert NOW + 1_000 == hears(0)
    assert [True, False] == [books.loading("BTCUSD", NOW + after) for after in (999, 1_000)]
    for after in (900, 1_800, 2_700, 3_600):
        assert NOW + after + 1_000 == hears(after)
    assert NOW + 5_000 == hears(4_500)
    assert hears(5_000) is None
    assert hears(5_001) is None
    assert not books.loading("BTCUSD", NOW)
    talk.watches(BOOK)
    assert NOW + 7_000 == hears(6_000)  # a new subscription loads anew


CROSSED = message(entry(1, "B", 101), entry(2, "S", 100))
LATER = {"type": "trade", "security": "X", "price": "1", "qty": "1"}


def test_a_book_that_stays_crossed_ends_the_connection():
    """After more than five seconds, noticed with the next message of any kind."""
    talk, _, _ = followed("BTCUSD", [CROSSED], BOOK)
    talk.clock.ms += 5_000
    assert talk.hears(LATER)
    talk.clock.ms += 1
    with pytest.raises(RemoteProtocolError, match=r"BTCUSD is out of sync.*no entry was ever rem"):
        talk.hears(LATER)


def test_a_book_that_is_crossed_for_a_moment_is_fine():
    """A trade is under way."""
    talk, _, _ = followed("BTCUSD", [CROSSED, message(entry(1, "B", 101, act="R"))], BOOK)
    talk.clock.ms += 60_000
    assert talk.hears(LATER)


def test_what_to_do_with_a_book_out_of_sync_is_a_setting():
    """Ask again on the same connection, or nothing."""
    for choice in ("resubscribe", "ignore"):
        talk = Talk(midchains.venue(out_of_sync=choice), credentials=None)
        for channel in (BOOK, midchains.Book("*")):
            talk.watches(channel)
        talk.hears(CROSSED)
        talk.clock.ms += 5_001
        events = [type(event) for event in talk.hears(LATER)]
        assert events == [Push] + [Interrupted] * (2 if choice == "resubscribe" else 0)
    with pytest.raises(LocalProtocolError, match="out_of_sync is one of"):
        midchains.venue(out_of_sync="panic")


def test_an_order_on_both_sides_is_out_of_sync():
    """Unless that is to be ignored: then it moves."""
    both = message(entry(1, "S", 100))
    talk, _, _ = followed("BTCUSD", [message(entry(1, "B", 99))], BOOK)
    with pytest.raises(RemoteProtocolError, match="both sides"):
        talk.hears(both)
    lax = Talk(midchains.venue(out_of_sync="ignore"), credentials=None)
    lax.watches(BOOK)
    book = OrderBook()
    for each in (message(entry(1, "B", 99)), both):
        [push] = lax.hears(each)
        book.apply(push.value)
    assert {"bids": [], "asks": [[D(100), D(1)]]} == levels(book)


def test_books_that_nobody_wants_mean_nothing():
    """Before the subscription, and after it was given up."""
    talk = Talk(credentials=None)
    assert [Ignored(CROSSED)] == talk.hears(CROSSED)
    talk.watches(BOOK)
    assert [Push] == [type(event) for event in talk.hears(message(entry(1, "B", 1)))]
    talk.session.watch(BOOK, False)
    assert [Ignored(CROSSED)] == talk.hears(CROSSED)


# -- whatever comes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "book", "books": []},
        {"type": "book", "security": "BTCUSD", "books": [7]},
        message(entry(1, "X", 1)),
        message(entry(None, "B", 1)),
        message(entry("one", "B", 1)),
        message(entry(1, "B", "much")),
        message(entry(1, "B", 1, "1e999")),
        {"type": "trade", "security": "BTCUSD", "price": True, "qty": "1"},
        {"type": "order", "refno": "R1"},
        {"type": "position", "data": ["USD"]},
        {"type": "querypos", "result": "OK", "total_rec": -1, "data": []},
        {"type": "querypos", "result": "OK", "total_rec": "many", "data": []},
    ],
)
def test_malformed_messages(bad):
    """They end the connection, with a sentence."""
    talk = Talk()
    talk.watches(BOOK)
    talk.asks(midchains.QueryPositions())
    with pytest.raises(RemoteProtocolError, match="midchains sent a message of the wrong shape"):
        talk.hears(bad)


@pytest.mark.parametrize("odd", [7, [], "x", {}, {"type": "weather"}, {"type": ["book"]}])
def test_unknown_messages_mean_nothing(odd):
    """The venue announces that there will be such."""
    assert [Ignored(odd)] == Talk().hears(odd)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["OK", "B"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
_NAMES = ["security", "side", "act", "price", "qty", "id", "time", "refno", "result", "key",
          "total_rec", "curpos", "traderefno", "execqty", "execprice", "liveqty"]  # fmt: skip
_ROWS = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=6)


@given(
    kind=st.sampled_from([*{r.kind for r in REQUESTS.values()}, "book", "trade", "order", "sale",
                          "position", "challenge", "login", "subscribe"]),
    fields=_ROWS,
    data=_VALUES | _ROWS | st.lists(_ROWS, max_size=2),
)  # fmt: skip
def test_hostile_messages(kind, fields, data):
    """Whatever comes, it is an event or a protocol error."""
    talk = Talk()
    talk.watches(midchains.Book("*"))
    for request in REQUESTS.values():
        talk.asks(request)
    with suppress(RemoteProtocolError):
        talk.hears({**fields, "type": kind, "data": data, "books": data})


# -- the venue -----------------------------------------------------------------------------------


def test_the_venue():
    """One request of each kind; login within the server's limit; reconnecting without end."""
    venue = midchains.VENUE
    assert Correlation.PER_KIND is venue.correlation
    assert (25.0, None, 32.0) == (
        venue.handshake_timeout, venue.reconnect.give_up_after, venue.reconnect.cap,
    )  # fmt: skip
    assert {"public": (3, 6), "private": (5, 10)} == {
        name: (rate.count, rate.burst) for name, rate in venue.rates.items()
    }
    assert venue.anonymous


def test_state_that_is_not_there():
    """It says so instead of guessing."""
    for state in (midchains.OwnOrders(), midchains.PositionSheet()):
        assert (False, None) == (state.valid, state.snapshot())
    with pytest.raises(LocalProtocolError, match="not valid"):
        _ = midchains.OwnOrders().open
    with pytest.raises(LocalProtocolError, match="not valid"):
        midchains.PositionSheet().quantity("USD")
    assert midchains.Books().snapshot() is None
    assert not midchains.Books()["BTCUSD"].valid
