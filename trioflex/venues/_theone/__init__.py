"""The parts of TheOne's venue module; programs import ``trioflex.venues.theone``."""
