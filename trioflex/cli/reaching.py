"""Reaching a venue from the command line: which one, where, whom to trust, who logs in."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Annotated
from urllib.parse import urlsplit

import attrs
import typer

import trioflex
from trioflex import LocalProtocolError
from trioflex.protocol import Venue

from . import accounts, catalogue
from .tls import make_ssl_context

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="A ws:// or wss:// address, or the name of one of the venue's endpoints.",
        show_default=False,
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        metavar="FILE",
        help="Trust the authorities in this PEM file instead of the system's.",
        show_default=False,
    ),
]
Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure",
        help="Accept any certificate: whoever sits on the way can read and change everything, "
        "the login included.",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="The private key, for venues that log in with one (key.pem).",
        show_default=False,
    ),
]
ChannelNames = Annotated[
    list[str],
    typer.Argument(
        metavar="CHANNEL", help="As in OrderBook:XBT:USDT; `trioflex venues VENUE` has all."
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option("--for", min=0.0, metavar="SECONDS", help="Stop after so many seconds."),
]
VenueName = Annotated[str, typer.Argument(metavar="VENUE", help="As `trioflex venues` lists them.")]


@attrs.frozen(kw_only=True)
class Wishes:
    """What was given at the command line."""

    venue: str
    url: str | None = None
    ca_file: Path | None = None
    insecure: bool = False
    key_file: Path | None = None


@attrs.frozen(kw_only=True)
class Way:
    """How to reach a venue, checked."""

    venue: Venue
    module: ModuleType = attrs.field(repr=False)
    url: str
    ssl_context: ssl.SSLContext | None = attrs.field(repr=False)
    credentials: object | None = attrs.field(repr=False, default=None)

    @property
    def shown(self) -> str:
        """The address without what may be secret in it: a password, a query."""
        scheme, separator, rest = self.url.partition("://")
        host, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
        return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def find_way(wishes: Wishes) -> Way:
    """Check what was given, without a network and without credentials.

    Raises:
        LocalProtocolError: the venue is not known, the address cannot be one, or the TLS options
            contradict each other.
    """
    venue, module = catalogue.find(wishes.venue)
    url = _address(venue, module, wishes.url)
    try:
        context = make_ssl_context(ca_file=wishes.ca_file, insecure=wishes.insecure)
    except ValueError as wrong:
        raise LocalProtocolError(str(wrong)) from wrong
    if context is not None and url.startswith("ws://"):
        raise LocalProtocolError(
            f"{url} is not encrypted, so --ca-file and --insecure mean nothing; leave them out, or "
            "give a wss:// address."
        )
    return Way(venue=venue, module=module, url=url, ssl_context=context)


def with_login(way: Way, wishes: Wishes, *, needed: str | None) -> Way:
    """Return the way with credentials, if they are at hand or needed.

    Args:
        way: to the venue.
        wishes: what was given.
        needed: what needs the login, as a sentence's subject; ``None``: nothing does.

    Raises:
        LocalProtocolError: they are needed and not there, or cannot be right.
    """
    if needed is None and not way.venue.anonymous:
        needed = way.venue.name
    found = accounts.credentials(
        way.venue.name, way.module, needed=needed, key_file=wishes.key_file
    )
    return attrs.evolve(way, credentials=found)


@asynccontextmanager
async def reach(
    way: Way,
    *,
    observer: trioflex.Observer | None = None,
    connector: trioflex.Connector | None = None,
    reconnect: trioflex.Reconnect | None = None,
) -> AsyncIterator[trioflex.Client]:
    """Open a client that goes this way; as :func:`trioflex.open_client`.

    Raises:
        LocalProtocolError: the address cannot be one.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(_told_once())
        try:
            client = await stack.enter_async_context(
                trioflex.open_client(
                    way.venue,
                    url=way.url,
                    credentials=way.credentials,
                    ssl_context=way.ssl_context,
                    observer=observer,
                    connector=connector,
                    reconnect=reconnect,
                )
            )
        except ValueError as wrong:
            raise LocalProtocolError(str(wrong)) from wrong
        yield client


@contextmanager
def _told_once() -> Iterator[None]:
    """Keep Python from printing warnings of the log where nobody asked for it: what they say, the
    commands say themselves."""
    logger, handler = logging.getLogger("trioflex"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _checked(url: str) -> str:
    try:
        urlsplit(url)
    except ValueError as wrong:
        raise LocalProtocolError(f"BROKER_BASE_URL cannot be an address: {wrong}.") from None
    return url


def _address(venue: Venue, module: ModuleType, url: str | None) -> str:
    if url is None:
        base = accounts.sources().get("BROKER_BASE_URL") if venue.name == "theone" else None
        return _checked(str(module.stream_url(base))) if base else venue.url
    if url in venue.urls:
        return venue.urls[url]
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets of which one is missing, for example
        parts = urlsplit("")
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        names = ", ".join(sorted(venue.urls)) or "none"
        # An address may hold a password, so it is not repeated.
        raise LocalProtocolError(
            f"--url is a ws:// or wss:// address, or the name of an endpoint of {venue.name} "
            f"(there are: {names})."
        )
    return url
