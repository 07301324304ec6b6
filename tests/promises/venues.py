"""The five venues with their simulated exchanges, for promises that hold for each of them."""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from trioflex import open_client
from trioflex.simulator import SimulatedExchange


@attrs.frozen
class Stage:
    """What is different between venues, as far as the promises go."""

    name: str
    login: str
    """The name of the login on the wire."""
    handshake: float
    """Seconds from the open WebSocket to ready, at most."""
    silence: float
    """Seconds of silence after which the peer is dead."""
    speaks_first: bool
    """The venue has to say something before anybody can log in."""

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(f"trioflex.venues.{self.name}")

    def exchange(self, **options: Any) -> SimulatedExchange:
        if self.name == "midchains":
            options.setdefault("private_key", rsa_key())
        return SimulatedExchange(self.name, **options)

    def credentials(self, exchange: SimulatedExchange) -> Any:
        return self.module.Credentials.from_env(exchange.model.credentials())

    def open(self, exchange: SimulatedExchange, **settings: Any) -> Any:
        if "credentials" not in settings:
            settings["credentials"] = self.credentials(exchange)
        settings.setdefault("connector", exchange.connector)
        settings.setdefault("env", exchange.env)
        return open_client(settings.pop("venue", self.module.VENUE), **settings)

    def logins(self, exchange: SimulatedExchange) -> list[str]:
        """The logins that arrived, or were on their way."""
        word = f'"{self.login.rpartition("/")[2]}"'
        return [f.text for f in exchange.frames if f.direction == ">" and word in f.text]


@cache
def rsa_key() -> RSAPrivateKey:
    """Small, because it is made anew for each test run."""
    return generate_private_key(65537, 1024)


STAGES = (
    Stage("coinflex", "Authenticate", 10.0, 60.0, True),
    Stage("coinfloor", "Authenticate", 10.0, 60.0, True),
    Stage("midchains", "login", 25.0, 40.0, False),
    Stage("oceanex", "AuthHandler/login", 10.0, 90.0, True),
    Stage("theone", "auth", 10.0, 40.0, False),
)

every_venue = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
