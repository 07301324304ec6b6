"""Every method of the simulated CoinFLEX and Coinfloor: replies, errors, literal texts."""

from __future__ import annotations

import pytest

from tests.simulator.floor_client import (
    EPOCH,
    ETH,
    GBP,
    USDT,
    XBT,
    Client,
    flex,
    floor,
    logged_in,
)
from trioflex.simulator import FloorAccount

PAIR = {"base": XBT, "counter": USDT}
NO_PAIR = (1, "You specified an invalid asset pair.")
NO_ORDER = (1, "The specified order was not found.")
FUNDS = (4, "You have insufficient funds.")
WOULD_MATCH = (9, "Post-only order with these parameters would result in an immediate match.")


@pytest.fixture
def model():
    return flex(accounts=[FloorAccount(balances={"XBT": 90_000, "USDT": 500_000_000})])


@pytest.fixture
def client(model):
    return logged_in(model)


# -- questions ---------------------------------------------------------------------------------


def test_balances(client):
    """CoinFLEX tells what is reserved, and the sum."""
    client.place(100, 80_000_000)
    client.place(-2_500, 90_000_000)
    assert {
        "error_code": 0,
        "balances": [
            {
                "asset": XBT,
                "balance": 87_500,
                "reserved_balance": 2_500,
                "total_balance": 90_000,
            },
            {
                "asset": USDT,
                "balance": 499_200_000,
                "reserved_balance": 800_000,
                "total_balance": 500_000_000,
            },
        ],
    } == client.ask("GetBalances")


def test_balances_of_coinfloor():
    """Coinfloor tells what is available."""
    client = logged_in(floor(accounts=[FloorAccount(balances={"GBP": 500, "XBT": 7})]))
    assert {
        "error_code": 0,
        "balances": [{"asset": XBT, "balance": 7}, {"asset": GBP, "balance": 500}],
    } == client.ask("GetBalances")


def test_open_orders(client):
    """Of all markets, oldest first, with null for a tonce that was not given."""
    client.place(100, 80_000_000, tonce=5)
    client.place(-200, 90_000_000)
    assert {
        "error_code": 0,
        "orders": [
            {
                "id": 1,
                "tonce": 5,
                "base": XBT,
                "counter": USDT,
                "quantity": 100,
                "price": 80_000_000,
                "time": EPOCH,
            },
            {
                "id": 2,
                "tonce": None,
                "base": XBT,
                "counter": USDT,
                "quantity": -200,
                "price": 90_000_000,
                "time": EPOCH + 1,
            },
        ],
    } == client.ask("GetOrders")


def test_trade_volume(model, client):
    """What was traded of an asset, on either side."""
    model.place_as(2, "XBT", "USDT", quantity=-100, price=80_000_000)
    client.ask("PlaceOrder", **PAIR, quantity=60)
    assert {"error_code": 0, "volume": 60} == client.ask("GetTradeVolume", asset=XBT)
    assert {"error_code": 0, "volume": 480_000} == client.ask("GetTradeVolume", asset=USDT)
    assert {"error_code": 0, "volume": 0} == client.ask("GetTradeVolume", asset=ETH)
    assert (8, "You specified an invalid asset.") == client.code("GetTradeVolume", asset=1)
    assert (8, 'Field "asset" must be an integer.') == client.code("GetTradeVolume")


def test_estimates(model):
    """Positive numbers, for buying and for selling, without a login."""
    client = Client(model)
    model.place_as(2, "XBT", "USDT", quantity=-100, price=80_000_000)
    model.place_as(2, "XBT", "USDT", quantity=50, price=70_000_000)
    estimates = [
        client.ask("EstimateMarketOrder", **PAIR, **size)
        for size in ({"quantity": 10}, {"quantity": -80}, {"total": 80_000}, {"total": -80_000})
    ]
    assert [
        {"error_code": 0, "quantity": 10, "total": 80_000},
        {"error_code": 0, "quantity": 50, "total": 350_000},
        {"error_code": 0, "quantity": 10, "total": 80_000},
        {"error_code": 0, "quantity": 11, "total": 77_000},
    ] == estimates


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"base": XBT, "counter": ETH, "quantity": 1}, NO_PAIR),
        ({"base": USDT, "counter": XBT, "quantity": 1}, NO_PAIR),
        ({**PAIR, "quantity": 0}, (8, "Quantity must not be zero.")),
        ({**PAIR, "total": 0}, (8, "Total must not be zero.")),
        (PAIR, (8, "You must specify either quantity or total for a market order.")),
        (
            {**PAIR, "quantity": 1, "total": 1},
            (8, "You must specify either quantity or total for a market order."),
        ),
        ({"base": XBT, "quantity": 1}, (8, 'Field "counter" must be an integer.')),
        ({**PAIR, "quantity": 1.0}, (8, 'Field "quantity" must be an integer.')),
        ({**PAIR, "quantity": 2**63}, (8, 'Field "quantity" is out of range.')),
    ],
    ids=str,
)
def test_wrong_estimates(client, fields, error):
    """Each with its code and text."""
    assert error == client.code("EstimateMarketOrder", **fields)


# -- placing -----------------------------------------------------------------------------------


def test_limit_orders_are_told_their_id_and_time(model, client):
    """And nothing of fills."""
    model.place_as(2, "XBT", "USDT", quantity=-100, price=80_000_000)
    order = {**PAIR, "quantity": 50, "price": 80_000_000}
    reply = client.ask("PlaceOrder", **order)
    assert {"error_code": 0, "id": 2, "time": EPOCH + 1} == reply


def test_market_orders_are_told_what_remains(model, client):
    """By quantity in base units, by total in counter units, never negative."""
    model.place_as(2, "XBT", "USDT", quantity=-100, price=80_000_000)
    model.place_as(2, "XBT", "USDT", quantity=20, price=50_000_000)
    replies = [
        client.ask("PlaceOrder", **PAIR, **size)
        for size in ({"quantity": 60}, {"total": 400_000}, {"quantity": -30}, {"total": -7})
    ]
    assert [
        {"error_code": 0, "remaining": 0},
        {"error_code": 0, "remaining": 80_000},
        {"error_code": 0, "remaining": 10},
        {"error_code": 0, "remaining": 7},
    ] == replies


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"base": XBT, "counter": 1, "quantity": 1, "price": 10_000}, NO_PAIR),
        ({"quantity": 1, "price": 10_000, "tonce": 0}, (8, "Tonce must not be zero.")),
        ({"quantity": 1, "price": 0}, (8, "Price must not be zero.")),
        ({"quantity": 1, "price": 9_999}, (8, "Price must not be zero.")),
        ({"quantity": 1, "price": -10_000}, (8, "Price must not be negative.")),
        ({"quantity": 0, "price": 10_000}, (8, "Quantity must not be zero.")),
        ({"quantity": 0}, (8, "Quantity must not be zero.")),
        ({"total": 0}, (8, "Total must not be zero.")),
        ({"quantity": 2**40, "price": 10_000 * 2**10}, (8, "Order total would overflow.")),
        ({}, (8, "You must specify either quantity or total for a market order.")),
        (
            {"quantity": 1, "total": 1},
            (8, "You must specify either quantity or total for a market order."),
        ),
        ({"price": 10_000}, (8, "You must specify a quantity for a limit order.")),
        (
            {"price": 10_000, "total": 5},
            (8, "You must specify a quantity for a limit order."),
        ),
        (
            {"price": 10_000, "quantity": 5, "total": 5},
            (8, "You must not specify a total for a limit order."),
        ),
        ({"quantity": 100, "price": 10**12}, FUNDS),
        ({"quantity": -90_001, "price": 10_000}, FUNDS),
        ({"quantity": "1", "price": 10_000}, (8, 'Field "quantity" must be an integer.')),
        ({"quantity": True, "price": 10_000}, (8, 'Field "quantity" must be an integer.')),
        ({"quantity": 1, "price": 1e4}, (8, 'Field "price" must be an integer.')),
        (
            {"quantity": 1, "price": 10_000, "persist": "never"},
            (8, 'Field "persist" must be true or false.'),
        ),
        (
            {"quantity": 1, "price": 10_000, "post_only": 1},
            (8, 'Field "post_only" must be true or false.'),
        ),
        ({"quantity": 1, "post_only": True}, (8, "Only a limit order can be post-only.")),
        ({"quantity": 1, "persist": 1}, (8, 'Field "persist" must be true or false.')),
    ],
    ids=str,
)
def test_wrong_orders(model, client, fields, error):
    """Each with its code and text, and without a trace."""
    before = model.account(1)
    client.notices()
    assert error == client.code("PlaceOrder", **{**PAIR, **fields})
    assert before == model.account(1)
    assert [] == client.notices()


def test_null_counts_as_absent(client):
    """A client that sends every field has the same order as one that does not."""
    reply = client.ask("PlaceOrder", **PAIR, quantity=1, price=10_000, total=None, tonce=None)
    assert 0 == reply["error_code"]
    assert [None] == [order["tonce"] for order in client.ask("GetOrders")["orders"]]


def test_a_tonce_in_use_is_refused(model, client):
    """With code 3, on both venues; on CoinFLEX it is free again once the order is gone."""
    order_id = client.place(1, 10_000, tonce=9)
    order = {**PAIR, "quantity": 1, "price": 10_000, "tonce": 9}
    assert (3, "Tonce is out of sequence.") == client.code("PlaceOrder", **order)
    client.ask("CancelOrder", id=order_id)
    assert 0 == client.ask("PlaceOrder", **order)["error_code"]
    assert 2 == len(model.placed(1, 9))


def test_coinfloors_tonces_rise():
    """Until all orders are cancelled at once."""
    client = logged_in(floor())
    order = {"base": XBT, "counter": GBP, "quantity": 10_000, "price": 100}
    for tonce, code in ((9, 0), (9, 3), (8, 3), (-1, 3), (10, 0), (11, 0)):
        assert code == client.ask("PlaceOrder", **order, tonce=tonce)["error_code"]
    client.ask("CancelOrder", tonce=11)
    assert 3 == client.ask("PlaceOrder", **order, tonce=11)["error_code"]
    client.ask("CancelAllOrders")
    assert 0 == client.ask("PlaceOrder", **order, tonce=1)["error_code"]


def test_prices_are_moved_to_the_tick(client):
    """The documents' own examples: 4000.0001 for an ask on XBT:USDT opens at 4001."""
    client.place(-10, 40_000_001)
    client.place(10, 39_999_999)
    prices = [order["price"] for order in client.ask("GetOrders")["orders"]]
    assert [40_010_000, 39_990_000] == prices


def test_there_is_a_limit_of_open_orders(client):
    """A thousand, on both venues."""
    for _ in range(1_000):
        client.place(1, 10_000)
    order = {**PAIR, "quantity": 1, "price": 10_000}
    assert (5, "You have too many outstanding orders.") == client.code("PlaceOrder", **order)


def test_fill_or_kill_is_immediate_or_cancel(model, client):
    """It keeps what it could get, and leaves nothing."""
    model.place_as(2, "XBT", "USDT", quantity=-10, price=80_000_000)
    client.place(30, 80_000_000, persist="fill_or_kill")
    assert [] == client.ask("GetOrders")["orders"]
    assert 90_010 == model.account(1)[XBT].available


def test_coinfloor_does_not_know_fill_or_kill():
    """There ``persist`` is true or false, and ``post_only`` means nothing."""
    model = floor()
    client = logged_in(model)
    order = {"base": XBT, "counter": GBP, "quantity": 10_000, "price": 700_000}
    assert (8, 'Field "persist" must be true or false.') == client.code(
        "PlaceOrder", **order, persist="fill_or_kill"
    )
    model.place_as(2, "XBT", "GBP", quantity=-10_000, price=700_000)
    assert 0 == client.ask("PlaceOrder", **order, post_only=True)["error_code"]


def test_post_only_orders_do_not_take(model, client):
    """Code 9, and nothing is opened."""
    model.place_as(2, "XBT", "USDT", quantity=-10, price=80_000_000)
    order = {**PAIR, "quantity": 30, "price": 80_000_000, "post_only": True}
    assert WOULD_MATCH == client.code("PlaceOrder", **order)
    assert 0 == client.ask("PlaceOrder", **{**order, "price": 79_990_000})["error_code"]


def test_orders_that_do_not_persist_end_with_the_connection(model):  # T2
    """Those of this connection, and no others."""
    client, other = logged_in(model), logged_in(model)
    client.place(1, 10_000, persist=False)
    stays = [client.place(2, 10_000, persist=True), other.place(3, 10_000, persist=False)]
    client.peer.closed()
    assert stays == [order.id for order in model.open_orders(1)]
    assert {"OrderClosed", "BalanceChanged"} <= {notice["notice"] for notice in other.notices()}
    assert [] == client.notices("OrderClosed")


# -- changing and cancelling -------------------------------------------------------------------


def test_modifying(model, client):
    """The reply shows the order as it is now, and when it was changed."""
    order_id = client.place(1_000, 80_000_000, tonce=5)
    model.clock.advance(1)
    reply = client.ask("ModifyOrder", tonce=5, quantity_delta=-400, price=79_999_999)
    assert {
        "error_code": 0,
        "id": order_id,
        "tonce": 5,
        "base": XBT,
        "counter": USDT,
        "quantity": 600,
        "price": 79_990_000,
        "time": EPOCH + 1_000_000,
    } == reply
    assert [EPOCH] == [order["time"] for order in client.ask("GetOrders")["orders"]]


def test_modifying_to_nothing_cancels(client):
    """The reply has quantity 0, the notice what was still open."""
    order_id = client.place(1_000, 80_000_000)
    client.notices()
    assert 0 == client.ask("ModifyOrder", id=order_id, quantity_delta=-1_000)["quantity"]
    assert [1_000] == [notice["quantity"] for notice in client.notices("OrderClosed")]
    assert NO_ORDER == client.code("ModifyOrder", id=order_id, quantity_delta=1)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"quantity_delta": 1}, (8, "You must specify either order ID or tonce.")),
        (
            {"id": 1, "tonce": 5, "quantity_delta": 1},
            (8, "You must specify either order ID or tonce."),
        ),
        ({"tonce": 0, "quantity_delta": 1}, (8, "Tonce must not be zero.")),
        ({"id": 1}, (8, "You must specify quantity delta and/or price.")),
        ({"id": 1, "quantity_delta": 0}, (8, "Quantity delta must not be zero.")),
        ({"id": 1, "price": 0}, (8, "Price must not be zero.")),
        ({"id": 99, "price": 10_000}, NO_ORDER),
        ({"tonce": 99, "price": 10_000}, NO_ORDER),
        ({"id": 2, "price": 10_000}, NO_ORDER),
        ({"id": 1, "quantity_delta": 10**9}, FUNDS),
        ({"id": 1, "price": 90_000_000, "post_only": True}, WOULD_MATCH),
        ({"id": "1", "price": 10_000}, (8, 'Field "id" must be an integer.')),
    ],
    ids=str,
)
def test_wrong_changes(model, client, fields, error):
    """Each with its code and text; the order stays as it was."""
    client.place(1_000, 80_000_000, tonce=5)
    model.place_as(2, "XBT", "USDT", quantity=-10, price=90_000_000)
    before = client.ask("GetOrders")
    assert error == client.code("ModifyOrder", **fields)
    assert before == client.ask("GetOrders")


@pytest.mark.parametrize("name", [{"id": 1}, {"tonce": 5}])
@pytest.mark.parametrize("make", [flex, floor])
def test_cancelling(make, name):
    """By id or tonce; the reply shows what was still open, and when it was opened."""
    model = make()
    client = logged_in(model)
    counter = USDT if model.name == "coinflex" else GBP
    order = {"base": XBT, "counter": counter, "quantity": 10_000, "price": 70_000_000}
    client.ask("PlaceOrder", **order, tonce=5)
    model.execute_as(2, XBT, counter, quantity=-4_000)
    left = client.ask("GetOrders")["orders"][0]["quantity"]
    model.clock.advance(1)
    assert {
        "error_code": 0,
        "id": 1,
        "tonce": 5,
        "base": XBT,
        "counter": counter,
        "quantity": left,
        "price": 70_000_000,
        "time": EPOCH,
    } == client.ask("CancelOrder", **name)
    assert NO_ORDER == client.code("CancelOrder", **name)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, (8, "You must specify either order ID or tonce.")),
        ({"id": 1, "tonce": 1}, (8, "You must specify either order ID or tonce.")),
        ({"tonce": 0}, (8, "Tonce must not be zero.")),
        ({"id": 0}, NO_ORDER),
        ({"id": 1}, NO_ORDER),
        ({"id": None, "tonce": 7}, NO_ORDER),
    ],
    ids=str,
)
def test_wrong_cancellations(model, client, fields, error):
    """Another user's order is not found either."""
    model.place_as(2, "XBT", "USDT", quantity=-10, price=90_000_000)
    assert error == client.code("CancelOrder", **fields)


def test_cancelling_all(model, client):
    """In all books; the reply shows them, and may be empty."""
    assert {"error_code": 0, "orders": []} == client.ask("CancelAllOrders")
    client.place(10, 80_000_000, tonce=1)
    client.place(-10, 90_000_000)
    orders = client.ask("GetOrders")
    assert orders == client.ask("CancelAllOrders")
    assert [] == client.ask("GetOrders")["orders"]
    assert (90_000, 0) == (model.account(1)[XBT].available, model.account(1)[XBT].reserved)


# -- watching ----------------------------------------------------------------------------------


def test_a_snapshot_of_orders(model):
    """Bids positive, asks negative, with the times by which they queue."""
    model.place_as(2, "XBT", "USDT", quantity=30, price=79_000_000)
    model.place_as(2, "XBT", "USDT", quantity=-10, price=90_000_000)
    first = model.place_as(2, "XBT", "USDT", quantity=20, price=80_000_000)
    model.place_as(2, "XBT", "USDT", quantity=20, price=80_000_000)
    model.modify_as(2, first.id, delta=5)
    client = Client(model)
    assert {
        "error_code": 0,
        "orders": [
            {"id": 1, "quantity": 30, "price": 79_000_000, "time": EPOCH},
            {"id": 2, "quantity": -10, "price": 90_000_000, "time": EPOCH + 1},
            {"id": 3, "quantity": 25, "price": 80_000_000, "time": EPOCH + 4},
            {"id": 4, "quantity": 20, "price": 80_000_000, "time": EPOCH + 3},
        ],
    } == client.ask("WatchOrders", **PAIR, watch=True)
    assert {"error_code": 0} == client.ask("WatchOrders", **PAIR, watch=False)


def test_a_snapshot_has_the_best_thousand_of_each_side():
    """Orders further away are left out."""
    model = flex()
    for level in range(1, 1_102):
        for user_id in (2, 3):
            sign = 1 if user_id == 2 else -1
            price = 80_000_000 - sign * level * 10_000
            if level <= 550:
                model.place_as(user_id, "XBT", "USDT", quantity=sign, price=price)
                model.place_as(user_id + 10, "XBT", "USDT", quantity=sign, price=price)
    orders = Client(model).ask("WatchOrders", **PAIR, watch=True)["orders"]
    bids = [order["price"] for order in orders if order["quantity"] > 0]
    asks = [order["price"] for order in orders if order["quantity"] < 0]
    assert (1_000, 1_000) == (len(bids), len(asks))
    assert (75_000_000, 85_000_000) == (min(bids), max(asks))


def test_a_snapshot_of_a_ticker(model):
    """All six figures, null where there is none."""
    client = Client(model)
    assert {
        "error_code": 0,
        "last": None,
        "bid": None,
        "ask": None,
        "low": None,
        "high": None,
        "volume": 0,
    } == client.ask("WatchTicker", **PAIR, watch=True)
    assert {"error_code": 0} == client.ask("WatchTicker", **PAIR, watch=False)
    model.place_as(2, "XBT", "USDT", quantity=-10, price=90_000_000)
    model.execute_as(3, "XBT", "USDT", quantity=4)
    assert {
        "error_code": 0,
        "last": 90_000_000,
        "bid": None,
        "ask": 90_000_000,
        "low": 90_000_000,
        "high": 90_000_000,
        "volume": 4,
    } == client.ask("WatchTicker", **PAIR, watch=True)


@pytest.mark.parametrize(
    ("method", "thing"), [("WatchOrders", "order book"), ("WatchTicker", "ticker")]
)
def test_watching_twice_and_not_watching(model, method, thing):
    """Codes 2 and 1; each connection and each market has a subscription of its own."""
    client, other = Client(model), Client(model)
    already = (2, f"You are already watching the {thing} for the specified asset pair.")
    nothing = (1, f"You are not watching the {thing} for the specified asset pair.")
    assert nothing == client.code(method, **PAIR, watch=False)
    assert 0 == client.ask(method, **PAIR, watch=True)["error_code"]
    assert already == client.code(method, **PAIR, watch=True)
    assert 0 == other.ask(method, **PAIR, watch=True)["error_code"]
    assert 0 == client.ask(method, base=ETH, counter=USDT, watch=True)["error_code"]
    assert 0 == client.ask(method, **PAIR, watch=False)["error_code"]
    assert nothing == client.code(method, **PAIR, watch=False)
    assert already == other.code(method, **PAIR, watch=True)


@pytest.mark.parametrize("method", ["WatchOrders", "WatchTicker"])
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"base": XBT, "counter": ETH, "watch": True}, NO_PAIR),
        ({"base": XBT, "counter": ETH, "watch": False}, NO_PAIR),
        (PAIR, (8, 'Field "watch" must be true or false.')),
        ({**PAIR, "watch": 1}, (8, 'Field "watch" must be true or false.')),
        ({"watch": True}, (8, 'Field "base" must be an integer.')),
    ],
    ids=str,
)
def test_wrong_watching(model, method, fields, error):
    """Each with its code and text."""
    assert error == Client(model).code(method, **fields)
