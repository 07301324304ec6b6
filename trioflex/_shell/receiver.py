"""The user's end of a subscription: a bounded channel that never holds anybody up.

A receiver is a Trio receive channel of its own making rather than ``open_memory_channel``: bound,
overflow policy and counts are in items, items arrive in the batches of one read, and on overflow
the backlog must be taken back *exactly*. A memory channel hands a value to a parked task before
that task runs; from then on nobody can take it back or count it. Here items stay in the backlog
until a task really has them, so every count is true (and a read costs one wake-up, whatever it
brings).

The dispatcher's side is synchronous and cannot wait: one slow reader can hurt only itself.

Tasks that wait stand in an ordered dictionary of our own. It does what ``trio.lowlevel.ParkingLot``
does, first come, first woken, for the one case we have, and spares 0.3 of 3.5 us a message where a
read brings four messages for each of 100 channels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import attrs
import trio
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled

from .._sansio.backlog import Backlog
from .._vocabulary.errors import LocalProtocolError, ReceiverOverflow, TrioflexError
from .._vocabulary.events import Gap, Resumed
from .._vocabulary.settings import Overflow

T = TypeVar("T")

DEFAULT_BUFFER = 4096
"""Several full reads: one read of 64 KiB brings about 250 ordinary messages."""

STREAK = 256
"""Items, at least, that ``async for`` hands out between two checkpoints; more only where more were
there at the last one. Between two checkpoints of a consumer comes a read or two, which may bring
more than this: were streaks smaller than reads, the fastest consumer would fall behind."""


@attrs.frozen(kw_only=True)
class ReceiverStatistics:
    """What went through one receiver until now."""

    buffer: int
    """Items the buffer may hold."""
    buffered: int
    """Items, markers included, that wait to be read."""
    peak: int
    """Most items that ever waited."""
    received: int
    """Items that arrived for this receiver."""
    dropped: int
    """Items thrown away by ``Overflow.GAP`` or ``Overflow.FAIL``."""
    conflated: int
    """Items thrown away by ``Overflow.LATEST``."""
    gaps: int
    """Gaps, whatever the reason."""
    resumed: int
    """Times continuity was restored."""
    tasks_waiting: int
    """Tasks that wait for an item."""


class Receiver(trio.abc.ReceiveChannel[T | Gap | Resumed], Generic[T]):
    """Items of one channel, with ``Gap`` and ``Resumed`` where continuity was lost and restored.

    Made by :meth:`trioflex.Client.subscribe`. Several tasks may share one receiver; each item then
    goes to one of them. To give every task everything, subscribe once for each: the wire carries
    one subscription all the same. There is no ``clone()``: it would deliver a ``Gap`` to one worker
    and hide it from the others.

    ``async for`` ends when the client closes, after what was buffered. Tasks outside the client's
    block see :class:`trio.BrokenResourceError` instead if the client failed.
    """

    def __init__(
        self,
        channel: object,
        *,
        buffer: int,
        overflow: Overflow,
        resubscribe: Callable[[], None] | None = None,
    ) -> None:
        self._channel = channel
        self._resubscribe = resubscribe
        self._backlog = Backlog(buffer, overflow)
        self._waiting: OrderedDict[Task, None] = OrderedDict()
        self._streak = 0  # items that `async for` may still hand out without a checkpoint
        self._entered = False
        self._started = False
        self._over = False  # one of the next three: nothing more is taken
        self._closed = False
        self._ended = False
        self._failure: Callable[[], TrioflexError] | None = None
        self._broken: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Receiver of {self._channel!r}, {len(self._backlog)} waiting>"

    @property
    def channel(self) -> object:
        """The channel it receives."""
        return self._channel

    # -- the user's side -----------------------------------------------------------------------

    @trio.lowlevel.enable_ki_protection
    async def receive(self) -> T | Gap | Resumed:
        """Wait for the next item or marker. Always a checkpoint.

        Raises:
            trio.EndOfChannel: the client has closed, and everything buffered was read.
            trio.ClosedResourceError: the subscription's block was left.
            trio.BrokenResourceError: the client failed; the failure is the cause.
            SubscriptionRefused: the venue refused the channel after a reconnect.
            SubscriptionTimeout: it did not confirm the channel after a reconnect.
            ReceiverOverflow: the buffer was full, under ``Overflow.FAIL``.

        Cancellation: nothing is lost.
        """
        await self._wait_filled()
        self._backlog.deal()
        return next(self._backlog.hand)  # type: ignore[no-any-return]

    @trio.lowlevel.enable_ki_protection
    def receive_nowait(self) -> T | Gap | Resumed:
        """Return the next item or marker at once.

        Raises:
            trio.WouldBlock: nothing is buffered.
            Exception: as :meth:`receive`.
        """
        if not self._backlog:
            self._check_over()
            raise trio.WouldBlock
        self._backlog.deal()
        return next(self._backlog.hand)  # type: ignore[no-any-return]

    @trio.lowlevel.enable_ki_protection
    async def __anext__(self) -> T | Gap | Resumed:
        # The one async function here that is not always a checkpoint: within a hand of items the
        # scheduler is left alone (2.8 us a checkpoint, 0.1 us an item).
        backlog = self._backlog
        for item in backlog.hand:
            return item  # type: ignore[no-any-return]
        waited = False
        if not (backlog.behind or self._over or backlog.lost):
            # Nearly always. What wakes this task has become the hand, as a rule.
            await wait_task_rescheduled(self._stand_in_line())
            waited = True
            self._streak = STREAK
            for item in backlog.hand:
                return item  # type: ignore[no-any-return]
        if self._streak <= 0 or not backlog:
            try:
                await self._wait_filled(waited)
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
            self._streak = max(STREAK, len(backlog))
        self._streak -= backlog.deal(self._streak)
        return next(backlog.hand)  # type: ignore[no-any-return]

    def values(self) -> ValueIterator[T]:
        """Iterate over the items alone, for consumers to whom a gap changes nothing.

        The markers are dropped by choice, visibly, in your program; :meth:`statistics` counts them.

        Returns:
            An asynchronous iterator of items.
        """
        return ValueIterator(self)

    def batches(self) -> BatchIterator[T]:
        """Iterate over lists of what is there, markers included; each step is a checkpoint.

        Returns:
            An asynchronous iterator of non-empty lists.
        """
        return BatchIterator(self)

    @trio.lowlevel.enable_ki_protection
    def resubscribe(self) -> None:
        """Ask the venue for a fresh subscription, and so for a fresh snapshot.

        Every receiver of the channel sees ``Gap(RESUBSCRIBED)``, then ``Resumed`` and the snapshot.
        Does nothing while there is no connection: the next one begins afresh anyway.
        """
        if self._resubscribe is not None and not self._over:
            self._resubscribe()

    @trio.lowlevel.enable_ki_protection
    async def aclose(self) -> None:
        """Stop receiving; what is buffered is dropped. Leaving the subscription does the same."""
        self._close()
        await trio.lowlevel.checkpoint()

    def statistics(self) -> ReceiverStatistics:
        """Return what went through this receiver until now."""
        backlog = self._backlog
        return ReceiverStatistics(
            buffer=backlog.limit,
            buffered=len(backlog),
            peak=backlog.peak,
            received=backlog.received,
            dropped=backlog.dropped,
            conflated=backlog.conflated,
            gaps=backlog.gaps,
            resumed=backlog.resumed,
            tasks_waiting=len(self._waiting),
        )

    @property
    def _finished(self) -> bool:
        """Nothing more is taken."""
        return self._over or self._backlog.lost > 0

    def _enter(self) -> None:
        """Note that the block begins, which it does once."""
        if self._entered:
            raise LocalProtocolError(
                f"this block of {self._channel!r} was entered before; each `async with` needs a "
                "subscribe(), poll(), unmatched() or frames() of its own"
            )
        self._entered = True

    async def _wait_filled(self, waited: bool = False) -> None:
        """Wait until there is something to take; always a checkpoint.

        Args:
            waited: this task has stood in line already, and what it was woken for is gone.
        """
        backlog = self._backlog
        if backlog:
            await trio.lowlevel.checkpoint()
        while not backlog:
            self._check_over()
            leave = self._stand_in_line()
            if waited:
                self._waiting.move_to_end(current_task(), last=False)
            await wait_task_rescheduled(leave)
            waited = True

    @trio.lowlevel.enable_ki_protection
    async def _wait_started(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._started:
            await trio.lowlevel.cancel_shielded_checkpoint()
        while not self._started:
            if self._ended and self._broken is None:
                raise trio.ClosedResourceError("the client closed before the channel was live")
            self._check_over()
            await wait_task_rescheduled(self._stand_in_line())

    def _check_over(self) -> None:
        lost = self._backlog.lost
        if lost:
            raise ReceiverOverflow(
                f"the receiver of {self._channel!r} was read too slowly: its buffer of "
                f"{self._backlog.limit} was full and {lost} items were dropped; read "
                "faster, ask for a larger buffer, or choose another overflow policy",
                channel=self._channel,
                dropped=lost,
            )
        if self._failure is not None:
            raise self._failure()
        if self._broken is not None:
            raise trio.BrokenResourceError("the client failed") from self._broken
        if self._closed:
            raise trio.ClosedResourceError(f"the subscription to {self._channel!r} was left")
        if self._ended:
            raise trio.EndOfChannel

    def _stand_in_line(self) -> Callable[[object], Abort]:
        """Put this task behind those who wait already; return what takes it out again."""
        task = current_task()
        self._waiting[task] = None

        def leave(_: object) -> Abort:
            del self._waiting[task]
            return Abort.SUCCEEDED

        return leave

    # -- the dispatcher's side: synchronous ----------------------------------------------------

    def comes_from(self, connection: int) -> None:
        """What follows comes from the connection of this number."""
        self._backlog.connection = connection

    def start(self, items: Sequence[Any]) -> None:
        """Go live for the first time, with these items first."""
        self._started = True
        self._backlog.start(items)
        self._wake(len(self._waiting))

    def put(self, items: list[Any], state: Callable[[], Any] | None) -> None:
        """Take the items of one read; ``state`` gives a snapshot of what was before them."""
        if not self._over:
            more = self._backlog.put(items, state)
            if self._waiting:
                self._wake(more)

    def gap(self, gap: Gap) -> None:
        """Continuity is lost."""
        if not (self._over or self._backlog.lost):
            self._backlog.gap(gap)
            self._wake(1)

    def resume(self, resumed: Resumed, items: Sequence[Any]) -> None:
        """Continuity is restored, with these items first."""
        if not (self._over or self._backlog.lost):
            self._wake(self._backlog.resume(resumed, items))

    def fail(self, error: Callable[[], TrioflexError]) -> None:
        """End with this error, after what is buffered; each raise makes a fresh one."""
        if not self._over:
            self._over = True
            self._failure = error
            self._wake(len(self._waiting))

    def end(self, broken: BaseException | None) -> None:
        """The client is over: end, after what is buffered; ``broken`` says if it failed."""
        if not self._over:
            self._over = True
            self._ended = True
            self._broken = broken
        self._wake(len(self._waiting))

    @trio.lowlevel.enable_ki_protection
    def _wake(self, count: int) -> None:
        """Wake up to ``count`` of those who wait, the longest waiting first."""
        waiting = self._waiting
        while count > 0 and waiting:
            reschedule(waiting.popitem(last=False)[0])
            count -= 1

    def _close(self) -> None:
        self._over = True
        self._closed = True
        self._backlog.take_all()
        self._wake(len(self._waiting))


class ValueIterator(Generic[T]):
    """Items of a receiver without its markers; see :meth:`Receiver.values`."""

    def __init__(self, receiver: Receiver[T]) -> None:
        self._receiver = receiver

    def __aiter__(self) -> ValueIterator[T]:
        return self

    async def __anext__(self) -> T:
        """Wait for the next item; checkpoints as iterating over the receiver does."""
        while True:
            item = await self._receiver.__anext__()
            if not isinstance(item, Gap | Resumed):
                return item


class BatchIterator(Generic[T]):
    """Lists of what a receiver has; see :meth:`Receiver.batches`."""

    def __init__(self, receiver: Receiver[T]) -> None:
        self._receiver = receiver

    def __aiter__(self) -> BatchIterator[T]:
        return self

    @trio.lowlevel.enable_ki_protection
    async def __anext__(self) -> list[T | Gap | Resumed]:
        """Wait until there is something and return all of it."""
        receiver = self._receiver
        try:
            await receiver._wait_filled()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        return receiver._backlog.take_all()
