"""The fixtures, as users' tests meet them."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.simulator.echo import EchoModel
from trioflex import Target, open_client
from trioflex.venues import midchains, oceanex

USE = """
    async with coinflex_exchange.connector(Target(url="ws://x/")) as transport:
        welcome = json.loads((await transport.receive())[0])
    assert "Welcome" == welcome["notice"]
    assert () == coinflex_exchange.open_connections
"""

MODES = {
    "auto": ("[pytest]\ntrio_mode = true\n", "async def test_it(coinflex_exchange):"),
    "strict": ("[pytest]\n", "@pytest.mark.trio\nasync def test_it(coinflex_exchange):"),
    "none": ("[pytest]\n", "def test_it(coinflex_exchange):\n  async def main():"),
}


@pytest.mark.parametrize("mode", MODES)
def test_fixtures_work_in_every_mode_of_pytest_trio(tmp_path, mode):
    """Automatic, by mark, and without it; and nothing has to be configured."""
    settings, definition = MODES[mode]
    (tmp_path / "pytest.ini").write_text(settings)
    body = USE if mode != "none" else textwrap.indent(USE, "  ") + "  trio.run(main)\n"
    (tmp_path / "test_it.py").write_text(
        "import json, pytest, trio\nfrom trioflex import Target\n" + definition + body
    )
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (0, "1 passed") == (result.returncode, result.stdout.splitlines()[-1][:8]), result.stdout


def test_the_plugin_costs_nothing_until_it_is_used():
    """Neither the simulator nor what serves it is imported at pytest's start."""
    code = (
        "import sys, trioflex.testing.plugin;"
        "print([m for m in sys.modules if m.startswith(('trioflex.simulator', 'trio_websocket'))])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "[]" == result.stdout.strip()


@pytest.mark.parametrize(
    ("venue", "secret", "greetings"),
    [
        ("coinflex", "COINFLEX_COOKIE", 1),
        ("coinfloor", "COINFLOOR_COOKIE", 1),
        ("midchains", "MIDCHAINS_PASSWORD", 0),
        ("oceanex", "OCEANEX_KEY_FILE", 1),
        ("theone", "BROKER_SECRET_KEY", 0),
    ],
)
async def test_each_venue_has_a_fixture(request, venue, secret, greetings):
    """Its books are filled, and nobody trades but the test."""
    exchange = request.getfixturevalue(f"{venue}_exchange")
    assert venue == exchange.model.name
    assert secret in exchange.model.credentials()
    async with exchange.connector(Target(url="ws://x/")) as transport:
        if greetings:
            assert greetings == len(await transport.receive())
        assert greetings == exchange.statistics().frames


async def test_the_two_that_log_in_with_rsa(midchains_exchange, oceanex_exchange, autojump_clock):
    """Clients find all they need in the credentials; their orders trade."""
    for exchange, venue, order in (
        (midchains_exchange, midchains, midchains.AddOrder("BTCUSD", "B", "0.5", "50000")),
        (
            oceanex_exchange,
            oceanex,
            oceanex.NewOrder("vetusdt", "buy", price="0.03", volume=1000),
        ),
    ):
        async with open_client(
            venue.VENUE,
            credentials=venue.Credentials.from_env(exchange.model.credentials()),
            connector=exchange.connector,
        ) as client:
            await client.request(order)
        [placed] = exchange.model.desk.orders.values()
        assert placed.executed


def test_exchanges_can_be_made_to_order(simulated_exchange):
    """With every option there is, and as many as are needed."""
    first = simulated_exchange("coinflex", seed=3, notices_first=True, empty=True)
    second = simulated_exchange(EchoModel(), shuffle=True)
    assert ("coinflex", True) == (first.model.name, first.notices_first)
    assert ("echo", True) == (second.model.name, second.shuffle)
