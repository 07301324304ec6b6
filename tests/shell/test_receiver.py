"""What a receiver shows its reader when the reader is slow: exact counts, one grammar, no silence.

The dispatcher's side of a receiver is synchronous, and so are most of these tests: no event loop
decides when anything happens.
"""

from __future__ import annotations

import copy

import pytest
import trio
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from trioflex import Gap, GapReason, Overflow, ReceiverOverflow, Resumed, SubscriptionTimeout
from trioflex._sansio.backlog import SMALLEST as SMALLEST_BUFFER
from trioflex._shell.receiver import STREAK, Receiver

GAP, LATEST, FAIL = Overflow.GAP, Overflow.LATEST, Overflow.FAIL


def started(*items, buffer=SMALLEST_BUFFER, overflow=GAP):
    """Return a receiver that went live with these items."""
    receiver = Receiver("channel", buffer=buffer, overflow=overflow)
    receiver.start(items)
    return receiver


def all_of(receiver):
    """Read what is there; return it, and the exception that ended it if it was not emptiness."""
    items = []
    while True:
        try:
            items.append(receiver.receive_nowait())
        except trio.WouldBlock:
            return items
        except Exception as exc:
            return [*items, type(exc)]


def waiting(receiver):
    """Look at what waits, without touching the hand."""
    backlog = receiver._backlog
    return [*copy.copy(backlog.hand), *backlog.behind]


# -- overflow ------------------------------------------------------------------------------------


def test_a_buffer_that_is_too_small_is_refused():
    """Gap, Resumed, a snapshot and an item must always fit."""
    with pytest.raises(ValueError, match="buffer=3 is too small: a receiver holds at least 4"):
        Receiver("channel", buffer=3, overflow=GAP)


def test_a_full_buffer_is_full_and_nothing_more():
    """The last item that fits is no overflow."""
    receiver = started()
    receiver.put([1, 2], None)
    receiver.put([3, 4], None)

    assert [1, 2, 3, 4] == all_of(receiver)
    assert (0, 0) == (receiver.statistics().dropped, receiver.statistics().gaps)


def test_an_empty_buffer_takes_a_whole_read():
    """The bound is about falling behind, not about how much one read brings."""
    receiver = started()
    receiver.put(list(range(100)), None)

    assert list(range(100)) == all_of(receiver)
    assert 100 == receiver.statistics().peak


def test_gap_throws_the_backlog_away_and_says_how_much():
    """Then the channel goes on where it is now."""  # S2
    receiver = started()
    receiver.put([1, 2, 3], None)
    receiver.put([4, 5], None)

    assert [Gap(GapReason.OVERFLOW, dropped=3), Resumed(False), 4, 5] == all_of(receiver)
    assert (5, 3, 1, 1) == (
        receiver.statistics().received,
        receiver.statistics().dropped,
        receiver.statistics().gaps,
        receiver.statistics().resumed,
    )


def test_gap_starts_over_with_a_snapshot_where_the_channel_has_a_fold():
    """Of the state just before the new items."""  # S2
    receiver = started()
    receiver.put([1, 2, 3], lambda: "state 0")
    receiver.put([4, 5], lambda: "state 3")

    assert [Gap(GapReason.OVERFLOW, dropped=3), Resumed(True), "state 3", 4, 5] == (
        all_of(receiver)
    )


def test_a_gap_whose_beginning_was_read_is_ended_before_the_next_one():
    """An overflow between reading ``Gap`` and reading its ``Resumed`` loses neither."""  # S2
    receiver = started()
    receiver.put([1, 2, 3], None)
    receiver.put([4, 5], None)
    first = receiver.receive_nowait()
    receiver.put([6, 7], None)

    assert Gap(GapReason.OVERFLOW, dropped=3) == first
    assert [Resumed(False), Gap(GapReason.OVERFLOW, dropped=2), Resumed(False), 6, 7] == (
        all_of(receiver)
    )


def test_a_snapshot_that_was_promised_is_kept():
    """A reader that has read ``Resumed(snapshot=True)`` gets its snapshot next."""  # S2
    receiver = started(overflow=LATEST)
    receiver.gap(Gap(GapReason.DISCONNECTED))
    receiver.resume(Resumed(True), ["state"])
    assert [Gap(GapReason.DISCONNECTED), Resumed(True)] == [
        receiver.receive_nowait(),
        receiver.receive_nowait(),
    ]
    receiver.put([1, 2, 3], None)
    receiver.put([4, 5], None)

    assert ["state", 3, 4, 5] == all_of(receiver)
    assert 2 == receiver.statistics().conflated


def test_gaps_that_are_thrown_away_merge_into_the_new_one():
    """With what they had dropped; whatever their reason, one gap covers them."""  # S2
    receiver = started()
    receiver.put([1, 2, 3], None)
    receiver.put([4, 5], None)
    receiver.put([6], None)

    assert [Gap(GapReason.OVERFLOW, dropped=5), Resumed(False), 6] == all_of(receiver)
    assert 5 == receiver.statistics().dropped


def test_a_gap_into_a_full_buffer_takes_the_backlog_with_it():
    """The reader learns of the loss first, not after thousands of items that are stale."""  # S2
    receiver = started()
    receiver.put([1, 2, 3, 4], None)
    receiver.gap(Gap(GapReason.DISCONNECTED, connection=1))
    receiver.resume(Resumed(True, 2.0), ["state"])

    assert [
        Gap(GapReason.DISCONNECTED, dropped=4, connection=1),
        Resumed(True, 2.0),
        "state",
    ] == all_of(receiver)


def test_latest_keeps_the_newest_and_counts_the_rest():
    """No gap is shown: whoever asks for it has said that older items do not matter."""  # S2
    receiver = started(overflow=LATEST)
    receiver.put([1, 2, 3], None)
    receiver.put([4, 5], None)
    receiver.put([6], None)

    assert [3, 4, 5, 6] == all_of(receiver)
    assert (2, 0, 0) == (
        receiver.statistics().conflated,
        receiver.statistics().dropped,
        receiver.statistics().gaps,
    )


def test_latest_keeps_every_real_gap():
    """A disconnection is not an old item; two with nothing left between them are one."""  # S2
    receiver = started(overflow=LATEST)
    receiver.put([1, 2], None)
    for number in (1, 2):
        receiver.gap(Gap(GapReason.DISCONNECTED, connection=number))
        receiver.resume(Resumed(True), [f"state {number}"])
    receiver.put([3, 4, 5], None)

    assert [Gap(GapReason.DISCONNECTED, connection=1), Resumed(False), 3, 4, 5] == (
        all_of(receiver)
    )
    assert 4 == receiver.statistics().conflated


def test_fail_ends_after_what_was_buffered():
    """Everything before the hole is delivered, nothing after it; and the count is right."""  # S2
    receiver = started(overflow=FAIL)
    receiver.put([1, 2, 3], None)
    receiver.put([4, 5], None)
    assert 1 == receiver.receive_nowait()
    receiver.put([6], None)

    assert [2, 3, ReceiverOverflow] == all_of(receiver)
    with pytest.raises(ReceiverOverflow, match="3 items were dropped") as caught:
        receiver.receive_nowait()
    assert ("channel", 3) == (caught.value.channel, caught.value.dropped)
    assert (6, 3) == (receiver.statistics().received, receiver.statistics().dropped)


# -- the end -------------------------------------------------------------------------------------


def test_what_was_buffered_is_read_before_any_end():
    """The client's end, a refusal: neither takes back what has arrived."""
    ended, refused = started(1, 2), started(1, 2)
    ended.end(None)
    refused.fail(lambda: SubscriptionTimeout("no", channel="channel"))
    for receiver in (ended, refused):
        receiver.put([3], None)
        receiver.gap(Gap(GapReason.DISCONNECTED))
        receiver.resume(Resumed(True), [4])

    assert [1, 2, trio.EndOfChannel] == all_of(ended)
    assert [1, 2, SubscriptionTimeout] == all_of(refused)


def test_the_end_names_the_clients_failure():
    """For tasks outside the client's block."""
    receiver = started()
    failure = ValueError("why")
    receiver.end(failure)

    with pytest.raises(trio.BrokenResourceError) as caught:
        receiver.receive_nowait()
    assert failure is caught.value.__cause__


def test_a_receiver_that_was_left_drops_what_it_had():
    """Nothing accumulates behind a block that is over."""  # S5
    receiver = started(1, 2)
    receiver._close()
    receiver.put([3], None)

    assert [trio.ClosedResourceError] == all_of(receiver)
    assert 0 == receiver.statistics().buffered


def test_what_a_receiver_begins_with_is_counted():
    """Markers as markers, items as items; the peak is the most that ever waited."""
    receiver = Receiver("channel", buffer=8, overflow=GAP)
    assert 0 == receiver.statistics().peak
    receiver.start([Gap(GapReason.JOINED_LATE), Resumed(False), 5])
    receiver.receive_nowait()
    receiver.put([6], None)

    figures = receiver.statistics()
    assert (1, 1, 2) == (figures.gaps, figures.resumed, figures.received)
    assert (3, 3) == (figures.buffered, figures.peak)


# -- waiting -------------------------------------------------------------------------------------


async def test_a_read_wakes_one_task_an_item(autojump_clock):
    """Workers share a receiver; each item goes to one of them, and nobody wakes for nothing."""
    receiver = started()
    got = []

    async def work(name):
        got.append((name, await receiver.receive()))

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(work, name)
            await trio.testing.wait_all_tasks_blocked()
        receiver.put([1, 2], None)
        await trio.testing.wait_all_tasks_blocked()
        assert {("a", 1), ("b", 2)} == set(got) or {("a", 2), ("b", 1)} == set(got)
        assert 1 == receiver.statistics().tasks_waiting
        receiver.put([3], None)

    assert ("c", 3) == got[-1]


async def test_a_task_that_is_cancelled_while_it_waits_takes_nothing(autojump_clock):
    """The item that comes in the same turn is for the next one."""
    receiver = started()
    with trio.move_on_after(1) as scope:
        await receiver.receive()
    assert scope.cancelled_caught
    receiver.put([1], None)

    assert 1 == await receiver.receive()


async def test_an_item_that_is_there_survives_a_cancelled_receive(autojump_clock):
    """Either the item or the cancellation, never neither."""
    receiver = started(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await receiver.receive()

    assert scope.cancelled_caught
    assert 1 == receiver.receive_nowait()


async def test_whoever_waits_learns_of_the_end(autojump_clock):
    """All of them."""
    receiver = started()
    ends = []

    async def wait():
        try:
            await receiver.receive()
        except trio.EndOfChannel:
            ends.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.sleep(1)
        receiver.end(None)

    assert [1.0, 1.0] == ends


async def test_iterating_lets_the_others_run_once_a_streak(autojump_clock):
    """However fast items come: after what was there comes a checkpoint."""
    receiver = started(*range(STREAK), buffer=4 * STREAK)
    turns = read = 0

    async def put_more():
        nonlocal turns
        while turns < 10:
            receiver.put(list(range(STREAK)), None)
            turns += 1
            await trio.lowlevel.checkpoint()
        receiver.end(None)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(put_more)
        async for _ in receiver:
            read += 1
            # One streak for each turn, one of what was there, and one for a turn yet to be counted.
            assert read <= (turns + 2) * STREAK

    assert 11 * STREAK == read


@pytest.mark.parametrize("read", [STREAK, 2 * STREAK, 20 * STREAK])
async def test_a_consumer_that_only_counts_never_overflows(autojump_clock, read):
    """However much one read brings, as long as two fit: Trio may let the reader run last in one
    turn and first in the next."""  # S2
    receiver = started(buffer=2 * read)
    taken = 0

    async def read_on():
        for _ in range(20):
            await trio.lowlevel.checkpoint()
            receiver.put(list(range(read)), None)
        receiver.end(None)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_on)
        async for _ in receiver:
            taken += 1

    assert (20 * read, 0) == (taken, receiver.statistics().gaps)


async def test_values_are_the_items_without_the_markers(autojump_clock):
    """The markers are skipped by the reader's choice."""
    receiver = started(1)
    receiver.gap(Gap(GapReason.DISCONNECTED))
    receiver.resume(Resumed(True), [2])
    receiver.end(None)

    assert [1, 2] == [value async for value in receiver.values()]
    assert 1 == receiver.statistics().gaps


async def test_batches_are_what_is_there(autojump_clock):
    """Everything at once, then the next time again."""
    receiver = started(1, 2, 3)
    batches = receiver.batches()

    assert [1, 2, 3] == await anext(batches)
    receiver.put([4], None)
    receiver.end(None)
    assert [[4]] == [batch async for batch in batches]


async def test_every_waiter_learns_that_it_is_over(autojump_clock):
    """Several tasks share a receiver that fails before the first of them has run."""
    receiver = started(buffer=4, overflow=Overflow.FAIL)
    ends = []

    async def work():
        try:
            ends.append(await receiver.receive())
        except ReceiverOverflow:
            ends.append("overflow")

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(work)
        await trio.testing.wait_all_tasks_blocked()
        receiver.put([1], None)
        receiver.put([2, 3, 4, 5], None)

    assert sorted(ends, key=str) == [1, *["overflow"] * 7]


async def test_no_item_lies_there_while_a_task_waits(autojump_clock):
    """An overflow brings markers and a snapshot besides the items: enough tasks are woken."""
    receiver = started(buffer=4)

    async def work():
        await receiver.receive()
        await trio.sleep(1000)  # a long job

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(work)
        await trio.testing.wait_all_tasks_blocked()
        receiver.put([1], lambda: "state")
        receiver.put([2, 3, 4, 5], lambda: "state")
        await trio.sleep(1)
        statistics = receiver.statistics()
        nursery.cancel_scope.cancel()

    assert (0, 3) == (statistics.buffered, statistics.tasks_waiting)


def test_gaps_alone_do_not_fill_the_memory():  # S1
    """Of a reader that stands still, under ``FAIL``: reconnect after reconnect."""
    receiver = started(buffer=4, overflow=Overflow.FAIL)
    for number in range(1000):
        receiver.gap(Gap(GapReason.DISCONNECTED, connection=number))
        receiver.resume(Resumed(True), [number])

    assert receiver.statistics().buffered <= 4 + 4
    with pytest.raises(ReceiverOverflow):
        while True:
            receiver.receive_nowait()


@pytest.mark.parametrize("method", ["receive", "__anext__"])
async def test_who_was_robbed_keeps_its_turn(autojump_clock, method):
    """First come, first woken, though somebody else took the item that it was woken for."""
    receiver, got = started(), []

    async def work(name):
        got.append((name, await getattr(receiver, method)()))

    async with trio.open_nursery() as nursery:
        for name in "ab":
            nursery.start_soon(work, name)
            await trio.testing.wait_all_tasks_blocked()
        receiver.put([1], None)
        assert 1 == receiver.receive_nowait()
        await trio.testing.wait_all_tasks_blocked()
        receiver.put([2], None)
        await trio.testing.wait_all_tasks_blocked()
        receiver.put([3], None)

    assert [("a", 2), ("b", 3)] == got


# -- the machine ---------------------------------------------------------------------------------


class Model:
    """A buffer as a plain list: what the policies mean, in as few lines as possible.

    It keeps markers until the item behind them is read, so `buffered` is the receiver's own count.
    """

    def __init__(self, buffer, overflow):
        self.buffer, self.overflow, self.items = buffer, overflow, []
        self.lost = False
        self.dropped = 0  # because of that
        self.promised = False  # the reader has seen that a snapshot comes next
        self.known = 0  # what a gap that was read has told already

    def put(self, items, state, buffered):
        surplus = buffered + len(items) - self.buffer
        if self.lost or (buffered and surplus > 0 and self.overflow is FAIL):
            self.fail(items)
            return
        if buffered and surplus > 0:
            if self.overflow is LATEST:
                self.conflate(surplus)
            else:
                gap = Gap(GapReason.OVERFLOW, dropped=self.clear())
                self.items = [gap, Resumed(state is not None)] + [state] * (state is not None)
        self.items += items

    def fail(self, items):
        self.lost = True
        self.dropped += len(items)

    def clear(self):
        dropped = sum(item.dropped for item in self.items if isinstance(item, Gap))
        dropped += sum(isinstance(item, tuple) for item in self.items) - self.known
        self.items, self.known = [], 0
        return dropped

    def conflate(self, surplus):
        positions = [n for n, item in enumerate(self.items) if isinstance(item, tuple)]
        if self.promised:
            del positions[:1]
        for n in positions[:surplus]:
            if n and isinstance(self.items[n - 1], Resumed):
                self.items[n - 1] = Resumed(False, self.items[n - 1].downtime)
            self.items[n] = None
        self.items = [item for item in self.items if item is not None]

    def gap(self, gap, buffered):
        if not self.lost:
            if buffered >= self.buffer and self.overflow is GAP:
                gap = Gap(gap.reason, dropped=self.clear(), connection=gap.connection)
            elif buffered >= self.buffer and self.overflow is LATEST:
                self.conflate(1)
            self.items.append(gap)

    def resume(self, resumed, items, buffered):
        if self.overflow is FAIL and buffered > self.buffer + 1:
            self.fail(items if not self.lost else [])
        if not self.lost:
            self.items += [resumed, *items]


def told(items, marker=None):
    """Return each item with what its reader is told right before it: the end of a gap, or nothing.

    Whether one gap is told or two of them in a row makes no difference to anybody.
    """
    result = []
    for item in items:
        if isinstance(item, tuple):
            result.append((item, marker))
            marker = None
        else:
            marker = item
    return [*result, marker]


class ReceiverMachine(RuleBasedStateMachine):
    """A channel's life against a reader's pace; the channel is a number that grows."""

    overflow = GAP

    @initialize(buffer=st.integers(4, 8), fold=st.booleans(), whole=st.booleans())
    def start(self, buffer, fold, whole):
        self.receiver = Receiver("channel", buffer=buffer, overflow=self.overflow)
        self.model = Model(buffer, self.overflow)
        self.fold = fold
        self.number = 0
        self.live = True
        self.states = 0  # snapshots that the core made
        self.arrived = 0
        self.seen = []
        first = [("full", 0)] if whole else []
        self.arrived += len(first)
        self.receiver.start(first)
        self.model.items += first

    @precondition(lambda self: self.live)
    @rule(count=st.integers(1, 6))
    def put(self, count):
        state = ("full", self.number) if self.fold else None
        items = [("to", self.number + n) for n in range(1, count + 1)]
        self.number += count
        self.arrived += count

        def folded():
            self.states += 1
            return state

        self.model.put(items, state, len(waiting(self.receiver)))
        self.receiver.put(list(items), folded if self.fold else None)

    @precondition(lambda self: self.live)
    @rule(reason=st.sampled_from(list(GapReason)), missed=st.integers(0, 3))
    def lose(self, reason, missed):
        self.live = False
        self.number += missed
        gap = Gap(reason, connection=self.number)
        self.model.gap(gap, len(waiting(self.receiver)))
        self.receiver.gap(gap)

    @precondition(lambda self: not self.live)
    @rule(whole=st.booleans())
    def resume(self, whole):
        self.live = True
        items = [("full", self.number)] if whole else []
        resumed = Resumed(whole, float(self.number))
        self.arrived += len(items) * (not self.model.lost)
        self.model.resume(resumed, items, len(waiting(self.receiver)))
        self.receiver.resume(resumed, items)

    @rule(count=st.sampled_from([1, 1, 2, 5, 100]))
    def read(self, count):
        for _ in range(count):
            if not waiting(self.receiver):
                with pytest.raises(ReceiverOverflow if self.model.lost else trio.WouldBlock):
                    self.receiver.receive_nowait()
                return
            item = self.receiver.receive_nowait()
            self.look(item)
            self.model.promised = isinstance(item, Resumed) and item.snapshot
            if isinstance(item, Gap):
                self.model.known += item.dropped
            if isinstance(item, tuple):
                behind = self.model.items.index(item) + 1
                assert behind == 1 or not isinstance(self.model.items[behind - 2], tuple)
                self.model.items = self.model.items[behind:]
                self.model.known = 0

    def look(self, item):
        """Hold what the reader sees to the laws."""
        last = self.seen[-1] if self.seen else None
        previous = next((i for i in reversed(self.seen) if isinstance(i, tuple)), None)
        self.seen.append(item)
        if isinstance(last, Gap):
            assert isinstance(item, Resumed)
            return
        if isinstance(item, Resumed):
            pytest.fail("resumed without a gap")
        if isinstance(item, Gap):
            return
        kind, number = item
        if isinstance(last, Resumed) and last.snapshot:
            assert kind == "full", "a snapshot was announced"
        if previous is not None:
            assert number >= previous[1], "wire order"
        if isinstance(last, tuple) and self.overflow is not LATEST:
            assert number == last[1] + (kind == "to"), "nothing is missing without a gap"

    @invariant()
    def the_buffer_is_the_models(self):
        marker = self.seen[-1] if self.seen and not isinstance(self.seen[-1], tuple) else None
        assert told(self.model.items) == told(waiting(self.receiver), marker)

    @invariant()
    def every_item_is_accounted_for(self):
        statistics = self.receiver.statistics()
        shown = [*self.seen, *waiting(self.receiver)]
        assert self.arrived + self.states == (
            sum(isinstance(item, tuple) for item in shown)
            + statistics.dropped
            + statistics.conflated
        )
        dropped = sum(item.dropped for item in shown if isinstance(item, Gap))
        assert statistics.dropped == (self.model.dropped if self.overflow is FAIL else dropped)
        assert statistics.buffered == len(waiting(self.receiver)) <= statistics.peak


class LatestMachine(ReceiverMachine):
    """The same for ``Overflow.LATEST``."""

    overflow = LATEST


class FailMachine(ReceiverMachine):
    """The same for ``Overflow.FAIL``."""

    overflow = FAIL


TestGap = ReceiverMachine.TestCase
TestLatest = LatestMachine.TestCase
TestFail = FailMachine.TestCase
for case in (TestGap, TestLatest, TestFail):
    case.settings = settings(deadline=None)
del case
