"""How the command ends: one table from what went wrong to an exit status and a sentence."""

from __future__ import annotations

import enum
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import trio

import trioflex


class Status(enum.IntEnum):
    """Exit statuses; scripts may rely on them."""

    DONE = 0
    INTERNAL = 1
    """A bug of ours, or of a venue module."""
    USAGE = 2
    """Wrong arguments, something not installed, or the person said no."""
    REFUSED = 3
    """The venue said no."""
    OUTCOME_UNKNOWN = 4
    """It may or may not have happened: find out before asking again."""
    NOT_SENT = 5
    """It certainly did not happen."""
    LOGIN = 6
    """The login was denied, or there was no welcome, or no answer to it, in time."""
    CONNECT = 7
    """The venue could not be reached."""
    LOST = 8
    """The connection, or an answer, was lost and did not come back."""
    PROTOCOL = 9
    """The venue broke its own protocol."""
    INTERRUPTED = 130
    """Ctrl-C: 128 plus the number of SIGINT, as shells have it."""
    TERMINATED = 143
    """SIGTERM: 128 plus its number; all else is as after Ctrl-C."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came, and everything was closed as after Ctrl-C."""


# The first row that fits decides, so the special ones stand before the general.
_TABLE: tuple[tuple[type[BaseException], Status], ...] = (
    (Terminated, Status.TERMINATED),
    (KeyboardInterrupt, Status.INTERRUPTED),
    (trioflex.OutcomeUnknown, Status.OUTCOME_UNKNOWN),
    (trioflex.NotSent, Status.NOT_SENT),
    (trioflex.Refused, Status.REFUSED),
    (trioflex.SubscriptionRefused, Status.REFUSED),
    (trioflex.AuthenticationDenied, Status.LOGIN),
    (trioflex.HandshakeTimeout, Status.LOGIN),
    (trioflex.OpenError, Status.CONNECT),
    (trioflex.ConnectionLost, Status.LOST),
    (trioflex.ReplyLost, Status.LOST),
    (trioflex.SubscriptionTimeout, Status.LOST),
    (trioflex.RemoteProtocolError, Status.PROTOCOL),
    (trioflex.LocalProtocolError, Status.USAGE),
)


def status_of(error: BaseException) -> Status:
    """
    Return the exit status for what a command raised.

    Args:
        error: an exception, or a group whose most telling member decides.

    Returns:
        ``Status.INTERNAL`` for whatever is not in the table: nobody foresaw it.
    """
    reason = reason_of(error)
    if _never_asked(reason):
        return Status.USAGE
    return next((status for kind, status in _TABLE if isinstance(reason, kind)), Status.INTERNAL)


def _never_asked(reason: BaseException) -> bool:
    """Whether what was asked for cannot even be said to the venue: an unknown asset, for one."""
    if isinstance(reason, trioflex.SubscriptionRefused):
        return reason.code == "local"
    return isinstance(reason, trioflex.NotSent) and reason.permanent


def reason_of(error: BaseException) -> BaseException:
    """
    Return the one exception that a person should hear about.

    Tasks that ran side by side may fail together; what is in the table says more than the noise
    that followed from it, and the order of the table says which says most.
    """
    leaves = list(_leaves(error))
    for kind, _ in _TABLE:
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]


@contextmanager
def one_reason() -> Iterator[None]:
    """Let tasks that ran side by side fail with one exception, the most telling.

    Raises:
        BaseException: see :func:`reason_of`.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        told = group.split(trio.Cancelled)[1]
        if told is None:
            raise
        raise reason_of(told) from None


def sentence_of(error: BaseException) -> str:
    """
    Return what a person is told: one or two sentences, without a traceback.

    Args:
        error: what a command raised.

    Returns:
        Text without a newline at its end; empty after Ctrl-C and SIGTERM, which need no
        explanation.
    """
    reason = reason_of(error)
    if isinstance(reason, KeyboardInterrupt):
        return ""
    text = " ".join(str(reason).split()) or type(reason).__name__
    if status_of(reason) is Status.INTERNAL:
        return (
            f"Something went wrong inside trioflex ({type(reason).__name__}: {text}). "
            "Please report it with what `trioflex --debug ...` shows."
        )
    if isinstance(reason.__cause__, ssl.SSLCertVerificationError):
        text = text.rstrip(".")
        text += ". If the certificate is your own, name its authority with --ca-file."
    return text


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    elif isinstance(error, trio.BrokenResourceError) and isinstance(
        error.__cause__, trioflex.TrioflexError
    ):
        yield error.__cause__  # "the client failed": that is why
    else:
        yield error
