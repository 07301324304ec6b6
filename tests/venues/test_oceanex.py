"""OceanEx: the login's signature, every operation, every code, and whose answer an answer is."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal as D

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given, strategies as st

from trioflex import (
    LocalProtocolError,
    RefusalKind,
    RemoteProtocolError,
)
from trioflex.protocol import (
    Denied,
    Effect,
    Goodbye,
    Ignored,
    Ready,
    Refusal,
    Reply,
    Retry,
    Rhythm,
    Transmit,
)
from trioflex.venues import oceanex

from .oceanex_talk import AUTH, KEY, MESSAGES, NOW, OPERATIONS, PKCS1, PKCS8, Talk

BUY = oceanex.NewOrder("vetusdt", "buy", price="0.0255", volume=400)
REQUESTS = {
    "tickers_all": oceanex.GetTickers(),
    "tickers_some": oceanex.GetTickers(["vetusdt", "ethusdt"]),
    "markets": oceanex.GetMarkets(),
    "trading_fee": oceanex.GetFees(),
    "account": oceanex.GetAccount(),
    "order_create": BUY,
    "order_create_rejected": oceanex.NewOrder("vetusdt", "buy", price="0.0255", volume=1),
    "order_cancel": oceanex.CancelOrders([501, 502]),
    "order_cancel_rejected": oceanex.CancelOrders(999),
    "order_clear": oceanex.CancelAllOrders(),
    "orders_open": oceanex.GetOpenOrders("vetusdt", "limit"),
    "order_show": oceanex.GetOrder(505),
    "history_show": oceanex.GetClosedOrder(503),
    "history_index": oceanex.GetOrderHistory("vetusdt", "cancel", page=1, per=1),
    "timestamp": oceanex.GetTime(),
    "orderbook": oceanex.GetOrderBook("vetusdt", level=2, precision=6),
    "kline": oceanex.GetKline("vetusdt", limit=2, period=5),
}


# -- the login -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pem", [PKCS1, PKCS8, PKCS8.decode()], ids=["pkcs1", "pkcs8", "text"])
@pytest.mark.parametrize("case", AUTH["login"], ids=lambda case: case["name"])
def test_logins_are_signed_as_published(case, pem):
    """Byte for byte: the padding is deterministic."""
    key = oceanex.Credentials.from_pem(case["uid"], case["api_key"], pem)
    assert case["signature_base64"] == key.sign(case["nonce"])


@pytest.mark.parametrize("case", AUTH["login_negative"], ids=lambda case: case["name"])
def test_known_mistakes_are_not_made(case):
    """Signatures of texts that look alike are others."""
    basic = AUTH["login"][0]
    assert case["signature_base64"] != KEY.sign(basic["nonce"])


def test_the_login_follows_the_welcome():
    """The whole frame is the published one, but for its random uuid."""
    rhythm, login = Talk(credentials=KEY).welcomed
    frame = json.loads(login.frame)
    expected = AUTH["login"][0]["frame"]

    assert Rhythm(150.0) == rhythm
    assert 4 == uuid.UUID(frame["data"].pop("uuid")).version
    assert {k: v for k, v in expected["data"].items() if k != "uuid"} == frame.pop("data")
    assert {k: v for k, v in expected.items() if k != "data"} == frame


def login_of(talk):
    return json.loads(talk.welcomed[1].frame)["data"]["uuid"]


@pytest.mark.parametrize("code", [0, "0"])
def test_a_login_is_good_when_its_code_is_zero(code):
    """And only then; a code may be text."""
    talk = Talk(credentials=KEY)
    reply = MESSAGES["login_reply_ok"]
    message = {**reply["message"], "uuid": login_of(talk), "code": code}

    assert [Ready("ID0TESTUID01")] == talk.hears({**reply, "message": message})


@pytest.mark.parametrize(
    ("code", "retry"),
    [
        *((code, Retry.NEVER) for code in (1001, 1004, 1006, 1007, 1008, 1010, 1011, 2001, 9002)),
        *((code, Retry.AGAIN) for code in (-1, -2, -9, 1005)),
    ],
)
def test_a_refused_login_is_told(code, retry):
    """With the code, and whether another try makes sense."""
    talk = Talk(credentials=KEY)
    reply = MESSAGES["login_reply_failed"]
    [denied] = talk.hears(
        {**reply, "message": {**reply["message"], "uuid": login_of(talk), "code": code}}
    )

    assert isinstance(denied, Denied)
    assert (str(code), retry) == (denied.code, denied.retry)


def test_a_disconnect_under_a_login_denies_it():
    """The venue may cut the line instead of answering."""
    assert [Denied("disconnect", "unauthorized", Retry.NEVER)] == Talk(credentials=KEY).hears(
        MESSAGES["server_messages"]["disconnect"]
    )


def test_an_anonymous_session_logs_in_in_place():
    """Nonces rise although the clock stands still."""
    talk = Talk()
    nonces = []
    for _ in range(2):
        [login] = talk.session.login(KEY)
        nonces.append(json.loads(login.frame)["data"]["header"]["nonce"])

    assert [NOW, NOW + 1] == nonces


def test_the_clock_can_be_set_right():
    """The offset goes into the nonce; it comes from the venue's whole seconds."""
    offset = oceanex.clock_offset_ms(1_700_000_010, asked_ms=NOW - 100, answered_ms=NOW + 100)
    talk = Talk(oceanex.venue(clock_offset_ms=offset), credentials=KEY)

    assert 10_377 == offset
    assert 1_700_000_010_500 == json.loads(talk.welcomed[1].frame)["data"]["header"]["nonce"]
    with pytest.raises(LocalProtocolError, match="is before"):
        oceanex.clock_offset_ms(1, asked_ms=2, answered_ms=1)
    with pytest.raises(LocalProtocolError, match="integer"):
        oceanex.venue(clock_offset_ms=0.5)


# -- credentials ---------------------------------------------------------------------------------


def test_an_encrypted_key_needs_its_passphrase():
    """With it the key signs as before; without, or with another, the error shows nothing."""
    locked = KEY.private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    key = oceanex.Credentials.from_pem("ID", "KID", locked, "open sesame")

    assert KEY.sign(NOW) == key.sign(NOW)
    for wrong in (None, "shut sesame"):
        with pytest.raises(LocalProtocolError, match="passphrase") as caught:
            oceanex.Credentials.from_pem("ID", "KID", locked, wrong)
        assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("uid", "key_id", "pem", "why"),
    [
        ("", "KID", PKCS1, "uid"),
        ("ID", "", PKCS1, "key_id"),
        ("ID", "KID", b"nonsense", "not readable"),
        pytest.param(
            "ID",
            "KID",
            ed25519.Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            "an RSA key",
            id="another kind of key",  # one name for all workers: the key is a fresh one
        ),
    ],
)
def test_bad_credentials_are_refused(uid, key_id, pem, why):
    """Before anything is connected."""
    with pytest.raises(LocalProtocolError, match=why):
        oceanex.Credentials.from_pem(uid, key_id, pem)


def test_credentials_come_from_the_environment(tmp_path):
    """Three variables, the key by the path of its file."""
    file = tmp_path / "key.pem"
    environ = {"OCEANEX_UID": "ID", "OCEANEX_KEY_ID": "KID", "OCEANEX_KEY_FILE": str(file)}
    with pytest.raises(LocalProtocolError, match="cannot be read"):
        oceanex.Credentials.from_env(environ)
    file.write_bytes(PKCS8)

    assert KEY.sign(NOW) == oceanex.Credentials.from_env(environ).sign(NOW)
    for name in environ:
        with pytest.raises(LocalProtocolError, match=name):
            oceanex.Credentials.from_env({**environ, name: ""})


@pytest.mark.parametrize("stringify", [False, True])
def test_signatures_and_keys_are_not_shown(stringify):
    """Not in representations, not in redacted frames."""
    login = Talk(oceanex.venue(stringify=stringify), credentials=KEY).welcomed[1].frame
    signature = KEY.sign(NOW)

    assert signature in login
    assert signature not in oceanex.VENUE.redact(login)
    assert signature[:40] not in oceanex.VENUE.redact(login[: login.index(signature) + 50])
    assert "ID0TESTUID01" in oceanex.VENUE.redact(login)
    assert "private_key" not in repr(KEY)


# -- operations ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPERATIONS)
def test_requests_are_written_as_published(name):
    """Everything but the uuid; numbers digit by digit."""
    operation = OPERATIONS[name]
    sent, expected = Talk().asks(REQUESTS[name]), operation["request"]
    uuid.UUID(sent["data"].pop("uuid"))

    assert {**expected["data"], "uuid": None} == {**sent.pop("data"), "uuid": None}
    assert {k: v for k, v in expected.items() if k != "data"} == sent
    assert operation["private"] is REQUESTS[name].private


@pytest.mark.parametrize("name", [n for n in OPERATIONS if not n.endswith("rejected")])
def test_replies_are_read_as_published(name):
    """Each to a value of its own type, under the key of its request."""
    [reply] = OPERATIONS[name]["replies"]
    [event] = Talk().answered(REQUESTS[name], reply)

    assert isinstance(event, Reply)
    assert 1 == event.key
    assert repr(event.value)


def value_of(name):
    [event] = Talk().answered(REQUESTS[name], OPERATIONS[name]["replies"][0])
    return event.value


def test_what_replies_say():
    """Exact amounts, one spelling of sides, sorted rows, and only what was asked for."""
    assert {"vetusdt", "ethusdt"} == set(value_of("tickers_some"))
    assert D("0.0255") == value_of("tickers_all")["vetusdt"].last
    [market] = value_of("markets")
    assert ("vet", "usdt", 6, D(10)) == (
        market.base, market.quote, market.price_precision, market.minimum_trading_amount
    )  # fmt: skip
    assert D("0.001") == value_of("trading_fee")[0].ask_fee.value
    assert D("1000.45") == value_of("account")[0].total
    placed = value_of("order_create")
    assert (501, oceanex.Side.BUY, "wait", False) == (
        placed.id, placed.side, placed.state, placed.final
    )  # fmt: skip
    assert (501, 502) == value_of("order_cancel")
    assert (503, 504) == value_of("order_clear")
    done = value_of("history_show")
    assert done.final
    assert (D("2.6"), oceanex.Side.SELL) == (done.trades[0].funds, done.trades[0].side)
    assert 43 == value_of("history_index").resources_count
    assert 1714557600 == value_of("timestamp")
    book = value_of("orderbook")
    assert [D("0.0256"), D("0.0257")] == [row.price for row in book.asks]
    assert [D("0.0254"), D("0.0253")] == [row.price for row in book.bids]
    assert D("1200.5") == value_of("kline")[0].volume


def test_fees_may_name_their_market_as_rest_does():
    """``market`` in place of ``market_id``, and whole numbers as text."""
    rate = {"type": "relative", "value": "0.001"}
    row = {"market": "vetusdt", "ask_fee": rate, "bid_fee": rate}
    [event] = Talk().answered(
        oceanex.GetFees(),
        {"identifier": {"handler": "FeeHandler"}, "message": {"code": 0, "data": [row]}},
    )
    assert "vetusdt" == event.value[0].market_id


def test_only_three_requests_may_change_the_account():
    """They are what is never repeated and never polled."""
    assert {oceanex.NewOrder, oceanex.CancelOrders, oceanex.CancelAllOrders} == {
        kind for kind in oceanex.VENUE.requests if kind.effect is Effect.WRITE
    }
    assert 14 == len(oceanex.VENUE.requests)


# -- switches ------------------------------------------------------------------------------------


def test_requests_can_be_strings_in_strings():
    """As one third-party client sends them, and as the vectors have it."""
    sent = Talk(oceanex.venue(stringify=True)).asks(oceanex.GetTime())
    expected = MESSAGES["request_strings_variant"]
    data = {**json.loads(sent["data"]), "uuid": json.loads(expected["data"])["uuid"]}

    assert expected["identifier"] == sent["identifier"]
    assert json.loads(expected["data"]) == data


def test_numbers_keep_their_digits():
    """As JSON numbers without an exponent, or as text."""
    order = oceanex.NewOrder("vetusdt", "sell", price="0.000000012345678901", volume=D("1E+3"))
    talk = Talk()
    assert '"price":0.000000012345678901,"volume":1000' in talk.session.send(order, 1)
    talk = Talk(oceanex.venue(numbers_as_strings=True))
    assert '"price":"0.000000012345678901","volume":"1000"' in talk.session.send(order, 1)


def test_documented_keys_are_a_switch():
    """The user guide's names of markets, for those who need them."""
    talk = Talk(oceanex.venue(documented_keys=True))
    args = [
        talk.asks(request)["data"]["args"]
        for request in (
            oceanex.GetTickers("vetusdt"),
            oceanex.GetOrderBook("vetusdt"),
            oceanex.GetKline("vetusdt"),
        )
    ]
    assert [
        {"market_ids": ["vetusdt"]}, {"market_id": "vetusdt"}, {"market_id": "vetusdt"}
    ] == args  # fmt: skip


def test_unknown_fields_of_orders_pass_through():
    """What the WebSocket may know of stop orders is not documented; it is not stood in the way."""
    extra = {"stop_price": D("0.02"), "trigger_condition": "lte"}
    order = oceanex.NewOrder(
        "vetusdt", "sell", price="0.02", volume=600, ord_type="stop_limit", extra=extra
    )
    args = Talk().asks(order)["data"]["args"]

    assert ("stop_limit", D("0.02"), "lte") == (
        args["ord_type"], args["stop_price"], args["trigger_condition"]
    )  # fmt: skip
    with pytest.raises(LocalProtocolError, match="repeats"):
        oceanex.NewOrder("vetusdt", "sell", price=1, volume=1, extra={"side": "buy"})


# -- local checks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "volume", "why"),
    [
        ("0.0255001", "400", "price has at most 6 decimals"),
        ("0.0255", "400.001", "volume has at most 2 decimals"),
        ("0.0255", "392.15", "at least 10"),
        ("0.0255000", "400.000", None),
        ("0.025", "400", None),
    ],
)
def test_orders_are_checked_against_their_market(price, volume, why):
    """As soon as the rules are known; zeros at the end do not count as decimals."""
    order = oceanex.NewOrder("vetusdt", "buy", price=price, volume=volume)
    learned, told = Talk(), Talk(oceanex.venue(markets=value_of("markets")))
    learned.answered(oceanex.GetMarkets(), OPERATIONS["markets"]["replies"][0])
    for talk in (learned, told):
        if why is None:
            talk.asks(order)
        else:
            with pytest.raises(LocalProtocolError, match=why):
                talk.asks(order)


def test_checks_can_be_switched_off():
    """And are, where nothing is known."""
    markets = value_of("markets")
    order = oceanex.NewOrder("nonesuch", "buy", price=1, volume=1)
    with pytest.raises(LocalProtocolError, match="no market 'nonesuch'"):
        Talk(oceanex.venue(markets=markets)).asks(order)
    for venue in (oceanex.VENUE, oceanex.venue(markets=markets, check_orders=False)):
        assert "nonesuch" == Talk(venue).asks(order)["data"]["args"]["market"]


def test_market_orders_have_no_price():
    """Volume alone goes out."""
    order = oceanex.NewOrder("vetusdt", oceanex.Side.BUY, volume="5", ord_type="market")
    args = Talk(oceanex.venue(markets=value_of("markets"))).asks(order)["data"]["args"]
    assert {"market": "vetusdt", "side": "buy", "ord_type": "market", "volume": 5} == args


@pytest.mark.parametrize("kind", [oceanex.GetKline, oceanex.GetOrderHistory])
def test_time_begins_at_zero(kind):
    """Seconds since 1970, so 0 is one of them."""
    args = Talk().asks(kind("vetusdt", start_time=0, end_time=0))["data"]["args"]
    assert {"market": "vetusdt", "start_time": 0, "end_time": 0} == args


@pytest.mark.parametrize(
    "make",
    [
        lambda: oceanex.NewOrder("vetusdt", "buy", volume=1),
        lambda: oceanex.NewOrder("vetusdt", "buy", volume=1, price=1, ord_type="market"),
        lambda: oceanex.NewOrder("vetusdt", "up", volume=1, price=1),
        lambda: oceanex.NewOrder("VET/USDT", "buy", volume=1, price=1),
        lambda: oceanex.NewOrder("vetusdt", "buy", volume=0.5, price=1),
        lambda: oceanex.NewOrder("vetusdt", "buy", volume=0, price=1),
        lambda: oceanex.NewOrder("vetusdt", "buy", volume="1E+99", price=1),
        lambda: oceanex.NewOrder("vetusdt", "buy", volume=1, price=1, ord_type=""),
        lambda: oceanex.CancelOrders([]),
        lambda: oceanex.CancelOrders(["501"]),
        lambda: oceanex.GetOrder(True),
        lambda: oceanex.GetKline("vetusdt", period=7),
        lambda: oceanex.GetKline("vetusdt", start_time=-1),
        lambda: oceanex.GetOrderHistory("vetusdt", end_time=1.5),
        lambda: oceanex.GetOpenOrders("vetusdt", order_by="up"),
        lambda: oceanex.GetOrderHistory("vetusdt", page=0),
    ],
)
def test_arguments_are_checked_when_given(make):
    """With a sentence, before anything is sent."""
    with pytest.raises(LocalProtocolError, match=r"oceanex|volume"):
        make()


# -- refusals ------------------------------------------------------------------------------------

KINDS = {
    RefusalKind.NOT_AUTHENTICATED: (
        1001, 1002, 1003, 1004, 1006, 1007, 1008, 1010, 1011, 2001, 9001, 9002, 9003
    ),
    RefusalKind.INVALID: (2002, 2003),
    RefusalKind.NOT_FOUND: (2004, 2012),
    RefusalKind.OTHER: (-1, -2, -9, 1005, 3001, 3002, 4711),
}  # fmt: skip


def refused(code, **rest):
    reply = OPERATIONS["order_create_rejected"]["replies"][0]
    [event] = Talk().answered(BUY, {**reply, "message": {**reply["message"], "code": code, **rest}})
    assert isinstance(event, Refusal)
    return event


@pytest.mark.parametrize(
    ("code", "kind"), [(code, kind) for kind, codes in KINDS.items() for code in codes]
)
def test_codes_are_grouped(code, kind):
    """Every code of the table, and one that nobody has described."""
    refusal = refused(code)
    assert (1, str(code), kind) == (refusal.key, refusal.code, refusal.kind)
    assert refusal.message


@pytest.mark.parametrize(
    ("rest", "kind"),
    [
        ({"message": "Account::AccountError: Cannot lock funds"}, RefusalKind.INSUFFICIENT_FUNDS),
        ({"error": "market does not have a valid value"}, RefusalKind.UNKNOWN_MARKET),
        ({"data": {"message": "side does not have a valid value"}}, RefusalKind.INVALID),
        (
            {"message": '{"error":{"code":2002,"message":"Exceeding request Limit"}}'},
            RefusalKind.RATE_LIMITED,
        ),
        ({"error": {"code": 2002, "message": "exceeding request limit"}}, RefusalKind.RATE_LIMITED),
    ],
)
def test_texts_say_more_than_codes(rest, kind):
    """A rate limit hides in several codes."""
    assert kind is refused(-2, **rest).kind


def test_refused_cancellations_name_the_orders():
    """The venue says which."""
    [event] = Talk().answered(
        oceanex.CancelOrders(999), OPERATIONS["order_cancel_rejected"]["replies"][0]
    )
    assert "999" in event.message


# -- whose answer, and what is no answer ---------------------------------------------------------


def test_answers_may_be_strings_in_strings():
    """Identifier, message, or both."""
    published = MESSAGES["identifier_as_string_variant"]
    for as_text in (False, True):
        talk = Talk()
        name = talk.asks(oceanex.GetTime())["data"]["uuid"]
        message = {**published["message"], "uuid": name}
        whole = {**published, "message": json.dumps(message) if as_text else message}
        assert [Reply(1, 1714557600)] == talk.hears(whole)


def time_reply(name, data=1, action="timestamp"):
    message = {"action": action, "code": 0, "data": data}
    return {
        "identifier": {"handler": "ToolHandler"},
        "message": message if name is None else {**message, "uuid": name},
    }


def test_answers_come_in_any_order():
    """Each finds its request, once."""
    talk = Talk()
    first, second = (talk.asks(oceanex.GetTime())["data"]["uuid"] for _ in range(2))

    assert [Reply(2, 22)] == talk.hears(time_reply(second, 22))
    assert [Reply(1, 11)] == talk.hears(time_reply(first, 11))
    assert [Ignored(time_reply(first, 11))] == talk.hears(time_reply(first, 11))


def test_an_answer_without_a_name_goes_to_the_only_one_it_fits():
    """With two of a kind unanswered it goes to nobody, nor does one of another action."""
    talk = Talk()
    talk.asks(oceanex.GetTime())
    assert [Ignored(time_reply(None, action="other"))] == talk.hears(
        time_reply(None, action="other")
    )
    assert [Reply(1, 1)] == talk.hears(time_reply(None))
    talk.asks(oceanex.GetTime())
    talk.asks(oceanex.GetTime())
    assert [Ignored(time_reply(None))] == talk.hears(time_reply(None))


@pytest.mark.parametrize(
    "message",
    [
        {"type": "news", "message": 1},
        {"hello": "world"},
        {"identifier": "not JSON", "message": {}},
        {"identifier": {"handler": "X"}, "message": {"uuid": ["odd"]}},
        [1, 2],
        7,
    ],
)
def test_what_means_nothing_is_handed_on(message):
    """Never dropped in silence, never an error."""
    assert [Ignored(message)] == Talk().hears(message)


def test_what_is_not_json_is_handed_on():
    """The connection goes on, as the protocol asks."""
    assert [Ignored("{oops")] == Talk().session.receive(b"{oops")


@pytest.mark.parametrize("data", [None, "soon", {"x": 1}, [1]])
def test_an_answer_of_the_wrong_shape_is_the_venues_error(data):
    """It breaks the protocol, and names the venue."""
    talk = Talk()
    name = talk.asks(oceanex.GetTime())["data"]["uuid"]
    with pytest.raises(RemoteProtocolError, match="oceanex"):
        talk.hears(time_reply(name, data))


@pytest.mark.parametrize("price", ["NaN", "Infinity", "1E+999"])
def test_amounts_out_of_all_bounds_are_the_venues_error(price):
    """They never get into a program's arithmetic."""
    reply = OPERATIONS["orderbook"]["replies"][0]
    data = {"asks": [[price, "1"]], "bids": []}
    with pytest.raises(RemoteProtocolError):
        Talk().answered(
            REQUESTS["orderbook"], {**reply, "message": {**reply["message"], "data": data}}
        )


@pytest.mark.parametrize("code", [None, "zero", 1.5, [0], "9" * 50])
def test_an_answer_needs_a_code(code):
    """Success is never assumed."""
    talk = Talk()
    reply = time_reply(talk.asks(oceanex.GetTime())["data"]["uuid"])
    with pytest.raises(RemoteProtocolError, match="code"):
        talk.hears({**reply, "message": {**reply["message"], "code": code}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(name=st.sampled_from(sorted(OPERATIONS)), data=JSON)
def test_hostile_answers_are_values_or_the_venues_error(name, data):
    """Whatever comes, nothing but the one error leaves the session."""
    reply = OPERATIONS[name]["replies"][0]
    message = {**reply["message"], "code": 0, "data": data}
    try:
        [event] = Talk().answered(REQUESTS[name], {**reply, "message": message})
    except RemoteProtocolError:
        return
    assert isinstance(event, Reply)


@given(st.binary(max_size=40))
def test_hostile_frames_are_never_a_bug(frame):
    """Bytes of any kind end in events."""
    assert all(isinstance(event, Ignored) for event in Talk().session.receive(frame))


# -- the venue's own messages --------------------------------------------------------------------


def test_pings_are_answered_at_once():
    """With the published pong."""
    [event] = Talk().hears(MESSAGES["server_messages"]["ping"])
    assert isinstance(event, Transmit)
    assert MESSAGES["client_pong"] == json.loads(event.frame)


@pytest.mark.parametrize(("interval", "dead_after"), [(30, 75.0), (None, 150.0), ("x", 150.0)])
def test_the_welcome_sets_the_rhythm(interval, dead_after):
    """Two and a half intervals of silence; a second welcome makes nobody ready again."""
    talk = Talk(welcome=False)
    welcome = {"type": "welcome", "message": interval}
    assert [Rhythm(dead_after), Ready()] == talk.hears(welcome)
    assert [Rhythm(dead_after)] == talk.hears(welcome)


@pytest.mark.parametrize(
    ("rest", "back"), [({"reconnect": False}, False), ({"reconnect": True}, True), ({}, True)]
)
def test_a_disconnect_says_whether_to_come_back(rest, back):
    """Where it does not say, yes."""
    message = {"type": "disconnect", "reason": "maintenance", **rest}
    assert [Goodbye("maintenance", back)] == Talk().hears(message)
