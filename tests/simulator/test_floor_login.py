"""Logging in to the simulated CoinFLEX and Coinfloor, and how often what may be asked."""

from __future__ import annotations

import base64

import pytest

from tests.simulator.floor_client import (
    COOKIE,
    GBP,
    USDT,
    XBT,
    Client,
    Clock,
    flex,
    floor,
    logged_in,
    signature,
)
from trioflex.simulator import CoinflexModel, CoinfloorModel, FloorAccount, Limit, Limits

WRONG_SIGNATURE = (
    7,
    "You sent an incorrect signature. This probably means you used a wrong passphrase.",
)
WRONG_COOKIE = (7, "You sent an incorrect login cookie.")


# -- login -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [flex, floor])
def test_a_right_login_is_accepted(make):
    """And private methods work from then on."""
    client = logged_in(make())
    assert 0 == client.ask("GetBalances")["error_code"]


def test_wrong_logins_are_refused():  # T4
    """Each for its own reason, and the session stays without an account."""
    client = Client(flex())
    assert (1, "There is no such user.") == client.code("Authenticate", **client.login(2))
    for cookie in ("", "HGREqcILTz8blHa/jsUTVTNBJlh=", "HGREqcILTz8blHa/jsUTVTNBJlg", "ü"):
        login = client.login(cookie=cookie)
        assert WRONG_COOKIE == client.code("Authenticate", **login)
    for passphrase in ("", "opensesam", "Opensesame", "opensesame "):
        login = client.login(passphrase=passphrase)
        assert WRONG_SIGNATURE == client.code("Authenticate", **login)
    assert (7, "You are not authenticated.") == client.code("GetBalances")


def test_a_captured_login_cannot_be_replayed():  # T4
    """The same frame over another connection signs another nonce."""
    model = flex()
    client, thief = Client(model), Client(model)
    login = client.login()
    assert {"error_code": 0} == client.ask("Authenticate", **login)
    assert WRONG_SIGNATURE == thief.code("Authenticate", **login)


def test_every_part_of_the_message_is_signed():  # T4
    """Another client nonce, another server nonce, another user: another signature."""
    client = Client(flex())
    right = client.login()
    other_nonce = base64.b64encode(bytes(16)).decode()
    assert WRONG_SIGNATURE == client.code("Authenticate", **{**right, "nonce": other_nonce})
    r, s = right["signature"]
    assert WRONG_SIGNATURE == client.code("Authenticate", **{**right, "signature": [s, r]})
    for message in (
        (1).to_bytes(8, "little") + client.nonce + bytes(range(16)),
        (1).to_bytes(8, "big") + bytes(range(16)) + client.nonce,
        (2).to_bytes(8, "big") + client.nonce + bytes(range(16)),
    ):
        forged = signature(1, "opensesame", message)
        assert WRONG_SIGNATURE == client.code("Authenticate", **{**right, "signature": forged})
    assert {"error_code": 0} == client.ask("Authenticate", **right)


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "1"},
        {"user_id": None},
        {"user_id": 1.0},
        {"user_id": True},
        {"user_id": -1},
        {"user_id": 2**64},
        {"cookie": None},
        {"cookie": 5},
        {"nonce": None},
        {"nonce": ""},
        {"nonce": "AAAA"},
        {"nonce": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"nonce": "AAAAAAAAAAAA AAAAAAAAAA=="},
        {"nonce": "_-AAAAAAAAAAAAAAAAAAAA=="},
        {"nonce": "ÄAAAAAAAAAAAAAAAAAAAAA=="},
        {"signature": None},
        {"signature": ["AAAA"]},
        {"signature": ["AAAA", "AAAA"]},
        {"signature": [1, 2]},
        {"signature": {"r": "", "s": ""}},
        {"signature": [base64.b64encode(bytes(29)).decode()] * 2},
        {"signature": [base64.b64encode(bytes(28)).decode()] * 3},
    ],
    ids=str,
)
def test_malformed_logins_are_bad_requests(change):
    """What is not an id, a cookie, a nonce or a signature is told apart from a wrong one."""
    client = Client(flex())
    assert 8 == client.code("Authenticate", **{**client.login(), **change})[0]


def test_signatures_of_zeros_are_refused():  # T4
    """Right in length, and no signature."""
    client = Client(flex())
    zeros = [base64.b64encode(bytes(28)).decode()] * 2
    assert WRONG_SIGNATURE == client.code("Authenticate", **{**client.login(), "signature": zeros})


def test_a_wrong_cookie_is_told_before_a_wrong_signature():
    """The order in which a venue looks."""
    client = Client(flex())
    login = client.login(cookie="wrong", passphrase="wrong")
    assert WRONG_COOKIE == client.code("Authenticate", **{**login, "nonce": "?"})


def test_large_user_ids_and_any_passphrase_log_in():
    """An id has 64 bits, a passphrase any characters."""
    user_id, passphrase = 2**64 - 1, "pässwörd 密码 "
    model = flex(accounts=[FloorAccount(user_id, COOKIE, passphrase)])
    logged_in(model, user_id, passphrase=passphrase)


def test_a_second_login_takes_the_place_of_the_first():
    """A connection has one account, and hears of that one."""
    model = flex(accounts=[FloorAccount(), FloorAccount(2)])
    client = logged_in(model)
    client.place(10, 80_000_000, persist=False)
    assert {"error_code": 0} == client.ask("Authenticate", **client.login(2))
    assert [] == client.ask("GetOrders")["orders"]
    client.notices()
    model.place_as(1, "XBT", "USDT", quantity=5, price=70_000_000)
    assert [] == client.notices()
    model.place_as(2, "XBT", "USDT", quantity=5, price=70_000_000)
    assert ["BalanceChanged", "OrderOpened"] == [notice["notice"] for notice in client.notices()]
    # The first account's order dies with the connection all the same.
    client.peer.closed()
    assert [70_000_000] * 2 == [order.price for order in model.book("XBT", "USDT")]


def test_a_failed_login_leaves_the_account_in_place():
    """Who is logged in stays it."""
    client = logged_in(flex())
    assert WRONG_COOKIE == client.code("Authenticate", **client.login(cookie="x"))
    assert 0 == client.ask("GetBalances")["error_code"]


def test_a_read_only_venue_refuses_every_login():
    """As Coinfloor's first version did at its end: the text is that for a wrong cookie."""
    model = floor(version=1, read_only=True)
    client = Client(model)
    assert WRONG_COOKIE == client.code("Authenticate", **client.login())
    assert 0 == client.ask("WatchTicker", base=XBT, counter=GBP, watch=True)["error_code"]


def test_passphrases_do_not_show():
    """Not in the account's text, and no secret of a login in the record's."""
    account = FloorAccount(5, COOKIE, "xyzzy")
    assert "xyzzy" not in repr(account)
    model = flex()
    client = logged_in(model)
    text = repr(model.record)
    assert COOKIE not in text
    assert str(client.login()["signature"][1]) not in text
    assert {"tag": 1, "method": "Authenticate", "user_id": 1} == model.record[0].request


# -- limits ------------------------------------------------------------------------------------

FEW = Limits(authentication=Limit(2, 100), placements=Limit(3, 10), information=Limit(2, 10))
TOO_FAST = {
    "authentication": (6, "You are making authentication attempts too rapidly."),
    "placements": (6, "You are sending orders too rapidly."),
    "information": (6, "You are making information requests too rapidly."),
}


def test_information_is_limited_per_connection():
    """The next connection of the same user has an allowance of its own."""
    clock = Clock()
    model = flex(limits=FEW, clock=clock)
    client, other = logged_in(model), logged_in(model)
    assert 0 == client.ask("GetBalances")["error_code"]
    assert 0 == client.ask("GetOrders")["error_code"]
    assert TOO_FAST["information"] == client.code("GetTradeVolume", asset=XBT)
    assert 0 == other.ask("GetBalances")["error_code"]
    clock.advance(5)
    assert 0 == client.ask("GetBalances")["error_code"]
    assert TOO_FAST["information"] == client.code("GetBalances")


def test_placements_are_limited_per_user():
    """Over all connections; a refused order was not placed."""
    model = flex(limits=FEW)
    client, other = logged_in(model), logged_in(model)
    client.place(10, 80_000_000)
    assert 8 == other.code("ModifyOrder")[0]
    assert 1 == other.code("CancelOrder", id=99)[0]
    order = {"base": XBT, "counter": USDT, "quantity": 10, "price": 80_000_000}
    for method, fields in (
        ("PlaceOrder", order),
        ("CancelAllOrders", {}),
        ("EstimateMarketOrder", {"base": XBT, "counter": USDT, "quantity": 1}),
    ):
        assert TOO_FAST["placements"] == client.code(method, **fields)
    assert 1 == len(model.book("XBT", "USDT"))


def test_estimates_without_a_login_are_limited_too():
    """Per connection then, as there is no user."""
    model = flex(limits=FEW)
    client, other = Client(model), Client(model)
    estimate = {"base": XBT, "counter": USDT, "quantity": 1}
    for _ in range(3):
        assert 0 == client.ask("EstimateMarketOrder", **estimate)["error_code"]
    assert TOO_FAST["placements"] == client.code("EstimateMarketOrder", **estimate)
    assert 0 == other.ask("EstimateMarketOrder", **estimate)["error_code"]


def test_login_attempts_are_limited_per_user():
    """Wrong ones count, and a right one is refused then as well."""
    model = flex(limits=FEW, accounts=[FloorAccount(), FloorAccount(2)])
    for _ in range(2):
        client = Client(model)
        assert WRONG_COOKIE == client.code("Authenticate", **client.login(cookie="x"))
    client = Client(model)
    assert TOO_FAST["authentication"] == client.code("Authenticate", **client.login())
    assert {"error_code": 0} == client.ask("Authenticate", **client.login(2))


def test_watching_is_not_limited():
    """The documents name no limit for it."""
    model = flex(limits=FEW)
    client = Client(model)
    for _ in range(20):
        for watch in (True, False):
            reply = client.ask("WatchOrders", base=XBT, counter=USDT, watch=watch)
            assert 0 == reply["error_code"]


@pytest.mark.parametrize(("make", "count"), [(CoinflexModel, 200), (CoinfloorModel, 1_000)])
def test_the_documented_limits_are_on_by_default(make, count):  # R8
    """The documented burst is allowed, a much larger one is not."""
    client = logged_in(make(clock=Clock(), empty=True))
    codes = [client.ask("CancelOrder", id=1)["error_code"] for _ in range(2 * count)]
    assert {1} == set(codes[:count])
    assert 6 == codes[-1]
    information = [client.ask("GetOrders")["error_code"] for _ in range(11)]
    assert [0] * 10 + [6] == information
