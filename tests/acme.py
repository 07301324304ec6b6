"""Acme: a fictional venue in one file, as a third party would write it, and its far side.

Everything the core can do is in here once: a challenge login, tagged requests that read and write,
channels confirmed in each of the four ways, a snapshot with a fold, a sequence hole, a goodbye.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import attrs
import msgspec

from trioflex import Keepalive, Rate, RefusalKind, RemoteProtocolError
from trioflex.protocol import (
    Channel,
    Confirm,
    Denied,
    Effect,
    Env,
    Event,
    Fold,
    Goodbye,
    Ignored,
    Interrupted,
    Push,
    Ready,
    Refusal,
    Reply,
    Request,
    Retry,
    Rhythm,
    Transmit,
    Venue,
)


@attrs.frozen
class Credentials:
    """Who logs in."""

    user: str
    secret: str = attrs.field(repr=False)


JOE = Credentials("joe", "hunter2")


# -- requests ------------------------------------------------------------------------------------


@attrs.frozen
class Echo(Request[str]):
    """Get a text back; public."""

    text: str
    private: ClassVar[bool] = False
    bucket: ClassVar[str] = "free"


@attrs.frozen
class Limited(Request[str]):
    """The same under a rate limit of two a second."""

    text: str
    private: ClassVar[bool] = False
    bucket: ClassVar[str] = "limited"


@attrs.frozen
class Place(Request[int]):
    """Place an order under a name of the caller's; replies with the order's id."""

    name: str
    price: int
    effect: ClassVar[Effect] = Effect.WRITE
    bucket: ClassVar[str] = "free"

    @property
    def caller_id(self) -> Hashable | None:
        return self.name


@attrs.frozen
class Watch(Request[Any]):
    """Start or stop a channel."""

    channel: str
    on: bool
    private: ClassVar[bool] = False
    bucket: ClassVar[str] = "free"


@attrs.frozen
class GetOrders(Request[tuple[str, ...]]):
    """Ask for the names of all orders."""

    bucket: ClassVar[str] = "free"


# -- channels ------------------------------------------------------------------------------------


class Tick(msgspec.Struct, frozen=True):
    """One change of one price; a snapshot is a :class:`Prices`."""

    level: int
    size: int


class Prices(msgspec.Struct, frozen=True):
    """All levels."""

    levels: dict[int, int]


class PriceFold:
    """Levels from a snapshot and ticks."""

    def __init__(self) -> None:
        self.levels: dict[int, int] | None = None

    def apply(self, item: Tick | Prices, /) -> None:
        if isinstance(item, Prices):
            self.levels = dict(item.levels)
        elif self.levels is not None:
            self.levels[item.level] = item.size

    def snapshot(self) -> Prices | None:
        return None if self.levels is None else Prices(dict(self.levels))

    def invalidate(self) -> None:
        self.levels = None


@attrs.frozen(cache_hash=True)
class Book(Channel[Tick | Prices]):
    """Snapshot in the reply, late joiners get one from the fold."""

    symbol: str
    fold: ClassVar[type[Fold[Any]] | None] = PriceFold


@attrs.frozen(cache_hash=True)
class Trades(Channel[int]):
    """Numbers, confirmed by a reply without a snapshot."""

    symbol: str


@attrs.frozen(cache_hash=True)
class Orders(Channel[Any]):
    """Names of own orders: nothing to ask for, a bootstrap gives the snapshot."""

    private: ClassVar[bool] = True
    confirm: ClassVar[Confirm] = Confirm.IMPLICIT

    @property
    def bootstrap(self) -> Request[Any]:
        return GetOrders()


@attrs.frozen(cache_hash=True)
class News(Channel[str]):
    """Confirmed by nothing but its first push."""

    confirm: ClassVar[Confirm] = Confirm.FIRST_PUSH


@attrs.frozen(cache_hash=True)
class Weather(Channel[str]):
    """Done when sent."""

    confirm: ClassVar[Confirm] = Confirm.SENT


# -- the session ---------------------------------------------------------------------------------

KINDS = {"broke": RefusalKind.INSUFFICIENT_FUNDS, "twice": RefusalKind.DUPLICATE}


class Session:
    """The state of one connection."""

    def __init__(self, credentials: Credentials | None, env: Env) -> None:
        self._credentials = credentials
        self._env = env
        self._challenge: str | None = None
        self._asked: dict[int, Request[Any]] = {}
        self._seen: dict[str, int] = {}

    def open(self) -> list[Event]:
        return []

    def receive(self, frame: bytes) -> list[Event]:
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError) as exc:
            raise RemoteProtocolError("acme sent something that is not JSON") from exc
        try:
            return self._understood(message)
        except (TypeError, ValueError, AttributeError) as exc:
            raise RemoteProtocolError("acme sent a value of another shape") from exc

    def _understood(self, message: Any) -> list[Event]:
        match message:
            case {"hello": str(challenge), "rhythm": int(rhythm)}:
                self._challenge = challenge
                events: list[Event] = [Rhythm(float(rhythm))] if rhythm else []
                return [*events, *self._greet()]
            case {"login": "ok", "user": str(user)}:
                return [Ready(user)]
            case {"login": str(why)}:
                retry = Retry.LATER if why == "busy" else Retry.NEVER
                return [Denied(why, f"you are {why}", retry)]
            case {"id": int(key), "error": str(code)}:
                self._asked.pop(key, None)
                return [Refusal(key, code, f"it is {code}", KINDS.get(code, RefusalKind.OTHER))]
            case {"id": int(key), "result": result}:
                return [Reply(key, self._value(self._asked.pop(key, None), result))]
            case {"channel": str(name), "value": value, **rest}:
                return self._push(name, value, rest.get("seq"))
            case {"bye": str(reason), "back": bool(back)}:
                return [Goodbye(reason, back)]
            case {"boom": _}:
                raise ZeroDivisionError("a bug in the venue's module")
            case {"bad": _}:
                raise RemoteProtocolError("acme sent a bad message")
        return [Ignored(message)]

    def send(self, request: Request[Any], key: int) -> str:
        self._asked[key] = request
        fields = attrs.asdict(request)  # type: ignore[arg-type]
        fields = {"id": key, "op": type(request).__name__.lower(), **fields}
        return json.dumps(fields, ensure_ascii=False)

    def watch(self, channel: Channel[Any], on: bool) -> Request[Any] | None:
        if isinstance(channel, Orders):
            return None
        self._seen.pop(name_of(channel), None)
        return Watch(name_of(channel), on)

    def login(self, credentials: Any) -> list[Event] | None:
        self._credentials = credentials
        return None if credentials.user == "elsewhere" else self._greet()

    def close(self) -> list[Transmit]:
        return [Transmit('{"op": "bye"}')]

    def _greet(self) -> list[Event]:
        if self._credentials is None:
            return [Ready()]
        if self._challenge is None:
            return []
        proof = sign(self._credentials.secret, self._challenge)
        login = {"op": "login", "user": self._credentials.user, "proof": proof}
        return [Transmit(json.dumps(login))]

    def _value(self, request: Request[Any] | None, result: Any) -> Any:
        if isinstance(request, Watch):
            if request.channel.startswith("book:") and request.on:
                return Prices({int(level): size for level, size in result.items()})
            return None
        return tuple(result) if isinstance(request, GetOrders) else result

    def _push(self, name: str, value: Any, seq: int | None) -> list[Event]:
        channel = channel_of(name)
        if seq is not None:
            last = self._seen.get(name)
            self._seen[name] = seq
            if last is not None and seq != last + 1:
                return [Interrupted(channel, f"{last} is followed by {seq}")]
        if isinstance(channel, Book):
            value = Tick(*value)
        return [Push(channel, value)]


def sign(secret: str, challenge: str) -> str:
    return hmac.new(secret.encode(), challenge.encode(), hashlib.sha256).hexdigest()


def name_of(channel: Channel[Any]) -> str:
    match channel:
        case Book(symbol):
            return f"book:{symbol}"
        case Trades(symbol):
            return f"trades:{symbol}"
    return type(channel).__name__.lower()


def channel_of(name: str) -> Channel[Any]:
    kind, _, symbol = name.partition(":")
    match kind:
        case "book":
            return Book(symbol)
        case "trades":
            return Trades(symbol)
        case "orders":
            return Orders()
        case "news":
            return News()
    return Weather()


def redact(frame: str) -> str:
    head, found, tail = frame.partition('"proof": "')
    return f'{head}{found}***"{tail.partition(chr(34))[2]}' if found else frame


def evidence(value: Any) -> Iterable[tuple[Hashable, Any]]:
    match value:
        case {"name": str(name), "order": int(order)}:
            return [(name, order)]
    return ()


VENUE = Venue(
    name="acme",
    url="wss://ws.acme.example/v1",
    urls={"sandbox": "wss://sandbox.acme.example/v1"},
    session=Session,
    requests=(Echo, Limited, Place, GetOrders),
    channels=(Book, Trades, Orders, News, Weather),
    keepalive=Keepalive(ping_after=20, pong_within=10),
    rates={"limited": Rate(2, 1.0)},
    max_channels=5,
    max_send_bytes=4096,
    redact=redact,
    evidence=evidence,
    channel_named=lambda name: Trades(name.partition(":")[2]) if ":" in name else None,
)


# -- the far side --------------------------------------------------------------------------------


class Peer:
    """Acme's side of one connection."""

    def __init__(self, model: Model, link: Any) -> None:
        self.model = model
        self.link = link
        self.user: str | None = None
        model.connections += 1
        self.challenge = f"challenge {model.connections}"
        self.channels: set[str] = set()

    def opened(self) -> None:
        self.link.send(json.dumps({"hello": self.challenge, "rhythm": self.model.rhythm}))

    def method_of(self, frame: str) -> str:
        return str(json.loads(frame)["op"])

    def refusal(self, frame: str, code: str, message: str) -> str:
        request = json.loads(frame)
        if request["op"] == "login":
            return json.dumps({"login": code})
        return json.dumps({"id": request["id"], "error": code})

    def received(self, frame: str) -> Sequence[str]:
        request = json.loads(frame)
        key = request.get("id")
        match request:
            case {"op": "login", "user": user, "proof": proof}:
                if proof != sign(self.model.users.get(user, ""), self.challenge):
                    return ['{"login": "unknown"}']
                self.user = user
                return [json.dumps({"login": "ok", "user": user})]
            case {"op": "echo" | "limited", "text": text}:
                return [json.dumps({"id": key, "result": text})]
            case {"op": "place", "name": name, "price": price}:
                if price <= 0:
                    return [json.dumps({"id": key, "error": "broke"})]
                self.model.orders[name] = order = len(self.model.orders) + 1
                notice = {"channel": "orders", "value": {"name": name, "order": order}}
                if not self.model.quiet:
                    self.link.send(json.dumps(notice))
                return [json.dumps({"id": key, "result": order})]
            case {"op": "getorders"}:
                return [json.dumps({"id": key, "result": list(self.model.orders)})]
            case {"op": "watch", "channel": name, "on": on}:
                return self._watch(key, name, on)
        return []

    def _watch(self, key: int, name: str, on: bool) -> Sequence[str]:
        if (name in self.channels) is on:
            return [json.dumps({"id": key, "error": "confused"})]
        self.channels ^= {name}
        if name == "news" or name == "weather":
            return []
        result = self.model.levels if name.startswith("book:") and on else {}
        return [json.dumps({"id": key, "result": result})]

    def closed(self) -> None:
        self.model.peers.remove(self)


class Model:
    """What all connections share: levels, orders, users."""

    name = "acme"
    idle_timeout: float | None = None

    def __init__(self, rhythm: int = 0) -> None:
        self.rhythm = rhythm
        self.users = {JOE.user: JOE.secret}
        self.levels: dict[int, int] = {100: 1, 101: 2}
        self.orders: dict[str, int] = {}
        self.peers: list[Peer] = []
        self.connections = 0
        self.quiet = False
        """Orders are not announced to their owner."""

    def connect(self, link: Any) -> Peer:
        peer = Peer(self, link)
        self.peers.append(peer)
        return peer

    def credentials(self) -> Mapping[str, str]:
        return {"ACME_USER": JOE.user, "ACME_SECRET": JOE.secret}

    def trade(self) -> float:
        self.tick(100 + len(self.levels), 1)
        return 1.0

    def tick(self, level: int, size: int) -> None:
        """Change one level and tell everybody who watches."""
        self.levels[level] = size
        self.push("book:X", [level, size])

    def push(self, channel: str, value: Any, **rest: Any) -> None:
        """Push a value to everybody who watches a channel."""
        for peer in self.peers:
            if channel in self.channels_of(peer):
                peer.link.send(json.dumps({"channel": channel, "value": value, **rest}))

    @staticmethod
    def channels_of(peer: Peer) -> set[str]:
        return peer.channels | {"orders"}
