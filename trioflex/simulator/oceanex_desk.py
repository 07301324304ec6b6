"""The desk of the simulated OceanEx: the matching engine, orders by id, fees, and what was traded.

The engine knows limit and market orders, and takes its fees in one currency. Here are the orders
that wait for a price, the states of those that are no longer in the book, and this venue's fees:
of the seller in the quote currency, of the buyer in the base currency.

Source of rules and texts: "api.oceanex.pro/doc/v1" and "OceanEx/ocean-websocket-client", user guide
0.5; what they do not say is chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from .book import Market
from .engine import Engine
from .happenings import Happening, OrderOpened, OrdersMatched
from .oceanex_listing import FEE_RATE, SCALES, Listing
from .oceanex_order import OPEN_STATES, Fill, SimulatedOrder
from .oceanex_request import CANCEL_REFUSED, NO_SUCH_ORDER, ORDER_REFUSED, Complaint, Wish
from .oceanex_tape import Tape
from .rules import Reason, Refusal, Rules

NO_FUNDS = "Account::AccountError: Cannot lock funds"

_REASONS = {
    Reason.FUNDS: NO_FUNDS,
    Reason.TOO_MANY_ORDERS: "too many open orders",
    Reason.OVERFLOW: "volume does not have a valid value",
}


class Desk:
    """Markets, orders and balances.

    Args:
        listings: market id to its rules.
        clock: microseconds since 1970.
        seed: of the engine.
        settling: microseconds from a cancellation to its settlement.
    """

    def __init__(
        self,
        listings: Mapping[str, Listing],
        *,
        clock: Callable[[], int],
        seed: int,
        settling: int,
    ) -> None:
        self.listings = listings
        self.markets: dict[str, Market] = {name: each.market() for name, each in listings.items()}
        self.engine: Engine = Engine(
            self.markets.values(), rules=Rules(fee_rate=Decimal(0)), seed=seed, clock=clock
        )
        self.orders: dict[int, SimulatedOrder] = {}
        """All orders ever taken on, by id."""
        self.tapes: dict[str, Tape] = {name: Tape() for name in listings}
        """What was traded in each market."""
        self._clock = clock
        self._settling = settling
        self._taking: SimulatedOrder | None = None
        self._waiting: dict[int, SimulatedOrder] = {}
        self._by_engine: dict[int, SimulatedOrder] = {}
        self._trades = 0
        self._fee, self._fee_divisor = FEE_RATE.as_integer_ratio()
        self.engine.listen(self._happened)

    # -- accounts ------------------------------------------------------------------------------

    def open_account(self, owner: str, balances: Mapping[str, Decimal]) -> None:
        """Open an account with what it starts with."""
        account = self.engine.ledger.open(owner)
        for currency, amount in balances.items():
            self.engine.deposit(account, currency, int(amount * SCALES[currency]))

    def balance(self, owner: str, currency: str) -> tuple[int, int]:
        """Return what is free and what is locked, in the engine's units."""
        return self.engine.ledger.open(owner).balance(currency)

    def price(self, market: str) -> int:
        """Return the price of the latest trade, or the fair one if there was none."""
        last = self.tapes[market].last
        return self.listings[market].fair if last is None else last

    # -- orders --------------------------------------------------------------------------------

    def create(self, owner: str, wish: Wish) -> SimulatedOrder:
        """Take an order on.

        Raises:
            Complaint: it is refused, and nothing has changed.
        """
        listing = self.listings[wish.market]
        self._check_worth(wish, listing)
        order = SimulatedOrder(
            id=len(self.orders) + 1,
            owner=owner,
            listing=listing,
            bid=wish.bid,
            ord_type=wish.ord_type,
            quantity=int(wish.volume * listing.base_scale),
            price=None if wish.price is None else int(wish.price * listing.price_scale),
            stop_price=(
                None if wish.stop_price is None else int(wish.stop_price * listing.price_scale)
            ),
            at_or_above=wish.at_or_above,
            created_at=self._clock(),
        )
        if order.stop_price is None:
            self._place(order)
        else:
            self._waiting[order.id] = order
        self.orders[order.id] = order
        self.catch_up()
        return order

    def cancel(self, owner: str, ids: Iterable[int]) -> list[int]:
        """Take orders out: all of them, or none.

        Returns:
            Their ids.

        Raises:
            Complaint: one of them cannot be cancelled; it names those.
        """
        ids = list(dict.fromkeys(ids))
        refused = [each for each in ids if not self._can_cancel(self._own(owner, each))]
        if refused:
            raise Complaint(CANCEL_REFUSED, "", {"ids": refused})
        for each in ids:
            self._end(self.orders[each])
        return ids

    def clear(self, owner: str) -> list[int]:
        """Take all orders of an account out.

        Returns:
            Their ids.
        """
        own = [each for each in self.orders.values() if each.owner == owner]
        return self.cancel(owner, [each.id for each in own if self._can_cancel(each)])

    def find(self, owner: str, order_id: int, *, is_open: bool) -> SimulatedOrder:
        """Return an order among the open or the closed ones.

        Raises:
            Complaint: it is not there.
        """
        order = self._own(owner, order_id)
        if order is None or (self.state(order) in OPEN_STATES) is not is_open:
            raise Complaint(NO_SUCH_ORDER, "the order does not exist")
        return order

    def listed(self, owner: str, market: str, *, is_open: bool) -> list[SimulatedOrder]:
        """Return the open or the closed orders of an account in a market, oldest first."""
        return [
            order
            for order in self.orders.values()
            if order.owner == owner
            and order.listing.id == market
            and (self.state(order) in OPEN_STATES) is is_open
        ]

    def state(self, order: SimulatedOrder) -> str:
        """Return the state of an order now."""
        return order.state(self._clock(), self._settling)

    def catch_up(self) -> None:
        """Send the orders whose price was reached to the engine."""
        while self._trigger():
            pass

    # -- carrying out --------------------------------------------------------------------------

    def _own(self, owner: str, order_id: int) -> SimulatedOrder | None:
        order = self.orders.get(order_id)
        return order if order is not None and order.owner == owner else None

    def _can_cancel(self, order: SimulatedOrder | None) -> bool:
        if order is None:
            return False
        return order.stop_price is not None or (order.resting is not None and order.resting.resting)

    def _end(self, order: SimulatedOrder) -> None:
        order.stop_price = None
        self._waiting.pop(order.id, None)
        order.cancelled_at = self._clock()
        if order.resting is not None:
            self.engine.cancel(order.resting)

    def _check_worth(self, wish: Wish, listing: Listing) -> None:
        price = wish.price
        if price is None:
            price = Decimal(self.price(listing.id)) / listing.price_scale
        if price * wish.volume < listing.minimum:
            raise Complaint(
                ORDER_REFUSED, f"price times volume is at least {listing.minimum} {listing.quote}"
            )

    def _place(self, order: SimulatedOrder) -> None:
        """Hand an order to the engine.

        Raises:
            Complaint: it is refused, and nothing has changed.
        """
        market = self.markets[order.listing.id]
        account = self.engine.ledger.open(order.owner)
        book = self.engine.book(market.base, market.counter)
        signed = order.quantity if order.bid else -order.quantity
        self._taking = order
        try:
            if order.price is not None:
                order.resting = self.engine.place(account, book, quantity=signed, price=order.price)
                return
            needed = order.quantity
            if order.bid:
                _, needed = book.estimate(order.quantity, bid=True, by_total=False)
            if needed > account.balance(market.counter if order.bid else market.base)[0]:
                raise Complaint(ORDER_REFUSED, NO_FUNDS)
            self.engine.execute(account, book, quantity=signed)
        except Refusal as refusal:
            raise Complaint(
                ORDER_REFUSED, _REASONS.get(refusal.reason, "price does not have a valid value")
            ) from None
        finally:
            self._taking = None

    def _trigger(self) -> bool:
        """Send one order whose price was reached to the engine; return whether there was one."""
        for order in self._waiting.values():
            last = self.tapes[order.listing.id].last
            if last is None or order.stop_price is None:
                continue
            if last >= order.stop_price if order.at_or_above else last <= order.stop_price:
                order.stop_price = None
                del self._waiting[order.id]
                try:
                    self._place(order)
                except Complaint:
                    # Too late to refuse it; it ends without a trade.
                    order.cancelled_at = self._clock()
                return True
        return False

    # -- what the engine tells -----------------------------------------------------------------

    def _happened(self, happening: Happening) -> None:
        if isinstance(happening, OrderOpened) and self._taking is not None:
            self._by_engine[happening.id] = self._taking
        elif isinstance(happening, OrdersMatched):
            self._matched(happening)

    def _matched(self, match: OrdersMatched) -> None:
        """Take the fees, and write the trade down."""
        self._trades += 1
        fill = Fill(
            id=self._trades,
            price=match.price,
            quantity=match.quantity,
            total=match.total,
            ask_fee=match.total * self._fee // self._fee_divisor,
            bid_fee=match.quantity * self._fee // self._fee_divisor,
            at=match.time,
        )
        ledger, market = self.engine.ledger, match.market
        for owner, asset, fee in (
            (match.ask_owner, market.counter, fill.ask_fee),
            (match.bid_owner, market.base, fill.bid_fee),
        ):
            # Both have just been paid more than that.
            ledger.move(ledger.accounts[owner], asset, -fee)
            ledger.collect(asset, fee)
        self.tapes[market.name].trade(
            match.time // 1_000_000, match.price, match.quantity, match.total
        )
        for bid, order_id in ((True, match.bid), (False, match.ask)):
            order = self._by_engine.get(order_id) if order_id else self._taking
            if order is not None and order.bid is bid:
                order.fills.append(fill)
