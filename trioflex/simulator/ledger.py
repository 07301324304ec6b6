"""Accounts of the far side: what is available, what is reserved, and where every unit went."""

from __future__ import annotations

import attrs

from .book import AccountId, Asset, Order
from .ticker import RollingVolume


@attrs.define(eq=False)
class Account:
    """One participant."""

    id: AccountId
    available: dict[Asset, int] = attrs.field(factory=dict)
    """Free to be used."""

    reserved: dict[Asset, int] = attrs.field(factory=dict)
    """Held by open orders."""

    orders: dict[int, Order] = attrs.field(factory=dict)
    """Open orders by id, oldest first."""

    by_tonce: dict[int, Order] = attrs.field(factory=dict)
    """The same by tonce, as far as they have one."""

    highest_tonce: int = 0
    """The highest tonce accepted since all orders were cancelled at once."""

    volumes: dict[Asset, RollingVolume] = attrs.field(factory=dict)

    def balance(self, asset: Asset) -> tuple[int, int]:
        """Return the available and the reserved amount of an asset."""
        return self.available.get(asset, 0), self.reserved.get(asset, 0)


class Ledger:
    """All accounts, and the law that money is neither made nor lost.

    For every asset, what all accounts have (available and reserved) plus the fees collected is what
    was ever deposited; :meth:`imbalance` is the difference, and always 0.
    """

    def __init__(self) -> None:
        self.accounts: dict[AccountId, Account] = {}
        self.fees: dict[Asset, int] = {}
        self.deposited: dict[Asset, int] = {}

    def open(self, account_id: AccountId) -> Account:
        """Return an account, made now if there is none of that id."""
        account = self.accounts.get(account_id)
        if account is None:
            account = self.accounts[account_id] = Account(account_id)
        return account

    def deposit(self, account: Account, asset: Asset, amount: int) -> None:
        """Bring money in, or take available money out with a negative amount.

        Raises:
            ValueError: if more would be taken out than is available.
        """
        self.move(account, asset, amount)
        self.deposited[asset] = self.deposited.get(asset, 0) + amount

    def move(self, account: Account, asset: Asset, available: int, reserved: int = 0) -> None:
        """Change an account's two amounts of an asset by the given differences.

        Raises:
            ValueError: if one of them would become negative; nothing is changed then.
        """
        new_available = account.available.get(asset, 0) + available
        new_reserved = account.reserved.get(asset, 0) + reserved
        if new_available < 0 or new_reserved < 0:
            raise ValueError(
                f"account {account.id!r} would have {new_available} available and {new_reserved} "
                f"reserved of asset {asset!r}; no amount may become negative"
            )
        account.available[asset] = new_available
        account.reserved[asset] = new_reserved

    def collect(self, asset: Asset, fee: int) -> None:
        """Count a fee that has been taken out of an account."""
        if fee:
            self.fees[asset] = self.fees.get(asset, 0) + fee

    def imbalance(self, asset: Asset) -> int:
        """Return by how much an asset's amounts do not add up: 0, if the engine is right."""
        held = sum(sum(account.balance(asset)) for account in self.accounts.values())
        return held + self.fees.get(asset, 0) - self.deposited.get(asset, 0)
