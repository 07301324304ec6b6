"""A client of TheOne that shares nothing with trioflex but the protocol.

It is written from a description of the venue's own clients ("the-one-io/api-client"), on the
standard library, and signs and writes its messages as the Python one does, spaces included.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import time

from tests.outside.raw_floor_client import TEXT, WebSocket


class TheOneClient:
    """A connection to TheOne; answers are awaited one by one."""

    def __init__(self, url, key, secret, ca_file=None):
        self.websocket = WebSocket(url, ca_file)
        self.key = key
        self.hmac_key = base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest())
        self.pushes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.websocket.close()

    def signed(self, op, data=None, *, skew=0):
        """Return a signed message."""
        now = time.time_ns()
        ts, nonce = now // 1_000_000 + skew, f"{now}_{random.randrange(10**6)}"
        body = "" if data is None else json.dumps(data, separators=(",", ":"))
        path = "/ws/v1/stream" if op == "auth" else f"/ws/v1/{op}"
        digest = hashlib.sha256(body.encode()).hexdigest()
        text = f"WS\n{path}\n{ts}\n{nonce}\n{digest}"
        signature = hmac.new(self.hmac_key, text.encode(), hashlib.sha256).hexdigest()
        message = {"op": op, "ts": ts, "nonce": nonce, "sig": signature}
        if op == "auth":
            message["key"] = self.key
        if data is not None:
            message["data"] = data
        return message

    def send(self, message):
        """Send a message and return its answer; pushes that come first are kept."""
        self.websocket.send_frame(TEXT, json.dumps(message).encode())
        while True:
            answer = json.loads(self.websocket.receive())
            if "op" in answer or "error" in answer:
                return answer
            self.pushes.append(answer)

    def ask(self, op, data=None, **how):
        """Sign and send an operation; return its answer."""
        return self.send(self.signed(op, data, **how))

    def watch(self, channel, op="subscribe"):
        """Subscribe to a channel, or unsubscribe."""
        return self.send({"op": op, "ch": channel})

    def push(self, channel):
        """Return the next push of a channel, taking it off the list."""
        while True:
            for position, push in enumerate(self.pushes):
                if push["ch"] == channel:
                    return self.pushes.pop(position)["data"]
            self.pushes.append(json.loads(self.websocket.receive()))
