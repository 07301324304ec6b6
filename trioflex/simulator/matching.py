"""The meeting of orders: who trades with whom, at what price, and who pays what.

Rules of the file. A trade is made at the price of the order that was there first. A bid pays out of
what was reserved for it, and after each trade keeps no more reserved, and no more quantity open,
than the one covers of the other; this is why the remainder of a bid can shrink by more than was
traded ("coinfloor/API IMPL-GUIDE.md" has the worked example, and the tests have it too). Market
orders reserve nothing and pay out of what is available. Nothing is ever rounded in anybody's favour
by decision, only by lot, and a trade is made only if its worst lot can be paid.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from .book import AccountId, Asset, Book, Order
from .happenings import BalanceChanged, Happening, OrderClosed, OrdersMatched
from .ledger import Account, Ledger
from .tariff import Tariff
from .ticker import RollingVolume, Ticker


@attrs.frozen
class Swept:
    """What came of an order's walk through the other side."""

    budget: int
    """What is left of the counter units it was to trade, for an order by total."""

    short: bool
    """Whether it stopped because its own account could not pay (or deliver) any further."""


class Matcher:
    """Lets an incoming order trade, and settles each trade.

    Args:
        ledger: the accounts.
        tariff: totals and fees.
        fee_from_reservation: whether a bid's fee comes out of the bid's own reservation
            (Coinfloor), or out of the available balance as long as that suffices (CoinFLEX).
        emit: takes the happenings, in order.
        stamp: gives each trade its time.
        forget: strikes a closed order off the engine's registers.
    """

    def __init__(
        self,
        ledger: Ledger,
        tariff: Tariff,
        *,
        fee_from_reservation: bool,
        emit: Callable[[Happening], None],
        stamp: Callable[[], int],
        forget: Callable[[Order], None],
    ) -> None:
        self._ledger = ledger
        self._tariff = tariff
        self._fee_from_reservation = fee_from_reservation
        self._emit = emit
        self._stamp = stamp
        self._forget = forget
        self._volumes: dict[tuple[AccountId, Asset], RollingVolume] = {}

    def sweep(self, taker: Order, book: Book, ticker: Ticker, budget: int | None = None) -> Swept:
        """Trade an incoming order, which is not in the book, as far as it goes.

        Args:
            taker: its quantity is lowered as it trades; filled, a limit order is closed as well.
            book: where it trades.
            ticker: is told of the trades.
            budget: counter units to trade, for a market order by total (its quantity is ignored).

        Returns:
            What stopped it.
        """
        market = book.market
        makers = book.side(bid=not taker.bid)
        while budget is not None or taker.quantity:
            maker = makers.best()
            if maker is None:
                break
            price = maker.price
            if taker.price and (price > taker.price if taker.bid else price < taker.price):
                break
            quantity = taker.quantity if budget is None else budget * market.divisor // price
            quantity = min(quantity, maker.quantity)
            if not quantity:
                break
            bid, ask = (taker, maker) if taker.bid else (maker, taker)
            if not ask.id:
                owned = self._ledger.accounts[ask.owner].available.get(market.base, 0)
                if not owned:
                    return Swept(budget or 0, short=True)
                quantity = min(quantity, owned)
            payable = self._payable(bid, ask, quantity, price)
            if not payable:
                # A bid whose reservation cannot pay the smallest trade and its fee is closed
                # without one (coinfloor/API issue 24).
                if bid is taker:
                    return Swept(budget or 0, short=True)
                self.close(maker, book)
                continue
            total = self._trade(bid, ask, book, ticker, payable, price, cut=payable < quantity)
            if budget is not None:
                budget -= total
            if payable < quantity and bid is taker:
                return Swept(budget or 0, short=True)
        return Swept(budget or 0, short=False)

    def close(self, order: Order, book: Book) -> OrderClosed:
        """Close an order, filled or not, and give back what is reserved for it."""
        if order.resting:
            book.side(bid=order.bid).remove(order)
        self._forget(order)
        closed = OrderClosed(
            order.id,
            order.owner,
            order.tonce,
            order.market,
            order.signed,
            order.price,
            self._stamp(),
        )
        self._emit(closed)
        if order.reserved:
            account = self._ledger.accounts[order.owner]
            self._ledger.move(account, order.reserved_asset, order.reserved, -order.reserved)
            order.reserved = 0
            self.tell_balance(account, order.reserved_asset)
        return closed

    def tell_balance(self, account: Account, asset: Asset) -> None:
        """Announce an account's amount of an asset."""
        available, reserved = account.balance(asset)
        self._emit(BalanceChanged(account.id, asset, available, reserved))

    def traded_volumes(self) -> dict[tuple[AccountId, Asset], RollingVolume]:
        """Return the trade volumes that have changed since this was asked for last."""
        volumes, self._volumes = self._volumes, {}
        return volumes

    def _payable(self, bid: Order, ask: Order, quantity: int, price: int) -> int:
        """Return how much of a quantity the buyer can pay for, whatever the lots say."""
        divisor = bid.market.divisor
        available = self._ledger.accounts[bid.owner].available.get(bid.market.counter, 0)
        purse = bid.reserved if bid.id else available
        if bid.owner == ask.owner:
            return min(quantity, purse * divisor // price)
        if bid.id and not self._fee_from_reservation:
            total = bid.market.cost(quantity, price)
            if self._tariff.most(total) <= available:
                return quantity
        return min(quantity, self._tariff.payable(purse) * divisor // price)

    def _trade(
        self,
        bid: Order,
        ask: Order,
        book: Book,
        ticker: Ticker,
        quantity: int,
        price: int,
        *,
        cut: bool,
    ) -> int:
        """Make one trade: settle it and tell of it; return its total."""
        market = book.market
        buyer, seller = self._ledger.accounts[bid.owner], self._ledger.accounts[ask.owner]
        maker_is_ask = ask.resting
        with_oneself = buyer is seller
        amounts = [
            (account, asset, account.available.get(asset, 0))
            for account in ((buyer,) if with_oneself else (buyer, seller))
            for asset in (market.base, market.counter)
        ]
        total = self._tariff.total(quantity, price, market.divisor)
        bid_fee = ask_fee = 0
        if not with_oneself:
            bid_fee, ask_fee = self._tariff.fee(total), self._tariff.fee(total)
        # The worst lots decide where the fee comes from, so that what was found payable is.
        worst = self._tariff.most(market.cost(quantity, price))
        self._buy(buyer, bid, quantity, total, bid_fee, worst, cut=cut)
        self._sell(seller, ask, quantity, total - ask_fee)
        self._ledger.collect(market.counter, bid_fee + ask_fee)

        time = self._stamp()
        ticker.trade(time, price, 0 if with_oneself else quantity)
        if not with_oneself:
            for account in (buyer, seller):
                self._count(account, market.base, quantity, time)
                self._count(account, market.counter, total, time)
        self._emit(
            OrdersMatched(
                market,
                bid.id or None,
                ask.id or None,
                bid.owner,
                ask.owner,
                bid.tonce,
                ask.tonce,
                quantity,
                price,
                total,
                bid.quantity if bid.id else None,
                ask.quantity if ask.id else None,
                bid_fee,
                ask_fee,
                maker_is_ask,
                time,
            )
        )
        for account, asset, before in amounts:
            if account.available.get(asset, 0) != before:
                self.tell_balance(account, asset)
        for order in (ask, bid) if maker_is_ask else (bid, ask):
            if order.id and not order.quantity:
                self.close(order, book)
        return total

    def _buy(
        self,
        buyer: Account,
        bid: Order,
        quantity: int,
        total: int,
        fee: int,
        worst_fee: int,
        *,
        cut: bool,
    ) -> None:
        """Take a trade's cost from the buyer, and give him what he bought."""
        market = bid.market
        self._ledger.move(buyer, market.base, quantity)
        if not bid.id:
            bid.quantity -= quantity
            self._ledger.move(buyer, market.counter, -total - fee)
            return
        left = bid.reserved - total
        available = buyer.available.get(market.counter, 0)
        if not self._fee_from_reservation and worst_fee <= available:
            from_available = fee
        else:
            from_available = 0
            left -= fee
        covered = left * market.divisor // bid.price
        rest = 0 if cut else min(bid.quantity - quantity, covered)
        need = market.cost(rest, bid.price)
        self._ledger.move(buyer, market.counter, left - need - from_available, need - bid.reserved)
        bid.quantity, bid.reserved = rest, need

    def _sell(self, seller: Account, ask: Order, quantity: int, proceeds: int) -> None:
        """Take what was sold from the seller, and pay him."""
        market = ask.market
        ask.quantity -= quantity
        if ask.id:
            ask.reserved -= quantity
            self._ledger.move(seller, market.base, 0, -quantity)
        else:
            self._ledger.move(seller, market.base, -quantity)
        self._ledger.move(seller, market.counter, proceeds)

    def _count(self, account: Account, asset: Asset, amount: int, time: int) -> None:
        volume = account.volumes.get(asset)
        if volume is None:
            volume = account.volumes[asset] = RollingVolume()
        volume.add(time, amount)
        self._volumes[account.id, asset] = volume
