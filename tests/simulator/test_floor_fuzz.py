"""Whatever a client sends to the simulated CoinFLEX or Coinfloor, it gets one reply."""

from __future__ import annotations

import json

from hypothesis import given, settings, strategies as st

from tests.simulator.floor_client import ETH, GBP, USDT, XBT, Client, flex, floor, logged_in
from trioflex.simulator.floor_errors import Code

METHODS = (
    "Authenticate",
    "GetBalances",
    "GetOrders",
    "EstimateMarketOrder",
    "PlaceOrder",
    "ModifyOrder",
    "CancelOrder",
    "CancelAllOrders",
    "GetTradeVolume",
    "WatchOrders",
    "WatchTicker",
)

numbers = st.one_of(
    st.integers(-3, 12),
    st.integers(-(2**70), 2**70),
    st.sampled_from((10_000, 80_000_000, -80_000_000, 2**63 - 1, -(2**63))),
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
mostly_numbers = numbers | numbers | anything
requests = st.fixed_dictionaries(
    {"method": st.sampled_from(METHODS)},
    optional={
        "tag": numbers | anything,
        "base": st.sampled_from((XBT, XBT, ETH)) | anything,
        "counter": st.sampled_from((USDT, USDT, GBP)) | anything,
        "user_id": mostly_numbers,
        "cookie": anything,
        "nonce": anything,
        "signature": anything,
        "quantity": mostly_numbers,
        "price": mostly_numbers,
        "total": mostly_numbers,
        "tonce": mostly_numbers,
        "persist": st.booleans() | st.just("fill_or_kill") | anything,
        "post_only": st.booleans() | anything,
        "id": mostly_numbers,
        "quantity_delta": mostly_numbers,
        "asset": st.just(XBT) | anything,
        "watch": st.booleans() | anything,
    },
)


def check(reply: dict, request: dict) -> None:
    assert reply["error_code"] in set(Code)
    assert (reply["error_code"] == 0) == ("error_msg" not in reply)
    if "tag" in reply:
        assert request["tag"] == reply["tag"] != 0


@settings(max_examples=50)
@given(st.sampled_from((flex, floor)), st.lists(requests, max_size=15), st.booleans())
def test_every_request_has_one_reply(make, sequence, login):  # T1
    """Of the protocol's shape, whatever the fields are; and the books stay in order."""
    model = make()
    client = logged_in(model) if login else Client(model)
    model.place_as(2, XBT, USDT if make is flex else GBP, quantity=-50, price=80_000_000)
    for request in sequence:
        check(client.raw(json.dumps(request)), request)
    for notice in client.notices():
        assert notice["notice"]
    assert len(sequence) == len(model.record) - login
    ledger = model.engine.ledger
    assert [] == [asset for asset in ledger.deposited if ledger.imbalance(asset)]


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_every_text_has_one_reply(text):  # T1
    """A frame that is no request at all is answered with code 8."""
    client = Client(flex())
    assert 8 == client.raw(text)["error_code"]
    assert isinstance(client.peer.method_of(text), str)
