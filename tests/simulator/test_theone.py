"""The simulated TheOne: signatures, nonces, clocks, quotes, balances, and orders that move."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal as D
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from trioflex.simulator import (
    Limit,
    SimulatedExchange,
    TheOneAccount,
    TheOneModel,
    system_clock,
)
from trioflex.simulator.theone_desk import SOURCES

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "theone_auth.json").read_text(encoding="utf-8")
)
FRAMES = {vector["name"]: vector for vector in VECTORS["websocket"]}
START = 1_765_000_000_000_000
MAIN = {"amountIn": "1.5", "assetIn": "ETH", "assetOut": "USDT"}


class Wall:
    """A clock that tests move."""

    def __init__(self, at=START):
        self.at = at

    def __call__(self):
        return self.at


class Client:
    """A client written from the document alone; also the link that pushes come by."""

    def __init__(self, model, key="test_key_1", secret="test_secret_1"):
        self.model, self.key, self.secret = model, key, secret
        self.pushed = []
        self.count = 0
        self.peer = model.connect(self)
        self.peer.opened()

    def send(self, frame):
        self.pushed.append(json.loads(frame))

    def close(self, code=1000, reason=""):
        raise AssertionError("the venue closes nothing")

    def raw(self, frame):
        [reply] = self.peer.received(frame)
        return json.loads(reply)

    def signed(self, op, data=None, *, spaced=False, skew=0, nonce=None, derive=True, **more):
        """Return a signed frame, written as one of the clients would."""
        self.count += 1
        ts = self.model.clock() // 1000 + skew
        nonce = f"n-{self.count}-{id(self)}" if nonce is None else nonce
        body = "" if data is None else json.dumps(data, separators=(",", ":"))
        path = "/ws/v1/stream" if op == "auth" else f"/ws/v1/{op}"
        digest = hashlib.sha256(body.encode()).hexdigest()
        key = self.secret.encode()
        if derive:
            key = base64.urlsafe_b64encode(hashlib.sha256(key).digest())
        text = "\n".join(["WS", path, str(ts), nonce, digest])
        sig = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        message = {"op": op, "ts": ts, "nonce": nonce, "sig": sig, **more}
        if data is not None:
            message["data"] = data
        return json.dumps(message, separators=None if spaced else (",", ":"))

    def ask(self, op, data=None, **how):
        return self.raw(self.signed(op, data, **how))

    def login(self, **how):
        return self.ask("auth", key=self.key, **how)

    def watch(self, ch, op="subscribe"):
        return self.raw(json.dumps({"op": op, "ch": ch}))


@pytest.fixture
def clock():
    return Wall()


@pytest.fixture
def model(clock):
    return TheOneModel(clock=clock, limit=None)


@pytest.fixture
def client(model):
    client = Client(model)
    assert {"op": "auth", "data": {"status": "authenticated"}} == client.login()
    return client


def holding(model, asset, key="test_key_1"):
    held = model.desk.holding(key, asset)
    return (held.total, held.locked)


# -- signatures ----------------------------------------------------------------------------------


def test_the_published_frames_are_understood():  # T4
    """Each vector's frame passes every check, in an exchange that knows its secret."""
    for name, vector in FRAMES.items():
        clock = Wall(vector["ts"] * 1000)
        account = TheOneAccount(vector["api_key"], vector["secret"])
        client = Client(TheOneModel(clock=clock, accounts=[account]), account.key, account.secret)
        if vector["op"] == "auth":
            assert "error" not in client.raw(vector["frame_text"]), name
            continue
        client.login()
        reply = client.raw(vector["frame_text"])
        assert reply.get("error") in (None, "Order not found"), name


@pytest.mark.parametrize("miss", VECTORS["must_not_match"], ids=lambda miss: miss["name"])
def test_near_misses_are_refused(miss):  # T4
    """What a plausible mistake signs is no signature."""
    vector = FRAMES[miss["of"]]
    account = TheOneAccount(vector["api_key"], vector["secret"])
    client = Client(
        TheOneModel(clock=Wall(vector["ts"] * 1000), accounts=[account]),
        account.key,
        account.secret,
    )
    if vector["op"] != "auth":
        client.login()
    frame = vector["frame_text"].replace(vector["sig"], miss["sig"])
    assert {"error": "Invalid signature"} == client.raw(frame)


def test_the_documented_key_is_a_switch(clock):
    """``derive_key=False``: the secret itself signs, and the derived key does not."""
    model = TheOneModel(clock=clock, derive_key=False)
    assert {"error": "Invalid signature"} == Client(model).login()
    assert "data" in Client(model).login(derive=False)


@pytest.mark.parametrize("how", ["spaces", "null", "empty", "unsorted"])
def test_data_may_be_written_in_the_ways_of_the_venues_clients(client, how):
    """White space in the frame, ``null`` for nothing, ``{}`` as documented, any order."""
    if how == "spaces":
        assert "data" in client.ask("estimate", MAIN, spaced=True)
    elif how == "unsorted":
        assert "data" in client.ask("estimate", dict(reversed(MAIN.items())))
    elif how == "empty":
        assert "data" in client.ask("balances", {})
    else:
        frame = client.signed("balances")
        assert "data" in client.raw(f'{frame[:-1]},"data":null}}')


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"key": "nobody"}, "Invalid API key"),
        ({"secret": "wrong"}, "Invalid signature"),
        ({"skew": 30_001}, "Request timestamp outside allowed window"),
        ({"skew": -30_001}, "Request timestamp outside allowed window"),
        ({"nonce": "x" * 129}, "Invalid request"),
        ({"nonce": ""}, "Invalid request"),
    ],
)
def test_logins_are_refused(model, how, error):
    """With the texts of the documents; half a minute of skew is still allowed."""
    names = {name: how.pop(name) for name in ("key", "secret") if name in how}
    client = Client(model, **names)
    assert {"error": error} == client.login(**how)
    assert {"error": "Not authenticated"} == client.ask("balances")
    assert "data" in Client(model).login(skew=30_000)


def test_a_frame_works_once(client, clock):  # T4
    """At once it is refused for its nonce, later for its time; on another connection as well."""
    frame = client.signed("balances")
    assert "data" in client.raw(frame)
    reused = {"error": "Nonce has already been used or is expired"}
    assert reused == client.raw(frame)
    other = Client(client.model)
    other.login()
    assert reused == other.raw(frame)
    clock.at += 61_000_000
    assert {"error": "Request timestamp outside allowed window"} == client.raw(frame)


def test_nonces_are_forgotten_when_their_time_has_passed(client, clock):
    """The memory of a server that runs for days stays small."""
    for _ in range(50):
        client.ask("balances")
        clock.at += 10_000_000
    assert len(client.model._nonces) < 10


# -- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        ("nonsense", "Invalid request"),
        ("[]", "Invalid request"),
        ("7", "Invalid request"),
        ("{}", "Invalid request"),
        ('{"op":7}', "Invalid request"),
        ('{"op":"balances"}', "Invalid request"),
        ('{"op":"balances","data":7}', "Invalid request"),
        ('{"op":"balances","ts":"1","nonce":"n","sig":"s"}', "Invalid request"),
        ('{"op":"subscribe"}', "Invalid request"),
        ('{"op":"nonsense"}', "Unknown operation: nonsense"),
        ('{"op":"subscribe","ch":"nope"}', "Invalid channel format"),
        ('{"op":"subscribe","ch":"orders:"}', "Invalid channel format"),
        ('{"op":"' + "x" * 65_536 + '"}', "Message too large"),
    ],
)
def test_what_cannot_be_carried_out(client, frame, error):
    """Said in the venue's words, and the connection lives on."""
    assert {"error": error} == client.raw(frame)
    assert "data" in client.ask("balances")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"amountIn": "0"}, "Invalid amount"),
        ({"amountIn": "-1"}, "Invalid amount"),
        ({"amountIn": "1e3"}, "Invalid amount"),
        ({"amountIn": 1.5}, "Invalid request"),
        ({"assetIn": "DOGE"}, "Unsupported asset: DOGE"),
        ({"assetOut": "ETH"}, "Invalid request"),
        ({"filter": ["kraken"]}, "Invalid request"),
        ({"filter": "gate"}, "Invalid request"),
        ({"slippage_bps": 10_001}, "Invalid request"),
        ({"slippage_bps": "3"}, "Invalid request"),
        ({"clientOrderId": 7}, "Invalid request"),
        ({"amountIn": "200.1"}, "Insufficient balance"),
    ],
)
def test_swaps_that_are_refused(client, change, error):
    """Nothing is locked by them."""
    assert {"error": error} == client.ask("swap", {**MAIN, **change})
    assert (D(200), 0) == holding(client.model, "ETH")


def test_the_documented_names_are_understood_as_well(client):
    """``amount``, ``from``, ``to``."""
    data = {"amount": "1.5", "from": "ETH", "to": "USDT"}
    assert client.ask("estimate", MAIN) == client.ask("estimate", data)


def test_messages_are_limited(clock):  # R8
    """A hundred a second on a connection, unless another limit is asked for."""
    client = Client(TheOneModel(clock=clock, limit=Limit(5, 1)))
    client.login()
    replies = [client.ask("balances") for _ in range(8)]
    assert {"error": "Rate limit exceeded"} == replies[-1]
    clock.at += 1_000_000
    assert "data" in client.ask("balances")


def test_subscriptions_are_limited(clock):  # S3
    """A hundred on a connection; the same one again is no more."""
    client = Client(TheOneModel(clock=clock, limit=None, max_channels=2))
    client.login()
    for name in ("balances", "orders:x", "balances"):
        assert "error" not in client.watch(name)
    assert {"error": "Subscription limit exceeded"} == client.watch("orders:y")
    client.watch("orders:x", "unsubscribe")
    assert "error" not in client.watch("orders:y")


def test_accounts_are_told_apart(clock):
    """Neither balances nor orders of another account are seen."""
    accounts = [TheOneAccount(), TheOneAccount("other", "secret", {"USDT": D(5)})]
    model = TheOneModel(clock=clock, accounts=accounts)
    mine, theirs = Client(model), Client(model, "other", "secret")
    mine.login()
    theirs.login()
    order_id = mine.ask("swap", MAIN)["data"]["orderId"]
    theirs.watch(f"orders:{order_id}")
    theirs.watch("balances")
    clock.at += 5_000_000
    model.trade()
    assert {"error": "Order not found"} == theirs.ask("order_status", {"id": order_id})
    assert [[{"asset": "USDT", "total": "5", "locked": "0"}]] == [p["data"] for p in theirs.pushed]
    with pytest.raises(ValueError, match="already"):
        model.add_account(TheOneAccount())


def test_the_default_account():
    """As the command line prints it."""
    assert {
        "BROKER_API_KEY": "test_key_1",
        "BROKER_SECRET_KEY": "test_secret_1",
    } == TheOneModel().credentials()
    assert {} == TheOneModel(accounts=[]).credentials()
    assert "secret" not in repr(TheOneAccount())


# -- the desk ------------------------------------------------------------------------------------


def test_quotes_are_of_the_best_source(client):
    """Or of the best of those asked for; the price has the fee inside."""
    quotes = {
        source: client.ask("estimate", {**MAIN, "filter": [source]})["data"] for source in SOURCES
    }
    best = client.ask("estimate", MAIN)["data"]
    assert "binance" == best["route"][0]["exchange"]
    assert best["price"] == quotes["binance"]["price"]
    assert D(best["price"]) > D(quotes["bybit"]["price"]) > D(quotes["gate"]["price"])
    assert D("1.5") * D(best["price"]) == D(best["expectedOut"])


def test_an_order_walks_through_its_statuses(client, clock):
    """On the venue's clock; what it takes is locked until it is gone."""
    model = client.model
    order_id = client.ask("swap", {**MAIN, "clientOrderId": "a-17"})["data"]["orderId"]
    assert (D(200), D("1.5")) == holding(model, "ETH")
    client.watch(f"orders:{order_id}")
    client.watch("balances")
    del client.pushed[:]
    for _ in range(20):
        clock.at += 100_000
        model.trade()

    orders = [push["data"] for push in client.pushed if push["ch"] != "balances"]
    assert ["PROCESSING", "FILLED"] == [order["status"] for order in orders]
    assert [500, 1500] == [order["updatedAt"] - START // 1000 for order in orders]
    [change] = [push["data"] for push in client.pushed if push["ch"] == "balances"]
    assert ["ETH", "USDT"] == [each["asset"] for each in change]
    assert (D("198.5"), 0) == holding(model, "ETH")
    assert (D(500_000) + D(orders[1]["filledOut"]), 0) == holding(model, "USDT")
    for name in (order_id, "a-17"):
        status = client.ask("order_status", {"id": name})["data"]
        assert ("FILLED", "a-17") == (status["status"], status["clientOrderId"])
        assert orders[1]["txHash"] == status["txHash"]


def test_asking_is_enough_to_let_the_time_pass(client, clock):
    """An order moves when somebody looks, with the times at which it should have."""
    order_id = client.ask("swap", MAIN)["data"]["orderId"]
    clock.at += 60_000_000
    status = client.ask("order_status", {"id": order_id})["data"]
    assert ("FILLED", 1500) == (status["status"], status["updatedAt"] - START // 1000)


def test_large_orders_are_filled_in_parts(client, clock):
    """More than a source takes at once."""
    order_id = client.ask("swap", {**MAIN, "amountIn": "60"})["data"]["orderId"]
    client.watch(f"orders:{order_id}")
    for _ in range(30):
        clock.at += 100_000
        client.model.trade()
    statuses = [push["data"]["status"] for push in client.pushed]
    assert ["PENDING", "PROCESSING", "PARTIAL_FILLED", "FILLED"] == statuses
    assert D(client.pushed[-1]["data"]["filledOut"]) > D(client.pushed[-2]["data"]["filledOut"])
    assert (D(140), 0) == holding(client.model, "ETH")


@pytest.mark.parametrize(("wait", "status"), [(29_000_000, "FAILED"), (31_000_000, "FILLED")])
def test_a_quote_is_what_slippage_is_measured_against_until_it_expires(client, clock, wait, status):
    """Afterwards it is the price of the moment."""
    quote = client.ask("estimate", MAIN)["data"]
    assert 30_000 == quote["expiresAt"] - START // 1000
    clock.at += wait
    client.model.desk.prices["ETH"] *= D("0.99")
    order_id = client.ask("swap", {**MAIN, "slippage_bps": 50})["data"]["orderId"]
    clock.at += 5_000_000
    assert status == client.ask("order_status", {"id": order_id})["data"]["status"]
    left = D(200) if status == "FAILED" else D("198.5")
    assert (left, 0) == holding(client.model, "ETH")


def test_orders_can_be_cancelled_from_within(client, clock):
    """What is left of them is given back."""
    order_id = client.ask("swap", {**MAIN, "amountIn": "60"})["data"]["orderId"]
    clock.at += 1_600_000
    client.model.trade()
    client.model.desk.cancel(order_id)
    status = client.ask("order_status", {"id": order_id})["data"]
    assert "CANCELLED" == status["status"]
    assert (D(170), 0) == holding(client.model, "ETH")
    with pytest.raises(KeyError):
        client.model.desk.cancel(order_id)


def test_a_name_used_twice_is_two_orders(client):
    """The worst that the documents allow, so that a client that repeats itself is found out."""
    for _ in range(2):
        client.ask("swap", {**MAIN, "clientOrderId": "a-17"})
    assert ["ord_000001", "ord_000002"] == [order.id for order in client.model.swaps("a-17")]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["BTC", "ETH", "TRX", "USDT", "USDC"]),
            st.sampled_from(["BTC", "ETH", "TRX", "USDT"]),
            st.decimals("0.001", "50", places=8),
            st.integers(0, 200),
            st.integers(0, 2_000_000),
        ),
        max_size=15,
    )
)
@settings(max_examples=50)
def test_nothing_is_locked_at_the_end_and_nothing_is_made(swaps):
    """Whatever the orders: what was given away is gone, and no balance is below what is locked."""
    clock = Wall()
    client = Client(TheOneModel(clock=clock, limit=None))
    client.login()
    desk = client.model.desk
    for asset_in, asset_out, amount, slippage, wait in swaps:
        data = {"amountIn": f"{amount:f}", "assetIn": asset_in, "assetOut": asset_out}
        client.ask("swap", {**data, "slippage_bps": slippage})
        clock.at += wait
        client.model.trade()
        assert all(0 <= h.locked <= h.total for h in desk.accounts["test_key_1"].values())
    before = {asset: h.total for asset, h in TheOneModel().desk.accounts["test_key_1"].items()}
    clock.at += 60_000_000
    client.model.trade()
    for order in desk.orders.values():
        assert order.status in ("FILLED", "FAILED")
        if order.status == "FILLED":
            before[order.asset_in] -= order.amount_in
            before[order.asset_out] += order.filled_out
    held = desk.accounts["test_key_1"]
    assert {asset: (total, 0) for asset, total in before.items()} == {
        asset: (h.total, h.locked) for asset, h in held.items()
    }


# -- the other shapes, and faults ----------------------------------------------------------------


def test_the_other_shapes(clock):
    """All that a client has to tolerate, at once."""
    model = TheOneModel(clock=clock, other_shapes=True, limit=None)
    client = Client(model)
    assert {"op": "auth", "error": "Invalid signature"} == client.login(derive=False)
    client.login()
    assert isinstance(client.ask("balances")["data"], list)
    assert "fromAsset" in client.ask("estimate", MAIN)["data"]["route"][0]
    swap = client.ask("swap", {**MAIN, "amountIn": "60"})["data"]
    assert "pending" == swap["status"]
    client.watch("balances")
    client.watch(f"orders:{swap['orderId']}")
    clock.at += 1_600_000
    model.trade()
    model.desk.cancel(swap["orderId"])
    orders = [push["data"] for push in client.pushed if push["ch"] != "balances"]
    assert ["pending", "processing", "partial", "canceled"] == [each["status"] for each in orders]
    assert not any("orderId" in each for each in orders)
    assert "balances" in client.pushed[0]["data"]


def test_subscriptions_start_with_a_snapshot_or_not(clock):
    """The documents do not say; both can be had."""
    for snapshots in (True, False):
        client = Client(TheOneModel(clock=clock, snapshots=snapshots))
        client.login()
        client.watch("balances")
        client.watch("orders:nobody's")
        assert snapshots is bool(client.pushed)


def test_refusals_of_a_script(client):
    """Mere text without a code, an object with one."""
    frame = client.signed("swap", MAIN)
    peer = client.peer
    assert "swap" == peer.method_of(frame)
    assert "" == peer.method_of("nonsense")
    assert {"error": "no"} == json.loads(peer.refusal(frame, "", "no"))
    error = json.loads(peer.refusal(frame, "SWAP_ERROR", "no"))["error"]
    assert ("SWAP_ERROR", "no") == (error["code"], error["message"])


def test_a_connection_that_has_gone_hears_nothing(client, clock):
    """Its orders go on without it."""
    client.watch("balances")
    order_id = client.ask("swap", MAIN)["data"]["orderId"]
    del client.pushed[:]
    client.peer.closed()
    clock.at += 5_000_000
    client.model.trade()
    assert [] == client.pushed
    assert "FILLED" == client.model.desk.orders[order_id].status


def test_two_runs_are_alike():  # T5
    """The same seed, the same frames; another one, other prices."""

    def run(seed):
        clock = Wall()
        exchange = SimulatedExchange("theone", seed=seed, clock=clock)
        client = Client(exchange.model)
        client.login()
        client.watch("balances")
        for _ in range(20):
            client.ask("swap", MAIN)
            clock.at += 300_000
            exchange.trade()
        return json.dumps(client.pushed), dict(exchange.model.desk.prices)

    assert run(3) == run(3)
    assert run(3)[1] != run(4)[1]


def test_the_clock_is_the_real_one_unless_another_is_given():
    """For simulations that programs connect to."""
    before = system_clock()
    assert before <= TheOneModel().clock() <= system_clock()


def test_turns_come_when_something_is_due(client, clock):
    """No later than a quarter of a second, and never at once."""
    assert 0.25 == client.model.trade()
    client.ask("swap", MAIN)
    clock.at += 400_000
    assert 0.1 == client.model.trade()
