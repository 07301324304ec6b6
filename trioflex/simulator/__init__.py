"""Simulated exchanges: the far side as a product, for tests, demos and paper trading."""

from __future__ import annotations

from .certificates import (
    Certificates as Certificates,
    open_certificates as open_certificates,
)
from .clocks import VirtualClock as VirtualClock, system_clock as system_clock
from .coinflex import CoinflexModel as CoinflexModel
from .coinfloor import CoinfloorModel as CoinfloorModel
from .exchange import (
    SimulatedExchange as SimulatedExchange,
    open_exchange as open_exchange,
)
from .faults import Fault as Fault
from .floor import Balance as Balance
from .floor_peer import Command as Command
from .floor_profile import FloorAccount as FloorAccount
from .limits import Limit as Limit, Limits as Limits
from .midchains import (
    MidchainsAccount as MidchainsAccount,
    MidchainsModel as MidchainsModel,
)
from .oceanex import OceanExModel as OceanExModel
from .oceanex_login import OceanExAccount as OceanExAccount
from .peer import (
    BeatingPeer as BeatingPeer,
    ExchangeModel as ExchangeModel,
    Link as Link,
    NamedModel as NamedModel,
    Peer as Peer,
)
from .server import ServerAddress as ServerAddress, open_server as open_server, serve as serve
from .tally import ExchangeStatistics as ExchangeStatistics, SeenFrame as SeenFrame
from .theone import TheOneAccount as TheOneAccount, TheOneModel as TheOneModel
