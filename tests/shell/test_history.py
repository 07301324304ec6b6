"""Whatever the venue and the user do to a client, its receivers and tickets tell the truth.

A course of events is drawn, played against the simulated exchange on a virtual clock, and then all
faults end. The exchange's own record is the truth; what receivers and tickets said on the way is
held against it.
"""  # S7, R1, R2, R5, W17

from __future__ import annotations

import json
from collections import Counter

import attrs
import trio
from hypothesis import given, settings, strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tests import acme
from trioflex import (
    Gap,
    NotSent,
    OutcomeUnknown,
    Overflow,
    ReceiverOverflow,
    Reconnect,
    Resumed,
    SubscriptionTimeout,
    TicketState,
    open_client,
)
from trioflex.simulator import SimulatedExchange

BOOK = acme.Book("X")
PATIENT = Reconnect(base=0.5, cap=4, give_up_after=None)
QUIET_AT_LAST = 120.0  # more than keepalive, back-off and every timeout of the venue together


# -- what may happen -----------------------------------------------------------------------------

ONCE = ["silence place", "silence watch", "delay place", "delay watch", "duplicate *", "reorder"]
WHILE = ["dark", "stall", "refuse_connections", "accept_and_drop", "withhold_welcome"]

EVENTS = st.one_of(
    st.tuples(st.just("tick"), st.integers(1, 12)),
    st.tuples(st.just("read"), st.integers(0, 5), st.sampled_from([1, 3, 100])),
    st.tuples(st.just("join"), st.sampled_from(Overflow), st.sampled_from([4, 6, 1000])),
    st.tuples(st.just("leave"), st.integers(0, 5)),
    st.tuples(st.just("rejoin"), st.integers(0, 5)),
    st.tuples(st.just("resubscribe"), st.integers(0, 5)),
    st.tuples(st.just("order"), st.sampled_from([None, 0.0, 0.5, 20.0])),
    st.tuples(st.just("sleep"), st.sampled_from([0.0, 0.1, 1.0, 6.0, 40.0])),
    st.tuples(st.sampled_from(["settle", "drop", "close", "garble", "disconnect", "reconnect"])),
    st.tuples(st.just("once"), st.sampled_from(ONCE)),
    st.tuples(st.just("while"), st.sampled_from(WHILE)),
    st.tuples(st.just("heal")),
)


@attrs.define(eq=False)
class Reader:
    """A receiver's reader: what it saw, and how it ended."""

    overflow: Overflow
    buffer: int
    receiver: object = None
    seen: list = attrs.field(factory=list)
    end: type[Exception] | None = None
    left: trio.Event = attrs.field(factory=trio.Event)


class Play:
    """One course of events."""

    def __init__(self, fidelity):
        self.model = acme.Model()
        self.exchange = SimulatedExchange(self.model)
        self.connector = getattr(self.exchange, fidelity)
        self.number = 0
        self.readers = []
        self.orders = {}
        self.outcomes = {}
        self.connected = True

    async def run(self, events):
        async with trio.open_nursery() as nursery:
            self.nursery = nursery
            async with open_client(
                acme.VENUE, credentials=acme.JOE, connector=self.connector, reconnect=PATIENT
            ) as self.client:
                for name, *arguments in events:
                    await getattr(self, f"do_{name}")(*arguments)
                await self.recover()
                self.check_readers()
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        self.check_orders()
        assert () == self.exchange.open_connections

    async def recover(self):
        """Let all faults end, and look whether everything is as it should be."""
        self.exchange.faults.stop_all()
        if not self.connected:
            await self.do_reconnect()
        await trio.sleep(QUIET_AT_LAST)
        await self.client.wait_ready()
        self.drain_all()
        await self.do_tick(1)
        await wait_all_tasks_blocked()
        self.drain_all()

    # -- the events ----------------------------------------------------------------------------

    async def do_tick(self, count):
        for _ in range(count):
            self.number += 1
            self.model.tick(self.number % 5, self.number)

    async def do_read(self, which, count):
        if self.readers:
            self.read(self.readers[which % len(self.readers)], count)

    async def do_join(self, overflow, buffer):
        reader = Reader(overflow, buffer)
        self.readers.append(reader)
        self.nursery.start_soon(self.subscribed, reader)
        await trio.lowlevel.checkpoint()

    async def do_leave(self, which):
        if self.readers:
            reader = self.readers.pop(which % len(self.readers))
            reader.left.set()
            check(reader)
            await trio.lowlevel.checkpoint()

    async def do_rejoin(self, which):
        if self.readers:
            reader = self.readers[which % len(self.readers)]
            await self.do_leave(which)
            await self.do_join(reader.overflow, reader.buffer)

    async def do_resubscribe(self, which):
        if self.readers:
            receiver = self.readers[which % len(self.readers)].receiver
            if receiver is not None:
                receiver.resubscribe()

    async def do_order(self, patience):
        name = f"order {len(self.orders)}"
        self.orders[name] = None
        self.nursery.start_soon(self.order, name, patience)
        await trio.lowlevel.checkpoint()

    async def do_sleep(self, seconds):
        await trio.sleep(seconds)

    async def do_settle(self):
        await wait_all_tasks_blocked()

    async def do_drop(self):
        self.exchange.drop()

    async def do_close(self):
        self.exchange.close(1012, "restarting")

    async def do_garble(self):
        self.exchange.garble()

    async def do_disconnect(self):
        self.connected = False
        with trio.move_on_after(1):
            await self.client.disconnect()

    async def do_reconnect(self):
        self.connected = True
        with trio.move_on_after(1):
            await self.client.reconnect()

    async def do_once(self, what):
        verb, _, method = what.partition(" ")
        match verb:
            case "delay":
                self.exchange.delay(method, 2.0, times=1)
            case "reorder":
                self.exchange.reorder(2)
            case _:
                getattr(self.exchange, verb)(method, times=1)

    async def do_while(self, what):
        match what:
            case "dark":
                self.exchange.go_dark()
            case _:
                getattr(self.exchange, what)()

    async def do_heal(self):
        self.exchange.faults.stop_all()

    # -- the user's tasks ----------------------------------------------------------------------

    async def subscribed(self, reader):
        try:
            async with self.client.subscribe(
                BOOK, buffer=reader.buffer, overflow=reader.overflow
            ) as reader.receiver:
                await reader.left.wait()
        except (SubscriptionTimeout, trio.ClosedResourceError) as exc:
            reader.end = type(exc)

    async def order(self, name, patience):
        try:
            ticket = self.orders[name] = await self.client.submit(acme.Place(name, 3))
            with trio.move_on_after(patience if patience is not None else 10**6):
                self.outcomes[name] = await ticket.reply()
        except (NotSent, OutcomeUnknown, trio.ClosedResourceError) as exc:
            self.outcomes[name] = type(exc)

    def read(self, reader, count):
        if reader.receiver is None or reader.left.is_set():
            return
        for _ in range(count):
            try:
                reader.seen.append(reader.receiver.receive_nowait())
            except trio.WouldBlock:
                return
            except (ReceiverOverflow, SubscriptionTimeout) as exc:
                reader.end = type(exc)
                return

    def drain_all(self):
        for reader in self.readers:
            self.read(reader, 10**6)

    # -- the truth -----------------------------------------------------------------------------

    def check_readers(self):
        for reader in self.readers:
            check(reader)
            if reader.end is not None:
                continue
            assert not isinstance(reader.seen[-1], Gap | Resumed), "live, and told so"
            assert acme.Tick(self.number % 5, self.number) == reader.seen[-1] or isinstance(
                reader.seen[-1], acme.Prices
            )
            if reader.overflow is not Overflow.LATEST:
                assert self.model.levels == replayed(reader.seen)
        # A receiver that overflowed is over for its reader, but it is the reader who leaves.
        stay = [
            reader
            for reader in self.readers
            if reader.end in (None, ReceiverOverflow) and reader.receiver._failure is None
        ]
        assert len(stay) == self.client.statistics().receivers
        [peer] = self.model.peers
        assert ({"book:X"} if stay else set()) == peer.channels

    def check_orders(self):
        requests = [json.loads(seen.text) for seen in self.exchange.frames if seen.direction == ">"]
        arrived = Counter(r["name"] for r in requests if r.get("op") == "place")
        assert set(arrived.values()) <= {1}, "never sent twice"
        for name, ticket in self.orders.items():
            outcome = self.outcomes.get(name)
            if outcome is NotSent or ticket is None:
                assert name not in arrived
            if ticket is None:
                continue
            assert ticket.final
            match ticket.state:
                case TicketState.WITHDRAWN | TicketState.NOT_SENT:
                    assert name not in arrived
                case TicketState.ANSWERED:
                    assert self.model.orders[name] == ticket._value
                    assert outcome in (ticket._value, OutcomeUnknown, None), "in time, late, unread"
                case TicketState.UNKNOWN:
                    assert outcome in (OutcomeUnknown, None)


def check(reader):
    """Hold what a reader saw to the laws."""
    last = None
    for item in reader.seen:
        match item:
            case Gap():
                assert not isinstance(last, Gap), "a gap is followed by its end"
            case Resumed():
                assert isinstance(last, Gap), "there is no end without a gap"
            case acme.Prices():
                assert not isinstance(last, Gap), "nothing comes in a gap"
            case acme.Tick(size=number):
                assert not isinstance(last, Gap), "nothing comes in a gap"
                assert not (isinstance(last, Resumed) and last.snapshot), "a snapshot was promised"
                if isinstance(last, acme.Tick):
                    assert number > last.size, "in wire order"
                    if reader.overflow is not Overflow.LATEST:
                        assert number == last.size + 1, "none is missing without a gap"
        last = item


def replayed(items):
    """Return what a fold makes of what a reader saw."""
    fold = acme.PriceFold()
    for item in items:
        if isinstance(item, Gap):
            fold.invalidate()
        elif not isinstance(item, Resumed):
            fold.apply(item)
    return fold.levels


def play(events, fidelity):
    trio.run(Play(fidelity).run, events, clock=MockClock(autojump_threshold=0))


COURSES = st.lists(EVENTS, min_size=8, max_size=50)


@settings(deadline=None)
@given(COURSES)
def test_receivers_and_tickets_tell_the_truth(events):
    """For every course of events that may be drawn."""
    play([("join", Overflow.GAP, 1000), ("settle",), *events], "connector")


@settings(deadline=None, max_examples=15)
@given(COURSES)
def test_receivers_and_tickets_tell_the_truth_over_bytes(events):
    """The same through our WebSocket, where frames are on their way for a while."""
    play([("join", Overflow.GAP, 1000), ("settle",), *events], "byte_connector")
