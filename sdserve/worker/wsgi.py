"""WSGI: PEP 3333. The body is complete before the application is called, so a slow client holds no thread.

With one thread the application runs on the loop's own thread (`wsgi_inline`), else in a pool (`wsgi_pooled`).
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from math import inf
from typing import Any

from sdserve.core.gateway.interface import WSGI
from sdserve.core.gateway.options import WorkerOptions
from sdserve.core.http.request import Request
from sdserve.worker.clock import TICK
from sdserve.worker.http import HttpProtocol
from sdserve.worker.peer import PEER_CREDENTIALS
from sdserve.worker.threads import ThreadPool
from sdserve.worker.watchdog import Watchdog
from sdserve.worker.websockets import WebSockets
from sdserve.worker.wsgi_exchange import WsgiExchange
from sdserve.worker.wsgi_files import FileWrapper
from sdserve.worker.wsgi_inline import InlineExchange
from sdserve.worker.wsgi_pooled import PooledExchange

log = logging.getLogger("sdserve.wsgi")

_OVERDUE = "a request has made no progress for workers.request_timeout"


DRAINING = "sdserve.draining"
"""The key, in the environ, of a function without arguments: whether the worker drains."""


class WsgiGateway:
    """Calls a WSGI application, on the loop's thread or in a pool."""

    interface = WSGI

    def __init__(
        self, application: Any, loop: asyncio.AbstractEventLoop, workers: WorkerOptions, body_memory: int
    ) -> None:
        self.application = application
        self.loop = loop
        self.body_memory = body_memory
        self.calls: set[WsgiExchange] = set()
        """Calls of the application that have not returned; a set, as adding and discarding are atomic."""
        self.now = time.monotonic()
        """Seconds, up to `TICK` old; with a pool only."""
        self.when_idle: Callable[[], None] | None = None
        self.retire: Callable[[str], None] | None = None
        """Called on the loop's thread if this worker should be replaced, with the reason."""
        self.pool = ThreadPool(workers.threads) if workers.threads > 1 else None
        self.watchdog: Watchdog | None = None
        """Ends calls on the loop's own thread that take too long, if that is wanted."""
        self.draining = asyncio.Event()
        self.websockets: WebSockets
        """Part of what a gateway has; WSGI knows none."""
        self.context = copy_context()
        """What the context variables of each call begin with."""
        self._options = workers
        self._ticking: asyncio.TimerHandle | None = None
        self._watched: dict[PooledExchange, tuple[int, float]] = {}
        """What each call of the pool had come to, and when that was seen first."""
        self._standing: dict[str, Any] = {
            "SCRIPT_NAME": "",
            "wsgi.version": (1, 0),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": workers.threads > 1,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
            "wsgi.input_terminated": True,
            DRAINING: self.draining.is_set,
        }

    @property
    def busy(self) -> int:
        return len(self.calls)

    async def start(self) -> None:
        """WSGI has no start-up: importing the application was it."""
        options = self._options
        if self.pool is not None:
            if options.request_timeout or options.max_queue_time:
                self._tick()
        elif options.request_timeout:
            self.watchdog = Watchdog(options.request_timeout, self._overdue)
            self.watchdog.start()
            self.application = partial(self.watchdog.call, self.application)

    async def stop(self, timeout: float) -> None:
        del timeout
        if self._ticking is not None:
            self._ticking.cancel()
        if self.pool is not None:
            self.pool.stop()
        if self.watchdog is not None:
            self.watchdog.stop()

    def end_streams(self) -> None:
        """WSGI has no word for it; who wants to know asks `sdserve.draining`."""

    def begin(self, protocol: HttpProtocol, request: Request) -> None:
        exchange: WsgiExchange
        if self.pool is not None:
            exchange = PooledExchange(self, protocol, request)
        else:
            exchange = InlineExchange(self, protocol, request)
        protocol.exchange = exchange
        if request.length == 0:
            exchange.body_ended()
        else:
            protocol.send_continue()

    def standing(self, protocol: HttpProtocol) -> dict[str, Any]:
        """Return what the environs of all requests of a connection have in common."""
        environ = protocol.environ
        if environ is None:
            peer = protocol.peer
            host, port = peer.local
            address, peer_port = peer.client or ("", 0)
            environ = protocol.environ = {
                **self._standing,
                # PEP 3333 wants both, never empty; a unix socket has neither.
                "SERVER_NAME": host if port is not None else "localhost",
                "SERVER_PORT": str(port or (443 if peer.scheme == "https" else 80)),
                "REMOTE_ADDR": address,
                "REMOTE_PORT": str(peer_port) if peer_port else "",
                "wsgi.url_scheme": peer.scheme,
                **(protocol.tls.environ() if protocol.tls else {}),
            }
            if peer.credentials is not None:
                environ[PEER_CREDENTIALS] = peer.credentials
        return environ

    # Time

    def _tick(self) -> None:
        """Look for requests of the pool that wait or work for too long."""
        self._ticking = self.loop.call_later(TICK, self._tick)
        self.now = now = time.monotonic()
        if self._options.max_queue_time:
            self._expire(now - self._options.max_queue_time - TICK)
        if self._options.request_timeout:
            self._end_overdue(now)

    def _expire(self, latest: float) -> None:
        """Answer for the application what has been waiting since `latest` or longer."""
        pool = self.pool
        assert pool is not None
        expired = 0
        for call in pool.submitted_until(latest):
            if isinstance(call, PooledExchange) and pool.withdraw(call):
                call.expire(self._options.max_queue_time)
                expired += 1
        if expired:
            log.warning(
                "all %d threads were busy for workers.max_queue_time: %d requests are answered 503",
                self._options.threads,
                expired,
            )

    def _end_overdue(self, now: float) -> None:
        watched = {}
        for exchange in list(self.calls):
            assert isinstance(exchange, PooledExchange)
            progress = exchange.progress
            if progress <= 0:
                continue
            seen, since = self._watched.get(exchange, (0, now))
            if progress != seen or exchange.waits_for_client:
                since = now
            elif now - since >= self._options.request_timeout:
                exchange.end_overdue(now - since)
                self._ask_for_successor()
                since = inf
            watched[exchange] = progress, since
        self._watched = watched

    def _overdue(self) -> None:
        """The watchdog has found a call; from its thread."""
        # Not at once: requests have come in while the loop stood still, and idle connections will be closed.
        self.loop.call_soon_threadsafe(self.loop.call_later, TICK, self._ask_for_successor)

    def _ask_for_successor(self) -> None:
        if self.retire is not None:
            self.retire(_OVERDUE)
