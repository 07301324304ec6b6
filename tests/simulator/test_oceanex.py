"""The simulated OceanEx: logins, matching, fees, history, K-lines, keys, pings, limits."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import attrs
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, strategies as st

from tests.simulator.oceanex_client import BUY, KEY, OTHER_KEY, SELL, START, Client, Wall
from tests.venues.oceanex_talk import AUTH, OPERATIONS
from trioflex.simulator import Limit, OceanExAccount, OceanExModel

ANN = OceanExAccount(uid="ANN", key_id="KIDANN", public_key=OTHER_KEY.public_key())
SECONDS = START // 1_000_000


@pytest.fixture
def clock():
    return Wall()


@pytest.fixture
def make(clock):
    def make(**options):
        options = {"empty": True, "accounts": [OceanExAccount(), ANN], **options}
        return OceanExModel(clock=clock, private_key=KEY, **options)

    return make


@pytest.fixture
def model(make):
    return make()


def ann_of(model):
    return Client(model, "ANN", "KIDANN", key=OTHER_KEY)


# -- logging in ----------------------------------------------------------------------------------


def test_a_login(model):
    """Welcome, then the scopes of the key."""
    client = Client(model, login=False)
    assert [{"type": "welcome", "message": 60}] == client.pushed
    assert {"query": True, "sell/buy": True, "withdraw": False} == client.login()["data"]["scopes"]


@pytest.mark.parametrize("case", AUTH["login"], ids=lambda case: case["name"])
def test_published_logins_verify(case, clock):
    """Byte for byte as the venue's own client signs."""
    from tests.venues.oceanex_talk import PKCS8

    key = load_pem_private_key(PKCS8, None).public_key()
    account = OceanExAccount(uid=case["uid"], key_id=case["api_key"], public_key=key)
    clock.at = case["nonce"] * 1_000
    model = OceanExModel(clock=clock, accounts=[account], private_key=KEY, empty=True)
    header = case["frame"]["data"]["header"]
    assert 0 == Client(model, login=False).login(header)["code"]


@pytest.mark.parametrize("case", AUTH["login_negative"], ids=lambda case: case["name"])
def test_published_mistakes_do_not_verify(case, clock):
    """Signatures of texts that look alike are refused."""
    from tests.venues.oceanex_talk import PKCS8

    basic = AUTH["login"][0]
    key = load_pem_private_key(PKCS8, None).public_key()
    account = OceanExAccount(uid=basic["uid"], key_id=basic["api_key"], public_key=key)
    clock.at = basic["nonce"] * 1_000
    model = OceanExModel(clock=clock, accounts=[account], private_key=KEY, empty=True)
    header = {**basic["frame"]["data"]["header"], "signature": case["signature_base64"]}
    assert 1010 == Client(model, login=False).login(header)["code"]


NOW = START // 1_000


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (1001, {"signature": "no Base64!"}),
        (1001, {"signature": "ü"}),
        (1003, {"hash_function": hashes.SHA1()}),
        (1003, {"hash_function": hashes.SHA512()}),
        (1004, {"nonce": None}),
        (1004, {"uid": None}),
        (9002, {"nonce": str(NOW)}),
        (9002, {"nonce": True}),
        (9002, {"uid": 7}),
        (9002, {"signature": ""}),
        (9002, {"verb": "POST"}),
        (9002, {"path": "/ws/v2"}),
        (1006, {"uid": "NOBODY"}),
        (1007, {"api_key": "KIDANN"}),
        (1010, {"signature": "AAAA"}),
        (1010, {"uid": "ANN", "api_key": "KIDANN"}),
        (2001, {"nonce": NOW - 5_001}),
        (2001, {"nonce": NOW + 5_001}),
        (2001, {"nonce": NOW // 1_000}),
    ],
)
def test_logins_that_are_denied(model, code, fields):
    """Each for its reason; and nothing private can be asked afterwards."""
    client = Client(model, login=False)
    message = client.login(client.header(**fields))
    assert (code, {}) == (message["code"], message["data"])
    assert message["message"]
    assert client.raw("AccountHandler") is None
    assert (1000, "") == client.ended


def test_a_login_without_a_header(model):
    """Is an empty payload."""
    assert 1002 == Client(model, login=False).raw("AuthHandler", "login")["code"]


def test_a_signature_of_another_key(model):
    """Does not verify."""
    assert 1010 == Client(model, key=OTHER_KEY, login=False).login()["code"]


def test_replays(model, clock):
    """A nonce is good for one login, wherever; one that has left the window is too old."""
    client = Client(model, login=False)
    header = client.header()
    assert 0 == client.login(header)["code"]
    assert 2001 == client.login(header)["code"]
    assert 2001 == Client(model, login=False).login(header)["code"]
    clock.pass_by(6)
    assert 0 == client.login()["code"]
    assert 2001 == client.login(header)["code"]


def test_nonces_belong_to_accounts(make):
    """Two may log in at the same moment, even if their keys have one name."""
    twin = OceanExAccount(uid="TWIN", public_key=OTHER_KEY.public_key())
    model = make(accounts=[OceanExAccount(), twin])
    assert 0 == Client(model, login=False).login()["code"]
    assert 0 == Client(model, "TWIN", "KIDTEST", key=OTHER_KEY, login=False).login()["code"]


def test_a_denied_login_does_not_use_its_nonce_up(model):
    """Or anybody could use up those of others."""
    client = Client(model, login=False)
    header = client.header()
    assert 1010 == client.login({**header, "signature": "AAAA"})["code"]
    assert 0 == client.login(header)["code"]


def test_denied_logins_that_are_cut(make):
    """The other thing the documents allow."""
    client = Client(make(cut_denied_logins=True), key=OTHER_KEY, login=False)
    assert client.login() is None
    reason = {"type": "disconnect", "reason": "unauthorized", "reconnect": False}
    assert (reason, (1000, "")) == (client.pushed[-1], client.ended)


def test_what_a_key_may_do(make):
    """Scopes, addresses, and whether it is enabled, at once for connections that are open."""
    model = make(accounts=[OceanExAccount(scopes={"query": True})])
    client = Client(model)
    assert 9003 == client.refused("OrderHandler", "create", **BUY)
    assert client.balances()
    model.change_key("ID4TEST", scopes={"sell/buy": True})
    assert [] == client.ask("OrderHandler", "clear")
    assert 9003 == client.refused("AccountHandler")
    model.change_key("ID4TEST", addresses=["10.0.0.1"])
    assert 1011 == client.refused("OrderHandler", "clear")
    assert 1011 == Client(model, login=False).login()["code"]
    model.address = "10.0.0.1"
    assert [] == client.ask("OrderHandler", "clear")
    model.change_key("ID4TEST", enabled=False)
    assert 1008 == client.refused("OrderHandler", "clear")
    assert 1008 == Client(model, login=False).login()["code"]


# -- public data ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["tickers_all", "markets", "trading_fee", "timestamp", "orderbook", "kline", "account"]
)
def test_published_requests_are_answered_in_their_shape(make, name):
    """The fields and types of the samples, in every row."""

    def shape(value):
        if isinstance(value, dict):
            return {key: shape(each) for key, each in value.items()}
        return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__

    operation = OPERATIONS[name]
    client = Client(make(empty=False))
    data = operation["request"]["data"]
    handler = operation["request"]["identifier"]["handler"]
    answer = client.ask(handler, data["action"], **data["args"])
    [expected] = [reply["message"]["data"] for reply in operation["replies"]]
    if name == "tickers_all":
        answer = {"vetusdt": answer["vetusdt"]}
    if name == "account":
        answer["accounts"][0]["markets"] = []
    assert shape(expected) == shape(answer)


def test_the_time(model, clock):
    """Whole seconds."""
    clock.pass_by(1.9)
    assert SECONDS + 1 == Client(model, login=False).ask("ToolHandler", "timestamp")


def test_the_book(model):
    """Levels, both sides falling, cut off and rounded away from the middle."""
    client = Client(model)
    for price in ("0.020004", "0.020006", "0.020015"):
        client.order({**BUY, "price": price})
    for price in ("0.021001", "0.021009"):
        client.order({**SELL, "price": price})
    client.order({**SELL, "price": "0.021001"})
    book = client.ask("OrderBookHandler", market="vetusdt")
    assert [["0.021009", "1000.0"], ["0.021001", "2000.0"]] == book["asks"]
    assert ["0.020015", "0.020006", "0.020004"] == [price for price, _ in book["bids"]]
    book = client.ask("OrderBookHandler", market_id="vetusdt", level=1, precision=5)
    assert {"asks": [["0.02101", "3000.0"]], "bids": [["0.02001", "1000.0"]]} == book


def test_candles_and_tickers_come_from_trades(model, clock):
    """One minute, five minutes; a time without trades has no row; a day has an end."""
    buyer, seller = Client(model), ann_of(model)

    def trade(price, volume):
        seller.order({**SELL, "price": price, "volume": volume})
        buyer.order({**BUY, "price": price, "volume": volume})

    clock.at = (SECONDS // 300 * 300) * 1_000_000
    start = clock.at // 1_000_000
    for minute, price in ((0, "0.02"), (0, "0.023"), (1, "0.019"), (6, "0.021")):
        clock.at = (start + minute * 60) * 1_000_000
        trade(price, 1000)

    def rows(**args):
        found = buyer.ask("KlineHandler", market="vetusdt", **args)
        return [[row[0] - start, *map(str, row[1:])] for row in found]

    minutes = [
        [0, "0.02", "0.023", "0.02", "0.023", "2000.0"],
        [60, "0.019", "0.019", "0.019", "0.019", "1000.0"],
        [360, "0.021", "0.021", "0.021", "0.021", "1000.0"],
    ]
    assert minutes == rows()
    assert minutes == rows(start_time=0)
    assert minutes[1:] == rows(limit=2) == rows(start_time=start + 1)
    assert minutes[:2] == rows(end_time=start + 359)
    assert [
        [0, "0.02", "0.023", "0.019", "0.019", "3000.0"],
        [300, "0.021", "0.021", "0.021", "0.021", "1000.0"],
    ] == rows(period=5)
    assert [] == buyer.ask("KlineHandler", market_id="btcusdt")
    ticker = buyer.ask("TickerHandler", markets=["vetusdt", "nothing"])["vetusdt"]
    names = ("open", "last", "high", "low", "volume", "funds", "h24_trend", "buy")
    assert ("0.02", "0.021", "0.023", "0.019", "4000.0", "83.0", "5.00", "0.0") == tuple(
        ticker[name] for name in names
    )
    clock.pass_by(86_400 + 60)
    ticker = buyer.ask("TickerHandler", market_ids=["vetusdt"])["vetusdt"]
    assert ("0.0", "0.021", "0.0", "0.0", "0.0", "0.0", "0.00", "0.0") == tuple(
        ticker[name] for name in names
    )


@pytest.mark.parametrize(
    ("handler", "args"),
    [
        ("OrderBookHandler", {}),
        ("OrderBookHandler", {"market": "xxxyyy"}),
        ("OrderBookHandler", {"market": "vetusdt", "level": 0}),
        ("OrderBookHandler", {"market": "vetusdt", "precision": "many"}),
        ("KlineHandler", {"market": "vetusdt", "period": 7}),
        ("KlineHandler", {"market": "vetusdt", "limit": 1.5}),
        ("TickerHandler", {"markets": "vetusdt"}),
        ("OrderHandler", {"market": "vetusdt", "ord_type": "odd"}),
        ("OrderHandler", {"market": "vetusdt", "page": -1}),
        ("OrderHistoryHandler", {"market": "vetusdt", "state": "wait"}),
        ("OrderHistoryHandler", {"market": "vetusdt", "order_by": "up"}),
        ("OrderHistoryHandler", {}),
    ],
)
def test_bad_arguments(model, handler, args):
    """Are named."""
    message = Client(model).raw(handler, **args)
    assert 1001 == message["code"]
    assert "does not have a valid value" in message["message"]


@pytest.mark.parametrize(
    ("handler", "action"), [("OrderHandler", "steal"), ("WithdrawHandler", "create")]
)
def test_calls_that_are_not_there(model, handler, action):
    """With a login and without."""
    for login in (True, False):
        assert 9003 == Client(model, login=login).refused(handler, action)


# -- orders --------------------------------------------------------------------------------------


def test_an_order_from_its_start_to_its_end(model):
    """Money is locked, traded and given back; the open one is found here, the closed one there."""
    client = Client(model)
    order = client.order(BUY)
    expected = OPERATIONS["order_create"]["replies"][0]["message"]["data"]
    assert list(expected) == list(order)
    assert ("bid", "wait", "0.02", "1000.0", "2023-11-14T22:13:20Z", SECONDS) == tuple(
        order[name] for name in ("side", "state", "price", "volume", "created_at", "created_on")
    )
    assert ("999980.0", "20.0") == client.balances()["usdt"]
    assert order | {"trades": []} == client.ask("OrderHandler", "show", id=str(order["id"]))
    assert 2004 == client.refused("OrderHistoryHandler", "show", id=order["id"])
    assert [order["id"]] == client.ask("OrderHandler", "cancel", ids=[order["id"]])
    assert 2004 == client.refused("OrderHandler", "show", id=order["id"])
    closed = client.ask("OrderHistoryHandler", "show", id=order["id"])
    assert ("cancel", "1000.0", "0.0") == tuple(
        closed[name] for name in ("state", "remaining_volume", "executed_volume")
    )
    assert ("1000000.0", "0.0") == client.balances()["usdt"]


def test_fees(model):
    """Of the seller in the quote currency, of the buyer in the base currency; none gets lost."""
    buyer, seller = Client(model), ann_of(model)
    seller.order({**SELL, "volume": "600.5"})
    order = buyer.order({**BUY, "price": "0.03"})
    assert ("wait", "600.5", "399.5", "0.02", 1) == tuple(
        order[name]
        for name in (
            "state", "executed_volume", "remaining_volume", "avg_price", "trades_count",
        )
    )  # fmt: skip
    assert ("1000599.8995", "0.0") == buyer.balances()["vet"]
    assert ("999976.005", "11.985") == buyer.balances()["usdt"]
    assert ("1000011.99799", "0.0") == seller.balances()["usdt"]
    [trade] = buyer.ask("OrderHandler", "show", id=order["id"])["trades"]
    sample = OPERATIONS["history_show"]["replies"][0]["message"]["data"]["trades"][0]
    assert sample.keys() == trade.keys()
    assert ("12.01", "0.001", "0.01201", "usdt", "0.6005", "vet", "bid") == tuple(
        trade[name]
        for name in (
            "funds", "fee", "ask_fee", "ask_fee_currency_id", "bid_fee", "bid_fee_currency_id",
            "side",
        )
    )  # fmt: skip
    [sold] = seller.ask("OrderHistoryHandler", market="vetusdt")["resources"]
    assert "done" == sold["state"]
    assert [0, 0] == [model.desk.engine.ledger.imbalance(each) for each in ("vet", "usdt")]


def test_market_orders(model):
    """By volume, both ways; what finds nobody ends."""
    buyer, seller = Client(model), ann_of(model)
    market = {"market": "vetusdt", "ord_type": "market", "volume": 1500}
    seller.order(SELL)
    order = buyer.order({**market, "side": "buy"})
    assert (None, "cancel", "1000.0", "500.0") == tuple(
        order[name] for name in ("price", "state", "executed_volume", "remaining_volume")
    )
    buyer.order({**BUY, "volume": 2000})
    assert "done" == seller.order({**market, "side": "sell"})["state"]
    message = seller.raw("OrderHandler", "create", **{**market, "side": "sell", "volume": 10**8})
    assert (2002, "Account::AccountError: Cannot lock funds") == (
        message["code"],
        message["message"],
    )


def test_stop_orders(model):
    """They wait for a trade at their price, above or below, and can be cancelled meanwhile."""
    client, other = Client(model), ann_of(model)
    stop = {**BUY, "ord_type": "stop_limit", "price": "0.018", "volume": 1000}
    rises = client.order({**stop, "stop_price": "0.021", "trigger_condition": "gte"})
    falls = client.order({**stop, "stop_price": "0.019", "trigger_condition": "lte"})
    gone = client.order({**stop, "stop_price": "0.019", "trigger_condition": "lte"})
    assert {"wait_trigger"} == {each["state"] for each in (rises, falls, gone)}
    assert ("1000000.0", "0.0") == client.balances()["usdt"]
    client.ask("OrderHandler", "cancel", ids=[gone["id"]])

    def states():
        return [model.desk.state(model.desk.orders[each["id"]]) for each in (rises, falls, gone)]

    for price, expected in (("0.02", "wait_trigger"), ("0.021", "wait")):
        other.order({**SELL, "price": price})
        other.order({**BUY, "price": price})
        assert [expected, "wait_trigger", "cancel"] == states()
    client.ask("OrderHandler", "clear")
    assert ["cancel", "cancel", "cancel"] == states()


def test_a_stop_order_without_money_ends_when_its_time_comes(model):
    """It was taken on; nobody is there to be told."""
    client, other = Client(model), ann_of(model)
    stop = {**BUY, "ord_type": "stop_limit", "price": "100", "volume": 100_000}
    order = client.order({**stop, "stop_price": "0.02", "trigger_condition": "gte"})
    other.order(SELL)
    other.order(BUY)
    assert "cancel" == client.ask("OrderHistoryHandler", "show", id=order["id"])["state"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"market": "xxxyyy"}, "market does not have a valid value"),
        ({"side": "Buy"}, "side does not have a valid value"),
        ({"side": None}, "side does not have a valid value"),
        ({"ord_type": "odd"}, "ord_type does not have a valid value"),
        ({"price": None}, "price does not have a valid value"),
        ({"price": "-1"}, "price does not have a valid value"),
        ({"price": "NaN"}, "price does not have a valid value"),
        ({"volume": "many"}, "volume does not have a valid value"),
        ({"volume": "1_000"}, "volume does not have a valid value"),
        ({"volume": " 1000"}, "volume does not have a valid value"),
        ({"volume": True}, "volume does not have a valid value"),
        ({"volume": [1]}, "volume does not have a valid value"),
        ({"volume": "1e999999"}, "volume does not have a valid value"),
        ({"price": "0.0200001"}, "price has more than 6 decimals"),
        ({"volume": "1000.001"}, "volume has more than 2 decimals"),
        ({"volume": "499.99"}, "price times volume is at least 10 usdt"),
        ({"price": "100000000", "volume": "1000"}, "volume does not have a valid value"),
        ({"price": "1001"}, "Account::AccountError: Cannot lock funds"),
        ({"side": "sell", "volume": "1000001"}, "Account::AccountError: Cannot lock funds"),
        ({"ord_type": "stop_limit"}, "stop_price does not have a valid value"),
        (
            {"ord_type": "stop_limit", "stop_price": "1"},
            "trigger_condition does not have a valid value",
        ),
        ({"ord_type": "market", "volume": "1"}, "price times volume is at least 10 usdt"),
    ],
)
def test_orders_that_are_refused(model, fields, text):
    """With a text, and nothing has changed."""
    client = Client(model)
    before = client.balances()
    message = client.raw("OrderHandler", "create", **{**BUY, **fields})
    assert (2002, text) == (message["code"], message["message"])
    assert before == client.balances()
    assert 0 == client.ask("OrderHandler", market="vetusdt")["resources_count"]


@pytest.mark.parametrize("volume", [1000, 1000.0, "1000", "1000.00", "1E3"])
def test_numbers_may_be_text(model, volume):
    """Zeros at the end are no decimals."""
    assert "1000.0" == Client(model).order({**BUY, "volume": volume})["volume"]


def test_cancelling(model):
    """All of the list or none of it; the ids that are refused are named."""
    client, other = Client(model), ann_of(model)
    first, second = client.order(BUY)["id"], client.order(BUY)["id"]
    message = client.raw("OrderHandler", "cancel", ids=[first, 999])
    assert (2003, {"ids": [999]}) == (message["code"], message["data"])
    message = other.raw("OrderHandler", "cancel", ids=[first])
    assert (2003, {"ids": [first]}) == (message["code"], message["data"])
    for ids in (None, [], "1", [0], ["x"], [True]):
        assert 2003 == client.refused("OrderHandler", "cancel", ids=ids)
    assert [first] == client.ask("OrderHandler", "cancel", ids=[str(first), first])
    assert [second] == client.ask("OrderHandler", "clear")
    assert [] == client.ask("OrderHandler", "clear")


def test_cancellation_is_not_settlement(make, clock):
    """If that is wanted: the order is out of the book, but not closed yet."""
    client = Client(make(settling=2))
    order = client.order(BUY)["id"]
    client.ask("OrderHandler", "cancel", ids=[order])
    assert "cancelling" == client.ask("OrderHandler", "show", id=order)["state"]
    assert 2003 == client.refused("OrderHandler", "cancel", ids=[order])
    assert [] == client.ask("OrderBookHandler", market="vetusdt")["bids"]
    clock.pass_by(2)
    assert "cancel" == client.ask("OrderHistoryHandler", "show", id=order)["state"]


def test_pages(model, clock):
    """Of open orders and of history, chosen by kind, state and time; the newest first."""
    client = Client(model)
    for _ in range(5):
        client.order(BUY)
        clock.pass_by(10)

    def listed(handler="OrderHandler", **args):
        found = client.ask(handler, market="vetusdt", **args)
        return [row["id"] for row in found["resources"]], found["resources_count"]

    assert ([5, 4, 3, 2, 1], 5) == listed()
    assert ([3, 2], 5) == listed(page=2, per=2) == listed(page=2, per=2, order_by="desc")
    assert ([5], 5) == listed(page=3, per=2, order_by="asc")
    assert ([], 5) == listed(page=4, per=2)
    assert (5, 0) == (listed(order_type="limit")[1], listed(ord_type="market")[1])
    client.ask("OrderHandler", "clear")
    assert ([], 0) == listed()
    history = "OrderHistoryHandler"
    assert ([5, 4, 3, 2, 1], 5) == listed(history, state="cancel")
    assert ([], 0) == listed(history, state="done")
    assert ([3, 2], 2) == listed(history, start_time=SECONDS + 10, end_time=SECONDS + 20)
    assert (5, 0) == (listed(history, start_time=0)[1], listed(history, end_time=0)[1])
    assert 0 == client.ask(history, market="btcusdt")["resources_count"]


def test_other_accounts_orders_are_not_there(model):
    """Neither open nor closed."""
    order = Client(model).order(BUY)["id"]
    other = ann_of(model)
    for handler in ("OrderHandler", "OrderHistoryHandler"):
        assert 2004 == other.refused(handler, "show", id=order)
        assert 0 == other.ask(handler, market="vetusdt")["resources_count"]
    assert 2004 == other.refused("OrderHandler", "show")


# -- connections ---------------------------------------------------------------------------------


def test_private_calls_without_a_login(model):
    """Cut the line."""
    client = Client(model, login=False)
    assert client.raw("OrderHandler", "create", **BUY) is None
    reason = {"type": "disconnect", "reason": "unauthorized", "reconnect": False}
    assert (reason, (1000, "")) == (client.pushed[-1], client.ended)
    assert client.raw("ToolHandler", "timestamp") is None
    client.peer.beat()
    assert 2 == len(client.pushed)


def test_pings(make):
    """Three without an answer are the end; a pong makes up for all of them."""
    client = Client(make(ping_interval=20.0))
    assert {"type": "welcome", "message": 20} == client.pushed.pop()
    assert 20.0 == client.peer.beat_every
    for _ in range(3):
        client.peer.beat()
    assert [{"type": "ping", "message": SECONDS}] * 3 == client.pushed
    assert "pong" == client.peer.method_of('{"command":"pong"}')
    assert [] == client.peer.received('{"command":"pong"}')
    for _ in range(3):
        client.peer.beat()
    assert client.ended is None
    client.peer.beat()
    assert (6, (1001, "no pong")) == (len(client.pushed), client.ended)


def test_the_venue_disconnects(model):
    """With a reason, and with a word on coming back; orders outlive it."""
    client = Client(model)
    order = client.order(BUY)["id"]
    model.disconnect("maintenance")
    reason = {"type": "disconnect", "reason": "maintenance", "reconnect": True}
    assert (reason, (1000, "")) == (client.pushed[-1], client.ended)
    client.peer.closed()
    model.disconnect("again")
    assert reason == client.pushed[-1]
    assert order == Client(model).ask("OrderHandler", "show", id=order)["id"]


def test_rate_limits(make, clock):
    """Of a connection, of an account over all of its connections, and of its orders."""
    model = make(limit=Limit(10, 60), order_limit=Limit(2, 60))
    public = Client(model, login=False)
    codes = [public.raw("ToolHandler", "timestamp")["code"] for _ in range(14)]
    assert {0, -2} == set(codes)
    assert 10 <= codes.count(0) <= 12
    inner = json.loads(public.raw("ToolHandler", "timestamp")["message"])
    assert {"code": 2002, "message": "Exceeding request Limit"} == inner["error"]
    client, again = Client(model), Client(model)
    answers = [each.raw("OrderHandler", "create", **BUY) for each in (client, again) * 2]
    assert "Exceeding request Limit" in [each.get("message") for each in answers]
    codes = [each.raw("AccountHandler")["code"] for each in (client, again) * 6]
    assert -2 in codes
    clock.pass_by(60)
    assert client.order(BUY)
    without = Client(make(limit=None, order_limit=None))
    assert all(without.order(BUY) for _ in range(30))


def test_other_shapes(make):
    """All that clients have to take."""
    client = Client(make(other_shapes=True, repeat_uuids=False), login=False)
    message = client.login()
    assert ("0", False) == (message["code"], "uuid" in message)
    order = client.order(BUY)
    assert ("buy", str(SECONDS)) == (order["side"], order["created_on"])
    assert "market" in client.ask("FeeHandler", "trading_fee")[0]
    assert {"currency", "balance", "locked"} == set(client.ask("AccountHandler")["accounts"][0])
    assert "6" == client.ask("MarketsHandler")[0]["price_precision"]
    assert "funds" not in client.ask("TickerHandler")["vetusdt"]
    client.order({**SELL, "price": "0.03"})
    client.order({**SELL, "price": "0.04"})
    asks = client.ask("OrderBookHandler", market="vetusdt")["asks"]
    assert ["0.03", "0.04"] == [price for price, _ in asks]


def test_requests_as_text(model):
    """Identifier and data may be JSON text inside a string."""
    assert 0 == Client(model).raw("ToolHandler", "timestamp", as_text=True)["code"]


def test_refusals_of_the_script(model):
    """An answer with the code, or a message that cuts the line."""
    peer = Client(model).peer
    frame = json.dumps(OPERATIONS["timestamp"]["request"], default=str)
    assert {
        "identifier": {"handler": "ToolHandler"},
        "message": {
            "action": "timestamp",
            "code": 1005,
            "data": {},
            "message": "no",
            "uuid": "5d2f0c7a-1111-4222-8333-000000000013",
        },
    } == json.loads(peer.refusal(frame, "1005", "no"))
    for other, code in ((frame, "disconnect"), ('{"command":"pong"}', "1005")):
        assert "disconnect" == json.loads(peer.refusal(other, code, "no"))["type"]


@given(
    st.text(max_size=20)
    | st.sampled_from(["[]", "{}", "[" * 5000, '{"identifier":1}', "1e99999999999999999999"])
    | st.sampled_from(['{"identifier":{"handler":"ToolHandler"},"command":"pang"}'])
)
def test_nonsense(frame):
    """Is not answered, and harms nothing."""
    client = Client(MODEL, login=False)
    assert ([], "") == (client.peer.received(frame), client.peer.method_of(frame))
    client.peer.closed()


MODEL = OceanExModel(clock=Wall(), private_key=KEY, empty=True, limit=None)
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["vetusdt", "buy", "limit", "stop_limit", "1", "0.02", 10**30, 1e300, -1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
NAMES = [
    "market", "markets", "side", "volume", "price", "ord_type", "stop_price", "trigger_condition",
    "id", "ids", "level", "precision", "period", "limit", "start_time", "page", "per", "order_by",
    "state",
]  # fmt: skip


@given(
    call=st.sampled_from([*MODEL.calls.public, *MODEL.calls.private, "AuthHandler/login", "x/"]),
    args=st.dictionaries(st.sampled_from(NAMES), ODD) | ODD,
    header=st.dictionaries(
        st.sampled_from(["uid", "api_key", "signature", "nonce", "verb", "path"]), ODD
    ),
    name=ODD,
)
def test_odd_requests(call, args, header, name):
    """Whatever they hold, there is one answer; nobody gets richer by asking."""
    handler, _, action = call.partition("/")
    data = {"action": action, "uuid": name, "args": args, "header": header}
    frame = {"identifier": {"handler": handler}, "command": "message", "data": data}
    [answer] = TALKER.peer.received(json.dumps(frame))
    assert {"identifier", "message"} == json.loads(answer).keys()
    ledger = MODEL.desk.engine.ledger
    assert [0, 0, 0, 0] == [ledger.imbalance(each) for each in ("btc", "eth", "usdt", "vet")]


TALKER = Client(MODEL)


# -- the model -----------------------------------------------------------------------------------


def test_the_key_file(clock):
    """Only its owner can read it, and it goes with the model."""
    model = OceanExModel(clock=clock, empty=True)
    first, again = model.credentials(), model.credentials()
    assert first == again
    assert ("ID4TEST", "KIDTEST") == (first["OCEANEX_UID"], first["OCEANEX_KEY_ID"])
    file = Path(first["OCEANEX_KEY_FILE"])
    assert (0o600, 0o700) == tuple(
        stat.S_IMODE(os.stat(path).st_mode) for path in (file, file.parent)
    )
    key = load_pem_private_key(file.read_bytes(), None)
    assert 2048 == key.key_size
    client = Client(model, key=key)
    assert client.balances()
    model.remove_key_file()
    assert not file.parent.exists()


def test_no_key_file_for_a_key_of_ones_own(clock):
    """The private half is not known here."""
    model = OceanExModel(clock=clock, public_key=OTHER_KEY.public_key(), empty=True)
    assert {"OCEANEX_UID": "ID4TEST", "OCEANEX_KEY_ID": "KIDTEST"} == model.credentials()
    assert Client(model, key=OTHER_KEY).balances()
    model = OceanExModel(clock=clock, accounts=[ANN], empty=True)
    assert {"OCEANEX_UID": "ANN", "OCEANEX_KEY_ID": "KIDANN"} == model.credentials()
    assert {} == OceanExModel(clock=clock, accounts=[], empty=True).credentials()


def test_options_that_make_no_sense(make):
    """Are refused with the reason."""
    with pytest.raises(ValueError, match="private_key or public_key"):
        make(public_key=KEY.public_key())
    with pytest.raises(ValueError, match="'ANN' already"):
        make().add_account(attrs.evolve(ANN, key_id="other"))


def test_other_participants_trade(clock):
    """The same course for the same seed; volumes and prices are ones that the market allows."""
    courses = []
    for seed in (1, 1, 2):
        model = OceanExModel(clock=clock, private_key=KEY, seed=seed)
        client = Client(model, login=False)
        assert all(0 < model.trade() < 1 for _ in range(60))
        books = [client.ask("OrderBookHandler", market=name) for name in model.desk.listings]
        courses.append([books, client.ask("TickerHandler")])
        for listing, book in zip(model.desk.listings.values(), books, strict=True):
            assert min(len(book["asks"]), len(book["bids"])) > 10
            for price, volume in book["asks"] + book["bids"]:
                assert len(price.partition(".")[2]) <= listing.price_precision
                assert len(volume.partition(".")[2]) <= max(listing.amount_precision, 1)
        assert all(not model.desk.engine.ledger.imbalance(each) for each in ("btc", "vet"))
    assert courses[0] == courses[1] != courses[2]
