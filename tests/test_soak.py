"""The long runs in short: seeds in memory, seconds over sockets; and that they would notice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import attrs
import pytest
import trio

from soak import fuzz, history, marathon
from soak.desks import DESKS
from soak.laws import BrokenPromise, Listener, Wire
from soak.talks import TALKS
from trioflex import Gap, GapReason, RemoteProtocolError, Resumed
from trioflex.simulator import SeenFrame
from trioflex.simulator.exchange import MODELS

ROOT = Path(__file__).parents[1]
LOST = Gap(reason=GapReason.DISCONNECTED)
BACK = Resumed(snapshot=True, downtime=0.5)


@cache
def played(venue, seed):
    """A course that more than one test looks at."""
    return history.play(DESKS[venue], seed)


def test_every_simulated_venue_is_put_through_it():
    """A venue that is added is added here as well."""
    assert set(MODELS) == set(DESKS) == set(TALKS)


@pytest.mark.parametrize("venue", sorted(DESKS))
def test_a_sample_of_the_thousand_seeds(venue):  # S7, W17, R1, R2, R7, V3, M12
    """``make history`` plays a thousand of them."""
    gaps = 0
    for seed in range(7000, 7003):
        course = played(venue, seed)
        assert history.ORDERS <= course.outcomes.total()
        gaps += course.gaps
    assert gaps


@pytest.mark.parametrize(("venue", "seed"), [("coinflex", 7040), ("midchains", 7042)])
def test_a_sample_of_the_seeds_over_sockets(venue, seed):  # V3
    """``make history SOCKETS=1 SEEDS=20`` plays more of them: the kernel is between."""
    course = history.play(DESKS[venue], seed, sockets=True)
    assert history.ORDERS <= course.outcomes.total()
    assert course.gaps
    assert 1 < course.connections


@pytest.mark.parametrize("venue", sorted(DESKS))
def test_a_seed_plays_the_same_course_each_time(venue):  # V3
    """To the last byte and the last instant."""
    one, two = played(venue, 7000), history.play(DESKS[venue], 7000)
    assert (one.log, one.digest) == (two.log, two.digest)
    assert one.digest != played(venue, 7001).digest


def test_a_seed_plays_the_same_course_in_another_process():  # V3
    """Whatever it hashes strings with, and whatever else has run in it."""
    history.play(DESKS["theone"], 1)
    here = history.play(DESKS["coinflex"], 7020).digest
    run = subprocess.run(
        [
            sys.executable,
            *["-m", "soak.history", "--venue", "coinflex", "--first", "7020", "--seeds", "1"],
            "-v",
        ],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"coinflex, seed 7020: {here}" in run.stdout


@pytest.mark.parametrize(
    ("lie", "law"),
    [
        ({"made": lambda exchange, number: []}, "not "),
        ({"made": lambda exchange, number: ["1", "1"]}, "was made 2 times"),
        ({"kept": lambda fold: {"orders": []}}, "no agreement"),
        ({"noticed": -6}, "hung for"),
        ({"key_of_frame": lambda message: None}, "without a gap"),
        ({"snapshots": (int,)}, "a snapshot was promised"),
    ],
)
def test_broken_promises_are_noticed(lie, law, capsys, monkeypatch):
    """With the seed that shows it, what happened, and a status that stops a build."""
    monkeypatch.setitem(DESKS, "coinflex", attrs.evolve(DESKS["coinflex"], **lie))
    status = history.main(["--venue", "coinflex", "--first", "7030", "--seeds", "1"])
    said = capsys.readouterr().out
    assert 1 == status
    assert law in said
    assert "again: python -m soak.history --venue coinflex --first 7030" in said


def test_a_promise_broken_over_sockets_is_noticed_too(capsys, monkeypatch):
    """And is looked for over sockets again."""
    lie = attrs.evolve(DESKS["coinflex"], made=lambda exchange, number: [])
    monkeypatch.setitem(DESKS, "coinflex", lie)
    run = ["--venue", "coinflex", "--first", "7030", "--seeds", "1"]
    assert 1 == history.main(["--sockets", *run])
    again = "again: python -m soak.history --sockets --venue coinflex --first 7030 --seeds 1"
    assert again in capsys.readouterr().out


class Anything:
    """A fold that takes everything."""

    def apply(self, item):
        pass


@pytest.mark.parametrize(
    ("items", "law"),
    [
        ([LOST, LOST], "a Gap after a Gap"),
        ([1, BACK], "a Resumed without a Gap"),
        ([1, LOST, 2], "an item in a gap"),
        ([1, LOST, BACK, 2], "a snapshot was promised, and a int came"),
    ],
)
def test_the_grammar_of_a_receiver(items, law):
    """Each of its laws can be broken."""
    listener = Listener(Anything(), (str,))
    for item in items[:-1]:
        listener.take(item)
    with pytest.raises(BrokenPromise, match=law):
        listener.take(items[-1])


def test_what_was_sent_and_what_arrived():
    """A hole is one only if no gap says so."""
    frames = [
        SeenFrame(0.0, connection, "<", f'{{"n":{number}}}')
        for connection, number in [(1, 1), (1, 2), (2, 7), (1, 3), (1, 4)]
    ]
    wire = Wire(frames, lambda message: message["n"])
    for run in ([1, 2, 3, 4], [2, 3], [7]):
        wire.check(run)
    for run in ([1, 3], [2, 7], [4, 5], [2, 1], [1, 1]):
        with pytest.raises(BrokenPromise, match="are not what was sent"):
            wire.check(run)


def test_some_seconds_of_the_ten_minutes():  # V2
    """Over sockets, with a process for the far side; ``make soak`` is the whole of it."""
    run = marathon.Marathon(7, rate=300, pace=1.0, faults=(0.2, 0.8))
    trio.run(run.run, 3.0)
    assert run.rows[-1].messages > 100
    assert run.rows[-1].faults >= 2
    assert run.outcomes.total() >= 2
    assert "reconnects" in marathon.table(run)


def test_memory_that_grows_is_noticed():
    """From the second quarter to the last; a short run proves nothing and is not judged."""
    run = marathon.Marathon(7, rate=300, pace=1.0)
    run._memory = [(second, 50 + second / 50) for second in range(600)]
    with pytest.raises(BrokenPromise, match=r"grew from 54\.5 to 60\.5 MiB"):
        run._check_memory(600)
    run._memory = [(second, 50 + second / 500) for second in range(600)]
    run._check_memory(600)
    run._check_memory(60)


@pytest.mark.parametrize("venue", sorted(TALKS))
def test_a_sample_of_the_million_damaged_messages(venue):  # M1, M2
    """``make fuzz`` does them all. Some are taken, more are refused, and nothing else happens."""
    fuzzer = fuzz.Fuzzer(venue, seed=7)
    assert [] == [str(case) for case in fuzzer.run(400)]
    assert fuzzer.outcomes["errors"]
    assert fuzzer.outcomes["events"]


class Weak:
    """A session of no venue that does whatever is wrong, by the first byte it is given."""

    def receive(self, frame):
        match frame[:1]:
            case b"k":
                raise KeyError("notice")
            case b"l":
                raise RemoteProtocolError("x" * 5_000)
            case b"n":
                return None
            case b"s":
                end = time.process_time() + 2 * fuzz.SLOW
                while time.process_time() < end:
                    pass
        return []


@pytest.mark.parametrize(
    ("frame", "wrong"),
    [
        (b"k", "KeyError: 'notice'"),
        (b"l", "an error of 5000 characters"),
        (b"n", r"receive\(\) returned None"),
        (b"s", r"took 0\.\d+ s of processor time"),
    ],
)
def test_weak_sessions_are_noticed(frame, wrong):
    """Each thing that may go wrong with a message."""
    fuzzer = fuzz.Fuzzer("theone", seed=7)
    assert re.match(wrong, fuzzer._try(Weak(), frame) or "")
    assert fuzzer._try(Weak(), b"fine") is None


def test_the_fuzzer_says_what_went_wrong(capsys, monkeypatch):
    """The frame, the number of the case, and a status that stops a build."""
    monkeypatch.setattr(fuzz.Fuzzer, "_try", lambda self, session, frame: "KeyError: 'notice'")
    assert 1 == fuzz.main(["--venue", "theone", "--cases", "3"])
    said = capsys.readouterr().out
    assert "theone, case 0: KeyError: 'notice'\n    b'" in said
    assert "3 went wrong" in said
