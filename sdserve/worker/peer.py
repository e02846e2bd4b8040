"""Who is at the other end of a connection, and where it arrived."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from sdserve.core.proxy.header import ProxyHeader
from sdserve.core.proxy.origin import Fronting

PEER_CREDENTIALS = "sdserve.peer_credentials"
"""The key, in the environ and in an ASGI scope's extensions, of a unix socket's peer."""

_UCRED = struct.Struct("iII")


class Credentials(NamedTuple):
    """The process that connected to a unix socket, as it was then: unix(7), SO_PEERCRED."""

    pid: int
    uid: int
    gid: int


class Peer:
    """What is known of a connection before its first request."""

    __slots__ = ("client", "credentials", "fronting", "header", "host", "local", "scheme", "trusted")

    def __init__(self, connected: socket.socket) -> None:
        """Ask the kernel. OSError if the connection is gone."""
        local = connected.getsockname()
        self.host: str | None = None
        """The address that is connected to us; None for a unix socket."""
        self.client: tuple[str, int] | None = None
        """Who sends requests, unless they say otherwise; None for who has no IP address."""
        self.local: tuple[str, int | None]
        """Where that arrived: a host and a port, or a path and None."""
        self.credentials: Credentials | None = None
        """Of a unix socket's peer."""
        self.header: ProxyHeader | None = None
        """What a proxy has said at the beginning."""
        self.scheme = "http"
        self.fronting: Fronting | None = None
        """What its listener makes of what proxies say; found out when that is needed first, as is ..."""
        self.trusted = False
        """Whether who sends its requests may say for whom."""
        if connected.family == socket.AF_UNIX:
            # An abstract name is bytes.
            self.local = local if isinstance(local, str) else local.decode("utf-8", "surrogateescape"), None
            self.credentials = Credentials(
                *_UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
            )
        else:
            self.client = connected.getpeername()[:2]
            self.host = self.client[0]
            self.local = local[:2]

    def introduce(self, header: ProxyHeader) -> None:
        """Believe the PROXY header with which the connection began."""
        self.header = header
        if header.relayed:
            self.client = header.source
            if header.destination is not None:
                self.local = header.destination
            if header.tls:
                self.scheme = "https"
