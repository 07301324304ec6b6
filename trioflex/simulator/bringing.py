"""A connector that brings along the clock of what it leads to."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import attrs

from .._shell.transport import Connector, Target, Transport
from ..protocol import Env


@attrs.frozen
class BringingConnector:
    """A connector with an ``env``, which :func:`trioflex.open_client` uses unless it is given one.

    Args:
        connect: makes the connections.
        env: the clock, and the randomness, that go with them.
    """

    connect: Connector
    env: Env

    def __call__(self, target: Target, /) -> AbstractAsyncContextManager[Transport]:
        """Connect, as ``connect`` does."""
        return self.connect(target)


def bringing(connect: Connector, source: Connector) -> Connector:
    """Let a connector that wraps another bring what that one brings.

    Args:
        connect: the one that wraps.
        source: the one that is wrapped.

    Returns:
        ``connect`` itself where ``source`` brings nothing.
    """
    env: Env | None = getattr(source, "env", None)
    return connect if env is None else BringingConnector(connect, env)
