"""Replies as what JSON can hold."""

from __future__ import annotations

import json
from decimal import Decimal as D

import attrs
import pytest

from trioflex import RefusalKind
from trioflex.cli.plain import plain
from trioflex.venues import coinflex, theone


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (D("1.50"), "1.5"),
        (D("1E+3"), "1000"),
        (RefusalKind.NOT_FOUND, "NOT_FOUND"),
        (theone.Status("canceled"), "CANCELLED"),
        (None, None),
        ({1: (D(2), True)}, {"1": ["2", True]}),
        (b"\x01", "01"),
    ],
)
def test_values(value, expected):
    """Decimals are text, enumerations their names."""
    assert expected == plain(value)


def test_amounts_are_told_once_and_in_units():
    """Neither scaled integers nor the venue's numbers of assets."""
    bind = coinflex.ASSETS.bind
    order = bind(coinflex.Order)(
        base_id=0xF800, counter_id=0xFF03, id=7, scaled_quantity=-5000, scaled_price=90000000,
        time=1, tonce=None,
    )  # fmt: skip
    assert {
        "id": 7, "time": 1, "tonce": None,
        "base": "XBT", "counter": "USDT", "quantity": "-0.5", "price": "9000",
    } == plain(order)  # fmt: skip
    json.dumps(plain(order))


def test_what_is_kept_out_of_representations_stays_out():
    """Secrets, for one."""

    @attrs.frozen
    class Login:
        user: str
        secret: str = attrs.field(repr=False)

    assert {"user": "joe"} == plain(Login("joe", "hunter2"))
