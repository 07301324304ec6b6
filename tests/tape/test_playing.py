"""What is recorded and played again is the same, for every venue; what differs is said."""

from __future__ import annotations

import math

import pytest
import trio

import trioflex
from tests.tape.talks import CHANNELS, channels_of, open_login, play, record
from trioflex.simulator import SimulatedExchange
from trioflex.tape import TapeError, open_player, open_recorder, read_tape
from trioflex.venues import coinflex


@pytest.mark.parametrize(
    ("name", "ending"),
    [*((name, "jsonl") for name in CHANNELS), ("coinflex", "jsonl.gz"), ("coinflex", "jsonl.xz")],
)
async def test_a_tape_gives_the_same_events(tmp_path, autojump_clock, name, ending):
    """Snapshots, updates, gaps and resumptions, in their order, over three connections."""
    path = tmp_path / f"tape.{ending}"
    recorded = await record(path, name)
    played, unanswered = await play(path, name)
    assert recorded == played
    assert all(
        [trioflex.Gap, trioflex.Gap]
        == [type(item) for item in items if isinstance(item, trioflex.Gap)]
        for items in recorded.values()
    )
    assert 0 == unanswered


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 20.0), (4.0, 5.0), (math.inf, 0.0)])
async def test_a_tape_takes_its_time(tmp_path, autojump_clock, speed, seconds):
    """As long as the recording, or so much less; the clock is Trio's."""
    path = tmp_path / "tape.jsonl"
    await record(path, "coinflex", losses=False)
    began = trio.current_time()
    await play(path, "coinflex", speed=speed, patience=0.001)
    assert seconds == pytest.approx(trio.current_time() - began, abs=0.05)


async def test_fewer_questions_get_fewer_answers(tmp_path, autojump_clock):
    """A client that asks for less, in another order, gets what it asked for and nothing wrong."""
    path = tmp_path / "tape.jsonl"
    recorded = await record(path, "coinflex")
    book, ticker = channels_of("coinflex")[:2]
    played, unanswered = await play(path, "coinflex", [ticker, book], patience=0.5)
    assert recorded[book] == played[book]
    assert recorded[ticker] == played[ticker]
    assert 0 == unanswered


@pytest.mark.parametrize(("patience", "late"), [(None, 2.0), (0.5, 0.5), (0.01, 0.01)])
async def test_a_tape_stands_still_once_for_what_is_not_asked(
    tmp_path, autojump_clock, patience, late
):
    """For as long as it has patience, which is 2 s unless told otherwise."""
    path = tmp_path / "tape.jsonl"
    exchange = SimulatedExchange("coinflex")
    book, ticker = channels_of("coinflex")[:2]
    async with (
        exchange.trading(),
        open_recorder(path, coinflex.VENUE) as recorder,
        trioflex.open_client(
            coinflex.VENUE, connector=recorder.connector(exchange.connector), observer=recorder
        ) as client,
        client.subscribe(book),
        client.subscribe(ticker),
    ):
        await trio.sleep(20)
    began = trio.current_time()
    options = {} if patience is None else {"patience": patience}
    async with (
        open_player(read_tape(path), **options) as player,
        trioflex.open_client(coinflex.VENUE, connector=player.connector) as client,
        client.subscribe(book),
    ):
        await player.ended.wait()
    assert 20.0 + late == pytest.approx(trio.current_time() - began, abs=0.001)


async def test_what_is_not_on_the_tape_is_not_answered(tmp_path, autojump_clock, caplog):
    """And counted, and said in the log."""
    caplog.set_level("INFO", "trioflex.tape")
    path = tmp_path / "tape.jsonl"
    await record(path, "coinflex", losses=False)
    async with (
        open_player(read_tape(path)) as player,
        open_login(SimulatedExchange("coinflex"), "coinflex", connector=player.connector) as client,
    ):
        with pytest.raises(trioflex.ReplyLost):
            await client.request(coinflex.GetTradeVolume("XBT"))
        assert 1 == player.unanswered
    assert "not on the tape" in caplog.text


async def test_an_anonymous_tape_needs_no_login(tmp_path, autojump_clock):
    """Keys of answers are told by the tape; here there is a single request."""
    exchange = SimulatedExchange("coinflex", seed=3)
    path = tmp_path / "tape.jsonl"
    channel = coinflex.Ticker("XBT", "USDT")
    async with (
        open_recorder(path, coinflex.VENUE) as recorder,
        trioflex.open_client(
            coinflex.VENUE, connector=recorder.connector(exchange.connector)
        ) as client,
        client.subscribe(channel) as receiver,
    ):
        expected = await receiver.receive()
    async with (
        open_player(read_tape(path)) as player,
        trioflex.open_client(coinflex.VENUE, connector=player.connector) as client,
    ):
        assert "tag" == player.key
        # The first question of this client is another one, so that its keys are others.
        with pytest.raises(trioflex.SubscriptionTimeout):
            async with client.subscribe(coinflex.Ticker("ETH", "USDT")):
                pass
    async with (
        open_player(read_tape(path)) as player,
        trioflex.open_client(coinflex.VENUE, connector=player.connector) as client,
        client.subscribe(channel) as receiver,
    ):
        assert expected == await receiver.receive()


async def test_a_tape_can_be_rewound(tmp_path, autojump_clock):
    """At its end the connection is closed, and the next one begins anew."""
    path = tmp_path / "tape.jsonl"
    await record(path, "coinflex", losses=False, seconds=5.0)
    items = []
    async with (
        open_player(read_tape(path), rewind=True) as player,
        open_login(SimulatedExchange("coinflex"), "coinflex", connector=player.connector) as client,
        client.subscribe(coinflex.OrderBook("XBT", "USDT")) as receiver,
    ):
        with trio.move_on_after(60):
            while True:
                items.append(await receiver.receive())
        assert 3 <= client.statistics().connections
    books = [item for item in items if isinstance(item, coinflex.BookSnapshot)]
    assert 3 <= len(books)
    assert all(book == books[0] for book in books)


async def test_a_tape_that_has_ended_refuses_connections(tmp_path, autojump_clock):
    """Unless it is rewound."""
    path = tmp_path / "tape.jsonl"
    await record(path, "coinflex", losses=False, seconds=5.0)
    async with open_player(read_tape(path), patience=0.1) as player:
        async with open_login(
            SimulatedExchange("coinflex"), "coinflex", connector=player.connector
        ):
            await player.ended.wait()
        with pytest.raises(trioflex.ConnectFailed, match="503"):
            async with open_login(
                SimulatedExchange("coinflex"), "coinflex", connector=player.connector
            ):
                pass


async def test_impossible_playing_is_explained(tmp_path, autojump_clock):
    """Nothing on it, an unknown venue, no speed."""
    head = '{"tape":1,"venue":"acme","started":"2020-03-01T00:00:00.000Z","trioflex":"1"}\n'
    path = tmp_path / "tape.jsonl"
    path.write_text(head)
    with pytest.raises(TapeError, match="no connection was open"):
        async with open_player(read_tape(path)):
            pass
    path.write_text(head + '{"t":0,"n":1,"mark":"opened"}\n')
    with pytest.raises(TapeError, match="acme"):
        async with open_player(read_tape(path)):
            pass
    with pytest.raises(ValueError, match="above 0"):
        async with open_player(read_tape(path), speed=0):
            pass
