"""What the front page says of venues and commands is so."""

from __future__ import annotations

import importlib
import re
from importlib.metadata import entry_points
from pathlib import Path

from typer.main import get_command

from trioflex.cli.app import app

README = (Path(__file__).parent.parent / "README.rst").read_text(encoding="utf-8")


def test_every_venue_is_in_the_table_with_its_number_of_requests():
    """Venues that are registered, and as many requests as each declares."""
    told = {
        name.lower(): int(count)
        for name, count in re.findall(r"^(\w+) +\S.*? (\d+) {2,}\S", README, re.MULTILINE)
    }
    declared = {
        point.name: len(importlib.import_module(f"trioflex.venues.{point.name}").VENUE.requests)
        for point in entry_points(group="trioflex.venues")
    }
    assert declared == told


def test_every_command_is_in_the_table():
    """No command is kept from the reader, and none is invented."""
    told = set(re.findall(r"^``trioflex (\w+)``", README, re.MULTILINE))
    assert set(get_command(app).commands) == told
