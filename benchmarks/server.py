"""The load server: a process of its own that plays CoinFLEX with frames encoded beforehand.

One thread serves one connection, with blocking sockets: what it can send is bound by the kernel
(and by OpenSSL), not by Python. It trusts its client and checks nothing. The path says what to do:

* ``/market?channels=10&watches=10``: say Welcome, accept whatever is asked, and after so many
  accepted watches send market data of the first ``channels`` channels in writes of 64 KiB, until
  the client goes; with ``once=1`` one round of it.
* ``/flood?size=200``: after the client's first frame, texts of one size, likewise.
* ``/orders``: say Welcome and accept orders at once, except post-only ones, which it leaves
  unanswered for ever.
* ``/echo``: send every text back.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import itertools
import re
import socket
import ssl
import sys
import threading
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qs, urlsplit

from . import wire
from .machine import pin

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3

WRITE = 65536
"""Bytes of a write: what a busy venue's kernel hands over at once, and a usual socket buffer."""

BACKLOG = 512
"""Connections waiting to be accepted; the memory case opens a hundred in a row."""

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


class Gone(Exception):
    """The client has left."""


class Client:
    """One accepted connection, after the upgrade."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()

    def upgrade(self) -> str:
        """Answer the HTTP upgrade and return the request's target."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._fill()
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        key = re.search(rb"(?i)\r\nsec-websocket-key: *([^\r]+)", head)
        if key is None:
            raise Gone
        accept = base64.b64encode(hashlib.sha1(key[1].strip() + GUID).digest())
        self._sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        return head.split(None, 2)[1].decode("ascii")

    def texts(self) -> Iterator[bytes]:
        """Yield the client's messages; answer its pings and its Close."""
        while True:
            opcode, payload = self._frame()
            if opcode == TEXT:
                yield payload
            elif opcode == PING:
                self._sock.sendall(wire.frame(payload, PONG))
            elif opcode == CLOSE:
                self._sock.sendall(wire.frame(payload[:2], CLOSE))
                raise Gone

    def send(self, *payloads: bytes) -> None:
        """Send texts in one write."""
        self._sock.sendall(b"".join(map(wire.frame, payloads)))

    def pour(self, chunks: Iterable[bytes]) -> None:
        """Send bytes that are frames already, as fast as the client takes them."""
        send = self._sock.sendall
        for chunk in chunks:
            send(chunk)

    def _frame(self) -> tuple[int, bytes]:
        self._need(2)
        size, start = self._buffer[1] & 0x7F, 2
        if size > 125:
            start = 4 if size == 126 else 10
            self._need(start)
            size = int.from_bytes(self._buffer[2:start])
        end = start + 4 + size
        self._need(end)
        mask = self._buffer[start : start + 4] * (size // 4 + 1)
        masked = int.from_bytes(self._buffer[start + 4 : end])
        payload = (masked ^ int.from_bytes(mask[:size])).to_bytes(size)
        opcode = self._buffer[0] & 0x0F
        del self._buffer[:end]
        return opcode, payload

    def _need(self, size: int) -> None:
        while len(self._buffer) < size:
            self._fill()

    def _fill(self) -> None:
        data = self._sock.recv(WRITE)
        if not data:
            raise Gone
        self._buffer += data


def writes(payloads: Iterable[bytes]) -> list[bytes]:
    """Join frames into writes of about 64 KiB, never splitting one."""
    chunks = [bytearray()]
    for payload in payloads:
        if len(chunks[-1]) >= WRITE:
            chunks.append(bytearray())
        chunks[-1] += wire.frame(payload)
    return [bytes(chunk) for chunk in chunks]


def text(size: int) -> bytes:
    """Return a JSON text of exactly ``size`` bytes."""
    head, tail = b'{"notice":"Nothing","text":"', b'"}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


def reply(command: bytes) -> bytes | None:
    """Return what the venue would say to a command; ``None``: nothing.

    The tag and the method are found without parsing: the client's work is what is measured, and
    it waits meanwhile.
    """
    tag = re.search(rb'"tag": ?(\d+)', command)
    head = b'{"tag":%b,"error_code":0' % (tag[1] if tag else b"0")
    if b'"PlaceOrder"' in command:
        if re.search(rb'"post_only": ?true', command):
            return None
        return head + b',"id":730021,"time":1583020800123456}'
    if b'"WatchOrders"' in command or b'"GetOrders"' in command:
        return head + b',"orders":[]}'
    if b'"WatchTicker"' in command:
        return (
            head + b',"last":86500000,"bid":86480000,"ask":86530000,"low":84210000,'
            b'"high":87900000,"volume":1934400}'
        )
    if b'"GetBalances"' in command:
        return head + b',"balances":[]}'
    return head + b"}"


def market(client: Client, *, channels: int, watches: int, once: bool) -> None:
    """Play the venue; start the market once the client watches what it wanted."""
    chunks = writes(wire.traffic(wire.streams(channels)))
    client.send(wire.WELCOME)
    waiting = watches
    commands = client.texts()
    for command in commands:
        answer = reply(command)
        if answer is not None:
            client.send(answer)
        waiting -= b'"watch":true' in command.replace(b" ", b"")
        if waiting == 0:
            break
    client.pour(chunks if once else itertools.cycle(chunks))
    for _ in commands:
        pass


def orders(client: Client) -> None:
    """Play the venue for one who trades."""
    client.send(wire.WELCOME)
    for command in client.texts():
        answer = reply(command)
        if answer is not None:
            client.send(answer)


def flood(client: Client, *, size: int) -> None:
    """Send one text for ever."""
    chunks = writes([text(size)] * max(1, WRITE // size))
    next(client.texts())
    client.pour(itertools.cycle(chunks))


def echo(client: Client) -> None:
    """Send every text back."""
    for payload in client.texts():
        client.send(payload)


def serve(sock: socket.socket, context: ssl.SSLContext | None) -> None:
    """Serve one connection to its end."""
    # Whatever a client does to its connection is its end, and no news.
    with contextlib.suppress(OSError, Gone, StopIteration), contextlib.ExitStack() as stack:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stack.enter_context(sock)
        if context is not None:
            sock = stack.enter_context(context.wrap_socket(sock, server_side=True))
        client = Client(sock)
        url = urlsplit(client.upgrade())
        asked = {name: int(values[0]) for name, values in parse_qs(url.query).items()}
        match url.path:
            case "/market":
                channels = asked.get("channels", 1)
                market(
                    client,
                    channels=channels,
                    watches=asked.get("watches", channels),
                    once=bool(asked.get("once", 0)),
                )
            case "/flood":
                flood(client, size=asked.get("size", 200))
            case "/orders":
                orders(client)
            case "/echo":
                echo(client)


def listen(context: ssl.SSLContext | None) -> int:
    """Accept connections on a free port of the loopback interface; return the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve, args=(sock, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def main() -> None:
    """Serve until standard input ends, which is when the parent does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", required=True, help="PEM file: private key and chain")
    parser.add_argument("--core", type=int, help="the core to stay on")
    options = parser.parse_args()
    pin(options.core)
    threading.stack_size(256 * 1024)  # a hundred idle threads are no load then
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate)
    print(listen(None), listen(context), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
