"""Strict JSON: typed shapes in, exact numbers both ways, one kind of error.

Rules of the file:

* No number passes through a binary float. An integer on the wire becomes an ``int`` and nothing
  else does (``1.0`` is not one); fractions, where a shape has them, are ``Decimal``.
* Whatever is wrong with a frame that came in, :class:`trioflex.RemoteProtocolError` says so, with
  the venue's name, what was expected, where, and the beginning of the frame without its secrets.
* Whatever is wrong with a message that goes out is :class:`trioflex.LocalProtocolError`.

Invalid UTF-8 never gets here: the WebSocket layer refuses it (RFC 6455, section 8.1).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

from .._vocabulary.errors import LocalProtocolError, RemoteProtocolError

T = TypeVar("T")

DEFAULT_LIMIT = 4 * 1024 * 1024
"""Largest frame decoded, in bytes: the default of ``Venue.max_message_bytes``."""

EXCERPT = 200
"""Characters of a bad frame that an error shows: enough to recognise it, too few to fill a log."""

MALFORMED = (ValueError, ArithmeticError, RecursionError)
"""All that msgspec raises on hostile input: its own errors and invalid UTF-8 are ValueErrors, a
number whose exponent Decimal cannot hold is an ArithmeticError, deep nesting a RecursionError."""


def shown(frame: bytes, redact: Callable[[str], str]) -> str:
    """Return the beginning of a frame for people, without its secrets.

    Args:
        frame: as it came.
        redact: the venue's; it sees far more than is shown, because half a secret would not be
            recognised as one.
    """
    text = redact(frame[: 64 * 1024].decode("utf-8", "replace"))
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}…"


def malformed(
    venue: str, frame: bytes, error: BaseException, redact: Callable[[str], str]
) -> RemoteProtocolError:
    """Return the error for a frame that could not be decoded.

    Args:
        venue: its name, for people.
        frame: the frame.
        error: what the decoder raised.
        redact: the venue's.
    """
    if isinstance(error, msgspec.ValidationError):
        what = f"a message of the wrong shape ({str(error)[:EXCERPT]})"
    elif isinstance(error, RecursionError):
        what = "a message that is nested too deeply"
    elif isinstance(error, ArithmeticError):
        what = "a number that is out of all bounds"
    else:
        what = f"a message that is not JSON ({str(error)[:EXCERPT]})"
    return RemoteProtocolError(f"{venue} sent {what}: {shown(frame, redact)}")


class Decoder(Generic[T]):
    """Decodes frames into one shape.

    Args:
        venue: its name, for error messages.
        shape: a msgspec type: a Struct, a tagged union of them, ``Any`` for everything.
        redact: replaces the secrets in a frame that an error is going to show.
        limit: refuse frames of more bytes than this.
    """

    __slots__ = ("_decoder", "_limit", "_redact", "_venue", "decode")

    decode: Callable[[bytes | str], T]
    """The bare decoder, for hot paths that have checked the size and handle
    :data:`MALFORMED` themselves."""

    def __init__(
        self,
        venue: str,
        shape: Any,
        *,
        redact: Callable[[str], str] = str,
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(shape, float_hook=Decimal)
        self._venue = venue
        self._redact = redact
        self._limit = limit
        self.decode = self._decoder.decode

    def __call__(self, frame: bytes) -> T:
        """Decode one frame.

        Raises:
            trioflex.RemoteProtocolError: it is too long, is not JSON, or has another shape.
        """
        if len(frame) > self._limit:
            raise RemoteProtocolError(
                f"{self._venue} sent a message of {len(frame)} bytes; the limit is {self._limit}: "
                f"{shown(frame, self._redact)}",
                close_code=1009,
            )
        try:
            return self.decode(frame)
        except MALFORMED as error:
            raise malformed(self._venue, frame, error, self._redact) from error


def encode(venue: str, message: object) -> str:
    """Return a message as JSON text; a ``Decimal`` becomes a number, digit by digit.

    Args:
        venue: its name, for error messages.
        message: built of dict, list, tuple, str, int, bool, None and Decimal; or of
            ``msgspec.Raw`` where the venue's module has written a piece of JSON itself.

    Raises:
        trioflex.LocalProtocolError: it holds a float, a number that is not finite, text that is not
            Unicode, or anything else that JSON cannot say exactly.
    """
    _check(venue, message)
    try:
        return _ENCODER.encode(message).decode()
    except UnicodeEncodeError:
        # "from None", and no excerpt: the encoder's own error quotes the whole text.
        raise LocalProtocolError(
            f"{venue} takes Unicode text; a text here holds half a surrogate pair"
        ) from None


_ENCODER = msgspec.json.Encoder(decimal_format="number")


_PLAIN = frozenset({int, str, bool, type(None)})
"""Types whose every value can be written as it is (the encoder itself refuses half characters)."""


def _check(venue: str, value: object) -> None:
    """Refuse what msgspec would write although it is wrong or inexact."""
    if isinstance(value, dict):
        for name, item in value.items():
            if type(name) is not str:
                raise LocalProtocolError(f"{venue} takes JSON; names in it are text, not {name!r}")
            if type(item) not in _PLAIN:
                _check(venue, item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            if type(item) not in _PLAIN:
                _check(venue, item)
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise LocalProtocolError(f"{venue} takes finite numbers, not {value}")
    elif isinstance(value, float):
        raise LocalProtocolError(
            f"{venue} takes exact numbers; {value!r} is a binary float: give it as Decimal or text"
        )
    elif type(value) not in _PLAIN and type(value) is not msgspec.Raw:
        raise LocalProtocolError(
            f"{venue} takes JSON; {type(value).__name__} cannot be written as such"
        )
