"""The access log: one line a request, in which nothing that a client sent can start a line of its own."""

from __future__ import annotations

import logging
import time

from sdserve.core.http.request import Request

log = logging.getLogger("sdserve.access")

_PRINTABLE = {
    code: chr(code) if 0x20 <= code < 0x7F and code not in b'"\\' else f"\\x{code:02x}" for code in range(256)
}


def escape(raw: bytes) -> str:
    """Return `raw` with every byte but printable ASCII, and quote and backslash, as `\\xNN`."""
    return raw.decode("latin-1").translate(_PRINTABLE)


class AccessRecord:
    """What is remembered of the request that a connection is answering."""

    __slots__ = ("_began", "_request", "_status", "sent")

    def __init__(self) -> None:
        self._began = 0.0
        self._request: Request | None = None
        self._status = ""
        self.sent = 0
        """Bytes of the response's body that were sent, without those that make chunks of them."""

    def request_began(self, request: Request) -> None:
        self._began = time.monotonic()
        self._request = request
        self._status = "-"
        self.sent = 0

    def response_began(self, status: bytes, size: int) -> None:
        self._status = status[9:12].decode("ascii")
        self.sent = size

    def response_ended(self, client: tuple[str, int] | None) -> None:
        """Write the line; `client` is who it is by the connection."""
        request = self._request
        if request is None:
            return
        self._request = None
        if request.origin is not None:
            client = request.origin.client
        log.info(
            '%s "%s %s HTTP/1.%d" %s %d %.1fms',
            client[0] if client else "unix" if request.origin is None else "unknown",
            request.method,
            escape(request.target),
            request.minor,
            self._status,
            self.sent,
            (time.monotonic() - self._began) * 1000,
        )


class AccessLog:
    """Present only where `log.access` is on, so that the hot path pays one comparison where it is off."""

    def begin(self) -> AccessRecord:
        """Return the record of a new connection."""
        return AccessRecord()
