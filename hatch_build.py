"""The build switch: ``TRIOFLEX_COMPILE=1 pip install .`` compiles the modules where that pays.

mypyc makes extension modules of the same source, which stays beside them in the wheel. Without the
switch the wheel is pure, and needs no compiler.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "TRIOFLEX_COMPILE"

COMPILED = (
    "trioflex/_sansio/frames.py",
    "trioflex/_sansio/lane.py",
    "trioflex/_sansio/ladder.py",
    "trioflex/book.py",
    "trioflex/venues/_floor/kept_book.py",
)
"""What is compiled. The frames are worth 1.2 times the rate of a whole client, the kept book 1.05,
the book and its index together 1.6 times the updates (the index alone nothing: half of the calls
would cross over). Compiling the gathering of a read, the registry, outbox, correlator and codec
changed nothing that could be told from noise, and the receiver and its backlog made it worse: they
mostly call msgspec, dictionaries and deques, which are C in either build, and a compiled coroutine
is a dearer one.

No module that defines msgspec structures may be among them: mypyc drops the ``frozen=True`` in the
head of a class (attrs' decorators it applies)."""

COMPILER = ("mypy>=2.1", "setuptools>=70")
"""What the switch asks for, besides a C compiler: mypyc comes with mypy."""

LIBRARY = "trioflex._native"
"""Start of the name of the one library with the code of all of them, so that they call each other
as C does; each has a small extension module of its own name besides."""


class Compile(BuildHookInterface[Any]):
    """Compiles, if it is asked to."""

    PLUGIN_NAME = "custom"

    _folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def wanted(self) -> bool:
        """Whether the switch is on."""
        return os.environ.get(SWITCH, "") not in ("", "0")

    def dependencies(self) -> list[str]:
        """Name what the build needs; mypy looks into what we import, too."""
        return [*COMPILER, *self.metadata.core.dependencies] if self.wanted else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put what comes out into the wheel."""
        if not self.wanted:
            return
        if version == "editable":
            # An extension module wins over the source beside it, and would not follow its changes.
            self.app.display_warning(f"{SWITCH} is ignored: an editable install runs the source.")
            return
        self._folder = tempfile.TemporaryDirectory(prefix="trioflex-build-")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"].update(compiled(Path(self._folder.name)))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Clear up."""
        if self._folder is not None:
            self._folder.cleanup()


def compiled(folder: Path) -> dict[str, str]:
    """Compile into a folder; return each extension module and its place in the wheel."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    modules = mypycify(
        ["--config-file=", f"--cache-dir={folder / 'cache'}", *COMPILED],
        group_name=LIBRARY,
        debug_level="0",
        target_dir=str(folder / "c"),
    )
    command = build_ext(Distribution({"name": "trioflex", "ext_modules": modules}))
    command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "temp")
    command.ensure_finalized()
    command.run()
    made = sorted(path for path in (folder / "lib").rglob("*") if path.is_file())
    return {str(path): path.relative_to(folder / "lib").as_posix() for path in made}
