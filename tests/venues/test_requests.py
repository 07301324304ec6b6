"""Each method's frame, each method's reply, and what is refused before anything is sent."""

from __future__ import annotations

from decimal import Decimal as D

import attrs
import pytest

from trioflex._vocabulary.errors import LocalProtocolError, RefusalKind, RemoteProtocolError
from trioflex.protocol import Effect, Request
from trioflex.venues import coinflex, coinfloor

from .floor import ETH, PAIR, USDT, XBT, logged_in

ORDER = {
    "id": 730021,
    "tonce": 1001,
    "base": XBT,
    "counter": USDT,
    "quantity": 1500,
    "price": 86500000,
    "time": 1583020800123456,
}


@pytest.fixture
def talk():
    return logged_in()


# -- frames --------------------------------------------------------------------------------------

# Request, and the fields that go with its method.
FRAMES = [
    (coinflex.GetBalances(), "GetBalances", {}),
    (coinflex.GetOrders(), "GetOrders", {}),
    (coinflex.GetTradeVolume("USDT"), "GetTradeVolume", {"asset": 65283}),
    (
        coinflex.EstimateMarketOrder("XBT", "USDT", quantity=-1),
        "EstimateMarketOrder",
        {**PAIR, "quantity": -10000},
    ),
    (
        coinflex.EstimateMarketOrder("XBT", "USDT", total="500"),
        "EstimateMarketOrder",
        {**PAIR, "total": 5000000},
    ),
    (
        coinflex.PlaceOrder("XBT", "USDT", "0.25", "8650", tonce=1001, post_only=True),
        "PlaceOrder",
        {**PAIR, "quantity": 2500, "price": 86500000, "tonce": 1001, "post_only": True},
    ),
    (
        coinflex.PlaceOrder("XBT", "USDT", total=-500),
        "PlaceOrder",
        {**PAIR, "total": -5000000},
    ),
    (
        coinflex.PlaceOrder("XBT", "USDT", quantity=D("-0.0001"), tonce=-(2**63) + 1),
        "PlaceOrder",
        {**PAIR, "quantity": -1, "tonce": -(2**63) + 1},
    ),
    (
        coinflex.PlaceOrder("XBT", "USDT", 1, 1, persist=False),
        "PlaceOrder",
        {**PAIR, "quantity": 10000, "price": 10000, "persist": False},
    ),
    (
        coinflex.PlaceOrder("XBT", "USDT", 1, 1, persist=coinflex.IMMEDIATE_OR_CANCEL),
        "PlaceOrder",
        {**PAIR, "quantity": 10000, "price": 10000, "persist": "fill_or_kill"},
    ),
    (
        coinflex.ModifyOrder(tonce=1001, quantity_delta="-0.05", price="8640"),
        "ModifyOrder",
        {"tonce": 1001, "quantity_delta": -500, "price": 86400000},
    ),
    (
        coinflex.ModifyOrder(id=730021, price="8640", post_only=True),
        "ModifyOrder",
        {"id": 730021, "price": 86400000, "post_only": True},
    ),
    (
        coinflex.ModifyOrder(id=7, quantity_delta=1, base="ETH", counter="USDT"),
        "ModifyOrder",
        {"id": 7, "quantity_delta": 10000},
    ),
    (coinflex.CancelOrder(730021), "CancelOrder", {"id": 730021}),
    (coinflex.CancelOrder(id=0), "CancelOrder", {"id": 0}),
    (coinflex.CancelOrder(tonce=1001), "CancelOrder", {"tonce": 1001}),
    (coinflex.CancelAllOrders(), "CancelAllOrders", {}),
]
FLOOR_FRAMES = [
    (
        coinfloor.PlaceOrder("XBT", "GBP", "0.01", "9000", tonce=17, persist=False),
        "PlaceOrder",
        {
            "base": 63488, "counter": 64032, "quantity": 1000000, "price": 900000, "tonce": 17,
            "persist": False,
        },
    ),
    (
        coinfloor.EstimateMarketOrder("XBT", "EUR", total="-100.01"),
        "EstimateMarketOrder",
        {"base": 63488, "counter": 64000, "total": -10001},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "method", "fields"), FRAMES, ids=lambda x: str(x)[:60])
def test_each_request_has_its_frame(talk, request_, method, fields):
    """The key is the tag, numbers are scaled integers, and what is not said is left out."""
    assert ({"tag": 9, "method": method, **fields}, 9) == talk.asks(request_, 9)


@pytest.mark.parametrize(("request_", "method", "fields"), FLOOR_FRAMES)
def test_coinfloor_has_decimals_of_its_own(request_, method, fields):
    """Eight for XBT, two for the others and for prices."""
    talk = logged_in(coinfloor.VENUE)
    assert ({"tag": 1, "method": method, **fields}, 1) == talk.asks(request_)


def test_the_older_coinfloor_has_fewer_decimals():
    """Four for XBT: what does not fit is refused when it is to be sent."""
    talk = logged_in(coinfloor.venue(version=1))
    frame, _ = talk.asks(coinfloor.PlaceOrder("XBT", "GBP", "0.01", "9000"))
    assert 100 == frame["quantity"]
    with pytest.raises(LocalProtocolError, match="more than 4 decimals"):
        talk.asks(coinfloor.PlaceOrder("XBT", "GBP", "0.00000001", "9000"))


def test_a_program_can_add_assets(talk):
    """To a venue of its own; requests need not know of it."""
    own = coinflex.venue(
        assets=[coinflex.Asset("NEW", 4711, 100)],
        markets=[coinflex.Market("NEW", "USDT", price_scale=10)],
    )
    request = coinflex.PlaceOrder("NEW", "USDT", "0.25", "8.5")

    frame, _ = logged_in(own).asks(request)
    assert {"base": 4711, "counter": USDT, "quantity": 25, "price": 85} == {
        name: frame[name] for name in ("base", "counter", "quantity", "price")
    }
    with pytest.raises(LocalProtocolError, match="no asset 'NEW'"):
        talk.asks(request)


def test_modifying_among_different_scales_needs_the_pair():
    """The wire names the order only, so the request must say how to scale."""
    own = logged_in(
        coinflex.venue(
            assets=[coinflex.Asset("NEW", 4711, 100)],
            markets=[coinflex.Market("NEW", "USDT", price_scale=10)],
        )
    )
    with pytest.raises(LocalProtocolError, match="base and counter"):
        own.asks(coinflex.ModifyOrder(id=1, quantity_delta=1))
    frame, _ = own.asks(
        coinflex.ModifyOrder(id=1, quantity_delta=1, price=2, base="NEW", counter="USDT")
    )
    assert (100, 20) == (frame["quantity_delta"], frame["price"])


# -- replies -------------------------------------------------------------------------------------


def test_balances(talk):
    """By name; what the venue leaves out is 0."""
    reply = talk.gets(
        coinflex.GetBalances(),
        balances=[
            {"asset": XBT, "balance": 12500, "reserved_balance": 2500, "total_balance": 15000},
            {"asset": USDT, "balance": 90000000},
        ],
    )
    assert isinstance(reply, coinflex.BalancesSnapshot)
    assert ["XBT", "USDT"] == [balance.asset for balance in reply]
    xbt, usdt, eth = reply["XBT"], reply["USDT"], reply["ETH"]
    assert (D("1.25"), D("0.25"), D("1.5")) == (xbt.available, xbt.reserved, xbt.total)
    assert (D(9000), None, None) == (usdt.available, usdt.reserved, usdt.total)
    assert (ETH, D(0)) == (eth.asset_id, eth.available)
    assert 12500 == xbt.scaled_available
    with pytest.raises(LocalProtocolError, match="no asset"):
        reply["BTC"]


def test_orders(talk):
    """Signed, scaled back, with your own name if there is one."""
    reply = talk.gets(
        coinflex.GetOrders(), orders=[ORDER, {**ORDER, "id": 2, "tonce": None, "quantity": -1}]
    )
    first, second = reply
    assert isinstance(first, coinflex.Order)
    assert 2 == len(reply)
    assert ("XBT", "USDT", D("0.15"), D(8650)) == (
        first.base, first.counter, first.quantity, first.price
    )  # fmt: skip
    assert (730021, 1001, 1583020800123456) == (first.id, first.tonce, first.time)
    assert (None, D("-0.0001"), -1) == (second.tonce, second.quantity, second.scaled_quantity)


def test_a_trade_volume(talk):
    """In the decimals of the asset that was asked for."""
    reply = talk.gets(coinflex.GetTradeVolume("USDT"), volume=412500000)
    assert ("USDT", D(41250), 412500000) == (reply.asset, reply.volume, reply.scaled_volume)


def test_an_estimate(talk):
    """Always positive."""
    reply = talk.gets(
        coinflex.EstimateMarketOrder("XBT", "USDT", quantity=-1), quantity=10000, total=86470000
    )
    assert (D(1), D(8647), 10000, 86470000) == (
        reply.quantity, reply.total, reply.scaled_quantity, reply.scaled_total
    )  # fmt: skip
    assert ("XBT", "USDT") == (reply.base, reply.counter)


def test_a_limit_order(talk):
    """Its number and time; what traded is announced."""
    reply = talk.gets(coinflex.PlaceOrder("XBT", "USDT", 1, 1), id=730021, time=1583020800123456)
    assert coinflex.OrderPlaced(id=730021, time=1583020800123456) == reply


@pytest.mark.parametrize("sign", [1, -1])
def test_a_market_order_by_quantity(talk, sign):
    """What was not traded, in base, whichever sign the venue gives it."""
    reply = talk.gets(coinflex.PlaceOrder("XBT", "USDT", -1), remaining=2500 * sign)
    assert (None, D("0.25"), 2500) == (reply.id, reply.remaining, reply.scaled_remaining)


def test_a_market_order_by_total():
    """What was not traded, in counter."""
    reply = logged_in(coinfloor.VENUE).gets(
        coinfloor.PlaceOrder("XBT", "GBP", total=50), remaining=1
    )
    assert D("0.01") == reply.remaining


def test_a_modified_order(talk):
    """As it is now; a venue that cancelled it may say 0."""
    request = coinflex.ModifyOrder(tonce=1001, quantity_delta=-1)
    assert D("0.15") == talk.gets(request, **ORDER).quantity
    assert D(0) == talk.gets(request, **{**ORDER, "quantity": 0}).quantity


def test_a_cancelled_order(talk):
    """With what was still open."""
    reply = talk.gets(coinflex.CancelOrder(730021), **ORDER)
    assert (730021, D("0.15"), D(8650)) == (reply.id, reply.quantity, reply.price)


@pytest.mark.parametrize("orders", [[], [ORDER]])
def test_all_orders_cancelled(talk, orders):
    """Those that were open; possibly none."""
    reply = talk.gets(coinflex.CancelAllOrders(), orders=orders)
    assert isinstance(reply, coinflex.CancelledOrders)
    assert [order["id"] for order in orders] == [order.id for order in reply]


def test_new_fields_in_a_reply_do_no_harm(talk):
    """Venues add them without a word."""
    reply = talk.gets(
        coinflex.GetOrders(), orders=[{**ORDER, "colour": "red", "x": [{}]}], more={"a": 1.5}
    )  # M4
    assert 730021 == next(iter(reply)).id


# What each request's reply must hold.
REPLIES = [
    (coinflex.GetBalances(), {"balances": [{"asset": XBT, "balance": 1}]}),
    (coinflex.GetOrders(), {"orders": [ORDER]}),
    (coinflex.GetTradeVolume("USDT"), {"volume": 1}),
    (coinflex.EstimateMarketOrder("XBT", "USDT", total=1), {"quantity": 1, "total": 1}),
    (coinflex.PlaceOrder("XBT", "USDT", 1, 1), {"id": 1, "time": 1}),
    (coinflex.PlaceOrder("XBT", "USDT", 1), {"remaining": 0}),
    (coinflex.ModifyOrder(id=1, price=1), {n: ORDER[n] for n in ORDER if n != "tonce"}),
    (coinflex.CancelOrder(1), {n: ORDER[n] for n in ORDER if n != "tonce"}),
    (coinflex.CancelAllOrders(), {"orders": [ORDER]}),
]
HOLES = [(request, fields, hole) for request, fields in REPLIES for hole in fields]


@pytest.mark.parametrize(("request_", "fields", "hole"), HOLES, ids=lambda x: str(x)[:30])
@pytest.mark.parametrize("value", [None, "7", 1.5, True, {}, [[]], ...], ids=repr)
def test_a_reply_of_the_wrong_shape_breaks_the_protocol(talk, request_, fields, hole, value):
    """A field that is missing, or of another type: said with the field's name."""
    _, key = talk.asks(request_)
    wrong = {**fields, hole: value}
    if value is ...:
        del wrong[hole]
    with pytest.raises(RemoteProtocolError, match=hole):  # M2
        talk.hears({"tag": key, "error_code": 0, **wrong})


# -- refused here --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "amounts",
    [
        {},
        {"price": 1},
        {"total": 1, "price": 1},
        {"total": 1, "quantity": 1},
        {"total": 1, "quantity": 1, "price": 1},
    ],
)
@pytest.mark.parametrize("venue", [coinflex, coinfloor])
def test_an_order_is_one_of_three_kinds(venue, amounts):
    """Limit, market by quantity, market by total; nothing else."""
    with pytest.raises(LocalProtocolError, match="quantity and price"):
        venue.PlaceOrder("XBT", "GBP", **amounts)


@pytest.mark.parametrize("amounts", [{}, {"quantity": 1, "total": 1}])
def test_an_estimate_is_of_one_amount(amounts):
    """Quantity or total."""
    with pytest.raises(LocalProtocolError, match="either quantity or total"):
        coinflex.EstimateMarketOrder("XBT", "USDT", **amounts)


ZEROS = [
    lambda: coinflex.PlaceOrder("XBT", "USDT", 0, 1),
    lambda: coinflex.PlaceOrder("XBT", "USDT", 1, "0.0"),
    lambda: coinflex.PlaceOrder("XBT", "USDT", total=D("-0")),
    lambda: coinflex.PlaceOrder("XBT", "USDT", 1, 1, tonce=0),
    lambda: coinflex.EstimateMarketOrder("XBT", "USDT", quantity=0),
    lambda: coinflex.EstimateMarketOrder("XBT", "USDT", total=0),
    lambda: coinflex.ModifyOrder(id=1, quantity_delta=0),
    lambda: coinflex.ModifyOrder(id=1, price=0),
    lambda: coinflex.ModifyOrder(tonce=0, price=1),
    lambda: coinflex.CancelOrder(tonce=0),
]


@pytest.mark.parametrize("make", ZEROS)
def test_zeros_are_refused(make):
    """The venue would refuse them, each with a text of its own."""
    with pytest.raises(LocalProtocolError, match=r"is 0|other than 0"):
        make()


def test_a_negative_price_is_refused():
    """It is the quantity of a sale that is negative."""
    with pytest.raises(LocalProtocolError, match="prices are positive"):
        coinflex.PlaceOrder("XBT", "USDT", -1, -8650)


@pytest.mark.parametrize("tonce", [1.0, "1", True, 2**63, -(2**63)])
def test_a_tonce_is_an_integer_of_64_bits(tonce):
    """Neither text nor anything else."""
    with pytest.raises(LocalProtocolError, match="tonce is an integer"):
        coinflex.PlaceOrder("XBT", "USDT", 1, 1, tonce=tonce)


@pytest.mark.parametrize("id_", [1.0, "1", True, 2**63])
def test_an_order_number_is_an_integer_of_64_bits(id_):
    """As the venue gave it."""
    with pytest.raises(LocalProtocolError, match="id is the number"):
        coinflex.CancelOrder(id_)


@pytest.mark.parametrize("names", [{}, {"id": 1, "tonce": 1}])
def test_an_order_is_named_in_one_way(names):
    """By number or by tonce."""
    with pytest.raises(LocalProtocolError, match="either id or tonce"):
        coinflex.CancelOrder(**names)
    with pytest.raises(LocalProtocolError, match="either id or tonce"):
        coinflex.ModifyOrder(**names, price=1)


def test_modifying_changes_something():
    """Quantity, price or both."""
    with pytest.raises(LocalProtocolError, match="quantity_delta, price or both"):
        coinflex.ModifyOrder(id=1)
    with pytest.raises(LocalProtocolError, match="together"):
        coinflex.ModifyOrder(id=1, price=1, base="XBT")


@pytest.mark.parametrize("name", ["", None, 63488, b"XBT"])
def test_an_asset_is_a_name(name):
    """In requests and in channels."""
    for make in (
        lambda: coinflex.PlaceOrder(name, "USDT", 1, 1),
        lambda: coinflex.PlaceOrder("XBT", name, 1, 1),
        lambda: coinflex.GetTradeVolume(name),
        lambda: coinflex.OrderBook(name, "USDT"),
        lambda: coinflex.Ticker("XBT", name),
    ):
        with pytest.raises(LocalProtocolError, match="given by its name"):
            make()


@pytest.mark.parametrize("persist", ["fill_or_kill", None, 1, "true"])
def test_persist_is_one_of_three(persist):
    """Under names that are true."""
    with pytest.raises(LocalProtocolError, match="True, False or IMMEDIATE_OR_CANCEL"):
        coinflex.PlaceOrder("XBT", "USDT", 1, 1, persist=persist)
    with pytest.raises(LocalProtocolError, match="True or False"):
        coinfloor.PlaceOrder("XBT", "GBP", 1, 1, persist=persist)


def test_what_only_coinflex_has():
    """Coinfloor's classes do not offer it at all."""
    fields = {field.name for field in attrs.fields(coinfloor.PlaceOrder)}
    assert "post_only" not in fields
    assert not hasattr(coinfloor, "ModifyOrder")
    assert not hasattr(coinfloor, "IMMEDIATE_OR_CANCEL")


@pytest.mark.parametrize("amounts", [{"quantity": 1}, {"total": 1}])
def test_a_market_order_cannot_be_post_only(amounts):
    """It would always trade at once."""
    with pytest.raises(LocalProtocolError, match="limit orders"):
        coinflex.PlaceOrder("XBT", "USDT", **amounts, post_only=True)


@pytest.mark.parametrize("post_only", [1, "yes", None])
def test_a_flag_is_true_or_false(post_only):
    """Nothing else."""
    with pytest.raises(LocalProtocolError, match="True or False"):
        coinflex.PlaceOrder("XBT", "USDT", 1, 1, post_only=post_only)


FLOATS = [
    lambda: coinflex.PlaceOrder("XBT", "USDT", 0.25, 8650),
    lambda: coinflex.PlaceOrder("XBT", "USDT", 1, 8650.5),
    lambda: coinflex.PlaceOrder("XBT", "USDT", total=0.1),
    lambda: coinflex.ModifyOrder(id=1, quantity_delta=0.1),
    lambda: coinflex.EstimateMarketOrder("XBT", "USDT", total=0.1),
]


@pytest.mark.parametrize("make", FLOATS)
def test_floats_are_refused(make):
    """With the reason."""
    with pytest.raises(LocalProtocolError, match="binary float"):  # M13
        make()


INEXACT = [
    lambda: coinflex.PlaceOrder("XBT", "USDT", "0.00001", 1),
    lambda: coinflex.PlaceOrder("XBT", "USDT", 1, "0.00001"),
    lambda: coinflex.PlaceOrder("XBT", "USDT", total="0.00001"),
    lambda: coinflex.ModifyOrder(id=1, quantity_delta="0.00001"),
    lambda: coinflex.ModifyOrder(id=1, price="0.00001"),
    lambda: coinfloor.PlaceOrder("XBT", "GBP", "0.000000001", 1),
    lambda: coinfloor.PlaceOrder("XBT", "GBP", 1, "0.001"),
]


@pytest.mark.parametrize("make", INEXACT)
def test_too_many_decimals_are_refused_at_once(make):
    """Where the request is made, not where it is sent."""
    with pytest.raises(LocalProtocolError, match="would have to be rounded"):  # R11
        make()


def test_an_overflow_is_refused():
    """The venue multiplies quantity and price in 64 bits; the bound is exact."""
    largest = D(2**63 - 1).scaleb(-4)
    assert coinflex.PlaceOrder("XBT", "USDT", largest, "0.0001").quantity == largest
    assert coinflex.PlaceOrder("XBT", "USDT", -largest, "0.0001").quantity == -largest
    with pytest.raises(LocalProtocolError, match="overflows"):  # R11
        coinflex.PlaceOrder("XBT", "USDT", largest, "0.0002")
    with pytest.raises(LocalProtocolError, match="overflows"):
        coinflex.PlaceOrder("XBT", "USDT", "-30370004.9998", "30370005")
    with pytest.raises(LocalProtocolError, match="64 bits"):
        coinflex.PlaceOrder("XBT", "USDT", "1E+40", 1)


def test_requests_of_another_venue_are_refused(talk):
    """They would be scaled wrongly, or hold what this venue does not know."""

    class Strange(Request):
        pass

    floor = logged_in(coinfloor.VENUE)
    for there, request in (
        (floor, coinflex.PlaceOrder("XBT", "USDT", 1, 1)),
        (floor, coinflex.ModifyOrder(id=1, price=1)),
        (talk, coinfloor.PlaceOrder("XBT", "GBP", 1, 1)),
        (talk, Strange()),
    ):
        with pytest.raises(LocalProtocolError, match=f"no request {type(request).__name__}"):
            there.asks(request)


# -- facts ---------------------------------------------------------------------------------------

# Request class: may it change anything, does it need a login, its rate limit.
FACTS = [
    (coinflex.GetBalances, Effect.READ, True, "information"),
    (coinflex.GetOrders, Effect.READ, True, "information"),
    (coinflex.GetTradeVolume, Effect.READ, True, "information"),
    (coinflex.EstimateMarketOrder, Effect.READ, False, "orders"),
    (coinflex.PlaceOrder, Effect.WRITE, True, "orders"),
    (coinflex.ModifyOrder, Effect.WRITE, True, "orders"),
    (coinflex.CancelOrder, Effect.WRITE, True, "orders"),
    (coinflex.CancelAllOrders, Effect.WRITE, True, "orders"),
    (coinfloor.PlaceOrder, Effect.WRITE, True, "orders"),
]


@pytest.mark.parametrize(("kind", "effect", "private", "bucket"), FACTS)
def test_what_each_request_is(kind, effect, private, bucket):
    """As the venue's tables say."""
    assert (effect, private, bucket) == (kind.effect, kind.private, kind.bucket)


def test_all_requests_are_listed():
    """For those who list them; the channels' own are not for users."""
    assert {kind for kind, *_ in FACTS} - {coinfloor.PlaceOrder} == set(coinflex.VENUE.requests)
    assert {"GetBalances", "GetOrders", "EstimateMarketOrder", "PlaceOrder", "CancelOrder",
            "CancelAllOrders", "GetTradeVolume"} == {
        kind.__name__ for kind in coinfloor.VENUE.requests
    }  # fmt: skip


def test_only_placing_has_a_name_of_the_callers():
    """A tonce that names an order to cancel is not the name of the cancellation."""
    assert 7 == coinflex.PlaceOrder("XBT", "USDT", 1, 1, tonce=7).caller_id
    assert coinflex.PlaceOrder("XBT", "USDT", 1, 1).caller_id is None
    assert coinflex.CancelOrder(tonce=7).caller_id is None
    assert coinflex.ModifyOrder(tonce=7, price=1).caller_id is None


def test_requests_are_values():
    """They compare, hash and print."""
    order = coinflex.PlaceOrder("XBT", "USDT", "0.25", 8650, tonce=7)
    same = coinflex.PlaceOrder("XBT", "USDT", D("0.25"), D(8650), tonce=7)

    assert order == same
    assert hash(order) == hash(same)
    assert (
        "PlaceOrder(base='XBT', counter='USDT', quantity=Decimal('0.25'), "
        "price=Decimal('8650'), total=None, tonce=7, persist=True, post_only=False)"
    ) == repr(order)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        order.price = D(1)


# -- error codes ---------------------------------------------------------------------------------

K = RefusalKind
ESTIMATE = coinflex.EstimateMarketOrder("XBT", "USDT", total=1)
PLACE = coinflex.PlaceOrder("XBT", "USDT", 1, 1)
MODIFY = coinflex.ModifyOrder(id=1, price=1)
CANCEL = coinflex.CancelOrder(1)
CANCEL_ALL = coinflex.CancelAllOrders()
VOLUME = coinflex.GetTradeVolume("XBT")
REFUSALS = [
    (ESTIMATE, 1, "You specified an invalid asset pair.", K.UNKNOWN_MARKET),
    (PLACE, 1, "You specified an invalid asset pair.", K.UNKNOWN_MARKET),
    (MODIFY, 1, "The specified order was not found.", K.NOT_FOUND),
    (CANCEL, 1, "The specified order was not found.", K.NOT_FOUND),
    (PLACE, 3, "Tonce is out of sequence.", K.DUPLICATE),
    (PLACE, 4, "You have insufficient funds.", K.INSUFFICIENT_FUNDS),
    (MODIFY, 4, "You have insufficient funds.", K.INSUFFICIENT_FUNDS),
    (PLACE, 5, "You have too many outstanding orders.", K.OTHER),
    (PLACE, 6, "You are sending orders too rapidly.", K.RATE_LIMITED),
    (CANCEL_ALL, 6, "You are sending orders too rapidly.", K.RATE_LIMITED),
    (VOLUME, 6, "You are making information requests too rapidly.", K.RATE_LIMITED),
    (coinflex.GetOrders(), 7, "You are not authenticated.", K.NOT_AUTHENTICATED),
    (coinflex.GetBalances(), 7, "You are not authenticated.", K.NOT_AUTHENTICATED),
    (ESTIMATE, 8, "Quantity must not be zero.", K.INVALID),
    (MODIFY, 8, "You must specify quantity delta and/or price.", K.INVALID),
    (PLACE, 9, "Post-only order with these parameters would result in an immediate match.",
     K.OTHER),
    (PLACE, 4711, "Something new.", K.OTHER),
    (PLACE, -1, "Something odd.", K.OTHER),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "code", "text", "kind"), REFUSALS, ids=lambda x: str(x)[:40])
def test_each_error_code_means_something(talk, request_, code, text, kind):
    """By method; the venue's own number and text are kept."""
    _, key = talk.asks(request_)
    (refusal,) = talk.hears({"tag": key, "error_code": code, "error_msg": text})  # R6
    assert (key, str(code), text, kind) == (
        refusal.key, refusal.code, refusal.message, refusal.kind
    )  # fmt: skip


@pytest.mark.parametrize("more", [{}, {"error_msg": None}])
def test_a_refusal_without_a_text_is_one_all_the_same(talk, more):
    """The code is what counts."""
    _, key = talk.asks(PLACE)
    (refusal,) = talk.hears({"tag": key, "error_code": 4, **more})
    assert ("4", "", K.INSUFFICIENT_FUNDS) == (refusal.code, refusal.message, refusal.kind)
