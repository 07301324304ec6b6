"""The server against clients that behave, that do not, and that vanish."""

from __future__ import annotations

import os
import random
import ssl
import struct
from collections.abc import Callable

import pytest
import trio
import trio.lowlevel
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from tests.simulator.echo import EchoModel, ask
from tests.simulator.test_upgrade import head
from trioflex import ConnectFailed, websocket_connector
from trioflex._shell.transport import Disconnected, Target, Transport
from trioflex.simulator import (
    ServerAddress,
    SimulatedExchange,
    open_certificates,
    open_server,
    serve,
)
from trioflex.simulator.hosting import host_stream

connect = websocket_connector()


def frame(payload: bytes, *, opcode: int = 1, final: bool = True, masked: bool = True) -> bytes:
    """Return a client's frame with a payload below 64 KiB."""
    first = opcode | (0x80 if final else 0)
    length, mask_bit = len(payload), 0x80 if masked else 0
    header = (
        bytes([first, mask_bit | length])
        if length < 126
        else bytes([first, mask_bit | 126]) + struct.pack("!H", length)
    )
    # A mask of zeros leaves the payload as it is.
    return header + (bytes(4) if masked else b"") + payload


CLOSE = frame(struct.pack("!H", 1000), opcode=8)
STEPS = (
    head(),
    frame(ask(1).encode()),
    frame(b"are you there", opcode=9),
    frame(ask(2, "Shout").encode()[:10], final=False)
    + frame(ask(2, "Shout").encode()[10:], opcode=0),
    CLOSE,
)
CONVERSATION = b"".join(STEPS)


async def echoes(transport: Transport, n: int) -> None:
    """Make sure that the exchange serves this client."""
    await transport.send([ask(n)])
    messages: list[bytes] = []
    with trio.fail_after(5):
        while f'["echo",{n}]'.encode() not in messages:
            messages += await transport.receive()


# -- over streams in memory: every cut, every kind of rubbish ----------------------------------


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody announces, over sockets."""
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.01)


async def tell(exchange: SimulatedExchange, *said: bytes, ends: bool = True) -> bytes:
    """Say something on a fresh connection, a piece at a time, and return the whole answer."""
    near, far = memory_stream_pair()
    answer = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host_stream, exchange, far)
        try:
            for piece in said:
                await near.send_all(piece)
                await wait_all_tasks_blocked()
            if ends:
                await near.send_eof()
        except trio.BrokenResourceError:
            pass  # it has heard enough
        async for data in near:
            answer += data
        await near.aclose()
    return answer


async def test_a_whole_conversation_in_raw_bytes(exchange, model, autojump_clock):
    """Fragments, a Ping, a Close: all answered."""
    answer = await tell(exchange, *STEPS)
    assert answer.startswith(b"HTTP/1.1 101 ")
    _, _, frames = answer.partition(b"\r\n\r\n")
    for said in (b'["welcome"]', b'["echo",1]', b'["echo",2]', b"\x8a\x0dare you there"):
        assert said in frames
    assert frames.endswith(b"\x88\x02\x03\xe8")
    assert ([1, 2], []) == (model.executed, model.peers)


async def test_frames_may_come_along_with_the_request(exchange, model, autojump_clock):
    """Whoever says everything in one breath is obeyed, and hears nothing after its Close."""
    answer = await tell(exchange, CONVERSATION)
    assert answer.endswith(b"\x88\x02\x03\xe8")
    assert ([1, 2], []) == (model.executed, model.peers)


async def test_a_client_may_vanish_at_any_byte(exchange, model, autojump_clock):
    """Whatever was said until then, its connection ends, and its state is gone. # T1 T2"""
    for cut in range(len(CONVERSATION)):
        await tell(exchange, CONVERSATION[:cut])
        assert [] == model.peers
    statistics = exchange.statistics()
    assert (0, 0) == (statistics.open, statistics.failed)
    assert len(CONVERSATION) - len(head()) == statistics.connections


async def test_a_silent_client_is_given_up(exchange, autojump_clock):
    """At any byte of the request, after ten seconds. # T1"""
    for cut in (0, 1, 20, len(head()) - 1):
        start = trio.current_time()
        answer = await tell(exchange, head()[:cut], ends=False)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert 10.0 == pytest.approx(trio.current_time() - start)


@pytest.mark.parametrize("seed", range(100))
async def test_rubbish_ends_one_connection_only(exchange, model, seed, autojump_clock):
    """Random bytes instead of frames, and frames that were tampered with. # T1"""
    chance = random.Random(seed)
    rubbish = bytearray(CONVERSATION[len(head()) :] * 3)
    for _ in range(chance.randint(1, 8)):
        rubbish[chance.randrange(len(rubbish))] = chance.randrange(256)
    for said in (bytes(rubbish), chance.randbytes(200), head() + chance.randbytes(200)):
        answer = await tell(exchange, said)
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 101")) or answer == b""
    await tell(exchange, head() + bytes(rubbish))
    assert [] == model.peers
    assert 0 == exchange.statistics().open


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 426),
        (head("POST / HTTP/1.1"), 405),
        (head(X="é"), 400),
        (head(X="x" * 20_000), 431),
        (b"x" * 131_072, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n", 400),
    ],
)
async def test_bad_requests_are_answered(exchange, said, status, autojump_clock):
    """With a status, and counted. # T1"""
    answer = await tell(exchange, said)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert (1, 0) == (exchange.statistics().refused, exchange.statistics().connections)


@pytest.mark.parametrize(
    "broken", [frame(b"\xff\xfe"), frame(b"not masked", masked=False), frame(b"", opcode=3)]
)
async def test_frames_that_break_the_protocol_end_the_connection(
    exchange, model, broken, autojump_clock
):
    """What was right before them is answered. # T1"""
    answer = await tell(exchange, head(), frame(ask(1).encode()), broken, frame(ask(2).encode()))
    assert b'["echo",1]' in answer
    assert ([1], [], 0) == (model.executed, model.peers, exchange.statistics().open)


async def test_binary_messages_are_refused(exchange, model, autojump_clock):
    """Venues speak text."""
    answer = await tell(exchange, head(), frame(b"binary", opcode=2), CLOSE)
    assert answer.endswith(struct.pack("!H", 1003) + b"text messages only")
    assert [] == model.peers


async def test_a_message_that_is_too_large_is_refused(exchange, model, autojump_clock):
    """64 KiB are enough for any command."""
    half = b"x" * 40_000
    large = frame(half, final=False) + frame(half, opcode=0)
    answer = await tell(exchange, head(), large, CLOSE)
    assert struct.pack("!H", 1009) in answer
    assert [] == model.peers


async def test_a_ping_that_crosses_a_close_is_harmless(exchange, model, autojump_clock):
    """trio-websocket stumbles over it; the connection ends, nothing else does. # T1"""
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host_stream, exchange, far)
        await near.send_all(head())
        await wait_all_tasks_blocked()
        exchange.close(1001, "bye")
        await wait_all_tasks_blocked()
        await near.send_all(frame(b"are you there", opcode=9))
        answer = b"".join([data async for data in near])
        await near.aclose()
    assert struct.pack("!H", 1001) + b"bye" in answer
    assert ([], 0) == (model.peers, exchange.statistics().failed)


async def test_a_client_that_never_answers_a_close_is_dropped(exchange, model, autojump_clock):
    """After three seconds."""
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host_stream, exchange, far)
        await near.send_all(head())
        await wait_all_tasks_blocked()
        exchange.close(1001)
        await wait_all_tasks_blocked()
        assert 1 == len(model.peers)
        assert b"HTTP/1.1 101" in b"".join([data async for data in near])
    assert ([], 3.0) == (model.peers, trio.current_time())


async def test_nothing_is_queued_behind_a_close(exchange, model, autojump_clock):
    """What is pushed after it is not sent."""
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host_stream, exchange, far)
        await near.send_all(head())
        await wait_all_tasks_blocked()
        exchange.push("before")
        exchange.close(1001)
        await wait_all_tasks_blocked()
        exchange.push("after")
        exchange.ping()
        await near.send_all(CLOSE)
        answer = b"".join([data async for data in near])
    assert (True, False) == (b"before" in answer, b"after" in answer)


async def test_an_error_of_the_model_is_raised_in_memory(model, autojump_clock):
    """Tests must hear of it."""
    exchange = SimulatedExchange(model)
    with pytest.raises(KeyError, match="bug"):
        async with exchange.byte_connector(Target(url="ws://echo.test/")) as transport:
            await transport.send([ask(1, "Crash")])
            await trio.sleep_forever()


async def test_hosting_ends_when_it_is_cancelled(exchange, model, autojump_clock):
    """The client is dropped, the peer told."""
    near, far = memory_stream_pair()
    with trio.move_on_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(host_stream, exchange, far)
            await near.send_all(head())
            await wait_all_tasks_blocked()
            assert 1 == len(model.peers)
            await trio.sleep_forever()
    assert [] == model.peers
    while await near.receive_some():
        pass


# -- over sockets ------------------------------------------------------------------------------


async def test_a_server_serves_many_clients(exchange):
    """Its address is told when it is ready."""
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, exchange)
        assert isinstance(address, ServerAddress)
        assert ("127.0.0.1", f"ws://127.0.0.1:{address.port}") == (address.host, address.url)
        target = Target(url=address.url)
        async with connect(target) as first, connect(target) as second:
            await echoes(first, 1)
            await echoes(second, 2)
        nursery.cancel_scope.cancel()


async def test_hostile_clients_are_not_felt_by_others(exchange):
    """Garbage, a plain GET, a non-ASCII header, a huge one, resets at many places. # T1"""
    attacks = [
        os.urandom(500) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        head(X="é"),
        head(X="x" * 200_000),
        head() + frame(b"\xff\xff\xff"),
        head() + b"\xff" * 100,
        *(CONVERSATION[:cut] for cut in range(0, len(CONVERSATION), 25)),
    ]
    async with open_server(exchange) as address, connect(Target(url=address.url)) as witness:
        for n, attack in enumerate(attacks):
            stream = await trio.open_tcp_stream(address.host, address.port)
            try:
                await stream.send_all(attack)
            except trio.BrokenResourceError:
                assert len(attack) > 16_384  # answered before all of it had arrived
            if n % 2:
                # RST instead of FIN.
                stream.setsockopt(
                    trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, bytes([1] + [0] * 7)
                )
            await trio.aclose_forcefully(stream)
            await echoes(witness, n)
        assert 0 == exchange.statistics().failed


async def test_a_drop_is_a_reset(exchange):
    """Not a FIN, where there is TCP. # W1"""
    async with open_server(exchange) as address:
        stream = await trio.open_tcp_stream(address.host, address.port)
        async with stream:
            await stream.send_all(head())
            await exchange.seen("*", 0)
            with trio.fail_after(5):
                received = b""
                while b"welcome" not in received:
                    received += await stream.receive_some()
                exchange.drop()
                with pytest.raises(trio.BrokenResourceError) as caught:
                    while await stream.receive_some():
                        pass
        assert isinstance(caught.value.__cause__, ConnectionResetError)


async def test_a_drop_within_a_frame(exchange):
    """The client of whole messages never sees the half one. # W2"""
    async with open_server(exchange) as address, connect(Target(url=address.url)) as transport:
        with trio.fail_after(5):
            assert [b'["welcome"]'] == await transport.receive()
            exchange.drop(mid_frame=True)
            with pytest.raises(Disconnected) as caught:
                while True:
                    assert [] == await transport.receive()
    assert None is caught.value.code


async def test_a_slow_reader_is_dropped(model):
    """When what waits for it grows beyond the bound; it is counted, others are served."""
    exchange = SimulatedExchange(model, max_queued_bytes=100_000)
    async with open_server(exchange) as address:
        stream = await trio.open_tcp_stream(address.host, address.port)
        # A small window, or the kernel swallows megabytes before anybody is slow.
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
        async with stream, connect(Target(url=address.url)) as witness:
            await stream.send_all(head())
            await until(lambda: exchange.open_connections == (1, 2))
            with trio.fail_after(5):
                slow = 2 if b"welcome" in b"".join(await witness.receive()) else 1
                with pytest.raises(ValueError, match="not open"):
                    while True:
                        exchange.push("x" * 50_000, slow)
                        await trio.lowlevel.checkpoint()
            await echoes(witness, 1)
    assert 1 == exchange.statistics().dropped_slow


async def test_too_many_connections_are_refused(exchange):
    """With a status; when one has left there is room again."""
    async with open_server(exchange, max_connections=1) as address:
        target = Target(url=address.url)
        async with connect(target) as transport:
            await echoes(transport, 1)
            with pytest.raises(ConnectFailed) as caught:
                async with connect(target):
                    raise AssertionError("connected")
            assert 503 == caught.value.status
        with trio.fail_after(5):
            while True:
                try:
                    async with connect(target) as transport:
                        await echoes(transport, 2)
                        break
                except ConnectFailed:
                    await trio.sleep(0.01)  # the server has not noticed yet


async def test_an_error_of_the_model_ends_one_connection(exchange, caplog):
    """It is logged with its traceback and counted; the server lives. # T1"""
    async with open_server(exchange) as address:
        target = Target(url=address.url)
        async with connect(target) as witness:
            async with connect(target) as transport:
                await transport.send([ask(1, "Crash")])
                with trio.fail_after(5), pytest.raises(Disconnected):
                    while True:
                        await transport.receive()
            await echoes(witness, 1)
    assert 1 == exchange.statistics().failed
    assert [KeyError] == [record.exc_info[0] for record in caplog.records if record.exc_info]


async def test_a_taken_port_is_an_error(exchange):
    """It comes out as it is."""
    async with open_server(exchange) as address:
        with pytest.raises(OSError, match="in use"):
            async with open_server(exchange, port=address.port):
                raise AssertionError("bound")


async def test_clients_are_dropped_when_the_server_ends(exchange, model):
    """None is left, none is waited for."""
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, exchange)
        async with connect(Target(url=address.url)) as transport:
            await echoes(transport, 1)
            nursery.cancel_scope.cancel()
    assert [] == model.peers


# -- TLS ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_tls_with_an_authority_of_our_own(host):
    """Clients that trust its file connect, by every name of this machine; others do not."""
    exchange = SimulatedExchange(EchoModel())
    with open_certificates() as certificates:
        assert 0o700 == certificates.ca_file.parent.stat().st_mode & 0o777
        assert ["ca.pem"] == os.listdir(certificates.ca_file.parent)
        async with open_server(exchange, ssl_context=certificates.ssl_context) as address:
            url = f"wss://{host}:{address.port}"
            context = ssl.create_default_context(cafile=certificates.ca_file)
            # What Python 3.13 asks for by default.
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            async with connect(Target(url=url, ssl_context=context)) as transport:
                await echoes(transport, 1)
                exchange.close(1001, "bye")
                with trio.fail_after(5), pytest.raises(Disconnected) as caught:
                    while True:
                        await transport.receive()
                assert (1001, "bye") == (caught.value.code, caught.value.reason)
            with pytest.raises(ConnectFailed):
                async with connect(Target(url=url)):
                    raise AssertionError("connected")
            stream = await trio.open_tcp_stream("127.0.0.1", address.port)
            async with stream:
                await stream.send_all(head())
                with trio.fail_after(5):
                    try:
                        while await stream.receive_some():
                            pass
                    except trio.BrokenResourceError:
                        pass  # RST or FIN, as the kernel likes
        assert (1, 0) == (exchange.statistics().connections, exchange.statistics().failed)
    assert not certificates.ca_file.parent.exists()


async def test_refusals_work_below_tls():
    """The answer arrives whole, with the status."""
    exchange = SimulatedExchange(EchoModel())
    with open_certificates() as certificates:
        async with open_server(exchange, ssl_context=certificates.ssl_context) as address:
            context = ssl.create_default_context(cafile=certificates.ca_file)
            exchange.refuse_connections(429, retry_after=5, body="slow down", times=1)
            with pytest.raises(ConnectFailed) as caught:
                async with connect(Target(url=address.url, ssl_context=context)):
                    raise AssertionError("connected")
    failure = caught.value
    assert (429, 5, "slow down") == (failure.status, failure.retry_after, failure.body)


async def test_faults_work_below_tls():
    """A half closed connection, and one that is cut within a frame."""
    exchange = SimulatedExchange(EchoModel())
    with open_certificates() as certificates:
        async with open_server(exchange, ssl_context=certificates.ssl_context) as address:
            context = ssl.create_default_context(cafile=certificates.ca_file)
            target = Target(url=address.url, ssl_context=context)
            assert address.url.startswith("wss://127.0.0.1:")
            for fault in (exchange.half_close, lambda: exchange.drop(mid_frame=True)):
                async with connect(target) as transport:
                    with trio.fail_after(5):
                        assert [b'["welcome"]'] == await transport.receive()
                        fault()
                        with pytest.raises(Disconnected) as caught:
                            while True:
                                assert [] == await transport.receive()
                    assert None is caught.value.code
