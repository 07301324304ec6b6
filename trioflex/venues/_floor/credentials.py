"""Who logs in: user id, cookie, and the private key that the passphrase stands for.

Source: "coinflex-exchange/API AUTH.md", "coinfloor/API AUTH.md".
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from typing import ClassVar, Self

import attrs

from ..._sansio.signing import HALF, derive_key
from ..._vocabulary.errors import LocalProtocolError


@attrs.frozen(init=False)
class Credentials:
    """An account's credentials; the passphrase is not kept once the key is derived from it.

    Args:
        user_id: the number shown as "User ID" or "Core ID".
        cookie: the text shown as "API key".
        passphrase: the site's login password, exactly as it is; or
        private_key: the key derived from it, 28 bytes, as such or in Base64.

    Raises:
        LocalProtocolError: one of them cannot be what it should be.
    """

    user_id: int
    """The account's number."""
    cookie: str = attrs.field(repr=False)
    """The account's API key."""
    key: bytes = attrs.field(repr=False)
    """The private key, 28 bytes."""

    prefix: ClassVar[str] = ""
    """Of the environment variables."""

    def __init__(
        self,
        user_id: int,
        cookie: str,
        passphrase: str | None = None,
        *,
        private_key: str | bytes | None = None,
    ) -> None:
        if type(user_id) is not int or not 0 <= user_id < 2**64:
            raise LocalProtocolError(f"user_id is an integer from 0 to 2**64 - 1, not {user_id!r}")
        # The values below are secrets: errors describe them and never show them.
        if not isinstance(cookie, str) or not cookie or not cookie.isascii():
            raise LocalProtocolError("the cookie is the text that the site shows as API key")
        if (passphrase is None) is (private_key is None):
            raise LocalProtocolError("credentials need either a passphrase or a private_key")
        if private_key is not None:
            key = _decoded(private_key)
        elif isinstance(passphrase, str):
            key = derive_key(user_id, passphrase)
        else:
            raise LocalProtocolError("the passphrase is text")
        self.__attrs_init__(user_id, cookie, key)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Return the credentials that the environment holds.

        Read are ``…_USER_ID``, ``…_COOKIE`` and either ``…_PRIVATE_KEY`` or ``…_PASSPHRASE``, each
        with the venue's name in front.

        Args:
            environ: where to look; ``None``: ``os.environ``.

        Raises:
            LocalProtocolError: a variable is missing, or is not what it should be.
        """
        found = os.environ if environ is None else environ

        def variable(name: str) -> str:
            value = found.get(f"{cls.prefix}_{name}", "")
            if not value:
                raise LocalProtocolError(f"the environment variable {cls.prefix}_{name} is not set")
            return value

        user_id, cookie = variable("USER_ID"), variable("COOKIE")
        if not user_id.isascii() or not user_id.isdigit():
            raise LocalProtocolError(f"{cls.prefix}_USER_ID is a number, not {user_id!r}")
        if found.get(f"{cls.prefix}_PRIVATE_KEY"):
            return cls(int(user_id), cookie, private_key=variable("PRIVATE_KEY"))
        if not found.get(f"{cls.prefix}_PASSPHRASE"):
            raise LocalProtocolError(
                f"neither {cls.prefix}_PASSPHRASE nor {cls.prefix}_PRIVATE_KEY is set in the "
                "environment; one of them is needed"
            )
        return cls(int(user_id), cookie, variable("PASSPHRASE"))


def _decoded(private_key: str | bytes) -> bytes:
    """Return a private key as bytes."""
    if isinstance(private_key, bytes) and len(private_key) == HALF:
        key = private_key
    else:
        try:
            key = base64.b64decode(private_key, validate=True)
        except (binascii.Error, ValueError, TypeError):
            key = b""
    if len(key) != HALF or not any(key):
        raise LocalProtocolError(
            f"private_key is {HALF} bytes, not all zero, as such or in Base64 (40 characters "
            "ending in ==)"
        )
    return key
