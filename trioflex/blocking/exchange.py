"""A simulated exchange, for threads: something to try a blocking client on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, TypeVar

from ..simulator import (
    ExchangeModel,
    ServerAddress,
    SimulatedExchange,
    open_server,
    system_clock,
)
from .host import Host

R = TypeVar("R")

Served = tuple[SimulatedExchange, ServerAddress]


class BlockingExchange:
    """A simulated exchange that is served on loopback; made by :func:`open_exchange`."""

    def __init__(self, host: Host[Served], exchange: SimulatedExchange, url: str) -> None:
        self._host = host
        self._exchange = exchange
        self._url = url

    @property
    def url(self) -> str:
        """What a client connects to."""
        return self._url

    @property
    def credentials(self) -> dict[str, str]:
        """An account's credentials, by the names of environment variables: for the ``from_env()``
        of the venue module's ``Credentials``."""
        return dict(self._host.do(self._exchange.model.credentials))

    def do(self, action: Callable[[SimulatedExchange], R]) -> R:
        """Have something done to the exchange, in its own thread: ``do(lambda x: x.drop())``.

        Args:
            action: what; it gets the :class:`trioflex.simulator.SimulatedExchange`.

        Returns:
            What it returns.

        Raises:
            trio.ClosedResourceError: the exchange's block was left.
        """
        return self._host.do(action, self._exchange)


class Serving(AbstractContextManager[BlockingExchange]):
    """The scope of a served exchange, for threads."""

    def __init__(self, host: Host[Served]) -> None:
        self._host = host

    def __enter__(self) -> BlockingExchange:
        exchange, address = self._host.open()
        return BlockingExchange(self._host, exchange, address.url)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        failure = self._host.close()
        if failure is not None:
            raise failure


def open_exchange(
    venue: str | ExchangeModel, **options: Any
) -> AbstractContextManager[BlockingExchange]:
    """Serve a simulated exchange on loopback for as long as the ``with`` block lasts.

    It lives in a thread of its own and keeps real time; its other market participants trade.

    Args:
        venue: as for :class:`trioflex.simulator.SimulatedExchange`.
        options: likewise.

    Returns:
        A context manager; entering it gives the :class:`BlockingExchange`.

    Raises (entering):
        ValueError: the venue is not known.
        OSError: no address can be bound.
    """
    name = venue if isinstance(venue, str) else venue.name
    return Serving(Host(_serve(venue, options), f"the simulated {name}"))


@asynccontextmanager
async def _serve(venue: str | ExchangeModel, options: dict[str, Any]) -> AsyncIterator[Served]:
    exchange = SimulatedExchange(venue, **{"clock": system_clock, **options})
    async with open_server(exchange) as address, exchange.trading():
        yield exchange, address
