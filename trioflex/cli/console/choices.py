"""OceanEx's seventeen numbered choices, as the users of its own console know them.

Source: "OceanEx/ocean-websocket-client", README and ``src/ws_client.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from trioflex import LocalProtocolError

VENUE = "oceanex"
"""Whose choices these are."""


@attrs.frozen
class Choice:
    """A number, the name that may stand for it, and what it does."""

    number: int
    name: str
    summary: str
    request: str | None = None
    """Name of the request class."""
    word: str | None = None
    """Or the command."""
    parts: tuple[str, ...] = ()
    """Fields asked for on one line, separated by commas."""
    required: int = 0
    """How many of them there must be."""
    many: str = ""
    """The one field that takes all parts there are."""

    @property
    def question(self) -> str:
        """What is asked; empty: nothing."""
        if self.many:
            return f"{self.many}, separated by commas: "
        return f"{self.shape}: " if self.parts else ""

    @property
    def shape(self) -> str:
        """The parts as they are typed; those in brackets may be left out, from the end."""
        needed, rest = self.parts[: self.required], self.parts[self.required :]
        return ", ".join(needed) + "".join(f"[, {part}" for part in rest) + "]" * len(rest)


CHOICES: Sequence[Choice] = (
    Choice(1, "auth", "log in", word="login"),
    Choice(2, "tickers", "all tickers", "GetTickers"),
    Choice(3, "markets", "all markets", "GetMarkets"),
    Choice(4, "fees", "trading fees", "GetFees"),
    Choice(5, "account", "account balances", "GetAccount"),
    Choice(
        6,
        "order",
        "new order",
        "NewOrder",
        parts=("market", "side", "price", "volume", "ord_type"),
        required=4,
    ),
    Choice(7, "cancel", "cancel orders", "CancelOrders", many="ids"),
    Choice(8, "cancelall", "cancel all orders", "CancelAllOrders"),
    Choice(9, "orders", "open orders", "GetOpenOrders", parts=("market", "ord_type"), required=1),
    Choice(10, "show", "one open order", "GetOrder", parts=("id",), required=1),
    Choice(11, "closed", "one closed order", "GetClosedOrder", parts=("id",), required=1),
    Choice(12, "history", "closed orders", "GetOrderHistory", parts=("market",), required=1),
    Choice(13, "time", "the server's time", "GetTime"),
    Choice(
        14,
        "book",
        "order book",
        "GetOrderBook",
        parts=("market", "level", "precision"),
        required=1,
    ),
    Choice(15, "kline", "K-line", "GetKline", parts=("market", "limit", "period"), required=1),
    Choice(16, "down", "disconnect", word="disconnect"),
    Choice(17, "up", "reconnect", word="reconnect"),
)

_KNOWN = {name: choice for choice in CHOICES for name in (str(choice.number), choice.name)}


def choice_of(venue: str, text: str) -> Choice | None:
    """Return the choice that a person typed, ``None`` if it is none.

    Args:
        venue: its name; only OceanEx has choices.
        text: a number, or a name.
    """
    return _KNOWN.get(text.lower()) if venue == VENUE else None


def fields_of(choice: Choice, line: str) -> list[str]:
    """Return an answer as ``field=value`` words; spaces do not count, empty parts are left out.

    Args:
        choice: what was asked.
        line: the answer.

    Raises:
        LocalProtocolError: it has too few parts, or too many.
    """
    parts = "".join(line.split()).split(",")
    if choice.many:
        given = [part for part in parts if part]
        if not given:
            raise LocalProtocolError(f"Nothing was sent: {choice.many} are needed.")
        return [f"{choice.many}={','.join(given)}"]
    most = len(choice.parts)
    if not choice.required <= len(parts) <= most:
        count = str(most) if choice.required == most else f"{choice.required} to {most}"
        raise LocalProtocolError(
            f"Nothing was sent: {count} part{'s' if most > 1 else ''} needed "
            f"({choice.shape}), and there are {len(parts)}."
        )
    return [f"{name}={part}" for name, part in zip(choice.parts, parts, strict=False) if part]


def menu() -> list[str]:
    """Return the choices in two columns."""
    half = (len(CHOICES) + 1) // 2
    cells = [f"{c.number:>3}  {c.name:<10} {c.summary}" for c in CHOICES]
    right = [*cells[half:], ""]
    return [f"{a:<38}{b}".rstrip() for a, b in zip(cells[:half], right, strict=False)]
