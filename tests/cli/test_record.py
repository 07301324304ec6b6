"""``trioflex record`` and ``trioflex replay``: what is kept, how it is told, and what is said."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
from rich.console import Console

import trioflex
from tests.cli.test_demo import Notes
from tests.cli.ways import way_to
from trioflex import LocalProtocolError
from trioflex.cli.app import app
from trioflex.cli.demo import Demo
from trioflex.cli.follower import Follower
from trioflex.cli.record import progress, record, summary
from trioflex.cli.replay import progress as replay_progress, replay_command, tell_events
from trioflex.cli.report import GapReport, ResumedReport
from trioflex.cli.spelling import make_channel
from trioflex.simulator import SimulatedExchange, open_exchange, open_server, system_clock
from trioflex.tape import open_player, open_recorder, read_tape
from trioflex.venues import coinflex

NAMES = ("OrderBook:XBT:USDT", "Ticker:XBT:USDT", "Balances", "OwnOrders")


async def recorded(path, *, names=NAMES, **options):
    """Record a simulated market, and have the line cut once."""
    exchange = SimulatedExchange("coinflex", seed=3)
    way = way_to("coinflex", exchange.model.credentials())
    channels = [make_channel(way.venue, name) for name in names]

    async def cut():
        await trio.sleep(5)
        exchange.drop()

    async with exchange.trading(), trio.open_nursery() as nursery:
        nursery.start_soon(cut)
        options = {"seconds": 10.0} | options
        told = await record(way, channels, path, connector=exchange.connector, **options)
        nursery.cancel_scope.cancel()
    return told


async def test_a_recording_is_summed_up(tmp_path, autojump_clock):
    """In one line, with the size of what is in the file."""
    path = tmp_path / "tape.jsonl.gz"
    told = await recorded(path)
    assert (2, 0, False) == (told.connections, told.dropped, told.connected)
    line = summary(path, "coinflex", told)
    assert re.match(rf"{path}: 10\.0 s, 2 connections, {told.frames_in} messages from coinf", line)
    assert "DROPPED" not in line
    assert "5 messages were DROPPED" in summary(path, "x", attrs.evolve(told, dropped=5))


async def test_a_recording_is_limited(tmp_path, autojump_clock):
    """By a number of items, too; nothing else would end it."""
    path = tmp_path / "tape.jsonl"
    with trio.fail_after(5):
        await recorded(path, names=["Ticker:XBT:USDT"], count=3, seconds=None)
    assert 3 <= sum("icker" in f.frame or '"last"' in f.frame for f in read_tape(path).frames)


@pytest.mark.parametrize("refused", [True, False])
async def test_a_tape_is_replaced_by_another_one_only(tmp_path, autojump_clock, refused):
    """Not by none, because the venue is away."""
    path = tmp_path / "tape.jsonl"
    path.write_text("yesterday's\n")
    exchange = SimulatedExchange("coinflex", seed=3)
    if refused:
        exchange.refuse_connections(403)
    way = way_to("coinflex")
    ticker = make_channel(way.venue, "Ticker:XBT:USDT")
    recording = partial(record, way, [ticker], path, force=True, connector=exchange.connector)
    if refused:
        with pytest.raises(trioflex.OpenError):
            await recording()
        assert "yesterday's\n" == path.read_text()
    else:
        await recording(seconds=1.0)
        assert read_tape(path).frames
    assert [path] == [*tmp_path.iterdir()]


async def test_a_device_stays(autojump_clock, monkeypatch):
    """What is not a file was not made by us."""
    exchange = SimulatedExchange("coinflex", seed=3)
    exchange.refuse_connections(403)
    removed = []
    monkeypatch.setattr(Path, "unlink", removed.append)
    with pytest.raises(trioflex.OpenError):
        await record(
            way_to("coinflex"), [], Path(os.devnull), force=True, connector=exchange.connector
        )
    assert [] == removed


async def test_no_connection_leaves_no_tape(tmp_path, autojump_clock):
    """Only what was recorded is a tape."""
    exchange = SimulatedExchange("coinflex")
    exchange.refuse_connections(503)
    path = tmp_path / "tape.jsonl"
    with pytest.raises(trioflex.ConnectFailed):
        await record(way_to(), [coinflex.Ticker("XBT", "USDT")], path, connector=exchange.connector)
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("there.jsonl", "is there already.*--force"),
        ("no/where.jsonl", "cannot be written: No such"),
    ],
)
async def test_a_file_that_cannot_be_made_is_explained(tmp_path, autojump_clock, name, complaint):
    """And nothing is replaced by accident."""
    there = tmp_path / "there.jsonl"
    there.write_text("dear diary")
    with pytest.raises(LocalProtocolError, match=complaint):
        await record(way_to(), [], tmp_path / name)
    assert "dear diary" == there.read_text()
    await recorded(there, force=True)
    assert read_tape(there).frames


async def test_a_replay_tells_the_same(tmp_path, autojump_clock):
    """As it would have been told while it was recorded: events, gaps and all."""
    path = tmp_path / "tape.jsonl"
    await recorded(path)
    notes = Notes()
    await tell_events(read_tape(path), notes, 1.0)
    assert set(NAMES) == {note.channel for note in notes.of(GapReport)}
    assert set(NAMES) == {note.channel for note in notes.of(ResumedReport)}
    assert "1" == read_tape(path).account


async def gather(client, into, task_status=trio.TASK_STATUS_IGNORED):
    """Keep what all channels of the demo deliver."""

    async def follow(channel, task_status):
        async with client.subscribe(channel) as receiver:
            task_status.started()
            async for item in receiver:
                # How soon a client comes back is its own business, and random.
                timeless = isinstance(item, trioflex.Resumed)
                into.setdefault(channel, []).append(
                    attrs.evolve(item, downtime=0.0) if timeless else item
                )

    async with trio.open_nursery() as nursery:
        for name in NAMES:
            await nursery.start(follow, make_channel(coinflex.VENUE, name))
        task_status.started()


class Overheard(Follower):
    """A follower of the demo, and before it somebody who keeps what it is told."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.heard = {}

    @asynccontextmanager
    async def following(self, client):
        async with trio.open_nursery() as nursery:
            await nursery.start(gather, client, self.heard)
            async with super().following(client) as inner:
                yield inner
            nursery.cancel_scope.cancel()


async def test_the_demo_on_tape(tmp_path, autojump_clock, monkeypatch):
    """A recording of the demo gives the same events when it is played: the market, own orders, a
    lost connection with an order in flight, and what was found afterwards."""
    path = tmp_path / "demo.jsonl.xz"
    monkeypatch.setattr("trioflex.cli.demo.Follower", Overheard)
    notes, played = Notes(), {}
    async with (
        open_exchange("coinflex", seed=1) as exchange,
        open_recorder(path, coinflex.VENUE, env=exchange.env) as recorder,
    ):
        exchange.connector = recorder.connector(exchange.connector)
        demo = Demo(exchange, notes, trio.current_time(), 8.0)
        await demo.run()
    login = coinflex.Credentials.from_env(dict(SimulatedExchange("coinflex").model.credentials()))
    async with (
        open_player(read_tape(path)) as player,
        trioflex.open_client(
            coinflex.VENUE, credentials=login, connector=player.connector, env=player.env
        ) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(gather, client, played)
        await player.ended.wait()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    heard = demo._follower.heard
    assert heard == played
    assert len(NAMES) == len(heard)
    for items in heard.values():
        assert 1 == sum(isinstance(item, trioflex.Gap) for item in items)
    own = heard[coinflex.OwnOrders()]
    assert any(isinstance(item, coinflex.OrdersMatched) for item in own)


async def test_a_tape_without_channels_is_told_by_message(tmp_path, autojump_clock, capsys):
    """As it stands there, or in columns."""
    path = tmp_path / "tape.jsonl"
    exchange = SimulatedExchange("coinflex")
    async with (
        open_recorder(path, coinflex.VENUE) as recorder,
        trioflex.open_client(coinflex.VENUE, connector=recorder.connector(exchange.connector)),
    ):
        await trio.sleep(2)
        exchange.drop()
        await trio.sleep(5)
    began = trio.current_time()
    await replay_command(path, 2.0, 0, True, False, False)
    assert trio.current_time() - began == pytest.approx(3.5, abs=0.01)
    lines = capsys.readouterr().out.splitlines()
    assert "    0.000  #1 opened" == lines[0]
    assert '#1 <  {"nonce":' in lines[1]
    assert any("#1 lost" in line and "reset" in line for line in lines)
    await replay_command(path, 0.0, 0, False, True, False)
    told = capsys.readouterr().out
    assert path.read_text().partition("\n")[2] == told


def shown(text):
    console = Console(width=120, no_color=True, file=io.StringIO())
    console.print(text)
    return console.file.getvalue().strip()


async def test_the_progress_of_a_recording(autojump_clock, tmp_path):
    """Venue, time, how much; and loudly what was dropped."""
    async with open_recorder(tmp_path / "tape.jsonl", coinflex.VENUE, max_buffered=9) as recorder:
        assert "○ no connection coinflex  00:00" in shown(
            progress("coinflex", recorder.statistics(), None)
        )
        recorder.note("opened", 1)
        recorder.keep(1, "<", ["hello", "world"])
        await trio.sleep(30)
        line = shown(progress("coinflex", recorder.statistics(), 60.0))
    assert "● recording coinflex  00:30 ██████████·········· 01:00  1 messages" in line
    assert line.endswith("1 DROPPED")


async def test_the_progress_of_a_replay(autojump_clock, tmp_path):
    """Whether somebody listens, and how far it is."""
    path = tmp_path / "tape.jsonl"
    await recorded(path, names=NAMES[:1])
    async with open_player(read_tape(path)) as player:
        assert "■ waiting for a client coinflex  00:00" in shown(replay_progress(player))
        async with trioflex.open_client(coinflex.VENUE, connector=player.connector) as client:
            async with client.subscribe(coinflex.OrderBook("XBT", "USDT")):
                await trio.sleep(3)
                line = shown(replay_progress(player))
    assert "▶ playing coinflex  00:0" in line
    assert "00:10" in line


def run_app(*arguments):
    with pytest.raises(SystemExit) as leaving:
        app([*arguments], prog_name="trioflex")
    return int(leaving.value.code or 0)


def test_a_broken_tape_is_a_wrong_argument(tmp_path, capsys):
    """2, and one sentence."""
    path = tmp_path / "tape.jsonl"
    path.write_text("dear diary\n")
    assert 2 == run_app("replay", str(path))
    out, err = capsys.readouterr()
    assert ("", 1) == (out, err.count("\n"))
    assert "is no tape" in err


async def test_as_processes(tmp_path):
    """Recorded over sockets, served on others, and watched there; the end is Ctrl-C."""
    path = str(tmp_path / "tape.jsonl.gz")
    command = [sys.executable, "-m", "trioflex"]
    exchange = SimulatedExchange("coinflex", clock=system_clock)
    env = os.environ | dict(exchange.model.credentials())
    async with open_server(exchange) as address, exchange.trading():
        done = await trio.run_process(
            [*command, "record", "coinflex", "Ticker:XBT:USDT", "Balances", path, "--count", "2",
             "--url", address.url],
            env=env, capture_stdout=True, capture_stderr=True,
        )  # fmt: skip
    assert b"" == done.stderr
    assert done.stdout.startswith(path.encode() + b": ")
    async with trio.open_nursery() as nursery:
        served = await nursery.start(
            partial(
                trio.run_process,
                [*command, "replay", path, "--speed", "0"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
            )
        )
        with trio.fail_after(20):
            url = json.loads(await served.stdout.receive_some())["url"]
            watched = await trio.run_process(
                [*command, "watch", "coinflex", "Ticker:XBT:USDT", "--url", url, "--json",
                 "--count", "1"],
                env=env, capture_stdout=True,
            )  # fmt: skip
            served.send_signal(signal.SIGINT)
            err = b"".join([piece async for piece in served.stderr])
            assert 130 == await served.wait()
    assert b'"event":"ticker"' in watched.stdout
    assert b"is served on ws://127.0.0.1:" in err
    assert b"Traceback" not in err
