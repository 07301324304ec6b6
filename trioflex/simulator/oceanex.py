"""The simulated OceanEx: accounts and their keys, connections, and markets that others trade in."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)

from .flow import OrderFlow
from .limits import Allowance, Limit
from .oceanex_calls import CLASSES, SCOPES, Calls
from .oceanex_desk import Desk
from .oceanex_listing import BALANCES, LISTINGS
from .oceanex_login import Header, OceanExAccount, verify
from .oceanex_peer import LOGIN, OceanExPeer
from .oceanex_request import NOT_ALLOWED, Complaint
from .peer import Link

TOLERANCE = 5_000
"""Milliseconds that a nonce may be off, either way. The documents do not say; a client that has
set its clock by ``ToolHandler`` is right to one second."""

PING_INTERVAL = 60.0
"""Seconds ("OceanEx/ocean-websocket-client", user guide 0.5)."""

LIMIT = Limit(3000, 60)
ORDER_LIMIT = Limit(1200, 60)
"""Requests, and new orders, of an account ("api.oceanex.pro/doc/v1")."""


class OceanExModel:
    """A simulated OceanEx.

    Stop orders are looked at when somebody trades or asks. Everything else happens at once.

    Args:
        seed: of everything random but the RSA key: the order flow.
        clock: microseconds since 1970; ``None``: the real time.
        accounts: the users; ``None``: ``ID4TEST`` with the key ``KIDTEST``.
        private_key: of accounts that bring no public key; ``None``: a fresh one of 2048 bits.
        public_key: of those accounts, instead; then :meth:`credentials` name no file.
        empty: nobody else trades, and the books are empty.
        other_shapes: answer in the variants that clients have to tolerate: identifiers and messages
            as JSON text, codes as text, and the spelling of the REST interface.
        repeat_uuids: whether answers repeat the ``uuid`` of their request.
        cut_denied_logins: answer a login that is denied with ``disconnect`` instead of a code.
        address: from where connections seem to come; for accounts that have a list.
        ping_interval: seconds between two pings.
        settling: seconds for which a cancelled order is ``cancelling``.
        page_most: orders of a page, whatever is asked for; ``None``: no limit.
        limit: requests of an account, or of a connection before its login; ``None``: no limit.
        order_limit: new orders of an account; ``None``: no limit.

    Raises:
        ValueError: an account id is given twice, or both keys are.
    """

    name = "oceanex"

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Callable[[], int] | None = None,
        accounts: Sequence[OceanExAccount] | None = None,
        private_key: RSAPrivateKey | None = None,
        public_key: RSAPublicKey | None = None,
        empty: bool = False,
        other_shapes: bool = False,
        repeat_uuids: bool = True,
        cut_denied_logins: bool = False,
        address: str = "127.0.0.1",
        ping_interval: float = PING_INTERVAL,
        settling: float = 0.0,
        page_most: int | None = None,
        limit: Limit | None = LIMIT,
        order_limit: Limit | None = ORDER_LIMIT,
    ) -> None:
        if private_key is not None and public_key is not None:
            raise ValueError("give private_key or public_key: one belongs to the other")
        self.idle_timeout: float | None = None
        self.clock: Callable[[], int] = clock or wall_clock
        if public_key is None:
            private_key = private_key or generate_private_key(65537, 2048)
            public_key = private_key.public_key()
        self._private_key = private_key
        self._public_key: RSAPublicKey = public_key
        self._key_file: Path | None = None
        self._remove: Callable[[], object] = lambda: None
        self.other_shapes = other_shapes
        self.repeat_uuids = repeat_uuids
        self.cut_denied_logins = cut_denied_logins
        self.address = address
        """From where connections seem to come."""
        self.ping_interval = ping_interval
        self.page_most = page_most
        self.users: dict[str, OceanExAccount] = {}
        """The users that can log in, by account id."""
        self.desk: Desk = Desk(
            LISTINGS, clock=self.clock, seed=seed, settling=round(settling * 1_000_000)
        )
        """Markets, orders and balances; look, and let it ``cancel()``."""
        self.calls: Calls = Calls(self)
        self._limit = limit
        self._order_limit = order_limit
        self._allowances: dict[tuple[str, str], Allowance] = {}
        self._nonces: dict[tuple[str, int], None] = {}
        self._peers: dict[OceanExPeer, None] = {}
        self._turn = 0
        for account in [OceanExAccount()] if accounts is None else accounts:
            self.add_account(account)
        self._flows = (
            []
            if empty
            else [
                OrderFlow(self.desk.engine, self.desk.markets[name], listing.habits(), seed)
                for name, listing in LISTINGS.items()
            ]
        )
        for flow in self._flows:
            flow.warm_up()

    # -- the contract with whoever hosts the model ---------------------------------------------

    def connect(self, link: Link) -> OceanExPeer:
        """Make the far side of a new connection."""
        peer = OceanExPeer(self, link)
        self._peers[peer] = None
        return peer

    def credentials(self) -> Mapping[str, str]:
        """Return the first account, keyed by the environment variables that clients read.

        The private key is in a file that only this user can read, written when this is first
        called, and removed with the model. There is none if the key is not the model's.
        """
        for account in self.users.values():
            named = {"OCEANEX_UID": account.uid, "OCEANEX_KEY_ID": account.key_id}
            if account.public_key is None and self._private_key is not None:
                named["OCEANEX_KEY_FILE"] = str(self._written(self._private_key))
            return named
        return {}

    @property
    def methods(self) -> Mapping[str, str]:
        """What can be asked, by its name on the wire, and the client's class for it."""
        return {LOGIN: "", "pong": "", **CLASSES}

    def trade(self) -> float:
        """Let the participants of one market act.

        Returns:
            Seconds until the next turn.
        """
        self.catch_up()
        if not self._flows:
            return 1.0
        self._turn = (self._turn + 1) % len(self._flows)
        pause = self._flows[self._turn].turn()
        self.catch_up()
        return pause / len(self._flows)

    # -- what connections use ------------------------------------------------------------------

    def catch_up(self) -> None:
        """Let orders go to the market whose price was reached."""
        self.desk.catch_up()

    def log_in(self, header: Header) -> OceanExAccount:
        """Return whose login it is.

        Raises:
            Complaint: it is denied.
        """
        account = self.users.get(header.uid)
        if account is None:
            raise Complaint(1006, "the account does not exist")
        if header.key_id != account.key_id:
            raise Complaint(1007, "the account has no public key of this id")
        self._check_place(account)
        now = self.clock() // 1_000
        if abs(header.nonce - now) > TOLERANCE:
            raise Complaint(2001, "the nonce is not the time")
        verify(header, account.public_key or self._public_key)
        # What is older is refused for its time.
        for uid, nonce in list(self._nonces):
            if nonce < now - TOLERANCE:
                del self._nonces[uid, nonce]
        if (account.uid, header.nonce) in self._nonces:
            raise Complaint(2001, "the nonce has been used")
        self._nonces[account.uid, header.nonce] = None
        return account

    def check_key(self, uid: str, call: str) -> None:
        """Check that the key of a user may be used for a private call, now.

        Raises:
            Complaint: it may not.
        """
        account = self.users[uid]
        self._check_place(account)
        if not account.scopes.get(SCOPES[call], False):
            raise Complaint(NOT_ALLOWED, f"the key is not allowed to {SCOPES[call]}")

    def allow(self, uid: str) -> bool:
        """Count a request of a user; return whether it is within the limit."""
        return self._take("requests", uid, self._limit)

    def allow_order(self, uid: str) -> bool:
        """Count a new order of a user; return whether it is within the limit."""
        return self._take("orders", uid, self._order_limit)

    def new_allowance(self) -> Allowance | None:
        """Return what a connection may ask before its login."""
        return None if self._limit is None else Allowance(self._limit)

    def leave(self, peer: OceanExPeer) -> None:
        """Forget a connection."""
        self._peers.pop(peer, None)

    # -- what tests use ------------------------------------------------------------------------

    def add_account(self, account: OceanExAccount) -> None:
        """Register a user.

        Raises:
            ValueError: the account id is taken.
        """
        if account.uid in self.users:
            raise ValueError(f"oceanex has an account {account.uid!r} already; use another id")
        self.users[account.uid] = account
        balances = BALANCES if account.balances is None else account.balances
        self.desk.open_account(account.uid, balances)

    def change_key(
        self,
        uid: str,
        *,
        enabled: bool = True,
        scopes: Mapping[str, bool] | None = None,
        addresses: Sequence[str] | None = None,
    ) -> None:
        """Change what a user's key may do, from now on, connections that are open included.

        Args:
            uid: whose.
            enabled: whether the key is.
            scopes: what it may do; ``None``: as before.
            addresses: from where; ``None``: as before.
        """
        account = self.users[uid]
        self.users[uid] = attrs.evolve(
            account,
            enabled=enabled,
            scopes=account.scopes if scopes is None else scopes,
            addresses=account.addresses if addresses is None else tuple(addresses),
        )

    def remove_key_file(self) -> None:
        """Remove the file that :meth:`credentials` name, before the model itself goes."""
        self._remove()

    def disconnect(self, reason: str, *, reconnect: bool = True) -> None:
        """End all connections as the venue does: with a reason.

        Args:
            reason: for people.
            reconnect: whether trying again makes sense.
        """
        for peer in list(self._peers):
            peer.disconnect(reason, reconnect=reconnect)

    # -- inside --------------------------------------------------------------------------------

    def _check_place(self, account: OceanExAccount) -> None:
        if not account.enabled:
            raise Complaint(1008, "the key is disabled")
        if account.addresses is not None and self.address not in account.addresses:
            raise Complaint(1011, f"the address {self.address} is not allowed")

    def _take(self, what: str, uid: str, limit: Limit | None) -> bool:
        if limit is None:
            return True
        allowance = self._allowances.get((what, uid))
        if allowance is None:
            allowance = self._allowances[what, uid] = Allowance(limit)
        return allowance.take(self.clock())

    def _written(self, key: RSAPrivateKey) -> Path:
        if self._key_file is None:
            # mkdtemp makes it with mode 0700; it goes with the model, at the end of the program
            # at the latest.
            directory = tempfile.mkdtemp(prefix="trioflex-")
            self._remove = weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
            self._key_file = Path(directory) / "oceanex.pem"
            pem = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
            descriptor = os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(pem)
        return self._key_file


def wall_clock() -> int:
    """Return the real time in microseconds since 1970."""
    return time.time_ns() // 1_000
