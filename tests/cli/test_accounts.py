"""Who logs in: where credentials are looked for, and that they are never shown."""

from __future__ import annotations

import base64
import getpass
import io
import re

import pytest

from trioflex import LocalProtocolError
from trioflex.cli import accounts
from trioflex.cli.accounts import credentials, read_file, sources
from trioflex.venues import coinflex, oceanex, theone

ACCOUNT = {
    "COINFLEX_USER_ID": "7",
    "COINFLEX_COOKIE": "Y29va2ll",
    "COINFLEX_PASSPHRASE": "open sesame",
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty working folder, an empty configuration directory, no variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(accounts, "settings_file", lambda: tmp_path / "config" / "credentials.env")
    for names in accounts.NAMES.values():
        for name in (*names.open, *names.secret, names.instead or "", names.key_file or ""):
            monkeypatch.delenv(name or "COINFLEX_COOKIE", raising=False)
    (tmp_path / "config").mkdir()
    return tmp_path


def test_the_environment_comes_first(home, monkeypatch):
    """Then the working folder, then the user's own file, name by name."""
    (home / ".env").write_text("COINFLEX_USER_ID=2\nCOINFLEX_COOKIE=b\n")
    (home / "config" / "credentials.env").write_text(
        "COINFLEX_USER_ID=1\nCOINFLEX_COOKIE=a\nCOINFLEX_PASSPHRASE=c\n"
    )
    monkeypatch.setenv("COINFLEX_USER_ID", "3")
    found = sources()
    assert ["3", "b", "c"] == [found[name] for name in ACCOUNT]


def test_files_are_read_as_other_tools_write_them(home):
    """Quotes, comments, ``export`` and empty lines."""
    (home / ".env").write_text("# A=1\n\nexport B = \"x y\" \nC='='\nD\nE=\n")
    assert {"B": "x y", "C": "=", "E": ""} == read_file(home / ".env")


def test_an_unreadable_file_is_named(home):
    """Without what is in it."""
    (home / ".env").write_bytes(b"SECRET=\xff")
    with pytest.raises(LocalProtocolError, match="not UTF-8") as caught:
        sources()
    assert "SECRET" not in str(caught.value)


def test_without_any_a_stranger_stays_one(home):
    """Unless something needs a login; then it is said what is missing, and where it belongs."""
    assert credentials("coinflex", coinflex, needed=None) is None
    with pytest.raises(LocalProtocolError) as caught:
        credentials("coinflex", coinflex, needed="GetBalances")
    for word in ("GetBalances", *ACCOUNT, "COINFLEX_PRIVATE_KEY", ".env", "credentials.env"):
        assert word in str(caught.value)


def test_one_that_is_missing_is_one(home):
    """So is what is said of it."""
    known = {"COINFLEX_USER_ID": "1", "COINFLEX_PASSPHRASE": "x"}
    with pytest.raises(LocalProtocolError, match=r"GetBalances needs COINFLEX_COOKIE: set it in"):
        accounts.credentials("coinflex", coinflex, needed="GetBalances", found=known)


def test_half_of_them_is_a_mistake(home):
    """Nobody wants to be a stranger with a user id."""
    with pytest.raises(LocalProtocolError, match="COINFLEX_COOKIE"):
        credentials("coinflex", coinflex, needed=None, found={"COINFLEX_USER_ID": "7"})


def test_the_private_key_stands_instead_of_the_passphrase(home):
    """As the venue's module has it."""
    key = coinflex.Credentials(7, "Y29va2ll", "open sesame").key
    found = ACCOUNT | {
        "COINFLEX_PASSPHRASE": "",
        "COINFLEX_PRIVATE_KEY": base64.b64encode(key).decode(),
    }
    made = credentials("coinflex", coinflex, needed=None, found=found)
    assert key == made.key


def test_a_person_is_asked(home, monkeypatch, capsys):
    """For what is missing, in front of the terminal; secrets without echo."""
    asked = []

    def ask(prompt):
        asked.append(prompt)
        return {"COINFLEX_COOKIE: ": "Y29va2ll"}.get(prompt, "open sesame")

    terminal = io.StringIO("7\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr(getpass, "getpass", ask)
    made = credentials("coinflex", coinflex, needed="GetBalances")
    assert ["COINFLEX_COOKIE: ", "COINFLEX_PASSPHRASE: "] == asked
    assert coinflex.Credentials(7, "Y29va2ll", "open sesame") == made
    assert "" == capsys.readouterr().out


def test_a_key_file_is_for_those_who_have_one(home):
    """Others say so."""
    with pytest.raises(LocalProtocolError, match="leave --key-file out"):
        credentials("coinflex", coinflex, needed=None, key_file=home / "key.pem", found={})


def test_theone_goes_by_its_own_names(home):
    """Those of its own clients."""
    found = {"BROKER_API_KEY": "abc", "BROKER_SECRET_KEY": "def"}
    made = credentials("theone", theone, needed="theone", found=found)
    assert theone.Credentials("abc", "def") == made


@pytest.mark.parametrize(
    ("name", "content", "mode", "warned"),
    [
        (".env", "COINFLEX_PASSPHRASE=open sesame\n", 0o644, True),
        (".env", "COINFLEX_PASSPHRASE=open sesame\n", 0o640, True),
        (".env", "COINFLEX_PASSPHRASE=open sesame\n", 0o600, False),
        (".env", "COINFLEX_USER_ID=1\nCOLOUR=blue\n", 0o644, False),
        ("config/credentials.env", "export MIDCHAINS_PASSWORD='open sesame'\n", 0o604, True),
    ],
)
def test_a_file_that_others_can_read_is_warned_about(home, capsys, name, content, mode, warned):
    """Once, if there are secrets in it; and they are not repeated."""
    path = home / name
    path.write_text(content)
    path.chmod(mode)
    accounts._told.clear()
    assert sources() == sources()
    err = capsys.readouterr().err
    assert [int(warned)] * 2 == [err.count("\n"), err.count("chmod 600 ")]
    assert not warned or path.name in err
    assert "sesame" not in err


def test_a_key_that_others_can_read_is_warned_about(home, capsys):
    """A private key is a secret, too."""
    (home / "key.pem").write_text("open sesame")
    (home / "key.pem").chmod(0o644)
    accounts._told.clear()
    with pytest.raises(LocalProtocolError):
        credentials(
            "oceanex", oceanex, needed="x", found={"OCEANEX_UID": "1", "OCEANEX_KEY_ID": "2"}
        )
    err = capsys.readouterr().err
    assert "chmod 600 key.pem" in err
    assert "sesame" not in err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "the private key key.pem cannot be read: No such file"),
        ({"OCEANEX_KEY_FILE": ""}, "the private key key.pem cannot be read: No such file"),
        ({"OCEANEX_KEY_FILE": "there"}, "the private key there cannot be read: No such file"),
        ({"OCEANEX_KEY_FILE": "."}, "the private key . cannot be read: Is a directory"),
        ({"OCEANEX_KEY_FILE": "-----BEGIN SESAME"}, "the private key cannot be read: No such"),
    ],
)
def test_a_key_file_that_is_not_there_is_named(home, capsys, given, said):
    """With what to do, whoever named it; and the key itself never is."""
    found = {"OCEANEX_UID": "1", "OCEANEX_KEY_ID": "2"} | given
    with pytest.raises(LocalProtocolError, match=re.escape(said)) as caught:
        credentials("oceanex", oceanex, needed="x", found=found)
    assert "--key-file or OCEANEX_KEY_FILE" in str(caught.value)
    assert "SESAME" not in str(caught.value)
    assert "" == capsys.readouterr().err
