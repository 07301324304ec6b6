"""A client of OceanEx written from the document alone, without a wire: it talks to a model."""

from __future__ import annotations

import base64
import itertools
import json
from decimal import Decimal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

KEY = generate_private_key(65537, 1024)
OTHER_KEY = generate_private_key(65537, 1024)
START = 1_700_000_000_000_000
BUY = {"market": "vetusdt", "side": "buy", "price": "0.02", "volume": 1000}
SELL = {**BUY, "side": "sell"}

# Milliseconds that go by between logins, though the clock stands still.
_NONCES = itertools.cycle(range(1_000))


class Wall:
    """A clock that tests move."""

    def __init__(self):
        self.at = START

    def __call__(self):
        return self.at

    def pass_by(self, seconds):
        self.at += round(seconds * 1_000_000)


class Client:
    """One connection; also the link that pushes come by."""

    def __init__(self, model, uid="ID4TEST", key_id="KIDTEST", *, key=KEY, login=True):
        self.model, self.uid, self.key_id, self.key = model, uid, key_id, key
        self.pushed, self.ended = [], None
        self._names = itertools.count(1)
        self.peer = model.connect(self)
        self.peer.opened()
        if login:
            assert 0 == self.login()["code"]

    def send(self, frame):
        self.pushed.append(json.loads(frame))

    def close(self, code=1000, reason=""):
        self.ended = (code, reason)

    def header(self, hash_function=None, **fields):
        """The header of a login, signed as it stands; ``None`` leaves a field out."""
        header = {
            "uid": self.uid,
            "api_key": self.key_id,
            "nonce": self.model.clock() // 1_000 + next(_NONCES),
            "verb": "GET",
            "path": "/ws/v1",
            **fields,
        }
        text = f"GET|/ws/v1|{header['nonce']}|".encode()
        signature = self.key.sign(text, PKCS1v15(), hash_function or hashes.SHA256())
        header.setdefault("signature", base64.b64encode(signature).decode())
        return {name: value for name, value in header.items() if value is not None}

    def login(self, header=None):
        return self.raw("AuthHandler", "login", header=header or self.header())

    def raw(self, handler, action="index", *, as_text=False, header=None, **args):
        """Ask, and return the message of the answer, ``None`` if there was none."""
        name = f"u{next(self._names)}"
        identifier, data = {"handler": handler}, {"action": action, "uuid": name, "args": args}
        if header is not None:
            data["header"] = header
        if as_text:
            identifier, data = json.dumps(identifier), json.dumps(data)
        frame = json.dumps({"identifier": identifier, "command": "message", "data": data})
        assert f"{handler}/{action}" == self.peer.method_of(frame)
        answers = self.peer.received(frame)
        if not answers:
            return None
        [answer] = [json.loads(each, parse_float=Decimal) for each in answers]
        identifier, message = answer["identifier"], answer["message"]
        if isinstance(identifier, str):
            identifier, message = json.loads(identifier), json.loads(message, parse_float=Decimal)
        assert (handler, action) == (identifier["handler"], message["action"])
        assert name == message.get("uuid", name)
        return message

    def ask(self, handler, action="index", **args):
        """Ask, and return the data of an answer that is a success."""
        message = self.raw(handler, action, **args)
        assert 0 == int(message["code"]), message
        return message["data"]

    def refused(self, handler, action="index", **args):
        """Ask for what is refused, and return its code."""
        code = self.raw(handler, action, **args)["code"]
        assert code != 0
        return code

    def order(self, order, **fields):
        return self.ask("OrderHandler", "create", **order, **fields)

    def balances(self):
        """Free and locked amount by currency."""
        accounts = self.ask("AccountHandler")["accounts"]
        return {each["currency"]: (each["balance"], each["locked"]) for each in accounts}
