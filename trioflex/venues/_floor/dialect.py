"""What all sessions of one venue share: its table of assets, and decoders that know it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from ..._sansio.codec import Decoder, encode, shown
from ...protocol import Ignored
from . import notices
from .assets import AssetTable
from .privacy import redact
from .replies import ReplyHead, TickerSnapshot
from .requests import FloorRequest
from .watches import NoSuchChannel, WatchOrders, WatchTicker
from .wire import Wire

S = TypeVar("S")

SHOWN_WHOLE = 64 * 1024
"""Bytes of a message that means nothing to us up to which all its values are decoded: a few
milliseconds. Of a longer one only the beginning is shown."""


class Dialect:
    """What is prepared once for all sessions of one venue: its table and its decoders.

    Args:
        assets: the venue's table.
        requests: the classes of requests that its users may make.
        login_hint: added to a refusal for a wrong cookie, where there is more to say.
    """

    def __init__(
        self,
        assets: AssetTable,
        requests: tuple[type[FloorRequest[Any]], ...],
        login_hint: str = "",
    ) -> None:
        self.assets = assets
        self.requests = requests
        """Those that users may make."""
        self.takes = (*requests, WatchOrders, WatchTicker, NoSuchChannel)
        """All that a session may be asked to send."""
        self.login_hint = login_hint
        self.name = assets.venue
        kinds: tuple[type[msgspec.Struct], ...] = (
            notices.OrderOpened,
            notices.OrderModified,
            notices.OrdersMatched,
            notices.OrderClosed,
            TickerSnapshot,
            notices.BalanceChanged,
            notices.TradeVolumeChanged,
        )
        bound: Any = notices.Welcome
        unbound: Any = notices.Welcome
        for kind in kinds:
            bound |= assets.bind(kind)
            unbound |= kind
        self.notice: Decoder[Any] = Decoder(self.name, bound, redact=redact)
        """Of notices about assets of the table."""
        self._unbound_notice: Decoder[Any] = Decoder(self.name, unbound, redact=redact)
        self.notice_names = {"Welcome", *(kind.__struct_config__.tag for kind in kinds)}
        self.notice_head = Decoder[notices.NoticeHead](self.name, notices.NoticeHead, redact=redact)
        self.reply_head = Decoder[ReplyHead](self.name, ReplyHead, redact=redact)
        self._anything: Decoder[Any] = Decoder(self.name, Any, redact=redact)
        self._shapes: dict[type, Decoder[Any]] = {}

    def decode(self, frame: bytes, shape: type[S]) -> S:
        """Decode a reply into a shape that knows the table."""
        decoder = self._shapes.get(shape)
        if decoder is None:
            bound = self.assets.bind(shape) if issubclass(shape, Wire) else shape
            decoder = self._shapes[shape] = Decoder(self.name, bound, redact=redact)
        value: S = decoder(frame)
        return value

    def any_notice(self, frame: bytes) -> Any:
        """Decode a notice, whatever assets it is about.

        Raises:
            RemoteProtocolError: it is malformed.
        """
        notice = self._unbound_notice(frame)
        if not isinstance(notice, Wire):
            return notice
        bound = self.assets.bind(type(notice))
        return bound(**{name: getattr(notice, name) for name in bound.__struct_fields__})

    def ignored(self, frame: bytes) -> Ignored:
        """Return what there is to say of a well-formed frame that means nothing to us."""
        if len(frame) > SHOWN_WHOLE:
            return Ignored(shown(frame, redact))
        return Ignored(self._anything(frame))

    def encode(self, tag: int, request: FloorRequest[Any]) -> str:
        """Return the frame of a request."""
        fields = request.fields(self.assets)
        return encode(self.name, {"tag": tag, "method": request.method, **fields})
