"""One client process: one client, one case, one line of JSON."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import ssl
import sys
import traceback

from .machine import pin
from .measure import PROFILE, Client, Job, Loop, Unfit
from .sampler import Sampler
from .turns import TAKER


def clients() -> dict[str, type[Client]]:
    """Return every client by name, ours first."""
    from .parts import Book, Decoding, Floor, Parts
    from .peers import PEERS
    from .product import PRODUCT, TransportAlone, Trioflex, compiled

    found: tuple[type[Client], ...] = (
        *(*PRODUCT, Book),
        *map(compiled, (Trioflex, TransportAlone, Book)),
        *(*PEERS, Floor, Decoding, Parts),
    )
    return {client.name: client for client in found}


def missing(client: type[Client]) -> list[str]:
    """Return the modules that a client needs and that are not installed."""
    return [name for name in client.modules if importlib.util.find_spec(name) is None]


def check_build() -> None:
    """See that the compiled build runs.

    Raises:
        Unfit: it is the pure one.
    """
    import trioflex

    if not trioflex.compiled:
        raise Unfit(f"{trioflex.__file__} is not compiled.")


def main() -> None:
    """Measure, print, and leave without a goodbye: how a client closes is not measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("client")
    parser.add_argument("case")
    parser.add_argument("url")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--trust", help="PEM file with the server's certificate")
    parser.add_argument("--core", type=int, help="the core to stay on")
    parser.add_argument("--turns", action="store_true", help="wait for the first of many turns")
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    options = parser.parse_args()
    if options.profile:
        PROFILE.sampler = Sampler()
    TAKER.active = options.turns
    pin(options.core)
    context = ssl.create_default_context(cafile=options.trust) if options.trust else None
    job = Job(url=options.url, context=context, seconds=options.seconds, size=options.size)
    client = clients()[options.client]

    async def program(loop: Loop) -> None:
        try:
            if client.compiled:
                check_build()
            result: dict[str, object] = dict(await client(loop).measure(options.case, job))
        except Exception as failure:  # told to the parent, whatever it is
            traceback.print_exc()
            result = {"failure": f"{type(failure).__name__}: {failure}"}
        if PROFILE.sampler is not None and "cpu_us" in result:
            print(PROFILE.sampler.table(float(str(result["cpu_us"])), "CPU µs"))
        print(json.dumps(result), flush=True)
        sys.stderr.flush()
        os._exit(0)

    client.loop_type.run(program)


if __name__ == "__main__":
    main()
