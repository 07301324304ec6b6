"""Ctrl-C strikes between any two steps of the interpreter, and the client stays whole.

Each test presses it where the state that tasks share is half changed: there it must wait, and come
out of the program's main task, as ``KeyboardInterrupt``.
"""

from __future__ import annotations

import os
import signal
from collections import OrderedDict

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests import acme
from trioflex import TicketState, open_client
from trioflex._shell import tcp
from trioflex._shell.receiver import Receiver
from trioflex._shell.ticket import Ticket
from trioflex._vocabulary.settings import Overflow
from trioflex.simulator import SimulatedExchange, open_server


class Button:
    """Presses Ctrl-C once, and only when it is armed."""

    def __init__(self):
        self.armed = False

    def press(self):
        if self.armed:
            self.armed = False
            signal.raise_signal(signal.SIGINT)


def run(main):
    """Run a program on a clock that jumps."""
    trio.run(main, clock=MockClock(autojump_threshold=0))


def struck(button, *, sending=False, receiving=False):
    """A venue whose session is struck while it makes a frame, or reads one."""

    class Session(acme.Session):
        def send(self, request, key):
            frame = super().send(request, key)
            if sending and isinstance(request, acme.Place):
                button.press()
            return frame

        def receive(self, frame):
            if receiving and b"result" in frame:
                button.press()
            return super().receive(frame)

    return attrs.evolve(acme.VENUE, session=Session)


@pytest.fixture
def button():
    return Button()


@pytest.mark.parametrize("connector", ["byte_connector", "connector"])
def test_orders_can_be_cancelled_on_the_way_out(button, exchange, connector):
    """While an order is written, in its caller's turn or the send loop's."""  # X3
    said = []

    async def main():
        async with open_client(
            struck(button, sending=True),
            credentials=acme.JOE,
            connector=getattr(exchange, connector),
        ) as client:
            await wait_all_tasks_blocked()
            button.armed = True
            try:
                await client.request(acme.Place("a", 1))
            finally:
                with trio.move_on_after(3, shield=True):
                    said.append(await client.request(acme.Echo("cancel all")))

    with pytest.raises(KeyboardInterrupt):
        run(main)
    assert ["cancel all"] == said


def test_a_program_that_goes_on_has_a_client_that_goes_on(button, exchange, model):
    """Caught, it leaves a connection on which requests still leave."""
    said = []

    async def main():
        async with (
            open_client(
                struck(button, sending=True),
                credentials=acme.JOE,
                connector=exchange.byte_connector,
            ) as client,
            client.subscribe(acme.Book("X"), buffer=100_000),
            trio.open_nursery() as nursery,
        ):
            await wait_all_tasks_blocked()

            @nursery.start_soon
            async def market():
                while True:
                    await trio.sleep(1)
                    model.tick(100, 7)

            button.armed = True
            with pytest.raises(KeyboardInterrupt):
                await client.request(acme.Place("a", 1))
            ticket = await client.submit(acme.Echo("later"))
            await trio.sleep(3600)
            said.extend([ticket.state, client.statistics().connections])
            nursery.cancel_scope.cancel()

    run(main)
    assert [TicketState.ANSWERED, 1] == said


def test_an_order_that_left_is_unsettled(button, model, monkeypatch):
    """Right behind the system call that took it, over a socket."""
    said, write = [], os.write

    def write_and_strike(fd, data):
        taken = write(fd, data)
        button.press()
        return taken

    monkeypatch.setattr(tcp.os, "write", write_and_strike)

    async def main():
        async with (
            open_server(SimulatedExchange(model)) as server,
            open_client(acme.VENUE, url=server.url, credentials=acme.JOE) as client,
        ):
            button.armed = True
            with pytest.raises(KeyboardInterrupt):
                await client.request(acme.Place("a", 1))
            said.extend(client.unsettled)

    trio.run(main)
    assert [acme.Place("a", 1)] == [ticket.request for ticket in said]


def test_what_a_venue_raises_comes_out_as_itself(exchange):
    """An interruption that a session makes itself: no group of the client's."""  # X10

    class Session(acme.Session):
        def receive(self, frame):
            if b"result" in frame:
                raise KeyboardInterrupt
            return super().receive(frame)

    async def main():
        async with open_client(
            attrs.evolve(acme.VENUE, session=Session),
            credentials=acme.JOE,
            connector=exchange.byte_connector,
        ) as client:
            await client.request(acme.Echo("x"))

    with pytest.raises(KeyboardInterrupt):
        run(main)


def test_what_strikes_the_clients_own_tasks_comes_out_of_the_users(button, exchange):
    """As itself, not as a group."""  # X10

    async def main():
        async with open_client(
            struck(button, receiving=True),
            credentials=acme.JOE,
            connector=exchange.byte_connector,
        ) as client:
            button.armed = True
            await client.request(acme.Echo("x"))
            await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        run(main)


class Line(OrderedDict):
    """A line of waiting tasks in which Ctrl-C strikes: behind a newcomer, or a leaver."""

    def __init__(self, button, *, at):
        super().__init__()
        self.button, self.at = button, at

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        if self.at == "enter":
            self.button.press()

    def popitem(self, last=True):
        item = super().popitem(last)
        if self.at == "leave":
            self.button.press()
        return item


@pytest.mark.parametrize("method", ["receive", "__anext__"])
def test_nobody_stays_in_line_who_does_not_wait(button, method):
    """Or whoever sleeps elsewhere by then would be woken, and Trio break."""
    receiver = Receiver("channel", buffer=4, overflow=Overflow.GAP)
    receiver.start(())
    receiver._waiting = Line(button, at="enter")
    seen = []

    async def main():
        button.armed = True
        with pytest.raises(KeyboardInterrupt):
            await getattr(receiver, method)()
        seen.append(receiver.statistics().tasks_waiting)
        receiver._close()
        await trio.sleep(1)
        seen.append("slept")

    run(main)
    assert [0, "slept"] == seen


def test_who_leaves_the_line_is_woken(button):
    """Or it would wait for ever, and break Trio when it is cancelled."""
    receiver = Receiver("channel", buffer=4, overflow=Overflow.GAP)
    receiver.start(())
    receiver._waiting = Line(button, at="leave")
    got = []

    async def main():
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def read():
                got.append(await receiver.receive())

            await wait_all_tasks_blocked()
            button.armed = True
            receiver.put([1], None)
            await trio.sleep(1)

    with pytest.RaisesGroup(KeyboardInterrupt):
        run(main)
    assert [1] == got


def test_nobody_waits_for_an_answer_who_has_gone(button):
    """An answer that comes later wakes nobody out of another sleep."""

    class Waiting(dict):
        def __setitem__(self, key, value):
            super().__setitem__(key, value)
            button.press()

    ticket = Ticket(acme.Echo("x"), lambda ticket: None)
    ticket._leave()
    ticket._waiting = Waiting()
    slept = []

    async def main():
        button.armed = True
        with pytest.raises(KeyboardInterrupt):
            await ticket.reply()
        ticket._answer("late")
        began = trio.current_time()
        await trio.sleep(1)
        slept.append(trio.current_time() - began)

    run(main)
    assert [1] == slept
    assert TicketState.ANSWERED is ticket.state


def test_leaving_a_subscription_is_done_to_its_end(button, exchange):
    """The venue is told, and the channel is free for the next."""
    said = []

    async def main():
        async with open_client(
            acme.VENUE, credentials=acme.JOE, connector=exchange.connector
        ) as client:
            with pytest.raises(KeyboardInterrupt):
                async with client.subscribe(acme.Book("X")) as book:
                    close = book._close

                    def close_and_strike():
                        close()
                        button.press()

                    book._close = close_and_strike
                    button.armed = True
                await trio.sleep(1)
            said.append(client.statistics().channels)
            async with client.subscribe(acme.Book("X")):
                said.append(client.statistics().channels)

    run(main)
    assert [0, 1] == said
