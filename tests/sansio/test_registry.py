"""Receivers see one grammar whatever the wire does, and the wire is asked for each channel once.

The tables come first. The machine at the end plays a venue behind a wire with both directions in
flight: subscriptions cross with pushes, replies and losses in any order that one connection allows.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar

import attrs
import pytest
from hypothesis import assume, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trioflex._sansio import registry as registry_module
from trioflex._sansio.entry import TRANSITIONS, Cause, State
from trioflex._sansio.registry import Ask, Bootstrap, Registry, Withdraw
from trioflex._vocabulary.errors import SubscriptionRefused, SubscriptionTimeout
from trioflex._vocabulary.events import Gap, GapReason, Resumed
from trioflex.protocol import Channel, Confirm, Request

# -- a venue's channels --------------------------------------------------------------------------
#
# Each channel is one number that grows. ("full", n) is a snapshot of it, ("to", n) an update.


class Number:
    """The fold of the channels with snapshots."""

    def __init__(self):
        self.value = None

    def apply(self, item):
        kind, value = item
        if kind == "full" or self.value is not None:
            self.value = value

    def snapshot(self):
        return None if self.value is None else ("full", self.value)

    def invalidate(self):
        self.value = None


@attrs.frozen
class GetNumber(Request):
    name: str


@attrs.frozen
class Book(Channel):
    """Confirmed by a reply that is the snapshot; with a fold."""

    name: str = "book"
    fold: ClassVar = Number
    snapshots: ClassVar = True


@attrs.frozen
class PlainBook(Channel):
    """The same without a fold."""

    name: str = "plain"
    snapshots: ClassVar = True


@attrs.frozen
class Trades(Channel):
    """Confirmed by a reply without a snapshot."""

    name: str = "trades"
    snapshots: ClassVar = False


@attrs.frozen
class Booted(Channel):
    """Confirmed by a reply without a snapshot; a request gets the snapshot."""

    name: str = "booted"
    fold: ClassVar = Number
    snapshots: ClassVar = True

    @property
    def bootstrap(self):
        return GetNumber(self.name)


@attrs.frozen
class Own(Channel):
    """Comes without asking; a request gets the snapshot."""

    name: str = "own"
    confirm: ClassVar = Confirm.IMPLICIT
    fold: ClassVar = Number
    snapshots: ClassVar = True

    @property
    def bootstrap(self):
        return GetNumber(self.name)


@attrs.frozen
class News(Channel):
    """Confirmed by its first push."""

    name: str = "news"
    confirm: ClassVar = Confirm.FIRST_PUSH
    snapshots: ClassVar = False


@attrs.frozen
class Weather(Channel):
    """Done when sent."""

    name: str = "weather"
    confirm: ClassVar = Confirm.SENT
    snapshots: ClassVar = False


UNANSWERED = {"news", "weather"}
CHANNELS = [Book(), PlainBook(), Trades(), Booted(), Own(), News(), Weather()]


class Reader:
    """A receiver that holds the registry to the grammar, and remembers what it saw."""

    def __init__(self, channel):
        self.channel = channel
        self.state = "waiting"
        self.seen = []
        self.error = None
        self.value = None
        self.connection = 0

    def comes_from(self, connection):
        assert connection >= self.connection
        self.connection = connection

    def start(self, items):
        assert self.state == "waiting"
        self.state = "live"
        for item in items:
            self.take(item)

    def put(self, items, state):
        assert self.state == "live", "no item while it waits, in a gap, or after the end"
        assert items
        if state is not None and self.value is not None:
            # What an overflowing receiver would start over with is what it has seen so far.
            assert ("full", self.value) == state()
        for item in items:
            self.take(item)

    def gap(self, gap):
        assert self.state == "live"
        self.take(gap)

    def resume(self, resumed, items):
        assert self.state == "gap"
        assert resumed.snapshot == bool(items)
        assert resumed.downtime >= 0
        self.take(resumed)
        for item in items:
            self.take(item)

    def fail(self, error):
        assert self.state in ("waiting", "live", "gap")
        self.state = "failed"
        self.error = error()
        assert self.error is not error(), "each raise makes a fresh one"

    def take(self, item):
        last = self.seen[-1] if self.seen else None
        self.seen.append(item)
        if isinstance(item, Gap):
            assert self.state == "live"
            self.state = "gap"
            self.value = None
            return
        if isinstance(item, Resumed):
            assert self.state == "gap"
            self.state = "live"
            return
        assert self.state == "live"
        kind, value = item
        if isinstance(last, Resumed) and last.snapshot:
            assert kind == "full"
        if isinstance(last, tuple) and kind == "to" and last[0] == "to":
            # Behind a snapshot may come what it contains already; apart from that none is missing.
            assert value == last[1] + 1
        self.value = value


def joined(*, channel=CHANNELS[0], ready=True, count=1):
    """Return a registry with so many readers of one channel, and them."""
    registry = Registry()
    if ready:
        registry.ready(1)
    readers = [Reader(channel) for _ in range(count)]
    for reader in readers:
        registry.join(channel, reader, 0.0)
    return registry, registry.entries[channel], readers


def live(*, channel=CHANNELS[0], snapshot=("full", 5), count=1):
    """The same, live with a snapshot."""
    registry, entry, readers = joined(channel=channel, count=count)
    registry.sent(entry, 1, 0.0)
    registry.confirmed(entry, 1, snapshot, 0.0)
    return registry, entry, readers


# -- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("cause", Cause)
def test_an_entry_moves_by_the_table_and_not_otherwise(state, cause):
    """Each cell that is filled is a transition, each other one an error."""
    entry = registry_module.Entry(Book(), state=state)

    if (state, cause) in TRANSITIONS:
        entry.move(cause)
        assert TRANSITIONS[state, cause] is entry.state
    else:
        with pytest.raises(KeyError):
            entry.move(cause)


def test_the_end_states_are_ends():
    """What was refused or left is gone; a new wish makes a new entry."""
    ends = {State.REFUSED, State.RELEASED}

    assert set() == {state for state, _ in TRANSITIONS if state in ends}
    assert set(State) - ends == {state for state, _ in TRANSITIONS}


# -- joining and leaving -------------------------------------------------------------------------


def test_the_first_reader_asks_and_the_last_one_stops():
    """Readers between them share the wire."""  # S4
    registry = Registry()
    registry.ready(1)
    first, second = Reader(Book()), Reader(Book())

    effects = registry.join(Book(), first, 0.0)
    entry = registry.entries[Book()]
    assert [Ask(entry, 1, on=True)] == effects
    assert [] == registry.join(Book(), second, 0.0)
    registry.sent(entry, 1, 0.0)
    registry.confirmed(entry, 1, ("full", 5), 0.0)
    assert [("full", 5)] == first.seen == second.seen

    assert [] == registry.leave(Book(), first)
    assert [Ask(entry, 1, on=False)] == registry.leave(Book(), second)
    assert {} == registry.entries
    assert State.RELEASED is entry.state


def test_while_there_is_no_connection_wishes_are_only_noted():
    """They are honoured at the next login; what nobody wants any more is not asked for."""  # W17
    registry = Registry()
    stays, leaves = Reader(Book()), Reader(Trades())
    assert [] == registry.join(Book(), stays, 0.0)
    assert [] == registry.join(Trades(), leaves, 0.0)
    assert [] == registry.leave(Trades(), leaves)

    assert [Ask(registry.entries[Book()], 1, on=True)] == registry.ready(1)


def test_a_wish_that_is_still_queued_is_withdrawn():
    """What never left needs no unsubscribing."""
    registry, entry, [reader] = joined()

    assert [Withdraw(entry)] == registry.leave(Book(), reader)


def test_leaving_while_the_confirmation_is_awaited_unsubscribes():
    """A confirmation that still arrives finds nobody, and wakes nobody."""
    registry, entry, [reader] = joined()
    registry.sent(entry, 1, 0.0)

    assert [Ask(entry, 1, on=False)] == registry.leave(Book(), reader)
    assert [] == registry.confirmed(entry, 1, ("full", 5), 0.0)
    assert [] == reader.seen
    assert {} == registry.entries


def test_leaving_what_is_not_there_does_nothing():
    """A receiver whose channel was refused leaves, too."""
    registry, entry, [reader] = joined()
    registry.sent(entry, 1, 0.0)
    registry.refused(entry, 1, "no", "no such book")

    assert [] == registry.leave(Book(), reader)


def test_what_was_read_and_not_handed_over_leaves_with_the_last_reader():
    """Nothing is delivered to those who have left."""
    registry, _, [reader] = live()
    registry.push(Book(), ("to", 6), 0.0)
    registry.leave(Book(), reader)
    registry.flush()

    assert [("full", 5)] == reader.seen


def test_a_late_joiner_starts_with_the_folded_state():
    """As if it had been there from the start; what is in hand goes to those before it first."""
    registry, _, [early] = live()
    registry.push(Book(), ("to", 6), 0.0)
    late = Reader(Book())

    assert [] == registry.join(Book(), late, 0.0)
    registry.push(Book(), ("to", 7), 0.0)
    registry.flush()

    assert [("full", 5), ("to", 6), ("to", 7)] == early.seen
    assert [("full", 6), ("to", 7)] == late.seen


@pytest.mark.parametrize("channel", [PlainBook(), Trades()])
def test_a_late_joiner_without_a_fold_is_told_that_it_is_late(channel):
    """Never silently in the middle."""
    registry, _, _ = live(channel=channel, snapshot=None)
    late = Reader(channel)

    registry.join(channel, late, 0.0)

    assert [Gap(GapReason.JOINED_LATE, connection=1), Resumed(False)] == late.seen


# -- confirmation --------------------------------------------------------------------------------


def test_a_reply_makes_it_live_with_its_snapshot_first():
    """Then what came early, then the rest."""  # M12
    registry, entry, [reader] = joined()
    registry.push(Book(), ("to", 1), 0.0)
    assert 1 == registry.unrouted, "before the frame left: the snapshot will contain it"
    registry.sent(entry, 1, 0.0)
    registry.push(Book(), ("to", 6), 0.0)
    registry.confirmed(entry, 1, ("full", 5), 0.0)
    registry.push(Book(), ("to", 7), 0.0)
    registry.flush()

    assert [("full", 5), ("to", 6), ("to", 7)] == reader.seen
    assert 1 == registry.unrouted


def test_being_sent_is_enough_where_the_venue_confirms_nothing():
    """For ``SENT``."""
    registry, entry, [reader] = joined(channel=Weather())

    assert [] == registry.sent(entry, 1, 0.0)
    assert State.LIVE is entry.state
    assert "live" == reader.state


def test_the_first_push_confirms_where_nothing_else_does():
    """And it is an item itself."""
    registry, entry, [reader] = joined(channel=News())
    registry.sent(entry, 1, 0.0)
    assert State.PENDING is entry.state

    registry.push(News(), ("to", 3), 0.0)
    registry.flush()

    assert State.LIVE is entry.state
    assert [("to", 3)] == reader.seen


@attrs.frozen
class Headlines(News):
    """Confirmed by its first push, and with something to ask for then."""

    @property
    def bootstrap(self):
        return GetNumber(self.name)


def test_a_first_push_is_followed_by_the_bootstrap_once():
    """It confirms that items come; what was before them is asked for, and comes first."""
    registry, entry, [reader] = joined(channel=Headlines())
    assert [] == registry.sent(entry, 1, 0.0)

    assert [Bootstrap(entry, 1, GetNumber("news"))] == registry.push(Headlines(), ("to", 6), 0.0)
    assert [] == registry.push(Headlines(), ("to", 7), 0.0)
    registry.bootstrapped(entry, 1, ("full", 5), 0.0)
    registry.flush()

    assert [("full", 5), ("to", 6), ("to", 7)] == reader.seen


@pytest.mark.parametrize("channel", [Booted(), Own()])
def test_a_bootstrap_gets_the_snapshot(channel):
    """Asked for behind the subscription, and waited for as long."""
    registry, entry, [reader] = joined(channel=channel)
    effects = registry.sent(entry, 1, 0.0)
    if channel.confirm is Confirm.REPLY:
        assert [] == effects
        effects = registry.confirmed(entry, 1, None, 0.0)
    assert [Bootstrap(entry, 1, GetNumber(channel.name))] == effects
    registry.push(channel, ("to", 6), 0.0)
    assert "waiting" == reader.state

    registry.bootstrapped(entry, 1, ("full", 5), 0.0)
    registry.flush()

    assert [("full", 5), ("to", 6)] == reader.seen


def test_a_reply_that_is_a_snapshot_makes_the_bootstrap_superfluous():
    """The venue may have brought it already."""
    registry, entry, [reader] = joined(channel=Booted())
    registry.sent(entry, 1, 0.0)

    assert [] == registry.confirmed(entry, 1, ("full", 5), 0.0)
    assert [("full", 5)] == reader.seen


@pytest.mark.parametrize("what", ["sent", "confirmed", "bootstrapped", "refused", "timed out"])
def test_news_of_an_older_attempt_mean_nothing(what):
    """Each attempt has a number, and late answers carry it."""  # M9
    registry, entry, [reader] = joined(channel=Booted())
    registry.sent(entry, 1, 0.0)
    registry.interrupt(Booted(), GapReason.RESUBSCRIBED, 0.0)
    if what != "sent":
        registry.sent(entry, 2, 0.0)
    before = entry.state

    match what:
        case "sent":
            assert [] == registry.sent(entry, 1, 0.0)
        case "confirmed":
            assert [] == registry.confirmed(entry, 1, None, 0.0)
        case "bootstrapped":
            registry.bootstrapped(entry, 1, ("full", 4), 0.0)
        case "refused":
            registry.refused(entry, 1, "no", "no")
        case "timed out":
            assert [] == registry.timed_out(entry, 1, 5)

    assert (before, "waiting", 2) == (entry.state, reader.state, entry.generation)


def test_a_refusal_ends_the_readers_of_that_channel_alone():
    """With the venue's own code and text, on an exception for each."""  # S6
    registry, entry, readers = joined(count=2)
    other = Reader(Trades())
    registry.join(Trades(), other, 0.0)
    registry.sent(entry, 1, 0.0)

    registry.refused(entry, 1, "7", "no such book")

    assert ["failed", "failed", "waiting"] == [r.state for r in (*readers, other)]
    assert State.REFUSED is entry.state
    for reader in readers:
        assert isinstance(reader.error, SubscriptionRefused)
        assert (Book(), "7", "no such book") == (
            reader.error.channel,
            reader.error.code,
            reader.error.message,
        )
    assert readers[0].error is not readers[1].error
    assert [Trades()] == list(registry.entries)


def test_a_refusal_after_a_reconnect_ends_those_who_were_live():
    """That receiver alone gets the error; others live."""  # W18
    registry, entry, [reader] = live()
    registry.lost(1.0)
    registry.ready(2)
    registry.sent(entry, 2, 2.0)
    registry.refused(entry, 2, "7", "not any more")

    assert "failed" == reader.state
    assert [("full", 5), Gap(GapReason.DISCONNECTED, connection=1)] == reader.seen


def test_silence_ends_the_readers_and_unsubscribes():
    """In case it was subscribed all the same."""  # S6
    registry, entry, [reader] = joined()
    registry.sent(entry, 1, 0.0)

    assert [Ask(entry, 1, on=False)] == registry.timed_out(entry, 1, 5)
    assert isinstance(reader.error, SubscriptionTimeout)
    assert "within 5 s" in str(reader.error)
    assert {} == registry.entries


def test_a_confirmation_in_time_outlives_its_deadline():
    """The alarm rings for nothing."""
    registry, entry, [reader] = live()

    assert [] == registry.timed_out(entry, 1, 5)
    assert "live" == reader.state


def test_a_new_wish_after_a_refusal_is_a_new_attempt():
    """And what belongs to the old entry does not touch it."""
    registry, old, [_] = joined()
    registry.sent(old, 1, 0.0)
    registry.refused(old, 1, "no", "no")
    reader = Reader(Book())
    registry.join(Book(), reader, 0.0)
    new = registry.entries[Book()]
    registry.sent(new, 1, 0.0)

    registry.confirmed(old, 1, ("full", 4), 0.0)
    registry.refused(old, 1, "no", "no")

    assert "waiting" == reader.state
    registry.confirmed(new, 1, ("full", 5), 0.0)
    assert [("full", 5)] == reader.seen


# -- losing and regaining ------------------------------------------------------------------------


def test_a_loss_is_a_gap_and_a_new_connection_resumes():
    """What was read before the loss comes before the gap; downtime is measured."""  # W13
    registry, entry, [reader] = live()
    registry.push(Book(), ("to", 6), 10.0)
    registry.lost(10.0)
    assert [Ask(entry, 2, on=True)] == registry.ready(2)
    registry.sent(entry, 2, 12.0)
    registry.confirmed(entry, 2, ("full", 9), 12.5)

    assert [
        ("full", 5),
        ("to", 6),
        Gap(GapReason.DISCONNECTED, connection=1),
        Resumed(True, 2.5),
        ("full", 9),
    ] == reader.seen


def test_a_reader_knows_the_connection_that_its_items_come_from():
    """From the first on which it was live; whoever joins there, too."""
    registry, entry, [reader] = live()
    assert 1 == reader.connection
    registry.lost(1.0)
    registry.ready(2)
    assert 1 == reader.connection
    registry.sent(entry, 2, 2.0)
    registry.confirmed(entry, 2, ("full", 9), 2.0)
    late = Reader(Book())
    registry.join(Book(), late, 3.0)

    assert (2, 2) == (reader.connection, late.connection)


def test_what_came_early_does_not_outlive_its_subscription():
    """After a fresh start, older pushes would follow a newer snapshot."""
    registry, entry, [reader] = joined()
    registry.sent(entry, 1, 0.0)
    registry.push(Book(), ("to", 3), 0.0)
    [stop] = registry.interrupt(Book(), GapReason.RESUBSCRIBED, 1.0)
    assert [Ask(entry, 2, on=True)] == registry.stopped(stop)
    registry.sent(entry, 2, 1.0)
    registry.confirmed(entry, 2, ("full", 9), 2.0)
    registry.flush()

    assert [("full", 9)] == reader.seen


def test_lost_twice_is_one_gap():
    """A connection that fails before the channel is live again adds nothing."""
    registry, entry, [reader] = live()
    registry.lost(10.0)
    registry.ready(2)
    registry.sent(entry, 2, 11.0)
    registry.lost(12.0)
    registry.lost(13.0)
    registry.ready(3)
    registry.sent(entry, 3, 20.0)
    registry.confirmed(entry, 3, ("full", 9), 20.0)

    assert [
        ("full", 5),
        Gap(GapReason.DISCONNECTED, connection=1),
        Resumed(True, 10.0),
        ("full", 9),
    ] == reader.seen


def test_who_was_never_live_sees_no_gap():
    """It is still entering; there is no continuity to lose."""
    registry, entry, [reader] = joined()
    registry.sent(entry, 1, 0.0)
    registry.lost(1.0)
    registry.ready(2)
    registry.sent(entry, 2, 2.0)
    registry.confirmed(entry, 2, ("full", 5), 2.0)

    assert [("full", 5)] == reader.seen


def test_one_who_joins_in_an_outage_starts_where_the_others_resume():
    """Both from the same snapshot."""
    registry, entry, [early] = live()
    registry.lost(1.0)
    late = Reader(Book())
    registry.join(Book(), late, 2.0)
    registry.ready(2)
    registry.sent(entry, 2, 3.0)
    registry.confirmed(entry, 2, ("full", 9), 3.0)

    assert [("full", 9)] == late.seen
    assert [Resumed(True, 2.0), ("full", 9)] == early.seen[-2:]


def test_a_queued_frame_dies_with_its_connection():
    """Its handle means nothing to the next outbox."""
    registry, entry, _ = joined()
    entry.queued = 17
    registry.lost(1.0)

    assert entry.queued is None


@pytest.mark.parametrize("reason", [GapReason.SEQUENCE, GapReason.RESUBSCRIBED])
def test_a_hole_stops_and_starts_the_channel(reason):
    """On the same connection, with a fresh snapshot."""  # M12
    registry, entry, [reader] = live()
    registry.push(Book(), ("to", 6), 1.0)

    [stop] = registry.interrupt(Book(), reason, 1.0)
    assert Ask(entry, 1, on=False) == stop
    registry.push(Book(), ("to", 8), 1.0)
    assert [Ask(entry, 2, on=True)] == registry.stopped(stop)
    registry.sent(entry, 2, 1.0)
    registry.confirmed(entry, 2, ("full", 9), 3.0)

    assert [
        ("full", 5),
        ("to", 6),
        Gap(reason, connection=1),
        Resumed(True, 2.0),
        ("full", 9),
    ] == reader.seen


def test_a_start_waits_until_the_stop_before_it_was_answered():
    """What was on its way when the channel was stopped must not come behind the new snapshot.

    It would undo what happened between stop and start, of which nobody tells: an order that was
    opened before and closed in between would stay in the book for ever.
    """  # M12
    registry, _, [reader] = live()
    [stop] = registry.leave(Book(), reader)
    reader = Reader(Book())

    assert [] == registry.join(Book(), reader, 0.0)
    registry.push(Book(), ("to", 6), 0.0)  # on its way since before the stop
    entry = registry.entries[Book()]
    assert [Ask(entry, 1, on=True)] == registry.stopped(stop)
    registry.sent(entry, 1, 0.0)
    registry.confirmed(entry, 1, ("full", 7), 0.0)
    registry.flush()

    assert [("full", 7)] == reader.seen


def test_a_stop_that_nobody_waits_for_starts_nothing():
    """Nobody wants the channel any more, or it was answered before, or there is no connection."""
    registry, _, [reader] = live()
    [stop] = registry.leave(Book(), reader)
    assert [] == registry.stopped(stop)

    reader = Reader(Book())
    registry.join(Book(), reader, 0.0)
    entry = registry.entries[Book()]
    assert [] == registry.stopped(stop), "its start is on its way already"

    registry.sent(entry, 1, 0.0)
    [stop] = registry.leave(Book(), reader)
    registry.join(Book(), Reader(Book()), 0.0)
    registry.lost(1.0)
    assert [] == registry.stopped(stop)
    assert [Ask(registry.entries[Book()], 2, on=True)] == registry.ready(2)


def test_a_late_answer_to_an_older_stop_starts_nothing():
    """It was given up, and the channel started and stopped again since."""
    registry, entry, _ = live()
    [old] = registry.interrupt(Book(), GapReason.RESUBSCRIBED, 0.0)
    registry.stopped(old)
    registry.sent(entry, 2, 0.0)
    registry.confirmed(entry, 2, ("full", 7), 0.0)
    [new] = registry.interrupt(Book(), GapReason.RESUBSCRIBED, 0.0)

    assert [] == registry.stopped(old)
    assert [Ask(entry, 3, on=True)] == registry.stopped(new)


@pytest.mark.parametrize("channel", [Own(), News(), Weather()])
def test_where_a_stop_is_not_answered_a_start_does_not_wait(channel):
    """There is nothing to wait for."""
    registry, entry, _ = joined(channel=channel)
    registry.sent(entry, 1, 0.0)

    assert [Ask(entry, 1, on=False), Ask(entry, 2, on=True)] == registry.interrupt(
        channel, GapReason.RESUBSCRIBED, 0.0
    )


def test_a_hole_while_nothing_flows_changes_nothing():
    """A fresh start is under way already, or nobody wants it."""
    registry, _, [reader] = joined()
    assert [] == registry.interrupt(Book(), GapReason.SEQUENCE, 1.0)
    assert [] == registry.interrupt(Trades(), GapReason.SEQUENCE, 1.0)
    registry.lost(2.0)
    assert [] == registry.interrupt(Book(), GapReason.SEQUENCE, 3.0)

    assert [] == reader.seen


def test_too_many_early_pushes_start_the_subscription_over(monkeypatch):
    """What is held is bounded; a reader that was never live does not notice."""
    monkeypatch.setattr(registry_module, "HELD_LIMIT", 3)
    registry, entry, [reader] = joined()
    registry.sent(entry, 1, 0.0)
    for n in range(3):
        assert [] == registry.push(Book(), ("to", n), 0.0)

    [stop] = registry.push(Book(), ("to", 3), 0.0)
    assert Ask(entry, 1, on=False) == stop
    assert [Ask(entry, 2, on=True)] == registry.stopped(stop)
    registry.sent(entry, 2, 0.0)
    registry.confirmed(entry, 2, ("full", 9), 0.0)
    assert [("full", 9)] == reader.seen


def test_the_end_hands_over_what_was_read_and_returns_the_readers():
    """In order of joining."""
    registry, _, readers = live(count=2)
    registry.push(Book(), ("to", 6), 0.0)

    assert readers == registry.end()
    assert {} == registry.entries
    assert [[("full", 5), ("to", 6)]] * 2 == [reader.seen for reader in readers]


# -- the machine ---------------------------------------------------------------------------------


class Venue:
    """The far side of one connection: numbers that grow, and who watches them."""

    def __init__(self, truth):
        self.truth = truth
        self.watched = {"own"}
        self.inbound = deque()
        self.outbound = deque()

    def tick(self, name):
        """Let a number grow, and tell if somebody watches it.

        Where a stop is not answered nobody can tell what was on its way before it from what comes
        behind the next start; so there nothing happens between the two while something is.
        """
        on_the_way = any(m[0] == "push" and m[1] == name for m in self.outbound)
        if name in UNANSWERED and name not in self.watched and on_the_way:
            return
        self.truth[name] += 1
        if name in self.watched:
            self.outbound.append(("push", name, self.truth[name]))

    def answer(self, refuse):
        """Work on the oldest frame."""
        effect = self.inbound.popleft()
        channel = effect.entry.channel
        name = channel.name
        if isinstance(effect, Bootstrap):
            self.outbound.append(("reply", effect, ("full", self.truth[name])))
            return
        replies = channel.confirm is Confirm.REPLY
        if not effect.on:
            self.watched.discard(name)
            if replies:
                self.outbound.append(("reply", effect, None))
        elif refuse and replies:
            self.outbound.append(("refusal", effect, None))
        else:
            assert name not in self.watched, "a second subscription is an error at the venue"
            self.watched.add(name)
            if replies:
                whole = channel.snapshots and channel.bootstrap is None
                value = ("full", self.truth[name]) if whole else None
                self.outbound.append(("reply", effect, value))

    def chatter_first(self):
        """Let the pushes behind the oldest reply overtake it, as venues do."""
        late = next((n for n, message in enumerate(self.outbound) if message[0] != "push"), None)
        if late is not None:
            message = self.outbound[late]
            del self.outbound[late]
            behind = late
            while behind < len(self.outbound) and self.outbound[behind][0] == "push":
                behind += 1
            self.outbound.insert(behind, message)


class RegistryMachine(RuleBasedStateMachine):
    """Readers come and go, the wire is slow, connections break; the laws hold at every step."""

    def __init__(self):
        super().__init__()
        self.registry = Registry()
        self.now = 0.0
        self.connection = 0
        self.venue = None
        self.queue = deque()  # effects in the control lane
        self.readers = []
        self.truth = {channel.name: 0 for channel in CHANNELS}
        self.channels = CHANNELS

    # Few channels at a time: the races are between events of one channel.
    @initialize(channels=st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=2, unique=True))
    def start_live(self, channels):
        self.channels = channels
        self.connect()
        for channel in channels:
            self.join(channel)
        self.settle()

    def one(self, data):
        return data.draw(st.sampled_from(self.channels))

    # what the shell does

    def apply(self, effects):
        for effect in effects:
            if isinstance(effect, Withdraw):
                self.queue = deque(
                    item
                    for item in self.queue
                    if not (isinstance(item, Ask) and item.on and item.entry is effect.entry)
                )
            elif isinstance(effect, Ask) and effect.entry.channel.confirm is Confirm.IMPLICIT:
                if effect.on:
                    self.apply(self.registry.sent(effect.entry, effect.generation, self.now))
            elif self.venue is not None:
                self.queue.append(effect)

    def send_one(self):
        effect = self.queue.popleft()
        self.venue.inbound.append(effect)
        if isinstance(effect, Ask) and effect.on:
            self.apply(self.registry.sent(effect.entry, effect.generation, self.now))

    def read(self, count):
        for _ in range(min(count, len(self.venue.outbound))):
            kind, subject, value = self.venue.outbound.popleft()
            if kind == "push":
                [channel] = [channel for channel in CHANNELS if channel.name == subject]
                self.apply(self.registry.push(channel, ("to", value), self.now))
            elif kind == "refusal":
                self.registry.refused(subject.entry, subject.generation, "no", "no")
            elif isinstance(subject, Bootstrap):
                self.registry.bootstrapped(subject.entry, subject.generation, value, self.now)
            elif subject.on:
                self.apply(
                    self.registry.confirmed(subject.entry, subject.generation, value, self.now)
                )
            else:
                self.apply(self.registry.stopped(subject))
        self.registry.flush()

    def settle(self):
        """Let everything that is on its way arrive."""
        while self.queue or self.venue.inbound or self.venue.outbound:
            while self.queue:
                self.send_one()
            while self.venue.inbound:
                self.venue.answer(refuse=False)
            self.read(10**6)

    def leave(self, reader):
        self.readers.remove(reader)
        self.apply(self.registry.leave(reader.channel, reader))

    # what happens

    connected = precondition(lambda self: self.venue is not None)

    @precondition(lambda self: self.venue is None)
    @rule()
    def connect(self):
        self.connection += 1
        self.venue = Venue(self.truth)
        self.apply(self.registry.ready(self.connection))

    @connected
    @rule()
    def lose(self):
        self.registry.lost(self.now)
        self.queue.clear()
        self.venue = None

    @rule(data=st.data())
    def join_one(self, data):
        self.join(self.one(data))

    def join(self, channel):
        reader = Reader(channel)
        self.readers.append(reader)
        self.apply(self.registry.join(channel, reader, self.now))

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def leave_one(self, data):
        self.leave(data.draw(st.sampled_from(self.readers)))

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def leave_and_come_back(self, data):
        reader = data.draw(st.sampled_from(self.readers))
        self.leave(reader)
        self.join(reader.channel)

    @connected
    @rule(data=st.data(), reason=st.sampled_from(["SEQUENCE", "RESUBSCRIBED"]))
    def interrupt(self, data, reason):
        self.apply(self.registry.interrupt(self.one(data), GapReason[reason], self.now))

    @precondition(lambda self: self.queue)
    @rule(count=st.integers(1, 5))
    def send(self, count):
        for _ in range(min(count, len(self.queue))):
            self.send_one()

    @precondition(lambda self: self.venue is not None and self.venue.inbound)
    @rule(count=st.sampled_from([1, 1, 1, 5]), refuse=st.sampled_from([False, False, False, True]))
    def venue_answers(self, count, refuse):
        for _ in range(min(count, len(self.venue.inbound))):
            self.venue.answer(refuse)

    @rule(data=st.data(), count=st.integers(1, 3))
    def venue_ticks(self, data, count):
        channel = self.one(data)
        for _ in range(count):
            if self.venue is None:
                self.truth[channel.name] += 1
            else:
                self.venue.tick(channel.name)

    @connected
    @rule()
    def venue_chatters(self):
        self.venue.chatter_first()

    @precondition(lambda self: self.venue is not None and self.venue.outbound)
    @rule(count=st.integers(1, 20))
    def client_reads(self, count):
        self.read(count)

    @connected
    @rule(data=st.data())
    def time_passes_without_a_confirmation(self, data):
        entry = self.registry.entries.get(self.one(data))
        assume(entry is not None)
        self.apply(self.registry.timed_out(entry, entry.generation, 5.0))

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds):
        self.now += seconds

    @connected
    @rule()
    def all_arrives(self):
        self.settle()
        self.check_settled()

    # the laws

    @invariant()
    def entries_are_what_somebody_wants(self):
        wanted = {reader.channel for reader in self.readers if reader.state != "failed"}
        assert wanted == set(self.registry.entries)

    @invariant()
    def members_of_an_entry_are_in_step(self):
        for entry in self.registry.entries.values():
            states = {member.subscriber.state for member in entry.members if member.started}
            assert states <= ({"live"} if entry.state is State.LIVE else {"gap"})

    def check_settled(self):
        """Nothing is on its way: everybody is live, and has the truth."""
        names = {channel.name for channel in self.registry.entries}
        assert names | {"own"} == self.venue.watched
        for reader in self.readers:
            if reader.state == "failed":
                continue
            if reader.channel.confirm is Confirm.FIRST_PUSH and reader.state != "live":
                continue
            assert "live" == reader.state
            if reader.channel.snapshots and reader.value is not None:
                assert self.truth[reader.channel.name] == reader.value
            assert reader.value is not None or reader.channel != Book()

    def teardown(self):
        if self.venue is None:
            self.connect()
        self.settle()
        self.check_settled()


RegistryMachine.TestCase.settings = settings(deadline=None)
TestRegistryMachine = RegistryMachine.TestCase
