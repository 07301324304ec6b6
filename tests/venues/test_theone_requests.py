"""TheOne's requests, replies, credentials and folds, and what errors say."""

from __future__ import annotations

import json
from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given, strategies as st

from trioflex import Gap, GapReason, LocalProtocolError, NotSent, RefusalKind, Refused, Resumed
from trioflex.protocol import Effect
from trioflex.venues import theone
from trioflex.venues._theone.arguments import plain
from trioflex.venues._theone.errors import read_error
from trioflex.venues._theone.replies import read_balances, read_order, read_quote, read_swap
from trioflex.venues._theone.requests import Wording

from .theone_talk import KEY, Talk

USDT = theone.Balance(asset="USDT", total=D("250.75"), locked=D("0.75"))
ETH = theone.Balance(asset="ETH", total=D("1.2"), locked=D(0))


def data_of(request, **switches):
    """The ``data`` of a request, as it goes out."""
    frame = Talk(theone.venue(**switches)).asks(request)
    return json.loads(frame).get("data")


# -- requests ------------------------------------------------------------------------------------


def test_a_swap_always_has_a_name():
    """A fresh one if the caller gives none; it is there to be read and shown."""
    first, second = theone.Swap("1", "ETH", "USDT"), theone.Swap("1", "ETH", "USDT")
    assert first.client_order_id != second.client_order_id
    assert first.client_order_id in repr(first)
    assert first.client_order_id == first.caller_id == data_of(first)["clientOrderId"]
    assert (
        "a-17" == data_of(theone.Swap("1", "ETH", "USDT", client_order_id="a-17"))["clientOrderId"]
    )


def test_the_name_can_be_switched_off():
    """``client_order_ids=False`` leaves the field out."""
    assert "clientOrderId" not in data_of(theone.Swap("1", "ETH", "USDT"), client_order_ids=False)


def test_the_documented_names_are_a_switch():
    """``amount``, ``from``, ``to`` in place of what the clients send."""
    estimate = theone.Estimate("1.5", "ETH", "USDT", network="BSC", account="acct-9")
    rest = {"network": "BSC", "account": "acct-9"}
    main = {"amountIn": "1.5", "assetIn": "ETH", "assetOut": "USDT"}
    assert {**main, **rest} == data_of(estimate)
    main = {"amount": "1.5", "from": "ETH", "to": "USDT"}
    assert {**main, **rest} == data_of(estimate, documented_names=True)


def test_only_a_swap_moves_money():
    """All else may be asked again."""
    assert [theone.Swap] == [r for r in theone.VENUE.requests if r.effect is Effect.WRITE]


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("amount_in", 1.5, "binary float"),
        ("amount_in", "0", "more than 0"),
        ("amount_in", "-1", "more than 0"),
        ("amount_in", "NaN", "finite"),
        ("amount_in", "1e99", "60 digits"),
        ("amount_in", "1e-99", "60 digits"),
        ("amount_in", "lots", "amount_in is a number"),
        ("asset_in", "", "not empty"),
        ("asset_in", "É", "cannot be signed"),
        ("asset_out", "<b>", "cannot be signed"),
        ("asset_out", "a&b", "cannot be signed"),
        ("asset_out", "a\n", "cannot be signed"),
        ("asset_out", 7, "is text"),
        ("slippage_bps", -1, "basis points"),
        ("slippage_bps", 10_001, "basis points"),
        ("slippage_bps", True, "basis points"),
        ("slippage_bps", 0.5, "basis points"),
        ("client_order_id", "x" * 65, "at most 64"),
        ("client_order_id", "", "not empty"),
        ("account", "x" * 257, "at most 256"),
        ("filter", "gate", "several names"),
        ("filter", ["gate", ""], "a liquidity source"),
    ],
)
def test_what_cannot_be_sent_is_refused_when_it_is_made(field, value, complaint):
    """The error names the field and the remedy; nothing is queued."""
    fields = {"amount_in": "1", "asset_in": "ETH", "asset_out": "USDT", field: value}
    with pytest.raises(LocalProtocolError, match=complaint):
        theone.Swap(**fields)


@pytest.mark.parametrize("make", [theone.GetOrderStatus, theone.Order])
def test_order_ids_are_opaque_but_not_anything(make):
    """A bare number in text is one; something that cannot be signed is none."""
    assert "32588" == make("32588").order_id
    for wrong in ("", "é", 32588):
        with pytest.raises(LocalProtocolError):
            make(wrong)


@given(st.decimals(min_value="1e-18", max_value="1e30", places=18))
def test_amounts_keep_every_digit(amount):  # M13
    """What goes out is the number that was given, without an exponent."""
    data = theone.Estimate(amount, "ETH", "USDT").data(Wording())
    assert amount == D(data["amountIn"])
    assert "E" not in data["amountIn"]
    assert "10.00" == plain(D("10.00"))


# -- replies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status", "final"),
    [
        ("PENDING", "PENDING", False),
        ("processing", "PROCESSING", False),
        ("partial", "PARTIAL_FILLED", False),
        ("PARTIAL_FILLED", "PARTIAL_FILLED", False),
        ("Filled", "FILLED", True),
        ("failed", "FAILED", True),
        ("CANCELED", "CANCELLED", True),
        ("cancelled", "CANCELLED", True),
        ("Frozen", "FROZEN", False),
    ],
)
def test_statuses_have_one_spelling(word, status, final):
    """In capitals, British; unknown ones are passed on."""
    read = theone.Status(word)
    assert (status, final) == (read, read.final)
    assert status == getattr(theone.Status, status, status)


def test_balances_come_as_a_list_or_in_an_object():
    """Either shape in either place."""
    listed = [{"asset": "USDT", "total": "250.75", "locked": "0.75"}]
    assert (USDT,) == read_balances(listed) == read_balances({"balances": listed})
    assert D(250) == USDT.free


def test_subtracting_rounds_nothing():  # M13
    """Whatever the thread's decimal context is."""
    balance = theone.Balance(asset="X", total=D("1" + "0" * 40), locked=D("1e-18"))
    assert D("9" * 40 + "." + "9" * 18) == balance.free


def test_balances_are_found_by_asset():
    """A list with a way to look into it."""
    snapshot = theone.BalancesSnapshot((USDT, ETH))
    assert (2, ETH, None) == (len(snapshot), snapshot.get("ETH"), snapshot.get("BTC"))
    assert [USDT, ETH] == list(snapshot)


QUOTE = {"price": "3006.8", "expectedOut": "4510.2", "fee": "0.003", "expiresAt": 1765000030000}
STEP = {"from_asset": "ETH", "to_asset": "USDT", "amount_in": "1.5", "amount_out": "4510.2"}
CAMEL = {"fromAsset": "ETH", "toAsset": "USDT", "amountIn": "1.5", "amountOut": "4510.2"}


@pytest.mark.parametrize("step", [STEP, CAMEL, {**CAMEL, "exchange": None}])
def test_routes_are_spelled_either_way(step):
    """Snake case, or camel case as in one README."""
    [read] = read_quote({**QUOTE, "route": [step]}).route
    assert ("ETH", "USDT", D("1.5"), D("4510.2"), "") == (
        read.from_asset,
        read.to_asset,
        read.amount_in,
        read.amount_out,
        read.exchange,
    )


def test_quotes_expire():
    """On the venue's clock."""
    quote = read_quote({**QUOTE, "route": None})
    assert ((), D("4510.2")) == (quote.route, quote.expected_out)
    assert [False, True] == [quote.expired(at) for at in (1765000029999, 1765000030000)]


def test_an_id_may_be_a_number():
    """One example has it so; it becomes text."""
    assert "32588" == read_swap({"orderId": 32588, "status": "pending"}).order_id
    assert "32588" == read_order({"orderId": 32588, "status": "FILLED"}).order_id


def test_what_is_left_out_of_an_order_is_none():
    """The id comes from elsewhere then."""
    update = read_order({"status": "partial", "filledOut": "", "txHash": ""}, "ord_1")
    assert theone.OrderUpdate(order_id="ord_1", status=theone.Status.PARTIAL_FILLED) == update


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (read_balances, None),
        (read_balances, {"balances": {}}),
        (read_balances, [{"asset": "USDT", "total": "much", "locked": "0"}]),
        (read_balances, [{"asset": "USDT", "total": "NaN", "locked": "0"}]),
        (read_balances, [{"asset": "USDT", "total": "1e999999", "locked": "0"}]),
        (read_balances, [{"asset": "USDT", "total": "1"}]),
        (read_quote, {**QUOTE, "route": 7}),
        (read_quote, {**QUOTE, "route": [7]}),
        (read_quote, {**QUOTE, "price": "Infinity"}),
        (read_quote, {**QUOTE, "expiresAt": "soon"}),
        (read_swap, {"status": "PENDING"}),
        (read_swap, []),
        (read_order, {"status": "FILLED"}),
        (read_order, {"orderId": "x", "status": 7}),
        (read_order, {"orderId": "x", "status": "FILLED", "filledOut": "NaN"}),
        (read_order, {"orderId": "x", "status": "FILLED", "filledOut": []}),
        (read_order, {"orderId": True, "status": "FILLED"}),
    ],
)
def test_other_shapes_are_errors(read, data):
    """One kind of error for all of them."""
    with pytest.raises(msgspec.ValidationError):
        read(data)


def test_the_later_of_two_updates():
    """By the venue's time; without times, nothing is later than the end."""

    def update(status, at):
        return theone.OrderUpdate(order_id="x", status=theone.Status(status), updated_at=at)

    assert update("FILLED", 2).newer_than(update("PENDING", 1))
    assert not update("PENDING", 1).newer_than(update("PENDING", 1))
    assert update("FILLED", None).newer_than(update("PENDING", 1))
    assert not update("PENDING", None).newer_than(update("FILLED", 1))


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        ("Not authenticated", "authentication", RefusalKind.NOT_AUTHENTICATED),
        ("INVALID API KEY", "authentication", RefusalKind.NOT_AUTHENTICATED),
        ("Invalid signature.", "authentication", RefusalKind.NOT_AUTHENTICATED),
        ("Request timestamp outside allowed window", "clock", RefusalKind.INVALID),
        ("Nonce has already been used or is expired", "nonce", RefusalKind.INVALID),
        ("Unknown operation: nonsense", "request", RefusalKind.INVALID),
        ("Invalid channel format", "request", RefusalKind.INVALID),
        ("Insufficient balance", "error", RefusalKind.INSUFFICIENT_FUNDS),
        ("Order not found", "error", RefusalKind.NOT_FOUND),
        ("Rate limit exceeded", "error", RefusalKind.RATE_LIMITED),
        ("The moon is full", "error", RefusalKind.OTHER),
        ({"code": "UNAUTHORIZED"}, "UNAUTHORIZED", RefusalKind.NOT_AUTHENTICATED),
        ({"code": "MISSING_API_KEY"}, "MISSING_API_KEY", RefusalKind.NOT_AUTHENTICATED),
        ({"code": "INVALID_SIGNATURE"}, "INVALID_SIGNATURE", RefusalKind.NOT_AUTHENTICATED),
        ({"code": "EXPIRED_REQUEST"}, "EXPIRED_REQUEST", RefusalKind.INVALID),
        ({"code": "INVALID_NONCE"}, "INVALID_NONCE", RefusalKind.INVALID),
        ({"code": "INVALID_REQUEST"}, "INVALID_REQUEST", RefusalKind.INVALID),
        ({"code": "INVALID_AMOUNT"}, "INVALID_AMOUNT", RefusalKind.INVALID),
        ({"code": "INSUFFICIENT_BALANCE"}, "INSUFFICIENT_BALANCE", RefusalKind.INSUFFICIENT_FUNDS),
        ({"code": "NOT_FOUND"}, "NOT_FOUND", RefusalKind.NOT_FOUND),
        ({"code": "ORDER_NOT_FOUND"}, "ORDER_NOT_FOUND", RefusalKind.NOT_FOUND),
        ({"code": "RATE_LIMIT"}, "RATE_LIMIT", RefusalKind.RATE_LIMITED),
        ({"code": "RATE_LIMIT_EXCEEDED"}, "RATE_LIMIT_EXCEEDED", RefusalKind.RATE_LIMITED),
        ({"code": "DUPLICATE_REQUEST"}, "DUPLICATE_REQUEST", RefusalKind.DUPLICATE),
        ({"code": "SWAP_ERROR"}, "SWAP_ERROR", RefusalKind.OTHER),
        ({"code": "INTERNAL_ERROR"}, "INTERNAL_ERROR", RefusalKind.OTHER),
        ({"message": "Order not found"}, "error", RefusalKind.NOT_FOUND),
        ({}, "error", RefusalKind.OTHER),
        (True, "error", RefusalKind.OTHER),
    ],
    ids=str,
)
def test_every_error_has_a_kind(error, code, kind):
    """Texts whatever their case, objects by their code."""
    read = read_error(error, derived=True)
    assert (code, kind) == (read.code, read.kind)
    assert read.text


def test_a_wrong_signature_mentions_the_switch():
    """The other form of it, whichever is in force."""
    assert "derive_key=False" in read_error("Invalid signature", derived=True).text
    assert "derive_key=True" in read_error("Invalid signature", derived=False).text
    assert "clock_offset_ms" in read_error({"code": "EXPIRED_REQUEST"}, derived=True).text


# -- credentials ---------------------------------------------------------------------------------


def test_secrets_are_not_shown():  # L8
    """Neither by the credentials, nor by a session, nor in a frame that was redacted."""
    talk = Talk()
    frame = talk.auth.frame
    for text in (repr(KEY), repr(talk.session), theone.VENUE.redact(frame)):
        assert KEY.key not in text
        assert KEY.secret not in text
    assert json.loads(frame)["sig"] not in theone.VENUE.redact(frame)
    assert json.loads(frame)["nonce"] in theone.VENUE.redact(frame)
    assert KEY.secret not in frame


@given(st.integers(0, 240))
def test_frames_that_were_cut_are_redacted(size):  # L8
    """What is left of a secret is a secret all the same."""
    frame = Talk().auth.frame
    message = json.loads(frame)
    shown = theone.VENUE.redact(frame[:size])
    for secret in (message["key"], message["sig"]):
        assert not any(secret[: n + 4] in shown for n in range(4))


def test_frames_without_secrets_stay_as_they_are():
    """Nothing to replace."""
    frame = '{"op":"balances","data":{"balances":[]}}'
    assert frame == theone.VENUE.redact(frame)


@pytest.mark.parametrize(
    ("key", "secret"), [("", "s"), ("k", ""), ("ké", "s"), (7, "s"), ("k", 7), ("k", "\ud800")]
)
def test_credentials_that_cannot_be_ones(key, secret):
    """The error describes them, and does not show them."""
    with pytest.raises(LocalProtocolError) as caught:
        theone.Credentials(key, secret)
    assert caught.value.__cause__ is None
    assert "\ud800" not in str(caught.value)


def test_credentials_from_the_environment():
    """Under the names that the venue's own clients read."""
    environ = {"BROKER_API_KEY": KEY.key, "BROKER_SECRET_KEY": KEY.secret}
    assert KEY == theone.Credentials.from_env(environ)
    for name in environ:
        with pytest.raises(LocalProtocolError, match=f"{name} is not set"):
            theone.Credentials.from_env({**environ, name: ""})


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://partner-api.the-one.io", "wss://partner-api.the-one.io/ws/v1/stream"),
        ("https://partner-api.the-one.io/", "wss://partner-api.the-one.io/ws/v1/stream"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/ws/v1/stream"),
    ],
)
def test_the_address_from_the_base(base, url):
    """As the venue's clients build it, less a slash at the end."""
    assert url == theone.stream_url(base)


def test_a_base_that_is_none():
    """It has to be one of HTTP."""
    with pytest.raises(LocalProtocolError, match="https://"):
        theone.stream_url("partner-api.the-one.io")


# -- channels and folds --------------------------------------------------------------------------


def test_channels_go_by_name_as_well():
    """The two names of the venue, and no other."""
    named = theone.VENUE.channel_named
    assert theone.Balances() == named("balances")
    assert theone.Order("ord_1") == named("orders:ord_1")
    assert [None] * 3 == [named(name) for name in ("orders:", "orders", "trades:x")]


def test_a_sheet_follows_the_balances():
    """A snapshot is everything, a change is what it names; a gap ends both."""
    sheet = theone.BalanceSheet()
    with pytest.raises(LocalProtocolError, match="not valid"):
        sheet.free("USDT")
    sheet.apply(theone.BalancesChanged((USDT,)))
    assert not sheet.valid
    sheet.apply(theone.BalancesSnapshot((USDT,)))
    sheet.apply(theone.BalancesChanged((ETH,)))
    sheet.apply(Resumed(True, 0.0))
    assert (D(250), D("1.2"), D(0)) == tuple(map(sheet.free, ("USDT", "ETH", "BTC")))
    assert theone.BalancesSnapshot((USDT, ETH)) == sheet.snapshot()
    assert "<BalanceSheet, USDT 250.75, ETH 1.2>" == repr(sheet)
    sheet.apply(Gap(GapReason.DISCONNECTED))
    assert (False, None) == (sheet.valid, sheet.snapshot())
    assert "<BalanceSheet, not valid>" == repr(sheet)


def test_an_order_state_never_goes_back():
    """Older news changes nothing; a gap ends it."""
    state = theone.OrderState()
    new = theone.OrderUpdate(order_id="x", status=theone.Status.FILLED, updated_at=2)
    old = theone.OrderUpdate(order_id="x", status=theone.Status.PENDING, updated_at=1)
    for update in (new, old, Resumed(False, 0.0)):
        state.apply(update)
    assert new == state.snapshot()
    state.apply(Gap(GapReason.OVERFLOW))
    assert state.snapshot() is None


# -- what became of a swap -----------------------------------------------------------------------


def finished(coroutine):
    """Run a coroutine that never waits."""
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


class Answers:
    """A client that gives these answers, in turn."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def request(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def refused(kind):
    return Refused("no", code="error", text="no", kind=kind)


def test_a_swap_is_found_by_its_name():
    """Or is not known; other refusals are the caller's."""
    update = theone.OrderUpdate(order_id="ord_1", status=theone.Status.FILLED)
    client = Answers(update, refused(RefusalKind.NOT_FOUND), refused(RefusalKind.RATE_LIMITED))
    assert update == finished(theone.find_swap(client, client_order_id="a-17"))
    assert theone.NotKnown("a-17") == finished(theone.find_swap(client, client_order_id="a-17"))
    with pytest.raises(Refused):
        theone.find_swap(client, client_order_id="a-17").send(None)
    assert [theone.GetOrderStatus("a-17")] * 3 == client.asked


def test_a_question_that_did_not_leave_is_the_callers():
    """The recovery does not wait behind the caller's back."""
    with pytest.raises(NotSent):
        theone.find_swap(Answers(NotSent("no line")), client_order_id="a").send(None)


def test_an_update_with_a_name_is_evidence():
    """It proves the swap of that name, with what its reply said."""
    update = theone.OrderUpdate(
        order_id="ord_1", status=theone.Status.FILLED, client_order_id="a-17"
    )
    accepted = theone.SwapAccepted(order_id="ord_1", status=theone.Status.FILLED)
    assert [("a-17", accepted)] == list(theone.VENUE.evidence(update))
    nameless = theone.OrderUpdate(order_id="ord_1", status=theone.Status.FILLED)
    assert [] == [*theone.VENUE.evidence(nameless), *theone.VENUE.evidence(theone.Balances())]
