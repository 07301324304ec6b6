"""The protocol state of one connection to MidChains.

Theory of operation
-------------------

Without credentials there is nothing to say, and the session is ready at once. With them it asks for
a challenge, encrypts the password with the RSA key in the answer, and is ready when the login was
accepted. Requests carry no id: an answer repeats the ``type`` and has a ``result``; what has no
``result`` is a push.

Rules of the file:

* The core lets one request of each kind be under way (``PER_KIND``); an answer whose ``refno`` is
  not that of the request answers nothing.
* Rows of an answer in parts are handed out when ``total_rec`` of them are there; each part but the
  last is a :class:`~trioflex.protocol.Progress`.
* Between the subscription to orders or positions and the first answer to the question about all of
  them, their pushes are dropped: what came before the answer is in it, and must not be told after
  it.
* A book that stays crossed, or contradicts itself, is out of sync. Nobody knows whether a second
  subscription on one connection brings the whole book again, so the connection is given up.

Source: "MidChains/slate", ``source/index.html.md``.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Sequence
from typing import Any, Final, Literal

import attrs
import msgspec

from ..._sansio.codec import Decoder, encode, malformed
from ..._vocabulary.errors import LocalProtocolError, RemoteProtocolError
from ...protocol import (
    Channel,
    Denied,
    Env,
    Event,
    Ignored,
    Interrupted,
    Progress,
    Push,
    Ready,
    Refusal,
    Reply,
    Request,
    Retry,
    Transmit,
)
from .arguments import ALL
from .books import CROSSED, BookState, OutOfSync
from .channels import Book, Doubles, Orders, Positions, Sales, Trades, feed_of
from .credentials import Credentials
from .errors import NO_POSITION, kind_of
from .privacy import redact
from .replies import Row, read_order, read_position, read_sale, read_trade, rows, string
from .requests import (
    MAX_BUNDLE,
    MidchainsRequest,
    NoSuchChannel,
    QueryOrders,
    QueryPositions,
    Watch,
)

NAME = "midchains"

DESTINATION = "CROX"
"""The matching engine; there is no other."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""A hundred rows take 30 KB, a book some hundred; nothing is documented."""

MAX_ROWS = 1_000_000
"""Of one answer: beyond it the figure is a mistake, and memory is finite."""

OLD_NAME = "querymultiorder"
"""What the documentation's sample calls ``querymultiorders``; answers may say either."""

SHORT_KEY = 256
"""Bytes of ciphertext below which the key has fewer than 2048 bits."""

logger = logging.getLogger("trioflex")


@attrs.frozen(kw_only=True)
class Settings:
    """What of the protocol is a setting."""

    send_unsubscribe: bool = False
    singular_query: bool = False
    out_of_sync: Literal["reconnect", "resubscribe", "ignore"] = "reconnect"


_DECODE: Final[Decoder[Any]] = Decoder(NAME, Any, redact=redact, limit=MAX_MESSAGE_BYTES)


@attrs.define
class _Asked:
    """A request that waits for its answer, and the rows of it that are there."""

    key: int
    request: MidchainsRequest[Any]
    found: list[Row] = attrs.field(factory=list)


class MidchainsSession:
    """One connection's state; see :class:`trioflex.protocol.BundlingSession`."""

    def __init__(self, settings: Settings, credentials: Any, env: Env) -> None:
        if credentials is not None and not isinstance(credentials, Credentials):
            raise LocalProtocolError(
                f"midchains logs in with midchains.Credentials; {type(credentials).__name__} is "
                "none"
            )
        self._settings = settings
        self._credentials: Credentials | None = credentials
        self._env = env
        self._logged_in = False
        self._asked: dict[str, _Asked] = {}
        self._books: dict[str, BookState] = {}
        self._wanted: set[tuple[str, str]] = set()
        self._starting: set[type[Channel[Any]]] = set()
        self._doubles = Doubles()

    # -- the contract --------------------------------------------------------------------------

    def open(self) -> list[Event]:
        """Ask for a challenge, if there is somebody to log in."""
        if self._credentials is None:
            return [Ready()]
        return [Transmit(encode(NAME, {"type": "challenge"}))]

    def receive(self, frame: bytes) -> list[Event]:
        """Take one frame and say what it means."""
        message = _DECODE(frame)
        if not isinstance(message, dict):
            return [Ignored(message)]
        if "type" not in message:
            # The documentation's tables print the names with capitals.
            message = _lowered(message)
        try:
            events = self._read(message)
        except msgspec.ValidationError as exc:
            raise malformed(NAME, frame, exc, redact) from exc
        return events + self._check_crossed() if self._books else events

    def send(self, request: Request[Any], key: int) -> str:
        """Return the frame of a request."""
        if isinstance(request, Watch):
            return self._watch_frame(request)
        if not isinstance(request, MidchainsRequest):
            name = type(request.channel if isinstance(request, NoSuchChannel) else request)
            what = "channel" if isinstance(request, NoSuchChannel) else "request"
            raise LocalProtocolError(
                f"midchains has no {what} {name.__name__} of {name.__module__}"
            )
        kind = request.kind
        if kind == QueryOrders.kind and self._settings.singular_query:
            kind = OLD_NAME
        frame = encode(NAME, {"type": kind, **request.fields()})
        self._asked[request.kind] = _Asked(key, request)
        return frame

    def watch(self, channel: Channel[Any], on: bool) -> Request[Any] | None:
        """Return the request that starts a feed, or (where that is switched on) stops it."""
        if isinstance(channel, (Orders, Positions)):
            (self._starting.add if on else self._starting.discard)(type(channel))
            return None
        if isinstance(channel, Sales):
            return None
        feed = feed_of(channel)
        if feed is None:
            return NoSuchChannel(channel)
        if on:
            return Watch((feed,))
        self._forget(feed)
        return Watch((feed,), on=False) if self._settings.send_unsubscribe else None

    def bundle(self, requests: Sequence[Request[Any]]) -> Request[Any] | None:
        """Return one ``subscribe`` for several feeds."""
        feeds: list[tuple[str, str]] = []
        for request in requests:
            if not isinstance(request, Watch) or not request.on:
                return None
            feeds += request.feeds
        return Watch(tuple(feeds)) if len(feeds) <= MAX_BUNDLE else None

    def login(self, credentials: Any) -> list[Event] | None:
        """Do nothing: logins are for the first 30 s of a connection; a new one has them."""
        return None

    def close(self) -> list[Transmit]:
        """Log out, if anybody is logged in."""
        return [Transmit(encode(NAME, {"type": "logout"}))] if self._logged_in else []

    # -- out -----------------------------------------------------------------------------------

    def _watch_frame(self, request: Watch) -> str:
        if request.on:
            for feed in request.feeds:
                self._forget(feed)
                self._wanted.add(feed)
        entries = [
            {"msg": message, "security": security, "dest": DESTINATION}
            for message, security in request.feeds
        ]
        word = "subscribe" if request.on else "unsubscribe"
        return encode(NAME, {"type": word, "request": entries})

    def _forget(self, feed: tuple[str, str]) -> None:
        """A feed starts or stops: what is known of its books is not worth anything any more."""
        message, security = feed
        self._wanted.discard(feed)
        if message != "book":
            return
        if security == ALL:
            self._books.clear()
        else:
            self._books.pop(security, None)

    # -- in ------------------------------------------------------------------------------------

    def _read(self, message: Row) -> list[Event]:
        kind = message.get("type")
        if "result" in message:
            return self._answer(str(kind), message)
        if kind == "book":
            return self._book(message)
        if kind == "trade":
            trade = read_trade(message)
            try:
                return [Push(Trades(trade.security), trade)]
            except LocalProtocolError:
                return [Ignored(message)]  # a name that we cannot have subscribed to
        if kind in ("order", "sale", "position"):
            return self._own(str(kind), message)
        return [Ignored(message)]

    def _answer(self, kind: str, message: Row) -> list[Event]:
        result = str(message["result"])
        if kind == "challenge":
            return self._challenged(result, message)
        if kind == "login":
            return self._login_answered(result, message)
        if kind == "logout":
            return []
        if kind in ("subscribe", "unsubscribe"):
            if result == "OK":
                return []
            logger.warning("midchains refused to %s: %.200s", kind, result)
            return [Ignored(message)]
        if kind == OLD_NAME:
            kind = QueryOrders.kind
        asked = self._asked.get(kind)
        if asked is None:
            return [Ignored(message)]
        refno = asked.request.fields().get("refno")
        if refno is not None and "refno" in message and str(message["refno"]) != refno:
            return [Ignored(message)]
        self._arrived(asked.request)
        nothing = asked.request.listed and result.strip().lower() == NO_POSITION
        if result != "OK" and not nothing:
            del self._asked[kind]
            return [Refusal(None, result, result, kind_of(result), kind)]
        if asked.request.listed and not nothing:
            asked.found += rows(message.get("data"))
            if len(asked.found) < _total(message, len(asked.found)) and message.get("data"):
                return [Progress(None, kind)]
        value = asked.request.value(message, asked.found)
        del self._asked[kind]
        return [Reply(None, value, kind)]

    def _arrived(self, request: MidchainsRequest[Any]) -> None:
        """The answer to a question begins: pushes from now on are newer than it."""
        if request == QueryOrders():
            self._starting.discard(Orders)
        elif request == QueryPositions():
            self._starting.discard(Positions)

    def _challenged(self, result: str, message: Row) -> list[Event]:
        if self._credentials is None or self._logged_in:
            return [Ignored(message)]
        if result != "OK":
            # Not the password's fault; but it must not be hammered.
            return [Denied("challenge", result, Retry.LATER)]
        try:
            der = base64.b64decode(string(message, "key"), validate=True)
        except binascii.Error:
            raise msgspec.ValidationError("key is not Base64") from None
        try:
            cipher = self._env.encrypt_pkcs1v15(der, self._credentials.password.encode())
        except (ValueError, TypeError):
            # "from None": whatever it says, it may quote what was to be encrypted.
            raise RemoteProtocolError(
                "midchains sent a public key with which the password cannot be encrypted: it is "
                "no RSA key, or too short for a password of that length"
            ) from None
        if len(cipher) < SHORT_KEY:
            logger.warning(
                "midchains: the key for the password has %d bits; it is TLS that protects it",
                len(cipher) * 8,
            )
        login = {
            "type": "login",
            "userid": self._credentials.user_id,
            "pass": base64.b64encode(cipher).decode(),
        }
        return [Transmit(encode(NAME, login))]

    def _login_answered(self, result: str, message: Row) -> list[Event]:
        if self._credentials is None or self._logged_in:
            return [Ignored(message)]
        if result != "OK":
            return [Denied("login", result, Retry.NEVER)]
        self._logged_in = True
        return [Ready(self._credentials.user_id)]

    def _own(self, kind: str, message: Row) -> list[Event]:
        events: list[Event] = []
        for row in rows(message["data"]) if "data" in message else [message]:
            if kind == "order":
                if Orders not in self._starting:
                    events.append(Push(Orders(), read_order(row)))
            elif kind == "position":
                if Positions not in self._starting:
                    events.append(Push(Positions(), read_position(row)))
            else:
                sale = read_sale(row)
                if not self._doubles.again(sale):
                    events.append(Push(Sales(), sale))
        return events

    # -- books ---------------------------------------------------------------------------------

    def _book(self, message: Row) -> list[Event]:
        security = string(message, "security")
        watched = [name for name in (security, ALL) if ("book", name) in self._wanted]
        if not watched:
            return [Ignored(message)]
        state = self._books.get(security)
        if state is None:
            state = self._books[security] = BookState(
                security, strict=self._settings.out_of_sync != "ignore"
            )
        try:
            change = state.apply(message, self._env.epoch_ms())
        except OutOfSync as exc:
            return self._out_of_sync(state, str(exc))
        return [Push(Book(name), change) for name in watched]

    def _check_crossed(self) -> list[Event]:
        now: int | None = None
        for state in list(self._books.values()):
            if state.crossed_since is None:
                continue
            now = self._env.epoch_ms() if now is None else now
            if now - state.crossed_since > CROSSED:
                why = "it has been crossed for more than 5 s"
                if not state.removals:
                    why += ", and no entry was ever removed: such a server gives no correct books"
                return self._out_of_sync(state, why)
        return []

    def _out_of_sync(self, state: BookState, why: str) -> list[Event]:
        text = f"the book of {state.security} is out of sync: {why}"
        choice = self._settings.out_of_sync
        if choice == "reconnect":
            raise RemoteProtocolError(f"midchains: {text}")
        logger.warning("midchains: %s", text)
        if choice == "ignore":
            state.crossed_since = None
            return []
        del self._books[state.security]
        return [
            Interrupted(Book(name), text)
            for name in (state.security, ALL)
            if ("book", name) in self._wanted
        ]


def _total(message: Row, default: int) -> int:
    value = message.get("total_rec", default)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_ROWS:
        raise msgspec.ValidationError("total_rec is not a number of rows")
    return value


def _lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.lower(): _lowered(item) for name, item in value.items()}
    return [_lowered(item) for item in value] if isinstance(value, list) else value
