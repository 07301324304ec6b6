"""The channels of the stream, and the state that follows them.

Source: "the-one-io/api-client", ``docs/WEBSOCKET_DOCUMENTATION``. Whether a subscription starts
with a snapshot is not said there, so both channels ask for one after every subscription
(``theone.venue(catch_up=False)`` switches that off).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, TypeAlias

import attrs

from ..._vocabulary.errors import LocalProtocolError
from ..._vocabulary.events import Gap, Resumed
from ...protocol import Channel, Request
from .arguments import as_order_id
from .replies import Balance, BalancesChanged, BalancesSnapshot, OrderUpdate
from .requests import GetBalances, GetOrderStatus

BalanceItem: TypeAlias = BalancesSnapshot | BalancesChanged
"""What :class:`Balances` delivers."""

BALANCES = "balances"
ORDERS = "orders:"


class BalanceSheet:
    """The balances of an account; feed it what :class:`Balances` delivers.

    It is not valid before the first snapshot, nor between a :class:`trioflex.Gap` and the snapshot
    that follows; meanwhile asking for a balance raises :class:`trioflex.LocalProtocolError`.
    """

    def __init__(self) -> None:
        self._balances: dict[str, Balance] | None = None

    def __repr__(self) -> str:
        if self._balances is None:
            return "<BalanceSheet, not valid>"
        shown = ", ".join(f"{each.asset} {each.total}" for each in self._balances.values())
        return f"<BalanceSheet, {shown}>"

    def apply(self, item: BalancesSnapshot | BalancesChanged | Gap | Resumed) -> None:
        """Take the next thing a receiver delivered.

        Args:
            item: an item of :class:`Balances`, or what the receiver puts between items.
        """
        if isinstance(item, BalancesSnapshot):
            self._balances = {balance.asset: balance for balance in item}
        elif isinstance(item, BalancesChanged):
            if self._balances is not None:
                self._balances.update((balance.asset, balance) for balance in item)
        elif isinstance(item, Gap):
            self.invalidate()

    def invalidate(self) -> None:
        """Forget everything: continuity is lost."""
        self._balances = None

    def snapshot(self) -> BalancesSnapshot | None:
        """Return all balances as an item of the channel, ``None`` while they are not valid."""
        return None if self._balances is None else BalancesSnapshot(tuple(self._balances.values()))

    @property
    def valid(self) -> bool:
        """The sheet follows the account."""
        return self._balances is not None

    def balance(self, asset: str) -> Balance:
        """Return the balance of an asset; one that the venue has not mentioned is 0.

        Args:
            asset: its symbol.

        Raises:
            LocalProtocolError: the sheet is not valid.
        """
        if self._balances is None:
            raise LocalProtocolError(
                "the balances are not valid: there has been no snapshot of them since continuity "
                "was lost; check .valid before looking into them"
            )
        none = Balance(asset=asset, total=Decimal(0), locked=Decimal(0))
        return self._balances.get(asset, none)

    def free(self, asset: str) -> Decimal:
        """Return what can be used of an asset now.

        Args:
            asset: its symbol.

        Raises:
            LocalProtocolError: the sheet is not valid.
        """
        return self.balance(asset).free


class OrderState:
    """How a swap stands; feed it what :class:`Order` delivers. Older news changes nothing."""

    def __init__(self) -> None:
        self.update: OrderUpdate | None = None
        """The newest update, ``None`` while there is none, or after a gap."""

    def apply(self, item: OrderUpdate | Gap | Resumed) -> None:
        """Take the next thing a receiver delivered.

        Args:
            item: an item of :class:`Order`, or what the receiver puts between items.
        """
        if isinstance(item, OrderUpdate):
            if self.update is None or item.newer_than(self.update):
                self.update = item
        elif isinstance(item, Gap):
            self.invalidate()

    def snapshot(self) -> OrderUpdate | None:
        """Return how it stands, ``None`` while that is not known."""
        return self.update

    def invalidate(self) -> None:
        """Forget everything: continuity is lost."""
        self.update = None


@attrs.frozen(cache_hash=True)
class Balances(Channel[BalanceItem]):
    """Your balances: all of them, then those that change. :class:`BalanceSheet` keeps them.

    By name: ``client.subscribe("balances")``.
    """

    private: ClassVar[bool] = True
    fold: ClassVar[Any] = BalanceSheet

    @property
    def bootstrap(self) -> Request[Any]:
        """``GetBalances``."""
        return GetBalances()


@attrs.frozen(cache_hash=True)
class Order(Channel[OrderUpdate]):
    """One swap: how it stands, then every change. :func:`follow_swap` waits for its end.

    By name: ``client.subscribe("orders:" + order_id)``. An id that the venue does not know is
    :class:`trioflex.SubscriptionRefused`.
    """

    order_id: str = attrs.field(converter=as_order_id)
    """The venue's name for it, from :class:`SwapAccepted`."""

    private: ClassVar[bool] = True
    fold: ClassVar[Any] = OrderState

    @property
    def bootstrap(self) -> Request[Any]:
        """``GetOrderStatus``."""
        return GetOrderStatus(self.order_id)


def channel_named(name: str) -> Channel[Any] | None:
    """Return the channel of a name, ``None`` if there is none.

    Args:
        name: ``"balances"`` or ``"orders:<id>"``.

    Raises:
        LocalProtocolError: the id cannot be one.
    """
    if name == BALANCES:
        return Balances()
    if name.startswith(ORDERS) and len(name) > len(ORDERS):
        return Order(name[len(ORDERS) :])
    return None


def name_of(channel: Channel[Any]) -> str | None:
    """Return the name of a channel on the wire, ``None`` if it is none of ours."""
    if isinstance(channel, Balances):
        return BALANCES
    return ORDERS + channel.order_id if isinstance(channel, Order) else None
