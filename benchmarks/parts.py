"""What trioflex is made of, measured alone: the order book, and the steps of becoming ready."""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from . import wire
from .cases import BOOK, DECODING, FLOOR, PARTS
from .measure import (
    WARM_UP,
    Client,
    Job,
    Receive,
    TrioLoop,
    Unfit,
    percentile,
    rates,
)
from .turns import TAKER, Figures


class Bare(Client):
    """Nobody's client: a blocking socket that asks for the upgrade and believes the answer."""

    loop_type = TrioLoop
    modules = ()

    async def connect(self, job: Job, path: str) -> Any:
        url = urlsplit(job.url)
        sock = socket.create_connection((url.hostname, url.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if job.context is not None:
            sock = job.context.wrap_socket(sock, server_hostname=url.hostname)
        # The key of RFC 6455, section 1.3: nobody looks at the answer.
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(4096)
        return sock

    def receiver(self, connection: Any) -> Receive:
        raise NotImplementedError("It knows no messages.")

    async def send(self, connection: Any, text: str) -> None:
        data = text.encode()
        connection.sendall(bytes((0x81, 0x80 | len(data), 0, 0, 0, 0)) + data)


class Floor(Bare):
    """Bytes out of the socket, unseen: what the server can send, and no client can pass."""

    name = FLOOR
    cases = ("receive",)

    async def receive(self, job: Job) -> Figures:
        sock = await self.connect(job, f"/flood?size={job.size}")
        await self.send(sock, "go")
        size, into, buffer = len(wire.frame(b"x" * job.size)), sock.recv_into, bytearray(1 << 18)

        def take(seconds: float) -> tuple[int, float]:
            start, got = time.process_time(), 0
            while (spent := time.process_time() - start) < seconds:
                got += into(buffer)
            return got, spent

        take(job.seconds * WARM_UP)
        TAKER.stop()
        began = time.monotonic()
        got, spent = take(job.seconds)
        return rates(got / size, spent, began, time.monotonic())


class Decoding(Bare):
    """The market data out of memory, decoded into objects: what no client that does so can pass."""

    name = DECODING
    cases = ("dispatch",)

    async def dispatch(self, job: Job) -> Figures:
        from .models import decoder

        decode, payloads = decoder().decode, wire.traffic(wire.streams(job.size))

        def take(seconds: float) -> tuple[int, float]:
            start, count = time.process_time(), 0
            while (spent := time.process_time() - start) < seconds:
                for payload in payloads:
                    decode(payload)
                count += len(payloads)
            return count, spent

        take(job.seconds * WARM_UP)
        TAKER.stop()
        began = time.monotonic()
        count, spent = take(job.seconds)
        return rates(count, spent, began, time.monotonic())


class Parts(Bare):
    """TCP, TLS and upgrade on a blocking socket, and one signature: what a login must cost."""

    name = PARTS
    cases = ("ready",)

    async def ready(self, job: Job) -> Figures:
        sign, times = signer(), []
        for _ in range(1 + job.size):
            before = time.perf_counter()
            await self.connect(job, "/echo")
            sign(os.urandom(40))
            times.append(time.perf_counter() - before)
        return {"ms": percentile(times[1:], 0.5) * 1e3}


def signer() -> Callable[[bytes], bytes]:
    """Return what signs a message as the venue wants it: ECDSA with SHA-224 on secp224k1."""
    from ecdsa import SigningKey, curves, ellipticcurve

    # SEC 2, version 2: the package does not ship this curve.
    field = ellipticcurve.CurveFp(2**224 - 2**32 - 0x1A93, 0, 5)
    generator = ellipticcurve.PointJacobi(
        field,
        0xA1455B334DF099DF30FC28A169A467E9E47075A90F7E650EB6B7A45C,
        0x7E089FED7FBA344282CAFBD6F7E319F7C0B0BD59E2CA4BDB556D61A5,
        1,
        0x010000000000000000000000000001DCE8D2EC6184CAF0A971769FB1F7,
        generator=True,
    )
    curve = curves.Curve("secp224k1", field, generator, (1, 3, 132, 0, 32))
    key = SigningKey.from_secret_exponent(
        0xB89EA7FCD22CC059C2673DC24FF40B978307464686560D0AD7561B83, curve, hashlib.sha224
    )

    def sign(message: bytes) -> bytes:
        signature: bytes = key.sign_deterministic(message)
        return signature

    return sign


class Book(Bare):
    """The order book alone, fed with what the venue's session makes of the wire."""

    name = BOOK
    cases = ("book",)

    async def book(self, job: Job) -> Figures:
        from trioflex.book import OrderBook

        snapshot, updates = market(job.size)
        book = OrderBook()
        book.apply(snapshot)

        def follow(seconds: float) -> tuple[int, float]:
            start, count = time.process_time(), 0
            while (spent := time.process_time() - start) < seconds:
                for update in updates:
                    book.apply(update)
                    _ = book.best_bid, book.best_ask
                count += len(updates)
            return count, spent

        follow(job.seconds * WARM_UP)
        count, spent = follow(job.seconds)
        if len(book.bids) != job.size:
            raise Unfit(f"The book has {len(book.bids)} bid levels in the end, not {job.size}.")
        return {"us": spent / count * 1e6}


LEVEL = 1000
"""Scaled units between two prices."""


def market(size: int) -> tuple[Any, list[Any]]:
    """Return a book's snapshot of ``size`` levels a side, and updates that end where they began.

    An order is opened somewhere among the ten best levels, where markets are busy, trades in part
    and is closed.
    """
    from trioflex.protocol import Env, Push, Reply
    from trioflex.venues import coinflex

    env = Env(
        random_bytes=os.urandom,
        epoch_ms=lambda: time.time_ns() // 10**6,
        encrypt_pkcs1v15=lambda key, data: data,
    )
    session = coinflex.VENUE.session(None, env)
    session.open()
    session.receive(wire.WELCOME)
    asked = session.watch(coinflex.OrderBook("XBT", "USDT"), True)
    if asked is None:
        raise Unfit("The book is not watched by a request.")
    session.send(asked, 1)
    rng, middle = random.Random(7), 86_500_000
    resting = [
        {"id": 2 * i + (side > 0), "quantity": side * 10_000, "price": price, "time": i}
        for i in range(size)
        for side in (1, -1)
        for price in (middle - side * (i + 1) * LEVEL,)
    ]
    replies = session.receive(json.dumps({"tag": 1, "error_code": 0, "orders": resting}).encode())
    pair = {"base": wire.ASSETS["XBT"], "counter": wire.ASSETS["USDT"]}
    updates = []
    for number in range(10**6, 10**6 + 300):
        side = rng.choice((1, -1))
        price = middle - side * rng.randrange(1, min(size, 10) + 1) * LEVEL
        order = {"id": number, "price": price, **pair}
        own, remains = ("bid", "bid_rem") if side > 0 else ("ask", "ask_rem")
        for notice in (
            {"notice": "OrderOpened", **order, "quantity": side * 5_000, "time": number},
            {"notice": "OrdersMatched", **pair, own: number, remains: 2_000, "quantity": 3_000,
             "price": price, "total": 1, "time": number},
            {"notice": "OrderClosed", **order, "quantity": side * 2_000},
        ):  # fmt: skip
            events = session.receive(json.dumps(notice).encode())
            updates += [event.value for event in events if isinstance(event, Push)]
    return next(event.value for event in replies if isinstance(event, Reply)), updates
