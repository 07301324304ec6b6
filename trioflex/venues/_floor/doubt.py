"""Whether all balances must be asked for once more."""

from __future__ import annotations

REQUERY_MS = 10_000
"""Least milliseconds between two ``GetBalances`` of the session's own. The venue allows ten
questions in ten seconds; the client's own limit leaves this one free (see ``INFORMATION_RATE``)."""


class Doubt:
    """Whether what is known of the balances is certain.

    Between a ``GetBalances`` and its reply a change may be announced, and the reply may be older
    or newer than that. The core applies such changes over the reply; here it is noted that the
    result is not certain, until a question passes with no change in between.
    """

    def __init__(self) -> None:
        self.wanted = False
        """Somebody follows the balances."""
        self._asking: dict[int, bool] = {}
        """By tag: a change was announced while this question was under way."""
        self._uncertain = False
        self._asked_at: int | None = None

    def asked(self, tag: int) -> None:
        self._asking[tag] = False

    def changed(self) -> bool:
        """Note a change; return whether it may be time to ask again."""
        for tag in self._asking:
            self._asking[tag] = True
        return self._uncertain

    def answered(self, tag: int) -> bool:
        """Note a reply; return whether nothing was announced meanwhile."""
        certain = not self._asking.pop(tag, True)
        self._uncertain = not certain
        return certain

    def refused(self, tag: int) -> None:
        """Note that a question brought nothing."""
        self._asking.pop(tag, None)

    def due(self, now_ms: int) -> bool:
        """Whether to ask now; if so, that is counted as asked."""
        if not self._uncertain or not self.wanted or self._asking:
            return False
        # The wall clock may be set back; then the wait is over, not endless.
        if self._asked_at is not None and 0 <= now_ms - self._asked_at < REQUERY_MS:
            return False
        self._asked_at = now_ms
        return True
