"""Who logs in: API key and secret, and the address that goes with them.

Source: "the-one-io/api-client", ``client-py``, ``client-js``, ``client-go`` (names of the
environment variables, and how they build the address).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import attrs

from ..._vocabulary.errors import LocalProtocolError
from .arguments import text
from .signing import STREAM_PATH

BASE_URL = "https://partner-api.the-one.io"
"""Of the venue's REST interface; the stream is on the same host."""


@attrs.frozen(init=False)
class Credentials:
    """An API key and its secret; neither is shown.

    Args:
        key: the API key.
        secret: its secret, exactly as the venue shows it; any Unicode text. It is never sent.

    Raises:
        LocalProtocolError: one of them cannot be what it should be.
    """

    key: str = attrs.field(repr=False)
    """The API key."""
    secret: str = attrs.field(repr=False)
    """Its secret."""

    def __init__(self, key: str, secret: str) -> None:
        # The values below are secrets: errors describe them and never show them.
        try:
            text(key, "the API key")
        except LocalProtocolError:
            raise LocalProtocolError(
                "theone: the API key is printable ASCII text of at most 256 characters, as the "
                "venue shows it"
            ) from None
        if not isinstance(secret, str) or not secret:
            raise LocalProtocolError("theone: the secret is text that is not empty")
        try:
            secret.encode()
        except UnicodeEncodeError:
            # "from None", and no excerpt: the codec's own error quotes the secret.
            raise LocalProtocolError(
                "theone: the secret is not Unicode text: it holds half a surrogate pair"
            ) from None
        self.__attrs_init__(key, secret)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Credentials:
        """Return the credentials that the environment holds, in BROKER_API_KEY and
        BROKER_SECRET_KEY.

        Args:
            environ: where to look; ``None``: ``os.environ``.

        Raises:
            LocalProtocolError: a variable is missing, or is not what it should be.
        """
        found = os.environ if environ is None else environ
        for name in ("BROKER_API_KEY", "BROKER_SECRET_KEY"):
            if not found.get(name):
                raise LocalProtocolError(
                    f"theone: the environment variable {name} is not set; it holds the "
                    f"{'API key' if name == 'BROKER_API_KEY' else 'secret'}"
                )
        return cls(found["BROKER_API_KEY"], found["BROKER_SECRET_KEY"])

    @property
    def account(self) -> str:
        """How the account is called in logs and statistics: the beginning of the key."""
        return f"{self.key[:4]}…"


def stream_url(base_url: str) -> str:
    """Return the address of the stream that belongs to the address of the REST interface.

    Args:
        base_url: e.g. ``"https://partner-api.the-one.io"``; what the venue's own clients read
            from BROKER_BASE_URL.

    Raises:
        LocalProtocolError: it does not begin with ``https://`` or ``http://``.
    """
    for http, websocket in (("https://", "wss://"), ("http://", "ws://")):
        if base_url.lower().startswith(http):
            return websocket + base_url[len(http) :].rstrip("/") + STREAM_PATH
    raise LocalProtocolError(
        f"theone: the base URL begins with https:// or http://, not as {base_url[:12]!r} does"
    )
