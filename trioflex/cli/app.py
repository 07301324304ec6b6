"""The command line itself: global options, one function for each command."""

from __future__ import annotations

import importlib.metadata
from typing import Annotated

import typer

from .call import call
from .check import check_venue
from .console.command import console
from .exits import Status
from .helping import Command, Group
from .record import record_channels
from .replay import replay
from .running import Options, execute, report
from .simulate import simulate
from .venues import venues
from .watch import watch_channels

app: typer.Typer = typer.Typer(
    name="trioflex",
    cls=Group,
    help="Exchange WebSocket APIs for Trio, from the command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 internal error, 2 usage, 3 refused by the venue, 4 outcome "
    "unknown, 5 not sent, 6 login failed, 7 could not connect, 8 connection lost, 9 the venue "
    "broke its protocol, 130 interrupted by Ctrl-C, 143 ended by SIGTERM.",
)


def run() -> int:
    """Run the command line of this process and return its exit status."""
    options = Options()
    try:
        app(obj=options, prog_name="trioflex")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else Status.DONE
    except ModuleNotFoundError:
        raise  # something of the extra is missing; whoever called knows what to say
    except Exception as error:
        return report(error, options)
    return Status.DONE


def _version(wanted: bool) -> None:
    if wanted:
        print(f"trioflex {importlib.metadata.version('trioflex')}")
        raise typer.Exit


@app.callback()
def _global(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks instead of sentences.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    options = context.find_object(Options)
    if options is not None:
        options.debug = debug


@app.command(cls=Command)
def demo(
    context: typer.Context,
    seconds: Annotated[
        float, typer.Option(min=3.0, max=3600.0, help="How long to trade.", metavar="SECONDS")
    ] = 8.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Chooses the course of the market.")] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line instead of a screen.")
    ] = False,
) -> None:
    """Watch a simulated exchange trade, lose the connection once, and recover."""
    from .demo import demo_command

    execute(context, demo_command, seconds, seed, as_json)


app.command(cls=Command)(simulate)
app.command(cls=Command)(venues)
app.command("check", cls=Command)(check_venue)
app.command(cls=Command)(call)
app.command("watch", cls=Command)(watch_channels)
app.command("record", cls=Command)(record_channels)
app.command(cls=Command)(replay)
app.command(cls=Command)(console)
