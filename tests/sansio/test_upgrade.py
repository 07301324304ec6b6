"""The upgrade: URLs that may be used, answers that may be believed, refusals that say why."""

from __future__ import annotations

import base64
import hashlib
import re
import tracemalloc

import pytest
from hypothesis import given, settings, strategies as st

from trioflex import ConnectFailed
from trioflex._sansio.upgrade import MAX_BODY, MAX_HEAD, Upgrade, parse_url

NONCE = bytes(range(16))
KEY = base64.b64encode(NONCE)
TOKEN = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
GOOD = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + TOKEN + b"\r\n"
    b"\r\n"
)
URL = "wss://venue.example/v1?token=s3cret&user=joe"


def upgrade(url=URL):
    return Upgrade(parse_url(url), NONCE)


def failure(answer, url=URL):
    """The error that an answer ends in, its body not waited for."""
    attempt = upgrade(url)
    try:
        for part in answer if isinstance(answer, list) else [answer]:
            attempt.feed(part)
    except ConnectFailed as exc:
        return exc
    assert attempt.refused
    return attempt.refusal()


# URLs


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "authority"),
    [
        ("ws://venue.example", "venue.example", 80, "/", "venue.example"),
        ("wss://Venue.Example/", "venue.example", 443, "/", "venue.example"),
        ("ws://venue.example:80/x", "venue.example", 80, "/x", "venue.example"),
        ("wss://venue.example:443/x", "venue.example", 443, "/x", "venue.example"),
        ("ws://venue.example:443/x", "venue.example", 443, "/x", "venue.example:443"),
        ("wss://venue.example:80?a=b", "venue.example", 80, "/?a=b", "venue.example:80"),
        ("ws://127.0.0.1:8080/a/b?c", "127.0.0.1", 8080, "/a/b?c", "127.0.0.1:8080"),
        ("ws://[::1]:8080/", "::1", 8080, "/", "[::1]:8080"),
        ("wss://[2001:db8::1]/x?", "2001:db8::1", 443, "/x?", "[2001:db8::1]"),
    ],
)
def test_a_url_leads_to_one_place(url, host, port, target, authority):
    """Default ports are not named in the Host header, IPv6 wears brackets."""
    # row 34
    address = parse_url(url)
    found = (address.host, address.port, address.target, address.authority, address.secure)
    assert (host, port, target, authority, url.startswith("wss")) == found


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://venue.example/", "ws:// or wss://"),
        ("venue.example", "ws:// or wss://"),
        ("", "printable ASCII"),
        ("ws:///path", "names no host"),
        ("ws://?x", "names no host"),
        ("ws://joe:pa55@venue.example/", "holds a user name"),
        ("ws://joe@venue.example/", "holds a user name"),
        ("ws://@venue.example/", "holds a user name"),
        ("ws://venue.example/#top", "fragment"),
        ("ws://venue.example/?a#", "fragment"),
        ("ws://venue.example/\r\nX-Evil: 1", "printable ASCII"),
        ("ws://venue.example/\n", "printable ASCII"),
        ("ws://venue.example/a\0b", "printable ASCII"),
        ("ws://venue.example/a b", "printable ASCII"),
        ("ws://venue.example/\t", "printable ASCII"),
        ("ws://vénue.example/", "printable ASCII"),
        ("ws://venue.example:0/", "port 0"),
        ("ws://venue.example:99999/", "malformed"),
        ("ws://venue.example:x/", "malformed"),
        ("ws://[::1/", "malformed"),
        ("ws://[v1.x]/", "neither a name nor an IP address"),
        ("ws://venue%0d.example/", "neither a name nor an IP address"),
        ("ws://ven<ue/", "neither a name nor an IP address"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_for_good_and_not_repeated(url, why):
    """Nothing of it reaches a wire or a message."""
    # section 8: header injection; row 33
    with pytest.raises(ConnectFailed, match=re.escape(why)) as caught:
        parse_url(url)
    assert caught.value.final
    assert "pa55" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_the_query_is_never_shown():
    """Tokens live there."""
    # row 33
    address = parse_url(URL)
    assert "wss://venue.example/v1?…" == address.shown
    assert "s3cret" not in repr(address)


# The request


def test_the_request_is_the_one_of_rfc_6455():
    """No extension and no subprotocol is offered."""
    lines = upgrade("ws://[::1]:9000/v1?a=b").request.split(b"\r\n")
    assert b"GET /v1?a=b HTTP/1.1" == lines[0]
    headers = dict(line.lower().split(b": ", 1) for line in lines[1:-2])
    assert {
        b"host": b"[::1]:9000",
        b"upgrade": b"websocket",
        b"connection": b"upgrade",
        b"sec-websocket-key": KEY.lower(),
        b"sec-websocket-version": b"13",
        b"user-agent": b"trioflex",
    } == headers
    assert [b"", b""] == lines[-2:]


# Good answers


def test_a_good_answer_opens_and_what_follows_is_kept():
    """The first frames may come in the same read."""
    attempt = upgrade()
    attempt.feed(GOOD + b"\x81\x02hi\x89")
    assert attempt.open
    assert b"\x81\x02hi\x89" == attempt.trailing


def test_a_good_answer_may_come_byte_by_byte():
    """The answer is read as a stream."""
    # C6
    attempt = upgrade()
    for at in range(len(GOOD)):
        assert not attempt.open
        attempt.feed(GOOD[at : at + 1])
    assert attempt.open
    assert b"" == attempt.trailing


@pytest.mark.parametrize(
    "answer",
    [
        GOOD.replace(b"Upgrade: websocket", b"UPGRADE:  WebSocket "),
        GOOD.replace(b"Connection: Upgrade", b"Connection: keep-alive, UPGRADE"),
        GOOD.replace(b"Connection: Upgrade", b"Connection: keep-alive\r\nConnection: upgrade"),
        GOOD.replace(b"Switching Protocols", b""),
        GOOD.replace(b"Switching Protocols", b"Gew\xe4hrt"),
        GOOD.replace(b"\r\n\r\n", b"\r\nX-Owner: Jos\xe9 \xff\r\n\r\n"),
        GOOD.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: \r\n\r\n"),
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + GOOD,
    ],
)
def test_answers_that_are_good_all_the_same(answer):
    """Case, lists, other bytes than ASCII, and interim answers."""
    # C5, rows 9 and 10
    attempt = upgrade()
    attempt.feed(answer)
    assert attempt.open


# Bad answers


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (GOOD.replace(TOKEN, TOKEN[::-1]), "not for our key"),
        (GOOD.replace(b"Sec-WebSocket-Accept", b"X-Accept"), "not for our key"),
        (
            GOOD.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Accept: " + TOKEN + b"\r\n\r\n"),
            "not for our key",
        ),
        (GOOD.replace(b"Upgrade: websocket", b"Upgrade: h2c"), "does not upgrade to websocket"),
        (GOOD.replace(b"Connection: Upgrade", b"Connection: close"), "Connection: Upgrade"),
        (
            GOOD.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
            "extension that was not offered",
        ),
        (
            GOOD.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
            "subprotocol although none was offered",
        ),
        (b"220 mail.example ESMTP\r\n\r\n", "not good HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "not good HTTP"),
        (GOOD.replace(b"Upgrade:", b"Upgr\xe4de:"), "not good HTTP"),
        (GOOD.replace(b"Upgrade: ", b"Upgrade "), "not good HTTP"),
        (b"", "closed the connection during the handshake"),
        ([b"HTTP/1.1 101 Swi", b""], "closed the connection during the handshake"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", b""], "closed the connection during the handshake"),
    ],
)
def test_answers_that_cannot_be_believed(answer, why):
    """One type of error for all, with the URL and the reason, without the query."""
    # C3, C5, rows 6 to 8
    error = failure(answer)
    assert why in str(error)
    assert str(error).startswith("cannot open wss://venue.example/v1?…: ")
    assert "s3cret" not in str(error)
    assert not error.final
    assert error.status is None


def test_a_flood_of_headers_is_cut_off():
    """A head has a limit, whether it is one long line, many, or many heads."""
    # C5, section 8: header flood
    endless = [
        b"HTTP/1.1 101 X\r\nX: " + b"x" * (1 << 20),
        b"HTTP/1.1 101 X\r\n" + b"X: y\r\n" * (1 << 18),
        b"HTTP/1.1 100 X\r\n\r\n" * (1 << 16),
        b"x" * (1 << 20),
    ]
    for flood in endless:
        attempt = upgrade()
        tracemalloc.start()
        try:
            with pytest.raises(ConnectFailed):
                for at in range(0, len(flood), 4096):
                    attempt.feed(flood[at : at + 4096])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert at <= MAX_HEAD + 4096
        assert peak < 16 * MAX_HEAD


# Refusals


@pytest.mark.parametrize(
    ("status", "final"),
    [
        (200, False),
        (301, True),
        (302, False),
        (308, True),
        (400, False),
        (401, True),
        (403, True),
        (404, True),
        (426, True),
        (429, False),
        (500, False),
        (503, False),
    ],
)
def test_a_refusal_has_its_status_and_says_whether_trying_again_can_help(status, final):
    """401, 403, 404 are for good; 429 and 5xx are not."""
    # C4, row 3
    error = failure(b"HTTP/1.1 %d Because\r\n\r\n" % status)
    assert (status, final) == (error.status, error.final)
    assert f"HTTP {status} Because" in str(error)
    assert (300 <= status < 400) == ("redirects are never followed" in str(error))


def test_a_body_is_kept_in_part():
    """Enough to read the venue's reason, never more."""
    # C4, row 5
    attempt = upgrade()
    attempt.feed(b"HTTP/1.1 503 Busy\r\nContent-Length: 9000000\r\n\r\n")
    assert attempt.refused
    assert not attempt.complete
    attempt.feed(b"a" * 3000)
    assert not attempt.complete
    attempt.feed(b"b" * 60_000)
    assert attempt.complete
    assert "a" * 3000 + "b" * (MAX_BODY - 3000) == attempt.refusal().body


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([b"HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\nwrong"], "wrong"),
        ([b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"], ""),
        ([b"HTTP/1.1 401 No\r\n\r\nwro", b"ng", b""], "wrong"),
        (
            [
                b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2\r\nwr\r\n3\r\nong\r\n0\r\n\r\n"
            ],
            "wrong",
        ),
        ([b"HTTP/1.1 401 No\r\nContent-Length: 50\r\n\r\nwrong", b""], "wrong"),
        ([b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwr\r\nx!\r\n"], "wr"),
        ([b"HTTP/1.0 401 No\r\n\r\nw\xff", b""], "w\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_body_is_over_when_it_is(parts, body):
    """By length, by chunks, by the end of the stream, or by breaking."""
    # C4, row 3
    attempt = upgrade()
    for part in parts:
        assert not attempt.complete
        attempt.feed(part)
    assert attempt.complete
    assert (401, body) == (attempt.refusal().status, attempt.refusal().body)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (b"", None),
        (b"Retry-After: 7\r\n", 7.0),
        (b"Retry-After: 0\r\n", 0.0),
        (b"Retry-After: -7\r\n", None),
        (b"Retry-After: soon\r\n", None),
        (b"Retry-After: \xb2\r\n", None),
        (b"Retry-After: " + b"9" * 5000 + b"\r\n", 999_999_999.0),
        (
            b"Date: Wed, 21 Oct 2026 07:28:00 GMT\r\n"
            b"Retry-After: Wed, 21 Oct 2026 07:29:30 GMT\r\n",
            90.0,
        ),
        (
            b"Date: Wed, 21 Oct 2026 07:28:00 GMT\r\n"
            b"Retry-After: Wed, 21 Oct 2026 07:20:00 GMT\r\n",
            0.0,
        ),
        (b"Retry-After: Wed, 21 Oct 2026 07:29:30 GMT\r\n", None),
        (b"Date: rubbish\r\nRetry-After: Wed, 21 Oct 2026 07:29:30 GMT\r\n", None),
        (
            b"Date: Wed, 21 Oct 2026 07:28:00 -0000\r\n"
            b"Retry-After: Wed, 21 Oct 2026 07:29:30 GMT\r\n",
            None,
        ),
    ],
)
def test_retry_after_in_both_its_forms(headers, seconds):
    """Seconds, or a date against the peer's own clock."""
    # C4
    assert seconds == failure(b"HTTP/1.1 429 Slow down\r\n" + headers + b"\r\n").retry_after


def test_a_server_that_repeats_the_request_does_not_leak_it():
    """Query and values are taken out of what the peer says."""
    # row 33, section 8: secrets
    url = "wss://venue.example/v1?token=s3%2Fcret&n=1"
    answer = (
        b"HTTP/1.1 404 No s3/cret here\r\n\r\n"
        b"Cannot GET /v1?token=s3%2Fcret&n=1, token s3/cret or s3%2Fcret is 1 of many"
    )
    error = failure(answer, url)
    assert "HTTP 404 No … here" in str(error)
    assert "Cannot GET /v1?…, token … or … is 1 of many" == error.body
    garbage = failure(b"token=s3%2Fcret&n=1 and more\r\n\r\n", url)
    assert "s3" not in str(garbage)


def test_a_long_line_of_rubbish_is_not_repeated_whole():
    """Messages are sentences."""
    error = failure(b"rubbish " * 4000 + b"\r\n\r\n")
    assert len(str(error)) < 300


# Whatever comes

mutations = st.lists(
    st.tuples(st.integers(0, len(GOOD)), st.integers(0, 4), st.binary(max_size=6)), max_size=4
)


@settings(max_examples=500)
@given(mutations=mutations, status=st.sampled_from([101, 101, 200, 503]), step=st.integers(1, 80))
def test_any_answer_opens_is_refused_or_fails_in_one_way(mutations, status, step):
    """No other exception escapes, whatever bytes come and however they are cut."""
    # C5
    answer = GOOD.replace(b"101", b"%d" % status, 1)
    for at, drop, insert in mutations:
        answer = answer[:at] + insert + answer[at + drop :]
    attempt = upgrade()
    error = None
    try:
        for at in range(0, len(answer), step):
            if not attempt.open:
                attempt.feed(answer[at : at + step])
        if not attempt.open:
            attempt.feed(b"")
            error = attempt.refusal()
    except ConnectFailed as exc:
        error = exc
    assert attempt.open == (error is None)
    if error is not None:
        assert str(error).startswith("cannot open wss://venue.example/v1?…: ")
