"""How the Autobahn|Testsuite is run, and judged; the run itself is ``make conformance``."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conformance import suite, verdicts

FINE = {"behavior": "OK", "behaviorClose": "OK"}
GOOD = {f"{group}.1.2": FINE for group in verdicts.GROUPS}


@pytest.mark.parametrize("arguments", [[], ["--py27", "/nowhere/python2.7"]])
def test_without_a_python_27_one_sentence_says_so(arguments, tmp_path):
    """... and the exit status is 2."""
    run = subprocess.run(
        [sys.executable, "-m", "conformance", "--folder", str(tmp_path), *arguments],
        env={**os.environ, "PATH": str(tmp_path)},
        cwd=suite.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (2, "") == (run.returncode, run.stdout)
    assert run.stderr.startswith("The Autobahn|Testsuite needs a CPython 2.7 with pip, and ")
    assert 1 == len(run.stderr.splitlines())
    assert [] == list(tmp_path.iterdir())


def test_another_python_will_not_do():
    """It is looked at before anything is installed."""
    with pytest.raises(suite.Missing, match="is none, or lacks pip"):
        suite.find_python27(sys.executable)


def test_nothing_is_wrong_with_good_verdicts():
    """Those that are beside the letter, or about nothing, are good."""
    report = {**GOOD, "3.2": {"behavior": "NON-STRICT", "behaviorClose": "INFORMATIONAL"}}
    assert [] == verdicts.bad_cases(report)
    assert [] == verdicts.missing_groups(report)
    assert " 3 reserved bits                  2  1 OK, 1 NON-STRICT;" in verdicts.table(report)


@pytest.mark.parametrize("verdict", ["FAILED", "FAILED BY CLIENT", "WRONG CODE", "UNCLEAN"])
@pytest.mark.parametrize("field", ["behavior", "behaviorClose"])
def test_bad_verdicts_are_named(field, verdict):
    """On what a client did, and on how it closed."""
    (line,) = verdicts.bad_cases({**GOOD, "7.9.10": {**FINE, field: verdict}})
    assert line.startswith("case 7.9.10: ")
    assert verdict in line


def test_groups_that_were_not_run_are_missed():
    """A server that served half of the suite proves nothing."""
    assert ["2", "10"] == verdicts.missing_groups(
        {case: row for case, row in GOOD.items() if case not in ("2.1.2", "10.1.2")}
    )
