"""What the log says of broken requests: each at first, but a flood of them is only counted."""

from __future__ import annotations

import logging
import socket

from sdserve.errors import RemoteProtocolError
from sdserve.host.addresses import describe

log = logging.getLogger("sdserve.http")

_MOST = 10
"""Lines between two ticks, so about as many a second."""


class Refusals:
    """One a worker."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def refused(
        self, client: tuple[str, int] | None, local: tuple[str, int | None], error: RemoteProtocolError
    ) -> None:
        """Say so, unless that has been said often enough for now. Nothing of the request is written."""
        self._count += 1
        if self._count > _MOST:
            return
        log.info("refused a request from %s with %d: %s", _describe(client, local), error.status, error)

    def refused_connection(
        self, client: tuple[str, int] | None, local: tuple[str, int | None], error: RemoteProtocolError
    ) -> None:
        """The same for a connection that is closed without a word."""
        self._count += 1
        if self._count <= _MOST:
            log.info("refused a connection from %s: %s", _describe(client, local), error)

    def shaken_off(self, client: tuple[str, int] | str | None, error: Exception) -> None:
        """Say that TLS could not begin with a client, under the same limit."""
        self._count += 1
        if self._count > _MOST:
            return
        who = describe(client, socket.AF_INET) if client else "a client"
        log.info("no TLS with %s: %s", who, getattr(error, "reason", None) or error)

    def tick(self) -> None:
        """A second has passed."""
        if self._count > _MOST:
            log.info("refused %d more requests, which are not listed", self._count - _MOST)
        self._count = 0


def _describe(client: tuple[str, int] | None, local: tuple[str, int | None]) -> str:
    """Name who was refused; who connects to a unix socket has no address."""
    if client is not None:
        return describe(client, socket.AF_INET)
    return f"a client of {describe(local[0], socket.AF_UNIX)}"
