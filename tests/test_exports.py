"""The public surface: complete, documented, each name once and under its public path."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import trioflex

ROOT = Path(trioflex.__file__).parent

PUBLIC_MODULES = [
    "trioflex",
    "trioflex.blocking",
    "trioflex.book",
    "trioflex.protocol",
    "trioflex.simulator",
    "trioflex.tape",
    "trioflex.testing",
    "trioflex.venues.coinfloor",
    "trioflex.venues.coinflex",
    "trioflex.venues.midchains",
    "trioflex.venues.oceanex",
    "trioflex.venues.theone",
]
# A venue's words are its own: coinflex.OrderBook is a channel, trioflex.book.OrderBook a fold.
# And blocking.open_client() is open_client() for other programs; none needs both.
ONE_NAMESPACE = [
    name
    for name in PUBLIC_MODULES
    if not name.startswith("trioflex.venues.") and name != "trioflex.blocking"
]

# Public by spelling, private by purpose: what the layers use among themselves.
INTERNAL = {
    "trioflex._vocabulary.errors.TicketLike",
}


def names_of(module: ModuleType) -> dict[str, object]:
    """The public names of a module: ``__all__``, else what it re-exports or defines."""
    if hasattr(module, "__all__"):
        return {name: getattr(module, name) for name in module.__all__}
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }


def public(module_name: str) -> dict[str, object]:
    return names_of(importlib.import_module(module_name))


def documented_kinds(module_name: str) -> list[tuple[str, object]]:
    return [
        (name, value)
        for name, value in public(module_name).items()
        if inspect.isclass(value) or inspect.isroutine(value)
    ]


def test_the_top_level_re_exports_each_name_as_itself_and_once():
    """``X as X`` is what makes a name public for type checkers."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    aliases = [
        alias
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
        if not (alias.asname or alias.name).startswith("_")
    ]
    assert [] == [alias.name for alias in aliases if alias.name != alias.asname]
    assert len(aliases) == len({alias.name for alias in aliases})


def test_every_word_of_the_vocabulary_is_exported():
    """Errors, events and settings are for users, all of them."""
    missing = []
    for path in sorted((ROOT / "_vocabulary").glob("[!_]*.py")):
        module = importlib.import_module(f"trioflex._vocabulary.{path.stem}")
        missing += [
            f"{module.__name__}.{name}"
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) in (module.__name__, "trioflex")
            and not name.startswith("_")
            and not hasattr(trioflex, name)
        ]
    assert [] == [name for name in missing if name not in INTERNAL]


def test_every_error_is_exported():
    """Nothing can be raised that a user cannot name."""

    def family(kind: type[BaseException]) -> list[type[BaseException]]:
        return [kind, *(each for child in kind.__subclasses__() for each in family(child))]

    for module in PUBLIC_MODULES:
        importlib.import_module(module)
    homes = [importlib.import_module(module) for module in PUBLIC_MODULES]
    homeless = {
        error
        for error in family(trioflex.TrioflexError)
        if error.__module__.startswith("trioflex")
        and not any(getattr(home, error.__name__, None) is error for home in homes)
    }
    assert set() == homeless


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_every_public_name_is_documented(module):
    """Each public class and function has a docstring of its own."""
    if not str(importlib.import_module(module).__file__).endswith(".py"):
        pytest.skip("mypyc keeps no docstrings of classes; those of the source are checked")
    silent = [
        name
        for name, value in documented_kinds(module)
        if not (vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__)
    ]
    assert [] == silent


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_every_public_method_is_documented(module):
    """... and so has each of its public methods and properties."""
    silent = [
        f"{name}.{method}"
        for name, value in documented_kinds(module)
        if inspect.isclass(value) and value.__module__.startswith("trioflex")
        for method, member in vars(value).items()
        if not method.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, (property, classmethod)))
        and not inspect.getdoc(getattr(value, method))
    ]
    assert [] == silent


def test_public_objects_show_their_public_path():
    """Tracebacks and reprs name what a user would import, not where it happens to be written."""
    private = [
        name for name, value in documented_kinds("trioflex") if value.__module__ != "trioflex"
    ]
    assert [] == private


def test_a_name_means_one_thing():
    """The same name in two public modules is the same object."""
    meanings: dict[str, set[int]] = {}
    for module in ONE_NAMESPACE:
        for name, value in public(module).items():
            meanings.setdefault(name, set()).add(id(value))
    assert {} == {name: ids for name, ids in meanings.items() if len(ids) > 1}


def test_an_object_has_one_name():
    """No two spellings of one thing."""
    objects: dict[int, set[str]] = {}
    for module in ONE_NAMESPACE:
        for name, value in documented_kinds(module):
            objects.setdefault(id(value), set()).add(name)
    assert [] == [names for names in objects.values() if len(names) > 1]


def test_importing_is_cheap():
    """``import trioflex`` loads nothing heavy: signatures, frames and servers come on first use."""
    heavy = ["ecdsa", "cryptography", "wsproto", "h11", "trio_websocket", "typer", "rich",
             "hypothesis", "pytest"]  # fmt: skip
    code = f"import sys, trioflex; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "[]" == result.stdout.strip()


@pytest.mark.parametrize(
    "module", ["trioflex", "trioflex.blocking", "trioflex.simulator", "trioflex.testing"]
)
def test_every_public_name_is_in_the_reference(module):
    """What is public has its place in the manual; other modules are listed there as a whole."""
    pages = "".join(
        path.read_text(encoding="utf-8")
        for path in sorted((ROOT.parent / "docs" / "reference").glob("*.rst"))
    )
    shown = set(re.findall(r"\.\. auto\w+:: (?:[\w.]+\.)?(\w+)", pages))
    assert set() == public(module).keys() - shown
