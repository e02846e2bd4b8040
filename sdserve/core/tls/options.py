"""What a user may set about TLS for one listener, as a frozen value. Times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

CREDENTIAL = "credential:"
"""In place of a path: the name of a credential that the service manager passes, systemd.exec(5)."""

DEFAULT_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2, in OpenSSL's language: forward secrecy and authenticated encryption only.

RFC 9325 section 4.2. Those of TLS 1.3 are all sound, and not chosen by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """The part of a `[listen:NAME]` section that is about TLS. A listener without a certificate has none."""

    certificates: tuple[str, ...] = ()
    """Files of certificate chains, or `credential:NAME`; the first is for who asks for no other's name."""
    keys: tuple[str, ...] = ()
    """One for each of `certificates`; empty: they stand in the same files."""
    client_ca: str = ""
    """File of the authorities that clients' certificates have to come from; empty: clients are not asked."""
    client_certificate: str = "required"
    """`required` or `optional`, of clients that are asked."""
    minimum_version: str = "1.2"
    """`1.2` or `1.3`; RFC 8996 has ended what was before."""
    ciphers: str = DEFAULT_CIPHERS
    handshake_timeout: float = 10.0
    """From accepting a connection until TLS is spoken on it."""

    @property
    def is_on(self) -> bool:
        """Whether the listener speaks TLS."""
        return bool(self.certificates)
