"""The parts of MidChains' venue module; programs import ``trioflex.venues.midchains``."""
