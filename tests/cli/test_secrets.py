"""No secret of any venue in any log, tape, error, representation or traceback."""

from __future__ import annotations

import io
import json
import logging
import traceback

import pytest
import trio
from rich.console import Console

import trioflex
from tests.cli.test_hardness import CHANNELS, REQUESTS
from trioflex.cli import accounts, catalogue
from trioflex.cli.exits import sentence_of
from trioflex.cli.spelling import make_channel, make_request
from trioflex.simulator import SimulatedExchange, system_clock
from trioflex.tape import open_recorder
from trioflex.testing.redaction import secrets_of

# What goes over the wire in a login and is as good as the secret, or tells of it.
PROOFS = {"cookie", "signature", "sig", "password", "key", "pass"}

VENUES = {**REQUESTS, "oceanex": "GetMarkets"}


def proofs(value, name=""):
    """Every text below a telling name, JSON in JSON included."""
    if isinstance(value, dict):
        for each in value:
            yield from proofs(value[each], each if name not in PROOFS else name)
    elif isinstance(value, list):
        for each in value:
            yield from proofs(each, name)
    elif isinstance(value, str):
        if name in PROOFS:
            yield value
        elif value.startswith("{"):
            yield from proofs(json.loads(value), name)


def secrets(exchange, module, found):
    """Everything that must not be seen anywhere, in every spelling."""
    every = secrets_of(module.Credentials.from_env(found))
    names = accounts.NAMES[exchange.model.name]
    every |= {found[name] for name in (*names.secret, names.instead) if name in found}
    if names.key_file is not None:
        with open(found[names.key_file], encoding="ascii") as key:
            every |= {line.strip() for line in key if not line.startswith("-----")}
    for frame in exchange.frames:
        if frame.direction == ">" and isinstance(frame.text, str) and frame.text[:1] == "{":
            every |= set(proofs(json.loads(frame.text)))
    # MidChains says "password" in the name of a field, too.
    return {secret for secret in every if len(secret) >= 6} - {"PASSWORD"}


TROUBLES = {
    "none": lambda exchange: None,
    "refused": lambda exchange: exchange.refuse("*", 7, "no way", times=1),
    "unanswered": lambda exchange: exchange.silence("*"),
    "garbage": lambda exchange: exchange.garble("nonsense", times=None),
    "stalled": lambda exchange: exchange.stall(room=10),
    "dropped": lambda exchange: exchange.accept_and_drop(),
}


async def live(exchange, venue, credentials, request, path, told):
    """Log in, ask, subscribe, lose the connection; keep all that is told, of errors too."""

    async def talk(client):
        ticket = await client.submit(request)
        told.append(repr(ticket))
        told.append(repr(await ticket.reply()))
        if venue.name in CHANNELS:
            async with client.subscribe(make_channel(venue, CHANNELS[venue.name])) as receiver:
                told.append(repr(receiver))
                with trio.move_on_after(1):
                    told.append(repr(await receiver.receive()))
        exchange.drop()
        await trio.sleep(5)
        told.extend([repr(client), repr(client.statistics())])

    async with open_recorder(path, venue) as recorder:
        try:
            async with trioflex.open_client(
                venue,
                credentials=credentials,
                connector=recorder.connector(exchange.byte_connector),
                observer=recorder,
            ) as client:
                await talk(client)
        except (Exception, BaseExceptionGroup) as error:
            told += [repr(error), str(error), sentence_of(error)]
            tells = traceback.TracebackException.from_exception(error, capture_locals=True)
            told.append("".join(tells.format()))
            console = Console(file=io.StringIO(), width=400)
            console.print_exception(show_locals=True)
            told.append(console.file.getvalue())


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_no_secret_anywhere(tmp_path, autojump_clock, caplog, name, trouble):
    """Through the login, a request, a channel and every kind of failure, with everything told that
    can be told: the log at DEBUG, tapes, sentences, representations, tracebacks with what the
    variables hold."""
    caplog.set_level(logging.DEBUG)
    exchange = SimulatedExchange(name, clock=system_clock, frames_kept=10_000)
    TROUBLES[trouble](exchange)
    found = dict(exchange.model.credentials())
    venue, module = catalogue.find(name)
    credentials = module.Credentials.from_env(found)
    request = make_request(venue, VENUES[name], [])
    told = [repr(credentials), str(credentials), repr(venue), repr(request)]
    path = tmp_path / "tape.jsonl"
    await live(exchange, venue, credentials, request, path, told)
    assert (trouble == "none") == (not any("Traceback" in text for text in told))
    told += [record.getMessage() for record in caplog.records]
    told.append(path.read_text())
    assert any('dir":">"' in text for text in told) or trouble in ("dropped", "garbage")
    hidden = secrets(exchange, module, found)
    assert hidden
    leaks = {
        (secret, text[max(0, at - 300) : at + 40])
        for text in told
        for secret in hidden
        if (at := text.find(secret)) >= 0
    }
    assert set() == leaks
