"""``trioflex simulate``: what it says first, what it accepts, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from trioflex import LocalProtocolError
from trioflex.cli.app import app
from trioflex.cli.simulate import parse_account, simulate_command


def test_an_account_is_three_words():
    """The passphrase may hold what it likes, colons too."""
    account = parse_account("7:AAAA:a:b c:")
    assert (7, "AAAA", "a:b c:") == (account.user_id, account.cookie, account.passphrase)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("secret", "two colons"),
        ("7:secret", "two colons"),
        ("x:AAAA:secret", "user id"),
        ("-1:AAAA:secret", "user id"),
        ("18446744073709551616:AAAA:secret", "user id"),
        ("٣:AAAA:secret", "user id"),
        ("7:A*A:secret", "Base64"),
    ],
)
def test_a_malformed_account_is_explained(text, complaint):
    """Without its passphrase."""
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_account(text)
    assert "secret" not in str(caught.value)


def run_simulate(*arguments: str) -> int:
    """Run the command in this process until it has refused its arguments."""
    with pytest.raises(SystemExit) as leaving:
        app(["simulate", *arguments])
    return int(leaving.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["mtgox"], "coinflex or coinfloor"),
        (["--account", "7:AAAA"], "two colons"),
        (["--account", "1:AAAA:x"], "user 1 is there already"),
        (["--account", "7:AAAA:x", "--account", "7:BBBB:y"], "user 7 is there already"),
        (["--port", "65536"], "65535"),
    ],
)
def test_wrong_arguments_are_usage_errors(arguments, complaint, capsys):
    """With status 2 and a sentence, before anything is started."""
    assert 2 == run_simulate(*arguments)
    output = capsys.readouterr()
    words = " ".join(output.err.replace("│", " ").split())
    assert ("", True) == (output.out, complaint in words), words


async def test_a_taken_port_is_named():
    """And that another one can be had."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalProtocolError, match=f"port {port}.*0 to have"):
            await simulate_command("coinflex", port)


async def test_the_first_line_is_for_programs(capsys):
    """One JSON object: the URL, the credentials, the file to trust; the rest is for people."""
    out = err = ""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulate_command, "coinfloor", 0, True, 0, ["7:AAAA:secret"])
        with trio.fail_after(10):
            while not (out and err):
                await trio.sleep(0.02)
                output = capsys.readouterr()
                out, err = out + output.out, err + output.err
        nursery.cancel_scope.cancel()
    (line,) = out.splitlines()
    first = json.loads(line)
    assert {"url", "credentials", "ca_file"} == first.keys()
    assert first["url"].startswith("wss://127.0.0.1:")
    assert {"COINFLOOR_USER_ID", "COINFLOOR_COOKIE", "COINFLOOR_PASSPHRASE"} == (
        first["credentials"].keys()
    )
    assert not Path(first["ca_file"]).parent.exists()
    assert "coinfloor is served on wss://" in err
    assert "secret" not in err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_ends_cleanly(number, status):
    """Interrupted or terminated, with clients connected or not: nothing is left behind."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trioflex", "simulate", "--tls"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert Path(first["ca_file"]).exists()
        host, _, port = first["url"].removeprefix("wss://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10):
            process.send_signal(number)
            output, log = process.communicate(timeout=10)
    finally:
        process.kill()
        process.communicate()
    assert (status, "") == (process.returncode, output)
    assert f"{number.name}: ending" in log
    assert "Traceback" not in log
    assert not Path(first["ca_file"]).parent.exists()
