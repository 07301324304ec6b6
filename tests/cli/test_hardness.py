"""Venues that are down, silent, refuse or speak garbage: which status, which words, how soon.

Every command that connects meets every one of them, in memory and on virtual time; what only
sockets can do wrong comes at the end.
"""

from __future__ import annotations

import math
import os
import socket
import sys

import pytest
import trio

import trioflex
from tests.cli.test_demo import Notes
from tests.cli.ways import way_to
from trioflex.cli.call import ask
from trioflex.cli.check import check
from trioflex.cli.exits import sentence_of, status_of
from trioflex.cli.record import record
from trioflex.cli.spelling import make_channel, make_request
from trioflex.cli.watch import watch
from trioflex.simulator import SimulatedExchange, open_certificates, open_server, system_clock
from trioflex.testing import memory_connector
from trioflex.venues import coinflex

REQUESTS = {
    "coinflex": "GetBalances",
    "coinfloor": "GetBalances",
    "midchains": "QueryPositions",
    "theone": "GetBalances",
}
CHANNELS = {
    "coinflex": "Ticker:XBT:USDT",
    "coinfloor": "Ticker:XBT:GBP",
    "midchains": "Positions",
    "theone": "Balances",
}
COMMANDS = ("call", "check", "watch", "record")
ALL = [("coinflex", command) for command in COMMANDS] + [
    (venue, command)
    for venue in ("coinfloor", "midchains", "theone")
    for command in ("call", "watch")
]


async def fate(venue, command, exchange, path, connector=None):
    """Run a command; return its exit status, its sentence, and how long it took."""
    way = way_to(venue, exchange.model.credentials())
    connector = exchange.connector if connector is None else connector
    channel = make_channel(way.venue, CHANNELS[venue])
    began = trio.current_time()
    try:
        match command:
            case "call":
                await ask(way, make_request(way.venue, REQUESTS[venue], []), connector)
            case "check":
                await check(way, lambda line: None, connector)
            case "watch":
                await watch(way, [channel], Notes(), connector=connector)
            case "record":
                await record(way, [channel], path, connector=connector)
    except (Exception, BaseExceptionGroup) as error:
        sentence = sentence_of(error)
        assert "\n" not in sentence
        for secret in exchange.model.credentials().values():
            assert len(secret) < 4 or secret not in sentence
        return int(status_of(error)), sentence, trio.current_time() - began
    pytest.fail("it ended well")


def simulated(venue):
    return SimulatedExchange(venue, seed=1, clock=system_clock)


async def silent(stream):
    await trio.sleep_forever()


async def hangs_up(stream):
    pass


async def other_protocol(stream):
    await stream.receive_some()
    await stream.send_all(b"550 mail only\r\n")
    await trio.sleep_forever()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("serve", "words", "within"),
    [
        (silent, "no answer to the WebSocket upgrade within 10 s", 10.0),
        (hangs_up, "closed the connection during the handshake", 0.0),
        (other_protocol, "no answer to the WebSocket upgrade within 10 s", 10.0),
    ],
)
async def test_no_upgrade(autojump_clock, tmp_path, command, serve, words, within):
    """7, within the time to connect; no tape is left."""
    told = await fate(
        "coinflex",
        command,
        simulated("coinflex"),
        tmp_path / "tape",
        memory_connector(serve),
    )
    assert (7, True) == (told[0], words in told[1]), told
    assert within == pytest.approx(told[2])
    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize(("venue", "command"), ALL)
@pytest.mark.parametrize("http", [403, 503])
async def test_upgrade_refused(autojump_clock, tmp_path, venue, command, http):
    """7, at once, with the HTTP status."""
    exchange = simulated(venue)
    exchange.refuse_connections(http)
    status, sentence, took = await fate(venue, command, exchange, tmp_path / "tape")
    assert (7, 0.0) == (status, took)
    assert f"HTTP status {http}" in sentence


@pytest.mark.parametrize(("venue", "command"), ALL)
async def test_login_refused(autojump_clock, tmp_path, venue, command):
    """6, at once, with the venue's words."""
    exchange = simulated(venue)
    exchange.refuse("*", 7, "no way", times=1)
    status, sentence, took = await fate(venue, command, exchange, tmp_path / "tape")
    assert (6, 0.0) == (status, took)
    assert f"{venue} refused the login: no way" in sentence


@pytest.mark.parametrize(("venue", "command"), ALL)
async def test_login_unanswered(autojump_clock, tmp_path, venue, command):
    """6, within the time for the handshake."""
    exchange = simulated(venue)
    exchange.silence("*")
    status, sentence, took = await fate(venue, command, exchange, tmp_path / "tape")
    limit = trioflex.find_venue(venue).handshake_timeout
    assert (6, limit) == (status, pytest.approx(took))
    assert f"{venue} did not answer the login within {limit:g} s" in sentence


@pytest.mark.parametrize(("venue", "command"), ALL)
async def test_garbage(autojump_clock, tmp_path, venue, command):
    """9, at once, with what it was."""
    exchange = simulated(venue)
    exchange.garble("nonsense", times=None)
    status, sentence, took = await fate(venue, command, exchange, tmp_path / "tape")
    assert (9, 0.0) == (status, took)
    assert sentence.endswith("nonsense")


LATER = {
    "unanswered": {"call": 8, "check": 8, "watch": 8, "record": 8},
    "refused": {"call": 3, "check": 3, "watch": 3, "record": 3},
    "garbage": {"call": 9, "check": 9, "watch": 8, "record": 8},
    "cut": {"call": 8, "check": 8, "watch": 8, "record": 8},
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("how", LATER)
async def test_trouble_after_the_login(autojump_clock, tmp_path, command, how):
    """With the first question under way: its own status. Who watches comes back, as long as there
    is hope; here there is none, and after five minutes that is said."""
    exchange = simulated("coinflex")

    async def trouble():
        await exchange.seen("Authenticate")
        if how == "refused":
            exchange.refuse("*", 7, "not you")
            return
        exchange.silence("*")
        if how != "unanswered":
            await exchange.seen("*", 2)
            exchange.drop() if how == "cut" else exchange.push("nonsense")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trouble)
        status, sentence, took = await fate("coinflex", command, exchange, tmp_path / "tape")
    assert LATER[how][command] == status, sentence
    asks = command in ("call", "check")
    comes_back = not asks and how in ("garbage", "cut")
    limit = 400 if comes_back else math.inf if command == "record" else 30 if asks else 5
    assert took <= limit
    assert "wrong inside" not in sentence


@pytest.mark.parametrize("how", ["cut", "half closed", "silent"])
async def test_a_write_in_flight(autojump_clock, how):
    """4, and the sentence names the order: it must not be sent again before one has looked."""
    exchange = simulated("coinflex")
    exchange.silence("PlaceOrder", execute=False)
    order = coinflex.PlaceOrder("XBT", "USDT", quantity="0.1", price="5000", tonce=7)

    async def trouble():
        await exchange.seen("PlaceOrder")
        if how != "silent":
            exchange.drop() if how == "cut" else exchange.half_close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trouble)
        began = trio.current_time()
        with pytest.raises(trioflex.OutcomeUnknown) as caught:
            way = way_to("coinflex", exchange.model.credentials())
            try:
                await ask(way, order, exchange.byte_connector)
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None
    assert trio.current_time() - began <= 31
    assert 4 == status_of(caught.value)
    assert "PlaceOrder" in sentence_of(caught.value)


# -- over sockets ----------------------------------------------------------------------------------


async def run(*arguments, within=8.0):
    """Run the command in a process of its own."""
    with trio.fail_after(within):
        return await trio.run_process(
            [sys.executable, "-m", "trioflex", *arguments],
            check=False,
            capture_stdout=True,
            capture_stderr=True,
        )


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def test_nobody_there(tmp_path):
    """7: nobody listens, no such name, the wrong certificate; one sentence each, no traceback,
    and no tape is left."""
    tape = str(tmp_path / "tape.jsonl")
    with open_certificates() as certificates:
        async with open_server(
            SimulatedExchange("coinflex"), ssl_context=certificates.ssl_context
        ) as secure:
            cases = {
                ("call", "coinflex", "EstimateMarketOrder", "base=XBT", "counter=USDT",
                 "quantity=1", "--url", f"ws://127.0.0.1:{free_port()}"): "Connection refused",
                ("check", "coinflex", "--url", "wss://nobody.invalid"): "nobody.invalid",
                ("watch", "coinflex", "Ticker:XBT:USDT", "--url", secure.url): "certificate of",
                ("record", "coinflex", "Ticker:XBT:USDT", tape, "--url",
                 f"ws://127.0.0.1:{free_port()}"): "Connection refused",
            }  # fmt: skip
            results = {}

            async def one(arguments):
                results[arguments] = await run(*arguments, within=20)

            async with trio.open_nursery() as nursery:
                for arguments in cases:
                    nursery.start_soon(one, arguments)
    for arguments, words in cases.items():
        done = results[arguments]
        err = done.stderr.decode()
        assert (7, 1) == (done.returncode, err.count("\n")), err
        assert words in err
    assert [] == os.listdir(tmp_path)
