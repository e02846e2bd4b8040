"""One call of a WSGI application: what both ways of calling it share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sdserve.core.gateway.wsgi import encode_fields, make_environ, promised_length, status_line
from sdserve.core.http.request import Field, Request
from sdserve.errors import LocalProtocolError
from sdserve.worker.file_body import Done, FilePart
from sdserve.worker.http import HttpProtocol
from sdserve.worker.spool import Spool

if TYPE_CHECKING:
    from sdserve.worker.wsgi import WsgiGateway

log = logging.getLogger("sdserve.wsgi")


class GoneError(Exception):
    """Raised in the application: the client has left, or the answer is complete. Nothing more can be sent."""


class WsgiExchange:
    """A request, its body, and the answer as far as the application has given it."""

    __slots__ = (
        "_fields",
        "_gateway",
        "_gone",
        "_protocol",
        "_request",
        "_result",
        "_sent_head",
        "_spool",
        "_status",
        "_written",
    )

    def __init__(self, gateway: WsgiGateway, protocol: HttpProtocol, request: Request) -> None:
        self._gateway = gateway
        self._protocol = protocol
        self._request = request
        self._spool = Spool(gateway.body_memory) if request.length else None
        self._status = b""
        self._fields: list[Field] = []
        self._sent_head = False
        self._gone = False
        """Nothing more is taken of the application: the client has left, or has or gets the rest."""
        self._written = 0
        """Bytes of the body that came by `write`."""
        self._result: Any = None

    @property
    def where(self) -> str:
        """The request, for the log; without its query, which may hold secrets."""
        return f"{self._request.method} {self._request.path.decode('ascii')}"

    # The connection's side

    def body_received(self, data: bytes) -> None:
        assert self._spool is not None
        try:
            self._spool.write(data)
        except OSError as error:
            log.error("a request body cannot be stored: %s", error)
            self._spool.close()
            self._protocol.fail(507)

    def body_ended(self) -> None:
        raise NotImplementedError

    def writable(self) -> None:
        raise NotImplementedError

    def client_left(self) -> None:
        """A client may close its side and read on; if it is gone, writing will tell."""

    def disconnected(self) -> None:
        raise NotImplementedError

    # The application's side

    def _environ(self) -> dict[str, Any]:
        spool = self._spool
        environ = make_environ(
            self._request, self._gateway.standing(self._protocol), spool.size if spool else 0
        )
        environ["wsgi.input"] = spool.open() if spool else _NoBody()
        environ["wsgi.early_hints"] = self.early_hints
        return environ

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """The application's `start_response`."""
        if exc_info is not None:
            try:
                if self._head_is_out():
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # a traceback in its own frame is a cycle
        elif self._status:
            raise LocalProtocolError("start_response called twice without exc_info")
        # Both or neither: an application may catch what is raised here.
        line, fields = status_line(status), encode_fields(headers)
        self._status, self._fields = line, fields
        return self._write

    def early_hints(self, headers: list[tuple[str, str]]) -> None:
        """`wsgi.early_hints`, as Gunicorn has it: a 103 (RFC 8297) with `headers`, pairs of native strings.

        Nothing is sent once the response has begun, nor to a client of HTTP/1.0 or one that does not read.

        Raises:
            LocalProtocolError: a header may not stand there.
        """
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        """What `start_response` returns, for applications from before iterables."""
        if data:
            self._put(data, more=True)
            self._written += len(data)

    def _put(self, body: bytes, more: bool) -> None:
        """Send a part of the body, after the head if that has not been sent yet.

        Raises:
            GoneError: there is nobody to send it to, or no place for it.
        """
        raise NotImplementedError

    def _send(self, body: bytes, more: bool) -> None:
        """On the loop's thread: give it to the connection."""
        if self._sent_head:
            self._protocol.send_data(body, more)
        else:
            self._sent_head = True
            try:
                self._protocol.send_response(self._status, self._fields, body, more)
            except LocalProtocolError:
                self._sent_head = False
                raise

    def _send_hints(self, fields: list[Field]) -> None:
        """On the loop's thread: send them if there is still somebody who has a use for them.

        They are advice, so they do not wait for a client that does not read.
        """
        if not (self._gone or self._sent_head or self._protocol.write_paused):
            self._protocol.send_early_hints(fields)

    def _send_part(self, part: FilePart, done: Done) -> None:
        """On the loop's thread: send it as the rest of the body. `done` is called if this does not raise."""
        count = part.count
        promised = promised_length(self._fields)
        if promised is not None:
            count = min(count, max(promised - self._written, 0))
        elif self._status[9:12] not in (b"204", b"304"):
            self._fields.append((b"content-length", b"%d" % count))
        self._send(b"", more=True)
        self._protocol.send_file(part.descriptor.fileno(), part.offset, count, False, done)

    def _head_is_out(self) -> bool:
        """Whether the application has given a part of the body, so that the head is fixed."""
        return self._sent_head

    def _check_started(self) -> None:
        if not self._status:
            raise LocalProtocolError("the application did not call start_response before its first body part")

    def _close_result(self) -> None:
        """PEP 3333: `close` is always called, whatever has happened."""
        result, self._result = self._result, None
        try:
            close = getattr(result, "close", None)
            if close is not None:
                self._call_close(close)
        except BaseException:
            log.exception("%s: close() of the application's iterable raised", self.where)
        if self._spool is not None:
            self._spool.close()

    def _call_close(self, close: Callable[[], object]) -> None:
        close()

    def _log_failure(self) -> None:
        log.exception("%s: the application raised", self.where)


class _NoBody:
    """`wsgi.input` of a request without a body."""

    __slots__ = ()

    def read(self, size: int = -1) -> bytes:
        del size
        return b""

    readline = read

    def readlines(self, hint: int = -1) -> list[bytes]:
        del hint
        return []

    def __iter__(self) -> Iterator[bytes]:
        return iter(())
