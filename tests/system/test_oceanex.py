"""A client of OceanEx against the simulated one: logins, requests, polls, refusals, losses."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from decimal import Decimal as D

import attrs
import msgspec
import pytest
import trio
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.simulator.oceanex_client import KEY as RSA, OTHER_KEY
from trioflex import (
    AuthenticationDenied,
    AuthenticationTimeout,
    ConnectionLost,
    Gap,
    NotSent,
    OutcomeUnknown,
    RefusalKind,
    Refused,
    ReplyLost,
    Resumed,
    open_client,
)
from trioflex.simulator import Limit, OceanExAccount, SimulatedExchange
from trioflex.venues import oceanex


def holder(key=RSA, uid="ID4TEST", key_id="KIDTEST"):
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return oceanex.Credentials.from_pem(uid, key_id, pem)


ME = holder()
ANN = holder(OTHER_KEY, "ANN", "KIDANN")
ACCOUNTS = [
    OceanExAccount(),
    OceanExAccount(uid="ANN", key_id="KIDANN", public_key=OTHER_KEY.public_key()),
]
BUY = oceanex.NewOrder("vetusdt", "buy", price="0.02", volume=1000)
SELL = attrs.evolve(BUY, side="sell")


def simulated(**options):
    options = {"private_key": RSA, "empty": True, "accounts": ACCOUNTS, **options}
    return SimulatedExchange("oceanex", **options)


@pytest.fixture
def exchange():
    return simulated()


@asynccontextmanager
async def opened(exchange, venue=oceanex.VENUE, **settings):
    settings.setdefault("credentials", ME)
    settings.setdefault("connector", exchange.connector)
    settings.setdefault("env", exchange.env)
    async with open_client(venue, **settings) as client:
        yield client


def sent(exchange, method):
    """What clients have sent of one kind, parsed."""
    handler, action = method.split("/")
    frames = [json.loads(frame.text) for frame in exchange.frames if frame.direction == ">"]
    return [
        each
        for each in frames
        if each["command"] == "message"
        and (each["identifier"]["handler"], each["data"]["action"]) == (handler, action)
    ]


# -- logging in ----------------------------------------------------------------------------------


async def test_a_login(exchange, autojump_clock):
    """With a PEM file that the environment names."""
    credentials = oceanex.Credentials.from_env(exchange.model.credentials())
    async with opened(exchange, credentials=credentials) as client:
        assert (True, "ID4TEST") == (client.ready, client.account)
    assert 1 == exchange.count("AuthHandler/login")


@pytest.mark.parametrize(
    ("code", "credentials", "change"),
    [
        ("1010", holder(OTHER_KEY), {}),
        ("1006", holder(uid="NOBODY"), {}),
        ("1007", holder(key_id="KIDANN"), {}),
        ("1008", ME, {"enabled": False}),
        ("1011", ME, {"addresses": ["10.0.0.1"]}),
    ],
)
async def test_a_login_that_is_denied(exchange, code, credentials, change, autojump_clock):  # L3
    """Once, at once, with the venue's code."""
    exchange.model.change_key("ID4TEST", **change)
    with pytest.raises(AuthenticationDenied) as caught:
        async with opened(exchange, credentials=credentials):
            raise AssertionError("it was let in")
    assert (code, 1, 0.0) == (
        caught.value.code,
        exchange.count("AuthHandler/login"),
        trio.current_time(),
    )


async def test_a_login_that_is_cut(autojump_clock):
    """The venue says disconnect instead of a code."""
    exchange = simulated(cut_denied_logins=True)
    with pytest.raises(AuthenticationDenied, match="unauthorized"):
        async with opened(exchange, credentials=holder(OTHER_KEY)):
            raise AssertionError("it was let in")
    assert 1 == exchange.count("AuthHandler/login")


async def test_a_login_that_finds_the_venue_in_trouble(exchange, autojump_clock):
    """It may pass: the next attempt is let in."""
    exchange.refuse("AuthHandler/login", 1005, "busy", times=1)
    with pytest.raises(AuthenticationDenied, match="busy"):
        async with opened(exchange):
            raise AssertionError("it was let in")
    async with opened(exchange) as client:
        exchange.refuse("AuthHandler/login", -9, "busy", times=2)
        await trio.sleep(0.01)
        exchange.drop()
        await trio.sleep(0.1)
        await client.wait_ready()
        assert 5 == exchange.count("AuthHandler/login")


async def test_a_clock_that_is_wrong_can_be_set_right(exchange, autojump_clock):
    """Denied, until the venue's time is known."""
    env = exchange.env
    slow = attrs.evolve(env, epoch_ms=lambda: env.epoch_ms() - 3_600_000)
    with pytest.raises(AuthenticationDenied, match="2001"):
        async with opened(exchange, env=slow):
            raise AssertionError("it was let in")
    async with opened(exchange, env=slow, credentials=None) as client:
        asked = slow.epoch_ms()
        seconds = await client.request(oceanex.GetTime())
        offset = oceanex.clock_offset_ms(seconds, asked_ms=asked, answered_ms=slow.epoch_ms())
    assert abs(offset - 3_600_000) <= 500
    venue = oceanex.venue(clock_offset_ms=offset)
    async with opened(exchange, venue, env=slow) as client:
        assert "ID4TEST" == client.account


async def test_a_captured_login_is_worth_nothing(exchange, autojump_clock):
    """Its nonce has been used."""
    async with opened(exchange):
        [login] = sent(exchange, "AuthHandler/login")
        heard = []

        class Wire:
            send = staticmethod(heard.append)

        [answer] = exchange.model.connect(Wire()).received(json.dumps(login))
    assert 2001 == json.loads(answer)["message"]["code"]


async def test_a_login_that_is_not_answered(exchange, autojump_clock):  # L1
    """Is given up."""
    exchange.silence("AuthHandler/login")
    with pytest.raises(AuthenticationTimeout):
        async with opened(exchange):
            raise AssertionError("it was let in")
    assert oceanex.VENUE.handshake_timeout == trio.current_time()


async def test_a_login_that_is_answered_late(exchange, autojump_clock):  # L2
    """In time, if only just."""
    exchange.delay("AuthHandler/login", oceanex.VENUE.handshake_timeout - 0.1)
    async with opened(exchange) as client:
        assert client.ready


async def test_a_welcome_that_does_not_come(exchange, autojump_clock):
    """Is waited for as long."""
    exchange.withhold_welcome()
    with pytest.raises(AuthenticationTimeout):
        async with opened(exchange):
            raise AssertionError("it was let in")
    assert 0 == exchange.count("*")


async def test_logging_in_later(exchange, autojump_clock):
    """Private requests are refused locally before: the venue would cut the line."""
    async with opened(exchange, credentials=None) as client:
        with pytest.raises(NotSent, match="needs a login"):
            await client.request(oceanex.GetAccount())
        assert 4 == len(await client.request(oceanex.GetMarkets()))
        await client.login(ME)
        assert await client.request(oceanex.GetAccount())
        assert 1 == client.statistics().connections


# -- requests ------------------------------------------------------------------------------------

WORDINGS = {
    "plain": ({}, {}),
    "text": ({"stringify": True, "numbers_as_strings": True}, {"other_shapes": True}),
    "documented": ({"documented_keys": True}, {"repeat_uuids": False}),
}


@pytest.mark.parametrize("wording", WORDINGS)
async def test_every_request(wording, autojump_clock):
    """With what the venue then has, in each wording of questions and answers."""
    how, shapes = WORDINGS[wording]
    exchange = simulated(settling=2, **shapes)
    async with (
        opened(exchange, oceanex.venue(**how)) as client,
        opened(exchange, credentials=ANN) as ann,
    ):
        assert exchange.clock() // 10**6 == await client.request(oceanex.GetTime())
        markets = await client.request(oceanex.GetMarkets())
        assert ("vetusdt", "vet", "usdt", 6, 2, D(10)) == (
            markets[0].id, markets[0].base, markets[0].quote, markets[0].price_precision,
            markets[0].amount_precision, markets[0].minimum_trading_amount,
        )  # fmt: skip
        fees = await client.request(oceanex.GetFees())
        assert [each.id for each in markets] == [each.market_id for each in fees]
        assert D("0.001") == fees[0].ask_fee.value

        order = await client.request(BUY)
        assert ("wait", oceanex.Side.BUY, D("0.02"), D(1000), D(0), False) == (
            order.state, order.side, order.price, order.remaining_volume, order.avg_price,
            order.final,
        )  # fmt: skip
        book = await client.request(oceanex.GetOrderBook("vetusdt", level=5, precision=6))
        assert ((oceanex.Level(D("0.02"), D(1000)),), ()) == (book.bids, book.asks)
        assert order == await client.request(oceanex.GetOrder(order.id))
        opens = await client.request(oceanex.GetOpenOrders("vetusdt", "limit", page=1, per=5))
        assert ((order,), 1) == (opens.resources, opens.resources_count)
        accounts = {each.currency: each for each in await client.request(oceanex.GetAccount())}
        assert (D(999980), D(20), D(1000000)) == (
            accounts["usdt"].balance, accounts["usdt"].locked, accounts["usdt"].total,
        )  # fmt: skip

        market = oceanex.NewOrder("vetusdt", "sell", volume=600, ord_type="market")
        assert "done" == (await ann.request(market)).state
        [trade] = (await oceanex.find_order(client, order.id)).trades
        assert (order.id, D("0.02"), D(600), D(12), D("0.012"), D("0.6")) == (
            trade.order_id, trade.price, trade.volume, trade.funds, trade.ask_fee, trade.bid_fee,
        )  # fmt: skip
        [candle] = await client.request(oceanex.GetKline("vetusdt", limit=5, period=5))
        assert (D("0.02"), D("0.02"), D(600)) == (candle.open, candle.close, candle.volume)
        tickers = await client.request(oceanex.GetTickers(["vetusdt", "ethusdt"]))
        assert ["vetusdt", "ethusdt"] == list(tickers)
        assert (D("0.02"), D(600)) == (tickers["vetusdt"].last, tickers["vetusdt"].volume)

        assert (order.id,) == await client.request(oceanex.CancelOrders(order.id))
        assert "cancelling" == (await client.request(oceanex.GetOrder(order.id))).state
        await trio.sleep(2)
        closed = await client.request(oceanex.GetClosedOrder(order.id))
        assert ("cancel", D(600), D(400)) == (
            closed.state, closed.executed_volume, closed.remaining_volume,
        )  # fmt: skip
        history = oceanex.GetOrderHistory("vetusdt", "cancel", start_time=1)
        found = await client.request(history)
        assert (as_listed(closed), 1) == (found.resources[0], found.resources_count)
        second = await client.request(BUY)
        assert (second.id,) == await client.request(oceanex.CancelAllOrders())
        assert () == await client.request(oceanex.CancelAllOrders())


def as_listed(order):
    """An order as lists have it: without its fills."""
    return msgspec.structs.replace(order, trades=())


async def test_stop_orders_pass_through(exchange, autojump_clock):
    """Fields that the guide does not have are sent as they are."""
    extra = {"stop_price": "0.021", "trigger_condition": "gte"}
    async with opened(exchange) as client:
        order = attrs.evolve(BUY, ord_type="stop_limit", extra=extra)
        assert "wait_trigger" == (await client.request(order)).state


async def test_orders_are_checked_as_soon_as_the_rules_are_known(exchange, autojump_clock):
    """Before that the venue refuses; after it nothing is sent."""
    small = attrs.evolve(BUY, volume=1)
    async with opened(exchange) as client:
        with pytest.raises(Refused, match="at least 10 usdt") as caught:
            await client.request(small)
        assert RefusalKind.INVALID is caught.value.kind
        await client.request(oceanex.GetMarkets())
        for wrong in (
            small,
            attrs.evolve(BUY, market="xxxyyy"),
            attrs.evolve(BUY, price="0.0200001"),
        ):
            with pytest.raises(NotSent):
                await client.request(wrong)
        assert 1 == exchange.count("OrderHandler/create")


async def test_polling(autojump_clock):
    """Books and tickers, before and after a reconnect, with a gap between."""
    exchange = simulated(empty=False)
    async with (
        opened(exchange, credentials=None) as client,
        client.poll(oceanex.GetOrderBook("btcusdt", level=5), every=2) as books,
        client.poll(oceanex.GetTickers(["btcusdt"]), every=5) as tickers,
    ):
        first = await books.receive()
        assert 5 == len(first.bids) == len(first.asks)
        assert first.bids[0].price < first.asks[0].price
        assert (await tickers.receive())["btcusdt"].buy == first.bids[0].price
        exchange.trade(40)
        assert first != await books.receive()
        refusing = exchange.refuse_connections()
        exchange.drop()
        await trio.sleep(5)
        refusing.stop()
        kinds = []
        while not kinds or kinds[-1] is not oceanex.Book:
            kinds.append(type(await books.receive()))
        assert [Gap, Resumed, oceanex.Book] == kinds


async def test_answers_find_their_requests(exchange, autojump_clock):  # M11
    """Whatever order they come in."""
    async with opened(exchange) as client:
        exchange.reorder(4)
        requests = [oceanex.GetOrderBook(name) for name in ("vetusdt", "btcusdt", "ethusdt")]
        tickets = [await client.submit(each) for each in (*requests, oceanex.GetTime())]
        assert [oceanex.Book((), ())] * 3 == [await each.reply() for each in tickets[:3]]
        assert int is type(await tickets[3].reply())


async def test_a_late_answer_is_nobody_elses(exchange, autojump_clock):  # M11
    """It is counted, and that is all."""
    exchange.delay("ToolHandler/timestamp", 12, times=1)
    async with opened(exchange) as client:
        with pytest.raises(ReplyLost):
            await client.request(oceanex.GetTime())
        assert exchange.clock() // 10**6 == await client.request(oceanex.GetTime())
        await trio.sleep(5)
        assert (1, 1) == (client.statistics().late_replies, client.statistics().connections)


# -- refusals ------------------------------------------------------------------------------------

NOT_AUTHENTICATED, INVALID = RefusalKind.NOT_AUTHENTICATED, RefusalKind.INVALID
KINDS = {
    **dict.fromkeys((-1, -2, -9, 1005), RefusalKind.OTHER),
    **dict.fromkeys((1001, 1002, 1003, 1004, 1006, 1007, 1008, 1010, 2001), NOT_AUTHENTICATED),
    **dict.fromkeys((9001, 9002, 1011, 9003), NOT_AUTHENTICATED),
    **dict.fromkeys((2002, 2003), INVALID),
    **dict.fromkeys((2004, 2012), RefusalKind.NOT_FOUND),
    **dict.fromkeys((3001, 3002, 4711), RefusalKind.OTHER),
}


async def test_every_code(exchange, autojump_clock):
    """Of the documents' table, in an exception of the right kind, and one that nobody knows."""
    async with opened(exchange) as client:
        for code, kind in KINDS.items():
            exchange.refuse("ToolHandler/timestamp", code, "", times=1)
            with pytest.raises(Refused) as caught:
                await client.request(oceanex.GetTime())
            assert (str(code), kind) == (caught.value.code, caught.value.kind)
        assert len(KINDS) == exchange.count("ToolHandler/timestamp")


async def test_refusals_that_the_venue_makes_itself(autojump_clock):
    """Money, markets, ids, scopes: with the venue's own codes and words."""
    broke = OceanExAccount(scopes={"query": True, "sell/buy": True}, balances={"usdt": D(30)})
    exchange = simulated(accounts=[broke])
    async with opened(exchange) as client:
        order = await client.request(BUY)
        for request, code, kind in (
            (BUY, "2002", RefusalKind.INSUFFICIENT_FUNDS),
            (attrs.evolve(BUY, market="xxxyyy"), "2002", RefusalKind.UNKNOWN_MARKET),
            (attrs.evolve(BUY, ord_type="odd"), "2002", RefusalKind.INVALID),
            (oceanex.GetOrderBook("xxxyyy"), "1001", RefusalKind.UNKNOWN_MARKET),
            (oceanex.CancelOrders([order.id, 999]), "2003", RefusalKind.INVALID),
            (oceanex.GetOrder(999), "2004", RefusalKind.NOT_FOUND),
            (oceanex.GetClosedOrder(order.id), "2004", RefusalKind.NOT_FOUND),
        ):
            with pytest.raises(Refused) as caught:
                await client.request(request)
            assert (code, kind) == (caught.value.code, caught.value.kind), request
        exchange.model.change_key("ID4TEST", scopes={"query": True})
        with pytest.raises(Refused, match="sell/buy") as caught:
            await client.request(BUY)
        assert RefusalKind.NOT_AUTHENTICATED is caught.value.kind


async def test_rate_limits(autojump_clock):
    """Ours keeps us below theirs; who goes beyond is refused, in both of the venue's ways."""
    exchange = simulated()
    async with opened(exchange) as client:
        tickets = [await client.submit(BUY) for _ in range(60)]
        assert 60 == len({(await each.reply()).id for each in tickets})
        assert 1.9 < trio.current_time() < 3
    exchange = simulated(limit=Limit(5, 60), order_limit=Limit(1, 60))
    async with opened(exchange) as client:
        for request, code in ((BUY, "2002"), (oceanex.GetAccount(), "-2")):
            with pytest.raises(Refused) as caught:
                for _ in range(9):
                    await client.request(request)
            assert (code, RefusalKind.RATE_LIMITED) == (caught.value.code, caught.value.kind)


# -- orders whose answer is lost -----------------------------------------------------------------


async def test_a_connection_lost_with_an_order_in_flight(exchange, autojump_clock):
    """Unknown, and never sent again; after the reconnect it is found, for it was placed."""
    exchange.silence("OrderHandler/create", times=1)
    async with opened(exchange) as client:
        since = exchange.clock() // 10**6
        await trio.sleep(0.01)
        ticket = await client.submit(BUY)
        await exchange.seen("OrderHandler/create")
        exchange.drop()
        with pytest.raises(OutcomeUnknown):
            await ticket.reply()
        await client.wait_ready()
        [found] = await oceanex.find_lost_order(client, BUY, since=since)
        assert ("wait", D(1000)) == (found.state, found.volume)
        assert (1, 2) == (exchange.count("OrderHandler/create"), exchange.next_connection - 1)
        assert 2 == exchange.count("AuthHandler/login")


async def test_an_order_that_never_arrived(exchange, autojump_clock):
    """Is not found, however similar others are."""
    async with opened(exchange) as client, opened(exchange, credentials=ANN) as ann:
        earlier = await client.request(BUY)
        await trio.sleep(5)
        since = exchange.clock() // 10**6
        known = (await client.request(BUY)).id
        await client.request(attrs.evolve(BUY, price="0.0201"))
        await client.request(attrs.evolve(BUY, volume=1001))
        await client.request(attrs.evolve(SELL, price="0.03"))
        await client.request(attrs.evolve(BUY, market="ethbtc", price="0.01", volume=1))
        await ann.request(BUY)
        exchange.silence("OrderHandler/create", execute=False, times=1)
        with pytest.raises(OutcomeUnknown):
            await client.request(BUY)
        ask = oceanex.find_lost_order
        assert () == await ask(client, BUY, since=since, known=[known])
        assert [known] == [each.id for each in await ask(client, BUY, since=since)]
        both = await ask(client, BUY, since=since - 10)
        assert [earlier.id, known] == [each.id for each in both]


async def test_a_lost_order_that_is_closed_already(exchange, autojump_clock):
    """Traded, or withdrawn by somebody with the same account."""
    exchange.silence("OrderHandler/create", connection=1)
    async with opened(exchange) as client, opened(exchange, credentials=ANN) as ann:
        await ann.request(SELL)
        for order, state in ((BUY, "done"), (attrs.evolve(BUY, volume=2000), "cancel")):
            with pytest.raises(OutcomeUnknown):
                await client.request(order)
            if state == "cancel":
                await client.request(oceanex.CancelAllOrders())
            [found] = await oceanex.find_lost_order(client, order, since=1)
            assert state == found.state


async def test_a_lost_order_on_a_later_page(autojump_clock):
    """Among more orders than a page has, while others come to their end."""
    exchange = simulated(page_most=20)
    async with opened(exchange) as client:
        for _ in range(45):
            await client.request(attrs.evolve(BUY, price="0.019"))
        order = await client.request(BUY)
        open_pages = "OrderHandler/index"
        async with trio.open_nursery() as nursery:

            async def cancel_one():
                await exchange.seen(open_pages, 2)
                await client.request(oceanex.CancelOrders(1))

            nursery.start_soon(cancel_one)
            exchange.delay(open_pages, 0.5)
            [found] = await oceanex.find_lost_order(client, BUY, since=1)
        assert order.id == found.id
        assert 6 == exchange.count(open_pages)


async def test_a_market_that_never_rests():
    """Pages that change at every look are not looked at for ever; what was seen is used."""
    asked = []

    class Busy:
        """Orders come and go between any two pages."""

        async def request(self, request):
            asked.append(request)
            if isinstance(request, oceanex.GetOrderHistory):
                return oceanex.Orders((), 0)
            row = oceanex.Order(
                id=len(asked), market="vetusdt", side=oceanex.Side.BUY, state="wait",
                price=D("0.02"), volume=D(1000), remaining_volume=D(1000), executed_volume=D(0),
            )  # fmt: skip
            return oceanex.Orders((row,), 2 + len(asked) % 2)

    found = await oceanex.find_lost_order(Busy(), BUY, since=1, known=[1])
    pages = [each for each in asked if isinstance(each, oceanex.GetOpenOrders)]
    assert 20 <= len(pages) <= 40
    assert list(range(2, len(pages) + 1)) == [each.id for each in found]


async def test_a_history_is_read_to_its_end(autojump_clock):
    """Page by page, however many rows the venue gives a page."""
    exchange = simulated(page_most=2)
    async with opened(exchange) as client:
        for _ in range(5):
            await client.request(BUY)
        await client.request(oceanex.CancelAllOrders())
        history = oceanex.GetOrderHistory("vetusdt", order_by="asc", per=4)
        found = [order.id async for order in oceanex.closed_orders(client, history)]
    assert [1, 2, 3, 4, 5] == found
    assert 3 == exchange.count("OrderHistoryHandler/index")


async def test_an_order_is_found_open_or_closed(exchange, autojump_clock):
    """Only "no such order" leads to the second question."""
    async with opened(exchange) as client:
        order = await client.request(BUY)
        assert "wait" == (await oceanex.find_order(client, order.id)).state
        await client.request(oceanex.CancelAllOrders())
        assert "cancel" == (await oceanex.find_order(client, order.id)).state
        with pytest.raises(Refused, match="does not exist"):
            await oceanex.find_order(client, 999)
        exchange.refuse("OrderHandler/show", 9003, "not allowed")
        with pytest.raises(Refused, match="not allowed"):
            await oceanex.find_order(client, order.id)


# -- connections ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["connector", "byte_connector"])
async def test_pings_are_answered(exchange, way, autojump_clock):
    """For an hour, though nobody asks anything."""
    async with opened(exchange, connector=getattr(exchange, way)) as client:
        await trio.sleep(3_601)
        assert 60 == exchange.count("pong")
        assert 1 == client.statistics().connections


async def test_a_silent_venue_is_given_up(exchange, autojump_clock):
    """After a minute without a word and half a minute without an answer."""
    async with opened(exchange) as client:
        await trio.sleep(1)
        exchange.go_dark(connection=1)
        await trio.sleep(88)
        assert 1 == client.statistics().connections
        await trio.sleep(5)
        await client.wait_ready()
        assert 2 == client.statistics().connections


async def test_the_venue_sends_clients_away(exchange, autojump_clock):
    """Those that may come back do."""
    async with opened(exchange) as client:
        await trio.sleep(0.01)
        exchange.model.disconnect("maintenance", reconnect=True)
        await trio.sleep(0.1)
        await client.wait_ready()
        assert await client.request(oceanex.GetAccount())
        assert 2 == client.statistics().connections


async def test_the_venue_sends_clients_away_for_good(exchange, autojump_clock):
    """The others end, with its reason."""
    with pytest.raises(ConnectionLost, match=r"unauthorized .*trying again cannot help"):
        async with opened(exchange):
            exchange.model.disconnect("unauthorized", reconnect=False)
            await trio.sleep_forever()
    assert 1 == exchange.statistics().connections
