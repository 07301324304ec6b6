"""The state that all connections to a simulated CoinFLEX or Coinfloor share."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from random import Random

import attrs

from .book import Book, Order
from .engine import Engine
from .floor_audience import Audience
from .floor_desk import Desk
from .floor_notices import Notices
from .floor_peer import Command, FloorPeer
from .floor_profile import FloorAccount, Profile, plenty
from .flow import OrderFlow
from .ledger import Account
from .limits import Allowance, Limit, Limits
from .peer import Link
from .secp224k1 import Point, private_key, public_key

IDLE_TIMEOUT = 60.0
"""Seconds without traffic after which the venues drop a connection ("coinflex-exchange/API
WEBSOCKET-README.md")."""

RECORD_KEPT = 100_000
"""Commands that :attr:`FloorModel.record` keeps: all of a long test, and about 100 MB of a
server's that runs for days."""


@attrs.frozen
class Balance:
    """An account's amounts of one asset, in the wire's units."""

    available: int
    reserved: int


def wall_clock() -> int:
    """Return the real time in microseconds since 1970."""
    return time.time_ns() // 1_000


class FloorModel:
    """Books, accounts and subscriptions of one simulated venue, and its other participants.

    Args:
        profile: the venue.
        seed: of everything random: nonces, the lots of rounding, the other participants.
        clock: microseconds since 1970; None: the real time.
        accounts: the users; None: the one of the documents' worked example.
        markets: names of the markets to open.
        limits: how often what may be done; None: no limits.
        fee_rate: fraction of the total that each side pays; None: the profile's.
        empty: whether to begin with empty books.
        record_kept: how many commands :attr:`record` keeps.

    Raises:
        ValueError: a market or an asset that the venue does not have.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        seed: int,
        clock: Callable[[], int] | None,
        accounts: Sequence[FloorAccount] | None,
        markets: Sequence[str],
        limits: Limits | None,
        fee_rate: Decimal | None,
        empty: bool,
        record_kept: int,
    ) -> None:
        self.profile = profile
        self.name: str = profile.name
        self.idle_timeout: float | None = IDLE_TIMEOUT
        self.clock: Callable[[], int] = clock or wall_clock
        self.limits: Limits = limits or Limits()
        opened = [profile.market(name) for name in markets]
        rules = profile.rules
        if fee_rate is not None:
            rules = attrs.evolve(rules, fee_rate=fee_rate)
        self.engine: Engine = Engine(opened, rules=rules, seed=seed, clock=self.clock)
        self.audience: Audience = Audience(Notices(extended=profile.extended))
        self.engine.listen(self.audience.tell)
        self.desk: Desk = Desk(self.engine, profile)
        self.record: deque[Command] = deque(maxlen=record_kept)
        """The commands received, oldest first, with what became of them."""
        self.users: dict[int, FloorAccount] = {}
        """The users that can log in."""
        self._keys: dict[int, Point] = {}
        self._connections = 0
        self._nonces = Random(f"nonces {seed}")
        self._turns = Random(f"turns {seed}")
        self._allowances: dict[tuple[str, int], Allowance] = {}
        for account in [FloorAccount()] if accounts is None else accounts:
            self.add_account(account)
        self._flows = [
            OrderFlow(self.engine, market, profile.habits(market), seed) for market in opened
        ]
        if not empty:
            for flow in self._flows:
                flow.warm_up()

    # -- the contract with whoever hosts the model ---------------------------------------------

    def connect(self, link: Link) -> FloorPeer:
        """Make the far side of a new connection."""
        self._connections += 1
        return FloorPeer(self, link, self._connections)

    def credentials(self) -> Mapping[str, str]:
        """Return the first account, keyed by the environment variables the command line reads."""
        prefix = self.profile.environment
        for account in self.users.values():
            return {
                f"{prefix}_USER_ID": str(account.user_id),
                f"{prefix}_COOKIE": account.cookie,
                f"{prefix}_PASSPHRASE": account.passphrase,
            }
        return {}

    @property
    def methods(self) -> Mapping[str, str]:
        """What can be asked, by its name on the wire, and the client's class for it."""
        # Clients' classes have the names on the wire.
        methods = ("EstimateMarketOrder", *self.desk.informing, *self.desk.placing)
        return {
            **dict.fromkeys(("Authenticate", "WatchOrders", "WatchTicker"), ""),
            **{name: name for name in methods},
        }

    def trade(self) -> float:
        """Let the other participants of one market act once.

        Returns:
            Seconds until their next turn.
        """
        if not self._flows:
            return 1.0
        flow = self._turns.choice(self._flows)
        return flow.turn() / len(self._flows)

    # -- what connections use ------------------------------------------------------------------

    def draw_nonce(self) -> bytes:
        """Return the 16 bytes for a Welcome."""
        return self._nonces.randbytes(16)

    def public_key(self, user_id: int) -> Point:
        """Return a user's public key, all that a venue needs of a passphrase."""
        key = self._keys.get(user_id)
        if key is None:
            passphrase = self.users[user_id].passphrase
            key = self._keys[user_id] = public_key(private_key(user_id, passphrase))
        return key

    def may_authenticate(self, user_id: int) -> bool:
        """Take a login attempt out of a user's allowance."""
        return self._allowed("authentication", user_id, self.limits.authentication)

    def may_place(self, user_id: int) -> bool:
        """Take an order placement out of a user's allowance."""
        return self._allowed("placements", user_id, self.limits.placements)

    # -- what tests use ------------------------------------------------------------------------

    def add_account(self, account: FloorAccount) -> None:
        """Register a user.

        Raises:
            ValueError: the user id is taken, or a balance names an asset that does not exist.
        """
        if account.user_id in self.users:
            raise ValueError(f"{self.name} has a user {account.user_id} already; use another id")
        balances = account.balances
        if balances is None:
            balances = self._plenty()
        amounts = {self.profile.listing(name).id: amount for name, amount in balances.items()}
        self.users[account.user_id] = account
        ledger = self.engine.ledger
        opened = ledger.open(account.user_id)
        for asset, amount in amounts.items():
            ledger.deposit(opened, asset, amount)

    def placed(self, user_id: int, tonce: int) -> list[Command]:
        """Return the orders that an account has placed over the wire under a tonce.

        A client that knows what it did finds one here at most for each time it meant to order.
        """
        return [
            command
            for command in self.record
            if command.method == "PlaceOrder"
            and command.code == 0
            and command.account == user_id
            and command.request.get("tonce") == tonce
        ]

    def account(self, user_id: int) -> dict[int, Balance]:
        """Return an account's amounts by asset id."""
        account = self.engine.ledger.accounts[user_id]
        ids = sorted(listing.id for listing in self.profile.assets.values())
        return {
            asset: Balance(*account.balance(asset)) for asset in ids if asset in account.available
        }

    def open_orders(self, user_id: int) -> list[Order]:
        """Return an account's open orders, oldest first; look, but do not touch."""
        return list(self.engine.ledger.accounts[user_id].orders.values())

    def book(self, base: str | int, counter: str | int) -> list[Order]:
        """Return a market's open orders as they would trade: bids first, each side best first.

        Args:
            base: asset name or id.
            counter: asset name or id.

        Returns:
            The engine's own orders; look, but do not touch.

        Raises:
            Refusal: the market is not open.
        """
        book = self._book(base, counter)
        return [*book.bids, *book.asks]

    def ticker(self, base: str | int, counter: str | int) -> dict[str, int | None]:
        """Return a market's figures, under the wire's names."""
        return self.engine.ticker(self._book(base, counter).market)

    def place_as(
        self,
        user_id: int,
        base: str | int,
        counter: str | int,
        *,
        quantity: int,
        price: int,
        tonce: int | None = None,
        immediate: bool = False,
        post_only: bool = False,
    ) -> Order:
        """Place a limit order as another participant, past the wire and its rate limits.

        Args:
            user_id: whose order it is; an account that does not exist is opened with plenty.
            base: asset name or id.
            counter: asset name or id.
            quantity: negative sells.
            price: the limit.
            tonce: the owner's name for it.
            immediate: cancel what does not trade at once.
            post_only: refuse the order if it would trade at once.

        Returns:
            The order, filled or not.

        Raises:
            Refusal: the engine refuses the order.
        """
        return self.engine.place(
            self._participant(user_id),
            self._book(base, counter),
            quantity=quantity,
            price=price,
            tonce=tonce,
            immediate=immediate,
            post_only=post_only,
        )

    def execute_as(
        self,
        user_id: int,
        base: str | int,
        counter: str | int,
        *,
        quantity: int | None = None,
        total: int | None = None,
    ) -> int:
        """Trade at the market as another participant; exactly one of the two sizes is given.

        Returns:
            How much was not traded.

        Raises:
            Refusal: the engine refuses the order.
        """
        book = self._book(base, counter)
        account = self._participant(user_id)
        return self.engine.execute(account, book, quantity=quantity, total=total)

    def modify_as(
        self, user_id: int, order_id: int, *, delta: int | None = None, price: int | None = None
    ) -> None:
        """Modify a participant's open order.

        Raises:
            Refusal: there is no such order, or the engine refuses the change.
        """
        account = self._participant(user_id)
        order = self.engine.find(account, order_id=order_id)
        self.engine.modify(account, order, delta=delta, price=price)

    def cancel_as(self, user_id: int, order_id: int) -> None:
        """Cancel a participant's open order.

        Raises:
            Refusal: there is no such order.
        """
        self.engine.cancel(self.engine.find(self._participant(user_id), order_id=order_id))

    def cancel_all_as(self, user_id: int) -> None:
        """Cancel all open orders of a participant."""
        self.engine.cancel_all(self._participant(user_id))

    # -- inside --------------------------------------------------------------------------------

    def _allowed(self, kind: str, user_id: int, limit: Limit | None) -> bool:
        if limit is None:
            return True
        allowance = self._allowances.get((kind, user_id))
        if allowance is None:
            allowance = self._allowances[kind, user_id] = Allowance(limit)
        return allowance.take(self.clock())

    def _plenty(self) -> dict[str, int]:
        """Return a starting balance of everything that is traded here."""
        names = {
            name for book in self.engine.books.values() for name in book.market.name.split(":")
        }
        return {name: plenty(self.profile.listing(name)) for name in sorted(names)}

    def _participant(self, user_id: int) -> Account:
        accounts = self.engine.ledger.accounts
        if user_id not in accounts:
            for name, amount in self._plenty().items():
                self.engine.deposit(
                    self.engine.ledger.open(user_id), self.profile.listing(name).id, amount
                )
        return accounts[user_id]

    def _book(self, base: str | int, counter: str | int) -> Book:
        base_id, counter_id = (
            self.profile.listing(asset).id if isinstance(asset, str) else asset
            for asset in (base, counter)
        )
        return self.engine.book(base_id, counter_id)
