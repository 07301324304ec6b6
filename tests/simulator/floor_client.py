"""A client of the simulated CoinFLEX and Coinfloor without a network: frames in, frames out."""

from __future__ import annotations

import base64
import hashlib
import json
from random import Random

from trioflex.simulator import CoinflexModel, CoinfloorModel, secp224k1
from trioflex.simulator.floor import FloorModel

XBT, ETH, USDT = 63488, 63520, 65283
GBP, EUR = 64032, 64000
EPOCH = 1_583_020_800_000_000
COOKIE = "HGREqcILTz8blHa/jsUTVTNBJlg="


class Clock:
    """A clock in microseconds that moves when told."""

    def __init__(self) -> None:
        self.now = EPOCH

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)


def signature(user_id: int, passphrase: str, message: bytes, k: int = 0x1234567) -> list[str]:
    """Sign, with a k that is no secret."""
    d = secp224k1.private_key(user_id, passphrase)
    z = int.from_bytes(hashlib.sha224(message).digest(), "big")
    r = secp224k1.public_key(k)[0]
    s = pow(k, -1, secp224k1.N) * (z + r * d) % secp224k1.N
    return [base64.b64encode(half.to_bytes(28, "big")).decode() for half in (r, s)]


class Client:
    """One connection; also the link that its far side sends over."""

    def __init__(self, model: FloorModel) -> None:
        self.frames: list[str] = []
        self.closings: list[tuple[int, str]] = []
        self.tag = 0
        self.peer = model.connect(self)
        self.peer.opened()
        (self.welcome,) = self.notices()

    def send(self, frame: str) -> None:
        self.frames.append(frame)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closings.append((code, reason))

    def notices(self, *kinds: str) -> list[dict]:
        """Take the notices since the last time, of some kinds or all."""
        notices = [json.loads(frame) for frame in self.frames]
        self.frames.clear()
        return [notice for notice in notices if not kinds or notice["notice"] in kinds]

    def raw(self, frame: str) -> dict:
        """Send any frame, and return its one reply."""
        (reply,) = self.peer.received(frame)
        return json.loads(reply)

    def ask(self, method: str, **fields: object) -> dict:
        """Send a command with a fresh tag, and return its reply without that."""
        self.tag += 1
        reply = self.raw(json.dumps({"tag": self.tag, "method": method, **fields}))
        assert self.tag == reply.pop("tag")
        return reply

    def code(self, method: str, **fields: object) -> tuple[int, str]:
        """Send a command, and return its error."""
        reply = self.ask(method, **fields)
        assert {"error_code", "error_msg"} == reply.keys()
        return reply["error_code"], reply["error_msg"]

    def place(self, quantity: int, price: int, **fields: object) -> int:
        """Place a limit order for XBT, and return its id."""
        order = {"base": XBT, "counter": USDT, "quantity": quantity, "price": price, **fields}
        reply = self.ask("PlaceOrder", **order)
        assert 0 == reply["error_code"], reply
        return reply["id"]

    @property
    def nonce(self) -> bytes:
        return base64.b64decode(self.welcome["nonce"])

    def login(
        self, user_id: int = 1, passphrase: str = "opensesame", cookie: str = COOKIE
    ) -> dict[str, object]:
        """Return the fields of a login, right unless told otherwise."""
        client_nonce = bytes(range(16))
        message = user_id.to_bytes(8, "big") + self.nonce + client_nonce
        return {
            "user_id": user_id,
            "cookie": cookie,
            "nonce": base64.b64encode(client_nonce).decode(),
            "signature": signature(user_id, passphrase, message),
        }


def logged_in(model: FloorModel, user_id: int = 1, **login: str) -> Client:
    """Connect and log in."""
    client = Client(model)
    assert {"error_code": 0} == client.ask("Authenticate", **client.login(user_id, **login))
    return client


def flex(**options: object) -> CoinflexModel:
    """A CoinFLEX with empty books, unless told otherwise."""
    return CoinflexModel(**{"clock": Clock(), "empty": True, "limits": None, **options})


def floor(**options: object) -> CoinfloorModel:
    """A Coinfloor with empty books, unless told otherwise."""
    return CoinfloorModel(**{"clock": Clock(), "empty": True, "limits": None, **options})


def scramble(seed: int, model: FloorModel, client: Client, count: int) -> None:
    """Give random commands, and let the others trade between them."""
    random = Random(seed)
    market = {"base": XBT, "counter": USDT if model.name == "coinflex" else GBP}
    for number in range(count):
        price = model.book(**market)[0].price + random.randint(-20, 20) * 100
        kind = random.randrange(6)
        if kind < 2:
            size = random.choice((1, -1)) * random.randint(2, 5_000)
            client.ask("PlaceOrder", **market, quantity=size, price=price, tonce=number + 1)
        elif kind == 2:
            client.ask("PlaceOrder", **market, total=random.choice((1, -1)) * 10**6)
        elif kind == 3:
            client.ask("CancelOrder", tonce=number)
        elif kind == 4:
            client.ask("GetBalances")
        else:
            client.ask("ModifyOrder", tonce=number, price=price)
        model.trade()
