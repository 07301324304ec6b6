"""Reading a request of the CoinFLEX and Coinfloor wire, field by field."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import msgspec

from .floor_errors import bad_request

INT64 = range(-(2**63), 2**63)
"""What an integer of the wire can hold."""

TAGS = range(-(2**63), 2**64)
"""What a tag may be; the documents name no width, and clients used up to 63 bits."""

UINT64 = range(2**64)
"""What a user id can hold: it is signed as 8 bytes."""

PLAIN_FIELDS = (
    "tag",
    "method",
    "user_id",
    "base",
    "counter",
    "quantity",
    "price",
    "total",
    "tonce",
    "persist",
    "post_only",
    "id",
    "quantity_delta",
    "asset",
    "watch",
)
"""Every field of the protocol that is no secret."""

LONGEST_TEXT = 64
"""Characters of a text that the record keeps: more than any method's name has, and a bound for
what a hostile client can make it remember."""


class Request:
    """One command of a client.

    A field that is ``null`` counts as absent; fields that a method does not know are ignored, as
    the documents are silent about both.
    """

    __slots__ = ("_fields", "method", "tag")

    def __init__(self, frame: str) -> None:
        """Read a frame.

        Raises:
            Refused: the frame is not one JSON object.
        """
        self.tag: int | None = None
        self.method: str = ""
        try:
            fields = msgspec.json.decode(frame)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise bad_request("Your message is not valid JSON.") from None
        if not isinstance(fields, dict):
            raise bad_request("Your message is not a JSON object.")
        self._fields: dict[str, object] = fields
        tag = fields.get("tag")
        # A reply carries the tag only if it is given and not zero.
        if type(tag) is int and tag and tag in TAGS:
            self.tag = tag
        method = fields.get("method")
        if isinstance(method, str):
            self.method = method

    def has(self, name: str) -> bool:
        """Tell whether a field is given."""
        return self._fields.get(name) is not None

    def integer(self, name: str, *, within: range = INT64) -> int:
        """Return a required integer field.

        Raises:
            Refused: it is missing, or something else.
        """
        value = self._fields.get(name)
        if type(value) is not int:
            raise bad_request(f'Field "{name}" must be an integer.')
        if value not in within:
            raise bad_request(f'Field "{name}" is out of range.')
        return value

    def optional_integer(self, name: str) -> int | None:
        """Return an integer field, or None if it is not given.

        Raises:
            Refused: it is something else.
        """
        return self.integer(name) if self.has(name) else None

    def boolean(self, name: str) -> bool:
        """Return a required boolean field.

        Raises:
            Refused: it is missing, or something else.
        """
        value = self._fields.get(name)
        if not isinstance(value, bool):
            raise bad_request(f'Field "{name}" must be true or false.')
        return value

    def text(self, name: str) -> str:
        """Return a required string field.

        Raises:
            Refused: it is missing, or something else.
        """
        value = self._fields.get(name)
        if not isinstance(value, str):
            raise bad_request(f'Field "{name}" must be a string.')
        return value

    def texts(self, name: str, count: int) -> list[str]:
        """Return a required array of so many strings.

        Raises:
            Refused: it is missing, or something else.
        """
        value = self._fields.get(name)
        if not (
            isinstance(value, list)
            and len(value) == count
            and all(isinstance(element, str) for element in value)
        ):
            raise bad_request(f'Field "{name}" must be an array of {count} strings.')
        return value

    def value(self, name: str) -> object:
        """Return a field whatever it is, or None."""
        return self._fields.get(name)

    def plain_fields(self) -> Mapping[str, object]:
        """Return what a record can keep: the protocol's fields, without secrets and lists."""
        return {
            name: value[:LONGEST_TEXT] if isinstance(value, str) else value
            for name in PLAIN_FIELDS
            if isinstance(value := self._fields.get(name), int | str)
        }


def octets(text: str, length: int, name: str) -> bytes:
    """Decode a Base64 value of a known length.

    Raises:
        Refused: it is not Base64 with the standard alphabet and padding, or not of that length.
    """
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise bad_request(f'Field "{name}" is not valid Base64.') from None
    if len(value) != length:
        raise bad_request(f'Field "{name}" must be {length} bytes long.')
    return value
