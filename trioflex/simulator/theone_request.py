"""Reading a message of TheOne's stream: its fields, the text of its ``data``, its signature.

Nobody outside knows whether the venue hashes the text of ``data`` as it came or writes it anew, and
its own clients differ in the white space of what they send; so each of these readings is accepted.
Source: "the-one-io/api-client", ``client-py``, ``client-js``, ``docs/AUTHENTICATION_GUIDE``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from decimal import Decimal

import msgspec

from .theone_desk import Complaint

MAX_NONCE = 128
"""Characters; the clients' have thirty to forty."""

INVALID = "Invalid request"

_AMOUNT = re.compile(r"\d{1,30}(\.\d{1,18})?")


class Message:
    """One message of a client."""

    __slots__ = ("_fields", "data", "op")

    def __init__(self, frame: str) -> None:
        """Read a frame.

        Raises:
            Complaint: it is not one JSON object.
        """
        try:
            fields = msgspec.json.decode(frame, type=dict[str, msgspec.Raw])
            self._fields = {name: bytes(raw) for name, raw in fields.items()}
            op, data = self._value("op"), self._value("data")
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise Complaint(INVALID) from None
        self.op: str = op if isinstance(op, str) else ""
        self.data: dict[str, object] = data if isinstance(data, dict) else {}
        if data is not None and not isinstance(data, dict):
            raise Complaint(INVALID)

    def _value(self, name: str) -> object:
        raw = self._fields.get(name)
        return None if raw is None else msgspec.json.decode(raw)

    def text(self, name: str) -> str:
        """Return a field beside ``data``.

        Raises:
            Complaint: it is missing, or no text.
        """
        value = self._value(name)
        if not isinstance(value, str) or not value:
            raise Complaint(INVALID)
        return value

    def ts(self) -> int:
        """Return the time stamp, in milliseconds.

        Raises:
            Complaint: it is missing, or no integer.
        """
        value = self._value("ts")
        if type(value) is not int:
            raise Complaint(INVALID)
        return value

    def is_signed_by(self, secret: str, *, derived: bool) -> bool:
        """Tell whether the signature is right.

        Args:
            secret: of the account.
            derived: whether the HMAC key is derived from it.
        """
        key = secret.encode()
        if derived:
            key = base64.urlsafe_b64encode(hashlib.sha256(key).digest())
        path = "/ws/v1/stream" if self.op == "auth" else f"/ws/v1/{self.op}"
        given = self.text("sig").encode()
        for body in self._bodies():
            lines = ["WS", path, str(self.ts()), self.text("nonce")]
            text = "\n".join([*lines, hashlib.sha256(body).hexdigest()])
            right = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
            # The comparison takes the same time wherever the first difference is.
            if hmac.compare_digest(given, right.encode()):
                return True
        return False

    def _bodies(self) -> list[bytes]:
        raw = self._fields.get("data")
        if raw is None or raw == b"null":
            return [b""]
        compact = {"separators": (",", ":")}
        return [
            raw,
            json.dumps(self.data, **compact).encode(),  # type: ignore[arg-type]
            json.dumps(self.data, ensure_ascii=False, **compact).encode(),  # type: ignore[arg-type]
            json.dumps(self.data, sort_keys=True, **compact).encode(),  # type: ignore[arg-type]
        ]

    # -- fields of data ------------------------------------------------------------------------

    def given(self, *names: str) -> str:
        """Return a text of ``data`` under the first of its names that is given.

        Raises:
            Complaint: none is, or it is no text.
        """
        for name in names:
            if name in self.data:
                value = self.data[name]
                if isinstance(value, str) and value:
                    return value
                break
        raise Complaint(INVALID)

    def amount(self) -> Decimal:
        """Return the input amount.

        Raises:
            Complaint: it is missing, or no positive number in a text.
        """
        text = self.given("amountIn", "amount")
        if not _AMOUNT.fullmatch(text) or not (amount := Decimal(text)):
            raise Complaint("Invalid amount")
        return amount

    def sources(self) -> tuple[str, ...]:
        """Return the liquidity sources that are asked for; none: all.

        Raises:
            Complaint: it is no list of texts.
        """
        value = self.data.get("filter")
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise Complaint(INVALID)
        return tuple(value)

    def slippage(self) -> int | None:
        """Return the slippage in basis points, ``None`` if none is given.

        Raises:
            Complaint: it is no integer from 0 to 10000.
        """
        value = self.data.get("slippage_bps")
        if value is None:
            return None
        if type(value) is not int or not 0 <= value <= 10_000:
            raise Complaint(INVALID)
        return value

    def optional(self, name: str) -> str | None:
        """Return a text of ``data``, ``None`` if it is not given.

        Raises:
            Complaint: it is no text.
        """
        return self.given(name) if self.data.get(name) is not None else None
