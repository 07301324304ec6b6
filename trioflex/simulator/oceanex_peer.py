"""The far side of one connection to OceanEx: welcome, pings, login, and calls with their answers.

Source of envelope and rules: "OceanEx/ocean-websocket-client", user guide 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from .oceanex_login import read_header
from .oceanex_request import NOT_ALLOWED, Call, Complaint, Json, call_of, parse
from .peer import Link

if TYPE_CHECKING:
    from .oceanex import OceanExModel

LOGIN = "AuthHandler/login"

MISSED_PONGS = 3
"""Pings in a row without an answer that end a connection."""

LIMIT_TEXT = '{"error":{"code":2002,"message":"Exceeding request Limit"}}'
"""How an answer with code -2 wraps what is meant ("api.oceanex.pro/doc/v1")."""


class Unauthorised(Exception):
    """A private call without a login; the venue cuts the line."""


class OceanExPeer:
    """One connection; made by :meth:`~trioflex.simulator.oceanex.OceanExModel.connect`.

    Args:
        model: what all connections share.
        link: the way back to the client.
    """

    def __init__(self, model: OceanExModel, link: Link) -> None:
        self._model = model
        self._link = link
        self._over = False
        self._allowance = model.new_allowance()
        self.uid: str | None = None
        """Who is logged in."""
        self.unanswered: int = 0
        """Pings since the last pong."""
        self.beat_every: float = model.ping_interval
        """Seconds between two pings."""

    # -- the contract with whoever hosts the model ---------------------------------------------

    def opened(self) -> None:
        """Say welcome, and how often pings will come."""
        self._say({"type": "welcome", "message": int(self._model.ping_interval)})

    def beat(self) -> None:
        """Ping, or give up a client that does not answer."""
        if self._over:
            return
        self._model.catch_up()
        if self.unanswered >= MISSED_PONGS:
            self._over = True
            self._link.close(1001, "no pong")
            return
        self.unanswered += 1
        self._say({"type": "ping", "message": self._model.clock() // 1_000_000})

    def received(self, frame: str) -> Sequence[str]:
        """Carry out one message and return its one answer; a pong has none, nor has nonsense."""
        self._model.catch_up()
        if self._over:
            return []
        message = parse(frame)
        if message.get("command") == "pong":
            self.unanswered = 0
            return []
        call = call_of(message)
        if call is None:
            return []
        try:
            return [self._answer(call, 0, self._carry_out(call))]
        except Complaint as complaint:
            if call.name == LOGIN and self._model.cut_denied_logins:
                self.disconnect("unauthorized", reconnect=False)
                return []
            return [self._answer(call, complaint.code, complaint.data, complaint.text)]
        except Unauthorised:
            self.disconnect("unauthorized", reconnect=False)
            return []

    def method_of(self, frame: str) -> str:
        """Return handler and action of a call, ``"OrderHandler/create"``; ``"pong"``; else ``""``.

        Args:
            frame: the message.
        """
        message = parse(frame)
        if message.get("command") == "pong":
            return "pong"
        call = call_of(message)
        return "" if call is None else call.name

    def refusal(self, frame: str, code: str, message: str) -> str:
        """Return an answer that refuses a call, or cuts the line.

        Args:
            frame: the call.
            code: a number; ``"disconnect"`` for a ``disconnect`` message instead of an answer.
            message: the text, or the reason.
        """
        call = call_of(parse(frame))
        if call is None or code == "disconnect":
            return encode({"type": "disconnect", "reason": message, "reconnect": False})
        return self._answer(call, int(code), {}, message)

    def closed(self) -> None:
        """Forget the login; orders outlive the connection."""
        self._model.leave(self)

    # -- what the model tells ------------------------------------------------------------------

    def disconnect(self, reason: str, *, reconnect: bool) -> None:
        """Say why the connection ends, and end it.

        Args:
            reason: for people.
            reconnect: whether trying again makes sense.
        """
        if not self._over:
            self._over = True
            self._say({"type": "disconnect", "reason": reason, "reconnect": reconnect})
            self._link.close()

    # -- carrying out --------------------------------------------------------------------------

    def _carry_out(self, call: Call) -> object:
        model, name = self._model, call.name
        if not self._allowed():
            raise Complaint(-2, LIMIT_TEXT)
        if name == LOGIN:
            account = model.log_in(read_header(call.header))
            self.uid = account.uid
            return {"scopes": dict(account.scopes)}
        public = model.calls.public.get(name)
        if public is not None:
            return public(call.args)
        private = model.calls.private.get(name)
        if private is None:
            raise Complaint(NOT_ALLOWED, "there is no such call")
        if self.uid is None:
            raise Unauthorised
        model.check_key(self.uid, name)
        return private(call.args, self.uid)

    def _allowed(self) -> bool:
        if self.uid is not None:
            return self._model.allow(self.uid)
        return self._allowance is None or self._allowance.take(self._model.clock())

    # -- writing -------------------------------------------------------------------------------

    def _say(self, message: Json) -> None:
        self._link.send(encode(message))

    def _answer(self, call: Call, code: int, data: object, text: str = "") -> str:
        other = self._model.other_shapes
        identifier: object = {"handler": call.handler}
        message: Json = {
            "action": call.action,
            "code": str(code) if other else code,
            "data": data,
        }
        if text:
            message["message"] = text
        if call.uuid is not None and self._model.repeat_uuids:
            message["uuid"] = call.uuid
        if other:
            return encode({"identifier": encode(identifier), "message": encode(message)})
        return encode({"identifier": identifier, "message": message})


def encode(message: object) -> str:
    """Return a message as the text of a frame."""
    return msgspec.json.encode(message).decode()
