"""A pytest plugin that takes trio, the clock and randomness away from layers 0 and 1.

Loaded with ``-p`` in a process of its own (see ``test_purity.py``): ``trio`` cannot be imported,
``trioflex`` is a package without an ``__init__`` (the real one imports layer 2), and a function of
layers 0 and 1 that looks at a clock or draws a random number raises.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
import time
import types
from pathlib import Path

import hypothesis

FORBIDDEN = ("trio", "trio_websocket")
SURPRISES = [
    (module, name)
    for module, names in {
        os: ["urandom"],
        random: ["random", "getrandbits", "randbytes", "randint", "SystemRandom"],
        time: ["time", "time_ns", "monotonic", "monotonic_ns", "perf_counter"],
    }.items()
    for name in names
]
VOCABULARY = ("errors", "events", "settings")


class Blocker:
    """Refuses the forbidden imports, whoever asks."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise ImportError(f"{name} must not be imported by layers 0 and 1, nor by their tests")


def bare_package():
    """Return ``trioflex`` with the words of layer 0 and nothing else at the top."""
    package = types.ModuleType("trioflex")
    package.__path__ = [str(Path(__file__).parents[2] / "trioflex")]

    def lookup(name):
        for module in VOCABULARY:
            words = importlib.import_module(f"trioflex._vocabulary.{module}")
            if hasattr(words, name):
                return getattr(words, name)
        raise AttributeError(f"trioflex.{name} is not of layers 0 and 1")

    package.__getattr__ = lookup
    return package


def guard(module, name):
    """Make a function of the standard library fail when one of our modules calls it."""
    original = getattr(module, name)

    def surprise(*args, **kwargs):
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller.partition(".")[0] == "trioflex":
            raise AssertionError(f"{caller} calls {module.__name__}.{name}: hand it in instead")
        return original(*args, **kwargs)

    setattr(module, name, surprise)


loaded = [name for name in sys.modules if name.partition(".")[0] == "trio"]
if loaded:
    raise RuntimeError(f"already imported: {loaded}")
sys.meta_path.insert(0, Blocker())
sys.modules["trioflex"] = bare_package()
for module, name in SURPRISES:
    guard(module, name)

# The examples are drawn in earnest by the ordinary run; here each test only has to run.
hypothesis.settings.register_profile(
    "pure", deadline=None, derandomize=True, max_examples=5, stateful_step_count=15
)
hypothesis.settings.load_profile("pure")
