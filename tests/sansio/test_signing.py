"""Logins are signed exactly as the venues' texts say: every published vector, byte for byte."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ecdsa import BadSignatureError, VerifyingKey, ellipticcurve

from trioflex._sansio import signing
from trioflex._sansio.signing import derive_key, halves, login_message, secp224k1, sign
from trioflex._vocabulary.errors import InternalError, LocalProtocolError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "coinflex_auth.json").read_text())
BY_NAME = {vector["name"]: vector for vector in VECTORS["vectors"]}
PLAIN = BY_NAME["plain"]

every_vector = pytest.mark.parametrize("vector", VECTORS["vectors"], ids=list(BY_NAME))


def message_of(vector):
    return login_message(
        vector["user_id"],
        bytes.fromhex(vector["server_nonce_hex"]),
        bytes.fromhex(vector["client_nonce_hex"]),
    )


def verifier(vector):
    """The other side's key, made from the published coordinates by the package's own means."""
    curve = secp224k1()
    point = ellipticcurve.Point(
        curve.curve,
        int(vector["public_key_x_hex"], 16),
        int(vector["public_key_y_hex"], 16),
    )
    return VerifyingKey.from_public_point(point, curve, hashlib.sha224)


def verifies(vector, message, pair, key=None):
    def decode(signature, order):
        return [int.from_bytes(half, "big") for half in signature]

    key = verifier(vector) if key is None else key
    try:
        return key.verify(pair, message, hashlib.sha224, sigdecode=decode)
    except BadSignatureError:
        return False


def test_there_are_thirteen_vectors():
    """The file is the whole one."""
    assert 13 == len(BY_NAME)


def test_the_curve_is_the_published_one():
    """Field, equation, base point, order and name, against the numbers of the standard."""
    curve, published = secp224k1(), VECTORS["curve"]
    field, base = curve.curve, curve.generator
    assert [int(published[name], 16) for name in ("p", "a", "b", "gx", "gy", "n")] == [
        field.p(), field.a(), field.b(), base.x(), base.y(), base.order()
    ]  # fmt: skip
    assert published["oid"] == ".".join(map(str, curve.oid))
    assert published["h"] == field.cofactor()
    assert 225 == base.order().bit_length()


def test_the_curve_is_built_once():
    """Building it costs more than signing."""
    assert secp224k1() is secp224k1()


@every_vector
def test_keys_come_from_passphrases(vector):
    """One plain hash, no normalisation, no trimming."""
    key = derive_key(vector["user_id"], vector["passphrase"])
    assert vector["private_key_hex"] == key.hex()
    assert 28 == len(key)


@every_vector
def test_messages_are_forty_bytes(vector):
    """User, server's nonce, client's nonce."""
    assert vector["message_hex"] == message_of(vector).hex()


@every_vector
def test_signatures_are_those_of_the_vectors(vector):
    """Deterministic, each half 28 bytes whatever zeros it begins with."""
    pair = sign(bytes.fromhex(vector["private_key_hex"]), message_of(vector))

    assert [vector["rfc6979"]["r_hex"], vector["rfc6979"]["s_hex"]] == [p.hex() for p in pair]
    assert vector["rfc6979"]["signature_b64"] == [base64.b64encode(p).decode() for p in pair]


@every_vector
def test_signatures_verify(vector):
    """With the package's verifier and the published public key."""
    message = message_of(vector)
    pair = sign(bytes.fromhex(vector["private_key_hex"]), message)
    assert verifies(vector, message, pair)


def test_the_venues_own_signature_verifies():
    """The one printed in the venue's text, made with a random k."""
    vector = BY_NAME["published_example"]
    pair = [base64.b64decode(half) for half in vector["published_signature"]["signature_b64"]]
    assert verifies(vector, message_of(vector), pair)


@pytest.mark.parametrize("fixed", VECTORS["fixed_k_signatures_for_vector_plain"])
def test_signatures_with_other_ks_verify_too(fixed):
    """Low and high s alike: nothing is normalised."""
    pair = [bytes.fromhex(fixed["r_hex"]), bytes.fromhex(fixed["s_hex"])]
    assert verifies(PLAIN, message_of(PLAIN), pair)


def altered(change):
    """The message, the signature and the key after one of the alterations of the vectors."""
    server = bytes.fromhex(PLAIN["server_nonce_hex"])
    client = bytes.fromhex(PLAIN["client_nonce_hex"])
    message = message_of(PLAIN)
    pair = sign(bytes.fromhex(PLAIN["private_key_hex"]), message)
    match change:
        case "flip lowest bit of last client-nonce byte":
            return message[:-1] + bytes([message[-1] ^ 1]), pair, None
        case "swap server nonce and client nonce in the message":
            return login_message(PLAIN["user_id"], client, server), pair, None
        case "user id packed little-endian in the message":
            return PLAIN["user_id"].to_bytes(8, "little") + server + client, pair, None
        case "r and s exchanged":
            return message, pair[::-1], None
        case "public key of vector user_id_above_2_32":
            return message, pair, verifier(BY_NAME["user_id_above_2_32"])
    raise AssertionError(f"a new alteration: {change}")


@pytest.mark.parametrize("alteration", VECTORS["must_not_verify"], ids=lambda a: a["change"])
def test_altered_signatures_do_not_verify(alteration):
    """The verifier above would notice a wrong signature."""
    message, pair, key = altered(alteration["change"])
    assert not verifies(PLAIN, message, pair, key)


@pytest.mark.parametrize(
    ("r", "s"), [(1, 1 << 224), (0, 1), (1, 0), (1 << 224, 1), ((1 << 225) - 1, 1)]
)
def test_halves_that_do_not_fit_are_no_signature(r, s):
    """The group has more elements than 224 bits can count."""
    assert halves(r, s) is None


def test_halves_are_padded():
    """Exactly 28 bytes, whatever the number."""
    assert (bytes(27) + b"\1", b"\xff" * 28) == halves(1, (1 << 224) - 1)


@pytest.mark.parametrize("sizes", [(15, 16), (16, 17), (0, 16)])
def test_nonces_have_sixteen_bytes(sizes):
    """No signature over rubbish."""
    with pytest.raises(ValueError, match="16 bytes"):  # L6
        login_message(1, bytes(sizes[0]), bytes(sizes[1]))


def test_a_passphrase_that_is_no_text_is_refused_without_showing_it():
    """Half a surrogate pair has no UTF-8."""
    with pytest.raises(LocalProtocolError, match="surrogate") as caught:  # L8
        derive_key(1, "secret\ud800")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_key_out_of_range_is_a_bug():
    """Such keys are refused when they are given."""
    with pytest.raises(InternalError):
        sign(bytes(28), b"message")


def test_the_package_is_imported_on_first_use():
    """Importing the module loads nothing."""
    code = (
        "import sys, types; package = types.ModuleType('trioflex'); "
        f"package.__path__ = [{str(Path(signing.__file__).parents[1])!r}]; "
        "sys.modules['trioflex'] = package; "
        "import trioflex._sansio.signing; assert 'ecdsa' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
