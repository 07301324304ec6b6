"""What few venues need: several subscriptions in one frame, and answers that come in parts."""

from __future__ import annotations

import json

import attrs
import pytest
import trio

from tests import acme
from trioflex import ReplyLost, Timeouts, open_client
from trioflex.protocol import BundlingSession, Confirm, Progress


@attrs.frozen
class Feed(acme.Weather):
    """Done when sent; one of many."""

    name: str
    confirm = Confirm.SENT


@attrs.frozen
class Starts(acme.Watch):
    """Starts several feeds; one frame of it a second."""

    bucket = "limited"


class Bundler(acme.Session):
    """Feeds start together, three at most."""

    def watch(self, channel, on):
        name = channel.name if isinstance(channel, Feed) else acme.name_of(channel)
        return Starts(name, on)

    def bundle(self, requests):
        names = ",".join(request.channel for request in requests)
        return Starts(names, True) if names.count(",") < 3 else None

    def receive(self, frame):
        message = json.loads(frame)
        if message.get("result") == "part":
            return [Progress(message["id"])]
        return super().receive(frame)


VENUE = attrs.evolve(acme.VENUE, session=Bundler, max_channels=None)


def started(exchange):
    """What was started, frame by frame."""
    frames = [json.loads(frame.text) for frame in exchange.frames if frame.direction == ">"]
    return [frame["channel"] for frame in frames if frame.get("op") == "starts" and frame["on"]]


async def test_what_waits_together_leaves_together(exchange, autojump_clock):
    """In the order of asking, as far as the session takes it, and again after a reconnect."""
    assert issubclass(Bundler, BundlingSession)
    async with open_client(VENUE, connector=exchange.connector) as client:
        async with trio.open_nursery() as nursery:

            async def follow(name):
                async with client.subscribe(Feed(name)):
                    await trio.sleep(100)

            for name in "abcde":
                nursery.start_soon(follow, name)
            await trio.sleep(50)
            first = started(exchange)
            assert set("abcde") == set(",".join(first).split(","))
            assert [5, 2] == [sum(len(f.split(",")) for f in first), len(first)]
            exchange.drop()
            await trio.sleep(20)
            again = started(exchange)[2:]
            assert [5, 2] == [sum(len(f.split(",")) for f in again), len(again)]
            assert client.ready


@pytest.mark.parametrize(("parts", "silence"), [(3, False), (3, True)])
async def test_a_part_of_an_answer_begins_its_time_anew(parts, silence, exchange, autojump_clock):
    """Ten seconds from the last part, not from the request."""
    async with open_client(
        VENUE, connector=exchange.connector, timeouts=Timeouts(reply=10)
    ) as client:
        exchange.silence("echo")
        ticket = await client.submit(acme.Echo("all"))
        await exchange.seen("echo")
        [peer] = exchange.model.peers
        key = json.loads(exchange.frames[-1].text)["id"]
        for _ in range(parts):
            await trio.sleep(9)
            peer.link.send(json.dumps({"id": key, "result": "part"}))
        if silence:
            with pytest.raises(ReplyLost):
                await ticket.reply()
            assert 37.0 == trio.current_time()
            return
        await trio.sleep(9)
        peer.link.send(json.dumps({"id": key, "result": "all"}))
        assert "all" == await ticket.reply()
        assert "more" != await ticket.reply()


async def test_a_part_of_an_answer_to_nothing_is_shown(exchange, autojump_clock):
    """As an answer to nothing would be."""
    async with (
        open_client(VENUE, connector=exchange.connector) as client,
        client.unmatched() as unmatched,
    ):
        [peer] = exchange.model.peers
        peer.link.send(json.dumps({"id": 99, "result": "part"}))
        assert "a part of an answer to nothing" in (await unmatched.receive()).why
