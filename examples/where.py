"""Where the examples trade: at the venue that --url names, else at a simulated one in here.

Every example works against both, because a client does not know what is at the other end::

    python examples/ticker.py                                  # simulated, in this process
    python examples/ticker.py --url ws://127.0.0.1:8080/       # `trioflex simulate --port 8080`
    python examples/ticker.py --url wss://api.coinflex.com/v1  # CoinFLEX

Credentials come from the environment (COINFLEX_USER_ID, COINFLEX_COOKIE, COINFLEX_PASSPHRASE) and
never from the command line, where every user of the machine can read them.
"""

from __future__ import annotations

import argparse
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trioflex
from trioflex.simulator import SimulatedExchange, open_exchange
from trioflex.venues import coinflex


def parse(description: str | None, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options that all examples share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a venue to connect to; without it one is simulated in here")
    parser.add_argument("--ca-file", help="the authority that signed the venue's certificate")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to run (10)")
    return parser.parse_args(arguments)


@asynccontextmanager
async def open_client(
    options: argparse.Namespace, *, login: bool = True
) -> AsyncIterator[tuple[trioflex.Client, SimulatedExchange | None]]:
    """Open a client where the options say; with the exchange, if that is simulated in here."""
    if options.url is not None:
        authority = options.ca_file
        async with trioflex.open_client(
            coinflex.VENUE,
            url=options.url,
            credentials=coinflex.Credentials.from_env() if login else None,
            ssl_context=ssl.create_default_context(cafile=authority) if authority else None,
        ) as client:
            yield client, None
        return

    async with open_exchange("coinflex") as exchange:
        account = coinflex.Credentials.from_env(exchange.model.credentials())
        async with trioflex.open_client(
            coinflex.VENUE,
            connector=exchange.connector,
            credentials=account if login else None,
        ) as client:
            yield client, exchange
