"""What comes over the wire: notices and replies, as they are decoded.

Numbers stay as the venue sends them, scaled integers in fields called ``scaled_…``; properties
without that prefix give the same as ``Decimal``, and assets by name, when somebody asks. Times are
microseconds since 1970-01-01 UTC. Fields that a venue added over the years are optional
("coinflex-exchange/API WEBSOCKET-README.md", its change log).

The table of assets hangs on the class: the session decodes into subclasses that know it
(:meth:`AssetTable.bind`), so that no message carries it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

import msgspec
from msgspec import field

from ..._vocabulary.errors import LocalProtocolError
from .assets import AssetTable
from .shown import shown


class _NoTable(AssetTable):
    """Stands where no table has been bound: ids have no names, integers no scale."""

    def digits(self, asset_id: int) -> int:
        return self._missing()

    def price_digits(self, base_id: int, counter_id: int) -> int:
        return self._missing()

    def _missing(self) -> int:
        raise LocalProtocolError(
            "this item was made by hand and knows no scales; make it with a class that does, e.g. "
            "coinflex.ASSETS.bind(coinflex.OrderOpened)"
        )


class Wire(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Anything with amounts in it."""

    _table: ClassVar[AssetTable] = _NoTable(venue="no venue", assets={}, price_scale=1)
    _parts: ClassVar[Mapping[str, type[msgspec.Struct]]] = {}

    def __str__(self) -> str:
        return shown(self)


class Paired(Wire, frozen=True, gc=False, kw_only=True):
    """Anything about one market."""

    base_id: int = field(name="base")
    """Number of the asset that is traded."""
    counter_id: int = field(name="counter")
    """Number of the asset it is paid in."""

    @property
    def base(self) -> str:
        """Name of the asset that is traded."""
        return self._table.name(self.base_id)

    @property
    def counter(self) -> str:
        """Name of the asset it is paid in."""
        return self._table.name(self.counter_id)

    def _amount(self, scaled: int) -> Decimal:
        return self._table.amount(self.base_id, scaled)

    def _total(self, scaled: int) -> Decimal:
        return self._table.amount(self.counter_id, scaled)

    def _price(self, scaled: int) -> Decimal:
        return self._table.price(self.base_id, self.counter_id, scaled)


class Priced(Paired, frozen=True, gc=False, kw_only=True):
    """Anything about one order."""

    id: int
    """The venue's number of the order."""
    scaled_quantity: int = field(name="quantity")
    """Signed: negative sells."""
    scaled_price: int = field(name="price")

    @property
    def quantity(self) -> Decimal:
        """How much of base; positive buys, negative sells."""
        return self._amount(self.scaled_quantity)

    @property
    def price(self) -> Decimal:
        """Limit price, in counter for one base."""
        return self._price(self.scaled_price)
