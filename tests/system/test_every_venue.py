"""All that a venue declares, seen to work: every request, every channel, every refusal.

Coverage is measured and not claimed: a request counts when its answer was returned, a channel when
it delivered something, a method when the simulated exchange received it. So a venue that declares
one more fails here until somebody has it tried.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from importlib.metadata import entry_points

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.system.surveys import SURVEYS
from trioflex import (
    Gap,
    GapReason,
    OutcomeUnknown,
    Refused,
    ReplyLost,
    Resumed,
    SubscriptionRefused,
)
from trioflex.protocol import Channel, Effect, Request

WITH_CHANNELS = [each for each in SURVEYS.values() if each.stage.module.VENUE.channels]
every_survey = pytest.mark.parametrize("survey", SURVEYS.values(), ids=SURVEYS)


def test_every_venue_is_surveyed():
    """Whichever programs find by its name; ``surveys.py`` says how."""
    assert {each.name for each in entry_points(group="trioflex.venues")} == set(SURVEYS)


@every_survey
async def test_all_that_is_declared_works(survey, autojump_clock):
    """Requests are answered, channels deliver, and all the documents name goes over the wire."""
    exchange = survey.stage.exchange(**survey.options)
    answered, delivered = set(), set()

    async def listen(client, channel, task_status):
        async with client.subscribe(channel) as receiver:
            task_status.started()
            async for item in receiver:
                assert not isinstance(item, Gap)
                delivered.add(type(channel))

    async with exchange.trading(), survey.stage.open(exchange) as client:
        async with trio.open_nursery() as nursery:
            for step in survey.talk:
                if isinstance(step, Channel):
                    await nursery.start(listen, client, step)
                else:
                    before = exchange.count(type(step))
                    await client.request(step)
                    assert before < exchange.count(type(step))
                    answered.add(type(step))
            await trio.sleep(60)
            nursery.cancel_scope.cancel()
        await wait_all_tasks_blocked()
    venue = survey.stage.module.VENUE
    assert set(venue.requests) == answered
    assert set(venue.channels) == delivered
    counts = {method: exchange.count(method) for method in survey.methods}
    assert 0 < min(counts.values()), counts
    assert sum(counts.values()) == exchange.count("*")


@pytest.mark.parametrize("survey", WITH_CHANNELS, ids=lambda survey: survey.stage.name)
async def test_every_channel_comes_back(survey, autojump_clock):  # W1
    """After a loss each says so, once, and then delivers again."""
    exchange = survey.stage.exchange(**survey.options)
    receivers = {}
    async with (
        exchange.trading(),
        survey.stage.open(exchange) as client,
        AsyncExitStack() as stack,
    ):
        for step in survey.talk:
            if isinstance(step, Channel):
                receivers[step] = await stack.enter_async_context(client.subscribe(step))
            else:
                await client.request(step)
        for receiver in receivers.values():
            await drained(receiver)
        exchange.drop()
        await trio.lowlevel.checkpoint()
        await client.wait_ready()
        for step in survey.talk:
            if isinstance(step, Request) and step.effect is Effect.WRITE:
                with suppress(Refused):  # what was there before the loss is not there twice
                    await client.request(step)
        await trio.sleep(30)
        for channel, receiver in receivers.items():
            items = await drained(receiver)
            lost = [i for i, item in enumerate(items) if isinstance(item, Gap)]
            assert 1 == len(lost), channel
            [gap, resumed, *more] = items[lost[0] :]
            assert GapReason.DISCONNECTED is gap.reason
            assert isinstance(resumed, Resumed), channel
            assert more, channel


@every_survey
def test_every_error_the_module_knows_is_tried(survey):
    """Its own tables hold nothing that no refusal below shows."""
    tried = {str(each.code).lower() for each in survey.refusals}
    tried |= {each.text.lower() for each in survey.refusals}
    assert set() == survey.known - tried


REFUSALS = [
    pytest.param(survey, each, id=f"{name}-{each.method}-{each.code or each.text}")
    for name, survey in SURVEYS.items()
    for each in survey.refusals
]


@pytest.mark.parametrize(("survey", "refusal"), REFUSALS)
async def test_every_refusal_of_the_documents(survey, refusal, autojump_clock):  # R6
    """Has the venue's code and text and our word for it, and the client goes on."""
    exchange = survey.stage.exchange(**survey.options)
    async with survey.stage.open(exchange) as client:
        exchange.refuse(refusal.method, refusal.code, refusal.text, times=1)
        if isinstance(refusal.asked, Request):
            with pytest.raises(Refused) as caught:
                await client.request(refusal.asked)
            assert refusal.kind is caught.value.kind
        else:
            with pytest.raises(SubscriptionRefused) as caught:
                async with client.subscribe(refusal.asked):
                    pytest.fail("it is live")
        assert refusal.text.lower() in caught.value.message.lower()
        if str(refusal.code):
            assert str(refusal.code) == caught.value.code
        assert client.ready


LOST = [
    pytest.param(survey, step, id=f"{name}-{type(step).__name__}")
    for name, survey in SURVEYS.items()
    for step in {type(each): each for each in survey.talk}.values()
    if isinstance(step, Request)
]


@pytest.mark.parametrize(("survey", "request_"), LOST)
async def test_a_connection_lost_with_a_request_in_flight(
    survey, request_, autojump_clock
):  # R1, R2, R7
    """Said of each kind what can be said; nothing is sent twice, and channels come back."""
    exchange = survey.stage.exchange(**survey.options)
    async with survey.stage.open(exchange) as client:
        if survey.kept is None:
            await lose(survey, exchange, client, request_)
        else:
            async with client.subscribe(survey.kept) as receiver:
                await drained(receiver)
                await lose(survey, exchange, client, request_)
                gap, resumed, *snapshot = await drained(receiver)
            assert GapReason.DISCONNECTED is gap.reason
            assert isinstance(resumed, Resumed)
            assert snapshot


async def lose(survey, exchange, client, request_):
    """Lose the connection when a request has arrived, and wait for the next one."""
    silence = exchange.silence("*", execute=False)
    before = {method: exchange.count(method) for method in survey.methods}
    total = exchange.count("*")
    ticket = await client.submit(request_)
    await exchange.seen("*", total + 1)
    [method] = [each for each in survey.methods if exchange.count(each) > before[each]]
    silence.stop()
    exchange.drop()
    with pytest.raises((OutcomeUnknown, ReplyLost)) as caught:
        await ticket.reply()
    writing = request_.effect is Effect.WRITE
    assert (OutcomeUnknown if writing else ReplyLost) is type(caught.value)
    await client.wait_ready()
    await wait_all_tasks_blocked()
    if writing:
        assert before[method] + 1 == exchange.count(method)


async def drained(receiver):
    """Everything that is there to receive."""
    await wait_all_tasks_blocked()
    return [await receiver.receive() for _ in range(receiver.statistics().buffered)]
