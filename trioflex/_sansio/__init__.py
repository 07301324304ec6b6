"""Layer 1: synchronous, deterministic, without I/O, clock or randomness; no trio in here."""
