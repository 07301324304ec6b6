"""What must hold of everything a receiver delivers, checked item by item."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from trioflex import Gap, Resumed


class BrokenPromise(AssertionError):
    """Something that users may rely on did not hold."""


class Listener:
    """Takes what a receiver delivers, keeps a state by it, and holds it to the laws.

    Args:
        fold: keeps the state.
        snapshots: types of which one follows ``Resumed(snapshot=True)``; empty: not checked.
        key_of: what an item has in common with its frame; ``None``: frames are not compared.
    """

    def __init__(
        self,
        fold: Any,
        snapshots: tuple[type, ...] = (),
        key_of: Callable[[Any], Any] | None = None,
    ) -> None:
        self.fold = fold
        self.items: int = 0
        self.gaps: int = 0
        self.dropped: int = 0
        self.newest: Any = None
        self.runs: list[list[Any]] = [[]]
        """Keys of items between which nothing may be missing."""
        self._snapshots = snapshots
        self._key_of = key_of

    def take(self, item: Any) -> None:
        """Take the next item.

        Raises:
            BrokenPromise: it cannot be the next.
        """
        before, self.newest = self.newest, item
        if isinstance(item, Gap):
            self._check(not isinstance(before, Gap), "a Gap after a Gap, without a Resumed between")
            self.gaps += 1
            if self._key_of is not None:
                self.runs.append([])
            self.dropped += item.dropped
        elif isinstance(item, Resumed):
            self._check(isinstance(before, Gap), "a Resumed without a Gap before it")
        else:
            self._check(not isinstance(before, Gap), "an item in a gap")
            if isinstance(before, Resumed) and before.snapshot and self._snapshots:
                self._check(
                    isinstance(item, self._snapshots),
                    f"a snapshot was promised, and a {type(item).__name__} came",
                )
            self.items += 1
            self._note_key(item)
        if self.fold is not None:
            self.fold.apply(item)

    def _note_key(self, item: Any) -> None:
        if self._key_of is None:
            return
        key = self._key_of(item)
        if key is None:
            # A snapshot; what it contains already is not delivered again.
            self.runs.append([])
        else:
            self.runs[-1].append(key)

    def _check(self, holds: bool, law: str) -> None:
        if not holds:
            raise BrokenPromise(f"{law} (item {self.items}, gap {self.gaps})")


class Wire:
    """What the exchange sent, by connection, in order.

    Args:
        frames: what passed, as the exchange remembers it.
        key_of: of a message; ``None``: it is of no interest.
    """

    def __init__(self, frames: Iterable[Any], key_of: Callable[[dict[str, Any]], Any]) -> None:
        self._sent: dict[int, list[Any]] = {}
        for frame in frames:
            if frame.direction == "<" and isinstance(frame.text, str):
                try:
                    key = key_of(json.loads(frame.text))
                except ValueError:  # garbled, by order of the nemesis
                    continue
                if key is not None:
                    self._sent.setdefault(frame.connection, []).append(key)

    def check(self, run: list[Any]) -> None:
        """Check that items without a gap between are frames of one connection without a hole.

        Raises:
            BrokenPromise: they are not.
        """
        size = len(run)
        for sent in self._sent.values():
            for start, key in enumerate(sent):
                if key == run[0] and sent[start : start + size] == run:
                    return
        raise BrokenPromise(f"{size} items without a gap are not what was sent: {run[:3]} ...")
