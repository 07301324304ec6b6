"""What the benchmark promises of itself; that it runs at all is for ``.ci/run`` to show."""

from __future__ import annotations

import json
import shutil
import sys
import sysconfig
from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from benchmarks import (
    __main__,
    cases,
    chart,
    client,
    figures,
    report,
    runner,
    server,
    turns,
    wire,
)


@pytest.mark.parametrize("count", [1, 10, 100])
def test_market_data_has_the_promised_mixture(count):
    """49 % of about 209 bytes, 49 % of about 150, 2 % of about 4 KB; every channel gets some."""
    channels = wire.streams(count)
    payloads = wire.traffic(channels)
    places = wire.routes(channels)

    large = [p for p in payloads if len(p) > 4000]
    busy = Counter()
    for payload in payloads:
        notice = json.loads(payload)
        busy[places[notice["notice"], notice["base"], notice["counter"]]] += 1

    assert 0.02 == round(len(large) / len(payloads), 3)
    rest = sum(len(p) for p in payloads if len(p) < 4000) / (len(payloads) - len(large))
    assert 180 == pytest.approx(rest, abs=5)
    assert count == len(busy)


def test_every_order_opened_in_a_round_is_closed_in_it():
    """A client that keeps books may be sent the same round for ever."""
    opened, closed = set(), set()
    for payload in wire.traffic(wire.streams(10)):
        notice = json.loads(payload)
        if notice["notice"] == "OrderOpened":
            opened.add(notice["id"])
        elif notice["notice"] == "OrderClosed" and "history" not in notice:
            closed.add(notice["id"])

    assert opened
    assert opened == closed


def test_the_server_answers_what_a_session_asks():
    """Replies carry the tag of their command; post-only orders are left unanswered."""
    login = json.loads(server.reply(b'{"tag":7,"method":"Authenticate","user_id":1}'))
    book = json.loads(server.reply(b'{"tag": 8, "method": "WatchOrders", "watch": true}'))

    assert {"tag": 7, "error_code": 0} == login
    assert {"tag": 8, "error_code": 0, "orders": []} == book
    assert server.reply(b'{"tag":9,"method":"PlaceOrder","post_only":true}') is None


def test_quotients_are_taken_within_a_round_and_judged_by_their_median():
    """A slow round is slow for both; and what was not measured is not met."""
    names = ("dispatch-10", cases.OURS), ("dispatch-10", "picows")
    results = {
        "dispatch-10": {
            cases.OURS: [{"rate": 90.0}, {"rate": 19.0}, {"rate": 88.0}],
            "picows": [{"rate": 100.0}, {"rate": 20.0}, {"rate": 100.0}],
        }
    }

    spread = report.beside(results, (*names[0], "rate"), (*names[1], "rate"))
    dispatch = [case for case in cases.CASES if case.name == "dispatch-10"]
    judged = {goal.text: met for goal, _, met in report.judged(results, dispatch)}

    assert report.Spread(0.88, 0.9, 0.95) == spread
    assert {
        "dispatch-10: 25 times trio-websocket": False,
        "dispatch-10: 0.9 of picows": True,
        "dispatch-10, compiled: 1.0 of picows": False,
    } == judged


def test_the_chart_is_well_formed_and_names_everybody():
    """Names of clients and cases stand in the picture, whatever characters they hold."""
    results = {"echo": {cases.TRANSPORT: [{"p50_us": 30.0}], "a & b": [{"p50_us": 60.0}]}}

    picture = ET.fromstring(chart.svg(results, list(cases.CASES), "1 < 2"))

    texts = {element.text for element in picture.iter() if element.text}
    assert {cases.TRANSPORT, "a & b", "60.0  (0.50)"} <= texts


def test_both_builds_are_measured_beside_each_other():
    """What goes through compiled modules has a row for either build, and a goal for dispatch."""
    clients = client.clients()
    compiled = {name: kind for name, kind in clients.items() if kind.compiled}

    assert {name + cases.COMPILED for name in (cases.OURS, cases.TRANSPORT, cases.BOOK)} == set(
        compiled
    )
    for name, kind in compiled.items():
        assert set(kind.cases) <= set(clients[name.removesuffix(cases.COMPILED)].cases)
    assert {goal.case for goal in cases.GOALS if goal.client in compiled} >= {
        f"dispatch-{n}{tls}" for n in (1, 10, 100) for tls in ("", "-tls")
    }


def test_compiled_clients_can_be_named():
    """Although there is a comma in their names."""
    names = ["trioflex, compiled", "picows", "trioflex transport, compiled"]

    assert set(names) == __main__.named(",".join(names))
    assert set(names) <= set(client.clients())


def test_clients_take_turns(tmp_path):
    """Each is stopped while the others run; one that does not wait, or dies, has no figures."""
    program = tmp_path / "client.py"
    program.write_text(
        "import json, os, signal, time\n"
        "print('ready', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
        "began, spent = time.monotonic(), time.process_time()\n"
        "while time.process_time() - spent < 0.1: pass\n"
        "print(json.dumps({'rate': 7.0, 'done': 1, 'began': began, 'ended': time.monotonic()}))\n"
    )
    commands = {n: ([sys.executable, str(program)], tmp_path) for n in ("one", "other")}
    commands["hasty"] = ([sys.executable, "-c", "print('{\"rate\": 1}')"], tmp_path)
    commands["sick"] = ([sys.executable, "-c", "raise SystemExit('no')"], tmp_path)

    results = turns.take_turns(commands, patience=20)

    assert {"hasty": "it did not wait for its turn", "sick": "no"} == {
        name: str(results.pop(name)) for name in ("hasty", "sick")
    }
    assert {"one", "other"} == set(results)
    assert all({"rate", "wall"} == set(told) and 7.0 == told["rate"] for told in results.values())


def test_by_the_clock_only_turns_count():
    """Before the measurement and behind it there are turns, too."""
    assert 3.5 == turns.had([(0.0, 1.0), (2.0, 3.0), (5.0, 6.0), (8.0, 9.5)], 0.5, 9.0)


def test_a_compiled_copy_counts_only_if_it_is_of_the_same_source(tmp_path):
    """Figures of yesterday's source beside today's would be nobody's."""
    assert "there is none for this Python" == runner.unfit(tmp_path)

    for folder in runner.SOURCE:
        shutil.copytree(
            runner.ROOT / folder, tmp_path / folder, ignore=lambda _, names: {"__pycache__"}
        )
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    (tmp_path / "trioflex/_sansio/frames").with_suffix(suffix).touch()
    assert "" == runner.unfit(tmp_path)

    (tmp_path / "trioflex/book.py").write_text("# changed\n")
    assert "it is of another source: trioflex/book.py" == runner.unfit(tmp_path)


def test_the_page_of_figures_has_every_case_and_a_column_for_each_python():
    """The newest Python's tables are shown, the others' figures beside the goals."""
    rounds = {"echo": {cases.TRANSPORT: [{"p50_us": 30.0}], "picows": [{"p50_us": 20.0}]}}
    about = {"machine": "m", "when": "today", **dict.fromkeys(figures.machine.PACKAGES, "1")}
    records = [
        {
            "machine": {**about, "python": f"CPython {version}"},
            "others": others,
            "rounds": 3,
            "results": rounds,
        }
        for version, others in (("3.13.0", 0.01), ("3.11.7", 0.5))
    ]

    page = "\n".join(figures.page(records))

    assert (3, 13, 0) == figures.version(records[0])
    assert "| m, CPython 3.13.0, today, 3 rounds\n" in page
    assert "CPython 3.11.7, today, 3 rounds, while others used 50% of it" in page
    assert "   * - goal\n     - CPython 3.13.0\n     - CPython 3.11.7\n" in page
    assert (
        "   * - echo, median: at most 1.8 of picows\n"
        "     - 1.50 (1.50 to 1.50)\n"
        "     - 1.50 (1.50 to 1.50)\n"
    ) in page
    assert "     - **not measured**\n" in page
    assert ".. rubric:: echo: round trip of 150 bytes (less is better)" in page
