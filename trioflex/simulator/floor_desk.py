"""The methods of the CoinFLEX and Coinfloor wire that act for an account or ask about a market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import TypeAlias

from .book import Book, Order
from .engine import Engine
from .floor_errors import ID_OR_TONCE, QUANTITY_OR_TOTAL, Refused, bad_request
from .floor_profile import Profile
from .floor_request import Request
from .ledger import Account

SNAPSHOT_ORDERS = 1_000
"""Orders of each side in a snapshot ("coinflex-exchange/API WEBSOCKET-README.md", WatchOrders)."""

Reply: TypeAlias = dict[str, object]

Method: TypeAlias = Callable[[Request, Account, object], Reply]
"""A private method: the request, whose it is, and the connection it came over."""


class Desk:
    """Carries out the requests of one venue, once it is settled who asks and that he may.

    Args:
        engine: where they are carried out.
        profile: the venue.
    """

    def __init__(self, engine: Engine, profile: Profile) -> None:
        self._engine = engine
        self._profile = profile
        self._asset_ids = sorted(listing.id for listing in profile.assets.values())
        self.informing: Mapping[str, Method] = {
            "GetBalances": self._get_balances,
            "GetOrders": self._get_orders,
            "GetTradeVolume": self._get_trade_volume,
        }
        """The private methods that count as information requests."""
        placing: dict[str, Method] = {
            "PlaceOrder": self._place_order,
            "CancelOrder": self._cancel_order,
            "CancelAllOrders": self._cancel_all_orders,
        }
        if profile.extended:
            placing["ModifyOrder"] = self._modify_order
        self.placing: Mapping[str, Method] = placing
        """The private methods that count as order placements."""

    def book(self, request: Request) -> Book:
        """Return the book that a request's ``base`` and ``counter`` name."""
        return self._engine.book(request.integer("base"), request.integer("counter"))

    def estimate(self, request: Request) -> Reply:
        """Carry out an ``EstimateMarketOrder``."""
        book = self.book(request)
        wanted, total = _quantity_or_total(request)
        traded, received = self._engine.estimate(book, quantity=wanted, total=total)
        return {"quantity": traded, "total": received}

    def snapshot(self, book: Book) -> Reply:
        """Return the reply to a ``WatchOrders``.

        The array is in the order of the ids: the documents promise none, and a client that relies
        on one should find out.
        """
        orders = [
            *islice(book.bids, SNAPSHOT_ORDERS),
            *islice(book.asks, SNAPSHOT_ORDERS),
        ]
        orders.sort(key=lambda order: order.id)
        return {
            "orders": [
                {
                    "id": order.id,
                    "quantity": order.signed,
                    "price": order.price,
                    # Priority in a level goes by this time, so it is that of the order's place.
                    "time": order.queued,
                }
                for order in orders
            ],
        }

    def ticker(self, book: Book) -> Reply:
        """Return the reply to a ``WatchTicker``."""
        return dict(self._engine.ticker(book.market))

    def _get_balances(self, request: Request, account: Account, connection: object) -> Reply:
        balances: list[Reply] = []
        for asset in self._asset_ids:
            if asset not in account.available:
                continue
            available, reserved = account.balance(asset)
            balance: Reply = {"asset": asset, "balance": available}
            if self._profile.extended:
                balance["reserved_balance"] = reserved
                balance["total_balance"] = available + reserved
            balances.append(balance)
        return {"balances": balances}

    def _get_orders(self, request: Request, account: Account, connection: object) -> Reply:
        return {"orders": [_described(order) for order in account.orders.values()]}

    def _get_trade_volume(self, request: Request, account: Account, connection: object) -> Reply:
        asset = request.integer("asset")
        if asset not in self._asset_ids:
            raise bad_request("You specified an invalid asset.")
        return {"volume": self._engine.trade_volume(account, asset)}

    def _place_order(self, request: Request, account: Account, connection: object) -> Reply:
        book = self.book(request)
        tonce = request.optional_integer("tonce")
        price = request.optional_integer("price")
        if price is None:
            quantity, total = _quantity_or_total(request)
            self._persist(request)
            if self._post_only(request):
                raise bad_request("Only a limit order can be post-only.")
            remaining = self._engine.execute(
                account, book, quantity=quantity, total=total, tonce=tonce
            )
            return {"remaining": remaining}
        if not request.has("quantity"):
            raise bad_request("You must specify a quantity for a limit order.")
        if request.has("total"):
            raise bad_request("You must not specify a total for a limit order.")
        persist, immediate = self._persist(request)
        order = self._engine.place(
            account,
            book,
            quantity=request.integer("quantity"),
            price=price,
            tonce=tonce,
            immediate=immediate,
            post_only=self._post_only(request),
            session=None if persist else connection,
        )
        return {"id": order.id, "time": order.time}

    def _modify_order(self, request: Request, account: Account, connection: object) -> Reply:
        order = self._find(request, account)
        time = self._engine.modify(
            account,
            order,
            delta=request.optional_integer("quantity_delta"),
            price=request.optional_integer("price"),
            post_only=self._post_only(request),
        )
        return {**_described(order), "time": time}

    def _cancel_order(self, request: Request, account: Account, connection: object) -> Reply:
        order = self._find(request, account)
        self._engine.cancel(order)
        return _described(order)

    def _cancel_all_orders(self, request: Request, account: Account, connection: object) -> Reply:
        return {"orders": [_described(order) for order in self._engine.cancel_all(account)]}

    def _find(self, request: Request, account: Account) -> Order:
        order_id, tonce = request.optional_integer("id"), request.optional_integer("tonce")
        if (order_id is None) == (tonce is None):
            raise Refused(ID_OR_TONCE)
        return self._engine.find(account, order_id=order_id, tonce=tonce)

    def _persist(self, request: Request) -> tuple[bool, bool]:
        """Return whether an order outlives its connection, and whether it is immediate only."""
        if not request.has("persist"):
            return True, False
        # In spite of its name it keeps a part that was filled: immediate-or-cancel.
        if self._profile.extended and request.value("persist") == "fill_or_kill":
            return True, True
        return request.boolean("persist"), False

    def _post_only(self, request: Request) -> bool:
        return self._profile.extended and request.has("post_only") and request.boolean("post_only")


def _quantity_or_total(request: Request) -> tuple[int | None, int | None]:
    quantity, total = request.optional_integer("quantity"), request.optional_integer("total")
    if (quantity is None) == (total is None):
        raise Refused(QUANTITY_OR_TOTAL)
    return quantity, total


def _described(order: Order) -> Reply:
    """Return an order as ``GetOrders`` and the replies to cancelling and modifying show it."""
    return {
        "id": order.id,
        "tonce": order.tonce,
        "base": order.market.base,
        "counter": order.market.counter,
        "quantity": order.signed,
        "price": order.price,
        "time": order.time,
    }
