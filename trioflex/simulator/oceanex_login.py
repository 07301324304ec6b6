"""Who may log in to the simulated OceanEx: the header of a login, checked with arithmetic of ours.

Source: "OceanEx/ocean-websocket-client", README and ``src/ws_client.py``; codes by
"api.oceanex.pro/doc/v1".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal

import attrs
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from .oceanex_request import Complaint

VERB, PATH = "GET", "/ws/v1"
"""The only ones there are."""

SCOPES: Mapping[str, bool] = {"query": True, "sell/buy": True, "withdraw": False}
"""What a key may do unless it says otherwise."""

_DIGEST_INFO = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""DER in front of a digest (RFC 8017, 9.2)."""


@attrs.frozen(kw_only=True)
class OceanExAccount:
    """A user of the simulated venue, and the one key he has."""

    uid: str = "ID4TEST"

    key_id: str = "KIDTEST"

    public_key: RSAPublicKey | None = attrs.field(default=None, repr=False)
    """Verifies what the user signs; ``None``: the model's own (``private_key``, ``public_key``)."""

    enabled: bool = True
    """Whether the key is."""

    scopes: Mapping[str, bool] = SCOPES
    """What the key may do: ``query``, ``sell/buy``, ``withdraw``."""

    addresses: tuple[str, ...] | None = None
    """From where it may be used; ``None``: from everywhere."""

    balances: Mapping[str, Decimal] | None = None
    """What the account starts with, by currency in lower case; ``None``: plenty of all."""


@attrs.frozen
class Header:
    """The header of a login, well formed."""

    uid: str
    key_id: str
    signature: str
    nonce: int

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{VERB}|{PATH}|{self.nonce}|"


def read_header(fields: Mapping[str, object]) -> Header:
    """Return the header of a login.

    Raises:
        Complaint: 1002 there is none, 1004 a field is missing, 9002 one is malformed.
    """
    if not fields:
        raise Complaint(1002, "the header is empty")
    for name in ("uid", "api_key", "signature", "nonce", "verb", "path"):
        value = fields.get(name)
        if value is None:
            raise Complaint(1004, f"{name} is missing")
        if type(value) is not (int if name == "nonce" else str) or value == "":
            raise Complaint(9002, f"{name} is malformed")
    if (fields["verb"], fields["path"]) != (VERB, PATH):
        raise Complaint(9002, f"verb and path are {VERB} and {PATH}")
    nonce = fields["nonce"]
    return Header(
        str(fields["uid"]),
        str(fields["api_key"]),
        str(fields["signature"]),
        nonce if isinstance(nonce, int) else 0,
    )


def verify(header: Header, key: RSAPublicKey) -> None:
    """Check the signature of a login: RSASSA-PKCS1-v1_5 with SHA-256, in Base64.

    Raises:
        Complaint: 1001 it is no Base64, 1003 it is made with another hash, 1010 it is wrong.
    """
    try:
        signature = base64.b64decode(header.signature, validate=True)
    except (binascii.Error, ValueError):
        raise Complaint(1001, "the signature is not Base64") from None
    numbers = key.public_numbers()
    size = (numbers.n.bit_length() + 7) // 8
    if len(signature) != size:
        raise Complaint(1010, "the signature does not verify")
    # Public numbers only, so the time that this takes tells nobody anything.
    block = pow(int.from_bytes(signature, "big"), numbers.e, numbers.n).to_bytes(size, "big")
    for name in _DIGEST_INFO:
        if hmac.compare_digest(block, _block(header.text, name, size)):
            if name != "sha256":
                raise Complaint(1003, f"the signature is made with {name}")
            return
    raise Complaint(1010, "the signature does not verify")


def _block(text: str, name: str, size: int) -> bytes:
    """Return what a signature is the power of."""
    info = _DIGEST_INFO[name] + hashlib.new(name, text.encode()).digest()
    return b"\x00\x01" + b"\xff" * (size - 3 - len(info)) + b"\x00" + info
