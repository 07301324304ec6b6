"""Taking turns: clients measured at the same time, each for a moment while the others stand still.

The speed of a machine that is shared with others changes within seconds, by more than what is to be
told apart. Clients that follow each other meet different weather; these share it, moment by moment.
A client sets itself up alone, says that it is ready and stops (``SIGSTOP``); from then on it runs
in turns until it has used the processor for long enough. Nothing is measured but its processor
time, which stands still while it does, and how much it got done.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar, cast

import attrs

Figures = dict[str, float]

Name = TypeVar("Name")

POSSIBLE = hasattr(signal, "SIGSTOP")

READY = "ready"
"""What a client says before it stops, alone on a line."""

TURN = 0.03
"""Seconds: many times what it takes to fill the caches again, and a small part of a second."""


class Taker:
    """The client's side; does nothing where nobody else is measured."""

    active = False

    def stop(self) -> None:
        """Say that the set-up is done, and wait for the first turn."""
        if self.active:
            print(READY, flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)


TAKER = Taker()


class MeasurementFailed(Exception):
    """A client process brought no figures."""


@attrs.define(eq=False)
class _Turns:
    """One client process and the turns that it had."""

    process: subprocess.Popen[str]
    turns: list[tuple[float, float]] = attrs.field(factory=list)

    def set_up(self, patience: float) -> None:
        """Wait until it is ready, or has ended without."""
        said, _, _ = select.select([self.process.stdout], [], [], patience)
        if said:
            line = cast("IO[str]", self.process.stdout).readline()
            if line.strip() == READY:
                os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                return
            self.process.kill()
            raise MeasurementFailed(last_words(self.process, line))
        self.process.kill()
        raise MeasurementFailed(f"not ready after {patience:.0f} s")

    def take(self) -> bool:
        """Have a turn; return whether another one is wanted."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGCONT)
        # Its end is no reason to wait any longer.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(TURN)
        self.process.send_signal(signal.SIGSTOP)
        self.turns.append((began, time.monotonic()))
        return self.process.poll() is None

    def figures(self) -> Figures:
        """Return what it measured."""
        output, errors = self.process.communicate()
        result = parse(output, errors, self.process.returncode)
        done, began, ended = (result.pop(name) for name in ("done", "began", "ended"))
        return {**result, "wall": done / had(self.turns, began, ended)}


def take_turns(
    commands: Mapping[Name, tuple[Sequence[str], Path]], *, patience: float
) -> dict[Name, Figures | MeasurementFailed]:
    """Measure client processes side by side.

    Args:
        commands: by name, what to run and in which folder.
        patience: seconds that one of them may take to set itself up, and for its turns.

    Returns:
        The figures of each, or why there are none.
    """
    results: dict[Name, Figures | MeasurementFailed] = {}
    running: dict[Name, _Turns] = {}
    with contextlib.ExitStack() as stack:
        for name, (command, folder) in commands.items():
            process = stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=folder,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            turns = _Turns(process)
            try:
                turns.set_up(patience)
            except MeasurementFailed as failure:
                results[name] = failure
            else:
                running[name] = turns
        end = time.monotonic() + patience * len(running)
        while running:
            for name in random.sample(list(running), len(running)):
                turns = running[name]
                if turns.take() and time.monotonic() < end:
                    continue
                del running[name]
                try:
                    if turns.process.poll() is None:
                        raise MeasurementFailed(f"not done after {patience:.0f} s")
                    results[name] = turns.figures()
                except MeasurementFailed as failure:
                    results[name] = failure
    return results


def had(turns: Sequence[tuple[float, float]], began: float, ended: float) -> float:
    """Return how much of the time between two moments lay in turns."""
    return sum(max(0.0, min(last, ended) - max(first, began)) for first, last in turns)


def last_words(process: subprocess.Popen[str], output: str) -> str:
    """Return why a process brought nothing, as far as it said so."""
    rest, errors = process.communicate()
    try:
        parse(output + rest, errors, process.returncode)
    except MeasurementFailed as failure:
        return str(failure)
    return "it did not wait for its turn"


def parse(output: str, errors: str, status: int) -> Figures:
    """Return the figures that a client process printed.

    Raises:
        MeasurementFailed: it died, or said why it could not.
    """
    try:
        result = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        last = errors.strip().splitlines()[-1:] or [f"exit status {status}"]
        raise MeasurementFailed(last[0]) from None
    if "failure" in result:
        raise MeasurementFailed(result["failure"])
    figures: Figures = result
    return figures
