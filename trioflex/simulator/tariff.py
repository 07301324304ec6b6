"""What a trade costs: totals and fees in whole units, rounded by lot."""

from __future__ import annotations

from decimal import Decimal
from random import Random

LOT_BITS = 32
"""A fraction is compared with a random number of this many bits: finer than any test could tell."""


class Tariff:
    """Rounds totals and computes fees.

    Both venues round stochastically: a fraction f is rounded up with probability f, so that nobody
    gains by trading in small pieces ("coinfloor/API IMPL-GUIDE.md"). The generator is seeded by its
    owner, and this class is the only one that draws from it.
    """

    def __init__(self, fee_rate: Decimal, random: Random) -> None:
        """Make a tariff.

        Args:
            fee_rate: the fraction of the total that each side pays, 0 <= ``fee_rate`` < 1.
            random: source of the lots; only its ``getrandbits`` is used.

        Raises:
            ValueError: if the rate is out of range.
        """
        if not 0 <= fee_rate < 1:
            raise ValueError(f"fee rate {fee_rate} is not a fraction; use 0 <= rate < 1")
        self._numerator, self._denominator = fee_rate.as_integer_ratio()
        self._lot = random.getrandbits

    def total(self, quantity: int, price: int, divisor: int) -> int:
        """Draw the counter units of a trade.

        It is at least 1: the venues document a trade's total as positive, which a trade of less
        than half a unit could not always be.
        """
        return self._draw(quantity * price, divisor) or 1

    def fee(self, total: int) -> int:
        """Draw the fee on a total."""
        return self._draw(total * self._numerator, self._denominator)

    def most(self, total: int) -> int:
        """Return the highest fee that can be drawn on a total."""
        return -(-total * self._numerator // self._denominator)

    def payable(self, amount: int) -> int:
        """Return the highest total that an amount pays for with the highest fee on it.

        t + ceil(t * rate) <= amount says the same as t + t * rate <= amount, since the rest of the
        amount is a whole number.
        """
        return amount * self._denominator // (self._denominator + self._numerator)

    def _draw(self, numerator: int, denominator: int) -> int:
        whole, rest = divmod(numerator, denominator)
        if rest and self._lot(LOT_BITS) * denominator < rest << LOT_BITS:
            return whole + 1
        return whole
