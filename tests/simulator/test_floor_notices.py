"""Who hears of what at the simulated CoinFLEX and Coinfloor, in which words and which order."""

from __future__ import annotations

import pytest

from tests.simulator.floor_client import (
    EPOCH,
    ETH,
    GBP,
    USDT,
    XBT,
    Client,
    flex,
    floor,
    logged_in,
)
from trioflex.simulator import FloorAccount

PAIR = {"base": XBT, "counter": USDT}


@pytest.fixture
def model():
    return flex(accounts=[FloorAccount(), FloorAccount(2)], fee_rate=None)


def watcher(model, method: str = "WatchOrders", **pair: int) -> Client:
    client = Client(model)
    assert 0 == client.ask(method, **(pair or PAIR), watch=True)["error_code"]
    return client


def kinds(client: Client) -> list[str]:
    return [notice["notice"] for notice in client.notices()]


def test_an_order_is_told_to_watchers_and_its_owner(model):
    """The tonce is the owner's alone, and null for him if there is none."""
    owner, stranger, public = logged_in(model), logged_in(model, 2), watcher(model)
    owner.place(100, 80_000_000, tonce=7)
    owner.place(100, 80_000_000)
    notice = {
        "notice": "OrderOpened",
        "id": 1,
        **PAIR,
        "quantity": 100,
        "price": 80_000_000,
        "time": EPOCH,
    }
    second = {**notice, "id": 2, "time": EPOCH + 1}
    assert [notice, second] == public.notices()
    own = owner.notices("OrderOpened")
    assert [{**notice, "tonce": 7}, {**second, "tonce": None}] == own
    assert [] == stranger.notices()


def test_an_owner_who_watches_hears_once(model):
    """In the owner's words: of openings, trades and closings, whichever side is his."""
    owner = logged_in(model)
    owner.ask("WatchOrders", **PAIR, watch=True)
    owner.place(100, 80_000_000, tonce=7)
    owner.place(-100, 90_000_000, tonce=8)
    for quantity in (100, -100):
        model.execute_as(9, "XBT", "USDT", quantity=quantity)
    notices = owner.notices()
    told = {
        kind: [notice for notice in notices if notice["notice"] == kind]
        for kind in ("OrderOpened", "OrdersMatched", "OrderClosed")
    }
    assert [7, 8] == [notice["tonce"] for notice in told["OrderOpened"]]
    assert [8, 7] == [notice["tonce"] for notice in told["OrderClosed"]]
    sold, bought = told["OrdersMatched"]
    assert (8, 7) == (sold["ask_tonce"], bought["bid_tonce"])


def test_every_connection_of_an_owner_hears(model):
    """Also of what another one did."""
    first, second = logged_in(model), logged_in(model)
    first.place(100, 80_000_000, tonce=7)
    assert first.notices() == second.notices() != []


def test_several_watchers_hear_the_same(model):
    """Each of his book; nobody of another."""
    first, second = watcher(model), watcher(model)
    other = watcher(model, base=ETH, counter=USDT)
    ticker = watcher(model, "WatchTicker")
    model.place_as(9, "XBT", "USDT", quantity=5, price=80_000_000)
    assert first.frames == second.frames
    assert ["OrderOpened"] == kinds(first)
    assert [] == other.notices()
    assert [{"notice": "TickerChanged", **PAIR, "bid": 80_000_000}] == ticker.notices()
    first.ask("WatchOrders", **PAIR, watch=False)
    second.peer.closed()
    model.place_as(9, "XBT", "USDT", quantity=5, price=80_000_000)
    assert ["OrderOpened"] == kinds(second)
    assert [] == first.notices()


def test_a_closed_connection_hears_nothing(model):
    """Neither of books nor of tickers nor of its account."""
    client = logged_in(model)
    for method in ("WatchOrders", "WatchTicker"):
        client.ask(method, **PAIR, watch=True)
    client.peer.closed()
    model.place_as(1, "XBT", "USDT", quantity=5, price=80_000_000)
    assert [] == client.notices()


def test_a_trade_is_told_to_each_in_his_words(model):
    """Fees and tonces to the party they concern; who took, to the parties."""
    buyer, seller, public = logged_in(model), logged_in(model, 2), watcher(model)
    buyer.place(100, 80_000_000, tonce=7)
    seller.ask("PlaceOrder", **PAIR, quantity=-40, price=79_000_000, tonce=8)
    notice = {
        "notice": "OrdersMatched",
        "bid": 1,
        "ask": 2,
        **PAIR,
        "quantity": 40,
        "price": 80_000_000,
        "total": 320_000,
        "bid_rem": 60,
        "ask_rem": 0,
        "time": EPOCH + 2,
        "taker_side": "ask",
    }
    bid = {"bid_tonce": 7, "bid_base_fee": 0, "bid_counter_fee": 96}
    ask = {"ask_tonce": 8, "ask_base_fee": 0, "ask_counter_fee": 96}
    assert [notice] == public.notices("OrdersMatched")
    assert [{**notice, **bid, "taker": False}] == buyer.notices("OrdersMatched")
    assert [{**notice, **ask, "taker": True}] == seller.notices("OrdersMatched")


def test_a_trade_of_a_market_order_lacks_its_side(model):
    """No id, no remainder; its owner has the tonce key all the same."""
    buyer, public = logged_in(model), watcher(model)
    model.place_as(9, "XBT", "USDT", quantity=-100, price=80_000_000)
    buyer.ask("PlaceOrder", **PAIR, quantity=40)
    (seen,) = public.notices("OrdersMatched")
    assert set() == {"bid", "bid_rem", "bid_tonce", "taker"} & seen.keys()
    assert (1, 60, "bid") == (seen["ask"], seen["ask_rem"], seen["taker_side"])
    (own,) = buyer.notices("OrdersMatched")
    assert (None, True) == (own["bid_tonce"], own["taker"])
    assert "bid" not in own


def test_a_trade_with_oneself_has_both_sides(model):
    """Both tonces, both pairs of fees, and the fees are 0."""
    client = logged_in(model)
    client.place(100, 80_000_000, tonce=7)
    client.place(-100, 80_000_000, tonce=8)
    (own,) = client.notices("OrdersMatched")
    assert (7, 8) == (own["bid_tonce"], own["ask_tonce"])
    assert [0] * 4 == [own[f"{s}_{a}_fee"] for s in ("bid", "ask") for a in ("base", "counter")]


def test_a_trade_of_a_stranger_with_himself_is_an_ordinary_one(model):
    """To those who watch, with both ids and nobody's fees."""
    public = watcher(model)
    model.place_as(9, "XBT", "USDT", quantity=-100, price=80_000_000)
    model.place_as(9, "XBT", "USDT", quantity=100, price=80_000_000)
    (seen,) = public.notices("OrdersMatched")
    assert (2, 1) == (seen["bid"], seen["ask"])
    assert not [name for name in seen if name.endswith(("_fee", "_tonce"))]


def test_coinfloor_tells_less():
    """Nothing of takers, and not when an order closed."""
    model = floor()
    client = logged_in(model)
    order = {"base": XBT, "counter": GBP, "quantity": 100_000, "price": 700_000}
    client.ask("PlaceOrder", **order, tonce=1)
    model.execute_as(2, XBT, GBP, quantity=-40_000)
    client.ask("CancelAllOrders")
    opened, matched, closed = client.notices("OrderOpened", "OrdersMatched", "OrderClosed")
    assert {
        "notice",
        "id",
        "tonce",
        "base",
        "counter",
        "quantity",
        "price",
        "time",
    } == opened.keys()
    assert {"taker", "taker_side", "ask", "ask_rem"} & matched.keys() == set()
    assert {"notice", "id", "tonce", "base", "counter", "quantity", "price"} == closed.keys()


def test_a_modified_order_is_told_with_its_new_values(model):
    """To watchers and, with the tonce, to its owner."""
    owner, public = logged_in(model), watcher(model)
    order_id = owner.place(100, 80_000_000, tonce=7)
    owner.ask("ModifyOrder", id=order_id, quantity_delta=-30, price=79_000_000)
    notice = {
        "notice": "OrderModified",
        "id": order_id,
        **PAIR,
        "quantity": 70,
        "price": 79_000_000,
        "time": EPOCH + 1,
    }
    assert [notice] == public.notices("OrderModified")
    assert [{**notice, "tonce": 7}] == owner.notices("OrderModified")


def test_a_closed_order_is_told_with_what_was_open(model):
    """Signed, 0 if it was filled, and with the time on CoinFLEX."""
    owner, public = logged_in(model), watcher(model)
    owner.place(-100, 80_000_000, tonce=7)
    owner.place(-50, 80_000_000)
    model.execute_as(9, "XBT", "USDT", quantity=100)
    owner.ask("CancelAllOrders")
    filled, cancelled = public.notices("OrderClosed")
    assert {
        "notice": "OrderClosed",
        "id": 1,
        **PAIR,
        "quantity": 0,
        "price": 80_000_000,
        "time_closed": EPOCH + 4,
    } == filled
    assert -50 == cancelled["quantity"]
    assert [7, None] == [notice["tonce"] for notice in owner.notices("OrderClosed")]


def test_a_ticker_tells_what_changed(model):
    """Only that; null where there is none any more."""
    public = watcher(model, "WatchTicker")
    order = model.place_as(9, "XBT", "USDT", quantity=-100, price=80_000_000)
    model.execute_as(8, "XBT", "USDT", quantity=40)
    model.execute_as(8, "XBT", "USDT", quantity=20)
    model.place_as(9, "XBT", "USDT", quantity=-100, price=81_000_000)
    model.cancel_as(9, order.id)
    model.cancel_all_as(9)
    told = [{k: v for k, v in notice.items() if k not in PAIR} for notice in public.notices()]
    price = 80_000_000
    assert [
        {"notice": "TickerChanged", "ask": price},
        {"notice": "TickerChanged", "last": price, "low": price, "high": price, "volume": 40},
        {"notice": "TickerChanged", "volume": 60},
        {"notice": "TickerChanged", "ask": 81_000_000},
        {"notice": "TickerChanged", "ask": None},
    ] == told


def test_the_order_of_everything_an_owner_hears(model):
    """Reservation, opening, trade, balances, closing, return of the reservation, volumes."""
    owner = logged_in(model)
    owner.ask("WatchTicker", **PAIR, watch=True)
    model.place_as(9, "XBT", "USDT", quantity=-40, price=80_000_000)
    owner.notices()
    owner.place(100, 81_000_000, persist="fill_or_kill")
    notices = owner.notices()
    assert [
        ("BalanceChanged", USDT),
        ("OrderOpened", None),
        ("OrdersMatched", None),
        ("BalanceChanged", XBT),
        ("BalanceChanged", USDT),
        ("OrderClosed", None),
        ("BalanceChanged", USDT),
        ("TradeVolumeChanged", XBT),
        ("TradeVolumeChanged", USDT),
        ("TickerChanged", None),
    ] == [(notice["notice"], notice.get("asset")) for notice in notices]
    assert [40, 320_000] == [n["volume"] for n in notices if n["notice"] == "TradeVolumeChanged"]
    balances = [n["balance"] for n in notices if n["notice"] == "BalanceChanged"]
    (usdt,) = [b for b in owner.ask("GetBalances")["balances"] if b["asset"] == USDT]
    assert usdt["balance"] == balances[-1] == usdt["total_balance"]


def test_a_deposit_is_told(model):
    """Money that comes from outside changes the balance as well."""
    owner = logged_in(model)
    before = model.account(1)[ETH].available
    model.engine.deposit(model.engine.ledger.open(1), ETH, 5)
    notice = {"notice": "BalanceChanged", "asset": ETH, "balance": before + 5}
    assert [notice] == owner.notices()


class Folded:
    """A book and balances kept from a snapshot and notices alone, by the documents' rules."""

    def __init__(self, client: Client, pair: dict[str, int]) -> None:
        self.client = client
        reply = client.ask("WatchOrders", **pair, watch=True)
        self.orders = {
            order["id"]: [order["price"], order["quantity"]] for order in reply["orders"]
        }
        self.ticker = client.ask("WatchTicker", **pair, watch=True)
        del self.ticker["error_code"]
        self.pair = pair

    def catch_up(self) -> None:
        for notice in self.client.notices():
            kind = notice.pop("notice")
            pair = {"base": notice.pop("base", None), "counter": notice.pop("counter", None)}
            if pair != self.pair:
                continue
            if kind in ("OrderOpened", "OrderModified"):
                self.orders[notice["id"]] = [notice["price"], notice["quantity"]]
            elif kind == "OrdersMatched":
                if "bid" in notice and notice["bid"] in self.orders:
                    self.orders[notice["bid"]][1] = notice["bid_rem"]
                if "ask" in notice and notice["ask"] in self.orders:
                    self.orders[notice["ask"]][1] = -notice["ask_rem"]
            elif kind == "OrderClosed":
                self.orders.pop(notice["id"])
            elif kind == "TickerChanged":
                assert notice
                assert all(self.ticker[name] != value for name, value in notice.items())
                self.ticker.update(notice)


@pytest.mark.parametrize("make", [flex, floor])
def test_notices_keep_a_copy_of_the_book_true(make):
    """A client that follows the documents has the venue's own book after each step."""
    model = make(seed=11, empty=False)
    pair = {"base": XBT, "counter": USDT if model.name == "coinflex" else GBP}
    for _ in range(50):
        model.trade()
    folded = Folded(Client(model), pair)
    for _ in range(400):
        model.clock.advance(model.trade())
        folded.catch_up()
        orders = {order.id: [order.price, order.signed] for order in model.book(**pair)}
        assert orders == folded.orders
        assert model.ticker(**pair) == folded.ticker
