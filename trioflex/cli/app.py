"""The command line itself: global options, one function for each command."""

from __future__ import annotations

import importlib.metadata
import sys
import traceback
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated

import attrs
import trio
import typer

from .call import call
from .check import check_venue
from .console.command import console
from .exits import Status, reason_of, sentence_of, status_of
from .interruption import leaving_in_order
from .record import record_channels
from .replay import replay
from .simulate import simulate
from .streams import give_up_output, output_failed
from .venues import venues
from .watch import watch_channels


@attrs.define
class Options:
    """What was given before the command's name."""

    debug: bool = False


app: typer.Typer = typer.Typer(
    name="trioflex",
    help="Exchange WebSocket APIs for Trio, from the command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 internal error, 2 usage, 3 refused by the venue, 4 outcome "
    "unknown, 5 not sent, 6 login failed, 7 could not connect, 8 connection lost, 9 the venue "
    "broke its protocol, 130 interrupted.",
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


def execute(
    context: typer.Context, function: Callable[..., Awaitable[object]], *args: object
) -> None:
    """
    Run a command's async function to its end, and tell the person how it went wrong.

    Raises:
        typer.Exit: with the status of what was raised, if anything was.
    """
    try:
        with leaving_in_order():
            trio.run(function, *args)
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        status = report(error, context.find_object(Options) or Options())
        raise typer.Exit(status) from None


def report(error: BaseException, options: Options) -> int:
    """
    Tell the person what went wrong, in the outermost frame of the process: here or nowhere.

    Returns:
        The exit status.
    """
    reason = reason_of(error)
    if isinstance(reason, KeyboardInterrupt):
        # It may strike between making a coroutine and handing it to Trio; that is no news.
        warnings.filterwarnings("ignore", ".*was never awaited", RuntimeWarning)
    if isinstance(reason, BrokenPipeError):
        # Whoever read our output (`| head`) has seen enough. Python would complain once more when
        # it flushes at exit, unless there is somewhere to flush to.
        give_up_output()
        return Status.DONE
    if isinstance(reason, OSError) and output_failed(reason):
        give_up_output()
        text, status = f"Standard output cannot be written: {reason.strerror}.", Status.USAGE
    else:
        text, status = sentence_of(reason), status_of(reason)
    with suppress(OSError):  # nobody can be told; the status still says it
        if options.debug:
            traceback.print_exception(error)
        elif text:
            print(text, file=sys.stderr)
    return status


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


@app.command()
def demo(
    context: typer.Context,
    seconds: Annotated[
        float, typer.Option(min=3.0, max=3600.0, help="How long to trade.", metavar="SECONDS")
    ] = 8.0,
    seed: Annotated[int, typer.Option(help="Chooses the course of the market.")] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line instead of a screen.")
    ] = False,
) -> None:
    """Watch a simulated exchange trade, lose the connection once, and recover."""
    from .demo import demo_command

    execute(context, demo_command, seconds, seed, as_json)


app.command()(simulate)
app.command()(venues)
app.command("check")(check_venue)
app.command()(call)
app.command("watch")(watch_channels)
app.command("record")(record_channels)
app.command()(replay)
app.command()(console)
