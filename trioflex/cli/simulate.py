"""``trioflex simulate``: serve a simulated exchange on this machine until it is interrupted.

The first line of standard output is one JSON object, for the program that started this one:
``url``, ``credentials`` (keyed by the environment variables that clients read) and, with TLS,
``ca_file``. Everything for people goes to standard error.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import trio
import typer

from .exits import Terminated
from .running import execute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from trioflex.simulator import (
        FloorAccount,
        MidchainsAccount,
        OceanExAccount,
        TheOneAccount,
    )

    Account: TypeAlias = FloorAccount | MidchainsAccount | OceanExAccount | TheOneAccount

VENUES = ("coinflex", "coinfloor", "midchains", "oceanex", "theone")


async def simulate_command(
    venue: str = "coinflex",
    port: int = 0,
    tls: bool = False,
    seed: int = 0,
    accounts: Sequence[str] = (),
    trade: bool = True,
    public_key: Path | None = None,
) -> None:
    """Serve a simulated exchange on 127.0.0.1 until SIGINT or SIGTERM.

    Args:
        venue: one of :data:`VENUES`.
        port: TCP port; 0 picks a free one.
        tls: serve ``wss://``, with an authority made for this run.
        seed: chooses the course of the market, and everything else that is random.
        accounts: users beside the default one, each as ``USER_ID:COOKIE:PASSPHRASE``, for TheOne as
            ``KEY:SECRET``, for MidChains as ``USER:PASSWORD``, for OceanEx as
            ``UID:KEY_ID:PUBLIC_KEY_FILE``.
        trade: whether the other market participants trade.
        public_key: PEM file of OceanEx's default account; ``None``: a pair is made, and the first
            line says where its private half is.

    Raises:
        ValueError: an account is malformed or given twice, the venue is not known, or a file holds
            no RSA public key.
        LocalProtocolError: the port cannot be bound.
        KeyboardInterrupt: after SIGINT, when everything is closed.
        Terminated: the same after SIGTERM.

    Cancellation: all connections are dropped, and what was written to disk is removed.
    """
    from trioflex import LocalProtocolError
    from trioflex.simulator import (
        SimulatedExchange,
        open_certificates,
        open_server,
        system_clock,
    )

    options: dict[str, Any] = {"accounts": _accounts(venue, accounts)}
    if public_key is not None:
        options["public_key"] = read_public_key(public_key)
    exchange = SimulatedExchange(venue, seed=seed, clock=system_clock, **options)
    with (
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
        log_to_stderr("trioflex.simulator"),
    ):
        async with AsyncExitStack() as stack:
            certificates = stack.enter_context(open_certificates()) if tls else None
            server = open_server(
                exchange,
                port=port,
                ssl_context=None if certificates is None else certificates.ssl_context,
            )
            try:
                address = await stack.enter_async_context(server)
            except OSError as exc:
                raise LocalProtocolError(
                    f"cannot listen on port {port}: {exc.strerror}; give another one, or 0 to have"
                    " a free one picked"
                ) from exc
            if trade:
                await stack.enter_async_context(exchange.trading())
            first = {"url": address.url, "credentials": dict(exchange.model.credentials())}
            if certificates is not None:
                first["ca_file"] = str(certificates.ca_file)
            print(json.dumps(first), flush=True)
            log = logging.getLogger("trioflex.simulator")
            log.info("%s is served on %s; Ctrl-C ends it", venue, address.url)
            number = await anext(aiter(signals))
            log.info("%s: ending", signal.Signals(number).name)
            statistics = exchange.statistics()
            log.info(
                "%d connections, %d requests, %d frames sent",
                statistics.connections,
                statistics.requests,
                statistics.frames,
            )
    # Like every other command: the exit status says which it was.
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def parse_account(text: str) -> FloorAccount:
    """Return the account written as ``USER_ID:COOKIE:PASSPHRASE``; the passphrase may hold colons.

    Raises:
        ValueError: it is not written so. The message never repeats the passphrase.
    """
    from trioflex.simulator import FloorAccount

    parts = text.split(":", 2)
    if len(parts) != 3:
        raise ValueError(
            "an account is USER_ID:COOKIE:PASSPHRASE, with two colons at least;"
            f" one was given with {len(parts) - 1}"
        )
    user_id, cookie, passphrase = parts
    if not (user_id.isascii() and user_id.isdecimal() and int(user_id) < 2**64):
        raise ValueError(f"the user id of an account is a whole number below 2^64, not {user_id!r}")
    try:
        base64.b64decode(cookie, validate=True)
    except binascii.Error:
        raise ValueError(f"the cookie of user {user_id} is not Base64; take one that is") from None
    return FloorAccount(int(user_id), cookie, passphrase)


def parse_key(text: str) -> TheOneAccount:
    """Return the account written as ``KEY:SECRET``; the secret may hold colons.

    Raises:
        ValueError: it is not written so. The message never repeats the secret.
    """
    from trioflex.simulator import TheOneAccount

    key, colon, secret = text.partition(":")
    if not (key and colon and secret and key.isascii() and key.isprintable()):
        raise ValueError(
            "an account of theone is KEY:SECRET, with a key of printable ASCII; one was given that"
            " is not"
        )
    return TheOneAccount(key, secret)


def parse_user(text: str) -> MidchainsAccount:
    """Return the account written as ``USER:PASSWORD``; the password may hold colons.

    Raises:
        ValueError: it is not written so. The message never repeats the password.
    """
    from trioflex.simulator import MidchainsAccount

    user, colon, password = text.partition(":")
    if not (user and colon and password and user.isascii() and user.isprintable()):
        raise ValueError(
            "an account of midchains is USER:PASSWORD, with a user of printable ASCII; one was"
            " given that is not"
        )
    return MidchainsAccount(user, password)


def parse_key_holder(text: str) -> OceanExAccount:
    """Return the account written as ``UID:KEY_ID:PUBLIC_KEY_FILE``.

    Raises:
        ValueError: it is not written so, or the file holds no RSA public key.
    """
    from trioflex.simulator import OceanExAccount

    parts = text.split(":", 2)
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"an account of oceanex is UID:KEY_ID:PUBLIC_KEY_FILE, not {text!r}")
    uid, key_id, file = parts
    return OceanExAccount(uid=uid, key_id=key_id, public_key=read_public_key(Path(file)))


def read_public_key(file: Path) -> RSAPublicKey:
    """Return the RSA public key in a PEM file.

    Raises:
        ValueError: the file cannot be read, or holds something else. It is not quoted: it might be
            the private half.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(file.read_bytes())
    except OSError as wrong:
        raise ValueError(f"{file} cannot be read: {wrong.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey):
        raise ValueError(
            f"{file} is no RSA public key in PEM;"
            " `openssl rsa -in key.pem -pubout` makes one of a private key"
        )
    return key


def _accounts(venue: str, texts: Sequence[str]) -> list[Account]:
    """Return a venue's default account, whose credentials are printed, and the others.

    Raises:
        ValueError: one is malformed.
    """
    from trioflex.simulator import (
        FloorAccount,
        MidchainsAccount,
        OceanExAccount,
        TheOneAccount,
    )

    if venue == "midchains":
        return [MidchainsAccount(), *map(parse_user, texts)]
    if venue == "oceanex":
        return [OceanExAccount(), *map(parse_key_holder, texts)]
    if venue == "theone":
        return [TheOneAccount(), *map(parse_key, texts)]
    return [FloorAccount(), *map(parse_account, texts)]


@contextmanager
@trio.lowlevel.enable_ki_protection  # logging cannot be stopped half way
def log_to_stderr(*names: str) -> Iterator[None]:
    """Write what some loggers are told to standard error, a line for a person each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)


def _check_venue(venue: str) -> str:
    if venue not in VENUES:
        raise typer.BadParameter(f"there is no simulated {venue!r}: choose {' or '.join(VENUES)}")
    return venue


def _check_accounts(venue: str, texts: list[str]) -> list[str]:
    try:
        accounts = _accounts(venue, texts)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None
    seen: set[int | str] = set()
    for account in accounts:
        name = _name_of(account)
        if name in seen:
            raise typer.BadParameter(f"user {name} is there already: give each of them once")
        seen.add(name)
    return texts


def _name_of(account: Account) -> int | str:
    """Return what an account is known by; no two may have the same."""
    from trioflex.simulator import OceanExAccount, TheOneAccount

    if isinstance(account, OceanExAccount):
        return account.uid
    return account.key if isinstance(account, TheOneAccount) else account.user_id


def _check_public_key(venue: str, file: Path | None) -> Path | None:
    if file is None:
        return None
    if venue != "oceanex":
        raise typer.BadParameter(f"--public-key is for oceanex; {venue} has no such keys")
    try:
        read_public_key(file)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None
    return file


def simulate(
    context: typer.Context,
    venue: Annotated[
        str,
        typer.Argument(metavar="VENUE", help=f"{', '.join(VENUES)}.", callback=_check_venue),
    ] = "coinflex",
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT", min=0, max=65_535, help="TCP port on 127.0.0.1; 0 picks a free one."
        ),
    ] = 0,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve wss://, with an authority made for this run.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Chooses the course of the market.")] = 0,
    accounts: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            metavar="USER_ID:COOKIE:PASSPHRASE",
            help="One more user, for this simulation only; may be given several times."
            " For theone: KEY:SECRET, for midchains: USER:PASSWORD, for oceanex:"
            " UID:KEY_ID:PUBLIC_KEY_FILE.",
        ),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For oceanex: the RSA public key (PEM) of the default account, whose private"
            " half only you know. Without it a pair is made for this run.",
            show_default=False,
        ),
    ] = None,
    trade: Annotated[
        bool, typer.Option("--trade/--no-trade", help="Whether other participants trade.")
    ] = True,
) -> None:
    """Serve a simulated exchange on this machine, until Ctrl-C."""
    execute(
        context,
        simulate_command,
        venue,
        port,
        tls,
        seed,
        _check_accounts(venue, accounts or []),
        trade,
        _check_public_key(venue, public_key),
    )
