"""The far side of CoinFLEX and Coinfloor: envelope, record, inspection, determinism."""

from __future__ import annotations

import base64
import json
from decimal import Decimal

import pytest

from tests.simulator.floor_client import (
    COOKIE,
    EPOCH,
    ETH,
    GBP,
    USDT,
    XBT,
    Client,
    flex,
    floor,
    logged_in,
    scramble,
)
from trioflex.simulator import CoinflexModel, FloorAccount
from trioflex.simulator.rules import Refusal

# -- envelope ----------------------------------------------------------------------------------


def test_a_connection_begins_with_a_welcome():
    """A nonce of 16 bytes, another one for each connection."""
    model = flex()
    welcomes = [Client(model).welcome for _ in range(3)]
    assert {"Welcome"} == {welcome["notice"] for welcome in welcomes}
    nonces = {base64.b64decode(welcome["nonce"]) for welcome in welcomes}
    assert [16, 16, 16] == [len(nonce) for nonce in nonces]


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [('"tag":7,', {"tag": 7}), ('"tag":0,', {}), ("", {}), ('"tag":null,', {})],
)
def test_tags_are_echoed_unless_zero(sent, echoed):
    """A reply repeats the tag if there is one that is not zero."""
    reply = Client(flex()).raw(f'{{{sent}"method":"GetOrders"}}')
    assert {"error_code": 7, "error_msg": "You are not authenticated.", **echoed} == reply


@pytest.mark.parametrize("tag", [2**63 - 1, -1, 2**64 - 1])
def test_large_tags_come_back_exactly(tag):
    """Clients have used tags of up to 63 bits."""
    assert tag == Client(flex()).raw(json.dumps({"tag": tag, "method": "x"}))["tag"]


@pytest.mark.parametrize("tag", ['"1"', "1.5", "true", str(2**64), "[]"])
def test_other_tags_are_bad_requests(tag):
    """And are not repeated."""
    reply = Client(flex()).raw(f'{{"tag":{tag},"method":"GetOrders"}}')
    assert (8, {"error_code", "error_msg"}) == (reply["error_code"], reply.keys())


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "hello",
        "[1]",
        "1",
        "null",
        '{"method":',
        "[" * 100_000,
        '{"tag":' + "9" * 5_000 + "}",
        '{"method":NaN}',
        "\ud800",
    ],
    ids=lambda frame: ascii(frame[:12]),
)
def test_what_is_no_command_is_a_bad_request(frame):
    """Nothing that a client sends does more than get it an error reply."""
    client = Client(flex())
    reply = client.raw(frame)
    assert (8, {"error_code", "error_msg"}) == (reply["error_code"], reply.keys())
    assert "" == client.peer.method_of(frame)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "You must specify a method."),
        ({"method": ""}, "You must specify a method."),
        ({"method": 5}, "You must specify a method."),
        ({"method": "Ping"}, "You specified an unknown method."),
        ({"method": "getbalances"}, "You specified an unknown method."),
    ],
)
def test_unknown_methods_are_bad_requests(fields, text):
    """With the tag, which is what a client without pings keeps its link alive by."""
    reply = Client(flex()).raw(json.dumps({"tag": 3, **fields}))
    assert {"tag": 3, "error_code": 8, "error_msg": text} == reply


def test_coinfloor_has_no_modifying():
    """CoinFLEX added it."""
    client = logged_in(floor())
    assert (8, "You specified an unknown method.") == client.code("ModifyOrder", id=1, price=1)


@pytest.mark.parametrize(
    "method",
    [
        "GetBalances",
        "GetOrders",
        "GetTradeVolume",
        "PlaceOrder",
        "ModifyOrder",
        "CancelOrder",
        "CancelAllOrders",
    ],
)
def test_private_methods_need_a_login(method):
    """Whatever else they lack."""
    assert (7, "You are not authenticated.") == Client(flex()).code(method)


def test_frames_have_their_keys_in_alphabetical_order():
    """As the live servers were seen to have them."""
    client = Client(flex())
    (reply,) = client.peer.received('{"tag":3,"method":"GetOrders"}')
    assert '{"error_code":7,"error_msg":"You are not authenticated.","tag":3}' == reply


def test_a_host_can_have_any_request_refused():
    """A script's refusal looks like the venue's own."""
    peer = Client(flex()).peer
    frame = '{"tag":3,"method":"PlaceOrder"}'
    assert "PlaceOrder" == peer.method_of(frame)
    assert {"tag": 3, "error_code": 4, "error_msg": "No."} == json.loads(
        peer.refusal(frame, "4", "No.")
    )
    assert {"error_code": 4, "error_msg": "No."} == json.loads(peer.refusal("{", "4", "No."))
    with pytest.raises(ValueError, match="numbers for error codes"):
        peer.refusal(frame, "FUNDS", "No.")


# -- what the host and tests see ---------------------------------------------------------------


@pytest.mark.parametrize(("make", "prefix"), [(flex, "COINFLEX"), (floor, "COINFLOOR")])
def test_the_first_account_is_there_for_the_taking(make, prefix):
    """Keyed by the names of environment variables."""
    assert {
        f"{prefix}_USER_ID": "1",
        f"{prefix}_COOKIE": COOKIE,
        f"{prefix}_PASSPHRASE": "opensesame",
    } == make().credentials()
    assert {} == make(accounts=[]).credentials()


def test_idle_connections_have_a_minute():
    """As the documents say."""
    assert 60.0 == flex().idle_timeout


def test_the_record_is_the_venues_truth():
    """Every command, with who gave it and what became of it."""
    model = flex()
    model.clock.advance(5)
    client = logged_in(model)
    order_id = client.place(10, 80_000_000, tonce=77)
    client.code("PlaceOrder", base=XBT, counter=USDT, quantity=10, price=80_000_000, tonce=77)
    client.raw("nonsense")
    login, placed, refused, nonsense = model.record
    assert ("Authenticate", 1, 0) == (login.method, login.account, login.code)
    assert ("PlaceOrder", 1, 2, 0) == (placed.method, placed.account, placed.tag, placed.code)
    assert (EPOCH + 5_000_000, 1) == (placed.at, placed.connection)
    assert (77, order_id) == (placed.request["tonce"], placed.reply["id"])
    assert ("PlaceOrder", 3) == (refused.method, refused.code)
    assert ("", 1, None, 8) == (nonsense.method, nonsense.account, nonsense.tag, nonsense.code)
    assert [placed] == model.placed(1, 77)
    assert [] == model.placed(1, 78)


def test_the_record_is_bounded():
    """The newest commands are kept."""
    model = flex(record_kept=3)
    client = Client(model)
    for tag in range(5):
        client.raw(json.dumps({"tag": tag}))
    assert [2, 3, 4] == [command.tag for command in model.record]


def test_accounts_begin_with_what_they_are_given():
    """By asset name, in the wire's units; plenty of what is traded otherwise."""
    model = flex(accounts=[FloorAccount(), FloorAccount(2, balances={"USDT": 5, "BCH": 7})])
    assert [(5, 0), (7, 0)] == [
        (balance.available, balance.reserved)
        for balance in (model.account(2)[USDT], model.account(2)[63496])
    ]
    assert {XBT, ETH, USDT} == model.account(1).keys()
    assert all(balance.available > 10**6 for balance in model.account(1).values())
    client = logged_in(flex(accounts=[FloorAccount(balances={})]))
    assert [] == client.ask("GetBalances")["balances"]


def test_accounts_can_be_added_later():
    """But not twice, and not with assets that do not exist."""
    model = flex()
    model.add_account(FloorAccount(9, COOKIE, "nine"))
    logged_in(model, 9, passphrase="nine")
    with pytest.raises(ValueError, match="has a user 9 already"):
        model.add_account(FloorAccount(9))
    with pytest.raises(ValueError, match="no asset 'DOGE'"):
        model.add_account(FloorAccount(10, balances={"DOGE": 1}))
    assert 10 not in model.users


def test_unknown_markets_cannot_be_opened():
    """The message says which there are."""
    with pytest.raises(ValueError, match=r"coinfloor has no market 'XBT:USD'; it has XBT:EUR"):
        floor(markets=["XBT:USD"])


def test_markets_that_are_not_open_do_not_exist():
    """A pair of the venue that was not asked for is an invalid one."""
    client = Client(flex(markets=["ETH:USDT"]))
    watch = {"counter": USDT, "watch": True}
    assert 0 == client.ask("WatchTicker", base=ETH, **watch)["error_code"]
    assert (1, "You specified an invalid asset pair.") == client.code(
        "WatchTicker", base=XBT, **watch
    )


def test_tests_can_act_as_anybody():
    """Past the wire: place, modify, trade, cancel."""
    model = flex()
    ask = model.place_as(50, "XBT", "USDT", quantity=-10, price=90_000_000, tonce=4)
    model.modify_as(50, ask.id, delta=-5)
    assert 3 == model.execute_as(51, XBT, USDT, quantity=18)
    other = model.place_as(50, "XBT", "USDT", quantity=-10, price=90_000_000, post_only=True)
    assert [other] == model.open_orders(50) == model.book("XBT", "USDT")
    model.cancel_as(50, other.id)
    with pytest.raises(Refusal):
        model.cancel_as(50, other.id)
    model.place_as(50, "XBT", "USDT", quantity=-10, price=90_000_000)
    model.cancel_all_as(50)
    assert [] == model.open_orders(50)
    assert 90_000_000 == model.ticker("XBT", "USDT")["last"]
    assert 15 == model.account(51)[XBT].available - model.account(1)[XBT].available
    assert 0 == model.engine.ledger.imbalance(USDT)


def test_without_a_clock_the_time_is_real():
    """A server needs nothing but the model."""
    client = logged_in(CoinflexModel(empty=True))
    client.place(10, 80_000_000)
    (order,) = client.ask("GetOrders")["orders"]
    assert order["time"] > EPOCH


# -- determinism -------------------------------------------------------------------------------


def frames_of(make, seed: int) -> list[str]:
    """Everything that a client is sent while it and others trade."""
    model = make(seed=seed, empty=False, limits=None)
    clock = model.clock
    client, watcher = logged_in(model), Client(model)
    everything: list[str] = []
    market = {"base": XBT, "counter": USDT if model.name == "coinflex" else GBP}
    for who in (client, watcher):
        for method in ("WatchOrders", "WatchTicker"):
            everything += who.peer.received(json.dumps({"method": method, **market, "watch": True}))
    for number in range(20):
        scramble(number, model, client, 10)
        clock.advance(number)
        everything += client.frames + watcher.frames
        everything += client.peer.received('{"method":"GetBalances"}')
        client.frames.clear()
        watcher.frames.clear()
    return everything


@pytest.mark.parametrize("make", [flex, floor])
def test_the_same_seed_gives_the_same_frames(make):  # T5
    """Byte for byte; another seed gives others."""
    frames = frames_of(make, 3)
    assert len(frames) > 500
    assert frames == frames_of(make, 3)
    assert frames != frames_of(make, 4)


def test_the_fee_rate_can_be_chosen():
    """A fraction of the total, for both sides."""
    model = flex(fee_rate=Decimal("0.01"))
    before = model.account(1)[USDT].available
    model.place_as(2, "XBT", "USDT", quantity=-100, price=80_000_000)
    model.execute_as(1, "XBT", "USDT", quantity=100)
    assert 808_000 == before - model.account(1)[USDT].available
