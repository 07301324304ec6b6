"""The examples that put a client into something larger: a web server, a service, another loop."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from trioflex import ConnectFailed, ConnectionLost, Reconnect, open_client
from trioflex.simulator import SimulatedExchange, open_exchange
from trioflex.venues import coinflex, theone

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def example(monkeypatch):
    """Load an example as ``python examples/NAME.py`` would find it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


# -- behind a web server -----------------------------------------------------------------------


def fetch(url, body=None):
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


@pytest.fixture
async def web(example, nursery):
    """A served application: its exchange, and how to ask it."""
    module = example("web_service")
    async with open_exchange("theone", snapshots=True) as exchange:
        account = theone.Credentials.from_env(exchange.model.credentials())
        async with open_client(
            theone.VENUE,
            credentials=account,
            connector=exchange.connector,
            reconnect=Reconnect(base=0.1),
        ) as client:
            [base] = await nursery.start(module.serve, client, "127.0.0.1:0")

            async def ask(path, body=None):
                return await trio.to_thread.run_sync(fetch, base + path, body)

            await balances_are_live(ask)
            yield exchange, ask


async def balances_are_live(ask):
    while (await ask("/balances"))[0] != 200:  # noqa: ASYNC110 - HTTP has nothing to wait for
        await trio.sleep(0.01)


def swap(name, **changes):
    return {
        "client_order_id": name,
        "amount_in": "0.5",
        "asset_in": "ETH",
        "asset_out": "USDT",
        **changes,
    }


async def test_the_web_service_serves(web):
    """Status, balances and a swap, next to a live client."""
    _, ask = web
    status, told = await ask("/status")
    assert (200, True, "live", []) == (
        status,
        told["ready"],
        told["balances"],
        told["unsettled"],
    )
    status, balances = await ask("/balances")
    assert (200, "200") == (status, balances["ETH"])
    status, accepted = await ask("/swap", swap("a-1"))
    assert (200, "PENDING") == (status, accepted["status"])
    assert (200, accepted["order_id"]) == (
        status,
        (await ask("/swap/a-1"))[1]["order_id"],
    )


async def test_the_web_service_says_what_is_known(web):
    """Refused, never heard of, written wrongly: each has its status."""
    exchange, ask = web
    assert 409 == (await ask("/swap", swap("a-2", amount_in="100000")))[0]
    assert 404 == (await ask("/swap/nobody"))[0]
    assert 422 == (await ask("/swap", swap("a-3", amount_in="-1")))[0]
    assert 422 == (await ask("/swap", {}))[0]
    assert 1 == exchange.count("swap")


async def test_the_web_service_during_an_outage(web):
    """The swap that was under way is a 202 with the way to its fate; what is stale is not told."""
    exchange, ask = web
    exchange.silence("swap", times=1)
    answers = []

    async def order():
        answers.append(await ask("/swap", swap("a-4")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(order)
        await exchange.seen("swap")
        refusing = exchange.refuse_connections()
        exchange.drop()
    [(status, told)] = answers
    assert 202 == status
    assert told["detail"].endswith("GET /swap/a-4")
    assert 503 == (await ask("/balances"))[0]
    assert 503 == (await ask("/swap", swap("a-5")))[0]
    status = (await ask("/status"))[1]
    assert (False, "stale") == (status["ready"], status["balances"])
    refusing.stop()
    await balances_are_live(ask)
    assert 200 == (await ask("/swap/a-4"))[0]
    assert 1 == exchange.count("swap")


# -- a service ---------------------------------------------------------------------------------


async def test_a_service_starts_and_stops(example, coinflex_exchange, nursery, autojump_clock):
    """It knows from its start on, forgets with a gap, and leaves nothing behind."""
    exchange = coinflex_exchange
    service = example("price_service").PriceService(
        ("XBT", "USDT"), ("ETH", "USDT"), connector=exchange.connector
    )
    assert service.price("XBT", "USDT") is None
    before = len(nursery.child_tasks)
    await service.start(nursery)
    await trio.testing.wait_all_tasks_blocked()
    assert None not in (service.price("XBT", "USDT"), service.price("ETH", "USDT"))
    exchange.drop()
    await trio.testing.wait_all_tasks_blocked()
    assert service.price("XBT", "USDT") is None
    await trio.sleep(5)
    assert service.price("XBT", "USDT") is not None
    await service.stop()
    assert service.price("XBT", "USDT") is None
    await trio.testing.wait_all_tasks_blocked()
    assert before == len(nursery.child_tasks)


async def test_a_service_that_cannot_start_says_so(example, coinflex_exchange, autojump_clock):
    """``start()`` raises, and so does not pretend."""
    coinflex_exchange.refuse_connections()
    service = example("price_service").PriceService(
        ("XBT", "USDT"), connector=coinflex_exchange.connector
    )
    with pytest.raises(ExceptionGroup) as raised:
        async with trio.open_nursery() as nursery:
            await service.start(nursery)
    assert [ConnectFailed] == [type(each) for each in raised.value.exceptions]


async def test_the_service_example(example, capsys, autojump_clock):
    """It runs as it stands."""
    await example("price_service").main(["--seconds", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert 4 == len(lines)
    assert all(re.fullmatch(r"XBT [\d.]+, ETH [\d.]+", line) for line in lines[:3])
    assert "stopped" == lines[3]


# -- many venues -------------------------------------------------------------------------------


async def test_many_venues(example, capsys, autojump_clock):
    """One task sees the books of all."""
    await example("many_venues").main(["--seconds", "10"])
    seen = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert {"coinflex", "coinfloor", "midchains"} == seen


async def test_one_of_many_venues_is_lost(example, capsys, autojump_clock):
    """It is told, and the others go on; one that comes back is in again."""
    exchanges = {name: SimulatedExchange(name) for name in ("coinflex", "coinfloor", "midchains")}
    exchanges["coinfloor"].refuse_connections(403)

    async def trouble():
        await trio.sleep(10)
        exchanges["coinflex"].drop()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trouble)
        await example("many_venues").main(
            ["--seconds", "60"], {name: each.connector for name, each in exchanges.items()}
        )
    out = capsys.readouterr().out
    assert re.search(r"(?m)^coinfloor is lost: .*403", out)
    assert re.search(r"(?m)^midchains  [\d.]+ @", out)
    assert re.search(r"(?ms)^coinflex   \d.*^coinflex   None \| None$.*^coinflex   \d", out)


# -- a guest of asyncio ------------------------------------------------------------------------


@pytest.fixture
def hosted(example):
    return example("asyncio_host").hosted


@asynccontextmanager
async def flexible(exchange, **options):
    """A client beside its exchange, for a Trio that is a guest."""
    account = coinflex.Credentials.from_env(exchange.model.credentials())
    async with open_client(
        coinflex.VENUE, credentials=account, connector=exchange.connector, **options
    ) as client:
        yield client


def test_the_guest_example(example, capsys):
    """It runs as it stands, and ends."""
    asyncio.run(example("asyncio_host").main(["--seconds", "0.3"]))
    lines = capsys.readouterr().out.splitlines()
    assert "3 balances" == lines[0]
    assert lines[1].startswith("TickerSnapshot XBT:USDT last=")


def test_a_guests_errors_and_the_hosts(hosted):
    """What a call raises is raised where it was asked; what the block raises comes out."""
    exchange = SimulatedExchange("coinflex")

    async def main():
        async with hosted(flexible(exchange)) as (client, call):
            with pytest.raises(trio.TooSlowError):
                await call(too_slow)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await call(trio.sleep_forever)
            assert 3 == len(list(await call(client.request, coinflex.GetBalances())))
            raise KeyError("mine")

    async def too_slow():
        with trio.fail_after(0.01):
            await trio.sleep_forever()

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(main())
    assert 0 == exchange.statistics().open


def test_a_guest_that_fails_takes_the_block_along(hosted):
    """The block is cancelled wherever it waits, and the reason is raised."""
    exchange = SimulatedExchange("coinflex")

    async def main():
        async with hosted(flexible(exchange, reconnect=Reconnect.never())):
            asyncio.get_running_loop().call_later(0.05, exchange.drop)
            await asyncio.sleep(30)
            raise AssertionError("it slept on")

    with pytest.raises(ConnectionLost):
        asyncio.run(main())


def test_a_guest_that_cannot_open(hosted):
    """Entering raises what opening raised."""
    exchange = SimulatedExchange("coinflex")
    exchange.refuse_connections(403)

    async def main():
        async with hosted(flexible(exchange)):
            raise AssertionError("it opened")

    with pytest.raises(ConnectFailed):
        asyncio.run(main())


@pytest.mark.parametrize("hang", [False, True], ids=["inside", "while opening"])
def test_a_host_that_is_cancelled(hosted, hang):
    """Cancelling the asyncio task ends the guest at once, and nothing stays."""
    exchange = SimulatedExchange("coinflex")
    if hang:
        exchange.hang_upgrade()

    async def main():
        async with asyncio.timeout(0.1):
            async with hosted(flexible(exchange)) as (_, call):
                kept.append(call)
                await asyncio.sleep(30)

    kept = []
    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert 0 == exchange.statistics().open
    assert (not hang) is bool(kept)


def test_calls_after_the_end(hosted):
    """A call that comes too late is told so, and one that waits is cancelled."""
    exchange = SimulatedExchange("coinflex")

    async def main():
        async with hosted(flexible(exchange)) as (_, call):
            waiting = asyncio.create_task(call(trio.sleep_forever))
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(trio.ClosedResourceError):
            await call(trio.sleep, 0)

    asyncio.run(main())


def test_every_integration_is_run():
    """The list is where the examples are counted."""
    from tests.test_examples import INTEGRATIONS

    text = Path(__file__).read_text(encoding="utf-8")
    assert [] == [name for name in INTEGRATIONS if f'"{name}"' not in text]
