"""A client that knows only TheOne's protocol, against the simulation in another process. # T3 T4"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from decimal import Decimal as D
from pathlib import Path

import pytest

from tests.outside import raw_theone_client
from tests.outside.raw_theone_client import TheOneClient
from tests.outside.serving import simulation

OTHER = ("other_key", "a secret: with colons")
MAIN = {"amountIn": "1.5", "assetIn": "ETH", "assetOut": "USDT"}


@pytest.fixture(scope="module")
def served() -> Iterator[dict[str, object]]:
    with simulation("theone", "--account", ":".join(OTHER)) as first:
        yield first


def connect(served, *account, ca_file=None):
    key, secret = account or served["credentials"].values()
    # The venue's own clients append the path to what the environment names as base.
    return TheOneClient(served["url"] + "/ws/v1/stream", key, secret, ca_file)


@pytest.fixture
def client(served) -> Iterator[TheOneClient]:
    with connect(served) as connection:
        assert {"op": "auth", "data": {"status": "authenticated"}} == connection.ask("auth")
        yield connection


def test_the_client_knows_nothing_of_trioflex():
    """It imports the standard library, and the WebSocket beside it."""
    tree = ast.parse(Path(raw_theone_client.__file__).read_text(encoding="utf-8"))
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
    }
    assert imported - sys.stdlib_module_names == {"tests.outside.raw_floor_client"}


def test_the_default_account_is_printed(served):
    """Under the names that the venue's own clients read."""
    assert {
        "BROKER_API_KEY": "test_key_1",
        "BROKER_SECRET_KEY": "test_secret_1",
    } == served["credentials"]


@pytest.mark.parametrize(
    ("account", "skew", "error"),
    [
        (("nobody", "test_secret_1"), 0, "Invalid API key"),
        (("test_key_1", OTHER[1]), 0, "Invalid signature"),
        (OTHER, 60_000, "Request timestamp outside allowed window"),
        (OTHER, -60_000, "Request timestamp outside allowed window"),
    ],
)
def test_logins_are_refused(served, account, skew, error):
    """And nothing can be asked afterwards."""
    with connect(served, *account) as connection:
        assert {"error": error} == connection.ask("auth", skew=skew)
        assert {"error": "Not authenticated"} == connection.ask("balances")


def test_a_replay_is_refused(served):  # T4
    """On the same connection and on another."""
    with connect(served, *OTHER) as connection, connect(served, *OTHER) as another:
        login = connection.signed("auth")
        assert "data" in connection.send(login)
        reused = {"error": "Nonce has already been used or is expired"}
        assert reused == another.send(login)
        order = connection.signed("swap", {**MAIN, "clientOrderId": "replayed"})
        assert "data" in connection.send(order)
        assert reused == connection.send(order)


def test_every_operation(client):
    """Balances, estimate, swap and status, with both channels pushing to the end."""
    assert {"status": "subscribed"} == client.watch("balances")["data"]
    held = {each["asset"]: D(each["total"]) for each in client.push("balances")}
    listed = client.ask("balances")["data"]["balances"]
    assert held == {each["asset"]: D(each["total"]) for each in listed}

    quote = client.ask("estimate", {**MAIN, "filter": ["bybit"]})["data"]
    assert "bybit" == quote["route"][0]["exchange"]
    swap = client.ask("swap", {**MAIN, "slippage_bps": 100, "clientOrderId": "mine"})["data"]
    assert "PENDING" == swap["status"]
    channel = f"orders:{swap['orderId']}"
    assert channel == client.watch(channel)["ch"]
    statuses = [client.push(channel)["status"]]
    while statuses[-1] != "FILLED":
        statuses.append(client.push(channel)["status"])
    assert ["PENDING", "PROCESSING", "FILLED"][-len(statuses) :] == statuses

    locked = client.push("balances")
    assert [{"asset": "ETH", "total": str(held["ETH"]), "locked": "1.5"}] == locked
    after = {each["asset"]: D(each["total"]) for each in client.push("balances")}
    status = client.ask("order_status", {"id": "mine"})["data"]
    assert ("FILLED", swap["orderId"]) == (status["status"], status["orderId"])
    assert held["ETH"] - D("1.5") == after["ETH"]
    assert held["USDT"] + D(status["filledOut"]) == after["USDT"]
    for name in ("balances", channel):
        assert {"status": "unsubscribed"} == client.watch(name, "unsubscribe")["data"]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"op": "nonsense"}, "Unknown operation: nonsense"),
        ({"op": "subscribe", "ch": "nope"}, "Invalid channel format"),
        ([], "Invalid request"),
    ],
)
def test_errors(client, message, error):
    """In the words of the documents."""
    assert {"error": error} == client.send(message)


def test_over_tls():
    """With the authority that the first line names."""
    with simulation("theone", "--account", ":".join(OTHER), "--tls") as served:
        assert served["url"].startswith("wss://")
        with connect(served, ca_file=served["ca_file"]) as connection:
            assert "data" in connection.ask("auth")


@pytest.mark.parametrize(
    ("account", "complaint"),
    [
        ("no colon", "KEY:SECRET"),
        (":hidden", "KEY:SECRET"),
        ("ké:hidden", "KEY:SECRET"),
        ("test_key_1:hidden", "there already"),
    ],
)
def test_accounts_that_are_none(account, complaint, capsys):
    """Explained without the secret."""
    from trioflex.cli.app import app

    with pytest.raises(SystemExit) as leaving:
        app(["simulate", "theone", "--account", account])
    told = capsys.readouterr()
    assert (2, True) == (leaving.value.code, complaint in told.err)
    assert "hidden" not in told.err + told.out
