"""Each answer finds its own request, or none; and where that cannot be known, nobody pretends."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trioflex._sansio.correlator import ABANDONED_MAX, KEY_MAX, Correlator
from trioflex._vocabulary.errors import InternalError
from trioflex.protocol import Correlation

BY_KEY, PER_KIND, SERIAL = Correlation.BY_KEY, Correlation.PER_KIND, Correlation.SERIAL


# -- slots ---------------------------------------------------------------------------------------


def test_keys_need_no_slot():
    """Where replies carry our key, any number of requests may be under way."""
    subject = Correlator(BY_KEY)

    assert subject.slot("order") is None
    assert [1, 2, 3] == [subject.start(token, "order") for token in "abc"]
    assert 3 == subject.in_flight


def test_each_kind_is_a_slot():
    """Where replies name the kind, one of each kind may be under way."""
    subject = Correlator(PER_KIND)
    order, balance = subject.slot("order"), subject.slot("balance")
    subject.start("a", "order")

    assert (False, True) == (subject.free(order), subject.free(balance))
    assert "a" == subject.finish(None, "order")
    assert subject.free(order)


def test_serial_is_one_slot_for_all():
    """Where replies name nothing, one in all may be under way."""
    subject = Correlator(SERIAL)
    assert subject.slot("order") == subject.slot("balance")
    assert subject.slot("order") is not None
    subject.start("a", "order")

    assert not subject.free(subject.slot("balance"))
    assert "a" == subject.finish(None)
    assert subject.free(subject.slot("balance"))


@pytest.mark.parametrize("correlation", [PER_KIND, SERIAL])
def test_a_closed_slot_takes_nobody(correlation):
    """Sending into a closed slot is a bug of ours, and says so."""
    subject = Correlator(correlation)
    subject.start("a", "order")

    with pytest.raises(InternalError, match=r"kind 'order' .* cannot be told apart"):
        subject.start("b", "order")
    assert ["a"] == subject.drain()


# -- keys ----------------------------------------------------------------------------------------


def test_keys_wrap_to_one_and_skip_those_in_use():
    """0 would mean "no tag", and a key in use would mean two requests."""  # M9
    subject = Correlator(BY_KEY)
    assert [1, 2] == [subject.start("first", ""), subject.start("second", "")]
    subject._last_key = KEY_MAX - 2

    assert [KEY_MAX - 1, KEY_MAX, 3, 4] == [subject.start(n, "") for n in range(4)]
    assert KEY_MAX == 2**31 - 1
    assert "first" == subject.finish(1)
    assert 0 == subject.finish(KEY_MAX - 1)


def test_a_key_in_use_is_skipped_anywhere():
    """Not only behind the wrap."""
    subject = Correlator(BY_KEY)
    for n in range(5):
        subject.start(n, "")
    subject._last_key = 2

    assert 6 == subject.start("new", "")


def test_slots_have_keys_too():
    """A session may carry or translate the key whatever the correlation is."""
    subject = Correlator(PER_KIND)

    assert [1, 2] == [subject.start("a", "order"), subject.start("b", "balance")]
    assert "b" == subject.finish(2)
    assert subject.free("balance")
    assert "a" == subject.finish(None, "order")


# -- answers -------------------------------------------------------------------------------------


def test_answers_may_come_in_any_order():
    """Each to its own request."""  # M10
    subject = Correlator(BY_KEY)
    keys = [subject.start(token, "") for token in "abcd"]

    assert list("dbac") == [subject.finish(keys[n]) for n in (3, 1, 0, 2)]
    assert (0, 0, 0) == (subject.in_flight, subject.late, subject.orphans)


@pytest.mark.parametrize(
    ("correlation", "key", "kind"),
    [
        pytest.param(BY_KEY, 7, "", id="unknown key"),
        pytest.param(BY_KEY, None, "", id="no key where keys are carried"),
        pytest.param(BY_KEY, None, "order", id="a kind is no key"),
        pytest.param(PER_KIND, None, "balance", id="a kind that is not under way"),
        pytest.param(PER_KIND, None, "", id="no kind"),
        pytest.param(PER_KIND, 7, "order", id="unknown key of a kind under way"),
        pytest.param(SERIAL, 7, "", id="unknown key while another is under way"),
    ],
)
def test_what_fits_nothing_is_an_orphan(correlation, key, kind):
    """It is counted, and never taken for the answer to something else."""  # M9
    subject = Correlator(correlation)
    subject.start("a", "order")

    assert subject.peek(key, kind) is None
    assert 0 == subject.orphans, "looking does not count"
    assert subject.finish(key, kind) is None
    assert (1, 0, 1) == (subject.in_flight, subject.late, subject.orphans)
    assert ["a"] == subject.drain()


@pytest.mark.parametrize(
    ("correlation", "key", "kind"), [(BY_KEY, 1, ""), (PER_KIND, None, "order"), (SERIAL, None, "")]
)
def test_a_second_answer_is_an_orphan(correlation, key, kind):
    """As long as nothing else is under way in its slot."""  # M9
    subject = Correlator(correlation)
    subject.start("a", "order")

    assert "a" == subject.peek(key, kind)
    assert "a" == subject.peek(key, kind), "looking takes nothing"
    assert ["a", None] == [subject.finish(key, kind), subject.finish(key, kind)]
    assert 1 == subject.orphans


# -- abandoned -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("correlation", "key", "kind"), [(BY_KEY, 1, ""), (PER_KIND, None, "order"), (SERIAL, None, "")]
)
def test_a_late_answer_still_finds_its_request(correlation, key, kind):
    """The ticket outlives the caller's patience."""  # R5
    subject = Correlator(correlation)
    subject.start("a", "order")
    subject.abandon(1, now=10)

    assert (0, 0) == (subject.in_flight, subject.late)
    assert "a" == subject.peek(key, kind)
    assert "a" == subject.finish(key, kind)
    assert (0, 1, 0) == (subject.in_flight, subject.late, subject.orphans)


@pytest.mark.parametrize("correlation", [PER_KIND, SERIAL])
def test_an_abandoned_request_keeps_its_slot_until_it_is_answered(correlation):
    """A late answer is never taken for the next one's."""  # M11
    subject = Correlator(correlation)
    slot = subject.slot("order")
    subject.start("first", "order")
    subject.abandon(1, now=10)
    assert not subject.free(slot)

    assert "first" == subject.finish(None, "order")
    assert subject.free(slot)
    subject.start("second", "order")
    assert "second" == subject.finish(None, "order")


@pytest.mark.parametrize("correlation", [PER_KIND, SERIAL])
def test_a_slot_that_stays_closed_costs_the_connection(correlation):
    """After 30 s without the late answer the connection is to be replaced."""  # M11, R4
    subject = Correlator(correlation)
    subject.start("a", "order")
    assert math.inf == subject.recycle_at()
    subject.abandon(1, now=10)
    assert 40 == subject.recycle_at()

    subject.finish(None, "order")
    assert math.inf == subject.recycle_at()


def test_the_first_slot_to_run_out_decides():
    """Of several kinds that are abandoned the oldest sets the time."""
    subject = Correlator(PER_KIND, recycle_after=5)
    for kind in "abc":
        subject.start(kind, kind)
    subject.abandon(2, now=10)
    subject.abandon(1, now=11)
    assert 15 == subject.recycle_at()

    assert "b" == subject.finish(None, "b")
    assert 16 == subject.recycle_at()


def test_keys_never_cost_the_connection():
    """Where keys tell answers apart, silence to one request harms no other."""
    subject = Correlator(BY_KEY)
    subject.start("a", "order")
    subject.abandon(1, now=10)

    assert math.inf == subject.recycle_at()


def test_abandoning_twice_keeps_the_first_time():
    """Nor does it count twice."""
    subject = Correlator(SERIAL)
    subject.start("a", "")
    subject.abandon(1, now=10)
    subject.abandon(1, now=20)

    assert 40 == subject.recycle_at()
    assert 0 == subject.in_flight


def test_abandoning_what_was_answered_does_nothing():
    """The answer may have come in the same turn as the timeout."""
    subject = Correlator(SERIAL)
    subject.start("a", "")
    subject.finish(None)
    subject.abandon(1, now=10)
    subject.start("b", "")

    assert math.inf == subject.recycle_at()
    assert (1, 0) == (subject.in_flight, subject.late)


def test_abandoned_requests_are_forgotten_in_the_end():
    """A venue that never answers costs a bounded amount of memory."""  # M9
    subject = Correlator(BY_KEY)
    waiting = subject.start("somebody waits", "")
    for n in range(ABANDONED_MAX + 5):
        subject.abandon(subject.start(n, ""), now=n)

    assert 1 == subject.in_flight
    assert subject.finish(waiting + 1) is None, "the oldest is forgotten"
    assert 5 == subject.finish(waiting + 6)
    assert (1, 1) == (subject.late, subject.orphans)
    assert ["somebody waits", *range(6, ABANDONED_MAX + 5)] == subject.drain()


# -- the end -------------------------------------------------------------------------------------


def test_draining_returns_what_is_unanswered_in_order_of_starting():
    """Abandoned ones too; and everything is free again."""
    subject = Correlator(PER_KIND)
    for kind in "abcd":
        subject.start(kind, kind)
    subject.abandon(2, now=0)
    subject.finish(None, "c")

    assert ["a", "b", "d"] == subject.drain()
    assert [] == subject.drain()
    assert 0 == subject.in_flight
    assert math.inf == subject.recycle_at()
    assert subject.free("a")
    assert subject.finish(None, "a") is None


# -- the machine ---------------------------------------------------------------------------------

KINDS = ["order", "balance", ""]


class CorrelatorMachine(RuleBasedStateMachine):
    """Any course of requests and answers, against a venue that knows what it answers."""

    correlation = BY_KEY

    def __init__(self):
        super().__init__()
        self.subject = Correlator(self.correlation)
        self.now = 0.0
        self.tokens = 0
        self.under_way = {}  # key -> (token, kind), in order of starting
        self.abandoned = {}  # key -> time
        self.late = self.orphans = 0

    def occupant(self, kind):
        """Return the key of the request that keeps the slot of a kind closed, if any."""
        for key, (_, its_kind) in self.under_way.items():
            if self.correlation is SERIAL or its_kind == kind:
                return key
        return None

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds):
        self.now += seconds

    @rule(near_the_end=st.integers(0, 3))
    def jump(self, near_the_end):
        self.subject._last_key = KEY_MAX - near_the_end

    @rule(kind=st.sampled_from(KINDS))
    def start(self, kind):
        slot = self.subject.slot(kind)
        closed = slot is not None and not self.subject.free(slot)
        if self.correlation is BY_KEY:
            assert slot is None
        else:
            assert closed == (self.occupant(kind) is not None)
        if closed:
            return
        self.tokens += 1
        key = self.subject.start(self.tokens, kind)
        assert 1 <= key <= KEY_MAX
        assert key not in self.under_way
        self.under_way[key] = (self.tokens, kind)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), with_key=st.booleans())
    def answer(self, data, with_key):
        key = data.draw(st.sampled_from(sorted(self.under_way)))
        token, kind = self.under_way.pop(key)
        self.late += self.abandoned.pop(key, None) is not None
        carried = key if with_key or self.correlation is BY_KEY else None
        assert token == self.subject.peek(carried, kind)
        assert token == self.subject.finish(carried, kind)

    @rule(key=st.integers(1, KEY_MAX) | st.none(), kind=st.sampled_from([*KINDS, "unheard of"]))
    def answer_nothing(self, key, kind):
        if key in self.under_way:
            return
        if key is None and self.correlation is not BY_KEY and self.occupant(kind) is not None:
            return
        self.orphans += 1
        assert self.subject.finish(key, kind) is None

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def abandon(self, data):
        key = data.draw(st.sampled_from(sorted(self.under_way)))
        self.abandoned.setdefault(key, self.now)
        self.subject.abandon(key, self.now)

    @rule()
    def drain(self):
        assert [token for token, _ in self.under_way.values()] == self.subject.drain()
        self.under_way.clear()
        self.abandoned.clear()

    @invariant()
    def the_books_agree(self):
        subject = self.subject
        assert len(self.under_way) - len(self.abandoned) == subject.in_flight
        assert (self.late, self.orphans) == (subject.late, subject.orphans)
        if self.correlation is BY_KEY or not self.abandoned:
            assert math.inf == subject.recycle_at()
        else:
            assert min(self.abandoned.values()) + 30 == subject.recycle_at()


class PerKindMachine(CorrelatorMachine):
    """The same where replies name the kind."""

    correlation = PER_KIND


class SerialMachine(CorrelatorMachine):
    """The same where replies name nothing."""

    correlation = SERIAL


TestByKey = CorrelatorMachine.TestCase
TestPerKind = PerKindMachine.TestCase
TestSerial = SerialMachine.TestCase
for case in (TestByKey, TestPerKind, TestSerial):
    case.settings = settings(deadline=None)
del case
