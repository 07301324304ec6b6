"""Who logs in: user id and password.

Source: "MidChains/slate", ``source/index.html.md`` (the ``login`` request).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import attrs

from ..._vocabulary.errors import LocalProtocolError
from .arguments import text

MAX_PASSWORD = 245
"""Bytes of a password that the longest key seen, of 2048 bits, can encrypt; with one of 1024 bits
it is 117, which only the connection's challenge tells."""


@attrs.frozen(init=False)
class Credentials:
    """A user id and its password; the password is never shown.

    Args:
        user_id: as the venue gave it out.
        password: any Unicode text of at most 245 bytes in UTF-8.

    Raises:
        LocalProtocolError: one of them cannot be what it should be.
    """

    user_id: str
    """The user's name at the venue."""
    password: str = attrs.field(repr=False)
    """Sent encrypted, and never shown."""

    def __init__(self, user_id: str, password: str) -> None:
        text(user_id, "user_id")
        # Errors describe the password and never show it ("from None": a codec's error quotes it).
        if not isinstance(password, str) or not password:
            raise LocalProtocolError("midchains: the password is text that is not empty")
        try:
            size = len(password.encode())
        except UnicodeEncodeError:
            raise LocalProtocolError(
                "midchains: the password is not Unicode text: it holds half a surrogate pair"
            ) from None
        if size > MAX_PASSWORD:
            raise LocalProtocolError(
                f"midchains: the password has {size} bytes; no key of the venue's can encrypt more "
                f"than {MAX_PASSWORD}"
            )
        self.__attrs_init__(user_id, password)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Credentials:
        """Return the credentials that the environment holds, in MIDCHAINS_USER_ID and
        MIDCHAINS_PASSWORD.

        Args:
            environ: where to look; ``None``: ``os.environ``.

        Raises:
            LocalProtocolError: a variable is missing, or is not what it should be.
        """
        found = os.environ if environ is None else environ
        for name in ("MIDCHAINS_USER_ID", "MIDCHAINS_PASSWORD"):
            if not found.get(name):
                raise LocalProtocolError(
                    f"midchains: the environment variable {name} is not set; it holds the "
                    f"{'user id' if name == 'MIDCHAINS_USER_ID' else 'password'}"
                )
        return cls(found["MIDCHAINS_USER_ID"], found["MIDCHAINS_PASSWORD"])
