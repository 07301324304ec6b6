"""What a run needs to know of each venue: an order, its name, the record of it, and a book."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import attrs
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from trioflex import Client
from trioflex.book import OrderBook
from trioflex.protocol import Channel, Request
from trioflex.simulator import SimulatedExchange
from trioflex.venues import coinflex, coinfloor, midchains, oceanex, theone

Shown = dict[str, Any]
"""A state in a shape that client and exchange share."""


@attrs.frozen(kw_only=True)
class Desk:
    """How one venue is traded in a run. Orders have numbers from 1 on."""

    venue: str
    module: Any
    options: Callable[[], dict[str, Any]] = dict
    """Of the simulated exchange."""
    place: str
    """The request's name on the wire."""
    refusal: str
    """A code with which the venue refuses orders."""
    noticed: float
    """Seconds after which silence is noticed."""
    order: Callable[[int], Request[Any]]
    name_of: Callable[[Any], str]
    """The venue's id in a reply to an order."""
    made: Callable[[SimulatedExchange, int], list[str]]
    """The ids of the orders of that number in the exchange's own record."""
    find: Callable[[Client, int], Awaitable[str | None]]
    """Ask the venue for the id of an order, as the how-to does."""
    channel: Channel[Any] | None
    """What is followed; ``None``: the venue has nothing to follow, and is polled."""
    poll: Callable[[], Request[Any]] | None = None
    fold: Callable[[], Any] = OrderBook
    snapshots: tuple[type, ...] = ()
    """Types of which one follows ``Resumed(snapshot=True)``."""
    truth: Callable[[SimulatedExchange], Shown] = lambda exchange: {}
    """The exchange's own state of what is followed."""
    kept: Callable[[Any], Shown] = lambda fold: {}
    """The same, as the fold of a client has it."""
    key_of_item: Callable[[Any], Any] | None = None
    """What an item has in common with the frame it came in; ``None``: not compared."""
    key_of_frame: Callable[[dict[str, Any]], Any] = lambda message: None
    """The same of a frame; ``None``: it is of another channel."""
    tagged: bool = True
    """Whether answers say to which request they belong."""
    restless: bool = False
    """Whether the others have to go on trading for the client's own orders to come to an end."""

    def exchange(self, seed: int, **options: Any) -> SimulatedExchange:
        """Make the far side."""
        return SimulatedExchange(self.venue, seed=seed, **self.options(), **options)

    def credentials(self, exchange: SimulatedExchange) -> Any:
        """Return the first account's."""
        return self.module.Credentials.from_env(exchange.model.credentials())


def _orders_kept(book: OrderBook) -> Shown:
    orders = [
        (order.id, order.price, order.quantity)
        for side in (book.bids, book.asks)
        for level in side
        for order in side.orders_at(level.price)
    ]
    return {"orders": orders}


# -- CoinFLEX and Coinfloor ----------------------------------------------------------------------


def _floor(module: Any, venue: str, base: str, counter: str, scales: tuple[int, int]) -> Desk:
    async def find(client: Client, number: int) -> str | None:
        found = await module.find_order(client, tonce=number)
        return None if isinstance(found, module.NotOpen) else str(found.id)

    def made(exchange: SimulatedExchange, number: int) -> list[str]:
        return [str(command.reply["id"]) for command in exchange.model.placed(1, number)]

    def truth(exchange: SimulatedExchange) -> Shown:
        orders = [
            (order.id, Decimal(order.price) / scales[0], Decimal(order.signed) / scales[1])
            for order in exchange.model.book(base, counter)
        ]
        return {"orders": orders}

    # Far from the market: one that was filled could not be told from one that never was.
    return Desk(
        venue=venue,
        module=module,
        place="PlaceOrder",
        refusal="4",
        noticed=60,
        order=lambda n: module.PlaceOrder(
            base, counter, Decimal("0.01"), Decimal(1000), persist=True, tonce=n
        ),
        name_of=lambda reply: str(reply.id),
        made=made,
        find=find,
        channel=module.OrderBook(base, counter),
        snapshots=(module.BookSnapshot,),
        truth=truth,
        kept=_orders_kept,
        key_of_item=_notice_of_item,
        key_of_frame=_notice_of_frame,
    )


ORDER_NOTICES = ("OrderOpened", "OrderModified", "OrderClosed", "OrdersMatched")


def _notice_of_item(item: Any) -> Any:
    name = type(item).__name__
    if name not in ORDER_NOTICES:
        return None
    return name, *(getattr(item, field, None) for field in ("id", "bid", "ask", "scaled_quantity"))


def _notice_of_frame(message: dict[str, Any]) -> Any:
    # One market is watched, so all notices of orders are of its channel.
    if message.get("notice") not in ORDER_NOTICES:
        return None
    return message["notice"], *(message.get(field) for field in ("id", "bid", "ask", "quantity"))


# -- MidChains -----------------------------------------------------------------------------------


@functools.cache
def _private_key() -> RSAPrivateKey:
    """Return the simulated MidChains' and OceanEx' key: making one takes longer than a run."""
    return generate_private_key(65537, 2048)


async def _find_midchains(client: Client, number: int) -> str | None:
    found = await midchains.find_order(client, "BTCUSD", client_order_id=f"soak-{number}")
    return None if isinstance(found, midchains.NotKnown) else found.refno


def _truth_midchains(exchange: SimulatedExchange) -> Shown:
    desk = exchange.model.desk
    market = desk.markets["BTCUSD"]
    book = desk.engine.book(market.base, market.counter)
    return {
        name: (
            [Decimal(price) / 10**4 for price in side.prices()],
            Decimal(sum(order.quantity for order in side)) / 10**6,
        )
        for name, side in (("bids", book.bids), ("asks", book.asks))
    }


def _kept_midchains(book: OrderBook) -> Shown:
    return {
        name: ([level.price for level in side], sum(level.quantity for level in side))
        for name, side in (("bids", book.bids), ("asks", book.asks))
    }


# -- TheOne --------------------------------------------------------------------------------------


async def _find_theone(client: Client, number: int) -> str | None:
    found = await theone.find_swap(client, client_order_id=f"soak-{number}")
    return None if isinstance(found, theone.NotKnown) else found.order_id


ASSETS = ("ETH", "USDT")


def _truth_theone(exchange: SimulatedExchange) -> Shown:
    holdings = {asset: exchange.model.desk.holding("test_key_1", asset) for asset in ASSETS}
    return {asset: (each.total, each.locked) for asset, each in holdings.items()}


def _kept_theone(sheet: theone.BalanceSheet) -> Shown:
    balances = {asset: sheet.balance(asset) for asset in ASSETS}
    return {asset: (each.total, each.locked) for asset, each in balances.items()}


# -- OceanEx -------------------------------------------------------------------------------------


def _order_oceanex(number: int) -> oceanex.NewOrder:
    # The venue knows no names, so its price is what tells an order from the others.
    return oceanex.NewOrder(
        "vetusdt", "buy", price=Decimal("0.01") + number * Decimal("0.000001"), volume=Decimal(1000)
    )


async def _find_oceanex(client: Client, number: int) -> str | None:
    found = await oceanex.find_lost_order(client, _order_oceanex(number), since=1)
    return str(found[0].id) if found else None


def _made_oceanex(exchange: SimulatedExchange, number: int) -> list[str]:
    price = _order_oceanex(number).price
    scale = exchange.model.desk.listings["vetusdt"].price_scale
    return [
        str(order.id)
        for order in exchange.model.desk.orders.values()
        if price is not None and order.price == int(price * scale) and order.owner == "ID4TEST"
    ]


DESKS: dict[str, Desk] = {
    desk.venue: desk
    for desk in (
        _floor(coinflex, "coinflex", "XBT", "USDT", (10_000, 10_000)),
        _floor(coinfloor, "coinfloor", "XBT", "GBP", (100, 100_000_000)),
        Desk(
            venue="midchains",
            module=midchains,
            options=lambda: {"private_key": _private_key()},
            place="addorder",
            refusal="refused by the script",
            noticed=40,
            order=lambda n: midchains.AddOrder(
                "BTCUSD", "B", "0.01", "1000", client_order_id=f"soak-{n}"
            ),
            name_of=lambda reply: reply.refno,
            made=lambda exchange, n: [o.refno for o in exchange.model.orders(f"soak-{n}")],
            find=_find_midchains,
            channel=midchains.Book("BTCUSD"),
            tagged=False,
            truth=_truth_midchains,
            kept=_kept_midchains,
        ),
        Desk(
            venue="theone",
            module=theone,
            place="swap",
            refusal="",
            noticed=40,
            order=lambda n: theone.Swap("0.01", "ETH", "USDT", client_order_id=f"soak-{n}"),
            name_of=lambda reply: reply.order_id,
            made=lambda exchange, n: [o.id for o in exchange.model.swaps(f"soak-{n}")],
            find=_find_theone,
            channel=theone.Balances(),
            fold=theone.BalanceSheet,
            snapshots=(theone.BalancesSnapshot,),
            truth=_truth_theone,
            kept=_kept_theone,
            tagged=False,
            restless=True,
        ),
        Desk(
            venue="oceanex",
            module=oceanex,
            options=lambda: {"private_key": _private_key()},
            place="OrderHandler/create",
            refusal="9003",
            noticed=90,
            order=_order_oceanex,
            name_of=lambda reply: str(reply.id),
            made=_made_oceanex,
            find=_find_oceanex,
            channel=None,
            poll=lambda: oceanex.GetOrderBook("vetusdt", level=2),
        ),
    )
}
"""By the venue's name."""
