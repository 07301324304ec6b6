"""The far side's own signature check, against published and computed vectors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from trioflex.simulator import secp224k1

DATA = json.loads(
    (Path(__file__).parent.parent / "vectors" / "coinflex_auth.json").read_text(encoding="utf-8")
)
VECTORS = {vector["name"]: vector for vector in DATA["vectors"]}
PLAIN = VECTORS["plain"]


def number(text: str) -> int:
    return int(text, 16)


def key_of(vector: dict) -> secp224k1.Point:
    return number(vector["public_key_x_hex"]), number(vector["public_key_y_hex"])


def signature_of(vector: dict) -> tuple[int, int]:
    return number(vector["rfc6979"]["r_hex"]), number(vector["rfc6979"]["s_hex"])


def message_of(vector: dict) -> bytes:
    return bytes.fromhex(vector["message_hex"])


def test_the_curve_is_the_one_of_the_vectors():
    """Prime, order and base point are those of SEC 2."""
    curve = DATA["curve"]
    assert number(curve["p"]) == secp224k1.P
    assert number(curve["n"]) == secp224k1.N
    assert (number(curve["gx"]), number(curve["gy"])) == secp224k1.G
    assert secp224k1.on_curve(secp224k1.G)


@pytest.mark.parametrize("vector", DATA["vectors"], ids=VECTORS)
def test_keys_are_derived_from_id_and_passphrase(vector):
    """The private key is a hash of id and passphrase, the public one a point of the curve."""
    key = secp224k1.private_key(vector["user_id"], vector["passphrase"])
    assert number(vector["private_key_hex"]) == key
    assert key_of(vector) == secp224k1.public_key(key)


@pytest.mark.parametrize("vector", DATA["vectors"], ids=VECTORS)
def test_right_signatures_verify(vector):  # T4
    """Every vector's signature is good, and so is the one with s negated."""
    r, s = signature_of(vector)
    assert secp224k1.verify(key_of(vector), message_of(vector), r, s)
    assert secp224k1.verify(key_of(vector), message_of(vector), r, secp224k1.N - s)


def test_the_published_signature_verifies():  # T4
    """The signature printed in the venue's document, made with a random k, is good."""
    vector = VECTORS["published_example"]
    published = vector["published_signature"]
    r, s = number(published["r_hex"]), number(published["s_hex"])
    assert secp224k1.verify(key_of(vector), message_of(vector), r, s)


@pytest.mark.parametrize("case", DATA["fixed_k_signatures_for_vector_plain"])
def test_signatures_with_any_k_verify(case):
    """The check does not depend on how k was chosen."""
    r, s = number(case["r_hex"]), number(case["s_hex"])
    assert secp224k1.verify(key_of(PLAIN), message_of(PLAIN), r, s)


def altered(change: str) -> tuple[secp224k1.Point, bytes, int, int]:
    """Apply one of the vector file's alterations to the vector ``plain``."""
    key, message = key_of(PLAIN), message_of(PLAIN)
    r, s = signature_of(PLAIN)
    if "lowest bit" in change:
        message = message[:-1] + bytes([message[-1] ^ 1])
    elif "swap server nonce" in change:
        message = message[:8] + message[24:] + message[8:24]
    elif "little-endian" in change:
        message = message[:8][::-1] + message[8:]
    elif "r and s exchanged" in change:
        r, s = s, r
    elif "public key of vector" in change:
        key = key_of(VECTORS[change.rpartition(" ")[2]])
    else:
        raise ValueError(f"an alteration that this test does not know: {change}")
    return key, message, r, s


@pytest.mark.parametrize("case", DATA["must_not_verify"], ids=lambda case: case["change"])
def test_altered_signatures_do_not_verify(case):  # T4
    """Whatever is changed, the signature is not good any more."""
    assert case["vector"] == "plain"
    key, message, r, s = altered(case["change"])
    assert (key, message, r, s) != (key_of(PLAIN), message_of(PLAIN), *signature_of(PLAIN))
    assert not secp224k1.verify(key, message, r, s)


@pytest.mark.parametrize(
    ("r", "s"),
    [
        (0, 1),
        (1, 0),
        (secp224k1.N, 1),
        (1, secp224k1.N),
        (-1, 1),
        (1, 2**224 - 1),
        (2**224 - 1, 2**224 - 1),
    ],
)
def test_halves_out_of_range_do_not_verify(r, s):
    """No choice of r and s slips past the check without the key."""
    assert not secp224k1.verify(key_of(PLAIN), message_of(PLAIN), r, s)


def test_a_key_off_the_curve_verifies_nothing():
    """A point that is none of the curve is refused before any arithmetic."""
    x, y = key_of(PLAIN)
    assert not secp224k1.verify((x, y + 1), message_of(PLAIN), *signature_of(PLAIN))
    assert not secp224k1.on_curve((x + secp224k1.P, y))


def test_the_point_at_infinity_is_no_signature():
    """A signature whose point vanishes is refused instead of dividing by zero."""
    # With Q = G and r = -z, u*G + v*Q is the point at infinity for every s.
    message = b"any"
    z = int.from_bytes(hashlib.sha224(message).digest(), "big")
    assert not secp224k1.verify(secp224k1.G, message, secp224k1.N - z, 1)


def test_arithmetic_agrees_with_repeated_addition():
    """Scalar multiplication is what adding the base point over and over gives, up to the order."""
    key_one, key_two = secp224k1.public_key(1), secp224k1.public_key(2)
    assert secp224k1.G == key_one
    assert secp224k1.on_curve(key_two)
    x, y = secp224k1.public_key(secp224k1.N - 2)
    assert (key_two[0], secp224k1.P - key_two[1]) == (x, y)


@pytest.mark.parametrize("key", [0, secp224k1.N, -1])
def test_private_keys_have_a_range(key):
    """Zero and what is past the order are no keys."""
    with pytest.raises(ValueError, match="private key"):
        secp224k1.public_key(key)


@pytest.mark.parametrize("user_id", [-1, 2**64])
def test_user_ids_have_a_range(user_id):
    """An id has to fit the eight bytes that are signed."""
    with pytest.raises(ValueError, match="8 bytes"):
        secp224k1.private_key(user_id, "x")


def test_keys_that_cancel_the_base_point_out_verify():
    """With the key N - 1, sums of base point and public key vanish on the way."""
    key = secp224k1.N - 1
    x, y = secp224k1.public_key(key)
    assert (secp224k1.G[0], secp224k1.P - secp224k1.G[1]) == (x, y)
    z = int.from_bytes(hashlib.sha224(b"any").digest(), "big")
    r = secp224k1.public_key(2)[0]
    s = pow(2, -1, secp224k1.N) * (z + r * key) % secp224k1.N
    assert secp224k1.verify((x, y), b"any", r, s)
    assert not secp224k1.verify((x, y), b"other", r, s)
