"""Credentials say what is wrong with them, and never what they are."""

from __future__ import annotations

import base64

import attrs
import pytest

from trioflex._vocabulary.errors import LocalProtocolError
from trioflex.venues import coinflex, coinfloor

from .floor import PUBLISHED, VECTORS

COOKIE, PASSPHRASE = PUBLISHED["cookie"], PUBLISHED["passphrase"]
KEY_TEXT = PUBLISHED["private_key_b64"]
ENVIRONMENT = {
    "COINFLEX_USER_ID": "1",
    "COINFLEX_COOKIE": COOKIE,
    "COINFLEX_PASSPHRASE": PASSPHRASE,
}
SECRETS = [COOKIE, PASSPHRASE, KEY_TEXT, PUBLISHED["private_key_hex"]]


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_a_passphrase_and_its_key_are_the_same_credentials(vector):
    """Whichever of the two a user has."""
    user, cookie = vector["user_id"], vector["cookie"]
    ways = [
        coinflex.Credentials(user, cookie, vector["passphrase"]),
        coinflex.Credentials(user, cookie, passphrase=vector["passphrase"]),
        coinflex.Credentials(user, cookie, private_key=vector["private_key_b64"]),
        coinflex.Credentials(user, cookie, private_key=bytes.fromhex(vector["private_key_hex"])),
    ]
    assert 1 == len(set(ways))
    assert vector["private_key_hex"] == ways[0].key.hex()


def test_they_show_whose_they_are_and_nothing_else():
    """Neither in a repr nor as text."""
    credentials = coinflex.Credentials(1, COOKIE, PASSPHRASE)  # L8
    for text in (repr(credentials), str(credentials), f"{[credentials]}"):
        assert "Credentials(user_id=1)" in text
        assert not [secret for secret in SECRETS if secret in text]


def test_the_passphrase_is_not_kept():
    """The key is all that a login needs."""
    credentials = coinflex.Credentials(1, COOKIE, PASSPHRASE)  # L8
    assert {"user_id", "cookie", "key"} == {field.name for field in attrs.fields(type(credentials))}
    assert PASSPHRASE not in map(str, attrs.astuple(credentials))
    assert not hasattr(credentials, "__dict__")


@pytest.mark.parametrize("user_id", [-1, 2**64, "1", 1.0, True, None])
def test_a_user_id_is_a_number_of_64_bits(user_id):
    """Not text that looks like one."""
    with pytest.raises(LocalProtocolError, match="user_id is an integer"):
        coinflex.Credentials(user_id, COOKIE, PASSPHRASE)


@pytest.mark.parametrize("user_id", [0, 2**64 - 1])
def test_the_bounds_of_a_user_id_are_allowed(user_id):
    """All 64 bits."""
    assert user_id == coinflex.Credentials(user_id, COOKIE, PASSPHRASE).user_id


@pytest.mark.parametrize("cookie", ["", None, b"cookie", "k\u00fc"])
def test_a_cookie_is_the_sites_text(cookie):
    """Opaque, but text."""
    with pytest.raises(LocalProtocolError, match="cookie is the text") as caught:
        coinflex.Credentials(1, cookie, PASSPHRASE)
    assert "k\u00fc" not in str(caught.value)


@pytest.mark.parametrize("both", [{}, {"passphrase": PASSPHRASE, "private_key": KEY_TEXT}])
def test_either_a_passphrase_or_a_key(both):
    """One of the two, not both."""
    with pytest.raises(LocalProtocolError, match="either a passphrase or a private_key"):
        coinflex.Credentials(1, COOKIE, **both)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "not base64!",
        base64.b64encode(bytes(range(27))).decode(),
        base64.b64encode(bytes(range(29))).decode(),
        base64.b64encode(bytes(28)).decode(),
        bytes(28),
        KEY_TEXT[:-1],
        KEY_TEXT + "\n",
        "\u00e9" * 40,
        12,
    ],
)
def test_a_key_is_28_bytes(key):
    """Raw or in Base64; the error does not show it."""
    with pytest.raises(LocalProtocolError, match="private_key is 28 bytes") as caught:  # L8
        coinflex.Credentials(1, COOKIE, private_key=key)
    assert KEY_TEXT[:8] not in str(caught.value)


def test_a_key_in_base64_may_be_given_as_bytes():
    """As it is read from a file."""
    assert PUBLISHED["private_key_hex"] == (
        coinflex.Credentials(1, COOKIE, private_key=KEY_TEXT.encode()).key.hex()
    )


@pytest.mark.parametrize("passphrase", [b"opensesame", 5])
def test_a_passphrase_is_text(passphrase):
    """Its bytes are ours to make."""
    with pytest.raises(LocalProtocolError, match="passphrase is text"):
        coinflex.Credentials(1, COOKIE, passphrase)


def test_they_can_come_from_the_environment(monkeypatch):
    """By default the process's own."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert coinflex.Credentials(1, COOKIE, PASSPHRASE) == coinflex.Credentials.from_env()


def test_each_venue_reads_its_own_variables():
    """CoinFLEX's key is no use at Coinfloor."""
    environment = {name.replace("FLEX", "FLOOR"): value for name, value in ENVIRONMENT.items()}
    credentials = coinfloor.Credentials.from_env(environment)

    assert isinstance(credentials, coinfloor.Credentials)
    assert 1 == credentials.user_id
    with pytest.raises(LocalProtocolError, match="COINFLEX_USER_ID is not set"):
        coinflex.Credentials.from_env(environment)


def test_the_key_goes_before_the_passphrase():
    """Who sets both has derived it on purpose."""
    environment = {**ENVIRONMENT, "COINFLEX_PASSPHRASE": "x", "COINFLEX_PRIVATE_KEY": KEY_TEXT}
    assert PUBLISHED["private_key_hex"] == coinflex.Credentials.from_env(environment).key.hex()


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("COINFLEX_USER_ID", "COINFLEX_USER_ID"),
        ("COINFLEX_COOKIE", "COINFLEX_COOKIE"),
        ("COINFLEX_PASSPHRASE", "COINFLEX_PASSPHRASE nor COINFLEX_PRIVATE_KEY"),
    ],
)
@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_variable_is_named(missing, named, empty):
    """Set to nothing is as good as not set; no other value is shown."""
    environment = {name: value for name, value in ENVIRONMENT.items() if name != missing}
    if empty:
        environment[missing] = ""
    with pytest.raises(LocalProtocolError, match=named) as caught:
        coinflex.Credentials.from_env(environment)
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


@pytest.mark.parametrize("user_id", ["one", "-1", "1.0", "\u0661"])
def test_a_user_id_in_the_environment_is_a_number(user_id):
    """In plain digits."""
    with pytest.raises(LocalProtocolError, match="COINFLEX_USER_ID is a number"):
        coinflex.Credentials.from_env({**ENVIRONMENT, "COINFLEX_USER_ID": user_id})
