"""The matching engine: what the markets' participants can do, and what the world hears of it.

Theory of operation. An engine is synchronous, and each command is carried out in full before it
returns. What happened is told to its listeners in the order that the venues document: the balance
after a reservation before the order's opening, a trade before its balances, a closing before the
balance that gives its reservation back, and the figures of ticker and trade volume at the end of
the command. The engine knows nothing of connections, names of methods or error codes; a command it
does not carry out raises a :class:`~trioflex.simulator.rules.Refusal`, and has changed nothing.

Sources: "coinflex-exchange/API WEBSOCKET-README.md" (commands and notices), "coinfloor/API
IMPL-GUIDE.md" (reservations, rounding, fees).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random

from .book import Asset, Book, Market, Order
from .happenings import (
    Happening,
    OrderClosed,
    OrderModified,
    OrderOpened,
    TickerChanged,
    TradeVolumeChanged,
)
from .ledger import Account, Ledger
from .matching import Matcher
from .registers import Registers
from .rules import GREATEST, Reason, Refusal, Rules
from .tariff import Tariff
from .ticker import Ticker


class Engine:
    """Markets, accounts, and a price-time-priority match of orders between them.

    Args:
        markets: what can be traded.
        rules: what the venue decides.
        seed: of the lots by which totals and fees are rounded.
        lots: draws them, instead of a generator with that seed.
        clock: microseconds since 1970; times given out never repeat and never go back, whatever
            the clock does.
    """

    def __init__(
        self,
        markets: Iterable[Market],
        *,
        rules: Rules | None = None,
        seed: int = 0,
        lots: Random | None = None,
        clock: Callable[[], int],
    ) -> None:
        self.rules: Rules = rules or Rules()
        self.books: dict[tuple[Asset, Asset], Book] = {}
        self.ledger: Ledger = Ledger()
        self._registers = Registers(self.ledger, self.rules)
        self._tickers: dict[Market, Ticker] = {}
        for market in markets:
            book = self.books[market.base, market.counter] = Book(market)
            self._tickers[market] = Ticker(book)
        self._clock = clock
        self._last_time = 0
        self._listeners: list[Callable[[Happening], None]] = []
        self._matcher = Matcher(
            self.ledger,
            Tariff(self.rules.fee_rate, lots or Random(f"lots {seed}")),
            fee_from_reservation=self.rules.fee_from_reservation,
            emit=self._emit,
            stamp=self.stamp,
            forget=self._registers.strike,
        )

    @property
    def orders(self) -> Mapping[int, Order]:
        """All open orders by id."""
        return self._registers.orders

    def listen(self, listener: Callable[[Happening], None]) -> None:
        """Have all happenings told to a function from now on; it must not give commands."""
        self._listeners.append(listener)

    def stamp(self) -> int:
        """Return the time for a happening: the clock's, or just after the last one given."""
        self._last_time = max(self._clock(), self._last_time + 1)
        return self._last_time

    def book(self, base: Asset, counter: Asset) -> Book:
        """Return a market's book.

        Raises:
            Refusal: ``NO_MARKET``.
        """
        book = self.books.get((base, counter))
        if book is None:
            raise Refusal(Reason.NO_MARKET)
        return book

    def ticker(self, market: Market) -> dict[str, int | None]:
        """Return a market's ``last``, ``bid``, ``ask``, ``low``, ``high`` and ``volume`` now."""
        self._finish(market)
        return self._tickers[market].told()

    def trade_volume(self, account: Account, asset: Asset) -> int:
        """Return how much of an asset an account has traded in the last 30 days."""
        volume = account.volumes.get(asset)
        if volume is None:
            return 0
        volume.expire(self._now())
        return volume.total

    def place(
        self,
        account: Account,
        book: Book,
        *,
        quantity: int,
        price: int,
        tonce: int | None = None,
        immediate: bool = False,
        post_only: bool = False,
        session: object | None = None,
    ) -> Order:
        """Open a limit order, and let it trade.

        Args:
            account: whose order it is.
            book: where.
            quantity: base units; negative sells.
            price: the limit; moved to the tick grid.
            tonce: the owner's name for it.
            immediate: cancel what does not trade at once.
            post_only: refuse the order if any of it would trade at once.
            session: the connection that takes the order with it when it ends
                (:meth:`cancel_session`); None if the order outlives connections.

        Returns:
            The order; it may be filled or closed already.

        Raises:
            Refusal: with the reason.
        """
        market, bid = book.market, quantity > 0
        if not quantity:
            raise Refusal(Reason.ZERO_QUANTITY)
        price = self._price(market, price, bid=bid)
        if abs(quantity) * price > GREATEST:
            raise Refusal(Reason.OVERFLOW)
        self._registers.check_tonce(account, tonce)
        if post_only and book.crosses(price, bid=bid):
            raise Refusal(Reason.WOULD_MATCH)
        self._registers.check_room(account)
        order = Order(0, account.id, market, bid, price, abs(quantity), 0, tonce, session=session)
        self._reserve(account, order, order.quantity, price)
        self._matcher.tell_balance(account, order.reserved_asset)

        self._registers.admit(account, order)
        order.time = order.queued = self.stamp()
        self._emit(
            OrderOpened(order.id, account.id, tonce, market, order.signed, order.price, order.time)
        )
        swept = self._matcher.sweep(order, book, self._tickers[market])
        if order.quantity:
            if immediate or swept.short:
                self._matcher.close(order, book)
            else:
                book.side(bid=bid).add(order)
        self._finish(market)
        return order

    def execute(
        self,
        account: Account,
        book: Book,
        *,
        quantity: int | None = None,
        total: int | None = None,
        tonce: int | None = None,
    ) -> int:
        """Trade at the market, by quantity or by total.

        Args:
            account: who trades.
            book: where.
            quantity: base units; negative sells. Exactly one of it and ``total`` is given.
            total: counter units, without fees; negative sells. What is smaller than the price of
                one base unit is left untraded.
            tonce: the owner's name for the order.

        Returns:
            How much was not traded, never negative, in the units of what was given.

        Raises:
            Refusal: with the reason.
        """
        market = book.market
        bid, amount = self._amount(quantity, total)
        self._registers.check_tonce(account, tonce)
        self._registers.use_tonce(account, tonce)
        base_units = 0 if quantity is None else amount
        order = Order(0, account.id, market, bid, 0, base_units, self.stamp(), tonce)
        budget = amount if quantity is None else None
        swept = self._matcher.sweep(order, book, self._tickers[market], budget)
        self._finish(market)
        return swept.budget if quantity is None else order.quantity

    def estimate(
        self, book: Book, *, quantity: int | None = None, total: int | None = None
    ) -> tuple[int, int]:
        """Tell what a market order would trade now, fees and funds left out.

        Args:
            book: where.
            quantity: as for :meth:`execute`.
            total: as for :meth:`execute`.

        Returns:
            Base units and counter units, both positive or 0.

        Raises:
            Refusal: with the reason.
        """
        bid, amount = self._amount(quantity, total)
        return book.estimate(amount, bid=bid, by_total=quantity is None)

    def modify(
        self,
        account: Account,
        order: Order,
        *,
        delta: int | None = None,
        price: int | None = None,
        post_only: bool = False,
    ) -> int:
        """Change an open order's quantity or price in place.

        A smaller quantity at the same price keeps the order's place in the queue, anything else
        puts it at the back of its level. A new price that meets the other side trades at once;
        those trades come before the :class:`~trioflex.simulator.happenings.OrderModified`, which
        never describes a crossing order.

        Args:
            account: the owner.
            order: an open order of the account.
            delta: added to the signed remaining quantity; if the result is 0 or has the other
                sign, the order is cancelled.
            price: the new limit; moved to the tick grid.
            post_only: refuse the change if any of the order would trade at once.

        Returns:
            When it was modified; the order shows what became of it.

        Raises:
            Refusal: with the reason.
        """
        if delta is None and price is None:
            raise Refusal(Reason.NO_CHANGE)
        if delta == 0:
            raise Refusal(Reason.ZERO_DELTA)
        market = order.market
        book = self.books[market.base, market.counter]
        new_price = order.price if price is None else self._price(market, price, bid=order.bid)
        signed = order.signed + (delta or 0)
        if signed == 0 or (signed > 0) != order.bid:
            closed = self._matcher.close(order, book)
            order.quantity = 0
            self._finish(market)
            return closed.time
        quantity = abs(signed)
        if quantity * new_price > GREATEST:
            raise Refusal(Reason.OVERFLOW)
        crosses = book.crosses(new_price, bid=order.bid)
        if post_only and crosses:
            raise Refusal(Reason.WOULD_MATCH)
        reserved_before = order.reserved
        self._reserve(account, order, quantity, new_price)
        more = order.reserved - reserved_before
        if more > 0 or (more and crosses):
            self._matcher.tell_balance(account, order.reserved_asset)

        side = book.side(bid=order.bid)
        keeps_place = new_price == order.price and quantity <= order.quantity
        if not keeps_place:
            side.remove(order)
        order.quantity, order.price = quantity, new_price
        if crosses:
            swept = self._matcher.sweep(order, book, self._tickers[market])
            if order.quantity and swept.short:
                self._matcher.close(order, book)
        time = self.stamp()
        if order.id in account.orders:
            if not keeps_place:
                order.queued = time
                side.add(order)
            self._emit(
                OrderModified(
                    order.id, account.id, order.tonce, market, order.signed, order.price, time
                )
            )
        if more < 0 and not crosses:
            self._matcher.tell_balance(account, order.reserved_asset)
        self._finish(market)
        return time

    def cancel(self, order: Order) -> OrderClosed:
        """Cancel an open order.

        Returns:
            How it stood.
        """
        closed = self._matcher.close(order, self.books[order.market.base, order.market.counter])
        self._finish(order.market)
        return closed

    def cancel_all(self, account: Account) -> list[Order]:
        """Cancel all open orders of an account, and let its tonces begin anew.

        Returns:
            The orders as they stood, oldest first.
        """
        orders = list(account.orders.values())
        for order in orders:
            self.cancel(order)
        account.highest_tonce = 0
        return orders

    def cancel_session(self, account: Account, session: object) -> None:
        """Cancel the open orders that do not outlive a connection."""
        for order in [order for order in account.orders.values() if order.session is session]:
            self.cancel(order)

    def find(
        self, account: Account, *, order_id: int | None = None, tonce: int | None = None
    ) -> Order:
        """Return an open order of an account by its id or its tonce.

        Raises:
            Refusal: ``NO_ORDER``, also for another account's order; ``ZERO_TONCE``.
        """
        return self._registers.find(account, order_id, tonce)

    def deposit(self, account: Account, asset: Asset, amount: int) -> None:
        """Bring money in, or take available money out with a negative amount.

        Raises:
            ValueError: if more would be taken out than is available.
        """
        self.ledger.deposit(account, asset, amount)
        self._matcher.tell_balance(account, asset)

    def _now(self) -> int:
        return max(self._clock(), self._last_time)

    def _emit(self, happening: Happening) -> None:
        for listener in self._listeners:
            listener(happening)

    def _price(self, market: Market, price: int, *, bid: bool) -> int:
        if price < 0:
            raise Refusal(Reason.NEGATIVE_PRICE)
        price = market.on_tick(price, bid=bid)
        if not price:
            raise Refusal(Reason.ZERO_PRICE)
        return price

    def _amount(self, quantity: int | None, total: int | None) -> tuple[bool, int]:
        """Return a market order's side and size."""
        if quantity == 0:
            raise Refusal(Reason.ZERO_QUANTITY)
        if total == 0:
            raise Refusal(Reason.ZERO_TOTAL)
        signed = total if quantity is None else quantity
        if signed is None:
            raise ValueError("a market order has a quantity or a total; neither was given")
        if abs(signed) > GREATEST:
            raise Refusal(Reason.OVERFLOW)
        return signed > 0, abs(signed)

    def _reserve(self, account: Account, order: Order, quantity: int, price: int) -> None:
        """Hold what an order needs, beyond or below what it holds already."""
        need = order.market.cost(quantity, price) if order.bid else quantity
        more = need - order.reserved
        if more > account.available.get(order.reserved_asset, 0):
            raise Refusal(Reason.FUNDS)
        self.ledger.move(account, order.reserved_asset, -more, more)
        order.reserved = need

    def _finish(self, market: Market) -> None:
        """Tell the figures that a command has changed."""
        now = self._now()
        for (account, asset), volume in self._matcher.traded_volumes().items():
            volume.expire(now)
            self._emit(TradeVolumeChanged(account, asset, volume.total))
        changes = self._tickers[market].changes(now)
        if changes:
            self._emit(TickerChanged(market, changes))
