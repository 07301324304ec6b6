"""One market's order book on the far side: price levels, and a queue of orders in each."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterator

import attrs

Asset = Hashable
"""What an engine calls an asset: the venue's own code or name for it."""

AccountId = Hashable
"""What an engine calls an account: a venue's user id, or a name for a participant of its own."""


@attrs.frozen(cache_hash=True)
class Market:
    """What is traded against what, and in which units."""

    base: Asset
    """The asset that quantities count."""

    counter: Asset
    """The asset that totals and fees count."""

    divisor: int
    """``quantity * price / divisor`` is a total: base scale * price scale / counter scale."""

    tick: int = 1
    """Prices are multiples of it: bids are moved down to one, asks up."""

    name: str = ""
    """For people, ``"XBT:USDT"``."""

    @classmethod
    def of_scales(
        cls,
        base: Asset,
        counter: Asset,
        *,
        base_scale: int,
        counter_scale: int,
        price_scale: int,
        tick: int = 1,
        name: str = "",
    ) -> Market:
        """Make a market from its scale factors.

        Raises:
            ValueError: if ``base_scale * price_scale`` is not a multiple of ``counter_scale``:
                the engine counts in whole units and would have to invent fractions of them.
        """
        divisor, rest = divmod(base_scale * price_scale, counter_scale)
        if rest or divisor < 1:
            raise ValueError(
                f"market {name or (base, counter)}: base scale {base_scale} times price scale "
                f"{price_scale} is not a multiple of counter scale {counter_scale}; "
                "choose a finer price scale"
            )
        return cls(base, counter, divisor, tick, name)

    def cost(self, quantity: int, price: int) -> int:
        """Return the most that a trade can cost in counter units: the total, rounded up.

        It is also what a bid reserves ("coinflex-exchange/API IMPL-GUIDE.md").
        """
        return -(-quantity * price // self.divisor)

    def on_tick(self, price: int, *, bid: bool) -> int:
        """Move a price to the tick grid: a bid's down, an ask's up."""
        return price // self.tick * self.tick if bid else -(-price // self.tick) * self.tick


@attrs.define(eq=False)
class Order:
    """An order; while it rests, its place in the queue is its place in the level's dictionary."""

    id: int
    """Chosen by the engine; 0 for a market order, which is never in a book and has no name."""

    owner: AccountId
    market: Market
    bid: bool
    price: int
    """The limit; 0 for a market order."""

    quantity: int
    """Base units still to be traded, never negative (:attr:`signed` has the wire's sign)."""

    time: int
    """When opened, in microseconds."""

    tonce: int | None = None
    reserved: int = 0
    """Held for this order: base units for an ask, counter units for a bid."""

    queued: int = 0
    """When it got its place in the queue: when opened, or when a modification cost it its place."""

    session: object | None = None
    """The connection whose end cancels the order, if it does not outlive one."""

    resting: bool = False
    """Whether it stands in the book."""

    @property
    def signed(self) -> int:
        """What is still to be traded: positive for a bid, negative for an ask."""
        return self.quantity if self.bid else -self.quantity

    @property
    def reserved_asset(self) -> Asset:
        """What the order holds."""
        return self.market.counter if self.bid else self.market.base


class Side:
    """One side of a book: levels by price, best last, and first come first served in a level."""

    __slots__ = ("_keys", "_levels", "_sign")

    def __init__(self, *, bid: bool) -> None:
        # Keys grow towards the best price on both sides, so that the best is always the last of
        # the list, where taking a level away costs nothing.
        self._sign = 1 if bid else -1
        self._keys: list[int] = []
        self._levels: dict[int, dict[int, Order]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._levels.values()))

    def __iter__(self) -> Iterator[Order]:
        """Iterate over the orders in the order in which they would trade."""
        for key in reversed(self._keys):
            yield from self._levels[key].values()

    def best(self) -> Order | None:
        """Return the order that would trade next, or None if the side is empty."""
        if not self._keys:
            return None
        return next(iter(self._levels[self._keys[-1]].values()))

    def best_price(self) -> int | None:
        """Return the best price, or None if the side is empty."""
        return self._keys[-1] * self._sign if self._keys else None

    def prices(self) -> list[int]:
        """Return the levels' prices, best first."""
        return [key * self._sign for key in reversed(self._keys)]

    def add(self, order: Order) -> None:
        """Put an order at the back of its level's queue."""
        key = order.price * self._sign
        level = self._levels.get(key)
        if level is None:
            insort(self._keys, key)
            level = self._levels[key] = {}
        level[order.id] = order
        order.resting = True

    def remove(self, order: Order) -> None:
        """Take an order out, wherever it stands."""
        key = order.price * self._sign
        level = self._levels[key]
        del level[order.id]
        order.resting = False
        if not level:
            del self._levels[key]
            del self._keys[bisect_left(self._keys, key)]


class Book:
    """Both sides of a market."""

    __slots__ = ("asks", "bids", "market")

    def __init__(self, market: Market) -> None:
        self.market: Market = market
        self.bids: Side = Side(bid=True)
        self.asks: Side = Side(bid=False)

    def side(self, *, bid: bool) -> Side:
        """Return the bids or the asks."""
        return self.bids if bid else self.asks

    def crosses(self, price: int, *, bid: bool) -> bool:
        """Tell whether an order at a price would meet the other side at once."""
        best = self.side(bid=not bid).best_price()
        return best is not None and (price >= best if bid else price <= best)

    def estimate(self, amount: int, *, bid: bool, by_total: bool) -> tuple[int, int]:
        """Tell what a market order would trade.

        Args:
            amount: its size, positive.
            bid: whether it buys.
            by_total: whether the size is in counter units instead of base units.

        Returns:
            Base units, and counter units rounded to the nearest: an estimate draws no lots.
        """
        market, left = self.market, amount
        traded = exact = 0
        for maker in self.side(bid=not bid):
            wanted = left * market.divisor // maker.price if by_total else left
            portion = min(wanted, maker.quantity)
            traded += portion
            exact += portion * maker.price
            left -= market.cost(portion, maker.price) if by_total else portion
            if portion < maker.quantity:
                # The rest is less than one unit at this price, and no later price has a turn.
                break
        return traded, (2 * exact + market.divisor) // (2 * market.divisor)
