"""The simulated MidChains: users, connections, and markets that others trade in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import attrs
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from .flow import Habits, OrderFlow
from .limits import Allowance, Limit
from .midchains_desk import ASSET_SCALE, PRICE_SCALE, Desk
from .midchains_order import SimulatedOrder
from .midchains_peer import SESSION, TRADING, MidchainsPeer
from .peer import Link

LOGIN_LIMIT = 30_000_000
"""Microseconds from the opening within which a trading connection has to log in
("MidChains/slate", ``source/index.html.md``)."""

PUBLIC_LIMIT = Limit(6, 2)
PRIVATE_LIMIT = Limit(10, 2)
"""Three a second with bursts of six, and five with bursts of ten (the same text)."""

PAGE = 100
"""Rows of one part of an answer (the same text)."""

MARKETS: Mapping[str, tuple[str, str, int]] = {
    "BTCUSD": ("BTC", "USD", 42_000),
    "ETHUSD": ("ETH", "USD", 3_000),
    "LTCUSD": ("LTC", "USD", 180),
}
"""Pair to its assets and its fair price."""

POSITIONS: Mapping[str, Decimal] = {
    "BTC": Decimal(10),
    "ETH": Decimal(100),
    "LTC": Decimal(1_000),
    "USD": Decimal(1_000_000),
}
"""What an account starts with unless it says otherwise."""


@attrs.frozen
class MidchainsAccount:
    """A user of the simulated venue."""

    user_id: str = "JOHNUSER"

    password: str = attrs.field(default="PASSWORD", repr=False)

    positions: Mapping[str, Decimal] | None = None
    """What the account starts with, by asset; ``None``: plenty of all."""


class MidchainsModel:
    """A simulated MidChains.

    Orders expire when their time has come on ``clock`` and somebody looks: a client that asks, or
    :meth:`trade`, which the exchange calls in the background while it is trading. The same holds
    for the end of connections that do not log in.

    Args:
        seed: of everything random but the RSA key: the order flow.
        clock: microseconds since 1970; ``None``: the real time.
        accounts: the users; ``None``: ``JOHNUSER`` with ``PASSWORD``.
        private_key: of the challenge; ``None``: a fresh one of 2048 bits.
        empty: nobody else trades, and the books are empty.
        push_shape: what is pushed after a login is ``"bare"``, ``"list"`` (wrapped as a list in
            ``data``) or ``"object"`` (as one object in ``data``); the documents leave it open.
        acknowledge: answer subscriptions, which the documents leave open.
        strict_login: end connections that only listen, too, if they do not log in.
        page: rows of one part of an answer.
        public_limit: requests without a login, per connection; ``None``: no limit.
        private_limit: requests with a login, per user; ``None``: no limit.

    Raises:
        ValueError: a user id is given twice, or there is no such shape.
    """

    name = "midchains"

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Callable[[], int] | None = None,
        accounts: Sequence[MidchainsAccount] | None = None,
        private_key: RSAPrivateKey | None = None,
        empty: bool = False,
        push_shape: str = "bare",
        acknowledge: bool = False,
        strict_login: bool = False,
        page: int = PAGE,
        public_limit: Limit | None = PUBLIC_LIMIT,
        private_limit: Limit | None = PRIVATE_LIMIT,
    ) -> None:
        if push_shape not in ("bare", "list", "object"):
            raise ValueError(f"push_shape is 'bare', 'list' or 'object', not {push_shape!r}")
        self.idle_timeout: float | None = None
        self.clock: Callable[[], int] = clock or wall_clock
        self.private_key: RSAPrivateKey = private_key or generate_private_key(65537, 2048)
        """Of the challenge; it makes sense to no one else."""
        self.push_shape = push_shape
        self.acknowledge = acknowledge
        self.strict_login = strict_login
        self.page = page
        self.public_limit = public_limit
        self.users: dict[str, MidchainsAccount] = {}
        """The users that can log in, by user id."""
        self.desk: Desk = Desk(MARKETS, clock=self.clock, seed=seed, tell=self)
        """Markets, orders and positions; look, and let it ``cancel()``."""
        self._private_limit = private_limit
        self._allowances: dict[str, Allowance] = {}
        self._peers: dict[MidchainsPeer, None] = {}
        self._turn = 0
        for account in [MidchainsAccount()] if accounts is None else accounts:
            self.add_account(account)
        self._flows = [] if empty else [self._flow_of(name, seed) for name in MARKETS]
        for flow in self._flows:
            flow.warm_up()
        self.desk.publish()

    # -- the contract with whoever hosts the model ---------------------------------------------

    def connect(self, link: Link) -> MidchainsPeer:
        """Make the far side of a new connection."""
        peer = MidchainsPeer(self, link)
        self._peers[peer] = None
        return peer

    def credentials(self) -> Mapping[str, str]:
        """Return the first account, keyed by the environment variables that clients read."""
        for account in self.users.values():
            return {
                "MIDCHAINS_USER_ID": account.user_id,
                "MIDCHAINS_PASSWORD": account.password,
            }
        return {}

    @property
    def methods(self) -> Mapping[str, str]:
        """What can be asked, by its name on the wire, and the client's class for it."""
        return {**dict.fromkeys(SESSION, ""), **TRADING}

    def trade(self) -> float:
        """Let the participants of one market act, and what is due happen.

        Returns:
            Seconds until the next turn.
        """
        self.catch_up()
        if not self._flows:
            return 1.0
        self._turn = (self._turn + 1) % len(self._flows)
        pause = self._flows[self._turn].turn()
        self.desk.publish()
        return pause / len(self._flows)

    # -- what connections use ------------------------------------------------------------------

    def catch_up(self) -> None:
        """Let orders expire whose time has come, and end connections that did not log in."""
        self.desk.expire()
        for peer in list(self._peers):
            peer.check_login(LOGIN_LIMIT)

    def allow(self, user_id: str) -> bool:
        """Count a request of a user; return whether it is within the limit."""
        if self._private_limit is None:
            return True
        allowance = self._allowances.get(user_id)
        if allowance is None:
            allowance = self._allowances[user_id] = Allowance(self._private_limit)
        return allowance.take(self.clock())

    def leave(self, peer: MidchainsPeer) -> None:
        """Forget a connection."""
        self._peers.pop(peer, None)

    # -- what tests use ------------------------------------------------------------------------

    def add_account(self, account: MidchainsAccount) -> None:
        """Register a user.

        Raises:
            ValueError: the user id is taken.
        """
        if account.user_id in self.users:
            raise ValueError(f"midchains has a user {account.user_id!r} already; use another id")
        self.users[account.user_id] = account
        self.desk.open_account(
            account.user_id, POSITIONS if account.positions is None else account.positions
        )

    def push_book(self, message: dict[str, object]) -> None:
        """Send a message of the book feed that is not true, to all who listen to its pair."""
        for peer in self._peers:
            peer.tell_feed("book", str(message["security"]), message)

    # -- what the desk tells -------------------------------------------------------------------

    def feed(self, message: str, security: str, content: dict[str, object]) -> None:
        """Tell everybody who listens to a feed."""
        for peer in self._peers:
            peer.tell_feed(message, security, content)

    def own(self, owner: str, kind: str, row: dict[str, object]) -> None:
        """Tell all connections of a user about an order, a sale or a position."""
        for peer in self._peers:
            if peer.user_id == owner:
                peer.tell_own(kind, row)

    def orders(self, client_order_id: str) -> list[SimulatedOrder]:
        """Return the orders that were taken on under a client order id, of any user."""
        return [
            order for order in self.desk.orders.values() if order.client_order_id == client_order_id
        ]

    # -- inside --------------------------------------------------------------------------------

    def _flow_of(self, name: str, seed: int) -> OrderFlow:
        fair = MARKETS[name][2]
        habits = Habits(
            anchor=fair * PRICE_SCALE,
            step=max(PRICE_SCALE // 100, fair * PRICE_SCALE // 10_000),
            size=ASSET_SCALE * 2_000 // fair,
            modify=False,
            orders=40,
        )
        return OrderFlow(self.desk.engine, self.desk.markets[name], habits, seed)


def wall_clock() -> int:
    """Return the real time in microseconds since 1970."""
    return time.time_ns() // 1_000
