"""A client that knows only OceanEx's protocol, against the simulation next door. # T3 T4"""

from __future__ import annotations

import ast
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key as ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.outside import raw_oceanex_client
from tests.outside.raw_floor_client import Closed
from tests.outside.raw_oceanex_client import OceanExClient, Rejected
from tests.outside.serving import simulation

KEY = generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@contextmanager
def oceanex(*options: str) -> Iterator[dict[str, Any]]:
    """Serve it, and end it as a service manager would; its private key goes with it."""
    with simulation("oceanex", *options, by=signal.SIGTERM, status=143) as first:
        yield first
    file = first["credentials"].get("OCEANEX_KEY_FILE")
    assert file is None or not Path(file).parent.exists()


@pytest.fixture(scope="module")
def key_file(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "other.pem"
    file.write_bytes(public_pem(KEY))
    return file


@pytest.fixture(scope="module")
def served(key_file) -> Iterator[dict[str, object]]:
    with oceanex("--account", f"OTHER:KIDOTHER:{key_file}", "--no-trade") as first:
        yield first


def default(served) -> tuple[str, str, bytes]:
    uid, key_id, file = served["credentials"].values()
    return uid, key_id, Path(file).read_bytes()


OTHER = ("OTHER", "KIDOTHER", PEM)


def connect(served, ca_file=None) -> OceanExClient:
    # The path is the one that is signed; the simulation takes any.
    return OceanExClient(served["url"] + "/ws/v1", ca_file)


@pytest.fixture
def client(served) -> Iterator[OceanExClient]:
    with connect(served) as connection:
        assert 0 == connection.login(connection.header(*default(served)))[0]
        yield connection


def test_the_client_knows_nothing_of_trioflex():
    """It imports the standard library, one library of cryptography, and the WebSocket beside it."""
    tree = ast.parse(Path(raw_oceanex_client.__file__).read_text(encoding="utf-8"))
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
    """With the path of a private key that was made for this run."""
    assert ["OCEANEX_UID", "OCEANEX_KEY_ID", "OCEANEX_KEY_FILE"] == list(served["credentials"])
    uid, key_id, pem = default(served)
    assert ("ID4TEST", "KIDTEST", True) == (uid, key_id, b"BEGIN RSA PRIVATE KEY" in pem)


def test_logins(served):
    """Two accounts, with scopes; the welcome says how often pings come."""
    with connect(served) as connection:
        assert {"type": "welcome", "message": 60} == connection.welcome
        code, data = connection.login(connection.header(*OTHER))
        assert (0, {"query": True, "sell/buy": True, "withdraw": False}) == (code, data["scopes"])


@pytest.mark.parametrize(
    ("code", "who", "skew"),
    [
        (1006, ("NOBODY", "KIDOTHER", PEM), 0),
        (1007, ("OTHER", "KIDTEST", PEM), 0),
        (1010, ("ID4TEST", "KIDTEST", PEM), 0),
        (2001, OTHER, 60_000),
        (2001, OTHER, -60_000),
    ],
)
def test_logins_are_denied(served, code, who, skew):
    """And a private call afterwards ends the connection."""
    with connect(served) as connection:
        assert (code, {}) == connection.login(connection.header(*who, skew=skew))
        with pytest.raises(Rejected, match="unauthorized"):
            connection.ask("AccountHandler")
        with pytest.raises(Closed):
            connection.websocket.receive()


def test_a_replay_is_refused(served):  # T4
    """On the same connection and on another."""
    with connect(served) as connection, connect(served) as another:
        header = connection.header(*OTHER)
        assert 0 == connection.login(header)[0]
        assert (2001, {}) == another.login(header) == connection.login(header)


def test_every_public_operation(served):
    """Without a login; in the order of the official client's menu."""
    with connect(served) as connection:
        _, tickers = connection.ask("TickerHandler")
        assert {"vetusdt", "btcusdt", "ethusdt", "ethbtc"} == set(tickers)
        assert {"vetusdt"} == set(connection.ask("TickerHandler", markets=["vetusdt"])[1])
        _, markets = connection.ask("MarketsHandler")
        assert ["VET/USDT", True, 6, 2, "10"] == [
            markets[0][name]
            for name in (
                "name", "enabled", "price_precision", "amount_precision", "minimum_trading_amount",
            )
        ]  # fmt: skip
        _, fees = connection.ask("FeeHandler", "trading_fee")
        assert {"type": "relative", "value": "0.001"} == fees[0]["ask_fee"]
        seconds = connection.ask("ToolHandler", "timestamp")[1]
        assert abs(seconds - connection.header(*OTHER)["nonce"] / 1000) < 5
        _, book = connection.ask("OrderBookHandler", market="btcusdt", level=3, precision=2)
        asks, bids = ([D(price) for price, _ in book[side]] for side in ("asks", "bids"))
        assert (3, 3, True) == (len(asks), len(bids), min(asks) > max(bids))
        _, rows = connection.ask("KlineHandler", market="btcusdt", limit=2, period=5)
        assert rows
        assert all(low <= min(first, last) for _, first, _, low, last, _ in rows)
        whole = connection.ask_raw("ToolHandler", "timestamp", {}, as_text=True)
        assert 0 == whole["message"]["code"]


def test_every_private_operation(client):
    """An order that trades, one that waits, and lists of both; money goes where it should."""

    def held(currency):
        _, data = client.ask("AccountHandler")
        [row] = [each for each in data["accounts"] if each["currency"] == currency]
        return D(row["balance"]), D(row["locked"])

    before = held("vet")
    order = {"market": "vetusdt", "side": "buy", "ord_type": "limit", "volume": 1000.0}
    code, done = client.ask("OrderHandler", "create", **order, price=0.03)
    assert (0, "done", "bid") == (code, done["state"], done["side"])
    assert (before[0] + 999, before[1]) == held("vet")
    _, closed = client.ask("OrderHistoryHandler", "show", id=str(done["id"]))
    assert done["executed_volume"] == closed["executed_volume"]
    assert D(1000) == sum(D(trade["volume"]) for trade in closed["trades"])
    assert D(1) == sum(D(trade["bid_fee"]) for trade in closed["trades"])

    _, free = client.ask("OrderHandler", "create", **order, price=0.02)
    _, other = client.ask("OrderHandler", "create", **order, price=0.021)
    assert ("wait", "1000.0") == (free["state"], free["remaining_volume"])
    assert D(41) == held("usdt")[1]
    assert (0, [other["id"]]) == client.ask("OrderHandler", "cancel", ids=[other["id"]])
    assert (2003, {"ids": [other["id"]]}) == client.ask("OrderHandler", "cancel", ids=[other["id"]])
    _, shown = client.ask("OrderHandler", "show", id=str(free["id"]))
    assert (free["id"], []) == (shown["id"], shown["trades"])
    _, opens = client.ask("OrderHandler", market="vetusdt", ord_type="limit")
    assert ([free["id"]], 1) == (
        [row["id"] for row in opens["resources"]],
        opens["resources_count"],
    )
    assert (0, [free["id"]]) == client.ask("OrderHandler", "clear")
    assert (0, []) == client.ask("OrderHandler", "clear")
    args = {"market": "vetusdt", "state": "cancel", "page": 1, "per": 1, "order_by": "asc"}
    _, history = client.ask("OrderHistoryHandler", **args)
    assert ([free["id"]], 2) == (
        [row["id"] for row in history["resources"]],
        history["resources_count"],
    )
    assert D(0) == held("usdt")[1]


@pytest.mark.parametrize(
    ("handler", "action", "args", "code"),
    [
        ("OrderHandler", "create", {"market": "vetusdt", "side": "buy", "volume": 1}, 2002),
        ("OrderHandler", "create", {"market": "nothing", "side": "buy", "volume": 1}, 2002),
        ("OrderHandler", "cancel", {"ids": [4711]}, 2003),
        ("OrderHandler", "show", {"id": 4711}, 2004),
        ("OrderHistoryHandler", "show", {"id": 4711}, 2004),
        ("OrderBookHandler", "index", {"market": "nothing"}, 1001),
        ("OrderHandler", "steal", {}, 9003),
    ],
)  # fmt: skip
def test_refusals(client, handler, action, args, code):
    """By the codes of the documents."""
    assert code == client.ask(handler, action, **args)[0]


def test_frames_that_are_no_request(client):
    """Are not answered; the next request is."""
    for nonsense in ([], {}, {"command": "pong"}, {"identifier": "x", "command": "message"}):
        client.send(nonsense)
    assert 0 == client.ask("ToolHandler", "timestamp")[0]


def test_a_key_of_ones_own_over_tls(key_file):
    """The private half is nowhere but with its owner."""
    with oceanex("--tls", "--public-key", str(key_file)) as served:
        assert {"OCEANEX_UID": "ID4TEST", "OCEANEX_KEY_ID": "KIDTEST"} == served["credentials"]
        with connect(served, served["ca_file"]) as connection:
            header = connection.header("ID4TEST", "KIDTEST", PEM)
            assert 0 == connection.login(header)[0]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["oceanex", "--account", "OTHER:KID"], "UID:KEY_ID:PUBLIC_KEY_FILE"),
        (["oceanex", "--account", "OTHER:KID:{missing}"], "cannot be read"),
        (["oceanex", "--account", "OTHER:KID:{private}"], "no RSA public key"),
        (["oceanex", "--account", "ID4TEST:KID:{public}"], "user ID4TEST is there already"),
        (["oceanex", "--public-key", "{private}"], "no RSA public key"),
        (["oceanex", "--public-key", "{curve}"], "no RSA public key"),
        (["theone", "--public-key", "{public}"], "is for oceanex"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, complaint, capsys):
    """Are explained, and a private key is not shown."""
    from trioflex.cli.app import app

    files = {
        "missing": None,
        "private": PEM,
        "public": public_pem(KEY),
        "curve": public_pem(ec_key(SECP256R1())),
    }
    for name, content in files.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    paths = {name: str(tmp_path / name) for name in files}
    with pytest.raises(SystemExit) as leaving:
        app(["simulate", *(each.format(**paths) for each in arguments)])
    told = capsys.readouterr()
    # The box around the complaint breaks its lines.
    words = " ".join(told.err.replace("│", " ").split())
    assert (2, True) == (leaving.value.code, complaint in words), words
    assert PEM.decode().splitlines()[1] not in told.err + told.out
