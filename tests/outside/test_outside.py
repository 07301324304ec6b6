"""A client that knows only the protocol, against the simulated venues in another process. # T3 T4

Everything here goes through ``trioflex simulate`` as a user would start it, over loopback.
"""

from __future__ import annotations

import ast
import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from tests.outside import raw_floor_client
from tests.outside.raw_floor_client import FloorClient

XBT, USDT, GBP = 63488, 65283, 64032

OTHER = (7, base64.b64encode(b"another cookie, 20 b").decode(), "correct: horse: battery")
"""A second user; the colons of the passphrase are part of it."""


@attrs.frozen
class Served:
    """A simulation that runs, as the program that started it sees it."""

    venue: str
    url: str
    user: tuple[int, str, str]
    ca_file: str | None

    @property
    def pair(self) -> dict[str, int]:
        return {"base": XBT, "counter": USDT if self.venue == "coinflex" else GBP}

    @property
    def tick(self) -> int:
        return 10_000 if self.venue == "coinflex" else 1

    @property
    def lot(self) -> int:
        """A hundredth of a coin."""
        return 100 if self.venue == "coinflex" else 1_000_000

    def connect(self) -> FloorClient:
        return FloorClient(self.url, self.ca_file)


@contextmanager
def simulation(venue: str, *options: str) -> Iterator[Served]:
    """Start ``trioflex simulate``, and end it as Ctrl-C would."""
    account = ":".join(map(str, OTHER))
    process = subprocess.Popen(
        [
            *(
                sys.executable,
                "-c",
                "import typer; from trioflex.cli.simulate import simulate; typer.run(simulate)",
                venue,
            ),
            *("--no-trade", "--seed", "5", "--account", account, *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        credentials = first["credentials"]
        prefix = venue.upper()
        user = (
            int(credentials[f"{prefix}_USER_ID"]),
            credentials[f"{prefix}_COOKIE"],
            credentials[f"{prefix}_PASSPHRASE"],
        )
        yield Served(venue, first["url"], user, first.get("ca_file"))
        process.send_signal(signal.SIGINT)
        output, log = process.communicate(timeout=10)
        assert (130, "") == (process.returncode, output)
        assert "Traceback" not in log
        assert "connection 1 opened" in log
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module", params=["coinflex", "coinfloor"])
def served(request) -> Iterator[Served]:
    with simulation(request.param) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[FloorClient]:
    """Logged in as the user whose credentials were printed."""
    with served.connect() as connection:
        assert 0 == connection.login(*served.user)["error_code"]
        yield connection


def test_the_client_knows_nothing_of_trioflex():
    """It imports the standard library alone."""
    tree = ast.parse(Path(raw_floor_client.__file__).read_text(encoding="utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_the_clients_signature_is_the_published_one():
    """Of the worked example in the documents, with the nonce of RFC 6979."""
    key = raw_floor_client.private_key(1, "opensesame")
    message = (1).to_bytes(8, "big") + bytes.fromhex(
        "6b3473022e6b9b5af2fe5d1dae7cf5bff08c98caf1fd82e8cea9825dbff04fd0"
    )
    r, s = raw_floor_client.sign(key, message)
    assert "b89ea7fcd22cc059c2673dc24ff40b978307464686560d0ad7561b83" == f"{key:056x}"
    assert "1781ff4997b48d389f518df75001c4b6564082956228d74dd0321656" == r.hex()
    assert "47b01ceeb26a0f478ce0ca15ed46cb70ce5783bf58fa28e72d8dfd40" == s.hex()


# -- logging in --------------------------------------------------------------------------------


def test_every_connection_has_a_nonce_of_its_own(served):
    """16 bytes, unasked for."""
    nonces = []
    for _ in range(3):
        with served.connect() as connection:
            nonces.append(connection.server_nonce)
    assert (3, {16}) == (len(set(nonces)), set(map(len, nonces)))


def test_a_right_login_is_accepted_for_each_user(served):
    """The default one and the one that was added."""
    for user in (served.user, OTHER):
        with served.connect() as connection:
            assert {"tag": 1, "error_code": 0} == connection.login(*user)


def refused(connection: FloorClient, code: int, text: str, **fields: object) -> None:
    """Make sure that a login is refused, and that the connection is not logged in."""
    reply = connection.ask("Authenticate", **fields)
    assert (code, text) == (reply["error_code"], reply["error_msg"][: len(text)])
    assert 7 == connection.ask("GetBalances")["error_code"]


def test_a_wrong_passphrase_is_refused(served):
    """The venue cannot know more than that the signature is wrong. # T4"""
    user_id, cookie, passphrase = served.user
    with served.connect() as connection:
        fields = connection.authentication(user_id, cookie, passphrase + " ")
        refused(connection, 7, "You sent an incorrect signature.", **fields)


def test_another_users_passphrase_is_refused(served):
    """Each signature belongs to one user id."""
    user_id, cookie, _ = served.user
    with served.connect() as connection:
        fields = connection.authentication(user_id, cookie, OTHER[2])
        refused(connection, 7, "You sent an incorrect signature.", **fields)


def test_a_wrong_cookie_is_refused(served):
    """With a text of its own, although the signature is right."""
    user_id, _, passphrase = served.user
    with served.connect() as connection:
        fields = connection.authentication(user_id, OTHER[1], passphrase)
        refused(connection, 7, "You sent an incorrect login cookie.", **fields)


def test_a_wrong_nonce_is_refused(served):
    """A signature over another server nonce, and one sent with another client nonce. # T4"""
    with served.connect() as connection:
        fields = connection.authentication(*served.user, server_nonce=bytes(16))
        refused(connection, 7, "You sent an incorrect signature.", **fields)
    with served.connect() as connection:
        fields = connection.authentication(*served.user)
        fields["nonce"] = base64.b64encode(bytes(16)).decode()
        refused(connection, 7, "You sent an incorrect signature.", **fields)


def test_a_replayed_login_is_refused(served):
    """A frame that was right on one connection is worth nothing on the next. # T4"""
    with served.connect() as connection:
        fields = connection.authentication(*served.user)
        assert 0 == connection.ask("Authenticate", **fields)["error_code"]
    with served.connect() as connection:
        refused(connection, 7, "You sent an incorrect signature.", **fields)


def test_an_unknown_user_is_refused(served):
    """With the code of things that are not there."""
    with served.connect() as connection:
        fields = connection.authentication(12_345, *served.user[1:])
        refused(connection, 1, "There is no such user.", **fields)


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": base64.b64encode(bytes(15)).decode()},
        {"nonce": "no base64"},
        {"signature": [base64.b64encode(bytes(27)).decode()] * 2},
        {"signature": []},
        {"user_id": "1"},
    ],
)
def test_a_malformed_login_is_refused(served, change):
    """As a bad request."""
    with served.connect() as connection:
        fields = {**connection.authentication(*served.user), **change}
        assert 8 == connection.ask("Authenticate", **fields)["error_code"]


# -- every method ------------------------------------------------------------------------------


def test_public_methods_need_no_login(served):
    """Book, ticker and estimate; nothing else."""
    pair = served.pair
    with served.connect() as connection:
        ticker = connection.ask("WatchTicker", **pair, watch=True)
        assert ticker["bid"] < ticker["ask"]
        assert {"last", "low", "high", "volume"} <= ticker.keys()
        assert 2 == connection.ask("WatchTicker", **pair, watch=True)["error_code"]
        assert {"tag": 3, "error_code": 0} == connection.ask("WatchTicker", **pair, watch=False)
        assert 1 == connection.ask("WatchTicker", **pair, watch=False)["error_code"]
        orders = connection.ask("WatchOrders", **pair, watch=True)["orders"]
        assert ticker["bid"] == max(o["price"] for o in orders if o["quantity"] > 0)
        assert ticker["ask"] == min(o["price"] for o in orders if o["quantity"] < 0)
        assert {"id", "quantity", "price", "time"} == orders[0].keys()
        assert 2 == connection.ask("WatchOrders", **pair, watch=True)["error_code"]
        assert 0 == connection.ask("WatchOrders", **pair, watch=False)["error_code"]
        assert 1 == connection.ask("WatchOrders", base=1, counter=2, watch=True)["error_code"]
        estimate = connection.ask("EstimateMarketOrder", **pair, quantity=-served.lot)
        assert (served.lot, True) == (estimate["quantity"], estimate["total"] > 0)
        for method in ("GetBalances", "GetOrders", "CancelAllOrders", "PlaceOrder"):
            reply = connection.ask(method)
            assert (7, "You are not authenticated.") == (reply["error_code"], reply["error_msg"])


def test_tags_are_echoed_unless_zero(served):
    """And a message without a method is answered with an error."""
    with served.connect() as connection:
        assert 2**31 - 1 == connection.ask_raw({"tag": 2**31 - 1, "method": "GetOrders"})["tag"]
        assert 8 == connection.ask_raw({"tag": 9})["error_code"]
        assert 8 == connection.ask("Withdraw")["error_code"]
        connection.websocket.send_frame(1, b'{"tag":0,"method":"GetOrders"}')
        assert "tag" not in json.loads(connection.websocket.receive())
        connection.websocket.send_frame(1, b"{no JSON")
        assert 8 == json.loads(connection.websocket.receive())["error_code"]


def test_pings_are_answered(served):
    """With the payload they came with."""
    with served.connect() as connection:
        assert connection.ping()


def balances(client: FloorClient) -> dict[int, int]:
    return {b["asset"]: b["balance"] for b in client.ask("GetBalances")["balances"]}


def test_a_limit_order_from_opening_to_cancelling(served, client):
    """Replies and notices, for the owner and for somebody who watches."""
    pair, lot, flex = served.pair, served.lot, served.venue == "coinflex"
    client.ask("CancelAllOrders")
    before = balances(client)
    with served.connect() as watcher:
        price = watcher.ask("WatchTicker", **pair, watch=True)["bid"] - 30 * served.tick
        watcher.ask("WatchOrders", **pair, watch=True)
        placed = client.ask("PlaceOrder", **pair, quantity=2 * lot, price=price, tonce=1001)
        assert {"tag", "error_code", "id", "time"} == placed.keys()
        order = {"id": placed["id"], **pair, "quantity": 2 * lot, "price": price}

        reserved = before[pair["counter"]] - client.notice("BalanceChanged")["balance"]
        assert reserved > 0
        assert {"notice": "OrderOpened", **order, "tonce": 1001, "time": placed["time"]} == (
            client.notice("OrderOpened")
        )
        assert {"notice": "OrderOpened", **order, "time": placed["time"]} == (
            watcher.notice("OrderOpened")
        )
        (listed,) = client.ask("GetOrders")["orders"]
        assert {**order, "tonce": 1001, "time": placed["time"]} == listed
        same = client.ask("PlaceOrder", **pair, quantity=lot, price=price, tonce=1001)
        assert 3 == same["error_code"]
        shrunk = 2 * lot
        if flex:
            modified = client.ask("ModifyOrder", tonce=1001, quantity_delta=-lot)
            assert (lot, price, placed["id"]) == tuple(
                modified[name] for name in ("quantity", "price", "id")
            )
            assert lot == client.notice("OrderModified", tonce=1001)["quantity"]
            assert "tonce" not in watcher.notice("OrderModified", id=placed["id"])
            shrunk = lot
        else:
            assert 8 == client.ask("ModifyOrder", tonce=1001, quantity_delta=-lot)["error_code"]

        cancelled = client.ask("CancelOrder", tonce=1001)
        assert (placed["id"], shrunk) == (cancelled["id"], cancelled["quantity"])
        closed = client.notice("OrderClosed", id=placed["id"])
        assert (shrunk, 1001, flex) == (
            closed["quantity"],
            closed["tonce"],
            "time_closed" in closed,
        )
        assert "tonce" not in watcher.notice("OrderClosed", id=placed["id"])
        assert 1 == client.ask("CancelOrder", id=placed["id"])["error_code"]
    assert before == balances(client)


def test_a_trade_between_two_users(served, client):
    """Fills, fees, balances, volumes and the ticker, each told to whom it concerns."""
    pair, lot, flex = served.pair, served.lot, served.venue == "coinflex"
    with served.connect() as seller:
        assert 0 == seller.login(*OTHER)["error_code"]
        before = balances(client)
        ticker = client.ask("WatchTicker", **pair, watch=True)
        orders = client.ask("WatchOrders", **pair, watch=True)["orders"]
        # Above the two best asks, so that what remains of it is the best bid there is.
        price = ticker["ask"] + served.tick
        taken = -sum(o["quantity"] for o in orders if o["quantity"] < 0 and o["price"] <= price)
        placed = client.ask("PlaceOrder", **pair, quantity=taken + 2 * lot, price=price, tonce=2001)
        mine = {"bid": placed["id"], "bid_tonce": 2001}
        assert "id" in client.notice("OrderOpened", tonce=2001)
        first = client.notice("OrdersMatched", **mine)
        assert first["price"] <= price
        assert {"bid_counter_fee", "bid_base_fee"} <= first.keys()
        assert not {"ask_tonce", "ask_counter_fee"} & first.keys()
        if flex:
            assert ("bid", True) == (first["taker_side"], first["taker"])

        sold = seller.ask("PlaceOrder", **pair, quantity=-lot)
        assert {"tag": 2, "error_code": 0, "remaining": 0} == sold
        trade = client.notice("OrdersMatched", **mine, quantity=lot, price=price)
        assert "ask" not in trade, "a market order has no id"
        theirs = seller.notice("OrdersMatched", bid=placed["id"])
        assert {"ask_tonce", "ask_counter_fee"} <= theirs.keys()
        assert not {"bid_tonce", "bid_counter_fee"} & theirs.keys()
        assert (trade["total"], trade["time"]) == (theirs["total"], theirs["time"])
        assert price == client.notice("TickerChanged", last=price)["last"]

        left = client.ask("CancelAllOrders")["orders"]
        assert [(placed["id"], trade["bid_rem"])] == [(o["id"], o["quantity"]) for o in left]
        assert trade["bid_rem"] == client.notice("OrderClosed", tonce=2001)["quantity"]
        bought = taken + 2 * lot - trade["bid_rem"]
        after = balances(client)
        assert after[XBT] - before[XBT] <= bought
        assert after[pair["counter"]] < before[pair["counter"]]
        volume = client.ask("GetTradeVolume", asset=XBT)
        assert volume["volume"] >= lot
        assert {"asset", "volume", "notice"} == client.notice("TradeVolumeChanged").keys()


def test_market_orders_by_total(served, client):
    """Spend, or receive, so much of the counter asset."""
    total = 10 * (10_000 if served.venue == "coinflex" else 100)
    for sign in (1, -1):
        estimate = client.ask("EstimateMarketOrder", **served.pair, total=sign * total)
        reply = client.ask("PlaceOrder", **served.pair, total=sign * total)
        # What is left is worth less than the smallest quantity there is.
        unit = estimate["total"] // estimate["quantity"] + 1
        assert (0, True) == (reply["error_code"], reply["remaining"] <= unit)
        match = client.notice("OrdersMatched")
        assert ("bid" in match, "ask" in match) == (sign < 0, sign > 0)
        assert total - estimate["total"] <= unit


def test_bad_orders_are_refused(served, client):
    """With the code that each has."""
    pair, lot = served.pair, served.lot
    price = client.ask("WatchTicker", **pair, watch=True)["bid"]
    too_much = 10**11 if served.venue == "coinflex" else 10**12
    cases = [
        (1, {"base": 1, "counter": 2, "quantity": lot, "price": price}),
        (4, {**pair, "quantity": too_much, "price": price}),
        (8, {**pair, "quantity": 0, "price": price}),
        (8, {**pair, "quantity": lot, "price": 0}),
        (8, {**pair, "quantity": lot, "price": price, "tonce": 0}),
        (8, {**pair}),
        (8, {**pair, "quantity": lot, "total": lot}),
        (8, {**pair, "quantity": 2**62, "price": 2**62}),
    ]
    for code, fields in cases:
        assert code == client.ask("PlaceOrder", **fields)["error_code"], fields
    assert [] == client.ask("GetOrders")["orders"]


def test_post_only_and_immediate_orders(served, client):
    """CoinFLEX's additions; Coinfloor has neither."""
    if served.venue != "coinflex":
        pytest.skip("fill_or_kill and post_only exist on CoinFLEX only")
    pair, lot = served.pair, served.lot
    ticker = client.ask("WatchTicker", **pair, watch=True)
    order = {**pair, "quantity": lot, "price": ticker["ask"]}
    assert 9 == client.ask("PlaceOrder", **order, post_only=True)["error_code"]
    off_tick = {**pair, "quantity": lot, "price": ticker["bid"] - 300_001}
    placed = client.ask("PlaceOrder", **off_tick, post_only=True)
    opened = client.notice("OrderOpened", id=placed["id"])
    assert ticker["bid"] - 310_000 == opened["price"], "a bid goes down to the tick"
    assert 0 == client.ask("CancelOrder", id=placed["id"])["error_code"]
    killed = client.ask("PlaceOrder", **off_tick, persist="fill_or_kill")
    assert lot == client.notice("OrderClosed", id=killed["id"])["quantity"]


def test_orders_that_do_not_persist_end_with_their_connection(served, client):
    """Others stay. # T2"""
    pair, lot = served.pair, served.lot
    client.ask("CancelAllOrders")
    price = client.ask("WatchTicker", **pair, watch=True)["bid"] - 30 * served.tick
    with served.connect() as visitor:
        visitor.login(*served.user)
        for tonce, persist in ((3001, False), (3002, True)):
            order = {**pair, "quantity": lot, "price": price, "tonce": tonce, "persist": persist}
            assert 0 == visitor.ask("PlaceOrder", **order)["error_code"]
    assert 3001 == client.notice("OrderClosed", tonce=3001)["tonce"]
    assert [3002] == [order["tonce"] for order in client.ask("GetOrders")["orders"]]
    client.ask("CancelAllOrders")


def test_information_is_rationed(served, client):
    """Ten requests in ten seconds a connection; then code 6."""
    codes = [client.ask("GetOrders")["error_code"] for _ in range(12)]
    assert (0, 6) == (codes[0], codes[-1])


# -- TLS ---------------------------------------------------------------------------------------


def test_a_login_over_tls():
    """The authority's file is named in the first line, is good, and is gone afterwards."""
    with simulation("coinflex", "--tls") as served:
        assert served.url.startswith("wss://")
        assert served.ca_file is not None
        with served.connect() as connection:
            assert 0 == connection.login(*served.user)["error_code"]
            assert balances(connection)[USDT] > 0
        with pytest.raises(raw_floor_client.ssl.SSLCertVerificationError):
            FloorClient(served.url)
    assert not Path(served.ca_file).parent.exists()


def test_the_client_works_as_a_program(served):
    """From the command line, in a process of its own."""
    arguments = [served.url, *map(str, served.user)]
    result = subprocess.run(
        [sys.executable, raw_floor_client.__file__, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert any(line.startswith(f"{XBT} ") for line in result.stdout.splitlines())
