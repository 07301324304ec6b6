"""Exchange WebSocket APIs for Trio.

How the package hangs together, from the bottom up (arrows of import point down only):

* ``_vocabulary``: errors, events, settings. Imports nothing of ours.
* ``protocol``, ``book``, ``_sansio``, ``venues``: synchronous and deterministic, no trio.
* ``_shell``: the lowest layer that imports trio; it moves frames and decides nothing.
* ``simulator``, ``testing``, ``tape``, ``cli``: batteries on the public API only.
"""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES as _EXTENSIONS

from ._sansio import ladder as _ladder
from ._shell.client import Client as Client
from ._shell.core import Frame as Frame, Unmatched as Unmatched
from ._shell.observer import ClientStatistics as ClientStatistics, Observer as Observer
from ._shell.opening import (
    find_venue as find_venue,
    open_client as open_client,
    system_env as system_env,
)
from ._shell.receiver import Receiver as Receiver, ReceiverStatistics as ReceiverStatistics
from ._shell.stalls import StallWatch as StallWatch
from ._shell.ticket import Ticket as Ticket, TicketState as TicketState
from ._shell.transport import (
    Connector as Connector,
    Disconnected as Disconnected,
    Target as Target,
    Transport as Transport,
    TransportStatistics as TransportStatistics,
)
from ._shell.trio_websocket import trio_websocket_connector as trio_websocket_connector
from ._shell.websocket import Dial as Dial, websocket_connector as websocket_connector
from ._vocabulary.errors import (
    AuthenticationDenied as AuthenticationDenied,
    AuthenticationTimeout as AuthenticationTimeout,
    ConnectFailed as ConnectFailed,
    ConnectionLost as ConnectionLost,
    HandshakeTimeout as HandshakeTimeout,
    InternalError as InternalError,
    LocalProtocolError as LocalProtocolError,
    NotSent as NotSent,
    OpenError as OpenError,
    OutcomeUnknown as OutcomeUnknown,
    ProtocolError as ProtocolError,
    ReceiverOverflow as ReceiverOverflow,
    RefusalKind as RefusalKind,
    Refused as Refused,
    RemoteProtocolError as RemoteProtocolError,
    ReplyLost as ReplyLost,
    RequestError as RequestError,
    SubscriptionRefused as SubscriptionRefused,
    SubscriptionTimeout as SubscriptionTimeout,
    TrioflexError as TrioflexError,
)
from ._vocabulary.events import (
    Gap as Gap,
    GapReason as GapReason,
    Resumed as Resumed,
)
from ._vocabulary.settings import (
    Keepalive as Keepalive,
    Overflow as Overflow,
    Rate as Rate,
    Reconnect as Reconnect,
    Timeouts as Timeouts,
)

# All hot modules are compiled together, and this one brings nothing else: the frames would bring
# wsproto and h11, a quarter of the time that importing takes, and only who connects needs those.
compiled: bool = _ladder.__file__.endswith(tuple(_EXTENSIONS))
"""Whether this is the build whose hot modules mypyc has compiled (``TRIOFLEX_COMPILE=1``)."""

# Tracebacks, reprs and the manual name what one imports, not where it happens to be written.
for _value in list(vars().values()):
    if getattr(_value, "__module__", "").startswith("trioflex._") and callable(_value):
        _value.__module__ = __name__
del _value
