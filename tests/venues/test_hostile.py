"""Whatever a venue sends, a session answers with events or with its one kind of error."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings, strategies as st

from trioflex._vocabulary.errors import RemoteProtocolError
from trioflex.protocol import Event, Ignored
from trioflex.venues import coinflex, coinfloor

from .floor import (
    BOOK,
    BOOK_REPLY,
    MINE,
    OPENED,
    PAIR,
    TICKER,
    TICKER_REPLY,
    USDT,
    WELCOME,
    XBT,
    Talk,
    logged_in,
)

EVENTS = Event.__args__

MATCHED = {
    "notice": "OrdersMatched", "bid": 1, "bid_tonce": 2, "ask": 3, **PAIR, "quantity": 1,
    "price": 1, "total": 1, "bid_rem": 0, "ask_rem": 0, "time": 1, "bid_base_fee": 0,
    "bid_counter_fee": 1, "taker_side": "ask", "taker": True,
}  # fmt: skip
CLOSED = {**OPENED, "notice": "OrderClosed", "time_closed": 1}
ORDER = {"id": 1, "tonce": 2, **PAIR, "quantity": 1, "price": 1, "time": 1}
MESSAGES = [
    WELCOME,
    OPENED,
    MINE,
    {**MINE, "notice": "OrderModified"},
    MATCHED,
    CLOSED,
    {"notice": "BalanceChanged", "asset": XBT, "balance": 1},
    {"notice": "TradeVolumeChanged", "asset": USDT, "volume": 1},
    {"notice": "TickerChanged", **PAIR, **TICKER_REPLY},
    {"tag": 1, "error_code": 0, "orders": [ORDER]},
    {"tag": 2, "error_code": 0, "balances": [{"asset": XBT, "balance": 1}]},
    {"tag": 3, "error_code": 0, "volume": 1},
    {"tag": 4, "error_code": 0, "quantity": 1, "total": 1},
    {"tag": 5, "error_code": 0, "id": 1, "time": 1},
    {"tag": 6, "error_code": 0, "remaining": 1},
    {"tag": 7, "error_code": 0, **ORDER},
    {"tag": 8, "error_code": 0, **ORDER},
    {"tag": 9, "error_code": 0, "orders": [ORDER]},
    {"tag": 10, "error_code": 0, **BOOK_REPLY},
    {"tag": 11, "error_code": 0, **TICKER_REPLY},
    {"tag": 12, "error_code": 6, "error_msg": "No."},
    {"tag": 2**31 + 1, "error_code": 0},
]
REQUESTS = [
    coinflex.GetOrders(),
    coinflex.GetBalances(),
    coinflex.GetTradeVolume("XBT"),
    coinflex.EstimateMarketOrder("XBT", "USDT", total=1),
    coinflex.PlaceOrder("XBT", "USDT", 1, 1),
    coinflex.PlaceOrder("XBT", "USDT", 1),
    coinflex.ModifyOrder(id=1, price=1),
    coinflex.CancelOrder(1),
    coinflex.CancelAllOrders(),
]


def busy():
    """A session with a request of each kind under way, a book and a ticker."""
    talk = logged_in()
    for request in REQUESTS:
        talk.asks(request)
    talk.watches(BOOK)
    talk.watches(TICKER)
    talk.asks(coinflex.GetOrders())
    talk.starts(coinflex.OrderBook("ETH", "USDT"), orders=[])
    talk.starts(coinflex.Ticker("ETH", "USDT"), **TICKER_REPLY)
    return talk


def hears(talk, frame):
    """Take a frame; return the events, or the one error there may be."""
    try:
        events = talk.session.receive(frame)
    except RemoteProtocolError as exc:
        error = exc
    else:
        error = None
    if error is not None:
        assert "CoinFLEX" in str(error)
        assert len(str(error)) < 1_000
        return error
    assert isinstance(events, list)
    assert all(isinstance(event, EVENTS) for event in events)
    return events


def test_all_messages_are_understood():
    """None of the examples below is wrong from the start."""
    for message in MESSAGES[1:-1]:
        events = busy().hears(message)
        assert not any(isinstance(event, Ignored) and event.message == message for event in events)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**62, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["notice", "Welcome", "OrderOpened", "azRzAi5rm1ry/l0drnz1vw=="]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["notice", "tag", "error_code", "orders", "id"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@st.composite
def mutations(draw):
    """One of the messages with a few fields replaced, added or left out."""
    message = dict(draw(st.sampled_from(MESSAGES)))
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from([*message, "notice", "tag", "error_code", "error_msg", "new"]))
        if draw(st.booleans()):
            message[name] = draw(JSON)
        else:
            message.pop(name, None)
    return message


@settings(max_examples=300)
@given(st.lists(mutations(), min_size=1, max_size=4))
def test_messages_with_anything_in_any_field(messages):
    """Events or the one error; after an error the session is not used again."""
    talk = busy()
    for message in messages:
        if isinstance(hears(talk, json.dumps(message).encode()), RemoteProtocolError):  # M2
            break


@settings(max_examples=200)
@given(st.sampled_from(MESSAGES), st.data())
def test_frames_that_are_damaged(message, data):
    """Cut off, with bytes replaced, inserted and repeated."""
    frame = bytearray(json.dumps(message).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(frame)))
        match data.draw(st.integers(0, 3)):
            case 0:
                del frame[at:]
            case 1:
                frame[at : at + 1] = data.draw(st.binary(max_size=2))
            case 2:
                frame[at:at] = data.draw(st.sampled_from([b'"', b"\\", b"{", b"\xff", b"\\ud800"]))
            case 3:
                frame[at:at] = frame[:at]
    hears(busy(), bytes(frame))  # M1, M2


@settings(max_examples=200)
@given(st.binary(max_size=40))
def test_any_bytes(frame):
    """Whatever."""
    hears(busy(), frame)  # M1


@settings(max_examples=100)
@given(JSON)
def test_any_json(value):
    """Of any shape."""
    hears(busy(), json.dumps(value).encode())  # M2


@pytest.mark.parametrize(
    "frame",
    [
        b'{"notice":"OrderOpened","notice":"Welcome","nonce":"azRzAi5rm1ry/l0drnz1vw=="}',
        b'{"tag":5,"tag":5,"error_code":0,"error_code":0,"id":1,"id":2,"time":3}',
    ],
)
def test_repeated_keys_do_no_harm(frame):
    """One of them counts."""
    hears(busy(), frame)  # M2


@pytest.mark.parametrize("depth", [100, 1_000, 100_000])
@pytest.mark.parametrize(
    "start", [b'{"notice":"News","x":', b'{"notice":"OrderOpened","id":', b'{"tag":5,"x":', b""]
)
def test_deep_nesting_breaks_the_protocol_at_most(start, depth):
    """No recursion error escapes."""
    frame = start + b"[" * depth + b"]" * depth + b"}" * bool(start)
    hears(busy(), frame)  # M2


@pytest.mark.parametrize("digits", [19, 20, 100, 4_000, 100_000])
def test_huge_numbers_break_the_protocol_at_most(digits):
    """They are taken as they are, or refused; never rounded."""
    frame = b'{"notice":"TradeVolumeChanged","asset":63488,"volume":' + b"9" * digits + b"}"
    outcome = hears(busy(), frame)  # M2, M13
    if not isinstance(outcome, RemoteProtocolError):
        assert 10**digits - 1 == outcome[0].value.scaled_volume
    else:
        assert digits > 100


SIZE = 1024 * 1024
LARGE = [
    b'{"notice":"News","x":[' + b"1," * (SIZE // 2) + b"1]}",
    b'{"notice":"News","x":[' + b"{}," * (SIZE // 3) + b"1]}",
    b'{"tag":99,"error_code":0,"x":[' + b"1.5," * (SIZE // 4) + b"1]}",
    b'{"x":0.' + b"9" * SIZE + b"}",
    b'{"notice":"' + b"\\u0041" * (SIZE // 6) + b'"}',
    b'{"notice":"OrderOpened","id":' + b"9" * SIZE + b"}",
]


@pytest.mark.parametrize("frame", LARGE, ids=[str(f[:20]) for f in LARGE])
def test_large_messages_that_mean_nothing_cost_little(frame):
    """A few milliseconds, not as long as making objects of them would take."""
    talk = busy()
    best = 1.0
    for _ in range(3):
        start = time.process_time()
        hears(talk, frame)
        best = min(best, time.process_time() - start)
    assert 0.05 > best  # M2


def test_the_largest_snapshot_is_taken():
    """Two thousand orders, some 200 kB."""
    orders = [
        {"id": 700_000 + n, "quantity": (-1) ** n * 10**9, "price": 10**8 + n, "time": 10**15 + n}
        for n in range(2_000)
    ]
    snapshot = logged_in().starts(BOOK, orders=orders)
    book = snapshot.book()
    assert (1000, 1000) == (len(book.bids), len(book.asks))
    assert (1, 1000) == (len([1 for _ in book.bids][:1]), book.asks.complete)


def test_garbage_before_the_welcome():
    """Nothing is signed, nothing is ready."""
    for frame in (b"{}", b'{"notice":"News"}', b'{"tag":1,"error_code":0}'):
        (event,) = Talk().session.receive(frame)
        assert isinstance(event, Ignored)


def test_each_venue_is_named():
    """In its own errors."""
    with pytest.raises(RemoteProtocolError, match="Coinfloor sent"):
        Talk(venue=coinfloor.VENUE).session.receive(b"?")
