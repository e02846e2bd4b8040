"""A worker at work: its listeners, its connections, its tick, and its end.

The end, in this order: accept no more (the kernel's listener stays, and so does its backlog), close what
is idle, finish what is in flight, shut the application down. `drain_timeout` cuts off what has not finished.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from heapq import nsmallest

from sdserve.core.gateway.options import WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.host import scoreboard
from sdserve.host.scoreboard import ScoreboardRow
from sdserve.worker.accept import Acceptor
from sdserve.worker.access import AccessLog
from sdserve.worker.clock import TICK, Clock
from sdserve.worker.exchange import Gateway
from sdserve.worker.http import HttpProtocol
from sdserve.worker.refusals import Refusals

log = logging.getLogger("sdserve.worker")

_LAST_WORD = 1.0
"""Seconds that the application's shutdown gets even if the time to drain is used up."""

_RECLAIMED = 16
"""Idle connections that are closed at once when there is no room for more."""
_SAY_EVERY = 60.0


class Server:
    """Serves connections with one gateway until it is drained."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        gateway: Gateway,
        http: HttpOptions,
        workers: WorkerOptions,
        row: ScoreboardRow,
        access: AccessLog | None,
    ) -> None:
        self.loop = loop
        self.gateway = gateway
        self.http = http
        self.row = row
        self.access = access
        self.clock = Clock(http.server_header)
        self.refusals = Refusals()
        self._drain_timeout = workers.drain_timeout
        self.in_flight = 0
        self.requests = 0
        """Both are counted here and put into the row at each tick; `in_flight` also when a request begins, so
        that the row is right should the loop never turn again."""
        self._protocols: set[HttpProtocol] = set()
        self._adoptions: set[asyncio.Task[None]] = set()
        self._acceptors: list[Acceptor] = []
        self._connections = 0
        """Those that are being adopted as well."""
        self._most_connections = http.max_connections
        self._full = False
        self._said_full = float("-inf")
        self.when_retiring: Callable[[str], None] | None = None
        """Called once with the reason, if this worker should be replaced."""
        self._retiring = False
        self._drained = loop.create_future()
        self._drain_deadline: float | None = None

    def start(self, listeners: list[socket.socket]) -> None:
        """Begin to accept from `listeners`, which stay their owner's."""
        self._acceptors = [Acceptor(self.loop, listener, self.adopt, self._reclaim) for listener in listeners]
        for acceptor in self._acceptors:
            acceptor.start()
        self.row.words[scoreboard.STATE] = scoreboard.READY
        self._tick()

    # Connections

    def adopt(self, connected: socket.socket) -> None:
        """Take over a connected, non-blocking socket."""
        task = self.loop.create_task(self._connect(connected))
        self._adoptions.add(task)
        task.add_done_callback(self._adoptions.discard)
        self._connections += 1
        if self._most_connections:
            self._check_full()

    async def _connect(self, connected: socket.socket) -> None:
        try:
            client, local = _addresses(connected)
            await self.loop.connect_accepted_socket(lambda: HttpProtocol(self, client, local), connected)
        except OSError as error:
            connected.close()
            self._disconnected()
            log.debug("a connection was gone before it was served: %s", error)

    def opened(self, protocol: HttpProtocol) -> None:
        """A connection is there."""
        self._protocols.add(protocol)
        words = self.row.words
        words[scoreboard.ACCEPTED] += 1
        words[scoreboard.CONNECTIONS] += 1
        if self._drain_deadline is not None:
            protocol.drain()

    def closed(self, protocol: HttpProtocol) -> None:
        """A connection is gone."""
        self._protocols.discard(protocol)
        self.row.words[scoreboard.CONNECTIONS] -= 1
        self._disconnected()
        self._check_drained()

    def _disconnected(self) -> None:
        self._connections -= 1
        if self._full:
            self._check_full()

    def _check_full(self) -> None:
        """Accept no more than `http.max_connections`: other workers may, and the backlog holds the rest."""
        full = self._connections >= self._most_connections
        if full == self._full or self._drain_deadline is not None:
            return
        self._full = full
        for acceptor in self._acceptors:
            if full:
                acceptor.stop()
            else:
                acceptor.start()
        if full and self.clock.now - self._said_full >= _SAY_EVERY:
            self._said_full = self.clock.now
            log.warning("this worker has http.max_connections = %d: more wait", self._most_connections)
        if full:
            self._make_room()

    def _make_room(self) -> None:
        """Give who waits the places of who is idle; if nobody waits, other workers have room."""
        if any(acceptor.is_awaited() for acceptor in self._acceptors):
            self._reclaim()

    def _reclaim(self) -> None:
        """Close what has been idle for longest, as RFC 9112 section 9.5 allows, to serve others instead."""
        idle = [protocol for protocol in self._protocols if protocol.connection.idle]
        for protocol in nsmallest(_RECLAIMED, idle, key=lambda protocol: protocol.connection.deadline):
            protocol.close_idle()

    def _tick(self) -> None:
        if not self._drained.done():
            # First of all: whatever fails below, there will be another tick.
            self.loop.call_later(TICK, self._tick)
        self.clock.tick()
        words = self.row.words
        words[scoreboard.HEARTBEAT_NS] = time.monotonic_ns()
        words[scoreboard.REQUESTS] = self.requests
        words[scoreboard.IN_FLIGHT] = self.in_flight
        self.refusals.tick()
        now = self.clock.now
        for protocol in list(self._protocols):
            protocol.tick(now)
        if self._drain_deadline is None:
            if self._full:
                self._make_room()
        else:
            self._check_drained()
            if now >= self._drain_deadline:
                self._cut_off()

    # The end

    def drain(self) -> None:
        """Begin to drain; `wait_drained` returns when it is done. A second call changes nothing."""
        if self._drain_deadline is not None:
            return
        self._drain_deadline = time.monotonic() + self._drain_timeout
        self.row.words[scoreboard.STATE] = scoreboard.DRAINING
        self.gateway.when_idle = self._check_drained
        for acceptor in self._acceptors:
            acceptor.stop()
        for protocol in list(self._protocols):
            protocol.drain()
        self._check_drained()

    def retire(self, reason: str) -> None:
        """Ask for a successor, once: something is wrong with this worker that only its end can heal."""
        if self._retiring or self._drain_deadline is not None:
            return
        self._retiring = True
        log.warning("this worker asks to be replaced: %s", reason)
        if self.when_retiring is not None:
            self.when_retiring(reason)

    def _check_drained(self) -> None:
        if (
            self._drain_deadline is not None
            and not self._protocols
            and not self._adoptions
            and not self.gateway.busy
            and not self._drained.done()
        ):
            self._drained.set_result(None)

    def _cut_off(self) -> None:
        if self._protocols or self.gateway.busy:
            log.warning(
                "workers.drain_timeout has passed: %d connections are cut off, %d calls are left",
                len(self._protocols),
                self.gateway.busy,
            )
        for protocol in list(self._protocols):
            protocol.abort()
        if not self._drained.done():
            self._drained.set_result(None)

    async def wait_drained(self) -> None:
        """Return once `drain` was called, nothing is in flight any more, and the application has stopped."""
        await self._drained
        assert self._drain_deadline is not None
        await self.gateway.stop(max(self._drain_deadline - time.monotonic(), _LAST_WORD))


def _addresses(connected: socket.socket) -> tuple[tuple[str, int] | None, tuple[str, int | None]]:
    """Return the client's and our own address; None and the path for a unix socket."""
    local = connected.getsockname()
    if connected.family == socket.AF_UNIX:
        return None, (local if isinstance(local, str) else local.decode("utf-8", "surrogateescape"), None)
    peer = connected.getpeername()
    return (peer[0], peer[1]), (local[0], local[1])
