"""A ticket moves by its diagram, ends once, and the ledger knows what nobody has learned."""

from __future__ import annotations

from typing import ClassVar

import attrs
import pytest
import trio
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from trioflex import (
    LocalProtocolError,
    NotSent,
    OutcomeUnknown,
    RefusalKind,
    Refused,
    ReplyLost,
    Ticket,
    TicketState,
)
from trioflex._shell import ledger as ledger_module
from trioflex._shell.ledger import Ledger
from trioflex._shell.ticket import TRANSITIONS, TicketEvent
from trioflex.protocol import Effect, Request

QUEUED, SENT, ANSWERED = TicketState.QUEUED, TicketState.SENT, TicketState.ANSWERED
WITHDRAWN, NOT_SENT, UNKNOWN = TicketState.WITHDRAWN, TicketState.NOT_SENT, TicketState.UNKNOWN


@attrs.frozen
class Look(Request):
    """It changes nothing."""


@attrs.frozen
class Order(Request):
    """It may change the account."""

    name: str | None = "mine"
    effect: ClassVar = Effect.WRITE

    @property
    def caller_id(self):
        return self.name


def queued(request=None):
    return Ticket(request or Order(), lambda ticket: ticket._give_up())


# How a ticket gets into each state, and how each event happens.
PATHS = {
    QUEUED: [],
    SENT: ["leave"],
    ANSWERED: ["leave", "answer"],
    WITHDRAWN: ["withdraw"],
    NOT_SENT: ["not sent"],
    UNKNOWN: ["leave", "silence"],
}
STEPS = {
    "leave": lambda ticket: ticket._leave(),
    "answer": lambda ticket: ticket._answer("reply"),
    "refuse": lambda ticket: ticket._refuse("7", "no", RefusalKind.OTHER),
    "withdraw": lambda ticket: ticket.withdraw(),
    "not sent": lambda ticket: ticket._not_sent("no way"),
    "silence": lambda ticket: ticket._silence("no answer"),
    "prove": lambda ticket: ticket._prove("proof"),
    "settle": lambda ticket: ticket.settle("settled"),
}


def ticket_in(state, request=None):
    ticket = queued(request)
    for step in PATHS[state]:
        STEPS[step](ticket)
    assert state is ticket.state
    return ticket


# -- the diagram ---------------------------------------------------------------------------------


def test_the_diagram_is_complete():
    """Queued is the start; four states are ends, and from one of them knowledge leads on."""
    ends = {state for state in TicketState if state not in {s for s, _ in TRANSITIONS}}

    assert {ANSWERED, WITHDRAWN, NOT_SENT} == ends
    assert {(UNKNOWN, TicketEvent.ANSWER): ANSWERED} == {
        edge: after for edge, after in TRANSITIONS.items() if edge[0] is UNKNOWN
    }
    assert set(TicketState) - {QUEUED} == set(TRANSITIONS.values())


@pytest.mark.parametrize(
    ("state", "step", "after"),
    [
        (QUEUED, "leave", SENT),
        (QUEUED, "answer", QUEUED),
        (QUEUED, "refuse", QUEUED),
        (QUEUED, "withdraw", WITHDRAWN),
        (QUEUED, "not sent", NOT_SENT),
        (QUEUED, "silence", QUEUED),
        (QUEUED, "prove", QUEUED),
        (SENT, "leave", SENT),
        (SENT, "answer", ANSWERED),
        (SENT, "refuse", ANSWERED),
        (SENT, "withdraw", SENT),
        (SENT, "not sent", NOT_SENT),
        (SENT, "silence", UNKNOWN),
        (SENT, "prove", SENT),
        (UNKNOWN, "leave", UNKNOWN),
        (UNKNOWN, "answer", ANSWERED),
        (UNKNOWN, "refuse", ANSWERED),
        (UNKNOWN, "withdraw", UNKNOWN),
        (UNKNOWN, "not sent", UNKNOWN),
        (UNKNOWN, "silence", UNKNOWN),
        (UNKNOWN, "prove", ANSWERED),
        (UNKNOWN, "settle", ANSWERED),
        *[
            (state, step, state)
            for state in (ANSWERED, WITHDRAWN, NOT_SENT)
            for step in ("leave", "answer", "refuse", "withdraw", "not sent", "silence", "prove")
        ],
    ],
)
def test_where_each_step_leads(state, step, after):
    """What is not in the diagram changes nothing."""
    ticket = ticket_in(state)

    STEPS[step](ticket)

    assert after is ticket.state
    assert ticket.final == (after not in (QUEUED, SENT))


@pytest.mark.parametrize("state", [state for state in TicketState if state is not UNKNOWN])
def test_only_an_unknown_outcome_can_be_settled(state):
    """Whoever settles something else is mistaken, and is told so."""
    with pytest.raises(LocalProtocolError, match=f"this ticket is {state.value}"):
        ticket_in(state).settle("found")


# -- what the caller is told ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        (["withdraw"], NotSent, "Order was not sent: it was withdrawn"),
        (["not sent"], NotSent, "Order was not sent: no way"),
        (["leave", "not sent"], NotSent, "Order was not sent: no way"),
        (["leave", "refuse"], Refused, "Order was refused: no"),
        (["leave", "silence"], OutcomeUnknown, "may or may not have happened; find out before"),
        (["leave", "silence", "refuse"], Refused, "Order was refused: no"),
    ],
)
async def test_an_error_says_what_is_known(steps, error, message):
    """Each raise makes a fresh one, with the ticket on it."""
    ticket = queued()
    for step in steps:
        STEPS[step](ticket)

    with pytest.raises(error, match=message) as first:
        await ticket.reply()
    with pytest.raises(error) as second:
        await ticket.reply()
    assert ticket is first.value.ticket
    assert first.value is not second.value


@pytest.mark.parametrize(
    ("steps", "value"),
    [
        (["leave", "answer"], "reply"),
        (["leave", "silence", "answer"], "reply"),
        (["leave", "silence", "prove"], "proof"),
        (["leave", "silence", "settle"], "settled"),
        (["leave", "prove", "silence"], "proof"),
        (["leave", "prove", "answer"], "reply"),
    ],
)
async def test_what_was_learned_is_the_reply(steps, value):
    """The venue's answer, or a proof where there is none; the answer says more."""
    ticket = queued()
    for step in steps:
        STEPS[step](ticket)

    assert value == await ticket.reply()


async def test_a_refusal_outranks_evidence():
    """A push may have shown the order before the venue refused what came with it."""
    ticket = ticket_in(SENT)
    STEPS["prove"](ticket)
    STEPS["refuse"](ticket)

    with pytest.raises(Refused):
        await ticket.reply()


async def test_an_unanswered_look_is_a_lost_reply():
    """Asking again is safe, and the error's type says so."""
    ticket = ticket_in(UNKNOWN, Look())

    with pytest.raises(ReplyLost, match="Look went unanswered: no answer"):
        await ticket.reply()


async def test_the_cause_is_chained():
    """Why the connection ended belongs to the story."""
    cause = ValueError("why")
    ticket = ticket_in(SENT)
    ticket._silence("the connection ended", cause)

    with pytest.raises(OutcomeUnknown) as caught:
        await ticket.reply()
    assert cause is caught.value.__cause__


# -- waiting -------------------------------------------------------------------------------------


async def test_everybody_who_waits_gets_the_reply(autojump_clock):
    """A ticket may be shared."""
    ticket = ticket_in(SENT)
    got = []

    async def wait():
        got.append(await ticket.reply())

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(wait)
        await trio.sleep(1)
        STEPS["answer"](ticket)

    assert ["reply"] * 3 == got


async def test_an_answer_and_a_cancellation_in_one_turn_are_an_answer(autojump_clock):
    """What has arrived is not thrown away because the caller was cancelled just then."""
    ticket = ticket_in(SENT)
    got = []

    async def wait(scope):
        with scope:
            got.append(await ticket.reply())

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(wait, scope)
        await trio.sleep(1)
        STEPS["answer"](ticket)
        scope.cancel()

    assert ["reply"] == got


async def test_giving_up_before_it_left_withdraws_it(autojump_clock):
    """Decided at the instant of cancellation, so nobody can send it in between."""  # R5
    ticket = queued()
    with trio.move_on_after(1):
        await ticket.reply()

    assert WITHDRAWN is ticket.state


async def test_giving_up_is_for_the_last_one_who_waits(autojump_clock):
    """As long as somebody waits it stays queued."""  # R5
    ticket = queued()

    async def wait(seconds):
        with trio.move_on_after(seconds):
            await ticket.reply()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, 1)
        nursery.start_soon(wait, 2)
        await trio.sleep(1.5)
        assert QUEUED is ticket.state
    assert WITHDRAWN is ticket.state


# -- the ledger ----------------------------------------------------------------------------------


def sent(ledger, request=None):
    ticket = queued(request)
    ticket._leave()
    ledger.sent(ticket)
    return ticket


async def test_an_outcome_that_was_read_is_settled():
    """Answered in the end, and seen by somebody: nothing is left to find out."""
    ledger = Ledger()
    ticket = sent(ledger)
    ticket._silence("no answer")
    ledger.over(ticket)
    assert [ticket] == ledger.unsettled()

    ledger.prove("mine", "proof")
    assert [ticket] == ledger.unsettled(), "nobody has looked yet"
    assert "proof" == await ticket.reply()
    assert [] == ledger.unsettled()


async def test_looking_at_an_unknown_outcome_does_not_settle_it():
    """Knowing that nobody knows is not knowing."""
    ledger = Ledger()
    ticket = sent(ledger)
    ticket._silence("no answer")
    ledger.over(ticket)

    with pytest.raises(OutcomeUnknown):
        await ticket.reply()
    assert [ticket] == ledger.unsettled()
    ticket.settle("found")
    assert [] == ledger.unsettled()


async def test_an_answer_behind_the_callers_back_is_unsettled(autojump_clock):
    """The caller was cancelled while it was under way; somebody should look."""  # R5
    ledger = Ledger()
    ticket, look = sent(ledger), sent(ledger, Look())
    for left in (ticket, look):
        with trio.move_on_after(1):
            await left.reply()
        left._answer("reply")
        ledger.over(left)

    assert [ticket] == ledger.unsettled(), "what changes nothing is of no interest"
    assert not ledger.curious
    assert "reply" == await ticket.reply()
    assert [] == ledger.unsettled()


def test_one_name_may_stand_for_several_orders():
    """A push that shows it settles those whose outcome is unknown, and waits for the others."""
    ledger = Ledger()
    first, second, other = sent(ledger), sent(ledger), sent(ledger, Order("other"))
    for ticket in (first, other):
        ticket._silence("no answer")
        ledger.over(ticket)

    ledger.prove("mine", "proof")

    assert [ANSWERED, SENT, UNKNOWN] == [t.state for t in (first, second, other)]
    assert 1 == ledger.proven
    second._silence("no answer")
    ledger.over(second)
    assert ANSWERED is second.state, "the proof was kept for it"


def test_the_ledger_forgets_the_oldest(monkeypatch, caplog):
    """A program that never looks at unknown outcomes does not grow, and is told."""
    monkeypatch.setattr(ledger_module, "LIMIT", 3)
    ledger = Ledger()
    tickets = [queued(Order(str(n))) for n in range(5)]
    for ticket in tickets:
        ticket._leave()
        ledger.sent(ticket)
        ticket._silence("no answer")
        ledger.over(ticket)

    assert tickets[2:] == ledger.unsettled()
    assert 3 == len(ledger)
    assert ["forgot"] * 2 == [record.message.split()[0] for record in caplog.records]
    ledger.prove("0", "proof")
    assert UNKNOWN is tickets[0].state, "it was forgotten"
    ledger.prove("4", "proof")
    assert ANSWERED is tickets[4].state


REQUESTS = [Look(), Order("a"), Order("b"), Order(None)]


class TicketMachine(RuleBasedStateMachine):
    """Requests of one client, their answers, their callers' patience, and what pushes prove."""

    tickets = Bundle("tickets")

    @initialize(target=tickets)
    def open(self):
        self.ledger = Ledger()
        self.all = []
        self.history = {}
        self.waiting = set()
        self.learned = set()
        self.left_behind = set()
        return multiple(*(self.submit_one(request, waits=True) for request in REQUESTS))

    @rule(
        target=tickets,
        request=st.sampled_from(REQUESTS),
        waits=st.booleans(),
    )
    def submit(self, request, waits):
        return self.submit_one(request, waits)

    def submit_one(self, request, waits):
        ticket = queued(request)
        self.all.append(ticket)
        self.history[ticket] = [QUEUED]
        if waits:
            self.waiting.add(ticket)
        return ticket

    @rule(ticket=tickets)
    def leave(self, ticket):
        if ticket.state is QUEUED:
            ticket._leave()
            self.ledger.sent(ticket)

    @rule(ticket=tickets)
    def no_way(self, ticket):
        if ticket.state is QUEUED:
            ticket._not_sent("no way")

    @rule(ticket=tickets, refused=st.booleans())
    def answer(self, ticket, refused):
        """A reply finds its ticket if it was sent, in time or late."""
        before = ticket.state
        took = STEPS["refuse" if refused else "answer"](ticket)
        assert took == (before in (SENT, UNKNOWN))
        if took:
            self.ledger.over(ticket)

    @rule(ticket=tickets)
    def silence(self, ticket):
        if ticket.state is SENT:
            ticket._silence("no answer")
            self.ledger.over(ticket)

    @rule(name=st.sampled_from(["a", "b", "c"]))
    def prove(self, name):
        """A push shows that an order of this name exists."""
        unknown = [t for t in self.all if t.state is UNKNOWN and t.request == Order(name)]
        before = self.ledger.proven
        self.ledger.prove(name, "proof")
        assert {ANSWERED} >= {ticket.state for ticket in unknown}
        assert before + len(unknown) == self.ledger.proven

    @rule(ticket=tickets)
    def give_up(self, ticket):
        """The caller is cancelled, as `reply` does it."""
        if ticket in self.waiting and not ticket.final:
            self.waiting.discard(ticket)
            if ticket.state is QUEUED:
                ticket.withdraw()
            elif ticket._on_abandoned is not None:
                ticket._on_abandoned(ticket)
                self.left_behind.add(ticket)

    @rule(ticket=tickets)
    def learn(self, ticket):
        """The caller reads the outcome."""
        if not ticket.final:
            return
        try:
            ticket._result()
        except Refused:
            assert ANSWERED is ticket.state
        except NotSent:
            assert ticket.state in (WITHDRAWN, NOT_SENT)
        except (ReplyLost, OutcomeUnknown) as exc:
            assert UNKNOWN is ticket.state
            assert isinstance(exc, ReplyLost) == (ticket.request == Look())  # noqa: PT017
            return
        self.learned.add(ticket)

    @rule(ticket=tickets)
    def settle(self, ticket):
        if ticket.state is UNKNOWN:
            ticket.settle("settled")
            self.learned.add(ticket)

    @invariant()
    def states_follow_the_diagram(self):
        for ticket in self.all:
            history = self.history[ticket]
            if history[-1] is not ticket.state:
                assert ticket.state in {
                    after for (before, _), after in TRANSITIONS.items() if before is history[-1]
                } | ({UNKNOWN, ANSWERED} if history[-1] is SENT else set())
                history.append(ticket.state)

    @invariant()
    def the_ledger_holds_what_nobody_has_learned(self):
        expected = [
            ticket
            for ticket in self.all
            if ticket.request != Look()
            and ticket not in self.learned
            and (UNKNOWN in self.history[ticket] or ticket in self.left_behind)
        ]
        assert set(expected) == set(self.ledger.unsettled())
        assert len(expected) == len(self.ledger)

    @invariant()
    def the_ledger_is_curious_only_about_what_evidence_could_settle(self):
        curious = any(
            ticket.state in (SENT, UNKNOWN) and ticket.request.caller_id is not None
            for ticket in self.all
        )
        assert curious == self.ledger.curious


TicketMachine.TestCase.settings = settings(deadline=None)
TestTicketMachine = TicketMachine.TestCase
