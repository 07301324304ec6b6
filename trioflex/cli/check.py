"""``trioflex check``: how far one gets with a venue, step by step, each with its time.

It changes nothing: the only thing asked is a question that reads.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import trio
import typer

import trioflex
from trioflex.protocol import Channel, Effect, Request

from . import catalogue
from .garbage import Listener
from .reaching import (
    CaFile,
    Insecure,
    KeyFile,
    Url,
    VenueName,
    Way,
    Wishes,
    find_way,
    reach,
    with_login,
)
from .running import execute
from .spelling import make_channel, spell

STEPS = ("resolve", "tcp", "tls", "upgrade", "welcome", "login", "reply")

MARKETS = {"coinflex": "Ticker:XBT:USDT", "coinfloor": "Ticker:XBT:GBP"}
"""Channels that are asked for where nothing can be asked without a login; every question that
these venues answer to strangers needs a market."""


class Timeline(Listener):
    """Tells each step as it is done, with the seconds it took.

    Args:
        tell: is given the lines.
        login: there are credentials.
    """

    def __init__(self, tell: Callable[[str], object], *, login: bool) -> None:
        super().__init__()
        self._tell = tell
        self._login = login
        self._since = trio.current_time()
        self._done = 0

    def done(self, step: str, note: str = "") -> None:
        """Tell that a step is done; those before it that left no trace are taken to be, too."""
        if STEPS.index(step) < self._done:
            return
        now = trio.current_time()
        self._line(step, f"{(now - self._since) * 1000:9.1f} ms", note)
        self._since = now
        self._done = STEPS.index(step) + 1

    def skip(self, step: str, why: str) -> None:
        """Tell that a step is not needed."""
        self._line(step, f"{'-':>9}   ", why)
        self._done = STEPS.index(step) + 1

    def broke_off(self) -> None:
        """Tell which step it was that went wrong."""
        if self._done < len(STEPS):
            seconds = trio.current_time() - self._since
            self._line(STEPS[self._done], f"{seconds * 1000:9.1f} ms", "FAILED")

    def _line(self, step: str, time: str, note: str) -> None:
        self._tell(f"{step:<8} {time}  {note}".rstrip())

    def connected(self, connection: int, seconds: float) -> None:
        """The WebSocket is open."""
        self.done("upgrade")

    def ready(self, connection: int, account: str | None, seconds: float) -> None:
        """Requests may be sent."""
        if self._done == STEPS.index("welcome"):
            self.skip("welcome", "this venue sends none")
        if self._login:
            self.done("login", f"as {account}" if account else "")
        else:
            self.skip("login", "without credentials")

    async def dial(self, target: trioflex.Target) -> trio.abc.Stream:
        """Open TCP, and TLS where it is due, and tell how long each took.

        Raises:
            OSError: the name has no address, or nobody listens.
            ConnectFailed: TLS failed.

        Cancellation: nothing stays open.
        """
        self._since = trio.current_time()
        parts = urlsplit(target.url)
        host = parts.hostname or ""
        secure = parts.scheme == "wss"
        port = parts.port or (443 if secure else 80)
        found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        self.done("resolve", ", ".join(addresses))
        # With several, Trio tries them staggered; it looks the name up once more for that.
        to = addresses[0] if len(addresses) == 1 else host
        stream = await trio.open_tcp_stream(to, port)
        self.done("tcp", f"port {port}")
        if not secure:
            self.skip("tls", "not encrypted")
            return stream
        return await self._wrap(stream, host, target)

    async def _wrap(
        self, stream: trio.SocketStream, host: str, target: trioflex.Target
    ) -> trio.abc.Stream:
        context = target.ssl_context or ssl.create_default_context()
        secured = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
        try:
            await secured.do_handshake()
        except trio.BrokenResourceError as broken:
            await trio.aclose_forcefully(stream)
            cause = broken.__cause__ or broken
            if isinstance(cause, ssl.SSLCertVerificationError):
                why = f"the certificate of {host} was refused: {cause.verify_message}"
            elif isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
                why = f"{host} does not speak TLS at that port"
            elif isinstance(cause, ssl.SSLError) and cause.reason:
                why = f"the TLS handshake with {host} failed: {cause.reason}"
            else:
                why = f"{host} closed during the TLS handshake"
            raise trioflex.ConnectFailed(f"cannot open {target.url}: {why}") from cause
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        cipher = secured.cipher()
        self.done("tls", f"{secured.version()} {cipher[0]}" if cipher else "")
        return secured

    def tapping(self, connect: trioflex.Connector) -> trioflex.Connector:
        """Return a connector that tells of the first message, too."""

        @asynccontextmanager
        async def connector(target: trioflex.Target, /) -> AsyncIterator[trioflex.Transport]:
            async with connect(target) as transport:
                yield Tapped(transport, self)

        return connector


class Tapped:
    """A transport that tells when the first message has come."""

    def __init__(self, transport: trioflex.Transport, timeline: Timeline) -> None:
        self._transport = transport
        self._timeline = timeline

    @property
    def notify(self) -> Callable[[], None]:
        """The inner transport's."""
        return self._transport.notify

    @notify.setter
    def notify(self, notify: Callable[[], None]) -> None:
        self._transport.notify = notify

    @property
    def read_size(self) -> int:
        """The inner transport's."""
        return self._transport.read_size

    @read_size.setter
    def read_size(self, size: int) -> None:
        self._transport.read_size = size

    @property
    def writes_now(self) -> bool:
        """The inner transport's."""
        return self._transport.writes_now

    async def receive(self) -> list[bytes]:
        """Receive, and tell if it was the first message."""
        messages = await self._transport.receive()
        if messages:
            self._timeline.done("welcome")
        return messages

    async def send(self, messages: Sequence[str]) -> None:
        """Pass it on."""
        await self._transport.send(messages)

    def send_now(self, messages: Sequence[str]) -> bool:
        """Pass it on."""
        return self._transport.send_now(messages)

    def ping(self) -> None:
        """Pass it on."""
        self._transport.ping()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Pass it on."""
        self._transport.close(code, reason)

    def abort(self) -> None:
        """Pass it on."""
        self._transport.abort()

    def statistics(self) -> trioflex.TransportStatistics:
        """Return the inner transport's."""
        return self._transport.statistics()


def question(way: Way) -> Request[Any] | Channel[Any] | None:
    """Return something that a venue can be asked without changing anything, if there is any."""
    for entry in catalogue.requests(way.venue):
        kind = entry.kind
        if (
            issubclass(kind, Request)
            and kind.effect is Effect.READ
            and (way.credentials is not None or not kind.private)
            and not any(argument.required for argument in entry.arguments)
        ):
            try:
                return kind()
            except trioflex.LocalProtocolError:
                continue  # it needs one of several fields
    market = MARKETS.get(way.venue.name)
    return None if market is None else make_channel(way.venue, market)


async def check(
    way: Way, tell: Callable[[str], object], connector: trioflex.Connector | None = None
) -> None:
    """Go as far as one gets, and tell each step.

    Args:
        way: to the venue.
        tell: is given a line for each step.
        connector: instead of the network; the first steps then leave no trace.

    Raises:
        TrioflexError: what went wrong; the step was told.

    Cancellation: the connection is dropped.
    """
    timeline = Timeline(tell, login=way.credentials is not None)
    connect = trioflex.websocket_connector(dial=timeline.dial) if connector is None else connector
    try:
        with timeline.blaming():
            async with reach(
                way,
                observer=timeline,
                connector=timeline.tapping(connect),
                reconnect=trioflex.Reconnect.never(),
            ) as client:
                asked = question(way)
                if asked is None:
                    timeline.skip("reply", "nothing can be asked without a login")
                elif isinstance(asked, Channel):
                    async with client.subscribe(asked):
                        timeline.done("reply", f"to {spell(asked)}")
                else:
                    await client.request(asked)
                    timeline.done("reply", f"to {type(asked).__name__}")
    except (trioflex.TrioflexError, BaseExceptionGroup):
        timeline.broke_off()
        raise


async def check_command(wishes: Wishes) -> None:
    """Check a venue, and print a line for each step.

    Raises:
        LocalProtocolError: something given cannot be right.
        TrioflexError: what went wrong.
    """
    way = with_login(find_way(wishes), wishes, needed=None)
    print(f"{way.venue.name} at {way.shown}", flush=True)

    def tell(line: str) -> None:
        print(line, flush=True)

    await check(way, tell)


def check_venue(
    context: typer.Context,
    venue: VenueName,
    url: Url = None,
    ca_file: CaFile = None,
    insecure: Insecure = False,
    key_file: KeyFile = None,
) -> None:
    """Check step by step whether a venue can be reached; changes nothing."""
    wishes = Wishes(venue=venue, url=url, ca_file=ca_file, insecure=insecure, key_file=key_file)
    execute(context, check_command, wishes)
