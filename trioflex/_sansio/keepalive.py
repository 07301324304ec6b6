"""When silence means death: one function of a policy and a few points in time.

Three things are kept apart. *Life* is any whole frame that was received, whatever it says: a busy
peer whose pong is stuck behind bulk data is alive. A *Ping* is a question that is asked only after
a while without life. *Death* is a Ping without any frame after it in time, or a silence that is too
long by itself.

What we sent ourselves plays no role, which is why no such time is asked for. Traffic of our own
keeps a path open and may even keep the peer content (CoinFLEX counts either direction), but it goes
into a kernel buffer with the same ease when nobody is left at the other end: only what comes in
proves that the peer lives. So the Ping is due after silence, even in the midst of our own sending.

Rules of the file: no state, no clock; every comparison is made with a *point in time* and never
with a difference, because ``now - last_in >= ping_after`` can be false at the very instant
``last_in + ping_after`` for which a caller was told to sleep, and that caller would spin.
"""

from __future__ import annotations

import msgspec

from .._vocabulary.settings import Keepalive


class Sleep(msgspec.Struct, frozen=True):
    """Nothing to do before this time, unless something happens."""

    until: float
    """On the clock that was handed in; later than ``now``; ``math.inf``: no time is set."""


class Ping(msgspec.Struct, frozen=True):
    """Ask the peer for a sign of life, now."""


class Dead(msgspec.Struct, frozen=True):
    """Believe the peer dead: drop the connection, without a closing handshake."""

    why: str
    """One sentence for people."""


def keepalive(
    policy: Keepalive,
    *,
    now: float,
    last_in: float,
    ping_sent_at: float | None,
    dead_after: float | None = None,
) -> Sleep | Ping | Dead:
    """Say what the heartbeat is to do now.

    A Ping is outstanding if no frame has come since it was sent. A frame of that very instant is
    taken for its answer: on a virtual clock an answer takes no time, and a frame that crossed the
    Ping is life all the same.

    Args:
        policy: the venue's, or the user's.
        now: seconds on some monotonic clock, the same for all times here.
        last_in: when the newest whole frame was received; before the first one, when the
            connection opened.
        ping_sent_at: when the newest Ping was sent, ``None`` if there was none on this connection.
        dead_after: seconds of silence after which the venue itself says that it is dead
            (:class:`trioflex.protocol.Rhythm`); the shorter of this and the policy's counts.

    Returns:
        :class:`Sleep` until the next point in time at which the answer can be another one,
        :class:`Ping` if one is due, or :class:`Dead`.
    """
    silence = now - last_in
    if dead_after is None or dead_after > policy.dead_after:
        dead_after = policy.dead_after
    silence_ends = last_in + dead_after
    if now >= silence_ends:
        return Dead(f"nothing was received for {silence:.1f} s (limit {dead_after:g} s)")

    if ping_sent_at is not None and last_in < ping_sent_at:
        pong_due = ping_sent_at + policy.pong_within
        if now >= pong_due:
            return Dead(
                f"nothing was received for {silence:.1f} s, and nothing at all within "
                f"{policy.pong_within:g} s of a ping"
            )
        return Sleep(min(pong_due, silence_ends))

    ping_due = last_in + policy.ping_after
    if now < ping_due:
        return Sleep(min(ping_due, silence_ends))
    # Whoever looks in time finds the first of these two; only a clock that jumped (a laptop that
    # slept) leads to the second. The peer has given us up long since: asking would cost another
    # pong_within before anybody is told.
    if now >= ping_due + policy.pong_within:
        return Dead(
            f"nothing was received for {silence:.1f} s, and no ping was sent in that time: "
            "the clock jumped, or this program was stopped"
        )
    return Ping()


__all__ = ["Dead", "Ping", "Sleep", "keepalive"]
