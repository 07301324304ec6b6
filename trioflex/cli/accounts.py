"""Who logs in: credentials from the environment, from files, or from a prompt without echo.

Looked for are, first found first taken, name by name: the environment, ``.env`` in the working
folder, ``credentials.env`` in the user's configuration directory. Both files hold lines
``NAME=value``. Nothing but a path to a key file ever comes from the arguments, which every user of
the machine can read.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import platformdirs

from trioflex import LocalProtocolError

SETTINGS = "credentials.env"
"""The file in the user's configuration directory."""


@attrs.frozen(kw_only=True)
class Names:
    """How a venue's credentials are called."""

    open: tuple[str, ...] = ()
    """Not secret: typed with echo."""
    secret: tuple[str, ...] = ()
    """Typed without."""
    instead: str | None = None
    """May stand instead of the last secret."""
    key_file: str | None = None
    """A path to a private key; ``key.pem`` in the working folder unless it is set."""


NAMES: Mapping[str, Names] = {
    "coinflex": Names(
        open=("COINFLEX_USER_ID",),
        secret=("COINFLEX_COOKIE", "COINFLEX_PASSPHRASE"),
        instead="COINFLEX_PRIVATE_KEY",
    ),
    "coinfloor": Names(
        open=("COINFLOOR_USER_ID",),
        secret=("COINFLOOR_COOKIE", "COINFLOOR_PASSPHRASE"),
        instead="COINFLOOR_PRIVATE_KEY",
    ),
    "theone": Names(secret=("BROKER_API_KEY", "BROKER_SECRET_KEY")),
    "oceanex": Names(open=("OCEANEX_UID", "OCEANEX_KEY_ID"), key_file="OCEANEX_KEY_FILE"),
    "midchains": Names(open=("MIDCHAINS_USER_ID",), secret=("MIDCHAINS_PASSWORD",)),
}
"""Of the venues that come with the package. Others are asked with what the environment holds."""

_SECRETS = frozenset(
    name
    for names in NAMES.values()
    for name in (*names.secret, *([names.instead] if names.instead else ()))
)

_told: set[Path] = set()


def sources() -> dict[str, str]:
    """Return what the environment and the two files hold, the environment's word first."""
    found: dict[str, str] = {}
    for path in (settings_file(), Path(".env")):
        lines = read_file(path)
        if _SECRETS & lines.keys():
            warn_if_open(path)
        found.update(lines)
    found.update(os.environ)
    return found


def warn_if_open(path: Path) -> None:
    """Say on standard error, once, that others can read a file that holds secrets.

    Args:
        path: of the file; nothing is said of one that is not there, nor where the file system
            knows no permissions.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # who needs the file will say what is wrong with it
    if not stat.S_ISREG(mode):
        return  # no file at all, or a pipe
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH) and path not in _told:
        _told.add(path)
        print(
            f"Warning: other users of this machine can read {path}, which holds secrets; "
            f"`chmod 600 {path}` keeps them out.",
            file=sys.stderr,
        )


def settings_file() -> Path:
    """Return where the user's own file of credentials is looked for."""
    return platformdirs.user_config_path("trioflex") / SETTINGS


def read_file(path: Path) -> dict[str, str]:
    """Return the ``NAME=value`` lines of a file; one that does not exist has none.

    Empty lines, lines beginning with ``#``, ``export`` in front of a name, and quotes around a
    value are what shells and other tools make of such files.

    Raises:
        LocalProtocolError: the file cannot be read. Its lines are not repeated.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8 text"
        raise LocalProtocolError(f"{path} cannot be read: {why}.") from None
    found = {}
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            value = value.strip()
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            found[name.strip()] = value
    return found


@attrs.frozen(kw_only=True)
class Account:
    """What a login needs, as far as it was found."""

    venue: str
    names: Names | None
    """``None``: of a venue that does not come with the package; it says itself what it needs."""
    environ: dict[str, str] = attrs.field(repr=False)
    _kind: Any

    @property
    def at_hand(self) -> bool:
        """Something of it was found; where nobody knows what to look for, perhaps."""
        if self.names is None:
            return True
        instead = (self.names.instead,) if self.names.instead else ()
        every = (*self.names.open, *self.names.secret, *instead)
        return any(self.environ.get(each) for each in every)

    @property
    def missing(self) -> tuple[str, ...]:
        """What has to be asked for."""
        if self.names is None:
            return ()
        wanted = [*self.names.open, *self.names.secret]
        if self.names.instead is not None and self.environ.get(self.names.instead):
            del wanted[-1]
        return tuple(each for each in wanted if not self.environ.get(each))

    def is_secret(self, name: str) -> bool:
        """Whether it is typed without echo."""
        return self.names is None or name in self.names.secret

    def make(self, answers: Mapping[str, str]) -> object:
        """Return the venue's credentials.

        Args:
            answers: what was missing, by name.

        Raises:
            LocalProtocolError: something is still missing, or cannot be right.
        """
        environ = {**self.environ, **answers}
        if self.names is not None and self.names.key_file is not None:
            environ[self.names.key_file] = environ.get(self.names.key_file) or "key.pem"
            warn_if_open(Path(environ[self.names.key_file]))
        made: object
        try:
            made = self._kind.from_env(environ)
        except LocalProtocolError as wrong:
            if isinstance(wrong.__cause__, OSError) and self.names and self.names.key_file:
                raise self._unreadable(self.names.key_file, environ, wrong.__cause__) from None
            raise
        return made

    def _unreadable(
        self, variable: str, environ: Mapping[str, str], wrong: OSError
    ) -> LocalProtocolError:
        """Return what is said of a key file: its name, unless that is the key itself."""
        text = environ[variable]
        key = "the private key" if "-----" in text or "\n" in text else f"the private key {text}"
        return LocalProtocolError(
            f"{self.venue}: {key} cannot be read: {wrong.strerror}. Name its file with --key-file "
            f"or {variable}."
        )


def look_up(
    name: str,
    module: ModuleType,
    *,
    key_file: Path | None = None,
    found: Mapping[str, str] | None = None,
) -> Account | None:
    """Return what there is of a venue's credentials, without asking anybody.

    Args:
        name: of the venue.
        module: its module, with a ``Credentials`` class.
        key_file: instead of the one that the environment names.
        found: where to look; ``None``: the environment and the files.

    Returns:
        ``None`` if the venue has no logins.

    Raises:
        LocalProtocolError: a file cannot be read, or the venue has no key file.
    """
    kind = getattr(module, "Credentials", None)
    if kind is None:
        return None
    environ = dict(sources() if found is None else found)
    names = NAMES.get(name)
    if names is not None and key_file is not None:
        if names.key_file is None:
            raise LocalProtocolError(f"{name} has no key file; leave --key-file out.")
        environ[names.key_file] = str(key_file)
    return Account(venue=name, names=names, environ=environ, kind=kind)


def credentials(
    name: str,
    module: ModuleType,
    *,
    needed: str | None,
    key_file: Path | None = None,
    found: Mapping[str, str] | None = None,
) -> object | None:
    """Return a venue's credentials.

    Args:
        name: of the venue.
        module: its module, with a ``Credentials`` class.
        needed: what needs them, as a sentence's subject; ``None``: nothing does, and they are
            used only if they are at hand.
        key_file: instead of the one that the environment names.
        found: where to look; ``None``: the environment and the files.

    Returns:
        ``None`` if nothing needs them and none are at hand.

    Raises:
        LocalProtocolError: they are needed and not there, or they cannot be right.
    """
    account = look_up(name, module, key_file=key_file, found=found)
    if account is None or (needed is None and not account.at_hand):
        return None
    try:
        return account.make(_ask(account, needed))
    except LocalProtocolError:
        if account.names is None and needed is None:
            return None
        raise


def complaint(account: Account, needed: str | None) -> str:
    """Return the sentence that says what is missing and where to put it."""
    names, missing = account.names, account.missing
    either = names is not None and names.instead is not None and missing[-1] == names.secret[-1]
    return (
        f"{needed or f'The login of {account.venue}'} needs {', '.join(missing)}"
        f"{f' (or {names.instead})' if names and either else ''}: set "
        f"{'it' if len(missing) == 1 else 'them'} in the environment, in .env, or in "
        f"{settings_file()}."
    )


def _ask(account: Account, needed: str | None) -> dict[str, str]:
    """Ask the person for what is missing, or say what that is."""
    answers: dict[str, str] = {}
    if not account.missing:
        return answers
    if needed is None or not sys.stdin.isatty():
        raise LocalProtocolError(complaint(account, needed))
    print(f"{needed} needs a login to {account.venue}.", file=sys.stderr)
    for each in account.missing:
        if account.is_secret(each):
            answers[each] = getpass.getpass(f"{each}: ")
        else:
            print(f"{each}: ", end="", file=sys.stderr, flush=True)
            answers[each] = sys.stdin.readline().strip()
    return answers
