"""WSGI on the loop's own thread. An iterable whose client does not read is left alone until it does."""

from __future__ import annotations

import sys
from asyncio import _set_running_loop
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sdserve.core.gateway.wsgi import encode_fields
from sdserve.core.http.request import Request
from sdserve.worker.http import HttpProtocol
from sdserve.worker.watchdog import OverdueError
from sdserve.worker.wsgi_exchange import GoneError, WsgiExchange
from sdserve.worker.wsgi_files import FileWrapper, real_part

if TYPE_CHECKING:
    from sdserve.worker.wsgi import WsgiGateway


class InlineExchange(WsgiExchange):
    """The application runs on the loop's thread."""

    __slots__ = ("_context", "_iterator")

    def __init__(self, gateway: WsgiGateway, protocol: HttpProtocol, request: Request) -> None:
        super().__init__(gateway, protocol, request)
        self._iterator: Iterator[bytes] | None = None
        # Two answers may be under way at once: each has context variables of its own.
        self._context = gateway.context.copy()

    # The connection's side

    def body_ended(self) -> None:
        self._gateway.calls.add(self)
        self._run(self._call)

    def writable(self) -> None:
        if self._iterator is not None and not self._protocol.write_paused:
            self._run(self._resume)

    def disconnected(self) -> None:
        was_gone = self._gone
        self._gone = True
        if self._iterator is not None and not was_gone:
            self._run(self._end)
        elif self._spool is not None and self._result is None:
            self._spool.close()

    # The call

    def _run(self, call: Callable[[], None]) -> None:
        """Run application code on this thread: in its own context, and free to run an event loop of its own.

        An application that bridges to async code (asgiref, asyncio.run) refuses to where a loop is running.
        """
        _set_running_loop(None)
        try:
            self._context.run(call)
        finally:
            _set_running_loop(self._gateway.loop)

    def _call(self) -> None:
        gateway = self._gateway
        if gateway.watchdog is not None:
            gateway.watchdog.subject = self
        try:
            self._result = result = gateway.application(self._environ(), self.start_response)
            if type(result) is list and len(result) == 1:
                # By far the most frequent answer: one part, so its length is known.
                self._check_started()
                # Before: the connection's next request may begin, and even end, inside of this.
                self._gone = True
                self._send(result[0], more=False)
                self._end()
                return
            if type(result) is FileWrapper and self._sends_file(result):
                return
            self._iterator = iter(result) if gateway.watchdog is None else gateway.watchdog.each(result)
            self._drive()
        except BaseException:  # SystemExit too: nothing an application raises ends a worker
            self._fail()

    def _resume(self) -> None:
        if self._gateway.watchdog is not None:
            self._gateway.watchdog.subject = self
        try:
            self._drive()
        except BaseException:
            self._fail()

    def _drive(self) -> None:
        """Send parts until there are no more, or until the socket is full."""
        iterator = self._iterator
        assert iterator is not None
        for part in iterator:
            if not part:
                continue
            self._check_started()
            self._put(part, more=True)
            if self._gone or self._protocol.transport.is_closing():
                self._end()
                return
            if self._protocol.connection.complaint:
                break  # more than its Content-Length: nothing more is asked for (PEP 3333)
            if self._protocol.write_paused:
                return  # `writable` goes on
            if not self._protocol.connection.filled:
                # PEP 3333: on its way before the next one is made. And other connections have their turn.
                self._gateway.loop.call_soon(self.writable)
                return
        self._check_started()
        self._gone = True  # before, as in `_call`
        self._send(b"", more=False)
        self._end()

    def _put(self, body: bytes, more: bool) -> None:
        if self._gone:
            raise GoneError
        watchdog = self._gateway.watchdog
        if watchdog is None:
            self._send(body, more)
        else:
            watchdog.shielded(self._send, body, more)

    def early_hints(self, headers: list[tuple[str, str]]) -> None:
        fields = encode_fields(headers)
        watchdog = self._gateway.watchdog
        if watchdog is None:
            self._send_hints(fields)
        else:
            watchdog.shielded(self._send_hints, fields)

    # Files

    def _sends_file(self, wrapper: FileWrapper) -> bool:
        """Send a real file, if it is one; `done` goes on."""
        self._check_started()
        part = real_part(wrapper)
        if part is None:
            return False

        def done(error: OSError | None) -> None:
            del error  # the connection has said and done what there is to
            part.descriptor.close()
            self._run(self._end)

        self._gone = True  # nothing may come into the midst of it
        try:
            self._send_part(part, done)
        except BaseException:
            part.descriptor.close()
            raise
        return True

    # The end

    def _end(self) -> None:
        self._iterator = None
        self._close_result()
        gateway = self._gateway
        gateway.calls.discard(self)
        if gateway.when_idle is not None and not gateway.calls:
            gateway.when_idle()

    def _call_close(self, close: Callable[[], object]) -> None:
        # The connection's next request may have been answered since this one's last part, so the loop may
        # be marked as running again, and the watchdog look at that.
        _set_running_loop(None)
        watchdog = self._gateway.watchdog
        if watchdog is None:
            close()
        else:
            watchdog.subject = self
            watchdog.call(close)

    def _fail(self) -> None:
        watchdog = self._gateway.watchdog
        overdue = watchdog is not None and watchdog.has_found(self)
        if not isinstance(sys.exc_info()[1], OverdueError):  # of those the watchdog has told
            self._log_failure()
        self._gone = True
        self._end()
        if self._protocol.exchange is self:  # else its client has left, or has its answer
            self._protocol.fail(504 if overdue else 500)
