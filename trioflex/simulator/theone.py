"""The simulated TheOne: accounts, connections, and a swap desk that moves on its clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import attrs

from .limits import Limit
from .peer import Link
from .theone_desk import SwapDesk, SwapOrder
from .theone_peer import OPERATIONS, TheOnePeer

WINDOW = 30_000_000
"""Microseconds that a time stamp may be off, either way ("the-one-io/api-client",
``docs/AUTHENTICATION_GUIDE``, which says it of REST)."""

IDLE_TIMEOUT = 300.0
"""Seconds without a frame after which a connection is dropped ("the-one-io/api-client",
``docs/WEBSOCKET_DOCUMENTATION``)."""

MAX_CHANNELS = 100
"""On a connection, by the clients' READMEs; the documents say 50."""

LIMIT = Limit(100, 1)
"""Messages of a connection (the documents)."""

TICK = 0.25
"""Seconds between two turns of the desk: prices move, and orders whose time has come."""

BALANCES: Mapping[str, Decimal] = {
    "BNB": Decimal(100),
    "BTC": Decimal(10),
    "ETH": Decimal(200),
    "TRX": Decimal(1_000_000),
    "USDC": Decimal(500_000),
    "USDT": Decimal(500_000),
}
"""What an account starts with unless it says otherwise: plenty of everything."""

_OTHER_SPELLINGS = {"CANCELLED": "canceled", "PARTIAL_FILLED": "partial"}


@attrs.frozen
class TheOneAccount:
    """A user of the simulated venue."""

    key: str = "test_key_1"
    """The API key."""

    secret: str = attrs.field(default="test_secret_1", repr=False)

    balances: Mapping[str, Decimal] | None = None
    """What the account starts with, by asset; ``None``: plenty of all."""


def wall_clock() -> int:
    """Return the real time in microseconds since 1970."""
    return time.time_ns() // 1_000


class TheOneModel:
    """A simulated TheOne.

    Orders move when their time has come on ``clock`` and somebody looks: a client that asks, or
    :meth:`trade`, which the exchange calls in the background while it is trading.

    Args:
        seed: of everything random: the prices' course, transaction hashes.
        clock: microseconds since 1970; ``None``: the real time.
        accounts: the users; ``None``: ``test_key_1`` with ``test_secret_1``.
        derive_key: verify signatures with the derived key, as the venue's clients make them;
            ``False``: with the secret itself, as its documents have it.
        other_shapes: answer in the variants that clients have to tolerate: errors that name their
            ``op``, bare lists of balances in replies and objects in pushes, routes in camel case,
            pushes without ``orderId``, statuses in small letters and American.
        snapshots: push the state of a channel when it is subscribed, which the documents leave
            open.
        max_channels: subscriptions of a connection.
        limit: messages of a connection; ``None``: no limit.

    Raises:
        ValueError: an API key is given twice.
    """

    name = "theone"

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Callable[[], int] | None = None,
        accounts: Sequence[TheOneAccount] | None = None,
        derive_key: bool = True,
        other_shapes: bool = False,
        snapshots: bool = True,
        max_channels: int = MAX_CHANNELS,
        limit: Limit | None = LIMIT,
    ) -> None:
        self.idle_timeout: float | None = IDLE_TIMEOUT
        self.clock: Callable[[], int] = clock or wall_clock
        self.derive_key = derive_key
        self.other_shapes = other_shapes
        self.snapshots = snapshots
        self.max_channels = max_channels
        self.limit = limit
        self.window = WINDOW
        self.desk: SwapDesk = SwapDesk(
            seed=seed,
            clock=self.clock,
            order_changed=self._tell_order,
            balances_changed=self._tell_balances,
        )
        """Prices, balances and orders; look, and let it ``cancel()``."""
        self.users: dict[str, TheOneAccount] = {}
        """The users that can log in, by API key."""
        self._nonces: dict[tuple[str, str], int] = {}
        self._peers: dict[TheOnePeer, None] = {}
        for account in [TheOneAccount()] if accounts is None else accounts:
            self.add_account(account)

    # -- the contract with whoever hosts the model ---------------------------------------------

    def connect(self, link: Link) -> TheOnePeer:
        """Make the far side of a new connection."""
        peer = TheOnePeer(self, link)
        self._peers[peer] = None
        return peer

    def credentials(self) -> Mapping[str, str]:
        """Return the first account, keyed by the environment variables that clients read."""
        for account in self.users.values():
            return {"BROKER_API_KEY": account.key, "BROKER_SECRET_KEY": account.secret}
        return {}

    @property
    def methods(self) -> Mapping[str, str]:
        """What can be asked, by its name on the wire, and the client's class for it."""
        return OPERATIONS

    def trade(self) -> float:
        """Let a price move, and the orders whose time has come.

        Returns:
            Seconds until the next turn.
        """
        self.desk.move_price()
        due = self.desk.advance()
        if due is None:
            return TICK
        # Never 0: a clock that stands still must not keep whoever calls this spinning.
        return min(TICK, max((due - self.clock()) / 1_000_000, 0.001))

    # -- what connections use ------------------------------------------------------------------

    def catch_up(self) -> None:
        """Let the orders take the steps whose time has come."""
        self.desk.advance()

    def secret(self, key: str) -> str | None:
        """Return the secret of an API key, ``None`` if there is no such key."""
        account = self.users.get(key)
        return None if account is None else account.secret

    def use_nonce(self, key: str, nonce: str) -> bool:
        """Take a nonce for used; return whether it was not used before.

        A nonce is remembered for as long as its message could be sent again: what is older is
        refused for its time stamp.
        """
        now = self.clock()
        for used, at in list(self._nonces.items()):
            if now - at <= 2 * self.window:
                break
            del self._nonces[used]
        if (key, nonce) in self._nonces:
            return False
        self._nonces[key, nonce] = now
        return True

    def spelled(self, status: str) -> str:
        """Return a status in the spelling of the day."""
        if not self.other_shapes:
            return status
        return _OTHER_SPELLINGS.get(status, status.lower())

    def leave(self, peer: TheOnePeer) -> None:
        """Forget a connection."""
        self._peers.pop(peer, None)

    # -- what tests use ------------------------------------------------------------------------

    def add_account(self, account: TheOneAccount) -> None:
        """Register a user.

        Raises:
            ValueError: the API key is taken.
        """
        if account.key in self.users:
            raise ValueError("theone has an account of this API key already; use another key")
        self.users[account.key] = account
        balances = BALANCES if account.balances is None else account.balances
        self.desk.open_account(account.key, balances)

    def swaps(self, client_order_id: str) -> list[SwapOrder]:
        """Return the orders that were taken on under a client order id, of any account.

        A client that knows what it did finds one here at most for each time it meant to swap.
        """
        return [
            order for order in self.desk.orders.values() if order.client_order_id == client_order_id
        ]

    # -- what the desk tells -------------------------------------------------------------------

    def _tell_order(self, order: SwapOrder) -> None:
        for peer in self._peers:
            if peer.account == order.owner:
                peer.tell_order(order)

    def _tell_balances(self, owner: str, assets: tuple[str, ...]) -> None:
        changed = {asset: self.desk.holding(owner, asset) for asset in assets}
        for peer in self._peers:
            if peer.account == owner:
                peer.tell_balances(changed)
