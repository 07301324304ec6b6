"""Balances are kept, asked for again where a reply and a change crossed, and never guessed."""

from __future__ import annotations

import json
from decimal import Decimal as D

import pytest

from trioflex._vocabulary.errors import LocalProtocolError
from trioflex._vocabulary.events import Gap, GapReason, Resumed
from trioflex.protocol import Confirm, Ignored, Push, Reply, Transmit
from trioflex.venues import coinflex, coinfloor
from trioflex.venues._floor.doubt import REQUERY_MS

from .floor import USDT, XBT, Clock, env_of, logged_in, pushes

BALANCES = coinflex.Balances()
REPLY = {
    "error_code": 0,
    "balances": [
        {"asset": XBT, "balance": 12500, "reserved_balance": 2500, "total_balance": 15000},
        {"asset": USDT, "balance": 90000000, "reserved_balance": 0, "total_balance": 90000000},
    ],
}
CHANGED = {"notice": "BalanceChanged", "asset": XBT, "balance": 10000}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def talk(clock):
    """A session whose balances somebody follows."""
    talk = logged_in(env=env_of(clock=clock))
    assert talk.session.watch(BALANCES, True) is None
    return talk


def question(event):
    """The session's own question in an event; return its tag."""
    assert isinstance(event, Transmit)
    frame = json.loads(event.frame)
    assert {"tag": frame["tag"], "method": "GetBalances"} == frame
    assert frame["tag"] >= 2**31
    return frame["tag"]


# -- asking again --------------------------------------------------------------------------------


def test_nothing_is_asked_but_the_first_question():
    """The venue announces changes unasked; only what was before must be asked for."""
    assert Confirm.IMPLICIT is coinflex.Balances.confirm
    assert coinflex.GetBalances() == BALANCES.bootstrap
    assert BALANCES.private


def test_a_quiet_question_is_enough(talk):
    """No change crossed the reply: notices alone suffice from now on."""
    _, key = talk.asks(coinflex.GetBalances())
    (reply,) = talk.hears({"tag": key, **REPLY})
    assert D("1.25") == reply.value["XBT"].available
    assert [(BALANCES, 10000)] == [
        (channel, value.scaled_available) for channel, value in pushes(talk.hears(CHANGED))
    ]


def crossed(talk):
    """Let a change cross a question; return the tag of the session's own."""
    _, key = talk.asks(coinflex.GetBalances())
    assert 1 == len(pushes(talk.hears(CHANGED)))
    reply, again = talk.hears({"tag": key, **REPLY})
    assert isinstance(reply, Reply)
    return question(again)


def test_a_change_that_crosses_the_reply_is_asked_about(talk):
    """The reply may be older or newer than the change; the second answer is an item."""
    tag = crossed(talk)
    (event,) = talk.hears({"tag": tag, **REPLY})
    assert isinstance(event, Push)
    assert BALANCES == event.channel
    assert isinstance(event.value, coinflex.BalancesSnapshot)
    assert [Push] == list(map(type, talk.hears(CHANGED)))


def test_it_is_asked_until_nothing_crosses(talk, clock):
    """But not at once: the venue counts questions."""
    tag = crossed(talk)
    talk.hears(CHANGED)
    assert [] == talk.hears({"tag": tag, **REPLY})  # worth nothing, and too early for the next

    clock.ms += REQUERY_MS - 1
    assert [Push] == list(map(type, talk.hears(CHANGED)))
    clock.ms += 1
    push, again = talk.hears(CHANGED)
    assert isinstance(push, Push)
    tag = question(again)
    assert [Push] == list(map(type, talk.hears({"tag": tag, **REPLY})))
    clock.ms += REQUERY_MS
    assert [Push] == list(map(type, talk.hears(CHANGED)))


def test_one_question_at_a_time(talk, clock):
    """While one is under way no other is asked."""
    tag = crossed(talk)
    clock.ms += 10 * REQUERY_MS
    assert [Push] == list(map(type, talk.hears(CHANGED)))
    (again,) = talk.hears({"tag": tag, **REPLY})
    assert tag != question(again)


def test_a_clock_that_is_set_back_does_not_stop_it(talk, clock):
    """The wait is over then, not endless."""
    tag = crossed(talk)
    talk.hears(CHANGED)
    talk.hears({"tag": tag, **REPLY})
    clock.ms -= 3_600_000
    assert [Push, Transmit] == list(map(type, talk.hears(CHANGED)))


def test_a_refused_question_is_asked_later(talk, clock):
    """It brought nothing; what is uncertain stays so."""
    tag = crossed(talk)
    (event,) = talk.hears({"tag": tag, "error_code": 6, "error_msg": "Too rapidly."})
    assert isinstance(event, Ignored)
    clock.ms += REQUERY_MS
    assert [Push, Transmit] == list(map(type, talk.hears(CHANGED)))


def test_a_refused_question_of_yours_is_a_refusal(talk):
    """And says nothing about the balances."""
    _, key = talk.asks(coinflex.GetBalances())
    talk.hears(CHANGED)
    (event,) = talk.hears({"tag": key, "error_code": 6, "error_msg": "Too rapidly."})
    assert key == event.key
    assert [Push] == list(map(type, talk.hears(CHANGED)))


def test_nobody_follows_so_nothing_is_asked(talk):
    """Your own question is answered, crossed or not; that is all."""
    talk.session.watch(BALANCES, False)
    _, key = talk.asks(coinflex.GetBalances())
    talk.hears(CHANGED)
    assert [Reply] == list(map(type, talk.hears({"tag": key, **REPLY})))


# -- the sheet -----------------------------------------------------------------------------------


def items(talk):
    """A snapshot, and a change."""
    snapshot = talk.gets(coinflex.GetBalances(), **REPLY)
    ((_, change),) = pushes(talk.hears(CHANGED))
    return snapshot, change


def sheet_of(*items):
    sheet = coinflex.BalanceSheet()
    for item in items:
        sheet.apply(item)
    return sheet


def test_a_sheet_keeps_what_was_said_last(talk):
    """Amounts are absolute."""
    snapshot, change = items(talk)
    sheet = sheet_of(snapshot)
    assert {"XBT": D("1.25"), "USDT": D(9000)} == sheet.all()
    assert (D("1.25"), D("0.25")) == (sheet.available("XBT"), sheet.reserved("XBT"))
    sheet.apply(change)
    sheet.apply(change)
    assert (D(1), D(9000), D(0)) == tuple(map(sheet.available, ("XBT", "USDT", "ETH")))


def test_what_is_reserved_is_known_until_something_changes(talk):
    """Reservations move without a word; nothing is better than something wrong."""
    snapshot, change = items(talk)
    sheet = sheet_of(snapshot, change)
    assert [None, None] == [sheet.reserved("XBT"), sheet.reserved("USDT")]
    sheet.apply(snapshot)
    assert [D("0.25"), D(0), None] == list(map(sheet.reserved, ("XBT", "USDT", "ETH")))


LOOKS = [
    lambda sheet: sheet.available("XBT"),
    lambda sheet: sheet.reserved("XBT"),
    lambda sheet: sheet.all(),
]


@pytest.mark.parametrize("look", LOOKS)
def test_a_sheet_that_is_not_valid_answers_nothing(talk, look):
    """Before the first snapshot, and from a gap to the next."""
    snapshot, change = items(talk)
    gap, resumed = Gap(GapReason.DISCONNECTED), Resumed(True)
    for sheet in (sheet_of(), sheet_of(change), sheet_of(snapshot, gap, resumed, change)):
        assert not sheet.valid
        assert sheet.snapshot() is None
        assert "<BalanceSheet, not valid>" == repr(sheet)
        with pytest.raises(LocalProtocolError, match="not valid"):
            look(sheet)
    sheet = sheet_of(snapshot, gap, resumed, snapshot)
    look(sheet)
    assert "<BalanceSheet, XBT 1.2500, USDT 9000.0000>" == repr(sheet)


def test_unknown_assets_are_refused(talk):
    """A name that is misspelt has no balance of 0."""
    sheet = sheet_of(items(talk)[0])
    for look in (sheet.available, sheet.reserved):
        with pytest.raises(LocalProtocolError, match="no asset 'xbt'"):
            look("xbt")


def test_assets_of_unknown_scale_are_kept_but_not_said_in_decimals():
    """Where each asset has a scale of its own, a new one has none until somebody tells."""
    talk = logged_in(coinfloor.VENUE)
    balances = [{"asset": 64032, "balance": 150}, {"asset": 4711, "balance": 7}]
    snapshot = talk.gets(coinfloor.GetBalances(), balances=balances)
    sheet = sheet_of(snapshot)

    assert {"GBP": D("1.5")} == sheet.all()
    assert "<BalanceSheet, GBP 1.50>" == repr(sheet)
    assert [150, 7] == [balance.scaled_available for balance in sheet.snapshot()]
    assert ["GBP", "#4711"] == [balance.asset for balance in snapshot]
    with pytest.raises(LocalProtocolError, match="scale of asset 4711"):
        _ = list(snapshot)[1].available


def test_late_joiners_get_the_whole_sheet(talk):
    """As an item of the channel."""
    snapshot, change = items(talk)
    sheet = sheet_of(snapshot)
    assert snapshot == sheet.snapshot()
    sheet.apply(change)
    copy = sheet_of(sheet.snapshot())
    assert sheet.all() == copy.all()
    assert copy.reserved("XBT") is None
