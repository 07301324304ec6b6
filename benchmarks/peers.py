"""Published clients, each used as its documentation shows; compression and heartbeats are off."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

from . import wire
from .measure import ECHO_BYTES, WARM_UP, Client, Figures, Job, Receive, TrioLoop, UvLoop, sample


class TrioWebsocket(Client):
    """trio-websocket with its defaults."""

    name = "trio-websocket"
    loop_type = TrioLoop
    modules = ("trio_websocket", "orjson")

    async def connect(self, job: Job, path: str) -> Any:
        from trio_websocket import connect_websocket

        url = urlsplit(job.url)
        return await connect_websocket(
            self.loop.nursery,
            url.hostname or "",
            url.port or 0,
            path,
            use_ssl=job.context or False,
        )

    def receiver(self, connection: Any) -> Receive:
        receive: Receive = connection.get_message
        return receive

    async def send(self, connection: Any, text: str) -> None:
        await connection.send_message(text)


class Websockets(Client):
    """websockets' asyncio client."""

    name = "websockets"
    loop_type = UvLoop
    modules = ("websockets", "uvloop", "orjson")

    async def connect(self, job: Job, path: str) -> Any:
        from websockets.asyncio.client import connect

        return await connect(
            job.url + path, ssl=job.context, compression=None, ping_interval=None, proxy=None
        )

    def receiver(self, connection: Any) -> Receive:
        receive: Receive = connection.recv
        return receive

    async def send(self, connection: Any, text: str) -> None:
        await connection.send(text)


class Aiohttp(Client):
    """aiohttp's client, its connection pool unbounded."""

    name = "aiohttp"
    loop_type = UvLoop
    modules = ("aiohttp", "uvloop", "orjson")
    _http: Any = None

    async def connect(self, job: Job, path: str) -> Any:
        import aiohttp

        if self._http is None:
            self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return await self._http.ws_connect(job.url + path, ssl=job.context or True)

    def receiver(self, connection: Any) -> Receive:
        receive: Receive = connection.receive_str
        return receive

    async def send(self, connection: Any, text: str) -> None:
        await connection.send_str(text)


class Picows(Client):
    """picows at its strongest: everything happens in the callback that its parser calls.

    There are no tasks, no queues and no backpressure, and msgspec decodes into its own objects.
    """

    name = "picows"
    loop_type = UvLoop
    modules = ("picows", "uvloop", "msgspec")

    async def connect(self, job: Job, path: str) -> Any:
        import picows

        class Listener(picows.WSListener):
            """Takes the measurement's callback as an attribute, which saves a call a frame."""

        return await picows.ws_connect(Listener, job.url + path, ssl_context=job.context)

    def receiver(self, connection: Any) -> Receive:
        raise NotImplementedError("picows calls; nobody waits for a message.")

    async def send(self, connection: Any, text: str) -> None:
        import picows

        connection[0].send(picows.WSMsgType.TEXT, text.encode())

    async def receive(self, job: Job) -> Figures:
        connection = await self.connect(job, f"/flood?size={job.size}")
        counts = [0]

        def on_ws_frame(transport: Any, frame: Any) -> None:
            frame.get_payload_as_utf8_text()
            counts[0] += 1

        connection[1].on_ws_frame = on_ws_frame
        await self.send(connection, "go")
        return await sample(self.loop, counts, job.seconds)

    async def route(self, job: Job, channels: list[wire.Stream], *, once: bool) -> list[int]:
        from .models import decoder, places

        connection = await self.connect(job, f"/market?channels={job.size}&once={once:d}")
        decode, slots, counts = decoder().decode, places(channels), [0] * job.size
        replies = 1 + job.size

        def on_market_data(transport: Any, frame: Any) -> None:
            message = decode(frame.get_payload_as_memoryview())
            counts[slots[message.__class__, message.base, message.counter]] += 1

        def on_reply(transport: Any, frame: Any) -> None:
            nonlocal replies
            replies -= 1
            if not replies:
                connection[1].on_ws_frame = on_market_data

        connection[1].on_ws_frame = on_reply
        for stream in channels:
            await self.send(connection, stream.watch)
        return counts

    async def echo(self, job: Job) -> Figures:
        from picows import WSMsgType

        from .measure import percentile

        transport, listener = await self.connect(job, "/echo")
        kind, data, clock = WSMsgType.TEXT, b"x" * ECHO_BYTES, time.perf_counter
        times, done = list[float](), asyncio.get_running_loop().create_future()
        warm = clock() + job.seconds * WARM_UP
        end, sent = warm + job.seconds, clock()
        spent = 0.0

        def on_ws_frame(transport: Any, frame: Any) -> None:
            nonlocal sent, spent
            frame.get_payload_as_utf8_text()
            now = clock()
            if now > warm:
                if not times:
                    spent = time.process_time()
                times.append(now - sent)
            if now > end:
                if not done.done():
                    done.set_result(time.process_time())
                return
            sent = clock()
            transport.send(kind, data)

        listener.on_ws_frame = on_ws_frame
        transport.send(kind, data)
        spent = (await done) - spent
        return {
            "p50_us": percentile(times, 0.5) * 1e6,
            "p99_us": percentile(times, 0.99) * 1e6,
            "cpu_us": spent / len(times) * 1e6,
        }


PEERS: tuple[type[Client], ...] = (TrioWebsocket, Websockets, Aiohttp, Picows)
