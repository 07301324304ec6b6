"""The ends of a subscription and of a request, for threads."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from types import TracebackType
from typing import Any, Generic, TypeVar

import trio

from .. import (
    Gap,
    LocalProtocolError,
    Overflow,
    Receiver,
    ReceiverStatistics,
    Resumed,
    Ticket,
    TicketState,
)
from ..protocol import Request
from .host import Host

R = TypeVar("R")
T = TypeVar("T")


class BlockingTicket(Generic[R]):
    """The life of one outgoing request; made by :meth:`BlockingClient.submit`.

    It says the same as the :class:`trioflex.Ticket` it stands for.
    """

    def __init__(self, host: Host[Any], ticket: Ticket[R]) -> None:
        self._host = host
        self._ticket = ticket

    def __repr__(self) -> str:
        return repr(self._ticket)

    @property
    def request(self) -> Request[R]:
        """The request this ticket was made for."""
        return self._ticket.request

    @property
    def state(self) -> TicketState:
        """How far it has come, now."""
        return self._ticket.state

    @property
    def final(self) -> bool:
        """Nothing more is awaited (an unknown outcome may still be settled)."""
        return self._ticket.final

    def reply(self) -> R:
        """Wait for the answer.

        Returns:
            The venue's reply.

        Raises:
            NotSent: it certainly did not happen.
            Refused: the venue said no.
            ReplyLost: no answer, and the request changes nothing: ask again.
            OutcomeUnknown: no answer, and the request may have changed the account.
            trio.ClosedResourceError: the client is closed.

        Cancellation: Ctrl-C withdraws the request if it has not left; if it has, a late answer
        lands in this ticket.
        """
        return self._host.call(self._ticket.reply)

    def withdraw(self) -> bool:
        """Take the request back if it has not left; return whether that was possible."""
        return self._host.do(self._ticket.withdraw)

    def settle(self, value: R) -> None:
        """Say what you have found out about an unknown outcome: it did happen, with this reply.

        Args:
            value: the reply as it would have been.

        Raises:
            Exception: as :meth:`trioflex.Ticket.settle`.
        """
        self._host.do(self._ticket.settle, value)


class BlockingReceiver(Generic[T]):
    """Items of one channel, with ``Gap`` and ``Resumed`` where continuity was lost and restored.

    Made by :meth:`BlockingClient.subscribe`. Iterating waits for items and ends when the client
    closes. Several threads may share one receiver; each item then goes to one of them.

    What is there is fetched in one go and handed out one by one, so up to ``buffer`` items more
    than the buffer holds may be on their way to you. Under ``Overflow.LATEST`` each is fetched by
    itself: the next one is always the newest there is.
    """

    def __init__(self, host: Host[Any], receiver: Receiver[T], overflow: Overflow) -> None:
        self._host = host
        self._receiver = receiver
        self._one_by_one = overflow is Overflow.LATEST
        # Filled in the host's thread: what was fetched stays here although the thread that asked
        # for it was interrupted while it waited.
        self._hand: deque[T | Gap | Resumed] = deque()

    def __repr__(self) -> str:
        return repr(self._receiver)

    @property
    def channel(self) -> object:
        """The channel it receives."""
        return self._receiver.channel

    def receive(self, timeout: float = math.inf) -> T | Gap | Resumed:
        """Wait for the next item or marker.

        Args:
            timeout: seconds to wait; 0: take what is there.

        Returns:
            The item or marker.

        Raises:
            TimeoutError: nothing came in time; nothing is lost.
            trio.EndOfChannel: the client has closed, and everything buffered was read.
            trio.ClosedResourceError: the subscription's block was left.
            trio.BrokenResourceError: the client failed; the failure is the cause.
            SubscriptionRefused: the venue refused the channel after a reconnect.
            SubscriptionTimeout: it did not confirm the channel after a reconnect.
            ReceiverOverflow: the buffer was full, under ``Overflow.FAIL``.

        Cancellation: Ctrl-C loses nothing; the next call goes on where this one was.
        """
        hand = self._hand
        until = time.monotonic() + timeout
        while True:
            try:
                return hand.popleft()
            except IndexError:
                pass  # empty, or another thread was faster
            try:
                self._host.call(self._fetch, max(0.0, until - time.monotonic()), timeout)
            except trio.ClosedResourceError:
                if hand:
                    continue
                return self._last()

    def __iter__(self) -> Iterator[T | Gap | Resumed]:
        return self

    def __next__(self) -> T | Gap | Resumed:
        """Wait for the next item or marker; stop when the client has closed."""
        try:
            return self.receive()
        except trio.EndOfChannel:
            raise StopIteration from None

    def values(self) -> Iterator[T]:
        """Iterate over the items alone, for consumers to whom a gap changes nothing.

        Returns:
            An iterator of items.
        """
        return ValueIterator(self)

    def resubscribe(self) -> None:
        """Ask the venue for a fresh subscription, and so for a fresh snapshot."""
        self._host.do(self._receiver.resubscribe)

    def statistics(self) -> ReceiverStatistics:
        """Return what went through this receiver until now."""
        return self._host.do(self._receiver.statistics)

    def _last(self) -> T | Gap | Resumed:
        """Take what a client left that is closed, or say how it ended, without its thread."""
        try:
            return self._receiver.receive_nowait()
        except (trio.WouldBlock, IndexError):  # another thread took the last item
            raise trio.EndOfChannel from None

    async def _fetch(self, patience: float, timeout: float) -> None:
        """Wait so long for items, of a time that began earlier."""
        if self._take():
            return
        with trio.move_on_after(patience):
            self._hand.append(await self._receiver.receive())
            if not self._one_by_one:
                self._take()
            return
        raise TimeoutError(f"nothing came from {self.channel!r} within {timeout:g} s")

    def _take(self) -> bool:
        """Take what is there; return whether that was anything."""
        there = self._receiver.statistics().buffered
        for _ in range(min(there, 1) if self._one_by_one else there):
            self._hand.append(self._receiver.receive_nowait())
        return there > 0


class ValueIterator(Generic[T]):
    """Items of a receiver without its markers; see :meth:`BlockingReceiver.values`."""

    def __init__(self, receiver: BlockingReceiver[T]) -> None:
        self._receiver = receiver

    def __iter__(self) -> ValueIterator[T]:
        return self

    def __next__(self) -> T:
        """Wait for the next item."""
        while True:
            item = next(self._receiver)
            if not isinstance(item, Gap | Resumed):
                return item


class Subscribed(AbstractContextManager[BlockingReceiver[T]]):
    """The scope of one receiver, for threads."""

    def __init__(
        self,
        host: Host[Any],
        manager: AbstractAsyncContextManager[Receiver[T]],
        overflow: Overflow,
    ) -> None:
        self._host = host
        self._manager = manager
        self._overflow = overflow
        self._receiver: Receiver[T] | None = None

    def __enter__(self) -> BlockingReceiver[T]:
        try:
            receiver = self._host.call(self._enter)
        except LocalProtocolError:
            raise  # entered before: what runs is that block's
        except BaseException:
            # Ctrl-C may come when the channel is live and nobody has heard of it yet.
            self._leave()
            raise
        return BlockingReceiver(self._host, receiver, self._overflow)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    async def _enter(self) -> Receiver[T]:
        self._receiver = await self._manager.__aenter__()
        return self._receiver

    async def _exit(self) -> None:
        await self._manager.__aexit__(None, None, None)

    def _leave(self) -> None:
        if self._receiver is not None:
            with suppress(trio.ClosedResourceError):  # the client is closed, and with it this
                self._host.call(self._exit)
