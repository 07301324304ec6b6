"""Our connector where memory is not enough: torn writes, every cancellation point, sockets, TLS."""

from __future__ import annotations

import datetime as dt
import errno
import os
import socket
import ssl
import struct
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
import trustme
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, wrap_server_stream

from trioflex import (
    ConnectFailed,
    Disconnected,
    Target,
    trio_websocket_connector,
    websocket_connector,
)
from trioflex._sansio.upgrade import parse_url
from trioflex._shell.streams import default_context, open_socket_stream, wrap_tls
from trioflex.testing import ScriptedPeer, cancellation_sweep, encode_raw_frame, memory_connector

TEXT, CLOSE = 0x1, 0x8
MEMORY = Target(url="ws://venue.example/")
both = pytest.mark.parametrize("via", [websocket_connector, trio_websocket_connector])


# Torn writes


class Narrow(trio.abc.Stream):
    """Lets ``allowed`` bytes out after the upgrade request; then it blocks, or breaks."""

    def __init__(self, stream, allowed, *, breaks):
        self.stream = stream
        self.allowed = allowed
        self.breaks = breaks
        self.upgraded = False

    async def send_all(self, data):
        if not self.upgraded:
            self.upgraded = True
            await self.stream.send_all(data)
            return
        await self.stream.send_all(data[: self.allowed])
        taken = min(self.allowed, len(data))
        self.allowed -= taken
        if taken < len(data):
            if self.breaks:
                raise trio.BrokenResourceError
            await trio.sleep_forever()

    async def wait_send_all_might_not_block(self):
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes=None):
        return await self.stream.receive_some(max_bytes)

    async def aclose(self):
        await self.stream.aclose()


@both
@pytest.mark.parametrize("breaks", [False, True])
async def test_no_byte_follows_half_a_frame(via, breaks, autojump_clock):
    """A send cut after k bytes, for every k: exactly k bytes went, and leaving takes no time."""
    # R10, row 28
    message = "an order"
    whole = 2 + 4 + len(message)
    for allowed in range(whole):
        arrived = bytearray()

        async def serve(stream, arrived=arrived):
            peer = ScriptedPeer(stream)
            await peer.accept()
            while data := await stream.receive_some():
                arrived.extend(data)

        def streams(allowed=allowed):
            client, server = memory_stream_pair()
            return Narrow(client, allowed, breaks=breaks), server

        async with memory_connector(serve, via=via, streams=streams)(MEMORY) as transport:
            if breaks:
                with pytest.raises(Disconnected, match="broke while sending"):
                    await transport.send([message])
            else:
                with trio.move_on_after(10):
                    await transport.send([message])
            began = trio.current_time()
            for more in ([], ["another order"]):
                with pytest.raises(Disconnected):
                    await transport.send(more)
        assert began == trio.current_time()
        assert allowed == len(arrived)


async def test_a_late_pong_to_a_forgotten_ping_is_none_of_ours(autojump_clock):
    """Sixteen pings are remembered, and one Pong answers all that came before it."""
    # row 22

    async def serve(stream):
        peer = ScriptedPeer(stream)
        await peer.accept()
        payloads = [(await peer.receive_frame()).payload for _ in range(20)]
        assert 20 == len(set(payloads))
        for payload in (payloads[3], payloads[10], payloads[9], payloads[19], payloads[19]):
            await trio.sleep(1)
            await peer.send(encode_raw_frame(0xA, payload))

    async with memory_connector(serve)(MEMORY) as transport:
        for _ in range(20):
            transport.ping()
            await transport.send([])
        counted = []
        for _ in range(5):
            assert [] == await transport.receive()
            figures = transport.statistics()
            counted.append((figures.pongs, figures.ping_time))
    assert [(0, None), (1, 2), (1, 2), (2, 4), (2, 4)] == counted


# Cancelled at every step


class Watched(trio.abc.Stream):
    """Knows whether it was closed."""

    def __init__(self, stream):
        self.stream = stream
        self.closed = False

    async def send_all(self, data):
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self):
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes=None):
        return await self.stream.receive_some(max_bytes)

    async def aclose(self):
        self.closed = True
        await self.stream.aclose()


class Scene:
    """A scenario for the sweep: a client's script against a server's, every stream watched."""

    def __init__(self, via, serve, use):
        self.via = via
        self.serve = serve
        self.use = use
        self.streams = []

    async def __call__(self):
        async with trio.open_nursery() as nursery:

            async def dial(target):
                await trio.lowlevel.checkpoint()
                client, server = map(Watched, memory_stream_pair())
                self.streams.append(client)
                nursery.start_soon(self.serve, server)
                return await self.wrap(client)

            await self.use(self.via(dial=dial))
            nursery.cancel_scope.cancel()

    async def wrap(self, client):
        return client

    def left_open(self):
        left = [f"stream {n}" for n, stream in enumerate(self.streams) if not stream.closed]
        self.streams.clear()
        return left


async def echo(stream):
    """Accept, say the first message back, answer the Close."""
    peer = ScriptedPeer(stream)
    with suppress(trio.EndOfChannel, trio.BrokenResourceError):  # the client may drop at any time
        await peer.accept()
        await peer.send_ping(b"?")
        while (frame := await peer.receive_frame()).opcode != CLOSE:
            if frame.opcode == TEXT:
                await peer.send_text(frame.payload.decode())
        await peer.send_close()
    await stream.aclose()


async def refuse(stream):
    """Refuse, with a body that stalls."""
    peer = ScriptedPeer(stream)
    await peer.read_request()
    await peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\nwait")
    await trio.sleep_forever()


async def break_rules(stream):
    """Send rubbish and stay."""
    peer = ScriptedPeer(stream)
    await peer.accept()
    await peer.send(encode_raw_frame(0x3, b"?"))
    await trio.sleep_forever()


async def talk(connector):
    """Connect, talk, close, leave."""
    async with connector(MEMORY) as transport:
        await transport.send(["hello"])
        messages = []
        while not messages:
            messages = await transport.receive()
        transport.ping()
        transport.close()
        await transport.send([])
        with pytest.raises(Disconnected):
            while True:
                await transport.receive()


async def leave(connector):
    """Connect and leave."""
    async with connector(MEMORY):
        pass


async def fail(connector):
    """Try to connect."""
    with pytest.raises(ConnectFailed):
        async with connector(MEMORY):
            pass


@both
@pytest.mark.parametrize(
    ("serve", "use"), [(echo, talk), (echo, leave), (refuse, fail), (break_rules, leave)]
)
def test_cancelled_at_any_step_it_ends_clean_closed_and_quiet(via, serve, use):
    """Connecting, talking, closing, being refused, being lied to."""
    # C9, X3, X4
    scene = Scene(via, serve, use)
    report = cancellation_sweep(scene, left_open=scene.left_open, patience=0)
    assert () == report.faults
    assert report.steps > 10


def test_cancelled_at_any_step_of_tls_it_ends_clean_closed_and_quiet(authority):
    """The handshake's own steps, over memory."""
    # C9
    server_context = serving_as(authority, "venue.example")
    client_context = trusting(authority)

    class Secured(Scene):
        async def wrap(self, client):
            return await wrap_tls(client, parse_url("wss://venue.example/"), client_context)

    async def serve(stream):
        await echo(trio.SSLStream(stream, server_context, server_side=True, https_compatible=True))

    scene = Secured(websocket_connector, serve, talk)
    report = cancellation_sweep(
        scene, left_open=scene.left_open, patience=0, allowed=(trio.BrokenResourceError,)
    )
    assert () == report.faults


# An independent peer


@both
async def test_a_server_of_another_make_understands_us(via, autojump_clock):
    """trio-websocket's server: messages, pings both ways, both ends of closing."""
    closed = []

    async def serve(stream):
        async with trio.open_nursery() as nursery:
            request = await wrap_server_stream(nursery, stream)
            ws = await request.accept()
            try:
                while True:
                    message = await ws.get_message()
                    if message == "ping me":
                        await ws.ping()
                    elif message == "close":
                        await ws.aclose(4321, "as you like")
                    else:
                        await ws.send_message(message * 2)
            except ConnectionClosed as exc:
                closed.append(exc.reason.code)
            nursery.cancel_scope.cancel()

    connector = memory_connector(serve, via=via)
    long = "ü" * 100_000
    async with connector(MEMORY) as transport:
        await transport.send(["a", long])
        messages = []
        while len(messages) < 2:
            messages += await transport.receive()
        assert [b"aa", (long * 2).encode()] == messages
        await transport.send(["ping me"])
        await transport.receive()
        transport.ping()
        await transport.send(["b"])
        while not transport.statistics().pongs or len(messages) < 3:
            messages += await transport.receive()
            await trio.testing.wait_all_tasks_blocked()
    async with connector(MEMORY) as transport:
        await transport.send(["close"])
        with pytest.raises(Disconnected) as caught:
            while True:
                await transport.receive()
        assert (4321, "as you like") == (caught.value.code, caught.value.reason)
    assert 0 == trio.current_time()
    assert 2 == len(closed)
    assert 1000 == closed[0]


# Sockets


@asynccontextmanager
async def listening(handler, context=None):
    """Serve on loopback; yield the port."""

    async def handle(stream):
        try:
            if context is not None:
                stream = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
            await handler(stream)
        except (trio.BrokenResourceError, trio.EndOfChannel):
            pass  # clients go away, that is what these tests are about

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def reset(stream):
    """Close a socket with RST."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


def a_closed_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


async def test_over_tcp_it_opens_talks_and_closes():
    """The whole way, without delay of small packets, ignoring proxies of the environment."""
    # row 35
    async with listening(echo) as port:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "HTTP_PROXY"):
                patch.setenv(name, "http://127.0.0.1:9")
            await talk_over(f"ws://127.0.0.1:{port}/")
        stream = await open_socket_stream(Target(url=f"ws://127.0.0.1:{port}/"))
        async with stream:
            assert stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def talk_over(url, **settings):
    """Echo one message and close, in less than two seconds."""
    with trio.fail_after(2):
        async with websocket_connector()(Target(url=url, **settings)) as transport:
            await transport.send(["hello"])
            messages = []
            while not messages:
                messages = await transport.receive()
            assert [b"hello"] == messages


async def test_over_ipv6_the_host_wears_brackets():
    """Where the machine has IPv6."""
    # row 34
    requests = []

    async def handler(stream):
        requests.append(await ScriptedPeer(stream).read_request())

    try:
        listeners = await trio.open_tcp_listeners(0, host="::1")
    except OSError:
        pytest.skip("no IPv6 on this machine's loopback")
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, handler, listeners)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(ConnectFailed):
            await talk_over(f"ws://[::1]:{port}/")
        nursery.cancel_scope.cancel()
    assert f"\r\nHost: [::1]:{port}\r\n".encode() in requests[0]


@both
async def test_nobody_listens(via):
    """At once, with the operating system's error as cause."""
    # C1
    port = a_closed_port()
    with trio.fail_after(2), pytest.raises(ConnectFailed, match="Connection refused") as caught:
        async with via()(Target(url=f"ws://127.0.0.1:{port}/?token=s3cret")):
            pytest.fail("it opened")
    assert isinstance(caught.value.__cause__, OSError)
    assert not caught.value.final
    assert "s3cret" not in str(caught.value)


async def test_every_address_that_was_tried_is_explained():
    """Names with several addresses fail for several reasons."""

    class Resolver(trio.abc.HostnameResolver):
        async def getaddrinfo(self, host, port, *rest):
            at = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*at, ("127.0.0.1", a_closed_port())), (*at, ("127.0.0.2", a_closed_port()))]

        async def getnameinfo(self, sockaddr, flags):
            raise AssertionError("not asked for")

    trio.socket.set_custom_hostname_resolver(Resolver())
    with trio.fail_after(2), pytest.raises(ConnectFailed) as caught:
        async with websocket_connector()(Target(url="ws://venue.example:1/")):
            pytest.fail("it opened")
    for address in ("127.0.0.1", "127.0.0.2"):
        assert address in str(caught.value)
    assert 2 == str(caught.value).count("Connection refused")


async def test_a_name_that_does_not_resolve():
    """At once, with the resolver's error as cause; a name nobody could look up is final."""
    # C1

    class Resolver(trio.abc.HostnameResolver):
        async def getaddrinfo(self, host, port, *rest):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async def getnameinfo(self, sockaddr, flags):
            raise AssertionError("not asked for")

    trio.socket.set_custom_hostname_resolver(Resolver())
    with pytest.raises(ConnectFailed, match="Name or service not known") as caught:
        async with websocket_connector()(Target(url="ws://venue.example/")):
            pytest.fail("it opened")
    assert isinstance(caught.value.__cause__, socket.gaierror)
    assert not caught.value.final


async def test_a_hundred_failures_leave_nothing_behind():
    """Descriptors and tasks are back to the start."""
    # C10

    async def handler(stream):
        await ScriptedPeer(stream).read_request()
        reset(stream)

    async with listening(handler) as port:
        connector = websocket_connector()
        targets = [
            Target(url=f"ws://127.0.0.1:{port}/"),
            Target(url=f"ws://127.0.0.1:{a_closed_port()}/"),
        ]
        descriptors = tasks = 0
        for n in range(100):
            with pytest.raises(ConnectFailed):
                async with connector(targets[n % 2]):
                    pytest.fail("it opened")
            if n == 3:
                await trio.testing.wait_all_tasks_blocked(0.01)
                descriptors = open_descriptors()
                tasks = trio.lowlevel.current_statistics().tasks_living
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert descriptors == open_descriptors()
        assert tasks == trio.lowlevel.current_statistics().tasks_living


async def test_a_reset_during_the_handshake_is_noticed_at_once():
    """RST instead of an answer."""
    # C3

    async def handler(stream):
        await ScriptedPeer(stream).read_request()
        reset(stream)

    async with listening(handler) as port:
        with (
            trio.fail_after(1),
            pytest.raises(ConnectFailed, match="during the handshake") as caught,
        ):
            async with websocket_connector()(Target(url=f"ws://127.0.0.1:{port}/")):
                pytest.fail("it opened")
    cause = caught.value.__cause__
    assert isinstance(cause, trio.BrokenResourceError)
    assert isinstance(cause.__cause__, OSError)
    assert errno.ECONNRESET == cause.__cause__.errno


@both
async def test_a_reset_is_noticed_at_once_and_what_came_before_is_delivered(via):
    """RST between messages, and inside one."""
    # W1, W2
    for last in (b"", encode_raw_frame(TEXT, b"half", length=20)):
        when = []

        async def handler(stream, last=last, when=when):
            peer = ScriptedPeer(stream)
            await peer.accept()
            await peer.send(encode_raw_frame(TEXT, b"one") + last)
            await peer.receive_text()
            when.append(trio.current_time())
            reset(stream)

        async with listening(handler) as port:
            with trio.fail_after(2):
                async with via()(Target(url=f"ws://127.0.0.1:{port}/")) as transport:
                    messages = []
                    while not messages:
                        messages = await transport.receive()
                    assert [b"one"] == messages
                    await transport.send(["go"])
                    with pytest.raises(Disconnected) as caught:
                        while True:
                            assert [] == await transport.receive()
                    assert trio.current_time() - when[0] < 0.25
                    assert caught.value.code is None
                    left = trio.current_time()
                assert trio.current_time() - left < 0.25


@both
async def test_a_peer_that_stops_reading_blocks_only_its_sender(via):
    """Kernel buffers fill; the caller's timeout breaks the connection, leaving takes no time."""

    # W11, rows 29 and 30
    async def handler(stream):
        await ScriptedPeer(stream).accept()
        await trio.sleep_forever()

    async with listening(handler) as port:
        async with via()(Target(url=f"ws://127.0.0.1:{port}/")) as transport:
            with trio.move_on_after(0.2) as scope:
                while True:
                    await transport.send(["x" * 1_000_000])
            assert scope.cancelled_caught
            with pytest.raises(Disconnected):
                await transport.send(["y"])
            began = trio.current_time()
        assert trio.current_time() - began < 0.5


# TLS


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def serving_as(authority, *names, **options):
    """A server's context with a certificate for these names."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


def trusting(authority):
    """A client's context that trusts this authority only."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_over_tls_it_opens_talks_and_closes(authority):
    """A certificate for the address, from an authority that is trusted."""
    # C7
    context = serving_as(authority, "127.0.0.1")
    async with listening(echo, context) as port:
        await talk_over(f"wss://127.0.0.1:{port}/", ssl_context=trusting(authority))


async def refused_over_tls(via, port, context, host="127.0.0.1"):
    """The error, which comes within a second."""
    with trio.fail_after(1), pytest.raises(ConnectFailed) as caught:
        target = Target(url=f"wss://{host}:{port}/?token=s3cret", ssl_context=context)
        async with via()(target):
            pytest.fail("it opened")
    assert "s3cret" not in str(caught.value)
    return caught.value


@both
@pytest.mark.parametrize("fault", ["wrong host", "expired", "self-signed", "unknown authority"])
async def test_a_certificate_that_cannot_be_trusted_is_named_and_final(via, authority, fault):
    """Within a second, with the reason and the host, and the ssl error as cause."""
    # C7, row 11
    client = trusting(authority)
    default_context()  # reading the trust store is not what is timed here
    server = serving_as(authority, "127.0.0.1")
    words = fault
    if fault == "wrong host":
        server = serving_as(authority, "elsewhere.example")
        words = "IP address mismatch"
    elif fault == "expired":
        then = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
        server = serving_as(authority, "127.0.0.1", not_after=then)
    elif fault == "self-signed":
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        lonely = trustme.CA()
        with lonely.cert_pem.tempfile() as certificate, lonely.private_key_pem.tempfile() as key:
            server.load_cert_chain(certificate, key)
    else:
        client = None
        words = "unable to get local issuer certificate|self-signed certificate"
    async with listening(echo, server) as port:
        error = await refused_over_tls(via, port, client)
    assert error.final
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    assert "the certificate of 127.0.0.1 was refused: " in str(error)
    assert any(word in str(error) for word in words.split("|")), str(error)


@both
async def test_a_port_without_tls_is_named(via, authority):
    """Plain HTTP behind wss://: final, and says what is wrong."""
    # C7

    async def plain(stream):
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(plain) as port:
        error = await refused_over_tls(via, port, trusting(authority))
    assert error.final
    assert f"port {port} of 127.0.0.1 does not speak TLS" in str(error)
    assert isinstance(error.__cause__, ssl.SSLError)


async def test_a_peer_that_goes_away_during_tls_may_come_back(authority):
    """FIN and RST in the TLS handshake are not final."""

    async def hang_up(stream):
        await stream.receive_some()

    async def snap(stream):
        await stream.receive_some()
        reset(stream)

    for handler in (hang_up, snap):
        async with listening(handler) as port:
            error = await refused_over_tls(websocket_connector, port, trusting(authority))
        assert not error.final
        assert "closed during the TLS handshake" in str(error)


@pytest.mark.parametrize(
    ("alert", "name", "final"),
    [
        (40, "HANDSHAKE_FAILURE", True),
        (70, "PROTOCOL_VERSION", True),
        (80, "INTERNAL_ERROR", False),
    ],
)
async def test_a_server_that_refuses_the_handshake_is_quoted(authority, alert, name, final):
    """TLS alerts are final but for the one that a restart of the peer may cure."""
    # C7

    async def refuse(stream):
        await stream.receive_some()
        await stream.send_all(b"\x15\x03\x03\x00\x02\x02" + bytes([alert]))

    async with listening(refuse) as port:
        error = await refused_over_tls(websocket_connector, port, trusting(authority))
    assert final == error.final
    assert "the TLS handshake with 127.0.0.1 failed" in str(error)
    assert name in str(error)
    assert isinstance(error.__cause__, ssl.SSLError)


async def test_a_silent_peer_behind_tls_is_given_up_at_the_deadline(authority):
    """TCP accepted, no ServerHello."""
    # C8

    async def silent(stream):
        await trio.sleep_forever()

    async with listening(silent) as port:
        target = Target(
            url=f"wss://127.0.0.1:{port}/", ssl_context=trusting(authority), connect_timeout=0.3
        )
        began = trio.current_time()
        with pytest.raises(ConnectFailed, match=r"no connection within 0\.3 s"):
            async with websocket_connector()(target):
                pytest.fail("it opened")
        assert 0.3 <= trio.current_time() - began < 0.55


async def test_an_end_without_a_tls_goodbye_is_an_end(authority):
    """TCP ends under TLS: no code, and promptly."""
    # W3

    async def vanish(stream):
        await ScriptedPeer(stream).accept()
        await trio.aclose_forcefully(stream.transport_stream)

    context = serving_as(authority, "127.0.0.1")
    async with listening(vanish, context) as port:
        target = Target(url=f"wss://127.0.0.1:{port}/", ssl_context=trusting(authority))
        with trio.fail_after(2):
            async with websocket_connector()(target) as transport:
                with pytest.raises(Disconnected) as caught:
                    await transport.receive()
                assert caught.value.code is None


async def test_a_context_for_an_unencrypted_url_is_a_mistake():
    """Nobody who gives one expects plain text."""
    target = Target(url="ws://127.0.0.1:9/", ssl_context=ssl.create_default_context())
    with pytest.raises(ConnectFailed, match="unencrypted URL") as caught:
        async with websocket_connector()(target):
            pytest.fail("it opened")
    assert caught.value.final


async def test_a_host_name_that_cannot_be_looked_up_is_final():
    """A label longer than DNS allows."""
    target = Target(url=f"ws://{'a' * 70}.example/")
    with pytest.raises(ConnectFailed, match="cannot be looked up") as caught:
        async with websocket_connector()(target):
            pytest.fail("it opened")
    assert caught.value.final
