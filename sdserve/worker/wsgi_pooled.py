"""WSGI in a thread of the pool, which waits where its client does not read.

The thread talks to the loop as seldom as it can: waking the loop costs more than most applications do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from contextvars import Context, copy_context
from typing import TYPE_CHECKING

from sdserve.core.gateway.wsgi import encode_fields, promised_length
from sdserve.core.http.request import Field, Request
from sdserve.core.http.response import early_hints
from sdserve.worker.file_body import FilePart
from sdserve.worker.http import HttpProtocol
from sdserve.worker.stacks import stack_of
from sdserve.worker.threads import ThreadPool
from sdserve.worker.wsgi_exchange import GoneError, WsgiExchange
from sdserve.worker.wsgi_files import FileWrapper, real_part

if TYPE_CHECKING:
    from sdserve.worker.wsgi import WsgiGateway

log = logging.getLogger("sdserve.wsgi")

_AHEAD = 8
"""Parts of a body that a thread may produce before the loop has sent the first of them."""

_QUEUED, _COMPLETE = 0, -1
"""`progress` of a call that has not begun, and of one that has given its whole answer."""


class PooledExchange(WsgiExchange):
    """The application runs in a thread of the pool."""

    __slots__ = ("_ahead", "_context", "_owed", "_posted", "progress")

    def __init__(self, gateway: WsgiGateway, protocol: HttpProtocol, request: Request) -> None:
        super().__init__(gateway, protocol, request)
        self._ahead: threading.Semaphore | None = None
        """What the thread may produce ahead of the loop; made with the first part that is not the last."""
        self._owed = 0
        """Parts given to the socket while it was full: the thread gets its permits back when it is not."""
        self._posted = 0
        """Bytes of the body that the thread has handed over."""
        self._context: Context
        """Where `close` is called for an answer that is a file."""
        self.progress = _QUEUED
        """Rises with each part. Written by the thread alone."""

    @property
    def _pool(self) -> ThreadPool:
        pool = self._gateway.pool
        assert pool is not None
        return pool

    def body_ended(self) -> None:
        gateway = self._gateway
        gateway.calls.add(self)
        self._pool.submit(self, gateway.now)

    # On the thread

    def __call__(self) -> None:
        """Run the application: what the pool has taken this for."""
        self.progress = 1
        copy_context().run(self._call)

    def _call(self) -> None:
        is_sent_by_loop = False
        try:
            self._result = result = self._gateway.application(self._environ(), self.start_response)
            is_sent_by_loop = type(result) is FileWrapper and self._posts_file(result)
            if not is_sent_by_loop:
                self._produce(result)
        except BaseException as error:  # SystemExit too: nothing an application raises ends a thread
            # Where our client is still there, it was the `write` of another request.
            if not (self._gone and type(error) is GoneError):
                self._log_failure()
            if not self._gone:  # else the loop may have ended as well
                self._gateway.loop.call_soon_threadsafe(self._failed)
        finally:
            self.progress = _COMPLETE
            if not is_sent_by_loop:
                self._finish()

    def _finish(self) -> None:
        self._close_result()
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
                log.error(
                    "%s: the application sent more than its Content-Length; nothing more is asked for",
                    self.where,
                )
                return
            self._check_started()
            # The part that fills the Content-Length ends the response: no message of its own for the end.
            ended = alone or self._fills(part)
            if ended:
                self._post(part, more=False)
            else:
                self._put(part, more=True)
        if not ended:
            self._check_started()
            self._post(b"", more=False)

    def _fills(self, part: bytes) -> bool:
        length = promised_length(self._fields)
        return length is not None and self._posted + len(part) >= length

    def _put(self, body: bytes, more: bool) -> None:
        if self._gone or self.progress == _COMPLETE:
            raise GoneError  # again, to an application that has caught the last one
        if self._ahead is None:
            self._ahead = threading.Semaphore(_AHEAD)
        self._ahead.acquire()
        self._post(body, more)

    def _head_is_out(self) -> bool:
        return self._posted > 0  # it may still be on its way to the loop

    def _post(self, body: bytes, more: bool) -> None:
        if self._gone:
            raise GoneError
        self._posted += len(body)
        self.progress = self.progress + 1 if more else _COMPLETE
        self._gateway.loop.call_soon_threadsafe(self._deliver, body, more)

    def _posts_file(self, wrapper: FileWrapper) -> bool:
        """Let the loop send a real file, if it is one: no thread waits for a client that reads slowly."""
        self._check_started()
        part = real_part(wrapper)
        if part is None:
            return False
        try:
            if self._gone:
                raise GoneError
            self.progress = _COMPLETE
            self._context = copy_context()
            self._gateway.loop.call_soon_threadsafe(self._deliver_file, part)
        except BaseException:
            part.descriptor.close()
            raise
        return True

    def early_hints(self, headers: list[tuple[str, str]]) -> None:
        fields = encode_fields(headers)
        early_hints(fields)  # what is wrong with them is raised here, in the application
        if self._ahead is None:
            self._ahead = threading.Semaphore(_AHEAD)
        # Not more than the loop keeps up with, and without waiting for it: they are advice.
        if not self._gone and self._ahead.acquire(blocking=False):
            self._gateway.loop.call_soon_threadsafe(self._deliver_hints, fields)

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
            self._stop()
        elif self._protocol.write_paused:
            self._owed += 1
        elif self._ahead is not None:
            self._ahead.release()

    def _deliver_hints(self, fields: list[Field]) -> None:
        assert self._ahead is not None
        self._ahead.release()
        self._send_hints(fields)

    def _deliver_file(self, part: FilePart) -> None:
        def done(error: OSError | None) -> None:
            del error  # the connection has said and done what there is to
            part.descriptor.close()
            self._pool.submit(self._close_file, self._gateway.now)

        if self._gone:
            done(None)
            return
        self._stop()  # nothing may come into the midst of it
        try:
            self._send_part(part, done)
        except Exception:
            self._log_failure()
            done(None)
            self._protocol.fail()

    def _close_file(self) -> None:
        """On a thread again: `close` is the application's code, and may take its time."""
        self._context.run(self._finish)

    def writable(self) -> None:
        owed, self._owed = self._owed, 0
        if owed and self._ahead is not None:
            self._ahead.release(owed)

    def _stop(self) -> None:
        """Let whoever writes run into `GoneError`, also where it waits."""
        self._gone = True
        if self._ahead is not None:
            self._ahead.release(_AHEAD)

    def _failed(self) -> None:
        if not self._gone:
            self._gone = True
            self._protocol.fail()

    def disconnected(self) -> None:
        self._stop()
        if self._pool.withdraw(self):
            self._finish()
        elif self not in self._gateway.calls:
            self._close_result()  # its body is incomplete

    # Time

    @property
    def waits_for_client(self) -> bool:
        """Whether it is the client's turn, whose own time-out is that of the connection."""
        return self._protocol.write_paused and not self._gone

    def expire(self, waited: float) -> None:
        """It has been withdrawn from the pool: answer without the application, which is too busy."""
        self._stop()
        self._protocol.fail(503, retry_after=waited)
        self._finish()

    def end_overdue(self, seconds: float) -> None:
        """Leave the thread behind, with whatever it does, and answer for the application."""
        log.error(
            "%s: the application made no progress for %.0f seconds (workers.request_timeout); its thread is"
            " left behind, and was at:\n%s",
            self.where,
            seconds,
            stack_of(self._pool.leave_behind(self)),
        )
        was_gone = self._gone
        self._stop()
        if not was_gone:
            self._protocol.fail(504)
