"""A client of OceanEx against a far side that plays the published messages."""

from __future__ import annotations

import base64
import hashlib
import json
from decimal import Decimal

import pytest
import trio

from tests.venues.oceanex_talk import KEY, MESSAGES, OPERATIONS
from trioflex import AuthenticationDenied, NotSent, Refused, open_client
from trioflex.simulator import SimulatedExchange
from trioflex.venues import oceanex

BUY = oceanex.NewOrder("vetusdt", "buy", price="0.0255", volume=400)


class Far:
    """One connection of a far side that plays the vectors, and verifies signatures by hand."""

    def __init__(self, model, link):
        self.model, self.link = model, link

    def opened(self):
        self.link.send(json.dumps(MESSAGES["server_messages"]["welcome"]))

    def method_of(self, frame):
        message = json.loads(frame)
        return message["identifier"]["handler"] if "identifier" in message else "pong"

    def refusal(self, frame, code, message):
        request = json.loads(frame)
        answer = {"action": request["data"]["action"], "code": int(code), "message": message}
        return self._reply(request, answer)

    def received(self, frame):
        request = json.loads(frame)
        handler = self.method_of(frame)
        if handler == "AuthHandler":
            return [self._reply(request, {"code": 0 if self._verified(request) else 1010})]
        [data] = [
            operation["replies"][0]["message"]
            for name, operation in OPERATIONS.items()
            if name in ("markets", "orderbook", "order_create", "history_show", "history_index")
            and operation["request"]["identifier"]["handler"] == handler
            and operation["request"]["data"]["action"] == request["data"]["action"]
        ] or [{"code": 2004, "data": {}}]
        return [self._reply(request, data)]

    def closed(self):
        pass

    def _reply(self, request, message):
        answer = {**message, "uuid": request["data"]["uuid"]}
        return json.dumps({"identifier": request["identifier"], "message": answer}, default=float)

    def _verified(self, request):
        header = request["data"]["header"]
        numbers = self.model.key.public_numbers()
        signature = int.from_bytes(base64.b64decode(header["signature"]), "big")
        padded = pow(signature, numbers.e, numbers.n).to_bytes(256, "big")
        text = f"{header['verb']}|{header['path']}|{header['nonce']}|"
        return padded.endswith(hashlib.sha256(text.encode()).digest())


class Model:
    """The far side."""

    name = "oceanex"
    idle_timeout = None

    def __init__(self):
        self.key = KEY.private_key.public_key()

    def connect(self, link):
        return Far(self, link)

    def credentials(self):
        return {}

    def trade(self):
        return 1.0


def client_of(exchange, **settings):
    settings.setdefault("credentials", KEY)
    return open_client(oceanex.VENUE, connector=exchange.connector, **settings)


async def test_a_client_logs_in_asks_and_polls(autojump_clock):
    """Login, a check against rules just learned, an order, a book every two seconds."""
    async with client_of(SimulatedExchange(Model())) as client:
        assert "ID0TESTUID01" == client.account
        await client.request(oceanex.GetMarkets())
        assert 501 == (await client.request(BUY)).id
        with pytest.raises(NotSent, match="at least 10"):
            await client.request(oceanex.NewOrder("vetusdt", "buy", price="0.01", volume=1))
        async with client.poll(oceanex.GetOrderBook("vetusdt", level=2), every=2) as books:
            began = trio.current_time()
            for _ in range(3):
                assert (
                    oceanex.Level(*map(Decimal, ("0.0254", "80.0")))
                    == (await books.receive()).bids[0]
                )
            assert pytest.approx(4, abs=0.01) == trio.current_time() - began


async def test_a_refused_login_fails_opening(autojump_clock):
    """The code is on the error."""
    exchange = SimulatedExchange(Model())
    exchange.refuse("AuthHandler", 1008, "key disabled")
    with pytest.raises(AuthenticationDenied, match="key disabled") as caught:
        async with client_of(exchange):
            pytest.fail("opened")
    assert "1008" == caught.value.code


async def test_private_requests_are_refused_locally_while_anonymous(autojump_clock):
    """The venue would cut the line."""
    async with client_of(SimulatedExchange(Model()), credentials=None) as client:
        with pytest.raises(NotSent, match="needs a login"):
            await client.request(oceanex.GetAccount())
        await client.login(KEY)
        assert "ID0TESTUID01" == client.account


async def test_an_order_is_found_open_or_closed(autojump_clock):
    """Only "no such order" leads to the second question."""
    exchange = SimulatedExchange(Model())
    async with client_of(exchange) as client:
        assert 503 == (await oceanex.find_order(client, 503)).id
        exchange.refuse("OrderHandler", 9003, "not allowed")
        with pytest.raises(Refused, match="not allowed"):
            await oceanex.find_order(client, 503)


async def test_a_history_is_read_to_its_end(autojump_clock):
    """Page by page, until as many rows were seen as there are."""
    async with client_of(SimulatedExchange(Model())) as client:
        history = oceanex.GetOrderHistory("vetusdt", per=20)
        found = [order.id async for order in oceanex.closed_orders(client, history)]
    assert [490] * 3 == found
