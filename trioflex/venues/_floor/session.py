"""The protocol state of one connection to CoinFLEX or Coinfloor.

Theory of operation
-------------------

The server speaks first: ``Welcome`` brings a nonce. With credentials the session answers with a
signed ``Authenticate``, without it is ready. Replies carry the tag of their request, notices carry
none; between replies and notices there is no order.

Rules of the file:

* The core's key is the tag. The session's own requests have tags from 2**31 on, which no key
  reaches. (The documents name no width; the venues' own Python client drew tags at random up to
  2**63 - 1 and was understood, negative ones nobody has seen.)
* A market's book is *on* from the moment its ``WatchOrders`` leaves until the one that stops it
  leaves, and only then is an order notice book data; own orders are announced in any book.
* A ticker's changes are merged here, so that every item is a whole ticker. Changes that arrive
  before the snapshot are merged into it.

Source: "coinflex-exchange/API WEBSOCKET-README.md", "IMPL-GUIDE.md".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
import msgspec
from msgspec import UNSET

from ..._sansio.codec import MALFORMED, encode
from ..._sansio.signing import NONCE, login_message, sign
from ..._vocabulary.errors import (
    InternalError,
    LocalProtocolError,
    RemoteProtocolError,
)
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
    Retry,
    Transmit,
)
from . import notices, replies
from .channels import Balances, OrderBook, OwnOrders, Ticker, TradeVolume
from .credentials import Credentials
from .dialect import Dialect
from .doubt import Doubt
from .feed import Feed
from .gathering import Gatherer, Pair
from .requests import FloorRequest, GetBalances
from .watches import NoSuchChannel, WatchOrders, WatchTicker

OWN_TAGS = 2**31
"""First tag of the session's own requests."""

UNANSWERED = 2**16
"""Requests remembered while they wait for replies. Far more than the venues' limits let anybody
send within a reply timeout: what is older has been given up long ago."""

SIGN_TRIES = 3
"""Client nonces tried for a signature that fits; one in 2**111 does not."""

WORD: Final = b'"notice"'
"""Every notice holds it. To be asked for with ``find``: ``in`` on bytes takes its operand for a
number first and takes twice as long."""

OWN_ORDERS = OwnOrders()
BALANCES = Balances()
TRADE_VOLUME = TradeVolume()


class FloorSession:
    """One connection's state; see :class:`trioflex.protocol.Session`."""

    def __init__(self, dialect: Dialect, credentials: Any, env: Env) -> None:
        self._dialect = dialect
        self._credentials = None if credentials is None else self._checked(credentials)
        self._env = env
        self._nonce: bytes | None = None
        self._login: tuple[int, str] | None = None
        """Tag and account of the login that is under way."""
        self._login_tried = False
        self._next_tag = OWN_TAGS
        self._waiting: dict[int, FloorRequest[Any]] = {}
        self._books: dict[Pair, Channel[Any]] = {}
        self._feeds: dict[Pair, Feed] = {}
        self._restarts: dict[int, tuple[WatchOrders | WatchTicker, int]] = {}
        """By the tag of a stop: what to start once it is answered, and with which tag."""
        self._restarted: set[int] = set()
        """Tags of what was started over."""
        self._doubt = Doubt()
        self._decode: Final = dialect.notice.decode
        bind = dialect.assets.bind
        handlers: dict[type, Callable[[Any], list[Event]]] = {
            bind(notices.OrderOpened): self._order,
            bind(notices.OrderModified): self._order,
            bind(notices.OrderClosed): self._order,
            bind(notices.OrdersMatched): self._matched,
            bind(replies.TickerSnapshot): self._ticker,
            bind(notices.BalanceChanged): self._balance,
            bind(notices.TradeVolumeChanged): self._volume,
            notices.Welcome: self._welcome,
        }
        self._handlers: Final = handlers
        self._gatherer: Final = Gatherer(
            dialect, self._books, self._feeds, self.receive, self._handle
        )

    # -- the contract --------------------------------------------------------------------------

    def open(self) -> list[Event]:
        """Do nothing: the server speaks first."""
        return []

    def receive(self, frame: bytes) -> list[Event]:
        """Take one frame and say what it means."""
        # A reply that happens to hold the word takes the slow way, and gets there.
        if frame.find(WORD) >= 0:
            try:
                notice = self._decode(frame)
            except MALFORMED:
                return self._doubtful(frame)
            return self._handle(notice)
        head = self._dialect.reply_head(frame)
        if head.error_code is UNSET:
            return self._doubtful(frame)
        return self._reply(frame, head)

    def receive_batch(self, frames: Iterator[bytes], out: list[Event]) -> None:
        """Take the frames of one read; append what they mean, items gathered by channel."""
        self._gatherer.gather(frames, out)

    def send(self, request: Request[Any], key: int) -> str:
        """Return the frame of a request, with the key for its tag."""
        if not isinstance(request, FloorRequest) or not isinstance(request, self._dialect.takes):
            raise LocalProtocolError(
                f"{self._dialect.name} has no request {type(request).__name__} of "
                f"{type(request).__module__}"
            )
        frame = self._dialect.encode(key, request)
        if len(self._waiting) >= UNANSWERED:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[key] = request
        if isinstance(request, (WatchOrders, WatchTicker)):
            self._watching(request)
        elif isinstance(request, GetBalances):
            self._doubt.asked(key)
        return frame

    def watch(self, channel: Channel[Any], on: bool) -> Request[Any] | None:
        """Return the request that starts or stops a channel."""
        if isinstance(channel, OrderBook):
            return WatchOrders(channel, channel.base, channel.counter, on)
        if isinstance(channel, Ticker):
            return WatchTicker(channel, channel.base, channel.counter, on)
        if isinstance(channel, Balances):
            self._doubt.wanted = on
        elif not isinstance(channel, (OwnOrders, TradeVolume)):
            return NoSuchChannel(channel)
        return None

    def login(self, credentials: Any) -> list[Event] | None:
        """Log an anonymous session in, once: a refused login is tried on a new connection."""
        if self._credentials is not None or self._login_tried:
            return None
        checked = self._credentials = self._checked(credentials)
        return [] if self._nonce is None else [self._authenticate(checked, self._nonce)]

    def close(self) -> list[Transmit]:
        """Do nothing: the venue knows no goodbye."""
        return []

    # -- logging in ----------------------------------------------------------------------------

    def _checked(self, credentials: Any) -> Credentials:
        if isinstance(credentials, Credentials):
            return credentials
        raise LocalProtocolError(
            f"{self._dialect.name} takes credentials of its own class, not "
            f"{type(credentials).__name__}"
        )

    def _welcome(self, notice: notices.Welcome) -> list[Event]:
        if self._nonce is not None:
            raise RemoteProtocolError(f"{self._dialect.name} sent a second Welcome")
        try:
            nonce = base64.b64decode(notice.nonce, validate=True)
        except (binascii.Error, ValueError):
            raise RemoteProtocolError(
                f"{self._dialect.name} sent a Welcome whose nonce is not Base64"
            ) from None
        if len(nonce) != NONCE:
            raise RemoteProtocolError(
                f"{self._dialect.name} sent a Welcome with a nonce of {len(nonce)} bytes instead "
                f"of {NONCE}"
            )
        self._nonce = nonce
        if self._credentials is None:
            return [Ready()]
        return [self._authenticate(self._credentials, nonce)]

    def _authenticate(self, credentials: Credentials, server_nonce: bytes) -> Transmit:
        tag = self._own_tag()
        self._login = tag, str(credentials.user_id)
        self._login_tried = True
        for _ in range(SIGN_TRIES):
            nonce = self._env.random_bytes(NONCE)
            signature = sign(
                credentials.key, login_message(credentials.user_id, server_nonce, nonce)
            )
            if signature is not None:
                break
        else:
            raise InternalError(
                f"no signature fitted with {SIGN_TRIES} nonces: the source of randomness is broken"
            )
        message = {
            "tag": tag,
            "method": "Authenticate",
            "user_id": credentials.user_id,
            "cookie": credentials.cookie,
            "nonce": _base64(nonce),
            "signature": [_base64(half) for half in signature],
        }
        return Transmit(encode(self._dialect.name, message))

    def _login_answered(self, account: str, head: replies.ReplyHead) -> list[Event]:
        self._login = None
        if head.error_code == 0:
            return [Ready(account)]
        code, text = head.error_code, head.error_msg or "the venue gave no reason"
        retry = {
            1: Retry.NEVER,  # no such user
            7: Retry.NEVER,  # wrong cookie, wrong signature
            8: Retry.NEVER,  # the same login would be just as malformed
        }.get(code if isinstance(code, int) else 0, Retry.LATER)
        if code == 7 and "cookie" in text.lower():
            text = f"{text}{self._dialect.login_hint}"
        return [Denied(str(code), text, retry)]

    # -- notices -------------------------------------------------------------------------------

    def _handle(self, notice: Any) -> list[Event]:
        return self._handlers[type(notice)](notice)

    def _order(
        self, notice: notices.OrderOpened | notices.OrderModified | notices.OrderClosed
    ) -> list[Event]:
        book = self._books.get((notice.base_id, notice.counter_id))
        if notice.tonce is UNSET:
            return [Ignored(notice)] if book is None else [Push(book, notice)]
        own = Push(OWN_ORDERS, notice)
        return [own] if book is None else [Push(book, notice), own]

    def _matched(self, notice: notices.OrdersMatched) -> list[Event]:
        book = self._books.get((notice.base_id, notice.counter_id))
        if notice.bid_tonce is UNSET and notice.ask_tonce is UNSET:
            return [Ignored(notice)] if book is None else [Push(book, notice)]
        own = Push(OWN_ORDERS, notice)
        return [own] if book is None else [Push(book, notice), own]

    def _ticker(self, change: replies.TickerSnapshot) -> list[Event]:
        feed = self._feeds.get((change.base_id, change.counter_id))
        if feed is None:
            # As it came: it is a part of a ticker, with nothing to make it whole.
            return [Ignored(msgspec.to_builtins(change))]
        if feed.ticker is None:
            feed.early.append(change)
            return []
        feed.ticker = ticker = change.since(feed.ticker)
        return [Push(feed.channel, ticker)]

    def _balance(self, notice: notices.BalanceChanged) -> list[Event]:
        events: list[Event] = [Push(BALANCES, notice)]
        return self._requery(events) if self._doubt.changed() else events

    def _volume(self, notice: notices.TradeVolumeChanged) -> list[Event]:
        return [Push(TRADE_VOLUME, notice)]

    def _doubtful(self, frame: bytes) -> list[Event]:
        """Find out, slowly, what a frame is that is not plainly a notice or a reply."""
        dialect = self._dialect
        name = dialect.notice_head(frame).notice
        if name in dialect.notice_names:
            # About an asset that the table lacks; or it raises, with the reason.
            return self._handle(dialect.any_notice(frame))
        if name is UNSET:
            head = dialect.reply_head(frame)
            if head.error_code is not UNSET:
                return self._reply(frame, head)
        return [dialect.ignored(frame)]

    # -- replies -------------------------------------------------------------------------------

    def _reply(self, frame: bytes, head: replies.ReplyHead) -> list[Event]:
        tag = head.tag
        request = None if tag is None else self._waiting.pop(tag, None)
        if tag is None or request is None:
            if self._login is not None and self._login[0] == tag:
                return self._login_answered(self._login[1], head)
            return [self._dialect.ignored(frame)]
        if tag in self._restarts:
            return self._start_again(*self._restarts.pop(tag))
        if head.error_code != 0:
            return self._refused(request, tag, head)
        value = request.value(frame, self._dialect)
        if isinstance(request, WatchTicker) and request.watch:
            value = self._ticker_started(request, value)
        elif isinstance(request, GetBalances):
            return self._balances(tag, value)
        self._restarted.discard(tag)
        return [] if tag >= OWN_TAGS else [Reply(tag, value)]

    def _refused(
        self, request: FloorRequest[Any], tag: int, head: replies.ReplyHead
    ) -> list[Event]:
        code = head.error_code
        if isinstance(request, (WatchOrders, WatchTicker)) and request.watch:
            if code == 2 and tag not in self._restarted:
                return self._restart(request, tag)
            self._stop(request)
        self._restarted.discard(tag)
        if isinstance(request, GetBalances):
            self._doubt.refused(tag)
        if tag >= OWN_TAGS:
            return [Ignored(head)]
        return [Refusal(tag, str(code), head.error_msg or "", request.refusal(_number(code)))]

    # -- books and tickers ---------------------------------------------------------------------

    def _watching(self, request: WatchOrders | WatchTicker) -> None:
        """A request to start or stop leaves."""
        if not request.watch:
            self._stop(request)
        elif isinstance(request, WatchOrders):
            self._books[self._pair(request)] = request.channel
        else:
            self._feeds[self._pair(request)] = Feed(request.channel)

    def _stop(self, request: WatchOrders | WatchTicker) -> None:
        if isinstance(request, WatchOrders):
            self._books.pop(self._pair(request), None)
        else:
            self._feeds.pop(self._pair(request), None)
        for stop_tag, (again, _) in list(self._restarts.items()):
            if again.channel == request.channel:
                del self._restarts[stop_tag]

    def _restart(self, request: WatchOrders | WatchTicker, tag: int) -> list[Event]:
        """The venue says that we are watching already: stop, then start over, once.

        The start waits for the answer to the stop. What is still on its way from the old
        subscription is older than what happens between stop and start, of which nobody tells;
        replayed over the new snapshot it would undo that.
        """
        self._restarted.add(tag)
        self._stop(request)
        stop = attrs.evolve(request, watch=False)
        stop_tag = self._own_tag()
        self._waiting[stop_tag] = stop
        self._restarts[stop_tag] = request, tag
        return [Transmit(self._dialect.encode(stop_tag, stop))]

    def _start_again(self, request: WatchOrders | WatchTicker, tag: int) -> list[Event]:
        self._waiting[tag] = request
        self._watching(request)
        return [Transmit(self._dialect.encode(tag, request))]

    def _ticker_started(
        self, request: WatchTicker, ticker: replies.TickerSnapshot
    ) -> replies.TickerSnapshot:
        feed = self._feeds.get(self._pair(request))
        if feed is not None:
            for change in feed.early:
                ticker = change.since(ticker)
            feed.early.clear()
            feed.ticker = ticker
        return ticker

    def _pair(self, request: WatchOrders | WatchTicker) -> Pair:
        assets = self._dialect.assets
        return assets.asset(request.base).id, assets.asset(request.counter).id

    # -- balances ------------------------------------------------------------------------------

    def _balances(self, tag: int, value: replies.BalancesSnapshot) -> list[Event]:
        certain = self._doubt.answered(tag)
        if tag < OWN_TAGS:
            return self._requery([Reply(tag, value)])
        # The session's own question: what it brings is worth something only if nothing moved.
        return self._requery([Push(BALANCES, value)] if certain else [])

    def _requery(self, events: list[Event]) -> list[Event]:
        """Ask for all balances once more, if that is due."""
        if self._doubt.due(self._env.epoch_ms()):
            tag = self._own_tag()
            request = GetBalances()
            self._waiting[tag] = request
            self._doubt.asked(tag)
            events.append(Transmit(self._dialect.encode(tag, request)))
        return events

    def _own_tag(self) -> int:
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        return tag


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _number(code: object) -> int:
    return code if isinstance(code, int) else -1
