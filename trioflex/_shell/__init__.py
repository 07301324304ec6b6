"""Layer 2: the lowest layer that imports trio. It moves frames and decides nothing."""
