"""A client of OceanEx that shares nothing with trioflex but the protocol.

It is written from a description of the venue's own client ("OceanEx/ocean-websocket-client"), on
the standard library, with ``cryptography`` for the signature. Like that client it sends numbers of
orders as JSON floats and ids of ``show`` as text.

As a program it logs in and prints its accounts::

    python -m tests.outside.raw_oceanex_client URL UID KEY_ID KEY_FILE [CA_FILE]
"""

from __future__ import annotations

import base64
import json
import sys
import time
import uuid
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.outside.raw_floor_client import TEXT, WebSocket


class Rejected(Exception):
    """The venue said ``disconnect``."""


class OceanExClient:
    """A connection to OceanEx; answers are awaited one by one, and pings answered on the way."""

    def __init__(self, url, ca_file=None):
        self.websocket = WebSocket(url, ca_file)
        self.welcome = json.loads(self.websocket.receive())
        self.pings = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.websocket.close()

    def send(self, message):
        self.websocket.send_frame(TEXT, json.dumps(message).encode())

    def answer(self, name):
        """Return the answer to the request of that uuid."""
        while True:
            message = json.loads(self.websocket.receive())
            kind = message.get("type")
            if kind == "ping":
                self.pings += 1
                self.send({"command": "pong"})
            elif kind == "disconnect":
                raise Rejected(message["reason"], message["reconnect"])
            elif message["message"]["uuid"] == name:
                return message
            else:
                raise ConnectionError(f"an answer to nothing: {message}")

    def ask_raw(self, handler, action, args, *, as_text=False, **rest):
        """Send a request and return its whole answer."""
        name = str(uuid.uuid4())
        identifier = {"handler": handler}
        data = {"action": action, "uuid": name, "args": args, **rest}
        if as_text:
            identifier, data = json.dumps(identifier), json.dumps(data)
        self.send({"identifier": identifier, "command": "message", "data": data})
        return self.answer(name)

    def ask(self, handler, action="index", **args):
        """Send a request and return code and data of its answer."""
        whole = self.ask_raw(handler, action, args)
        message = whole["message"]
        if (whole["identifier"]["handler"], message["action"]) != (handler, action):
            raise ConnectionError(f"an answer to another question: {whole}")
        return message["code"], message["data"]

    def header(self, uid, key_id, pem, *, skew=0):
        """Return the header of a login."""
        nonce = time.time_ns() // 1_000_000 + skew
        key = load_pem_private_key(pem, None)
        signature = key.sign(f"GET|/ws/v1|{nonce}|".encode(), PKCS1v15(), SHA256())
        return {
            "uid": uid,
            "api_key": key_id,
            "signature": base64.b64encode(signature).decode(),
            "nonce": nonce,
            "verb": "GET",
            "path": "/ws/v1",
        }

    def login(self, header):
        """Return code and data of the answer to a login."""
        message = self.ask_raw("AuthHandler", "login", {}, header=header)["message"]
        return message["code"], message["data"]


def main(url, uid, key_id, key_file, ca_file=None):
    """Log in and print the accounts."""
    with OceanExClient(url, ca_file) as client:
        code, data = client.login(client.header(uid, key_id, Path(key_file).read_bytes()))
        print(f"login: {code} {data}")
        print(client.ask("AccountHandler"))


if __name__ == "__main__":
    main(*sys.argv[1:])
