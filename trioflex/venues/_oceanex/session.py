"""The protocol state of one connection to OceanEx.

Theory of operation
-------------------

The venue speaks first: ``welcome`` says how often it pings. The session is ready with it, or with
the answer to the login that follows it. Requests carry a random ``uuid`` and answers repeat it, in
any order. An answer without one belongs to the only request of its handler and action that is
unanswered; a request that timed out counts as unanswered for as long as the connection lasts, so
such an answer never goes to the wrong one.

Source: "OceanEx/ocean-websocket-client", user guide 0.5; the signature as in ``src/ws_client.py``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

import attrs
import msgspec

from ..._sansio.codec import MALFORMED, Decoder, encode, malformed, shown
from ..._vocabulary.errors import LocalProtocolError, RemoteProtocolError
from ...protocol import (
    Channel,
    Denied,
    Env,
    Event,
    Goodbye,
    Ignored,
    Ready,
    Refusal,
    Reply,
    Request,
    Retry,
    Rhythm,
    Transmit,
)
from .credentials import PATH, VERB, Credentials
from .errors import CLOCK_HINT, EXPIRED, kind_of, retry_of, text_of
from .privacy import redact
from .replies import Market
from .requests import GetMarkets, NewOrder, OceanExRequest, Wording

NAME = "oceanex"

INTERVAL = 60.0
"""Seconds between the venue's pings, where its welcome does not say."""

PATIENCE = 2.5
"""Intervals of silence that are death: two pings are missing by then."""

UNANSWERED = 10_000
"""Requests remembered while they wait for replies; what is older was given up long ago."""

_DECODE: Final[Decoder[Any]] = Decoder(NAME, Any, redact=redact)


@attrs.frozen(kw_only=True)
class Settings:
    """What of the protocol is a setting."""

    wording: Wording = attrs.field(factory=Wording)
    check_orders: bool = True
    markets: Mapping[str, Market] = attrs.field(factory=dict)
    clock_offset_ms: int = 0


@attrs.frozen
class _Asked:
    key: int
    request: OceanExRequest[Any]


class OceanExSession:
    """One connection's state; see :class:`trioflex.protocol.Session`."""

    def __init__(self, settings: Settings, credentials: Any, env: Env) -> None:
        self._settings = settings
        self._env = env
        self._credentials = _checked(credentials)
        self._markets = dict(settings.markets)
        self._welcomed = False
        self._login: str | None = None
        self._last_nonce = 0
        self._asked: dict[str, _Asked] = {}

    # -- the contract --------------------------------------------------------------------------

    def open(self) -> list[Event]:
        """Do nothing: the venue speaks first."""
        return []

    def receive(self, frame: bytes) -> list[Event]:
        """Take one frame and say what it means."""
        try:
            message = _DECODE.decode(frame)
        except MALFORMED:
            return [Ignored(shown(frame, redact))]
        if not isinstance(message, dict):
            return [Ignored(message)]
        match message.get("type"):
            case "ping":
                return [Transmit('{"command":"pong"}')]
            case "welcome":
                return self._welcome(message.get("message"))
            case "disconnect":
                return self._disconnect(message)
            case None:
                return self._answer(frame, message)
        return [Ignored(message)]

    def send(self, request: Request[Any], key: int) -> str:
        """Return the frame of a request that leaves now."""
        if not isinstance(request, OceanExRequest):
            raise LocalProtocolError(
                f"oceanex has no request {type(request).__name__} of {type(request).__module__}"
            )
        if isinstance(request, NewOrder) and self._settings.check_orders and self._markets:
            market = self._markets.get(request.market)
            if market is None:
                raise LocalProtocolError(f"oceanex has no market {request.market!r}")
            request.check(market)
        name = self._uuid()
        frame = self._frame(
            request.handler, request.action, name, request.args(self._settings.wording)
        )
        if len(self._asked) >= UNANSWERED:
            del self._asked[next(iter(self._asked))]
        self._asked[name] = _Asked(key, request)
        return frame

    def watch(self, channel: Channel[Any], on: bool) -> Request[Any] | None:
        """Refuse: this venue has no channels."""
        raise LocalProtocolError(
            f"oceanex pushes nothing, so it has no channel {channel!r}; use client.poll()"
        )

    def login(self, credentials: Any) -> list[Event] | None:
        """Log an anonymous session in."""
        self._credentials = _checked(credentials)
        return self._log_in()

    def close(self) -> list[Transmit]:
        """Do nothing: the venue knows no goodbye."""
        return []

    # -- out -----------------------------------------------------------------------------------

    def _uuid(self) -> str:
        return str(uuid.UUID(bytes=self._env.random_bytes(16), version=4))

    def _frame(
        self, handler: str, action: str, name: str, args: dict[str, object], **rest: object
    ) -> str:
        identifier: object = {"handler": handler}
        data: object = {"action": action, "uuid": name, "args": args, **rest}
        if self._settings.wording.stringify:
            identifier, data = encode(NAME, identifier), encode(NAME, data)
        return encode(NAME, {"identifier": identifier, "command": "message", "data": data})

    def _log_in(self) -> list[Event]:
        credentials = self._credentials
        if credentials is None:
            return [Ready()]
        now = self._env.epoch_ms() + self._settings.clock_offset_ms
        nonce = self._last_nonce = max(now, self._last_nonce + 1)
        self._login = self._uuid()
        header = {
            "uid": credentials.uid,
            "api_key": credentials.key_id,
            "signature": credentials.sign(nonce),
            "nonce": nonce,
            "verb": VERB,
            "path": PATH,
        }
        return [Transmit(self._frame("AuthHandler", "login", self._login, {}, header=header))]

    # -- in ------------------------------------------------------------------------------------

    def _welcome(self, interval: Any) -> list[Event]:
        known = type(interval) is int and interval > 0
        rhythm = Rhythm(PATIENCE * (float(interval) if known else INTERVAL))
        if self._welcomed:
            return [rhythm]
        self._welcomed = True
        return [rhythm, *self._log_in()]

    def _disconnect(self, message: dict[str, Any]) -> list[Event]:
        reason = str(message.get("reason") or "the venue gave no reason")
        again = message.get("reconnect") is not False
        if self._login is not None:
            self._login = None
            return [Denied("disconnect", reason, Retry.AGAIN if again else Retry.NEVER)]
        return [Goodbye(reason, again)]

    def _answer(self, frame: bytes, whole: dict[str, Any]) -> list[Event]:
        identifier, message = _object(whole.get("identifier")), _object(whole.get("message"))
        if identifier is None or message is None:
            return [Ignored(whole)]
        handler, action = identifier.get("handler"), message.get("action")
        name = message.get("uuid")
        if self._login is not None and (
            name == self._login or (name is None and (handler, action) == ("AuthHandler", "login"))
        ):
            return self._login_answered(frame, message)
        asked = self._whose(handler, action, name)
        if asked is None:
            return [Ignored(whole)]
        code = _code(frame, message)
        if code != 0:
            text = text_of(code, message)
            return [Refusal(asked.key, str(code), text, kind_of(code, text))]
        try:
            value = asked.request.value(message.get("data"))
        except (msgspec.ValidationError, ArithmeticError) as exc:
            raise malformed(NAME, frame, exc, redact) from exc
        if isinstance(asked.request, GetMarkets):
            self._markets = {market.id: market for market in value}
        return [Reply(asked.key, value)]

    def _login_answered(self, frame: bytes, message: dict[str, Any]) -> list[Event]:
        self._login = None
        code = _code(frame, message)
        credentials = self._credentials
        if code == 0 and credentials is not None:
            return [Ready(credentials.uid)]
        text = text_of(code, message)
        hint = CLOCK_HINT if code == EXPIRED else ""
        return [Denied(str(code), text + hint, retry_of(code, kind_of(code, text)))]

    def _whose(self, handler: Any, action: Any, name: Any) -> _Asked | None:
        """Find, and forget, the request that an answer belongs to."""
        if name is None:
            fitting = [
                each
                for each, asked in self._asked.items()
                if (asked.request.handler, asked.request.action) == (handler, action)
            ]
            if len(fitting) != 1:
                return None
            [name] = fitting
        return self._asked.pop(name, None) if isinstance(name, str) else None


def _checked(credentials: Any) -> Credentials | None:
    if credentials is not None and not isinstance(credentials, Credentials):
        raise LocalProtocolError(
            f"oceanex takes oceanex.Credentials, not {type(credentials).__name__}"
        )
    return credentials


def _object(value: Any) -> dict[str, Any] | None:
    """Return an object that may be JSON text inside a string; ``None``: it is neither."""
    if isinstance(value, str):
        try:
            value = _DECODE.decode(value)
        except MALFORMED:
            return None
    return value if isinstance(value, dict) else None


def _code(frame: bytes, message: dict[str, Any]) -> int:
    """Return the code of an answer; it may be text."""
    code = message.get("code")
    if type(code) is int:
        return code
    try:
        return int(code) if isinstance(code, str) and len(code) < 10 else int("")
    except ValueError:
        raise RemoteProtocolError(
            f"oceanex answered without a code that is a number: {shown(frame, redact)}"
        ) from None
