"""``trioflex call``: one request, its reply as JSON, its fate as the exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

import trioflex
from trioflex import LocalProtocolError, TicketState
from trioflex.protocol import Effect, Request

from .garbage import Listener
from .plain import plain
from .reaching import (
    CaFile,
    Insecure,
    KeyFile,
    Url,
    VenueName,
    Way,
    Wishes,
    find_way,
    reach,
    with_login,
)
from .running import execute
from .spelling import make_request, spell_request
from .wording import question


async def call_command(
    wishes: Wishes, name: str, fields: Sequence[str], as_json: bool, yes: bool
) -> None:
    """Send one request and print its reply.

    Args:
        wishes: what was given about the venue.
        name: of the request.
        fields: each as ``field=value``.
        as_json: on one line instead of indented.
        yes: do not ask before a request that may change the account.

    Raises:
        LocalProtocolError: something given cannot be right, or the person declined.
        TrioflexError: it did not end in a reply.
    """
    way = find_way(wishes)
    request = make_request(way.venue, name, fields)
    way = with_login(way, wishes, needed=type(request).__name__ if request.private else None)
    if request.effect is Effect.WRITE and not yes:
        confirm(request, way)
    reply = await ask(way, request)
    print(
        json.dumps(plain(reply), ensure_ascii=False, separators=(",", ":"))
        if as_json
        else json.dumps(plain(reply), ensure_ascii=False, indent=2)
    )


def confirm(request: Request[Any], way: Way) -> None:
    """Ask the person whether this is to happen.

    Raises:
        LocalProtocolError: no, or nobody is there to answer.
    """
    where = f"{way.venue.name} at {way.shown}"
    print(question(where, request), end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print(file=sys.stderr)
    if answer.strip().lower() not in ("y", "yes"):
        raise LocalProtocolError(
            f"{type(request).__name__} was not sent: it was declined."
            if answer
            else f"{type(request).__name__} was not sent: nobody answered the question; --yes sends"
            " it without one."
        )


async def ask(
    way: Way, request: Request[Any], connector: trioflex.Connector | None = None
) -> object:
    """Connect, ask, disconnect.

    Args:
        way: to the venue.
        request: what to ask.
        connector: instead of the network.

    Returns:
        The reply.

    Raises:
        TrioflexError: it did not end in one.

    Cancellation: the connection is dropped. If the request may have changed the account, and may
    have left, that is said on standard error.
    """
    listener = Listener()
    ticket: trioflex.Ticket[Any] | None = None
    reply: object = None
    told = False
    try:
        with listener.blaming():
            async with reach(
                way,
                observer=listener,
                connector=connector,
                reconnect=trioflex.Reconnect.never(),
            ) as client:
                ticket = await client.submit(request)
                reply = await ticket.reply()
        told = True
    except trioflex.TrioflexError:
        told = True  # by the error
        raise
    finally:
        doubtful = (TicketState.SENT, TicketState.UNKNOWN)
        write = request.effect is Effect.WRITE
        if not told and write and ticket is not None and ticket.state in doubtful:
            print(
                f"Interrupted: {spell_request(request)} was sent and not answered; find out "
                "whether it happened before you send it again.",
                file=sys.stderr,
            )
    return reply


def call(
    context: typer.Context,
    venue: VenueName,
    request: Annotated[
        str, typer.Argument(metavar="REQUEST", help="As `trioflex venues VENUE` lists them.")
    ],
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE", help="What to ask.", show_default=False),
    ] = None,
    url: Url = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The reply on one line instead of indented.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Do not ask before a request that may move money."),
    ] = False,
    ca_file: CaFile = None,
    insecure: Insecure = False,
    key_file: KeyFile = None,
) -> None:
    """Send one request and print its reply as JSON."""
    wishes = Wishes(venue=venue, url=url, ca_file=ca_file, insecure=insecure, key_file=key_file)
    execute(context, call_command, wishes, request, fields or [], as_json, yes)
