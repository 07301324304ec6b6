"""A client of MidChains that shares nothing with trioflex but the protocol.

It is written from a description of the venue's documents ("MidChains/slate",
``source/index.html.md``), on the standard library, with ``cryptography`` for the password. There
are no ids: an answer is the message of the same type that has a result.

As a program it logs in and prints its positions::

    python -m tests.outside.raw_midchains_client URL USER_ID PASSWORD [CA_FILE]
"""

from __future__ import annotations

import base64
import json
import sys
import time

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.outside.raw_floor_client import TEXT, WebSocket


class MidChainsClient:
    """A connection to MidChains; answers are awaited one by one.

    It keeps to five requests a second with bursts of ten, which is what a user may send.
    """

    def __init__(self, url, ca_file=None):
        self.websocket = WebSocket(url, ca_file)
        self.pushes = []
        self.sent_at = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.websocket.close()

    def send(self, message):
        # After ten that came at once, one every fifth of a second.
        if len(self.sent_at) >= 10:
            time.sleep(max(0.0, self.sent_at[-10] + 2.0 - time.monotonic()))
        self.sent_at.append(time.monotonic())
        self.websocket.send_frame(TEXT, json.dumps(message).encode())

    def receive(self):
        return json.loads(self.websocket.receive())

    def answer(self, kind):
        """Return the next answer of a type; pushes that come first are kept."""
        while True:
            message = self.receive()
            if "result" not in message:
                self.pushes.append(message)
            elif message["type"] == kind:
                return message
            else:
                raise ConnectionError(f"an answer to nothing: {message}")

    def ask(self, kind, **fields):
        """Send a request and return its answer."""
        self.send({"type": kind, **fields})
        return self.answer(kind)

    def rows(self, kind, *, answered_as=None, **fields):
        """Send a request for a list; return its rows, and how many parts brought them."""
        self.send({"type": kind, **fields})
        rows, parts = [], 0
        while True:
            answer = self.answer(answered_as or kind)
            if answer["result"] != "OK":
                raise ConnectionError(answer["result"])
            parts += 1
            rows += answer.get("data", [])
            if len(rows) == answer["total_rec"]:
                break
        if [row["rec_no"] for row in rows] != list(range(1, len(rows) + 1)):
            raise ConnectionError("rows are missing, doubled or out of order")
        return rows, parts

    def subscribe(self, *feeds):
        """Subscribe to any number of (msg, security) at once; there is no answer."""
        request = [{"msg": msg, "security": name, "dest": "CROX"} for msg, name in feeds]
        self.send({"type": "subscribe", "request": request})

    def push(self, kind, **fields):
        """Return the next push of that type and with those fields, taking it off the list."""
        while True:
            for position, push in enumerate(self.pushes):
                if push["type"] == kind and fields.items() <= push.items():
                    return self.pushes.pop(position)
            message = self.receive()
            if "result" in message:
                raise ConnectionError(f"an answer to nothing: {message}")
            self.pushes.append(message)

    def key(self):
        """Ask for the key that passwords are encrypted with."""
        answer = self.ask("challenge")
        if answer["result"] != "OK":
            raise ConnectionError(answer["result"])
        return load_der_public_key(base64.b64decode(answer["key"], validate=True))

    def login(self, user_id, password, key=None):
        """Log in and return the result."""
        cipher = (key or self.key()).encrypt(password.encode(), PKCS1v15())
        return self.ask("login", userid=user_id, **{"pass": base64.b64encode(cipher).decode()})


class Book:
    """The orders of one pair as its feed tells of them."""

    def __init__(self):
        self.entries = {}

    def apply(self, message):
        for entry in message["books"]:
            if entry["act"] == "R" or float(entry["qty"]) == 0:
                self.entries.pop(entry["id"], None)
            elif entry["act"] == "U":
                self.entries[entry["id"]] = entry["side"], entry["price"], entry["qty"]


def main(url, user_id, password, ca_file=None):
    """Log in and print the positions."""
    with MidChainsClient(url, ca_file) as client:
        print("login:", client.login(user_id, password)["result"])
        for row in client.rows("querypos")[0]:
            print(row["security"], row["curpos"])
        client.ask("logout")


if __name__ == "__main__":
    main(*sys.argv[1:])
