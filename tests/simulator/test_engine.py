"""What the engine's participants can do, and in which order the world hears of it."""

from __future__ import annotations

import pytest

from tests.simulator.trading import BASE, COUNTER, DAY, EPOCH, Lots, Room, trades
from trioflex.simulator.book import Market
from trioflex.simulator.happenings import (
    BalanceChanged,
    OrderClosed,
    OrderModified,
    OrderOpened,
    OrdersMatched,
    TickerChanged,
    TradeVolumeChanged,
)
from trioflex.simulator.rules import Reason, Refusal, Tonces


@pytest.fixture
def room() -> Room:
    return Room()


def refused(reason: Reason):
    return pytest.raises(Refusal, match=reason.name.lower().replace("_", " "))


# -- price and time ----------------------------------------------------------------------------


def test_the_best_price_trades_first(room):
    """An incoming order meets the best price, whenever that came."""
    maker, taker = room.account("maker"), room.account("taker")
    dear, cheap = room.place(maker, -5, 102), room.place(maker, -5, 101)
    order = room.place(taker, 8, 103)
    assert [(order.id, cheap.id, 5, 101), (order.id, dear.id, 3, 102)] == trades(room.told())


def test_at_one_price_the_first_trades_first(room):
    """Within a level the queue is one of time."""
    maker, taker = room.account("maker"), room.account("taker")
    first, second = room.place(maker, 5, 100), room.place(maker, 5, 100)
    order = room.place(taker, -7, 100)
    assert [(first.id, order.id, 5, 100), (second.id, order.id, 2, 100)] == trades(room.told())
    assert [second] == list(room.book.bids)


def test_what_does_not_trade_rests_at_its_limit(room):
    """The rest of an aggressive order stands in the book, and the book is not crossed."""
    maker, taker = room.account("maker"), room.account("taker")
    room.place(maker, -5, 101)
    order = room.place(taker, 8, 101)
    assert (101, None) == (room.book.bids.best_price(), room.book.asks.best_price())
    assert 3 == order.quantity


def test_a_limit_is_a_limit(room):
    """An order does not trade beyond its price."""
    maker, taker = room.account("maker"), room.account("taker")
    room.place(maker, -5, 101)
    room.place(taker, 5, 100)
    assert [] == trades(room.told())
    assert (100, 101) == (room.book.bids.best_price(), room.book.asks.best_price())


@pytest.mark.parametrize(
    ("quantity", "price", "expected"), [(1, 1_601_900, 1_601_000), (-1, 40_000_001, 40_001_000)]
)
def test_prices_are_moved_to_the_tick(quantity, price, expected):
    """A bid is moved down, an ask up."""
    room = Room(divisor=10_000, tick=1_000)
    assert expected == room.place(room.account("a"), quantity, price).price


def test_immediate_orders_keep_their_fill_and_leave_no_rest(room):
    """What the wire calls fill-or-kill is immediate-or-cancel."""
    maker, taker = room.account("maker"), room.account("taker")
    room.place(maker, -5, 101)
    order = room.place(taker, 8, 101, immediate=True)
    happenings = room.told()
    assert [(order.id, 1, 5, 101)] == trades(happenings)
    assert [0, 3] == [h.quantity for h in happenings if isinstance(h, OrderClosed)]
    assert [] == list(room.book.bids)
    assert (10**12 - 505, 0) == taker.balance(COUNTER)


def test_post_only_orders_do_not_take(room):
    """A post-only order that would trade is refused, and nothing has changed."""
    maker, taker = room.account("maker"), room.account("taker")
    room.place(maker, -5, 101)
    room.told()
    with refused(Reason.WOULD_MATCH):
        room.place(taker, 1, 101, post_only=True, tonce=7)
    assert [] == room.told()
    assert 100 == room.place(taker, 1, 100, post_only=True, tonce=7).price


# -- reservations ------------------------------------------------------------------------------


def test_bids_reserve_their_cost_rounded_up():
    """The venue's own example: 12,345 at 1,234,500 reserves 1,523,991."""
    room = Room(divisor=10_000)
    account = room.account("a", counter=2_000_000)
    room.place(account, 12_345, 1_234_500)
    assert (2_000_000 - 1_523_991, 1_523_991) == account.balance(COUNTER)


def test_asks_reserve_their_quantity(room):
    """An ask holds base units."""
    account = room.account("a", base=10)
    room.place(account, -7, 100)
    assert (3, 7) == account.balance(BASE)
    with refused(Reason.FUNDS):
        room.place(account, -4, 100)
    assert (3, 7) == account.balance(BASE)


def test_better_prices_give_the_surplus_back(room):
    """A bid that trades below its limit keeps only what its rest needs."""
    maker, taker = room.account("maker"), room.account("taker", counter=1_000)
    room.place(maker, -4, 80)
    room.place(taker, 10, 100)
    assert (1_000 - 4 * 80 - 6 * 100, 600) == taker.balance(COUNTER)


@pytest.mark.parametrize("up", [False, True])
def test_the_venues_worked_example_of_a_cut_remainder(up):
    """The fee comes out of the bid's reservation, and the remainder shrinks with it."""
    room = Room(divisor=10_000, fee="0.0003", fee_from_reservation=True, lots=Lots(up=up))
    buyer, seller = room.account("buyer", counter=2_000_000), room.account("seller")
    bid = room.place(buyer, 12_345, 1_234_500)
    room.execute(seller, quantity=-1_234)
    (match,) = room.told(OrdersMatched)
    if up:
        assert (152_338, 46, 11_110) == (match.total, match.bid_fee, match.bid_rem)
        # 77 units return to the balance.
        assert (2_000_000 - 1_523_991 + 77, 1_371_530) == buyer.balance(COUNTER)
    else:
        assert (152_337, 45, 11_110) == (match.total, match.bid_fee, match.bid_rem)
    assert 11_110 == bid.quantity


def test_a_fee_comes_out_of_the_available_balance_where_the_venue_says_so():
    """On CoinFLEX the reservation is touched only if the balance does not suffice."""
    room = Room(divisor=10_000, fee="0.0003", lots=Lots(up=True))
    seller = room.account("seller")
    rich, poor = room.account("rich", counter=1_524_091), room.account("poor", counter=1_523_991)
    for buyer, remainder, balance in (
        (rich, 11_111, (100 - 46, 1_371_653)),
        (poor, 11_110, (77, 1_371_530)),
    ):
        bid = room.place(buyer, 12_345, 1_234_500)
        room.execute(seller, quantity=-1_234)
        assert remainder == bid.quantity
        assert balance == buyer.balance(COUNTER)
        room.engine.cancel(bid)


def test_a_bid_too_small_for_its_fee_is_closed_without_a_trade():
    """A reservation of one unit cannot pay a total and a fee."""
    room = Room(divisor=10_000, fee="0.0003", fee_from_reservation=True)
    buyer, seller = room.account("buyer"), room.account("seller")
    bid = room.place(buyer, 1, 5_000)
    ask = room.place(seller, -1, 5_000)
    happenings = room.told(OrdersMatched, OrderClosed)
    assert [(OrderClosed, bid.id, 1)] == [(type(h), h.id, h.quantity) for h in happenings]
    assert [ask] == list(room.book.asks)
    assert (10**12, 0) == buyer.balance(COUNTER)


def test_an_incoming_bid_too_small_for_its_fee_is_closed_too():
    """It makes no difference which of the two was there first."""
    room = Room(divisor=10_000, fee="0.0003", fee_from_reservation=True)
    buyer, seller = room.account("buyer"), room.account("seller")
    ask = room.place(seller, -1, 5_000)
    bid = room.place(buyer, 1, 5_000)
    (closed,) = room.told(OrdersMatched, OrderClosed)
    assert (bid.id, 1) == (closed.id, closed.quantity)
    assert [ask] == [*room.book.bids, *room.book.asks]


def test_a_bid_filled_whole_pays_its_fee_with_quantity():
    """A reservation without room for the fee buys a little less, and counts as filled."""
    room = Room(fee="0.1", fee_from_reservation=True)
    buyer, seller = room.account("buyer", counter=1_000), room.account("seller")
    bid = room.place(buyer, 100, 10)
    ask = room.place(seller, -100, 10)
    (match,) = room.told(OrdersMatched)
    # 90 at 10 cost 900 and 90 of fee; 91 would cost 1,001.
    assert (90, 900, 90, 0, 10) == (
        match.quantity,
        match.total,
        match.bid_fee,
        match.bid_rem,
        match.ask_rem,
    )
    assert bid.id not in room.engine.orders
    assert 10 == ask.quantity
    assert (10, 0) == buyer.balance(COUNTER)


# -- fees and oneself --------------------------------------------------------------------------


def test_both_sides_pay_a_fee_in_the_counter_asset():
    """The seller's comes out of the proceeds, the buyer's on top."""
    room = Room(fee="0.01")
    buyer, seller = room.account("buyer", counter=1_000), room.account("seller", counter=0)
    room.place(seller, -5, 100)
    room.execute(buyer, quantity=5)
    assert (1_000 - 505, 0) == buyer.balance(COUNTER)
    assert (495, 0) == seller.balance(COUNTER)
    assert {COUNTER: 10} == room.engine.ledger.fees
    assert 0 == room.engine.ledger.imbalance(COUNTER)


def test_trades_with_oneself_are_free_and_no_volume():
    """Such a trade has no fee and does not count."""
    room = Room(fee="0.01")
    account = room.account("a", base=10, counter=1_000)
    room.place(account, -5, 100, tonce=1)
    room.place(account, 5, 100, tonce=2)
    happenings = room.told()
    (match,) = [h for h in happenings if isinstance(h, OrdersMatched)]
    assert (0, 0, 2, 1) == (match.bid_fee, match.ask_fee, match.bid_tonce, match.ask_tonce)
    assert [] == [h for h in happenings if isinstance(h, TradeVolumeChanged)]
    assert ((10, 0), (1_000, 0)) == (account.balance(BASE), account.balance(COUNTER))
    ticker = room.engine.ticker(room.market)
    assert (100, 100, 0) == (ticker["last"], ticker["high"], ticker["volume"])


@pytest.mark.parametrize(("up", "total", "fee"), [(True, 13, 2), (False, 12, 1)])
def test_fractions_are_rounded_by_lot(up, total, fee):
    """A total of 12.5 is 12 or 13; so are fees."""
    room = Room(divisor=10, fee="0.1", lots=Lots(up=up))
    buyer, seller = room.account("buyer"), room.account("seller")
    room.place(seller, -5, 25)
    room.execute(buyer, quantity=5)
    (match,) = room.told(OrdersMatched)
    assert (total, fee, fee) == (match.total, match.bid_fee, match.ask_fee)


def test_a_fraction_is_rounded_up_as_often_as_it_is_large():
    """A quarter is rounded up a quarter of the time."""
    room = Room(divisor=4)
    buyer, seller = room.account("buyer"), room.account("seller")
    room.place(seller, -4_000, 5)
    for _ in range(4_000):
        room.execute(buyer, quantity=1)
    totals = [match.total for match in room.told(OrdersMatched)]
    assert {1, 2} == set(totals)
    assert 900 < totals.count(2) < 1_100


def test_no_trade_is_for_nothing():
    """A total is at least one unit, however small the trade."""
    room = Room(divisor=10_000, lots=Lots(up=False))
    buyer, seller = room.account("buyer"), room.account("seller")
    room.place(seller, -1, 5)
    room.execute(buyer, quantity=1)
    assert [1] == [match.total for match in room.told(OrdersMatched)]


# -- market orders -----------------------------------------------------------------------------


def test_market_orders_by_quantity_tell_what_remains(room):
    """What the book does not hold is not traded."""
    maker, taker = room.account("maker"), room.account("taker")
    room.place(maker, -5, 100)
    assert 3 == room.execute(taker, quantity=8)
    assert 8 == room.execute(taker, quantity=8)
    assert 2 == room.execute(taker, quantity=-2)


def test_market_orders_by_total_trade_up_to_it(room):
    """Neither more is spent nor more received than was asked for."""
    maker, taker = room.account("maker"), room.account("taker")
    room.place(maker, -50, 100)
    room.place(maker, 50, 90)
    assert 50 == room.execute(taker, total=1_050)
    assert 10 == room.execute(taker, total=-1_000)
    matches = room.told(OrdersMatched)
    assert [(10, 1_000, True), (11, 990, False)] == [
        (match.quantity, match.total, match.taker_bid) for match in matches
    ]


def test_market_orders_end_with_the_funds():
    """A buyer without money and a seller without goods trade what they can pay."""
    room = Room(fee="0.1")
    maker = room.account("maker")
    taker = room.account("taker", base=3, counter=1_000)
    room.place(maker, -50, 100)
    # Nine cost 900 and 90 of fee; a tenth cannot be paid.
    assert 11 == room.execute(taker, quantity=20)
    assert (10, 0) == taker.balance(COUNTER)
    room.place(maker, 50, 90)
    assert 8 == room.execute(taker, quantity=-20)
    assert (0, 0) == taker.balance(BASE)


def test_a_buyer_at_the_end_of_his_funds_is_done():
    """What lucky lots leave over does not trade again and again with the same order."""
    room = Room(divisor=10, fee="0.5", lots=Lots(up=False))
    maker, taker = room.account("maker"), room.account("taker", counter=8)
    room.place(maker, -50, 7)
    assert 43 == room.execute(taker, quantity=50)
    assert [(7, 4, 2)] == [
        (match.quantity, match.total, match.bid_fee) for match in room.told(OrdersMatched)
    ]


def test_market_orders_have_no_id(room):
    """Their side of a trade has neither id nor remainder, but the tonce."""
    maker, taker = room.account("maker"), room.account("taker")
    ask = room.place(maker, -5, 100)
    room.told()
    room.execute(taker, quantity=5, tonce=9)
    happenings = room.told()
    (match,) = [h for h in happenings if isinstance(h, OrdersMatched)]
    assert (None, None, 9) == (match.bid, match.bid_rem, match.bid_tonce)
    assert (ask.id, 0, None) == (match.ask, match.ask_rem, match.ask_tonce)
    assert [] == [h for h in happenings if isinstance(h, OrderOpened)]


def test_estimates_leave_fees_and_funds_out():
    """An estimate is what would trade, and changes nothing."""
    room = Room(fee="0.1")
    maker = room.account("maker")
    room.place(maker, -5, 100)
    room.place(maker, -5, 110)
    room.told()
    estimate = room.engine.estimate
    assert (7, 720) == estimate(room.book, quantity=7)
    assert (10, 1_050) == estimate(room.book, quantity=70)
    assert (6, 610) == estimate(room.book, total=700)
    assert (0, 0) == estimate(room.book, quantity=-7)
    assert [] == room.told()


def test_an_estimate_stops_where_the_order_would(room):
    """What is too small for one unit at the best price does not go on to a cheaper one."""
    maker, taker = room.account("maker"), room.account("taker")
    room.place(maker, 5, 100)
    room.place(maker, 5, 90)
    assert (2, 200) == room.engine.estimate(room.book, total=-295)
    assert 95 == room.execute(taker, total=-295)


# -- modifying ---------------------------------------------------------------------------------


def test_shrinking_keeps_the_place_in_the_queue(room):
    """A smaller order stays where it stood."""
    maker, taker = room.account("maker"), room.account("taker")
    first, second = room.place(maker, -5, 100), room.place(maker, -5, 100)
    room.engine.modify(maker, first, delta=2)
    assert [first, second] == list(room.book.asks)
    room.told()
    room.execute(taker, quantity=1)
    assert [(None, first.id, 1, 100)] == trades(room.told())


@pytest.mark.parametrize("change", [{"delta": -1}, {"price": 101}])
def test_enlarging_and_another_price_go_to_the_back(room, change):
    """Who wants more than he had queues again."""
    maker = room.account("maker")
    first, second = room.place(maker, -5, 100), room.place(maker, -5, 100)
    room.engine.modify(maker, first, **change)
    assert [second, first] == list(room.book.asks)
    assert second.queued < first.queued
    assert first.time < second.time


def test_a_modified_bid_reserves_what_it_needs(room):
    """A reservation grows and shrinks with the order, and the balance is told on the right side."""
    account = room.account("a", counter=1_000)
    bid = room.place(account, 5, 100)
    room.told()
    room.engine.modify(account, bid, delta=2, price=110)
    assert ["BalanceChanged", "OrderModified", "TickerChanged"] == room.names()
    assert (230, 770) == account.balance(COUNTER)
    room.engine.modify(account, bid, delta=-1)
    assert ["OrderModified", "BalanceChanged"] == room.names()
    assert (340, 660) == account.balance(COUNTER)
    with refused(Reason.FUNDS):
        room.engine.modify(account, bid, delta=4)
    assert (6, 110, 660) == (bid.quantity, bid.price, bid.reserved)


@pytest.mark.parametrize("delta", [5, 6])
def test_shrinking_to_nothing_cancels(room, delta):
    """A result of zero or of the other sign is a cancellation."""
    maker = room.account("maker", base=5)
    ask = room.place(maker, -5, 100)
    room.told()
    room.engine.modify(maker, ask, delta=delta)
    (closed,) = room.told(OrderClosed)
    assert (ask.id, -5) == (closed.id, closed.quantity)
    assert 0 == ask.quantity
    assert (5, 0) == maker.balance(BASE)


def test_a_crossing_change_trades_before_it_is_told(room):
    """The trades come first; the modified order that is told crosses nothing."""
    maker, taker = room.account("maker"), room.account("taker")
    room.place(maker, -3, 100)
    bid = room.place(taker, 5, 90)
    room.told()
    room.engine.modify(taker, bid, price=100)
    happenings = room.told(OrdersMatched, OrderModified, OrderClosed)
    kinds = [type(h) for h in happenings]
    assert [OrdersMatched, OrderClosed, OrderModified] == kinds
    assert (2, 100) == (happenings[-1].quantity, happenings[-1].price)
    assert (100, None) == (room.book.bids.best_price(), room.book.asks.best_price())


def test_a_change_that_fills_the_order_closes_it(room):
    """An order that trades whole on being changed is told as closed, not as modified."""
    maker, taker = room.account("maker"), room.account("taker")
    room.place(maker, -9, 100)
    bid = room.place(taker, 5, 90)
    room.told()
    room.engine.modify(taker, bid, price=100)
    happenings = room.told(OrderModified, OrderClosed)
    assert [(OrderClosed, bid.id, 0)] == [(type(h), h.id, h.quantity) for h in happenings]


def test_a_crossing_change_that_cannot_pay_is_closed():
    """A bid that is moved into an ask it cannot pay with fee goes, as a new one would."""
    room = Room(divisor=10_000, fee="0.0003", fee_from_reservation=True)
    maker, taker = room.account("maker"), room.account("taker")
    room.place(maker, -1, 5_000)
    bid = room.place(taker, 1, 4_000)
    room.told()
    room.engine.modify(taker, bid, price=5_000)
    (closed,) = room.told(OrdersMatched, OrderModified, OrderClosed)
    assert (OrderClosed, bid.id, 1) == (type(closed), closed.id, closed.quantity)
    assert {1} == room.engine.orders.keys()


def test_a_post_only_change_does_not_take(room):
    """Refused, and the order is what it was."""
    maker, taker = room.account("maker"), room.account("taker")
    room.place(maker, -3, 100)
    bid = room.place(taker, 5, 90)
    room.told()
    with refused(Reason.WOULD_MATCH):
        room.engine.modify(taker, bid, price=100, post_only=True)
    assert [] == room.told()
    assert (90, [bid]) == (bid.price, list(room.book.bids))


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "order"),
    [
        (Reason.ZERO_QUANTITY, {"quantity": 0, "price": 1}),
        (Reason.ZERO_PRICE, {"quantity": 1, "price": 0}),
        (Reason.ZERO_PRICE, {"quantity": 1, "price": 4}),
        (Reason.NEGATIVE_PRICE, {"quantity": 1, "price": -5}),
        (Reason.ZERO_TONCE, {"quantity": 1, "price": 5, "tonce": 0}),
        (Reason.OVERFLOW, {"quantity": 2**33, "price": 2**31}),
        (Reason.FUNDS, {"quantity": 10**9, "price": 5_000}),
        (Reason.FUNDS, {"quantity": -(10**9) - 1, "price": 5}),
    ],
)
def test_impossible_orders_are_refused(reason, order):
    """Each for its reason, without a trace."""
    room = Room(tick=5)
    account = room.account("a")
    with refused(reason):
        room.engine.place(account, room.book, **order)
    assert [] == room.told()
    assert ((10**9, 0), (10**12, 0)) == (account.balance(BASE), account.balance(COUNTER))


@pytest.mark.parametrize(
    ("reason", "size"),
    [
        (Reason.ZERO_QUANTITY, {"quantity": 0}),
        (Reason.ZERO_TOTAL, {"total": 0}),
        (Reason.OVERFLOW, {"total": 2**63}),
    ],
)
def test_impossible_market_orders_are_refused(room, reason, size):
    """Each for its reason."""
    with refused(reason):
        room.execute(room.account("a"), **size)


def test_a_market_order_has_a_size(room):
    """Whoever calls the engine says which; a venue has refused the request before."""
    with pytest.raises(ValueError, match="a quantity or a total"):
        room.execute(room.account("a"))


@pytest.mark.parametrize(
    ("reason", "change"), [(Reason.ZERO_DELTA, {"delta": 0}), (Reason.NO_CHANGE, {})]
)
def test_changes_that_change_nothing_are_refused(room, reason, change):
    """A change has a delta or a price."""
    account = room.account("a")
    order = room.place(account, 1, 1)
    with refused(reason):
        room.engine.modify(account, order, **change)


def test_a_modified_order_must_not_overflow(room):
    """The bound of quantity times price holds for changes too."""
    account = room.account("a", counter=2**63)
    order = room.place(account, 1, 2**60)
    with refused(Reason.OVERFLOW):
        room.engine.modify(account, order, delta=7)


def test_there_is_a_limit_of_open_orders():
    """One order too many is refused; a closed one makes room."""
    room = Room(max_open_orders=2)
    account = room.account("a")
    first = room.place(account, 1, 1)
    room.place(account, 1, 1)
    with refused(Reason.TOO_MANY_ORDERS):
        room.place(account, 1, 1)
    room.engine.cancel(first)
    room.place(account, 1, 1)


def test_other_peoples_orders_are_not_found(room):
    """An order is found by its owner, by id or tonce, as long as it is open."""
    mine, other = room.account("mine"), room.account("other")
    order = room.place(mine, 1, 1, tonce=5)
    assert order is room.engine.find(mine, order_id=order.id)
    assert order is room.engine.find(mine, tonce=5)
    for account, name in ((other, {"order_id": order.id}), (other, {"tonce": 5})):
        with refused(Reason.NO_ORDER):
            room.engine.find(account, **name)
    room.engine.cancel(order)
    for name in ({"order_id": order.id}, {"tonce": 5}):
        with refused(Reason.NO_ORDER):
            room.engine.find(mine, **name)


def test_unknown_markets_are_refused(room):
    """There is a book for the market, and for no other, not even the reverse."""
    with refused(Reason.NO_MARKET):
        room.engine.book(COUNTER, BASE)


# -- tonces ------------------------------------------------------------------------------------


def test_unique_tonces_can_be_used_again_once_the_order_is_gone(room):
    """On CoinFLEX a tonce must differ from those of open orders, and only from those."""
    account = room.account("a")
    order = room.place(account, 1, 1, tonce=5)
    with refused(Reason.TONCE):
        room.place(account, 1, 1, tonce=5)
    with refused(Reason.TONCE):
        room.execute(account, quantity=1, tonce=5)
    room.place(account, 1, 1, tonce=4)
    room.place(room.account("b"), 1, 1, tonce=5)
    room.engine.cancel(order)
    room.place(account, 1, 1, tonce=5)


def test_increasing_tonces_only_rise_until_all_is_cancelled():
    """On Coinfloor a tonce is above all accepted before, market orders' included."""
    room = Room(tonces=Tonces.INCREASING)
    account = room.account("a")
    room.place(account, 1, 1, tonce=5)
    for tonce in (5, 4):
        with refused(Reason.TONCE):
            room.place(account, 1, 1, tonce=tonce)
    room.execute(account, quantity=1, tonce=6)
    with refused(Reason.TONCE):
        room.place(account, 1, 1, tonce=6)
    with refused(Reason.FUNDS):
        room.place(account, 10**9, 10**9, tonce=100)
    room.place(account, 1, 1)
    room.place(account, 1, 1, tonce=7)
    room.engine.cancel_all(account)
    room.place(account, 1, 1, tonce=1)


# -- the order of what is told -----------------------------------------------------------------


def test_the_order_of_events_of_an_aggressive_order():
    """Reservation, opening, trade, its balances, closing, and the figures at the end."""
    room = Room(fee="0.01")
    maker, taker = room.account("maker"), room.account("taker")
    ask = room.place(maker, -5, 100)
    room.told()
    bid = room.place(taker, 8, 110)
    assert [
        BalanceChanged("taker", COUNTER, 10**12 - 880, 880),
        OrderOpened(bid.id, "taker", None, room.market, 8, 110, bid.time),
        OrdersMatched(
            room.market,
            bid=bid.id,
            ask=ask.id,
            bid_owner="taker",
            ask_owner="maker",
            bid_tonce=None,
            ask_tonce=None,
            quantity=5,
            price=100,
            total=500,
            bid_rem=3,
            ask_rem=0,
            bid_fee=5,
            ask_fee=5,
            taker_bid=True,
            time=bid.time + 1,
        ),
        BalanceChanged("taker", BASE, 10**9 + 5, 0),
        BalanceChanged("taker", COUNTER, 10**12 - 880 + 50 - 5, 330),
        BalanceChanged("maker", COUNTER, 10**12 + 495, 0),
        OrderClosed(ask.id, "maker", None, room.market, 0, 100, bid.time + 2),
        TradeVolumeChanged("taker", BASE, 5),
        TradeVolumeChanged("taker", COUNTER, 500),
        TradeVolumeChanged("maker", BASE, 5),
        TradeVolumeChanged("maker", COUNTER, 500),
        TickerChanged(
            room.market,
            {"last": 100, "bid": 110, "ask": None, "low": 100, "high": 100, "volume": 5},
        ),
    ] == room.told()


@pytest.mark.parametrize("sign", [1, -1])
def test_of_two_orders_filled_at_once_the_first_closes_first(room, sign):
    """Whichever side it is on."""
    maker, taker = room.account("maker"), room.account("taker")
    first, second = room.place(maker, 5 * sign, 100), room.place(taker, -5 * sign, 100)
    assert [first.id, second.id] == [happening.id for happening in room.told(OrderClosed)]


def test_a_closing_is_told_before_the_balance_that_it_frees(room):
    """Cancelled orders close first and give back then."""
    account = room.account("a")
    order = room.place(account, 5, 100)
    room.told()
    room.engine.cancel(order)
    assert ["OrderClosed", "BalanceChanged", "TickerChanged"] == room.names()


def test_all_orders_are_cancelled_oldest_first(room):
    """Each in its turn, and those of others stay."""
    account, other = room.account("a"), room.account("b")
    orders = [room.place(account, 1, 100), room.place(account, -1, 200), room.place(account, 1, 9)]
    stays = room.place(other, 1, 50)
    room.told()
    assert orders == room.engine.cancel_all(account)
    closed = room.told(OrderClosed)
    assert [(order.id, order.signed) for order in orders] == [(h.id, h.quantity) for h in closed]
    assert {stays.id: stays} == room.engine.orders


def test_orders_end_with_their_session(room):
    """Only those that were placed not to outlive it."""
    account, session = room.account("a"), object()
    room.place(account, 1, 100, session=session)
    other = room.place(account, 1, 100, session=object())
    stays = room.place(account, 1, 100)
    room.engine.cancel_session(account, session)
    assert [other, stays] == list(room.book.bids)


def test_times_never_repeat_and_never_go_back(room):
    """Whatever the clock does, each event has a time of its own."""
    account = room.account("a")
    times = []
    for now in (EPOCH, EPOCH, EPOCH - 10**9, EPOCH + 7):
        room.now = now
        times.append(room.place(account, 1, 1).time)
    assert sorted(set(times)) == times
    assert [EPOCH, EPOCH + 7] == [times[0], times[-1]]


# -- figures -----------------------------------------------------------------------------------


def test_a_ticker_begins_with_nothing(room):
    """No trade, no orders: no figures, and no volume."""
    assert {
        "last": None,
        "bid": None,
        "ask": None,
        "low": None,
        "high": None,
        "volume": 0,
    } == room.engine.ticker(room.market)


def test_a_ticker_looks_back_one_day(room):
    """Low, high and volume forget what is older; the last price stays."""
    maker, taker = room.account("maker"), room.account("taker")
    for day, price in ((0, 50), (0.25, 200), (0.5, 100)):
        room.now = EPOCH + int(day * DAY)
        room.place(maker, -1, price)
        room.execute(taker, quantity=1)
    figures = []
    for day in (0.5, 1.1, 1.3, 2):
        room.now = EPOCH + int(day * DAY)
        ticker = room.engine.ticker(room.market)
        figures.append((ticker["last"], ticker["low"], ticker["high"], ticker["volume"]))
    assert [
        (100, 50, 200, 3),
        (100, 100, 200, 2),
        (100, 100, 100, 1),
        (100, None, None, 0),
    ] == figures


def test_a_ticker_tells_what_changed_and_no_more(room):
    """A figure is told when it is another one than was told before."""
    maker = room.account("maker")
    room.place(maker, 1, 90)
    room.place(maker, 1, 80)
    order = room.place(maker, 1, 95)
    room.engine.cancel(order)
    changes = [happening.changes for happening in room.told(TickerChanged)]
    assert [{"bid": 90}, {"bid": 95}, {"bid": 90}] == changes


def test_trade_volumes_look_back_thirty_days(room):
    """Each party's amounts of both assets count."""
    maker, taker = room.account("maker"), room.account("taker")
    for day in (0, 15):
        room.now = EPOCH + day * DAY
        room.place(maker, -2, 100)
        room.execute(taker, quantity=2)
    volumes = []
    for day in (15, 29, 31, 46):
        room.now = EPOCH + day * DAY
        volumes.append(room.engine.trade_volume(taker, COUNTER))
    assert [400, 400, 200, 0] == volumes
    assert 0 == room.engine.trade_volume(taker, "ETH")


# -- money -------------------------------------------------------------------------------------


def test_money_can_be_brought_in_and_taken_out(room):
    """The ledger counts both, and nothing becomes negative."""
    account = room.account("a", base=10)
    room.engine.deposit(account, BASE, -4)
    assert [BalanceChanged("a", BASE, 6, 0)] == room.told()
    with pytest.raises(ValueError, match="negative"):
        room.engine.deposit(account, BASE, -7)
    assert (6, 0) == account.balance(BASE)
    assert 0 == room.engine.ledger.imbalance(BASE)


def test_an_imbalance_is_noticed(room):
    """The ledger's law is checked against what accounts really hold."""
    account = room.account("a", base=10)
    account.available[BASE] += 1
    assert 1 == room.engine.ledger.imbalance(BASE)


@pytest.mark.parametrize("rate", ["-0.1", "1"])
def test_a_fee_is_a_fraction(rate):
    """A fee cannot be negative, and not all of the total."""
    with pytest.raises(ValueError, match="fee rate"):
        Room(fee=rate)


def test_a_market_counts_in_whole_units():
    """Scales that leave fractions of a counter unit for a divisor are refused."""
    scales = {"base_scale": 100, "counter_scale": 1_000, "price_scale": 10}
    assert 1 == Market.of_scales(BASE, COUNTER, **scales).divisor
    with pytest.raises(ValueError, match="choose a finer price scale"):
        Market.of_scales(BASE, COUNTER, **{**scales, "price_scale": 1})
