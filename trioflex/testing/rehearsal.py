"""Material for a check: a venue's sessions, recorded at a simulated exchange or from a talk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import trio
from trio.testing import MockClock

from .. import Client, RefusalKind, Refused, TrioflexError, open_client
from ..protocol import Channel, Request, Session, Venue
from .findings import Findings, shortened
from .session_log import SessionLog, World, recorder

if TYPE_CHECKING:
    from ..simulator import SimulatedExchange

Answer: TypeAlias = Callable[[str], str]
"""Makes a frame of the venue from the newest one that was sent, e.g. to repeat its name."""

Talk: TypeAlias = Sequence[Request[Any] | Channel[Any] | str | bytes | Answer]

TURNS = 40
"""Turns of the other market participants after each part of a rehearsal: enough for hundreds of
pushes, done in some milliseconds."""

PAUSE = 1.0
"""Virtual seconds for what is on its way to arrive."""


def rehearse(
    venue: Venue,
    exchange: SimulatedExchange,
    credentials: Any,
    talk: Talk,
    refused: Mapping[Request[Any], RefusalKind],
    found: Findings,
) -> list[SessionLog]:
    """Play a talk at a simulated exchange, with a real client under a virtual clock.

    Where the venue can be used anonymously and credentials are given, the public part is played a
    second time by a client that logs in later.
    """
    logs: list[SessionLog] = []
    recorded = attrs.evolve(venue, session=recorder(venue.session, logs))

    courses = [(credentials, None)]
    if venue.anonymous and credentials is not None:
        courses.append((None, credentials))

    async def play() -> None:
        for first, later in courses:
            async with open_client(
                recorded, credentials=first, connector=exchange.connector
            ) as client:
                await _act(client, exchange, talk, refused, first is not None, found)
                if later is not None:
                    await client.login(later)

    try:
        trio.run(play, clock=MockClock(autojump_threshold=0))
    except TrioflexError as exc:
        found.add(
            "rehearsal",
            f"the client ended with {type(exc).__name__}: {exc}",
            "The session and the simulated exchange must understand each other; the first call"
            " that went wrong is among the broken rules, or in the error's cause.",
        )
    return logs


async def _act(
    client: Client,
    exchange: SimulatedExchange,
    talk: Talk,
    refused: Mapping[Request[Any], RefusalKind],
    private: bool,
    found: Findings,
) -> None:
    async with AsyncExitStack() as channels:
        for item in (*talk, *(each for each in refused if each not in talk)):
            if not isinstance(item, (Request, Channel)):
                raise TypeError(
                    f"{shortened(item)}: with a simulated exchange the talk holds requests and"
                    " channels; the frames are the exchange's"
                )
            if item.private and not private:
                continue
            try:
                if isinstance(item, Channel):
                    await channels.enter_async_context(client.subscribe(item))
                else:
                    await client.request(item)
            except Refused as refusal:
                if item not in refused:
                    found.add(
                        "rehearsal",
                        f"{type(item).__name__} was refused: {refusal}",
                        "Ask for something the exchange can do, or name the request in refused=.",
                    )
            except TrioflexError as exc:
                found.add(
                    "rehearsal",
                    f"{type(item).__name__} came to nothing, with {type(exc).__name__}: {exc}",
                    "Let send() or watch() make what the exchange understands, and receive() turn"
                    " its answer into a Reply, a Refusal or, as the channel's confirm has it, a"
                    " Push.",
                )
            else:
                if item in refused:
                    found.add(
                        "refusals",
                        f"{type(item).__name__} was not refused, though refused= says so.",
                        "Return a Refusal where the venue says no.",
                    )
        exchange.trade(TURNS)
        await trio.sleep(PAUSE)
    await trio.sleep(PAUSE)
    exchange.trade(TURNS)
    await trio.sleep(PAUSE)


def recite(
    venue: Venue, credentials: Any, talk: Talk, refused: Mapping[Request[Any], RefusalKind]
) -> list[SessionLog]:
    """Play a talk without an exchange: its frames arrive, its requests leave, in that order.

    The keys of requests, those that start channels included, are 1, 2, 3 and so on.
    """
    absent = [type(each).__name__ for each in refused if each not in talk]
    if absent:
        raise ValueError(
            f"{', '.join(absent)}: a request in refused= has its place, and its answer, in the talk"
        )
    logs: list[SessionLog] = []
    try:
        session = recorder(venue.session, logs)(credentials, World().env)
        _speak(session, talk, logs[0])
    except Exception:  # it is in the log, for the rules to judge; unless it is not the session's
        if not logs or (logs[0].error is None and all(c.error is None for c in logs[0].calls)):
            raise
    return logs


def _speak(session: Session, talk: Talk, log: SessionLog) -> None:
    session.open()
    key = 0
    watched: list[Channel[Any]] = []
    for item in talk:
        if isinstance(item, (str, bytes)):
            session.receive(item.encode() if isinstance(item, str) else item)
            continue
        if isinstance(item, Request):
            request: Request[Any] | None = item
        elif isinstance(item, Channel):
            watched.append(item)
            request = session.watch(item, True)
        else:
            sent = [frame for call in log.calls for frame in call.transmitted()]
            session.receive(item(sent[-1] if sent else "").encode())
            continue
        if request is not None:
            key += 1
            session.send(request, key)
    for channel in watched:
        stop = session.watch(channel, False)
        if stop is not None:
            key += 1
            session.send(stop, key)
    session.close()
