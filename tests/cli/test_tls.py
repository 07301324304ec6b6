"""--ca-file and --insecure."""

from __future__ import annotations

import ssl

import pytest
import trustme

from trioflex.cli.tls import make_ssl_context


def test_the_systems_trust_is_the_default():
    """Asked for nothing, the command changes nothing."""
    assert make_ssl_context(ca_file=None, insecure=False) is None


def test_a_ca_file_replaces_the_systems_trust(tmp_path):
    """Only the named authority is trusted, and host names are still checked."""
    ca_file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca_file)
    context = make_ssl_context(ca_file=ca_file, insecure=False)
    assert context is not None
    assert 1 == len(context.get_ca_certs())
    assert ssl.CERT_REQUIRED == context.verify_mode
    assert context.check_hostname


def test_insecure_checks_nothing():
    """It says what it does."""
    context = make_ssl_context(ca_file=None, insecure=True)
    assert context is not None
    assert ssl.CERT_NONE == context.verify_mode
    assert not context.check_hostname


def test_a_contradiction_is_refused(tmp_path):
    """Nobody has to guess which of the two wins."""
    with pytest.raises(ValueError, match="contradict"):
        make_ssl_context(ca_file=tmp_path / "ca.pem", insecure=True)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_an_unusable_ca_file_is_named(tmp_path, content):
    """The sentence names the option and the file."""
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    with pytest.raises(ValueError, match=r"--ca-file .*ca\.pem"):
        make_ssl_context(ca_file=ca_file, insecure=False)
