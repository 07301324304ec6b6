"""Reports as lines: one JSON object each for programs, one sentence each for people."""

from __future__ import annotations

import json
from collections.abc import Callable

from .report import (
    Balance,
    Book,
    Connected,
    Disconnected,
    Fill,
    GapReport,
    Item,
    Level,
    Order,
    Report,
    ResumedReport,
    Retrying,
    Summary,
    Ticker,
    Trade,
    as_json,
    text,
)


class JsonLines:
    """Writes each report as one JSON object a line."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def show(self, report: Report) -> None:
        """Write one line; it has left this process when this returns."""
        self._write(json.dumps(as_json(report), separators=(",", ":"), ensure_ascii=False) + "\n")


class PlainLines:
    """Writes each report as a line for people."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def show(self, report: Report) -> None:
        """Write one line; a summary takes several."""
        word, sentence = describe(report)
        for line in sentence.splitlines():
            self._write(f"{report.at:7.2f}  {word:<9}  {line}\n")


def describe(report: Report) -> tuple[str, str]:
    """Return a report as a word and a sentence."""
    match report:
        case Connected():
            who = "" if report.account is None else f" as user {report.account}"
            return "connected", f"{report.venue}{who}, connection {report.connection}"
        case Book():
            bid, ask = (_level(side[0]) if side else "none" for side in (report.bids, report.asks))
            return "book", f"{report.market}  bid {bid}  ask {ask}"
        case Ticker():
            return "ticker", (
                f"{report.market}  last {text(report.last)}  low {text(report.low)}"
                f"  high {text(report.high)}  volume {text(report.volume)}"
            )
        case Balance():
            return "balance", f"{report.asset} {text(report.available)} available"
        case Order():
            name = "" if report.order_id is None else f" (order {report.order_id})"
            note = report.note and f": {report.note}"
            return "order", (
                f"{report.tonce}{name} {report.side} {text(report.quantity)}"
                f" at {text(report.price)} {report.state}{note}"
            )
        case Fill():
            did = "bought" if report.side == "buy" else "sold"
            return "fill", (
                f"{did} {text(report.quantity)} at {text(report.price)} (order {report.order_id})"
            )
        case GapReport():
            lost = f", {report.dropped} dropped" if report.dropped else ""
            return "GAP", (
                f"{report.channel}: {report.reason}{lost}; what was known of it is stale now"
            )
        case ResumedReport():
            then = "a snapshot follows" if report.snapshot else "only what is new follows"
            return "RESUMED", f"{report.channel} after {report.downtime:.2f} s; {then}"
        case Disconnected():
            return "LOST", f"connection {report.connection}: {report.reason}"
        case Retrying():
            return "retrying", f"in {report.delay:.1f} s"
        case Trade():
            side = "" if report.side is None else f"  {report.side}"
            return "trade", (
                f"{report.market}  {text(report.quantity)} at {text(report.price)}{side}"
            )
        case Item():
            return "item", f"{report.channel}  {report.kind}  {_pairs(report.value)}".rstrip()
        case Summary():
            return "summary", _summary(report)
        case _:
            raise TypeError(f"no words for {report!r}")


def _pairs(value: object) -> str:
    """Return what JSON can hold in one line without its punctuation."""
    match value:
        case dict():
            return " ".join(f"{key}={_pairs(each)}" for key, each in value.items())
        case list():
            return f"[{', '.join(_pairs(each) for each in value)}]"
        case None:
            return "-"
    return str(value)


def _level(level: Level) -> str:
    price, quantity = level
    return f"{text(price)} x {text(quantity)}"


def _summary(summary: Summary) -> str:
    lines = [
        f"{summary.book_updates} book updates and {summary.tickers} tickers in "
        f"{summary.seconds:.1f} s over {_count(summary.connections, 'connection')}.",
        f"{_count(summary.orders, 'order')}, {_count(summary.fills, 'fill')}.",
        f"{_count(summary.gaps, 'gap')}, {summary.resumed} resumed; the book was "
        f"invalid for {summary.downtime:.2f} s and said so.",
    ]
    if summary.recovered:
        lines.append(
            f"{_count(summary.recovered, 'order')} in flight when the line was cut: "
            "fate unknown then, known now."
        )
    if summary.unsettled:
        lines.append(f"{_count(summary.unsettled, 'order')} whose fate nobody knows.")
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
