"""Who logs in: credentials from the environment, from files, or from a prompt without echo.

Looked for are, first found first taken, name by name: the environment, ``.env`` in the working
folder, ``credentials.env`` in the user's configuration directory. Both files hold lines
``NAME=value``. Nothing but a path to a key file ever comes from the arguments, which every user of
the machine can read.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

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


def sources() -> dict[str, str]:
    """Return what the environment and the two files hold, the environment's word first."""
    found: dict[str, str] = {}
    for path in (settings_file(), Path(".env")):
        found.update(read_file(path))
    found.update(os.environ)
    return found


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
    kind = getattr(module, "Credentials", None)
    if kind is None:
        return None
    environ = dict(sources() if found is None else found)
    names = NAMES.get(name)
    if names is None:
        try:
            made: object = kind.from_env(environ)
        except LocalProtocolError:
            if needed is None:
                return None
            raise
        return made
    if key_file is not None:
        if names.key_file is None:
            raise LocalProtocolError(f"{name} has no key file; leave --key-file out.")
        environ[names.key_file] = str(key_file)
    every = (*names.open, *names.secret, *([names.instead] if names.instead else ()))
    if not any(environ.get(each) for each in every) and needed is None:
        return None
    if names.key_file is not None:
        environ.setdefault(names.key_file, "key.pem")
    _ask(name, names, environ, needed)
    made = kind.from_env(environ)
    return made


def _ask(name: str, names: Names, environ: dict[str, str], needed: str | None) -> None:
    """Ask the person for what is missing, or say what that is."""
    missing = [each for each in (*names.open, *names.secret) if not environ.get(each)]
    if names.instead is not None and environ.get(names.instead):
        missing = [each for each in missing if each != names.secret[-1]]
    if not missing:
        return
    if needed is None or not sys.stdin.isatty():
        last = f" (or {names.instead})" if names.secret[-1:] == tuple(missing[-1:]) else ""
        raise LocalProtocolError(
            f"{needed or f'The login of {name}'} needs {', '.join(missing)}"
            f"{last if names.instead else ''}: set them in the environment, in .env, or in "
            f"{settings_file()}."
        )
    print(f"{needed} needs a login to {name}.", file=sys.stderr)
    for each in missing:
        if each in names.secret:
            environ[each] = getpass.getpass(f"{each}: ")
        else:
            print(f"{each}: ", end="", file=sys.stderr, flush=True)
            environ[each] = sys.stdin.readline().strip()
