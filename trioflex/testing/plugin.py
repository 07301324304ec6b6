"""The pytest plugin of trioflex."""
