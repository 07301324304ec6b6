"""TheOne's signatures: every vector, byte for byte, and the near misses."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from trioflex import LocalProtocolError
from trioflex.venues import theone
from trioflex.venues._theone.signing import canonical, hmac_key, sign

from .theone_talk import AUTH, KEY, NOW, Clock, Talk, env_of

WEBSOCKET = {vector["name"]: vector for vector in AUTH["websocket"]}


def request_of(vector):
    """The request that a vector's data is of."""
    data = vector["data"] or {}
    main = [data.get(name) for name in ("amountIn", "assetIn", "assetOut")]
    rest = {name: data[name] for name in ("filter", "network", "account") if name in data}
    match vector["op"]:
        case "balances":
            return theone.GetBalances()
        case "estimate":
            return theone.Estimate(*main, **rest)
        case "order_status":
            return theone.GetOrderStatus(data["id"])
    if "clientOrderId" in data:
        rest["client_order_id"] = data["clientOrderId"]
    return theone.Swap(*main, slippage_bps=data.get("slippage_bps"), **rest)


@pytest.mark.parametrize("name", WEBSOCKET)
def test_keys_canonical_texts_and_signatures(name):
    """The derived key, the five lines and the signature of each vector."""
    vector = WEBSOCKET[name]
    key = hmac_key(vector["secret"])
    text = canonical(vector["op"], vector["ts"], vector["nonce"], vector["data_json_signed"])
    assert vector["hmac_key_ascii"] == key.decode("ascii")
    assert vector["canonical"] == text
    assert vector["canonical_hex"] == text.encode().hex()
    assert vector["sig"] == sign(key, text)


@pytest.mark.parametrize("name", [n for n, v in WEBSOCKET.items() if v["nonce"] != "n-3"])
def test_whole_frames(name):
    """A session that draws the vector's randomness sends the vector's frame, to the byte."""
    vector = WEBSOCKET[name]
    ns, _, random = vector["nonce"].partition("_")
    env = env_of(Clock(vector["ts"]), lambda count: int(random).to_bytes(count, "big"))
    credentials = theone.Credentials(vector["api_key"], vector["secret"])
    venue = theone.venue(client_order_ids="clientOrderId" in vector["frame_text"])
    session = venue.session(credentials, env)
    # The vectors' nonces count nanoseconds; a clock in milliseconds reaches the last by counting.
    session._last_nonce = int(ns) - 1
    if vector["op"] == "auth":
        [transmit] = session.open()
        assert vector["frame_text"] == transmit.frame
    else:
        assert vector["frame_text"] == session.send(request_of(vector), 1)


@pytest.mark.parametrize("miss", AUTH["must_not_match"], ids=lambda miss: miss["name"])
def test_near_misses_do_not_match(miss):
    """Each is what a plausible mistake gives; none is what we give."""
    vector = WEBSOCKET[miss["of"]]
    right = sign(hmac_key(vector["secret"]), vector["canonical"])
    assert vector["sig"] == right
    assert miss["sig"] != right


def test_the_documented_form_is_a_switch():
    """``derive_key=False`` signs with the secret itself: the first of the near misses."""
    [miss] = [each for each in AUTH["must_not_match"] if each["name"] == "raw_secret_as_hmac_key"]
    vector = WEBSOCKET[miss["of"]]
    assert miss["sig"] == sign(hmac_key(vector["secret"], derive=False), vector["canonical"])
    raw = json.loads(Talk(theone.venue(derive_key=False)).auth.frame)
    text = canonical("auth", raw["ts"], raw["nonce"])
    assert raw["sig"] == sign(KEY.secret.encode(), text)


@pytest.mark.parametrize("vector", AUTH["rest"], ids=lambda vector: vector["name"])
def test_the_rest_interface_signs_alike(vector):
    """The same key and the same lines, with another method and path."""
    digest = hashlib.sha256(vector["body"].encode()).hexdigest()
    lines = [vector["method"], vector["path_with_query"], str(vector["timestamp"])]
    text = "\n".join([*lines, vector["nonce"], digest])
    assert vector["canonical"] == text
    assert vector["sig"] == sign(hmac_key(vector["secret"]), text)


def test_what_is_signed_is_what_is_sent():
    """The hash is over the very text in the frame: compact, sorted, ASCII."""
    swap = theone.Swap("0.25", "BTC", "USDT", filter=["bybit"], slippage_bps=0, account='a"9\\')
    frame = Talk().asks(swap)
    body = frame[frame.index('"data":') + len('"data":') : -1]
    message = json.loads(frame)
    assert message["sig"] == sign(
        hmac_key(KEY.secret), canonical("swap", message["ts"], message["nonce"], body)
    )
    assert sorted(message["data"]) == list(message["data"])
    assert 0 == message["data"]["slippage_bps"]
    assert body == json.dumps(message["data"], separators=(",", ":"))


def test_nonces_never_repeat():  # L8
    """A hundred thousand in one millisecond, all different, all rising."""
    session = Talk().session
    numbers = [int(session._nonce(NOW).partition("_")[0]) for _ in range(100_000)]
    assert sorted(set(numbers)) == numbers


def test_a_clock_that_goes_back_repeats_no_nonce():
    """They rise by one until the clock has caught up."""
    clock = Clock()
    talk = Talk(env=env_of(clock))
    clock.ms -= 60_000
    frames = [json.loads(talk.asks(theone.GetBalances())) for _ in range(2)]
    assert [NOW - 60_000] * 2 == [frame["ts"] for frame in frames]
    assert [f"{NOW}00000{n}_424242" for n in (1, 2)] == [frame["nonce"] for frame in frames]


def test_the_clock_can_be_set_off():
    """``clock_offset_ms`` is added to every time stamp."""
    talk = Talk(theone.venue(clock_offset_ms=-45_000))
    assert NOW - 45_000 == json.loads(talk.auth.frame)["ts"]
    assert NOW - 45_000 == json.loads(talk.asks(theone.GetBalances()))["ts"]
    with pytest.raises(LocalProtocolError, match="integer of milliseconds"):
        theone.venue(clock_offset_ms=1.5)


def test_the_offset_is_measured_in_the_middle_of_asking():
    """Half of the way there and back is subtracted."""
    body = b'{"serverTime":1765000045000}'
    assert 44_800 == theone.clock_offset_ms(body, asked_ms=NOW - 23, answered_ms=NOW + 177)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"nonsense", b'{"serverTime":"soon"}'])
def test_a_time_in_another_shape_is_an_error(body):
    """What is no time sets no clock."""
    with pytest.raises(Exception, match="unknown shape"):
        theone.clock_offset_ms(body, asked_ms=1, answered_ms=2)


def test_an_answer_before_its_question_is_an_error():
    """Whoever swaps the two is told."""
    with pytest.raises(LocalProtocolError, match="is before"):
        theone.clock_offset_ms(b'{"serverTime":1}', asked_ms=2, answered_ms=1)


def test_the_key_is_text_with_padding():
    """44 ASCII characters of the URL alphabet."""
    key = hmac_key("any")
    assert 44 == len(key)
    assert key.endswith(b"=")
    assert hashlib.sha256(b"any").digest() == base64.urlsafe_b64decode(key)
