"""What tests of trading programs need: simulated venues, a memory connector, fixtures."""

from __future__ import annotations

from .conformance import check_venue as check_venue
from .findings import (
    BrokenRule as BrokenRule,
    VenueCheckFailed as VenueCheckFailed,
    VenueReport as VenueReport,
)
from .memory import memory_connector as memory_connector
from .peer import (
    RawFrame as RawFrame,
    ScriptedPeer as ScriptedPeer,
    encode_raw_frame as encode_raw_frame,
)
from .proxied import Direction as Direction
from .proxy import (
    FaultProxy as FaultProxy,
    ProxyStatistics as ProxyStatistics,
    open_fault_proxy as open_fault_proxy,
)
from .sweep import (
    SweepFault as SweepFault,
    SweepReport as SweepReport,
    Verdict as Verdict,
    cancellation_sweep as cancellation_sweep,
)
