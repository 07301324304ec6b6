"""Who logs in: account, key id, and an RSA key that signs.

Source: "OceanEx/ocean-websocket-client", README and ``src/ws_client.py``.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from ..._vocabulary.errors import LocalProtocolError

VERB, PATH = "GET", "/ws/v1"
"""Signed as they are, whatever host and path the address has."""


def canonical(nonce: int) -> str:
    """Return the text that a login signs; the bar at its end belongs to it.

    Args:
        nonce: milliseconds since 1970, the same integer that is sent.
    """
    return f"{VERB}|{PATH}|{nonce}|"


@attrs.frozen
class Credentials:
    """An account, a key of it, and the private half of that key; the last is not shown.

    Made by :meth:`from_pem` or :meth:`from_env`.
    """

    uid: str
    """Account id, as in ``"ID0TESTUID01"``."""
    key_id: str
    """Id of the API key, as in ``"KID0TESTKEY1"``; no secret."""
    private_key: Any = attrs.field(repr=False, eq=False)
    """The RSA key, as ``cryptography`` has it."""

    @classmethod
    def from_pem(
        cls, uid: str, key_id: str, pem: bytes | str, passphrase: str | None = None
    ) -> Credentials:
        """Return credentials with a key in PEM.

        Args:
            uid: account id.
            key_id: id of the API key.
            pem: the private key, PKCS#1 (``BEGIN RSA PRIVATE KEY``) or PKCS#8
                (``BEGIN PRIVATE KEY``, or encrypted).
            passphrase: of an encrypted key.

        Raises:
            LocalProtocolError: an id is empty, or the key is no RSA key that can be read.
        """
        for name, value in (("uid", uid), ("key_id", key_id)):
            if not isinstance(value, str) or not value:
                raise LocalProtocolError(f"oceanex: {name} is text that is not empty")
        # Imported on use: it is heavy, and only logins need it.
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(
                pem.encode() if isinstance(pem, str) else pem,
                None if passphrase is None else passphrase.encode(),
            )
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # "from None", and no excerpt: what was given is a secret, or half of one.
            raise LocalProtocolError(
                "oceanex: the private key is not readable; it is PEM text that begins with BEGIN "
                "RSA PRIVATE KEY or BEGIN PRIVATE KEY, and an encrypted one needs its passphrase "
                "(one that is not encrypted takes none)"
            ) from None
        if not isinstance(key, RSAPrivateKey):
            raise LocalProtocolError("oceanex: the private key is an RSA key; this one is none")
        return cls(uid, key_id, key)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Credentials:
        """Return the credentials that OCEANEX_UID, OCEANEX_KEY_ID and OCEANEX_KEY_FILE name.

        The last is the path of a PEM file; OCEANEX_KEY_PASSPHRASE is its passphrase, if it has one.

        Args:
            environ: where to look; ``None``: ``os.environ``.

        Raises:
            LocalProtocolError: a variable is missing, or is not what it should be.
        """
        found = os.environ if environ is None else environ
        for name in ("OCEANEX_UID", "OCEANEX_KEY_ID", "OCEANEX_KEY_FILE"):
            if not found.get(name):
                raise LocalProtocolError(f"oceanex: the environment variable {name} is not set")
        try:
            pem = Path(found["OCEANEX_KEY_FILE"]).read_bytes()
        except OSError as exc:
            raise LocalProtocolError(
                f"oceanex: the file that OCEANEX_KEY_FILE names cannot be read: {exc.strerror}"
            ) from exc
        return cls.from_pem(
            found["OCEANEX_UID"],
            found["OCEANEX_KEY_ID"],
            pem,
            found.get("OCEANEX_KEY_PASSPHRASE") or None,
        )

    def sign(self, nonce: int) -> str:
        """Return the signature of a login: RSASSA-PKCS1-v1_5 with SHA-256, in Base64.

        Args:
            nonce: milliseconds since 1970.
        """
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        signature = self.private_key.sign(canonical(nonce).encode(), PKCS1v15(), SHA256())
        return base64.b64encode(signature).decode()
