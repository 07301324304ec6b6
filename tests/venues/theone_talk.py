"""What the tests of TheOne share: sessions by hand, and the vectors."""

from __future__ import annotations

import json
from pathlib import Path

from trioflex.protocol import Env, Ready, Transmit
from trioflex.venues import theone

VECTORS = Path(__file__).parents[1] / "vectors"
AUTH = json.loads((VECTORS / "theone_auth.json").read_text(encoding="utf-8"))
EXCHANGES = {
    exchange["name"]: exchange
    for exchange in json.loads((VECTORS / "theone_messages.json").read_text(encoding="utf-8"))[
        "exchanges"
    ]
}
KEY = theone.Credentials("ak_TEST_key_0001", "unit-test-secret-0001")
NOW = 1_765_000_000_123


class Clock:
    """The wall clock of a session, set by hand."""

    def __init__(self, ms=NOW):
        self.ms = ms

    def __call__(self):
        return self.ms


def env_of(clock=lambda: NOW, random_bytes=lambda count: (424242).to_bytes(count, "big")):
    def encrypt(key, data):
        raise AssertionError("this venue encrypts nothing")

    return Env(random_bytes=random_bytes, epoch_ms=clock, encrypt_pkcs1v15=encrypt)


class Talk:
    """A session and its far side: frames are dictionaries."""

    def __init__(self, venue=theone.VENUE, *, credentials=KEY, env=None, login=True):
        self.session = venue.session(credentials, env_of() if env is None else env)
        self.key = 0
        [self.auth] = self.session.open()
        assert isinstance(self.auth, Transmit)
        if login:
            assert [Ready("ak_T…")] == self.hears(
                {"op": "auth", "data": {"status": "authenticated"}}
            )

    def hears(self, message):
        """Take a message from the venue and return the events."""
        return self.session.receive(json.dumps(message).encode())

    def asks(self, request):
        """Send a request; return its frame as it is written."""
        self.key += 1
        return self.session.send(request, self.key)

    def watches(self, channel, on=True):
        """Start or stop a channel, confirmed; return the request's frame."""
        frame = self.asks(self.session.watch(channel, on))
        op = "subscribe" if on else "unsubscribe"
        name = json.loads(frame)["ch"]
        self.hears({"op": op, "ch": name, "data": {"status": op + "d"}})
        return frame
