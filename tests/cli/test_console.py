"""The console's dialogue, over its two channels: every venue, every command, every mishap."""

from __future__ import annotations

import logging
import re
from decimal import Decimal

import pytest
import trio

from tests.cli.talking import talking
from trioflex.cli.console.commands import WORDS
from trioflex.cli.console.logfile import level_of, open_log
from trioflex.cli.console.outbox import PUSHES, Outbox
from trioflex.cli.console.outputs import Clear, News, Prompt, Say, Shell, Status
from trioflex.cli.report import GapReport, Ticker, Trade
from trioflex.simulator import SimulatedExchange, system_clock

SECRETS = ("opensesame", "HGREqcILTz8blHa")
ORDER = "PlaceOrder base=XBT counter=USDT quantity=0.1 price=5000 tonce=7"


@pytest.fixture
def exchange():
    return SimulatedExchange("coinflex", seed=3)


async def test_it_greets_and_connects(autojump_clock, exchange):
    """Before the first prompt there is a connection, and the status line says so."""
    async with talking(exchange) as person:
        assert "trioflex console, coinflex" in person.text
        assert "connected: connection 1" in person.text
        assert "nobody is logged in" in person.text
        assert person.status.good
        assert not person.asked


async def test_requests_by_name(autojump_clock, exchange):
    """Spelt as with ``call``; private ones are refused locally until somebody has logged in."""
    async with talking(exchange) as person:
        assert "needs a login" in await person.types("get-balances")
        assert 0 == exchange.count("GetBalances")
        assert "Logged in as 1." in await person.types("login")
        await person.types("get-balances")
        assert "XBT" in {each["asset"] for each in person.answer["balances"]}
        assert "logged in already" in await person.types("login")
        assert 1 == exchange.count("Authenticate")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "not understood"),
        ("PlaceOrder base=XBT", "needs counter. Usage: "),
        ("PlaceOrder base=XBT nonsense=1", "has no field 'nonsense'"),
        (ORDER.replace("0.1", "much"), "takes decimal"),
        ('GetBalances "', "quote"),
        ("subscribe Candles", "OrderBook:BASE:COUNTER"),
        ("subscribe Balances", "needs a login"),
        ("unsubscribe", "takes channels"),
        ("unsubscribe Ticker:XBT:USDT", "is not on"),
        ("connect", "There is a connection"),
        ("help nonsense", "no help about"),
        ("help login", "log in; what is not at hand is asked for"),
        ("help Q", "leave; so does Ctrl-D"),
        ("x" * 100_000, f"'{'x' * 60}...' is not understood"),
        ("login opensesame", "takes nothing"),
    ],
)
async def test_wrong_input(autojump_clock, exchange, line, words):
    """A sentence, nothing sent, and the next prompt."""
    async with talking(exchange) as person:
        text = await person.types(line)
        assert words in text
        assert 1 == len(text.splitlines())
        assert "opensesame" not in text
        assert isinstance(person.seen[-1], Prompt)
        assert 0 == exchange.statistics().requests


async def test_an_empty_line_is_nothing(autojump_clock, exchange):
    """Just the next prompt."""
    async with talking(exchange) as person:
        assert "" == await person.types("   ")
        assert not person.over


@pytest.mark.parametrize("answer", ["", "n", "no", "yess"])
async def test_writes_are_confirmed(autojump_clock, exchange, answer):
    """The order is shown; only yes is a yes."""
    async with talking(exchange, login=True) as person:
        assert ORDER in await person.types(ORDER)
        assert person.asked
        assert "was declined" in await person.types(answer)
        assert 0 == exchange.count("PlaceOrder")
        await person.types(ORDER)
        await person.types("y")
        assert {"id", "time", "remaining"} == set(person.answer)
        assert 1 == exchange.count("PlaceOrder")


async def test_refusals_and_silence_are_survived(autojump_clock, exchange):
    """Each is a sentence; who waits is told."""
    exchange.refuse("PlaceOrder", 4, "You are broke.", times=1)
    async with talking(exchange, login=True) as person:
        await person.types(ORDER)
        assert "You are broke." in await person.types("y")
        exchange.silence("PlaceOrder", execute=False)
        await person.types(ORDER)
        text = await person.types("y")
        assert "Waiting for the answer to PlaceOrder" in text
        assert "may or may not have happened" in text
        exchange.silence("GetBalances", times=1)
        assert "went unanswered" in await person.types("GetBalances")
        await person.types("GetBalances")
        assert person.answer


async def test_who_leaves_is_told_what_nobody_knows(autojump_clock, exchange):
    """An order without an answer is named once more at the end."""
    exchange.silence("PlaceOrder", execute=False)
    async with talking(exchange, login=True) as person:
        await person.types(ORDER)
        await person.types("y")
        text = await person.types("q")
        assert "outcome unknown" in text
        assert "tonce=7" in text
        assert person.over


async def test_interrupted_in_a_request(autojump_clock, exchange):
    """It ends at once and says what was sent; the connection is closed politely."""
    exchange.silence("PlaceOrder", execute=False)
    async with talking(exchange, login=True) as person:
        await person.types(ORDER)
        began = trio.current_time()

        async def interrupt():
            await exchange.seen("PlaceOrder")
            await trio.sleep(0.5)
            person.dialogue.leave()

        person.nursery.start_soon(interrupt)
        assert "tonce=7" in await person.types("y")
        assert person.over
        assert 3.5 >= trio.current_time() - began
        assert () == exchange.open_connections


async def test_interrupted_while_connecting(autojump_clock, exchange):
    """It ends at once."""
    async with talking(exchange) as person:
        await person.types("disconnect")
        exchange.hang_upgrade(times=1)

        async def interrupt():
            await trio.sleep(1)
            person.dialogue.leave()

        began = trio.current_time()
        person.nursery.start_soon(interrupt)
        await person.types("connect")
        assert person.over
        assert pytest.approx(1) == trio.current_time() - began


@pytest.mark.parametrize("word", ["stop", "q", "Q", "quit", "exit", None])
async def test_leaving(autojump_clock, exchange, word):
    """By every word there is, and by the end of the lines; the exchange is told."""
    async with talking(exchange) as person:
        if word is None:
            await person.ends_input()
            await person.listen()
        else:
            await person.types(word)
        assert person.over
        assert () == exchange.open_connections


async def test_subscriptions(autojump_clock, exchange):
    """News comes by itself until it is stopped, and the status line counts."""
    async with talking(exchange) as person, exchange.trading():
        assert "Ticker:XBT:USDT is on." in await person.types("subscribe ticker:XBT:USDT")
        assert ("Ticker:XBT:USDT",) == person.status.subscribed
        assert "XBT:USDT" in await person.hears("ticker")
        assert "is on already" in await person.types("subscribe Ticker:XBT:USDT")
        assert "Ticker:XBT:USDT" in await person.types("subscribe")
        await person.types("subscribe OrderBook:XBT:USDT")
        assert "bid" in await person.hears("book")
        assert "is off" in await person.types("unsubscribe Ticker:XBT:USDT")
        assert "OrderBook:XBT:USDT is off." in await person.types("unsubscribe all")
        assert () == person.status.subscribed
        assert "Nothing is on" in await person.types("subscribe")


async def test_a_refused_channel(autojump_clock, exchange):
    """A sentence; the console goes on."""
    exchange.refuse("WatchTicker", 1, "No such market.")
    async with talking(exchange) as person:
        assert "No such market." in await person.types("subscribe Ticker:XBT:USDT")
        assert () == person.status.subscribed


async def test_a_lost_connection(autojump_clock, exchange):
    """The loss, the retry, the gap and the end of it are told; then all is well."""
    async with talking(exchange) as person:
        await person.types("login")
        await person.types("subscribe Ticker:XBT:USDT")
        exchange.drop()
        assert "connection 1" in await person.hears("LOST")
        await person.hears("retrying")
        assert "nothing was sent, there is no connection" in await person.types("GetBalances")
        assert not person.status.good
        assert "logged in as 1" in await person.hears("connected")
        assert "Ticker:XBT:USDT" in await person.hears("RESUMED")
        await person.types("GetBalances")
        assert person.answer


async def test_disconnect_and_reconnect(autojump_clock, exchange):
    """On demand; subscriptions and the login come back with the connection."""
    async with talking(exchange, login=True) as person:
        await person.types("subscribe Ticker:XBT:USDT")
        text = await person.types("disconnect")
        assert "Disconnected" in text
        assert "LOST" not in text
        assert "Disconnected" in await person.types("disconnect")
        assert "there is no connection" in await person.types("GetBalances")
        assert "there is no connection" in await person.types("subscribe Balances")
        assert "connection 2" in await person.types("connect")
        text = await person.types("reconnect")
        assert "closed: connection 2" in text
        assert "connection 3" in text
        await person.types("GetBalances")
        assert person.answer
        assert ("Ticker:XBT:USDT",) == person.status.subscribed


async def test_reconnecting_in_vain(autojump_clock, exchange):
    """Whoever waits gets the prompt back after one attempt, and the reason; it goes on trying."""
    async with talking(exchange) as person:
        exchange.refuse_connections(503)
        began = trio.current_time()
        text = await person.types("reconnect")
        assert began == trio.current_time()
        assert "in vain: connection 2" in text
        assert "503" in text
        assert "it goes on trying" in text
        assert "no connection now (" in await person.types("status")
        text = await person.types("GetBalances")
        assert "there is no connection now. It goes on trying" in text
        assert "`connect`" not in text
        assert not person.status.good
        assert "503" in await person.hears("in vain")
        await person.types("disconnect")
        assert "there is no connection; `connect` makes one" in await person.types("GetBalances")


async def test_a_silent_venue_is_not_waited_for_without_end(autojump_clock, exchange):
    """As long as one attempt may take."""
    async with talking(exchange) as person:
        exchange.hang_upgrade()
        began = trio.current_time()
        assert "it goes on trying" in await person.types("reconnect")
        venue = person.dialogue.way.venue
        assert trio.current_time() - began <= venue.connect_timeout + venue.handshake_timeout


async def test_a_login_without_a_connection(autojump_clock, exchange):
    """After one attempt in vain it is over; later it works, and nothing of the first is left."""
    async with talking(exchange) as person:
        exchange.refuse_connections(503, times=2)
        await person.types("reconnect")
        text = await person.types("login")
        assert "503" in text
        assert "Not logged in: there is no connection now." in text
        assert "nobody is logged in" in await person.hears("connected")
        assert "Logged in as 1." in await person.types("login")


@pytest.mark.parametrize("how", ["refused", "hung up", "silent"])
async def test_it_cannot_connect(autojump_clock, exchange, how):
    """A sentence and a prompt; ``connect`` tries again."""
    match how:
        case "refused":
            exchange.refuse_connections(403, times=1)
        case "hung up":
            exchange.accept_and_drop(times=1)
        case "silent":
            exchange.hang_upgrade(times=1)
    async with talking(exchange) as person:
        assert not person.status.good
        assert "`connect` tries again." in person.text
        assert isinstance(person.seen[-1], Prompt)
        assert "There is no connection" in await person.types("disconnect")
        assert "There is no client" in await person.types("status")
        assert "no client" in await person.types("tree")
        assert "connected: connection 1" in await person.types("connect")


async def test_a_client_that_fails_for_good(autojump_clock, exchange):
    """It is told, its subscriptions end, and another one can be opened, logged in again."""
    async with talking(exchange, login=True) as person:
        await person.types("subscribe Ticker:XBT:USDT")
        exchange.refuse("Authenticate", 7, "Wrong.", times=1)
        exchange.drop()
        assert re.search(r"[^. ]\. `connect` begins anew\.$", await person.hears("FAILED"))
        assert "there is no connection" in await person.types("GetBalances")
        assert () == person.status.subscribed
        assert "logged in as 1" in await person.types("reconnect")


async def test_a_refused_login(autojump_clock, exchange):
    """The person stays a stranger, and may try again."""
    exchange.refuse("Authenticate", 7, "Wrong.", times=1)
    async with talking(exchange) as person:
        assert "Wrong." in await person.types("login")
        assert "needs a login" in await person.types("GetBalances")
        assert "Logged in as 1." in await person.types("login")


async def test_credentials_are_asked_for(autojump_clock, exchange):
    """Name by name, secrets without echo, and none of them is shown again."""
    known = dict(exchange.model.credentials())
    async with talking(exchange, credentials={"PATH": "/"}) as person:
        shown = await person.types("login")
        for name, value in known.items():
            assert name in person.seen[-1].question
            assert person.seen[-1].secret == (name != "COINFLEX_USER_ID")
            shown += await person.types(value)
        assert "Logged in as 1." in shown
        assert not any(secret in shown for secret in SECRETS)


async def test_a_credential_left_empty(autojump_clock, exchange):
    """No login."""
    async with talking(exchange, credentials={"PATH": "/"}) as person:
        await person.types("login")
        assert "was left empty" in await person.types("")
        assert 0 == exchange.count("Authenticate")


async def test_a_venue_for_members_only(autojump_clock):
    """It is logged in to at the start; refused, there is no connection, and the next try counts."""
    exchange = SimulatedExchange("theone", clock=system_clock)
    exchange.refuse("*", 401, "Unknown key.", times=1)
    async with talking(exchange) as person:
        assert "theone" in person.text
        assert not person.status.good
        assert "there is no connection" in await person.types("GetBalances")
        assert "Logged in as" in await person.types("connect")
        await person.types("GetBalances")
        assert person.answer


@pytest.mark.parametrize("login", [True, False])
async def test_the_lines_end_at_a_question(autojump_clock, exchange, login):
    """Before the first prompt, or later: it is over, in peace."""
    async with talking(exchange, login=login, credentials={"PATH": "/"}) as person:
        if not login:
            await person.types("login")
        assert person.asked
        await person.ends_input()
        await person.listen()
        assert person.over
        assert () == exchange.open_connections


async def test_a_port_that_is_none(autojump_clock, exchange):
    """A sentence, as for any address that cannot be used."""
    async with talking(exchange, url="ws://127.0.0.1:99999") as person:
        assert "cannot be used" in person.text
        assert isinstance(person.seen[-1], Prompt)


async def test_garbage_is_survived(autojump_clock, exchange):
    """A broken protocol is named, and the next connection comes."""
    async with talking(exchange) as person:
        exchange.push("nonsense")
        await person.hears("GARBAGE")
        await person.hears("connected")


async def test_help(autojump_clock, exchange):
    """Every command, request and channel is in it; one can be asked about."""
    async with talking(exchange) as person:
        for word in ("help", "h", "?"):
            text = await person.types(word)
            for each in (*(name for known in WORDS for name in known.names), "PlaceOrder*"):
                assert each in text
            assert "OrderBook:BASE:COUNTER" in text
            assert max(len(line) for line in text.splitlines()) <= 80
        text = await person.types("help placeorder")
        assert "quantity" in text
        assert "may change the account" in text
        assert "Negative sells." in text
        assert "may double it: see find_order." in " ".join(text.split())
        assert max(len(line) for line in text.splitlines()) <= 80
        assert "Negative sells." in await person.types("lhelp")
        assert "GetTradeVolume" in await person.types("lhelp")
        assert "trioflex console" in await person.types("banner")


async def test_the_tree(autojump_clock, exchange):
    """Tasks by name with their ages, requests that wait, receivers with what waits in them."""
    async with talking(exchange) as person:
        await person.types("subscribe Ticker:XBT:USDT")
        await trio.sleep(5)
        text = await person.types("tree")
        for words in ("receive loop", "send loop", "5.0 s", "0 queued", "of 4096 waiting"):
            assert words in text
        assert "connections 1" in await person.types("status")


async def test_the_screen_and_the_shell(autojump_clock, exchange):
    """What they need is the front end's to do; the dialogue waits for the shell."""
    async with talking(exchange) as person:
        for word in ("cls", "clear"):
            await person.types(word)
            assert isinstance(person.seen[0], Clear)
        for line, command in (("sh", None), ("shell", None), ("sh echo 'a  b'", "echo 'a  b'")):
            await person._lines.send(line)
            shell = await person._outputs.receive()
            assert isinstance(shell, Shell)
            assert command == shell.command
            shell.done.set()
            await person.listen()
            assert not person.over


@pytest.mark.parametrize("venue", ["coinfloor", "theone", "midchains", "oceanex"])
async def test_every_venue(autojump_clock, venue):
    """Connects and logs in; its requests have their place in the help."""
    exchange = SimulatedExchange(venue, clock=system_clock)
    async with talking(exchange, login=True) as person:
        assert "Logged in as" in person.text
        assert person.status.good
        text = await person.types("lhelp")
        for request in person.dialogue.way.venue.requests:
            assert request.__name__ in text
        assert "connection 2" in await person.types("reconnect")


async def test_a_state_that_is_the_same_is_no_news(autojump_clock, exchange):
    """A ticker that says what it said is not printed again; after a gap it is."""
    async with talking(exchange) as person:
        following = person.dialogue.following
        ticker = Ticker(at=0.0, market="X", bid=None, ask=None, last=None, low=None, high=None,
                        volume=Decimal(1))  # fmt: skip
        gap = GapReport(at=0.0, channel="X", reason="overflow", connection=1)
        trade = Trade(at=0.0, market="X", price=Decimal(1), quantity=Decimal(1), side=None)
        for report in (ticker, ticker, trade, trade, gap, ticker):
            following.show(report)
        await person.types("")
        words = [output.word for output in person.seen if isinstance(output, News)]
        assert ["ticker", "trade", "trade", "GAP", "ticker"] == words


# -- the outbox ------------------------------------------------------------------------------------


async def test_the_outbox_keeps_order_and_counts(autojump_clock):
    """What is said is never lost; too many items are, and how many is said."""
    outbox = Outbox()
    send, receive = trio.open_memory_channel(0)
    for number in range(PUSHES + 5):
        outbox.push(News("item", str(number)))
    outbox.tell(Status("old", good=False))
    outbox.tell(Status("new", good=True))
    outbox.tell(Say("last"))
    outbox.end()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.run, send)
        seen = [output async for output in receive]
    assert [str(n) for n in range(PUSHES)] == [x.text for x in seen if x.__class__ is News][:PUSHES]
    assert [Status("new", good=True)] == [x for x in seen if isinstance(x, Status)]
    assert Say("last") in seen
    assert "5 items" in seen[-1].text


async def test_the_outbox_when_nobody_looks(autojump_clock):
    """It ends in peace."""
    outbox = Outbox()
    send, receive = trio.open_memory_channel(0)
    await receive.aclose()
    outbox.tell(Say("x"))
    await outbox.run(send)


# -- the log ---------------------------------------------------------------------------------------


async def test_the_log(autojump_clock, exchange, tmp_path):
    """Requests, replies and the connection's life; at DEBUG every frame; never a secret."""
    path = tmp_path / "console.log"
    with open_log(path, level_of("debug")):
        async with talking(exchange, login=True) as person:
            await person.types("opensesame")
            await person.types("login opensesame")
            await person.types("GetBalances")
            await person.types("q")
    text = path.read_text()
    for words in ("(INFO, dialogue.py:", "request: GetBalances", '"available"', "Authenticate",
                  "connection 1", "not understood"):  # fmt: skip
        assert words in text
    assert not any(secret in text for secret in SECRETS)
    assert logging.NOTSET == logging.getLogger("trioflex").level
