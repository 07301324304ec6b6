"""Echo client on trioflex's own transport, for the Autobahn|Testsuite's fuzzing server.

``make conformance PY27=...`` does all there is to do. Against a server that runs already::

    python conformance/trioflex_adapter.py ws://127.0.0.1:9001

A driver of another make needs three names of this file: ``NAME``, ``LOOP`` and ``echo``.

trioflex refuses binary messages, because the protocols of its venues are text. The suite sends
binary in many cases that are about something else, so this client takes them through the internal
option that exists for it. Everything else is what users get.
"""

from __future__ import annotations

import argparse
import os
import urllib.parse

import trio

from trioflex import ConnectFailed, Disconnected, RemoteProtocolError, Target, Transport
from trioflex._sansio.frames import encode_binary
from trioflex._shell.dialling import open_transport
from trioflex._shell.framed import FramedTransport
from trioflex._shell.streams import open_socket_stream

NAME = "trioflex"
LOOP = "trio"


async def echo(url: str, *, max_size: int) -> None:
    """Connect, say every message back as the kind it came in, return when it is over."""
    binary: list[bytes] = []
    target = Target(url=url, max_message_bytes=max_size)
    transport = await open_transport(target, open_socket_stream, binary=binary)
    try:
        await _echo(transport, binary)
        await transport.leave(target.close_timeout)
    finally:
        await transport.drop()


async def _echo(transport: FramedTransport, binary: list[bytes]) -> None:
    """Echo until the peer is done, or broke a rule."""
    try:
        while True:
            messages = await transport.receive()
            # The suite never mixes the kinds within one read, so their order is of no concern.
            await transport.send([message.decode() for message in messages])
            for payload in binary:
                await transport._write(encode_binary(payload, os.urandom))
            binary.clear()
    except (Disconnected, RemoteProtocolError):
        pass


async def ask(url: str) -> str:
    """Return the one message that the suite's server answers a control URL with."""
    transport: Transport
    transport = await open_transport(Target(url=url, connect_timeout=30), open_socket_stream)
    try:
        while not (messages := await transport.receive()):
            pass
        return messages[0].decode()
    finally:
        await transport.drop()


async def run_all(server: str, limit: float) -> None:
    """Go through all cases and have the reports written."""
    agent = urllib.parse.quote(NAME)
    count = int(await ask(f"{server}/getCaseCount"))
    for case in range(1, count + 1):
        with trio.move_on_after(limit) as scope:
            try:
                await echo(f"{server}/runCase?case={case}&agent={agent}", max_size=32 << 20)
            except ConnectFailed as exc:
                print(f"case {case}: {exc}")
        if scope.cancelled_caught:
            print(f"case {case}: not over after {limit:g} s")
    with trio.move_on_after(60):
        await echo(f"{server}/updateReports?agent={agent}", max_size=1 << 20)
    print(f"{count} cases done")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("server", help="e.g. ws://127.0.0.1:9001")
    parser.add_argument("--case-timeout", type=float, default=150.0, help="seconds (150)")
    arguments = parser.parse_args()
    trio.run(run_all, arguments.server, arguments.case_timeout)


if __name__ == "__main__":
    main()
