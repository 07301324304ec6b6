"""A script's names: what cannot be meant is refused, so that no test is green for nothing."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.simulator.echo import EchoModel
from trioflex import OutcomeUnknown, open_client
from trioflex.simulator import SimulatedExchange
from trioflex.tape import open_player, open_recorder, read_tape
from trioflex.venues import coinflex, coinfloor, oceanex

VENUES = ("coinflex", "coinfloor", "midchains", "oceanex", "theone")
VERBS = {
    "silence": (),
    "delay": (1.0,),
    "refuse": (8, "no"),
    "duplicate": (),
    "count": (),
}
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "simulator.rst"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["NewOrder", "placeorder", "nonsense"])
def test_a_name_that_nothing_has_is_refused(coinflex_exchange, verb, name):
    """By every verb that takes one, with the names that there are."""
    with pytest.raises(ValueError, match="coinflex has no request named") as caught:
        getattr(coinflex_exchange, verb)(name, *VERBS[verb])
    assert repr(name) in str(caught.value)
    assert "PlaceOrder, CancelOrder" in str(caught.value)


async def test_nobody_waits_for_what_cannot_come(oceanex_exchange):
    """The name of the class is no name on the wire; the error shows both."""
    with pytest.raises(ValueError, match=r"OrderHandler/create \(NewOrder\)"):
        await oceanex_exchange.seen("NewOrder")


def test_a_class_of_another_venue_is_refused(coinflex_exchange):
    """Of the same name, too."""
    for stranger in (oceanex.NewOrder, oceanex.CancelAllOrders, coinfloor.PlaceOrder):
        with pytest.raises(ValueError, match=rf"{stranger.__name__} is no request of coinflex"):
            coinflex_exchange.silence(stranger)


@pytest.mark.parametrize("venue", VENUES)
def test_every_request_class_can_be_named(venue):
    """Each has one name on the wire, and means the same as it."""
    exchange = SimulatedExchange(venue)
    requests = importlib.import_module(f"trioflex.venues.{venue}").VENUE.requests
    names = {each: name for name, each in exchange.model.methods.items() if each}
    assert {each.__name__ for each in requests} == set(names)
    for each in requests:
        name = names[each.__name__]
        assert name == exchange.silence(name).method == exchange.silence(each).method


@pytest.mark.parametrize("venue", VENUES)
def test_requests_without_a_name_and_all_requests_can_be_meant(venue):
    """``""`` is what a frame has that names nothing."""
    exchange = SimulatedExchange(venue)
    assert ("", "*") == (exchange.silence("").method, exchange.silence("*").method)


async def test_a_fault_that_was_ordered_by_class_strikes(oceanex_exchange, autojump_clock):
    """Here OceanEx' new order, which has another name on the wire."""
    exchange = oceanex_exchange
    silence = exchange.silence(oceanex.NewOrder, times=1)
    login = oceanex.Credentials.from_env(exchange.model.credentials())
    async with open_client(
        oceanex.VENUE, connector=exchange.connector, credentials=login
    ) as client:
        order = oceanex.NewOrder("vetusdt", "buy", price="0.01", volume=2000)
        with pytest.raises(OutcomeUnknown) as caught:
            await client.request(order)
        caught.value.ticket.settle(None)
        await exchange.seen(oceanex.NewOrder)
    assert (1, 1) == (silence.hits, exchange.count(oceanex.NewOrder))


def test_a_model_that_says_nothing_of_its_names_has_all_of_them():
    """One of somebody else's, as short as can be; but a class says nothing to it."""
    exchange = SimulatedExchange(EchoModel())
    assert "Anything" == exchange.silence("Anything").method
    with pytest.raises(ValueError, match="give that name"):
        exchange.silence(coinflex.PlaceOrder)


async def test_a_tape_knows_no_names(tmp_path, coinflex_exchange, autojump_clock):
    """It knows requests by their likeness, so a fault of one kind would never strike."""
    path = tmp_path / "tape.jsonl"
    async with (
        open_recorder(path, coinflex.VENUE) as recorder,
        open_client(coinflex.VENUE, connector=recorder.connector(coinflex_exchange.connector)),
    ):
        pass
    async with open_player(read_tape(path)) as player:
        with pytest.raises(ValueError, match="its requests have no names here"):
            player.exchange.silence("WatchOrders")
        assert player.exchange.silence("*").active


def test_the_manual_lists_all_names():
    """Those of the models, in their order, with their classes."""
    text = PAGE.read_text(encoding="utf-8")
    for venue in VENUES:
        rows = re.search(rf"(?m)^``{venue}``\n((?:   .*\n)+)", text)
        assert rows is not None, venue
        told = re.findall(r"``([^`]+)``(?:\s+\((\w+)\))?", rows[1])
        known = SimulatedExchange(venue).model.methods
        assert told == [(name, "" if each == name else each) for name, each in known.items()]
