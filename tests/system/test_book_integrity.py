"""A client's books and balances against the exchange's own, through events by the hundred thousand.

The exchange's own state is the truth: whenever a fold calls itself valid it must equal it.
"""

from __future__ import annotations

import random
from contextlib import suppress
from decimal import Decimal

import pytest
import trio

from trioflex import Gap, Overflow, Reconnect, Refused, open_client
from trioflex.book import OrderBook
from trioflex.simulator import SimulatedExchange
from trioflex.venues import coinflex, coinfloor

MARKETS = {"coinflex": ("XBT", "USDT"), "coinfloor": ("XBT", "GBP")}
ASSET_IDS = {"XBT": 63488, "USDT": 65283}
VENUES = {"coinflex": coinflex, "coinfloor": coinfloor}


def own_book(exchange, venue):
    """The exchange's book: in queue order, by id, price and signed quantity."""
    orders = exchange.model.book(*MARKETS[venue])
    return [(order.id, order.price, order.signed) for order in orders]


def clients_book(book, price_scale, quantity_scale):
    """The client's book, in the same shape."""
    shown = []
    for side in (book.bids, book.asks):
        for level in side:
            shown += [
                (
                    order.id,
                    int(order.price * price_scale),
                    int(order.quantity * quantity_scale),
                )
                for order in side.orders_at(level.price)
            ]
    return shown


def scales(venue):
    return (10_000, 10_000) if venue == "coinflex" else (100, 100_000_000)


@pytest.mark.parametrize(
    ("venue", "events", "notices_first"),
    [("coinflex", 100_000, False), ("coinflex", 5_000, True), ("coinfloor", 10_000, False)],
)
async def test_a_book_kept_by_a_client_equals_the_exchanges_whenever_it_is_valid(
    venue, events, notices_first, autojump_clock
):  # M12
    """Snapshots, updates, lost connections, an overflow now and then: never a wrong book."""
    chance = random.Random(events)
    exchange = SimulatedExchange(
        venue, seed=events, frames_kept=0, shuffle=not notices_first, notices_first=notices_first
    )
    book = OrderBook()
    turn = seen = compared = gaps = 0
    async with (
        open_client(
            VENUES[venue].VENUE,
            connector=exchange.connector,
            reconnect=Reconnect(give_up_after=None),
        ) as client,
        client.subscribe(VENUES[venue].OrderBook(*MARKETS[venue]), buffer=64) as receiver,
    ):
        while seen < events:
            turn += 1
            exchange.trade(chance.choice((1, 5, 20)))
            if turn % 100 == 0:
                exchange.drop()
            if turn % 60 == 0:
                exchange.trade(200)  # more than the buffer holds
            await trio.testing.wait_all_tasks_blocked()
            while receiver.statistics().buffered:
                event = await receiver.receive()
                book.apply(event)
                seen += 1
                gaps += isinstance(event, Gap)
            # Looking at every order of the book takes ten times as long as keeping it.
            if book.valid and (turn % 3 == 0 or events < 50_000):
                compared += 1
                assert own_book(exchange, venue) == clients_book(book, *scales(venue))
            if not client.ready:
                await client.wait_ready()

    assert compared > events / 100
    assert gaps > events / 2_000


async def test_balances_kept_by_a_client_equal_the_exchanges(autojump_clock):
    """Own orders that trade, close and are modified; the sheet equals the account at rest."""
    exchange = SimulatedExchange("coinflex", seed=11)
    keys = exchange.model.credentials()
    credentials = coinflex.Credentials(
        user_id=int(keys["COINFLEX_USER_ID"]),
        cookie=keys["COINFLEX_COOKIE"],
        passphrase=keys["COINFLEX_PASSPHRASE"],
    )
    sheet = coinflex.BalanceSheet()
    chance = random.Random(11)
    async with (
        open_client(
            coinflex.VENUE, credentials=credentials, connector=exchange.connector
        ) as client,
        client.subscribe(coinflex.Balances(), overflow=Overflow.FAIL) as receiver,
    ):
        for tonce in range(1, 300):
            price = Decimal(chance.choice((8600, 8640, 8650, 8700)))
            quantity = Decimal(chance.choice((-3, -1, 1, 3))) / 10
            order = coinflex.PlaceOrder("XBT", "USDT", quantity=quantity, price=price, tonce=tonce)
            placed = await client.request(order)
            exchange.trade(chance.choice((0, 1, 7)))
            if chance.random() < 0.5:
                with suppress(Refused):  # filled in the meantime
                    await client.request(coinflex.CancelOrder(id=placed.id))
            await trio.testing.wait_all_tasks_blocked()
            while receiver.statistics().buffered:
                sheet.apply(await receiver.receive())
            truth = exchange.model.account(1)
            for asset in ("XBT", "USDT"):
                own = truth[ASSET_IDS[asset]]
                assert own.available == sheet.available(asset) * 10_000
