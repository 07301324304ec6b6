"""Amounts given exactly: what every venue takes for one, and what none does."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TypeAlias

from .._vocabulary.errors import LocalProtocolError

Amount: TypeAlias = Decimal | int | str
"""How an amount may be given: exactly. A ``float`` is refused."""

# Exact whatever the calling thread's decimal context is: moving the point must never round.
EXACT = decimal.Context(
    prec=decimal.MAX_PREC,
    Emax=decimal.MAX_EMAX,
    Emin=decimal.MIN_EMIN,
    traps=[decimal.InvalidOperation, decimal.Inexact],
)


def exact(value: Amount, field: str) -> Decimal:
    """Return an amount as ``Decimal``, exactly.

    Args:
        value: ``Decimal``, ``int``, or text such as ``"0.25"``.
        field: what the amount is, for the error.

    Raises:
        LocalProtocolError: it is a float, not a number, or not finite.
    """
    if isinstance(value, float):
        raise LocalProtocolError(
            f"{field} is given as the binary float {value!r}, which stands for "
            f"{Decimal(value)}; say it exactly, as text or Decimal: {field}='{value!r}'"
        )
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise LocalProtocolError(
            f"{field} is a number, given as Decimal, int or text; not {value!r}"
        )
    try:
        number = Decimal(value)
    except decimal.InvalidOperation:
        raise LocalProtocolError(
            f"{field} is a number, written like '0.25'; not {value!r}"
        ) from None
    if not number.is_finite():
        raise LocalProtocolError(f"{field} is a finite number, not {value!r}")
    return number
