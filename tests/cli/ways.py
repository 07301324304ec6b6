"""Ways to simulated exchanges for the tests of the commands that connect."""

from __future__ import annotations

import attrs

from trioflex.cli.accounts import credentials
from trioflex.cli.reaching import Wishes, find_way


def way_to(venue="coinflex", account=None):
    """A way to a venue in memory, with a login if an account is given."""
    way = find_way(Wishes(venue=venue))
    if account is None:
        return way
    found = credentials(venue, way.module, needed="the test", found=account)
    return attrs.evolve(way, credentials=found)
