"""The promises about security: the classes of holes that WebSocket clients were found to have."""

from __future__ import annotations

import ast
import inspect
import logging
import os
import re
import ssl
import tomllib
import traceback
import tracemalloc
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trioflex
from tests import acme
from tests.promises.venues import every_venue
from trioflex import (
    ConnectFailed,
    Reconnect,
    RemoteProtocolError,
    Target,
    open_client,
    system_env,
    trio_websocket_connector,
    websocket_connector,
)
from trioflex._sansio.frames import FrameReader, encode_messages
from trioflex._sansio.upgrade import Upgrade, parse_url
from trioflex.testing import ScriptedPeer, encode_raw_frame, memory_connector

PACKAGE = Path(trioflex.__file__).parent
ROOT = PACKAGE.parent
MEMORY = Target(url="ws://venue.example/")
AT_ONCE = Reconnect(base=1, cap=1, stable_after=0, give_up_after=None)
both = pytest.mark.parametrize("via", [websocket_connector, trio_websocket_connector])


def peak(work):
    """The bytes that some work took at its worst."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@both
async def test_compression_is_never_offered_nor_taken(via, autojump_clock):  # P1
    """So there is nothing to inflate: neither unasked extensions nor compressed frames pass."""
    requests = []

    async def serve(stream):
        peer = ScriptedPeer(stream)
        requests.append(await peer.read_request())
        await stream.aclose()

    with pytest.raises(ConnectFailed):
        async with memory_connector(serve, via=via)(MEMORY):
            pytest.fail("it opened")
    assert b"extensions" not in requests[0].lower()

    async def compress(stream):
        peer = ScriptedPeer(stream)
        await peer.accept()
        await peer.send(encode_raw_frame(1, b"bomb", rsv=4))
        await peer.receive_all()

    async with memory_connector(compress, via=via)(MEMORY) as transport:
        with pytest.raises(RemoteProtocolError):
            while True:
                await transport.receive()


@pytest.mark.parametrize("more", [-1, 0, 1])
@both
async def test_the_limit_of_a_message_is_exact(via, more, autojump_clock):  # P1
    """In one frame or in many: one byte more is one too many."""
    limit = 70_000

    async def serve(stream):
        peer = ScriptedPeer(stream)
        await peer.accept()
        text = b"x" * (limit + more)
        await peer.send(encode_raw_frame(1, text[:100], fin=False))
        await peer.send(encode_raw_frame(0, text[100:]))
        await peer.receive_all()

    target = attrs.evolve(MEMORY, max_message_bytes=limit)
    async with memory_connector(serve, via=via)(target) as transport:
        messages = []
        if more > 0:
            with pytest.raises(RemoteProtocolError) as caught:
                while True:
                    messages += await transport.receive()
            assert 1009 == caught.value.close_code
            assert [] == messages
            return
        while not messages:
            messages = await transport.receive()
        assert limit + more == len(messages[0])


def test_tiny_fragments_cost_little():  # P2
    """A million empty ones, and a message that grows byte by byte: refused, in bounded memory."""

    def drip(fragment):
        reader = FrameReader(64 * 1024)
        reader.feed(encode_raw_frame(1, b"", fin=False))
        for _ in range(1_000):
            reader.feed(fragment * 1_000)
            if reader.failure:
                return reader.failure_code
        return None

    for fragment in (encode_raw_frame(0, b"", fin=False), encode_raw_frame(0, b"x", fin=False)):
        codes = []
        assert peak(lambda fragment=fragment, codes=codes: codes.append(drip(fragment))) < 2**20
        assert [1009] == codes


@pytest.mark.parametrize("announced", [2**63 - 1, 2**63, 2**64 - 1, 2**32, 2**31])
def test_lengths_beyond_all_bounds_allocate_nothing(announced):  # P3
    """Refused on the header alone, with 1002 or 1009."""
    reader = FrameReader(4 * 1024 * 1024)
    frame = encode_raw_frame(1, b"", length=announced)
    assert peak(lambda: reader.feed(frame)) < 64 * 1024
    assert reader.failure_code in (1002, 1009)


def test_certificates_are_checked_unless_a_context_says_otherwise():  # P4 C7
    """There is no option to switch that off by; the default context checks names."""
    from trioflex._shell.streams import default_context

    context = default_context()
    assert ssl.CERT_REQUIRED is context.verify_mode
    assert context.check_hostname
    for public in (open_client, websocket_connector, trio_websocket_connector, Target):
        for name in inspect.signature(public).parameters:
            assert "verify" not in name


def test_secrets_are_compared_in_constant_time():  # P5
    """In the simulated venues, where a secret that was sent is compared with the right one."""
    secrets = re.compile(r"\b(cookie|password|passphrase|secret|signature|proof|sig|given)\b")
    careless, careful = [], 0
    for path in sorted((PACKAGE / "simulator").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "hmac.compare_digest":
                careful += 1
            if (
                isinstance(node, ast.Compare)
                and isinstance(node.ops[0], ast.Eq | ast.NotEq)
                and secrets.search(ast.unparse(node))
                and "len(" not in ast.unparse(node)
                and not isinstance(node.comparators[0], ast.Constant)
            ):
                careless.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    assert [] == careless
    assert careful >= 3


def test_a_flood_of_headers_is_bounded():  # P6
    """One long one, many short ones, and interim answers without end."""
    for flood in (
        b"HTTP/1.1 101 X\r\nX: " + b"x" * 2**20,
        b"HTTP/1.1 101 X\r\n" + b"X: y\r\n" * 2**18,
        b"HTTP/1.1 100 X\r\n\r\n" * 2**16,
    ):
        upgrade = Upgrade(parse_url("ws://venue.example/"), bytes(16))

        def feed(upgrade=upgrade, flood=flood):
            for start in range(0, len(flood), 4096):
                upgrade.feed(flood[start : start + 4096])

        def drown(feed=feed):
            with pytest.raises(ConnectFailed):
                feed()

        assert peak(drown) < 512 * 1024


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@both
async def test_redirects_are_not_followed(via, status, autojump_clock):  # P7 C4
    """Nobody else is told anything: one connection, one request, and an error that says so."""
    dialled = []

    async def serve(stream):
        peer = ScriptedPeer(stream)
        dialled.append(await peer.read_request())
        await peer.send(
            b"HTTP/1.1 %d Elsewhere\r\nLocation: ws://evil.example/\r\n"
            b"Content-Length: 0\r\n\r\n" % status
        )
        await stream.aclose()

    connector = memory_connector(serve, via=via)
    with pytest.raises(ConnectFailed, match="redirects are never followed") as caught:
        async with open_client(acme.VENUE, connector=connector):
            pytest.fail("it opened")
    assert status == caught.value.status
    assert 1 == len(dialled)


@pytest.mark.parametrize("evil", ["\r\nX-Evil: 1", "\n", "\r", "\0", "\t", " ", "ü"])
def test_nothing_is_injected_by_an_address(evil):  # P8
    """Host, path and query are refused before anybody is connected to."""
    for url in (f"ws://venue{evil}.example/", f"ws://venue.example/{evil}", f"ws://a/?b={evil}c"):
        with pytest.raises(ConnectFailed, match="cannot be used"):
            parse_url(url)


def test_masks_and_nonces_come_from_the_operating_system(monkeypatch):  # P9
    """Not from a generator that can be guessed."""
    asked = []

    def urandom(size):
        asked.append(size)
        return bytes(size)

    encode_messages(["a", "b"], urandom)
    assert sum(asked) >= 8
    assert os.urandom is system_env().random_bytes
    from trioflex._shell import framed

    assert os.urandom is inspect.signature(framed.FramedTransport).parameters["mask"].default
    for path in sorted(PACKAGE.rglob("*.py")):
        if "simulator" in path.parts or path.name == "opening.py":
            continue  # the supervisor's jitter, and simulated markets, are no secrets
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert "random" not in [alias.name for alias in node.names] or path.parts[-2] in (
                    "testing",
                    "cli",
                ), path


async def failing(stage, credentials, what):
    """Open a client in vain; return what people may see of that, the frames' locals included."""
    exchange = stage.exchange()
    if what == "denied":
        exchange.model.users.clear()
    elif what == "unanswered":
        exchange.silence(stage.login)
    else:
        exchange.accept_and_drop()
    with pytest.raises(trioflex.TrioflexError) as caught:
        async with stage.open(exchange, credentials=credentials):
            pytest.fail("it opened")
    error = caught.value
    locals_too = traceback.TracebackException.from_exception(error, capture_locals=True)
    return [repr(error), *traceback.format_exception(error), *locals_too.format()]


@every_venue
async def test_secrets_are_in_nothing_that_people_read(stage, caplog, autojump_clock):  # P10 L8
    """Logs at DEBUG, reprs, errors, tracebacks: through login, requests, refusal and failure."""
    caplog.set_level(logging.DEBUG, "trioflex")
    exchange = stage.exchange()
    names = dict(exchange.model.credentials())
    secrets = [
        value
        for name, value in names.items()
        if re.search("COOKIE|PASS|SECRET", name) and len(value) > 3
    ]
    for name, value in names.items():
        if name.endswith("KEY_FILE"):
            lines = Path(value).read_text().splitlines()  # noqa: ASYNC240
            secrets += [line for line in lines if not line.startswith("-----")]
    assert secrets
    credentials = stage.credentials(exchange)
    shown = [repr(credentials), str(credentials)]
    async with stage.open(exchange, credentials=credentials, reconnect=AT_ONCE) as client:
        shown.append(repr(client))
        exchange.push("rubbish")
        await wait_all_tasks_blocked()
        await client.wait_ready()
    for what in ("denied", "unanswered", "dropped"):
        shown += await failing(stage, credentials, what)
    signatures = re.compile(r'"(?:signature|sig|pass|proof)":\s*"(?!\*)[^"]{8}')
    for text in (caplog.text, *map(str, shown)):
        for secret in secrets:
            assert secret not in text
    assert [] == signatures.findall(caplog.text)


@every_venue
async def test_a_captured_login_is_refused(stage, autojump_clock):  # P11
    """The frame of one connection, sent by another client on the next: no session comes of it."""
    exchange = stage.exchange()
    async with stage.open(exchange):
        [captured] = stage.logins(exchange)
    await trio.sleep(1)
    async with exchange.connector(Target(url="ws://venue.example/")) as transport:
        await transport.send([captured])
        await wait_all_tasks_blocked()
    answers = [f.text for f in exchange.frames if f.connection == 2 and f.direction == "<"]
    refused = re.compile(r'"error_code":[1-9]|"error"|"code":[1-9]|"result":"(?!OK)')
    assert any(refused.search(answer) for answer in answers), answers


def test_dependencies_are_few_and_pinned_for_the_checks():  # P12
    """Each of those that users install is named with its reason; the checks run on known ones."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[><=~ \[]", line)[0] for line in project["dependencies"]]
    assert len(names) <= 8
    reasons = (ROOT / "docs" / "explanation" / "dependencies.rst").read_text()
    for name in names:
        assert f"``{name}``" in reasons
    pinned = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    for name in names:
        assert name.lower() in {pin.lower() for pin in pinned}
    assert "constraints.txt" in (ROOT / ".ci" / "run").read_text() + (ROOT / "Makefile").read_text()
