"""ASGI 3: one task a request. https://asgi.readthedocs.io/en/stable/specs/www.html"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from sdserve.core.gateway.asgi import http_scope
from sdserve.core.gateway.interface import ASGI
from sdserve.core.http.request import Field, Request
from sdserve.core.http.response import status_line
from sdserve.errors import LocalProtocolError
from sdserve.worker.http import HttpProtocol
from sdserve.worker.lifespan import Lifespan

log = logging.getLogger("sdserve.asgi")

_BUFFERED = 64 * 1024
"""Bytes of a request body that may wait for the application before the socket is no longer read."""
_DISCONNECT = {"type": "http.disconnect"}


class AsgiGateway:
    """Calls an ASGI application, one task a request."""

    interface = ASGI

    def __init__(self, application: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.application = application
        self.loop = loop
        self.tasks: set[asyncio.Task[None]] = set()
        """All tasks that have not ended; the loop itself keeps only weak references."""
        self.when_idle: Callable[[], None] | None = None
        self.state: dict[str, Any] | None = None
        """What the lifespan left for the scopes; None if the application has no lifespan."""
        self._lifespan = Lifespan(application, loop)
        self._context = copy_context()

    @property
    def busy(self) -> int:
        return len(self.tasks)

    async def start(self) -> None:
        self.state = await self._lifespan.start()

    async def stop(self, timeout: float) -> None:
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=timeout)
        await self._lifespan.stop(timeout)

    def begin(self, protocol: HttpProtocol, request: Request) -> None:
        protocol.exchange = exchange = AsgiExchange(self, protocol, request)
        # Not in the context of whoever calls: that may be the task of the connection's request before this.
        exchange.task = task = self._context.run(self.loop.create_task, exchange.run())
        self.tasks.add(task)


class AsgiExchange:
    """One call of the application, with the `receive` and `send` it is given."""

    __slots__ = (
        "_body",
        "_body_complete",
        "_buffered",
        "_end_told",
        "_fields",
        "_gateway",
        "_left",
        "_over",
        "_protocol",
        "_request",
        "_started",
        "_status",
        "_waiters",
        "task",
    )

    def __init__(self, gateway: AsgiGateway, protocol: HttpProtocol, request: Request) -> None:
        self._gateway = gateway
        self._protocol = protocol
        self._request = request
        self._body: deque[bytes] | None = None
        self._buffered = 0
        self._body_complete = request.length == 0
        self._end_told = False
        self._left = False
        self._over = False
        self._started = False
        self._status = b""
        self._fields: list[Field] = []
        self._waiters: list[asyncio.Future[None]] | None = None
        self.task: asyncio.Task[None]

    # The application's side

    async def run(self) -> None:
        """Call the application and see to it that the client gets an answer."""
        gateway = self._gateway
        protocol = self._protocol
        scope = http_scope(self._request, protocol.client, protocol.local, gateway.state)
        try:
            await gateway.application(scope, self.receive, self.send)
        except asyncio.CancelledError as error:
            self._failed(error)
            raise
        except BaseException as error:
            # SystemExit too: nothing an application raises ends a worker.
            self._failed(error)
        else:
            if not self._over:
                self._failed(None)
        finally:
            gateway.tasks.discard(self.task)
            if gateway.when_idle is not None and not gateway.tasks:
                gateway.when_idle()

    def _failed(self, error: BaseException | None) -> None:
        """The call ended with `error`, or, if that is None, without a complete response."""
        where = f"{self._request.method} {self._request.path.decode('ascii')}"
        # Once the client has left, an exception is the application's usual way out.
        level = logging.DEBUG if self._left else logging.ERROR
        if error is not None:
            log.log(level, "%s: the application raised", where, exc_info=error)
        elif not self._over:
            log.log(level, "%s: the application returned without a complete response", where)
        if not self._over:
            self._over = True
            self._protocol.fail()

    async def receive(self) -> dict[str, Any]:
        """The application's `receive`."""
        while True:
            if self._over:
                return _DISCONNECT
            body = self._body
            if body:
                return self._take(body)
            if self._body_complete and not self._end_told:
                self._end_told = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if self._left:
                return _DISCONNECT
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
            OSError: the client is gone.
        """
        kind = message["type"]
        if kind == "http.response.body":
            protocol = self._protocol
            if self._over:
                self._refuse_late(kind)
            body = message.get("body", b"")
            more = message.get("more_body", False)
            if self._started:
                protocol.send_data(body, more)
            elif self._status:
                protocol.send_response(self._status, self._fields, body, more)
                self._started = True
            else:
                raise LocalProtocolError("http.response.body before http.response.start")
            if not more:
                self._over = True
                self._wake()  # whoever waits for a disconnect: the response is complete, so this is one
            elif protocol.write_paused:
                await self._wait_writable()
            elif protocol.transport.is_closing():
                raise OSError("the client has disconnected")  # the loop may not turn until we say so
        elif kind == "http.response.start":
            if self._over:
                self._refuse_late(kind)
            if self._status:
                raise LocalProtocolError("a second http.response.start")
            self._status = status_line(message["status"])
            self._fields = message.get("headers", ())
        else:
            raise LocalProtocolError(f"a message that an HTTP response does not have: {kind!r}")

    def _refuse_late(self, kind: str) -> None:
        if self._left:
            raise OSError("the client has disconnected")
        raise LocalProtocolError(f"{kind} after the response was complete")

    async def _wait(self) -> None:
        """Until `_wake`. Each waiter has a future of its own: cancelling one leaves the others."""
        waiter = self._gateway.loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        await waiter

    async def _wait_writable(self) -> None:
        while self._protocol.write_paused and not self._over:
            await self._wait()
        if self._over:
            raise OSError("the client has disconnected")

    def _wake(self) -> None:
        waiters = self._waiters
        if waiters is not None:
            self._waiters = None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # The connection's side

    def body_received(self, data: bytes) -> None:
        if self._body is None:
            self._body = deque()
        self._body.append(data)
        self._buffered += len(data)
        if self._buffered >= _BUFFERED:
            self._protocol.pause_reading()
        self._wake()

    def body_ended(self) -> None:
        self._body_complete = True
        self._wake()

    def writable(self) -> None:
        self._wake()

    def client_left(self) -> None:
        self._left = True
        self._wake()

    def disconnected(self) -> None:
        self._left = self._over = True
        self._wake()
