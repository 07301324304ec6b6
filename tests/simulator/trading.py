"""A market with recorded happenings, for tests of the engine."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from random import Random

from trioflex.simulator.book import Book, Market, Order
from trioflex.simulator.engine import Engine
from trioflex.simulator.happenings import Happening
from trioflex.simulator.ledger import Account
from trioflex.simulator.rules import Rules

BASE, COUNTER = "XBT", "USDT"
EPOCH = 1_583_020_800_000_000
DAY = 86_400_000_000


class Room:
    """One market, some accounts, and everything that happened.

    Prices are simple by default: the divisor is 1, so that a total is quantity times price.
    """

    def __init__(
        self,
        *,
        divisor: int = 1,
        tick: int = 1,
        fee: str = "0",
        fee_from_reservation: bool = False,
        lots: Random | None = None,
        **rules: object,
    ) -> None:
        self.now = EPOCH
        self.market = Market(BASE, COUNTER, divisor, tick, f"{BASE}:{COUNTER}")
        self.engine = Engine(
            [self.market],
            rules=Rules(Decimal(fee), fee_from_reservation, **rules),
            lots=lots,
            clock=lambda: self.now,
        )
        self.happenings: list[Happening] = []
        self.engine.listen(self.happenings.append)

    @property
    def book(self) -> Book:
        return self.engine.book(BASE, COUNTER)

    def account(self, name: str, base: int = 10**9, counter: int = 10**12) -> Account:
        account = self.engine.ledger.open(name)
        self.engine.deposit(account, BASE, base)
        self.engine.deposit(account, COUNTER, counter)
        self.happenings.clear()
        return account

    def place(self, account: Account, quantity: int, price: int, **options: object) -> Order:
        return self.engine.place(account, self.book, quantity=quantity, price=price, **options)

    def execute(self, account: Account, **size: int) -> int:
        return self.engine.execute(account, self.book, **size)

    def told(self, *kinds: type) -> list:
        """Take what happened since the last time, of some kinds or all."""
        happenings = [h for h in self.happenings if not kinds or isinstance(h, kinds)]
        self.happenings.clear()
        return happenings

    def names(self) -> list[str]:
        return [type(happening).__name__ for happening in self.told()]


class Lots(Random):
    """Lots that always fall the same way: totals and fees all up, or all down."""

    def __init__(self, *, up: bool) -> None:
        super().__init__(0)
        self._up = up

    def getrandbits(self, bits: int) -> int:
        return 0 if self._up else 2**bits - 1


def trades(happenings: Iterable[Happening]) -> list[tuple[int | None, int | None, int, int]]:
    """Bid, ask, quantity and price of each trade among some happenings."""
    return [
        (h.bid, h.ask, h.quantity, h.price)
        for h in happenings
        if type(h).__name__ == "OrdersMatched"
    ]
