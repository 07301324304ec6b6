"""The command line: what it prints where, and with which status it ends."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys

import pytest
import trio
import typer

import trioflex
from trioflex.cli import app as app_module, main
from trioflex.cli.running import execute
from trioflex.simulator import SimulatedExchange


def command_line(monkeypatch, *arguments):
    """Run ``trioflex ARGUMENTS`` in this process and return its status."""
    monkeypatch.setattr(sys, "argv", ["trioflex", *arguments])
    with pytest.raises(SystemExit) as leaving:
        main()
    return int(leaving.value.code or 0)


@pytest.fixture
def failing(monkeypatch):
    """Make ``trioflex fail`` raise what the test wants, with the options the command was given."""
    raises: list[BaseException] = []
    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(app_module._global)

    @app.command()
    def fail(context: typer.Context) -> None:
        async def run() -> None:
            await trio.lowlevel.checkpoint()
            raise raises[0]

        execute(context, run)

    monkeypatch.setattr(app_module, "app", app)
    return raises


def test_version(monkeypatch, capsys):
    """``--version`` is one line that programs can read."""
    assert 0 == command_line(monkeypatch, "--version")
    assert capsys.readouterr().out.startswith("trioflex 0.")


def test_without_arguments_it_explains_itself(monkeypatch, capsys):
    """The first thing a person types shows what there is."""
    # Older versions of typer's parser count it as having asked for help.
    assert command_line(monkeypatch) in (0, 2)
    output = "".join(capsys.readouterr())
    assert "demo" in output


@pytest.mark.parametrize(
    "command",
    ["", "demo", "simulate", "venues", "check", "call", "watch", "record", "replay", "console"],
)
def test_help_names_what_is_typed(monkeypatch, capsys, command):
    """No type beside flags, no brackets within brackets, no dots twice."""
    monkeypatch.setenv("COLUMNS", "100")
    assert 0 == command_line(monkeypatch, *filter(None, [command]), "--help")
    output = capsys.readouterr().out
    assert "--help" in output
    for odd in ("bool", "BOOLEAN", "[[", "...}", "...]...", "int range"):
        assert odd not in output


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["demo", "--nonsense"], ["demo", "--seconds", "x"]]
)
def test_wrong_usage(monkeypatch, capsys, arguments):
    """Wrong arguments are status 2, and standard output stays clean for programs."""
    assert 2 == command_line(monkeypatch, *arguments)
    assert "" == capsys.readouterr().out


def test_an_error_is_a_sentence_on_stderr(monkeypatch, capsys, failing):
    """A person gets the sentence, a script the status, nobody a traceback."""
    failing.append(trioflex.Refused("coinflex refused PlaceOrder: code 4", code="4", text="no"))
    assert 3 == command_line(monkeypatch, "fail")
    out, err = capsys.readouterr()
    assert "" == out
    assert "coinflex refused PlaceOrder: code 4\n" == err


def test_debug_shows_the_traceback(monkeypatch, capsys, failing):
    """... unless it was asked for; the status stays the same."""
    failing.append(trioflex.NotSent("too late"))
    assert 5 == command_line(monkeypatch, "--debug", "fail")
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c(monkeypatch, capsys, failing):
    """Interrupted is 130, without a word, also out of tasks that ran side by side."""
    failing.append(BaseExceptionGroup("", [KeyboardInterrupt()]))
    assert 130 == command_line(monkeypatch, "fail")
    assert ("", "") == tuple(capsys.readouterr())


def test_a_reader_that_leaves_is_no_error(monkeypatch, capfd, failing, tmp_path):
    """``trioflex … | head`` ends quietly when head has seen enough."""
    failing.append(BrokenPipeError())
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert 0 == command_line(monkeypatch, "fail")
    assert "" == capfd.readouterr().err


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_extra_it_says_so(monkeypatch, capsys, package):
    """The command is always installed; what it needs is named, with the remedy."""
    for name in [*sys.modules]:
        if name.startswith("trioflex.cli.") or name.partition(".")[0] == package:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert 2 == command_line(monkeypatch, "demo", "--seconds", "3")
    error = capsys.readouterr().err
    assert package in error
    assert "pip install 'trioflex[cli]'" in error


def run_in_shell(words):
    """Run a line of a shell in which ``trioflex`` is the command."""
    python = shlex.quote(sys.executable)
    line = f'trioflex() {{ {python} -c "from trioflex.cli import main; main()" "$@"; }}; {words}'
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "PYTHONUNBUFFERED=1 "])
def test_a_full_disk_is_no_bug_of_ours(unbuffered):
    """What cannot be printed is said, once, and is nothing to report."""
    done = run_in_shell(f"export {unbuffered}; trioflex venues coinflex >/dev/full")
    assert (2, "Standard output cannot be written: No space left on device.\n") == (
        done.returncode,
        done.stderr,
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_an_error_that_cannot_be_told_keeps_its_status():
    """A script still learns it."""
    assert 2 == run_in_shell("trioflex call coinflex Nonsense 2>/dev/full").returncode


def test_closed_streams_are_empty_ones(simulated):
    """Nothing to read, nowhere to write: no reason to fall over."""
    watch = f"trioflex watch coinflex Ticker:XBT:USDT --count 1 --url {simulated}"
    assert (0, "") == outcome(run_in_shell(f"{watch} >&-"))
    console = f"trioflex console coinflex --url {simulated}"
    assert (0, "") == outcome(run_in_shell(f"{console} <&-"))
    status, said = outcome(run_in_shell("trioflex call coinflex CancelAllOrders <&-"))
    assert 2 == status
    assert "COINFLEX_USER_ID" in said


def outcome(done):
    """Return status and standard error of a process."""
    return done.returncode, done.stderr


@pytest.fixture
def simulated():
    """The address of a simulated exchange in a process of its own."""
    command = [sys.executable, "-c", "from trioflex.cli import main; main()", "simulate"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


@pytest.mark.parametrize("url", ["ws://[::1", "ws://]", "//", "ws://"])
def test_an_address_that_is_none(monkeypatch, capsys, url):
    """It is wrong usage, whatever the parser of addresses thinks of it."""
    assert 2 == command_line(monkeypatch, "check", "coinflex", "--url", url)
    assert "--url is a ws:// or wss:// address" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["check", "oceanex"], ["call", "oceanex", "CancelAllOrders"]], ids=" ".join
)
def test_what_is_secret_in_an_address_stays_secret(monkeypatch, capsys, arguments):
    """A password, or a token in the query; the rest is shown."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    exchange = SimulatedExchange("oceanex")  # its key file lives as long as it does
    for name, value in exchange.model.credentials().items():
        monkeypatch.setenv(name, value)
    url = "ws://user:sesame@127.0.0.1:1/a?token=sesame"
    assert 0 != command_line(monkeypatch, *arguments, "--url", url)
    said = "".join(capsys.readouterr())
    assert "oceanex at ws://127.0.0.1:1/a" in said
    assert "sesame" not in said


def test_a_base_address_that_is_none(monkeypatch, capsys):
    """TheOne's may come from the environment; it is named."""
    monkeypatch.setenv("BROKER_BASE_URL", "http://[::1")
    assert 2 == command_line(monkeypatch, "console", "theone")
    assert "BROKER_BASE_URL cannot be an address" in capsys.readouterr().err
