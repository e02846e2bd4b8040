"""Certificates and keys as they are passed to workers, and what can be said about them without OpenSSL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from sdserve.core.tls.certificate import Certificate, read_pem
from sdserve.errors import CertificateError, WireError

DAY = 86400.0
SOON = 14 * DAY
"""A certificate that expires within this wants to be renewed: seconds."""

_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_ENCRYPTED = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)
_ANY_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate chain, leaf first, and the key of the leaf, both as PEM; and the files they came from."""

    certificate: str
    key: str
    certificate_file: str
    key_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What one listener needs."""

    pairs: tuple[Pair, ...]
    client_ca: str = ""
    """PEM; empty: clients are not asked."""


Materials = Mapping[str, Material]
"""By the name of the listener."""


def encode(materials: Materials) -> bytes:
    """Return `materials` as bytes that `decode` reads."""
    said = {
        name: {
            "client_ca": material.client_ca,
            "pairs": [
                [pair.certificate, pair.key, pair.certificate_file, pair.key_file] for pair in material.pairs
            ],
        }
        for name, material in materials.items()
    }
    return json.dumps(said).encode("ascii")


def decode(data: bytes) -> dict[str, Material]:
    """Return what was encoded. WireError if that is something else."""
    try:
        return {
            name: Material(
                pairs=tuple(
                    Pair(certificate=certificate, key=key, certificate_file=file, key_file=key_file)
                    for certificate, key, file, key_file in said["pairs"]
                ),
                client_ca=said["client_ca"],
            )
            for name, said in json.loads(data).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WireError("certificates came that cannot be read") from None


def read_chain(pem: str, file: str) -> list[Certificate]:
    """Return the certificates in `pem`, of which each has issued the one before it.

    Raises:
        CertificateError: with `file`, what is wrong with it, and what to do.
    """
    try:
        chain = read_pem(pem)
    except ValueError as error:
        raise CertificateError(f"{file}: {error}") from None
    if not chain:
        hint = "" if _ANY_PEM.search(pem) else "; it has to be PEM, text with lines of ----- around it"
        raise CertificateError(f"{file} has no certificate in it{hint}")
    for number, (lower, upper) in enumerate(pairwise(chain), 1):
        if lower.issuer_encoded != upper.subject_encoded:
            raise CertificateError(
                f"{file}: certificate {number + 1} ({upper.subject}) has not issued certificate {number} "
                f"({lower.subject}), {lower.issuer} has; the server's own comes first, then who has issued "
                "it, and so on"
            )
    return chain


def check_key(pem: str, file: str) -> None:
    """Raise CertificateError unless there is a private key in `pem` that can be used as it is."""
    if _ENCRYPTED.search(pem):
        raise CertificateError(
            f"{file}: the key is encrypted, and nobody is there to be asked for the passphrase; remove it "
            f"with `openssl pkey -in {file}`, or have systemd decrypt it (LoadCredentialEncrypted=)"
        )
    if not _KEY.search(pem):
        raise CertificateError(f"{file} has no private key in it")


def leaf_of(pair: Pair) -> Certificate:
    """Return the server's own certificate."""
    return read_pem(pair.certificate)[0]


def expired(pair: Pair, now: float) -> str:
    """Why the certificate is not valid at `now` (seconds since the epoch); empty if it is."""
    leaf = leaf_of(pair)
    if leaf.not_after <= now:
        return f"{pair.certificate_file}: the certificate has expired, {_ago(now - leaf.not_after)}"
    if leaf.not_before > now:
        return f"{pair.certificate_file}: the certificate is not valid yet; is the clock right?"
    return ""


def warnings(materials: Materials, now: float) -> Iterator[str]:
    """Yield what an operator should do about certificates that have expired, or will within `SOON`."""
    for material in materials.values():
        for pair in material.pairs:
            left = leaf_of(pair).not_after - now
            if trouble := expired(pair, now):
                yield trouble
            elif left <= SOON:
                yield f"{pair.certificate_file}: the certificate expires in {_days(left)}, renew it"


def _ago(seconds: float) -> str:
    return f"{_days(seconds)} ago"


def _days(seconds: float) -> str:
    if seconds < DAY:
        return f"{int(seconds // 3600)} h"
    days = int(seconds // DAY)
    return f"{days} day" if days == 1 else f"{days} days"
