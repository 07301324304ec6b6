"""TLS of our own over any byte stream: whole reads, both directions, and every way to fail."""

from __future__ import annotations

import functools
import random
import ssl

import pytest
import trio
import trustme
from trio.testing import check_two_way_stream, lockstep_stream_pair, memory_stream_pair

from trioflex import Disconnected, Target, websocket_connector
from trioflex._sansio.upgrade import parse_url
from trioflex._shell.streams import wrap_tls
from trioflex._shell.tls import RECORD, TlsStream
from trioflex.testing import ScriptedPeer

NAME = "venue.example"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority):
    """A client's context, with a certificate of its own for those who ask."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    authority.issue_cert("client.example").configure_cert(context)
    context.post_handshake_auth = True
    return context


@pytest.fixture(scope="module")
def serving(authority):
    """``serving(kind)``: a server's context, "curious" of who the client is, or not."""
    certificate = authority.issue_cert(NAME)

    @functools.cache
    def serving(kind="", version=ssl.TLSVersion.MAXIMUM_SUPPORTED):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        context.maximum_version = version
        if kind == "curious":
            authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
            context.post_handshake_auth = True
        return context

    return serving


class Server:
    """The other end: OpenSSL by hand, so that each byte of it is at the test's disposal."""

    def __init__(self, stream, context):
        self.stream = stream
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    async def do_handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self.flush()
                self.incoming.write(await self.stream.receive_some())
        await self.flush()

    async def flush(self):
        if self.outgoing.pending:
            await self.stream.send_all(self.outgoing.read())

    def records(self, *texts):
        """Each text as a record of its own, as it goes over the wire."""
        for text in texts:
            self.tls.write(text)
        return self.outgoing.read()

    async def send(self, *texts):
        """All of them in one write."""
        await self.stream.send_all(self.records(*texts))

    def read(self):
        """What is here of plain text; ``None``: nothing yet; an empty text: the goodbye."""
        try:
            return self.tls.read(RECORD)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""

    async def receive(self):
        while (text := self.read()) is None:
            data = await self.stream.receive_some()
            if not data:
                return "cut off"
            self.incoming.write(data)
        return text

    def say_goodbye(self):
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()


@pytest.fixture
def pair(trusting, serving):
    """``await pair()``: both ends after the handshake."""

    async def pair(streams=memory_stream_pair, **wanted):
        left, right = streams()
        client, server = TlsStream(left, trusting, NAME), Server(right, serving(**wanted))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.do_handshake)
            nursery.start_soon(server.do_handshake)
        return client, server

    return pair


# In


async def test_all_records_of_one_read_come_at_once(pair):
    """However they are cut."""
    client, server = await pair()
    texts = [b"a" * n for n in (1, 200, RECORD, 17, 3 * RECORD)]
    for text in texts:
        while text:
            server.tls.write(text[:RECORD])
            text = text[RECORD:]
    await server.flush()
    assert b"".join(texts) == await client.receive_some(1 << 18)


async def test_records_cut_anywhere_are_the_same_text(pair):
    """Byte by byte, and in random pieces."""
    client, server = await pair()
    wire = server.records(b"one", b"", b"two" * 100, b"three")
    whole = b"one" + b"two" * 100 + b"three"
    dice = random.Random(7)
    for cut in (lambda: 1, lambda: dice.randint(1, 60)):
        got = b""
        rest = wire
        async with trio.open_nursery() as nursery:

            async def drip(rest=rest, cut=cut):
                while rest:
                    size = cut()
                    await server.stream.send_all(rest[:size])
                    await trio.testing.wait_all_tasks_blocked()
                    rest = rest[size:]

            nursery.start_soon(drip)
            while len(got) < len(whole):
                got += await client.receive_some()
        assert whole == got
        wire = server.records(b"one", b"", b"two" * 100, b"three")


async def test_never_more_than_asked_for_and_the_rest_later(pair):
    """Whatever the bound, down to a byte; each call is a checkpoint."""
    client, server = await pair()
    await server.send(b"abc", b"defg", b"h")
    got = []
    for most in (2, 1, 3, 5):
        with trio.testing.assert_checkpoints():
            got.append(await client.receive_some(most))
    assert [b"ab", b"c", b"def", b"gh"] == got
    await server.send(b"i")
    assert b"i" == await client.receive_some(5)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_goodbye_is_an_end_after_what_came_before(pair, version):
    """It stays one, and what is to be said can be said all the same."""
    client, server = await pair(version=version)
    server.tls.write(b"last words")
    server.say_goodbye()
    await server.flush()
    assert [b"last words", b"", b""] == [await client.receive_some() for _ in range(3)]
    await client.send_all(b"so long")
    server.incoming.write(await server.stream.receive_some())
    assert b"so long" == server.read()


async def test_an_end_without_a_goodbye_is_one_too(pair):
    """After what came before it."""
    client, server = await pair()
    await server.send(b"last words")
    await server.stream.aclose()
    assert [b"last words", b"", b""] == [await client.receive_some() for _ in range(3)]


async def test_half_a_record_at_the_end_is_none(pair):
    """Nobody gets to see what was not vouched for."""
    client, server = await pair()
    await server.stream.send_all(server.records(b"whole", b"half")[:-1])
    await server.stream.aclose()
    assert [b"whole", b""] == [await client.receive_some() for _ in range(2)]


async def test_what_came_before_a_forged_record_is_delivered(pair):
    """Then the stream is broken, and says why."""
    client, server = await pair()
    wire = bytearray(server.records(b"true", b"forged"))
    wire[-1] ^= 1
    await server.stream.send_all(wire)
    assert b"true" == await client.receive_some()
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError) as caught:
            await client.receive_some()
        assert isinstance(caught.value.__cause__, ssl.SSLError)


async def test_a_cancelled_receive_loses_nothing(pair, autojump_clock):
    """Half a record is there already."""
    client, server = await pair()
    wire = server.records(b"all of it")
    await server.stream.send_all(wire[:-4])
    with trio.move_on_after(1) as scope:
        await client.receive_some()
    assert scope.cancelled_caught
    await server.stream.send_all(wire[-4:])
    assert b"all of it" == await client.receive_some()


# Out


class Recorder(trio.abc.Stream):
    """Keeps what is written, piece by piece."""

    def __init__(self, stream):
        self.stream = stream
        self.pieces = []

    async def send_all(self, data):
        self.pieces.append(len(data))
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self):
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes=None):
        return await self.stream.receive_some(max_bytes)

    async def aclose(self):
        await self.stream.aclose()


async def test_what_is_sent_at_once_is_written_at_once(pair):
    """Several records, one write."""

    def streams():
        client, server = memory_stream_pair()
        return Recorder(client), server

    client, server = await pair(streams)
    pieces = client.transport_stream.pieces
    pieces.clear()
    for data in (b"x" * 100_000, memoryview(b"y" * 40_000), bytearray(b"z"), b""):
        await client.send_all(data)
    assert [True, True, True] == [size > 0 for size in pieces]
    server.incoming.write(await server.stream.receive_some())
    got = b""
    while (text := server.read()) is not None:
        got += text
    assert b"x" * 100_000 + b"y" * 40_000 + b"z" == got


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_after_our_goodbye_we_still_listen(pair, version):
    """Half-close, even with something unread; the peer sees a goodbye, no cut."""
    client, server = await pair(version=version)
    await server.send(b"crossing")
    await client.send_eof()
    assert b"" == await server.receive()
    await server.send(b"answer")
    assert b"crossinganswer" == await client.receive_some()
    server.tls.unwrap()
    await server.flush()
    assert b"" == await client.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await client.send_all(b"more")


async def test_nothing_follows_a_write_that_was_cut_short(pair, autojump_clock):
    """A torn record would swallow it."""
    client, _ = await pair(lockstep_stream_pair, version=ssl.TLSVersion.TLSv1_2)
    with trio.move_on_after(1) as scope:
        await client.send_all(b"never read")
    assert scope.cancelled_caught
    for again in (client.send_all(b"more"), client.send_eof()):
        with pytest.raises(trio.BrokenResourceError, match="cut short"):
            await again


async def test_a_closed_stream_says_so(pair):
    """To readers and writers, later and already waiting."""
    client, _ = await pair()
    await client.aclose()
    for use in (
        client.receive_some,
        client.send_eof,
        client.wait_send_all_might_not_block,
        lambda: client.send_all(b"x"),
    ):
        with pytest.raises(trio.ClosedResourceError):
            await use()


# What TLS itself owes


class Held(Recorder):
    """Lets nothing out while it is held."""

    def __init__(self, stream):
        super().__init__(stream)
        self.open = trio.Event()
        self.open.set()

    async def send_all(self, data):
        await self.open.wait()
        await super().send_all(data)


@pytest.fixture
async def curious(pair):
    """Both ends; behind the handshake the server has asked for a certificate, and who we are."""

    def streams():
        client, server = memory_stream_pair()
        return Held(client), server

    client, server = await pair(streams, kind="curious")
    server.tls.verify_client_post_handshake()
    assert server.read() is None
    await server.send(b"who are you?")
    return client, server


async def test_the_reader_writes_what_tls_owes(curious):
    """Nothing else has to be sent for it; a cancellation then loses no text."""
    client, server = curious
    assert b"who are you?" == await client.receive_some()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.receive_some)
        server.incoming.write(await server.stream.receive_some())
        assert server.read() is None
        assert server.tls.getpeercert()
        nursery.cancel_scope.cancel()


async def test_a_writer_waits_for_what_the_reader_writes(curious, autojump_clock):
    """In the order in which it was encrypted."""
    client, server = curious
    assert b"who are you?" == await client.receive_some()
    client.transport_stream.open = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.receive_some)
        await trio.sleep(1)
        nursery.start_soon(client.send_all, b"it is me")
        await trio.sleep(1)
        client.transport_stream.open.set()
        assert b"it is me" == await server.receive()
        assert server.tls.getpeercert()
        nursery.cancel_scope.cancel()


async def test_a_writer_takes_along_what_reading_made_tls_owe(curious, autojump_clock):
    """The reader does not write between two halves of its write."""
    client, server = curious
    client.transport_stream.open = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, b"hello")
        await trio.sleep(1)
        assert b"who are you?" == await client.receive_some()
        nursery.start_soon(client.receive_some)
        await trio.sleep(1)
        client.transport_stream.open.set()
        assert b"hello" == await server.receive()
        await trio.sleep(1)
        assert server.read() is None
        server.incoming.write(await server.stream.receive_some())
        assert server.read() is None
        assert server.tls.getpeercert()
        nursery.cancel_scope.cancel()


async def test_a_reader_cancelled_in_what_it_writes_spoils_writing(curious, autojump_clock):
    """The record may be torn."""
    client, _ = curious
    assert b"who are you?" == await client.receive_some()
    client.transport_stream.open = trio.Event()
    with trio.move_on_after(1) as scope:
        await client.receive_some()
    assert scope.cancelled_caught
    with pytest.raises(trio.BrokenResourceError, match="cut short"):
        await client.send_all(b"it is me")


# The rules of trio's streams


async def test_it_keeps_the_rules_of_streams(trusting, serving):
    """Trio's own suite for them, with Trio's own TLS at the other end."""

    def pair_maker(streams):
        async def make():
            left, right = streams()
            client = TlsStream(left, trusting, NAME)
            server = trio.SSLStream(right, serving(), server_side=True, https_compatible=True)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.do_handshake)
                nursery.start_soon(server.do_handshake)
            return client, server

        return make

    await check_two_way_stream(pair_maker(memory_stream_pair), pair_maker(lockstep_stream_pair))


async def test_leaving_a_websocket_ends_with_a_goodbye(trusting, serving, autojump_clock):
    """The peer can tell our end from a cut."""
    # C7
    ends = []

    async def serve(stream):
        secured = trio.SSLStream(stream, serving(), server_side=True)  # a cut would be an error
        peer = ScriptedPeer(secured)
        await peer.accept()
        await peer.receive_frame()
        await peer.send_close()
        ends.append(await secured.receive_some())

    client, server = memory_stream_pair()

    async def dial(target):
        return await wrap_tls(client, parse_url(target.url), trusting)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, server)
        async with websocket_connector(dial=dial)(Target(url=f"wss://{NAME}/")) as transport:
            transport.close()
            await transport.send([])
            with pytest.raises(Disconnected):
                await transport.receive()
    assert [b""] == ends
