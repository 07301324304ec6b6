"""Rules for what is taken together: a read of several frames, and the items of a fold."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import Any

from ..protocol import BatchFold, BatchSession, Event, Push, Pushes, Venue
from .findings import Findings
from .session_log import Call, SessionLog, perform

SPLITS = 6
"""Ways in which the frames of a session are split into reads, besides all at once."""


def check_batches(venue: Venue, log: SessionLog, found: Findings) -> None:
    """Check that ``receive_batch`` says what ``receive`` says, however the frames are split."""
    if log.error is not None or any(call.error is not None for call in log.calls):
        return
    session, _ = log.fresh(venue)
    if not isinstance(session, BatchSession):
        return
    found.checking("batches")
    draw = random.Random(len(log.calls))  # the same splits in every run
    for split in range(SPLITS + 1):
        session, _ = log.fresh(venue)
        for received, calls in itertools.groupby(log.calls, lambda c: c.method == "receive"):
            group = list(calls)
            if not received:
                for call in group:
                    perform(session, call.method, call.arguments)
                continue
            while group:
                size = len(group) if split == 0 else draw.randint(1, len(group))
                read, group = group[:size], group[size:]
                if not _check_read(session, read, found):
                    return
    _check_malformed(venue, log, found)


def _check_read(session: Any, calls: list[Call], found: Findings) -> bool:
    out: list[Event] = []
    try:
        session.receive_batch(iter([call.frame for call in calls]), out)
    except Exception as exc:  # none of the frames was malformed when they came one by one
        found.add(
            "batches",
            f"receive_batch() of {len(calls)} frames raised {type(exc).__name__}: {exc}.",
            "Let it do for each frame what receive() does.",
        )
        return False
    if _in_order(out) != _in_order(event for call in calls for event in call.events):
        found.add(
            "batches",
            f"receive_batch() of {len(calls)} frames returned other events than receive() for each"
            " of them.",
            "Gather items of one channel only as long as nothing but items lies between them, and"
            " keep the order of each channel.",
        )
        return False
    return True


def _check_malformed(venue: Venue, log: SessionLog, found: Findings) -> None:
    """Check that what came before a malformed frame is not lost, and which one it was is known."""
    frames: list[Call] = []
    start = 0
    for index, call in enumerate(log.calls):
        if call.method != "receive":
            frames, start = [], index + 1
        else:
            frames.append(call)
            if len(frames) == 3:
                break
    bad = b"\x00 no frame of any venue"
    if not frames or perform(log.at(venue, start), "receive", (bad,)).error is None:
        return
    session: Any = log.at(venue, start)
    taken: list[int] = []

    def counted() -> Iterator[bytes]:
        for frame in (*(call.frame for call in frames), bad, *(call.frame for call in frames)):
            taken.append(len(taken))
            yield frame

    out: list[Event] = []
    call = perform(session, "receive_batch", (counted(), out))
    before = _in_order(event for call in frames for event in call.events)
    if call.error is None or len(taken) != len(frames) + 1 or _in_order(out) != before:
        found.add(
            "batches",
            "receive_batch() with a malformed frame did not stop there with the events of those"
            " before it appended.",
            "Take the frames one by one, append as you go, and let RemoteProtocolError out.",
        )


def _in_order(events: Iterable[Event]) -> list[Any]:
    """Return what must be the same: single events, and between them the items of each channel."""
    sequence: list[Any] = []
    for items, run in itertools.groupby(events, lambda event: isinstance(event, (Push, Pushes))):
        if not items:
            sequence += run
            continue
        channels: dict[Any, list[Any]] = {}
        for event in run:
            if isinstance(event, Pushes):
                channels.setdefault(event.channel, []).extend(event.values)
            elif isinstance(event, Push):
                channels.setdefault(event.channel, []).append(event.value)
        sequence.append(channels)
    return sequence


def pushed(log: SessionLog) -> Iterator[tuple[Any, Any]]:
    """Yield ``(channel, item)`` for all pushes of a session."""
    for call in log.calls:
        for event in call.events:
            if isinstance(event, Push):
                yield event.channel, event.value
            elif isinstance(event, Pushes):
                for value in event.values:
                    yield event.channel, value


def check_channels_of(venue: Venue, log: SessionLog, found: Findings) -> None:
    """Check that pushes name channels the venue lists, and that folds take their items."""
    found.checking("pushes")
    channels: dict[Any, list[Any]] = {}
    for channel, value in pushed(log):
        try:
            channels.setdefault(channel, []).append(value)
        except TypeError:
            found.add(
                "pushes",
                f"a Push names {type(channel).__name__}, which cannot be hashed.",
                "Name the Channel it belongs to.",
            )
            return
    for channel, values in channels.items():
        if venue.channels and type(channel) not in venue.channels:
            found.add(
                "pushes",
                f"a Push names a {type(channel).__name__}, which is not in Venue.channels.",
                "Push to a channel that can be subscribed to, and list its class.",
            )
            continue
        fold = getattr(channel, "fold", None)
        if fold is not None:
            _check_fold(channel, values, found)


def _check_fold(channel: Any, values: list[Any], found: Findings) -> None:
    name = type(channel).__name__
    single = channel.fold()
    try:
        for value in values:
            single.apply(value)
        single.snapshot()
        if isinstance(single, BatchFold):
            several: Any = channel.fold()
            several.apply_all(values)
            if several.snapshot() != single.snapshot():
                found.add(
                    "pushes",
                    f"{name}.fold: apply_all() of {len(values)} items has another snapshot than"
                    " apply() of each.",
                    "Let apply_all() do what apply() does with each item, in order.",
                )
        single.invalidate()
        if single.snapshot() is not None:
            found.add(
                "pushes",
                f"{name}.fold has a snapshot after invalidate().",
                "Forget everything there: continuity is lost.",
            )
    except Exception as exc:  # whatever it raises would end the client
        found.add(
            "pushes",
            f"{name}.fold raised {type(exc).__name__}: {exc}.",
            "Take every item the channel delivers, updates before the first snapshot included.",
        )
