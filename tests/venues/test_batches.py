"""A whole read at once says what its frames say one by one."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, strategies as st

from trioflex import RemoteProtocolError
from trioflex.protocol import Push, Pushes

from .floor import OPENED, PAIR
from .test_hostile import MATCHED, MESSAGES, busy

ETH_PAIR = {**PAIR, "base": 63520}
OPENED_ETH = {**OPENED, **ETH_PAIR}
STRANGERS = {name: value for name, value in MATCHED.items() if name != "bid_tonce"}
LIVELY = [
    {**message, **pair}
    for message in [*MESSAGES, STRANGERS]
    if "base" in message and "notice" in message
    for pair in (PAIR, ETH_PAIR)
]
"""Items of a book and a ticker that are live, and of others that are not yet."""

UNLISTED = [{**message, "base": 51999} for message in MESSAGES if "base" in message]
"""About an asset that is not in the venue's table."""

FRAMES = [json.dumps(message).encode() for message in [*LIVELY, *LIVELY, *MESSAGES, *UNLISTED]]


def one_by_one(frames):
    """Return the events of a busy session, and the error that ended it."""
    talk, events = busy(), []
    for frame in frames:
        try:
            events += talk.session.receive(frame)
        except RemoteProtocolError as exc:
            return events, str(exc)
    return events, None


def at_once(frames):
    """Return the events of the same session for a read, and the error that ended it."""
    talk, events = busy(), []
    try:
        talk.session.receive_batch(iter(frames), events)
    except RemoteProtocolError as exc:
        return events, str(exc)
    return events, None


def in_order(events):
    """Return what must be the same: single events, and between them the items of each channel."""
    sequence = []
    for items, run in itertools.groupby(events, lambda event: isinstance(event, (Push, Pushes))):
        if not items:
            sequence += run
            continue
        channels = {}
        for event in run:
            values = [event.value] if isinstance(event, Push) else event.values
            channels.setdefault(event.channel, []).extend(values)
        sequence.append(channels)
    return sequence


@given(st.lists(st.sampled_from(FRAMES), max_size=40))
def test_a_read_says_what_its_frames_say(frames):
    """The same events and items in the same order, up to the same error."""
    events, error = one_by_one(frames)
    gathered, batch_error = at_once(frames)

    assert (in_order(events), error) == (in_order(gathered), batch_error)


def test_items_of_a_channel_are_gathered():
    """One event for each channel, however they are mixed."""
    opened = [m for m in LIVELY if m["notice"] == "OrderOpened" and "tonce" not in m]
    changed = [m for m in LIVELY if m["notice"] == "TickerChanged"]
    mixed = [m for m in (*opened, *changed) if m["base"] == ETH_PAIR["base"]] * 3
    events, error = at_once([json.dumps(message).encode() for message in mixed])

    assert error is None
    assert [Pushes, Pushes] == [type(event) for event in events]
    assert len(mixed) == sum(len(event.values) for event in events)


def test_items_stay_on_their_side_of_an_answer():
    """Whoever asked sees first what came first."""
    opened = {**OPENED_ETH, "id": 1}
    reply = {"tag": 3, "error_code": 5, "error_msg": "No."}
    later = {**OPENED_ETH, "id": 2}
    events, _ = at_once([json.dumps(message).encode() for message in (opened, reply, later)])

    assert [1] == [item.id for item in events[0].values]
    assert [2] == [item.id for item in events[2].values]


def test_what_came_before_a_bad_frame_is_told():
    """And frames are taken one by one, so that the bad one can be named."""
    frames = iter([json.dumps(OPENED_ETH).encode(), b'{"notice":', b"never looked at"])
    events = []
    with pytest.raises(RemoteProtocolError, match="not JSON"):
        busy().session.receive_batch(frames, events)

    assert [1] == [len(event.values) for event in events]
    assert [b"never looked at"] == list(frames)
