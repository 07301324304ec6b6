"""The scope of a receiver: what entering asks for and what leaving gives back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TypeVar

import trio

from .._sansio.registry import Effect
from .._vocabulary.errors import LOCAL, SubscriptionRefused
from .._vocabulary.events import GapReason
from .._vocabulary.settings import Overflow
from ..protocol import Channel
from .core import NEEDS_LOGIN, Core, Numbered, Tap
from .receiver import Receiver
from .supervisor import Supervisor

logger = logging.getLogger("trioflex")

T = TypeVar("T")
N = TypeVar("N", bound=Numbered)


class Subscription(AbstractAsyncContextManager[Receiver[T]]):
    """The scope of one receiver of a channel. Leaving is synchronous in all but its name."""

    def __init__(
        self,
        core: Core,
        supervisor: Supervisor,
        channel: Channel[T],
        buffer: int,
        overflow: Overflow,
    ) -> None:
        self._core = core
        self._supervisor = supervisor
        self._channel = channel
        self._receiver: Receiver[T] = Receiver(
            channel, buffer=buffer, overflow=overflow, resubscribe=self._resubscribe
        )

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> Receiver[T]:
        self._check()
        self._receiver._enter()
        registry, now = self._core.registry, trio.current_time()
        self._apply(registry.join(self._channel, self._receiver, now))
        try:
            await self._receiver._wait_started()
        except BaseException:
            self._leave()
            raise
        return self._receiver

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._receiver._close()
        self._apply(self._core.registry.leave(self._channel, self._receiver))

    def _resubscribe(self) -> None:
        registry, now = self._core.registry, trio.current_time()
        self._apply(registry.interrupt(self._channel, GapReason.RESUBSCRIBED, now))

    def _apply(self, effects: Sequence[Effect]) -> None:
        if self._supervisor.connection is not None:
            self._supervisor.connection.sender.apply(effects)

    def _check(self) -> None:
        """Refuse locally what the venue would refuse."""
        supervisor = self._supervisor
        supervisor.check_open()
        venue, entries = self._core.venue, self._core.registry.entries
        if self._channel.private and supervisor.anonymous:
            raise self._refusal(NEEDS_LOGIN)
        if self._channel in entries:
            return
        count = len(entries)
        if venue.max_channels is not None and count >= venue.max_channels:
            raise self._refusal(
                f"{venue.name} takes at most {venue.max_channels} channels on a connection"
            )
        if venue.warn_channels is not None and count == venue.warn_channels:
            logger.warning(
                "%s: more than %d channels; some of its documents allow no more",
                venue.name,
                venue.warn_channels,
            )

    def _refusal(self, text: str) -> SubscriptionRefused:
        return SubscriptionRefused(
            f"{self._channel!r} was not subscribed: {text}",
            channel=self._channel,
            code=LOCAL,
            text=text,
        )


class Tapping(AbstractAsyncContextManager[Receiver[N]]):
    """The scope of a receiver of the client's own streams."""

    def __init__(self, supervisor: Supervisor, tap: Tap[N], name: str, buffer: int) -> None:
        self._supervisor = supervisor
        self._tap = tap
        self._receiver: Receiver[N] = Receiver(name, buffer=buffer, overflow=Overflow.GAP)

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> Receiver[N]:
        await trio.lowlevel.checkpoint()
        self._supervisor.check_open()
        self._receiver._enter()
        self._receiver.start(())
        self._tap.add(self._receiver)
        return self._receiver

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._receiver._close()
        self._tap.remove(self._receiver)
