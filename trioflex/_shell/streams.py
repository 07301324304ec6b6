"""Byte streams to a venue: TCP and TLS, with errors that say what was wrong."""

from __future__ import annotations

import functools
import os
import ssl
from contextlib import suppress
from typing import Final

import trio

from .._sansio.upgrade import Address, parse_url
from .._vocabulary.errors import ConnectFailed
from .tcp import direct
from .tls import TlsStream
from .transport import Target

_PASSING_ALERTS: Final = frozenset({"TLSV1_ALERT_INTERNAL_ERROR"})
"""TLS errors that a peer's restart may cure; no other one gets better by trying again."""


async def open_socket_stream(target: Target) -> trio.abc.Stream:
    """Open TCP, and TLS for ``wss://``, to where the target's URL leads.

    Raises:
        ConnectFailed: the URL is unusable, the name does not resolve, nobody listens, or TLS
            failed; the ``OSError`` or ``ssl.SSLError`` is the cause.

    Cancellation: nothing stays open.
    """
    address = parse_url(target.url)
    if target.ssl_context is not None and not address.secure:
        raise ConnectFailed(
            f"cannot open {address.shown}: an ssl_context was given for an unencrypted URL; "
            "use wss:// or drop the context",
            final=True,
        )
    try:
        stream = direct(await trio.open_tcp_stream(address.host, address.port))
    except UnicodeError as exc:
        why = "its host cannot be looked up"
        raise ConnectFailed(f"cannot open {address.shown}: {why}", final=True) from exc
    except OSError as exc:
        raise ConnectFailed(f"cannot open {address.shown}: {explain(exc)}") from exc
    if not address.secure:
        return stream
    return await wrap_tls(stream, address, target.ssl_context)


async def wrap_tls(
    stream: trio.abc.Stream, address: Address, context: ssl.SSLContext | None
) -> trio.abc.Stream:
    """Do the TLS handshake over an open stream, now, so that its errors surface here.

    The stream belongs to the result; if there is none, it is closed.

    Raises:
        ConnectFailed: the peer's certificate was refused (final), or it does not speak TLS
            (final), or it went away.

    Cancellation: the stream is closed.
    """
    try:
        trusted = default_context() if context is None else context
        secured = TlsStream(stream, trusted, address.host)
        await secured.do_handshake()
    except trio.BrokenResourceError as exc:
        await close_now(stream)
        raise tls_failure(exc, address) from (exc.__cause__ or exc)
    except BaseException:
        await close_now(stream)
        raise
    return secured


async def close_now(stream: trio.abc.AsyncResource) -> None:
    """Close a stream without waiting and without raising, cancelled or not.

    :func:`trio.aclose_forcefully` raises ``Cancelled`` where the task is cancelled, too; it would
    take the place of the exception that is on its way out.
    """
    with trio.CancelScope(shield=True) as scope, suppress(trio.BrokenResourceError):
        scope.cancel()
        await stream.aclose()


@functools.cache
def default_context() -> ssl.SSLContext:
    """Return the context for venues with a public certificate: system trust, names checked."""
    # Reading the trust store takes tens of milliseconds, too long for every reconnect.
    return ssl.create_default_context()


def tls_failure(exc: trio.BrokenResourceError, address: Address) -> ConnectFailed:
    """Say what was wrong in a TLS handshake."""
    cause = exc.__cause__
    began = f"cannot open {address.shown}: "
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ConnectFailed(
            f"{began}the certificate of {address.host} was refused: {cause.verify_message}",
            final=True,
        )
    ended = isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError))
    if not isinstance(cause, ssl.SSLError) or ended:
        return ConnectFailed(f"{began}{address.host} closed during the TLS handshake")
    reason = cause.reason or str(cause)
    if reason == "WRONG_VERSION_NUMBER":
        why = f"port {address.port} of {address.host} does not speak TLS"
    else:
        why = f"the TLS handshake with {address.host} failed: {reason}"
    return ConnectFailed(began + why, final=reason not in _PASSING_ALERTS)


def explain(exc: OSError) -> str:
    """Say in a few words why TCP failed, also where several addresses were tried."""
    causes: list[BaseException] = [exc]
    if isinstance(exc.__cause__, BaseExceptionGroup):
        causes = list(exc.__cause__.exceptions)
    words = [_words(each, alone=len(causes) == 1) for each in causes]
    return "; ".join(dict.fromkeys(words))


def _words(exc: BaseException, *, alone: bool) -> str:
    """Say what one attempt failed of, without the address, which Trio adds, if it was the only
    one: our own sentence has it."""
    if alone and isinstance(exc, OSError) and exc.errno and exc.errno > 0:
        return os.strerror(exc.errno)
    return (isinstance(exc, OSError) and exc.strerror) or str(exc)
