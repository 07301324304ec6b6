"""A client for programs without Trio: the same client, with calls that block.

It comes with the extra ``trioflex[blocking]``. A Trio run in a thread of its own holds the real
client; what is called here is done there, and the caller's thread waits for it.
"""

from __future__ import annotations

try:
    import anyio as _anyio  # noqa: F401 - only to say clearly that it is missing
except ImportError as _missing:
    raise ImportError(
        "trioflex.blocking needs anyio, which the extra trioflex[blocking] brings; install it "
        "with: python -m pip install 'anyio[trio]>=4.6'"
    ) from _missing

from .client import BlockingClient as BlockingClient, open_client as open_client
from .exchange import BlockingExchange as BlockingExchange, open_exchange as open_exchange
from .receiver import BlockingReceiver as BlockingReceiver, BlockingTicket as BlockingTicket
