"""The methods as request classes: checked when they are made, scaled when they leave.

Amounts are given exactly (``Decimal``, ``int`` or text), assets by name. What can be checked
without knowing which venue a request will go to is checked at once, scales by the venue's own
table; assets that are not in it (they may be in a table of the program's own) when it is sent.

Source: "coinflex-exchange/API WEBSOCKET-README.md", "coinfloor/API WEBSOCKET-README.md".
"""

from __future__ import annotations

from typing import ClassVar, Protocol, TypeVar

import attrs

from ..._vocabulary.errors import RefusalKind
from ...protocol import Request
from . import replies as shapes
from .arguments import as_asset
from .assets import AssetTable

R = TypeVar("R")
S = TypeVar("S")

ORDERS = "orders"
"""Bucket of order placements, changes, cancellations and estimates, per user."""

INFORMATION = "information"
"""Bucket of questions about the account, per session."""

KINDS = {
    3: RefusalKind.DUPLICATE,
    4: RefusalKind.INSUFFICIENT_FUNDS,
    6: RefusalKind.RATE_LIMITED,
    7: RefusalKind.NOT_AUTHENTICATED,
    8: RefusalKind.INVALID,
}
"""Error codes that mean the same everywhere; 1 depends on the method, the others (2 already
watching, 5 too many open orders, 9 post-only would match) have no word of their own."""


class Replies(Protocol):
    """Decodes replies for one venue."""

    @property
    def assets(self) -> AssetTable:
        """The venue's table."""

    def decode(self, frame: bytes, shape: type[S]) -> S:
        """Decode a frame into a shape that knows the table."""


class FloorRequest(Request[R]):
    """A method of the shapes."""

    __slots__ = ()

    method: ClassVar[str] = ""
    """Its name on the shapes."""
    not_found: ClassVar[RefusalKind] = RefusalKind.NOT_FOUND
    """What error code 1 means as an answer to it."""

    def fields(self, assets: AssetTable) -> dict[str, object]:
        """Return the fields that go with the method.

        Raises:
            LocalProtocolError: they cannot be said to the venue this table is of.
        """
        return {}

    def refusal(self, code: int) -> RefusalKind:
        """Return what an error code means as an answer to it."""
        return self.not_found if code == 1 else KINDS.get(code, RefusalKind.OTHER)

    def value(self, frame: bytes, replies: Replies) -> R:
        """Return what a successful reply says."""
        raise NotImplementedError


@attrs.frozen
class GetBalances(FloorRequest[shapes.BalancesSnapshot]):
    """Ask for all balances."""

    bucket: ClassVar[str] = INFORMATION
    method: ClassVar[str] = "GetBalances"

    def value(self, frame: bytes, replies: Replies) -> shapes.BalancesSnapshot:
        return replies.decode(frame, shapes.BalancesSnapshot)


@attrs.frozen
class GetOrders(FloorRequest[shapes.OrdersSnapshot]):
    """Ask for all open orders, in all books."""

    bucket: ClassVar[str] = INFORMATION
    method: ClassVar[str] = "GetOrders"

    def value(self, frame: bytes, replies: Replies) -> shapes.OrdersSnapshot:
        return replies.decode(frame, shapes.OrdersSnapshot)


@attrs.frozen
class GetTradeVolume(FloorRequest[shapes.TradedVolume]):
    """Ask how much of an asset was traded in the last 30 days; fees depend on it."""

    bucket: ClassVar[str] = INFORMATION
    method: ClassVar[str] = "GetTradeVolume"

    asset: str = attrs.field(converter=as_asset)
    """Name of the asset."""

    def fields(self, assets: AssetTable) -> dict[str, object]:
        return {"asset": assets.asset(self.asset).id}

    def value(self, frame: bytes, replies: Replies) -> shapes.TradedVolume:
        reply = replies.decode(frame, shapes.VolumeReply)
        return replies.assets.bind(shapes.TradedVolume)(
            asset_id=replies.assets.asset(self.asset).id, scaled_volume=reply.volume
        )
