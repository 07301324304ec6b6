"""The frame reader agrees with wsproto about everything, refuses early, and costs little."""

from __future__ import annotations

import itertools
import time
import tracemalloc

import pytest
from hypothesis import given, settings, strategies as st
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from tests.sansio.wire import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    client_frames,
    close_payload,
    server_frame,
)
from trioflex import LocalProtocolError
from trioflex._sansio.frames import (
    MAX_FRAGMENTS,
    PING_BURST,
    FrameReader,
    check_close_code,
    encode_binary,
    encode_close,
    encode_messages,
    encode_ping,
    encode_pong,
)

PLENTY = 1 << 20


def told(reader: FrameReader, messages: list[bytes]) -> dict[str, object]:
    """Everything a reader has to say."""
    return {
        "texts": messages,
        "pings": reader.pings,
        "newest ping": reader.unanswered[-1] if reader.unanswered else None,
        "pongs": reader.pongs,
        "closed": reader.closed,
        "failure": reader.failure_code,
    }


def told_by_wsproto(data: bytes) -> dict[str, object]:
    """The same, of wsproto alone."""
    engine = Connection(ConnectionType.CLIENT)
    engine.receive_data(data)
    texts: list[bytes] = []
    pings: list[bytes] = []
    pongs: list[bytes] = []
    closed = None
    failure = 0
    parts = b""
    for event in engine.events():
        if isinstance(event, TextMessage):
            parts += event.data.encode()
            if event.message_finished:
                texts.append(parts)
                parts = b""
        elif isinstance(event, Ping):
            pings.append(bytes(event.payload))
        elif isinstance(event, Pong):
            pongs.append(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            if engine.state is ConnectionState.REMOTE_CLOSING:
                closed = (int(event.code), event.reason or "")
            else:
                failure = int(event.code)
            break
        else:
            assert isinstance(event, BytesMessage)
    return {
        "texts": texts,
        "pings": len(pings),
        "newest ping": pings[-1] if pings else None,
        "pongs": pongs,
        "closed": closed,
        "failure": failure,
    }


texts = st.text(max_size=40) | st.text(min_size=110, max_size=140)
payloads = texts.map(str.encode) | st.sampled_from(
    [b"", b"x" * 125, b"x" * 126, b"\xff", "é€😀".encode(), b"x" * 70_000]
)
ordinary = st.builds(server_frame, st.just(TEXT), payloads)
control = st.builds(server_frame, st.sampled_from([PING, PONG]), st.binary(max_size=125))
closing = st.builds(
    lambda code, reason: server_frame(CLOSE, close_payload(code, reason)),
    st.sampled_from([999, 1000, 1001, 1004, 1005, 1006, 1012, 1016, 2999, 3000, 4999, 5000]),
    st.text(max_size=20),
)
strange = st.builds(
    server_frame,
    st.integers(0, 15),
    payloads,
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 1, 4]),
    mask=st.sampled_from([False, False, False, True]),
)
wasteful = st.builds(
    lambda opcode, size: server_frame(opcode, b"short", size=size),
    st.sampled_from([TEXT, CONT, PING]),
    st.sampled_from([2, 8]),
)


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    """A message in fragments, cut anywhere, with control frames and mistakes in between."""
    opcode = draw(st.sampled_from([TEXT, TEXT, BINARY]))
    whole = draw(payloads)
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    edges = [0, *cuts, len(whole)]
    data = b""
    for n, (start, stop) in enumerate(itertools.pairwise(edges)):
        kind = opcode if n == 0 else CONT
        data += server_frame(kind, whole[start:stop], fin=n == len(cuts))
        data += draw(st.one_of(st.just(b""), st.just(b""), control, ordinary))
    return data


streams = st.lists(
    st.one_of(ordinary, ordinary, ordinary, fragmented(), control, closing, strange, wasteful),
    max_size=8,
).map(b"".join)


@settings(max_examples=400)
@given(data=streams, cuts=st.lists(st.integers(0, 400), max_size=8))
def test_the_reader_says_what_wsproto_says_wherever_the_stream_is_cut(data, cuts):
    """Messages, pings, pongs, close codes and failures are those of the full parser."""
    # M15
    reader = FrameReader(PLENTY, binary=[])
    messages: list[bytes] = []
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    for start, stop in itertools.pairwise(edges):
        messages += reader.feed(data[start:stop])

    assert told_by_wsproto(data) == told(reader, messages)


@settings(max_examples=60)
@given(data=streams)
def test_the_reader_says_the_same_byte_by_byte(data):
    """No cut is special, not even all of them at once."""
    # M14, M15
    data = data[:3000]
    whole = FrameReader(PLENTY, binary=[])
    single = FrameReader(PLENTY, binary=[])

    at_once = whole.feed(data)
    slowly = [text for at in range(len(data)) for text in single.feed(data[at : at + 1])]

    # Cut short, the last frame may be refused for what it announces, never for less.
    assert told(whole, at_once) == told(single, slowly)
    assert whole.partial == single.partial


def test_whole_text_frames_are_cut_out_of_one_read():
    """The fast lane: many frames, three kinds of header, one list."""
    expected = [b"", b"a", b"b" * 125, b"c" * 126, b"d" * 65_535, b"e" * 65_536, "ü".encode()]
    reader = FrameReader(PLENTY)

    assert expected == reader.feed(b"".join(server_frame(TEXT, text) for text in expected))
    assert len(expected) == reader.frames
    assert not reader.partial
    assert all(type(text) is bytes for text in expected)


def test_order_is_kept_across_the_lanes():
    """A fragmented message between ordinary ones arrives between them."""
    reader = FrameReader(PLENTY)
    data = (
        server_frame(TEXT, b"one")
        + server_frame(TEXT, b"t", fin=False)
        + server_frame(PING, b"!")
        + server_frame(CONT, b"wo")
        + server_frame(TEXT, b"three")
    )
    assert [b"one", b"two", b"three"] == reader.feed(data)
    assert 5 == reader.frames


def test_frames_are_counted_when_they_are_whole():
    """Frames are signs of life, bytes are not."""
    # M14
    reader = FrameReader(PLENTY)
    frame = server_frame(TEXT, b"x" * 200)
    for at in range(len(frame) - 1):
        assert [] == reader.feed(frame[at : at + 1])
        assert 0 == reader.frames
        assert reader.partial
    assert [b"x" * 200] == reader.feed(frame[-1:])
    assert 1 == reader.frames
    assert not reader.partial


@pytest.mark.parametrize("limit", [0, 1, 10, 125, 126, 1000, 65_535, 65_536, 100_000])
def test_a_message_of_exactly_the_limit_passes_and_one_byte_more_does_not(limit):
    """Limits are exact, in bytes, in each form of the header and in fragments."""
    # M5
    letters = b"x" * (limit + 1)
    for parts in (1, 2):
        for length in (limit, limit + 1):
            cut = length // parts
            data = server_frame(TEXT, letters[:cut], fin=parts == 1)
            if parts == 2:
                data += server_frame(CONT, letters[cut:length])
            reader = FrameReader(limit)
            got = reader.feed(data)
            assert ([letters[:length]] if length == limit else []) == got
            assert (0 if length == limit else 1009) == reader.failure_code


def test_the_limit_counts_bytes_not_characters():
    """Four bytes are four bytes, whatever they spell."""
    # row 27
    text = "😀" * 250
    for fin in (True, False):
        reader = FrameReader(999)
        reader.feed(server_frame(TEXT, text.encode(), fin=fin))
        assert 1009 == reader.failure_code
    reader = FrameReader(1000)
    assert [text.encode()] == reader.feed(server_frame(TEXT, text.encode()))


@pytest.mark.parametrize(
    ("opcode", "announced", "code"),
    [
        (TEXT, 1 << 30, 1009),
        (TEXT, (1 << 63) - 1, 1009),
        (TEXT, 1 << 63, 1002),
        (TEXT, (1 << 64) - 1, 1002),
        (BINARY, 1 << 30, 1003),
        (BINARY, (1 << 64) - 1, 1002),
        (PING, 1 << 30, 1002),
        (CLOSE, 126, 1002),
    ],
)
@pytest.mark.parametrize("fin", [True, False])
def test_what_is_too_large_is_refused_on_its_header(opcode, announced, code, fin):
    """An announced gigabyte costs nothing, and nothing of it is waited for."""
    # M5, section 8: frame length overflow
    size = 8 if announced > 65_535 else 2
    header = server_frame(opcode, fin=fin, announced=announced, size=size)
    reader = FrameReader(4 << 20)
    tracemalloc.start()
    try:
        reader.feed(header)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (1002 if opcode >= CLOSE else code) == reader.failure_code
    assert peak < 64 * 1024
    assert [] == reader.feed(server_frame(TEXT, b"more"))


def test_a_growing_message_is_refused_when_it_passes_the_limit():
    """A message that never ends is bounded by bytes: limit plus one read."""
    # M6
    limit = 1 << 20
    reader = FrameReader(limit)
    chunk = server_frame(CONT, b"x" * 60_000, fin=False)
    reader.feed(server_frame(TEXT, b"x", fin=False))
    tracemalloc.start()
    try:
        fed = 0
        while not reader.failure:
            reader.feed(chunk)
            fed += 60_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 1009 == reader.failure_code
    assert fed <= limit + 60_000
    assert peak <= limit * 5 // 4 + 4 * 64 * 1024  # bytearrays grow by an eighth ahead of need


def test_empty_fragments_are_bounded_by_their_number():
    """Fragments without bytes hold no memory and come to an end."""
    # M6, row 26
    reader = FrameReader(1024, max_fragments=100)
    reader.feed(server_frame(TEXT, fin=False))
    assert [] == reader.feed(server_frame(CONT, fin=False) * 99)
    assert "" == reader.failure
    reader.feed(server_frame(CONT, fin=False))
    assert 1009 == reader.failure_code
    assert "more than 100 fragments" in reader.failure


def test_a_message_in_as_many_fragments_as_allowed_passes():
    """The bound on fragments is exact; the default lets 4 MiB through in pieces of 64 bytes,
    and an empty one."""
    assert (4 << 20) // 64 + 1 == MAX_FRAGMENTS
    reader = FrameReader(1024, max_fragments=3)
    data = server_frame(TEXT, b"a", fin=False) + server_frame(CONT, b"b", fin=False)
    assert [b"abc"] == reader.feed(data + server_frame(CONT, b"c"))
    assert [b"abc"] == reader.feed(data + server_frame(CONT, b"c"))
    assert "" == reader.failure


def test_binary_is_refused_as_soon_as_it_is_announced():
    """Venue protocols are text."""
    # M3
    for frame in (
        server_frame(BINARY, b"xyz"),
        server_frame(BINARY, b"xyz")[:2],
        server_frame(BINARY, fin=False),
    ):
        reader = FrameReader(PLENTY)
        assert [b"before"] == reader.feed(server_frame(TEXT, b"before") + frame)
        assert 1003 == reader.failure_code
        assert "binary" in reader.failure


def test_binary_messages_go_where_they_are_wanted():
    """The option that interoperability suites need."""
    taken: list[bytes] = []
    reader = FrameReader(PLENTY, binary=taken)
    data = server_frame(BINARY, b"\xff\0") + server_frame(BINARY, b"a", fin=False)
    assert [] == reader.feed(data + server_frame(CONT, b"b"))
    assert [b"\xff\0", b"ab"] == taken
    assert 3 == reader.frames


@pytest.mark.parametrize(
    "bad", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"ok \xe2\x82", b"\xf5\x80"]
)
def test_text_that_is_not_utf_8_is_refused_in_either_lane(bad):
    """1007 for a stray byte, an overlong form, a surrogate, a cut character."""
    # M15
    long = b"x" * 70_000 + bad
    for frame in (
        server_frame(TEXT, bad),
        server_frame(TEXT, long),
        server_frame(TEXT, bad, fin=False) + server_frame(CONT, b""),
        server_frame(TEXT, b"", fin=False) + server_frame(CONT, bad),
    ):
        reader = FrameReader(PLENTY)
        assert [b"good"] == reader.feed(server_frame(TEXT, b"good") + frame)
        assert 1007 == reader.failure_code
        assert reader.finished


def test_characters_may_be_cut_between_fragments():
    """UTF-8 is checked over the message, not over the frame."""
    euro = "€".encode()
    reader = FrameReader(PLENTY)
    data = server_frame(TEXT, euro[:1], fin=False) + server_frame(CONT, euro[1:2], fin=False)
    assert [euro] == reader.feed(data + server_frame(CONT, euro[2:]))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", (1005, "")),
        (close_payload(1000), (1000, "")),
        (close_payload(1001, "Güte"), (1001, "Güte")),
        (close_payload(1012, "restart"), (1012, "restart")),
        (close_payload(4008, "too slow"), (4008, "too slow")),
    ],
)
def test_a_close_frame_ends_the_reading(payload, expected):
    """Code and reason are kept, what follows is ignored."""
    # W4
    reader = FrameReader(PLENTY)
    data = server_frame(TEXT, b"last") + server_frame(CLOSE, payload)
    assert [b"last"] == reader.feed(data + server_frame(TEXT, b"too late"))
    assert expected == reader.closed
    assert "" == reader.failure
    assert reader.finished
    assert [] == reader.feed(server_frame(TEXT, b"much too late"))


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_a_close_code_that_must_not_be_sent_is_a_failure_that_names_it(code):
    """1006 on the wire is the peer's mistake, and still tells what the peer meant."""
    # W4
    reader = FrameReader(PLENTY)
    reader.feed(server_frame(CLOSE, close_payload(code, "bye")))
    assert reader.closed is None
    assert 1002 == reader.failure_code
    assert f"code {code}:" in reader.failure


def test_a_close_frame_of_one_byte_or_with_a_bad_reason_is_a_failure():
    """A code has two bytes, a reason is UTF-8."""
    reader = FrameReader(PLENTY)
    reader.feed(server_frame(CLOSE, b"\x03"))
    assert 1002 == reader.failure_code
    reader = FrameReader(PLENTY)
    reader.feed(server_frame(CLOSE, close_payload(1000) + b"\xff"))
    assert 1007 == reader.failure_code


def test_of_a_ping_flood_the_newest_is_kept_and_a_burst_is_kept_whole():
    """A flood of pings leaves one to answer, until it was answered."""
    # M8, row 31

    def pings(count):
        return b"".join(server_frame(PING, b"%d" % n) for n in range(count))

    reader = FrameReader(PLENTY)
    reader.feed(pings(1000))
    assert 1000 == reader.pings
    assert 1000 == reader.frames
    reader.feed(pings(5))
    assert [b"4"] == reader.take_pings()
    assert [] == reader.take_pings()
    reader.feed(pings(PING_BURST))
    assert [b"%d" % n for n in range(PING_BURST)] == reader.take_pings()
    reader.feed(pings(PING_BURST + 1))
    assert [b"%d" % PING_BURST] == reader.take_pings()


def test_a_bad_header_is_refused_before_its_payload_comes():
    """Reserved bits, unknown opcodes and masks need no more than a header."""
    for header in (
        server_frame(TEXT, rsv=4, announced=100),
        server_frame(0x3, announced=100),
        server_frame(0xB, announced=100),
        server_frame(TEXT, mask=True, announced=100),
        server_frame(PING, fin=False, announced=100),
        server_frame(CONT, announced=100),
        server_frame(TEXT, announced=100, size=2),
    ):
        reader = FrameReader(PLENTY)
        reader.feed(header[:-4] if header[1] & 0x80 else header)
        # A lone continuation is judged with its payload: only then does wsproto see a message.
        if header[0] & 0x0F != CONT:
            assert 1002 == reader.failure_code, header
            assert reader.failure


def test_large_messages_in_small_pieces_cost_linear_time():
    """A peer that drips a large frame makes us copy each byte a few times, not thousands."""
    # section 8. 64 Ki pieces of 64 bytes: 0.1 s of linear work; quadratic copying would move
    # 128 GiB, many seconds of it.
    payload = b"x" * (4 << 20)
    frame = server_frame(TEXT, payload)
    reader = FrameReader(4 << 20)
    got: list[bytes] = []
    began = time.process_time()
    for at in range(0, len(frame), 64):
        got += reader.feed(frame[at : at + 64])
    took = time.process_time() - began
    assert [payload] == got
    assert took < 2


# What the client sends


def counting_mask():
    """A mask source that is no secret: 1, 2, 3 ..."""
    drawn = 0

    def mask(size):
        nonlocal drawn
        drawn += size
        return bytes(n % 256 for n in range(drawn - size, drawn))

    return mask


@given(messages=st.lists(st.text(max_size=200), max_size=5))
def test_messages_are_written_as_masked_text_frames(messages):
    """A server reads what was said, in order."""
    data = encode_messages(messages, counting_mask())
    frames = client_frames(data)
    assert [(0x81, text.encode()) for text in messages] == [(f, p) for f, _, p in frames]

    server = Connection(ConnectionType.SERVER)
    server.receive_data(data)
    parts = [event.data for event in server.events() if isinstance(event, TextMessage)]
    assert "".join(messages) == "".join(parts)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 125, 126, 65_535, 65_536, 100_001])
def test_every_length_has_its_header(length):
    """Seven bits, two bytes, eight bytes."""
    text = "".join(chr(32 + n % 90) for n in range(length))
    ((first, _, payload),) = client_frames(encode_messages([text], counting_mask()))
    assert (0x81, text.encode()) == (first, payload)


def test_every_frame_has_a_fresh_mask_from_the_source():
    """Masks are drawn, four bytes a frame, never reused."""
    # section 8: mask randomness
    frames = client_frames(encode_messages(["a", "b", "c"], counting_mask()))
    assert [b"\0\1\2\3", b"\4\5\6\7", b"\x08\x09\x0a\x0b"] == [key for _, key, _ in frames]


def test_control_frames_of_the_client():
    """Ping, Pong, Close and, for suites, binary."""
    mask = counting_mask()
    assert [(0x89, b"hi")] == [(f, p) for f, _, p in client_frames(encode_ping(b"hi", mask))]
    assert [(0x8A, b"ho")] == [(f, p) for f, _, p in client_frames(encode_pong(b"ho", mask))]
    assert [(0x82, b"\xff")] == [(f, p) for f, _, p in client_frames(encode_binary(b"\xff", mask))]
    ((first, _, payload),) = client_frames(encode_close(1000, "bye", mask))
    assert (0x88, close_payload(1000, "bye")) == (first, payload)
    ((first, _, payload),) = client_frames(encode_close(1005, "ignored", mask))
    assert (0x88, b"") == (first, payload)


def test_a_long_close_reason_is_cut_between_characters():
    """A control frame holds 125 bytes."""
    ((_, _, payload),) = client_frames(encode_close(4000, "x" + "€" * 100, counting_mask()))
    assert close_payload(4000, "x" + "€" * 40) == payload


def test_text_that_cannot_be_sent_is_refused():
    """A lone surrogate has no UTF-8."""
    with pytest.raises(LocalProtocolError, match="not valid Unicode at position 2"):
        encode_messages(["fine", "ab\ud800"], counting_mask())


def test_only_codes_that_may_be_sent_are_accepted():
    """RFC 6455, 7.4."""
    allowed = [code for code in range(6000) if _accepted(code)]
    assert [
        *(1000, 1001, 1002, 1003, *range(1007, 1015)),
        *range(3000, 5000),
    ] == allowed


def _accepted(code):
    try:
        check_close_code(code)
    except LocalProtocolError:
        return False
    return True
