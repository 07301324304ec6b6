"""Subscriptions as scopes, and what a receiver sees."""

from __future__ import annotations

import contextlib

import attrs
import pytest
import trio

from tests import acme
from trioflex import (
    ConnectionLost,
    Gap,
    GapReason,
    LocalProtocolError,
    Overflow,
    ReceiverOverflow,
    Reconnect,
    Resumed,
    SubscriptionRefused,
    SubscriptionTimeout,
)

BOOK = acme.Book("X")
SNAPSHOT = acme.Prices({100: 1, 101: 2})


async def settle():
    await trio.testing.wait_all_tasks_blocked()


async def test_the_snapshot_comes_first_and_then_what_is_pushed(acme_client, model, autojump_clock):
    """The reply to the subscription is the first item."""
    async with acme_client() as client, client.subscribe(BOOK) as receiver:
        model.tick(102, 3)

        assert SNAPSHOT == await receiver.receive()
        assert acme.Tick(102, 3) == await receiver.receive()


async def test_pushes_before_the_confirmation_follow_the_snapshot(
    acme_client, exchange, model, autojump_clock
):  # M12
    """What arrives early is held and released behind the snapshot."""
    async with acme_client() as client:
        exchange.delay("watch", 1)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def early():
                await exchange.seen("watch")
                exchange.push('{"channel": "book:X", "value": [100, 9]}')

            async with client.subscribe(BOOK) as receiver:
                assert SNAPSHOT == await receiver.receive()
                assert acme.Tick(100, 9) == await receiver.receive()


async def test_two_receivers_share_one_subscription_and_nothing_else(
    acme_client, exchange, model, autojump_clock
):  # S4
    """First in subscribes, last out unsubscribes; both get everything."""
    async with acme_client() as client:
        async with client.subscribe(acme.Trades("X")) as first:
            async with client.subscribe(acme.Trades("X")) as second:
                model.push("trades:X", 1)
                await settle()
                assert Gap(GapReason.JOINED_LATE, connection=1) == await second.receive()
                assert Resumed(snapshot=False) == await second.receive()
                assert 1 == await second.receive()
            assert 1 == await first.receive()
            model.push("trades:X", 2)
            assert 2 == await first.receive()
            assert 1 == exchange.count("watch")
        await settle()
        assert 2 == exchange.count("watch")


async def test_a_late_joiner_of_a_folded_channel_starts_with_a_snapshot(
    acme_client, model, autojump_clock
):
    """The core folds the channel's state, since the venue sends its snapshot only once."""
    async with acme_client() as client, client.subscribe(BOOK):
        model.tick(100, 5)
        await settle()
        async with client.subscribe(BOOK) as late:
            assert acme.Prices({100: 5, 101: 2}) == await late.receive()


async def test_leaving_and_coming_back_subscribes_anew_in_order(
    acme_client, exchange, autojump_clock
):
    """Unwatch and watch stay in order: the second snapshot arrives."""
    async with acme_client() as client:
        for _ in range(3):
            async with client.subscribe(BOOK) as receiver:
                assert SNAPSHOT == await receiver.receive()
    on = [f.text for f in exchange.frames if '"watch"' in f.text]
    assert [True, False] * 2 + [True] == ["true" in text for text in on][:5]


async def test_leaving_under_cancellation_still_unsubscribes(acme_client, exchange, autojump_clock):
    """Leaving is a state change; the wire follows later."""  # X4
    async with acme_client() as client:
        with trio.move_on_after(1):
            async with client.subscribe(acme.Trades("X")):
                await trio.sleep_forever()
        await settle()
        assert 2 == exchange.count("watch")
        assert 0 == client.statistics().channels


async def test_cancelled_while_entering_releases_the_wish(acme_client, exchange, autojump_clock):
    """A confirmation that still comes finds nobody; the channel is stopped again."""
    async with acme_client() as client:
        exchange.delay("watch", 2)
        with trio.move_on_after(1) as scope:
            async with client.subscribe(acme.Trades("X")):
                pytest.fail("it is not live")
        assert scope.cancelled_caught
        await trio.sleep(5)
        assert 2 == exchange.count("watch")
        assert 0 == client.statistics().channels


async def test_a_refused_subscription_is_the_subscribers_alone(
    acme_client, exchange, autojump_clock
):  # S6
    """The error carries channel and code; everything else goes on."""
    async with acme_client() as client, client.subscribe(acme.Trades("Y")):
        exchange.refuse("watch", "closed", "closed")
        with pytest.raises(SubscriptionRefused) as caught:
            async with client.subscribe(BOOK):
                pytest.fail("it is refused")
        assert (BOOK, "closed") == (caught.value.channel, caught.value.code)
        assert "alive" == await client.request(acme.Echo("alive"))


async def test_an_unconfirmed_subscription_times_out_after_five_seconds(
    acme_client, exchange, autojump_clock
):  # S6
    """Silence is told to the subscriber, and to nobody else."""
    async with acme_client() as client, client.subscribe(acme.Trades("Y")):
        exchange.silence("watch", times=1)
        with pytest.raises(SubscriptionTimeout):
            async with client.subscribe(BOOK):
                pytest.fail("it is not confirmed")
        assert 5.0 == trio.current_time()
        assert "alive" == await client.request(acme.Echo("alive"))


async def test_a_channel_without_confirmation_is_live_when_sent(
    acme_client, exchange, autojump_clock
):
    """Where the venue confirms nothing, the frame that left is enough."""
    async with acme_client() as client, client.subscribe(acme.Weather()) as receiver:
        await settle()
        exchange.push('{"channel": "weather", "value": "rain"}')
        assert "rain" == await receiver.receive()


async def test_a_channel_confirmed_by_its_first_push(acme_client, exchange, autojump_clock):
    """Entering waits for it, and it is the first item."""
    async with acme_client() as client, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def announce():
            await exchange.seen("watch")
            exchange.push('{"channel": "news", "value": "extra"}')

        async with client.subscribe(acme.News()) as receiver:
            assert "extra" == await receiver.receive()


async def test_an_implicit_channel_starts_with_its_bootstrap(
    acme_client, exchange, model, autojump_clock
):
    """Nothing is watched; a request's reply is the snapshot."""
    model.orders["old"] = 1
    async with acme_client() as client, client.subscribe(acme.Orders()) as receiver:
        assert ("old",) == await receiver.receive()
        await client.request(acme.Place("new", 5))
        assert {"name": "new", "order": 2} == await receiver.receive()

    assert 0 == exchange.count("watch")


async def test_limits_and_privacy_are_kept_locally(acme_client, exchange, autojump_clock):  # S3
    """The sixth channel, and a private one of an anonymous client, are refused here."""
    async with acme_client(credentials=None) as client:
        with pytest.raises(SubscriptionRefused, match="needs a login"):
            async with client.subscribe(acme.Orders()):
                pytest.fail("it is private")
        async with trio.open_nursery() as nursery:
            for n in range(5):
                nursery.start_soon(hold, client, acme.Trades(str(n)))
            await settle()
            with pytest.raises(SubscriptionRefused, match="at most 5 channels"):
                async with client.subscribe(acme.Trades("6")):
                    pytest.fail("it is one too many")
            assert 5 == client.statistics().channels
            nursery.cancel_scope.cancel()


async def test_a_channel_by_its_plain_name(acme_client, model, autojump_clock):
    """Where the venue's channels are text, text will do; a wrong one is named."""
    async with acme_client() as client:
        async with client.subscribe("trades:X") as receiver:
            model.push("trades:X", 7)
            assert 7 == await receiver.receive()
        with pytest.raises(ValueError, match="no channel named 'nonsense'"):
            client.subscribe("nonsense")
        with pytest.raises(TypeError, match="channel of acme"):
            client.subscribe(5)


async def test_a_reconnect_is_a_gap_a_resumption_and_a_snapshot(
    acme_client, exchange, model, autojump_clock
):
    """Continuity lost and restored are in the stream, where they cannot be overlooked."""
    async with acme_client() as client, client.subscribe(BOOK) as receiver:
        assert SNAPSHOT == await receiver.receive()
        exchange.drop()
        assert Gap(GapReason.DISCONNECTED, connection=1) == await receiver.receive()
        assert 0.0 == trio.current_time()
        resumed = await receiver.receive()
        assert resumed == Resumed(snapshot=True, downtime=trio.current_time())
        assert SNAPSHOT == await receiver.receive()
        model.tick(5, 5)
        assert acme.Tick(5, 5) == await receiver.receive()


async def test_wire_order_after_a_reconnect_is_login_channels_requests(
    acme_client, exchange, autojump_clock
):
    """Nothing is asked before the channels are wanted again."""
    async with acme_client() as client, client.subscribe(BOOK):
        exchange.drop()
        await settle()
        await client.wait_ready()
        await client.request(acme.Echo("now"))
    second = [f.text for f in exchange.frames if f.connection == 2 and f.direction == ">"]
    assert ["login", "watch", "echo"] == [_op(text) for text in second][:3]


async def test_what_was_dropped_during_the_outage_is_not_subscribed_again(
    acme_client, exchange, autojump_clock
):  # W17
    """Wishes may come and go while there is no connection."""
    async with acme_client() as client:
        async with client.subscribe(acme.Trades("old")):
            exchange.drop()
            await settle()
        async with client.subscribe(acme.Trades("new")):
            pass
    second = [f.text for f in exchange.frames if f.connection == 2 and '"watch"' in f.text]
    assert not any("old" in text for text in second)
    assert any("new" in text for text in second)


async def test_a_refused_resubscription_ends_that_receiver_alone(
    acme_client, exchange, model, autojump_clock
):  # W18
    """The others live on."""
    async with (
        acme_client() as client,
        client.subscribe(BOOK) as book,
        client.subscribe(acme.Trades("X")) as trades,
    ):
        await book.receive()
        exchange.refuse("watch", "closed", "closed", times=1)
        exchange.drop()
        assert isinstance(await book.receive(), Gap)
        with pytest.raises(SubscriptionRefused):
            await book.receive()
        assert isinstance(await trades.receive(), Gap)
        assert isinstance(await trades.receive(), Resumed)
        model.push("trades:X", 3)
        assert 3 == await trades.receive()


async def test_a_sequence_hole_is_a_gap_and_a_fresh_subscription(
    acme_client, exchange, model, autojump_clock
):  # M12
    """The venue's own numbering shows a loss: stale at once, then a new snapshot."""
    async with acme_client() as client, client.subscribe(BOOK) as receiver:
        model.push("book:X", [1, 1], seq=1)
        model.push("book:X", [2, 2], seq=2)
        model.push("book:X", [9, 9], seq=9)
        await settle()
        got = [receiver.receive_nowait() for _ in range(6)]

    assert [SNAPSHOT, acme.Tick(1, 1), acme.Tick(2, 2)] == got[:3]
    assert Gap(GapReason.SEQUENCE, connection=1) == got[3]
    assert Resumed(snapshot=True) == got[4]
    assert SNAPSHOT == got[5]


async def test_resubscribing_on_demand(acme_client, model, autojump_clock):
    """A fresh snapshot can be asked for; every receiver of the channel sees the seam."""
    async with acme_client() as client, client.subscribe(BOOK) as receiver:
        receiver.resubscribe()
        await settle()
        got = [receiver.receive_nowait() for _ in range(4)]

    assert [
        SNAPSHOT,
        Gap(GapReason.RESUBSCRIBED, connection=1),
        Resumed(snapshot=True),
        SNAPSHOT,
    ] == got


async def test_overflow_gap_throws_the_backlog_away_and_says_so(
    acme_client, model, autojump_clock
):  # S2
    """With a fold, a snapshot of what was missed follows."""
    async with acme_client() as client, client.subscribe(BOOK, buffer=4) as receiver:
        for n in range(4):
            model.tick(n, n)
            await settle()
        got = [receiver.receive_nowait() for _ in range(4)]

    # The snapshot and three ticks filled it; the fourth found no room.
    assert Gap(GapReason.OVERFLOW, dropped=4, connection=1) == got[0]
    assert Resumed(snapshot=True) == got[1]
    assert acme.Prices({**SNAPSHOT.levels, 0: 0, 1: 1, 2: 2}) == got[2]
    assert acme.Tick(3, 3) == got[3]


async def test_an_overflow_names_the_connection_on_which_it_happened(
    acme_client, exchange, autojump_clock
):  # S2
    """Of channels, and of the client's own streams."""
    async with (
        acme_client() as client,
        client.subscribe(acme.Trades("X"), buffer=4) as trades,
        client.unmatched(buffer=4) as unmatched,
    ):
        exchange.drop()
        await settle()
        await client.wait_ready()
        for n in range(6):
            exchange.push(f'{{"channel": "trades:X", "value": {n}}}')
            exchange.push('{"new": "kind"}')
            await settle()

        gap = Gap(GapReason.OVERFLOW, dropped=4, connection=2)
        assert gap == await trades.receive()
        assert gap == await unmatched.receive()


async def test_a_block_is_entered_once(acme_client, autojump_clock):
    """A manager that is used again says so, instead of giving a receiver that is over."""
    async with acme_client() as client:
        for again in (
            client.subscribe(BOOK),
            client.poll(acme.Echo("x"), every=1),
            client.unmatched(),
            client.frames(),
        ):
            async with again as receiver:
                with pytest.raises(LocalProtocolError, match="was entered before"):
                    async with again:
                        pytest.fail("it must not open")
                assert 0 <= receiver.statistics().buffered
            with pytest.raises(LocalProtocolError, match="was entered before"):
                async with again:
                    pytest.fail("it must not open")
        assert 0 == client.statistics().channels


async def test_overflow_latest_keeps_the_newest_and_counts(
    acme_client, model, autojump_clock
):  # S2
    """No gap, by the caller's choice; the statistics tell."""
    async with (
        acme_client() as client,
        client.subscribe(acme.Trades("X"), buffer=4, overflow=Overflow.LATEST) as receiver,
    ):
        for n in range(10):
            model.push("trades:X", n)
            await settle()
        assert [6, 7, 8, 9] == [receiver.receive_nowait() for _ in range(4)]
        assert 6 == receiver.statistics().conflated


async def test_overflow_fail_ends_that_receiver_and_no_other(
    acme_client, model, autojump_clock
):  # S2
    """Where missing one item is an error, it is one; what arrived in order is still read."""
    async with (
        acme_client() as client,
        client.subscribe(acme.Trades("X"), buffer=4, overflow=Overflow.FAIL) as strict,
        client.subscribe(acme.Trades("X")) as other,
    ):
        for n in range(6):
            model.push("trades:X", n)
            await settle()
        assert [0, 1, 2, 3] == [await strict.receive() for _ in range(4)]
        with pytest.raises(ReceiverOverflow) as caught:
            await strict.receive()
        assert 2 == caught.value.dropped
        assert [0, 1, 2] == [item async for item in take(other.values(), 3)]


async def test_a_slow_consumer_hurts_only_itself(acme_client, exchange, model, autojump_clock):
    """Heartbeats, replies and other receivers go on while one sleeps for 90 s."""  # S1
    async with (
        acme_client() as client,
        client.subscribe(BOOK, buffer=8) as slow,
        client.subscribe(acme.Trades("X")) as quick,
    ):
        for n in range(90):
            model.tick(n, n)
            model.push("trades:X", n)
            began = trio.current_time()
            assert str(n) == await client.request(acme.Echo(str(n)))
            assert began == trio.current_time()
            assert n == await take_one(quick)
            await trio.sleep(1)
        assert slow.statistics().buffered <= 8
        assert 1 == client.statistics().connections


async def test_receivers_end_with_the_client(acme_client, exchange, model, autojump_clock):
    """A task outside the block drains its buffer, then its loop ends."""
    got = []
    async with trio.open_nursery() as nursery:
        async with acme_client() as client:
            stack = client.subscribe(acme.Trades("X"))
            receiver = await stack.__aenter__()
            model.push("trades:X", 1)
            await settle()

        @nursery.start_soon
        async def outside():
            got.extend([item async for item in receiver])

    assert [1] == got
    await stack.__aexit__(None, None, None)


async def test_tasks_outside_a_failed_client_see_it_broken(acme_client, exchange, autojump_clock):
    """Inside the block tasks are cancelled; outside they get the failure as a cause."""
    receiver = None
    with pytest.raises(ConnectionLost) as caught:
        async with acme_client(reconnect=Reconnect.never()) as client:
            receiver = await client.subscribe(acme.Trades("X")).__aenter__()
            exchange.drop()
            await trio.sleep_forever()
    assert isinstance(await receiver.receive(), Gap)
    with pytest.raises(trio.BrokenResourceError) as broken:
        await receiver.receive()

    assert caught.value is broken.value.__cause__


async def test_a_left_subscription_is_closed(acme_client, autojump_clock):
    """Reading after the block is a mistake, and named as one."""
    async with acme_client() as client:
        async with client.subscribe(BOOK) as receiver:
            pass
        with pytest.raises(trio.ClosedResourceError):
            await receiver.receive()


async def test_subscribing_waits_through_an_outage(acme_client, exchange, autojump_clock):
    """Entering during an outage is live once it is over, without a gap of its own."""
    async with acme_client() as client:
        exchange.drop()
        await settle()
        assert not client.ready
        async with client.subscribe(BOOK) as receiver:
            assert SNAPSHOT == await receiver.receive()


async def test_batches_bring_what_is_there(acme_client, model, autojump_clock):
    """One step, one list, markers included."""
    async with acme_client() as client, client.subscribe(acme.Trades("X")) as receiver:
        for n in range(5):
            model.push("trades:X", n)
        await settle()
        assert list(range(5)) == await receiver.batches().__anext__()


async def test_workers_share_the_work_of_one_receiver(acme_client, model, autojump_clock):
    """Each item goes to one of the tasks that read."""
    got = []

    async def work(receiver):
        async for item in receiver:
            got.append(item)
            await trio.sleep(0.1)

    async with (
        acme_client() as client,
        client.subscribe(acme.Trades("X")) as receiver,
        trio.open_nursery() as nursery,
    ):
        for _ in range(3):
            nursery.start_soon(work, receiver)
        for n in range(30):
            model.push("trades:X", n)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()

    assert list(range(30)) == sorted(got)


async def test_too_small_a_buffer_is_refused(acme_client, autojump_clock):
    """Gap, Resumed, a snapshot and an item must fit."""
    async with acme_client() as client:
        with pytest.raises(ValueError, match="at least 4"):
            client.subscribe(BOOK, buffer=3)


async def test_frames_shows_every_frame_without_secrets(acme_client, exchange, autojump_clock):
    """Logins are in there, their proofs are not."""
    async with acme_client() as client, client.frames() as frames:
        await client.request(acme.Echo("look"))
        exchange.drop()
        await settle()
        await client.wait_ready()
        await settle()
        seen = []
        while True:
            try:
                seen.append(frames.receive_nowait())
            except trio.WouldBlock:
                break

    assert any(frame.direction == ">" and "look" in frame.text for frame in seen)
    assert any(frame.direction == "<" and "look" in frame.text for frame in seen)
    logins = [frame.text for frame in seen if '"login", ' in frame.text]
    assert logins
    assert all('"proof": "***"' in text for text in logins)


async def test_warnings_come_before_the_limit(exchange, acme_client, caplog, autojump_clock):
    """A venue whose documents disagree about its limit warns at the lower one."""
    venue = attrs.evolve(acme.VENUE, warn_channels=1)
    async with (
        acme_client(venue=venue) as client,
        client.subscribe(acme.Trades("1")),
        client.subscribe(acme.Trades("2")),
    ):
        assert "more than 1 channels" in caplog.text


async def hold(client, channel):
    async with client.subscribe(channel):
        await trio.sleep_forever()


async def take(iterator, count):
    for _ in range(count):
        yield await iterator.__anext__()


async def take_one(receiver):
    return await receiver.receive()


def _op(text):
    return text.split('"op": "')[1].split('"')[0]


async def test_a_fast_reader_never_overflows_however_large_reads_are(
    acme_client, model, autojump_clock
):
    """Between two large reads its task runs; one of them always fits."""  # S2
    seen = []

    async def count(receiver):
        async for item in receiver:
            seen.append(item)  # noqa: PERF401 - what was seen is looked at before the end

    async with (
        acme_client() as client,
        trio.open_nursery() as nursery,
        client.subscribe(acme.Trades("X"), buffer=800) as receiver,
    ):
        nursery.start_soon(count, receiver)
        for first in range(0, 20_000, 500):
            for n in range(first, first + 500):
                model.push("trades:X", n)
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        assert list(range(20_000)) == seen
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("channels", "size"), [(1, 256 * 1024), (50, 400 * 1024), (400, 1024 * 1024)]
)
async def test_reads_grow_with_the_channels_in_them(
    acme_client, exchange, model, autojump_clock, channels, size
):
    """A wake-up is to be worth its while where many tasks are woken; a read stays bounded, and
    channels that are silent make no difference."""
    transports = []

    @contextlib.asynccontextmanager
    async def connector(target):
        async with exchange.connector(target) as transport:
            transports.append(transport)
            yield transport

    roomy = attrs.evolve(acme.VENUE, max_channels=None, warn_channels=None)
    async with (
        acme_client(venue=roomy, connector=connector) as client,
        contextlib.AsyncExitStack() as stack,
    ):
        for number in range(channels):
            await stack.enter_async_context(client.subscribe(acme.Trades(f"X{number}")))
        for number in range(channels):
            model.push(f"trades:X{number}", 1)
        await settle()
        assert [size] == [transport.read_size for transport in transports]

        model.push("trades:X0", 2)
        await settle()
        assert [256 * 1024] == [transport.read_size for transport in transports]
