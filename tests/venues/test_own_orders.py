"""Own orders are followed to their end, fills and fees included, through gaps and repetitions."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from trioflex._vocabulary.errors import LocalProtocolError
from trioflex._vocabulary.events import Gap, GapReason, Resumed
from trioflex.protocol import Confirm
from trioflex.venues import coinflex
from trioflex.venues.coinflex import OrderState

from .floor import PAIR, logged_in, pushes

OWN = coinflex.OwnOrders()
GAP, RESUMED = Gap(GapReason.DISCONNECTED), Resumed(True)


class Account:
    """A session of an account, and what follows its orders."""

    def __init__(self, **options):
        self.talk = logged_in()
        self.orders = coinflex.OpenOrders(**options)

    def snapshot(self, *orders):
        self.orders.apply(self.talk.gets(coinflex.GetOrders(), orders=list(orders)))
        return self

    def hears(self, message, times=1):
        for channel, value in pushes(self.talk.hears(message)) * times:
            assert OWN == channel
            self.orders.apply(value)
        return self

    def opened(self, id_, quantity=1000, price=86500000, tonce=None, **more):
        return self.hears(
            {"notice": "OrderOpened", "id": id_, "tonce": tonce, **PAIR, "quantity": quantity,
             "price": price, "time": id_}, **more
        )  # fmt: skip

    def modified(self, id_, quantity, price=86500000, tonce=None):
        return self.hears(
            {"notice": "OrderModified", "id": id_, "tonce": tonce, **PAIR, "quantity": quantity,
             "price": price, "time": 99}
        )  # fmt: skip

    def closed(self, id_, quantity=0, tonce=None):
        return self.hears(
            {"notice": "OrderClosed", "id": id_, "tonce": tonce, **PAIR, "quantity": quantity,
             "price": 86500000}
        )  # fmt: skip

    def matched(self, quantity, time=0, times=1, total=None, **sides):
        return self.hears(
            {"notice": "OrdersMatched", **PAIR, "quantity": quantity, "price": 86500000,
             "total": quantity * 8650 if total is None else total, "time": time, **sides},
            times,
        )  # fmt: skip

    @property
    def last(self):
        return self.orders.finished[-1]


@pytest.fixture
def account():
    return Account().snapshot()


def row(id_, quantity=1000, tonce=None):
    return {"id": id_, "tonce": tonce, **PAIR, "quantity": quantity, "price": 86500000, "time": 1}


def test_nothing_is_asked_but_the_first_question():
    """The venue announces own orders unasked."""
    assert Confirm.IMPLICIT is OWN.confirm
    assert OWN.private
    assert coinflex.GetOrders() == OWN.bootstrap
    assert logged_in().session.watch(OWN, True) is None


def test_an_order_from_its_opening_to_its_last_trade(account):
    """Filled, with what was paid and the fees; it is over when the venue says so."""
    account.opened(1, tonce=7)
    account.matched(400, 1, bid=1, bid_tonce=7, bid_rem=600, bid_counter_fee=100, bid_base_fee=0)
    (tracked,) = account.orders
    assert (OrderState.OPEN, D("0.06"), D("0.04")) == (
        tracked.state, tracked.order.quantity, tracked.filled
    )  # fmt: skip

    account.matched(600, 2, bid=1, bid_tonce=7, bid_rem=0, bid_counter_fee=150, bid_base_fee=0)
    assert D(0) == account.orders.get(1).order.quantity
    account.closed(1, tonce=7)
    assert 0 == len(account.orders)
    assert (OrderState.FILLED, D("0.1"), D(865), D("0.025"), True) == (
        account.last.state, account.last.filled, account.last.total, account.last.fees,
        account.last.complete,
    )  # fmt: skip
    assert (1, 7) == (account.last.order.id, account.last.order.tonce)


def test_a_sale_that_is_cancelled_in_the_middle(account):
    """What was still open is signed as the order is."""
    account.opened(1, -1000)
    account.matched(400, ask=1, ask_tonce=None, ask_rem=600, ask_counter_fee=100)
    assert D("-0.06") == account.orders.get(1).order.quantity
    account.closed(1, -600)
    assert (OrderState.CANCELLED, D("-0.06"), D("0.04")) == (
        account.last.state, account.last.order.quantity, account.last.filled
    )  # fmt: skip


def test_a_remainder_of_nothing_is_not_the_end(account):
    """Nor is the reply to a cancellation; only the notice is."""
    account.opened(1)
    account.matched(1000, bid=1, bid_tonce=None, bid_rem=0)
    account.talk.gets(coinflex.CancelOrder(1), **row(1))
    assert OrderState.OPEN is account.orders.get(1).state
    assert 0 == len(account.orders.finished)


def test_a_cut_remainder_is_believed(account):
    """The venue may leave less than was not traded."""
    account.opened(1, 12345)
    account.matched(1234, bid=1, bid_tonce=None, bid_rem=11110)
    assert (11110, 1234) == (
        account.orders.get(1).order.scaled_quantity, account.orders.get(1).scaled_filled
    )  # fmt: skip


def test_trades_with_oneself_count_on_both_sides(account):
    """Each order has its part."""
    account.opened(1, 500).opened(2, -700)
    account.matched(500, bid=1, bid_tonce=None, bid_rem=0, ask=2, ask_tonce=None, ask_rem=200)
    assert [(0, 500), (-200, 500)] == [
        (tracked.order.scaled_quantity, tracked.scaled_filled) for tracked in account.orders
    ]


def test_the_other_side_of_a_trade_is_not_ours(account):
    """Its number may be anything."""
    account.opened(1, 500)
    account.matched(100, bid=1, bid_tonce=None, bid_rem=400, ask=1, ask_rem=7)
    assert 400 == account.orders.get(1).order.scaled_quantity


def test_a_change_is_followed(account):
    """Quantity and price are the new ones; what was filled stays."""
    account.opened(1)
    account.matched(400, bid=1, bid_tonce=None, bid_rem=600)
    account.modified(1, 900, 86400000)
    tracked = account.orders.get(1)
    assert (D("0.09"), D(8640), D("0.04")) == (
        tracked.order.quantity, tracked.order.price, tracked.filled
    )  # fmt: skip


def test_orders_are_found_by_tonce(account):
    """While they are open."""
    account.opened(1, tonce=7).opened(2, tonce=8)
    assert 2 == account.orders.by_tonce(8).order.id
    assert account.orders.by_tonce(9) is None
    account.closed(2)
    assert account.orders.by_tonce(8) is None


def test_what_is_told_twice_counts_once(account):
    """Nobody promises that an owner who watches the book is told once."""
    account.opened(1, times=2)
    account.matched(400, 1, times=2, bid=1, bid_tonce=None, bid_rem=600)
    account.matched(400, 2, times=2, bid=1, bid_tonce=None, bid_rem=200)
    tracked = account.orders.get(1)
    assert (800, 200) == (tracked.scaled_filled, tracked.order.scaled_quantity)
    account.closed(1, 200).closed(1, 200)
    assert 1 == len(account.orders.finished)


def test_unknown_orders_are_no_error(account):
    """A market order has no number, an order from before may be unknown."""
    account.matched(1, bid_tonce=7, ask=9, ask_rem=0)
    account.matched(1, bid=5, bid_tonce=7, bid_rem=0)
    account.closed(5)
    assert (0, 0) == (len(account.orders), len(account.orders.finished))


def test_orders_of_others_are_ignored(account):
    """What a book channel delivers does no harm."""
    talk = logged_in()
    book = coinflex.OrderBook("XBT", "USDT")
    talk.starts(book, orders=[])
    ((_, value),) = pushes(
        talk.hears({"notice": "OrderOpened", "id": 1, **PAIR, "quantity": 1, "price": 1, "time": 1})
    )
    account.orders.apply(value)
    assert 0 == len(account.orders)


# -- snapshots and gaps --------------------------------------------------------------------------


def test_orders_from_before_are_not_complete():
    """They may have traded before anybody looked."""
    account = Account().snapshot(row(1, tonce=7))
    assert not account.orders.get(1).complete
    assert 1 == account.orders.by_tonce(7).order.id


def test_early_notices_replay_over_the_snapshot():
    """An order that is in both, one that closed, one that opened and closed."""
    account = Account().snapshot(row(1, 600), row(2))
    account.opened(1).matched(400, bid=1, bid_tonce=None, bid_rem=600)
    account.closed(2, 1000).opened(3).closed(3, 1000)
    (tracked,) = account.orders
    assert (1, 600, 400, True) == (
        tracked.order.id, tracked.order.scaled_quantity, tracked.scaled_filled, tracked.complete
    )  # fmt: skip


LOOKS = [
    lambda orders: orders.get(1),
    lambda orders: orders.by_tonce(1),
    lambda orders: list(orders),
    lambda orders: len(orders),
]


@pytest.mark.parametrize("look", LOOKS)
def test_while_continuity_is_lost_nothing_is_known(look):
    """Before the first snapshot, and from a gap to the next."""
    account = Account()
    assert "<OpenOrders, not valid>" == repr(account.orders)
    for step in (lambda: account.opened(1), lambda: account.snapshot().orders.apply(GAP)):
        step()
        assert not account.orders.valid
        assert account.orders.snapshot() is None
        with pytest.raises(LocalProtocolError, match="not known"):
            look(account.orders)
    account.snapshot()
    look(account.orders)
    assert "<OpenOrders, 0>" == repr(account.orders)


def test_after_a_gap_orders_are_there_or_have_vanished(account):
    """Those that are there go on; whether they traded meanwhile shows in the remainder."""
    account.opened(1).opened(2).opened(3)
    account.matched(400, bid=2, bid_tonce=None, bid_rem=600)
    account.orders.apply(GAP)
    account.orders.apply(RESUMED)
    account.opened(9)  # nothing counts before the snapshot
    account.snapshot(row(1, 1000), row(2, 500))

    assert [(1, True, 0), (2, False, 400)] == [
        (tracked.order.id, tracked.complete, tracked.scaled_filled) for tracked in account.orders
    ]
    assert [(3, OrderState.VANISHED)] == [
        (tracked.order.id, tracked.state) for tracked in account.orders.finished
    ]


def test_only_so_many_finished_orders_are_remembered():
    """A program that runs for months does not grow."""
    account = Account(keep=2).snapshot()
    for id_ in range(1, 6):
        account.opened(id_).closed(id_, 1)
    assert [4, 5] == [tracked.order.id for tracked in account.orders.finished]


def test_late_joiners_get_the_open_orders(account):
    """As an item of the channel."""
    account.opened(1, tonce=7).opened(2)
    account.matched(400, bid=1, bid_tonce=7, bid_rem=600)
    account.closed(2, 1)
    snapshot = account.orders.snapshot()
    assert isinstance(snapshot, coinflex.OrdersSnapshot)
    assert [(1, 7, 600)] == [(order.id, order.tonce, order.scaled_quantity) for order in snapshot]
