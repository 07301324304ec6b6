"""Sell a position when the market falls through a price, and only on a book that is valid.

Without --url the venue is simulated in this process. With --url it sells **for real**, 0.1 XBT at
the market's price, as soon as nobody bids more than 8648 USDT::

    python examples/stop_loss.py --seconds 60                    # simulated, in this process
    python examples/stop_loss.py --url ws://127.0.0.1:8080/      # `trioflex simulate coinflex`

Credentials come from the environment (COINFLEX_USER_ID, COINFLEX_COOKIE, COINFLEX_PASSPHRASE).

Its tests are in test_stop_loss.py: they put it through a falling market and a lost line, on a
simulated exchange and in no time.
"""

from __future__ import annotations

from decimal import Decimal

import attrs
import trio
import where

import trioflex
from trioflex.book import OrderBook
from trioflex.venues import coinflex


@attrs.frozen
class StopLoss:
    """Sell ``quantity`` of a market once somebody bids no more than ``trigger``."""

    base: str
    counter: str
    quantity: Decimal
    trigger: Decimal
    tonce: int

    async def run(self, client: trioflex.Client) -> Decimal:
        """Wait for the trigger, and sell; return what could not be sold.

        Raises:
            trioflex.OutcomeUnknown: the line was lost with the order under way; its tonce is the
                name to look for. Selling again could sell twice.
        """
        await self._triggered(client)
        # A market order: at this point getting out matters more than the price.
        sold = await client.request(
            coinflex.PlaceOrder(self.base, self.counter, -self.quantity, tonce=self.tonce)
        )
        return sold.remaining or Decimal(0)

    async def _triggered(self, client: trioflex.Client) -> None:
        book = OrderBook()
        async with client.subscribe(coinflex.OrderBook(self.base, self.counter)) as receiver:
            async for event in receiver:
                book.apply(event)
                # No bid at all is no price to sell at, and a stale book is no price whatever.
                if (
                    book.valid
                    and not book.crossed
                    and (bid := book.best_bid) is not None
                    and bid.price <= self.trigger
                ):
                    return


async def main(arguments: list[str] | None = None) -> None:
    """Watch over a position for a while."""
    options = where.parse(__doc__, arguments, login=coinflex.Credentials)
    async with where.open_client(options) as (client, _):
        with trio.move_on_after(options.seconds):
            left = await StopLoss("XBT", "USDT", Decimal("0.1"), Decimal(8648), tonce=1).run(client)
            print(f"sold, all but {left}")
            return
        print("the market held")


if __name__ == "__main__":
    trio.run(main)
