"""What an application is told of the TLS of its connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sdserve.core.tls.certificate import Certificate, to_pem

_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts:
    """One connection's."""

    version: str
    """As OpenSSL calls it: `TLSv1.3`."""
    cipher: str
    cipher_suite: int | None
    """Its number in the protocol, if that is known."""
    server_certificate: str
    """PEM."""
    client: Certificate | None = None
    """The client's own, verified; None if it has shown none."""
    client_authorities: tuple[bytes, ...] = ()
    """DER: who has issued that, and so on, as far as it is known."""

    def add_to_scope(self, scope: dict[str, Any]) -> None:
        """Tell the application, in a scope of HTTP or WebSocket.

        https://asgi.readthedocs.io/en/latest/specs/tls.html
        """
        scope["extensions"]["tls"] = {
            "server_cert": self.server_certificate,
            "client_cert_chain": self._client_chain(),
            "client_cert_name": self.client.subject if self.client else None,
            # Who has shown one that cannot be verified was not let in.
            "client_cert_error": None,
            "tls_version": _VERSIONS.get(self.version),
            "cipher_suite": self.cipher_suite,
        }

    def environ(self) -> dict[str, str]:
        """Return variables for WSGI, named as Apache's mod_ssl has them. No header of a client can be one."""
        variables = {
            "HTTPS": "on",
            "SSL_PROTOCOL": self.version,
            "SSL_CIPHER": self.cipher,
            "SSL_CLIENT_VERIFY": "SUCCESS" if self.client else "NONE",
        }
        if self.client:
            own, *authorities = self._client_chain()
            variables |= {
                "SSL_CLIENT_CERT": own,
                "SSL_CLIENT_S_DN": self.client.subject,
                "SSL_CLIENT_I_DN": self.client.issuer,
                "SSL_CLIENT_M_SERIAL": f"{self.client.serial:X}",
                **{f"SSL_CLIENT_CERT_CHAIN_{number}": pem for number, pem in enumerate(authorities)},
            }
        return variables

    def _client_chain(self) -> list[str]:
        chain = (self.client.encoded, *self.client_authorities) if self.client else ()
        return [to_pem(certificate) for certificate in chain]
