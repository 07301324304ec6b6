"""The swap desk behind a simulated TheOne: prices, quotes that expire, balances, orders that move.

Nothing here knows a wire. Every order walks through its statuses on the desk's clock; whoever asks
the desk for anything first lets it catch up (:meth:`SwapDesk.advance`). What the venue does not
describe (fees, times, what slippage is measured against) is this desk's own choice.
"""

from __future__ import annotations

import decimal
import hashlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random

import attrs

QUOTE_LIFE = 30_000_000
"""Microseconds that a quote is good for: as in the example of the venue's documents."""

PENDING_TIME = 500_000
"""Microseconds until an order is worked on."""

PROCESSING_TIME = 1_000_000
"""Microseconds that working on it takes, for each part of it."""

FEE_BPS = 10
"""Basis points of the input that the desk keeps; inside of the price."""

SLIPPAGE_BPS = 100
"""Basis points that an order tolerates if it does not say."""

DEPTH = Decimal(100_000)
"""Dollars that a source takes at once; larger orders are filled in two parts."""

SOURCES = {"binance": 2, "bybit": 5, "gate": 8}
"""Liquidity sources, and by how many basis points each is worse than the middle."""

PRICES = {
    "BTC": Decimal(65_000),
    "ETH": Decimal(3_010),
    "BNB": Decimal(600),
    "TRX": Decimal("0.125"),
    "USDC": Decimal(1),
    "USDT": Decimal(1),
}
"""Assets and what they cost in dollars at the beginning, roughly."""

STABLE = frozenset({"USDC", "USDT"})
"""Assets whose price does not move."""

UNIT = Decimal("0.00000001")
"""Amounts have eight decimals."""

_EXACT = decimal.Context(prec=60, rounding=decimal.ROUND_DOWN)

FINAL = frozenset({"FILLED", "FAILED", "CANCELLED"})


class Complaint(Exception):
    """What the desk refuses, in the words that go over the wire."""


@attrs.define
class Holding:
    """What an account has of one asset."""

    total: Decimal = Decimal(0)
    locked: Decimal = Decimal(0)

    @property
    def free(self) -> Decimal:
        """What new orders can use."""
        return self.total - self.locked


@attrs.frozen
class Offer:
    """A price, where it is from, and until when it holds."""

    asset_in: str
    asset_out: str
    amount_in: Decimal
    price: Decimal
    expected_out: Decimal
    fee: Decimal
    source: str
    expires_at: int
    """Microseconds since 1970."""


@attrs.define(eq=False)
class SwapOrder:
    """An order, from its acceptance on."""

    id: str
    owner: str
    client_order_id: str | None
    asset_in: str
    asset_out: str
    amount_in: Decimal
    reference: Decimal
    """The price that slippage is measured against."""
    slippage_bps: int
    sources: tuple[str, ...]
    updated_at: int
    """Microseconds since 1970, as are the other times."""
    due: int
    status: str = "PENDING"
    left: Decimal = Decimal(0)
    """Of the input, not yet swapped, hence locked."""
    filled_out: Decimal = Decimal(0)
    tx_hash: str | None = None


class SwapDesk:
    """Prices, accounts and orders.

    Args:
        seed: of the prices' course.
        clock: microseconds since 1970.
        changed: called with every order whose status changed, and with each account's assets whose
            balance did.
    """

    def __init__(
        self,
        *,
        seed: int,
        clock: Callable[[], int],
        order_changed: Callable[[SwapOrder], None],
        balances_changed: Callable[[str, tuple[str, ...]], None],
    ) -> None:
        self.clock = clock
        self.prices: dict[str, Decimal] = dict(PRICES)
        self.accounts: dict[str, dict[str, Holding]] = {}
        self.orders: dict[str, SwapOrder] = {}
        self._open: dict[str, SwapOrder] = {}
        self._offers: dict[str, list[Offer]] = {}
        self._seed = seed
        self._random = Random(f"prices {seed}")
        self._order_changed = order_changed
        self._balances_changed = balances_changed

    # -- accounts ------------------------------------------------------------------------------

    def open_account(self, owner: str, balances: Mapping[str, Decimal]) -> None:
        """Open an account with these totals."""
        self.accounts[owner] = {asset: Holding(Decimal(total)) for asset, total in balances.items()}

    def holding(self, owner: str, asset: str) -> Holding:
        """Return what an account has of an asset."""
        return self.accounts[owner].setdefault(asset, Holding())

    # -- quotes --------------------------------------------------------------------------------

    def estimate(
        self,
        owner: str,
        asset_in: str,
        asset_out: str,
        amount_in: Decimal,
        sources: tuple[str, ...] = (),
    ) -> Offer:
        """Quote a swap; an order within the quote's life is measured against it.

        Raises:
            Complaint: there is no such asset, or no such source.
        """
        source, price = self._best(asset_in, asset_out, sources)
        with decimal.localcontext(_EXACT):
            offer = Offer(
                asset_in,
                asset_out,
                amount_in,
                price,
                (amount_in * price).quantize(UNIT),
                (amount_in * FEE_BPS / 10_000).quantize(UNIT).normalize(),
                source,
                self.clock() + QUOTE_LIFE,
            )
        offers = self._offers.setdefault(owner, [])
        offers[:] = [each for each in offers if each.expires_at > self.clock()]
        offers.append(offer)
        return offer

    def _best(self, asset_in: str, asset_out: str, sources: tuple[str, ...]) -> tuple[str, Decimal]:
        for asset in (asset_in, asset_out):
            if asset not in self.prices:
                raise Complaint(f"Unsupported asset: {asset}")
        if asset_in == asset_out:
            raise Complaint("Invalid request")
        if not SOURCES.keys() >= set(sources):
            raise Complaint("Invalid request")
        source = min(sources or SOURCES, key=SOURCES.__getitem__)
        with decimal.localcontext(_EXACT):
            middle = self.prices[asset_in] / self.prices[asset_out]
            price = middle * (10_000 - FEE_BPS - SOURCES[source]) / 10_000
            # Ten significant digits are plenty for a price.
            return source, price.quantize(Decimal(1).scaleb(price.adjusted() - 9))

    # -- orders --------------------------------------------------------------------------------

    def swap(
        self,
        owner: str,
        asset_in: str,
        asset_out: str,
        amount_in: Decimal,
        *,
        sources: tuple[str, ...] = (),
        slippage_bps: int | None = None,
        client_order_id: str | None = None,
    ) -> SwapOrder:
        """Take an order on, and lock its input.

        Two orders of one client order id are two orders: the venue does not say that it refuses
        the second.

        Raises:
            Complaint: there is no such asset or source, or not enough of the input.
        """
        _, price = self._best(asset_in, asset_out, sources)
        holding = self.holding(owner, asset_in)
        if holding.free < amount_in:
            raise Complaint("Insufficient balance")
        now = self.clock()
        for offer in reversed(self._offers.get(owner, [])):
            asked = (offer.asset_in, offer.asset_out, offer.amount_in)
            if asked == (asset_in, asset_out, amount_in) and offer.expires_at > now:
                price = offer.price
                break
        holding.locked += amount_in
        order = SwapOrder(
            id=f"ord_{len(self.orders) + 1:06}",
            owner=owner,
            client_order_id=client_order_id,
            asset_in=asset_in,
            asset_out=asset_out,
            amount_in=amount_in,
            reference=price,
            slippage_bps=SLIPPAGE_BPS if slippage_bps is None else slippage_bps,
            sources=sources,
            updated_at=now,
            due=now + PENDING_TIME,
            left=amount_in,
        )
        self.orders[order.id] = self._open[order.id] = order
        self._balances_changed(owner, (asset_in,))
        return order

    def find(self, owner: str, name: str) -> SwapOrder:
        """Return an account's order by its id, or its newest by a client order id.

        Raises:
            Complaint: there is none.
        """
        order = self.orders.get(name)
        if order is not None and order.owner == owner:
            return order
        for order in reversed(self.orders.values()):
            if order.owner == owner and order.client_order_id == name:
                return order
        raise Complaint("Order not found")

    def cancel(self, order_id: str) -> None:
        """Cancel what is left of an open order, as the venue's staff might.

        Raises:
            KeyError: it is not open.
        """
        self._finish(self._open[order_id], "CANCELLED", self.clock())

    # -- time ----------------------------------------------------------------------------------

    def advance(self) -> int | None:
        """Let every order take the steps whose time has come.

        Returns:
            When the next step is due, ``None`` if no order is open.
        """
        now = self.clock()
        while self._open:
            order = min(self._open.values(), key=lambda order: (order.due, order.id))
            if order.due > now:
                return order.due
            self._step(order)
        return None

    def move_price(self) -> None:
        """Let one price take a step of a random walk, at most 0.1 %."""
        asset = self._random.choice(sorted(self.prices.keys() - STABLE))
        step = self._random.randint(-10, 10)
        with decimal.localcontext(_EXACT):
            moved = self.prices[asset] * (10_000 + step) / 10_000
            self.prices[asset] = moved.quantize(Decimal(1).scaleb(moved.adjusted() - 7))

    def _step(self, order: SwapOrder) -> None:
        at = order.due
        if order.status == "PENDING":
            order.due += PROCESSING_TIME
            self._tell(order, "PROCESSING", at)
            return
        _, price = self._best(order.asset_in, order.asset_out, order.sources)
        with decimal.localcontext(_EXACT):
            least = order.reference * (10_000 - order.slippage_bps) / 10_000
            worth = order.left * self.prices[order.asset_in]
        if price < least:
            self._finish(order, "FAILED", at)
        elif worth > DEPTH and order.status == "PROCESSING":
            self._fill(order, (order.left / 2).quantize(UNIT), price)
            order.due += PROCESSING_TIME
            self._tell(order, "PARTIAL_FILLED", at)
            self._balances_changed(order.owner, (order.asset_in, order.asset_out))
        else:
            self._fill(order, order.left, price)
            self._finish(order, "FILLED", at)

    def _fill(self, order: SwapOrder, amount: Decimal, price: Decimal) -> None:
        with decimal.localcontext(_EXACT):
            out = (amount * price).quantize(UNIT)
            given = self.holding(order.owner, order.asset_in)
            given.total -= amount
            given.locked -= amount
            self.holding(order.owner, order.asset_out).total += out
            order.left -= amount
            order.filled_out += out
        text = f"{self._seed} {order.id}"
        order.tx_hash = f"0x{hashlib.sha256(text.encode()).hexdigest()}"

    def _finish(self, order: SwapOrder, status: str, at: int) -> None:
        self.holding(order.owner, order.asset_in).locked -= order.left
        order.left = Decimal(0)
        del self._open[order.id]
        self._tell(order, status, at)
        self._balances_changed(order.owner, (order.asset_in, order.asset_out))

    def _tell(self, order: SwapOrder, status: str, at: int) -> None:
        order.status, order.updated_at = status, at
        self._order_changed(order)
