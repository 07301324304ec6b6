"""Reports as lines, for programs and for people."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.cli.reports import ALL, BOOK, GAPS, SUMMARY, TICKER, UNKNOWN
from trioflex.cli.lines import JsonLines, PlainLines
from trioflex.cli.report import Report, text


def written(kind, report: Report) -> str:
    lines: list[str] = []
    kind(lines.append).show(report)
    return "".join(lines)


@pytest.mark.parametrize("report", ALL, ids=lambda report: report.event)
def test_json_is_one_object_a_line(report):
    """Each line parses by itself and says what it is."""
    line = written(JsonLines, report)
    assert line.endswith("\n")
    assert 1 == line.count("\n")
    assert report.event == json.loads(line)["event"]


def test_json_keeps_decimals_exact():
    """Prices and quantities are text, so that no reader turns them into binary floats."""
    book = json.loads(written(JsonLines, BOOK))
    assert ["7412.5", "0.3"] == book["bids"][0]
    ticker = json.loads(written(JsonLines, TICKER))
    assert ("7000", "123.4567", None) == (ticker["low"], ticker["volume"], ticker["last"])


def test_every_kind_has_words():
    """Whatever can be reported can be told."""
    kinds = set(Report.__subclasses__())
    assert kinds == {type(report) for report in ALL}
    for report in ALL:
        assert written(PlainLines, report).strip()


def test_plain_lines_start_with_the_time_and_the_word():
    """They can be read in columns, and searched."""
    assert "   3.00  GAP        order book: disconnected; what was known of it is stale now\n" == (
        written(PlainLines, GAPS[0])
    )


def test_an_unknown_fate_is_told_with_its_reason():
    """The line alone tells what to look for."""
    line = written(PlainLines, UNKNOWN)
    assert "8 sell 0.5 at 7600 unknown: sent and not answered" in line


def test_the_summary_counts():
    """One is not plural."""
    told = written(PlainLines, SUMMARY)
    assert "2 connections" in told
    assert "1 fill." in told
    assert "fate unknown then, known now" in told


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("7413.50", "7413.5"),
        ("7E+3", "7000"),
        ("1000", "1000"),
        ("0.00", "0"),
        ("1E-8", "0.00000001"),
    ],
)
def test_numbers_are_shown_without_noise(number, shown):
    """No exponents, no zeros that say nothing, none lost that say something."""
    assert shown == text(Decimal(number))
