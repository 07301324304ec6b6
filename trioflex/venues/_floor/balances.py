"""The balances of an account, kept: a pure fold.

Source: "coinflex-exchange/API IMPL-GUIDE.md", balances.
"""

from __future__ import annotations

from decimal import Decimal

from ..._vocabulary.errors import LocalProtocolError
from ..._vocabulary.events import Gap, Resumed
from .assets import AssetTable
from .notices import BalanceChanged
from .replies import Balance, BalancesSnapshot


class BalanceSheet:
    """The balances of an account; feed it what :class:`Balances` delivers.

    It is not valid before the first snapshot, nor between a :class:`trioflex.Gap` and the snapshot
    that follows; meanwhile asking for a balance raises :class:`trioflex.LocalProtocolError`.
    """

    def __init__(self) -> None:
        self._table: AssetTable | None = None
        self._available: dict[int, int] = {}
        self._reserved: dict[int, int | None] = {}

    def __repr__(self) -> str:
        if not self.valid:
            return "<BalanceSheet, not valid>"
        return f"<BalanceSheet, {', '.join(f'{n} {a}' for n, a in self.all().items())}>"

    def apply(self, item: BalancesSnapshot | BalanceChanged | Gap | Resumed) -> None:
        """Take the next thing a receiver delivered.

        Args:
            item: an item of :class:`Balances`, or what the receiver puts between items.
        """
        if isinstance(item, BalancesSnapshot):
            self._table = item._table
            self._available = {each.asset_id: each.scaled_available for each in item}
            self._reserved = {each.asset_id: each.scaled_reserved for each in item}
        elif isinstance(item, BalanceChanged):
            if self._table is not None:
                self._available[item.asset_id] = item.scaled_available
                # A change means that an order came, went or traded, and that moves reservations,
                # of both its assets, without a word about them.
                self._reserved.clear()
        elif isinstance(item, Gap):
            self.invalidate()

    def invalidate(self) -> None:
        """Forget everything: continuity is lost."""
        self._table = None
        self._available = {}
        self._reserved = {}

    def snapshot(self) -> BalancesSnapshot | None:
        """Return all balances as an item of the channel, ``None`` while they are not valid."""
        table = self._table
        if table is None:
            return None
        balance = table.bind(Balance)

        def total(asset_id: int, available: int) -> int | None:
            reserved = self._reserved.get(asset_id)
            return None if reserved is None else available + reserved

        return table.bind(BalancesSnapshot)(
            balances=tuple(
                balance(
                    asset_id=asset_id,
                    scaled_available=available,
                    scaled_reserved=self._reserved.get(asset_id),
                    scaled_total=total(asset_id, available),
                )
                for asset_id, available in self._available.items()
            )
        )

    @property
    def valid(self) -> bool:
        """The sheet follows the account."""
        return self._table is not None

    def available(self, asset: str) -> Decimal:
        """Return what can be used of an asset now.

        Args:
            asset: its name; one that the venue has not mentioned has 0.

        Raises:
            LocalProtocolError: the sheet is not valid, or there is no such asset.
        """
        table = self._look()
        asset_id = table.asset(asset).id
        return table.amount(asset_id, self._available.get(asset_id, 0))

    def reserved(self, asset: str) -> Decimal | None:
        """Return what open orders hold of an asset, ``None`` where that is not known.

        The venue tells it with all balances only (CoinFLEX), and announces no change of it; so it
        is known from a snapshot until the next change of any balance.

        Args:
            asset: its name.

        Raises:
            LocalProtocolError: the sheet is not valid, or there is no such asset.
        """
        table = self._look()
        asset_id = table.asset(asset).id
        reserved = self._reserved.get(asset_id)
        return None if reserved is None else table.amount(asset_id, reserved)

    def all(self) -> dict[str, Decimal]:
        """Return what is available of every asset that the venue has mentioned, by name.

        An asset whose scale is not known cannot be said in decimals and is left out; its integer
        is in :meth:`snapshot`.

        Raises:
            LocalProtocolError: the sheet is not valid.
        """
        table = self._look()
        return {
            table.name(each): table.amount(each, scaled)
            for each, scaled in self._available.items()
            if table.scales(each)
        }

    def _look(self) -> AssetTable:
        if self._table is None:
            raise LocalProtocolError(
                "the balances are not valid: there has been no snapshot of them since continuity "
                "was lost; check .valid before looking into them"
            )
        return self._table
