"""Acme's own tests: one line for each wire it is told about, and the contract for nothing."""

from __future__ import annotations

from acme_venue import VENUE, Credentials, PlaceOrder, Prices, Time

from trioflex import RefusalKind
from trioflex.testing import check_venue

LOGGED_IN = ['{"hello": "4711"}', '{"login": "ok", "user": "joe"}']


def test_acme_keeps_the_contract() -> None:
    """Every request, every channel, a refusal, and a message of tomorrow."""
    too_much = PlaceOrder("ANVIL", "1e6")
    report = check_venue(
        VENUE,
        credentials=Credentials("joe", "hunter2"),
        talk=[
            *LOGGED_IN,
            Time(),  # its key is 1
            '{"id": 1, "result": 1583020800}',
            Prices("ANVIL"),  # 2
            '{"id": 2, "result": {"symbol": "ANVIL", "price": "9.99"}}',
            '{"symbol": "ANVIL", "price": "9.98"}',
            PlaceOrder("ANVIL", "2"),  # 3
            '{"id": 3, "result": 77}',
            too_much,  # 4
            '{"id": 4, "error": "no funds"}',
            '{"weather": "sunny"}',
        ],
        refused={too_much: RefusalKind.INSUFFICIENT_FUNDS},
    )
    assert report.untried == ()
