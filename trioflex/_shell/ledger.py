"""The tickets whose outcome nobody has learned, and the evidence that settles them."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from typing import Any

from ..protocol import Effect
from .ticket import Ticket, TicketState

logger = logging.getLogger("trioflex")

LIMIT = 10_000
"""Tickets remembered. A program that leaves more outcomes unread than this does not read them."""


class Ledger:
    """WRITE tickets that are in flight, unknown, or answered behind their caller's back."""

    def __init__(self) -> None:
        self._open: dict[Hashable, dict[Ticket[Any], None]] = {}
        self._unsettled: dict[Ticket[Any], None] = {}
        self.proven: int = 0

    def __len__(self) -> int:
        return len(self._unsettled)

    @property
    def curious(self) -> bool:
        """Evidence could settle something."""
        return bool(self._open)

    def unsettled(self) -> list[Ticket[Any]]:
        """Return the tickets whose outcome nobody has learned, oldest first."""
        return list(self._unsettled)

    def sent(self, ticket: Ticket[Any]) -> None:
        """A ticket leaves; from now on its outcome matters."""
        if ticket.request.effect is Effect.WRITE:
            name = ticket.request.caller_id
            if name is not None:
                self._open.setdefault(name, {})[ticket] = None
            ticket._on_abandoned = self._remember
            ticket._on_learned = self._forget

    def over(self, ticket: Ticket[Any]) -> None:
        """A ticket reached a final state."""
        if ticket.state is TicketState.UNKNOWN:
            self._remember(ticket)
        else:
            self._close(ticket)

    def prove(self, caller_id: Hashable, value: Any) -> None:
        """Take a push as evidence that the request with this name was executed."""
        for ticket in list(self._open.get(caller_id, ())):
            if ticket._prove(value):
                self.proven += 1
                logger.info("%r was settled by a push", ticket)
                self._close(ticket)

    def _remember(self, ticket: Ticket[Any]) -> None:
        if ticket.request.effect is not Effect.WRITE:
            return
        self._unsettled[ticket] = None
        if len(self._unsettled) > LIMIT:
            oldest = next(iter(self._unsettled))
            del self._unsettled[oldest]
            self._close(oldest)
            logger.warning("forgot the oldest of %d unsettled requests: %r", LIMIT, oldest)

    def _forget(self, ticket: Ticket[Any]) -> None:
        self._unsettled.pop(ticket, None)
        self._close(ticket)

    def _close(self, ticket: Ticket[Any]) -> None:
        name = ticket.request.caller_id
        tickets = self._open.get(name)
        if tickets is not None:
            tickets.pop(ticket, None)
            if not tickets:
                del self._open[name]
