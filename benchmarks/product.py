"""trioflex itself."""

from __future__ import annotations

from .measure import Client

PRODUCT: tuple[type[Client], ...] = ()
