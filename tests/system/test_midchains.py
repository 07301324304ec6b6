"""A client of MidChains against the simulated one: login, requests, feeds, losses, limits."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from decimal import Decimal as D

import attrs
import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from trioflex import (
    AuthenticationDenied,
    AuthenticationTimeout,
    Gap,
    GapReason,
    NotSent,
    OutcomeUnknown,
    RefusalKind,
    Refused,
    ReplyLost,
    Resumed,
    TicketState,
    open_client,
)
from trioflex.book import OrderBook
from trioflex.simulator import MidchainsAccount, SimulatedExchange
from trioflex.venues import midchains

KEY = generate_private_key(65537, 1024)
JOHN = midchains.Credentials("JOHNUSER", "PASSWORD")
ORDER = midchains.AddOrder("BTCUSD", "B", "0.5", "100", client_order_id="a-17")


def simulated(**options):
    return SimulatedExchange("midchains", private_key=KEY, **{"empty": True, **options})


@pytest.fixture
def exchange():
    return simulated()


@asynccontextmanager
async def opened(exchange, venue=midchains.VENUE, **settings):
    settings.setdefault("credentials", JOHN)
    settings.setdefault("connector", exchange.connector)
    settings.setdefault("env", exchange.env)
    async with open_client(venue, **settings) as client:
        yield client


def sent(exchange, kind):
    """The messages of one kind that clients have sent, parsed."""
    frames = [json.loads(frame.text) for frame in exchange.frames if frame.direction == ">"]
    return [message for message in frames if message["type"] == kind]


# -- logging in and out --------------------------------------------------------------------------


async def test_a_login_and_a_goodbye(exchange, autojump_clock):
    """Challenge, encrypted password, logout at the end."""
    async with opened(exchange) as client:
        assert (True, "JOHNUSER") == (client.ready, client.account)
    assert [1, 1, 1] == [exchange.count(kind) for kind in ("challenge", "login", "logout")]


@pytest.mark.parametrize(("user", "password"), [("JOHNUSER", "wrong"), ("NOBODY", "PASSWORD")])
async def test_a_login_that_is_denied(exchange, user, password, autojump_clock):  # L3
    """Once, at once, with the venue's text."""
    with pytest.raises(AuthenticationDenied, match="invalid user/password"):
        async with opened(exchange, credentials=midchains.Credentials(user, password)):
            raise AssertionError("it was let in")
    assert (1, 0.0) == (exchange.count("login"), trio.current_time())


@pytest.mark.parametrize("kind", ["challenge", "login"])
async def test_a_login_that_is_not_answered(exchange, kind, autojump_clock):  # L1
    """Twenty-five seconds, before the venue's thirty are over."""
    exchange.silence(kind)
    with pytest.raises(AuthenticationTimeout):
        async with opened(exchange):
            raise AssertionError("it was let in")
    assert 25.0 == trio.current_time()


async def test_a_login_that_is_answered_late(exchange, autojump_clock):  # L2
    """In time, if only just."""
    exchange.delay("login", 24.9)
    async with opened(exchange) as client:
        assert client.ready


async def test_a_captured_login_is_worth_nothing_elsewhere(exchange, autojump_clock):
    """A ciphertext goes with a key: under another one it is no password."""
    async with opened(exchange):
        [login] = sent(exchange, "login")
    other = SimulatedExchange("midchains", private_key=generate_private_key(65537, 1024))
    heard = []

    class Wire:
        send = staticmethod(heard.append)

    peer = other.model.connect(Wire())
    peer.received('{"type":"challenge"}')
    [answer] = peer.received(json.dumps(login))
    assert {"type": "login", "result": "invalid user/password"} == json.loads(answer)


async def test_logging_in_later(exchange, autojump_clock):
    """On a connection of its own: the first one may be too old for it."""
    async with opened(exchange, credentials=None) as client:
        with pytest.raises(NotSent, match="needs a login"):
            await client.request(midchains.QueryPositions())
        await trio.sleep(60)
        await client.login(JOHN)
        assert await client.request(midchains.QueryPositions())
        assert 2 == client.statistics().connections


async def test_public_connections_that_are_cut_are_made_anew(autojump_clock):
    """Where the limit of 30 s holds for those as well."""
    exchange = simulated(strict_login=True)
    async with (
        opened(exchange, credentials=None) as client,
        client.subscribe(midchains.Book("*")) as receiver,
    ):
        await trio.sleep(31)
        exchange.trade()
        assert isinstance(await receiver.receive(), Gap)
        assert isinstance(await receiver.receive(), Resumed)


# -- requests ------------------------------------------------------------------------------------


async def test_every_request(exchange, autojump_clock):
    """With what the venue then has."""
    async with opened(exchange) as client:
        accepted = await client.request(ORDER)
        assert "a-17" == accepted.client_order_id
        row = await client.request(midchains.QueryOrder("BTCUSD", accepted.refno))
        assert (midchains.Status.OPEN, D("0.5"), D(100)) == (row.status, row.quantity, row.price)
        assert (row,) == await client.request(midchains.QueryOrders())
        assert () == await client.request(midchains.QueryOrders("ETHUSD"))
        assert (
            "R00001"
            == (await client.request(midchains.CancelOrder("BTCUSD", accepted.refno))).refno
        )
        row = await client.request(midchains.QueryOrder("BTCUSD", accepted.refno))
        assert midchains.Status.DONE is row.status
        with pytest.raises(Refused, match="order not found") as caught:
            await client.request(midchains.CancelOrder("BTCUSD", accepted.refno))
        assert RefusalKind.NOT_FOUND is caught.value.kind
        positions = await client.request(midchains.QueryPositions())
        assert ["BTC", "ETH", "LTC", "USD"] == [each.security for each in positions]
        assert () == await client.request(midchains.QueryPositions("XRP"))
        assert () == await client.request(midchains.QueryPendingPositions())
        assert () == await client.request(midchains.QueryTrades())


async def test_trading_with_another_user(autojump_clock):
    """Orders, sales and positions are pushed to both, and the queries agree."""
    exchange = simulated(accounts=[MidchainsAccount(), MidchainsAccount("ANN", "secret")])
    ann = midchains.Credentials("ANN", "secret")
    async with (
        opened(exchange) as john,
        opened(exchange, credentials=ann) as anns,
        john.subscribe(midchains.Orders()) as orders,
        john.subscribe(midchains.Sales()) as sales,
        john.subscribe(midchains.Positions()) as positions,
    ):
        own, sheet = midchains.OwnOrders(), midchains.PositionSheet()
        own.apply(await orders.receive())
        sheet.apply(await positions.receive())
        assert ((), D(10)) == (own.open, sheet.quantity("BTC"))
        refno = (await john.request(ORDER)).refno
        own.apply(await orders.receive())
        assert [refno] == [row.refno for row in own.open]
        sell = midchains.AddOrder("BTCUSD", "S", "0.2", order_type="MKT")
        await anns.request(sell)
        sale = await sales.receive()
        assert (refno, "B", D("0.2"), D(100)) == (
            sale.refno, sale.side, sale.quantity, sale.price,
        )  # fmt: skip
        own.apply(await orders.receive())
        assert [midchains.Status.PARTLY_FILLED] == [row.status for row in own.open]
        await trio.testing.wait_all_tasks_blocked()
        while positions.statistics().buffered:
            sheet.apply(await positions.receive())
        assert (D("10.2"), D(999980)) == (sheet.quantity("BTC"), sheet.quantity("USD"))
        assert (sale,) == await john.request(midchains.QueryTrades("BTCUSD"))
        [row] = await anns.request(midchains.QueryOrders())
        assert midchains.Status.FILLED is row.status


@pytest.mark.parametrize("shape", ["list", "object"])
async def test_pushes_in_other_shapes(shape, autojump_clock):
    """They mean the same."""
    exchange = simulated(push_shape=shape)
    async with opened(exchange) as client, client.subscribe(midchains.Orders()) as orders:
        assert () == await orders.receive()
        accepted = await client.request(ORDER)
        assert accepted.refno == (await orders.receive()).refno


async def test_a_long_answer(autojump_clock):
    """In parts, handed out as one."""
    exchange = simulated(page=2, private_limit=None)
    async with opened(exchange) as client:
        for _ in range(5):
            await client.request(attrs.evolve(ORDER, client_order_id=None))
        rows = await client.request(midchains.QueryOrders())
        assert [f"R{number:05}" for number in range(1, 6)] == [row.refno for row in rows]
        cancelled = await midchains.cancel_all(client)
        assert rows == cancelled
        assert () == await midchains.cancel_all(client)


async def test_answers_find_their_requests(exchange, autojump_clock):  # M11
    """One of each type is under way; different types overlap, in whatever order they come back."""
    exchange.delay("querypos", 3, times=1)
    async with opened(exchange) as client:
        slow = await client.submit(midchains.QueryPositions())
        queued = await client.submit(midchains.QueryPositions("LTC"))
        assert () == await client.request(midchains.QueryOrders())
        assert trio.current_time() < 3
        assert (4, 1) == (len(await slow.reply()), len(await queued.reply()))
        assert 2 == exchange.count("querypos")


async def test_a_late_answer_is_not_the_next_ones(exchange, autojump_clock):  # M11
    """The way stays closed until it is there; others go on."""
    exchange.delay("querypos", 12, times=1)
    async with opened(exchange) as client:
        with pytest.raises(ReplyLost):
            await client.request(midchains.QueryPositions())
        assert () == await client.request(midchains.QueryOrders())
        [ltc] = await client.request(midchains.QueryPositions("LTC"))
        assert "LTC" == ltc.security
        assert (1, 1) == (client.statistics().late_replies, client.statistics().connections)
        assert 12 <= trio.current_time() < 13


async def test_an_answer_that_never_comes_costs_the_connection(exchange, autojump_clock):
    """Half a minute after it was given up."""
    exchange.silence("querypos", times=1)
    async with opened(exchange) as client:
        with pytest.raises(ReplyLost):
            await client.request(midchains.QueryPositions())
        await trio.sleep(29)
        assert 1 == client.statistics().connections
        with pytest.raises(NotSent, match="blocked its kind"):
            await client.request(midchains.QueryPositions())
        assert 40.0 == trio.current_time()
        await client.wait_ready()
        assert await client.request(midchains.QueryPositions())
        assert 2 == client.statistics().connections


# -- orders whose answer is lost -----------------------------------------------------------------


async def test_an_order_whose_answer_is_lost(exchange, autojump_clock):
    """Nobody knows; the slot is closed; the order is found by its name, and was placed once."""
    exchange.silence("addorder", times=1)
    async with opened(exchange) as client:
        nameless = attrs.evolve(ORDER, client_order_id=None)
        with pytest.raises(OutcomeUnknown):
            await client.request(nameless)
        assert 10.0 == trio.current_time()
        second = await client.submit(ORDER)
        await trio.sleep(25)
        assert TicketState.QUEUED is second.state
        with pytest.raises(NotSent, match="blocked its kind"):
            await second.reply()
        await client.wait_ready()
        assert "R00002" == (await client.request(ORDER)).refno
        assert 2 == client.statistics().connections
        assert 2 == len(exchange.model.desk.orders)
        found = await midchains.find_order(client, "BTCUSD", client_order_id="a-17")
        assert "R00002" == found.refno
        nothing = await midchains.find_order(client, "BTCUSD", client_order_id="a-18")
        assert midchains.NotKnown("a-18") == nothing


async def test_news_prove_an_order(exchange, autojump_clock):
    """The row that is pushed carries the caller's name: the request is answered by it."""
    exchange.silence("addorder", times=1)
    async with opened(exchange) as client:
        accepted = await client.request(ORDER)
        assert ("R00001", 10.0) == (accepted.refno, trio.current_time())
        assert 1 == len(exchange.model.orders("a-17"))


async def test_a_connection_lost_with_an_order_in_flight(exchange, autojump_clock):
    """Unknown, and never sent again; what waited behind it was not sent."""
    exchange.silence("addorder", execute=False, times=1)
    async with opened(exchange) as client:
        ticket = await client.submit(ORDER)
        behind = await client.submit(attrs.evolve(ORDER, client_order_id="b"))
        await exchange.seen("addorder")
        exchange.drop()
        with pytest.raises(OutcomeUnknown):
            await ticket.reply()
        with pytest.raises(NotSent):
            await behind.reply()
        await client.wait_ready()
        assert (1, 0) == (exchange.count("addorder"), len(exchange.model.desk.orders))


# -- feeds ---------------------------------------------------------------------------------------


async def test_books_and_trades_of_a_busy_market(autojump_clock):
    """The folded book is the venue's, before and after a reconnect."""
    exchange = simulated(empty=False)
    desk = exchange.model.desk
    async with (
        opened(exchange, credentials=None) as client,
        client.subscribe(midchains.Book("BTCUSD")) as books,
        client.subscribe(midchains.Trades("BTCUSD")) as trades,
    ):
        book, kept, reasons = OrderBook(), midchains.Doubles(), []

        async def catch_up():
            await trio.testing.wait_all_tasks_blocked()
            while books.statistics().buffered:
                event = await books.receive()
                if isinstance(event, Gap):
                    reasons.append(event.reason)
                book.apply(event)
            market = desk.markets["BTCUSD"]
            real = desk.engine.book(market.base, market.counter)
            for shown, side in ((book.bids, real.bids), (book.asks, real.asks)):
                assert [D(price) / 10**4 for price in side.prices()] == [lvl.price for lvl in shown]
                total = sum(order.quantity for order in side)
                assert D(total) / 10**6 == sum(level.quantity for level in shown)
            assert not book.crossed

        await catch_up()
        for _ in range(5):
            exchange.trade(60)
            await catch_up()
        exchange.drop()
        await client.wait_ready()
        await trio.sleep(5)
        await catch_up()
        assert [GapReason.DISCONNECTED] == reasons
        seen = []
        while trades.statistics().buffered:
            trade = await trades.receive()
            if isinstance(trade, midchains.Trade) and not kept.again(trade):
                seen.append(trade.match_id)
        assert sorted(set(seen)) == seen
        assert len(seen) > 10


async def test_all_books_and_a_late_joiner(autojump_clock):
    """A second receiver starts with the folded state of all pairs."""
    exchange = simulated(empty=False)
    async with (
        opened(exchange, credentials=None) as client,
        client.subscribe(midchains.Book("*")) as first,
    ):
        await trio.testing.wait_all_tasks_blocked()
        books = midchains.Books()
        while first.statistics().buffered:
            books.apply(await first.receive())
        async with client.subscribe(midchains.Book("*")) as second:
            late = midchains.Books()
            item = await second.receive()
            assert isinstance(item, midchains.BooksSnapshot)
            late.apply(item)
        assert ["BTCUSD", "ETHUSD", "LTCUSD"] == sorted(books) == sorted(late)
        for security in books:
            assert list(books[security].bids) == list(late[security].bids)


async def test_subscriptions_leave_in_bundles(exchange, autojump_clock):
    """What is asked for together, and all that is restored after a loss, takes one frame."""
    async with (
        opened(exchange, credentials=None) as client,
        client.subscribe(midchains.Book("BTCUSD")),
        client.subscribe(midchains.Book("ETHUSD")),
        client.subscribe(midchains.Trades("BTCUSD")),
    ):
        await trio.testing.wait_all_tasks_blocked()
        before = exchange.count("subscribe")
        exchange.drop()
        await trio.sleep(5)
        assert before + 1 == exchange.count("subscribe")
        assert 3 == len(sent(exchange, "subscribe")[-1]["request"])


async def test_a_book_that_stays_crossed_is_replaced(exchange, autojump_clock):
    """By a new connection, with a gap that says so."""
    bad = {"type": "book", "security": "BTCUSD", "books": [
        {"side": "B", "act": "U", "price": "101", "qty": "1", "id": 1},
        {"side": "S", "act": "U", "price": "100", "qty": "1", "id": 2},
    ]}  # fmt: skip
    async with (
        opened(exchange, credentials=None) as client,
        client.subscribe(midchains.Book("BTCUSD")) as receiver,
    ):
        await exchange.seen("subscribe")
        exchange.model.push_book(bad)
        book = OrderBook()
        book.apply(await receiver.receive())
        assert book.crossed
        await trio.sleep(5.1)
        exchange.model.push_book({**bad, "books": []})
        kinds = [type(await receiver.receive()) for _ in range(2)]
        assert [Gap, Resumed] == kinds
        await client.wait_ready()
        assert 2 == client.statistics().connections


async def test_the_rate_limits_are_kept(exchange, autojump_clock):
    """Ten requests at once, then five a second: the venue has nothing to refuse."""
    async with opened(exchange) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(client.request, midchains.QueryPositions("LTC"))
        assert 4.0 <= trio.current_time() <= 5.0


async def test_orders_that_wait_and_end(exchange, autojump_clock):
    """A stop order is triggered by a trade, a time-limited one ends on the venue's clock."""
    async with opened(exchange) as client:
        ends = exchange.clock() // 1000 + 60_000
        gtt = midchains.AddOrder("ETHUSD", "B", 1, 10, tif="GTT", expires_at=ends)
        stop = midchains.AddOrder("BTCUSD", "B", 1, 110, stop_price=105)
        limited = (await client.request(gtt)).refno
        waiting = (await client.request(stop)).refno

        async def status(security, refno):
            return (await client.request(midchains.QueryOrder(security, refno))).status

        assert midchains.Status.OPEN is await status("ETHUSD", limited)
        assert midchains.Status.STAGED is await status("BTCUSD", waiting)
        await client.request(midchains.AddOrder("BTCUSD", "S", 1, 106))
        await client.request(midchains.AddOrder("BTCUSD", "B", 1, 106))
        assert midchains.Status.OPEN is await status("BTCUSD", waiting)
        await trio.sleep(62)
        assert midchains.Status.DONE is await status("ETHUSD", limited)
