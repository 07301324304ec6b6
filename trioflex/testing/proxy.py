"""A bad network between a client and its server: bytes cut, sliced, held back, lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager

import attrs
import trio
from trio.testing import memory_stream_pair

from .memory import Serve
from .proxied import Direction, Flow, ProxiedConnection, Rules


@attrs.frozen(kw_only=True)
class ProxyStatistics:
    """What a fault proxy has done, over all its connections."""

    connections: int
    """Connections that were made through it."""
    cut: int
    """Those of them that it cut; not those that ended by themselves."""
    to_client: int
    """Bytes that were handed on to clients."""
    to_server: int
    """Bytes that were handed on to the server."""
    discarded: int
    """Bytes that were thrown away, both ways."""


class FaultProxy:
    """A proxy that a test tells how to treat the bytes between a client and its server.

    Over loopback sockets it comes from :func:`open_fault_proxy`. In memory it stands between
    :func:`trioflex.testing.memory_connector` and whoever plays the server; with a ``MockClock``
    its faults take no time, and are the same in every run::

        proxy = FaultProxy()
        connector = memory_connector(proxy.between(exchange.host))
        async with open_client(coinflex.VENUE, connector=connector) as client:
            proxy.go_dark()
            await trio.sleep(5)
            proxy.release()              # ... and everything arrives

    Faults are told apart by ``direction`` (``None``: both) and by ``connection``: the number of one
    connection, from 1 in the order in which they were made. ``None`` concerns all that are open;
    :meth:`slice`, :meth:`hold`, :meth:`discard` and :meth:`go_dark` concern those to come as well,
    until :meth:`release`. :attr:`next_connection` is the number that the next one will have.
    """

    def __init__(self) -> None:
        self.url: str = ""
        """``ws://`` and where it listens; empty in memory."""
        self._connections: list[ProxiedConnection] = []
        self._rules = {direction: Rules() for direction in Direction}
        self._planned: dict[int, list[Callable[[ProxiedConnection], None]]] = {}

    # -- faults --------------------------------------------------------------------------------

    def cut(
        self,
        after: int = 0,
        *,
        direction: Direction = Direction.TO_CLIENT,
        reset: bool = True,
        connection: int | None = None,
    ) -> None:
        """End connections without a goodbye, on both sides.

        Args:
            after: so many more bytes in ``direction``; 0: now.
            direction: which bytes are counted; discarded ones count as well.
            reset: end TCP by RST; ``False``: by FIN. In memory there is only one kind of end, which
                is read as FIN.
            connection: which one; ``None``: all that are open now.

        Raises:
            ValueError: ``after`` is negative, or the connection is over.
        """
        if after < 0:
            raise ValueError(f"a connection cannot be cut after {after} bytes: give 0 or more")

        def apply(each: ProxiedConnection) -> None:
            if after == 0:
                each.cut(reset=reset)
            else:
                each.flows[direction].cut_after(after, reset=reset)

        self._apply(apply, connection)

    def slice(
        self,
        size: int,
        *,
        pause: float = 0.0,
        direction: Direction | None = None,
        connection: int | None = None,
    ) -> None:
        """Hand bytes on in pieces.

        Args:
            size: bytes of a piece, at least 1.
            pause: seconds after each piece, at least 0.
            direction: of which bytes.
            connection: of which connection.

        Raises:
            ValueError: a piece would be empty, or a pause negative, or the connection is over.
        """
        if size < 1 or pause < 0:
            raise ValueError(
                f"pieces of {size} bytes every {pause:g} s cannot be: give 1 byte or more, and 0 s"
                " or more"
            )

        def apply(rules: Rules) -> None:
            rules.size = size
            rules.pause = pause

        self._rule(apply, direction, connection)

    def hold(self, direction: Direction | None = None, *, connection: int | None = None) -> None:
        """Hold bytes back: none is read any more, and none handed on, nor is an end.

        A sender notices nothing until the buffers of its network are full. Bytes that are held
        arrive, in order, when they are released.

        Args:
            direction: which bytes.
            connection: of which connection.

        Raises:
            ValueError: the connection is over.
        """

        def apply(rules: Rules) -> None:
            rules.held = True

        self._rule(apply, direction, connection)

    def discard(self, direction: Direction | None = None, *, connection: int | None = None) -> None:
        """Throw bytes away: a network that acknowledges what it loses.

        Args:
            direction: which bytes.
            connection: of which connection.

        Raises:
            ValueError: the connection is over.
        """

        def apply(rules: Rules) -> None:
            rules.discarding = True

        self._rule(apply, direction, connection)

    def go_dark(self, *, connection: int | None = None) -> None:
        """Hold everything back, both ways: a connection that is half open for both of its ends.

        Connections that are made meanwhile are accepted, and not a byte of them is answered.

        Args:
            connection: which one.

        Raises:
            ValueError: the connection is over.
        """
        self.hold(connection=connection)

    def release(self, direction: Direction | None = None, *, connection: int | None = None) -> None:
        """Treat bytes well again: end of slices, hold, discard and dark.

        Args:
            direction: which bytes.
            connection: of which connection.

        Raises:
            ValueError: the connection is over.
        """

        def apply(rules: Rules) -> None:
            rules.held = rules.discarding = False
            rules.size = None
            rules.pause = 0.0

        self._rule(apply, direction, connection)

    # -- what happened -------------------------------------------------------------------------

    @property
    def next_connection(self) -> int:
        """The number that the next connection will have; the first has 1."""
        return len(self._connections) + 1

    @property
    def open_connections(self) -> tuple[int, ...]:
        """Numbers of the connections that are open, oldest first."""
        return tuple(n for n, each in enumerate(self._connections, 1) if not each.over)

    def passed(self, direction: Direction, *, connection: int | None = None) -> int:
        """Return how many bytes were handed on.

        Args:
            direction: which way.
            connection: over which connection, open or not; ``None``: over all.

        Raises:
            ValueError: there was no such connection.
        """
        concerned = self._connections
        if connection is not None:
            if not 0 < connection < self.next_connection:
                raise ValueError(f"there was no connection {connection}")
            concerned = [self._connections[connection - 1]]
        return sum(each.flows[direction].passed for each in concerned)

    def statistics(self) -> ProxyStatistics:
        """Return what happened until now."""
        flows = [flow for each in self._connections for flow in each.flows.values()]
        return ProxyStatistics(
            connections=len(self._connections),
            cut=sum(each.was_cut for each in self._connections),
            to_client=self.passed(Direction.TO_CLIENT),
            to_server=self.passed(Direction.TO_SERVER),
            discarded=sum(flow.discarded for flow in flows),
        )

    # -- where it stands -----------------------------------------------------------------------

    def between(self, serve: Serve) -> Serve:
        """Return a server in memory that is ``serve``, seen through this proxy.

        Args:
            serve: plays the server on the byte stream of one connection; what it raises comes out
                as it is.

        Returns:
            What :func:`trioflex.testing.memory_connector` takes.
        """

        async def play(client: trio.abc.Stream) -> None:
            near, far = memory_stream_pair()
            connection = self._admit()
            failure: BaseException | None = None

            async def hand_on() -> None:
                await connection.run(client, near)
                # Not where the server has failed: its exception is to arrive before its symptom.
                await connection.close(client, near)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(hand_on)
                try:
                    await serve(far)
                except trio.Cancelled:
                    raise
                except BaseException as exc:
                    # Raised below, outside of the nursery, which would wrap it.
                    failure = exc
                    nursery.cancel_scope.cancel()
                finally:
                    await trio.aclose_forcefully(far)
            if failure is not None:
                raise failure

        return play

    async def lead(self, client: trio.SocketStream, host: str, port: int) -> None:
        """Lead one client's connection on to a server that listens, until both have ended.

        Args:
            client: the connection; closed in any case.
            host: the server's address.
            port: its port. Where nobody listens, the client's connection is cut.

        Cancellation: both connections are closed.
        """
        connection = self._admit()
        # Stands in for the server's until there is one, to be closed twice.
        server = client
        try:
            server = await trio.open_tcp_stream(host, port)
            await connection.run(client, server)
        except OSError:
            connection.cut(reset=True)
        finally:
            await connection.close(client, server)

    # -- how -----------------------------------------------------------------------------------

    def _admit(self) -> ProxiedConnection:
        """Count a new connection, and give it the rules that are in force."""
        connection = ProxiedConnection(
            {direction: Flow(attrs.evolve(rules)) for direction, rules in self._rules.items()}
        )
        self._connections.append(connection)
        for apply in self._planned.pop(len(self._connections), ()):
            apply(connection)
        return connection

    def _apply(self, apply: Callable[[ProxiedConnection], None], number: int | None) -> None:
        """Do something to the connections concerned, or plan it."""
        if number is not None and number >= self.next_connection:
            self._planned.setdefault(number, []).append(apply)
            return
        if number is not None and number not in self.open_connections:
            raise ValueError(
                f"connection {number} is over; those that are open: {self.open_connections}"
            )
        for each in self.open_connections if number is None else (number,):
            apply(self._connections[each - 1])

    def _rule(
        self, apply: Callable[[Rules], None], direction: Direction | None, number: int | None
    ) -> None:
        """Change the rules of the connections concerned."""
        directions: Iterable[Direction] = Direction if direction is None else (direction,)
        if number is None:
            for each in directions:
                apply(self._rules[each])

        def change(connection: ProxiedConnection) -> None:
            for each in directions:
                apply(connection.flows[each].rules)
                connection.flows[each].change()

        self._apply(change, number)


@asynccontextmanager
async def open_fault_proxy(host: str, port: int) -> AsyncGenerator[FaultProxy]:
    """Put a :class:`FaultProxy` before a server on loopback, while the block runs. ::

        async with (
            open_server(exchange) as server,
            open_fault_proxy(server.host, server.port) as proxy,
            open_client(coinflex.VENUE, url=proxy.url) as client,
        ):
            proxy.cut(after=1000)

    Before a server that speaks TLS it is ``wss://`` that leads to the port in ``proxy.url``; the
    bytes are the same.

    Args:
        host: the server's address.
        port: its port.

    Yields:
        The proxy, which listens on a free port of the loopback interface.

    Raises:
        OSError: no port is free.

    Cancellation: all connections are closed.
    """
    # On use: whoever stays in memory needs no simulator.
    from ..simulator.crew import open_crew

    proxy = FaultProxy()

    async def handle(client: trio.SocketStream) -> None:
        await proxy.lead(client, host, port)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with open_crew() as crew:
        proxy.url = f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        crew.start_soon(trio.serve_listeners, handle, listeners)
        yield proxy
