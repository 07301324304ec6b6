"""The ``trioflex`` command.

It is always installed; what it needs to draw and to parse comes with the extra ``trioflex[cli]``.
"""

from __future__ import annotations

import sys

from .interruption import leaving_at_once
from .streams import open_missing

_EXTRA = ("typer", "click", "rich", "prompt_toolkit", "platformdirs")


def main() -> None:
    """
    Run the command line and leave the process with one of the statuses of ``exits.Status``.

    Raises:
        SystemExit: always.
    """
    try:
        with leaving_at_once():
            open_missing()
            from .app import run

            status = run()
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in _EXTRA:
            raise
        print(
            f"The trioflex command needs the package {missing.name}, which is not installed.\n"
            "Install it with: python -m pip install 'trioflex[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.exit(status)
