"""What can be ordered of a simulated exchange: the verbs of a test's script.

Verbs that last return their :class:`~trioflex.simulator.faults.Fault`, a handle with ``stop()``,
``hits`` and ``active``. ``times`` bounds how often one strikes (``None``: until stopped);
``connection`` names the only connection concerned by its number (``None``: all of them, those to
come included). ``exchange.next_connection`` is the number that the next one will have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..protocol import Request
from .faults import (
    AcceptAndDrop,
    Dark,
    Delay,
    Duplicate,
    DuplicatePushes,
    Faults,
    Garble,
    HangUpgrade,
    Refuse,
    RefuseConnections,
    Reorder,
    Silence,
    Stall,
    WithholdWelcome,
)

NETWORK_ROOM = 65_536
"""Bytes a client can write into a network that delivers nothing, before its writes wait: about
what the send buffer of a fresh TCP connection takes."""


def _cut(frame: str) -> str:
    """Return the first half of a frame: JSON that ends too early."""
    return frame[: len(frame) // 2]


class Script:
    """The verbs that stay in force; mixed into :class:`~trioflex.simulator.SimulatedExchange`."""

    def __init__(self) -> None:
        self.faults: Faults = Faults(self._faults_changed)

    def _faults_changed(self) -> None:
        """Let every connection look again at what holds it up."""

    def _named(self, method: str | type[Request[Any]]) -> str:
        """Return the name on the wire of what a script names, or say that there is none."""
        raise NotImplementedError

    # -- requests and replies ------------------------------------------------------------------

    def silence(
        self,
        method: str | type[Request[Any]],
        *,
        times: int | None = None,
        execute: bool = True,
        connection: int | None = None,
    ) -> Silence:
        """Withhold the replies to a kind of request.

        Args:
            method: the venue's request class (``coinflex.PlaceOrder``), or its name on the wire
                (``"PlaceOrder"``), or ``"*"`` for every one.
            times: how many replies; ``None``: all until stopped.
            execute: ``True``: the request is executed and its notices are sent; ``False``: it is
                swallowed before the engine sees it (:meth:`count` counts it all the same).
            connection: the only connection concerned.

        Returns:
            The handle; stopping it does not bring withheld replies back.

        Raises:
            ValueError: the venue has no such request.
        """
        return self.faults.add(
            Silence(method=self._named(method), times=times, execute=execute, connection=connection)
        )

    def delay(
        self,
        method: str | type[Request[Any]],
        seconds: float,
        *,
        times: int | None = None,
        connection: int | None = None,
    ) -> Delay:
        """Send replies to a kind of request late; it is executed, and its notices sent, at once.

        Args:
            method: the request's class or name, or ``"*"``.
            seconds: how late, on Trio's clock; at least 0.
            times: how many replies; ``None``: all until stopped.
            connection: the only connection concerned.

        Returns:
            The handle; stopping it does not hasten replies that are already late.

        Raises:
            ValueError: ``seconds`` is negative, or the venue has no such request.
        """
        if seconds < 0:
            raise ValueError(f"a reply cannot be {seconds} s late: give 0 or more seconds")
        return self.faults.add(
            Delay(method=self._named(method), seconds=seconds, times=times, connection=connection)
        )

    def refuse(
        self,
        method: str | type[Request[Any]],
        code: str | int,
        message: str,
        *,
        times: int | None = None,
        connection: int | None = None,
    ) -> Refuse:
        """Answer a kind of request with a refusal instead of executing it.

        Args:
            method: the request's class or name, or ``"*"``.
            code: the venue's code, as the venue writes it.
            message: the venue's text.
            times: how many requests; ``None``: all until stopped.
            connection: the only connection concerned.

        Returns:
            The handle.

        Raises:
            ValueError: the venue has no such request.
        """
        return self.faults.add(
            Refuse(
                method=self._named(method),
                code=str(code),
                message=message,
                times=times,
                connection=connection,
            )
        )

    def duplicate(
        self,
        method: str | type[Request[Any]],
        *,
        times: int | None = None,
        connection: int | None = None,
    ) -> Duplicate:
        """Send the replies to a kind of request twice.

        Args:
            method: the request's class or name, or ``"*"``.
            times: how many replies; ``None``: all until stopped.
            connection: the only connection concerned.

        Returns:
            The handle.

        Raises:
            ValueError: the venue has no such request.
        """
        return self.faults.add(
            Duplicate(method=self._named(method), times=times, connection=connection)
        )

    def duplicate_pushes(
        self, *, times: int | None = None, connection: int | None = None
    ) -> DuplicatePushes:
        """Send what nobody asked for (notices, the welcome) twice.

        Args:
            times: how many frames; ``None``: all until stopped.
            connection: the only connection concerned.

        Returns:
            The handle.
        """
        return self.faults.add(DuplicatePushes(times=times, connection=connection))

    def reorder(
        self, count: int, *, times: int | None = 1, connection: int | None = None
    ) -> Reorder:
        """Hold replies back until there are ``count`` of them, then send them, the last first.

        Args:
            count: replies in one group, 2 or more. Notices are not held back.
            times: how many groups; ``None``: all until stopped.
            connection: the only connection whose replies are concerned.

        Returns:
            The handle; stopping it sends what is held back, the last first.

        Raises:
            ValueError: ``count`` is less than 2.
        """
        if count < 2:
            raise ValueError(f"{count} reply cannot be reordered: give 2 or more")
        return self.faults.add(Reorder(size=count, times=times, connection=connection))

    def garble(
        self,
        replacement: str | bytes | Callable[[str], str | bytes] = _cut,
        *,
        times: int | None = 1,
        connection: int | None = None,
    ) -> Garble:
        """Replace outgoing frames: the next one, unless ``times`` says otherwise.

        Args:
            replacement: what is sent instead: text, bytes (a binary message), or a function of
                the frame. Without it, frames are cut in half, which is not JSON any more.
            times: how many frames; ``None``: all until stopped.
            connection: the only connection concerned; ``exchange.next_connection`` makes the
                welcome of the next one the frame that is replaced.

        Returns:
            The handle.
        """
        replace = replacement if callable(replacement) else lambda frame: replacement
        return self.faults.add(Garble(replace=replace, times=times, connection=connection))

    # -- the way between -----------------------------------------------------------------------

    def stall(self, *, room: int = 0, connection: int | None = None) -> Stall:
        """Stop reading what clients send; what the venue sends still arrives.

        Args:
            room: bytes the network takes off a client before its writes wait. Over sockets the
                kernel's buffers decide, some megabytes on loopback.
            connection: the only connection concerned.

        Returns:
            The handle; stopping it reads on, and executes what has waited.
        """
        return self.faults.add(Stall(room=room, connection=connection))

    def go_dark(self, *, room: int = NETWORK_ROOM, connection: int | None = None) -> Dark:
        """Let nothing pass in either direction, as when a cable is cut: no FIN, no RST.

        New connections are not answered either. An idle timeout of the venue goes on.

        Args:
            room: bytes the network takes off a client before its writes wait.
            connection: the only connection concerned.

        Returns:
            The handle; stopping it lets everything that was held back pass, in order.
        """
        return self.faults.add(Dark(room=room, connection=connection))

    # -- connecting ----------------------------------------------------------------------------

    def refuse_connections(
        self,
        status: int = 503,
        *,
        retry_after: float | None = None,
        body: str = "",
        times: int | None = None,
    ) -> RefuseConnections:
        """Refuse the HTTP upgrade of new connections.

        Args:
            status: the HTTP status, 300 to 599.
            retry_after: whole seconds for a ``Retry-After`` header, or ``None`` for no such header.
            body: text that comes with the refusal.
            times: how many attempts; ``None``: all until stopped.

        Returns:
            The handle.

        Raises:
            ValueError: ``status`` is not one of a refusal.
        """
        if not 300 <= status <= 599:
            raise ValueError(f"HTTP status {status} refuses nothing: give one from 300 to 599")
        return self.faults.add(
            RefuseConnections(status=status, retry_after=retry_after, body=body, times=times)
        )

    def accept_and_drop(self, *, times: int | None = None) -> AcceptAndDrop:
        """Open the WebSocket of new connections and drop them before the venue says anything.

        Args:
            times: how many connections; ``None``: all until stopped.

        Returns:
            The handle.
        """
        return self.faults.add(AcceptAndDrop(times=times))

    def hang_upgrade(self, *, times: int | None = None) -> HangUpgrade:
        """Take new connections and never answer their HTTP upgrade.

        Args:
            times: how many attempts; ``None``: all until stopped.

        Returns:
            The handle; attempts that hang already go on hanging.
        """
        return self.faults.add(HangUpgrade(times=times))

    def withhold_welcome(
        self,
        seconds: float | None = None,
        *,
        times: int | None = None,
        connection: int | None = None,
    ) -> WithholdWelcome:
        """Do not say what the venue says first on a connection, or say it late.

        Args:
            seconds: how late, on Trio's clock; ``None``: never.
            times: how many connections; ``None``: all until stopped.
            connection: the only connection concerned.

        Returns:
            The handle.
        """
        return self.faults.add(WithholdWelcome(seconds=seconds, times=times, connection=connection))
