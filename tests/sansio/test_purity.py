"""Layers 0 and 1 live without trio, without a clock and without randomness of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PLUGIN = "tests.sansio.pure"


def pure_pytest(*arguments):
    """Run pytest in a process without trio; return its result."""
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "HYPOTHESIS_NO_PLUGINS": "1",  # one of them is trio's
        "PYTHONPATH": str(TESTS.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("PYTEST_ADDOPTS", None)
    options = [
        *("-c", os.devnull, "--rootdir", str(TESTS.parent), "--noconftest"),
        *("-q", "-x", "-W", "error", "-p", "no:cacheprovider", "-p", PLUGIN, "--assert=plain"),
    ]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *map(str, arguments)],
        env=environment,
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_test_of_layer_1_runs_in_a_process_without_trio():
    """What the pure layers do, they do without an event loop anywhere near."""
    files = sorted({*TESTS.glob("sansio/test_*.py"), *TESTS.glob("venues/test_*.py")})
    files += TESTS.glob("test_book.py")
    files.remove(Path(__file__))

    result = pure_pytest(*files)

    assert 0 == result.returncode, result.stdout[-4000:] + result.stderr[-2000:]


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("import trio", "trio must not be imported"),
        ("from trioflex import open_client", "cannot import name 'open_client'"),
        (
            "import trioflex._sansio.rates as m, time; m.time = time; exec('time.time()', vars(m))",
            "trioflex._sansio.rates calls time.time",
        ),
        (
            "import trioflex.protocol as m, os; m.os = os; exec('os.urandom(4)', vars(m))",
            "trioflex.protocol calls os.urandom",
        ),
    ],
)
def test_the_process_without_trio_would_notice(tmp_path, code, complaint):
    """The guard above is not asleep."""
    path = tmp_path / "test_sin.py"
    path.write_text(f"def test_sin():\n    {code}\n")

    result = pure_pytest(path)

    assert 1 == result.returncode
    assert complaint in result.stdout
