"""The far side of one CoinFLEX or Coinfloor connection: commands in, replies and notices out."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import attrs

from .floor_audience import encode
from .floor_desk import Reply
from .floor_errors import (
    ALREADY_WATCHING,
    NO_USER,
    NOT_AUTHENTICATED,
    NOT_WATCHING,
    REASONS,
    TOO_FAST_AUTHENTICATION,
    TOO_FAST_INFORMATION,
    TOO_FAST_ORDERS,
    WRONG_COOKIE,
    WRONG_SIGNATURE,
    Code,
    Complaint,
    Refused,
    bad_request,
)
from .floor_request import LONGEST_TEXT, TAGS, UINT64, Request, octets
from .ledger import Account
from .limits import Allowance
from .peer import Link
from .rules import Refusal
from .secp224k1 import verify

if TYPE_CHECKING:
    from .floor import FloorModel

NONCE_BYTES = 16
"""Of the server's nonce and the client's ("coinflex-exchange/API AUTH.md")."""

HALF_BYTES = 28
"""Of each half of a signature (the same text)."""


@attrs.frozen
class Command:
    """A command that was received, and what became of it: the venue's own truth."""

    at: int
    """Microseconds since 1970, on the venue's clock."""

    connection: int
    """Number of the connection, from 1."""

    account: int | None
    """User id of the account that was logged in once the command had been carried out."""

    tag: int | None
    """None also where the command had the tag 0, which no reply repeats."""

    method: str
    """Empty if none could be read."""

    request: Mapping[str, object]
    """The fields that the protocol knows, but for a login's cookie, nonce and signature, and for
    what is neither a number nor a text."""

    code: int
    """The reply's error code; 0 is success."""

    reply: Mapping[str, object]
    """The reply's fields, but for code and tag, and for lists (of orders, of balances)."""


class FloorPeer:
    """One connection; made by :meth:`~trioflex.simulator.floor.FloorModel.connect`.

    Args:
        model: what all connections share.
        link: the way back to the client.
        number: of the connection, for the record.
    """

    def __init__(self, model: FloorModel, link: Link, number: int) -> None:
        self._model = model
        self._link = link
        self._number = number
        self._nonce = b""
        self._user_id: int | None = None
        self._account: Account | None = None
        # A connection may log in again; orders of an earlier account end with it all the same.
        self._accounts: dict[int, Account] = {}
        limits = model.limits
        self._information = Allowance(limits.information) if limits.information else None
        # An estimate counts as a placement even where nobody is logged in.
        self._anonymous = Allowance(limits.placements) if limits.placements else None

    # -- the contract with whoever hosts the model ---------------------------------------------

    def opened(self) -> None:
        """Send the Welcome, with the nonce that a login over this connection has to sign."""
        self._nonce = self._model.draw_nonce()
        nonce = base64.b64encode(self._nonce).decode()
        self._link.send(encode({"notice": "Welcome", "nonce": nonce}))

    def received(self, frame: str) -> Sequence[str]:
        """Carry out one command.

        Returns:
            Its one reply.
        """
        request: Request | None = None
        try:
            request = Request(frame)
            code, reply = Code.OK, self._carry_out(request)
        except Refused as refused:
            code, reply = _error(refused.complaint)
        except Refusal as refusal:
            code, reply = _error(REASONS[refusal.reason])
        self._model.record.append(
            Command(
                self._model.clock(),
                self._number,
                self._user_id,
                request.tag if request else None,
                request.method[:LONGEST_TEXT] if request else "",
                request.plain_fields() if request else {},
                int(code),
                {name: value for name, value in reply.items() if not isinstance(value, list)},
            )
        )
        return [_answer(request, code, reply)]

    def method_of(self, frame: str) -> str:
        """Return the method of the command in a frame, ``""`` if it has none."""
        try:
            return Request(frame).method
        except Refused:
            return ""

    def refusal(self, frame: str, code: str, message: str) -> str:
        """Return an error reply to the command in a frame.

        Args:
            frame: the command.
            code: the venue's error code, a whole number in digits.
            message: the error's text.

        Raises:
            ValueError: the code is not a number.
        """
        request: Request | None = None
        with suppress(Refused):
            request = Request(frame)
        if not code.isdecimal():
            raise ValueError(
                f"{self._model.name} has numbers for error codes, and {code!r} is none; use one "
                'like "4"'
            )
        return _answer(request, int(code), {"error_msg": message})

    def closed(self) -> None:
        """Forget the subscriptions, and cancel the orders that do not outlive the connection."""
        self._model.audience.leave(self)
        for account in self._accounts.values():
            self._model.engine.cancel_session(account, self)

    def tell(self, frame: str) -> None:
        """Send a notice."""
        self._link.send(frame)

    # -- carrying out --------------------------------------------------------------------------

    def _carry_out(self, request: Request) -> Reply:
        if request.has("tag"):
            request.integer("tag", within=TAGS)
        desk, method = self._model.desk, request.method
        if method == "Authenticate":
            return self._authenticate(request)
        if method in ("WatchOrders", "WatchTicker"):
            return self._watch(request)
        if method == "EstimateMarketOrder":
            self._count_placement()
            return desk.estimate(request)
        inform, place = desk.informing.get(method), desk.placing.get(method)
        act = inform or place
        if act is None:
            raise bad_request(
                "You specified an unknown method." if method else "You must specify a method."
            )
        if self._account is None:
            raise Refused(NOT_AUTHENTICATED)
        if place is not None:
            self._count_placement()
        elif self._information and not self._information.take(self._model.clock()):
            raise Refused(TOO_FAST_INFORMATION)
        return act(request, self._account, self)

    def _count_placement(self) -> None:
        if self._user_id is not None:
            allowed = self._model.may_place(self._user_id)
        else:
            allowed = self._anonymous is None or self._anonymous.take(self._model.clock())
        if not allowed:
            raise Refused(TOO_FAST_ORDERS)

    def _authenticate(self, request: Request) -> Reply:
        model = self._model
        user_id = request.integer("user_id", within=UINT64)
        cookie, nonce = request.text("cookie"), request.text("nonce")
        halves = request.texts("signature", 2)
        user = model.users.get(user_id)
        if user is None:
            raise Refused(NO_USER)
        if not model.may_authenticate(user_id):
            raise Refused(TOO_FAST_AUTHENTICATION)
        # The comparison takes the same time wherever the first difference is.
        right = hmac.compare_digest(cookie.encode(), user.cookie.encode())
        if not right or model.profile.read_only:
            raise Refused(WRONG_COOKIE)
        client_nonce = octets(nonce, NONCE_BYTES, "nonce")
        r, s = (int.from_bytes(octets(half, HALF_BYTES, "signature"), "big") for half in halves)
        message = user_id.to_bytes(8, "big") + self._nonce + client_nonce
        if not verify(model.public_key(user_id), message, r, s):
            raise Refused(WRONG_SIGNATURE)
        self._user_id = user_id
        self._account = self._accounts[user_id] = model.engine.ledger.accounts[user_id]
        model.audience.log_in(user_id, self)
        return {}

    def _watch(self, request: Request) -> Reply:
        model, method = self._model, request.method
        book, wanted = model.desk.book(request), request.boolean("watch")
        if not wanted:
            if not model.audience.unwatch(method, book.market, self):
                raise Refused(NOT_WATCHING[method])
            return {}
        # Asking for a ticker can tell its watchers of trades that have just become a day old; that
        # is no news to this one.
        reply = model.desk.snapshot(book) if method == "WatchOrders" else model.desk.ticker(book)
        if not model.audience.watch(method, book.market, self):
            raise Refused(ALREADY_WATCHING[method])
        return reply


def _error(complaint: Complaint) -> tuple[Code, Reply]:
    return complaint.code, {"error_msg": complaint.text}


def _answer(request: Request | None, code: int, reply: Reply) -> str:
    answer = {"error_code": int(code), **reply}
    if request is not None and request.tag is not None:
        answer["tag"] = request.tag
    return encode(answer)
