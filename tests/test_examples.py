"""The examples, and the program on the front page, run as they stand."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from trioflex.simulator import SimulatedExchange, open_server, system_clock

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PROGRAMS = [
    "ticker", "quoting_bot", "order_fate", "fanout", "stop_loss", "theone_swap", "midchains_fate",
    "oceanex_fate",
]  # fmt: skip
# Those are run by test_integrations.py.
INTEGRATIONS = ["web_service", "price_service", "many_venues", "asyncio_host"]


ACCOUNTS = ("COINFLEX_", "MIDCHAINS_", "OCEANEX_", "BROKER_")
ACCOUNTS_OF = {
    "quoting_bot": "COINFLEX_", "order_fate": "COINFLEX_", "stop_loss": "COINFLEX_",
    "theone_swap": "BROKER_", "web_service": "BROKER_", "midchains_fate": "MIDCHAINS_",
    "oceanex_fate": "OCEANEX_",
}  # fmt: skip


def run_out(coroutine):
    """Run what ends before it waits for anything, under no loop at all."""
    coroutine.send(None)


@pytest.fixture
def example(monkeypatch):
    """Load an example as ``python examples/NAME.py`` would find it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


async def told(example, capsys, name, *arguments):
    await example(name).main(list(arguments))
    return capsys.readouterr().out


def test_every_example_is_run():
    """No file in the folder is left to itself."""
    files = {path.stem for path in EXAMPLES.glob("*.py")}
    assert files == {*PROGRAMS, *INTEGRATIONS, "where", "test_stop_loss"}


async def test_ticker(example, capsys, autojump_clock):
    """It prints a line for each change."""
    out = await told(example, capsys, "ticker", "--seconds", "30")
    assert len(out.splitlines()) > 20
    assert re.fullmatch(r"XBT:USDT  [\d.]+ / [\d.]+  last [\d.]+", out.splitlines()[0])


async def test_quoting_bot(example, capsys, autojump_clock):
    """It quotes both sides, stops when the book is stale, and starts over afterwards."""
    out = await told(example, capsys, "quoting_bot", "--seconds", "60")
    before, stale, after = out.partition("the book is stale (disconnected)")
    assert stale
    for part in (before, after):
        assert "bid 0.01 at" in part
        assert "ask 0.01 at" in part


async def test_order_fate(example, capsys, autojump_clock):
    """The order whose answer was lost is found, and was placed once."""
    out = await told(example, capsys, "order_fate")
    assert "It may or may not have happened" in out
    assert re.search(r"it was placed: order \d+", out)


async def test_order_fate_of_an_order_that_never_arrived(
    example, coinflex_exchange, capsys, autojump_clock
):
    """An order that is nowhere is not sent again either."""
    order_fate = example("order_fate")
    from trioflex import open_client
    from trioflex.venues import coinflex

    exchange = coinflex_exchange
    account = coinflex.Credentials.from_env(exchange.model.credentials())
    order = coinflex.PlaceOrder("XBT", "USDT", "0.01", 1000, tonce=5)
    exchange.silence("PlaceOrder", execute=False)
    async with (
        open_client(coinflex.VENUE, connector=exchange.connector, credentials=account) as client,
        trio.open_nursery() as nursery,
    ):

        async def drop() -> None:
            await exchange.seen("PlaceOrder")
            exchange.drop()

        nursery.start_soon(drop)
        assert coinflex.NotOpen(5) == await order_fate.place_once(client, order)
    assert 1 == exchange.count("PlaceOrder")


async def test_fanout(example, capsys, autojump_clock):
    """The slow task loses items and says so; the others lose none of theirs."""
    out = await told(example, capsys, "fanout", "--seconds", "60")
    assert "trades may be missing: overflow" in out
    assert "trades may be missing: disconnected" in out
    assert re.search(r"spread \d", out)
    assert re.search(r"after \d+ items: Gap\(reason=<GapReason.DISCONNECTED", out)
    assert not re.search(r"after \d+ items: .*OVERFLOW", out)


async def test_stop_loss(example, capsys, autojump_clock):
    """It ends one way or the other."""
    out = await told(example, capsys, "stop_loss", "--seconds", "600")
    assert re.search(r"sold, all but \d|the market held", out)


async def test_theone_swap(example, capsys, autojump_clock):
    """The swap whose answer was lost is found, and followed to its end."""
    out = await told(example, capsys, "theone_swap")
    assert re.search(r"0.5 ETH would bring [\d.]+ USDT, by way of binance", out)
    assert re.search(r"no answer: [\w-]{36} may or may not have been made", out)
    assert re.search(r"ord_000001 is FILLED: [\d.]+ USDT", out)
    assert "  balances: stale" in out
    assert "  balances: 199.5 ETH" in out


async def test_theone_swap_with_a_venue_elsewhere(example, capsys, monkeypatch):
    """``--url``: the same program over a socket, with credentials from the environment."""
    exchange = SimulatedExchange("theone", clock=system_clock)
    for name, value in exchange.model.credentials().items():
        monkeypatch.setenv(name, value)
    async with open_server(exchange) as address, exchange.trading():
        out = await told(example, capsys, "theone_swap", "--url", address.url)
    assert "no answer" not in out
    assert re.search(r"ord_000001 is FILLED: [\d.]+ USDT", out)


async def test_midchains_fate(example, capsys, autojump_clock):
    """The order whose answer was lost is found by its name, and was placed once."""
    out = await told(example, capsys, "midchains_fate")
    assert out.startswith("no answer: the order may or may not have been placed\n"), out
    assert re.search(r"R00001: buy 0.01 BTCUSD at 1000, open", out), out
    assert out.endswith("cancelled: R00001\n")


async def test_oceanex_fate(example, capsys, caplog, autojump_clock):
    """The order whose answer was lost is found by what it is, was placed once, and is settled."""
    out = await told(example, capsys, "oceanex_fate")
    assert 3 == len(re.findall(r"VET/USDT  0\.025\d+ / 0\.025\d+", out))
    assert "no answer" in out
    assert re.search(r"found: order 1, wait\ncancelled: 1\n$", out), out
    assert "whose outcome nobody knows" not in caplog.text


async def test_oceanex_fate_with_a_venue_elsewhere(example, capsys, monkeypatch):
    """``--url``: the same program over a socket, with credentials from the environment."""
    exchange = SimulatedExchange("oceanex", clock=system_clock)
    for name, value in exchange.model.credentials().items():
        monkeypatch.setenv(name, value)
    async with open_server(exchange) as address:
        await example("oceanex_fate").main(["--url", address.url])
    out = capsys.readouterr().out
    assert "no answer" not in out
    assert out.endswith("cancelled: 1\n")


TRADING = (
    "quoting_bot", "order_fate", "stop_loss", "theone_swap", "midchains_fate", "oceanex_fate",
    "web_service",
)  # fmt: skip


@pytest.mark.parametrize("name", [*TRADING, "asyncio_host"])
def test_without_an_account_an_example_says_so(example, monkeypatch, capsys, name):
    """In one sentence with the variable's name, before it connects."""
    for variable in [key for key in os.environ if key.startswith(ACCOUNTS)]:
        monkeypatch.delenv(variable)
    main = example(name).main
    with pytest.raises(SystemExit) as ended:
        run_out(main(["--url", "ws://127.0.0.1:9/"]))
    assert 2 == ended.value.code
    assert re.search(
        r"error: .*environment variable [A-Z_]+ is not set.* With --url the account comes from the "
        r"environment\n$",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize("name", TRADING)
def test_an_example_that_can_trade_for_real_says_so(example, name):
    """With the names of the variables that hold the account."""
    told = example(name).__doc__
    assert "**for real**" in told
    assert f"Credentials come from the environment ({ACCOUNTS_OF[name]}" in told


def test_many_venues_takes_no_address(example, capsys):
    """It would have to be one for each."""
    with pytest.raises(SystemExit):
        run_out(example("many_venues").main(["--url", "ws://127.0.0.1:9/"]))
    assert "this example is about several venues" in capsys.readouterr().err


async def test_with_a_venue_elsewhere(example, capsys):
    """``--url``: the same program over a socket."""
    exchange = SimulatedExchange("coinflex")
    async with open_server(exchange) as address, exchange.trading():
        out = await told(example, capsys, "ticker", "--url", address.url, "--seconds", "0.5")
    assert out.startswith("XBT:USDT  ")
    assert 1 == exchange.statistics().connections


def test_as_a_program():
    """``python examples/ticker.py`` needs nothing but the package."""
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / "ticker.py"), "--seconds", "0.5"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, "") == (result.returncode, result.stderr)
    assert result.stdout.startswith("XBT:USDT  ")


async def test_the_program_on_the_front_page(monkeypatch, capsys, autojump_clock):
    """README.rst shows twenty lines or so, and they work."""
    readme = (ROOT / "README.rst").read_text(encoding="utf-8")
    block = re.search(r"code-block:: python\n\n((?: {3}.*\n|\n)+)", readme)
    assert block is not None
    program = re.sub(r"(?m)^ {3}", "", block[1])
    assert 26 >= len([line for line in program.splitlines() if line.strip()])
    mains = []
    monkeypatch.setattr(trio, "run", mains.append)
    exec(compile(program, "README.rst", "exec"), {"__name__": "__main__"})
    with trio.move_on_after(10):
        await mains[0]()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 40
    assert all(re.fullmatch(r"[\d.]+ @ [\d.]+ [\d.]+ @ [\d.]+", line) for line in lines)
