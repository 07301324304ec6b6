"""Which requests may open a WebSocket, and what the others are told."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, strategies as st

from trioflex.simulator.upgrade import BadUpgrade, check_head, refusal

GOOD = {
    "Host": "127.0.0.1:8080",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    "Sec-WebSocket-Version": "13",
}


def head(line: str = "GET /v1?a=b HTTP/1.1", **changes: str | None) -> bytes:
    """Return a request; underscores in the names of changed headers stand for hyphens."""
    fields: dict[str, str | None] = {
        **GOOD,
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    "request_head",
    [
        head(),
        head(Connection="keep-alive, Upgrade"),
        head(Upgrade="WebSocket"),
        head(User_Agent="x (y; z)", Origin="http://localhost"),
        head(X_Empty=""),
        head().replace(b": ", b":\t "),
    ],
)
def test_good_requests_pass(request_head):
    """Case and blanks are free where RFC 9110 says so."""
    check_head(request_head)


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"\x00\xff\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\n\r\n", 400),
        (head("GET /\x7f HTTP/1.1"), 400),
        (head("GET / HTTP/1.0"), 505),
        (head("GET / HTTP/2.0"), 505),
        (head("POST / HTTP/1.1"), 405),
        (head(X="é"), 400),
        (head(X="a\x00b"), 400),
        (head(X="a\r\n folded"), 400),
        (head(X="a\nb"), 400),
        (head().replace(b"Host:", b"Ho st:"), 400),
        (head().replace(b"Host:", b"Host :"), 400),
        (head(Host=None), 400),
        (head(host="two"), 400),
        (head(Content_Length="0"), 400),
        (head(Transfer_Encoding="chunked"), 400),
        (head(Upgrade=None), 426),
        (head(Upgrade="h2c"), 426),
        (head(Connection="close"), 426),
        (head(Sec_WebSocket_Version=None), 426),
        (head(Sec_WebSocket_Version="8"), 426),
        (head(Sec_WebSocket_Key=None), 400),
        (head(Sec_WebSocket_Key="AAAA"), 400),
        (head(Sec_WebSocket_Key="no base64!"), 400),
    ],
)
def test_bad_requests_are_told_why(request_head, status):
    """With the status that HTTP has for it. # T1"""
    with pytest.raises(BadUpgrade) as caught:
        check_head(request_head)
    assert status == caught.value.status


@given(
    position=st.integers(0, len(head()) - 5),
    replacement=st.binary(max_size=6),
    length=st.integers(0, 6),
)
def test_no_other_exception_comes_out(position, replacement, length):
    """Whatever is done to a good request, it is good or bad, and nothing else. # T1"""
    good = head()
    mutated = good[:position] + replacement + good[position + length :]
    status = 400
    try:
        check_head(mutated.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    except BadUpgrade as bad:
        status = bad.status
    assert status in (400, 405, 426, 505)


def test_a_refusal_is_a_whole_answer():
    """Status line, length, the headers asked for, and the text."""
    head_of_answer, _, body = refusal(503, "später", {"Retry-After": "7"}).partition(b"\r\n\r\n")
    lines = head_of_answer.decode().split("\r\n")
    assert "HTTP/1.1 503 Service Unavailable" == lines[0]
    assert {"Retry-After: 7", "Content-Length: 7", "Connection: close"} <= set(lines)
    assert "später" == body.decode()


def test_a_status_without_a_name_can_be_used():
    """Gateways have their own."""
    assert refusal(520, "").startswith(b"HTTP/1.1 520 Refused\r\n")
