"""The folders are the layers: every import of the package is read, and points down only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "trioflex"

# First part (or parts) of a module's path below the package -> its layer.
LAYERS = {
    "_vocabulary": 0,
    "protocol": 1,
    "book": 1,
    "_sansio": 1,
    "venues": 1,
    "_shell": 2,
    "": 2,  # trioflex/__init__: re-exports of the layers 0 to 2
    "simulator": 3,
    "testing": 3,
    "tape": 3,
    "blocking": 3,
    "cli": 3,
    "__main__": 3,
}

# What the top layer may use of ours besides itself and `trioflex`: the public modules, and the
# seam to the network, whose names are exported from the top as well.
PUBLIC = ("trioflex.protocol", "trioflex.book", "trioflex.venues")
SEAM = "trioflex._shell.transport"

# Layer 1 is a function of what it is given. (`os` is missing here on purpose: credentials are
# read from the environment when a program asks for it.)
IMPURE = {
    "asyncio", "multiprocessing", "random", "secrets", "select", "selectors", "signal", "socket",
    "ssl", "subprocess", "threading", "time", "trio", "trio_websocket",
}  # fmt: skip

# The only places that know what a WebSocket is made of.
WEBSOCKET = {
    "wsproto": ("trioflex._sansio.", "trioflex._shell.websocket"),
    "trio_websocket": ("trioflex._shell.trio_websocket", "trioflex.simulator."),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def head(module: str) -> str:
    """The part below the package: ``_shell`` of ``trioflex._shell.client``."""
    return [*module.split("."), ""][1]


def layer(module: str) -> int:
    return LAYERS[head(module)]


def imports(module: str) -> Iterator[str]:
    """Every module that a module imports, with its absolute name."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = package.split(".")
                anchor = anchor[: len(anchor) - node.level + 1]
                base = ".".join([*anchor, base] if base else anchor)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in MODULES else base


def ours(module: str) -> set[str]:
    return {name for name in imports(module) if name.split(".")[0] == "trioflex"}


def outside(module: str) -> set[str]:
    return {name.split(".")[0] for name in imports(module)} - {"trioflex"}


def below(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_belongs_to_a_layer(module):
    """A new file goes into the folder of its layer; there is no drawer for the rest."""
    assert head(module) in LAYERS


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    """No module imports from a layer above its own."""
    above = {name for name in ours(module) if layer(name) > layer(module)}
    assert set() == above


@pytest.mark.parametrize("module", [name for name in MODULES if layer(name) == 0])
def test_the_vocabulary_imports_nothing_of_ours(module):
    """Layer 0 is the words; they lean on nothing but each other."""
    strangers = {name for name in ours(module) if not below(name, ("trioflex._vocabulary",))}
    assert set() == strangers


@pytest.mark.parametrize("module", [name for name in MODULES if layer(name) <= 1])
def test_the_pure_layers_import_nothing_impure(module):
    """Up to layer 1 there is no trio, no I/O, no clock and no randomness."""
    assert set() == outside(module) & IMPURE
    assert "trioflex" not in ours(module), "the package itself pulls trio in"


@pytest.mark.parametrize("module", [name for name in MODULES if layer(name) == 1])
def test_only_venues_know_venues(module):
    """Only a venue imports a venue: the machinery is written once, for all of them."""
    if not below(module, ("trioflex.venues",)):
        assert set() == {name for name in ours(module) if below(name, ("trioflex.venues",))}


@pytest.mark.parametrize(
    "module", [name for name in MODULES if below(name, ("trioflex._shell",)) or name == "trioflex"]
)
def test_importing_the_client_imports_no_venue(module):
    """``import trioflex`` pays for no venue; they are imported by name."""
    assert set() == {name for name in ours(module) if below(name, ("trioflex.venues",))}


@pytest.mark.parametrize("module", [name for name in MODULES if layer(name) == 3])
def test_the_batteries_use_the_public_api_only(module):
    """What layer 3 can do, a user's program can do."""
    private = {
        name
        for name in ours(module)
        if layer(name) < 3
        and name not in (SEAM, "trioflex")
        and (not below(name, PUBLIC) or any(part.startswith("_") for part in name.split(".")))
    }
    assert set() == private


@pytest.mark.parametrize(
    "module", [name for name in MODULES if below(name, ("trioflex.simulator",))]
)
def test_the_far_side_shares_no_code_with_the_near_side(module):
    """The simulated exchange checks the venue modules only if it is not made of them."""
    assert set() == {
        name
        for name in ours(module)
        if below(name, ("trioflex.venues", "trioflex._sansio", "trioflex.book"))
    }
    assert "ecdsa" not in outside(module)


@pytest.mark.parametrize("package", WEBSOCKET)
def test_few_modules_know_websocket(package):
    """How messages become bytes is decided in one place each."""
    users = {module for module in MODULES if package in outside(module)}
    strangers = {user for user in users if not user.startswith(WEBSOCKET[package])}
    assert set() == strangers


def test_nobody_imports_the_command_line():
    """The ``trioflex`` command uses the library, never the other way round."""
    users = {m for m in MODULES if any(below(name, ("trioflex.cli",)) for name in ours(m))}
    assert set() == {u for u in users if not below(u, ("trioflex.cli", "trioflex.__main__"))}
