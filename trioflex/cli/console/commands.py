"""The words that every console knows, and lines taken apart."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence

import attrs

from trioflex import LocalProtocolError
from trioflex.protocol import Venue

from .. import catalogue
from ..catalogue import Entry

WIDTH = 76
"""Of explanations: with an indent they fit into the narrowest terminal that is supported."""


@attrs.frozen
class Word:
    """A command that is not a request."""

    names: tuple[str, ...]
    usage: str
    """What may follow."""
    summary: str


WORDS: Sequence[Word] = (
    Word(("help", "h", "?"), "[NAME]", "this, or what is known of one of these"),
    Word(("banner",), "", "what was shown at the start"),
    Word(("lhelp",), "", "long help: requests and channels with their fields"),
    Word(("connect",), "", "connect, if there is no connection"),
    Word(("disconnect",), "", "close the connection and stay away"),
    Word(("reconnect",), "", "connect anew, at once"),
    Word(("login",), "", "log in; what is not at hand is asked for"),
    Word(("subscribe",), "[CHANNEL...]", "show what channels deliver; alone: which are on"),
    Word(("unsubscribe",), "CHANNEL...|all", "stop that"),
    Word(("status",), "", "the connection and its counters"),
    Word(("tree",), "", "the tasks that run now, queues, and their ages"),
    Word(("clear", "cls"), "", "clear the screen"),
    Word(("sh", "shell"), "[COMMAND]", "run a shell, or one command of it"),
    Word(("quit", "q", "Q", "exit", "stop"), "", "leave; so does Ctrl-D"),
)

_NAMES = {name: word for word in WORDS for name in word.names}


def word_of(text: str) -> str | None:
    """Return the first name of the command that a person typed; ``None``: it is none."""
    word = _NAMES.get(text) or _NAMES.get(text.lower())
    return None if word is None else word.names[0]


def usage_of(text: str) -> str | None:
    """Return the line of help about a command; ``None``: it is none."""
    word = _NAMES.get(text) or _NAMES.get(text.lower())
    return None if word is None else _usage(word)


def _usage(word: Word) -> str:
    head = " ".join([", ".join(word.names), word.usage]).rstrip()
    return f"{head:<28}{word.summary}"


def split(line: str) -> list[str]:
    """Return the words of a line; quotes keep spaces together, as in a shell.

    Raises:
        LocalProtocolError: a quote is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError:
        raise LocalProtocolError("A quote is not closed.") from None


def overview(venue: Venue) -> list[str]:
    """Return the help that fits on a screen."""
    lines = ["Commands:"]
    lines += [f"  {_usage(word)}" for word in WORDS]
    lines.append("Requests (as with `trioflex call`, as in NAME field=value):")
    lines += _columns([entry.name + _mark(entry) for entry in catalogue.requests(venue)])
    channels = [entry.usage for entry in catalogue.channels(venue)]
    if channels:
        lines.append("Channels (subscribe CHANNEL):")
        lines += _columns(channels)
    if any(map(_mark, catalogue.requests(venue))):
        lines.append("* may change the account; it asks first")
    return lines


def long_help(venue: Venue) -> list[str]:
    """Return everything there is, with its fields."""
    lines = []
    for title, entries in (
        ("Requests", catalogue.requests(venue)),
        ("Channels", catalogue.channels(venue)),
    ):
        if entries:
            lines.append(f"{title}:")
        for entry in entries:
            lines += [f"  {each}" for each in describe(entry, brief=True)]
    return lines


def describe(entry: Entry, *, brief: bool = False) -> list[str]:
    """Return what is known of a request or a channel; if brief, the first paragraph about it."""
    notes = [
        *(["needs a login"] if entry.private else []),
        *(["may change the account"] if entry.writes else []),
    ]
    note = f" ({', '.join(notes)})" if notes else ""
    lines = [f"{entry.name}{note}"]
    for paragraph in entry.paragraphs[: 1 if brief else None]:
        lines += textwrap.wrap(
            paragraph, WIDTH, initial_indent="    ", subsequent_indent="    ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    for argument in entry.arguments:
        if argument.required:
            default = "needed"
        elif argument.default is None or argument.default is attrs.NOTHING:
            default = "may be left out"
        else:
            shown = getattr(argument.default, "name", argument.default)
            default = "may be left out" if shown in ((), "") else f"{shown}, if left out"
        lines.append(f"    {argument.name:<16} {argument.type_name}; {default}")
    return lines


def find_entry(venue: Venue, name: str) -> Entry:
    """Return the request or channel of that name.

    Raises:
        LocalProtocolError: there is none.
    """
    wanted = folded(name.partition(":")[0])
    for entry in (*catalogue.requests(venue), *catalogue.channels(venue)):
        if folded(entry.name) == wanted:
            return entry
    raise LocalProtocolError(f"There is no help about {name!r}; `help` lists what there is.")


def is_request(venue: Venue, name: str) -> bool:
    """Whether a venue has a request of that name, however it is spelt."""
    return any(folded(entry.name) == folded(name) for entry in catalogue.requests(venue))


def folded(name: str) -> str:
    """Return a name without what does not matter: capitals, hyphens, underscores."""
    return name.replace("-", "").replace("_", "").lower()


def _mark(entry: Entry) -> str:
    return "*" if entry.writes else ""


def _columns(names: Sequence[str], width: int = 78) -> list[str]:
    """Return names side by side, in lines of the narrowest terminal that is supported."""
    wide = max(len(name) for name in names) + 2
    count = max(1, (width - 2) // wide)
    return [
        "  " + "".join(f"{name:<{wide}}" for name in names[at : at + count]).rstrip()
        for at in range(0, len(names), count)
    ]
