"""Both builds: the pure one has no extension module, the compiled one has all of them."""

from __future__ import annotations

import ast
import importlib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import trioflex

ROOT = Path(__file__).parent.parent


def compiled_modules() -> tuple[str, ...]:
    """Read what the build hook compiles, without the packages it needs."""
    for node in ast.parse((ROOT / "hatch_build.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED":
            return ast.literal_eval(node.value)
    raise LookupError("hatch_build.py has no COMPILED")


@pytest.mark.parametrize("path", compiled_modules())
def test_a_build_is_all_of_one_kind(path):
    """``trioflex.compiled`` speaks for every module; a stray one would hide its source."""
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))

    assert trioflex.compiled == module.__file__.endswith(tuple(EXTENSION_SUFFIXES))
    assert (ROOT / path).is_file()
