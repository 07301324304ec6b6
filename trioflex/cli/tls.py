"""TLS at the command line: whom to trust, said in words that cannot be misread."""

from __future__ import annotations

import ssl
from pathlib import Path


def make_ssl_context(*, ca_file: Path | None, insecure: bool) -> ssl.SSLContext | None:
    """
    Make the TLS settings that ``--ca-file`` and ``--insecure`` ask for.

    Args:
        ca_file: a PEM file with the authorities to trust *instead of* the system's.
        insecure: accept any certificate, for any host name. Whoever sits on the way can then read
            and change everything, the login included.

    Returns:
        ``None`` if neither was asked for: the system's trust store, host names checked.

    Raises:
        ValueError: both were given, or the file holds no certificate.
    """
    if ca_file is not None and insecure:
        raise ValueError("--ca-file and --insecure contradict each other: give one of them.")
    if insecure:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"--ca-file {ca_file} holds no usable certificate: {error}.") from error
