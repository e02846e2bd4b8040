"""ASGI 3: one task a request. https://asgi.readthedocs.io/en/stable/specs/www.html"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from sdserve.core.gateway.interface import ASGI
from sdserve.core.http.request import Request
from sdserve.core.http.response import status_line
from sdserve.core.websocket.handshake import read_opening, refusal_fields, wants_websocket
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.errors import RemoteProtocolError
from sdserve.worker.asgi_exchange import AsgiExchange
from sdserve.worker.asgi_websocket import AsgiWebSocket
from sdserve.worker.clock import TICK
from sdserve.worker.http import HttpProtocol
from sdserve.worker.lifespan import Lifespan
from sdserve.worker.websockets import WebSockets

log = logging.getLogger("sdserve.asgi")

_DEFAULTS = WebSocketOptions()

DRAINING = "sdserve.draining"
"""The key, in the lifespan's state, of an `asyncio.Event` that is set once the worker drains."""


class AsgiGateway:
    """Calls an ASGI application, one task a request."""

    interface = ASGI

    def __init__(
        self,
        application: Any,
        loop: asyncio.AbstractEventLoop,
        request_timeout: float = 0.0,
        websocket: WebSocketOptions = _DEFAULTS,
    ) -> None:
        """Serve `application`; end requests without progress for `request_timeout` seconds, 0: none."""
        self.application = application
        self.loop = loop
        self.websocket = websocket
        self.websockets: WebSockets
        self.exchanges: set[AsgiExchange | AsgiWebSocket] = set()
        """All whose task has not ended; the loop itself keeps only weak references to tasks."""
        self.when_idle: Callable[[], None] | None = None
        self.state: dict[str, Any] | None = None
        """What the lifespan left for the scopes; None if the application has no lifespan."""
        self._request_timeout = request_timeout
        self.draining = asyncio.Event()
        self._lifespan = Lifespan(application, loop, {DRAINING: self.draining})
        self._context = copy_context()
        self._ticking: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> int:
        return len(self.exchanges)

    async def start(self) -> None:
        self.state = await self._lifespan.start()
        if self._request_timeout:
            self._tick()

    async def stop(self, timeout: float) -> None:
        tasks = {exchange.task for exchange in self.exchanges}
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=timeout)
            for task in left:
                # Who does not end when cancelled ends with the process, and that has been said.
                task._log_destroy_pending = False  # type: ignore[attr-defined]
        await self._lifespan.stop(timeout)
        if self._ticking is not None:
            self._ticking.cancel()

    def begin(self, protocol: HttpProtocol, request: Request) -> None:
        exchange: AsgiExchange | AsgiWebSocket
        if request.upgrade and wants_websocket(request):
            try:
                opening = read_opening(request, self.websocket.compression)
            except RemoteProtocolError as error:
                self._refuse(protocol, error)
                return
            exchange = AsgiWebSocket(self, protocol, request, opening)
        else:
            exchange = AsgiExchange(self, protocol, request)
        protocol.exchange = exchange
        # Not in the context of whoever calls: that may be the task of the connection's request before this.
        exchange.task = self._context.run(self.loop.create_task, exchange.run())
        self.exchanges.add(exchange)

    def _refuse(self, protocol: HttpProtocol, error: RemoteProtocolError) -> None:
        """Answer a handshake that is none, without a call of the application."""
        self.websockets.refused(protocol.peer.client, protocol.peer.local, error)
        line = status_line(error.status)
        fields = [(b"content-type", b"text/plain; charset=utf-8"), *refusal_fields(error.status)]
        protocol.send_response(line, fields, line[9:] + b"\n", more=False)

    def end_streams(self) -> None:
        for exchange in list(self.exchanges):
            exchange.end_stream()

    def _tick(self) -> None:
        """Look for requests that take too long."""
        self._ticking = self.loop.call_later(TICK, self._tick)
        now = time.monotonic()
        for exchange in list(self.exchanges):
            exchange.tick(now, self._request_timeout)
