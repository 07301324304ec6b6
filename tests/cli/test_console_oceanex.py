"""OceanEx's own console: its seventeen choices, as its old users know them, scripted."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cli.talking import talking
from trioflex.cli.console.choices import CHOICES
from trioflex.cli.console.outputs import Prompt
from trioflex.simulator import SimulatedExchange, system_clock

BUY = "vetusdt, buy, 0.0100, 2000, limit"

# Choice -> what it asks for, its prompt, and an answer to that.
PUBLIC = {
    2: ("TickerHandler/index", None, None),
    3: ("MarketsHandler/index", None, None),
    4: ("FeeHandler/trading_fee", None, None),
    13: ("ToolHandler/timestamp", None, None),
    14: ("OrderBookHandler/index", "market[, level[, precision]]: ", "vetusdt, 5, 4"),
    15: ("KlineHandler/index", "market[, limit[, period]]: ", "vetusdt,3,1"),
}
PRIVATE = {
    5: ("AccountHandler/index", None, None),
    6: ("OrderHandler/create", "market, side, price, volume[, ord_type]: ", BUY),
    7: ("OrderHandler/cancel", "ids, separated by commas: ", "1"),
    8: ("OrderHandler/clear", None, None),
    9: ("OrderHandler/index", "market[, ord_type]: ", "vetusdt,limit"),
    10: ("OrderHandler/show", "id: ", "1"),
    11: ("OrderHistoryHandler/show", "id: ", "1"),
    12: ("OrderHistoryHandler/index", "market: ", "vetusdt"),
}
WRITES = (6, 7, 8)


@pytest.fixture(scope="module")
def key():
    """Made once: it takes a tenth of a second and more."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def exchange(key):
    exchange = SimulatedExchange("oceanex", clock=system_clock, seed=3, private_key=key)
    exchange.trade(200)
    return exchange


async def choose(person, number, answer=None, *, sure="y"):
    """Take a choice through its questions."""
    text = await person.types(str(number))
    if answer is not None and person.asked:
        text += "\n" + await person.types(answer)
    if person.asked:
        text += "\n" + await person.types(sure)
    assert isinstance(person.seen[-1], Prompt)
    return text


def test_there_are_seventeen():
    """Numbered through."""
    assert list(range(1, 18)) == [choice.number for choice in CHOICES]
    assert {1, 16, 17} == set(range(1, 18)) - PUBLIC.keys() - PRIVATE.keys()


async def test_the_banner(autojump_clock, exchange):
    """All seventeen at the start, on ``banner`` and on the three words for help."""
    async with talking(exchange) as person:
        for text in (person.text, *[await person.types(w) for w in ("banner", "h", "?", "help")]):
            for choice in CHOICES:
                assert f"{choice.number:>3}  {choice.name}" in text
            assert max(len(line) for line in text.splitlines()) <= 80


async def test_public_choices(autojump_clock, exchange):
    """Before a login, and after it."""
    async with talking(exchange) as person:
        for count in (1, 2):
            for number, (handler, question, answer) in PUBLIC.items():
                text = await choose(person, number, answer)
                assert person.answer
                assert count == exchange.count(handler)
                assert question is None or f"? {question}" in text
            await choose(person, 1)


async def test_private_choices_before_login(autojump_clock, exchange):
    """They say what is missing; nothing is asked and nothing is sent."""
    async with talking(exchange) as person:
        for number in PRIVATE:
            assert "needs a login" in await person.types(str(number))
            assert not person.asked
        assert 0 == exchange.statistics().requests
        assert (1,) == exchange.open_connections


async def test_private_choices_after_login(autojump_clock, exchange):
    """A person's morning: account, two orders, what became of them."""
    async with talking(exchange) as person:
        assert "Logged in as ID4TEST." in await choose(person, 1)
        assert "as ID4TEST" in person.status.text
        await choose(person, 5)
        assert "vet" in {each["currency"] for each in person.answer}
        ids = []
        for line in (BUY, "vetusdt,buy,0.0101,2000"):
            text = await choose(person, 6, line)
            assert "NewOrder market=vetusdt side=BUY volume=2000 price=0.010" in text
            assert ("BUY", "wait") == (person.answer["side"], person.answer["state"])
            ids.append(person.answer["id"])
        await choose(person, 9, "vetusdt,limit")
        assert set(ids) == {order["id"] for order in person.answer["resources"]}
        await choose(person, 10, str(ids[0]))
        assert ids[0] == person.answer["id"]
        await choose(person, 7, f"{ids[0]}, ")
        assert [ids[0]] == person.answer
        await choose(person, 11, str(ids[0]))
        assert "cancel" == person.answer["state"]
        await choose(person, 8)
        assert [ids[1]] == person.answer
        await choose(person, 12, "vetusdt")
        assert set(ids) == {order["id"] for order in person.answer["resources"]}
        await choose(person, 6, "vetusdt,sell,,5000,market")
        assert ("SELL", None) == (person.answer["side"], person.answer["price"])


async def test_the_questions(autojump_clock, exchange):
    """As they were; what is asked is sent, spaces do not count."""
    async with talking(exchange, login=True) as person:
        await choose(person, 6, BUY)
        for number, (handler, question, answer) in sorted(PRIVATE.items(), reverse=True):
            before = exchange.count(handler)
            text = await choose(person, number, answer)
            assert before + 1 == exchange.count(handler)
            assert question is None or f"? {question}" in text
            assert ("[y/N]" in text) == (number in WRITES)


async def test_writes_can_be_declined(autojump_clock, exchange):
    """Nothing is sent."""
    async with talking(exchange, login=True) as person:
        for number in WRITES:
            text = await choose(person, number, PRIVATE[number][2], sure="")
            assert "was declined" in text
            assert 0 == exchange.count(PRIVATE[number][0])


WRONG_ANSWERS = [
    (6, "vetusdt,buy,0.01", "4 to 5 parts needed"),
    (6, "vetusdt,buy,0.01,1,limit,more", "there are 6"),
    (6, "vetusdt,hold,0.01,2000,limit", "hold"),
    (6, "vetusdt,buy,cheap,2000,limit", "'cheap'"),
    (6, "vetusdt,buy,,2000,limit", "a limit order has a price"),
    (6, "VET/USDT,buy,0.01,2000,limit", "lower case"),
    (6, "", "Nothing was sent."),
    (7, "1,x", "ids of CancelOrders takes"),
    (7, ",", "ids are needed"),
    (9, "vetusdt,limit,asc", "1 to 2 parts needed"),
    (10, "x", "id of GetOrder takes"),
    (10, "1,2", "1 part needed"),
    (11, "-1", "whole number"),
    (12, "", "Nothing was sent."),
    (14, "vetusdt,many", "level of GetOrderBook takes"),
    (15, "vetusdt,3,7", "7"),
]


async def test_wrong_answers(autojump_clock, exchange):
    """A sentence, nothing sent, the next prompt."""
    async with talking(exchange, login=True) as person:
        before = exchange.statistics().requests
        for number, answer, words in WRONG_ANSWERS:
            assert words in await choose(person, number, answer)
        assert before == exchange.statistics().requests


async def test_wrong_choices(autojump_clock, exchange):
    """They are not understood, and the person is told where to look."""
    async with talking(exchange) as person:
        for line in ("0", "18", "-1", "1.5", "99999", "6x"):
            text = await person.types(line)
            assert "not understood" in text
            assert "`help`" in text


async def test_answers_on_the_same_line_and_names(autojump_clock, exchange):
    """Who knows what comes need not wait for the question, nor remember the number."""
    async with talking(exchange) as person:
        await person.types("14 vetusdt,3")
        assert 3 == len(person.answer["bids"])
        await person.types("book vetusdt 2")
        assert 2 == len(person.answer["bids"])
        await person.types("book vetusdt , 2 , 5")
        assert 2 == len(person.answer["bids"])
        assert "NewOrder" in await person.types("help 6")
        assert "close the connection" in await person.types("help 16")
        assert "needs a login" in await person.types("account")


async def test_disconnect_and_reconnect(autojump_clock, exchange):
    """16 and 17: without a connection nothing is sent; the login comes back with it."""
    async with talking(exchange) as person:
        await choose(person, 1)
        assert "Disconnected" in await choose(person, 16)
        assert () == exchange.open_connections
        for number in (5, 13, 6):
            assert "there is no connection" in await person.types(str(number))
        assert "logged in as ID4TEST" in await choose(person, 17)
        await choose(person, 5)
        assert person.answer
        await choose(person, 17)
        assert (3,) == exchange.open_connections
        assert "no channels" in await person.types("subscribe Ticker")


async def test_reconnected_as_a_stranger(autojump_clock, exchange):
    """Who never logged in does not come back logged in, and private choices still say so."""
    async with talking(exchange) as person:
        assert "nobody is logged in" in await choose(person, 17)
        assert "needs a login" in await person.types("5")


async def test_a_refused_login(autojump_clock, exchange):
    """It does not count as one, whatever the answer's handler is."""
    exchange.refuse("AuthHandler/login", 1008, "key disabled", times=1)
    async with talking(exchange) as person:
        assert "key disabled" in await choose(person, 1)
        assert "needs a login" in await person.types("5")
        assert "Logged in as ID4TEST." in await choose(person, 1)


async def test_a_missing_key_file(autojump_clock, exchange):
    """A sentence; the file is read at each login, so that it can be put there."""
    found = {"OCEANEX_UID": "ID4TEST", "OCEANEX_KEY_ID": "KIDTEST", "OCEANEX_KEY_FILE": "/none"}
    async with talking(exchange, credentials=found) as person:
        assert "cannot be read" in await choose(person, 1)
        found |= exchange.model.credentials()
        assert "Logged in as ID4TEST." in await choose(person, 1)


async def test_refusals_name_themselves(autojump_clock, exchange):
    """The venue's no reaches the person: an order that does not exist, one that cannot be."""
    async with talking(exchange, login=True) as person:
        assert "GetOrder was refused" in await choose(person, 10, "77")
        assert "CancelOrders was refused" in await choose(person, 7, "77")
        await choose(person, 3)
        assert "at least 10" in await choose(person, 6, "vetusdt,buy,0.01,1,limit")


async def test_a_disconnect_by_the_venue(autojump_clock, exchange):
    """``reconnect: false`` is for good; the person is told, and may try again."""
    async with talking(exchange) as person:
        exchange.push('{"type":"disconnect","reason":"unauthorized","reconnect":false}')
        exchange.close()
        assert "unauthorized" in await person.hears("FAILED")
        assert "there is no connection" in await person.types("13")
        await choose(person, 17)
        await choose(person, 13)
        assert isinstance(person.answer, int)
