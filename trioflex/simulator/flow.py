"""The other market participants: a seeded flow of orders that makes a book live."""

from __future__ import annotations

from random import Random

import attrs

from .book import Market, Order
from .engine import Engine
from .ledger import Account
from .rules import Reason, Refusal

PURSE = 10**15
"""Units of each asset that a participant starts with: a trillion orders of ordinary size, and far
from what 64 bits hold. It is filled up again when half of it is gone, which the ledger counts."""

WARM_UP = 40
"""Turns taken before the first client comes, so that there is a last price and some volume."""


@attrs.frozen(kw_only=True)
class Habits:
    """How the participants of one market behave; prices and quantities in the wire's units."""

    anchor: int
    """The fair price to which the market comes back."""

    step: int
    """Distance between two levels that they use, a multiple of the market's tick."""

    size: int
    """Base units of an ordinary order."""

    levels: int = 25
    """How many levels a side they keep filled."""

    orders: int = 120
    """How many orders a side they keep at most."""

    modify: bool = True
    """Whether they change orders in place, which not every venue can."""

    by_total: bool = True
    """Whether they also trade for a sum of money, which leaves odd quantities."""

    makers: int = 4
    takers: int = 2

    pause: tuple[int, int] = (20, 400)
    """Least and greatest pause between two turns, in milliseconds."""


class OrderFlow:
    """The participants of one market.

    Makers keep orders on both sides of a fair price that walks at random and is drawn back to its
    anchor; they place, change and withdraw them as it walks. Takers trade with whatever is there,
    clients' orders included. Everything is drawn from one seeded generator, in whole numbers.

    Args:
        engine: where they trade.
        market: one of the engine's markets.
        habits: how they behave.
        seed: of everything they do.
    """

    def __init__(self, engine: Engine, market: Market, habits: Habits, seed: int) -> None:
        self._engine = engine
        self._market = market
        self._book = engine.book(market.base, market.counter)
        self._habits = habits
        self._random = Random(f"flow {seed} {market.name}")
        self._makers = [
            self._participant(f"maker {number} {market.name}") for number in range(habits.makers)
        ]
        self._takers = [
            self._participant(f"taker {number} {market.name}") for number in range(habits.takers)
        ]
        # In steps: the same for a market of cents and one of thousands.
        self._anchor = habits.anchor // habits.step
        self._fair = self._anchor

    def warm_up(self) -> None:
        """Fill both sides of the book, and trade a little."""
        for _ in range(WARM_UP):
            self.turn()

    def turn(self) -> float:
        """Act once.

        Returns:
            Seconds until the next turn.
        """
        self._walk()
        draw = self._random.randrange(100)
        if draw < 45:
            self._quote(bid=self._coin())
        elif draw < 60:
            self._withdraw()
        elif draw < 75:
            self._change()
        else:
            self._take(bid=self._coin())
        for bid in (True, False):
            self._tidy(bid=bid)
        return self._random.randint(*self._habits.pause) / 1000

    def _participant(self, name: str) -> Account:
        account = self._engine.ledger.open(name)
        for asset in (self._market.base, self._market.counter):
            self._engine.deposit(account, asset, PURSE)
        return account

    def _coin(self) -> bool:
        return self._random.getrandbits(1) == 1

    def _walk(self) -> None:
        """Move the fair price by one step or none, the likelier homewards the further it is."""
        away = self._fair - self._anchor
        limit = max(self._anchor // 20, 4)  # five per cent: a busy day, not a crash
        if self._random.randrange(limit) < abs(away):
            self._fair -= 1 if away > 0 else -1
        else:
            self._fair += self._random.choice((-1, 0, 0, 1))

    def _size(self) -> int:
        return max(self._habits.size * self._random.randint(20, 300) // 100, 2)

    def _price(self, distance: int, *, bid: bool) -> int:
        steps = self._fair - distance if bid else self._fair + distance
        return max(steps, 1) * self._habits.step

    def _quote(self, *, bid: bool) -> None:
        """Add an order, near the fair price rather than far from it."""
        distance = 1 + min(self._random.randrange(10), self._random.randrange(self._habits.levels))
        self._place(self._price(distance, bid=bid), bid=bid)

    def _place(self, price: int, *, bid: bool) -> None:
        account = self._random.choice(self._makers)
        self._fill_up(account)
        quantity = self._size()
        try:
            self._engine.place(
                account,
                self._book,
                quantity=quantity if bid else -quantity,
                price=price,
                post_only=True,
            )
        except Refusal as refusal:
            # A maker does not take; and clients may hold the price up with orders of their own.
            if refusal.reason is not Reason.WOULD_MATCH:
                raise

    def _own(self) -> tuple[Account, Order] | None:
        account = self._random.choice(self._makers)
        if not account.orders:
            return None
        return account, self._random.choice(list(account.orders.values()))

    def _withdraw(self) -> None:
        own = self._own()
        if own is not None:
            self._engine.cancel(own[1])

    def _change(self) -> None:
        own = self._own()
        if own is None:
            return
        account, order = own
        price = self._price(self._random.randint(1, 8), bid=order.bid)
        if not self._habits.modify:
            self._engine.cancel(order)
            self._place(price, bid=order.bid)
            return
        self._fill_up(account)
        delta, new_price = None, None
        kind = self._random.randrange(3)
        if kind == 0 or order.quantity < 2:
            new_price = price
        elif kind == 1:
            delta = self._size() if order.bid else -self._size()
        else:
            smaller = order.quantity // 2
            delta = -smaller if order.bid else smaller
        try:
            self._engine.modify(account, order, delta=delta, price=new_price, post_only=True)
        except Refusal as refusal:
            if refusal.reason is not Reason.WOULD_MATCH:
                raise

    def _take(self, *, bid: bool) -> None:
        account = self._random.choice(self._takers)
        self._fill_up(account)
        size = self._size()
        signed = size if bid else -size
        kind = self._random.randrange(10)
        if kind < 6 or (kind < 8 and not self._habits.by_total):
            self._engine.execute(account, self._book, quantity=signed)
        elif kind < 8:
            total = self._market.cost(size, self._fair * self._habits.step)
            self._engine.execute(account, self._book, total=total if bid else -total)
        else:
            # A limit two steps through the fair price, the rest of which is not left standing.
            self._engine.place(
                account,
                self._book,
                quantity=signed,
                price=self._price(-2, bid=bid),
                immediate=True,
            )

    def _tidy(self, *, bid: bool) -> None:
        """Take away what is out of reach or past the fair price, and fill empty levels."""
        habits, side = self._habits, self._book.side(bid=bid)
        near, far = self._price(0, bid=bid), self._price(2 * habits.levels, bid=bid)
        low, high = min(near, far), max(near, far)
        own = []
        for account in self._makers:
            for order in list(account.orders.values()):
                if order.bid != bid:
                    continue
                if low <= order.price <= high:
                    own.append(order)
                else:
                    self._engine.cancel(order)
        if len(own) > habits.orders:
            self._engine.cancel(min(own, key=lambda order: order.id))
        prices = set(side.prices())
        if len(prices) >= habits.levels:
            return
        for distance in range(1, habits.levels + 1):
            price = self._price(distance, bid=bid)
            if price not in prices:
                self._place(price, bid=bid)

    def _fill_up(self, account: Account) -> None:
        for asset in (self._market.base, self._market.counter):
            missing = PURSE - account.available.get(asset, 0)
            if missing > PURSE // 2:
                self._engine.deposit(account, asset, missing)
