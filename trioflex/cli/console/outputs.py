"""What the dialogue gives to whoever shows it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TypeAlias

import attrs
import trio


class Tone(enum.Enum):
    """How a line is meant."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    """Something failed, or may be wrong."""
    DIM = "dim"
    """Beside the point."""
    TITLE = "title"


@attrs.frozen
class Say:
    """Lines for the person."""

    text: str
    tone: Tone = Tone.PLAIN


@attrs.frozen
class Answer:
    """The reply to a request."""

    name: str
    """Of the request."""
    value: object
    """What JSON can hold."""


@attrs.frozen
class News:
    """Something that came by itself: an item of a channel, or what the connection does."""

    word: str
    text: str


@attrs.frozen
class Ask:
    """A question; the next line is its answer, and belongs into no history."""

    question: str
    secret: bool = False


@attrs.frozen
class Prompt:
    """The next line is a command."""


@attrs.frozen
class Clear:
    """Clear the screen."""


@attrs.frozen(eq=False)
class Shell:
    """Run a shell in the terminal; the dialogue waits."""

    command: str | None
    """``None``: an interactive one."""
    done: trio.Event = attrs.field(factory=trio.Event, repr=False)
    """To be set when it is over."""


@attrs.frozen
class Status:
    """What the status line says from now on."""

    text: str
    good: bool
    """Requests may be sent."""
    subscribed: Sequence[str] = ()
    """Channels, as they are spelt."""


Output: TypeAlias = Say | Answer | News | Ask | Prompt | Clear | Shell | Status
