"""What simulated exchanges and tapes bring with their connectors: the time of where they lead."""

from __future__ import annotations

from contextlib import asynccontextmanager

import attrs
import pytest

from trioflex import AuthenticationDenied, open_client, system_env
from trioflex.simulator import SimulatedExchange
from trioflex.tape import open_player, open_recorder, read_tape
from trioflex.venues import midchains, oceanex, theone

STRICT = {"oceanex": oceanex, "theone": theone}
"""Venues that compare a client's time stamps with their own clock, which is in 2020 here."""

strict_venues = pytest.mark.parametrize("name", STRICT)


def opened(name, exchange, **settings):
    module = STRICT[name]
    settings.setdefault("connector", exchange.connector)
    login = module.Credentials.from_env(exchange.model.credentials())
    return open_client(module.VENUE, credentials=login, **settings)


@strict_venues
@pytest.mark.parametrize("fidelity", ["connector", "byte_connector"])
async def test_a_strict_venue_lets_its_own_account_in(name, fidelity, autojump_clock):
    """The client takes the exchange's clock from its connector; nothing has to be said."""
    exchange = SimulatedExchange(name)
    async with opened(name, exchange, connector=getattr(exchange, fidelity)) as client:
        assert client.ready


@strict_venues
async def test_an_env_that_is_given_wins(name, autojump_clock):
    """The real time is more than five years off, and the venue says so."""
    exchange = SimulatedExchange(name)
    with pytest.raises(AuthenticationDenied, match=r"nonce|clock"):
        async with opened(name, exchange, env=system_env()):
            raise AssertionError("it was let in")


@strict_venues
async def test_a_recorder_passes_the_clock_on(name, tmp_path, autojump_clock):
    """A connector that wraps another leads to the same place."""
    exchange = SimulatedExchange(name)
    async with (
        open_recorder(tmp_path / "tape.jsonl", STRICT[name].VENUE) as recorder,
        opened(name, exchange, connector=recorder.connector(exchange.connector)) as client,
    ):
        assert client.ready
    assert not hasattr(recorder.connector(), "env")


async def test_a_tape_brings_the_time_at_which_it_was_recorded(tmp_path, autojump_clock):
    """Sessions that look at the time of day see the tape's, not today's."""
    path = tmp_path / "tape.jsonl"
    exchange = SimulatedExchange("midchains")
    login = midchains.Credentials.from_env(exchange.model.credentials())
    async with (
        open_recorder(path, midchains.VENUE, env=exchange.env) as recorder,
        open_client(
            midchains.VENUE,
            credentials=login,
            connector=recorder.connector(exchange.connector),
            observer=recorder,
        ),
    ):
        pass
    seen = []
    make = midchains.VENUE.session
    spying = attrs.evolve(
        midchains.VENUE,
        session=lambda credentials, env: seen.append(env) or make(credentials, env),
    )
    async with (
        open_player(read_tape(path)) as player,
        open_client(spying, credentials=login, connector=player.connector),
    ):
        [env] = seen
        assert player.env.epoch_ms() == env.epoch_ms()
        began = read_tape(path).epoch_ms
        assert began <= env.epoch_ms() < began + 1000


async def test_an_env_that_is_none_is_refused(autojump_clock):
    """An attribute that happens to have that name would make a puzzle of the login."""

    class Odd:
        env = "production"

        @asynccontextmanager
        async def __call__(self, target, /):
            raise AssertionError("it was called")
            yield

    with pytest.raises(TypeError, match=r"must be a trioflex\.protocol\.Env, not 'production'"):
        async with open_client(oceanex.VENUE, connector=Odd()):
            raise AssertionError("it was opened")
