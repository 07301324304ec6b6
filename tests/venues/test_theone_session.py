"""The session of TheOne: frames in, events out, and whose answer an answer is."""

from __future__ import annotations

import json
from decimal import Decimal as D

import attrs
import pytest
from hypothesis import given, strategies as st

from trioflex import LocalProtocolError, RefusalKind, RemoteProtocolError
from trioflex.protocol import (
    Channel,
    Correlation,
    Denied,
    Ignored,
    Push,
    Ready,
    Refusal,
    Reply,
    Request,
    Retry,
)
from trioflex.venues import theone

from .theone_talk import EXCHANGES, KEY, NOW, Clock, Talk, env_of

SWAP = theone.Swap("1.5", "ETH", "USDT", slippage_bps=30, client_order_id="my-order-0007")
ORDER = theone.Order("ord_TEST_0001")
STATUS = theone.GetOrderStatus("ord_TEST_0001")
PENDING = {"orderId": "ord_TEST_0001", "status": "PENDING", "updatedAt": 1}
FILLED = {"orderId": "ord_TEST_0001", "status": "FILLED", "updatedAt": 9}


def update(status, at=None):
    return theone.OrderUpdate(order_id="ord_TEST_0001", status=theone.Status(status), updated_at=at)


def request_of(talk, name):
    """The request that a client's frame of the vectors is."""
    client = EXCHANGES[name]["client"]
    match client and client["op"]:
        case "balances":
            return theone.GetBalances()
        case "estimate":
            return theone.Estimate("1.5", "ETH", "USDT")
        case "swap":
            return SWAP
        case "order_status":
            return STATUS
        case "subscribe" | "unsubscribe" as op:
            channel = theone.VENUE.channel_named(client["ch"]) or theone.Order("nope")
            return talk.session.watch(channel, op == "subscribe")
    return None


# -- the published exchanges ---------------------------------------------------------------------

USDT = theone.Balance(asset="USDT", total=D("250.75"), locked=D(0))
ETH = theone.Balance(asset="ETH", total=D("1.2"), locked=D("0.2"))
STEP = theone.RouteStep(
    from_asset="ETH", to_asset="USDT", amount_in=D("1.5"), amount_out=D("4510.2"),
    exchange="binance",
)  # fmt: skip
AUTHENTICATION = ("authentication", RefusalKind.NOT_AUTHENTICATED)
EXPECTED = {
    "subscribe_balances": [Reply(1, None), Push(theone.Balances(), (USDT, ETH))],
    "subscribe_order": [
        Reply(1, None),
        Push(
            ORDER,
            theone.OrderUpdate(
                order_id="ord_TEST_0001",
                status=theone.Status.FILLED,
                filled_out=D("3011.5"),
                tx_hash="0xfeed",
                updated_at=1765000009000,
            ),
        ),
    ],
    "order_push_without_order_id": [
        Push(
            ORDER,
            theone.OrderUpdate(
                order_id="ord_TEST_0001",
                status=theone.Status.PARTIAL_FILLED,
                filled_out=D(1000),
                updated_at=1765000005000,
            ),
        )
    ],
    "unsubscribe": [Reply(1, None)],
    "subscribe_bad_channel": [
        Refusal(1, "request", "Invalid channel format", RefusalKind.INVALID)
    ],
    "balances": [Reply(1, theone.BalancesSnapshot((USDT,)))],
    "balances_bare_list_variant": [Reply(1, theone.BalancesSnapshot((USDT,)))],
    "estimate": [
        Reply(
            1,
            theone.Quote(
                price=D("3006.8"),
                expected_out=D("4510.2"),
                fee=D("0.003"),
                expires_at=1765000030000,
                route=(STEP,),
            ),
        )
    ],
    "swap": [
        Reply(1, theone.SwapAccepted(order_id="ord_TEST_0001", status=theone.Status.PENDING))
    ],
    "order_status": [
        Reply(
            1,
            theone.OrderUpdate(
                order_id="ord_TEST_0001",
                status=theone.Status.FILLED,
                filled_out=D("4509.9"),
                tx_hash="0xfeed",
                updated_at=1765000009000,
                client_order_id="my-order-0007",
            ),
        )
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_the_published_exchanges(name):
    """Each of the venue's messages means what the document says."""
    talk = Talk(theone.venue(catch_up=False))
    request = request_of(talk, name)
    if request is not None:
        sent = json.loads(talk.asks(request))
        own = EXCHANGES[name]["client"]
        assert sent.keys() == own.keys()
        if name != "subscribe_bad_channel":
            assert {k: own[k] for k in ("op", "ch", "data") if k in own} == {
                k: sent[k] for k in ("op", "ch", "data") if k in sent
            }
    events = [event for message in EXCHANGES[name]["server"] for event in talk.hears(message)]
    if name == "subscribe_balances":
        events[1] = Push(events[1].channel, events[1].value.balances)
    assert EXPECTED[name] == events


@pytest.mark.parametrize("name", ["stale_timestamp", "nonce_reused", "unknown_operation"])
def test_the_published_errors(name):
    """Texts that name nothing belong to the request under way."""
    talk = Talk()
    talk.asks(theone.GetBalances())
    [event] = talk.hears(EXCHANGES[name]["server"][0])
    assert (1, RefusalKind.INVALID) == (event.key, event.kind)
    assert event.message.startswith(EXCHANGES[name]["server"][0]["error"])


def test_every_published_exchange_is_tested():
    """No vector is left to itself."""
    logins = {"auth_ok", "auth_error_without_op", "auth_error_with_op"}
    errors = {"stale_timestamp", "nonce_reused", "unknown_operation"}
    assert EXCHANGES.keys() == EXPECTED.keys() | logins | errors


# -- logging in ----------------------------------------------------------------------------------


def test_the_login_is_the_first_frame():
    """The key is in it, and in no frame after it; the secret is in none."""
    talk = Talk(login=False)
    message = json.loads(talk.auth.frame)
    assert ["op", "key", "ts", "nonce", "sig"] == list(message)
    assert ("auth", KEY.key, NOW) == (message["op"], message["key"], message["ts"])
    assert [Ready("ak_T…")] == talk.hears(EXCHANGES["auth_ok"]["server"][0])
    assert KEY.key not in talk.asks(theone.GetBalances())


@pytest.mark.parametrize(
    ("message", "code", "retry"),
    [
        (EXCHANGES["auth_error_without_op"]["server"][0], "authentication", Retry.NEVER),
        (EXCHANGES["auth_error_with_op"]["server"][0], "authentication", Retry.NEVER),
        ({"error": "Invalid API key"}, "authentication", Retry.NEVER),
        ({"error": "Not authenticated"}, "authentication", Retry.NEVER),
        ({"op": "balances", "error": "Invalid API key"}, "authentication", Retry.NEVER),
        ({"error": "Request timestamp outside allowed window"}, "clock", Retry.NEVER),
        ({"error": "Nonce has already been used or is expired"}, "nonce", Retry.AGAIN),
        ({"error": {"code": "INTERNAL_ERROR", "message": "oops"}}, "INTERNAL_ERROR", Retry.AGAIN),
        ({"error": {"code": "RATE_LIMIT", "message": "slow"}}, "RATE_LIMIT", Retry.LATER),
        ({"error": "Come back tomorrow"}, "error", Retry.LATER),
    ],
)
def test_before_the_login_every_error_refuses_it(message, code, retry):  # L3, L5
    """Whatever it names; a wrong key or clock is not tried again."""
    [event] = Talk(login=False).hears(message)
    assert (Denied, code, retry) == (type(event), event.code, event.retry)


def test_a_refused_signature_mentions_the_switch():
    """And a refused clock mentions the clock."""  # L5
    [event] = Talk(login=False).hears({"error": "Invalid signature"})
    assert "derive_key=False" in event.message
    [event] = Talk(login=False).hears({"error": "Request timestamp outside allowed window"})
    assert "clock" in event.message


@pytest.mark.parametrize("data", [None, {}, {"status": "almost"}, [], "authenticated"])
def test_a_login_answered_with_neither_is_malformed(data):
    """Half a success is none."""
    with pytest.raises(RemoteProtocolError, match="neither success nor an error"):
        Talk(login=False).hears({"op": "auth", "data": data})


def test_other_replies_before_the_login_mean_nothing():
    """The session is not ready by them."""
    message = {"op": "balances", "data": []}
    assert [Ignored(message)] == Talk(login=False).hears(message)


def test_a_second_login_answer_means_nothing():
    """The first one counted."""
    message = {"op": "auth", "data": {"status": "authenticated"}}
    assert [Ignored(message)] == Talk().hears(message)
    assert Talk().session.login(KEY) is None
    assert [] == Talk().session.close()


@pytest.mark.parametrize("credentials", [None, object(), ("key", "secret")])
def test_the_venue_cannot_be_used_without_credentials_of_its_own(credentials):
    """Said at once, and without what was given."""
    with pytest.raises(LocalProtocolError, match="used without theone"):
        theone.VENUE.session(credentials, env_of())


# -- correlation ---------------------------------------------------------------------------------


def test_an_answer_names_the_operation():  # M11
    """One that names another answers nothing; the request goes on waiting."""
    talk = Talk()
    talk.asks(SWAP)
    stray = {"op": "balances", "data": {"balances": []}}
    assert [Ignored(stray)] == talk.hears(stray)
    [event] = talk.hears({"op": "swap", "data": {"orderId": "x", "status": "PENDING"}})
    assert 1 == event.key


@pytest.mark.parametrize(
    ("error", "answers"),
    [
        ({"error": "no"}, True),
        ({"op": "swap", "error": "no"}, True),
        ({"op": "", "error": "no"}, True),
        ({"op": "estimate", "error": "no"}, False),
        ({"op": "swap", "ch": "balances", "error": "no"}, False),
        ({"ch": "balances", "error": "no"}, False),
        ({"op": 7, "error": "no"}, False),
    ],
    ids=str,
)
def test_an_error_answers_the_request_under_way_unless_it_names_another(error, answers):  # M11
    """Two errors of one request cannot be told from two errors of two."""
    talk = Talk()
    talk.asks(SWAP)
    expected = [Refusal(1, "error", "no", RefusalKind.OTHER)] if answers else [Ignored(error)]
    assert expected == talk.hears(error)
    assert answers is (talk.hears({"error": "again"}) == [Ignored({"error": "again"})])


def test_subscriptions_are_told_apart_by_their_channel():
    """The operation alone is not enough."""
    talk = Talk()
    talk.asks(talk.session.watch(ORDER, True))
    other = {"op": "subscribe", "ch": "balances", "data": {"status": "subscribed"}}
    assert [Ignored(other)] == talk.hears(other)
    assert [Reply(1, None)] == talk.hears({**other, "ch": "orders:ord_TEST_0001"})


def test_an_error_with_nothing_under_way_means_nothing():
    """It is shown, and harms nobody."""
    message = {"error": "Invalid channel format"}
    assert [Ignored(message)] == Talk().hears(message)


def test_an_empty_error_is_none():
    """Some servers send the field always."""
    talk = Talk()
    talk.asks(theone.GetBalances())
    assert [Reply(1, theone.BalancesSnapshot(()))] == talk.hears(
        {"op": "balances", "error": "", "data": []}
    )


def test_a_request_that_was_given_up_answers_nothing():
    """The core lets the next one out when the way is free again: what was before is over."""
    talk = Talk()
    talk.asks(SWAP)
    talk.asks(theone.GetBalances())
    assert [Refusal(2, "error", "no", RefusalKind.OTHER)] == talk.hears({"error": "no"})


def test_pipelined_answers_belong_to_the_oldest_they_fit():
    """In the order of asking; a late answer is taken in its turn."""
    venue = theone.venue(pipelined=True)
    assert Correlation.BY_KEY is venue.correlation
    talk = Talk(venue)
    for request in (SWAP, theone.GetBalances(), theone.GetBalances()):
        talk.asks(request)
    balances = {"op": "balances", "data": []}
    assert [2, 1, 3] == [
        talk.hears(message)[0].key for message in (balances, {"error": "no"}, balances)
    ]


def test_pipelined_memory_is_bounded():
    """What nobody can be waiting for any more is forgotten, the oldest first."""
    talk = Talk(theone.venue(pipelined=True))
    for _ in range(10_001):
        talk.asks(theone.GetBalances())
    assert 2 == talk.hears({"op": "balances", "data": []})[0].key


# -- what is sent --------------------------------------------------------------------------------


@attrs.frozen
class Foreign(Request[None]):
    """Another venue's."""


@attrs.frozen
class Elsewhere(Channel[None]):
    """Another venue's."""


def test_what_is_not_ours_does_not_leave():
    """Requests and channels of other venues."""
    talk = Talk()
    with pytest.raises(LocalProtocolError, match="no request Foreign"):
        talk.asks(Foreign())
    with pytest.raises(LocalProtocolError, match="no channel Elsewhere"):
        talk.asks(talk.session.watch(Elsewhere(), True))


def test_a_message_that_is_too_large_does_not_leave():  # R11
    """64 KiB is the smaller of the two limits that are written; and nothing waits for an answer."""
    talk = Talk()
    huge = theone.Estimate("1", "ETH", "USDT", filter=["x" * 200] * 400)
    with pytest.raises(LocalProtocolError, match="at most 65536 bytes"):
        talk.asks(huge)
    assert [Ignored({"error": "no"})] == talk.hears({"error": "no"})


def test_a_message_above_a_mebibyte_is_refused():  # M5
    """The larger of the two limits, to receive; it would be closed with 1009."""
    with pytest.raises(RemoteProtocolError) as caught:
        Talk().session.receive(b'"' + b"x" * 1024 * 1024 + b'"')
    assert 1009 == caught.value.close_code


def test_subscriptions_are_not_signed():
    """``op`` and ``ch``, and nothing else."""
    talk = Talk()
    assert {"op": "subscribe", "ch": "balances"} == json.loads(talk.watches(theone.Balances()))
    assert {"op": "unsubscribe", "ch": "balances"} == json.loads(
        talk.watches(theone.Balances(), on=False)
    )


def test_the_same_inputs_give_the_same_outputs():
    """Purity: a session is a function of what it is given."""

    def run():
        talk = Talk(env=env_of(Clock()))
        frames = [talk.auth.frame, talk.asks(SWAP), talk.asks(theone.GetBalances())]
        return [*frames, *talk.hears({"op": "balances", "data": []})]

    assert run() == run()


# -- pushes --------------------------------------------------------------------------------------


def balances(*assets):
    return [{"asset": asset, "total": "1", "locked": "0"} for asset in assets]


def test_balances_after_a_subscription_are_changes():
    """All of them are asked for anyway, so no push has to be taken for all of them."""
    talk = Talk()
    talk.watches(theone.Balances())
    for data in (balances("USDT"), {"balances": balances("ETH")}):
        [push] = talk.hears({"ch": "balances", "data": data})
        assert (theone.Balances(), theone.BalancesChanged) == (push.channel, type(push.value))


def test_without_catching_up_the_first_push_is_all_balances():
    """Later ones are changes, until the next subscription."""
    talk = Talk(theone.venue(catch_up=False))
    kinds = []
    for _ in range(2):
        talk.watches(theone.Balances())
        kinds += [
            type(talk.hears({"ch": "balances", "data": balances("USDT")})[0].value)
            for _ in range(2)
        ]
    assert [theone.BalancesSnapshot, theone.BalancesChanged] * 2 == kinds


def test_pushes_before_the_first_answer_are_not_told_after_it():
    """What was pushed before the status was asked is older than the status."""
    talk = Talk()
    talk.watches(ORDER)
    assert [] == talk.hears({"ch": "orders:ord_TEST_0001", "data": PENDING})
    talk.asks(STATUS)
    assert [Reply(2, update("FILLED", 9))] == talk.hears({"op": "order_status", "data": FILLED})
    processing = {**PENDING, "status": "PROCESSING"}
    assert [Push(ORDER, update("PROCESSING", 1))] == talk.hears(
        {"ch": "orders:ord_TEST_0001", "data": processing}
    )


def test_a_push_that_is_newer_than_the_first_answer_is_told_after_it():
    """The newest of those that were kept."""
    talk = Talk()
    talk.watches(ORDER)
    for data in (FILLED, PENDING):
        assert [] == talk.hears({"ch": "orders:ord_TEST_0001", "data": data})
    talk.asks(STATUS)
    assert [Reply(2, update("PENDING", 1)), Push(ORDER, update("FILLED", 9))] == talk.hears(
        {"op": "order_status", "data": PENDING}
    )


@pytest.mark.parametrize("how", ["refused", "status refused", "stopped", "no catching up"])
def test_pushes_are_kept_only_while_an_answer_is_to_come(how):
    """Nothing is kept for ever."""
    talk = Talk(theone.venue(catch_up=how != "no catching up"))
    if how == "refused":
        talk.asks(talk.session.watch(ORDER, True))
        talk.hears({"error": "Invalid channel format"})
    else:
        talk.watches(ORDER)
    if how == "status refused":
        talk.asks(STATUS)
        talk.hears({"error": "Order not found"})
    elif how == "stopped":
        talk.watches(ORDER, on=False)
    assert [Push(ORDER, update("FILLED", 9))] == talk.hears(
        {"ch": "orders:ord_TEST_0001", "data": FILLED}
    )


@pytest.mark.parametrize(
    "message",
    [
        {"ch": "trades:x", "data": {}},
        {"ch": "orders:", "data": FILLED},
        {"ch": "orders:é", "data": FILLED},
        {"ch": 7, "data": {}},
        {"op": None},
        {"op": 7, "data": {}},
        {"op": "news", "data": {}},
        {"hello": "world"},
        {},
        [],
        [{"op": "swap"}],
        "text",
        7,
        1.5,
        True,
        None,
    ],
    ids=str,
)
def test_what_nobody_has_described_means_nothing(message):  # M4
    """It is shown and counted, and never an error."""
    talk = Talk()
    talk.asks(SWAP)
    [event] = talk.hears(message)
    assert Ignored is type(event)


@pytest.mark.parametrize(
    "message",
    [
        {"op": "swap"},
        {"op": "swap", "data": None},
        {"op": "swap", "data": []},
        {"op": "swap", "data": {"orderId": {}}},
        {"ch": "balances", "data": 7},
        {"ch": "balances", "data": [{"asset": 7, "total": "1", "locked": "0"}]},
        {"ch": "orders:x", "data": None},
        {"ch": "orders:x", "data": {"status": None}},
    ],
    ids=str,
)
def test_the_wrong_shape_is_the_venues_fault(message):  # M2
    """It ends the connection; an order under way is of unknown fate then."""
    talk = Talk()
    talk.asks(SWAP)
    with pytest.raises(RemoteProtocolError, match="theone sent a message of the wrong shape"):
        talk.hears(message)


@pytest.mark.parametrize(
    "frame",
    [b"", b"{", b'{"op":"sw', b"nonsense", b"[" * 5000, b'{"a":NaN}', b'"\\ud800"', b"\xff"],
)
def test_what_is_not_json_is_the_venues_fault(frame):  # M1, M2
    """One kind of error for all of it."""
    with pytest.raises(RemoteProtocolError):
        Talk().session.receive(frame)


FIELDS = [
    *("op", "ch", "data", "error", "status", "orderId", "balances", "asset", "total", "locked"),
    *("price", "expectedOut", "fee", "expiresAt", "route", "filledOut", "updatedAt", "code"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    | st.sampled_from(["FILLED", "balances", "orders:x", "swap", "auth", "1.5", "1e500"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(FIELDS),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip
REQUESTS = [
    theone.GetBalances(),
    theone.Estimate("1", "ETH", "USDT"),
    SWAP,
    STATUS,
]


@given(st.lists(JSON, max_size=4), st.sampled_from(REQUESTS), st.booleans())
def test_nothing_but_protocol_errors_comes_out(messages, request_, login):  # M2
    """Whatever a venue sends."""
    talk = Talk(login=login)
    talk.session.send(talk.session.watch(theone.Order("x"), True), 1)
    talk.session.send(request_, 2)
    for message in messages:
        try:
            events = talk.session.receive(json.dumps(message).encode())
        except RemoteProtocolError:
            continue
        assert isinstance(events, list)


@given(st.binary(max_size=200))
def test_nothing_but_protocol_errors_comes_out_of_garbage(frame):  # M1
    """Bytes of any kind."""
    try:
        events = Talk().session.receive(frame)
    except RemoteProtocolError:
        return
    assert all(Ignored is type(event) for event in events)
