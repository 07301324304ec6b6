"""The pytest plugin of trioflex: simulated exchanges as fixtures.

It is loaded wherever trioflex is installed, so it imports nothing until a fixture is used. The
fixtures are ordinary ones: they serve tests that run under pytest-trio in either of its modes, and
tests that call ``trio.run`` themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..simulator import ExchangeModel, SimulatedExchange


@pytest.fixture
def simulated_exchange() -> Callable[..., SimulatedExchange]:
    """Make simulated exchanges: ``simulated_exchange(venue, **options)``.

    The arguments are those of :class:`trioflex.simulator.SimulatedExchange`: a venue's name or a
    model of one's own, ``seed``, ``notices_first``, ``shuffle``, and the options of the venue's
    model. Nobody trades but the test, until it says otherwise (``exchange.trade()``,
    ``exchange.trading()``)::

        async def test_replies_may_come_late(simulated_exchange, autojump_clock):
            exchange = simulated_exchange("coinflex", notices_first=True, empty=True)
            async with open_client(coinflex.VENUE, connector=exchange.connector) as client:
                ...
    """
    from ..simulator import SimulatedExchange

    def make(venue: str | ExchangeModel, **options: Any) -> SimulatedExchange:
        return SimulatedExchange(venue, **options)

    return make


@pytest.fixture
def coinflex_exchange() -> SimulatedExchange:
    """A simulated CoinFLEX in memory, fresh for each test; its script is the test's.

    Its books are filled, and nobody trades but the test. With ``autojump_clock`` an hour of it
    takes no time::

        async def test_a_lost_order_is_reported_as_unknown(coinflex_exchange, autojump_clock):
            exchange = coinflex_exchange
            # Swallowed, so that no notice tells of the order either.
            exchange.silence("PlaceOrder", execute=False)
            credentials = coinflex.Credentials.from_env(exchange.model.credentials())
            async with open_client(
                coinflex.VENUE, credentials=credentials, connector=exchange.connector
            ) as client:
                ticket = await client.submit(ORDER)
                await exchange.seen("PlaceOrder")
                exchange.drop()
                with pytest.raises(OutcomeUnknown):
                    await ticket.reply()
    """
    from ..simulator import SimulatedExchange

    return SimulatedExchange("coinflex")


@pytest.fixture
def coinfloor_exchange() -> SimulatedExchange:
    """A simulated Coinfloor (version 2) in memory; see ``coinflex_exchange``."""
    from ..simulator import SimulatedExchange

    return SimulatedExchange("coinfloor")


@pytest.fixture
def theone_exchange() -> SimulatedExchange:
    """A simulated TheOne in memory; see ``coinflex_exchange``.

    It compares time stamps with its own clock, which its connector brings::

        async def test_a_swap_comes_to_its_end(theone_exchange, autojump_clock):
            exchange = theone_exchange
            credentials = theone.Credentials.from_env(exchange.model.credentials())
            async with (
                exchange.trading(),
                open_client(
                    theone.VENUE, credentials=credentials, connector=exchange.connector
                ) as client,
            ):
                swap = await client.request(theone.Swap("1", "ETH", "USDT"))
                end = await theone.follow_swap(client, swap.order_id)
                assert end.status == theone.Status.FILLED
    """
    from ..simulator import SimulatedExchange

    return SimulatedExchange("theone")


@pytest.fixture
def midchains_exchange() -> SimulatedExchange:
    """A simulated MidChains in memory; see ``coinflex_exchange``.

    Its books are filled, and each test has an RSA key of its own for the challenge.
    """
    from ..simulator import SimulatedExchange

    return SimulatedExchange("midchains")


@pytest.fixture
def oceanex_exchange() -> SimulatedExchange:
    """A simulated OceanEx in memory; see ``coinflex_exchange``.

    It compares nonces with its own clock, which its connector brings, and two clients of one
    account must not log in within the same millisecond. The private key is in a file, which goes
    with the test::

        async def test_an_order_is_traded(oceanex_exchange, autojump_clock):
            exchange = oceanex_exchange
            credentials = oceanex.Credentials.from_env(exchange.model.credentials())
            async with open_client(
                oceanex.VENUE, credentials=credentials, connector=exchange.connector
            ) as client:
                order = oceanex.NewOrder("vetusdt", "buy", price="0.03", volume=1000)
                assert (await client.request(order)).final
    """
    from ..simulator import SimulatedExchange

    return SimulatedExchange("oceanex")
