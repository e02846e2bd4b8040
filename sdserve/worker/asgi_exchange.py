"""One call of an ASGI application, with the `receive` and `send` it is given.

Laws:

1. What a message may be follows from the phase of the response alone; `send` changes it, and so does the end
   of the connection.
2. A mistake of the application's is raised in its `send` and remembered: at the end of the call there is one
   line about it, also if the application has swallowed the exception.
3. Once the response is complete, or the client is gone, nothing the application does reaches the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from sdserve.core.gateway.asgi import has_length, mistake_in, wants_trailers
from sdserve.core.http.request import Field, Request
from sdserve.core.http.response import status_line
from sdserve.errors import ClientDisconnectedError, LocalProtocolError
from sdserve.host.fds import Fd
from sdserve.worker.asgi_files import borrow_file, open_path
from sdserve.worker.asgi_scope import scope_of
from sdserve.worker.file_body import FilePart
from sdserve.worker.http import HttpProtocol
from sdserve.worker.suspended import position

if TYPE_CHECKING:
    from sdserve.worker.asgi import AsgiGateway

log = logging.getLogger("sdserve.asgi")

_BUFFERED = 64 * 1024
"""Bytes of a request body that may wait for the application before the socket is no longer read."""

_GRACE = 2.0
"""Seconds in which an application may answer a client that sends no more, before it is told of it."""

_LAST_WORD = 1.0
"""Seconds in which a cancelled application may still answer by itself."""

_FRESH, _STARTED, _OPENING, _FILE, _BODY, _TRAILERS, _OVER, _GONE = range(8)
"""Phases of a response: nothing; a start that was not sent yet; the file to be its body is being opened; a
file is on its way; its head, perhaps more, is sent; only trailers are due; complete; without a client, or
given by us in place of an application that took too long."""

_REFUSALS = {
    _FRESH: "%s before http.response.start",
    _STARTED: "%s before the body",
    _OPENING: "%s while a file is being sent",
    _FILE: "%s while a file is being sent",
    _BODY: "%s in the middle of the body",
    _TRAILERS: "%s where http.response.trailers is due",
    _OVER: "%s after the response was complete",
}


class AsgiExchange:
    """One request, one task, one response."""

    __slots__ = (
        "_body",
        "_body_complete",
        "_buffered",
        "_cancelled",
        "_end_told",
        "_fields",
        "_gateway",
        "_leaving",
        "_left",
        "_mistake",
        "_phase",
        "_protocol",
        "_request",
        "_since",
        "_status",
        "_trailers",
        "_waiters",
        "task",
    )

    def __init__(self, gateway: AsgiGateway, protocol: HttpProtocol, request: Request) -> None:
        self._gateway = gateway
        self._protocol = protocol
        self._request = request
        self._phase = _FRESH
        self._since = 0.0
        """When it began or last made progress, in seconds; 0: since the last tick, which puts in the time."""
        self._cancelled: float | None = None
        """When it was cancelled because it took too long."""
        self._body: deque[bytes] | None = None
        self._buffered = 0
        self._body_complete = request.length == 0
        self._end_told = False
        self._left = False
        """The application was told, or will be when it asks, that there is nobody any more."""
        self._leaving: asyncio.TimerHandle | None = None
        self._mistake: LocalProtocolError | None = None
        self._status: bytes
        self._fields: Iterable[Field]
        self._trailers: list[Field] | None = None
        """Those that were sent so far; None if none were announced."""
        self._waiters: list[asyncio.Future[None]] | None = None
        self.task: asyncio.Task[None]

    # The call

    async def run(self) -> None:
        """Call the application and see to it that the client gets an answer."""
        gateway = self._gateway
        protocol = self._protocol
        scope = scope_of(self._request, protocol, gateway.state)
        try:
            await gateway.application(scope, self.receive, self.send)
        except asyncio.CancelledError as error:
            self._ended(error)
            raise
        except BaseException as error:
            # SystemExit too: nothing an application raises ends a worker.
            self._ended(error)
        else:
            if self._phase < _OVER or self._mistake is not None:
                self._ended(None)
        finally:
            gateway.exchanges.discard(self)
            if gateway.when_idle is not None and not gateway.exchanges:
                gateway.when_idle()

    def _ended(self, error: BaseException | None) -> None:
        """The call ended with `error`, with a mistake, or, if both are None, without a complete response."""
        # Once the client has left, or was answered for, an exception is the application's usual way out.
        level = logging.DEBUG if self._left or self._cancelled is not None else logging.ERROR
        if self._mistake is not None:
            log.error("%s: %s", self.where, self._mistake, exc_info=error or self._mistake)
        elif error is None:
            log.log(level, "%s: the application returned without a complete response", self.where)
        elif isinstance(error, TypeError) and error.__traceback__ and not error.__traceback__.tb_next:
            # Raised by the call as such: it takes other arguments, or returns nothing that can be awaited.
            log.log(level, "%s: the application is none of ASGI 3: %s", self.where, error)
        else:
            log.log(level, "%s: the application raised", self.where, exc_info=error)
        self._answer_for_it(500 if self._cancelled is None else 504)

    def _answer_for_it(self, status: int) -> None:
        if self._phase < _OVER:
            if self._cancelled is None:
                self._end()
            else:
                self.disconnected()  # as far as the application is concerned, which may come back later
            self._protocol.fail(status)

    @property
    def where(self) -> str:
        return f"{self._request.method} {self._request.path.decode('ascii')}"

    # The application's side

    async def receive(self) -> dict[str, Any]:
        """The application's `receive`."""
        while True:
            if self._phase >= _OVER:
                return {"type": "http.disconnect"}
            body = self._body
            if body:
                return self._take(body)
            if self._body_complete and not self._end_told:
                self._end_told = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if self._left:
                return {"type": "http.disconnect"}
            if not self._body_complete:
                self._protocol.send_continue()
                self._protocol.resume_reading()
            await self._wait()

    def _take(self, body: deque[bytes]) -> dict[str, Any]:
        """Hand over all of the body that is here: fewer messages, and never an empty one but the last."""
        data = body[0] if len(body) == 1 else b"".join(body)
        body.clear()
        self._buffered = 0
        self._end_told = self._body_complete
        if not self._body_complete:
            self._protocol.resume_reading()
        return {"type": "http.request", "body": data, "more_body": not self._body_complete}

    async def send(self, message: dict[str, Any]) -> None:
        """The application's `send`.

        Raises:
            LocalProtocolError: the message is out of order or malformed.
            ClientDisconnectedError: the client is gone.
            OSError: a file cannot be opened or read.
        """
        try:
            kind = message["type"]
            if kind == "http.response.body":
                protocol = self._protocol
                body = message.get("body", b"")
                more = announced = message.get("more_body", False)
                if not more and self._trailers is not None:
                    more = True
                if self._phase == _BODY:
                    protocol.send_data(body, more)
                elif self._phase == _STARTED:
                    protocol.send_response(self._status, self._fields, body, more)
                else:
                    raise self._refusal(kind)
                if not more:
                    self._end()
                    return
                self._phase = _BODY if announced else _TRAILERS
                self._since = 0.0
                if protocol.write_paused:
                    await self._wait_writable()
                elif protocol.transport.is_closing():
                    raise self._gone()  # the loop may not turn until we say so
            elif kind == "http.response.start":
                self._start(kind, message)
            else:
                await self._send_extension(kind, message)
        except LocalProtocolError as error:
            self._remember(error)
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            mistake = self._explain(message)
            if mistake is None:
                raise
            self._remember(mistake)
            raise mistake from error

    def _start(self, kind: str, message: dict[str, Any]) -> None:
        if self._phase != _FRESH:
            raise self._refusal(kind)
        self._status = status_line(message["status"])
        self._fields = message.get("headers", ())
        if message.get("trailers", False):
            self._trailers = []
        self._phase = _STARTED

    async def _send_extension(self, kind: Any, message: dict[str, Any]) -> None:
        phase = self._phase
        if phase >= _OVER and self._left:
            raise ClientDisconnectedError
        if kind == "http.response.early_hint":
            if phase in (_FRESH, _STARTED):
                self._protocol.send_early_hints([(b"link", link) for link in message.get("links", ())])
                await self._wait_writable()
            elif phase != _BODY:
                raise self._refusal(kind)
            # In the middle of the body no interim response can be sent any more; that is no mistake.
        elif kind == "http.response.pathsend":
            if phase != _STARTED:
                raise self._refusal(kind)
            self._phase = _OPENING
            try:
                part = await open_path(self._gateway.loop, message["path"])
            finally:
                if self._phase == _OPENING:
                    self._phase = _STARTED
            await self._send_file(part, more=False)
        elif kind == "http.response.zerocopysend":
            if phase not in (_STARTED, _BODY):
                raise self._refusal(kind)
            part = borrow_file(message["file"], message.get("offset"), message.get("count"))
            await self._send_file(part, more=message.get("more_body", False))
        elif kind == "http.response.trailers":
            if phase != _TRAILERS:
                raise self._refusal(kind)
            self._send_trailers(message.get("headers", ()), message.get("more_trailers", False))
        else:
            raise LocalProtocolError(
                f"the application sent a message that an HTTP response does not have: {kind!r:.60}"
            )

    async def _send_file(self, part: FilePart, more: bool) -> None:
        """Send it after what came before; return when the kernel has it all."""
        protocol = self._protocol
        descriptor = part.descriptor
        then = _BODY if more else _OVER if self._trailers is None else _TRAILERS
        sent = self._gateway.loop.create_future()
        try:
            if self._phase >= _OVER:
                raise ClientDisconnectedError
            if self._phase == _STARTED:
                fields = list(self._fields)
                if then == _OVER and not has_length(fields):
                    fields.append((b"content-length", b"%d" % part.count))
                protocol.send_response(self._status, fields, b"", more=True)
            self._phase = _FILE
            done = partial(self._file_done, descriptor, then, sent)
            protocol.send_file(descriptor.fileno(), part.offset, part.count, then != _OVER, done)
        except BaseException:
            descriptor.close()
            raise
        error = await sent
        if error is not None:
            if self._left:
                raise ClientDisconnectedError from error
            raise error

    def _file_done(
        self, descriptor: Fd, then: int, sent: asyncio.Future[OSError | None], error: OSError | None
    ) -> None:
        # The application's task may have been cancelled long ago: what was borrowed is given back here.
        descriptor.close()
        if self._phase == _FILE:
            self._since = 0.0
            self._phase = _BODY if error is not None else then
            if self._phase == _OVER:
                self._end()
        if not sent.done():
            sent.set_result(error)

    def _send_trailers(self, fields: Iterable[Field], more: bool) -> None:
        trailers = self._trailers
        assert trailers is not None
        trailers.extend([(name, value) for name, value in fields])
        if more:
            return
        if wants_trailers(self._request):
            self._protocol.send_trailers(trailers)
        else:
            self._protocol.send_data(b"", more=False)
        self._end()

    def _refusal(self, kind: str) -> Exception:
        phase = self._phase
        if phase >= _OVER and self._left:
            return ClientDisconnectedError()
        if kind == "http.response.start" and phase != _OVER:
            return LocalProtocolError(f"the application sent a second {kind}")
        return LocalProtocolError("the application sent " + _REFUSALS[phase] % kind)

    def _gone(self) -> ClientDisconnectedError:
        """The connection cannot be used any more, which it will tell us itself a little later."""
        self.disconnected()
        return ClientDisconnectedError()

    def _explain(self, message: object) -> LocalProtocolError | None:
        """Return what the application did wrong if `message` could not be used; None if it was not that."""
        wrong = mistake_in(message)
        if not wrong and self._phase == _STARTED:
            # What the start said is used no earlier than with the body.
            wrong = mistake_in({"type": "http.response.start", "status": 200, "headers": self._fields})
        return LocalProtocolError(f"the application sent {wrong}") if wrong else None

    def _remember(self, mistake: LocalProtocolError) -> None:
        if self._mistake is None:
            self._mistake = mistake
            if self.task.done():
                # Of something that the application left behind.
                log.error("%s: %s", self.where, mistake, exc_info=mistake)

    async def _wait(self) -> None:
        """Until `_wake`. Each waiter has a future of its own: cancelling one leaves the others."""
        waiter = self._gateway.loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            # Nobody has woken it if it was cancelled, and perhaps nobody ever does.
            waiters = self._waiters
            if waiters is not None and waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    self._waiters = None

    async def _wait_writable(self) -> None:
        while self._protocol.write_paused and self._phase < _OVER:
            await self._wait()
        if self._phase < _OVER and self._protocol.transport.is_closing():
            raise self._gone()
        if self._phase == _GONE:
            raise ClientDisconnectedError

    def _wake(self) -> None:
        waiters = self._waiters
        if waiters is not None:
            self._waiters = None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _end(self, phase: int = _OVER) -> None:
        """The response is complete, or nobody wants it; for who waits in `receive` both is a disconnect."""
        self._phase = phase
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._waiters is not None:
            self._wake()

    # The connection's side

    def body_received(self, data: bytes) -> None:
        if self._body is None:
            self._body = deque()
        self._body.append(data)
        self._buffered += len(data)
        self._since = 0.0
        if self._buffered >= _BUFFERED:
            self._protocol.pause_reading()
        self._wake()

    def body_ended(self) -> None:
        self._body_complete = True
        self._since = 0.0
        self._wake()

    def writable(self) -> None:
        self._since = 0.0
        self._wake()

    def client_left(self) -> None:
        # A browser that was closed and a client that has only said all it has to say look alike. Frameworks
        # cancel when they are told, so an answer that is nearly there gets the time to be one.
        self._leaving = self._gateway.loop.call_later(_GRACE, self._tell_left)

    def end_stream(self) -> None:
        """Tell the application, whose answer goes on and on, that its time is up. It may still send."""
        # Who has not begun to answer is not told: frameworks would cancel, and there would be no answer.
        if self._phase == _BODY and self._body_complete:
            self._tell_left()

    def _tell_left(self) -> None:
        self._left = True
        self._wake()

    def disconnected(self) -> None:
        self._left = True
        self._end(_GONE)

    # Time

    def tick(self, now: float, timeout: float) -> None:
        """End the call if it has made no progress for `timeout` seconds, also if its client has left."""
        if self._phase == _OVER:
            return  # what is done after the answer may take its time
        if self._cancelled is not None:
            if now - self._cancelled >= _LAST_WORD:
                self._answer_for_it(504)
        elif not self._since or self._waits_for_client:
            # From now on, so that nobody pays for the time in which somebody else held the loop.
            self._since = now
        elif now - self._since >= timeout:
            self._cancelled = now
            log.error(
                "%s: the application made no progress for %.0f seconds (workers.request_timeout) and is"
                " cancelled; it was at %s",
                self.where,
                now - self._since,
                position(self.task),
            )
            self.task.cancel()

    @property
    def _waits_for_client(self) -> bool:
        """Whether it is the client's turn, whose own time-outs are those of the connection."""
        return self._phase < _OVER and (
            self._protocol.write_paused
            or self._phase == _FILE
            or (not self._body_complete and self._waiters is not None)
        )
