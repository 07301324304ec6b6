"""The Autobahn|Testsuite: found an interpreter for, installed, started on loopback, stopped."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent

STARTING = 30.0
"""Seconds that the suite's server may take to listen; it takes one or two."""

# The last virtualenv that still makes environments for CPython 2.7.
VIRTUALENV = "virtualenv==20.15.1"


class Missing(Exception):
    """Something of the machine's is not there; the message is one sentence that says what."""


def find_python27(wanted: str) -> str:
    """Return the path of a CPython 2.7 that has pip.

    Args:
        wanted: a path or a command's name; empty: ``python2.7``, if there is one.

    Raises:
        Missing: there is none.
    """
    name = wanted or "python2.7"
    found = shutil.which(os.path.expanduser(name))
    if found is None:
        what = f"{wanted} is not there" if wanted else "none is given and none is found"
    else:
        test = "import sys, pip; sys.exit(sys.version_info[:2] != (2, 7))"
        run = subprocess.run([found, "-c", test], capture_output=True, check=False, timeout=60)
        if run.returncode == 0:
            return found
        what = f"{found} is none, or lacks pip"
    raise Missing(
        f"The Autobahn|Testsuite needs a CPython 2.7 with pip, and {what}: name one with"
        " make conformance PY27=/path/to/python2.7"
    )


def install(python27: str, folder: Path) -> Path:
    """Make the suite's own environment, unless it is there, and return its interpreter.

    Raises:
        Missing: it could not be installed.
    """
    python = folder / "py27" / "bin" / "python"
    if (folder / "py27" / "bin" / "wstest").exists():
        return python
    print(f"Installing the Autobahn|Testsuite into {folder} ...", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    tools = folder / "virtualenv"
    requirements = HERE / "requirements-py27.txt"
    log = folder / "install.log"
    steps: list[tuple[list[str], dict[str, str]]] = [
        ([python27, "-m", "pip", "install", "-q", "--target", str(tools), VIRTUALENV], {}),
        ([python27, "-m", "virtualenv", "-q", str(folder / "py27")], {"PYTHONPATH": str(tools)}),
        ([str(python), "-m", "pip", "install", "-q", "-r", str(requirements)], {}),
    ]
    with log.open("w") as out:
        for command, environment in steps:
            run = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                check=False,
            )
            if run.returncode:
                raise Missing(
                    f"The Autobahn|Testsuite could not be installed: {' '.join(command)} failed,"
                    f" see {log}."
                )
    return python


@contextmanager
def serving(python: Path, folder: Path) -> Iterator[str]:
    """Run the suite's fuzzing server while the block runs; yield its URL.

    Raises:
        Missing: it does not come up.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"ws://127.0.0.1:{port}"
    spec = json.loads((HERE / "fuzzingserver.json").read_text(encoding="utf-8"))
    reports = folder / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    (folder / "spec.json").write_text(
        json.dumps({**spec, "url": url, "outdir": str(reports)}), encoding="utf-8"
    )
    log = folder / "server.log"
    command = [str(python), str(HERE / "wstest-loopback"), "-m", "fuzzingserver"]
    with log.open("w") as out:
        server = subprocess.Popen(
            [*command, "-s", str(folder / "spec.json"), "-u", "0"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        try:
            _wait_listening(server, port, log)
            yield url
        finally:
            server.terminate()
            server.wait()


def _wait_listening(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise Missing(f"The Autobahn|Testsuite's server does not come up, see {log}.")
