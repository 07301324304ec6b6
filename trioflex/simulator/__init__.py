"""Simulated exchanges: the far side as a product, for tests, demos and paper trading."""

from __future__ import annotations

from .exchange import (
    ExchangeStatistics as ExchangeStatistics,
    Frame as Frame,
    SimulatedExchange as SimulatedExchange,
    open_exchange as open_exchange,
)
from .faults import Fault as Fault
from .peer import ExchangeModel as ExchangeModel, Link as Link, Peer as Peer
