"""Who has which orders open, and which names for orders may still be used."""

from __future__ import annotations

from itertools import count

from .book import Order
from .ledger import Account, Ledger
from .rules import Reason, Refusal, Rules, Tonces


class Registers:
    """Open orders by id and by tonce, and the venue's rules about both.

    Args:
        ledger: the accounts, which have their own orders written into them.
        rules: what the venue decides.
    """

    def __init__(self, ledger: Ledger, rules: Rules) -> None:
        self._ledger = ledger
        self._rules = rules
        self._ids = count(1)
        self.orders: dict[int, Order] = {}
        """All open orders by id."""

    def admit(self, account: Account, order: Order) -> None:
        """Enter a new order, and give it its id."""
        order.id = next(self._ids)
        self.orders[order.id] = account.orders[order.id] = order
        if order.tonce is not None:
            account.by_tonce[order.tonce] = order
        self.use_tonce(account, order.tonce)

    def strike(self, order: Order) -> None:
        """Take an order out that is open no longer."""
        account = self._ledger.accounts[order.owner]
        del self.orders[order.id]
        del account.orders[order.id]
        if order.tonce is not None:
            del account.by_tonce[order.tonce]

    def find(self, account: Account, order_id: int | None, tonce: int | None) -> Order:
        """Return an open order of an account by its id or its tonce.

        Raises:
            Refusal: ``NO_ORDER``, also for another account's order; ``ZERO_TONCE``.
        """
        order = None
        if order_id is not None:
            order = account.orders.get(order_id)
        elif tonce == 0:
            raise Refusal(Reason.ZERO_TONCE)
        elif tonce is not None:
            order = account.by_tonce.get(tonce)
        if order is None:
            raise Refusal(Reason.NO_ORDER)
        return order

    def check_tonce(self, account: Account, tonce: int | None) -> None:
        """Refuse a tonce that the venue's rule does not allow.

        Raises:
            Refusal: ``ZERO_TONCE``, ``TONCE``.
        """
        if tonce is None:
            return
        if not tonce:
            raise Refusal(Reason.ZERO_TONCE)
        if self._rules.tonces is Tonces.UNIQUE:
            if tonce in account.by_tonce:
                raise Refusal(Reason.TONCE)
        elif tonce <= account.highest_tonce:
            raise Refusal(Reason.TONCE)

    def use_tonce(self, account: Account, tonce: int | None) -> None:
        """Take notice that an order with a tonce was accepted."""
        if tonce is not None:
            account.highest_tonce = max(account.highest_tonce, tonce)

    def check_room(self, account: Account) -> None:
        """Refuse one open order too many.

        Raises:
            Refusal: ``TOO_MANY_ORDERS``.
        """
        if len(account.orders) >= self._rules.max_open_orders:
            raise Refusal(Reason.TOO_MANY_ORDERS)
