"""Tests of a bot, with a simulated exchange as their fixture: no network, no waiting.

``coinflex_exchange`` comes with trioflex, ``autojump_clock`` with pytest-trio: whenever everybody
waits, the clock jumps.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from stop_loss import StopLoss

from trioflex import OutcomeUnknown, open_client
from trioflex.venues import coinflex

BOT = StopLoss("XBT", "USDT", quantity=Decimal(2), trigger=Decimal(8000), tonce=77)
SOMEBODY = 1_000  # another participant


@pytest.fixture
async def client(coinflex_exchange):
    """A client of an exchange whose XBT:USDT has one bid at 8,500, by somebody else."""
    market = coinflex_exchange.model
    for order in market.book("XBT", "USDT"):
        market.engine.cancel(order)
    bid(market, "8500")
    credentials = coinflex.Credentials.from_env(market.credentials())
    async with open_client(
        coinflex.VENUE, credentials=credentials, connector=coinflex_exchange.connector
    ) as client:
        yield client


def bid(market, price):
    """Have somebody bid for 10 XBT; the simulator counts in the venue's units of 1/10,000."""
    market.place_as(SOMEBODY, "XBT", "USDT", quantity=100_000, price=int(Decimal(price) * 10_000))


def fall_to(market, price):
    """Let the market fall: nobody bids more than this any longer."""
    market.cancel_all_as(SOMEBODY)
    bid(market, price)


async def test_it_holds_while_the_market_holds(client, coinflex_exchange, autojump_clock):
    """A day above the trigger, and no order."""
    with trio.move_on_after(24 * 3600):
        await BOT.run(client)
    assert coinflex_exchange.count("PlaceOrder") == 0


async def test_it_sells_when_the_market_falls(client, coinflex_exchange, autojump_clock, nursery):
    """The position is sold at once, and whole."""
    left = []

    async def run():
        left.append(await BOT.run(client))

    nursery.start_soon(run)
    await trio.sleep(60)
    fall_to(coinflex_exchange.model, "7999")
    await trio.sleep(1)
    assert [Decimal(0)] == left
    assert coinflex_exchange.count("PlaceOrder") == 1


async def test_it_sees_what_happened_while_the_line_was_down(
    client, coinflex_exchange, autojump_clock, nursery
):
    """The fall comes during an outage; the bot acts on the first valid book after it."""
    nursery.start_soon(BOT.run, client)
    await trio.sleep(60)
    coinflex_exchange.drop()
    fall_to(coinflex_exchange.model, "7500")
    assert coinflex_exchange.count("PlaceOrder") == 0
    await trio.sleep(60)
    assert coinflex_exchange.statistics().connections == 2
    assert coinflex_exchange.count("PlaceOrder") == 1


async def test_it_never_sells_twice(client, coinflex_exchange, autojump_clock):
    """The answer is lost: the bot says that it does not know, instead of trying again."""
    coinflex_exchange.silence("PlaceOrder")
    fall_to(coinflex_exchange.model, "7500")
    with pytest.raises(OutcomeUnknown):
        await BOT.run(client)
    assert coinflex_exchange.count("PlaceOrder") == 1
