"""The far side of one connection to MidChains: messages in, answers and pushes out.

Source of types, fields and texts: "MidChains/slate", ``source/index.html.md``; texts that it does
not print are chosen here.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .limits import Allowance
from .midchains_order import Complaint, milliseconds
from .peer import Link

if TYPE_CHECKING:
    from .midchains import MidchainsModel

Message = dict[str, object]

SESSION = ("subscribe", "unsubscribe", "challenge", "login", "logout")
"""What needs no login."""

TRADING: Mapping[str, str] = {
    "addorder": "AddOrder",
    "cancelorder": "CancelOrder",
    "queryorder": "QueryOrder",
    "querymultiorders": "QueryOrders",
    "querymultiorder": "",
    "querytrade": "QueryTrades",
    "querypos": "QueryPositions",
    "querypendingpos": "QueryPendingPositions",
}
"""What needs a login, and the client's classes for it; one has an older name beside its own."""


class MidchainsPeer:
    """One connection; made by :meth:`~trioflex.simulator.midchains.MidchainsModel.connect`.

    Args:
        model: what all connections share.
        link: the way back to the client.
    """

    def __init__(self, model: MidchainsModel, link: Link) -> None:
        self._model = model
        self._link = link
        self._opened_at = model.clock()
        self._challenged = False
        self._over = False
        limit = model.public_limit
        self._allowance = None if limit is None else Allowance(limit)
        self.user_id: str | None = None
        """Who is logged in."""
        self.feeds: set[tuple[str, str]] = set()
        """``(msg, security)`` of what is subscribed."""
        self._acts: Mapping[str, Callable[[Message, str], list[Message]]] = {
            "addorder": self._add,
            "cancelorder": self._cancel,
            "queryorder": self._query_order,
            "querymultiorders": self._query_orders,
            "querymultiorder": self._query_orders,
            "querytrade": self._query_trades,
            "querypos": self._query_positions,
            "querypendingpos": self._query_pending,
        }

    # -- the contract with whoever hosts the model ---------------------------------------------

    def opened(self) -> None:
        """Say nothing: there is no welcome."""

    def received(self, frame: str) -> Sequence[str]:
        """Carry out one message and return its answer, in as many parts as it takes."""
        self._model.catch_up()
        if self._over:
            return []
        message = parse(frame)
        kind = str(message.get("type", ""))
        try:
            return [encode(answer) for answer in self._carry_out(kind, message)]
        except Complaint as complaint:
            return [self.refusal(frame, "", str(complaint))]

    def method_of(self, frame: str) -> str:
        """Return the ``type`` of a message, ``""`` if it has none."""
        return str(parse(frame).get("type", ""))

    def refusal(self, frame: str, code: str, message: str) -> str:
        """Return an answer that refuses a message; the venue has texts and no codes.

        Args:
            frame: the message.
            code: not used.
            message: the text.
        """
        asked = parse(frame)
        kept = {} if asked.get("type") == "login" else asked
        kept.pop("request", None)
        return encode({**kept, "type": asked.get("type", ""), "result": message})

    def closed(self) -> None:
        """Forget the subscriptions; orders outlive the connection."""
        self._model.leave(self)

    # -- what the model tells ------------------------------------------------------------------

    def tell_feed(self, message: str, security: str, content: Message) -> None:
        """Push what happened in a market, if this connection listens to it."""
        if (message, security) in self.feeds or (message, "*") in self.feeds:
            self._link.send(encode(content))

    def tell_own(self, kind: str, row: Message) -> None:
        """Push an order, a sale or a position."""
        shape = self._model.push_shape
        if shape == "list":
            row = {"type": kind, "data": [row]}
        elif shape == "object":
            row = {"type": kind, "data": row}
        self._link.send(encode(row))

    def check_login(self, limit: int) -> None:
        """End a connection that should have logged in by now."""
        trading = self._challenged or self._model.strict_login
        late = self._model.clock() - self._opened_at >= limit
        if trading and late and self.user_id is None and not self._over:
            self._end("login timeout")

    def _end(self, reason: str) -> None:
        self._over = True
        self._link.close(1000, reason)

    # -- carrying out --------------------------------------------------------------------------

    def _carry_out(self, kind: str, message: Message) -> list[Message]:
        if kind in TRADING:
            if self.user_id is None:
                raise Complaint("not logged in")
            if not self._model.allow(self.user_id):
                raise Complaint("too many requests")
            return self._acts[kind](message, self.user_id)
        if self._allowance is not None and not self._allowance.take(self._model.clock()):
            raise Complaint("too many requests")
        if kind == "subscribe":
            return self._subscribe(message)
        if kind == "unsubscribe":
            for feed in self._feeds(message):
                self.feeds.discard(feed)
            return [{"type": kind, "result": "OK"}] if self._model.acknowledge else []
        if kind == "challenge":
            return [self._challenge()]
        if kind == "login":
            return self._login(message)
        if kind == "logout":
            self._end("logged out")
            self.user_id = None
            return [{"type": kind, "result": "OK"}]
        raise Complaint("invalid type")

    def _feeds(self, message: Message) -> list[tuple[str, str]]:
        listed = message.get("request")
        feeds = []
        for entry in listed if isinstance(listed, list) else []:
            if not isinstance(entry, dict) or entry.get("dest") != "CROX":
                raise Complaint("invalid request")
            what, security = entry.get("msg"), entry.get("security")
            if what not in ("book", "trade") or (what == "trade" and security == "*"):
                raise Complaint("invalid msg")
            if security != "*" and security not in self._model.desk.markets:
                raise Complaint("invalid security")
            feeds.append((str(what), str(security)))
        if not feeds:
            raise Complaint("invalid request")
        return feeds

    def _subscribe(self, message: Message) -> list[Message]:
        desk = self._model.desk
        feeds = self._feeds(message)
        self.feeds.update(feeds)
        for what, security in feeds:
            if what == "trade":
                if security in desk.latest:
                    self._link.send(encode(desk.latest[security]))
                continue
            for name in desk.markets if security == "*" else (security,):
                rows = desk.book_rows(name)
                if rows:
                    self._link.send(encode({"type": "book", "security": name, "books": rows}))
        return [{"type": "subscribe", "result": "OK"}] if self._model.acknowledge else []

    def _challenge(self) -> Message:
        self._challenged = True
        der = self._model.private_key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        return {"type": "challenge", "result": "OK", "key": base64.b64encode(der).decode()}

    def _login(self, message: Message) -> list[Message]:
        user_id = message.get("userid")
        account = self._model.users.get(user_id) if isinstance(user_id, str) else None
        if not self._challenged or account is None or not self._knows(message, account.password):
            return [{"type": "login", "result": "invalid user/password"}]
        self.user_id = account.user_id
        desk = self._model.desk
        for order in desk.orders.values():
            if order.owner == self.user_id and (order.open_quantity or order.waiting):
                self.tell_own("order", desk.order_row(order))
        for row in desk.positions(self.user_id):
            self.tell_own("position", row)
        return [{"type": "login", "result": "OK"}]

    def _knows(self, message: Message, password: str) -> bool:
        try:
            cipher = base64.b64decode(str(message.get("pass", "")), validate=True)
            plain = self._model.private_key.decrypt(cipher, PKCS1v15())
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(plain, password.encode())

    def _add(self, message: Message, user_id: str) -> list[Message]:
        order = self._model.desk.add(user_id, message)
        return [{**message, "result": "OK", "refno": order.refno}]

    def _cancel(self, message: Message, user_id: str) -> list[Message]:
        security, refno = str(message.get("security")), str(message.get("refno"))
        self._model.desk.cancel(user_id, security, refno)
        return [{**message, "result": "OK"}]

    def _query_order(self, message: Message, user_id: str) -> list[Message]:
        desk = self._model.desk
        order = desk.find(user_id, str(message.get("security")), str(message.get("refno")))
        return [{**message, "result": "OK", "data": desk.order_row(order)}]

    def _query_orders(self, message: Message, user_id: str) -> list[Message]:
        desk = self._model.desk
        rows = [desk.order_row(order) for order in desk.orders.values() if order.owner == user_id]
        return self._pages("querymultiorders", _chosen(rows, message, "updtime"))

    def _query_trades(self, message: Message, user_id: str) -> list[Message]:
        rows = [row for owner, row in self._model.desk.sales if owner == user_id]
        return self._pages("querytrade", _chosen(rows, message, "trdtime"))

    def _query_positions(self, message: Message, user_id: str) -> list[Message]:
        asset = message.get("security")
        rows = self._model.desk.positions(user_id, None if asset is None else str(asset))
        if not rows:
            return [{"type": "querypos", "result": "no position"}]
        return self._pages("querypos", rows, firm="SIM", userid=user_id)

    def _query_pending(self, message: Message, user_id: str) -> list[Message]:
        # Nothing is settled later here, so nothing is ever pending.
        return [{"type": "querypendingpos", "result": "no position"}]

    def _pages(self, kind: str, rows: list[Message], **more: object) -> list[Message]:
        """Return an answer in its parts."""
        head: Message = {"type": kind, "result": "OK", **more, "total_rec": len(rows)}
        numbered = [{"rec_no": number, **row} for number, row in enumerate(rows, 1)]
        size = self._model.page
        parts = [numbered[start : start + size] for start in range(0, len(rows), size)]
        return [{**head, "data": part} for part in parts] or [head]


def _chosen(rows: list[Message], message: Message, time: str) -> list[Message]:
    """Return the rows of one pair, and from a time on, if the message asks for that."""
    security = message.get("security")
    since = milliseconds(message["fromtime"], "fromtime") if "fromtime" in message else 0
    return [
        row for row in rows if security in (None, row["security"]) and int(str(row[time])) >= since
    ]


def parse(frame: str) -> Message:
    """Return a message; what is none is empty."""
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def encode(message: Message) -> str:
    """Return a message as the text of a frame."""
    return json.dumps(message, separators=(",", ":"))
