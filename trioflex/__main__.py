"""``python -m trioflex`` is the ``trioflex`` command."""

from __future__ import annotations

from trioflex.cli import main

if __name__ == "__main__":
    main()
