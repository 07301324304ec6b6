"""The book that is kept for late joiners is the book that everybody else has."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trioflex.book import SPENT_FOR, OrderBook
from trioflex.venues import coinflex
from trioflex.venues._floor.kept_book import KeptBook

BIND = coinflex.ASSETS.bind
PAIR = {"base_id": 63488, "counter_id": 65283}

IDS = st.integers(1, 5)
PRICES = st.integers(10, 12)
QUANTITIES = st.integers(-3, 3)
REMAINDERS = st.none() | st.integers(0, 3)
TIMES = st.integers(1, 9) | st.integers(1, 9).map(lambda time: time + SPENT_FOR)
ORDERS = st.builds(
    coinflex.BookOrder, id=IDS, scaled_quantity=QUANTITIES, scaled_price=PRICES, time=TIMES
)


def noticed(shape):
    return st.builds(
        lambda **fields: BIND(shape)(**PAIR, **fields),
        id=IDS,
        scaled_quantity=QUANTITIES,
        scaled_price=PRICES,
        **({} if shape is coinflex.OrderClosed else {"time": TIMES}),
    )


SNAPSHOTS = st.builds(
    lambda orders, bid, ask: BIND(coinflex.BookSnapshot)(
        **PAIR, orders=tuple(orders), scaled_bid_horizon=bid, scaled_ask_horizon=ask
    ),
    st.lists(ORDERS, max_size=4),
    st.none() | PRICES,
    st.none() | PRICES,
)
TRADES = st.builds(
    lambda **fields: BIND(coinflex.OrdersMatched)(
        **PAIR, scaled_quantity=1, scaled_price=11, scaled_total=1, **fields
    ),
    time=TIMES,
    bid=st.none() | IDS,
    ask=st.none() | IDS,
    scaled_bid_rem=REMAINDERS,
    scaled_ask_rem=REMAINDERS,
)
NOTICES = st.one_of(
    noticed(coinflex.OrderOpened),
    noticed(coinflex.OrderModified),
    noticed(coinflex.OrderClosed),
    TRADES,
)
READS = st.lists(st.lists(NOTICES, min_size=1, max_size=6), max_size=5)


@given(SNAPSHOTS, READS, st.booleans())
def test_it_says_what_a_book_says(snapshot, reads, interrupted):
    """The same orders in the same time priority, and how far they are complete."""  # S3
    kept, book = KeptBook(), OrderBook()
    reads.insert(min(1, len(reads)), [snapshot])
    if interrupted:
        reads.append([snapshot])
    for number, read in enumerate(reads):
        if interrupted and number == 3:
            kept.invalidate()
            book.invalidate()
        kept.apply_all(read)
        for item in read:
            book.apply(item)

        assert book.snapshot() == kept.snapshot()


@given(SNAPSHOTS, st.lists(NOTICES, max_size=12))
def test_one_by_one_is_the_same_as_at_once(snapshot, items):
    """How a channel's items were spread over reads makes no difference."""
    singly, at_once = KeptBook(), KeptBook()
    for item in [snapshot, *items]:
        singly.apply(item)
    at_once.apply_all([snapshot, *items])

    assert singly.snapshot() == at_once.snapshot()


def test_it_has_nothing_to_say_before_the_first_snapshot():
    """Updates alone make no book."""
    kept = KeptBook()
    kept.apply(BIND(coinflex.OrderClosed)(**PAIR, id=1, scaled_quantity=1, scaled_price=1))

    assert kept.snapshot() is None


def test_it_takes_items_of_books_only():
    """Anything else is a bug in the session, and says so."""
    with pytest.raises(TypeError, match="int is no item of an order book"):
        KeptBook().apply(1)


@given(st.permutations([1, 2, 3, 4]), st.lists(st.integers(1, 2), min_size=4, max_size=4))
def test_a_late_joiners_queue_is_that_of_the_first(numbers, times):
    """Orders of one moment, too, stand as they came."""  # S3
    kept, first, late = KeptBook(), OrderBook(), OrderBook()
    items = [BIND(coinflex.BookSnapshot)(**PAIR, orders=())]
    items += [
        BIND(coinflex.OrderOpened)(**PAIR, id=number, scaled_quantity=1, scaled_price=10, time=time)
        for number, time in zip(numbers, sorted(times), strict=True)
    ]
    kept.apply_all(items)
    for item in items:
        first.apply(item)

    late.apply(kept.snapshot())

    price = first.best_bid.price
    assert numbers == [order.id for order in first.bids.orders_at(price)]
    assert first.bids.orders_at(price) == late.bids.orders_at(price)
