from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sdserve.core.tls.options import TlsOptions
from sdserve.errors import CertificateError
from sdserve.host.tls import is_unseen, make_context, path_of, read_material
from tests.certificates import Authority, options


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def fault(options):
    with pytest.raises(CertificateError) as failure:
        read_material(options)
    return str(failure.value)


def test_a_pair_in_two_files_and_in_one(authority, tmp_path):
    files = authority.issue("a.example")
    [two] = read_material(options(files)).pairs
    assert (two.certificate_file, two.key_file) == (files.certificate, files.key)
    both = tmp_path / "both.pem"
    both.write_text(Path(files.key).read_text() + "a comment, ä\n" + Path(files.certificate).read_text())
    [one] = read_material(TlsOptions(certificates=(str(both),))).pairs
    assert one.certificate_file == one.key_file == str(both)
    assert one.certificate == one.key


def test_a_context_has_sane_settings(authority):
    chosen = options(authority.issue("a.example"))
    context = make_context(chosen, *read_material(chosen).pairs, "")
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_NONE
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    for suite in context.get_ciphers():
        assert suite["aead"]
        assert suite["protocol"] == "TLSv1.3" or suite["kea"].startswith("kx-ecdhe")


@pytest.mark.parametrize(("wanted", "mode"), [("required", "CERT_REQUIRED"), ("optional", "CERT_OPTIONAL")])
def test_clients_are_asked(authority, wanted, mode):
    chosen = options(authority.issue("a.example"), client_ca=authority.file, client_certificate=wanted)
    material = read_material(chosen)
    context = make_context(chosen, *material.pairs, material.client_ca)
    assert context.verify_mode == getattr(ssl, mode)
    assert len(context.get_ca_certs()) == 1


def test_another_key(authority, tmp_path):
    files, other = authority.issue("a.example"), authority.issue("b.example")
    wrong = TlsOptions(certificates=(files.certificate,), keys=(other.key,))
    text = f"{other.key}: the key does not belong to the certificate in {files.certificate}"
    assert fault(wrong) == text
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    Path(other.key).write_bytes(key)
    assert fault(wrong) == text


def test_files_that_are_not_there(authority, tmp_path):
    files = authority.issue("a.example")
    missing = str(tmp_path / "missing")
    assert (
        fault(TlsOptions(certificates=(missing,))) == f"{missing} cannot be read: No such file or directory"
    )
    assert fault(options(files, client_ca=str(tmp_path))) == f"{tmp_path} cannot be read: Is a directory"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_key_that_the_user_may_not_read():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        files = Authority(Path(directory)).issue("a.example")
        os.chmod(files.key, 0o600)
        os.seteuid(65534)
        try:
            text = fault(options(files))
        finally:
            os.seteuid(0)
    assert text == f"{files.key} may not be read by user id 65534"


def test_files_that_hold_something_else(authority, tmp_path):
    files = authority.issue("a.example")
    large = tmp_path / "large"
    large.write_bytes(bytes(1024 * 1024 + 1))
    assert fault(TlsOptions(certificates=(str(large),))).startswith(f"{large} is too large")
    broken = tmp_path / "broken.key"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert fault(TlsOptions(certificates=(files.certificate,), keys=(str(broken),))).startswith(
        f"{files.certificate}: "
    )
    assert fault(options(files, client_ca=files.key)) == f"{files.key} has no certificate in it"
    nonsense = tmp_path / "ca"
    nonsense.write_text("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
    assert fault(options(files, client_ca=str(nonsense))).startswith(f"{nonsense}: certificate 1 in it")


def test_ciphers_that_openssl_does_not_know(authority):
    text = fault(options(authority.issue("a.example"), ciphers="NONSENSE"))
    assert text == "tls_ciphers: OpenSSL knows none of 'NONSENSE'"


def test_a_credential(monkeypatch, tmp_path):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    secret = TlsOptions(certificates=("/a.pem",), keys=("credential:k",))
    assert is_unseen(secret)
    assert not is_unseen(TlsOptions(certificates=("/a.pem",)))
    with pytest.raises(CertificateError, match="credential:k: no credentials were passed; the unit needs "):
        path_of("credential:k")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert not is_unseen(secret)
    assert path_of("credential:k") == f"{tmp_path}/k"
    assert path_of("/a.pem") == "/a.pem"


def test_no_descriptor_is_left(authority):
    files = authority.issue("a.example")
    before = os.listdir("/proc/self/fd")
    read_material(options(files, client_ca=authority.file))
    assert len(os.listdir("/proc/self/fd")) == len(before)
