"""The scripted peer does what it is told, and says what it heard."""

from __future__ import annotations

import pytest
import trio
from trio.testing import memory_stream_pair

from trioflex import RemoteProtocolError
from trioflex.testing import RawFrame, ScriptedPeer, encode_raw_frame


@pytest.fixture
def pair():
    client, server = memory_stream_pair()
    return client, ScriptedPeer(server)


async def test_it_reads_the_request_and_keeps_what_follows(pair):
    """Frames sent together with the request are not lost."""
    client, peer = pair
    frame = encode_raw_frame(1, b"early", mask=b"abcd")
    await client.send_all(b"GET / HTTP/1.1\r\nsec-websocket-key: dGhl\r\n\r\n" + frame)
    assert b"GET / HTTP/1.1\r\nsec-websocket-key: dGhl" == await peer.read_request()
    assert "early" == await peer.receive_text()


async def test_it_accepts_as_rfc_6455_wants(pair):
    """With the example of section 1.3."""
    client, peer = pair
    await client.send_all(
        b"GET /chat HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await peer.accept(headers=[b"X-Extra: 1"], trailing=b"!")
    answer = bytes(await client.receive_some())
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert answer.endswith(b"\r\nX-Extra: 1\r\n\r\n!")


async def test_a_request_without_a_key_is_no_upgrade(pair):
    """Nothing to answer."""
    client, peer = pair
    await client.send_all(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match="no Sec-WebSocket-Key"):
        await peer.accept()


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
async def test_frames_of_every_length(pair, size):
    """Both directions speak the three forms of the header."""
    client, peer = pair
    payload = bytes(n % 251 for n in range(size))
    frame = encode_raw_frame(2, payload, fin=False, mask=b"\1\2\3\4")
    for at in range(0, len(frame), 1000):
        await client.send_all(frame[at : at + 1000])
    assert RawFrame(2, payload, fin=False) == await peer.receive_frame()


async def test_an_unmasked_frame_is_the_clients_mistake(pair):
    """RFC 6455, 5.1."""
    client, peer = pair
    await client.send_all(encode_raw_frame(1, b"bare"))
    with pytest.raises(RemoteProtocolError, match="without a mask"):
        await peer.receive_frame()


async def test_something_else_than_text_is_said(pair):
    """receive_text() wants text."""
    client, peer = pair
    await client.send_all(encode_raw_frame(9, b"?", mask=b"abcd"))
    with pytest.raises(RemoteProtocolError, match="expected a whole text message"):
        await peer.receive_text()


async def test_the_end_is_told_and_the_torn_rest_is_kept(pair):
    """EndOfChannel from one frame, a list from all; what is left can be looked at."""
    client, peer = pair
    whole = encode_raw_frame(1, b"whole", mask=b"abcd")
    await client.send_all(whole + whole[:3])
    await client.send_eof()
    assert [RawFrame(1, b"whole")] == await peer.receive_all()
    assert whole[:3] == peer.unread
    with pytest.raises(trio.EndOfChannel):
        await peer.receive_frame()


async def test_what_it_sends(pair):
    """Text, Ping, Close, with and without a code, and lies about lengths."""
    client, peer = pair
    await peer.send_text("hé")
    await peer.send_ping(b"?")
    await peer.send_close(4000, "bye")
    await peer.send_close(None)
    await peer.send(encode_raw_frame(1, b"x", length=1 << 40, rsv=4))
    expected = (
        b"\x81\x03h\xc3\xa9"
        b"\x89\x01?"
        b"\x88\x05\x0f\xa0bye"
        b"\x88\x00"
        b"\xc1\x7f\x00\x00\x01\x00\x00\x00\x00\x00x"
    )
    assert expected == bytes(await client.receive_some())
