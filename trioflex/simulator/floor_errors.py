"""Error codes of the CoinFLEX and Coinfloor wire, and the literal texts of the documents."""

from __future__ import annotations

from enum import IntEnum

import attrs

from .rules import Reason


class Code(IntEnum):
    """``error_code``; its meaning depends on the method ("coinflex-exchange/API
    WEBSOCKET-README.md", the errors of each method)."""

    OK = 0
    NOT_FOUND = 1
    ALREADY = 2
    TONCE = 3
    FUNDS = 4
    TOO_MANY_ORDERS = 5
    RATE = 6
    NOT_AUTHORISED = 7
    BAD_REQUEST = 8
    WOULD_MATCH = 9


@attrs.frozen
class Complaint:
    """What an error reply says."""

    code: Code
    text: str


class Refused(Exception):
    """A request is answered with an error.

    The complaints are values, and raised in here, because an exception that is raised over and over
    collects a traceback each time.
    """

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.text)
        self.complaint = complaint


def bad_request(text: str) -> Refused:
    """Return the error for a request that makes no sense, in words of our own."""
    return Refused(Complaint(Code.BAD_REQUEST, text))


NO_USER = Complaint(Code.NOT_FOUND, "There is no such user.")
NO_PAIR = Complaint(Code.NOT_FOUND, "You specified an invalid asset pair.")
WRONG_COOKIE = Complaint(Code.NOT_AUTHORISED, "You sent an incorrect login cookie.")
WRONG_SIGNATURE = Complaint(
    Code.NOT_AUTHORISED,
    "You sent an incorrect signature. This probably means you used a wrong passphrase.",
)
NOT_AUTHENTICATED = Complaint(Code.NOT_AUTHORISED, "You are not authenticated.")
NOT_WATCHING = {
    "WatchOrders": Complaint(
        Code.NOT_FOUND, "You are not watching the order book for the specified asset pair."
    ),
    "WatchTicker": Complaint(
        Code.NOT_FOUND, "You are not watching the ticker for the specified asset pair."
    ),
}
ALREADY_WATCHING = {
    "WatchOrders": Complaint(
        Code.ALREADY, "You are already watching the order book for the specified asset pair."
    ),
    "WatchTicker": Complaint(
        Code.ALREADY, "You are already watching the ticker for the specified asset pair."
    ),
}
TOO_FAST_AUTHENTICATION = Complaint(
    Code.RATE, "You are making authentication attempts too rapidly."
)
TOO_FAST_INFORMATION = Complaint(Code.RATE, "You are making information requests too rapidly.")
TOO_FAST_ORDERS = Complaint(Code.RATE, "You are sending orders too rapidly.")
ID_OR_TONCE = Complaint(Code.BAD_REQUEST, "You must specify either order ID or tonce.")
QUANTITY_OR_TOTAL = Complaint(
    Code.BAD_REQUEST, "You must specify either quantity or total for a market order."
)

REASONS = {
    Reason.NO_MARKET: NO_PAIR,
    Reason.NO_ORDER: Complaint(Code.NOT_FOUND, "The specified order was not found."),
    Reason.TONCE: Complaint(Code.TONCE, "Tonce is out of sequence."),
    Reason.FUNDS: Complaint(Code.FUNDS, "You have insufficient funds."),
    Reason.TOO_MANY_ORDERS: Complaint(
        Code.TOO_MANY_ORDERS, "You have too many outstanding orders."
    ),
    Reason.WOULD_MATCH: Complaint(
        Code.WOULD_MATCH,
        "Post-only order with these parameters would result in an immediate match.",
    ),
    Reason.ZERO_TONCE: Complaint(Code.BAD_REQUEST, "Tonce must not be zero."),
    Reason.ZERO_QUANTITY: Complaint(Code.BAD_REQUEST, "Quantity must not be zero."),
    Reason.ZERO_PRICE: Complaint(Code.BAD_REQUEST, "Price must not be zero."),
    Reason.ZERO_TOTAL: Complaint(Code.BAD_REQUEST, "Total must not be zero."),
    Reason.ZERO_DELTA: Complaint(Code.BAD_REQUEST, "Quantity delta must not be zero."),
    # The documents do not have this one: a price below zero is a value like any other wrong one.
    Reason.NEGATIVE_PRICE: Complaint(Code.BAD_REQUEST, "Price must not be negative."),
    Reason.NO_CHANGE: Complaint(Code.BAD_REQUEST, "You must specify quantity delta and/or price."),
    Reason.OVERFLOW: Complaint(Code.BAD_REQUEST, "Order total would overflow."),
}
"""What an engine's refusal looks like on the wire."""
