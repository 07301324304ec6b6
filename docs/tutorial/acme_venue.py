"""Acme: a fictional venue in one file, as its author would write it."""

from __future__ import annotations

import hashlib
import hmac
import re
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import msgspec

from trioflex import Keepalive, LocalProtocolError, Rate, RefusalKind, RemoteProtocolError
from trioflex.protocol import (
    Channel,
    Denied,
    Effect,
    Env,
    Event,
    Ignored,
    Push,
    Ready,
    Refusal,
    Reply,
    Request,
    Transmit,
    Venue,
)


# [values]
class Price(msgspec.Struct, frozen=True):
    """What one market costs."""

    symbol: str
    price: Decimal


@attrs.frozen
class Credentials:
    """Who logs in."""

    user: str
    secret: str = attrs.field(repr=False)


# [requests]
@attrs.frozen
class Time(Request[int]):
    """Ask for the venue's clock, in seconds."""

    private: ClassVar[bool] = False


@attrs.frozen
class PlaceOrder(Request[int]):
    """Buy, or sell with a negative quantity; replies with the order's number."""

    symbol: str
    quantity: Decimal = attrs.field(converter=Decimal)
    effect: ClassVar[Effect] = Effect.WRITE
    bucket: ClassVar[str] = "orders"


# [channels]
@attrs.frozen
class Prices(Channel[Price]):
    """The price of one market, now and whenever it changes."""

    symbol: str


@attrs.frozen
class Watch(Request[Price | None]):
    """Start or stop a channel."""

    symbol: str
    on: bool
    private: ClassVar[bool] = False


# [session]
KINDS = {
    "no funds": RefusalKind.INSUFFICIENT_FUNDS,
    "no market": RefusalKind.UNKNOWN_MARKET,
}


class AcmeSession:
    """The state of one connection."""

    def __init__(self, credentials: Any, env: Env) -> None:
        self._credentials: Credentials | None = credentials
        self._challenge: str | None = None
        self._asked: dict[int, Request[Any]] = {}

    def open(self) -> list[Event]:
        """Wait: Acme speaks first."""
        return []

    def receive(self, frame: bytes) -> list[Event]:
        """Say what a frame means."""
        try:
            return self._understood(msgspec.json.decode(frame))
        # What msgspec raises for what is no JSON, of another shape, or nested without end.
        except (ValueError, RecursionError) as exc:
            raise RemoteProtocolError(f"acme sent something unreadable: {exc}") from exc

    def _understood(self, message: Any) -> list[Event]:
        match message:
            case {"hello": str(challenge)}:
                self._challenge = challenge
                return self._greet()
            case {"login": "ok", "user": str(user)}:
                return [Ready(user)]
            case {"login": str(code)}:
                return [Denied(code, f"Acme says: {code}")]
            case {"id": int(key), "error": str(code)} if key in self._asked:
                del self._asked[key]
                return [Refusal(key, code, code, KINDS.get(code, RefusalKind.OTHER))]
            case {"id": int(key), "result": result} if key in self._asked:
                return [Reply(key, self._value(self._asked.pop(key), result))]
            case {"symbol": str(symbol), "price": _}:
                return [Push(Prices(symbol), msgspec.convert(message, Price))]
        return [Ignored(message)]

    def _value(self, request: Request[Any], result: Any) -> Any:
        match request:
            case Watch(on=True):
                return msgspec.convert(result, Price)
            case Watch():
                return None
        return msgspec.convert(result, int)

    # [sending]
    def send(self, request: Request[Any], key: int) -> str:
        """Make the frame of a request that leaves now."""
        match request:
            case Time():
                message: dict[str, object] = {"op": "time"}
            case PlaceOrder(symbol, quantity):
                message = {"op": "order", "symbol": symbol, "quantity": quantity}
            case Watch(symbol, on):
                message = {"op": "watch", "symbol": symbol, "on": on}
            case _:
                raise LocalProtocolError(f"acme has no request {type(request).__name__}")
        self._asked[key] = request
        return text({"id": key, **message})

    def watch(self, channel: Channel[Any], on: bool) -> Request[Any] | None:
        """Make the request that starts or stops a channel."""
        if not isinstance(channel, Prices):
            raise LocalProtocolError(f"acme has no channel {type(channel).__name__}")
        return Watch(channel.symbol, on)

    # [login]
    def login(self, credentials: Any) -> list[Event] | None:
        """Log in on a connection that was anonymous."""
        self._credentials = credentials
        return self._greet()

    def _greet(self) -> list[Event]:
        if self._challenge is None:
            return []  # the hello has yet to come
        if self._credentials is None:
            return [Ready()]
        user, secret = self._credentials.user, self._credentials.secret
        proof = hmac.new(secret.encode(), self._challenge.encode(), hashlib.sha256).hexdigest()
        return [Transmit(text({"op": "login", "user": user, "proof": proof}))]

    def close(self) -> list[Transmit]:
        """Leave: Acme knows no goodbye."""
        return []


def text(message: object) -> str:
    """Return a message as it is sent."""
    return msgspec.json.encode(message).decode()


# [venue]
PROOF = re.compile(r'("proof":\s*")[^"]*')


def redact(frame: str) -> str:
    """Return a frame that may be logged."""
    return PROOF.sub(r"\1***", frame)


VENUE = Venue(
    name="acme",
    url="wss://ws.acme.example/v1",
    urls={"sandbox": "wss://sandbox.acme.example/v1"},
    session=AcmeSession,
    requests=(Time, PlaceOrder),
    channels=(Prices,),
    keepalive=Keepalive(ping_after=20, pong_within=10),
    rates={"orders": Rate(10, per=1.0)},
    redact=redact,
)
