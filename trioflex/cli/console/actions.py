"""What the commands do that are not requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from trioflex import LocalProtocolError

from ..spelling import make_channel, spell
from .banner import banner
from .choices import choice_of
from .commands import describe, find_entry, long_help, overview, usage_of
from .outputs import Clear, Shell, Tone
from .tree import queues, tasks

if TYPE_CHECKING:
    from .dialogue import Dialogue


async def _help(dialogue: Dialogue, args: Sequence[str]) -> None:
    venue = dialogue.way.venue
    if not args:
        if choice_of(venue.name, "1") is not None:
            await _banner(dialogue, args)
        dialogue.say("\n".join(overview(venue)))
        return
    for name in args:
        choice = choice_of(venue.name, name)
        known = usage_of(name) or (choice is not None and choice.word and usage_of(choice.word))
        wanted = name if choice is None or choice.request is None else choice.request
        dialogue.say(known or "\n".join(describe(find_entry(venue, wanted))))


async def _banner(dialogue: Dialogue, args: Sequence[str]) -> None:
    for text, tone in banner(dialogue.way):
        dialogue.say(text, tone)


async def _long_help(dialogue: Dialogue, args: Sequence[str]) -> None:
    dialogue.say("\n".join([*overview(dialogue.way.venue), *long_help(dialogue.way.venue)]))


async def _connect(dialogue: Dialogue, args: Sequence[str]) -> None:
    link = dialogue.link
    if link.ready:
        raise LocalProtocolError("There is a connection; `reconnect` replaces it.")
    if link.client is None:
        await dialogue.connect()
    else:
        await _reconnect(dialogue, args)


async def _disconnect(dialogue: Dialogue, args: Sequence[str]) -> None:
    if dialogue.link.client is None:
        raise LocalProtocolError("There is no connection.")
    await dialogue.link.disconnect()
    dialogue.say("Disconnected; `connect` comes back.")


async def _reconnect(dialogue: Dialogue, args: Sequence[str]) -> None:
    if dialogue.link.client is None:
        await dialogue.connect()
        return
    dialogue.say("Connecting ...", Tone.DIM)
    await dialogue.link.reconnect()
    if not dialogue.link.ready:
        dialogue.say("Not connected yet; it goes on trying. `disconnect` ends that.", Tone.BAD)


async def _login(dialogue: Dialogue, args: Sequence[str]) -> None:
    if args:
        raise LocalProtocolError("login takes nothing: it asks for what is not at hand.")
    await dialogue.login()


async def _subscribe(dialogue: Dialogue, args: Sequence[str]) -> None:
    venue, following = dialogue.way.venue, dialogue.following
    if not venue.channels:
        raise LocalProtocolError(f"{venue.name} has no channels: it sends nothing by itself.")
    if not args:
        names = "\n".join(following.running) or "Nothing is on; `help` lists the channels."
        dialogue.say(names)
    for channel in [make_channel(venue, text) for text in args]:
        name = spell(channel)
        client = dialogue.check(name, private=channel.private)
        await following.start(client, channel)
        dialogue.say(f"{name} is on.", Tone.GOOD)


async def _unsubscribe(dialogue: Dialogue, args: Sequence[str]) -> None:
    venue, following = dialogue.way.venue, dialogue.following
    if not args:
        raise LocalProtocolError("unsubscribe takes channels, or `all`.")
    everything = [text.lower() for text in args] == ["all"]
    names = [*following.running] if everything else [spell(make_channel(venue, x)) for x in args]
    for name in names:
        if name not in following.running:
            raise LocalProtocolError(f"{name} is not on.")
        following.stop(name)
        dialogue.say(f"{name} is off.")


async def _status(dialogue: Dialogue, args: Sequence[str]) -> None:
    client = dialogue.link.client
    if client is None:
        dialogue.say("There is no client; `connect` opens one.")
        return
    counts = client.statistics()
    ping = "-" if counts.ping_time is None else f"{counts.ping_time * 1000:.1f} ms"
    why = dialogue.link.reason
    state = "ready" if client.ready else f"no connection now ({why})" if why else "no connection"
    who = "nobody is logged in" if client.account is None else f"logged in as {client.account}"
    dialogue.say(
        f"{state}, {who}\n"
        f"attempts {counts.attempts}, connections {counts.connections}, ping {ping}\n"
        f"messages in {counts.messages_in} ({counts.bytes_in} bytes), "
        f"out {counts.messages_out} ({counts.bytes_out} bytes)\n"
        f"requests {counts.requests}, replies {counts.replies}, refusals {counts.refusals}, "
        f"late {counts.late_replies}, outcome unknown {counts.outcome_unknown}\n"
        f"pushes {counts.pushes}, unrouted {counts.unrouted}, ignored {counts.ignored}, "
        f"malformed {counts.malformed}"
    )


async def _tree(dialogue: Dialogue, args: Sequence[str]) -> None:
    dialogue.say("\n".join(tasks(dialogue.root, dialogue.births)))
    dialogue.say("\n".join(queues(dialogue.link, dialogue.following)), Tone.DIM)


async def _clear(dialogue: Dialogue, args: Sequence[str]) -> None:
    dialogue.show(Clear())


async def _shell(dialogue: Dialogue, args: Sequence[str]) -> None:
    shell = Shell(args[0] or None if args else None)
    dialogue.show(shell)
    await shell.done.wait()


async def _quit(dialogue: Dialogue, args: Sequence[str]) -> None:
    dialogue.over = True


ACTIONS: Mapping[str, Callable[[Dialogue, Sequence[str]], Awaitable[None]]] = {
    "help": _help,
    "banner": _banner,
    "lhelp": _long_help,
    "connect": _connect,
    "disconnect": _disconnect,
    "reconnect": _reconnect,
    "login": _login,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "status": _status,
    "tree": _tree,
    "clear": _clear,
    "sh": _shell,
    "quit": _quit,
}
"""By the first name of each of :data:`.commands.WORDS`."""
