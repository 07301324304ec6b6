"""The parts of the console that need no dialogue: completion, history, tables, the log's levels."""

from __future__ import annotations

import io
import logging
import os
import stat
import sys
from pathlib import Path

import pytest
import trio
from rich.console import Console

from trioflex import LocalProtocolError, find_venue
from trioflex.cli import catalogue, main
from trioflex.cli.console.asking import fold, split
from trioflex.cli.console.command import console_command
from trioflex.cli.console.completion import complete
from trioflex.cli.console.history import history_file, is_keepable, make_private
from trioflex.cli.console.logfile import level_of, open_log
from trioflex.cli.console.outputs import Answer, News, Say, Tone
from trioflex.cli.console.render import ROWS, draw
from trioflex.cli.console.terminal import Keeper
from trioflex.cli.reaching import Wishes
from trioflex.cli.spelling import make_request, spell_request
from trioflex.venues import coinflex, oceanex

VENUES = ("coinflex", "coinfloor", "midchains", "oceanex", "theone")


def offered(venue, before, subscribed=()):
    return [each.text for each in complete(find_venue(venue), before, subscribed)]


@pytest.mark.parametrize(
    ("venue", "before", "expected"),
    [
        ("coinflex", "getb", ["GetBalances"]),
        ("coinflex", "cancel", ["CancelOrder", "CancelAllOrders"]),
        ("coinflex", "sub", ["subscribe"]),
        ("coinflex", "subscribe Ti", ["Ticker:"]),
        ("coinflex", "subscribe Ticker:XBT:USDT bal", ["Balances"]),
        ("coinflex", "unsubscribe ", ["Balances", "all"]),
        ("coinflex", "help ticker", ["Ticker"]),
        ("coinflex", "place-order q", ["quantity="]),
        ("coinflex", "PlaceOrder base=XBT b", []),
        ("coinflex", "PlaceOrder post_only=t", ["post_only=true"]),
        ("coinflex", "nonsense b", []),
        ("coinflex", "quit b", []),
        ("oceanex", "NewOrder side=", ["side=BUY", "side=SELL"]),
        ("oceanex", "cancela", ["CancelAllOrders", "cancelall"]),
    ],
)
def test_what_tab_offers(venue, before, expected):
    """Names, fields that are not given yet, values where there are few, channels that are on."""
    assert expected == offered(venue, before, ("Balances",))


@pytest.mark.parametrize("venue", VENUES)
def test_everything_can_be_completed(venue):
    """Every request by name, and every field of it."""
    for entry in catalogue.requests(find_venue(venue)):
        assert entry.name in offered(venue, entry.name[:-1])
        fields = [f"{argument.name}=" for argument in entry.arguments]
        assert fields == offered(venue, f"{entry.name} ")


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("GetBalances", True),
        ("get-balances", True),
        ("PlaceOrder base=XBT", True),
        ("login", True),
        ("sh ls", True),
        ("login opensesame", False),
        ("opensesame", False),
        ("6", False),
    ],
)
def test_what_history_keeps(line, kept):
    """Commands; not what may be a secret."""
    assert kept == is_keepable(coinflex.VENUE, line)
    assert is_keepable(oceanex.VENUE, "6")


def test_where_history_is(tmp_path, monkeypatch):
    """In the user's state directory, one file a venue, for nobody else to read."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = history_file("coinflex")
    assert "console-coinflex.history" == path.name
    path = tmp_path / "deep" / path.name
    assert make_private(path)
    assert 0o600 == path.stat().st_mode & 0o777
    assert not make_private(path / "below a file")


@pytest.mark.parametrize(
    "request_",
    [
        coinflex.GetBalances(),
        coinflex.PlaceOrder("XBT", "USDT", quantity="-0.10", price=5000, tonce=7, post_only=True),
        coinflex.PlaceOrder("XBT", "USDT", quantity="1", persist=coinflex.IMMEDIATE_OR_CANCEL),
        oceanex.CancelOrders([1, 2]),
        oceanex.NewOrder("vetusdt", "sell", volume="1e3", ord_type="market"),
        oceanex.NewOrder(
            "vetusdt", "buy", volume=1, price=1, ord_type="stop", extra={"stop_price": "2"}
        ),
    ],
)
def test_requests_are_spelt_as_they_are_typed(request_):
    """What is shown for confirmation can be typed again."""
    venue = oceanex.VENUE if type(request_).__module__.endswith("_oceanex.requests") else None
    name, *fields = spell_request(request_).split()
    assert request_ == make_request(venue or coinflex.VENUE, name, fields)


# -- questions -------------------------------------------------------------------------------------

QUESTION = "x at y: " + "ids=1 " * 40 + "price=8650\nSell 1.\nSend it? [y/N] "


def test_nothing_of_a_question_is_cut_off():
    """Its lines fit, and every word of it is there; the last stays as it is, with its space."""
    folded = fold(QUESTION, 60)
    assert max(map(len, folded.splitlines())) < 60
    assert QUESTION.split() == folded.split()
    assert folded.endswith("\nSell 1.\nSend it? [y/N] ")
    assert "name: " == fold("name: ", 3)
    assert "".join(QUESTION.split()) == "".join(fold(QUESTION, 1).split())


def test_a_question_that_fills_the_terminal_is_printed():
    """All but the last line of it: nobody can scroll in a prompt."""
    assert ("", QUESTION) == split(QUESTION, 60, 24)
    above, question = split(QUESTION, 60, 8)
    assert "Send it? [y/N] " == question
    assert QUESTION == f"{above}\n{question}"
    assert ("", "name: ") == split("name: ", 3, 1)


# -- tables ----------------------------------------------------------------------------------------


def drawn(output, width=80, **settings):
    console = Console(file=io.StringIO(), width=width, highlight=False, **settings)
    draw(console, output)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_tables_fit(width):
    """Whatever the width; what is not shown is named, and what says nothing gives way first."""
    rows = [
        {"id": n, "note": "x" * 70, "price": f"{n}.5", "empty": None, "fee": {"value": "0.1"}}
        for n in range(5)
    ]
    text = drawn(Answer("GetOrders", rows), width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "price" in text
    assert "empty" in text
    assert "fee value" in text
    assert ("not shown here: note; a wider terminal has room" in text) == (width == 80)


def test_equal_columns_are_all_shown():
    """Fees that are the same today, totals where nothing is reserved: none stands for another."""
    rows = [{"market": n, "ask": "0.1", "bid": "0.1", "total": n, "made": "0.1"} for n in range(5)]
    header, first, *_ = drawn(Answer("GetFees", rows)).splitlines()
    assert ["market", "ask", "bid", "total", "made"] == header.split()
    assert ["0", "0.1", "0.1", "0", "0.1"] == first.split()


@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_field_vanishes(width):
    """Each is a column, or is named below the table, whatever is in it."""
    row = {"id": 1, "side": "buy", "avg_price": "0", "trades_count": 0, "trades": [], "note": None}
    text = " ".join(drawn(Answer("GetOrders", [row] * 5), width).split())
    for name in row:
        assert name in text


def test_an_empty_list_is_no_claim():
    """In a row it may be what the venue left out; a reply that is nothing else was told."""
    order = {"id": 2, "trades_count": 1, "trades": []}
    assert "none" not in drawn(Answer("NewOrder", order)) + drawn(Answer("X", [order] * 5))
    assert "orders: none\n" == drawn(Answer("GetOrders", {"orders": []}))


def test_long_tables_end():
    """And say how much there would be."""
    text = drawn(Answer("GetMarkets", [{"id": n} for n in range(ROWS + 7)]))
    assert "and 7 more rows" in text


def test_few_wide_rows_are_records():
    """All of their fields, below each other."""
    text = drawn(Answer("X", [{"id": 1, "a": "x" * 70, "b": "y" * 70}] * 2))
    assert 4 == sum(("xxx" in line) + ("yyy" in line) for line in text.splitlines())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ["done"]),
        (17, ["17"]),
        ([], ["none"]),
        ([1, 2], ["1, 2"]),
        ({"a": "1", "b": None, "list": [{"c": 3}]}, ["a", "1", "-", "list:", "c", "3"]),
        ({"vetusdt": {"last": "1"}}, ["vetusdt", "last"]),
        ({"bids": [{"price": "2", "volume": "7"}], "asks": [["3", "9"]]}, ["bid", "7", "9"]),
    ],
)
def test_replies(value, words):
    """Numbers, lists, records, maps of records, books: each in its way."""
    text = drawn(Answer("X", value))
    for word in words:
        assert word in text


def test_a_time_is_also_a_date():
    """Seconds say little."""
    assert "1700000000  2023-11-14 22:13:20 UTC\n" == drawn(Answer("GetTime", 1_700_000_000))


def test_colours_can_be_had_and_left_out(monkeypatch):
    """Errors are red; with ``NO_COLOR`` nothing is."""
    bad = Say("no [bold]such[/] thing", Tone.BAD)
    assert "\x1b[31m" in drawn(bad, force_terminal=True, color_system="standard")
    assert "[bold]" in drawn(bad)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in drawn(News("LOST", "x"), force_terminal=True, color_system="standard")


# -- the command -----------------------------------------------------------------------------------


async def test_wrong_usage(tmp_path):
    """One sentence, before anything is opened."""
    for wishes, log, level, words in (
        (Wishes(venue="mtgox"), None, None, "there are: coinflex"),
        (Wishes(venue="coinflex"), tmp_path / "log", "loud", "DEBUG, INFO, WARN and ERROR"),
        (Wishes(venue="coinflex"), tmp_path / "no" / "log", None, "cannot be written"),
    ):
        with pytest.raises(LocalProtocolError) as caught:
            await console_command(wishes, False, log, level)
        assert words in str(caught.value)


def test_without_the_package_for_prompts(monkeypatch, capsys):
    """2, and what to install."""
    monkeypatch.setattr(sys, "argv", ["trioflex", "console", "coinflex"])
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    monkeypatch.delitem(sys.modules, "trioflex.cli.console.terminal", raising=False)
    with pytest.raises(SystemExit) as leaving:
        main()
    assert 2 == leaving.value.code
    assert "trioflex[cli]" in capsys.readouterr().err


def test_levels():
    """As the old console took them: either case, both spellings."""
    assert ["DEBUG", "INFO", "WARNING", "WARNING", "ERROR"] == [
        level_of(text) for text in ("debug", "Info", "WARN", "warning", "ERROR")
    ]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_log_that_cannot_be_written_ends(capsys):
    """That is said once, without a traceback, and whoever talks goes on talking."""
    said = []
    with open_log(Path("/dev/full"), "INFO", said.append):
        for _ in range(3):
            logging.getLogger("trioflex.console").info("anything")
    assert ["The log ends here: /dev/full: No space left on device."] == said
    assert ("", "") == tuple(capsys.readouterr())


def test_a_log_takes_what_is_no_text(tmp_path, capsys, monkeypatch):
    """Half a surrogate pair, as invalid bytes become when they are typed."""
    # pytest would put it into its report, which no worker of xdist could hand over.
    monkeypatch.setattr(logging.getLogger("trioflex"), "propagate", False)
    path = tmp_path / "log"
    with open_log(path, "INFO"):
        logging.getLogger("trioflex.console").info("\udcff")
        logging.getLogger("trioflex.console").info("the next")
    assert "\\udcff" in path.read_text()
    assert "the next" in path.read_text()
    assert ("", "") == tuple(capsys.readouterr())


def test_a_history_that_cannot_be_written(tmp_path):
    """It is kept until the end, and nobody is bothered."""
    keeper = Keeper(tmp_path, oceanex.VENUE)  # a folder, which nobody can write
    keeper.append_string("GetTime")
    assert ["GetTime"] == keeper.get_strings()


def test_without_a_file_nothing_is_logged_anywhere(capsys):
    """Not on standard error either, where Python would print a warning that nobody takes."""
    logger = logging.getLogger("trioflex")
    propagate, logger.propagate = logger.propagate, False
    try:
        with open_log(None, "INFO"):
            logging.getLogger("trioflex.console").warning("nobody asked for this")
    finally:
        logger.propagate = propagate
    assert ("", "") == tuple(capsys.readouterr())


async def test_a_level_alone_is_enough_for_a_log(tmp_path, monkeypatch, capsys):
    """The log lies beside the history, for its owner alone, and the console says where."""

    async def end_at_once(dialogue, make, *, login):
        await trio.lowlevel.checkpoint()

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setitem(console_command.__globals__, "converse", end_at_once)
    await console_command(Wishes(venue="coinflex"), False, None, "debug")
    [log] = tmp_path.rglob("console-coinflex.log")
    assert f"The log is {log}.\n" == capsys.readouterr().err
    assert 0o600 == stat.S_IMODE(log.stat().st_mode)
