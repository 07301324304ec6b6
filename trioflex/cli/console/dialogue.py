"""The dialogue: lines in, outputs out. It knows no terminal, and survives what commands meet."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trio

import trioflex
from trioflex import LocalProtocolError
from trioflex.protocol import Effect, Request

from .. import accounts
from ..exits import sentence_of
from ..plain import plain
from ..reaching import Way
from ..spelling import make_request, spell_request
from ..wording import question
from .actions import ACTIONS
from .banner import banner
from .choices import Choice, choice_of, fields_of
from .commands import is_request, split, word_of
from .following import OVER, Following
from .link import Link
from .outbox import Outbox
from .outputs import Answer, Ask, News, Output, Prompt, Say, Status, Tone
from .tree import Births, unsettled

log: logging.Logger = logging.getLogger("trioflex.console")

LONGEST_NAME = 60
"""Characters of a command: what is longer was pasted by mistake, and nobody wants it twice."""

PATIENCE = 1.0
"""Seconds without an answer after which it is said that one is awaited."""


class Dialogue:
    """A person's talk with a venue.

    Args:
        way: to the venue; credentials in it are used from the start.
        key_file: the private key, for venues that log in with one.
        connector: instead of the network.
        found: where credentials are looked for; ``None``: the environment and the files.
    """

    def __init__(
        self,
        way: Way,
        *,
        key_file: Path | None = None,
        connector: trioflex.Connector | None = None,
        found: Mapping[str, str] | None = None,
    ) -> None:
        self.way = way
        self.births: Births = Births()
        self.link: Link
        self.following: Following
        self.root: trio.lowlevel.Task
        self.over = False
        """The person wants to leave."""
        self._key_file = key_file
        self._connector = connector
        self._found = found
        self._lines: trio.MemoryReceiveChannel[str]
        self._outbox = Outbox()
        self._leaving = trio.CancelScope()

    async def run(
        self,
        lines: trio.MemoryReceiveChannel[str],
        out: trio.MemorySendChannel[Output],
        *,
        login: bool = False,
    ) -> None:
        """Talk until the lines end, the person leaves, or :meth:`leave` is called.

        Args:
            lines: what is typed.
            out: takes what is to be shown; closed at the end.
            login: log in before the first prompt.

        Cancellation: the connection is dropped.
        """
        self._lines = lines
        self.root = trio.lowlevel.current_task()
        with self.births.recording():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._outbox.run, out, name="outputs")
                async with trio.open_nursery() as below:
                    self.link = Link(self.way, below, self._heard, self._connector)
                    self.following = Following(self._outbox, below)
                    with self._leaving, suppress(trio.EndOfChannel):
                        await self._talk(login)
                    self._part()
                    await self.link.close()
                    below.cancel_scope.cancel()
                self._outbox.end()

    def leave(self) -> None:
        """End the dialogue at once, whatever it waits for, and close the connection politely."""
        self._leaving.cancel()

    # -- what actions use ----------------------------------------------------------------------

    def say(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Show lines."""
        self.show(Say(text, tone))

    def show(self, output: Output) -> None:
        """Show something, after all that was shown before."""
        self._outbox.tell(output)

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Ask the person and return the answer, without spaces around it.

        Raises:
            trio.EndOfChannel: there are no more lines.
        """
        self.show(Ask(question, secret))
        return (await self._lines.receive()).strip()

    async def connect(self) -> None:
        """Open a client, with a login where the venue serves no strangers."""
        if self.link.way.credentials is None and not self.way.venue.anonymous:
            await self.login()
            return
        self.say(f"Connecting to {self.way.venue.name} at {host(self.way.url)} ...", Tone.DIM)
        await self.link.open()

    async def login(self) -> None:
        """Log in, and ask for what is not at hand.

        Raises:
            LocalProtocolError: something is missing, or cannot be right.
            TrioflexError: the venue says no.
        """
        venue = self.way.venue
        if self.link.account is not None:
            raise LocalProtocolError(f"You are logged in already, as {self.link.account}.")
        account = accounts.look_up(
            venue.name, self.way.module, key_file=self._key_file, found=self._found
        )
        if account is None:
            raise LocalProtocolError(f"{venue.name} has no logins.")
        answers = {}
        for name in account.missing:
            answers[name] = await self.ask(f"{name}: ", secret=account.is_secret(name))
            if not answers[name]:
                raise LocalProtocolError(f"Not logged in: {name} was left empty.")
        credentials = account.make(answers)
        self.say(f"Logging in to {venue.name} at {host(self.way.url)} ...", Tone.DIM)
        await self.link.take(credentials)
        self.say(f"Logged in as {self.link.account}.", Tone.GOOD)

    def check(self, name: str, *, private: bool) -> trioflex.Client:
        """Return the client, if it can serve what is wanted.

        Raises:
            LocalProtocolError: there is no connection, or nobody is logged in; nothing was sent.
        """
        client = self.link.client
        if client is None or not client.ready:
            trying = client is not None and not self.link.away
            then = (
                " now. It goes on trying; `reconnect` tries at once."
                if trying
                else "; `connect` makes one."
            )
            raise LocalProtocolError(f"{name}: nothing was sent, there is no connection{then}")
        if private and client.account is None:
            raise LocalProtocolError(f"{name}: nothing was sent, it needs a login. `login` first.")
        return client

    # -- the talk ------------------------------------------------------------------------------

    async def _talk(self, login: bool) -> None:
        """Greet, connect, and obey.

        Raises:
            trio.EndOfChannel: there are no more lines.
        """
        for text, tone in banner(self.way):
            self.say(text, tone)
        await self._survive(self.login if login else self.connect)
        if self.link.client is None:
            self.say(f"`{'login' if login else 'connect'}` tries again.", Tone.DIM)
        while not self.over:
            self._tell_status()
            self.show(Prompt())
            line = await self._lines.receive()
            await self._survive(self._obey, line.strip())

    async def _survive(self, action: Any, *args: Any) -> None:
        """Do something; say in a sentence what went wrong."""
        try:
            await action(*args)
        except OVER:
            self.say("The client is gone. `connect` opens another one.", Tone.BAD)
        except trioflex.TrioflexError as error:
            text = sentence_of(error)
            # What is wrong with a line may repeat it, and that may be a secret.
            if not isinstance(error, LocalProtocolError):
                log.warning("%s", text)
            self.say(text, Tone.BAD)

    async def _obey(self, line: str) -> None:
        name, _, tail = line.partition(" ")
        if not name:
            return
        word = word_of(name)
        # A shell takes its words apart itself.
        rest = [tail.strip()] if word == "sh" else split(tail)
        choice = choice_of(self.way.venue.name, name)
        if word is not None:
            log.info("command: %s", word)
            await ACTIONS[word](self, rest)
        elif choice is not None:
            log.info("command: %s %s", choice.number, choice.summary)
            await self._choose(choice, rest)
        elif is_request(self.way.venue, name):
            await self._request(name, rest)
        else:
            # It is not repeated in the log: it may be a secret, pasted in the wrong place.
            log.info("command: not understood")
            shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
            raise LocalProtocolError(f"{shown!r} is not understood; `help` lists what is.")

    async def _choose(self, choice: Choice, rest: Sequence[str]) -> None:
        """Do what a numbered choice stands for."""
        if choice.word is not None:
            await ACTIONS[choice.word](self, [])
            return
        if choice.request is None:
            raise TypeError(f"choice {choice.number} does nothing")
        kind = next(r for r in self.way.venue.requests if r.__name__ == choice.request)
        self.check(choice.summary, private=kind.private)
        fields: Sequence[str] = []
        if choice.question:
            # On the same line spaces may stand instead of commas.
            given = re.sub(r"\s*,\s*", ",", " ".join(rest)).replace(" ", ",")
            line = given or await self.ask(choice.question)
            if not line:
                raise LocalProtocolError("Nothing was sent.")
            fields = fields_of(choice, line)
        await self._request(choice.request, fields)

    async def _request(self, name: str, fields: Sequence[str]) -> None:
        """Make a request, have it confirmed where it may change the account, and send it."""
        request = make_request(self.way.venue, name, fields)
        name = type(request).__name__
        client = self.check(name, private=request.private)
        if request.effect is Effect.WRITE:
            where = f"{self.way.venue.name} at {host(self.way.url)}"
            answer = await self.ask(question(where, request))
            if answer.lower() not in ("y", "yes"):
                raise LocalProtocolError(f"{name} was not sent: it was declined.")
            client = self.check(name, private=request.private)
        log.info("request: %s", spell_request(request))
        value = plain(await self._reply(client, request))
        log.info("reply to %s:\n%s", name, json.dumps(value, indent=2, sort_keys=True))
        self.show(Answer(name, value))

    async def _reply(self, client: trioflex.Client, request: Request[Any]) -> object:
        """Send a request and wait for its answer; say so if that takes time."""
        error: Exception | None = None
        reply: object = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._wait_for, type(request).__name__)
            try:
                ticket = await client.submit(request)
                reply = await ticket.reply()
            except (trioflex.TrioflexError, *OVER) as wrong:
                error = wrong
            nursery.cancel_scope.cancel()
        if error is not None:
            raise error
        return reply

    async def _wait_for(self, name: str) -> None:
        await trio.sleep(PATIENCE)
        self.say(f"Waiting for the answer to {name} ...", Tone.DIM)

    def _part(self) -> None:
        """Say what should be known by whoever leaves."""
        if self.link.client is None:
            return
        told = unsettled(self.link.client)
        for line in told:
            self.say(line, Tone.BAD)
        if told:
            self.say("Find out whether it happened before you send it again.", Tone.BAD)

    def _heard(self, news: News | None) -> None:
        """Pass on what the connection does."""
        if news is not None:
            log.info("%s: %s", news.word, news.text)
            self.show(news)
        self._tell_status()

    def _tell_status(self) -> None:
        link, name = self.link, self.way.venue.name
        if link.ready:
            who = "nobody is logged in" if link.account is None else f"as {link.account}"
            state = f"connection {link.connection}, {who}"
        elif link.client is None:
            state = "not connected"
        else:
            state = "no connection now"
        running = tuple(self.following.running)
        parts = [name, host(self.way.url), state]
        if running:
            parts.append(f"{len(running)} subscription{'s' if len(running) > 1 else ''}")
        self.show(Status("  ".join(parts), link.ready, running))


def host(url: str) -> str:
    """Return where an address leads, without what may be secret in it."""
    parts = urlsplit(url)
    try:
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:  # whoever connects will say so
        port = ""
    return f"{parts.hostname}{port}"
