"""``trioflex venues``: what there is to connect to, to ask for and to listen to."""

from __future__ import annotations

import json
import math
from typing import Annotated

import attrs
import typer
from rich.console import Console
from rich.markup import escape

from trioflex.protocol import Venue

from . import catalogue
from .catalogue import Entry
from .plain import plain
from .running import execute


def as_record(venue: Venue) -> dict[str, object]:
    """Return what a venue's declaration says, as what JSON can hold."""
    return {
        "name": venue.name,
        "url": venue.url,
        "urls": dict(venue.urls),
        "anonymous": venue.anonymous,
        "requests": [
            _entry(entry) | {"writes": entry.writes, "bucket": entry.kind.bucket}  # type: ignore[attr-defined]
            for entry in catalogue.requests(venue)
        ],
        "channels": [_entry(entry) for entry in catalogue.channels(venue)],
        "rates": {
            bucket: {"count": rate.count, "per": rate.per, "burst": rate.capacity}
            for bucket, rate in venue.rates.items()
        },
        "limits": {name: _finite(value) for name, value in _limits(venue).items()},
    }


def _entry(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.name,
        "usage": entry.usage,
        "summary": entry.summary,
        "description": "\n\n".join(entry.paragraphs),
        "private": entry.private,
        "fields": [
            {"name": a.name, "type": a.type_name, "required": a.required}
            | ({} if a.default is attrs.NOTHING else {"default": plain(a.default)})
            for a in entry.arguments
        ],
    }


def _marks(entry: Entry) -> str:
    return ("*" if entry.writes else " ") + ("+" if entry.private else " ")


def _limits(venue: Venue) -> dict[str, float | int | None]:
    return {
        "connect_timeout": venue.connect_timeout,
        "handshake_timeout": venue.handshake_timeout,
        "reply_timeout": venue.reply_timeout,
        "subscribe_timeout": venue.subscribe_timeout,
        "max_channels": venue.max_channels,
        "max_message_bytes": venue.max_message_bytes,
        "max_send_bytes": venue.max_send_bytes,
    }


def _finite(value: float | None) -> float | int | None:
    return None if value is None or math.isinf(value) else value


def show(venue: Venue, console: Console) -> None:
    """Write what a venue's declaration says, for a person."""

    def line(indent: int, text: str, style: str = "") -> None:
        console.print(" " * indent + escape(text), style=style, soft_wrap=True, highlight=False)

    login = "a login is needed" if not venue.anonymous else "public data without a login"
    line(0, f"{venue.name}  {venue.url}  ({login})", "bold cyan")
    for name, url in venue.urls.items():
        if url != venue.url:
            line(2, f"--url {name}  {url}")
    line(2, "requests (* may change the account, + needs a login)", "bold")
    for entry in catalogue.requests(venue):
        line(2, f"{_marks(entry)} {entry.usage}", "yellow" if entry.writes else "")
        line(6, entry.paragraphs[0], "dim")
        defaults = [
            f"{a.name} {plain(a.default)}"
            for a in entry.arguments
            if a.default is not attrs.NOTHING and a.default not in (None, ())
        ]
        if defaults:
            line(6, f"Defaults: {', '.join(defaults)}.", "dim")
    channels = catalogue.channels(venue)
    line(2, "channels (+ needs a login)" if channels else "no channels", "bold")
    for entry in channels:
        line(2, f"{_marks(entry)} {entry.usage}")
        line(6, entry.paragraphs[0], "dim")
    line(2, "limits", "bold")
    for bucket, rate in venue.rates.items():
        line(4, f"{bucket}: {rate.count:g} in {rate.per:g} s")
    line(
        4,
        f"seconds: {venue.connect_timeout:g} to connect, {venue.handshake_timeout:g} to be ready, "
        f"{venue.reply_timeout:g} for a reply, {venue.subscribe_timeout:g} for a subscription",
    )
    if venue.max_channels is not None:
        line(4, f"channels: {venue.max_channels}")


async def venues_command(name: str | None, as_json: bool) -> None:
    """List all venues, or one.

    Args:
        name: of the only one that is wanted.
        as_json: one array instead of text.

    Raises:
        LocalProtocolError: there is no such venue.
    """
    chosen = [catalogue.find(each)[0] for each in ([name] if name else catalogue.names())]
    if as_json:
        print(json.dumps([as_record(venue) for venue in chosen], indent=2, ensure_ascii=False))
        return
    console = Console()
    for number, venue in enumerate(chosen):
        if number:
            console.print()
        show(venue, console)


def venues(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="VENUE", help="Only this one.", show_default=False)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON array instead of text.")
    ] = False,
) -> None:
    """List venues with their endpoints, requests, channels and limits."""
    execute(context, venues_command, name, as_json)
