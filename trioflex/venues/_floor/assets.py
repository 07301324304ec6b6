"""Names, ids and scales of a venue's assets, and the exact way between decimals and the wire.

On the wire every amount is an integer: the decimal times a scale factor, a power of ten. The
factor belongs to the asset for quantities, totals, balances and fees, and to the pair for prices.

Source: "coinflex-exchange/API SCALE.md", "coinfloor/API SCALE.md".
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar

import attrs
import msgspec

from ..._vocabulary.errors import LocalProtocolError
from .._amounts import EXACT
from .amounts import MAX_INT, check_scale, digits_of

S = TypeVar("S", bound=msgspec.Struct)

PAIR: Final = {"base_id": "base", "counter_id": "counter"}
"""The fields of a notice that name its pair, and what the venue calls them."""

SHOWN: Final = 6
"""Names of assets that an error shows to whoever named none of them."""


@attrs.frozen
class Asset:
    """Something a venue holds accounts in."""

    name: str
    """As the venue spells it (``"XBT"``)."""
    id: int
    """Its number on the wire."""
    scale: int
    """Units on the wire that make 1; a power of ten."""

    def __attrs_post_init__(self) -> None:
        check_scale(self.name, self.scale)
        if not self.name or type(self.id) is not int or self.id < 0:
            raise LocalProtocolError(f"an asset has a name and a number on the wire, not {self!r}")


@attrs.frozen
class Market:
    """What a pair has of its own, where it differs from the venue's other pairs."""

    base: str
    """Name of the asset that is traded."""
    counter: str
    """Name of the asset it is paid in."""
    tick: Decimal | None = None
    """Smallest step of a price; ``None``: one unit of the price's scale."""
    price_scale: int | None = None
    """Units on the wire that make a price of 1; ``None``: as the venue's other pairs."""

    def __attrs_post_init__(self) -> None:
        if self.price_scale is not None:
            check_scale(f"{self.base}:{self.counter}", self.price_scale)
        if self.tick is not None and not self.tick > 0:
            raise LocalProtocolError(f"{self.base}:{self.counter}: a tick is more than 0")


@attrs.frozen(kw_only=True, eq=False)
class AssetTable:
    """All assets of one venue, and the scales of its pairs."""

    venue: str
    """The venue's name, for people."""
    assets: Mapping[str, Asset]
    """By name."""
    price_scale: int
    """Of every pair that has none of its own."""
    markets: Mapping[tuple[str, str], Market] = attrs.field(factory=dict)
    """By the names of base and counter: pairs with a tick or a scale of their own."""
    other_scale: int | None = None
    """Of assets that are not in the table, where the venue has one scale for all."""
    # What every conversion looks up, prepared: ids to names and to decimals.
    _names: dict[int, str] = attrs.field(init=False, repr=False, factory=dict)
    _digits: dict[int, int] = attrs.field(init=False, repr=False, factory=dict)
    _price_digits: dict[tuple[int, int], int] = attrs.field(init=False, repr=False, factory=dict)
    _usual_price_digits: int = attrs.field(init=False, repr=False)
    _bound: dict[type, type] = attrs.field(init=False, repr=False, factory=dict)

    @_usual_price_digits.default
    def _count_price_digits(self) -> int:
        return digits_of(self.price_scale)

    def __attrs_post_init__(self) -> None:
        for asset in self.assets.values():
            if asset.id in self._names:
                raise LocalProtocolError(
                    f"{self.venue}: {asset.name} and {self._names[asset.id]} have the same number"
                )
            self._names[asset.id] = asset.name
            self._digits[asset.id] = digits_of(asset.scale)
        for (base, counter), market in self.markets.items():
            if market.price_scale is not None:
                pair = (self.asset(base).id, self.asset(counter).id)
                self._price_digits[pair] = digits_of(market.price_scale)

    def bind(self, shape: type[S]) -> type[S]:
        """Return a subclass of a wire shape whose values know this table.

        The venue's session does this by itself. It is of use where a program makes items by hand,
        in its own tests: ``coinflex.ASSETS.bind(coinflex.OrderOpened)(id=1, ...)``.

        Args:
            shape: one of the venue module's Struct classes.

        Returns:
            The subclass; the same one each time.
        """
        bound = self._bound.get(shape)
        if bound is None:
            parts: Mapping[str, type[msgspec.Struct]] = getattr(shape, "_parts", {})
            config = shape.__struct_config__
            fields: list[Any] = [(name, _tuple_of(self.bind(part))) for name, part in parts.items()]
            if config.tag is not None:
                fields += self._listed(shape)
            bound = self._bound[shape] = msgspec.defstruct(
                shape.__name__,
                fields,
                bases=(shape,),
                namespace={"_table": self, "__doc__": shape.__doc__},
                module=shape.__module__,
                tag=config.tag,
                tag_field=config.tag_field,
                frozen=config.frozen,
                gc=config.gc,
                kw_only=True,
            )
        return bound

    def _listed(self, notice: type[msgspec.Struct]) -> list[Any]:
        """Return the fields of a notice that name its pair, for the assets of this table only.

        The decoder then hands out numbers that are there already instead of making two for each
        notice, which is 0.05 of all that a message costs. Notices about other assets are decoded
        apart (:meth:`Dialect.any_notice`); made by hand, a notice takes any number.
        """
        numbers: Any = Literal[tuple(self._names)]
        return [
            (name, numbers, msgspec.field(name=PAIR[name]))
            for name in notice.__struct_fields__
            if name in PAIR
        ]

    def extended(self, assets: Iterable[Asset] = (), markets: Iterable[Market] = ()) -> AssetTable:
        """Return a table with more assets, and with pairs added or replaced.

        Args:
            assets: new ones; one whose name or number the table has, with another number, name or
                scale, is refused, because requests are checked against the venue's own table
                before they are sent.
            markets: pairs with a tick or a scale of their own.

        Raises:
            LocalProtocolError: an asset contradicts the table.
        """
        merged = dict(self.assets)
        for asset in assets:
            known = merged.get(asset.name)
            if known is not None and known != asset:
                raise LocalProtocolError(
                    f"{self.venue}: the table has {known!r} already; it cannot become {asset!r}"
                )
            merged[asset.name] = asset
        pairs = dict(self.markets)
        pairs.update({(market.base, market.counter): market for market in markets})
        if merged == self.assets and pairs == self.markets:
            return self  # so that items made by hand with ASSETS equal those of VENUE's sessions
        return attrs.evolve(self, assets=merged, markets=pairs)

    # -- from the wire -------------------------------------------------------------------------

    def name(self, asset_id: int) -> str:
        """Return an asset's name; ``"#51999"`` for a number that is not in the table."""
        return self._names.get(asset_id) or f"#{asset_id}"

    def scales(self, asset_id: int) -> bool:
        """Whether amounts of an asset can be said in decimals."""
        return asset_id in self._digits or self.other_scale is not None

    def digits(self, asset_id: int) -> int:
        """Return how many decimals an asset has.

        Raises:
            LocalProtocolError: it is not in the table, and the venue has no scale for all.
        """
        digits = self._digits.get(asset_id)
        if digits is not None:
            return digits
        if self.other_scale is not None:
            return digits_of(self.other_scale)
        raise LocalProtocolError(
            f"{self.venue}: the scale of asset {asset_id} is not known; hand it to the venue's "
            "factory, venue(assets=[Asset(name, id, scale)]), or use the scaled integers"
        )

    def price_digits(self, base_id: int, counter_id: int) -> int:
        """Return how many decimals a price of a pair has."""
        return self._price_digits.get((base_id, counter_id), self._usual_price_digits)

    def amount(self, asset_id: int, scaled: int) -> Decimal:
        """Return an amount of an asset in decimals."""
        return EXACT.scaleb(scaled, -self.digits(asset_id))

    def price(self, base_id: int, counter_id: int, scaled: int) -> Decimal:
        """Return a price of a pair in decimals."""
        return EXACT.scaleb(scaled, -self.price_digits(base_id, counter_id))

    @property
    def uniform(self) -> bool:
        """Whether every asset, and every pair's price, has the same scale."""
        return len(set(self._digits.values())) == 1 and not self._price_digits

    # -- to the wire ---------------------------------------------------------------------------

    def knows(self, *names: str) -> bool:
        """Whether all these assets are in the table."""
        return all(name in self.assets for name in names)

    def asset(self, name: str) -> Asset:
        """Return an asset by name.

        Raises:
            LocalProtocolError: there is none.
        """
        asset = self.assets.get(name)
        if asset is None:
            raise LocalProtocolError(
                f"{self.venue} has no asset {name!r}; {self._alike(name)}. A new one is added by "
                "the venue's factory: venue(assets=[Asset(name, id, scale)])"
            )
        return asset

    def _alike(self, name: str) -> str:
        """Say what somebody may have meant who named an asset that there is not."""
        # Imported on use: it takes longer than this module does.
        from difflib import get_close_matches

        alike = get_close_matches(name.upper(), self.assets, n=3, cutoff=0.5)
        if alike:
            return f"is it {' or '.join(map(repr, alike))}?"
        return f"it has {', '.join(list(self.assets)[:SHOWN])} and others"

    def scale_amount(self, field: str, name: str, value: Decimal) -> int:
        """Return an amount of an asset as it goes over the wire.

        Args:
            field: what the amount is, for the error.
            name: the asset's.
            value: the amount.

        Raises:
            LocalProtocolError: it has too many decimals, or does not fit into 64 bits.
        """
        asset = self.assets.get(name) or self.asset(name)
        return self._scaled(field, value, name, self._digits[asset.id])

    def scale_price(self, base: str, counter: str, value: Decimal, field: str = "price") -> int:
        """Return a price of a pair as it goes over the wire.

        Raises:
            LocalProtocolError: it has too many decimals, or does not fit into 64 bits.
        """
        assets = self.assets
        of = assets.get(base) or self.asset(base), assets.get(counter) or self.asset(counter)
        return self._scaled(field, value, of, self.price_digits(of[0].id, of[1].id))

    def _scaled(
        self, field: str, value: Decimal, of: str | tuple[Asset, Asset], digits: int
    ) -> int:
        # Beyond its 30th place no integer is made of the number: one with an exponent of a billion
        # would fill the memory.
        if value.adjusted() <= 30:
            exactly = EXACT.scaleb(value, digits)
            scaled = int(exactly)
            if scaled == exactly and -MAX_INT <= scaled <= MAX_INT:
                return scaled
            fits = -MAX_INT <= scaled <= MAX_INT
        else:
            fits = False
        unit = of if isinstance(of, str) else f"of {of[0].name}:{of[1].name}"
        if fits:
            raise LocalProtocolError(
                f"{self.venue}: the {field} {value} {unit} has more than {digits} decimals and "
                "would have to be rounded; round it yourself: "
                f"value.quantize(Decimal('1E-{digits}'))"
            )
        raise LocalProtocolError(
            f"{self.venue}: the {field} {value} {unit} does not fit: with {digits} decimals it "
            "would need more than 64 bits; is it given in scaled units?"
        )

    # -- rules of the engine -------------------------------------------------------------------

    def tick(self, base: str, counter: str) -> Decimal:
        """Return the smallest step of a pair's prices, as far as the table knows it.

        Raises:
            LocalProtocolError: there is no such asset.
        """
        market = self.markets.get((base, counter))
        if market is not None and market.tick is not None:
            return market.tick
        digits = self.price_digits(self.asset(base).id, self.asset(counter).id)
        return EXACT.scaleb(1, -digits)

    def on_tick(self, base: str, counter: str, price: Decimal, *, buying: bool) -> Decimal:
        """Return the price at which the venue would open an order: a bid's is moved down to the
        next multiple of the tick, an ask's up.

        Args:
            base: name of the asset that is traded.
            counter: name of the asset it is paid in.
            price: in counter for one base.
            buying: a bid.
        """
        tick = self.tick(base, counter)
        with decimal.localcontext(EXACT) as context:
            context.prec = 100  # division needs a finite precision; far more than 64 bits hold
            context.rounding = decimal.ROUND_FLOOR if buying else decimal.ROUND_CEILING
            context.traps[decimal.Inexact] = False
            return (price / tick).to_integral_value() * tick

    def reservation(
        self, base: str, counter: str, quantity: Decimal, price: Decimal
    ) -> tuple[str, Decimal]:
        """Return what a limit order would reserve: the asset's name, and how much of it.

        An ask reserves its quantity of base, a bid what it may cost in counter, rounded up to a
        unit of that ("IMPL-GUIDE.md", balances; the divisor by the general formula).

        Args:
            base: name of the asset that is traded.
            counter: name of the asset it is paid in.
            quantity: negative sells.
            price: in counter for one base.
        """
        if quantity < 0:
            return base, quantity.copy_negate()
        units = self.scale_amount("quantity", base, quantity)
        units *= self.scale_price(base, counter, price)
        paid_in = self.asset(counter)
        divisor = self.asset(base).scale * 10 ** self.price_digits(self.asset(base).id, paid_in.id)
        return counter, self.amount(paid_in.id, -(-units * paid_in.scale // divisor))


def _tuple_of(shape: type) -> Any:
    """Return the type of a tuple of any number of these."""
    return tuple[shape, ...]  # type: ignore[valid-type]  # made while running
