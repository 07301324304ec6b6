"""Our WebSocket against the Autobahn|Testsuite; ``make conformance PY27=...`` runs it."""

from __future__ import annotations
