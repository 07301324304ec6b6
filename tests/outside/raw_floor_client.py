"""A client of CoinFLEX and Coinfloor that shares nothing with trioflex but the protocol.

It is written from the venues' public documents alone ("coinflex-exchange/API WEBSOCKET-README.md"
and "AUTH.md"), on the standard library: blocking sockets, the few lines of WebSocket (RFC 6455)
that a client needs, and ECDSA on secp224k1 with deterministic nonces (RFC 6979).

As a program it logs in and prints its balances::

    python raw_floor_client.py URL USER_ID COOKIE PASSPHRASE [CA_FILE]
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import socket
import ssl
import struct
import sys
from urllib.parse import urlsplit

# -- secp224k1 (SEC 2, version 2) --------------------------------------------------------------

P = 2**224 - 2**32 - 2**12 - 2**11 - 2**9 - 2**7 - 2**4 - 2 - 1
N = 0x010000000000000000000000000001DCE8D2EC6184CAF0A971769FB1F7
G = (
    0xA1455B334DF099DF30FC28A169A467E9E47075A90F7E650EB6B7A45C,
    0x7E089FED7FBA344282CAFBD6F7E319F7C0B0BD59E2CA4BDB556D61A5,
)


def add(one, other):
    """Add two points of the curve; ``None`` is the point at infinity."""
    if one is None:
        return other
    if other is None:
        return one
    if one[0] == other[0]:
        if (one[1] + other[1]) % P == 0:
            return None
        slope = 3 * one[0] * one[0] * pow(2 * one[1], -1, P) % P
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P) % P
    x = (slope * slope - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def multiply(factor, point):
    """Add a point so many times."""
    result = None
    while factor:
        if factor & 1:
            result = add(result, point)
        point = add(point, point)
        factor >>= 1
    return result


def candidates(key, digest):
    """Yield the nonces that RFC 6979, 3.2 prescribes for HMAC-SHA-224 and a 225-bit order."""
    octets = key.to_bytes(29, "big") + (digest % N).to_bytes(29, "big")
    v, k = b"\x01" * 28, b"\x00" * 28
    for separator in (b"\x00", b"\x01"):
        k = hmac.digest(k, v + separator + octets, "sha224")
        v = hmac.digest(k, v, "sha224")
    while True:
        t = b""
        while len(t) * 8 < 225:
            v = hmac.digest(k, v, "sha224")
            t += v
        candidate = int.from_bytes(t, "big") >> (len(t) * 8 - 225)
        if 1 <= candidate < N:
            yield candidate
        k = hmac.digest(k, v + b"\x00", "sha224")
        v = hmac.digest(k, v, "sha224")


def private_key(user_id, passphrase):
    """Return the key that belongs to a user id and a passphrase."""
    seed = struct.pack(">Q", user_id) + passphrase.encode()
    return int.from_bytes(hashlib.sha224(seed).digest(), "big")


def sign(key, message):
    """Return r and s, each as 28 bytes."""
    digest = int.from_bytes(hashlib.sha224(message).digest(), "big")
    for k in candidates(key, digest):
        r = multiply(k, G)[0] % N
        s = pow(k, -1, N) * (digest + r * key) % N
        if r and 0 < s < 2**224:
            return r.to_bytes(28, "big"), s.to_bytes(28, "big")


# -- WebSocket ---------------------------------------------------------------------------------

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Closed(Exception):
    """The connection is over; ``code`` is the close code, ``None`` without a Close."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed with {code} {reason}")
        self.code = code


class WebSocket:
    """A blocking WebSocket with a timeout for everything."""

    def __init__(self, url, ca_file=None, timeout=10):
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        port = parts.port or (443 if secure else 80)
        self.socket = socket.create_connection((parts.hostname, port), timeout)
        if secure:
            context = ssl.create_default_context(cafile=ca_file)
            self.socket = context.wrap_socket(self.socket, server_hostname=parts.hostname)
        self.buffer = b""
        self.pongs = []
        key = base64.b64encode(os.urandom(16))
        self.socket.sendall(
            b"GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n"
            % ((parts.path or "/").encode(), parts.hostname.encode(), port, key)
        )
        while b"\r\n\r\n" not in self.buffer:
            self.read_more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key + guid).digest()).decode()
        lines = head.decode("ascii").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:])
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        if lines[0].split()[1] != "101" or fields.get("sec-websocket-accept") != accept:
            raise ConnectionError(f"no upgrade: {lines[0]}")

    def read_more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed(None)
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count:
            self.read_more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send_frame(self, opcode, payload):
        mask = os.urandom(4)
        length = len(payload)
        if length < 126:
            header = struct.pack(">BB", 0x80 | opcode, 0x80 | length)
        elif length < 65536:
            header = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, length)
        else:
            header = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, length)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.socket.sendall(header + mask + masked)

    def receive_frame(self):
        first, second = self.take(2)
        if first & 0x70 or second & 0x80:
            raise ConnectionError("reserved bits, or a masked frame from a server")
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.take(8))
        return first & 0x80, first & 0x0F, self.take(length)

    def receive(self):
        """Return the next text message, answering Pings on the way."""
        message = b""
        while True:
            final, opcode, payload = self.receive_frame()
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == PONG:
                self.pongs.append(payload)
            elif opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else None
                self.send_frame(CLOSE, payload[:2])
                raise Closed(code, payload[2:].decode())
            elif opcode == BINARY:
                raise ConnectionError("a binary message")
            else:
                message += payload
                if final:
                    return message.decode()

    def close(self):
        """Say goodbye, and wait for the server's."""
        try:
            self.send_frame(CLOSE, struct.pack(">H", 1000))
            while True:
                self.receive()
        except (Closed, OSError):
            self.socket.close()


# -- the venues' protocol ----------------------------------------------------------------------


class FloorClient:
    """A connection to CoinFLEX or Coinfloor."""

    def __init__(self, url, ca_file=None):
        self.websocket = WebSocket(url, ca_file)
        self.notices = []
        self.tag = 0
        welcome = json.loads(self.websocket.receive())
        if welcome["notice"] != "Welcome":
            raise ConnectionError(f"not a Welcome: {welcome}")
        self.server_nonce = base64.b64decode(welcome["nonce"], validate=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.websocket.close()

    def authentication(self, user_id, cookie, passphrase, server_nonce=None):
        """Return the fields of an ``Authenticate`` command."""
        nonce = os.urandom(16)
        message = struct.pack(">Q", user_id) + (server_nonce or self.server_nonce) + nonce
        r, s = sign(private_key(user_id, passphrase), message)
        return {
            "user_id": user_id,
            "cookie": cookie,
            "nonce": base64.b64encode(nonce).decode(),
            "signature": [base64.b64encode(r).decode(), base64.b64encode(s).decode()],
        }

    def login(self, user_id, cookie, passphrase):
        """Log in and return the reply."""
        return self.ask("Authenticate", **self.authentication(user_id, cookie, passphrase))

    def ask(self, method, **fields):
        """Send a command and return its reply; notices that come first are kept."""
        self.tag += 1
        return self.ask_raw({"tag": self.tag, "method": method, **fields})

    def ask_raw(self, command):
        """Send anything that has a tag and return the reply that carries it."""
        self.websocket.send_frame(TEXT, json.dumps(command).encode())
        while True:
            message = json.loads(self.websocket.receive())
            if "notice" in message:
                self.notices.append(message)
            elif message.get("tag") == command["tag"]:
                return message
            else:
                raise ConnectionError(f"a reply to nothing: {message}")

    def notice(self, name, **fields):
        """Return the next notice of that name and with those fields, taking it off the list."""
        while True:
            for position, notice in enumerate(self.notices):
                if notice["notice"] == name and fields.items() <= notice.items():
                    return self.notices.pop(position)
            message = json.loads(self.websocket.receive())
            if "notice" not in message:
                raise ConnectionError(f"a reply to nothing: {message}")
            self.notices.append(message)

    def ping(self):
        """Send a Ping and wait for its Pong."""
        payload = os.urandom(8)
        self.websocket.send_frame(PING, payload)
        # Pongs are seen while something else is waited for.
        self.ask_raw({"tag": 2**30})
        return payload in self.websocket.pongs


def main():
    """Log in and print the balances."""
    url, user_id, cookie, passphrase, *ca_file = sys.argv[1:]
    with FloorClient(url, *ca_file) as client:
        reply = client.login(int(user_id), cookie, passphrase)
        if reply["error_code"]:
            sys.exit(f"login refused: {reply['error_code']} {reply['error_msg']}")
        for balance in client.ask("GetBalances")["balances"]:
            print(balance["asset"], balance["balance"])


if __name__ == "__main__":
    main()
