"""From the loss of a connection to the error that a user reads."""

from __future__ import annotations

from collections.abc import Callable

from .._vocabulary.errors import (
    AuthenticationDenied,
    AuthenticationTimeout,
    ConnectFailed,
    ConnectionLost,
    HandshakeTimeout,
    InternalError,
    RemoteProtocolError,
    TrioflexError,
)
from ..protocol import Loss, Retry
from .transport import Disconnected


def denied(venue: str, loss: Loss) -> AuthenticationDenied:
    """Return the error for a refused login; ``loss.denied`` must be there."""
    refusal = loss.denied
    assert refusal is not None  # only called for a denial
    return AuthenticationDenied(
        f"{venue} refused the login: {refusal.message} (code {refusal.code})",
        code=refusal.code,
        text=refusal.message,
    )


def unanswered(venue: str, limit: float) -> AuthenticationTimeout:
    """Return the error for a login on an open session that was not answered."""
    return AuthenticationTimeout(f"{venue} did not answer the login within {limit:g} s")


def login_refusal(venue: str, loss: Loss) -> Callable[[], TrioflexError] | None:
    """Return what a login by a new connection came to, if the venue had its chance to answer."""
    if loss.denied is not None:
        return lambda: denied(venue, loss)
    if isinstance(loss.error, HandshakeTimeout):
        why = str(loss.error)
        return lambda: AuthenticationTimeout(why)
    return None


def never_ready(venue: str, loss: Loss) -> TrioflexError:
    """Return the error for a client that never became ready."""
    if loss.denied is not None:
        return denied(venue, loss)
    known = (ConnectFailed, HandshakeTimeout, RemoteProtocolError, InternalError)
    if isinstance(loss.error, known):
        return loss.error
    error = ConnectFailed(f"{venue} ended the connection before it was ready: {_what(loss)}")
    error.__cause__ = loss.error
    return error


def lost(venue: str, loss: Loss, why: str, retry: Retry, *, attempts: int) -> TrioflexError:
    """Return the error for a client that was ready once, and is given up after ``attempts``."""
    if loss.denied is not None and retry is Retry.NEVER:
        return denied(venue, loss)
    if isinstance(loss.error, InternalError):
        return loss.error
    error = ConnectionLost(
        f"the connection to {venue} is lost: {_what(loss)}; {why}",
        attempts=attempts,
        code=loss.close_code,
        reason=loss.close_reason,
    )
    error.__cause__ = None if isinstance(loss.error, Disconnected) else loss.error
    return error


def _what(loss: Loss) -> str:
    what = loss.message if loss.goodbye is None else loss.goodbye.reason
    return what if loss.close_code is None else f"{what} (close code {loss.close_code})"
