"""What waits goes in order, is held by nothing but its own rate and slot, and leaves once."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from trioflex._sansio.keepalive import Sleep
from trioflex._sansio.outbox import Lane, Outbox
from trioflex._sansio.rates import Rates
from trioflex._vocabulary.settings import Rate

CONTROL, REQUEST = Lane.CONTROL, Lane.REQUEST
ONE_A_SECOND = {"slow": Rate(1, per=1, burst=1)}
SLOW_PAUSE = 1.05  # one second, and the margin for jitter on the way


def opened(rates=None):
    """Return an outbox whose gate is open."""
    outbox = Outbox(Rates(rates or {}))
    outbox.gate = True
    return outbox


def put(outbox, *items, lane=REQUEST, bucket="default", slot=None, expires=math.inf):
    """Queue items alike; return the handles."""
    return [outbox.put(item, lane, bucket=bucket, slot=slot, expires=expires) for item in items]


def always(slot):
    return True


def all_of(outbox, now=0.0, free=always):
    """Take out whatever may go now."""
    items = []
    while not isinstance(item := outbox.next(now, free), Sleep | None):
        items.append(item)
    return items


# -- order ---------------------------------------------------------------------------------------


def test_an_empty_outbox_has_nothing_to_do():
    """Nothing to send, nothing to wait for."""
    outbox = opened()

    assert outbox.next(0, always) is None
    assert outbox.empty
    assert not outbox
    assert math.inf == outbox.next_expiry
    assert [] == outbox.expired(10**9)
    assert ([], []) == outbox.drain()


def test_raw_frames_go_first_then_control_then_requests():
    """Whatever was put in first: a login is not kept waiting by an order."""
    outbox = opened()
    put(outbox, "r1", "r2")
    put(outbox, "c1", "c2", lane=CONTROL)
    outbox.transmit("f1")
    outbox.transmit("f2")

    assert ["f1", "f2", "c1", "c2", "r1", "r2"] == all_of(outbox)


def test_a_closed_gate_holds_requests_and_nothing_else():
    """Before the session is ready, logins and subscriptions go; requests do not."""
    outbox = Outbox(Rates({}))
    put(outbox, "r")
    put(outbox, "c", lane=CONTROL)
    outbox.transmit("f")

    assert not outbox.gate
    assert ["f", "c"] == all_of(outbox)
    assert outbox.next(0, always) is None
    assert outbox

    outbox.gate = True
    assert ["r"] == all_of(outbox)
    assert not outbox


def test_a_closed_gate_asks_for_no_wake_up():
    """What the gate holds does not make the send loop look at the clock."""
    outbox = opened(ONE_A_SECOND)
    put(outbox, "r1", "r2", bucket="slow")
    assert ["r1"] == all_of(outbox)

    outbox.gate = False
    assert outbox.next(0, always) is None


# -- rates ---------------------------------------------------------------------------------------


def test_a_rate_holds_its_bucket_until_it_is_ready():
    """The send loop is told until when to sleep, and then has its item."""
    outbox = opened(ONE_A_SECOND)
    put(outbox, "a", "b", bucket="slow")

    assert "a" == outbox.next(0, always)
    assert Sleep(SLOW_PAUSE) == outbox.next(0, always)
    assert Sleep(SLOW_PAUSE) == outbox.next(1, always)
    assert "b" == outbox.next(SLOW_PAUSE, always)
    assert outbox.next(SLOW_PAUSE, always) is None


def test_a_rate_holds_nobody_else():
    """What waits for its rate lets all other buckets pass, in both lanes."""
    outbox = opened(ONE_A_SECOND)
    put(outbox, "c1", "c2", lane=CONTROL, bucket="slow")
    put(outbox, "r1", "r2")

    assert ["c1", "r1", "r2"] == all_of(outbox)
    assert Sleep(SLOW_PAUSE) == outbox.next(0, always)


def test_the_sleep_ends_with_the_first_rate_that_is_ready():
    """Of two buckets that wait, the sooner one sets the alarm."""
    outbox = opened({"slow": Rate(1, per=1, burst=1), "slower": Rate(1, per=10, burst=1)})
    put(outbox, "a", "b", bucket="slower")
    put(outbox, "c", "d", bucket="slow")

    assert ["a", "c"] == all_of(outbox)
    assert Sleep(SLOW_PAUSE) == outbox.next(0, always)


def test_the_lanes_share_their_rates():
    """A venue counts what arrives, whatever lane it came by; subscriptions come first."""
    outbox = opened(ONE_A_SECOND)
    put(outbox, "r1", bucket="slow")
    assert "r1" == outbox.next(0, always)
    put(outbox, "r2", bucket="slow")
    put(outbox, "c", lane=CONTROL, bucket="slow")

    assert Sleep(SLOW_PAUSE) == outbox.next(0, always)
    assert "c" == outbox.next(SLOW_PAUSE, always)


def test_raw_frames_are_never_limited():
    """An answer to the server's own heartbeat does not wait for a rate."""
    outbox = opened(ONE_A_SECOND)
    put(outbox, "a", "b", bucket="slow")
    outbox.next(0, always)
    outbox.transmit("pong")

    assert "pong" == outbox.next(0, always)


def test_what_is_withdrawn_is_not_counted():
    """A request that never left costs nothing."""
    outbox = opened(ONE_A_SECOND)
    for handle in put(outbox, "a", "b", "c", bucket="slow"):
        outbox.withdraw(handle)
    put(outbox, "d", bucket="slow")

    assert "d" == outbox.next(0, always)


# -- slots ---------------------------------------------------------------------------------------


def test_a_slot_that_is_not_free_holds_its_own_items_only():
    """One kind under way does not keep back another kind, nor what needs no slot."""
    outbox = opened()
    put(outbox, "a1", "a2", slot="a")
    put(outbox, "b1", slot="b")
    put(outbox, "n1")

    assert ["b1", "n1"] == all_of(outbox, free=lambda slot: slot != "a")
    assert outbox.next(0, lambda slot: False) is None
    assert ["a1", "a2"] == all_of(outbox)


def test_a_closed_slot_asks_for_no_wake_up():
    """A rate that is not the obstacle does not make the send loop look at the clock."""
    outbox = opened(ONE_A_SECOND)
    put(outbox, "a", "b", bucket="slow", slot="s")
    outbox.next(0, always)

    assert outbox.next(0, lambda slot: False) is None
    assert Sleep(SLOW_PAUSE) == outbox.next(0, always)


def test_no_slot_is_never_asked_for():
    """Only real slots are looked up."""
    outbox = opened()
    put(outbox, "n")
    put(outbox, "s", slot="s")
    asked = []

    all_of(outbox, free=lambda slot: asked.append(slot) or True)

    assert {"s"} == set(asked)


def test_the_oldest_goes_first_across_queues():
    """Whoever waits longest goes first, whichever bucket and slot it is in."""  # R9
    outbox = opened()
    for n in range(30):
        put(outbox, n, bucket=f"bucket {n % 3}", slot=[None, "a", "b", "c"][n % 4])

    assert list(range(30)) == all_of(outbox)


def test_an_item_that_was_held_goes_before_younger_ones():
    """Being held does not cost the place."""
    outbox = opened()
    put(outbox, "old", slot="a")
    put(outbox, "young", "younger")

    assert "young" == outbox.next(0, lambda slot: False)
    assert ["old", "younger"] == all_of(outbox)


# -- withdrawing ---------------------------------------------------------------------------------


def test_what_is_withdrawn_in_time_never_leaves():
    """First, middle and last of a queue alike."""  # R5
    outbox = opened()
    first, _, third, _, fifth = put(outbox, 1, 2, 3, 4, 5)

    assert [True] * 3 == [outbox.withdraw(handle) for handle in (third, first, fifth)]
    assert [2, 4] == all_of(outbox)


def test_withdrawing_twice_or_too_late_says_no():
    """``True`` is a proof that it was not sent; so it is given once, and never afterwards."""  # R5
    outbox = opened()
    sent, back = put(outbox, "sent", "back")
    outbox.next(0, always)

    assert not outbox.withdraw(sent)
    assert outbox.withdraw(back)
    assert not outbox.withdraw(back)
    assert not outbox.withdraw(12345)


def test_handles_grow():
    """A handle is never used again, not even after everything was removed."""
    outbox = opened()
    before = put(outbox, 1, 2)
    outbox.drain()

    assert min(put(outbox, 3)) > max(before)


def test_alike_is_what_waits_for_the_same_things():
    """Same lane, bucket and slot, oldest first; looking takes nothing."""
    outbox = opened()
    first, _, third = put(outbox, "a", "b", "c", bucket="x", slot="s")[:3]
    put(outbox, "other bucket", bucket="y", slot="s")
    put(outbox, "other slot", bucket="x")
    put(outbox, "other lane", lane=CONTROL, bucket="x", slot="s")
    outbox.withdraw(first + 1)

    assert [(first, "a"), (third, "c")] == outbox.alike(REQUEST, bucket="x", slot="s")
    assert [] == outbox.alike(REQUEST, bucket="z", slot=None)
    assert outbox.withdraw(first)
    assert [(third, "c")] == outbox.alike(REQUEST, bucket="x", slot="s")


# -- expiry --------------------------------------------------------------------------------------


def test_what_has_expired_is_not_handed_out():
    """An order that waited too long for its rate must not arrive late."""
    outbox = opened()
    put(outbox, "late", expires=5)
    put(outbox, "patient")

    assert ["patient"] == all_of(outbox, now=5)
    assert ["late"] == outbox.expired(5)
    assert [] == outbox.expired(5)
    assert not outbox


def test_an_expired_head_does_not_block_or_hide_those_behind_it():
    """It steps aside for its queue, and the queue may be used again."""
    outbox = opened()
    put(outbox, "late", expires=5)
    assert outbox.next(5, always) is None
    put(outbox, "next")

    assert "next" == outbox.next(5, always)
    assert 5 == outbox.next_expiry
    assert ["late"] == outbox.expired(5)
    assert outbox.empty


def test_expired_items_come_earliest_first():
    """Whatever order they were put in; those in time stay."""
    outbox = opened()
    for item, expires in [("c", 3), ("a", 1), ("d", 4), ("b", 2), ("e", math.inf)]:
        put(outbox, item, expires=expires)

    assert 1 == outbox.next_expiry
    assert ["a", "b", "c"] == outbox.expired(3)
    assert 4 == outbox.next_expiry
    assert ["d", "e"] == all_of(outbox, now=3)
    assert math.inf == outbox.next_expiry


def test_an_expired_item_can_be_withdrawn_until_it_is_collected():
    """It was never sent, so that is the truth."""
    outbox = opened()
    [handle] = put(outbox, "late", expires=5)
    outbox.next(5, always)

    assert outbox.withdraw(handle)
    assert [] == outbox.expired(5)
    assert math.inf == outbox.next_expiry


def test_next_expiry_looks_past_what_has_left():
    """Sent and withdrawn items set no alarm."""
    outbox = opened()
    put(outbox, "sent", expires=1)
    [withdrawn] = put(outbox, "withdrawn", expires=2)
    put(outbox, "waits", expires=3)
    assert "sent" == outbox.next(0, always)
    outbox.withdraw(withdrawn)

    assert 3 == outbox.next_expiry


# -- counting and draining -----------------------------------------------------------------------


def test_queued_counts_the_request_lane():
    """What bounds the callers of submit is what they themselves put in."""  # R9
    outbox = opened()
    put(outbox, "c", lane=CONTROL)
    handles = put(outbox, 1, 2, 3, 4)
    put(outbox, 5, expires=1)
    assert 5 == outbox.queued

    outbox.next(0, always)
    assert 5 == outbox.queued, "that was the control item"
    outbox.next(0, always)
    outbox.withdraw(handles[2])
    outbox.expired(1)
    assert 2 == outbox.queued
    outbox.drain()
    assert 0 == outbox.queued


def test_draining_returns_items_oldest_first_and_drops_frames():
    """At the end of a connection each item is told; frames were that connection's own."""
    outbox = opened()
    outbox.transmit("f")
    put(outbox, "r1", bucket="x")
    put(outbox, "c1", lane=CONTROL)
    put(outbox, "r2", bucket="y", expires=0)
    put(outbox, "c2", lane=CONTROL, slot="s")
    outbox.next(0, lambda slot: False)

    assert (["c1", "c2"], ["r1", "r2"]) == outbox.drain()
    assert outbox.empty
    assert outbox.next(0, always) is None
    assert math.inf == outbox.next_expiry


# -- cost ----------------------------------------------------------------------------------------


def test_what_can_expire_leaves_nothing_behind():
    """A client that submits with a limit and withdraws, for hours, does not grow."""
    outbox = opened()
    keep = put(outbox, "keep", expires=10**6)
    for n in range(10_000):
        [handle] = put(outbox, n, expires=10**6 + n)
        outbox.withdraw(handle)

    assert len(outbox._expiries) < 50
    assert keep == list(outbox._entries)
    assert 1 == len(outbox._queues[REQUEST])


def test_connections_that_end_leave_nothing_behind_either():
    """What was drained does not count among what can expire."""
    outbox = opened()
    for _ in range(1000):
        put(outbox, *range(5), expires=10**6)
        outbox.drain()
    for n in range(100):
        [handle] = put(outbox, n, expires=10**6)
        outbox.withdraw(handle)

    assert len(outbox._expiries) < 50


def test_the_earliest_stays_first_when_others_are_swept_out():
    """Whatever order they were put in, and whichever of them have left."""
    outbox = opened()
    leaving = [put(outbox, n, expires=n)[0] for n in range(1, 40)]
    staying = [put(outbox, n, expires=n)[0] for n in (100, 90, 80, 70)]
    for handle in leaving:
        outbox.withdraw(handle)
        assert outbox.next_expiry <= 70
    assert 4 == len(staying)

    assert [70, 80, 90, 100] == outbox.expired(100)


@pytest.mark.parametrize("leave", ["sent", "withdrawn from the front", "withdrawn from the back"])
def test_the_cost_of_leaving_does_not_grow_with_the_queue(leave):
    """One of 20,000 leaves as fast as one of 200, within what a busy machine blurs."""

    def seconds_each(length):
        outbox = opened({"b": Rate(10**6, per=0.001)})
        handles = put(outbox, *range(length), bucket="b", slot="s", expires=1e9)
        began = time.process_time()
        if leave == "sent":
            assert length == len(all_of(outbox))
        else:
            for handle in handles if leave.endswith("front") else reversed(handles):
                outbox.withdraw(handle)
        return (time.process_time() - began) / length

    short = min(seconds_each(200) for _ in range(20))
    long = min(seconds_each(20_000) for _ in range(3))
    assert long < 40 * short, "a queue that is walked through would cost a hundred times as much"


# -- the machine ---------------------------------------------------------------------------------

BUCKETS = ["free", "window", "bucket"]
SLOTS = [None, None, "a", "b"]
RATES = {"window": Rate(2, per=1), "bucket": Rate(1, per=1, burst=3)}


class OutboxMachine(RuleBasedStateMachine):
    """Any course of events, against a list that is searched from the front."""

    waiting = Bundle("waiting")
    gone = Bundle("gone")

    @initialize()
    def start(self):
        self.outbox = Outbox(Rates(RATES))
        self.limits = Rates(RATES)
        self.now = 0.0
        self.gate = False
        self.frames = []
        self.model = {}  # handle -> (lane, bucket, slot, expires), oldest first
        self.busy = set()
        self.frame_count = 0

    @rule(
        target=waiting,
        lane=st.sampled_from(Lane),
        bucket=st.sampled_from(BUCKETS),
        slot=st.sampled_from(SLOTS),
        patience=st.sampled_from([math.inf, math.inf, 0.0, 0.5, 2.0]),
    )
    def put(self, lane, bucket, slot, patience):
        item = ("item", len(self.model), self.now, lane, bucket, slot)
        expires = self.now + patience
        handle = self.outbox.put(item, lane, bucket=bucket, slot=slot, expires=expires)
        assert handle not in self.model
        self.model[handle] = (lane, bucket, slot, expires, item)
        return handle

    @rule()
    def transmit(self):
        self.frame_count += 1
        self.frames.append(f"frame {self.frame_count}")
        self.outbox.transmit(self.frames[-1])

    @rule(target=gone, handle=consumes(waiting))
    def withdraw(self, handle):
        assert (handle in self.model) == self.outbox.withdraw(handle)
        self.model.pop(handle, None)
        return handle

    @rule(handle=gone)
    def withdraw_what_is_gone(self, handle):
        assert not self.outbox.withdraw(handle)

    @rule(opened=st.booleans())
    def set_gate(self, opened):
        self.outbox.gate = self.gate = opened

    @rule(slot=st.sampled_from(["a", "b"]))
    def toggle_slot(self, slot):
        self.busy ^= {slot}

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 5.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def collect(self):
        late = [(e[3], handle) for handle, e in self.model.items() if e[3] <= self.now]
        expected = [self.model.pop(handle)[4] for _, handle in sorted(late)]
        assert expected == self.outbox.expired(self.now)

    @rule(count=st.integers(1, 4))
    def take(self, count):
        for _ in range(count):
            actual = self.outbox.next(self.now, lambda slot: slot not in self.busy)
            assert self.expected() == actual

    def expected(self):
        """Return what goes next, by looking at everything."""
        if self.frames:
            return self.frames.pop(0)
        wake_at = math.inf
        for lane in [CONTROL, REQUEST] if self.gate else [CONTROL]:
            for handle, (its_lane, bucket, slot, expires, item) in self.model.items():
                if its_lane is not lane or slot in self.busy or expires <= self.now:
                    continue
                ready_at = self.limits.ready_at(bucket, self.now)
                if ready_at > self.now:
                    wake_at = min(wake_at, ready_at)
                    continue
                self.limits.take(bucket, self.now)
                del self.model[handle]
                return item
        return None if wake_at == math.inf else Sleep(wake_at)

    @rule(target=gone)
    def drain(self):
        expected = tuple([e[4] for e in self.model.values() if e[0] is lane] for lane in Lane)
        assert expected == self.outbox.drain()
        handles = list(self.model)
        self.model.clear()
        self.frames.clear()
        return multiple(*handles)

    @invariant()
    def counts_agree(self):
        assert self.outbox.queued == sum(e[0] is REQUEST for e in self.model.values())
        assert self.outbox.next_expiry == min((e[3] for e in self.model.values()), default=math.inf)
        assert bool(self.outbox) == bool(self.model or self.frames)


OutboxMachine.TestCase.settings = settings(deadline=None)
TestOutboxMachine = OutboxMachine.TestCase


def test_what_waits_alike_can_be_looked_at():
    """Of one lane, rate and slot, oldest first; looking takes nothing out."""
    outbox: Outbox[str] = Outbox(Rates({}))
    handles = [outbox.put(item, Lane.CONTROL, bucket="b", slot=None) for item in ("one", "two")]
    outbox.put("elsewhere", Lane.CONTROL, bucket="c", slot=None)
    outbox.put("other lane", Lane.REQUEST, bucket="b", slot=None)
    outbox.put("other slot", Lane.CONTROL, bucket="b", slot="s")
    for _ in range(2):
        found = outbox.alike(Lane.CONTROL, bucket="b", slot=None)
        assert [(handles[0], "one"), (handles[1], "two")] == found
    assert [] == outbox.alike(Lane.CONTROL, bucket="nothing", slot=None)
