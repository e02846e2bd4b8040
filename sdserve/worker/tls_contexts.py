"""The certificates of one listener, ready for connections: one context each, chosen by the server name."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from sdserve.config.model import Listener
from sdserve.core.tls.certificate import read, to_pem
from sdserve.core.tls.facts import TlsFacts
from sdserve.core.tls.material import Material, Materials, decode, leaf_of
from sdserve.core.tls.names import ByName
from sdserve.core.tls.options import TlsOptions
from sdserve.errors import CertificateError
from sdserve.host import memfd
from sdserve.host.fds import Fd
from sdserve.host.tls import make_context


class TlsContexts:
    """Makes the TLS of new connections. Those that there are keep what they have begun with."""

    def __init__(self, options: TlsOptions, material: Material) -> None:
        """CertificateError if the material cannot be used with the options."""
        leaves = [leaf_of(pair) for pair in material.pairs]
        contexts = [make_context(options, pair, material.client_ca) for pair in material.pairs]
        self._certificates = {
            context: to_pem(leaf.encoded) for context, leaf in zip(contexts, leaves, strict=True)
        }
        self._first = contexts[0]
        self._by_name = ByName(
            self._first, [(context, leaf.names) for context, leaf in zip(contexts, leaves, strict=True)]
        )
        self._suites = {suite["name"]: suite["id"] & 0xFFFF for suite in self._first.get_ciphers()}
        if len(contexts) > 1:
            self._first.sni_callback = self._choose
            _keep_quiet_about_names()

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Return the server's side of a new connection."""
        return self._first.wrap_bio(incoming, outgoing, server_side=True)

    def facts(self, connection: ssl.SSLObject) -> TlsFacts:
        """Return what there is to know once the handshake is done.

        ValueError or IndexError if the client's certificate is not as it should be, though OpenSSL took it.
        """
        version = connection.version() or ""
        cipher = (connection.cipher() or ("",))[0]
        own = connection.getpeercert(binary_form=True)
        return TlsFacts(
            version=version,
            cipher=cipher,
            cipher_suite=self._suites.get(cipher),
            server_certificate=self._certificates[connection.context],
            client=read(own) if own else None,
            client_authorities=_authorities(connection) if own else (),
        )

    def _choose(self, connection: ssl.SSLObject, server_name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._by_name.find(server_name)


def _keep_quiet_about_names() -> None:
    """Let no client fill the log: ssl would print a traceback for each server name that is not ASCII.

    The handshake of such a client fails in any case.
    """
    hook = sys.unraisablehook
    if not (isinstance(hook, partial) and hook.func is _hear_unraisable):
        sys.unraisablehook = partial(_hear_unraisable, hook)


def _hear_unraisable(otherwise: Callable[[Any], Any], unraisable: Any) -> None:
    is_name = unraisable.exc_type is UnicodeDecodeError and type(unraisable.object) is bytes
    if not is_name:
        otherwise(unraisable)


def _authorities(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return who has issued the client's certificate; before Python 3.13 nobody can be asked."""
    chain: list[bytes] = getattr(connection, "get_verified_chain", list)()
    return tuple(chain[1:])


def read_contexts(taken: Fd | None, listeners: Iterable[Listener]) -> dict[str, TlsContexts]:
    """Return what is in a descriptor that came from the supervisor, which is closed; if one came.

    CertificateError or WireError if it cannot be used.
    """
    if taken is None:
        return contexts_of(listeners, {})
    with taken:
        materials = decode(memfd.read(taken.fileno()))
    return contexts_of(listeners, materials)


def contexts_of(listeners: Iterable[Listener], materials: Materials) -> dict[str, TlsContexts]:
    """Return what each of the listeners that speak TLS needs. CertificateError if one cannot have it."""
    contexts = {}
    for listener in listeners:
        if listener.tls.is_on:
            if listener.name not in materials:
                raise CertificateError(f"[listen:{listener.name}]: no certificates came with the order")
            contexts[listener.name] = TlsContexts(listener.tls, materials[listener.name])
    return contexts
