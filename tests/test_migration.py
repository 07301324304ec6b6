"""Who comes from an old client finds each of its names, and what is named instead exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "migration"

COMMANDS = (
    "GetBalances", "GetOrders", "EstimateMarketOrder", "PlaceOrder", "ModifyOrder", "CancelOrder",
    "CancelAllOrders", "GetTradeVolume", "WatchOrders", "WatchTicker",
)  # fmt: skip
HANDLERS = (
    "msg_handler", "err_handler", "open_handler", "close_handler", "ping_handler", "pong_handler",
)  # fmt: skip

OLD = {
    "coinflex_and_coinfloor": (
        "WSClient", *HANDLERS, "insecure_ssl", "socket_timeout", "lazy connect", "lazy login",
        "set_auth_data", "authenticate", "send", "stop", *COMMANDS, "Assets", "Scales",
        "clientExample.py", "-k", "-i", "-c", "-p", "-h", "Ctrl-C",
        "COINFLEX_PASSPHRASE", "COINFLOOR_PASSPHRASE",
    ),
    "theone": (
        "BrokerWSClient", "connect", "close", "is_connected", "async with", "subscribe",
        "unsubscribe", "get_balances", "estimate_swap", "do_swap", "get_order_status",
        "response_handler", "max_reconnect_attempts", "reconnect_delay", "logger",
        "several clients", "service class", "FastAPI", "Django", "filter_sources",
        "BROKER_API_KEY", "BROKER_SECRET_KEY", "BROKER_BASE_URL", "authenticated",
        "disconnected", "subscribed", "unsubscribed", "response", "DoSwapSimple", "Wait",
    ),
    "oceanex": (
        *(f"``{number}``" for number in range(1, 18)), "stop", "q", "Q", "quit", "exit", "?", "h",
        "help", "banner", "lhelp", "cls", "clear", "sh", "shell", "-l", "--logLevel", "userid",
        "apikid", "key.pem", "url", "ws_client.log", "comma-separated",
    ),
    "midchains": (
        "create_connection", "recv", "WebSocketApp", "on_open", "on_message", "on_error",
        "on_close", "run_forever", "book", "trade", "challenge", "addorder", "cancelorder",
        "queryorder", "querymultiorders", "querytrade", "querypos", "querypendingpos", "logout",
    ),
}  # fmt: skip
"""What the old clients could do, by the lists that were made from their source."""


def rows(page: str) -> list[tuple[str, str]]:
    """Return the rows of all tables of a page: what was there, what is here."""
    text = (PAGES / f"{page}.rst").read_text("utf-8")
    cells = re.findall(
        r"^   \* - (.+?)\n     - (.+?)(?=\n   \* - |\n\n|\Z)", text, re.MULTILINE | re.DOTALL
    )
    return [(there, here) for there, here in cells if (there, here) != ("There", "Here")]


def test_every_page_is_looked_at():
    """A page that is added is added here, too."""
    assert {path.stem for path in PAGES.glob("*.rst")} == {"index", *OLD}


@pytest.mark.parametrize("page", OLD)
def test_nothing_of_the_old_client_is_missing(page):
    """Each of its calls, hooks, settings and options has a row, and the row an answer."""
    left = [there for there, _ in rows(page)]
    text = "\n".join(left) + (PAGES / f"{page}.rst").read_text("utf-8").splitlines()[0]
    missing = [
        name for name in OLD[page] if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)
    ]
    assert missing == []
    assert all(here.strip() for _, here in rows(page))


@pytest.mark.parametrize("page", [*OLD, "index"])
def test_what_is_named_instead_exists(page):
    """Each reference to a Python object can be imported."""
    text = (PAGES / f"{page}.rst").read_text("utf-8")
    for role, dotted in re.findall(r":(class|func|meth|attr|data|mod):`(trioflex[\w.]*)`", text):
        if role == "mod":
            importlib.import_module(dotted)
            continue
        parts = dotted.split(".")
        for size in range(len(parts) - 1, 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:size]))
            except ModuleNotFoundError:
                continue
            break
        for name in parts[size:]:
            found = getattr(found, name)


@pytest.mark.parametrize("page", OLD)
def test_examples_that_are_named_exist(page):
    """So do the programs."""
    text = (PAGES / f"{page}.rst").read_text("utf-8")
    missing = [
        name for name in re.findall(r"``(examples/\w+\.py)``", text) if not (ROOT / name).exists()
    ]
    assert missing == []
