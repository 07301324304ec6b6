"""Every block of the manual and of the front page runs, or is refused."""

from __future__ import annotations

import builtins
import functools
import inspect
import json
import re
import subprocess
import sys
import threading
import tomllib
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager

import pytest
import trio

import trioflex
from tests.commands import complaint
from tests.pages import (
    DOCS,
    LANGUAGES,
    PAGES,
    ROOT,
    Block,
    blocks,
    commands,
    files,
    without_trio,
)
from trioflex._shell import opening
from trioflex.simulator import open_exchange, system_clock
from trioflex.tape import recorder

LONG_ENOUGH = 20.0
"""Seconds that a program which would go on for ever is watched, on a clock that jumps: enough for a
loss of the line and the way back."""

REAL_CONNECTOR = opening.websocket_connector

ENOUGH = 4
"""Lines that a program without Trio prints before somebody presses Ctrl-C."""

PROGRAMS = [page for page in PAGES if any(b.language == "python" for b in blocks(page))]


def relative(path):
    return path.relative_to(ROOT).as_posix()


def venue_at(url):
    """The name of the registered venue at an address."""
    for name in ("coinflex", "coinfloor", "midchains", "oceanex", "theone"):
        venue = trioflex.find_venue(name)
        if url in (venue.url, *venue.urls.values()):
            return name
    raise AssertionError(f"a page connects to {url}, which no simulation stands for")


class Reader:
    """Somebody who tries what a page shows."""

    def __init__(self, monkeypatch, tmp_path):
        self.monkeypatch = monkeypatch
        self.folder = tmp_path
        self.namespace = {"__name__": "__main__"}
        self.mains = []
        self.lines = 0
        self.limit = None
        monkeypatch.setattr(builtins, "print", functools.partial(self.print, print))
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))

    def print(self, real, *values, **options):
        real(*values, **options)
        self.lines += 1
        here = threading.current_thread() is threading.main_thread()
        if self.limit is not None and self.lines >= self.limit and here:
            raise KeyboardInterrupt

    def takes_mains(self):
        """Run in this Trio what would be a Trio of its own."""
        self.monkeypatch.setattr(trio, "run", lambda *args: self.mains.append(args))

    def write(self, block):
        (self.folder / block.caption).write_text(block.text, encoding="utf-8")

    def goes_to(self, connector, credentials):
        """Have whoever goes to a venue find this connector; what is on loopback stays there."""
        real = REAL_CONNECTOR()

        def choose(target):
            return (real if "://127.0.0.1" in target.url else connector)(target)

        for module in (opening, recorder):
            self.monkeypatch.setattr(module, "websocket_connector", lambda: choose)
        for name, value in credentials.items():
            self.monkeypatch.setenv(name, value)

    def ran(self, block):
        """Forget the modules that a block imported from the folder."""
        for name, module in list(sys.modules.items()):
            if str(self.folder) in str(getattr(module, "__file__", None)):
                del sys.modules[name]


@pytest.fixture
def reader(monkeypatch, tmp_path):
    reader = Reader(monkeypatch, tmp_path)
    for block in files().values():
        reader.write(block)
    yield reader
    reader.ran(None)


def is_test(block):
    return (block.caption or "").startswith("test_")


@pytest.mark.parametrize("name", [name for name, block in files().items() if is_test(block)])
def test_the_tests_of_a_page_pass(name, reader):
    """A file of tests is given to pytest, beside the other files, as its reader would."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name],
        cwd=reader.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert 0 == ran.returncode, f"{ran.stdout}{ran.stderr}"


def namespace_of(reader, block):
    return reader.namespace if block.caption is None else {"__name__": "__main__"}


@pytest.mark.parametrize("page", [p for p in PROGRAMS if not without_trio(p)], ids=relative)
async def test_the_programs_of_a_page_run(page, reader, capsys, autojump_clock):
    """In their order and as they stand, and not for ever."""
    reader.takes_mains()
    async with AsyncExitStack() as stack:
        exchanges = {}
        reader.namespace["exchanges"] = exchanges

        @asynccontextmanager
        async def connector(target):
            async with exchanges[venue_at(target.url)].connector(target) as transport:
                yield transport

        for block in blocks(page):
            if block.language == "against":
                for name in block.text.split():
                    exchange = await stack.enter_async_context(open_exchange(name))
                    exchanges[name] = exchange
                    reader.goes_to(connector, exchange.model.credentials())
                    env = exchange.env
                    reader.monkeypatch.setattr(opening, "system_env", lambda env=env: env)
            elif block.language == "python" and not is_test(block):
                await run(block, reader, capsys)


async def run(block, reader, capsys):
    before = reader.lines
    with trio.move_on_after(LONG_ENOUGH) as scope:
        result = eval(block.compiled(), namespace_of(reader, block))
        if inspect.iscoroutine(result):
            await result
        while reader.mains:
            main, *arguments = reader.mains.pop()
            await main(*arguments)
    if scope.cancelled_caught:
        assert before < reader.lines, f"{block}: time has passed and nothing was said"


@pytest.mark.parametrize("page", [p for p in PROGRAMS if without_trio(p)], ids=relative)
def test_the_programs_of_a_page_run_without_trio(page, reader):
    """The same in real time, until somebody presses Ctrl-C."""

    @asynccontextmanager
    async def connector(target):
        async with (
            open_exchange(venue_at(target.url), clock=system_clock) as exchange,
            exchange.connector(target) as transport,
        ):
            yield transport

    for block in blocks(page):
        if block.language == "against":
            for name in block.text.split():
                exchange = trioflex.simulator.SimulatedExchange(name)
                reader.goes_to(connector, exchange.model.credentials())
        elif block.language == "python":
            reader.limit = reader.lines + ENOUGH
            with ExitStack() as stack:
                stack.callback(setattr, reader, "limit", None)
                try:
                    exec(block.compiled(), namespace_of(reader, block))
                except KeyboardInterrupt:
                    assert reader.lines >= reader.limit


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_block_says_what_it_is(page):
    """A block whose language is not said, or not known here, would not be checked."""
    strangers = [
        f"{block}: {block.language}"
        for block in blocks(page)
        if block.language not in {*LANGUAGES, "include", "against"}
    ]
    assert [] == strangers


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_command_can_be_typed(page):
    """Programs, options, targets, extras and files of console blocks exist."""
    written = files()
    wrong = [
        f"{block}: {said}"
        for block in blocks(page)
        if block.language == "console"
        for command in commands(block)
        if (said := complaint(command, written)) is not None
    ]
    assert [] == wrong


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_console_block_has_a_command(page):
    """What only shows output is text."""
    assert [] == [
        str(block)
        for block in blocks(page)
        if block.language == "console" and not list(commands(block))
    ]


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_data_that_is_shown_can_be_read(page):
    """TOML is TOML, and each line of JSON is JSON."""
    for block in blocks(page):
        if block.language == "toml":
            assert tomllib.loads(block.text), str(block)
        elif block.language == "json":
            assert all(json.loads(line) for line in block.text.splitlines()), str(block)


def test_every_file_that_is_shown_is_run():
    """An included file is an example, or one of the tutorial's, which have tests of their own."""
    shown = [
        (block, (block.page.parent / block.text).resolve())
        for page in PAGES
        for block in blocks(page)
        if block.language == "include"
    ]
    homes = (ROOT / "examples", DOCS / "tutorial")
    assert [] == [str(block) for block, path in shown if path.parent not in homes]
    assert [] == [str(block) for block, path in shown if not path.exists()]


def test_the_parts_that_a_tutorial_shows_make_up_its_file():
    """Whoever copies all of them, imports included, has the file that is tested."""
    page = DOCS / "tutorial" / "add_a_venue.rst"
    source = (DOCS / "tutorial" / "acme_venue.py").read_text(encoding="utf-8")
    shown = ""
    for options in re.findall(
        r"literalinclude:: acme_venue\.py\n((?: {3}:.*\n)*)", page.read_text(encoding="utf-8")
    ):
        part = source
        if start := re.search(r":start-after: (.*)", options):
            part = part.partition(start[1])[2]
        if end := re.search(r":end-before: (.*)", options):
            part = part.partition(end[1])[0]
        shown += part
    marks = r"(?m)^ *(# \[\w+\])?\n"
    assert re.sub(marks, "", source) == re.sub(marks, "", shown)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Like so::\n\n    x = 1\n", "literal"),
        ("::\n\n    x = 1\n", "literal"),
        (".. code-block::\n\n    x = 1\n", ""),
        (".. code-block:: pycon\n\n    >>> x\n", "pycon"),
    ],
)
def test_what_is_refused(text, language, tmp_path):
    """The check sees code that hides."""
    page = tmp_path / "page.rst"
    page.write_text(text, encoding="utf-8")
    [block] = blocks(page)
    assert language == block.language
    assert block.language not in LANGUAGES


def test_a_hidden_block_runs_as_well(tmp_path):
    """... and keeps its place and its lines."""
    page = tmp_path / "page.rst"
    page.write_text(".. hidden: python\n\n   x = 1\n\nText.\n\n.. against: a b\n", encoding="utf-8")
    assert [
        Block(page, 3, "python", "x = 1\n"),
        Block(page, 7, "against", "a b"),
    ] == list(blocks(page))


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("trioflex demo --seconds 5", False),
        ("trioflex demo --secs 5", True),
        ("trioflex dance", True),
        ("trioflex --version", False),
        ("trioflex call coinflex GetBalances | jq .", False),
        ("COINFLEX_COOKIE=x trioflex venues", False),
        ("make test", False),
        ("make believe", True),
        ("python -m pip install 'trioflex[cli]'", False),
        ("python -m pip install 'trioflex[click]'", True),
        ("python examples/ticker.py --seconds 5", False),
        ("python examples/tocker.py", True),
        ("python bot.py", False),
        ("python -m benchmarks", False),
        ("rm -rf /", True),
    ],
)
def test_commands_are_checked(command, wrong):
    """The check sees a command that does not exist."""
    assert wrong is (complaint(command, {"bot.py"}) is not None)
