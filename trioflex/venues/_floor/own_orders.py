"""Own orders, followed to their end: a pure fold.

Source: "coinflex-exchange/API IMPL-GUIDE.md", following orders.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import TypeAlias

import attrs
from msgspec import UNSET

from ..._vocabulary.errors import LocalProtocolError
from ..._vocabulary.events import Gap, Resumed
from .assets import AssetTable
from .notices import OrderClosed, OrderModified, OrderOpened, OrdersMatched
from .replies import Order, OrdersSnapshot

OwnOrderItem: TypeAlias = OrdersSnapshot | OrderOpened | OrderModified | OrdersMatched | OrderClosed
"""What the channel :class:`OwnOrders` delivers."""


class OrderState(enum.Enum):
    """How far an own order is."""

    OPEN = "open"
    """It is in the book."""
    FILLED = "filled"
    """It has traded in full."""
    CANCELLED = "cancelled"
    """It left the book with something still open."""
    VANISHED = "vanished"
    """It was open when continuity was lost and is not any more: filled or cancelled, and trades
    meanwhile are unknown. The venue's HTTP interface has the history."""


@attrs.frozen(kw_only=True)
class TrackedOrder:
    """One own limit order, as far as it was followed."""

    order: Order
    """As it stands: ``order.quantity`` is what is still open, ``order.price`` its limit."""
    state: OrderState = OrderState.OPEN
    scaled_filled: int = 0
    """How much was seen to trade, in units of base, positive."""
    scaled_total: int = 0
    """How much was seen to be paid for it, in units of counter."""
    scaled_fees: int = 0
    """Fees seen, in units of counter."""
    complete: bool = True
    """It was followed from its opening on; else it may have traded before."""

    @property
    def filled(self) -> Decimal:
        """How much of base was seen to trade, positive."""
        return self.order._amount(self.scaled_filled)

    @property
    def total(self) -> Decimal:
        """How much of counter was seen to be paid for it."""
        return self.order._total(self.scaled_total)

    @property
    def fees(self) -> Decimal:
        """Fees seen, in counter."""
        return self.order._total(self.scaled_fees)


class OpenOrders:
    """Follows own orders to their end; feed it what :class:`OwnOrders` delivers.

    An order is over when the venue says that it is closed, neither with the reply to its
    cancellation nor when nothing remains of it. While continuity is lost nothing is valid; the
    snapshot that follows shows which orders are still there, and the others have *vanished*.

    Args:
        keep: how many finished orders to remember.
    """

    def __init__(self, keep: int = 1_000) -> None:
        self._valid = False
        self._table: AssetTable | None = None
        self._open: dict[int, TrackedOrder] = {}
        self._seen: dict[int, set[tuple[int | None, int | None, int, int]]] = {}
        self.finished: deque[TrackedOrder] = deque(maxlen=keep)
        """Orders that are over, the oldest first."""

    def __repr__(self) -> str:
        return f"<OpenOrders, {len(self._open)}>" if self._valid else "<OpenOrders, not valid>"

    def __len__(self) -> int:
        return len(self._look())

    def __iter__(self) -> Iterator[TrackedOrder]:
        return iter(list(self._look().values()))

    @property
    def valid(self) -> bool:
        """The orders are followed."""
        return self._valid

    def get(self, order_id: int) -> TrackedOrder | None:
        """Return an open order by the venue's number, ``None`` if it is not open.

        Raises:
            LocalProtocolError: continuity is lost.
        """
        return self._look().get(order_id)

    def by_tonce(self, tonce: int) -> TrackedOrder | None:
        """Return an open order by your name for it, ``None`` if none is open.

        Raises:
            LocalProtocolError: continuity is lost.
        """
        for tracked in self._look().values():
            if tracked.order.tonce == tonce:
                return tracked
        return None

    def apply(self, item: OwnOrderItem | Gap | Resumed) -> None:
        """Take the next thing a receiver delivered.

        Args:
            item: an item of :class:`OwnOrders`, or what the receiver puts between items. Orders of
                others are ignored, so what a book channel delivers does no harm.
        """
        if isinstance(item, OrdersSnapshot):
            self._start(item)
        elif isinstance(item, Gap):
            self.invalidate()
        elif isinstance(item, Resumed) or not self._valid or not item.mine:
            return
        elif isinstance(item, OrdersMatched):
            if item.bought and item.bid is not None:
                self._matched(item.bid, item, 1, item.scaled_bid_rem, item.scaled_bid_counter_fee)
            if item.sold and item.ask is not None:
                self._matched(item.ask, item, -1, item.scaled_ask_rem, item.scaled_ask_counter_fee)
        elif isinstance(item, OrderClosed):
            tracked = self._open.pop(item.id, None)
            self._seen.pop(item.id, None)
            if tracked is not None:
                left = item.scaled_quantity
                state = OrderState.CANCELLED if left else OrderState.FILLED
                self._finish(tracked, left, state)
        else:
            self._changed(item)

    def invalidate(self) -> None:
        """Continuity is lost: what is open now is not known."""
        self._valid = False

    def snapshot(self) -> OrdersSnapshot | None:
        """Return the open orders as an item of the channel, ``None`` while they are unknown."""
        if not self._valid or self._table is None:
            return None
        return self._table.bind(OrdersSnapshot)(
            orders=tuple(tracked.order for tracked in self._open.values())
        )

    def _look(self) -> dict[int, TrackedOrder]:
        if not self._valid:
            raise LocalProtocolError(
                "the open orders are not known: there has been no snapshot of them since "
                "continuity was lost; check .valid before looking at them"
            )
        return self._open

    def _start(self, snapshot: OrdersSnapshot) -> None:
        known, self._open = self._open, {}
        for order in snapshot:
            tracked = known.pop(order.id, None)
            self._open[order.id] = (
                TrackedOrder(order=order, complete=False)
                if tracked is None
                # The same remainder means that nothing traded unseen.
                else attrs.evolve(
                    tracked,
                    order=order,
                    complete=tracked.complete
                    and tracked.order.scaled_quantity == order.scaled_quantity,
                )
            )
        for tracked in known.values():
            self._seen.pop(tracked.order.id, None)
            self._finish(tracked, tracked.order.scaled_quantity, OrderState.VANISHED)
        self._table = snapshot._table
        self._valid = True

    def _changed(self, notice: OrderOpened | OrderModified) -> None:
        order = notice._table.bind(Order)(
            id=notice.id,
            base_id=notice.base_id,
            counter_id=notice.counter_id,
            scaled_quantity=notice.scaled_quantity,
            scaled_price=notice.scaled_price,
            time=notice.time,
            tonce=None if notice.tonce is UNSET else notice.tonce,
        )
        tracked = self._open.get(notice.id)
        opened = isinstance(notice, OrderOpened)
        if tracked is None:
            self._open[notice.id] = TrackedOrder(order=order, complete=opened)
        else:
            complete = tracked.complete or opened
            self._open[notice.id] = attrs.evolve(tracked, order=order, complete=complete)

    def _matched(
        self, order_id: int, trade: OrdersMatched, sign: int, rem: int | None, fee: int | None
    ) -> None:
        tracked = self._open.get(order_id)
        if tracked is None:
            return
        left = tracked.order.scaled_quantity if rem is None else sign * rem
        tracked = attrs.evolve(tracked, order=_with_quantity(tracked.order, left))
        self._open[order_id] = tracked
        # No document says that an owner who also watches the book is told only once.
        seen = self._seen.setdefault(order_id, set())
        key = (trade.bid, trade.ask, trade.time, trade.scaled_quantity)
        if key in seen:
            return
        seen.add(key)
        self._open[order_id] = attrs.evolve(
            tracked,
            scaled_filled=tracked.scaled_filled + trade.scaled_quantity,
            scaled_total=tracked.scaled_total + trade.scaled_total,
            scaled_fees=tracked.scaled_fees + (fee or 0),
        )

    def _finish(self, tracked: TrackedOrder, left: int, state: OrderState) -> None:
        self.finished.append(
            attrs.evolve(tracked, order=_with_quantity(tracked.order, left), state=state)
        )


def _with_quantity(order: Order, quantity: int) -> Order:
    return type(order)(
        id=order.id,
        base_id=order.base_id,
        counter_id=order.counter_id,
        scaled_quantity=quantity,
        scaled_price=order.scaled_price,
        time=order.time,
        tonce=order.tonce,
    )
