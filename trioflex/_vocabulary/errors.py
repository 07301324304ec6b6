"""Every exception trioflex raises, sorted by whose fault it is and what to do now.

::

    TrioflexError
    ├── OpenError                    the client never became ready
    │   ├── ConnectFailed            TCP, TLS or the HTTP upgrade
    │   ├── HandshakeTimeout         not ready within the venue's limit
    │   │   └── AuthenticationTimeout    ... and a login was under way
    │   └── AuthenticationDenied     the venue refused the credentials
    ├── ConnectionLost               for good: reconnect off, forbidden or exhausted
    ├── RequestError
    │   ├── NotSent                  certainly did not happen
    │   ├── Refused                  the venue said no
    │   ├── ReplyLost                a READ without an answer; ask again
    │   └── OutcomeUnknown           a WRITE without an answer; find out before asking again
    ├── SubscriptionRefused          the venue will not serve this channel
    ├── SubscriptionTimeout          no confirmation in time
    ├── ReceiverOverflow             this receiver's reader was too slow (Overflow.FAIL)
    ├── ProtocolError
    │   ├── LocalProtocolError       you (or we) used it wrongly
    │   └── RemoteProtocolError      the venue broke its own protocol
    └── InternalError                please report

After closing, Trio's own ``ClosedResourceError`` is raised.
"""

from __future__ import annotations

import enum
from typing import Final, Protocol


class RefusalKind(enum.Enum):
    """What a venue's refusal means, whatever number the venue gives it."""

    RATE_LIMITED = "rate limited"
    """Asked too often; the request was not executed."""
    NOT_AUTHENTICATED = "not authenticated"
    """The session is not logged in, or not allowed to do this."""
    INSUFFICIENT_FUNDS = "insufficient funds"
    UNKNOWN_MARKET = "unknown market"
    """No such instrument or market."""
    NOT_FOUND = "not found"
    """No such order, user or subscription (any more)."""
    DUPLICATE = "duplicate"
    """The caller's own name for the order was used before."""
    INVALID = "invalid"
    """The venue could not accept the request as it was written."""
    OTHER = "other"


class TrioflexError(Exception):
    """Root of all exceptions of trioflex."""


class OpenError(TrioflexError):
    """The client never became ready."""


class ConnectFailed(OpenError):
    """TCP, TLS or the HTTP upgrade failed; the cause is chained.

    Attributes:
        status: HTTP status of a refused upgrade, or ``None``.
        body: the first part of the body that came with it (at most 4 KiB).
        retry_after: seconds the peer asked us to wait, or ``None``.
        final: trying again cannot help (wrong certificate, HTTP 401, 403, 404 …).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        body: str = "",
        retry_after: float | None = None,
        final: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.retry_after = retry_after
        self.final = final


class HandshakeTimeout(OpenError):
    """The venue did not make the session ready within its time limit."""


class AuthenticationTimeout(HandshakeTimeout):
    """The time limit passed while a login was under way."""


class AuthenticationDenied(OpenError):
    """The venue refused the login.

    Attributes:
        code: the venue's own code, as text.
        message: the venue's own text.
    """

    def __init__(self, message: str, *, code: str, text: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = text


class ConnectionLost(TrioflexError):
    """The connection is gone for good: reconnecting is off, forbidden or exhausted.

    Attributes:
        attempts: how often connecting was tried in this outage, the first included.
        code: the WebSocket close code of the last connection, or ``None`` without a Close frame.
        reason: the text that came with it.
    """

    def __init__(
        self, message: str, *, attempts: int = 0, code: int | None = None, reason: str = ""
    ) -> None:
        super().__init__(message)
        self.attempts = attempts
        self.code = code
        self.reason = reason


class TicketLike(Protocol):
    """What an error knows of the ticket it is about (the layers above have the real one)."""

    @property
    def request(self) -> object:
        """The request the ticket was made for."""


class RequestError(TrioflexError):
    """A request did not end in a reply.

    Attributes:
        ticket: the request's :class:`trioflex.Ticket`, or ``None`` if it was refused locally.
    """

    def __init__(self, message: str, *, ticket: TicketLike | None = None) -> None:
        super().__init__(message)
        self.ticket = ticket


class NotSent(RequestError):
    """The request certainly did not happen: not one byte of it left.

    Attributes:
        permanent: the request itself is what cannot be sent (it names an asset that the venue does
            not have, it is too large): to ask again is in vain. The cause says why, a
            :class:`LocalProtocolError`.
    """

    def __init__(
        self, message: str, *, ticket: TicketLike | None = None, permanent: bool = False
    ) -> None:
        super().__init__(message, ticket=ticket)
        self.permanent = permanent


class Refused(RequestError):
    """The venue said no; nothing was done.

    Attributes:
        code: the venue's own code, as text.
        message: the venue's own text.
        kind: what it means, in our words.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        text: str,
        kind: RefusalKind = RefusalKind.OTHER,
        ticket: TicketLike | None = None,
    ) -> None:
        super().__init__(message, ticket=ticket)
        self.code = code
        self.message = text
        self.kind = kind


class ReplyLost(RequestError):
    """A request that changes nothing went unanswered; asking again is safe."""


class OutcomeUnknown(RequestError):
    """A request that may change the account went unanswered; it may or may not have happened.

    The library never repeats it. Find out first: each venue's module has a function for it.
    """


LOCAL: Final = "local"
"""The code of a refusal that no venue has seen: we knew beforehand that it would be one."""


class SubscriptionRefused(TrioflexError):
    """The venue will not serve this channel.

    Attributes:
        channel: the channel asked for.
        code: the venue's own code, as text; ``"local"`` if it was not even asked, because the
            channel names an asset that it does not have, for example.
        message: the venue's own text.
    """

    def __init__(self, message: str, *, channel: object, code: str, text: str) -> None:
        super().__init__(message)
        self.channel = channel
        self.code = code
        self.message = text


class SubscriptionTimeout(TrioflexError):
    """The venue did not confirm the subscription in time.

    Attributes:
        channel: the channel asked for.
    """

    def __init__(self, message: str, *, channel: object) -> None:
        super().__init__(message)
        self.channel = channel


class ReceiverOverflow(TrioflexError):
    """This receiver's reader was too slow and asked to be told so (``Overflow.FAIL``).

    Attributes:
        channel: the receiver's channel.
        dropped: how many items were thrown away.
    """

    def __init__(self, message: str, *, channel: object, dropped: int) -> None:
        super().__init__(message)
        self.channel = channel
        self.dropped = dropped


class ProtocolError(TrioflexError):
    """Somebody broke a protocol."""


class LocalProtocolError(ProtocolError):
    """You (or we) used it wrongly."""


class RemoteProtocolError(ProtocolError):
    """The venue broke its own protocol.

    Attributes:
        close_code: the WebSocket code to close with (1002, 1003, 1007, 1009), or ``None``.
    """

    def __init__(self, message: str, *, close_code: int | None = None) -> None:
        super().__init__(message)
        self.close_code = close_code


class InternalError(TrioflexError):
    """A bug of ours or of a venue module; please report it with the chained cause."""
