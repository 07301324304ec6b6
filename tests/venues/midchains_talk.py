"""What the tests of MidChains share: sessions by hand, and the vectors."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from trioflex.protocol import Env, Ready, Transmit
from trioflex.venues import midchains

VECTORS = Path(__file__).parents[1] / "vectors"


def vectors(name):
    return json.loads((VECTORS / f"midchains_{name}.json").read_text(encoding="utf-8"))


EXCHANGES = {exchange["name"]: exchange for exchange in vectors("messages")["exchanges"]}
NOW = 1_700_000_000_000
JOHN = midchains.Credentials("JOHNUSER", "PASSWORD")


def private_keys():
    """The private keys of the vectors by file name, made from their numbers."""
    numbers = json.loads((VECTORS / "TEST_ONLY_rsa_numbers.json").read_text(encoding="utf-8"))
    keys = {}
    for entry in numbers["keys"]:
        n, e, d, p, q = (int(entry[name], 16) for name in "nedpq")
        public = rsa.RSAPublicNumbers(e, n)
        dmp1, dmq1 = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q)
        parts = rsa.RSAPrivateNumbers(p, q, d, dmp1, dmq1, rsa.rsa_crt_iqmp(p, q), public)
        for file in entry["private_files"]:
            keys[file] = parts.private_key()
    return keys


class Clock:
    """The wall clock of a session, set by hand."""

    def __init__(self, ms=NOW):
        self.ms = ms

    def __call__(self):
        return self.ms


def env_of(clock, encrypt=None):
    return Env(
        random_bytes=lambda count: b"\0" * count,
        epoch_ms=clock,
        encrypt_pkcs1v15=encrypt or (lambda der, data: b"cipher of " + data[::-1]),
    )


def real_env():
    """With real encryption."""

    def encrypt(der, data):
        return serialization.load_der_public_key(der).encrypt(data, padding.PKCS1v15())

    return env_of(Clock(), encrypt)


def decrypted(key, frame):
    """What a login frame says when the venue reads it."""
    message = json.loads(frame)
    assert {"type", "userid", "pass"} == message.keys()
    return key.decrypt(base64.b64decode(message["pass"], validate=True), padding.PKCS1v15())


class Talk:
    """A session and its far side: frames are dictionaries."""

    def __init__(self, venue=midchains.VENUE, *, credentials=JOHN, env=None, login=True):
        self.clock = Clock()
        self.session = venue.session(credentials, env or env_of(self.clock))
        self.key = 0
        self.opened = self.session.open()
        if credentials is not None and login:
            assert [Transmit('{"type":"challenge"}')] == self.opened
            [sent] = self.hears({"type": "challenge", "result": "OK", "key": "AAAA"})
            assert isinstance(sent, Transmit)
            assert [Ready("JOHNUSER")] == self.hears({"type": "login", "result": "OK"})

    def hears(self, message):
        """Take a message from the venue and return the events."""
        return self.session.receive(json.dumps(message).encode())

    def asks(self, request):
        """Send a request; return its frame as an object."""
        self.key += 1
        return json.loads(self.session.send(request, self.key))

    def watches(self, channel):
        """Subscribe; return the frame as an object."""
        return self.asks(self.session.watch(channel, True))
