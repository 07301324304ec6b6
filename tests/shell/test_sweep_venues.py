"""The whole life of a client of every venue, cancelled at its steps.

The suite takes a sample of the steps; with ``SWEEP=1`` in the environment (``make sweep``) it is
every step.
"""  # X4

from __future__ import annotations

import os
import random
from contextlib import asynccontextmanager
from importlib.metadata import entry_points

import attrs
import pytest
import trio

from soak.desks import DESKS
from soak.history import determined
from trioflex import Gap, OutcomeUnknown, Reconnect, Resumed, TicketState, find_venue, open_client
from trioflex.testing import cancellation_sweep

VENUES = sorted({each.name for each in entry_points(group="trioflex.venues")})

WHOLE = bool(os.environ.get("SWEEP"))

# A life has some hundreds of steps, and each is a run: in seconds there is time for some of them.
STRIDES = {"from_connecting_to_closing": 1 if WHOLE else 16, "logging_in": 1 if WHOLE else 4}

NEVER_LEFT = (TicketState.WITHDRAWN, TicketState.NOT_SENT)

# As in test_sweep.py: no time, and back at once.
NO_TIME = 0.01
A_WHILE = 0.002
RECONNECT = Reconnect(base=1e-3, cap=1e-3, stable_after=0)

ORDERS = (1, 2, 3)

every_fidelity = pytest.mark.parametrize(
    "fidelity", ["connector", "byte_connector"], ids=["messages", "bytes"]
)


class Life:
    """A fresh exchange for each run, what a client does there, and what must be true afterwards."""

    def __init__(self, venue, fidelity):
        self.desk = DESKS[venue]
        self.fidelity = fidelity
        self.begin()

    def begin(self):
        self.exchange = self.desk.exchange(7)
        self.credentials = self.desk.credentials(self.exchange)
        self.tickets = {}

    def open(self, **settings):
        return open_client(
            find_venue(self.desk.venue),
            connector=getattr(self.exchange, self.fidelity),
            env=self.exchange.env,
            reconnect=RECONNECT,
            **settings,
        )

    @asynccontextmanager
    async def following(self, client):
        """Read the channel of the desk; a poll where the venue has none."""
        if self.desk.channel is None:
            receiver = client.poll(self.desk.poll(), every=2)
        else:
            receiver = client.subscribe(self.desk.channel)
        async with receiver as items:
            yield items

    async def submit(self, client, number):
        ticket = await client.submit(self.desk.order(number))
        self.tickets[number] = ticket
        return ticket

    async def logging_in(self):
        """In a client that is open, as nobody."""
        self.begin()
        async with self.open() as client:
            await client.login(self.credentials)
            assert client.account is not None

    async def from_connecting_to_closing(self):
        """All of it: a reader, an answer, a loss with an order under way, and back, twice."""
        self.begin()
        async with (
            self.open(credentials=self.credentials) as client,
            self.following(client) as items,
        ):
            await items.receive()
            ticket = await self.submit(client, 1)
            await ticket.reply()
            # Were it executed, its notices could tell that it was.
            self.exchange.silence(self.desk.place, execute=False, times=1)
            lost = await self.submit(client, 2)
            await self.exchange.seen(self.desk.place, 2)
            # No two logins within a millisecond: a venue's nonce may be made of them.
            await trio.sleep(A_WHILE)
            self.exchange.drop()
            with pytest.raises(OutcomeUnknown):
                await lost.reply()
            await self.back(items)
            await client.disconnect()
            await trio.sleep(A_WHILE)
            await client.reconnect()
            await self.back(items)
            ticket = await self.submit(client, 3)
            await ticket.reply()

    async def back(self, items):
        """Read on until a gap is over, and one item more."""
        if self.desk.channel is None:  # what was lost between two questions is no gap
            await items.receive()
            return
        while not isinstance(await items.receive(), Gap):
            pass
        assert isinstance(await items.receive(), Resumed)
        assert not isinstance(await items.receive(), Gap | Resumed)

    def left_open(self):
        """Name what is wrong after a run: open connections, open tickets, tickets that lie."""
        wrong = [f"connection {number}" for number in self.exchange.open_connections]
        for number in ORDERS:
            made = len(self.desk.made(self.exchange, number))
            ticket = self.tickets.get(number)
            if made > 1:
                wrong.append(f"order {number}, which was made {made} times,")
            if ticket is None:
                if made:
                    wrong.append(f"order {number}, which was made and has no ticket,")
                continue
            if not ticket.final:
                wrong.append(repr(ticket))
            if made and ticket.state in NEVER_LEFT:
                wrong.append(f"the lie of {ticket!r}, which was made,")
            if not made and ticket.state is TicketState.ANSWERED:
                wrong.append(f"the lie of {ticket!r}, which was never made,")
        if self.exchange.statistics().failed:
            wrong.append("an error of the simulator")
        return wrong


def sweep(capsys, venue, fidelity, scenario):
    """Sweep one of the lives."""
    life = Life(venue, fidelity)
    every = STRIDES[scenario]

    async def run():
        # The same steps in the same order each time, or a fault could not be looked at again.
        with determined(7):
            await getattr(life, scenario)()

    report = cancellation_sweep(
        run,
        left_open=life.left_open,
        patience=NO_TIME,
        every=every,
        first=random.Random(f"{venue} {fidelity} {scenario}").randrange(every),
    )
    assert [] == [attrs.astuple(fault) for fault in report.faults]
    assert report.steps * every > 20
    if every == 1:
        with capsys.disabled():
            print(f"\n{venue}, {fidelity}, {scenario}: {report.steps} steps", end=" ")


def test_every_venue_is_swept():
    """One that is added needs a desk, here and for its long runs."""
    assert set(VENUES) == set(DESKS)


@every_fidelity
@pytest.mark.parametrize("venue", VENUES)
def test_from_connecting_to_closing(venue, fidelity, capsys):
    """It ends at once, clean, closed and quiet; every order is what its ticket says."""
    sweep(capsys, venue, fidelity, "from_connecting_to_closing")


@every_fidelity
@pytest.mark.parametrize("venue", [each for each in VENUES if find_venue(each).anonymous])
def test_logging_in_an_open_client(venue, fidelity, capsys):
    """The same; where nobody is anonymous, connecting is logging in."""
    sweep(capsys, venue, fidelity, "logging_in")
