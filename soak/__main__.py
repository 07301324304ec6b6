"""``python -m soak``: minutes of a busy market over sockets, through faults every few seconds.

Ten minutes at 5,000 messages a second are three million messages and about a hundred faults. The
exit status is 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence

import trio

from . import quiet
from .laws import BrokenPromise
from .marathon import Marathon, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table, and say whether all promises were kept."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long (600)")
    parser.add_argument("--rate", type=float, default=5000, help="messages a second (5000)")
    parser.add_argument("--seed", type=int, default=None, help="of the faults (any)")
    parser.add_argument("--rows", type=int, default=20, help="of the table (20)")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"{options.seconds:g} s at {options.rate:g} messages a second, seed {seed}", flush=True)
    marathon = Marathon(seed, options.rate, options.seconds / options.rows)
    broken: BaseException | None = None
    try:
        with quiet():
            trio.run(marathon.run, options.seconds)
    except* BrokenPromise as group:
        broken = group
    print(table(marathon))
    while isinstance(broken, BaseExceptionGroup):
        broken = broken.exceptions[0]
    if broken is not None:
        print(f"BROKEN: {broken}")
        print("The last that happened:", *marathon.log[-30:], sep="\n")
        print("The last faults:", *marathon.far_log, sep="\n")
        return 1
    print("No promise was broken.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
