"""What the tests of CoinFLEX and Coinfloor share: sessions by hand, and frames."""

from __future__ import annotations

import json
from pathlib import Path

from trioflex.protocol import Env, Push, Ready, Transmit
from trioflex.venues import coinflex

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "coinflex_auth.json").read_text())
PUBLISHED = VECTORS["vectors"][0]
WELCOME = {"notice": "Welcome", "nonce": PUBLISHED["server_nonce_b64"]}

KEY = coinflex.Credentials(
    PUBLISHED["user_id"], PUBLISHED["cookie"], passphrase=PUBLISHED["passphrase"]
)

XBT, ETH, USDT = 63488, 63520, 65283
PAIR = {"base": XBT, "counter": USDT}
BOOK = coinflex.OrderBook("XBT", "USDT")
TICKER = coinflex.Ticker("XBT", "USDT")

BOOK_REPLY = {
    "orders": [
        {"id": 729990, "quantity": 20000, "price": 86480000, "time": 1583020712000311},
        {"id": 730004, "quantity": -7500, "price": 86530000, "time": 1583020790555012},
    ]
}
TICKER_REPLY = {
    "last": 86500000,
    "bid": 86480000,
    "ask": 86530000,
    "low": 84210000,
    "high": 87900000,
    "volume": 1934400,
}
OPENED = {
    "notice": "OrderOpened",
    "id": 730021,
    **PAIR,
    "quantity": 2500,
    "price": 86500000,
    "time": 1583020800123456,
}
MINE = {**OPENED, "tonce": 1001}


class Clock:
    """The wall clock of a session, set by hand."""

    def __init__(self):
        self.ms = 1_583_020_800_000

    def __call__(self):
        return self.ms


def fixed_nonces(*nonces):
    """Return a source of randomness that gives these, in turn, and nothing else."""
    left = list(nonces)

    def random_bytes(count):
        assert 16 == count
        return left.pop(0)

    return random_bytes


def env_of(random_bytes=lambda count: bytes(count), clock=lambda: 0):
    def encrypt(key, data):
        raise AssertionError("these venues encrypt nothing")

    return Env(random_bytes=random_bytes, epoch_ms=clock, encrypt_pkcs1v15=encrypt)


class Talk:
    """A session and its far side: frames are dictionaries."""

    def __init__(self, credentials=None, *, venue=coinflex.VENUE, env=None):
        self.session = venue.session(credentials, env_of() if env is None else env)
        self.opened = self.session.open()
        self.key = 0

    def hears(self, message):
        """Take a message from the server and return the events."""
        return self.session.receive(json.dumps(message).encode())

    def asks(self, request, key=None):
        """Send a request; return its frame and key."""
        self.key = self.key + 1 if key is None else key
        return json.loads(self.session.send(request, self.key)), self.key

    def gets(self, request, **fields):
        """Send a request, answer it with success, and return the reply's value."""
        _, key = self.asks(request)
        (event,) = self.hears({"tag": key, "error_code": 0, **fields})
        assert key == event.key
        return event.value

    def watches(self, channel, on=True):
        """Send what starts or stops a channel; return the key."""
        return self.asks(self.session.watch(channel, on))[1]

    def starts(self, channel, **reply):
        """Start a channel and answer; return the snapshot."""
        key = self.watches(channel)
        (event,) = self.hears({"tag": key, "error_code": 0, **reply})
        return event.value


def logged_in(venue=coinflex.VENUE, env=None):
    """Return a session that is logged in."""
    talk = Talk(KEY, venue=venue, env=env)
    (sent,) = talk.hears(WELCOME)
    assert isinstance(sent, Transmit)
    assert [Ready("1")] == talk.hears({"tag": json.loads(sent.frame)["tag"], "error_code": 0})
    return talk


def anonymous(venue=coinflex.VENUE):
    """Return a session that is ready without a login."""
    talk = Talk(venue=venue)
    assert [Ready()] == talk.hears(WELCOME)
    return talk


def pushes(events):
    """Return channel and value of each push, and nothing else was there."""
    assert all(isinstance(event, Push) for event in events), events
    return [(event.channel, event.value) for event in events]
