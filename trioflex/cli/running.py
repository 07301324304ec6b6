"""How every command runs, ends, and is told of: one sentence and a status, in one place."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Awaitable, Callable

import attrs
import typer

from .exits import Status, reason_of, sentence_of, status_of
from .interruption import leaving_in_order
from .streams import give_up_errors, give_up_output, output_failed
from .termination import run


@attrs.define
class Options:
    """What was given before the command's name."""

    debug: bool = False


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
            run(function, *args)
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
    try:
        if options.debug:
            traceback.print_exception(error)
        elif text:
            print(text, file=sys.stderr)
        sys.stderr.flush()
    except OSError:
        give_up_errors()  # nobody can be told; the status still says it
    return status
