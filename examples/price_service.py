"""A service: started by a nursery, stopped by it or on request, asked by the rest of a program.

It owns its client; the program owns the service. Nothing of it runs before ``start()`` returns and
nothing after ``stop()`` has.
"""

from __future__ import annotations

from decimal import Decimal

import trio
import where

from trioflex import Connector, Gap, Overflow, Resumed, open_client
from trioflex.simulator import open_exchange
from trioflex.venues import coinflex


class PriceService:
    """Knows the last price of some markets, or that it does not.

    Args:
        markets: pairs of base and counter.
        url: a venue; ``None``: CoinFLEX.
        connector: how to get there.
    """

    def __init__(
        self,
        *markets: tuple[str, str],
        url: str | None = None,
        connector: Connector | None = None,
    ) -> None:
        self._markets = markets
        self._url = url
        self._connector = connector
        self._prices: dict[tuple[str, str], Decimal | None] = dict.fromkeys(markets)
        self._scope = trio.CancelScope()
        self._stopped = trio.Event()

    def price(self, base: str, counter: str) -> Decimal | None:
        """Return the last price, ``None`` while it is not known."""
        return self._prices[base, counter]

    async def start(self, nursery: trio.Nursery) -> None:
        """Start in a nursery; return when every market is followed, or raise why not.

        A service that fails later raises in the nursery: nobody goes on as if it were there.
        """
        await nursery.start(self._run)

    async def stop(self) -> None:
        """Stop, and wait until nothing of it is left."""
        self._scope.cancel()
        await self._stopped.wait()

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            with self._scope:
                async with (
                    open_client(coinflex.VENUE, url=self._url, connector=self._connector) as client,
                    trio.open_nursery() as nursery,
                ):
                    for market in self._markets:
                        await nursery.start(self._follow, client, market)
                    task_status.started()
        finally:
            self._prices = dict.fromkeys(self._markets)
            self._stopped.set()

    async def _follow(
        self, client, market: tuple[str, str], task_status: trio.TaskStatus[None]
    ) -> None:
        channel = coinflex.Ticker(*market)
        async with client.subscribe(channel, overflow=Overflow.LATEST) as receiver:
            task_status.started()
            async for event in receiver:
                match event:
                    case Gap():
                        self._prices[market] = None
                    case Resumed():
                        pass  # the whole ticker is next
                    case ticker:
                        self._prices[market] = ticker.last


async def use(service: PriceService, seconds: float) -> None:
    """Do what the program is there for."""
    for _ in range(int(seconds)):
        await trio.sleep(1)
        print(f"XBT {service.price('XBT', 'USDT')}, ETH {service.price('ETH', 'USDT')}")


async def main(arguments: list[str] | None = None) -> None:
    """Run a program that has such a service."""
    options = where.parse(__doc__, arguments)
    markets = [("XBT", "USDT"), ("ETH", "USDT")]
    async with open_exchange("coinflex") as exchange, trio.open_nursery() as nursery:
        connector = exchange.connector if options.url is None else None
        service = PriceService(*markets, url=options.url, connector=connector)
        await service.start(nursery)
        await use(service, options.seconds)
        await service.stop()
        print("stopped")


if __name__ == "__main__":
    trio.run(main)
