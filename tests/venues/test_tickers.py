"""Tickers are whole, in the race with their snapshot too."""

from __future__ import annotations

import json
from decimal import Decimal as D

import pytest
from hypothesis import given, strategies as st

from trioflex._vocabulary.errors import RemoteProtocolError
from trioflex.protocol import Ignored, RefusalKind, Reply, Transmit
from trioflex.venues import coinflex
from trioflex.venues._floor.channels import Latest

from .floor import PAIR, TICKER, TICKER_REPLY, anonymous, pushes

FIELDS = ("last", "bid", "ask", "low", "high", "volume")


def changed(**fields):
    return {"notice": "TickerChanged", **PAIR, **fields}


def scaled(ticker):
    return {name: getattr(ticker, f"scaled_{name}") for name in FIELDS}


def the_push(events):
    ((channel, value),) = pushes(events)
    assert TICKER == channel
    return value


@pytest.fixture
def talk():
    return anonymous()


def test_a_snapshot_is_a_ticker(talk):
    """In decimals, with its market."""
    ticker = talk.starts(TICKER, **TICKER_REPLY)
    assert isinstance(ticker, coinflex.TickerSnapshot)
    assert ("XBT", "USDT") == (ticker.base, ticker.counter)
    assert TICKER_REPLY == scaled(ticker)
    assert [D(8650), D(8648), D(8653), D(8421), D(8790), D("193.44")] == [
        getattr(ticker, name) for name in FIELDS
    ]


def test_a_market_without_trades_has_no_prices(talk):
    """Null is no price, not zero."""
    ticker = talk.starts(TICKER, **dict.fromkeys(FIELDS[:-1]), volume=0)
    assert [None] * 5 == [getattr(ticker, name) for name in FIELDS[:-1]]
    assert D(0) == ticker.volume


def test_a_change_is_merged(talk):
    """Absent: as before. Null: none any more."""
    talk.starts(TICKER, **TICKER_REPLY)
    ticker = the_push(talk.hears(changed(bid=86490000, ask=None, volume=1935400)))
    assert {**TICKER_REPLY, "bid": 86490000, "ask": None, "volume": 1935400} == scaled(ticker)
    ticker = the_push(talk.hears(changed(ask=86500000)))
    assert {**TICKER_REPLY, "bid": 86490000, "ask": 86500000, "volume": 1935400} == scaled(ticker)


def test_what_was_delivered_does_not_change(talk):
    """Each item is a value of its own."""
    first = talk.starts(TICKER, **TICKER_REPLY)
    second = the_push(talk.hears(changed(last=1)))
    the_push(talk.hears(changed(last=2)))
    assert (86500000, 1) == (first.scaled_last, second.scaled_last)


def test_changes_before_the_snapshot_are_in_it(talk):
    """Whole from the first item on, and none of them is lost."""
    key = talk.watches(TICKER)
    assert [] == talk.hears(changed(bid=1))
    assert [] == talk.hears(changed(bid=2, ask=3))
    (reply,) = talk.hears({"tag": key, "error_code": 0, **TICKER_REPLY})  # M12

    assert {**TICKER_REPLY, "bid": 2, "ask": 3} == scaled(reply.value)
    ticker = the_push(talk.hears(changed(high=9)))
    assert {**TICKER_REPLY, "bid": 2, "ask": 3, "high": 9} == scaled(ticker)


CHANGES = st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 9), max_size=3)


@given(st.lists(CHANGES, max_size=8), st.data())
def test_wherever_the_snapshot_falls_the_ticker_is_right(changes, data):
    """Early changes may be in the snapshot already."""
    talk = anonymous()
    states = [dict.fromkeys(FIELDS, 0)]
    for change in changes:
        states.append({**states[-1], **change})
    taken = data.draw(st.integers(0, len(changes)), label="snapshot after")
    early = data.draw(st.integers(0, taken), label="first early notice")
    reply = data.draw(st.integers(taken, len(changes)), label="reply after")
    key = talk.watches(TICKER)
    for change in changes[early:reply]:
        assert [] == talk.hears(changed(**change))
    (event,) = talk.hears({"tag": key, "error_code": 0, **states[taken]})  # M12
    newest = event.value
    for change in changes[reply:]:
        newest = the_push(talk.hears(changed(**change)))
    assert states[-1] == scaled(newest)


def test_after_stopping_changes_are_ignored(talk):
    """From the moment the request that stops it leaves."""
    talk.starts(TICKER, **TICKER_REPLY)
    key = talk.watches(TICKER, on=False)
    (event,) = talk.hears(changed(bid=1))
    assert isinstance(event, Ignored)
    assert [Reply(key, None)] == talk.hears({"tag": key, "error_code": 0})


def test_starting_anew_forgets_the_old_ticker(talk):
    """Late changes of the old subscription do not outlive the new snapshot's own values."""
    talk.starts(TICKER, **TICKER_REPLY)
    talk.watches(TICKER, on=False)
    key = talk.watches(TICKER)
    assert [] == talk.hears(changed(last=7))
    (event,) = talk.hears({"tag": key, "error_code": 0, **TICKER_REPLY, "bid": 5})
    assert {**TICKER_REPLY, "last": 7, "bid": 5} == scaled(event.value)


def test_nobody_asked_for_it(talk):
    """A change of a ticker that was never watched."""
    (event,) = talk.hears(changed(bid=1))
    assert isinstance(event, Ignored)


def test_a_stop_may_overtake_the_snapshot(talk):
    """Who leaves at once gets an answer to the first question all the same."""
    key = talk.watches(TICKER)
    talk.watches(TICKER, on=False)
    (event,) = talk.hears({"tag": key, "error_code": 0, **TICKER_REPLY})
    assert TICKER_REPLY == scaled(event.value)
    (event,) = talk.hears(changed(bid=1))
    assert isinstance(event, Ignored)


def test_an_invalid_pair_is_refused(talk):
    """And leaves nothing behind."""
    key = talk.watches(TICKER)
    (refusal,) = talk.hears({"tag": key, "error_code": 1, "error_msg": "No."})
    assert RefusalKind.UNKNOWN_MARKET is refusal.kind
    (event,) = talk.hears(changed(bid=1))
    assert isinstance(event, Ignored)


def test_already_watching_is_stopped_and_started(talk):
    """As a book is; changes of the old subscription do not count."""
    key = talk.watches(TICKER)
    talk.hears(changed(bid=1))
    (stop,) = talk.hears({"tag": key, "error_code": 2, "error_msg": "Already."})
    assert isinstance(stop, Transmit)
    (event,) = talk.hears(changed(bid=2))
    assert isinstance(event, Ignored)
    (start,) = talk.hears({"tag": json.loads(stop.frame)["tag"], "error_code": 0})
    assert isinstance(start, Transmit)
    assert [] == talk.hears(changed(ask=2))
    (event,) = talk.hears({"tag": key, "error_code": 0, **TICKER_REPLY})
    assert {**TICKER_REPLY, "ask": 2} == scaled(event.value)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", ["7", 1.5, True, []])
def test_a_field_of_another_type_breaks_the_protocol(talk, field, value):
    """In the change and in the snapshot; the error names the field."""
    with pytest.raises(RemoteProtocolError, match=field):  # M2
        talk.hears(changed(**{field: value}))
    key = talk.watches(TICKER)
    with pytest.raises(RemoteProtocolError, match=field):  # M2
        talk.hears({"tag": key, "error_code": 0, **TICKER_REPLY, field: value})


@pytest.mark.parametrize("field", FIELDS)
def test_a_snapshot_is_whole_or_breaks_the_protocol(talk, field):
    """All six are promised."""
    key = talk.watches(TICKER)
    less = {name: TICKER_REPLY[name] for name in FIELDS if name != field}
    with pytest.raises(RemoteProtocolError, match=field):
        talk.hears({"tag": key, "error_code": 0, **less})


def test_late_joiners_get_the_newest(talk):
    """What the core keeps for them."""
    latest = Latest()
    assert latest.snapshot() is None
    for ticker in (talk.starts(TICKER, **TICKER_REPLY), the_push(talk.hears(changed(bid=1)))):
        latest.apply(ticker)
        assert ticker is latest.snapshot()
    latest.invalidate()
    assert latest.snapshot() is None


def test_a_change_that_nobody_asked_for_is_shown_as_it_came():
    """Of a ticker just left: a part of it, which nothing can make whole any more."""
    talk = anonymous()
    talk.starts(TICKER, **TICKER_REPLY)
    talk.watches(TICKER, on=False)

    assert [Ignored({"notice": "TickerChanged", **PAIR, "bid": 1})] == talk.hears(
        {"notice": "TickerChanged", **PAIR, "bid": 1}
    )
