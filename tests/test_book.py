"""An order book follows its channel, and refuses to answer when it cannot."""

from __future__ import annotations

import decimal
import time
from decimal import Decimal as D

import attrs
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trioflex._vocabulary.errors import LocalProtocolError
from trioflex._vocabulary.events import Gap, GapReason, Resumed
from trioflex.book import SPENT_FOR, Horizon, Level, OrderBook, Resting, RestingOrder

# -- items of a venue that exists only here ------------------------------------------------------


@attrs.frozen
class Whole:
    """A snapshot; prices have two decimals, quantities three."""

    orders: tuple = ()
    bid_horizon: int | None = None
    ask_horizon: int | None = None

    def update_book(self, book):
        book.load(
            [Resting(*order) for order in self.orders],
            price_digits=2,
            quantity_digits=3,
            bid_horizon=self.bid_horizon,
            ask_horizon=self.ask_horizon,
            remake=self.remake,
        )

    def remake(self, orders):
        orders = tuple((o.id, o.price, o.quantity, o.time) for o in orders)
        return attrs.evolve(self, orders=orders)


@attrs.frozen
class Put:
    id: object
    price: int
    quantity: int
    time: int = 0

    def update_book(self, book):
        book.put(self.id, self.price, self.quantity, self.time)


class Amend(Put):
    def update_book(self, book):
        book.amend(self.id, self.price, self.quantity, self.time)


@attrs.frozen
class Fill:
    id: object
    quantity: int
    time: int = 0

    def update_book(self, book):
        book.fill(self.id, self.quantity, self.time)


@attrs.frozen
class Remove:
    id: object

    def update_book(self, book):
        book.remove(self.id)


START = Whole(((1, 9900, 1000, 1), (2, 9800, 2000, 2), (3, 10100, -500, 3), (4, 10100, -700, 4)))


def book_of(*items):
    book = OrderBook()
    for item in items:
        book.apply(item)
    return book


def queue(side, price):
    return [order.id for order in side.orders_at(price)]


# -- levels --------------------------------------------------------------------------------------


def test_a_snapshot_makes_levels():
    """Prices and quantities in decimals, both sides positive, best first."""
    book = book_of(START)

    assert [Level(D("99.00"), D("1.000"), 1), Level(D("98.00"), D("2.000"), 1)] == list(book.bids)
    assert [Level(D("101.00"), D("1.200"), 2)] == list(book.asks)
    assert book.bids[0] == book.best_bid
    assert book.asks[0] == book.best_ask
    assert not book.crossed


def test_an_empty_book_has_no_best_price():
    """Nothing on a side is no error."""
    book = book_of(Whole())

    assert (True, None, None, False) == (book.valid, book.best_bid, book.best_ask, book.crossed)
    assert [] == list(book.bids)


def test_sides_are_sequences():
    """They can be indexed from both ends, sliced and counted, like any sequence."""
    book = book_of(Whole(tuple((n, 100 * n, 1, n) for n in range(1, 6))))
    prices = [level.price for level in book.bids]

    assert [5, 4, 3, 2, 1] == prices
    assert prices == [book.bids[n].price for n in range(5)]
    assert prices == [book.bids[n - 5].price for n in range(5)]
    for cut in (slice(2), slice(1, 4), slice(None, None, -1), slice(-2, None), slice(9, 20)):
        assert prices[cut] == [level.price for level in book.bids[cut]]
    assert book.bids[3] in book.bids
    for index in (5, -6, 100, -100):
        with pytest.raises(IndexError):
            book.bids[index]


def test_orders_can_be_looked_up():
    """By the venue's number, and by price in the order in which they will trade."""
    book = book_of(START)

    assert RestingOrder(3, D("101.00"), D("-0.500"), 3) == book.order(3)
    assert book.order(99) is None
    assert [3, 4] == queue(book.asks, D(101))
    assert [] == queue(book.asks, D("101.005"))
    assert [] == queue(book.asks, 99)
    assert [1] == queue(book.bids, 99)


@pytest.mark.parametrize("looked", [True, False], ids=["index first", "index last"])
class TestUpdates:
    """Each update, with the levels' index made before it and after it."""

    @pytest.fixture
    def book(self, looked):
        book = book_of(START)
        if looked:
            assert book.best_bid is not None
        return book

    def test_an_order_goes_to_the_back_of_its_level(self, book):
        """Arrival is priority."""
        book.apply(Put(5, 10100, -100, 0))
        assert [3, 4, 5] == queue(book.asks, 101)
        assert Level(D("101.00"), D("1.300"), 3) == book.best_ask

    def test_an_order_makes_a_level(self, book):
        """Anywhere on its side."""
        for id_, price in ((5, 9950), (6, 9850), (7, 100)):
            book.apply(Put(id_, price, 1))
        assert [D(p) for p in ("99.5", "99", "98.5", "98", "1")] == [x.price for x in book.bids]

    def test_an_order_that_is_there_is_replaced(self, book):
        """Even by one on the other side; it goes to the back."""
        book.apply(Put(3, 10100, -900))
        assert [4, 3] == queue(book.asks, 101)
        book.apply(Put(3, 9900, 900))
        assert [4] == queue(book.asks, 101)
        assert [1, 3] == queue(book.bids, 99)

    def test_what_remains_is_set(self, book):
        """The order keeps its place."""
        book.apply(Fill(3, -200))
        assert [3, 4] == queue(book.asks, 101)
        assert Level(D("101.00"), D("0.900"), 2) == book.best_ask

    def test_a_spent_order_is_hidden_until_it_is_removed(self, book):
        """Nothing remains, nothing is shown."""
        book.apply(Fill(1, 0))
        assert D("98.00") == book.best_bid.price
        assert book.order(1) is None
        book.apply(Remove(1))
        assert [D("98.00")] == [level.price for level in book.bids]

    def test_a_spent_order_can_come_back(self, book):
        """A venue that says that something remains is believed."""
        book.apply(Fill(1, 0))
        book.apply(Fill(1, 300))
        assert Level(D("99.00"), D("0.300"), 1) == book.best_bid

    def test_unknown_orders_are_no_error(self, book):
        """Orders deeper than the snapshot are heard of only when something happens to them."""
        before = [list(book.bids), list(book.asks)]
        book.apply(Fill(99, 5))
        book.apply(Remove(99))
        assert before == [list(book.bids), list(book.asks)]

    def test_a_level_goes_with_its_last_order(self, book):
        """... and comes with the first."""
        book.apply(Remove(3))
        assert Level(D("101.00"), D("0.700"), 1) == book.best_ask
        book.apply(Remove(4))
        assert book.best_ask is None

    def test_shrinking_keeps_the_place(self, book):
        """Less of the same is no new order."""
        book.apply(Amend(3, 10100, -100, 9))
        assert [3, 4] == queue(book.asks, 101)
        assert D("0.800") == book.best_ask.quantity

    def test_growing_loses_the_place(self, book):
        """More than before goes to the back."""
        book.apply(Amend(3, 10100, -501, 9))
        assert [4, 3] == queue(book.asks, 101)

    def test_another_price_loses_the_place(self, book):
        """The order goes to the back of its new level."""
        book.apply(Put(5, 10000, -1))
        book.apply(Amend(3, 10000, -500, 9))
        assert [5, 3] == queue(book.asks, 100)
        assert [4] == queue(book.asks, 101)

    def test_an_unknown_order_that_changes_is_inserted(self, book):
        """It was too deep for the snapshot."""
        book.apply(Amend(7, 9900, 50))
        assert [1, 7] == queue(book.bids, 99)

    def test_a_put_of_nothing_is_not_shown(self, book):
        """A zero quantity is spent from the start."""
        book.apply(Put(1, 9900, 0))
        assert D("98.00") == book.best_bid.price

    def test_crossing_is_seen_and_is_no_corruption(self, book):
        """An aggressive order is in the book before it trades."""
        book.apply(Put(5, 10100, 500))
        assert book.crossed
        book.apply(Fill(5, 0))
        book.apply(Fill(3, 0))
        assert not book.crossed
        assert [4] == queue(book.asks, 101)

    def test_a_snapshot_starts_over(self, book):
        """Nothing of before remains."""
        book.apply(Whole(((9, 1, 1, 1),)))
        assert [Level(D("0.01"), D("0.001"), 1)] == list(book.bids)
        assert [] == list(book.asks)

    def test_a_snapshot_of_it_makes_the_same_book(self, book):
        """As the client keeps one for those who come late."""
        for item in (Put(5, 10100, -100, 8), Fill(3, 0, 9), Amend(4, 10100, -800, 9)):
            book.apply(item)
        copy = book_of(book.snapshot())
        assert list(book.bids) == list(copy.bids)
        assert list(book.asks) == list(copy.asks)
        assert [5, 4] == queue(copy.asks, 101) == queue(book.asks, 101)


def test_of_two_orders_with_one_id_the_last_counts():
    """A snapshot that repeats itself is read to the end."""
    book = book_of(Whole(((1, 9900, 1, 1), (1, 9800, 2, 2))))
    assert [Level(D("98.00"), D("0.002"), 1)] == list(book.bids)


def test_a_venue_that_sends_levels_fits_too():
    """A level is an order whose id is its side and price."""
    book = book_of(Whole(((("bid", 9900), 9900, 5, 0), (("ask", 10000), 10000, -7, 0))))
    book.apply(Put(("bid", 9900), 9900, 3))
    book.apply(Remove(("ask", 10000)))
    assert [Level(D("99.00"), D("0.003"), 1)] == list(book.bids)
    assert [] == list(book.asks)


def test_spent_orders_are_forgotten_in_the_end():
    """A venue that never says that an order is closed does not fill our memory."""
    book = book_of(START, Fill(1, 0, 10), Fill(3, 0, 20))
    book.apply(Fill(3, -1, 30))  # this one came back
    book.apply(Put(9, 9000, 0, 21 + SPENT_FOR))
    book.apply(Fill(1, 5))
    book.apply(Fill(3, -2))

    assert book.order(1) is None
    assert D("-0.002") == book.order(3).quantity


# -- validity ------------------------------------------------------------------------------------

LOOKS = [
    lambda book: book.best_bid,
    lambda book: book.best_ask,
    lambda book: book.crossed,
    lambda book: book.horizon,
    lambda book: book.order(1),
    lambda book: book.bids[0],
    lambda book: book.bids[:3],
    lambda book: list(book.asks),
    lambda book: len(book.asks),
    lambda book: book.asks.complete,
    lambda book: book.bids.orders_at(99),
]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    "items",
    [
        (),
        (Put(1, 9900, 1),),
        (START, Gap(GapReason.DISCONNECTED)),
        (START, Gap(GapReason.OVERFLOW), Resumed(True)),
        (START, Gap(GapReason.JOINED_LATE), Resumed(False), Put(1, 9900, 1)),
    ],
)
def test_a_book_without_a_snapshot_answers_nothing(look, items):
    """Nobody quotes on yesterday's prices by mistake."""
    book = book_of(*items)  # M12

    assert not book.valid
    assert book.snapshot() is None
    with pytest.raises(LocalProtocolError, match="not valid"):
        look(book)


@pytest.mark.parametrize("look", LOOKS)
def test_the_next_snapshot_revives_it(look):
    """What was before the gap is forgotten, what is after it counts."""
    book = book_of(START, Gap(GapReason.SEQUENCE), Resumed(True), Put(9, 1, 1), START)  # M12

    look(book)
    assert book.valid
    assert book.order(9) is None


def test_what_is_no_item_of_a_book_is_refused():
    """In a sentence that names its type; what it happened to is still there."""
    book = book_of(START)
    for stranger in (Horizon(None, None), None, 7):
        with pytest.raises(TypeError, match=rf"type {type(stranger).__name__} says nothing of"):
            book.apply(stranger)
    assert book.valid


def test_a_bug_of_an_item_is_not_taken_for_a_strange_item():
    """Its ``AttributeError`` comes out as it is."""

    class Buggy:
        def update_book(self, book, /):
            book.no_such_thing()

    with pytest.raises(AttributeError, match="no_such_thing"):
        OrderBook().apply(Buggy())


def test_it_can_be_invalidated_by_hand():
    """As the core does with the one it keeps."""
    book = book_of(START)
    book.invalidate()
    assert not book.valid


def test_it_prints_whether_it_is_valid_or_not():
    """A repr never raises."""
    book = OrderBook()
    assert "<OrderBook, not valid>" == repr(book)
    assert "<bids of a book that is not valid>" == repr(book.bids)
    book.apply(START)
    assert "<OrderBook, bid 1.000 @ 99.00, ask 1.200 @ 101.00>" == repr(book)
    assert "<2 bids: 1.000 @ 99.00, 2.000 @ 98.00>" == repr(book.bids)
    assert "<1 asks: 1.200 @ 101.00>" == repr(book.asks)
    assert "Resting(1, 2, 3, 4)" == repr(Resting(1, 2, 3, 4))
    for n in range(3):
        book.apply(Put(("x", n), n, 1))
    assert repr(book.bids).endswith(", …>")


# -- the horizon ---------------------------------------------------------------------------------


def test_a_whole_snapshot_has_no_horizon():
    """The book is complete to its end."""
    book = book_of(START)
    assert Horizon(None, None) == book.horizon
    assert (2, 1) == (book.bids.complete, book.asks.complete)


def test_behind_the_horizon_the_book_has_holes():
    """Levels there are shown, and not counted as complete."""
    book = book_of(attrs.evolve(START, bid_horizon=9850, ask_horizon=10100))
    assert Horizon(D("98.50"), D("101.00")) == book.horizon
    assert (1, 1) == (book.bids.complete, book.asks.complete)

    book.apply(Put(5, 10200, -1))
    book.apply(Put(6, 9850, 1))
    assert (2, 1) == (book.bids.complete, book.asks.complete)
    assert (3, 2) == (len(book.bids), len(book.asks))
    assert Horizon(D("98.50"), D("101.00")) == book_of(book.snapshot()).horizon


# -- numbers and speed ---------------------------------------------------------------------------


def test_the_callers_decimal_context_changes_nothing():
    """Numbers are exact even in a thread that counts with three digits."""
    book = book_of(Whole(((1, 123456789, 987654321, 1),)))
    with decimal.localcontext(decimal.Context(prec=3)):
        assert D("1234567.89") == book.best_bid.price  # M13
        assert D("987654.321") == book.best_bid.quantity
        assert D("987654.321") == book.order(1).quantity
        assert [1] == queue(book.bids, D("1234567.89"))


def seconds(size, updates=2_000):
    """The best of some runs of updates near the best price of a book of that many levels."""
    book = book_of(Whole(tuple((n, 100 * n, 1, n) for n in range(1, size + 1))))
    assert book.best_bid is not None
    best = 1.0
    for _ in range(5):
        start = time.process_time()
        for n in range(updates):
            book.put("new", 100 * size + n, 1, n)
            _ = book.best_bid
        best = min(best, time.process_time() - start)
    return best


def test_an_update_costs_the_same_in_a_deep_book():
    """Upkeep near the best price and a look at it do not grow with the book."""
    assert seconds(20_000) < 5 * seconds(20)


# -- against a model -----------------------------------------------------------------------------


class Model:
    """The rules, without any index: a dictionary in the order of priority."""

    def __init__(self):
        self.orders = {}

    def put(self, id_, price, quantity):
        self.orders.pop(id_, None)
        self.orders[id_] = (price, quantity)

    def amend(self, id_, price, quantity):
        old = self.orders.get(id_)
        shrinks = (
            old is not None
            and old[0] == price
            and old[1] * quantity > 0
            and abs(quantity) <= abs(old[1])
        )
        if shrinks:
            self.orders[id_] = (price, quantity)
        else:
            self.put(id_, price, quantity)

    def side(self, sign):
        levels = {}
        for id_, (price, quantity) in self.orders.items():
            if quantity * sign > 0:
                levels.setdefault(price, []).append((id_, quantity * sign))
        return [
            (D(price).scaleb(-2), D(sum(q for _, q in levels[price])).scaleb(-3),
             [id_ for id_, _ in levels[price]])
            for price in sorted(levels, reverse=sign > 0)
        ]  # fmt: skip


IDS = st.integers(1, 12)
PRICES = st.integers(1, 6).map(lambda n: n * 50)
QUANTITIES = st.integers(-4, 4)


class Machine(RuleBasedStateMachine):
    """Any sequence of updates leaves the book and the model the same."""

    @initialize(
        orders=st.lists(st.tuples(IDS, PRICES, QUANTITIES, st.just(0)), max_size=8),
        look=st.booleans(),
    )
    def start(self, orders, look):
        self.book, self.model = book_of(Whole(tuple(orders))), Model()
        for id_, price, quantity, _ in orders:
            # Within a snapshot an id that comes again keeps the place of the first.
            self.model.orders[id_] = (price, quantity)
        self.look = look

    @rule(id_=IDS, price=PRICES, quantity=QUANTITIES)
    def put(self, id_, price, quantity):
        self.book.apply(Put(id_, price, quantity))
        self.model.put(id_, price, quantity)

    @rule(id_=IDS, price=PRICES, quantity=QUANTITIES)
    def amend(self, id_, price, quantity):
        self.book.apply(Amend(id_, price, quantity))
        self.model.amend(id_, price, quantity)

    @rule(id_=IDS, left=st.integers(0, 4))
    def fill(self, id_, left):
        old = self.model.orders.get(id_)
        if old is None or not old[1]:
            self.book.apply(Fill(99, left))
            return
        quantity = left if old[1] > 0 else -left
        self.book.apply(Fill(id_, quantity))
        self.model.orders[id_] = (old[0], quantity)

    @rule(id_=IDS)
    def remove(self, id_):
        self.book.apply(Remove(id_))
        self.model.orders.pop(id_, None)

    @rule()
    def start_looking(self):
        self.look = True

    @rule()
    def take_the_place_of_a_late_joiner(self):
        snapshot = self.book.snapshot()
        self.book = book_of(snapshot)
        self.model.orders = {i: order for i, order in self.model.orders.items() if order[1]}

    @invariant()
    def they_agree(self):
        if not self.look:
            return
        book = self.book
        for side, sign in ((book.bids, 1), (book.asks, -1)):
            expected = self.model.side(sign)
            assert [row[:2] for row in expected] == [(x.price, x.quantity) for x in side]
            assert [len(row[2]) for row in expected] == [x.orders for x in side]
            assert [row[2] for row in expected] == [queue(side, row[0]) for row in expected]
            assert (expected[0][:2] if expected else None) == (
                (side[0].price, side[0].quantity) if side else None
            )


TestModel = Machine.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=30)


@given(st.lists(st.tuples(IDS, PRICES, QUANTITIES), max_size=20))
def test_replayed_updates_change_nothing_in_the_end(updates):
    """What is announced before the snapshot may be in it already: applied again, it is harmless."""
    items = [Put(*update) for update in updates]
    once = book_of(START, *items)
    twice = book_of(once.snapshot(), *items)  # M12

    assert list(once.bids) == list(twice.bids)
    assert list(once.asks) == list(twice.asks)
