"""``trioflex simulate`` in a process of its own, for the clients that know only the protocol."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CODE = "import typer; from trioflex.cli.simulate import simulate; typer.run(simulate)"


@contextmanager
def simulation(
    venue: str, *options: str, by: signal.Signals = signal.SIGINT, status: int = 130
) -> Iterator[dict[str, Any]]:
    """Serve a venue for the block, give what the first line says, and end it by a signal."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, venue, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.send_signal(by)
        output, log = process.communicate(timeout=10)
        assert (status, "") == (process.returncode, output)
        assert "Traceback" not in log
    finally:
        process.kill()
        process.communicate()
