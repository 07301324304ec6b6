"""Layer 0: the words everything else is written in; imports nothing of ours."""
