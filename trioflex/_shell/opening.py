"""``open_client``: one block, one client, one exception.

What the caller sees (the whole contract):

==================================  ============  ================================================
the block                           the client    raised
==================================  ============  ================================================
ends                                fine          nothing, after a graceful close (at most 3 s)
ends                                close fails   nothing: logged; a bad goodbye is nobody's problem
raises ``E``                        fine          ``E``, the same object, untouched
raises a group ``G``                fine          ``G``, the same object
is cancelled from outside           fine          its own ``Cancelled``; the connection is dropped
anywhere, even asleep               fails         the block is cancelled; the failure
raises ``E`` while being torn down  has failed    ``E``, with a note that names the failure
is cancelled from outside as well   has failed    the failure: an error outranks a cancellation
\\-                                  venue bug     :class:`InternalError` from it
Ctrl-C                              \\-            ``KeyboardInterrupt``
not entered                         never ready   ``ConnectFailed``, ``AuthenticationDenied`` ...
==================================  ============  ================================================
"""

from __future__ import annotations

import os
import random
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from .._sansio.rates import Rates
from .._vocabulary.errors import InternalError, LocalProtocolError
from .._vocabulary.settings import Keepalive, Reconnect, Timeouts
from ..protocol import Env, Venue
from .client import Client
from .core import Core, Limits
from .observer import Observer, Observers
from .supervisor import Supervisor
from .transport import Connector, Target
from .websocket import websocket_connector


@asynccontextmanager
async def open_client(
    venue: Venue | str,
    *,
    credentials: object | None = None,
    url: str | None = None,
    connector: Connector | None = None,
    ssl_context: ssl.SSLContext | None = None,
    timeouts: Timeouts | None = None,
    reconnect: Reconnect | None = None,
    keepalive: Keepalive | None = None,
    observer: Observer | None = None,
    env: Env | None = None,
) -> AsyncGenerator[Client, None]:
    """Open one session with a venue, for as long as the block lasts.

    Entering returns when the session is ready: connected, and logged in if credentials are given.
    The connection is kept alive and restored behind the block's back; receivers are told.

    Args:
        venue: what to open, e.g. ``trioflex.venues.coinflex.VENUE``; or the name of a venue that
            is registered under the entry-point group ``trioflex.venues``.
        credentials: the venue module's ``Credentials``; ``None`` for public data alone.
        url: a ``ws://`` or ``wss://`` address, or the name of one of the venue's endpoints
            (``"staging"``); ``None``: the venue's default.
        connector: how to connect; ``None``: :func:`trioflex.websocket_connector`.
        ssl_context: for ``wss://``; ``None``: the system's trust store, host names checked.
        timeouts: limits in seconds; ``None`` here and below: the venue's.
        reconnect: when and how often to connect again.
        keepalive: when silence means death.
        observer: hooks into the life of connections.
        env: randomness and wall clock for the venue's session; for tests. ``None``: what the
            connector brings (see :class:`trioflex.Connector`), else the real world's.

    Yields:
        The open :class:`Client`.

    Raises:
        ConnectFailed: TCP, TLS or the HTTP upgrade failed, or the venue hung up before it was
            ready.
        AuthenticationDenied: the venue refused the login.
        AuthenticationTimeout: it did not answer the login within ``timeouts.handshake``.
        HandshakeTimeout: the same without a login.
        RemoteProtocolError: it broke its own protocol before it was ready.
        ConnectionLost: later: the connection is gone for good.
        InternalError: a bug, ours or the venue module's.
        LocalProtocolError: the venue cannot be used anonymously.
        TypeError: the connector's ``env`` is not an :class:`trioflex.protocol.Env`.
        ValueError: unknown venue or endpoint name, or a bad URL.

    Cancellation: entering leaves nothing behind. Inside the block, cancellation means *now*: when
    the block is left the connection is dropped, without a goodbye. Until then it is kept, so that a
    block can still cancel its orders, under a shield of its own.
    """
    described = find_venue(venue) if isinstance(venue, str) else venue
    core, target = _prepare(
        described,
        credentials,
        url,
        ssl_context,
        timeouts,
        reconnect,
        keepalive,
        observer,
        _env_of(connector) if env is None else env,
    )
    user_error: BaseException | None = None
    pierced = False
    supervisor: Supervisor | None = None
    try:
        async with trio.open_nursery(strict_exception_groups=True) as nursery:
            supervisor = Supervisor(
                core,
                websocket_connector() if connector is None else connector,
                target,
                credentials,
                nursery,
            )
            nursery.start_soon(supervisor.run, name=f"trioflex supervisor of {described.name}")
            try:
                await supervisor.opened.wait()
                if supervisor.failure is None:
                    try:
                        yield Client(core, supervisor)
                    except BaseException as exc:
                        user_error = exc
                        pierced = nursery.cancel_scope.cancel_called
                        if pierced:
                            # It may hold our nursery's own Cancelled, which only the nursery can
                            # take out again.
                            raise
                    cancelled = user_error is not None and _only_cancelled(user_error)
                    supervisor.begin_closing(now=cancelled)
            finally:
                supervisor.expose()
    except BaseExceptionGroup as group:
        _raise_one(group, user_error, supervisor, pierced=pierced)
    except trio.Cancelled:
        # An error outranks a cancellation.
        if not (_is_error(user_error) or (supervisor and supervisor.failure)):
            raise
    finally:
        if supervisor is not None:
            supervisor.warn_unsettled()
    if user_error is not None and not pierced:
        # Any nursery rebuilds groups while it filters Cancelled; this is the caller's own object.
        raise user_error
    if supervisor is not None and supervisor.failure is not None:
        raise supervisor.failure


def find_venue(name: str) -> Venue:
    """Return a registered venue by its name.

    Args:
        name: e.g. ``"coinflex"``; the names are those of the entry-point group
            ``trioflex.venues``.

    Returns:
        The venue.

    Raises:
        ValueError: nothing of that name is registered.
    """
    # Imported on use: it takes longer than half of trioflex does.
    from importlib.metadata import entry_points

    known = entry_points(group="trioflex.venues")
    for entry in known:
        if entry.name == name:
            venue = entry.load()
            if not isinstance(venue, Venue):
                raise TypeError(f"the entry point {name!r} is not a Venue but {venue!r}")
            return venue
    names = ", ".join(sorted(entry.name for entry in known)) or "none"
    raise ValueError(f"no venue is named {name!r}; registered are: {names}")


def system_env() -> Env:
    """Return the real world: the operating system's secure randomness and wall clock."""
    return Env(
        random_bytes=os.urandom,
        epoch_ms=lambda: time.time_ns() // 1_000_000,
        encrypt_pkcs1v15=_encrypt_pkcs1v15,
    )


def _encrypt_pkcs1v15(der: bytes, data: bytes) -> bytes:
    # Imported on first use: most venues never encrypt anything, and it is heavy.
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    key = load_der_public_key(der)
    if not isinstance(key, RSAPublicKey):
        raise ValueError("the public key is not an RSA key")
    return key.encrypt(data, PKCS1v15())


def _prepare(
    venue: Venue,
    credentials: object | None,
    url: str | None,
    ssl_context: ssl.SSLContext | None,
    timeouts: Timeouts | None,
    reconnect: Reconnect | None,
    keepalive: Keepalive | None,
    observer: Observer | None,
    env: Env,
) -> tuple[Core, Target]:
    if credentials is None and not venue.anonymous:
        raise LocalProtocolError(
            f"{venue.name} cannot be used anonymously; pass credentials to open_client()"
        )
    # Imported on use: it brings the HTTP machinery, which `import trioflex` can do without.
    from .._sansio.upgrade import parse_url

    address = _address(venue, url)
    limits = Limits.resolve(venue, timeouts)
    core = Core(
        venue=venue,
        env=env,
        url=parse_url(address).shown,
        limits=limits,
        reconnect=venue.reconnect if reconnect is None else reconnect,
        keepalive=venue.keepalive if keepalive is None else keepalive,
        observers=Observers(observer),
        random=random.random,
        rates=Rates(venue.rates),
    )
    target = Target(
        url=address,
        ssl_context=ssl_context,
        connect_timeout=limits.connect,
        close_timeout=limits.close,
        max_message_bytes=venue.max_message_bytes,
    )
    return core, target


def _env_of(connector: Connector | None) -> Env:
    """Return what a connector brings; where it brings nothing, the real world."""
    # Not in the protocol: most connectors lead into the real world, and have nothing to say.
    env: object = getattr(connector, "env", None)
    if env is None:
        return system_env()
    if not isinstance(env, Env):
        raise TypeError(
            f"a connector's attribute env must be a trioflex.protocol.Env, not {env!r}; pass env= "
            "to open_client() if it means something else"
        )
    return env


def _address(venue: Venue, url: str | None) -> str:
    if url is None:
        return venue.url
    if url in venue.urls:
        return venue.urls[url]
    if not url.startswith(("ws://", "wss://")):
        names = ", ".join(sorted(venue.urls)) or "none"
        raise ValueError(
            f"{venue.name} has no endpoint {url!r}; give a ws:// or wss:// address, or one of its "
            f"names: {names}"
        )
    return url


def _only_cancelled(exc: BaseException) -> bool:
    """Whether nothing but cancellation is in here."""
    if isinstance(exc, BaseExceptionGroup):
        return all(_only_cancelled(inner) for inner in exc.exceptions)
    return isinstance(exc, trio.Cancelled)


def _is_error(exc: BaseException | None) -> bool:
    return exc is not None and not _only_cancelled(exc)


def _leaves(exc: BaseException) -> list[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        return [leaf for inner in exc.exceptions for leaf in _leaves(inner)]
    return [exc]


def _raise_one(
    group: BaseExceptionGroup[BaseException],
    user_error: BaseException | None,
    supervisor: Supervisor | None,
    *,
    pierced: bool,
) -> None:
    """Reduce what the nursery raised to one exception, by the table above.

    The nursery's children are the user's block, the supervisor and the polls, which do not raise;
    so a group holds the user's exception, or ours from opening, or Ctrl-C, or a bug.
    """
    failure = None if supervisor is None else supervisor.failure
    if _only_cancelled(group):
        if not (_is_error(user_error) or failure):
            raise group
        return
    errors = [inner for inner in group.exceptions if not _only_cancelled(inner)]
    if pierced and _is_error(user_error) and len(errors) == 1:
        if failure is not None:
            errors[0].add_note(f"While the client was failing: {failure}")
        raise errors[0]
    # Something here is not the user's: the background was interrupted, or has a bug.
    for leaf in _leaves(group):
        if not isinstance(leaf, Exception | trio.Cancelled):
            raise leaf
    raise InternalError("a bug in trioflex: its background tasks must not raise") from group
