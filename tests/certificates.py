"""Certificates for tests: an authority, and files as an operator would have them."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sdserve.core.tls.options import TlsOptions

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Files:
    """A certificate chain and its key."""

    certificate: str
    key: str


class Authority:
    """Issues certificates, and puts them into `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.file = str(directory / "ca.pem")
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, *names: str, file: str = "", days: float = 90, age: float = 1) -> Files:
        """A pair for `names` that was made `age` days ago and expires in so many `days`."""
        now = datetime.datetime.now(datetime.UTC)
        leaf = self._ca.issue_cert(
            *names,
            common_name=names[0],
            not_before=now - age * DAY,
            not_after=now + days * DAY,
            key_type=trustme.KeyType.ECDSA,
        )
        stem = self.directory / (file or names[0].replace("*", "_"))
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return _write(stem, chain, leaf.private_key_pem.bytes())

    def issue_by_intermediate(self, name: str) -> tuple[Files, bytes, bytes]:
        """A pair whose chain has an intermediate authority; its own certificate, and that one's, as PEM."""
        lower = self._ca.create_child_ca(key_type=trustme.KeyType.ECDSA)
        leaf = lower.issue_cert(name, key_type=trustme.KeyType.ECDSA)
        chain = [blob.bytes() for blob in leaf.cert_chain_pems]
        files = _write(self.directory / name, b"".join(chain), leaf.private_key_pem.bytes())
        return files, chain[0], chain[1]

    def client_context(self, pair: Files | None = None) -> ssl.SSLContext:
        """What a client needs that trusts this authority, and shows the `pair` if it is asked."""
        context = ssl.create_default_context(cafile=self.file)
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        return context


def options(*pairs: Files, **more: Any) -> TlsOptions:
    """The options of a listener that has these."""
    certificates, keys = zip(*((pair.certificate, pair.key) for pair in pairs), strict=True)
    return TlsOptions(certificates=certificates, keys=keys, **more)


def self_signed(directory: Path, subject: x509.Name, *extensions: x509.ExtensionType) -> Files:
    """A pair with this very subject."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 90 * DAY)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    return _write(
        directory / "self-signed",
        certificate.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _write(stem: Path, chain: bytes, key: bytes) -> Files:
    files = Files(f"{stem}.pem", f"{stem}.key")
    Path(files.certificate).write_bytes(chain)
    Path(files.key).write_bytes(key)
    return files
