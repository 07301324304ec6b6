"""Certificates for ``wss://`` on this machine: an authority that lives as long as the server."""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

HOSTS = ("localhost", "127.0.0.1", "::1")
"""What the server's certificate is for: this machine, by every name it has for itself."""

VALID_FOR = dt.timedelta(days=30)
"""Longer than any simulation runs; the keys are gone with the process anyway."""


@attrs.frozen
class Certificates:
    """What a server and its clients need for TLS."""

    ca_file: Path
    """PEM file of the authority's certificate, for clients to trust."""
    ssl_context: ssl.SSLContext = attrs.field(repr=False)
    """For the server; it holds the only copy of the private key that is left."""


@contextmanager
def open_certificates() -> Iterator[Certificates]:
    """Make an authority and a certificate for this machine, while the block runs.

    The authority's own key is never written anywhere; the server's is on disk, in a directory that
    only the user can enter, until the context has read it.

    Yields:
        The server's context and the file that clients trust; file and directory are removed at
        the end.
    """
    # Imported here: cryptography takes longer to import than all the rest of the simulator.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    # mkdtemp makes it with mode 0700.
    directory = Path(tempfile.mkdtemp(prefix="trioflex-"))
    try:
        authority_key = ec.generate_private_key(ec.SECP256R1())
        server_key = ec.generate_private_key(ec.SECP256R1())
        authority = _certificate("trioflex simulator authority", authority_key)
        server = _certificate(
            "trioflex simulator", server_key, issuer=authority, issuer_key=authority_key
        )
        pem = serialization.Encoding.PEM
        ca_file = directory / "ca.pem"
        ca_file.write_bytes(authority.public_bytes(pem))
        chain_file = directory / "server.pem"
        chain_file.write_bytes(
            server_key.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + server.public_bytes(pem)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain_file)
        chain_file.unlink()
        yield Certificates(ca_file, context)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _certificate(
    name: str,
    key: EllipticCurvePrivateKey,
    *,
    issuer: x509.Certificate | None = None,
    issuer_key: EllipticCurvePrivateKey | None = None,
) -> x509.Certificate:
    """Return a certificate: of an authority, or of a server if there is an issuer."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    # An hour back: the reader's clock may be another one (a container's, a virtual machine's).
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    is_authority = issuer is None
    signing_key = key if issuer_key is None else issuer_key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + VALID_FOR)
        .add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None),
            critical=True,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        # Python 3.13 verifies strictly by default, which asks for both key identifiers.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
    )
    if not is_authority:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in HOSTS]), critical=False
        ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signing_key, hashes.SHA256())


def _general_name(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
