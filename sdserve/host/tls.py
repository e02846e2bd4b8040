"""Certificates and keys: read from files, checked by OpenSSL, and made into contexts for connections.

Whoever decides that they are to be used reads the files, once; workers get what was read, so that all of them
show the same ones, also those that are started when the files are half-way to the next ones.
"""

from __future__ import annotations

import os
import ssl

from sdserve.core.tls import material as rules
from sdserve.core.tls.certificate import read_pem
from sdserve.core.tls.material import Material, Pair
from sdserve.core.tls.options import CREDENTIAL, TlsOptions
from sdserve.errors import CertificateError
from sdserve.host import memfd

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
"""Where the service manager has put what LoadCredential= names: systemd.exec(5)."""

_LARGEST = 1024 * 1024
"""Bytes of a file: more than any chain, and less than hurts."""
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_OTHER_KEY = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""Why OpenSSL refuses a key; the last one is of another kind than the certificate's."""
_PROTOCOLS = ["http/1.1"]
"""For ALPN, RFC 7301."""


def read_material(options: TlsOptions) -> Material:
    """Read what `options` name, and check that it can be used; not whether it has expired.

    Raises:
        CertificateError: with the name of the file that is to blame.
    """
    keys = options.keys or options.certificates
    pairs = tuple(_read_pair(*files) for files in zip(options.certificates, keys, strict=True))
    material = Material(pairs=pairs, client_ca=_read_authorities(options.client_ca))
    for pair in pairs:
        make_context(options, pair, material.client_ca)
    return material


def make_context(options: TlsOptions, pair: Pair, client_ca: str) -> ssl.SSLContext:
    """Return what a server needs to speak TLS with this pair. CertificateError if it does not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[options.minimum_version]
    # A client of TLS 1.2 could have us do a handshake again and again.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(_PROTOCOLS)
    try:
        context.set_ciphers(options.ciphers)
    except ssl.SSLError:
        raise CertificateError(f"tls_ciphers: OpenSSL knows none of {options.ciphers!r}") from None
    if client_ca:
        required = options.client_certificate == "required"
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        try:
            context.load_verify_locations(cadata=client_ca)
        except ssl.SSLError as error:
            raise CertificateError(f"{options.client_ca}: {_reason(error)}") from None
    _load_pair(context, pair)
    return context


def _load_pair(context: ssl.SSLContext, pair: Pair) -> None:
    # OpenSSL reads files only, or rather what has a name.
    with memfd.sealed("sdserve-tls", f"{pair.certificate}\n{pair.key}\n".encode("latin-1")) as memory:
        path = f"/proc/self/fd/{memory.fileno()}"
        try:
            context.load_cert_chain(path, password=_no_password)
        except ssl.SSLError as error:
            if error.reason in _OTHER_KEY:
                raise CertificateError(
                    f"{pair.key_file}: the key does not belong to the certificate in {pair.certificate_file}"
                ) from None
            raise CertificateError(f"{pair.certificate_file}: {_reason(error)}") from None


def _no_password() -> str:
    raise CertificateError("the key is encrypted")  # which `check_key` has seen before


def _read_pair(certificate: str, key: str) -> Pair:
    chain = _read(certificate)
    rules.read_chain(chain, certificate)
    key_text = _read(key)
    rules.check_key(key_text, key)
    return Pair(certificate=chain, key=key_text, certificate_file=certificate, key_file=key)


def _read_authorities(file: str) -> str:
    if not file:
        return ""
    text = _read(file)
    try:
        found = read_pem(text)
    except ValueError as error:
        raise CertificateError(f"{file}: {error}") from None
    if not found:
        raise CertificateError(f"{file} has no certificate in it")
    return text


def is_unseen(options: TlsOptions) -> bool:
    """Whether a file is a credential, and this process is not the service that gets it."""
    names = (*options.certificates, *options.keys, options.client_ca)
    return CREDENTIALS_DIRECTORY not in os.environ and any(name.startswith(CREDENTIAL) for name in names)


def path_of(name: str) -> str:
    """Return the path of a file that options name. CertificateError for a credential where there are none."""
    if not name.startswith(CREDENTIAL):
        return name
    credential = name.removeprefix(CREDENTIAL)
    directory = os.environ.get(CREDENTIALS_DIRECTORY)
    if not directory:
        raise CertificateError(
            f"{name}: no credentials were passed; the unit needs LoadCredential={credential}:PATH"
        )
    return os.path.join(directory, credential)


def _read(name: str) -> str:
    path = path_of(name)
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except PermissionError:
        raise CertificateError(f"{name} may not be read by user id {os.geteuid()}") from None
    except OSError as error:
        raise CertificateError(f"{name} cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise CertificateError(f"{name} is too large for a file of certificates or keys")
    # Any byte is fine outside of the PEM: people write comments.
    return data.decode("latin-1")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
