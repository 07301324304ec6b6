"""The manual's pictures of states come from the tables of the code, and from nothing else."""

from __future__ import annotations

import enum
import importlib.util
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "docs" / "states.py"
PLACES = ["ASLEEP AWAKE", ".      GONE"]


class State(enum.Enum):
    ASLEEP = 1
    AWAKE = 2
    GONE = 3


class Cause(enum.Enum):
    ALARM = "the alarm <rings>"
    NIGHT = "night"
    END = "the end"


TABLE = {
    (State.ASLEEP, Cause.ALARM): State.AWAKE,
    (State.AWAKE, Cause.NIGHT): State.ASLEEP,
    (State.AWAKE, Cause.END): State.GONE,
}


@pytest.fixture(scope="module")
def states():
    """Load the directive's module as Sphinx does."""
    pytest.importorskip("docutils")
    spec = importlib.util.spec_from_file_location("states", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_state_and_every_way_is_drawn(states):
    """A box a state, an arrow and its label a way; what the label says is text, not markup."""
    picture = states.draw(TABLE, states.places(PLACES))
    assert picture.count("<rect") == 3
    assert picture.count("url(#arrow)") == 3
    assert "the alarm &lt;rings&gt;" in picture


@pytest.mark.parametrize("lines", [["ASLEEP AWAKE"], ["ASLEEP AWAKE GONE DREAMING"]])
def test_a_picture_that_does_not_fit_the_table_is_refused(states, lines):
    """Whoever adds a state to a table is told to place it in the picture."""
    with pytest.raises(ValueError, match="the table has the states"):
        states.draw(TABLE, states.places(lines))


def test_what_happens_in_every_state_is_drawn_once(states):
    """One arrow from anywhere instead of one from each."""
    table = {**TABLE, **{(state, Cause.END): State.GONE for state in State if state.value < 3}}
    both = {**table, (State.GONE, Cause.ALARM): State.AWAKE, (State.GONE, Cause.END): State.GONE}
    picture = states.draw(both, states.places(PLACES))
    assert picture.count("from anywhere: the end") == 1
    assert picture.count("url(#arrow)") == 4
