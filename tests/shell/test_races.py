"""Two things in one turn of the event loop: what ends a connection wins."""

from __future__ import annotations

import trio

from tests import acme
from trioflex import Gap, NotSent, Reconnect, Resumed, open_client
from trioflex.simulator import SimulatedExchange

SOON = Reconnect(base=1e-3, cap=1e-3, give_up_after=None)


class Nonsense(acme.Peer):
    """Accepts the login and breaks the protocol in the same breath, on some connections."""

    def received(self, frame):
        replies = super().received(frame)
        if self.model.connections in self.model.nonsense and '"login"' in frame:
            return [*replies, '{"bad": "news"}']
        return replies


class Model(acme.Model):
    nonsense = frozenset({2, 3})

    def connect(self, link):
        peer = Nonsense(self, link)
        self.peers.append(peer)
        return peer


async def test_a_connection_that_ends_as_it_becomes_ready_is_not_believed_in(autojump_clock):  # W14
    """Subscriptions wait for the next one, and nothing is sent into the one that is over."""
    exchange = SimulatedExchange(Model())
    ready = 0
    async with (
        open_client(
            acme.VENUE,
            credentials=acme.JOE,
            connector=exchange.connector,
            reconnect=SOON,
        ) as client,
        client.subscribe(acme.Book("X")) as book,
    ):
        assert isinstance(await book.receive(), acme.Prices)
        exchange.drop()
        with trio.move_on_after(1):
            while True:
                await client.wait_ready()
                ready = client.statistics().attempts
                try:
                    await client.request(acme.Echo("are you there?"))
                except NotSent:
                    continue
                break
        assert 4 == ready
        assert isinstance(await book.receive(), Gap)
        assert isinstance(await book.receive(), Resumed)
        assert isinstance(await book.receive(), acme.Prices)
        assert 2 == client.statistics().connections, "the first, and the one that lasted"
