"""Where the examples trade: at the venue that --url names, else at a simulated one in here.

Examples work against both, because a client does not know what is at the other end::

    python examples/ticker.py                                  # simulated, in this process
    python examples/ticker.py --url ws://127.0.0.1:8080/       # `trioflex simulate --port 8080`
    python examples/ticker.py --url wss://api.coinflex.com/v1  # CoinFLEX

Credentials come from the environment (COINFLEX_USER_ID, COINFLEX_COOKIE, COINFLEX_PASSPHRASE) and
never from the command line, where every user of the machine can read them.

This file is what the examples have in common; run by itself it does nothing.
"""

from __future__ import annotations

import argparse
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import trioflex
from trioflex.simulator import SimulatedExchange, open_exchange
from trioflex.venues import coinflex


class Login(Protocol):
    """What the examples need of a venue's ``Credentials``."""

    def from_env(self, environ: Mapping[str, str] | None = None) -> object:
        """Return the credentials that an environment holds."""


def parse(
    description: str | None,
    arguments: Sequence[str] | None,
    *,
    login: Login | None = None,
    elsewhere: bool = True,
) -> argparse.Namespace:
    """Return the options that all examples share; what cannot be ends the program in a sentence.

    Args:
        description: for ``--help``.
        arguments: of the command line; ``None``: those of this process.
        login: the venue's ``Credentials``, for examples that log in. With ``--url``, ``account``
            among the options is what the environment holds.
        elsewhere: whether the example can run against a venue that ``--url`` names.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    unless = None if elsewhere else argparse.SUPPRESS
    parser.add_argument(
        "--url", help=unless or "a venue to connect to; without it one is simulated in here"
    )
    parser.add_argument(
        "--ca-file", help=unless or "the authority that signed the venue's certificate"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to run (10)")
    options = parser.parse_args(arguments)
    if not elsewhere and (options.url or options.ca_file):
        parser.error(
            "this example is about several venues, which it simulates; --url names one, so it is "
            "not taken here"
        )
    options.login, options.account = login, None
    if login is not None and options.url is not None:
        try:
            options.account = login.from_env()
        except trioflex.LocalProtocolError as missing:
            parser.error(f"{missing}. With --url the account comes from the environment")
    return options


@asynccontextmanager
async def open_client(
    options: argparse.Namespace,
) -> AsyncIterator[tuple[trioflex.Client, SimulatedExchange | None]]:
    """Open a client where the options say; with the exchange, if that is simulated in here."""
    if options.url is not None:
        authority = options.ca_file
        async with trioflex.open_client(
            coinflex.VENUE,
            url=options.url,
            credentials=options.account,
            ssl_context=ssl.create_default_context(cafile=authority) if authority else None,
        ) as client:
            yield client, None
        return

    async with open_exchange("coinflex") as exchange:
        login = options.login
        async with trioflex.open_client(
            coinflex.VENUE,
            connector=exchange.connector,
            credentials=login and login.from_env(exchange.model.credentials()),
        ) as client:
            yield client, exchange
