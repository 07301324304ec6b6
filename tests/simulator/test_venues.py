"""The real venues, hosted: the script speaks their language, and no text of a client ends them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given, settings, strategies as st
from trio.testing import MockClock

from tests.outside.raw_floor_client import private_key, sign
from trioflex._shell.transport import Disconnected, Target, Transport
from trioflex.simulator import CoinflexModel, SimulatedExchange

TARGET = Target(url="ws://exchange.test/")
PAIRS = {"coinflex": (63488, 65283), "coinfloor": (63488, 64032)}


@pytest.fixture(params=PAIRS)
def exchange(request) -> SimulatedExchange:
    return SimulatedExchange(request.param)


class Talker:
    """A connection that asks one thing at a time."""

    def __init__(self, transport: Transport, welcome: dict[str, object]) -> None:
        self.transport = transport
        self.welcome = welcome
        self.notices: list[dict[str, object]] = []
        self.tag = 0

    async def ask(self, method: str, **fields: object) -> dict[str, object]:
        self.tag += 1
        await self.transport.send([json.dumps({"tag": self.tag, "method": method, **fields})])
        while True:
            for message in map(json.loads, await self.transport.receive()):
                if message.get("tag") == self.tag:
                    return message
                self.notices.append(message)

    async def login(self, exchange: SimulatedExchange) -> dict[str, object]:
        user_id, cookie, passphrase = exchange.model.credentials().values()

        message = (
            int(user_id).to_bytes(8, "big") + b64decode(str(self.welcome["nonce"])) + bytes(16)
        )
        halves = sign(private_key(int(user_id), passphrase), message)
        return await self.ask(
            "Authenticate",
            user_id=int(user_id),
            cookie=cookie,
            nonce=b64encode(bytes(16)).decode(),
            signature=[b64encode(half).decode() for half in halves],
        )


@asynccontextmanager
async def talking(exchange: SimulatedExchange) -> AsyncIterator[Talker]:
    """Connect, and take the welcome."""
    async with exchange.connector(TARGET) as transport:
        welcome, *_ = await transport.receive()
        yield Talker(transport, json.loads(welcome))


async def test_a_refusal_of_the_script_is_the_venues_own(exchange, autojump_clock):
    """With the tag of the command, the code as a number, and the text."""
    exchange.refuse("GetBalances", 6, "You are making information requests too rapidly.")
    async with talking(exchange) as talker:
        assert {
            "tag": 1,
            "error_code": 6,
            "error_msg": "You are making information requests too rapidly.",
        } == await talker.ask("GetBalances")


async def test_the_sixty_seconds_of_the_venues(exchange, autojump_clock):
    """Nothing in either direction for so long ends the connection."""
    async with talking(exchange) as talker:
        with pytest.raises(Disconnected):
            await talker.transport.receive()
    assert 60.0 == trio.current_time()


async def test_a_login_is_for_one_connection(exchange, autojump_clock):
    """Each has its own nonce; what is private stays so on the next."""
    async with talking(exchange) as first, talking(exchange) as second:
        assert 0 == (await first.login(exchange))["error_code"]
        assert first.welcome != second.welcome
        assert 7 == (await second.ask("GetBalances"))["error_code"]


@pytest.mark.parametrize("end", ["drop", "close", "leave", "cancel"])
async def test_whatever_ends_a_connection_ends_its_orders(exchange, end, autojump_clock):
    """Those that do not persist; in every way that a connection can end. # T2"""
    base, counter = PAIRS[exchange.model.name]
    order = {"base": base, "counter": counter, "quantity": 100, "price": 500_000}
    async with talking(exchange) as owner:
        await owner.login(exchange)
        with trio.CancelScope() as scope:
            async with talking(exchange) as talker:
                await talker.login(exchange)
                for tonce, persist in ((1, False), (2, True)):
                    fields = {**order, "tonce": tonce, "persist": persist}
                    assert 0 == (await talker.ask("PlaceOrder", **fields))["error_code"]
                assert 2 == len((await owner.ask("GetOrders"))["orders"])
                match end:
                    case "drop":
                        exchange.drop(2)
                    case "close":
                        exchange.close(1012, connection=2)
                    case "cancel":
                        scope.cancel()
                        await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        assert [2] == [order["tonce"] for order in (await owner.ask("GetOrders"))["orders"]]


async def test_a_connection_that_was_dropped_at_once_leaves_nothing(exchange, autojump_clock):
    """It was gone before its welcome."""
    exchange.accept_and_drop(times=1)
    async with exchange.connector(TARGET) as transport:
        with pytest.raises(Disconnected):
            await transport.receive()
    exchange.trade(20)
    async with talking(exchange) as talker:
        assert "nonce" in talker.welcome


async def test_a_model_can_be_made_beforehand(autojump_clock):
    """With its options, and its inspection at hand."""
    model = CoinflexModel(empty=True, markets=["ETH:USDT"])
    exchange = SimulatedExchange(model)
    async with talking(exchange) as talker:
        await talker.login(exchange)
        await talker.ask("GetOrders")
    assert ["Authenticate", "GetOrders"] == [command.method for command in model.record]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
METHODS = [
    *("Authenticate", "GetBalances", "GetOrders", "EstimateMarketOrder", "PlaceOrder"),
    *("ModifyOrder", "CancelOrder", "CancelAllOrders", "GetTradeVolume", "WatchOrders"),
    *("WatchTicker", "Nothing"),
]
FIELDS = [
    *("tag", "base", "counter", "quantity", "price", "total", "tonce", "persist", "post_only"),
    *("id", "quantity_delta", "asset", "watch", "user_id", "cookie", "nonce", "signature"),
]
VALUES = JSON | st.sampled_from([63488, 65283, 64032, 0, 1, -1, 2**63 - 1, 2**64, True, "1", 1.5])
COMMANDS = st.builds(
    lambda method, fields: json.dumps({**fields, "method": method}),
    st.sampled_from(METHODS),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6),
)
TEXTS = st.text(max_size=30) | JSON.map(json.dumps) | COMMANDS


@pytest.mark.parametrize("venue", PAIRS)
@settings(max_examples=60)
@given(texts=st.lists(TEXTS, max_size=12))
def test_no_text_of_a_client_is_more_than_an_error(venue, texts):
    """Whatever it says, logged in or not, it gets one reply to each, and the venue lives. # T1"""

    async def talk() -> None:
        for logged_in in (False, True):
            async with talking(exchange) as talker:
                if logged_in:
                    await talker.login(exchange)
                before = exchange.statistics()
                await talker.transport.send(texts)
                replies = 0
                while replies < len(texts):
                    replies += sum(b'"notice"' not in m for m in await talker.transport.receive())
                after = exchange.statistics()
                assert len(texts) == after.requests - before.requests
        async with talking(exchange) as talker:
            assert 7 == (await talker.ask("GetBalances"))["error_code"]

    exchange = SimulatedExchange(venue)
    trio.run(talk, clock=MockClock(autojump_threshold=0))


async def test_a_venue_survives_very_deep_json(exchange, autojump_clock):
    """Nesting is answered, too. # M2"""
    async with talking(exchange) as talker:
        await talker.transport.send(["[" * 50_000, '{"a":' * 50_000])
        replies = []
        while len(replies) < 2:
            replies += await talker.transport.receive()
    assert [8, 8] == [json.loads(reply)["error_code"] for reply in replies]
