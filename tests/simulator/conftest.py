"""An echo venue, hosted."""

from __future__ import annotations

import pytest

from tests.simulator.echo import EchoModel
from trioflex.simulator import SimulatedExchange


@pytest.fixture
def model() -> EchoModel:
    return EchoModel()


@pytest.fixture
def exchange(model: EchoModel) -> SimulatedExchange:
    return SimulatedExchange(model)
