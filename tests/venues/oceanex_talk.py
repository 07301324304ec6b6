"""What the tests of OceanEx share: the vectors, the test key, and sessions by hand."""

from __future__ import annotations

import itertools
import json
import runpy
import tempfile
from decimal import Decimal
from pathlib import Path

from trioflex.protocol import Env
from trioflex.venues import oceanex

VECTORS = Path(__file__).parents[1] / "vectors"
AUTH = json.loads((VECTORS / "oceanex_auth.json").read_text(encoding="utf-8"))
MESSAGES = json.loads(
    (VECTORS / "oceanex_messages.json").read_text(encoding="utf-8"), parse_float=Decimal
)
OPERATIONS = {each["name"]: each for each in MESSAGES["operations"]}
NOW = 1_700_000_000_123


def _pem_files():
    with tempfile.TemporaryDirectory() as folder:
        runpy.run_path(str(VECTORS / "make_pem.py"))["main"](Path(folder))
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


PEM = _pem_files()
PKCS1 = PEM["oceanex_TEST_ONLY_private_pkcs1.pem"]
PKCS8 = PEM["oceanex_TEST_ONLY_private_pkcs8.pem"]
KEY = oceanex.Credentials.from_pem("ID0TESTUID01", "KID0TESTKEY1", PKCS1)


def env_of(now=lambda: NOW):
    counter = itertools.count(1)

    def encrypt(key, data):
        raise AssertionError("this venue encrypts nothing")

    return Env(
        random_bytes=lambda count: next(counter).to_bytes(count, "big"),
        epoch_ms=now,
        encrypt_pkcs1v15=encrypt,
    )


class Talk:
    """A session and its far side: messages are dictionaries."""

    def __init__(self, venue=oceanex.VENUE, *, credentials=None, welcome=True):
        self.session = venue.session(credentials, env_of())
        assert [] == self.session.open()
        self.key = 0
        if welcome:
            self.welcomed = self.hears(MESSAGES["server_messages"]["welcome"])

    def hears(self, message):
        return self.session.receive(json.dumps(message, default=float).encode())

    def asks(self, request):
        """Send a request and return its frame."""
        self.key += 1
        return json.loads(self.session.send(request, self.key), parse_float=Decimal)

    def answered(self, request, reply):
        """Send a request, and give it this answer of the vectors under its own uuid."""
        sent = self.asks(request)
        message = {**reply["message"], "uuid": sent["data"]["uuid"]}
        return self.hears({**reply, "message": message})
