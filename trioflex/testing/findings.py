"""What a check of a venue found: the rules that were checked, and those that are broken."""

from __future__ import annotations

from collections import Counter

import attrs

SHOWN = 5
"""Broken rules of one name shown in full: the sixth rarely says anything new."""

EXCERPT = 160
"""Characters of a frame or a value that a sentence quotes: enough to recognise it."""


@attrs.frozen
class BrokenRule:
    """One rule of the contract that a venue breaks, and what to do about it."""

    rule: str
    """Its name, as in ``"pure"``."""
    what: str
    """What happened, in one sentence."""
    remedy: str
    """What to do, in another."""

    def __str__(self) -> str:
        return f"{self.rule}: {self.what} {self.remedy}"


@attrs.frozen(kw_only=True)
class VenueReport:
    """A venue that passed: what was checked, and with how much. Made by :func:`check_venue`."""

    venue: str
    """Its name."""
    rules: tuple[str, ...]
    """Names of the rules that were checked."""
    sessions: int
    """Sessions that were recorded and replayed."""
    received: int
    """Frames the venue sent in them."""
    sent: int
    """Frames sent to the venue."""
    pushes: int
    """Items of channels."""
    hostile: int
    """Damaged and unknown frames that were tried."""
    untried: tuple[str, ...]
    """Names of the venue's requests and channels that the material does not contain."""

    def __str__(self) -> str:
        untried = f"; not tried: {', '.join(self.untried)}" if self.untried else ""
        return (
            f"{self.venue} keeps {len(self.rules)} rules: {self.sessions} sessions,"
            f" {self.received} frames in, {self.sent} out, {self.pushes} pushes,"
            f" {self.hostile} hostile frames{untried}"
        )


class VenueCheckFailed(AssertionError):
    """A venue breaks rules of the contract; the message lists them all, with remedies.

    Attributes:
        broken: the rules, as :class:`BrokenRule`.
    """

    def __init__(self, venue: str, broken: tuple[BrokenRule, ...]) -> None:
        self.broken = broken
        count = Counter(each.rule for each in broken)
        lines = [f"{venue} breaks {len(count)} of the contract's rules:"]
        for rule, number in count.items():
            lines += [f"- {each}" for each in broken if each.rule == rule][:SHOWN]
            if number > SHOWN:
                lines.append(f"- {rule}: {number - SHOWN} more like these.")
        super().__init__("\n".join(lines))


class Findings:
    """Collects broken rules while a check runs; the same one counts once."""

    def __init__(self) -> None:
        self.rules: dict[str, None] = {}
        self._broken: dict[BrokenRule, None] = {}

    def checking(self, *rules: str) -> None:
        """Note that these rules are being checked."""
        self.rules.update(dict.fromkeys(rules))

    def add(self, rule: str, what: str, remedy: str) -> None:
        """Note a broken rule."""
        self.rules[rule] = None
        self._broken[BrokenRule(rule, what, remedy)] = None

    @property
    def broken(self) -> tuple[BrokenRule, ...]:
        """All of them, in the order of finding."""
        return tuple(self._broken)


def shortened(value: object) -> str:
    """Return the representation of a value, cut to a length that fits a sentence."""
    text = repr(value)
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}…"
