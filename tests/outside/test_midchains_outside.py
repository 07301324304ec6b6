"""A client that knows only MidChains' protocol, against the simulation next door. # T3 T4"""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal as D
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.outside import raw_midchains_client
from tests.outside.raw_floor_client import Closed
from tests.outside.raw_midchains_client import Book, MidChainsClient
from tests.outside.serving import simulation

OTHERS = [(f"OTHER{number}", "a password: with cölons") for number in range(4)]
"""A user for each test that asks much: requests are counted by user."""

REFUSED = "invalid user/password"
FOREIGN = generate_private_key(65537, 2048).public_key()


@pytest.fixture(scope="module")
def served() -> Iterator[dict[str, object]]:
    accounts = [part for pair in OTHERS for part in ("--account", ":".join(pair))]
    with simulation("midchains", *accounts) as first:
        yield first


@contextmanager
def session(served, who) -> Iterator[MidChainsClient]:
    with MidChainsClient(served["url"]) as client:
        assert {"type": "login", "result": "OK"} == client.login(*who)
        yield client


def test_the_client_knows_nothing_of_trioflex():
    """It imports the standard library, one library of cryptography, and the WebSocket beside it."""
    tree = ast.parse(Path(raw_midchains_client.__file__).read_text(encoding="utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if not name.startswith("cryptography.")
    }
    assert imported - sys.stdlib_module_names == {"tests.outside.raw_floor_client"}


def test_the_default_account_is_printed(served):
    """Under the names that the environment has for it; it can log in."""
    assert {
        "MIDCHAINS_USER_ID": "JOHNUSER",
        "MIDCHAINS_PASSWORD": "PASSWORD",
    } == served["credentials"]
    with session(served, served["credentials"].values()) as client:
        assert {"type": "logout", "result": "OK"} == client.ask("logout")


@pytest.mark.parametrize(
    ("who", "key"),
    [
        (("JOHNUSER", "password"), None),
        (("JOHNUSER", ""), None),
        (("NOBODY", "PASSWORD"), None),
        (("OTHER0", "PASSWORD"), None),
        (("JOHNUSER", "PASSWORD"), FOREIGN),
    ],
)
def test_logins_are_refused(served, who, key):
    """Nothing can be asked afterwards; another try with the right password succeeds."""
    with MidChainsClient(served["url"]) as client:
        client.key()
        assert {"type": "login", "result": REFUSED} == client.login(*who, key)
        assert "OK" != client.ask("querypos")["result"]
        assert "OK" == client.login("JOHNUSER", "PASSWORD")["result"]


@pytest.mark.parametrize(
    "field",
    ["PASSWORD", "UEFTU1dPUkQ=", "", "not Base64!", "A" * 344],
    ids=lambda field: field[:12],
)
def test_passwords_that_are_not_encrypted(served, field):
    """Are refused like wrong ones."""
    with MidChainsClient(served["url"]) as client:
        client.key()
        answer = client.ask("login", userid="JOHNUSER", **{"pass": field})
        assert {"type": "login", "result": REFUSED} == answer


def test_what_needs_a_login(served):
    """Is refused without one; the error is the result."""
    with MidChainsClient(served["url"]) as client:
        for kind in ("addorder", "cancelorder", "queryorder", "querytrade", "querypos"):
            answer = client.ask(kind, security="BTCUSD")
            assert (kind, True) == (answer["type"], answer["result"] not in ("", "OK"))


def test_the_feed_of_books(served):
    """The first message is the book as it is; orders come, change and go by their ids."""
    with MidChainsClient(served["url"]) as client:
        client.subscribe(("book", "BTCUSD"), ("book", "ETHUSD"))
        books = {"BTCUSD": Book(), "ETHUSD": Book()}
        for name, book in books.items():
            first = client.push("book", security=name)
            assert {"U"} == {entry["act"] for entry in first["books"]}
            assert {int} == {type(entry["id"]) for entry in first["books"]}
            book.apply(first)
        acts = set()
        while acts != {"U", "R"}:
            message = client.receive()
            acts |= {entry["act"] for entry in message["books"]}
            books[message["security"]].apply(message)
        for book in books.values():
            bids, asks = (
                [D(price) for side, price, _ in book.entries.values() if side == wanted]
                for wanted in "BS"
            )
            assert max(bids) < min(asks)


def test_all_books_at_once_and_trades(served):
    """``*`` is every pair; a trade names itself, and the side that was there before."""
    with MidChainsClient(served["url"]) as client:
        client.subscribe(("book", "*"), ("trade", "BTCUSD"), ("trade", "ETHUSD"))
        for name in ("BTCUSD", "ETHUSD", "LTCUSD"):
            assert client.push("book", security=name)["books"]
        trades = [client.push("trade") for _ in range(3)]
        assert {"B", "S"} >= {trade["maker_side"] for trade in trades}
        assert 3 == len({trade["matchid"] for trade in trades})
        for trade in trades:
            assert (trade["src"], 13) == ("CROX", len(trade["time"]))
            assert D(trade["price"]) * D(trade["qty"]) > 0


def test_a_limit_order_from_beginning_to_end(served):
    """It waits in the book under its own name, can be asked for, and is cancelled once."""
    with session(served, OTHERS[0]) as client:
        before = D(client.push("position", security="BTC")["curpos"])
        client.subscribe(("book", "BTCUSD"))
        client.push("book")
        asked = {"security": "BTCUSD", "side": "B", "price": "1000.5", "qty": "0.5"}
        added = client.ask("addorder", **asked, tif="GTC", clientorderid="mine")
        refno = added["refno"]
        assert {**asked, "result": "OK"}.items() <= added.items()
        opened = client.push("order", refno=refno)
        assert ("0.5", "0", "mine") == (
            opened["liveqty"],
            opened["execqty"],
            opened["clientorderid"],
        )
        shown = [
            entry for entry in client.push("book")["books"] if D(entry["price"]) == D("1000.5")
        ]
        while not shown:
            shown = [
                entry for entry in client.push("book")["books"] if D(entry["price"]) == D("1000.5")
            ]
        assert [("B", "U", "0.5")] == [(each["side"], each["act"], each["qty"]) for each in shown]

        name = {"security": "BTCUSD", "refno": refno}
        row = client.ask("queryorder", **name)["data"]
        assert ("order", "0.5", "CROX") == (row["type"], row["liveqty"], row["category"])
        for kind in ("querymultiorders", "querymultiorder"):
            rows, _ = client.rows(kind, answered_as="querymultiorders", security="BTCUSD")
            assert [refno] == [each["refno"] for each in rows]

        assert {**name, "result": "OK"}.items() <= client.ask("cancelorder", **name).items()
        assert "0" == client.push("order", refno=refno)["liveqty"]
        assert "order not found" == client.ask("cancelorder", **name)["result"]
        wrong = {"security": "BTCUSD", "refno": "R99999"}
        assert "order not found" == client.ask("queryorder", **wrong)["result"]
        assert before == D(client.rows("querypos", security="BTC")[0][0]["curpos"])


def test_market_orders_sales_and_positions(served):
    """Trades, positions and both answers add up, over several parts of an answer."""
    with session(served, OTHERS[1]) as client:
        at_first = {row["security"]: D(row["curpos"]) for row in client.rows("querypos")[0]}
        answer = client.ask(
            "addorder", security="LTCUSD", side="B", ordertype="MKT", tif="IOC", qty="1"
        )
        assert "cannot use qty for market buy order" == answer["result"]
        assert "refno" not in answer
        for asset, quantity in (("BTC", "9"), ("ETH", "90"), ("LTC", "900")):
            buy = {"security": f"{asset}USD", "side": "B", "amount": "99000"}
            sell = {"security": f"{asset}USD", "side": "S", "qty": quantity}
            for order in (buy, sell):
                added = client.ask("addorder", **order, ordertype="MKT", tif="IOC")
                assert "OK" == added["result"]
                sale = client.push("sale", refno=added["refno"])
                assert (order["side"], order["security"]) == (sale["side"], sale["security"])
        rows, parts = client.rows("querytrade")
        assert (True, -(-len(rows) // 100)) == (len(rows) > 100, parts)
        assert len(rows) == len({row["traderefno"] for row in rows})
        some, _ = client.rows("querytrade", security="ETHUSD")
        assert {"ETHUSD"} == {row["security"] for row in some}

        moved = dict.fromkeys(at_first, D(0))
        for row in rows:
            quantity = D(row["execqty"]) * (1 if row["side"] == "B" else -1)
            moved[row["security"][:3]] += quantity
            moved["USD"] -= quantity * D(row["execprice"])
        now = {row["security"]: D(row["curpos"]) for row in client.rows("querypos")[0]}
        for asset in ("BTC", "ETH", "LTC"):
            assert at_first[asset] + moved[asset] == now[asset]
        # Money is rounded to six digits in each of the trades.
        assert abs(at_first["USD"] + moved["USD"] - now["USD"]) < D("0.001")
        assert "no position" == client.ask("querypos", security="XRP")["result"]
        assert client.ask("querypendingpos")["result"] in ("OK", "no position")


def test_orders_that_wait_and_end(served):
    """Stop orders are staged, others end at their time; times end in 000."""
    with session(served, OTHERS[2]) as client:
        stop = {"security": "ETHUSD", "side": "B", "ordertype": "LMT", "tif": "GTC"}
        added = client.ask(
            "addorder", **stop, stoptype="STOP", stopprice="9000", price="9100", qty="1"
        )
        name = {"security": "ETHUSD", "refno": added["refno"]}
        row = client.ask("queryorder", **name)["data"]
        assert ("STAGE", "0") == (row["category"], row["liveqty"])
        assert "OK" == client.ask("cancelorder", **name)["result"]

        seconds = int(time.time()) + 3
        until = {"security": "ETHUSD", "side": "B", "tif": "GTT", "price": "1", "qty": "1"}
        refused = client.ask("addorder", **until, exptime=f"{seconds}001")
        assert ("refno" in refused, refused["result"] == "OK") == (False, False)
        added = client.ask("addorder", **until, exptime=f"{seconds}000")
        assert "1" == client.push("order", refno=added["refno"])["liveqty"]
        ended = client.push("order", refno=added["refno"])
        assert ("0", "0") == (ended["liveqty"], ended["execqty"])
        assert int(ended["updtime"]) >= seconds * 1_000
        killed = client.ask(
            "addorder", security="ETHUSD", side="B", tif="FOK", price="9000", qty="999"
        )
        row = client.ask("queryorder", security="ETHUSD", refno=killed["refno"])["data"]
        assert ("0", "0") == (row["liveqty"], row["execqty"])
        none, _ = client.rows("querymultiorders", fromtime=f"{seconds + 3600}")
        every, _ = client.rows("querymultiorders", fromtime=f"{seconds - 3600}000")
        assert (0, 3) == (len(none), len(every))
        assert "OK" != client.ask("querytrade", fromtime=f"{seconds}123")["result"]


@pytest.mark.parametrize(
    "fields",
    [
        {"ordertype": "MKT", "amount": "10"},
        {"ordertype": "MKT", "tif": "GTC", "amount": "10"},
        {"tif": "GTT", "price": "1", "qty": "1"},
        {"price": "1"},
        {"qty": "1"},
        {"price": "1", "qty": "-1"},
        {"price": "9999999", "qty": "999999"},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_orders_that_are_refused(served, fields):
    """By a text instead of ``OK``, and without a name."""
    with session(served, OTHERS[3]) as client:
        answer = client.ask("addorder", security="BTCUSD", side="B", **fields)
        assert ("addorder", False) == (answer["type"], answer["result"] == "OK")
        assert "refno" not in answer


def test_a_session_ends_at_logout_and_orders_outlive_it(served):
    """The server closes; what is open comes again after the next login."""
    with session(served, OTHERS[3]) as client:
        order = {"security": "LTCUSD", "side": "B", "tif": "GTC", "price": "1", "qty": "2"}
        refno = client.ask("addorder", **order)["refno"]
        assert {"type": "logout", "result": "OK"} == client.ask("logout")
        with pytest.raises(Closed):
            while True:
                client.receive()
    with session(served, OTHERS[3]) as client:
        assert "2" == client.push("order", refno=refno)["liveqty"]
        assert "OK" == client.ask("cancelorder", security="LTCUSD", refno=refno)["result"]


def test_over_tls():
    """With the authority that the first line names; it is a program, too."""
    with simulation("midchains", "--tls", "--no-trade") as served:
        assert served["url"].startswith("wss://")
        arguments = [served["url"], *served["credentials"].values(), served["ca_file"]]
        shown = subprocess.run(
            [sys.executable, "-m", "tests.outside.raw_midchains_client", *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        ).stdout
        assert ["login: OK", "BTC 10", "ETH 100", "LTC 1000", "USD 1000000"] == shown.splitlines()


@pytest.mark.parametrize(
    ("account", "complaint"),
    [
        ("no colon", "USER:PASSWORD"),
        (":hidden", "USER:PASSWORD"),
        ("JOHNUSER:hidden", "there already"),
    ],
)
def test_accounts_that_are_none(account, complaint, capsys):
    """Explained without the password."""
    from trioflex.cli.app import app

    with pytest.raises(SystemExit) as leaving:
        app(["simulate", "midchains", "--account", account])
    told = capsys.readouterr()
    assert (2, True) == (leaving.value.code, complaint in told.err)
    assert "hidden" not in told.err + told.out
