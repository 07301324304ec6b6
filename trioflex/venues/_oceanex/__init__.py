"""The parts of OceanEx; its public face is :mod:`trioflex.venues.oceanex`."""
