"""A client of TheOne against the simulated one: login, requests, channels, losses, recovery."""

from __future__ import annotations

import json
import logging
import random
from contextlib import asynccontextmanager
from decimal import Decimal as D
from itertools import pairwise

import attrs
import pytest
import trio
import trio.lowlevel

from trioflex import (
    AuthenticationDenied,
    AuthenticationTimeout,
    ConnectionLost,
    Gap,
    GapReason,
    LocalProtocolError,
    NotSent,
    OutcomeUnknown,
    Reconnect,
    RefusalKind,
    Refused,
    RemoteProtocolError,
    ReplyLost,
    Resumed,
    SubscriptionRefused,
    SubscriptionTimeout,
    TicketState,
    open_client,
)
from trioflex.simulator import SimulatedExchange, TheOneAccount
from trioflex.venues import theone

KEY = theone.Credentials("test_key_1", "test_secret_1")
SWAP = theone.Swap("1.5", "ETH", "USDT", slippage_bps=30, client_order_id="a-17")


@pytest.fixture
def exchange(theone_exchange):
    return theone_exchange


@asynccontextmanager
async def opened(exchange, venue=theone.VENUE, **settings):
    settings.setdefault("credentials", KEY)
    settings.setdefault("connector", exchange.connector)
    settings.setdefault("env", exchange.env)
    async with open_client(venue, **settings) as client:
        yield client


def sent(exchange, op):
    """The messages of one kind that clients have sent, parsed."""
    frames = [json.loads(frame.text) for frame in exchange.frames if frame.direction == ">"]
    return [message for message in frames if message["op"] == op]


async def drained(receiver):
    """Everything that is there to receive."""
    await trio.testing.wait_all_tasks_blocked()
    items = []
    while receiver.statistics().buffered:
        items.append(await receiver.receive())
    return items


# -- logging in ----------------------------------------------------------------------------------


async def test_a_login(exchange, autojump_clock):
    """One signed frame, and the client is ready."""
    async with opened(exchange) as client:
        assert (True, "test…") == (client.ready, client.account)
    assert ["auth"] == [message["op"] for message in sent(exchange, "auth")]


@pytest.mark.parametrize(
    ("credentials", "text"),
    [
        (theone.Credentials("nobody", "test_secret_1"), "Invalid API key"),
        (theone.Credentials("test_key_1", "wrong"), "derive_key=False"),
    ],
)
@pytest.mark.parametrize("other_shapes", [False, True])
async def test_a_login_that_is_denied(credentials, text, other_shapes, autojump_clock):  # L3
    """At once, with the venue's text, after one attempt; errors with ``op`` and without."""
    exchange = SimulatedExchange("theone", other_shapes=other_shapes)
    with pytest.raises(AuthenticationDenied, match=text) as caught:
        async with opened(exchange, credentials=credentials):
            raise AssertionError("it was let in")
    assert "authentication" == caught.value.code
    assert (1, 0.0) == (exchange.count("auth"), trio.current_time())


@pytest.mark.parametrize("skew", [-60_000, 60_000])
async def test_a_clock_that_is_off(exchange, skew, autojump_clock):  # L5
    """Denied with a text that names the clock; the offset mends it."""
    env = attrs.evolve(exchange.env, epoch_ms=lambda: exchange.clock() // 1000 + skew)
    with pytest.raises(AuthenticationDenied, match="set this machine's clock") as caught:
        async with opened(exchange, env=env):
            raise AssertionError("it was let in")
    assert ("clock", 1) == (caught.value.code, exchange.count("auth"))
    async with opened(exchange, theone.venue(clock_offset_ms=-skew), env=env) as client:
        assert await client.request(theone.GetBalances())


async def test_a_login_that_is_not_answered(exchange, autojump_clock):  # L1
    """Ten seconds, exactly."""
    exchange.silence("auth")
    with pytest.raises(AuthenticationTimeout):
        async with opened(exchange):
            raise AssertionError("it was let in")
    assert 10.0 == trio.current_time()


async def test_a_login_that_is_answered_late(exchange, autojump_clock):  # L2
    """In time, if only just."""
    exchange.delay("auth", 9.9)
    async with opened(exchange) as client:
        assert client.ready
    assert 9.9 <= trio.current_time() < 10


async def test_a_login_whose_connection_is_lost_is_made_anew(exchange, autojump_clock):  # L9
    """With a fresh nonce: the first one is used."""
    exchange.silence("auth", times=1)
    async with trio.open_nursery() as nursery:

        async def drop():
            await exchange.seen("auth")
            exchange.drop()

        nursery.start_soon(drop)
        async with opened(exchange, reconnect=Reconnect(first=True)) as client:
            assert client.ready
    first, second = sent(exchange, "auth")
    assert first["nonce"] != second["nonce"]


async def test_nobody_is_anonymous_here(exchange, autojump_clock):
    """Said before anything is connected."""
    with pytest.raises(LocalProtocolError, match="anonymously"):
        async with opened(exchange, credentials=None):
            raise AssertionError("it was let in")
    assert 0 == exchange.statistics().connections


async def test_the_documented_key(autojump_clock):
    """Both sides with the secret itself."""
    exchange = SimulatedExchange("theone", derive_key=False)
    async with opened(exchange, theone.venue(derive_key=False)) as client:
        assert await client.request(theone.GetBalances())


# -- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("other_shapes", [False, True])
@pytest.mark.parametrize("documented_names", [False, True])
async def test_every_request(other_shapes, documented_names, autojump_clock):
    """In both of the venue's shapes, under both kinds of names."""
    exchange = SimulatedExchange("theone", other_shapes=other_shapes)
    venue = theone.venue(documented_names=documented_names)
    async with exchange.trading(), opened(exchange, venue) as client:
        balances = await client.request(theone.GetBalances())
        assert D(200) == balances.get("ETH").free
        quote = await client.request(theone.Estimate("1.5", "ETH", "USDT", filter=["gate"]))
        assert ["gate"] == [step.exchange for step in quote.route]
        assert D("1.5") * quote.price == quote.expected_out
        assert 30_000 == quote.expires_at - exchange.clock() // 1000
        swap = await client.request(SWAP)
        assert theone.Status.PENDING == swap.status
        assert D("1.5") == (await client.request(theone.GetBalances())).get("ETH").locked
        await trio.sleep(2)
        for name in (swap.order_id, "a-17"):
            status = await client.request(theone.GetOrderStatus(name))
            assert (theone.Status.FILLED, swap.order_id) == (status.status, status.order_id)
            assert status.tx_hash.startswith("0x")


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (theone.Swap("201", "ETH", "USDT"), RefusalKind.INSUFFICIENT_FUNDS),
        (theone.GetOrderStatus("nope"), RefusalKind.NOT_FOUND),
        (theone.Estimate("1", "DOGE", "USDT"), RefusalKind.OTHER),
        (theone.Estimate("1", "ETH", "ETH"), RefusalKind.INVALID),
    ],
)
async def test_refusals(exchange, request_, kind, autojump_clock):  # R6
    """Each has the venue's text and our word for it; the client goes on."""
    async with opened(exchange) as client:
        with pytest.raises(Refused) as caught:
            await client.request(request_)
        assert kind is caught.value.kind
        assert await client.request(theone.GetBalances())


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("", "Not authenticated", RefusalKind.NOT_AUTHENTICATED),
        ("", "Invalid signature", RefusalKind.NOT_AUTHENTICATED),
        ("", "Invalid API key", RefusalKind.NOT_AUTHENTICATED),
        ("", "Request timestamp outside allowed window", RefusalKind.INVALID),
        ("", "Nonce has already been used or is expired", RefusalKind.INVALID),
        ("", "Unknown operation: swap", RefusalKind.INVALID),
        ("SWAP_ERROR", "no liquidity", RefusalKind.OTHER),
        ("RATE_LIMIT", "slow down", RefusalKind.RATE_LIMITED),
    ],
)
async def test_refusals_to_order(exchange, code, text, kind, autojump_clock):
    """Texts, and objects as over REST."""
    exchange.refuse("swap", code, text)
    async with opened(exchange) as client:
        with pytest.raises(Refused) as caught:
            await client.request(SWAP)
    assert kind is caught.value.kind
    assert caught.value.message.startswith(text)
    assert [] == exchange.model.swaps("a-17")


async def test_what_is_too_large_is_not_sent(exchange, autojump_clock):  # R11
    """And harms nothing that comes after it."""
    async with opened(exchange) as client:
        with pytest.raises(NotSent, match="65536"):
            await client.request(theone.Estimate("1", "ETH", "USDT", filter=["x" * 250] * 300))
        with pytest.raises(Refused):
            await client.request(theone.GetOrderStatus("nope"))


async def test_a_storm_keeps_the_rate_limit(exchange, autojump_clock):  # R8, R9
    """A hundred a second, with the exchange's own limit in force: nothing is refused."""
    answered = []

    async def ask():
        for _ in range(150):
            await client.request(theone.GetBalances())
            answered.append(trio.current_time())

    async with opened(exchange) as client, trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(ask)
    assert 1200 == len(answered)
    assert 10.9 < trio.current_time() < 12.5
    assert 0 == client.statistics().refusals


# -- one at a time -------------------------------------------------------------------------------


async def test_one_request_is_under_way_at_a_time(exchange, autojump_clock):  # M11
    """Subscriptions included; errors can then be attributed although they name nothing."""
    exchange.delay("*", 0.5)
    outcomes = {}

    async def ask(name, request):
        try:
            outcomes[name] = await client.request(request)
        except Refused as refused:
            outcomes[name] = refused.kind

    async with opened(exchange) as client, trio.open_nursery() as nursery:
        nursery.start_soon(ask, "status", theone.GetOrderStatus("nope"))
        nursery.start_soon(ask, "swap", theone.Swap("999", "ETH", "USDT"))
        nursery.start_soon(ask, "quote", theone.Estimate("1", "ETH", "USDT"))
        async with client.subscribe("balances"):
            pass
    assert RefusalKind.NOT_FOUND is outcomes["status"]
    assert RefusalKind.INSUFFICIENT_FUNDS is outcomes["swap"]
    assert isinstance(outcomes["quote"], theone.Quote)
    at = [frame.at for frame in exchange.frames if frame.direction == ">"]
    assert all(b - a >= 0.5 for a, b in pairwise(at[:-1]))


async def test_a_late_reply_is_never_taken_for_the_next_ones(exchange, autojump_clock):  # M9, M11
    """Two questions of one kind: the second leaves when the first one's answer is there."""
    exchange.delay("order_status", 12.0, times=1)
    async with opened(exchange) as client:
        first = (await client.request(SWAP)).order_id
        second = (await client.request(theone.Swap("2", "BTC", "USDT"))).order_id
        late = await client.submit(theone.GetOrderStatus(first))
        with pytest.raises(ReplyLost, match="within 10 s"):
            await late.reply()
        assert second == (await client.request(theone.GetOrderStatus(second))).order_id
        assert 12.0 == trio.current_time()
        assert (1, 1) == (client.statistics().connections, client.statistics().late_replies)


async def test_a_reply_that_never_comes_costs_the_connection(exchange, autojump_clock):  # R4, M11
    """The way stays closed for 30 s after the timeout; what waits behind it was never sent."""
    exchange.silence("swap", times=1)
    async with opened(exchange) as client:
        ticket = await client.submit(SWAP)
        waiting = await client.submit(theone.GetBalances())
        with pytest.raises(OutcomeUnknown) as caught:
            await ticket.reply()
        assert 10.0 == trio.current_time()
        assert "a-17" == caught.value.ticket.request.client_order_id
        with pytest.raises(NotSent):
            await waiting.reply()
        assert 40.0 == trio.current_time()
        await client.wait_ready()
        assert 2 == client.statistics().connections
        assert await client.request(theone.GetBalances())
        assert [ticket] == client.unsettled
    assert 1 == exchange.count("swap")


async def test_pipelined_requests(exchange, autojump_clock):
    """Several under way, answered in the order of asking; a lost answer costs no connection."""
    async with opened(exchange, theone.venue(pipelined=True)) as client:
        stall = exchange.stall(room=10_000)
        tickets = [await client.submit(theone.Estimate(n, "ETH", "USDT")) for n in (1, 2, 3)]
        await trio.sleep(1)
        assert 3 == client.statistics().in_flight
        stall.stop()
        quotes = [await ticket.reply() for ticket in tickets]
        assert [1, 2, 3] == [quote.route[0].amount_in for quote in quotes]
        exchange.silence("balances", times=1)
        with pytest.raises(ReplyLost):
            await client.request(theone.GetBalances())
        await client.request(theone.Estimate(1, "ETH", "USDT"))
        await trio.sleep(60)
        assert 1 == client.statistics().connections


async def test_stray_errors_are_shown(exchange, autojump_clock):
    """Nothing under way: nobody's error, but not lost."""
    async with opened(exchange) as client, client.unmatched() as unmatched:
        exchange.push('{"error":"Invalid channel format"}')
        assert {"error": "Invalid channel format"} == (await unmatched.receive()).message
        exchange.push('{"op":"balances","data":{"balances":[]}}')
        assert "balances" == (await unmatched.receive()).message["op"]


# -- channels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("other_shapes", [False, True])
@pytest.mark.parametrize("snapshots", [False, True])
async def test_balances_follow_the_account(other_shapes, snapshots, autojump_clock):
    """By name or by class, it is one subscription; the sheet equals the exchange's own."""
    exchange = SimulatedExchange("theone", other_shapes=other_shapes, snapshots=snapshots)
    sheet = theone.BalanceSheet()
    async with (
        exchange.trading(),
        opened(exchange) as client,
        client.subscribe("balances") as receiver,
        client.subscribe(theone.Balances()) as late,
    ):
        assert isinstance(await late.receive(), theone.BalancesSnapshot)
        for amount in ("1", "60", "0.5"):
            await client.request(theone.Swap(amount, "ETH", "USDT"))
            await trio.sleep(0.7)
        await trio.sleep(5)
        for item in await drained(receiver):
            sheet.apply(item)
    assert 1 == exchange.count("subscribe")
    held = exchange.model.desk.accounts["test_key_1"]
    for asset, holding in held.items():
        balance = sheet.balance(asset)
        assert (holding.total, holding.locked) == (balance.total, balance.locked)


@pytest.mark.parametrize("other_shapes", [False, True])
@pytest.mark.parametrize("by_name", [False, True])
async def test_an_order_is_followed_through_its_statuses(other_shapes, by_name, autojump_clock):
    """The first item says how it stands, then comes every change, with the id in all of them."""
    exchange = SimulatedExchange("theone", other_shapes=other_shapes)
    async with exchange.trading(), opened(exchange) as client:
        order_id = (await client.request(theone.Swap("60", "ETH", "USDT"))).order_id
        channel = f"orders:{order_id}" if by_name else theone.Order(order_id)
        updates = []
        async with client.subscribe(channel) as receiver:
            async for update in receiver:
                updates.append(update)
                if update.status.final:
                    break
    assert ["PENDING", "PROCESSING", "PARTIAL_FILLED", "FILLED"] == [u.status for u in updates]
    assert {order_id} == {update.order_id for update in updates}
    assert updates[2].filled_out < updates[3].filled_out


@pytest.mark.parametrize(
    ("method", "channel"),
    [("subscribe", "balances"), ("order_status", "orders:nobody's")],
)
async def test_a_subscription_that_is_refused(exchange, method, channel, autojump_clock):  # S6
    """By the venue, or because it does not know the order; others go on."""
    async with opened(exchange) as client:
        if method == "subscribe":
            exchange.refuse("subscribe", "", "Invalid channel format", times=1)
        with pytest.raises(SubscriptionRefused):
            async with client.subscribe(channel):
                raise AssertionError("it was subscribed")
        async with client.subscribe("balances") as receiver:
            assert isinstance(await receiver.receive(), theone.BalancesSnapshot)


async def test_a_subscription_that_is_not_confirmed(exchange, autojump_clock):  # S6
    """Five seconds; then the way stays closed until the connection is replaced."""
    async with opened(exchange) as client:
        exchange.silence("subscribe", times=1)
        with pytest.raises(SubscriptionTimeout):
            async with client.subscribe("balances"):
                raise AssertionError("it was subscribed")
        assert 5.0 == trio.current_time()
        async with client.subscribe("balances") as receiver:
            assert isinstance(await receiver.receive(), theone.BalancesSnapshot)
        assert 35.0 <= trio.current_time() < 37
        assert 2 == client.statistics().connections


async def test_the_hundred_and_first_channel_is_refused_locally(
    exchange, caplog, autojump_clock
):  # S3
    """After one warning at the fifty-first; the hundred stay, and the limit is a setting."""
    exchange.model.limit = None
    venue = theone.venue(catch_up=False, messages_per_second=None)
    async with opened(exchange, venue) as client, trio.open_nursery() as nursery:

        async def listen(number):
            async with client.subscribe(theone.Order(f"o{number}")):
                await trio.sleep_forever()

        for number in range(100):
            nursery.start_soon(listen, number)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(SubscriptionRefused, match="at most 100 channels"):
            async with client.subscribe(theone.Order("one more")):
                raise AssertionError("it was subscribed")
        assert 100 == client.statistics().channels == exchange.count("subscribe")
        nursery.cancel_scope.cancel()
    assert 1 == len([r for r in caplog.records if "more than 50 channels" in r.getMessage()])
    assert 7 == theone.venue(max_channels=7).max_channels


# -- losing the connection -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["drop", "close 1000", "close 1001", "close 1011"])
async def test_a_lost_connection_is_restored_with_its_channels(
    exchange, how, autojump_clock
):  # W1, W4
    """Clean closes are losses too; every channel is asked about once, and says so."""
    async with opened(exchange) as client:
        order_id = (await client.request(SWAP)).order_id
        async with (
            client.subscribe("balances") as balances,
            client.subscribe(theone.Order(order_id)) as updates,
        ):
            await drained(balances)
            await drained(updates)
            if how == "drop":
                exchange.drop()
            else:
                exchange.close(int(how.split()[1]))
            await trio.lowlevel.checkpoint()
            await client.wait_ready()
            await trio.sleep(3)  # the swap was filled meanwhile, and nobody pushed it
            for receiver, kind in ((balances, theone.BalancesSnapshot), (updates, object)):
                gap, resumed, item = (await drained(receiver))[:3]
                assert GapReason.DISCONNECTED is gap.reason
                assert resumed.snapshot
                assert isinstance(item, kind)
    assert 2 == len(sent(exchange, "auth"))
    assert ["balances", f"orders:{order_id}"] * 2 == [m["ch"] for m in sent(exchange, "subscribe")]


async def test_without_catching_up_nothing_is_asked(autojump_clock):
    """``catch_up=False``: pushes alone; the first of a subscription is taken for everything."""
    exchange = SimulatedExchange("theone")
    async with opened(exchange, theone.venue(catch_up=False)) as client:
        async with client.subscribe("balances") as balances:
            assert isinstance(await balances.receive(), theone.BalancesSnapshot)
            exchange.drop()
            assert isinstance(await balances.receive(), Gap)
            assert not (await balances.receive()).snapshot
            assert isinstance(await balances.receive(), theone.BalancesSnapshot)
    assert 0 == exchange.count("balances")


async def test_five_tries_and_no_more(exchange, autojump_clock):
    """Within 1, 2, 4, 8 and 16 s; then the client fails."""
    with pytest.raises(ConnectionLost) as caught:
        async with opened(exchange) as client:
            exchange.refuse_connections()
            exchange.drop()
            await trio.sleep_forever()
    assert 5 == caught.value.attempts
    assert 6 == client.statistics().attempts
    assert trio.current_time() <= 31


async def test_endless_tries(exchange, autojump_clock):
    """An hour is nothing; a success starts over."""
    async with opened(exchange, theone.venue(reconnect=theone.ENDLESS)) as client:
        outage = exchange.refuse_connections()
        exchange.drop()
        await trio.sleep(3600)
        assert client.statistics().attempts > 3600 / 32
        outage.stop()
        await client.wait_ready()


async def test_a_key_that_was_withdrawn_ends_the_client(exchange, autojump_clock):
    """A reconnect whose login is denied is the last."""
    with pytest.raises(AuthenticationDenied, match="Invalid API key"):
        async with opened(exchange):
            exchange.model.users.clear()
            exchange.drop()
            await trio.sleep_forever()
    assert 2 == exchange.count("auth")


async def test_a_resubscription_that_is_refused(exchange, autojump_clock):  # W18
    """That receiver alone ends."""
    async with opened(exchange) as client:
        order_id = (await client.request(SWAP)).order_id
        async with (
            client.subscribe("balances") as balances,
            client.subscribe(theone.Order(order_id)) as updates,
        ):
            await drained(balances)
            await drained(updates)
            exchange.refuse("subscribe", "", "Invalid channel format", times=1)
            exchange.drop()
            assert isinstance(await balances.receive(), Gap)
            with pytest.raises(SubscriptionRefused):
                await balances.receive()
            assert [Gap, Resumed] == [type(await updates.receive()) for _ in range(2)]


async def test_a_dead_peer_is_noticed_within_forty_seconds(exchange, autojump_clock):  # W6
    """A Ping after 30 s of silence, and 10 s for the Pong."""
    async with opened(exchange) as client, client.subscribe("balances") as balances:
        await drained(balances)
        dark = exchange.go_dark()
        assert isinstance(await balances.receive(), Gap)
        assert 40.0 == trio.current_time()
        dark.stop()
        await client.wait_ready()


async def test_a_quiet_venue_is_alive(exchange, autojump_clock):  # W7
    """Pings are enough, though the venue drops connections that are idle for five minutes."""
    async with opened(exchange) as client:
        await trio.sleep(3600)
        assert 1 == client.statistics().connections


async def test_an_idle_connection_can_be_refreshed(exchange, autojump_clock):
    """Four minutes after the last message of ours; Pings are none."""
    async with opened(exchange, theone.venue(idle_refresh=True)) as client:
        await trio.sleep(239)
        assert 0 == exchange.count("balances")
        await client.request(theone.Estimate("1", "ETH", "USDT"))
        await trio.sleep(239)
        assert 0 == exchange.count("balances")
        await trio.sleep(3600)
        assert 15 == exchange.count("balances")
        assert 1 == client.statistics().connections


async def test_an_idle_refresh_is_not_made_while_there_is_no_connection(exchange, autojump_clock):
    """Nor is it made up for afterwards."""
    async with opened(exchange, theone.venue(idle_refresh=True)) as client:
        await trio.sleep(200)
        await client.disconnect()
        await trio.sleep(1000)
        await client.reconnect()
        await trio.sleep(239)
        assert 0 == exchange.count("balances")
        await trio.sleep(2)
        assert 1 == exchange.count("balances")


async def test_an_idle_refresh_that_is_not_answered_costs_the_connection(exchange, autojump_clock):
    """It is a proof of life."""
    exchange.silence("balances", times=1)
    async with opened(exchange, theone.venue(idle_refresh=True)) as client:
        await trio.sleep(240 + 10 + 30 + 2)
        assert (2, True) == (client.statistics().connections, client.ready)


async def test_disconnecting_and_reconnecting_on_demand(exchange, autojump_clock):
    """Channels that were wanted meanwhile are subscribed afterwards; requests are not queued."""
    async with opened(exchange) as client, trio.open_nursery() as nursery:
        await client.disconnect()
        with pytest.raises(NotSent):
            await client.request(theone.GetBalances())

        async def listen():
            async with client.subscribe("balances") as balances:
                assert isinstance(await balances.receive(), theone.BalancesSnapshot)

        nursery.start_soon(listen)
        await trio.sleep(5)
        await client.reconnect()
    assert 2 == exchange.count("auth")


async def test_a_malformed_login_answer_is_the_venues_fault(exchange, autojump_clock):  # M1
    """The first connection is not tried again."""
    exchange.garble()
    with pytest.raises(RemoteProtocolError, match="theone sent a message that is not JSON"):
        async with opened(exchange):
            raise AssertionError("it was let in")
    assert 1 == exchange.count("auth")


@pytest.mark.parametrize("frame", ["nonsense", '{"op":"balances","data":7}', b"binary"])
async def test_a_malformed_message_ends_the_connection_and_not_the_client(
    exchange, frame, autojump_clock
):  # M1, M2, M3
    """What was under way is lost, and can be asked again."""
    async with opened(exchange) as client:
        exchange.garble(lambda _: frame)
        with pytest.raises(ReplyLost):
            await client.request(theone.GetBalances())
        await client.wait_ready()
        assert await client.request(theone.GetBalances())


async def test_over_bytes(exchange, autojump_clock):
    """The same over our own WebSocket, with Pings and closing."""
    async with (
        exchange.trading(),
        opened(exchange, connector=exchange.byte_connector) as client,
    ):
        swap = await client.request(SWAP)
        end = await theone.follow_swap(client, swap.order_id)
        assert theone.Status.FILLED == end.status
        await trio.sleep(100)
        assert 1 == client.statistics().connections


# -- swaps whose answer was lost -----------------------------------------------------------------


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_lost_swap_is_found_by_its_name(exchange, arrived, autojump_clock):  # R2, R7
    """It was made once or not at all; finding it settles the ticket."""
    exchange.silence("swap", times=1, execute=arrived)
    async with exchange.trading(), opened(exchange) as client:
        ticket = await client.submit(SWAP)
        await exchange.seen("swap")
        exchange.drop()
        with pytest.raises(OutcomeUnknown):
            await ticket.reply()
        await client.wait_ready()
        found = await theone.find_swap(client, client_order_id="a-17")
        if arrived:
            assert found.order_id == exchange.model.swaps("a-17")[0].id
            assert TicketState.ANSWERED is ticket.state
            assert found.order_id == (await ticket.reply()).order_id
            assert [] == client.unsettled
        else:
            assert theone.NotKnown("a-17") == found
            assert [ticket] == client.unsettled
            assert [] == exchange.model.swaps("a-17")
    assert 1 == exchange.count("swap")


async def test_what_had_not_left_was_not_made(exchange, autojump_clock):  # R1
    """Certainly not: it waited behind another one."""
    exchange.silence("estimate", times=1)
    async with opened(exchange) as client:
        await client.submit(theone.Estimate("1", "ETH", "USDT"))
        ticket = await client.submit(SWAP)
        await exchange.seen("estimate")
        exchange.drop()
        with pytest.raises(NotSent):
            await ticket.reply()
    assert [] == exchange.model.swaps("a-17")


async def test_no_swap_is_ever_made_twice(autojump_clock):  # R7
    """Two hundred swaps with lost answers, lost requests and cuts: each is made once at most, and
    what the client believes of it is true."""
    chance = random.Random(17)
    exchange = SimulatedExchange(
        "theone", accounts=[TheOneAccount(balances={"USDT": D(10**6)})], frames_kept=0
    )
    venue = theone.venue(reconnect=theone.ENDLESS)
    async with exchange.trading(), opened(exchange, venue) as client:
        for number in range(200):
            swap = theone.Swap("10", "USDT", "TRX", client_order_id=f"s-{number}")
            fault = chance.choice(("none", "lost answer", "lost request"))
            if fault != "none":
                exchange.silence("swap", times=1, execute=fault == "lost answer")
            await client.wait_ready()
            ticket = await client.submit(swap)
            if fault != "none":
                await exchange.seen("swap", number + 1)
                exchange.drop()
            try:
                known = (await ticket.reply()).order_id
            except OutcomeUnknown:
                await client.wait_ready()
                found = await theone.find_swap(client, client_order_id=swap.client_order_id)
                known = None if isinstance(found, theone.NotKnown) else found.order_id
            made = [order.id for order in exchange.model.swaps(swap.client_order_id)]
            assert ([] if known is None else [known]) == made
            assert (fault != "lost request") is bool(made)


# -- followed to its end -------------------------------------------------------------------------


@pytest.mark.parametrize("catch_up", [True, False])
@pytest.mark.parametrize("snapshots", [True, False])
@pytest.mark.parametrize("cut", [None, 0.2, 0.9])
async def test_a_swap_is_followed_to_its_end(catch_up, snapshots, cut, autojump_clock):
    """Whatever the venue pushes, and whenever the line is cut."""
    exchange = SimulatedExchange("theone", snapshots=snapshots)
    venue = theone.venue(catch_up=catch_up)
    async with (
        exchange.trading(),
        opened(exchange, venue) as client,
        trio.open_nursery() as nursery,
    ):
        swap = await client.request(SWAP)

        async def cut_the_line():
            await trio.sleep(cut)
            exchange.drop()

        if cut is not None:
            nursery.start_soon(cut_the_line)
        end = await theone.follow_swap(client, swap.order_id)
    assert (theone.Status.FILLED, swap.order_id) == (end.status, end.order_id)
    assert 1.5 <= trio.current_time() < 5


async def test_a_swap_that_ended_long_ago(exchange, autojump_clock):
    """Its end is known at once."""
    async with opened(exchange) as client:
        swap = await client.request(SWAP)
        await trio.sleep(100)
        began = trio.current_time()
        assert (await theone.follow_swap(client, swap.order_id)).status.final
        assert began == trio.current_time()


@pytest.mark.parametrize(("partial", "status"), [(True, "PARTIAL_FILLED"), (False, "FILLED")])
async def test_a_partial_fill_may_be_the_end(exchange, partial, status, autojump_clock):
    """As in the venue's own programs, if one asks for it."""
    async with exchange.trading(), opened(exchange) as client:
        swap = await client.request(theone.Swap("60", "ETH", "USDT"))
        end = await theone.follow_swap(client, swap.order_id, partial=partial)
    assert status == end.status


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
async def test_other_ends(exchange, status, autojump_clock):
    """Slippage, or the venue's own decision."""
    desk = exchange.model.desk
    async with exchange.trading(), opened(exchange) as client, trio.open_nursery() as nursery:
        swap = await client.request(theone.Swap("1", "ETH", "USDT", slippage_bps=0))

        async def interfere():
            await trio.sleep(1)
            desk.prices["ETH"] /= 2
            if status == "CANCELLED":
                desk.cancel(swap.order_id)

        nursery.start_soon(interfere)
        assert status == (await theone.follow_swap(client, swap.order_id)).status
    assert 0 == desk.holding("test_key_1", "ETH").locked


async def test_an_order_that_nobody_knows_cannot_be_followed(exchange, autojump_clock):
    """Said at once."""
    async with opened(exchange) as client:
        with pytest.raises(SubscriptionRefused, match="Order not found"):
            await theone.follow_swap(client, "nope")


async def test_following_ends_with_the_client(exchange, autojump_clock):
    """With an error that says so; the swap goes on."""
    caught = []

    async def follow(client, order_id):
        with pytest.raises(LocalProtocolError, match="closed before the swap") as error:
            await theone.follow_swap(client, order_id)
        caught.append(error.value)

    async with trio.open_nursery() as nursery:
        async with opened(exchange) as client:
            swap = await client.request(SWAP)
            nursery.start_soon(follow, client, swap.order_id)
            await trio.sleep(0.2)
    assert 1 == len(caught)


async def test_a_question_without_an_answer_is_asked_again(exchange, autojump_clock):
    """Asking changes nothing."""
    async with exchange.trading(), opened(exchange, theone.venue(catch_up=False)) as client:
        swap = await client.request(SWAP)
        exchange.silence("order_status", times=1)
        assert (await theone.follow_swap(client, swap.order_id)).status.final


# -- privacy -------------------------------------------------------------------------------------


async def test_secrets_are_in_no_log(exchange, caplog, autojump_clock):  # L8
    """Nor in what is shown of frames, of statistics, and of errors."""
    caplog.set_level(logging.DEBUG, logger="trioflex")
    shown = []
    async with opened(exchange) as client, client.frames() as frames:
        await client.request(theone.GetBalances())
        await client.reconnect()
        shown += [frame.text for frame in await drained(frames)]
        shown += [repr(client), repr(client.statistics()), repr(KEY), str(client.account)]
    with pytest.raises(AuthenticationDenied) as caught:
        async with opened(exchange, credentials=theone.Credentials("test_key_1", "wrong_secret")):
            raise AssertionError("it was let in")
    shown += [str(caught.value), caplog.text]
    signatures = {m["sig"] for op in ("auth", "balances") for m in sent(exchange, op)}
    secrets = {KEY.key, KEY.secret, "wrong_secret", *signatures}
    assert 4 == len(signatures)
    assert any('"sig":"***"' in text for text in shown)
    assert [] == [text for text in shown for secret in secrets if secret in text]
