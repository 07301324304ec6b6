"""Simulated exchanges: the far side as a product, for tests, demos and paper trading."""
