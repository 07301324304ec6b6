"""The fictional venue and its exchange, for tests of the shell."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests import acme
from trioflex import Client, open_client
from trioflex.simulator import SimulatedExchange

Open = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def model() -> acme.Model:
    return acme.Model()


@pytest.fixture
def exchange(model: acme.Model) -> SimulatedExchange:
    return SimulatedExchange(model)


@pytest.fixture
def acme_client(exchange: SimulatedExchange) -> Open:
    """``acme_client(...)`` is ``open_client`` on the exchange, logged in as Joe by default."""

    def open_acme(**settings: Any) -> AbstractAsyncContextManager[Client]:
        settings.setdefault("credentials", acme.JOE)
        settings.setdefault("connector", exchange.connector)
        return open_client(settings.pop("venue", acme.VENUE), **settings)

    return open_acme
