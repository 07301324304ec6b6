"""Signatures of venues' logins: ECDSA on secp224k1.

Sources: "coinflex-exchange/API AUTH.md" and "coinfloor/API AUTH.md" (key, message, encoding);
SEC 2 version 2 (the curve); RFC 6979 (the nonce of a signature).

The ``ecdsa`` package, imported on first use, does the arithmetic on the curve and RFC 6979. It
does not ship the curve, and its key object computes a public key that a login never needs and that
costs more than the signature, so the three lines of ECDSA proper are here.

Neither the package nor this module is constant-time. The only party that can trigger or time a
signature is the venue, once a connection.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

from .._vocabulary.errors import InternalError, LocalProtocolError

HALF = 28
"""Bytes of r and of s on the wire, and of a private key: 224 bits."""

NONCE = 16
"""Bytes of the server's and of the client's nonce."""

OID = (1, 3, 132, 0, 32)
"""Of secp224k1."""


@functools.cache
def secp224k1() -> Any:
    """Return the curve as ``ecdsa.curves.Curve``; built once, on first use."""
    from ecdsa import curves, ellipticcurve

    field = ellipticcurve.CurveFp(2**224 - 2**32 - 0x1A93, 0, 5, 1)
    # No multiplication table (generator=False): it costs about six signatures to build, and a
    # program logs in once a connection.
    base = ellipticcurve.PointJacobi(
        field,
        0xA1455B33_4DF099DF_30FC28A1_69A467E9_E47075A9_0F7E650E_B6B7A45C,
        0x7E089FED_7FBA3442_82CAFBD6_F7E319F7_C0B0BD59_E2CA4BDB_556D61A5,
        1,
        0x01_00000000_00000000_00000000_0001DCE8_D2EC6184_CAF0A971_769FB1F7,
    )
    return curves.Curve("secp224k1", field, base, OID)


def derive_key(user_id: int, passphrase: str) -> bytes:
    """Return the private key that belongs to a user's passphrase: 28 bytes.

    Args:
        user_id: 0 to 2**64 - 1.
        passphrase: taken as it is, no normalisation, no trimming.

    Raises:
        LocalProtocolError: the passphrase is not Unicode (half a surrogate pair).
    """
    try:
        seed = user_id.to_bytes(8, "big") + passphrase.encode()
    except UnicodeEncodeError:
        # "from None", and no excerpt: the codec's own error quotes the passphrase.
        raise LocalProtocolError(
            "the passphrase is not Unicode text: it holds half a surrogate pair"
        ) from None
    return hashlib.sha224(seed).digest()


def login_message(user_id: int, server_nonce: bytes, client_nonce: bytes) -> bytes:
    """Return the 40 bytes that a login signs.

    Raises:
        ValueError: a nonce does not have 16 bytes.
    """
    if len(server_nonce) != NONCE or len(client_nonce) != NONCE:
        raise ValueError(f"both nonces of a login have {NONCE} bytes")
    return user_id.to_bytes(8, "big") + server_nonce + client_nonce


def sign(key: bytes, message: bytes) -> tuple[bytes, bytes] | None:
    """Sign a message with ECDSA, SHA-224 and the nonce of RFC 6979.

    Args:
        key: the private key, 28 bytes.
        message: any bytes; hashed here.

    Returns:
        r and s, 28 bytes each, big-endian; ``None`` if this message has no signature that fits (s
        can have 225 bits, about once in 2**111 messages): sign another message.
    """
    from ecdsa import rfc6979

    base = secp224k1().generator
    order: int = base.order()
    secret = int.from_bytes(key, "big")
    if not 0 < secret < order:
        raise InternalError("a private key out of range was not refused when it was given")
    digest = hashlib.sha224(message).digest()
    k: int = rfc6979.generate_k(order, secret, hashlib.sha224, digest)
    # Two orders more change nothing of the product, and make every factor one of 226 bits: the
    # time it takes does not tell how large k is.
    r = int((base * (k + 2 * order)).x()) % order
    s = pow(k, -1, order) * (int.from_bytes(digest, "big") + r * secret) % order
    return halves(r, s)


def halves(r: int, s: int) -> tuple[bytes, bytes] | None:
    """Return r and s as they go over the wire, ``None`` if one of them cannot."""
    if r == 0 or s == 0 or r >> 224 or s >> 224:
        return None
    return r.to_bytes(HALF, "big"), s.to_bytes(HALF, "big")
