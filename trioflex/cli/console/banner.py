"""What is shown at the start."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from .. import catalogue
from ..reaching import Way
from .choices import VENUE, menu
from .outputs import Tone


def banner(way: Way) -> Iterator[tuple[str, Tone]]:
    """Return the lines with which a console introduces itself."""
    venue = way.venue
    yield f"trioflex console, {venue.name} ({urlsplit(way.url).hostname})", Tone.TITLE
    if venue.name == VENUE:
        for line in menu():
            yield line, Tone.PLAIN
    first = catalogue.requests(venue)[0].name
    yield f"Type a request, as in {first}, or `help`. Tab completes, Ctrl-D leaves.", Tone.DIM
