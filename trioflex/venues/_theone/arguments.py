"""What requests and channels may be given: checked, and turned into what goes over the wire.

What goes out is signed, and nobody outside knows whether the venue hashes the received text or
writes it anew. So only such text is let through on which JSON writers agree: printable ASCII
without ``<``, ``>`` and ``&`` (which the venue's own Go client would write as ``\\u003c`` ...).
Source: "the-one-io/api-client", ``client-go``, ``client-py``, ``client-js``.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from ..._vocabulary.errors import LocalProtocolError
from .._amounts import Amount, exact

MAX_ID = 64
"""Characters of a client order id; the venue names no maximum, and nobody has seen longer ones."""

MAX_TEXT = 256
"""Characters of any other text: asset symbols have a handful, wallet addresses a hundred."""

MAX_DIGITS = 60
"""Digits of an amount on either side of the point; tokens have 18 decimals at most."""

MAX_SLIPPAGE = 10_000
"""Basis points in a whole ("the-one-io/api-client", ``docs/API_DOCUMENTATION``)."""

_ALLOWED = frozenset(map(chr, range(0x20, 0x7F))) - {"<", ">", "&"}


def text(value: str, field: str, *, limit: int = MAX_TEXT) -> str:
    """Return a text, if it can be signed.

    Args:
        value: the text.
        field: what it is, for the error.
        limit: most characters.

    Raises:
        LocalProtocolError: it is empty, too long, no text, or holds a character that is not
            allowed.
    """
    if not isinstance(value, str) or not value:
        raise LocalProtocolError(f"theone: {field} is text that is not empty, not {value!r}")
    if len(value) > limit:
        raise LocalProtocolError(
            f"theone: {field} has at most {limit} characters; this one has {len(value)}"
        )
    for position, character in enumerate(value):
        if character not in _ALLOWED:
            raise LocalProtocolError(
                f"theone: {field} is printable ASCII without '<', '>' and '&'; "
                f"{character!r} at position {position} cannot be signed reliably"
            )
    return value


def as_asset(value: str) -> str:
    """Return an asset's symbol, as in ``"ETH"``."""
    return text(value, "an asset")


def as_order_id(value: str) -> str:
    """Return an order id, or a client order id."""
    return text(value, "an order id")


def as_client_order_id(value: str) -> str:
    """Return the caller's name of a swap."""
    return text(value, "client_order_id", limit=MAX_ID)


def as_network(value: str | None) -> str | None:
    """Return a network's name, as in ``"BSC"``."""
    return None if value is None else text(value, "network")


def as_account(value: str | None) -> str | None:
    """Return a wallet address or account."""
    return None if value is None else text(value, "account")


def as_sources(value: Iterable[str]) -> tuple[str, ...]:
    """Return the names of liquidity sources."""
    if isinstance(value, str):
        raise LocalProtocolError(
            f"theone: filter is several names; for one of them give ({value!r},)"
        )
    return tuple(text(each, "a liquidity source") for each in value)


def as_amount(value: Amount) -> Decimal:
    """Return an amount, exact and positive.

    Raises:
        LocalProtocolError: it is a float, not a number, not positive, or has too many digits.
    """
    amount = exact(value, "amount_in")
    if amount <= 0:
        raise LocalProtocolError(f"theone: amount_in is more than 0, not {amount}")
    if amount.adjusted() > MAX_DIGITS or -_exponent(amount) > MAX_DIGITS:
        raise LocalProtocolError(
            f"theone: amount_in has at most {MAX_DIGITS} digits on either side of the point"
        )
    return amount


def as_slippage(value: int | None) -> int | None:
    """Return a slippage in basis points, 0 to 10000."""
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MAX_SLIPPAGE:
        raise LocalProtocolError(
            f"theone: slippage_bps is an integer of basis points, 0 to {MAX_SLIPPAGE}, not "
            f"{value!r}"
        )
    return value


def plain(amount: Decimal) -> str:
    """Return an amount as the venue reads it: digits and a point, no exponent."""
    return format(amount, "f")


def _exponent(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
