"""The desk of the simulated MidChains: the matching engine, its orders by name, and what they do.

The engine knows limit and market orders. Here are the names, the orders that wait for a price or
end at a time, the ones that trade in full or not at all, and the feeds: a book is told once a
command has been carried out, so an order that trades at once never stands in it.

Source of rules and texts: "MidChains/slate", ``source/index.html.md``; what it does not say is
chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Protocol

from .book import Market, Order
from .engine import Engine
from .happenings import BalanceChanged, Happening, OrderOpened, OrdersMatched
from .midchains_order import (
    MATCHING,
    STAGE,
    Complaint,
    SimulatedOrder,
    decimal,
    milliseconds,
    units,
)
from .rules import Reason, Refusal, Rules

ASSET_SCALE = 10**6
PRICE_SCALE = 10**4
"""Units of an asset, and of a price, in the engine: enough digits for the markets simulated, and
few enough for thousands of coins in one order."""

_COMBINATIONS = {
    ("LMT", False): ("GTC", "IOC", "FOK", "GTT"),
    ("LMT", True): ("GTC", "IOC", "FOK"),
    ("MKT", False): ("IOC", "FOK"),
    ("MKT", True): ("IOC", "FOK"),
}

_REASONS = {
    Reason.FUNDS: "insufficient balance",
    Reason.TOO_MANY_ORDERS: "too many open orders",
    Reason.OVERFLOW: "invalid qty",
}


class Tells(Protocol):
    """Whom the desk tells what happened."""

    def feed(self, message: str, security: str, content: dict[str, object]) -> None:
        """Something happened in a market."""

    def own(self, owner: str, kind: str, row: dict[str, object]) -> None:
        """Something happened to a user's order, trade or position."""


class Desk:
    """Markets, orders and positions.

    Args:
        markets: pair to base, quote and fair price.
        clock: microseconds since 1970.
        seed: of the engine's lots.
        tell: is told what happens.
    """

    def __init__(
        self,
        markets: Mapping[str, tuple[str, str, int]],
        *,
        clock: Callable[[], int],
        seed: int,
        tell: Tells,
    ) -> None:
        self.markets: dict[str, Market] = {
            name: Market.of_scales(
                base,
                quote,
                base_scale=ASSET_SCALE,
                counter_scale=ASSET_SCALE,
                price_scale=PRICE_SCALE,
                name=name,
            )
            for name, (base, quote, _) in markets.items()
        }
        self.engine: Engine = Engine(
            self.markets.values(), rules=Rules(fee_rate=Decimal(0)), seed=seed, clock=clock
        )
        self.orders: dict[str, SimulatedOrder] = {}
        """All orders ever taken on, by refno."""
        self.sales: list[tuple[str, dict[str, object]]] = []
        """Owner and row of every execution."""
        self.latest: dict[str, dict[str, object]] = {}
        """The latest trade of each pair."""
        self._clock = clock
        self._tell = tell
        self._accounts: set[str] = set()
        self._taking: SimulatedOrder | None = None
        self._by_engine: dict[int, SimulatedOrder] = {}
        self._shown: dict[str, dict[int, tuple[Order, int]]] = {name: {} for name in self.markets}
        self._dirty: dict[str, None] = {}
        self._touched: dict[str, SimulatedOrder] = {}
        self._moved: dict[tuple[str, str], None] = {}
        self._trades = 0
        self._last_price: dict[str, int] = {}
        self.engine.listen(self._happened)

    # -- accounts ------------------------------------------------------------------------------

    def open_account(self, owner: str, positions: Mapping[str, Decimal]) -> None:
        """Open an account with what it starts with."""
        self._accounts.add(owner)
        account = self.engine.ledger.open(owner)
        for asset, amount in positions.items():
            self.engine.deposit(account, asset, int(amount * ASSET_SCALE))
        self._moved.clear()

    def positions(self, owner: str, asset: str | None = None) -> list[dict[str, object]]:
        """Return the rows of a user's positions: what is available and what is reserved."""
        account = self.engine.ledger.open(owner)
        assets = sorted({str(each) for each in (*account.available, *account.reserved)})
        return [
            self._position(owner, each)
            for each in assets
            if asset in (None, each) and any(account.balance(each))
        ]

    # -- orders --------------------------------------------------------------------------------

    def add(self, owner: str, fields: Mapping[str, object]) -> SimulatedOrder:
        """Take an order on.

        Raises:
            Complaint: it is refused.
        """
        order = self._read(owner, fields)
        market = self.markets[order.security]
        if order.waiting:
            order.category = STAGE
        else:
            self._place(order, market)
        self.orders[order.refno] = order
        self._touched[order.refno] = order
        self.publish()
        return order

    def cancel(self, owner: str, security: str, refno: str) -> SimulatedOrder:
        """Take an order out.

        Raises:
            Complaint: there is no open order of that name.
        """
        order = self.find(owner, security, refno)
        if not order.waiting and not order.open_quantity:
            raise Complaint("order not found")
        self._end(order)
        self.publish()
        return order

    def find(self, owner: str, security: str, refno: str) -> SimulatedOrder:
        """Return an order, open or not.

        Raises:
            Complaint: there is none of that name.
        """
        order = self.orders.get(refno)
        if order is None or order.owner != owner or order.security != security:
            raise Complaint("order not found")
        return order

    def expire(self) -> None:
        """End the orders whose time has come."""
        now = self._clock()
        for order in list(self.orders.values()):
            if order.expires_at is not None and order.expires_at <= now and order.open_quantity:
                self._end(order)
        self.publish()

    # -- rows ----------------------------------------------------------------------------------

    def order_row(self, order: SimulatedOrder) -> dict[str, object]:
        """Return an order as it is written."""
        row: dict[str, object] = {
            "type": "order",
            "refno": order.refno,
            "security": order.security,
            "side": "B" if order.bid else "S",
            "price": decimal(order.price, PRICE_SCALE),
            "qty": decimal(order.quantity, ASSET_SCALE),
            "liveqty": decimal(order.open_quantity, ASSET_SCALE),
            "execqty": decimal(order.executed, ASSET_SCALE),
            "execamount": decimal(order.executed_amount, ASSET_SCALE),
            "tif": order.tif,
            "category": order.category,
            "updtime": str(order.updated_at // 1_000),
        }
        if order.client_order_id is not None:
            row["clientorderid"] = order.client_order_id
        return row

    def book_rows(self, security: str) -> list[dict[str, object]]:
        """Return the whole book as entries of the feed."""
        market = self.markets[security]
        book = self.engine.book(market.base, market.counter)
        return [self._entry(order, "U") for bid in (True, False) for order in book.side(bid=bid)]

    # -- telling -------------------------------------------------------------------------------

    def publish(self) -> None:
        """Trigger what waits for a price that was reached, and tell all that changed."""
        while self._trigger():
            pass
        for security in list(self._dirty):
            self._publish_book(security)
        self._dirty.clear()
        touched, self._touched = self._touched, {}
        for order in touched.values():
            order.updated_at = self._clock()
            self._tell.own(order.owner, "order", self.order_row(order))
        moved, self._moved = self._moved, {}
        for owner, asset in moved:
            self._tell.own(owner, "position", self._position(owner, asset))

    def _publish_book(self, security: str) -> None:
        market = self.markets[security]
        book = self.engine.book(market.base, market.counter)
        shown = self._shown[security]
        now = {order.id: order for bid in (True, False) for order in book.side(bid=bid)}
        gone = [order for order, _ in shown.values() if order.id not in now]
        entries = [self._entry(order, "R") for order in gone]
        entries += [
            self._entry(order, "U")
            for order in now.values()
            if order.id not in shown or shown[order.id][1] != order.quantity
        ]
        self._shown[security] = {order.id: (order, order.quantity) for order in now.values()}
        if entries:
            self._tell.feed(
                "book", security, {"type": "book", "security": security, "books": entries}
            )

    def _entry(self, order: Order, act: str) -> dict[str, object]:
        return {
            "side": "B" if order.bid else "S",
            "act": act,
            "src": MATCHING,
            "price": decimal(order.price, PRICE_SCALE),
            "qty": decimal(order.quantity, ASSET_SCALE),
            "id": order.id,
            "time": str(order.time // 1_000),
            "mpid": "ANON",
            "key": "NA",
        }

    # -- carrying out --------------------------------------------------------------------------

    def _read(self, owner: str, fields: Mapping[str, object]) -> SimulatedOrder:
        security = fields.get("security")
        if not isinstance(security, str) or security not in self.markets:
            raise Complaint("invalid security")
        side, kind = fields.get("side"), fields.get("ordertype", "LMT")
        if side not in ("B", "S") or kind not in ("LMT", "MKT"):
            raise Complaint("invalid side" if side not in ("B", "S") else "invalid ordertype")
        stop = "stoptype" in fields
        tif = fields.get("tif", "GTC")
        if stop and fields["stoptype"] != "STOP":
            raise Complaint("invalid stoptype")
        if tif not in _COMBINATIONS[str(kind), stop]:
            raise Complaint("invalid tif")
        market_buy = kind == "MKT" and side == "B"
        if market_buy and "qty" in fields:
            raise Complaint("cannot use qty for market buy order")
        if not market_buy and "amount" in fields:
            raise Complaint("cannot use amount for this order")
        client_order_id = fields.get("clientorderid")
        return SimulatedOrder(
            refno=f"R{len(self.orders) + 1:05}",
            owner=owner,
            security=security,
            bid=side == "B",
            order_type=str(kind),
            tif=str(tif),
            quantity=0 if market_buy else units(fields, "qty", ASSET_SCALE),
            price=units(fields, "price", PRICE_SCALE) if kind == "LMT" else 0,
            amount=units(fields, "amount", ASSET_SCALE) if market_buy else 0,
            stop_price=units(fields, "stopprice", PRICE_SCALE) if stop else 0,
            expires_at=self._expiry(fields) if tif == "GTT" else None,
            client_order_id=None if client_order_id is None else str(client_order_id),
            updated_at=self._clock(),
        )

    def _expiry(self, fields: Mapping[str, object]) -> int:
        at = milliseconds(fields.get("exptime"), "exptime") * 1_000
        if at <= self._clock():
            raise Complaint("invalid exptime")
        return at

    def _place(self, order: SimulatedOrder, market: Market) -> None:
        """Hand an order to the engine.

        Raises:
            Complaint: it is refused, and nothing has changed.
        """
        account = self.engine.ledger.open(order.owner)
        book = self.engine.book(market.base, market.counter)
        signed = order.quantity if order.bid else -order.quantity
        self._taking = order
        try:
            if order.order_type == "LMT":
                if order.tif == "FOK" and not self._can_fill(order, market):
                    return
                order.resting = self.engine.place(
                    account,
                    book,
                    quantity=signed,
                    price=order.price,
                    immediate=order.tif in ("IOC", "FOK"),
                )
                return
            asset = market.counter if order.bid else market.base
            needed = order.amount if order.bid else order.quantity
            if account.balance(asset)[0] < needed:
                raise Complaint("insufficient balance")
            if order.tif == "FOK" and not self._can_fill(order, market):
                return
            if order.bid:
                self.engine.execute(account, book, total=order.amount)
            else:
                self.engine.execute(account, book, quantity=signed)
        except Refusal as refusal:
            raise Complaint(_REASONS.get(refusal.reason, "invalid order")) from None
        finally:
            self._taking = None

    def _can_fill(self, order: SimulatedOrder, market: Market) -> bool:
        """Tell whether an order that is to be filled or killed can be filled."""
        book = self.engine.book(market.base, market.counter)
        if order.order_type == "MKT":
            amount = order.amount if order.bid else order.quantity
            base, money = book.estimate(amount, bid=order.bid, by_total=order.bid)
            # What is worth less than the smallest quantity cannot be spent.
            return base >= amount if not order.bid else amount - money < PRICE_SCALE * 100
        there = sum(
            other.quantity
            for other in book.side(bid=not order.bid)
            if (other.price <= order.price if order.bid else other.price >= order.price)
        )
        return there >= order.quantity

    def _end(self, order: SimulatedOrder) -> None:
        if order.waiting:
            order.stop_price = 0
            order.category = MATCHING
        elif order.resting is not None and order.resting.resting:
            self._dirty[order.security] = None
            self.engine.cancel(order.resting)
        self._touched[order.refno] = order

    def _trigger(self) -> bool:
        """Send one order whose price was reached to the engine; return whether there was one."""
        for order in self.orders.values():
            if not order.waiting:
                continue
            last = self._last_price.get(order.security)
            if last is None:
                continue
            if last >= order.stop_price if order.bid else last <= order.stop_price:
                order.stop_price = 0
                order.category = MATCHING
                self._touched[order.refno] = order
                with suppress(Complaint):  # refused now, it is done: nothing of it is open
                    self._place(order, self.markets[order.security])
                return True
        return False

    # -- what the engine tells -----------------------------------------------------------------

    def _happened(self, happening: Happening) -> None:
        if isinstance(happening, BalanceChanged):
            if happening.account in self._accounts:
                self._moved[str(happening.account), str(happening.asset)] = None
            return
        market = getattr(happening, "market", None)
        if isinstance(market, Market):
            self._dirty[market.name] = None
        if isinstance(happening, OrderOpened) and self._taking is not None:
            self._by_engine[happening.id] = self._taking
        elif isinstance(happening, OrdersMatched):
            self._matched(happening)

    def _matched(self, match: OrdersMatched) -> None:
        security = match.market.name
        self._trades += 1
        self._last_price[security] = match.price
        trade: dict[str, object] = {
            "type": "trade",
            "security": security,
            "src": MATCHING,
            "price": decimal(match.price, PRICE_SCALE),
            "qty": decimal(match.quantity, ASSET_SCALE),
            "time": str(match.time // 1_000),
            "matchid": f"T{self._trades:06}",
            "maker_side": "S" if match.taker_bid else "B",
        }
        self.latest[security] = trade
        self._tell.feed("trade", security, trade)
        for bid, order_id in ((True, match.bid), (False, match.ask)):
            taking = self._taking
            order = self._by_engine.get(order_id) if order_id else taking
            if order is None or order.bid is not bid:
                continue
            for asset in (match.market.base, match.market.counter):
                # The engine tells of what is available only, and a position is all there is.
                self._moved[order.owner, str(asset)] = None
            order.executed += match.quantity
            order.executed_amount += match.total
            self._touched[order.refno] = order
            row: dict[str, object] = {
                "type": "sale",
                "category": MATCHING,
                "refno": order.refno,
                "traderefno": f"{order.refno}_X{self._trades}",
                "security": security,
                "side": "B" if bid else "S",
                "execqty": decimal(match.quantity, ASSET_SCALE),
                "execprice": decimal(match.price, PRICE_SCALE),
                "trdtime": str(match.time // 1_000),
            }
            self.sales.append((order.owner, row))
            self._tell.own(order.owner, "sale", row)

    def _position(self, owner: str, asset: str) -> dict[str, object]:
        available, reserved = self.engine.ledger.open(owner).balance(asset)
        return {
            "type": "position",
            "security": asset,
            "curpos": decimal(available + reserved, ASSET_SCALE),
        }
