"""ECDSA verification on secp224k1 in plain Python: the far side's own check of a login signature.

It shares no code with the client's signing on purpose: two implementations that agree are evidence,
one that agrees with itself is not. The curve is the one of SEC 2 (version 2), named by
"coinflex-exchange/API AUTH.md"; points are Jacobian triples (X, Y, Z) that stand for
(X/Z^2, Y/Z^3), so that only the last step of a verification divides. Nothing here is constant-time,
and nothing needs to be: the only secret it ever handles is the test account's own key.
"""

from __future__ import annotations

import hashlib

P = 2**224 - 2**32 - 2**12 - 2**11 - 2**9 - 2**7 - 2**4 - 2 - 1
"""The field's prime."""

N = 0x010000000000000000000000000001DCE8D2EC6184CAF0A971769FB1F7
"""The base point's order: a number of 225 bits, so that no SHA-224 value ever needs reducing."""

B = 5
"""The curve is y^2 = x^3 + 5; its other coefficient is 0, of which the doubling makes use."""

G = (
    0xA1455B334DF099DF30FC28A169A467E9E47075A90F7E650EB6B7A45C,
    0x7E089FED7FBA344282CAFBD6F7E319F7C0B0BD59E2CA4BDB556D61A5,
)
"""The base point."""

Point = tuple[int, int]
"""A point that is not the one at infinity, in affine coordinates."""

_Jacobian = tuple[int, int, int]
_INFINITY: _Jacobian = (1, 1, 0)


def on_curve(point: Point) -> bool:
    """Tell whether a pair of coordinates is a point of the curve."""
    x, y = point
    return 0 <= x < P and 0 <= y < P and (y * y - x * x * x - B) % P == 0


def private_key(user_id: int, passphrase: str) -> int:
    """Derive an account's private key.

    The key is the SHA-224 of the user id (8 bytes, big-endian) and the passphrase (UTF-8, taken as
    it is), as "coinflex-exchange/API AUTH.md" says.

    Args:
        user_id: 0 <= ``user_id`` < 2**64.
        passphrase: the account's passphrase.

    Returns:
        The key, a number of 224 bits.

    Raises:
        ValueError: if the user id does not fit 8 bytes or the text is not UTF-8.
    """
    if not 0 <= user_id < 2**64:
        raise ValueError(f"user id {user_id} does not fit into 8 bytes; use 0 to 2**64 - 1")
    seed = user_id.to_bytes(8, "big") + passphrase.encode()
    return int.from_bytes(hashlib.sha224(seed).digest(), "big")


def public_key(key: int) -> Point:
    """Return the public point of a private key.

    Args:
        key: 1 <= ``key`` < :data:`N`.

    Raises:
        ValueError: if the key is out of range.
    """
    if not 1 <= key < N:
        raise ValueError("a private key of secp224k1 lies between 1 and the curve's order - 1")
    return _affine(_combine(key, 0, G))


def verify(point: Point, message: bytes, r: int, s: int) -> bool:
    """Tell whether (r, s) signs a message under a public key.

    Args:
        point: the signer's public point.
        message: what was signed; it is hashed with SHA-224 here.
        r: first half of the signature, any integer.
        s: second half of the signature, any integer; both s and N - s are right, as ECDSA has it.

    Returns:
        True if the signature is good; False for everything else, out-of-range halves included.
    """
    if not (1 <= r < N and 1 <= s < N) or not on_curve(point):
        return False
    z = int.from_bytes(hashlib.sha224(message).digest(), "big")
    inverse = pow(s, -1, N)
    total = _combine(z * inverse % N, r * inverse % N, point)
    if total[2] == 0:
        return False
    return _affine(total)[0] % N == r


def _combine(u: int, v: int, q: Point) -> _Jacobian:
    """Compute u*G + v*q, both scalars at once, from the top bit down (Shamir's trick)."""
    base: _Jacobian = (*G, 1)
    other: _Jacobian = (*q, 1)
    choices = (_INFINITY, base, other, _add(base, other))
    total = _INFINITY
    for bit in range(max(u.bit_length(), v.bit_length()) - 1, -1, -1):
        total = _double(total)
        choice = (u >> bit & 1) | (v >> bit & 1) << 1
        if choice:
            total = _add(total, choices[choice])
    return total


def _double(point: _Jacobian) -> _Jacobian:
    x, y, z = point
    if z == 0 or y == 0:
        return _INFINITY
    yy = y * y % P
    s = 4 * x * yy % P
    m = 3 * x * x % P
    new_x = (m * m - 2 * s) % P
    return new_x, (m * (s - new_x) - 8 * yy * yy) % P, 2 * y * z % P


def _add(left: _Jacobian, right: _Jacobian) -> _Jacobian:
    x1, y1, z1 = left
    x2, y2, z2 = right
    if z1 == 0:
        return right
    if z2 == 0:
        return left
    zz1 = z1 * z1 % P
    zz2 = z2 * z2 % P
    u1 = x1 * zz2 % P
    u2 = x2 * zz1 % P
    s1 = y1 * zz2 * z2 % P
    s2 = y2 * zz1 * z1 % P
    if u1 == u2:
        return _double(left) if s1 == s2 else _INFINITY
    h = u2 - u1
    hh = h * h % P
    hhh = h * hh % P
    v = u1 * hh % P
    slope = s2 - s1
    new_x = (slope * slope - hhh - 2 * v) % P
    return new_x, (slope * (v - new_x) - s1 * hhh) % P, h * z1 * z2 % P


def _affine(point: _Jacobian) -> Point:
    x, y, z = point
    inverse = pow(z, -1, P)
    square = inverse * inverse % P
    return x * square % P, y * square * inverse % P
