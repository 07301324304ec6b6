"""The benchmark of trioflex beside published clients: ``python -m benchmarks``."""

from __future__ import annotations
