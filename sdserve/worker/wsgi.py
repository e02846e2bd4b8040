"""WSGI: PEP 3333. The body is complete before the application is called, so a slow client holds no thread.

With one thread the application runs on the loop's own thread; an iterable whose client does not read is left
alone until it does. With more, it runs in a pool and its thread waits instead.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from asyncio import _set_running_loop
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from math import inf
from typing import Any
from wsgiref.util import FileWrapper

from sdserve.core.gateway.interface import WSGI
from sdserve.core.gateway.wsgi import encode_fields, make_environ, status_line
from sdserve.core.http.request import Field, Request
from sdserve.errors import LocalProtocolError
from sdserve.worker.http import HttpProtocol
from sdserve.worker.spool import Spool
from sdserve.worker.threads import ThreadPool

log = logging.getLogger("sdserve.wsgi")

_AHEAD = 8
"""Parts of a body that a thread may produce before the loop has sent the first of them."""


class WsgiGateway:
    """Calls a WSGI application, on the loop's thread or in a pool."""

    interface = WSGI

    def __init__(
        self, application: Any, loop: asyncio.AbstractEventLoop, threads: int, body_memory: int
    ) -> None:
        self.application = application
        self.loop = loop
        self.body_memory = body_memory
        self.calls: set[WsgiExchange] = set()
        """Calls of the application that have not returned; a set, as adding and discarding are atomic."""
        self.when_idle: Callable[[], None] | None = None
        self.pool = ThreadPool(threads) if threads > 1 else None
        self.context = copy_context()
        """What the context variables of each call begin with."""
        self._standing: dict[str, Any] = {
            "SCRIPT_NAME": "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": threads > 1,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
            "wsgi.input_terminated": True,
        }

    @property
    def busy(self) -> int:
        return len(self.calls)

    async def start(self) -> None:
        """WSGI has no start-up: importing the application was it."""

    async def stop(self, timeout: float) -> None:
        del timeout
        if self.pool is not None:
            self.pool.stop()

    def begin(self, protocol: HttpProtocol, request: Request) -> None:
        exchange = (PooledExchange if self.pool is not None else InlineExchange)(self, protocol, request)
        protocol.exchange = exchange
        if request.length == 0:
            exchange.body_ended()
        else:
            protocol.send_continue()

    def standing(self, protocol: HttpProtocol) -> dict[str, Any]:
        """Return what the environs of all requests of a connection have in common."""
        environ = protocol.environ
        if environ is None:
            host, port = protocol.local
            address, peer_port = protocol.client or ("", 0)
            environ = protocol.environ = {
                **self._standing,
                # PEP 3333 wants both, never empty; a unix socket has neither.
                "SERVER_NAME": host if port is not None else "localhost",
                "SERVER_PORT": str(port or 80),
                "REMOTE_ADDR": address,
                "REMOTE_PORT": str(peer_port) if peer_port else "",
            }
        return environ


class WsgiExchange:
    """One call of the application: what both ways of calling it share."""

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
        self._result: Any = None

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
        self._status = status_line(status)
        self._fields = encode_fields(headers)
        return self._write

    def _write(self, data: bytes) -> None:
        """What `start_response` returns, for applications from before iterables."""
        if data:
            self._put(data, more=True)

    def _put(self, body: bytes, more: bool) -> None:
        """Send a part of the body, after the head if that has not been sent yet."""
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

    def _head_is_out(self) -> bool:
        """Whether the application has given a part of the body, so that the head is fixed."""
        return self._sent_head

    def _check_started(self) -> None:
        if not self._status:
            raise LocalProtocolError("the application did not call start_response before its first body part")

    def _close_result(self) -> None:
        """PEP 3333: `close` is always called, whatever has happened."""
        result, self._result = self._result, None
        close = getattr(result, "close", None)
        if close is not None:
            try:
                close()
            except BaseException:
                log.exception("close() of the application's iterable raised")
        if self._spool is not None:
            self._spool.close()

    def _log_failure(self) -> None:
        log.exception(
            "%s %s: the application raised", self._request.method, self._request.path.decode("ascii")
        )


class InlineExchange(WsgiExchange):
    """The application runs on the loop's thread."""

    __slots__ = ("_context", "_iterator")

    def __init__(self, gateway: WsgiGateway, protocol: HttpProtocol, request: Request) -> None:
        super().__init__(gateway, protocol, request)
        self._iterator: Iterator[bytes] | None = None
        # Two answers may be under way at once: each has context variables of its own.
        self._context = gateway.context.copy()

    def body_ended(self) -> None:
        self._gateway.calls.add(self)
        self._run(self._call)

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
        try:
            self._result = result = self._gateway.application(self._environ(), self.start_response)
            if type(result) is list and len(result) == 1:
                # By far the most frequent answer: one part, so its length is known.
                self._check_started()
                self._finish_with(result[0])
                return
            self._iterator = iter(result)
            self._drive()
        except BaseException:  # SystemExit too: nothing an application raises ends a worker
            self._fail()

    def _finish_with(self, body: bytes) -> None:
        self._send(body, more=False)
        self._end()

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
        self._send(b"", more=False)
        self._end()

    def _put(self, body: bytes, more: bool) -> None:
        if not self._gone:
            self._send(body, more)

    def _end(self) -> None:
        self._iterator = None
        self._close_result()
        gateway = self._gateway
        gateway.calls.discard(self)
        if gateway.when_idle is not None and not gateway.calls:
            gateway.when_idle()

    def _fail(self) -> None:
        self._log_failure()
        gone = self._gone
        self._gone = True
        self._end()
        if not gone:
            self._protocol.fail()

    def writable(self) -> None:
        if self._iterator is not None and not self._protocol.write_paused:
            self._run(self._resume)

    def _resume(self) -> None:
        try:
            self._drive()
        except BaseException:
            self._fail()

    def disconnected(self) -> None:
        was_gone = self._gone
        self._gone = True
        if self._iterator is not None and not was_gone:
            self._run(self._end)
        elif self._spool is not None and self._result is None:
            self._spool.close()


class _ClientGoneError(Exception):
    """The client has left, and the thread that answers it should stop."""


class PooledExchange(WsgiExchange):
    """The application runs in a thread of the pool.

    The thread talks to the loop as seldom as it can: waking the loop costs more than most applications do.
    """

    __slots__ = ("_ahead", "_owed", "_posted")

    def __init__(self, gateway: WsgiGateway, protocol: HttpProtocol, request: Request) -> None:
        super().__init__(gateway, protocol, request)
        self._ahead: threading.Semaphore | None = None
        """What the thread may produce ahead of the loop; made with the first part that is not the last."""
        self._owed = 0
        """Parts given to the socket while it was full: the thread gets its permits back when it is not."""
        self._posted = 0
        """Bytes of the body that the thread has handed over."""

    def body_ended(self) -> None:
        gateway = self._gateway
        assert gateway.pool is not None
        gateway.calls.add(self)
        gateway.pool.submit(self._work)

    # On the thread

    def _work(self) -> None:
        copy_context().run(self._call)

    def _call(self) -> None:
        try:
            if not self._gone:
                self._result = result = self._gateway.application(self._environ(), self.start_response)
                self._produce(result)
        except _ClientGoneError:
            pass
        except BaseException:  # SystemExit too: nothing an application raises ends a thread
            self._log_failure()
            if not self._gone:  # else the loop may have ended as well
                self._gateway.loop.call_soon_threadsafe(self._failed)
        finally:
            self._close_result()
            self._returned()

    def _returned(self) -> None:
        gateway = self._gateway
        gateway.calls.discard(self)
        if gateway.when_idle is not None and not gateway.calls:
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                gateway.loop.call_soon_threadsafe(gateway.when_idle)

    def _produce(self, result: Iterable[bytes]) -> None:
        alone = type(result) is list and len(result) == 1
        ended = False
        for part in result:
            if not part:
                continue
            if ended:
                log.error("the application sent more than its Content-Length; nothing more is asked for")
                return
            self._check_started()
            # The part that fills the Content-Length ends the response: no message of its own for the end.
            ended = alone or self._posted + len(part) >= _content_length(self._fields)
            if ended:
                self._post(part, more=False)
            else:
                self._put(part, more=True)
        if not ended:
            self._check_started()
            self._post(b"", more=False)

    def _put(self, body: bytes, more: bool) -> None:
        if self._gone:
            raise _ClientGoneError  # again, to an application that has caught the last one
        if self._ahead is None:
            self._ahead = threading.Semaphore(_AHEAD)
        self._ahead.acquire()
        self._post(body, more)

    def _head_is_out(self) -> bool:
        return self._posted > 0  # it may still be on its way to the loop

    def _post(self, body: bytes, more: bool) -> None:
        if self._gone:
            raise _ClientGoneError
        self._posted += len(body)
        self._gateway.loop.call_soon_threadsafe(self._deliver, body, more)

    # On the loop

    def _deliver(self, body: bytes, more: bool) -> None:
        if self._gone:
            return
        try:
            self._send(body, more)
        except Exception:
            self._log_failure()
            self._stop()
            self._protocol.fail()
            return
        if not more:
            self._gone = True
        elif self._protocol.write_paused:
            self._owed += 1
        elif self._ahead is not None:
            self._ahead.release()

    def writable(self) -> None:
        owed, self._owed = self._owed, 0
        if owed and self._ahead is not None:
            self._ahead.release(owed)

    def _stop(self) -> None:
        """Let the thread run into `_ClientGoneError` wherever it waits."""
        self._gone = True
        if self._ahead is not None:
            self._ahead.release(_AHEAD)

    def _failed(self) -> None:
        if not self._gone:
            self._gone = True
            self._protocol.fail()

    def disconnected(self) -> None:
        self._stop()
        if self not in self._gateway.calls:
            self._close_result()  # it has not been called yet: its body is incomplete


def _content_length(fields: list[Field]) -> float:
    """Return the Content-Length that the application promised, infinity if it promised none."""
    for name, value in fields:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return inf


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
