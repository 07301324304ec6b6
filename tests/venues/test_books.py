"""A book that follows a session: the rules of the venues' guide, and every race it names."""

from __future__ import annotations

import json
from decimal import Decimal as D

import pytest
from hypothesis import given, settings, strategies as st

from trioflex._sansio.registry import Ask, Registry
from trioflex.book import OrderBook
from trioflex.protocol import Ignored, Push, Refusal, RefusalKind, Reply, Transmit
from trioflex.venues import coinflex, coinfloor

from .floor import BOOK, BOOK_REPLY, PAIR, Talk, anonymous, logged_in

OK = {"error_code": 0}


class Receiver:
    """A receiver in memory that keeps a book, as users do."""

    def __init__(self):
        self.book = OrderBook()
        self.seen = []
        self.error = None

    def start(self, items):
        self.take(items)

    def comes_from(self, connection):
        pass

    def put(self, items, state):
        self.take(items)

    def gap(self, gap):
        self.take([gap])

    def resume(self, resumed, items):
        self.take([resumed, *items])

    def fail(self, error):
        self.error = error()

    def end(self, broken):
        pass

    def take(self, items):
        for item in items:
            self.seen.append(item)
            self.book.apply(item)


class Market:
    """A session, the core's registry, and one receiver of one book."""

    def __init__(self, talk=None, channel=BOOK):
        self.talk = logged_in() if talk is None else talk
        self.registry = Registry()
        self.registry.ready(1)
        self.owners = {}
        self.channel = channel
        self.receiver = None
        self.sent = []

    @property
    def book(self):
        return self.receiver.book

    def join(self):
        self.receiver = Receiver()
        return self.carry_out(self.registry.join(self.channel, self.receiver, 0.0))

    def leave(self):
        return self.carry_out(self.registry.leave(self.channel, self.receiver))

    def carry_out(self, effects):
        keys = []
        for effect in effects:
            assert isinstance(effect, Ask)
            request = self.talk.session.watch(effect.entry.channel, effect.on)
            frame, key = self.talk.asks(request)
            self.sent.append(frame)
            self.owners[key] = effect
            if effect.on:
                self.registry.sent(effect.entry, effect.generation, 0.0)
            keys.append(key)
        return keys

    def hears(self, message):
        """Take a message; return its events, or the keys of what was sent because of it."""
        events, sent = self.talk.hears(message), []
        for event in events:
            match event:
                case Push(channel, value):
                    self.registry.push(channel, value, 0.0)
                case Reply(key, value):
                    owner = self.owners.pop(key)
                    if owner.on:
                        self.registry.confirmed(owner.entry, owner.generation, value, 0.0)
                    else:
                        sent += self.carry_out(self.registry.stopped(owner))
                case Refusal(key, code, message_):
                    owner = self.owners.pop(key)
                    self.registry.refused(owner.entry, owner.generation, code, message_)
        self.registry.flush()
        return sent or events

    def live(self, **reply):
        (key,) = self.join()
        self.hears({"tag": key, **OK, **(reply or BOOK_REPLY)})
        return self


def opened(id_, quantity, price, time=0, **more):
    return {"notice": "OrderOpened", "id": id_, **PAIR, "quantity": quantity, "price": price,
            "time": time, **more}  # fmt: skip


def matched(time=0, **fields):
    return {"notice": "OrdersMatched", **PAIR, "quantity": 1, "price": 1, "total": 1, "time": time,
            **fields}  # fmt: skip


def closed(id_, quantity=0, price=1, **more):
    return {"notice": "OrderClosed", "id": id_, **PAIR, "quantity": quantity, "price": price,
            **more}  # fmt: skip


def modified(id_, quantity, price, time=0):
    return {**opened(id_, quantity, price, time), "notice": "OrderModified"}


def levels(book):
    return [[(int(level.price * 10000), int(level.quantity * 10000)) for level in side]
            for side in (book.bids, book.asks)]  # fmt: skip


def ids(side, price):
    return [order.id for order in side.orders_at(D(price) / 10000)]


SNAPSHOT_LEVELS = [[(86480000, 20000)], [(86530000, 7500)]]


# -- the rules -----------------------------------------------------------------------------------


def test_a_snapshot_is_the_book():
    """In decimals; bids positive, asks negative on the wire."""
    market = Market().live()
    assert SNAPSHOT_LEVELS == levels(market.book)
    (snapshot,) = market.receiver.seen
    assert isinstance(snapshot, coinflex.BookSnapshot)
    assert ("XBT", "USDT") == (snapshot.base, snapshot.counter)
    assert levels(market.book) == levels(snapshot.book())


def test_an_empty_book_is_a_book():
    """Nothing on either side."""
    assert [[], []] == levels(Market().live(orders=[]).book)


RULES = [
    ([opened(1, 5, 100)], [(86480000, 20000), (100, 5)], None),
    ([opened(1, 5, 100), opened(1, 6, 200)], [(86480000, 20000), (200, 6)], None),
    ([opened(729990, -9, 86540000)], [], [(86530000, 7500), (86540000, 9)]),
    ([modified(729990, 100, 86480000)], [(86480000, 100)], None),
    ([modified(729990, 100, 86470000)], [(86470000, 100)], None),
    ([modified(4711, 100, 86470000)], [(86480000, 20000), (86470000, 100)], None),
    ([matched(bid=729990, bid_rem=1)], [(86480000, 1)], None),
    ([matched(ask=730004, ask_rem=1)], None, [(86530000, 1)]),
    ([matched(bid=729990, bid_rem=1, ask=730004, ask_rem=2)], [(86480000, 1)], [(86530000, 2)]),
    ([matched(bid=4711, bid_rem=1, ask=730004, ask_rem=0)], None, []),
    ([matched(bid=729990, bid_rem=0), closed(729990)], [], None),
    ([matched(bid=729990)], None, None),
    ([closed(729990, 20000)], [], None),
    ([closed(4711, 1)], None, None),
    ([opened(1, 5, 100), closed(1, 5), closed(1, 5)], None, None),
]  # fmt: skip


@pytest.mark.parametrize(("messages", "bids", "asks"), RULES)
def test_the_rules_of_the_guide(messages, bids, asks):
    """Insert, overwrite, change, set what remains, delete; unknown numbers are no error."""
    market = Market().live()
    for message in messages:
        market.hears(message)
    bids = SNAPSHOT_LEVELS[0] if bids is None else bids
    asks = SNAPSHOT_LEVELS[1] if asks is None else asks
    assert [bids, asks] == levels(market.book)


def test_what_remains_is_never_computed():
    """The venue may cut it: 12,345 less 1,234 is 11,110 where a fee came out of it."""
    market = Market().live(orders=[{"id": 1, "quantity": 12345, "price": 1234500, "time": 1}])
    market.hears({**matched(bid=1, bid_rem=11110), "quantity": 1234, "total": 152338})
    assert [[(1234500, 11110)], []] == levels(market.book)


def test_time_priority_is_time_then_number_then_arrival():
    """Whatever the order of the snapshot's array."""
    rows = [(7, 20), (9, 10), (8, 20), (3, 30)]
    orders = [{"id": n, "quantity": -1, "price": 5, "time": t} for n, t in rows]
    market = Market().live(orders=orders)
    market.hears(opened(1, -1, 5, time=15))
    assert [9, 7, 8, 3, 1] == ids(market.book.asks, 5)
    market.hears(modified(9, -2, 5, time=40))  # larger: to the back
    market.hears(modified(3, -1, 5, time=50))  # the same: it stays
    assert [7, 8, 3, 1, 9] == ids(market.book.asks, 5)


def test_a_filled_order_is_hidden_and_then_gone():
    """Between its last trade and its closing nothing of it shows; no other level does."""
    market = Market().live()
    market.hears(matched(bid=729990, bid_rem=0))
    assert market.book.best_bid is None
    market.hears(opened(5, 1, 86480000))
    assert 1 == market.book.best_bid.orders
    market.hears(closed(729990))
    assert 1 == market.book.best_bid.orders


def test_other_books_do_not_matter():
    """A notice about another market is normal."""
    market = Market().live()
    events = market.hears({**opened(1, 5, 100), "base": 63520})
    assert isinstance(events[0], Ignored)
    assert SNAPSHOT_LEVELS == levels(market.book)


# -- the horizon ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "bid", "ask"), [(999, None, None), (1000, 9001, 10000)])
def test_a_full_side_has_a_horizon(count, bid, ask):
    """A thousand orders are all that the venue shows; behind them there may be more."""
    orders = [
        {"id": 2 * n + (sign > 0), "quantity": sign, "price": price, "time": n}
        for n in range(count)
        for sign, price in ((1, 10000 - n), (-1, 10000))
    ]
    book = Market().live(orders=orders).book

    def scaled(price):
        return None if price is None else int(price * 10000)

    assert (bid, ask) == (scaled(book.horizon.bid), scaled(book.horizon.ask))
    assert (count, 1) == (book.bids.complete, book.asks.complete)
    book.apply(coinflex.ASSETS.bind(coinflex.OrderOpened)(
        id=9999, base_id=63488, counter_id=65283, scaled_quantity=1, scaled_price=5, time=0
    ))  # fmt: skip
    assert count + 1 == len(book.bids)
    assert count + (bid is None) == book.bids.complete


# -- races ---------------------------------------------------------------------------------------


def test_notices_before_the_snapshot_come_after_it():
    """None is lost: the subscription stands before its reply has come."""
    market = Market()
    (key,) = market.join()
    market.hears(opened(1, 5, 86490000))
    market.hears(matched(bid=729990, bid_rem=7))
    assert not market.book.valid
    market.hears({"tag": key, **OK, **BOOK_REPLY})  # M10, M12

    assert [[(86490000, 5), (86480000, 7)], [(86530000, 7500)]] == levels(market.book)
    assert isinstance(market.receiver.seen[0], coinflex.BookSnapshot)


def test_notices_that_the_snapshot_contains_do_no_harm():
    """Own orders are announced without a subscription, so the early list may be old news."""
    early = [
        opened(729990, 30000, 86480000, tonce=1),
        matched(bid=729990, bid_rem=25000, bid_tonce=1),
        matched(bid=729990, bid_rem=20000, bid_tonce=1),
        opened(5, 1, 86480000, tonce=2),
        closed(5, 1, tonce=2),
    ]
    market = Market()
    (key,) = market.join()
    for message in early:
        market.hears(message)
    market.hears({"tag": key, **OK, **BOOK_REPLY})  # M12
    assert SNAPSHOT_LEVELS == levels(market.book)


def test_the_recorded_race():
    """Three notices, then the reply, which contains the first of them: an own order."""
    market = Market()
    (key,) = market.join()
    market.hears(opened(10, 500, 86470000, time=1, tonce=7))
    market.hears(opened(11, -600, 86520000, time=2))
    market.hears(matched(ask=11, ask_rem=100, time=3))
    own = {"id": 10, "quantity": 500, "price": 86470000, "time": 1}
    market.hears({"tag": key, **OK, "orders": [*BOOK_REPLY["orders"], own]})

    assert [
        [(86480000, 20000), (86470000, 500)],
        [(86520000, 100), (86530000, 7500)],
    ] == levels(market.book)
    assert [10] == ids(market.book.bids, 86470000)


def test_the_book_crosses_for_a_moment():
    """An aggressive order opens before it trades; that is no reason to start over."""
    market = Market().live()
    market.hears(opened(1, 9000, 86530000))
    assert market.book.crossed
    market.hears(matched(bid=1, bid_rem=1500, ask=730004, ask_rem=0))
    assert not market.book.crossed
    market.hears(closed(730004))
    assert [[(86530000, 1500), (86480000, 20000)], []] == levels(market.book)
    assert 1 == len(market.sent)


def test_after_leaving_nothing_is_book_data():
    """From the moment the request that stops it leaves; own orders keep coming to you."""
    market = Market().live()
    (key,) = market.leave()
    assert {"tag": key, "method": "WatchOrders", **PAIR, "watch": False} == market.sent[-1]

    (event,) = market.hears(opened(1, 5, 100))
    assert isinstance(event, Ignored)
    (event,) = market.hears(opened(2, 5, 100, tonce=3))
    assert coinflex.OwnOrders() == event.channel
    assert [Reply(key, None)] == market.talk.hears({"tag": key, **OK})
    assert 1 == len(market.receiver.seen)


def test_leaving_and_coming_back_at_once():
    """What is still on its way from the old subscription must not undo the new snapshot.

    Of what happens between stop and start nobody tells: an order that was opened before and closed
    in that time would come back from the dead.
    """
    market = Market().live()
    (stop,) = market.leave()
    assert [] == market.join()
    (event,) = market.hears(opened(4711, 1, 86490000))  # closed by the time of the snapshot
    assert isinstance(event, Ignored)
    (start,) = market.hears({"tag": stop, **OK})
    market.hears(opened(5, 3, 86490000))
    newer = {"id": 729990, "quantity": 1, "price": 86480000, "time": 1}
    market.hears({"tag": start, **OK, "orders": [newer]})
    assert [[(86490000, 3), (86480000, 1)], []] == levels(market.book)


def test_replies_to_stop_and_start_may_cross():
    """Only their tags count."""
    talk = logged_in()
    talk.starts(BOOK, **BOOK_REPLY)
    stop, start = talk.watches(BOOK, on=False), talk.watches(BOOK)
    (event,) = talk.hears({"tag": start, **OK, **BOOK_REPLY})
    assert start == event.key
    assert [Reply(stop, None)] == talk.hears({"tag": stop, **OK})
    (event,) = talk.hears(opened(5, 3, 86490000))
    assert BOOK == event.channel


def test_an_invalid_pair_ends_the_subscription():
    """And leaves nothing behind."""
    market = Market()
    (key,) = market.join()
    text = "You specified an invalid asset pair."
    (refusal,) = market.talk.hears({"tag": key, "error_code": 1, "error_msg": text})
    assert Refusal(key, "1", text, RefusalKind.UNKNOWN_MARKET) == refusal
    (event,) = market.talk.hears(opened(1, 5, 100))
    assert isinstance(event, Ignored)


def test_stopping_what_was_not_watched_is_no_news():
    """It is refused, and says so."""
    market = Market().live()
    (key,) = market.leave()
    text = "You are not watching the order book for the specified asset pair."
    (refusal,) = market.talk.hears({"tag": key, "error_code": 1, "error_msg": text})
    assert (RefusalKind.NOT_FOUND, text) == (refusal.kind, refusal.message)


# -- already watching ----------------------------------------------------------------------------

ALREADY = {
    "error_code": 2,
    "error_msg": "You are already watching the order book for the specified asset pair.",
}


def frames_of(events):
    assert all(isinstance(event, Transmit) for event in events), events
    return [json.loads(event.frame) for event in events]


@pytest.mark.parametrize("answer", [OK, {"error_code": 1, "error_msg": "Not watching."}])
def test_if_the_venue_says_already_watching_it_is_stopped_and_started(answer):
    """Our notion of our subscriptions was wrong; the caller's request stays under way."""
    market = Market()
    (key,) = market.join()
    (stop,) = frames_of(market.talk.hears({"tag": key, **ALREADY}))
    assert {"method": "WatchOrders", **PAIR, "tag": stop["tag"], "watch": False} == stop
    assert stop["tag"] >= 2**31

    (event,) = market.hears(opened(4, 3, 86490000))  # of the old subscription
    assert isinstance(event, Ignored)
    (start,) = frames_of(market.talk.hears({"tag": stop["tag"], **answer}))
    assert {"method": "WatchOrders", **PAIR, "tag": key, "watch": True} == start
    market.hears(opened(5, 3, 86490000))
    market.hears({"tag": key, **OK, **BOOK_REPLY})
    assert [(86490000, 3), (86480000, 20000)] == levels(market.book)[0]


def test_who_leaves_meanwhile_is_not_subscribed_again():
    """The stop of the caller's own is the last word."""
    talk = logged_in()
    key = talk.watches(BOOK)
    other = talk.watches(coinflex.OrderBook("ETH", "USDT"))
    (stop,) = frames_of(talk.hears({"tag": key, **ALREADY}))
    (other_stop,) = frames_of(talk.hears({"tag": other, **ALREADY}))
    talk.watches(BOOK, on=False)
    assert [] == talk.hears({"tag": stop["tag"], **OK})
    (again,) = frames_of(talk.hears({"tag": other_stop["tag"], **OK}))
    assert 63520 == again["base"]


def test_it_is_started_over_once():
    """A venue that goes on saying so refuses the subscription."""
    market = Market()
    (key,) = market.join()
    (stop,) = frames_of(market.talk.hears({"tag": key, **ALREADY}))
    market.talk.hears({"tag": stop["tag"], **OK})
    (refusal,) = market.talk.hears({"tag": key, **ALREADY})
    assert (key, "2", RefusalKind.OTHER) == (refusal.key, refusal.code, refusal.kind)
    (event,) = market.talk.hears(opened(1, 5, 100))
    assert isinstance(event, Ignored)
    key = market.talk.watches(BOOK)
    assert 1 == len(frames_of(market.talk.hears({"tag": key, **ALREADY})))


# -- replay --------------------------------------------------------------------------------------

NUMBERS = st.integers(1, 6)


@st.composite
def histories(draw):
    """Events of a small venue, each with the book's state after it."""
    orders, events, states = {}, [], [{}]
    for time in range(1, draw(st.integers(2, 14))):
        id_ = draw(NUMBERS)
        known = orders.get(id_)
        kind = draw(st.sampled_from(["open", "modify", "match", "close"]))
        if known is None:
            # An order's number is used once.
            if any(event["id"] == id_ for event in events if "id" in event):
                continue
            quantity = draw(st.sampled_from([-3, -2, 2, 3]))
            price = 10 + (-quantity) * 2 + draw(st.integers(0, 1))
            orders[id_] = (quantity, price, time)
            events.append(opened(id_, quantity, price, time))
        elif kind == "match" and abs(known[0]) > 1:
            left = abs(known[0]) - 1
            orders[id_] = (left if known[0] > 0 else -left, *known[1:])
            side = "bid" if known[0] > 0 else "ask"
            events.append(matched(time, **{side: id_, f"{side}_rem": left}))
        elif kind == "modify":
            grown = known[0] + (1 if known[0] > 0 else -1)
            orders[id_] = (grown, known[1], time)
            events.append(modified(id_, grown, known[1], time))
        else:
            del orders[id_]
            events.append(closed(id_, known[0], known[1]))
        states.append(dict(orders))
    return events, states


def expected(orders):
    sides = []
    for sign in (1, -1):
        prices = {}
        for quantity, price, _ in orders.values():
            if quantity * sign > 0:
                prices[price] = prices.get(price, 0) + abs(quantity)
        sides.append(sorted(prices.items(), reverse=sign > 0))
    return sides


@settings(max_examples=150)
@given(history=histories(), data=st.data())
def test_wherever_the_snapshot_falls_the_book_is_right(history, data):
    """Early notices may lie before or behind the snapshot; in the end the book is the venue's."""
    events, states = history
    taken = data.draw(st.integers(0, len(events)), label="snapshot after")
    early = data.draw(st.integers(0, taken), label="first early notice")
    reply = data.draw(st.integers(taken, len(events)), label="reply after")
    market = Market(anonymous())
    (key,) = market.join()
    for event in events[early:reply]:
        market.hears(event)
    rows = [
        {"id": id_, "quantity": quantity, "price": price, "time": time}
        for id_, (quantity, price, time) in states[taken].items()
    ]
    market.hears({"tag": key, **OK, "orders": data.draw(st.permutations(rows))})  # M12
    for event in events[reply:]:
        market.hears(event)

    assert expected(states[-1]) == levels(market.book)


def test_both_venues_speak_it():
    """The same rules with other decimals."""
    channel = coinfloor.OrderBook("XBT", "GBP")
    market = Market(Talk(venue=coinfloor.VENUE), channel)
    market.talk.hears({"notice": "Welcome", "nonce": "azRzAi5rm1ry/l0drnz1vw=="})
    market.live(orders=[{"id": 1, "quantity": 100000000, "price": 54321, "time": 1}])
    assert (D(1), D("543.21")) == (market.book.best_bid.quantity, market.book.best_bid.price)
