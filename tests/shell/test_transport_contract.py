"""What every transport promises, held over each connector against peers that do it no favours.

Each peer is a script on raw frames. Where trio-websocket cannot keep the promise, DIFFERENCES says
so with the reason: an entry that has become wrong fails (strict xfail), and the list in
``docs/explanation/transport.rst`` is this one in words.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
import trustme
from trio.testing import lockstep_stream_pair

from trioflex import (
    ConnectFailed,
    Connector,
    Dial,
    Disconnected,
    LocalProtocolError,
    RemoteProtocolError,
    Target,
    trio_websocket_connector,
    websocket_connector,
)
from trioflex._sansio.upgrade import parse_url
from trioflex._shell.streams import wrap_tls
from trioflex.testing import RawFrame, ScriptedPeer, encode_raw_frame, memory_connector

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

# test -> why trio-websocket cannot do it
DIFFERENCES = {
    "test_a_gigabyte_that_is_announced_is_refused_at_once": "it looks at what came, not at what "
    "is announced",
    "test_broken_rules_are_answered_with_their_close_code": "the peer is told nothing (row 13)",
    "test_empty_fragments_come_to_an_end": "it bounds characters, not fragments (row 26)",
    "test_of_a_flood_the_newest_ping_is_answered_and_send_writes_the_pong": "its reader answers "
    "each Ping itself, at once",
    "test_what_arrives_after_our_close_is_still_delivered": "it throws away what comes after its "
    "own Close",
    "test_the_reply_to_a_close_is_written_on_leaving": "its reader replies at once and closes",
    "test_a_ping_flood_does_not_stop_the_reader": "its reader waits for its own Pongs (row 31)",
    "test_bytes_are_no_signs_of_life": "frames do not show from outside; bytes stand for them",
    "test_a_close_1002_of_the_peer_is_a_close": "a Close 1002 that came and one that it made up "
    "for a broken rule look the same",
    "test_a_ping_is_written_by_send": "it writes them in a task of its own, after send returned",
}
HANGS = {
    "test_a_ping_flood_does_not_stop_the_reader",
    "test_empty_fragments_come_to_an_end",
}
# test -> why it cannot be held over TLS
BARE = {
    "test_a_refusal_by_a_peer_that_does_not_read_is_still_heard": "who does not read does no TLS",
}

Serve = Callable[[ScriptedPeer], Awaitable[object]]


AUTHORITY = trustme.CA()


def trusting() -> ssl.SSLContext:
    """A client's context that trusts the authority of this file only."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def serving() -> ssl.SSLContext:
    """A server's context with a certificate for the venue."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert("venue.example").configure_cert(context)
    return context


TRUSTING, SERVING = trusting(), serving()


def websocket_over_tls(*, dial: Dial | None) -> Connector:
    """Our connector, with our TLS between it and the bytes."""
    assert dial is not None

    async def secured(target: Target) -> trio.abc.Stream:
        return await wrap_tls(await dial(target), parse_url("wss://venue.example/"), TRUSTING)

    return websocket_connector(dial=secured)


@pytest.fixture(params=[websocket_connector, websocket_over_tls, trio_websocket_connector])
def via(request):
    """The connector under test."""
    name = request.function.__name__
    if request.param is trio_websocket_connector and name in DIFFERENCES:
        if name in HANGS:
            pytest.skip(DIFFERENCES[name])
        request.applymarker(pytest.mark.xfail(reason=DIFFERENCES[name], strict=True))
    if request.param is websocket_over_tls and name in BARE:
        pytest.skip(BARE[name])
    return request.param


@pytest.fixture
def connect(via):
    """``connect(script, **limits)`` opens a connection whose peer, upgraded, plays the script."""

    def connect(script: Serve, *, upgraded: bool = True, streams=None, **limits):
        async def serve(stream: trio.abc.Stream) -> None:
            if via is websocket_over_tls:
                stream = trio.SSLStream(stream, SERVING, server_side=True, https_compatible=True)
                await stream.do_handshake()
            peer = ScriptedPeer(stream)
            if upgraded:
                await peer.accept()
            await script(peer)

        options = {} if streams is None else {"streams": streams}
        connector = memory_connector(serve, via=via, **options)
        return connector(Target(url="ws://venue.example/v1?token=s3cret", **limits))

    return connect


async def until_end(transport) -> tuple[list[bytes], Exception]:
    """Receive to the end; return the messages and the error."""
    messages: list[bytes] = []
    while True:
        try:
            messages += await transport.receive()
        except (Disconnected, RemoteProtocolError) as exc:
            return messages, exc


async def quiet(peer: ScriptedPeer) -> None:
    """Say nothing, for ever."""
    await trio.sleep_forever()


# Connecting


async def test_a_silent_peer_is_given_up_at_the_deadline(connect, autojump_clock):
    """TCP accepted, upgrade never answered: exactly the connect timeout."""
    # C2, row 1
    with pytest.raises(ConnectFailed, match="no answer to the WebSocket upgrade within 10 s"):
        async with connect(quiet, upgraded=False):
            pytest.fail("it opened")
    assert 10 == trio.current_time()


async def test_an_end_before_the_answer_is_noticed_at_once(connect, autojump_clock):
    """FIN during the handshake."""
    # C3, row 2

    async def script(peer):
        await peer.read_request()

    with pytest.raises(ConnectFailed, match="closed the connection during the handshake"):
        async with connect(script, upgraded=False):
            pytest.fail("it opened")
    assert 0 == trio.current_time()


async def test_a_refusal_without_a_length_is_known_at_once(connect, autojump_clock):
    """503, some text, FIN."""
    # C4, row 3

    async def script(peer):
        await peer.read_request()
        await peer.send(b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\n\r\ncome back later")

    with pytest.raises(ConnectFailed, match="HTTP 503 Busy") as caught:
        async with connect(script, upgraded=False):
            pytest.fail("it opened")
    error = caught.value
    found = (error.status, error.body, error.retry_after, error.final)
    assert (503, "come back later", 5.0, False) == found
    assert 0 == trio.current_time()


async def test_a_refusal_whose_body_stalls_is_known_within_a_second(connect, autojump_clock):
    """401 with less body than announced."""
    # C4, row 4

    async def script(peer):
        await peer.read_request()
        await peer.send(b"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\nwrong key")
        await trio.sleep_forever()

    with pytest.raises(ConnectFailed, match="HTTP 401 No") as caught:
        async with connect(script, upgraded=False):
            pytest.fail("it opened")
    assert (401, "wrong key", True) == (caught.value.status, caught.value.body, caught.value.final)
    assert 1 == trio.current_time()


async def test_a_refusal_whose_body_never_ends_is_cut(connect, autojump_clock):
    """A drip and a flood; a second and 4 KiB are enough."""
    # C4, row 5

    async def drip(peer):
        await peer.read_request()
        await peer.send(b"HTTP/1.1 403 No\r\n\r\n")
        while True:
            await peer.send(b"x")
            await trio.sleep(0.1)

    async def flood(peer):
        await peer.read_request()
        await peer.send(b"HTTP/1.1 403 No\r\nContent-Length: 8388608\r\n\r\n" + b"x" * 8_388_608)
        await trio.sleep_forever()

    for script, seconds in ((drip, 1), (flood, 0)):
        began = trio.current_time()
        with pytest.raises(ConnectFailed, match="HTTP 403 No") as caught:
            async with connect(script, upgraded=False):
                pytest.fail("it opened")
        assert seconds == trio.current_time() - began
        assert len(caught.value.body) <= 4096


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: bm90IHRoZSByaWdodCBvbmU=\r\n\r\n",
        b"\x15\x03\x01\0\x02\x02\x46",
        b"HTTP/1.1 301 Moved\r\nLocation: ws://evil.example/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \xff\r\n\r\n",
        b"HTTP/1.1 101 X\r\nX: " + b"x" * 100_000,
    ],
)
async def test_every_bad_answer_is_the_same_type_of_error(connect, answer, autojump_clock):
    """Garbage, a wrong token, TLS, a redirect, headers without end."""
    # C4, C5, rows 6 to 9

    async def script(peer):
        await peer.read_request()
        await peer.send(answer)
        await trio.sleep_forever()

    with pytest.raises(ConnectFailed) as caught:
        async with connect(script, upgraded=False):
            pytest.fail("it opened")
    assert "s3cret" not in str(caught.value)
    assert trio.current_time() <= 1


async def test_interim_answers_and_strange_headers_do_no_harm(connect, autojump_clock):
    """103 Early Hints; a header value that is not ASCII."""
    # C5, rows 9 and 10

    async def script(peer):
        await peer.read_request()
        await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await peer.send(peer.acceptance(headers=[b"X-Owner: Jos\xe9"]))
        await peer.send_text("hello")
        await peer.receive_all()

    async with connect(script, upgraded=False) as transport:
        messages: list[bytes] = []
        while not messages:
            messages = await transport.receive()
        assert [b"hello"] == messages


async def test_a_drip_of_an_answer_opens_within_the_deadline_or_not_at_all(connect, autojump_clock):
    """One byte every 10 ms works; one a minute does not."""
    # C6

    def dripping(seconds):
        async def script(peer):
            await peer.read_request()
            for byte in peer.acceptance():
                await peer.send(bytes([byte]))
                await trio.sleep(seconds)
            await peer.receive_all()

        return script

    async with connect(dripping(0.01), upgraded=False, close_timeout=1):
        assert trio.current_time() < 10
    began = trio.current_time()
    with pytest.raises(ConnectFailed):
        async with connect(dripping(60), upgraded=False):
            pytest.fail("it opened")
    assert 10 == trio.current_time() - began


async def test_frames_may_come_with_the_answer(connect, autojump_clock):
    """What follows the 101 in one read is not lost."""

    async def script(peer):
        await peer.accept(trailing=encode_raw_frame(TEXT, b"eager"))
        await peer.receive_all()

    async with connect(script, upgraded=False) as transport:
        messages: list[bytes] = []
        while not messages:
            messages = await transport.receive()
        assert [b"eager"] == messages


async def test_dialling_is_under_the_deadline_and_its_errors_are_ours(via, autojump_clock):
    """A dial that hangs, one that fails, one that breaks."""
    # C1
    refused = ConnectionRefusedError(111, "Connection refused")

    async def hang(target):
        await trio.sleep_forever()

    async def refuse(target):
        raise refused

    async def snap(target):
        raise trio.BrokenResourceError

    target = Target(url="ws://venue.example/?token=s3cret", connect_timeout=3)
    with pytest.raises(ConnectFailed, match="no connection within 3 s"):
        async with via(dial=hang)(target):
            pytest.fail("it opened")
    assert 3 == trio.current_time()
    with pytest.raises(ConnectFailed, match="Connection refused") as caught:
        async with via(dial=refuse)(target):
            pytest.fail("it opened")
    assert refused is caught.value.__cause__
    with pytest.raises(ConnectFailed, match="broke") as caught:
        async with via(dial=snap)(target):
            pytest.fail("it opened")
    assert isinstance(caught.value.__cause__, trio.BrokenResourceError)
    assert not caught.value.final


async def test_a_mistake_or_an_interrupt_while_dialling_comes_out_as_it_is(via, autojump_clock):
    """Only what the network does is a ConnectFailed."""
    for error in (TypeError("a bug"), KeyboardInterrupt()):

        async def dial(target, error=error):
            raise error

        caught = None
        try:
            async with via(dial=dial)(Target(url="ws://venue.example/")):
                pytest.fail("it opened")
        except (TypeError, KeyboardInterrupt) as exc:
            caught = exc
        assert error is caught


async def test_a_refusal_by_a_peer_that_does_not_read_is_still_heard(via, autojump_clock):
    """The request cannot be written, what the peer said can be read; or there is nothing."""
    # C3, row 3

    class Deaf(trio.abc.Stream):
        def __init__(self, answer):
            self.answer = answer

        async def send_all(self, data):
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("the peer does not read")

        async def wait_send_all_might_not_block(self):
            await trio.lowlevel.checkpoint()

        async def receive_some(self, max_bytes=None):
            await trio.lowlevel.checkpoint()
            data, self.answer = self.answer, b""
            return data

        async def aclose(self):
            await trio.lowlevel.checkpoint()

    for answer, status in ((b"HTTP/1.1 503 Busy\r\n\r\nlater", 503), (b"", None)):

        async def dial(target, answer=answer):
            await trio.lowlevel.checkpoint()
            return Deaf(answer)

        with pytest.raises(ConnectFailed) as caught:
            async with via(dial=dial)(Target(url="ws://venue.example/")):
                pytest.fail("it opened")
        assert status == caught.value.status


async def test_a_bad_url_is_refused_before_anybody_is_called(via, autojump_clock):
    """Final, and nothing dialled."""
    called = False

    async def dial(target):
        nonlocal called
        called = True

    with pytest.raises(ConnectFailed) as caught:
        async with via(dial=dial)(Target(url="ws://joe:pa55@venue.example/")):
            pytest.fail("it opened")
    assert caught.value.final
    assert not called


# Messages


async def test_messages_keep_their_order_in_both_directions(connect, autojump_clock):
    """Batches out, batches in."""

    async def script(peer):
        texts = [await peer.receive_text() for _ in range(100)]
        for text in texts:
            await peer.send_text(text.upper())
        await peer.receive_all()

    async with connect(script, close_timeout=1) as transport:
        await transport.send([f"message {n} ü" for n in range(50)])
        await transport.send([f"message {n} ü" for n in range(50, 100)])
        messages: list[bytes] = []
        while len(messages) < 100:
            messages += await transport.receive()
        assert [f"MESSAGE {n} Ü".encode() for n in range(100)] == messages


async def test_a_message_may_come_in_fragments_with_pings_between(connect, autojump_clock):
    """Control frames do not end a message."""

    async def script(peer):
        await peer.send(encode_raw_frame(TEXT, "grö".encode()[:3], fin=False))
        await peer.send_ping(b"?")
        await peer.send(encode_raw_frame(CONT, "grö".encode()[3:], fin=False))
        await peer.send(encode_raw_frame(CONT, "ße".encode()))
        await peer.send_close()

    async with connect(script) as transport:
        messages, _ = await until_end(transport)
        assert ["größe".encode()] == messages


async def test_bytes_may_come_one_at_a_time(connect, autojump_clock):
    """However slowly: the message is whole or it is not there."""
    # M14
    data = encode_raw_frame(TEXT, b"x" * 300) + encode_raw_frame(TEXT, b"y")

    async def script(peer):
        for byte in data:
            await peer.send(bytes([byte]))
            await trio.sleep(1)
        await peer.send_close()

    async with connect(script) as transport:
        messages, _ = await until_end(transport)
        assert [b"x" * 300, b"y"] == messages


async def test_bytes_are_no_signs_of_life(connect, autojump_clock):
    """receive() returns for frames: a peer that drips one byte a minute is silent."""
    # M14, W6

    async def script(peer):
        for byte in encode_raw_frame(TEXT, b"x" * 60):
            await peer.send(bytes([byte]))
            await trio.sleep(60)

    async with connect(script) as transport:
        assert [b"x" * 60] == await transport.receive()
        assert 61 * 60 == trio.current_time()


async def test_control_frames_are_signs_of_life(connect, autojump_clock):
    """receive() returns an empty list for them."""
    # W8

    async def script(peer):
        await trio.sleep(5)
        await peer.send(encode_raw_frame(PONG, b"unasked"))
        await trio.sleep(5)
        await peer.send_ping()
        await trio.sleep_forever()

    async with connect(script) as transport:
        assert [] == await transport.receive()
        assert 5 == trio.current_time()
        assert [] == await transport.receive()
        assert 10 == trio.current_time()
        transport.abort()


async def test_a_binary_message_ends_the_connection_with_1003(connect, autojump_clock):
    """Venue protocols are text."""
    # M3
    seen: list[RawFrame] = []

    async def script(peer):
        await peer.send_text("before")
        await peer.send(encode_raw_frame(BINARY, b"\0\1"))
        seen.extend(await peer.receive_all())

    async with connect(script) as transport:
        messages, error = await until_end(transport)
        assert [b"before"] == messages
        assert isinstance(error, RemoteProtocolError)
        assert 1003 == error.close_code
    assert [RawFrame(CLOSE, b"\x03\xeb")] == [RawFrame(f.opcode, f.payload[:2]) for f in seen]


async def test_a_message_too_large_ends_the_connection_with_1009(connect, autojump_clock):
    """Bytes count, not characters; one byte less passes."""
    # M5, rows 14 and 27
    seen: list[RawFrame] = []

    async def script(peer):
        await peer.send_text("é" * 500)
        await peer.send_text("é" * 500 + "x")
        seen.extend(await peer.receive_all())

    async with connect(script, max_message_bytes=1000) as transport:
        messages, error = await until_end(transport)
        assert ["é".encode() * 500] == messages
        assert isinstance(error, RemoteProtocolError)
        assert 1009 == error.close_code
    assert b"\x03\xf1" == seen[-1].payload[:2]
    assert trio.current_time() <= 3


async def test_a_gigabyte_that_is_announced_is_refused_at_once(connect, autojump_clock):
    """Nothing of it is waited for."""
    # M5

    async def script(peer):
        await peer.send(encode_raw_frame(TEXT, length=1 << 30))
        assert b"\x03\xf1" == (await peer.receive_frame()).payload[:2]

    async with connect(script) as transport:
        with trio.fail_after(1):
            _, error = await until_end(transport)
        assert isinstance(error, RemoteProtocolError)
        assert 1009 == error.close_code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encode_raw_frame(TEXT, b"\xff"), 1007),
        (encode_raw_frame(TEXT, b"x", rsv=4), 1002),
        (encode_raw_frame(0x3), 1002),
        (encode_raw_frame(CONT, b"x"), 1002),
        (encode_raw_frame(TEXT, b"x", mask=b"abcd"), 1002),
        (encode_raw_frame(PING, b"x" * 126), 1002),
        (encode_raw_frame(CLOSE, b"\x03\xee"), 1002),
    ],
)
async def test_broken_rules_are_answered_with_their_close_code(connect, data, code, autojump_clock):
    """Text that is not UTF-8, reserved bits, opcodes, masks, lengths; and leaving is prompt."""
    # M15, row 13
    seen: list[RawFrame] = []

    async def script(peer):
        await peer.send_text("fine")
        await peer.send(data)
        seen.extend(await peer.receive_all())

    async with connect(script) as transport:
        messages, error = await until_end(transport)
        assert [b"fine"] == messages
        assert isinstance(error, RemoteProtocolError)
        assert code == error.close_code
    assert [code] == [int.from_bytes(frame.payload[:2], "big") for frame in seen]
    assert trio.current_time() <= 1


async def test_broken_rules_end_the_connection_and_leaving_is_prompt(connect, autojump_clock):
    """The same, of every transport, whatever it tells the peer."""
    # M15, row 13

    async def script(peer):
        await peer.send(encode_raw_frame(TEXT, b"x", rsv=4))
        await trio.sleep_forever()

    async with connect(script) as transport:
        _, error = await until_end(transport)
        assert isinstance(error, RemoteProtocolError)
        assert 1002 == error.close_code
        with pytest.raises(Disconnected, match="the peer broke the WebSocket protocol"):
            await transport.send(["too late"])
    assert trio.current_time() <= 1


async def test_empty_fragments_come_to_an_end(connect, autojump_clock):
    """A message without bytes and without end is refused by its number of fragments."""
    # M6, row 26

    async def script(peer):
        await peer.send(encode_raw_frame(TEXT, fin=False))
        await peer.send(encode_raw_frame(CONT, fin=False) * 65_537)
        await trio.sleep_forever()

    async with connect(script) as transport:
        with trio.fail_after(1):
            _, error = await until_end(transport)
        assert isinstance(error, RemoteProtocolError)
        assert 1009 == error.close_code


# Pings


async def test_of_a_flood_the_newest_ping_is_answered_and_send_writes_the_pong(
    connect, autojump_clock
):
    """A flood of Pings: one Pong, owed until the next send, asked for by notify."""
    # M8

    async def script(peer):
        await peer.send(b"".join(encode_raw_frame(PING, b"%d" % n) for n in range(100)))
        await trio.sleep(1)
        await peer.send_text("now")
        assert RawFrame(PONG, b"99") == await peer.receive_frame()
        assert RawFrame(TEXT, b"hi") == await peer.receive_frame()
        await peer.receive_frame()

    asked = 0

    def notify():
        nonlocal asked
        asked += 1

    async with connect(script, close_timeout=0.5) as transport:
        transport.notify = notify
        assert [] == await transport.receive()
        assert 1 == asked
        assert 0 == transport.statistics().bytes_out
        assert [b"now"] == await transport.receive()
        await transport.send(["hi"])


async def test_a_ping_of_the_peer_is_answered(connect, autojump_clock):
    """By send at the latest, with what it carried."""
    # W8
    seen: list[RawFrame] = []

    async def script(peer):
        await peer.send_ping(b"are you there?")
        seen.append(await peer.receive_frame())

    async with connect(script, close_timeout=0.5) as transport:
        await transport.receive()
        await transport.send([])
        await trio.testing.wait_all_tasks_blocked()
    assert [RawFrame(PONG, b"are you there?")] == seen


async def test_our_ping_is_timed_by_its_pong(connect, autojump_clock):
    """Exactly, on the clock of the loop; a Pong nobody asked for counts for nothing."""

    async def script(peer):
        await peer.send(encode_raw_frame(PONG, b"unasked"))
        frame = await peer.receive_frame()
        assert PING == frame.opcode
        await trio.sleep(0.25)
        await peer.send(encode_raw_frame(PONG, frame.payload))
        await peer.receive_frame()

    asked = 0

    def notify():
        nonlocal asked
        asked += 1

    async with connect(script, close_timeout=0.5) as transport:
        transport.notify = notify
        await transport.receive()
        transport.ping()
        assert 1 == asked
        await transport.send([])
        while transport.statistics().pongs == 0:
            await transport.receive()
            await trio.testing.wait_all_tasks_blocked()
        figures = transport.statistics()
        assert (1, 1, 0.25) == (figures.pings, figures.pongs, figures.ping_time)


async def test_a_ping_is_written_by_send(connect, autojump_clock):
    """Owed until then, and written before the messages."""

    async def script(peer):
        assert PING == (await peer.receive_frame()).opcode
        assert RawFrame(TEXT, b"hi") == await peer.receive_frame()
        await peer.receive_frame()

    async with connect(script, close_timeout=0.5) as transport:
        transport.ping()
        transport.ping()
        assert 0 == transport.statistics().bytes_out
        await transport.send(["hi"])
        assert 1 == transport.statistics().pings


async def test_pings_without_answers_are_not_remembered_for_ever(connect, autojump_clock):
    """And a late Pong to a forgotten one is no Pong of ours."""
    # row 22

    async def script(peer):
        frames = [await peer.receive_frame() for _ in range(16)]
        await trio.sleep(1)
        await peer.send(encode_raw_frame(PONG, frames[-1].payload))
        await peer.receive_frame()

    async with connect(script, close_timeout=0.5) as transport:
        for _ in range(16):
            transport.ping()
            await transport.send([])
        await trio.testing.wait_all_tasks_blocked()
        await transport.receive()
        await trio.testing.wait_all_tasks_blocked()
        assert 16 == transport.statistics().pings
        assert transport.statistics().pongs >= 1
        assert 1 == transport.statistics().ping_time


async def test_a_ping_flood_does_not_stop_the_reader(connect, autojump_clock):
    """A peer that pings and does not read: messages still come in."""
    # M8, row 31

    async def script(peer):
        async def talk():
            for n in range(50):
                await peer.send_ping(b"x" * 125)
                await peer.send_text(str(n))

        await talk()
        await trio.sleep_forever()

    async with connect(script, streams=lockstep_stream_pair, close_timeout=0.5) as transport:
        messages: list[bytes] = []
        with trio.fail_after(5):
            while len(messages) < 50:
                messages += await transport.receive()
        assert [b"%d" % n for n in range(50)] == messages


# The peer's end


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4000, 4999])
async def test_the_peers_close_code_and_reason_are_told(connect, code, autojump_clock):
    """After the messages that came before it."""
    # W4

    async def script(peer):
        await peer.send_text("last words")
        await peer.send_close(code, "güte")
        await peer.receive_frame()

    async with connect(script) as transport:
        messages, error = await until_end(transport)
        assert [b"last words"] == messages
        assert isinstance(error, Disconnected)
        assert (code, "güte", True) == (error.code, error.reason, error.clean)
        assert str(code) in str(error)
        with pytest.raises(Disconnected) as caught:
            await transport.send(["too late"])
        assert code == caught.value.code
    assert 0 == trio.current_time()


async def test_a_close_1002_of_the_peer_is_a_close(connect, autojump_clock):
    """It says that we broke a rule; that is not the peer breaking one."""
    # W4

    async def script(peer):
        await peer.send_close(1002, "you")
        await peer.receive_all()

    async with connect(script) as transport:
        _, error = await until_end(transport)
        assert isinstance(error, Disconnected)
        assert 1002 == error.code


async def test_a_close_without_a_code_is_told_as_1005(connect, autojump_clock):
    """RFC 6455, 7.1.5."""

    async def script(peer):
        await peer.send_close(None)
        await peer.receive_all()

    async with connect(script) as transport:
        _, error = await until_end(transport)
        assert isinstance(error, Disconnected)
        assert (1005, "", True) == (error.code, error.reason, error.clean)


async def test_the_reply_to_a_close_is_written_on_leaving(connect, autojump_clock):
    """The same code comes back, once, and not before."""
    seen: list[tuple[float, RawFrame]] = []

    async def script(peer):
        await peer.send_close(4001, "bye")
        seen.append((trio.current_time(), await peer.receive_frame()))
        seen[-1] = (trio.current_time(), seen[-1][1])
        assert [] == await peer.receive_all()

    async with connect(script) as transport:
        await until_end(transport)
        await trio.sleep(2)
    assert [(2, CLOSE, b"\x0f\xa1")] == [(at, f.opcode, f.payload[:2]) for at, f in seen]


async def test_a_peer_that_closes_but_leaves_tcp_open_does_not_hold_us(connect, autojump_clock):
    """Gone within three seconds; in fact within one."""
    # W5, row 12

    async def script(peer):
        await peer.send_close(1001)
        await trio.sleep_forever()

    async with connect(script) as transport:
        await until_end(transport)
    assert trio.current_time() <= 1


async def test_an_end_without_a_close_is_told_apart(connect, autojump_clock):
    """FIN: no code, not clean; what came with it is delivered first."""
    # W3

    async def script(peer):
        await peer.send_text("one")
        await peer.send_text("two")

    async with connect(script) as transport:
        messages, error = await until_end(transport)
        assert [b"one", b"two"] == messages
        assert isinstance(error, Disconnected)
        assert (None, "", False) == (error.code, error.reason, error.clean)
        with pytest.raises(Disconnected):
            await transport.send(["too late"])
    assert 0 == trio.current_time()


async def test_half_a_message_is_never_delivered(connect, autojump_clock):
    """An end inside a frame, or between fragments."""
    # W2

    async def inside(peer):
        await peer.send(encode_raw_frame(TEXT, b"half a mess", length=20))

    async def between(peer):
        await peer.send(encode_raw_frame(TEXT, b"half a mess", fin=False))

    for script in (inside, between):
        async with connect(script) as transport:
            messages, error = await until_end(transport)
            assert [] == messages
            assert isinstance(error, Disconnected)
            assert error.code is None


async def test_leaving_with_unread_messages_after_the_end_is_prompt(connect, autojump_clock):
    """Nobody waits in a queue that nobody empties."""
    # row 15

    async def script(peer):
        for n in range(2000):
            await peer.send_text(str(n))

    async with connect(script) as transport:
        await trio.testing.wait_all_tasks_blocked()
        assert transport.statistics().messages_in <= 2000
    assert 0 == trio.current_time()


# Our end


async def test_a_local_close_is_answered(connect, autojump_clock):
    """close(), send, and receive until the peer's Close; nothing may be sent any more."""
    seen: list[RawFrame] = []

    async def script(peer):
        seen.append(await peer.receive_frame())
        await trio.sleep(0.5)
        await peer.send_close(4002, "and thanks")

    asked = 0

    def notify():
        nonlocal asked
        asked += 1

    async with connect(script) as transport:
        transport.notify = notify
        transport.close(4001, "bye")
        transport.close(4003, "not this one")
        assert 1 == asked
        with pytest.raises(Disconnected):
            await transport.send(["not behind a Close"])
        await transport.send([])
        with pytest.raises(Disconnected):
            await transport.send(["not behind a Close"])
        messages, error = await until_end(transport)
        assert [] == messages
        assert isinstance(error, Disconnected)
        assert (4002, "and thanks", True) == (error.code, error.reason, error.clean)
        assert 0.5 == trio.current_time()
    assert [RawFrame(CLOSE, b"\x0f\xa1bye")] == seen


async def test_a_peer_that_vanishes_instead_of_answering_sent_no_code(connect, autojump_clock):
    """Our own code is not taken for the peer's."""
    # row 19

    async def script(peer):
        await peer.receive_frame()

    async with connect(script) as transport:
        transport.close(4001, "bye")
        await transport.send([])
        _, error = await until_end(transport)
        assert isinstance(error, Disconnected)
        assert (None, False) == (error.code, error.clean)


async def test_what_arrives_after_our_close_is_still_delivered(connect, autojump_clock):
    """The peer may finish what it was saying."""
    # X7

    async def script(peer):
        await peer.receive_frame()
        await peer.send_text("one more thing")
        await peer.send_ping()
        await peer.send_close()

    async with connect(script) as transport:
        transport.close()
        await transport.send([])
        messages, error = await until_end(transport)
        assert [b"one more thing"] == messages
        assert isinstance(error, Disconnected)
        assert error.clean


async def test_only_codes_that_may_be_sent_are_accepted(connect, autojump_clock):
    """And the connection goes on."""

    async def script(peer):
        await peer.receive_text()

    async with connect(script, close_timeout=1) as transport:
        for code in (1005, 1006, 999, 2000, 5000):
            with pytest.raises(LocalProtocolError):
                transport.close(code)
        await transport.send(["still open"])


async def test_leaving_closes_politely(connect, autojump_clock):
    """Close 1000 unless said otherwise, the peer's answer, the end."""
    seen: list[RawFrame] = []

    async def script(peer):
        seen.append(await peer.receive_frame())
        await trio.sleep(0.5)
        await peer.send_text("unheard")
        await peer.send_close(1000)

    async with connect(script):
        pass
    assert 0.5 == trio.current_time()
    assert [RawFrame(CLOSE, b"\x03\xe8")] == seen
    async with connect(script) as transport:
        transport.close(4001, "bye")
    assert RawFrame(CLOSE, b"\x0f\xa1bye") == seen[1]


async def test_leaving_a_dead_peer_takes_the_close_timeout_and_no_more(connect, autojump_clock):
    """Exactly, and nobody hears of it."""
    # X6, row 17

    async def deaf(peer):
        await trio.sleep_forever()

    async with connect(deaf, close_timeout=3):
        pass
    assert 3 == trio.current_time()


async def test_leaving_a_peer_that_never_reads_takes_the_close_timeout_and_no_more(
    connect, autojump_clock
):
    """Not even our Close goes out."""
    # X6, row 30
    async with connect(quiet, close_timeout=3, streams=lockstep_stream_pair):
        pass
    assert 3 == trio.current_time()


async def test_a_ping_that_crosses_our_close_does_no_harm(connect, autojump_clock):
    """A clean exit: the code after the block runs."""
    # X7, row 16
    reached = False

    async def script(peer):
        await peer.receive_frame()
        with suppress(trio.BrokenResourceError):  # the client may drop, too
            for _ in range(3):
                await peer.send_ping(b"crossing")
                await trio.sleep(0.1)
            await peer.send_close()

    async with trio.open_nursery():
        async with connect(script):
            pass
        reached = True
    assert reached
    assert trio.current_time() <= 3


async def test_a_cancelled_block_drops_the_connection(connect, autojump_clock):
    """No Close, no time, and the caught scope goes on."""
    # X3, row 18
    seen: list[RawFrame] = []

    async def script(peer):
        seen.extend(await peer.receive_all())

    with trio.move_on_after(1) as scope:
        async with connect(script) as transport:
            while True:
                await transport.receive()
    assert scope.cancelled_caught
    assert 1 == trio.current_time()
    assert [] == seen


async def test_an_aborted_connection_is_dropped(connect, autojump_clock):
    """Nothing more is written."""
    seen: list[RawFrame] = []

    async def script(peer):
        seen.extend(await peer.receive_all())

    async with connect(script) as transport:
        transport.abort()
        with pytest.raises(Disconnected):
            await transport.send(["no"])
    assert 0 == trio.current_time()
    assert [] == seen


async def dead(peer: ScriptedPeer) -> None:
    """Neither read nor write."""
    await trio.sleep_forever()


async def gone(peer: ScriptedPeer) -> None:
    """End the stream."""


async def hostile(peer: ScriptedPeer) -> None:
    """Break a rule and stay."""
    await peer.send(encode_raw_frame(0x3, b"?"))
    await trio.sleep_forever()


async def healthy(peer: ScriptedPeer) -> None:
    """Answer the Close."""
    await peer.receive_frame()
    await peer.send_close()


@pytest.mark.parametrize("script", [healthy, dead, gone, hostile])
async def test_the_blocks_exception_comes_out_as_it_is(connect, script, autojump_clock):
    """The same object, its context untouched, within three seconds; also if it is a group."""
    # X1, X2
    single = KeyError("mine")
    context = ValueError("also mine")
    single.__context__ = context
    group = ExceptionGroup("mine", [ValueError("a"), ExceptionGroup("inner", [OSError("b")])])
    inner = group.exceptions
    for error in (single, group):
        began = trio.current_time()
        try:
            async with connect(script):
                await trio.testing.wait_all_tasks_blocked()
                raise error
        except (KeyError, ExceptionGroup) as exc:
            caught = exc
        assert error is caught
        assert trio.current_time() - began <= 3
    assert context is single.__context__
    assert single.__cause__ is None
    assert inner is group.exceptions


async def test_a_cancellation_while_leaving_does_not_hide_the_blocks_exception(
    connect, autojump_clock
):
    """The error says more; the same object comes out."""
    # X1
    error = KeyError("mine")
    caught = None
    with trio.move_on_after(1) as scope:
        try:
            async with connect(dead):
                raise error
        except KeyError as exc:
            caught = exc
    assert error is caught
    assert not scope.cancelled_caught
    assert 1 == trio.current_time()


async def test_after_leaving_it_is_closed(connect, autojump_clock):
    """Trio's own error for using what one closed."""
    async with connect(healthy) as transport:
        pass
    with pytest.raises(trio.ClosedResourceError):
        await transport.send(["x"])
    with pytest.raises(trio.ClosedResourceError):
        await transport.receive()


# Sending


async def test_a_send_that_is_cut_off_leaves_the_connection_broken(connect, autojump_clock):
    """Nothing follows, leaving takes no time."""
    # W11, R10, rows 28 to 30
    async with connect(quiet, streams=lockstep_stream_pair) as transport:
        with trio.move_on_after(10) as scope:
            await transport.send(["stuck"])
        assert scope.cancelled_caught
        with pytest.raises(Disconnected):
            await transport.send(["not behind half a frame"])
        with pytest.raises(Disconnected):
            await transport.send([])
    assert 10 == trio.current_time()


async def test_two_tasks_may_not_send_at_once(connect, autojump_clock):
    """Trio's rule for streams."""
    async with connect(quiet, streams=lockstep_stream_pair) as transport:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.send, ["stuck"])
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await transport.send(["me too"])
            nursery.cancel_scope.cancel()


async def test_text_that_cannot_be_sent_changes_nothing(connect, autojump_clock):
    """What is owed is still owed, what is fine is still sent."""

    async def script(peer):
        await peer.send_ping(b"?")
        frames = [await peer.receive_frame(), await peer.receive_frame()]
        assert [RawFrame(PONG, b"?"), RawFrame(TEXT, b"fine")] == frames
        await healthy(peer)

    async with connect(script) as transport:
        await transport.receive()
        with pytest.raises(LocalProtocolError, match="not valid Unicode"):
            await transport.send(["fine", "\ud800"])
        await transport.send(["fine"])


async def test_receive_and_send_are_checkpoints(connect, autojump_clock):
    """Also where there is nothing to wait for."""

    async def script(peer):
        await peer.send_text("hello")
        await peer.receive_all()

    async with connect(script, close_timeout=1) as transport:
        await trio.testing.wait_all_tasks_blocked()
        with trio.testing.assert_checkpoints():
            await transport.receive()
        with trio.testing.assert_checkpoints():
            await transport.send([])
        with trio.testing.assert_checkpoints():
            await transport.send(["x"])


async def test_a_cancelled_receive_loses_nothing(connect, autojump_clock):
    """Whatever had come, the next receive returns."""

    async def script(peer):
        await peer.send(encode_raw_frame(TEXT, b"hello")[:4])
        await trio.sleep(2)
        await peer.send(encode_raw_frame(TEXT, b"hello")[4:])
        await peer.send_close()

    async with connect(script) as transport:
        messages: list[bytes] = []
        for _ in range(3):
            with trio.move_on_after(0.5):
                while True:
                    messages += await transport.receive()
        assert [] == messages
        messages, _ = await until_end(transport)
        assert [b"hello"] == messages


async def test_statistics_count_what_went_over_the_wire(connect, autojump_clock):
    """Framing included, the upgrade not."""

    async def script(peer):
        for _ in range(2):
            await peer.receive_text()
        await peer.send_text("four")
        await healthy(peer)

    async with connect(script) as transport:
        await transport.send(["one", "two"])
        messages: list[bytes] = []
        while not messages:
            messages = await transport.receive()
        figures = transport.statistics()
        assert (1, 2 + 4) == (figures.messages_in, figures.bytes_in)
        assert (2, 2 * (2 + 4 + 3)) == (figures.messages_out, figures.bytes_out)
        assert (0, 0, None) == (figures.pings, figures.pongs, figures.ping_time)
