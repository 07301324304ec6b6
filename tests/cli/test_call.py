"""``trioflex call`` and ``trioflex check``: what they print, and how they end."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys

import pytest
import trio

import trioflex
from tests.cli.ways import way_to
from trioflex.cli import accounts
from trioflex.cli.app import app
from trioflex.cli.call import ask
from trioflex.cli.check import check
from trioflex.cli.exits import reason_of, sentence_of, status_of
from trioflex.simulator import SimulatedExchange, open_certificates, open_server, system_clock
from trioflex.venues import coinflex, theone

ORDER = coinflex.PlaceOrder("XBT", "USDT", quantity="0.1", price="5000", tonce=7)
SECRETS = ("opensesame", "HGREqcILTz8blHa")


@pytest.fixture
def exchange():
    return SimulatedExchange("coinflex", seed=3)


@pytest.fixture
def stranger(monkeypatch, tmp_path):
    """Nobody's credentials are at hand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(accounts, "settings_file", lambda: tmp_path / "none")
    for name in [*os.environ]:
        if name.startswith(("COINFLEX_", "COINFLOOR_", "BROKER_")):
            monkeypatch.delenv(name)


async def fate(exchange, request, *, login=True, within=60.0):
    """Ask and return the exit status and the sentence, within the limits that are documented."""
    way = way_to(exchange.model.name, exchange.model.credentials() if login else None)
    began = trio.current_time()
    try:
        await ask(way, request, exchange.connector)
    except (Exception, BaseExceptionGroup) as error:
        assert trio.current_time() - began <= within
        sentence = sentence_of(reason_of(error))
        assert not any(secret in sentence for secret in SECRETS)
        return int(status_of(error)), sentence
    return 0, ""


async def test_done(autojump_clock, exchange):
    """0."""
    assert 0 == (await fate(exchange, ORDER))[0]


async def test_refused(autojump_clock, exchange):
    """3, with the venue's words."""
    exchange.refuse("PlaceOrder", 4, "You are broke.")
    status, sentence = await fate(exchange, ORDER)
    assert (3, True) == (status, "You are broke." in sentence)


async def test_outcome_unknown(autojump_clock, exchange):
    """4, where an order is not answered."""
    exchange.silence("PlaceOrder", execute=False)
    status, sentence = await fate(exchange, ORDER, within=31)
    assert (4, True) == (status, "PlaceOrder" in sentence)


async def test_evidence_is_an_answer(autojump_clock, exchange):
    """0, where the reply is lost and a notice proves that it happened."""
    exchange.silence("PlaceOrder")
    assert 0 == (await fate(exchange, ORDER))[0]


async def test_an_interrupted_order_is_named(autojump_clock, capsys, exchange):
    """Who interrupts an order that was sent is told what to find out; a question needs no words."""
    exchange.silence("PlaceOrder", execute=False)
    exchange.silence("GetBalances")
    for request, words in ((coinflex.GetBalances(), ""), (ORDER, "tonce=7")):
        with trio.move_on_after(5):
            await ask(way_to("coinflex", exchange.model.credentials()), request, exchange.connector)
        out, err = capsys.readouterr()
        assert ("", bool(words)) == (out, "Interrupted" in err)
        assert words in err


@pytest.mark.parametrize("how", ["drop", "garbage"])
async def test_outcome_unknown_when_cut_off(autojump_clock, exchange, how):
    """4, and not 8 or 9: what became of the order matters more than how that was lost."""
    exchange.silence("PlaceOrder", execute=False)

    async def cut():
        await exchange.seen("PlaceOrder")
        if how == "drop":
            exchange.drop()
        else:
            exchange.push("not JSON")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cut)
        assert 4 == (await fate(exchange, ORDER))[0]


async def test_not_sent(autojump_clock, exchange):
    """5: it certainly did not happen."""
    assert 5 == (await fate(exchange, ORDER, login=False))[0]
    assert 0 == exchange.count("PlaceOrder")


@pytest.mark.parametrize("how", ["refused", "unanswered", "no welcome"])
async def test_no_login(autojump_clock, exchange, how):
    """6."""
    match how:
        case "refused":
            exchange.refuse("Authenticate", 7, "Wrong.")
        case "unanswered":
            exchange.silence("Authenticate")
        case "no welcome":
            exchange.withhold_welcome()
    assert 6 == (await fate(exchange, coinflex.GetBalances(), within=14))[0]


@pytest.mark.parametrize("how", ["refused", "unanswered", "hung up"])
async def test_no_connection(autojump_clock, exchange, how):
    """7."""
    match how:
        case "refused":
            exchange.refuse_connections(403)
        case "unanswered":
            exchange.hang_upgrade()
        case "hung up":
            exchange.accept_and_drop()
    assert 7 == (await fate(exchange, coinflex.GetBalances(), within=14))[0]


@pytest.mark.parametrize("how", ["unanswered", "dropped"])
async def test_lost(autojump_clock, exchange, how):
    """8: an unanswered question included."""
    exchange.silence("GetBalances")

    async def cut():
        await exchange.seen("GetBalances")
        if how == "dropped":
            exchange.drop()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cut)
        assert 8 == (await fate(exchange, coinflex.GetBalances(), within=31))[0]


async def test_garbage(autojump_clock, exchange):
    """9, at the login and later."""
    exchange.garble("nonsense", connection=exchange.next_connection)
    assert 9 == (await fate(exchange, coinflex.GetBalances()))[0]
    exchange.silence("GetBalances")

    async def answer():
        await exchange.seen("GetBalances")
        exchange.push("nonsense")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        assert 9 == (await fate(exchange, coinflex.GetBalances()))[0]


async def test_another_venue(autojump_clock):
    """The same command, whatever the venue."""
    exchange = SimulatedExchange("theone", clock=system_clock)
    assert 0 == (await fate(exchange, theone.GetBalances()))[0]
    exchange.silence("swap", execute=False)
    assert 4 == (await fate(exchange, theone.Swap("1.5", "ETH", "USDT")))[0]
    names, _, status = await steps(exchange)
    assert ("reply", 0) == (names[-1], status)


# -- check -----------------------------------------------------------------------------------------


async def steps(exchange, *, login=True):
    """Check and return the names of the steps, what is said of the last, and the status."""
    lines: list[str] = []
    way = way_to(exchange.model.name, exchange.model.credentials() if login else None)
    try:
        await check(way, lines.append, exchange.connector)
    except (Exception, BaseExceptionGroup) as error:
        status = int(status_of(error))
    else:
        status = 0
    assert not any(secret in line for secret in SECRETS for line in lines)
    return [line.split()[0] for line in lines], lines[-1], status


async def test_each_step_is_told(autojump_clock, exchange):
    """Those that leave a trace; nothing but a question is asked."""
    names, last, status = await steps(exchange)
    assert (["upgrade", "welcome", "login", "reply"], 0) == (names, status)
    assert last.endswith("to GetBalances")
    assert 1 == exchange.count("GetBalances")


async def test_a_stranger_is_answered_too(autojump_clock, exchange):
    """By what the venue tells everybody."""
    names, last, status = await steps(exchange, login=False)
    assert (["upgrade", "welcome", "login", "reply"], 0) == (names, status)
    assert last.endswith("to Ticker:XBT:USDT")


@pytest.mark.parametrize(
    ("fault", "step", "expected"),
    [
        (lambda x: x.hang_upgrade(), "resolve", 7),
        (lambda x: x.withhold_welcome(), "welcome", 6),
        (lambda x: x.silence("Authenticate"), "login", 6),
        (lambda x: x.refuse("Authenticate", 7, "no"), "login", 6),
        (lambda x: x.silence("GetBalances"), "reply", 8),
        (lambda x: x.refuse("GetBalances", 6, "too often"), "reply", 3),
        (lambda x: x.garble("nonsense"), "login", 9),
    ],
)
async def test_the_step_that_fails_is_told(autojump_clock, exchange, fault, step, expected):
    """Each with its status."""
    fault(exchange)
    names, last, status = await steps(exchange)
    assert (step, expected) == (names[-1], status)
    assert last.endswith("FAILED")


# -- at the command line ---------------------------------------------------------------------------


def run_app(*arguments):
    with pytest.raises(SystemExit) as leaving:
        app([*arguments], prog_name="trioflex")
    return int(leaving.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["call", "mtgox", "GetBalances"], "there are: coinflex"),
        (["venues", "mtgox"], "there are: coinflex"),
        (["call", "coinflex", "Nonsense"], "there are: GetBalances"),
        (["call", "coinflex", "GetBalances"], "COINFLEX_COOKIE"),
        (["call", "coinflex", "GetBalances", "--url", "http://u:opensesame@x"], "ws:// or wss://"),
        (["check", "coinflex", "--url", "moon"], "there are: live, staging"),
        (["check", "coinflex", "--url", "ws://127.0.0.1:1", "--insecure"], "not encrypted"),
        (["check", "coinflex", "--ca-file", "/none", "--insecure"], "contradict"),
        (["check", "coinflex", "--ca-file", "/none"], "no usable certificate"),
        (["check", "theone"], "BROKER_API_KEY"),
        (["watch", "coinflex", "Candles"], "OrderBook:BASE:COUNTER"),
        (["watch", "coinflex", "Balances"], "COINFLEX_COOKIE"),
    ],
)
def test_wrong_usage(stranger, monkeypatch, capsys, arguments, complaint):
    """2, one sentence that says what there is, and nothing on standard output."""
    assert 2 == run_app(*arguments)
    out, err = capsys.readouterr()
    assert ("", 1) == (out, err.count("\n")), err
    assert complaint in err
    assert "opensesame" not in err


@pytest.mark.parametrize(("answer", "words"), [("n\n", "declined"), ("", "--yes")])
def test_declined(stranger, monkeypatch, capsys, exchange, answer, words):
    """2, before anything was sent; it was said what would have been, and where."""
    for name, value in exchange.model.credentials().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    fields = ["base=XBT", "counter=USDT", "quantity=1", "price=5000"]
    assert 2 == run_app("call", "coinflex", "PlaceOrder", *fields, "--url", "ws://127.0.0.1:1")
    out, err = capsys.readouterr()
    assert "" == out
    assert "ws://127.0.0.1:1" in err
    assert "PlaceOrder base=XBT counter=USDT quantity=1 price=5000\nBuy 1 XBT at 5000" in err
    assert words in err
    assert not any(secret in err for secret in SECRETS)


def test_venues(capsys):
    """Every venue, request and channel; all of it can be read by programs."""
    app(["venues", "--json"], standalone_mode=False)
    told = {venue["name"]: venue for venue in json.loads(capsys.readouterr().out)}
    for name in ("coinflex", "coinfloor", "theone"):
        venue = trioflex.find_venue(name)
        assert venue.url == told[name]["url"]
        assert [r.__name__ for r in venue.requests] == [r["name"] for r in told[name]["requests"]]
        assert [c.__name__ for c in venue.channels] == [c["name"] for c in told[name]["channels"]]
        assert set(venue.rates) == set(told[name]["rates"])
        assert all(each["summary"] for each in told[name]["requests"] + told[name]["channels"])
    place = next(r for r in told["coinflex"]["requests"] if r["name"] == "PlaceOrder")
    assert (True, True) == (place["writes"], place["private"])
    assert {"name": "base", "type": "text", "required": True} == place["fields"][0]
    app(["venues", "coinflex"], standalone_mode=False)
    out = capsys.readouterr().out
    assert "OrderBook:BASE:COUNTER" in out
    assert "theone" not in out
    assert "Negative sells." in out
    assert "  *+ PlaceOrder" in out
    assert "   + GetBalances" in out
    app(["venues", "oceanex"], standalone_mode=False)
    out = capsys.readouterr().out
    assert "no channels" in out
    assert "channels (" not in out


async def trioflex_process(*arguments, env):
    return await trio.run_process(
        [sys.executable, "-m", "trioflex", *arguments],
        env=env,
        check=False,
        capture_stdout=True,
        capture_stderr=True,
        stdin=b"y\n",
    )


async def test_over_tls():
    """A certificate of one's own: refused with the remedy, accepted with it; no secret anywhere."""
    exchange = SimulatedExchange("coinflex", clock=system_clock)
    env = os.environ | dict(exchange.model.credentials())
    with open_certificates() as certificates:
        async with open_server(exchange, ssl_context=certificates.ssl_context) as address:
            trusted = ("--url", address.url, "--ca-file", str(certificates.ca_file))
            refused = await trioflex_process("check", "coinflex", "--url", address.url, env=env)
            checked = await trioflex_process("check", "coinflex", *trusted, env=env)
            called = await trioflex_process(
                "call", "coinflex", "PlaceOrder", "base=XBT", "counter=USDT", "quantity=1",
                "price=5000", "--json", *trusted, env=env,
            )  # fmt: skip
            watched = await trioflex_process(
                "watch", "coinflex", "Balances", "--json", "--count", "1", *trusted, env=env
            )
    assert 7 == refused.returncode
    assert b"FAILED" in refused.stdout
    assert b"--ca-file" in refused.stderr
    assert 1 == refused.stderr.count(b"\n")
    assert (0, b"") == (checked.returncode, checked.stderr)
    told = [line.split()[0] for line in checked.stdout.decode().splitlines()]
    steps = ["resolve", "tcp", "tls", "upgrade", "welcome", "login", "reply"]
    assert ["coinflex", *steps] == told
    assert 0 == called.returncode, called.stderr
    assert {"id", "time", "remaining"} == set(json.loads(called.stdout))
    assert 0 == watched.returncode
    events = [json.loads(line)["event"] for line in watched.stdout.splitlines()]
    assert ["connected", "balance"] == events
    for result in (refused, checked, called, watched):
        for secret in SECRETS:
            assert secret.encode() not in result.stdout + result.stderr


async def test_ctrl_c():
    """130, at once, without a word; the connection is closed in peace."""
    exchange = SimulatedExchange("coinflex", clock=system_clock)
    async with open_server(exchange) as address:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "trioflex", "watch", "coinflex", "Ticker:XBT:USDT", "--url",
             address.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        with trio.fail_after(20):
            await process.stdout.receive_some()
            process.send_signal(signal.SIGINT)
            status = await process.wait()
            assert (130, b"") == (status, await process.stderr.receive_some())
        await process.stdout.aclose()
        await process.stderr.aclose()
