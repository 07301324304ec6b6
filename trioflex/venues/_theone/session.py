"""The protocol state of one connection to TheOne.

Theory of operation
-------------------

The client speaks first: a signed ``auth``, and its answer makes the session ready. From then on
operations go out, each signed on its own, and channels are started and stopped, unsigned. Replies
repeat the ``op`` (and the ``ch``, where a channel is meant), errors as a rule nothing; pushes have
a ``ch`` and no ``op``.

Rules of the file:

* A frame with an ``error`` that is not empty is an error, whatever else is in it; one with an
  ``op`` is a reply; one with a ``ch`` is a push; everything else means nothing.
* The core lets one request be under way at a time (``SERIAL``), so an error that names nothing
  belongs to it. An answer that names another operation or channel answers nothing.
* *Pipelined*, several may be under way. Then an answer belongs to the oldest it fits, which is
  right as long as the venue answers in order and answers everything.
* Between a subscription to an order and the answer to the first question about it, its pushes are
  kept, the newest only: what came before the answer must not be told after it.

Source: "the-one-io/api-client", ``docs/WEBSOCKET_DOCUMENTATION``, ``WS_README.md``.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

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
    Push,
    Ready,
    Refusal,
    Reply,
    Request,
    Transmit,
)
from .channels import BALANCES, ORDERS, Balances, Order, name_of
from .credentials import Credentials
from .errors import read_error
from .privacy import redact
from .replies import BalancesChanged, BalancesSnapshot, OrderUpdate, read_balances, read_order
from .requests import GetOrderStatus, NoSuchChannel, TheOneRequest, WatchChannel, Wording, body_of
from .signing import canonical, hmac_key, sign

NAME = "theone"

MAX_SEND_BYTES = 64 * 1024
"""What the clients' READMEs allow; the documents allow 1 MB."""

MAX_MESSAGE_BYTES = 1024 * 1024
"""What the documents allow; the clients' READMEs speak of 64 KB."""

UNANSWERED = 10_000
"""Requests remembered while they wait for replies, pipelined: a hundred seconds at the venue's
limit, and what is older has been given up long ago."""

RANDOM = 10**12
"""How many values the random part of a nonce has; the clients' have a million, or 2**63."""


@attrs.frozen(kw_only=True)
class Settings:
    """What of the protocol is a setting."""

    derive_key: bool = True
    catch_up: bool = True
    pipelined: bool = False
    clock_offset_ms: int = 0
    wording: Wording = attrs.field(factory=Wording)


_DECODE: Final[Decoder[Any]] = Decoder(NAME, Any, redact=redact, limit=MAX_MESSAGE_BYTES)


@attrs.frozen
class _Asked:
    """A request that waits for its answer."""

    key: int
    request: TheOneRequest[Any]

    def fits(self, op: str | None, ch: str | None) -> bool:
        """Whether an answer that names these (or nothing) can be the answer to it."""
        return (op is None or op == self.request.op) and (ch is None or ch == self.request.ch)


class TheOneSession:
    """One connection's state; see :class:`trioflex.protocol.Session`."""

    def __init__(self, settings: Settings, credentials: Any, env: Env) -> None:
        if not isinstance(credentials, Credentials):
            raise LocalProtocolError(
                "theone cannot be used without theone.Credentials"
                + ("" if credentials is None else f"; {type(credentials).__name__} is none")
            )
        self._settings = settings
        self._credentials = credentials
        self._env = env
        self._key = hmac_key(credentials.secret, derive=settings.derive_key)
        self._ready = False
        self._last_nonce = 0
        self._asked: deque[_Asked] = deque()
        self._starting: dict[str, OrderUpdate | None] = {}
        self._first_balances = False

    # -- the contract --------------------------------------------------------------------------

    def open(self) -> list[Event]:
        """Log in: the first frame is ours."""
        head: dict[str, object] = {"op": "auth", "key": self._credentials.key}
        return [Transmit(self._signed(head, ""))]

    def receive(self, frame: bytes) -> list[Event]:
        """Take one frame and say what it means."""
        message = _DECODE(frame)
        if not isinstance(message, dict):
            return [Ignored(message)]
        try:
            if message.get("error"):
                return self._error(message)
            if _name(message, "op") is not None:
                return self._reply(message)
            if _name(message, "ch") is not None:
                return self._push(message)
        except msgspec.ValidationError as exc:
            raise malformed(NAME, frame, exc, redact) from exc
        return [Ignored(message)]

    def send(self, request: Request[Any], key: int) -> str:
        """Return the frame of a request, signed as of now."""
        if not isinstance(request, TheOneRequest):
            raise LocalProtocolError(
                f"theone has no request {type(request).__name__} of {type(request).__module__}"
            )
        data = request.data(self._settings.wording)
        if request.signed:
            frame = self._signed({"op": request.op}, "" if data is None else body_of(data))
        else:
            frame = encode(NAME, {"op": request.op, "ch": request.ch})
        if len(frame) > MAX_SEND_BYTES:
            raise LocalProtocolError(
                f"theone takes messages of at most {MAX_SEND_BYTES} bytes; this one has "
                f"{len(frame)}"
            )
        if not self._settings.pipelined:
            # One at a time: whatever was here was given up, or never left.
            self._asked.clear()
        elif len(self._asked) >= UNANSWERED:
            self._asked.popleft()
        self._asked.append(_Asked(key, request))
        if isinstance(request, WatchChannel):
            self._watching(request)
        return frame

    def watch(self, channel: Channel[Any], on: bool) -> Request[Any]:
        """Return the request that starts or stops a channel."""
        name = name_of(channel)
        return NoSuchChannel(channel) if name is None else WatchChannel(name, on)

    def login(self, credentials: Any) -> list[Event] | None:
        """Do nothing: a connection logs in once, with its first frame."""
        return None

    def close(self) -> list[Transmit]:
        """Do nothing: the venue knows no goodbye."""
        return []

    # -- out -----------------------------------------------------------------------------------

    def _signed(self, head: dict[str, object], body: str) -> str:
        op = str(head["op"])
        ts = self._env.epoch_ms() + self._settings.clock_offset_ms
        nonce = self._nonce(ts)
        signature = sign(self._key, canonical(op, ts, nonce, body))
        frame = encode(NAME, {**head, "ts": ts, "nonce": nonce, "sig": signature})
        # The very text that was hashed.
        return f'{frame[:-1]},"data":{body}}}' if body else frame

    def _nonce(self, ts: int) -> str:
        """Return a nonce: rising on a connection, and random beside the other connections'."""
        self._last_nonce = max(ts * 1_000_000, self._last_nonce + 1)
        random = int.from_bytes(self._env.random_bytes(8), "big") % RANDOM
        return f"{self._last_nonce}_{random}"

    def _watching(self, request: WatchChannel) -> None:
        """A request to start or stop a channel leaves."""
        if request.name == BALANCES:
            self._first_balances = request.on
            return
        self._starting.pop(request.name, None)
        if request.on and self._settings.catch_up:
            self._starting[request.name] = None

    # -- in ------------------------------------------------------------------------------------

    def _error(self, message: dict[str, Any]) -> list[Event]:
        error = read_error(message["error"], derived=self._settings.derive_key)
        if not self._ready:
            # Whatever it names: nothing else has been asked yet.
            return [Denied(error.code, error.text, error.retry)]
        asked = self._answered(message)
        if asked is None:
            return [Ignored(message)]
        self._over(asked.request, refused=True)
        return [Refusal(asked.key, error.code, error.text, error.kind)]

    def _reply(self, message: dict[str, Any]) -> list[Event]:
        if not self._ready:
            return self._login_answered(message)
        asked = self._answered(message)
        if asked is None:
            return [Ignored(message)]
        value = asked.request.value(message.get("data"))
        events: list[Event] = [Reply(asked.key, value)]
        kept = self._over(asked.request, refused=False)
        if kept is not None and isinstance(value, OrderUpdate) and kept.newer_than(value):
            events.append(Push(Order(kept.order_id), kept))
        return events

    def _login_answered(self, message: dict[str, Any]) -> list[Event]:
        if message["op"] != "auth":
            return [Ignored(message)]
        data = message.get("data")
        status = data.get("status") if isinstance(data, dict) else None
        if status != "authenticated":
            raise RemoteProtocolError(
                f"theone answered the login with neither success nor an error (status {status!r})"
            )
        self._ready = True
        return [Ready(self._credentials.account)]

    def _answered(self, message: dict[str, Any]) -> _Asked | None:
        """Find, and forget, the request that a message answers."""
        op, ch = _name(message, "op"), _name(message, "ch")
        for index, asked in enumerate(self._asked):
            if asked.fits(op, ch):
                del self._asked[index]
                return asked
        return None

    def _over(self, request: TheOneRequest[Any], *, refused: bool) -> OrderUpdate | None:
        """A request was answered; return a push that was kept for what follows it."""
        if isinstance(request, GetOrderStatus):
            return self._starting.pop(ORDERS + request.order_id, None)
        if isinstance(request, WatchChannel) and refused:
            self._starting.pop(request.name, None)
        return None

    def _push(self, message: dict[str, Any]) -> list[Event]:
        name, data = message["ch"], message.get("data")
        if name == BALANCES:
            balances = read_balances(data)
            # What the first push holds is not written. Where all balances are asked for anyway
            # nothing hangs on it, elsewhere it is taken for all of them.
            whole = self._first_balances and not self._settings.catch_up
            self._first_balances = False
            return [
                Push(
                    Balances(),
                    BalancesSnapshot(balances) if whole else BalancesChanged(balances),
                )
            ]
        if not isinstance(name, str) or not name.startswith(ORDERS) or name == ORDERS:
            return [Ignored(message)]
        order_id = name[len(ORDERS) :]
        update = read_order(data, order_id)
        try:
            channel = Order(order_id)
        except LocalProtocolError:
            return [Ignored(message)]  # a name that we cannot have subscribed to
        if name in self._starting:
            kept = self._starting[name]
            if kept is None or update.newer_than(kept):
                self._starting[name] = update
            return []
        return [Push(channel, update)]


def _name(message: dict[str, Any], field: str) -> str | None:
    """Return what a message names, ``None`` if nothing; something odd names nothing we know."""
    value = message.get(field)
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else "?"
