"""What a request would do, in the words of the market, for whoever is asked whether it shall."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from trioflex.protocol import Request

from .spelling import spell_request

SIDES = {"b": "Buy", "buy": "Buy", "s": "Sell", "sell": "Sell"}
"""How venues write sides, in lower case."""


def question(where: str, request: Request[Any]) -> str:
    """Return the question whether a request that may change the account is to be sent.

    It is whole, so that nothing which comes meanwhile can stand between it and what it is about.

    Args:
        where: the venue, and its address.
        request: what would be sent.
    """
    trade = trade_of(request)
    lines = [
        f"{where}: {spell_request(request)}",
        *([f"{trade}."] if trade else []),
        "This may change your account. Send it? [y/N] ",
    ]
    return "\n".join(lines)


def trade_of(request: Request[Any]) -> str:
    """Return what an order would trade, as in ``Sell 0.1 XBT at 8650 USDT``.

    It goes by what fields are there, not by whose they are. A side is one that is called so; where
    an order of two assets has none, its quantity or its total is signed, and negative sells.

    Returns:
        Nothing where it is no order, or not one that can be told in these words.
    """
    base, counter = _text(request, "base"), _text(request, "counter")
    market = _text(request, "market") or _text(request, "security")
    quantity = _number(request, "quantity", "volume")
    money = _number(request, "total", "amount")
    size = quantity if quantity is not None else money
    if size is None or (quantity is not None and money is not None):
        return ""
    side = getattr(request, "side", None)
    if side is not None:
        did = SIDES.get(str(getattr(side, "value", side)).lower()) if size >= 0 else None
    else:
        did = ("Sell" if size < 0 else "Buy") if base and counter else None
    if did is None or not (market or (base and counter)):
        return ""
    what = f"{abs(size):f} {base}" if base else f"{abs(size):f}"
    if quantity is None:
        what = f"{base} for {abs(size):f} {counter}" if base else f"for {abs(size):f}"
    price = _number(request, "price")
    at = "at the market's price" if price is None else f"at {price:f} {counter}".rstrip()
    stop = _number(request, "stop_price")
    when = "" if stop is None else f"when {stop:f} is reached"
    words = [did, what, "" if base else f"on {market}", at, when]
    return " ".join(word for word in words if word)


def _text(request: Request[Any], name: str) -> str:
    value = getattr(request, name, None)
    return value if isinstance(value, str) else ""


def _number(request: Request[Any], *names: str) -> Decimal | None:
    """Return the first of some fields that holds a number."""
    for name in names:
        value = getattr(request, name, None)
        if isinstance(value, int | Decimal):
            return Decimal(value)
    return None
