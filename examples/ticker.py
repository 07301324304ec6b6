"""Watch a market's ticker."""

from __future__ import annotations

import trio
import where

import trioflex
from trioflex import Gap, Overflow, Resumed
from trioflex.venues import coinflex


async def watch(client: trioflex.Client, base: str, counter: str) -> None:
    """Print the ticker of a market whenever it changes."""
    # Only the newest ticker matters: if the terminal is slow, older ones may go.
    async with client.subscribe(
        coinflex.Ticker(base, counter), overflow=Overflow.LATEST
    ) as receiver:
        async for event in receiver:
            match event:
                case Gap():
                    print(f"{base}:{counter}  stale: {event.reason.value}")
                case Resumed():
                    print(f"{base}:{counter}  live again after {event.downtime:.1f} s")
                case ticker:
                    print(f"{base}:{counter}  {ticker.bid} / {ticker.ask}  last {ticker.last}")


async def main(arguments: list[str] | None = None) -> None:
    """Watch for a while."""
    # Public data needs no login.
    options = where.parse(__doc__, arguments)
    with trio.move_on_after(options.seconds):
        async with where.open_client(options) as (client, _):
            await watch(client, "XBT", "USDT")


if __name__ == "__main__":
    trio.run(main)
