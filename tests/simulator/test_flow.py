"""The other market participants: a live book, for as long as it takes, and always the same."""

from __future__ import annotations

import pytest

from tests.simulator.floor_client import GBP, USDT, XBT, flex, floor
from tests.simulator.trading import Room
from trioflex.simulator.flow import Habits, OrderFlow
from trioflex.simulator.happenings import OrderModified, OrderOpened, OrdersMatched
from trioflex.simulator.rules import GREATEST


def counter_of(model) -> int:
    return USDT if model.name == "coinflex" else GBP


@pytest.fixture(params=[flex, floor], ids=["coinflex", "coinfloor"])
def model(request):
    return request.param(seed=5, empty=False)


def levels(model) -> tuple[int, int]:
    book = model.engine.book(XBT, counter_of(model))
    return len(book.bids.prices()), len(book.asks.prices())


def test_a_fresh_model_has_a_book(model):
    """Twenty levels and more on each side, a last price and some volume."""
    assert min(levels(model)) >= 20
    ticker = model.ticker(XBT, counter_of(model))
    assert None not in ticker.values()
    assert ticker["volume"] > 0


def test_the_book_moves_and_stays_a_book(model):
    """Thousands of turns later it is as deep, near its anchor, and people still trade."""
    happenings: list = []
    model.engine.listen(happenings.append)
    prices = set()
    for turn in range(3_000):
        pause = model.trade()
        assert 0 < pause < 1
        model.clock.advance(pause)
        assert min(levels(model)) >= 20
        if turn % 10 == 0:
            prices.add(model.ticker(XBT, counter_of(model))["last"])
    kinds = {type(happening) for happening in happenings}
    assert {OrderOpened, OrdersMatched} <= kinds
    assert (model.name == "coinflex") == (OrderModified in kinds)
    assert len(prices) > 20
    anchor = model.profile.habits(model.engine.book(XBT, counter_of(model)).market).anchor
    assert all(abs(price - anchor) < anchor // 10 for price in prices)
    assert len(model.book(XBT, counter_of(model))) < 500
    assert all(model.engine.ledger.imbalance(asset) == 0 for asset in (XBT, counter_of(model)))


def test_nobody_is_ever_exhausted(model):
    """Purses are deep, are filled up, and never reach what 64 bits cannot hold."""
    ledger = model.engine.ledger
    counter = counter_of(model)
    market = model.engine.book(XBT, counter).market
    others = [
        account for name, account in ledger.accounts.items() if str(name).endswith(market.name)
    ]
    assert 6 == len(others)
    for account in others:
        model.engine.deposit(account, counter, 1 - account.balance(counter)[0])
    for _ in range(200):
        model.trade()
    assert min(levels(model)) >= 20
    assert all(0 < sum(account.balance(XBT)) < GREATEST for account in others)
    assert 0 == ledger.imbalance(counter)


def test_the_flow_trades_with_clients(model):
    """An order at a good price does not wait for ever."""
    counter = counter_of(model)
    best = model.book(XBT, counter)[0].price
    order = model.place_as(1, XBT, counter, quantity=100, price=best)
    for _ in range(2_000):
        model.trade()
    assert order.id not in model.engine.orders


def test_clients_can_sweep_the_book_and_it_comes_back(model):
    """A book that was emptied is filled again."""
    counter = counter_of(model)
    rich = model.engine.ledger.open("rich")
    for asset in (XBT, counter):
        model.engine.deposit(rich, asset, 10**17)
    book = model.engine.book(XBT, counter)
    for sign in (1, -1):
        model.engine.execute(rich, book, quantity=sign * 10**15)
    assert (0, 0) == levels(model)
    for _ in range(30):
        model.trade()
    assert min(levels(model)) >= 20


def test_an_empty_model_comes_to_life_when_the_others_act():
    """Told to begin empty, it does; the first turn fills the book."""
    model = flex(empty=True)
    assert [] == model.book("XBT", "USDT")
    for _ in range(10):
        model.trade()
    assert min(levels(model)) >= 20


def test_a_model_without_markets_has_nothing_to_trade():
    """Nobody acts, and that is no error."""
    assert flex(markets=[]).trade() > 0


def test_the_flow_is_the_same_under_the_same_seed():  # T5
    """Every happening, in order; under another seed others."""

    def happenings(seed: int) -> list:
        model = flex(seed=seed, empty=False)
        seen: list = []
        model.engine.listen(seen.append)
        for _ in range(100):
            model.clock.advance(model.trade())
        return seen

    assert happenings(1) == happenings(1) != happenings(2)


def test_makers_keep_no_more_orders_than_is_their_habit():
    """The oldest goes when there are too many."""
    room = Room(divisor=10_000, tick=10)
    habits = Habits(anchor=100_000, step=10, size=50, levels=10, orders=15)
    flow = OrderFlow(room.engine, room.market, habits, seed=1)
    most = 0
    for _ in range(500):
        flow.turn()
        most = max(most, len(room.book.bids), len(room.book.asks))
    # One may be added, and as many levels filled, after the count.
    assert most <= 15 + 10
