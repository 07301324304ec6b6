"""What a test does to the connections of a simulated exchange at once: the verbs that do not last.

``connection`` names one connection by its number; ``None`` means all that are open.
"""

from __future__ import annotations

from .line import Line


class Interventions:
    """The verbs that act now; mixed into :class:`~trioflex.simulator.SimulatedExchange`."""

    def __init__(self) -> None:
        self.lines: dict[int, Line] = {}

    def drop(self, connection: int | None = None, *, mid_frame: bool = False) -> int:
        """Cut connections without a Close, by RST where there is TCP.

        Args:
            connection: which one; ``None``: all that are open.
            mid_frame: first write the beginning of a frame that never ends. Seen by byte-level
                clients only.

        Returns:
            How many were cut.

        Raises:
            ValueError: the connection is not open.
        """
        lines = self._open_lines(connection)
        for line in lines:
            line.wire.drop(mid_frame=mid_frame)
        return len(lines)

    def close(
        self,
        code: int = 1000,
        reason: str = "",
        *,
        connection: int | None = None,
        keep_tcp: bool = False,
    ) -> int:
        """Close WebSockets with a Close frame.

        Args:
            code: the close code.
            reason: the text that goes with it, at most 123 bytes of UTF-8.
            connection: which one; ``None``: all that are open.
            keep_tcp: leave the TCP connection open after the closing handshake, as some gateways
                do. Byte-level clients only.

        Returns:
            How many were closed.

        Raises:
            ValueError: the connection is not open.
        """
        lines = self._open_lines(connection)
        for line in lines:
            line.wire.close(code, reason, keep_tcp=keep_tcp)
        return len(lines)

    def half_close(self, connection: int | None = None) -> int:
        """End the venue's direction without a Close (FIN), and go on reading and executing.

        Args:
            connection: which one; ``None``: all that are open.

        Returns:
            How many were half closed.

        Raises:
            ValueError: the connection is not open.
        """
        lines = self._open_lines(connection)
        for line in lines:
            line.wire.half_close()
        return len(lines)

    def push(self, frame: str | bytes, connection: int | None = None) -> int:
        """Send a frame as it is.

        Args:
            frame: text, JSON or not; bytes go out as a binary message.
            connection: to which one; ``None``: to all that are open.

        Returns:
            How many it was sent to.

        Raises:
            ValueError: the connection is not open.
        """
        lines = self._open_lines(connection)
        for line in lines:
            line.emit(frame)
        return len(lines)

    def ping(self, connection: int | None = None) -> int:
        """Send a WebSocket Ping.

        Args:
            connection: to which one; ``None``: to all that are open.

        Returns:
            How many it was sent to.

        Raises:
            ValueError: the connection is not open.
        """
        lines = self._open_lines(connection)
        for line in lines:
            line.touch()
            line.wire.ping()
        return len(lines)

    @property
    def open_connections(self) -> tuple[int, ...]:
        """Numbers of the connections that are open, oldest first."""
        return tuple(self.lines)

    def _open_lines(self, connection: int | None) -> list[Line]:
        if connection is None:
            return list(self.lines.values())
        if connection not in self.lines:
            raise ValueError(
                f"connection {connection} is not open; those that are: {self.open_connections}"
            )
        return [self.lines[connection]]
