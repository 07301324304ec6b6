"""Run cases: one load server, a process for each client; rates in turns, the rest in new order."""

from __future__ import annotations

import compileall
import contextlib
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

import attrs

from . import machine
from .cases import COMPILED, OURS, QUICK_PEERS, RATE, Case
from .client import clients, missing
from .measure import Figures
from .turns import POSSIBLE, MeasurementFailed, parse, take_turns

ROOT = Path(__file__).resolve().parent.parent

RESULTS = ROOT / "benchmarks" / "results"

COMPILED_ROOT = Path(sys.prefix) / "compiled" / "src"
"""Where ``make compiled`` puts a copy of the source whose hot modules are compiled."""

SOURCE = ("trioflex", "benchmarks")
"""What must be the same in the copy."""

RUN_LIMIT = 30.0
"""Seconds for one client process; one that hangs is no reason for all to hang."""

IMPORTS = {
    OURS: "trioflex",
    OURS + COMPILED: "trioflex",
    "trio": "trio",
    "trio-websocket": "trio_websocket",
    "websockets": "websockets.asyncio.client",
    "aiohttp": "aiohttp",
    "picows": "picows",
}
"""What ``import`` means for each: whatever brings its client."""

IMPORT = """
import importlib, json, os, sys, time
if len(sys.argv) > 2:
    os.sched_setaffinity(0, {int(sys.argv[2])})
start = time.process_time()
importlib.import_module(sys.argv[1])
print(json.dumps({"ms": (time.process_time() - start) * 1e3}))
"""
"""Its own little program: the benchmark's own imports must not have paid for anything."""

Results = dict[str, dict[str, list[Figures]]]
"""Case to client to figures, one a round."""


@attrs.frozen
class Server:
    """The running load server."""

    port: int
    tls_port: int
    certificate: Path

    def url(self, tls: bool) -> str:
        """Return its address."""
        return f"wss://127.0.0.1:{self.tls_port}" if tls else f"ws://127.0.0.1:{self.port}"


@contextlib.contextmanager
def load_server(core: int | None) -> Iterator[Server]:
    """Start the load server, stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="trioflex-bench-") as folder:
        certificate = machine.certificate(Path(folder))
        command = [sys.executable, "-m", "benchmarks.server", "--certificate", str(certificate)]
        if core is not None:
            command += ["--core", str(core)]
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        with process:
            try:
                port, tls_port = map(int, stdout.readline().split())
                yield Server(port, tls_port, certificate)
            finally:
                stdin.close()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()


@attrs.define
class Runner:
    """Runs what is asked for and keeps what came out."""

    cases: list[Case]
    only: set[str] | None
    """Names of the clients to run; ``None``: all that are installed."""
    seconds: float
    quick: bool
    tell: Callable[[str], None]
    compiled: Path = COMPILED_ROOT
    """The root of the compiled copy, if there is one."""
    results: Results = attrs.field(factory=dict)
    skipped: dict[str, str] = attrs.field(factory=dict)
    """Client to the reason why it did not take part."""
    failed: dict[tuple[str, str], str] = attrs.field(factory=dict)
    """Case and client to what went wrong."""
    rounds: int = 0

    def run(self, rounds: int, limit: float) -> None:
        """Do so many rounds, or fewer if the next one would not end within ``limit`` seconds."""
        start = time.monotonic()
        self._skip_missing()
        # As an installation would: with PYTHONDONTWRITEBYTECODE an import of ours compiled anew
        # each time, which took half of it, beside peers that pip has compiled.
        for root in (ROOT, self.compiled):
            compileall.compile_dir(root / "trioflex", quiet=2)
        # A quick run measures nothing, so it may run wherever there is room.
        server_core, client_core = (None, None) if self.quick else machine.cores()
        with load_server(server_core) as server:
            while self.rounds < rounds:
                before = time.monotonic()
                self._round(server, client_core)
                self.rounds += 1
                now = time.monotonic()
                self.tell(f"round {self.rounds} took {now - before:.0f} s")
                if self.rounds < rounds and now + (now - before) - start > limit:
                    self.tell(f"no time for another round within {limit:.0f} s")
                    break

    def profile(self, name: str) -> str:
        """Run one client in the first case, and return where its time went."""
        server_core, client_core = machine.cores()
        with load_server(server_core) as server:
            command = self._command(self.cases[0], name, server, client_core)
            done = subprocess.run(
                [*command, "--profile"],
                cwd=self._root(name),
                capture_output=True,
                text=True,
                timeout=RUN_LIMIT,
                check=False,
            )
        return done.stdout + done.stderr

    def _skip_missing(self) -> None:
        for name, client in clients().items():
            lacking = missing(client)
            if lacking:
                self.skipped[name] = "not installed: " + ", ".join(lacking)
        for name, reason in self.skipped.items():
            self.tell(f"without {name} ({reason}); pip install 'trioflex[bench]' brings it")
        reason = unfit(self.compiled)
        if reason:
            self.tell(f"without the compiled build ({reason}); make compiled makes it")
            names = [*clients(), *IMPORTS]
            self.skipped |= {name: reason for name in names if name.endswith(COMPILED)}

    def _root(self, name: str) -> Path:
        """Return the folder whose trioflex a client is to use."""
        return self.compiled if name.endswith(COMPILED) else ROOT

    def _round(self, server: Server, core: int | None) -> None:
        for cases in self._together(core):
            commands = {
                (case.name, name): (self._command(case, name, server, core), self._root(name))
                for case in cases
                for name in self._fit(case)
                if (case.name, name) not in self.failed
            }
            if turns(cases[0], core):
                outcomes = take_turns(commands, patience=RUN_LIMIT)
            else:
                # Whoever comes first meets a cooler machine.
                shuffled = random.sample(list(commands), len(commands))
                outcomes = {key: execute(*commands[key]) for key in shuffled}
            for key, figures in outcomes.items():
                if isinstance(figures, MeasurementFailed):
                    self.failed[key] = str(figures)
                    self.tell(f"{key[0]}: {key[1]} failed: {figures}")
                else:
                    case, name = key
                    self.results.setdefault(case, {}).setdefault(name, []).append(figures)

    def _together(self, core: int | None) -> list[list[Case]]:
        """Return which cases are measured at the same time: those that are compared."""
        groups: dict[object, list[Case]] = {}
        for case in self.cases:
            key = (case.measurement, case.tls) if turns(case, core) else case.name
            groups.setdefault(key, []).append(case)
        return list(groups.values())

    def _fit(self, case: Case) -> list[str]:
        if case.measurement == "import":
            names = [name for name in IMPORTS if name not in self.skipped]
        else:
            names = [
                name
                for name, client in clients().items()
                if case.measurement in client.cases and name not in self.skipped
            ]
        if self.quick and case.name not in QUICK_PEERS:
            names = [name for name in names if name in (case.ours, case.ours + COMPILED)]
        return [name for name in names if self.only is None or name in self.only]

    @staticmethod
    def _importing(name: str, core: int | None) -> list[str]:
        command = [sys.executable, "-c", IMPORT, IMPORTS[name]]
        return command if core is None else [*command, str(core)]

    def _command(self, case: Case, name: str, server: Server, core: int | None) -> list[str]:
        if case.measurement == "import":
            return self._importing(name, core)
        command = [sys.executable, "-m", "benchmarks.client", name, case.measurement,
                   server.url(case.tls), "--size", str(case.size),
                   "--seconds", str(self.seconds)]  # fmt: skip
        if case.tls:
            command += ["--trust", str(server.certificate)]
        if core is not None:
            command += ["--core", str(core)]
        if turns(case, core):
            command.append("--turns")
        return command


def turns(case: Case, core: int | None) -> bool:
    """Whether clients take turns in this case: by the clock they could not be measured so."""
    return POSSIBLE and core is not None and case.figure is RATE


def unfit(compiled: Path) -> str:
    """Return why a compiled copy of the source cannot be measured beside it, or nothing."""
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    if not (compiled / "trioflex/_sansio/frames").with_suffix(suffix).exists():
        return "there is none for this Python"
    for path in (p for folder in SOURCE for p in sorted((ROOT / folder).rglob("*.py"))):
        copy = compiled / path.relative_to(ROOT)
        if not copy.exists() or copy.read_bytes() != path.read_bytes():
            return f"it is of another source: {path.relative_to(ROOT)}"
    return ""


def execute(command: list[str], root: Path) -> Figures | MeasurementFailed:
    """Run a client process alone; return the figures it prints, or why there are none."""
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=RUN_LIMIT, check=False
        )
        return parse(done.stdout, done.stderr, done.returncode)
    except subprocess.TimeoutExpired:
        return MeasurementFailed(f"not done after {RUN_LIMIT:.0f} s")
    except MeasurementFailed as failure:
        return failure
