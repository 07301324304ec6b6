"""The far side of one connection to TheOne: messages in, replies and pushes out.

Source of operations, shapes and texts: "the-one-io/api-client", ``docs/WEBSOCKET_DOCUMENTATION``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from .limits import Allowance
from .peer import Link
from .theone_desk import Complaint, Holding, Offer, SwapOrder
from .theone_request import INVALID, MAX_NONCE, Message

if TYPE_CHECKING:
    from .theone import TheOneModel

MAX_MESSAGE = 64 * 1024
"""Bytes of a client's message, by the clients' READMEs."""

OPERATIONS: Mapping[str, str] = {
    "auth": "",
    "subscribe": "",
    "unsubscribe": "",
    "balances": "GetBalances",
    "estimate": "Estimate",
    "swap": "Swap",
    "order_status": "GetOrderStatus",
}
"""All there is to send, and the client's classes for it."""

BALANCES = "balances"
ORDERS = "orders:"


class TheOnePeer:
    """One connection; made by :meth:`~trioflex.simulator.theone.TheOneModel.connect`.

    Args:
        model: what all connections share.
        link: the way back to the client.
    """

    def __init__(self, model: TheOneModel, link: Link) -> None:
        self._model = model
        self._link = link
        self._allowance = None if model.limit is None else Allowance(model.limit)
        self.account: str | None = None
        """API key of who is logged in."""
        self.channels: set[str] = set()
        """Names of the channels that are subscribed."""
        self._operations: Mapping[str, Callable[[Message, str], object]] = {
            "balances": self._balances,
            "estimate": self._estimate,
            "swap": self._swap,
            "order_status": self._order_status,
        }

    # -- the contract with whoever hosts the model ---------------------------------------------

    def opened(self) -> None:
        """Say nothing: the client speaks first."""

    def received(self, frame: str) -> Sequence[str]:
        """Carry out one message.

        Returns:
            Its one reply.
        """
        self._model.catch_up()
        op = ""
        try:
            if len(frame.encode(errors="replace")) > MAX_MESSAGE:
                raise Complaint("Message too large")
            if self._allowance is not None and not self._allowance.take(self._model.clock()):
                raise Complaint("Rate limit exceeded")
            message = Message(frame)
            op = message.op
            return [encode(self._carry_out(message))]
        except Complaint as complaint:
            return [self._error(op, str(complaint))]

    def method_of(self, frame: str) -> str:
        """Return the ``op`` of a message, ``""`` if it has none."""
        with suppress(Complaint):
            return Message(frame).op
        return ""

    def refusal(self, frame: str, code: str, message: str) -> str:
        """Return an error in answer to a message.

        Args:
            frame: the message.
            code: ``""`` for an error that is mere text, as the documents have it; a code of the
                REST interface for one that is an object.
            message: the text.
        """
        if not code:
            return self._error(self.method_of(frame), message)
        return encode({"error": {"code": code, "message": message, "request_id": "sim"}})

    def closed(self) -> None:
        """Forget the subscriptions; orders outlive the connection."""
        self._model.leave(self)

    # -- what the desk tells -------------------------------------------------------------------

    def tell_order(self, order: SwapOrder) -> None:
        """Push an order, if this connection listens to it."""
        name = ORDERS + order.id
        if name in self.channels:
            self._link.send(encode({"ch": name, "data": self._order_push(order)}))

    def tell_balances(self, holdings: Mapping[str, Holding]) -> None:
        """Push balances, if this connection listens to them."""
        if BALANCES in self.channels:
            listed = balances_of(holdings)
            data = {"balances": listed} if self._model.other_shapes else listed
            self._link.send(encode({"ch": BALANCES, "data": data}))

    # -- carrying out --------------------------------------------------------------------------

    def _carry_out(self, message: Message) -> dict[str, object]:
        op = message.op
        if op == "auth":
            self._verify(message, message.text("key"))
            self.account = message.text("key")
            return {"op": op, "data": {"status": "authenticated"}}
        if self.account is None:
            raise Complaint("Not authenticated")
        if op in ("subscribe", "unsubscribe"):
            return self._watch(message, self.account)
        act = self._operations.get(op)
        if act is None:
            raise Complaint(f"Unknown operation: {op}" if op else INVALID)
        self._verify(message, self.account)
        return {"op": op, "data": act(message, self.account)}

    def _verify(self, message: Message, key: str) -> None:
        model = self._model
        secret = model.secret(key)
        if secret is None:
            raise Complaint("Invalid API key")
        ts, nonce = message.ts(), message.text("nonce")
        if len(nonce) > MAX_NONCE:
            raise Complaint(INVALID)
        if abs(ts * 1_000 - model.clock()) > model.window:
            raise Complaint("Request timestamp outside allowed window")
        if not message.is_signed_by(secret, derived=model.derive_key):
            raise Complaint("Invalid signature")
        if not model.use_nonce(key, nonce):
            raise Complaint("Nonce has already been used or is expired")

    def _watch(self, message: Message, account: str) -> dict[str, object]:
        name = message.text("ch")
        if name != BALANCES and not (name.startswith(ORDERS) and len(name) > len(ORDERS)):
            raise Complaint("Invalid channel format")
        if message.op == "unsubscribe":
            self.channels.discard(name)
            return {"op": message.op, "ch": name, "data": {"status": "unsubscribed"}}
        if name not in self.channels and len(self.channels) >= self._model.max_channels:
            raise Complaint("Subscription limit exceeded")
        self.channels.add(name)
        if self._model.snapshots:
            self._tell_snapshot(name, account)
        return {"op": message.op, "ch": name, "data": {"status": "subscribed"}}

    def _tell_snapshot(self, name: str, account: str) -> None:
        desk = self._model.desk
        if name == BALANCES:
            self.tell_balances(desk.accounts[account])
            return
        order = desk.orders.get(name[len(ORDERS) :])
        if order is not None and order.owner == account:
            self.tell_order(order)

    def _balances(self, message: Message, account: str) -> object:
        listed = balances_of(self._model.desk.accounts[account])
        return listed if self._model.other_shapes else {"balances": listed}

    def _estimate(self, message: Message, account: str) -> object:
        offer = self._model.desk.estimate(
            account,
            message.given("assetIn", "from"),
            message.given("assetOut", "to"),
            message.amount(),
            message.sources(),
        )
        return {
            "route": [self._route_step(offer)],
            "price": plain(offer.price),
            "expectedOut": plain(offer.expected_out),
            "fee": plain(offer.fee),
            "expiresAt": offer.expires_at // 1_000,
        }

    def _route_step(self, offer: Offer) -> dict[str, str]:
        step = {
            "exchange": offer.source,
            "pool": "",
            "from_asset": offer.asset_in,
            "to_asset": offer.asset_out,
            "amount_in": plain(offer.amount_in),
            "amount_out": plain(offer.expected_out),
        }
        if not self._model.other_shapes:
            return step
        return {
            head + "".join(word.title() for word in rest): value
            for name, value in step.items()
            for head, *rest in (name.split("_"),)
        }

    def _swap(self, message: Message, account: str) -> object:
        order = self._model.desk.swap(
            account,
            message.given("assetIn", "from"),
            message.given("assetOut", "to"),
            message.amount(),
            sources=message.sources(),
            slippage_bps=message.slippage(),
            client_order_id=message.optional("clientOrderId"),
        )
        return {"orderId": order.id, "status": self._model.spelled(order.status)}

    def _order_status(self, message: Message, account: str) -> object:
        order = self._model.desk.find(account, message.given("id"))
        return {"orderId": order.id, **self._order_fields(order)}

    def _order_fields(self, order: SwapOrder) -> dict[str, object]:
        fields: dict[str, object] = {
            "status": self._model.spelled(order.status),
            "updatedAt": order.updated_at // 1_000,
        }
        if order.filled_out:
            fields["filledOut"] = plain(order.filled_out)
        if order.tx_hash is not None:
            fields["txHash"] = order.tx_hash
        if order.client_order_id is not None:
            fields["clientOrderId"] = order.client_order_id
        return fields

    def _order_push(self, order: SwapOrder) -> dict[str, object]:
        fields = self._order_fields(order)
        # The documents' pushes do not have it, and the READMEs' not even the order's id.
        fields.pop("clientOrderId", None)
        return fields if self._model.other_shapes else {"orderId": order.id, **fields}

    def _error(self, op: str, text: str) -> str:
        if self._model.other_shapes and op:
            return encode({"op": op, "error": text})
        return encode({"error": text})


def encode(message: dict[str, object]) -> str:
    """Return a message as the text of a frame."""
    return json.dumps(message, separators=(",", ":"))


def plain(amount: object) -> str:
    """Return an amount as digits and a point, without zeros that say nothing."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def balances_of(holdings: Mapping[str, Holding]) -> list[dict[str, str]]:
    """Return balances as they are written."""
    return [
        {"asset": asset, "total": plain(holding.total), "locked": plain(holding.locked)}
        for asset, holding in sorted(holdings.items())
    ]
