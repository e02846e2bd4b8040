"""A worker at work: its listeners, its connections, its tick, and its end.

The end, in this order: accept no more (the kernel's listener stays, and so does its backlog), tell the
application, hand each connection over to the heirs as soon as nothing is in flight on it, close WebSockets,
tell answers that go on for long, shut the application down. Where there are no heirs, and when time runs
short, connections are closed instead. `drain_timeout` cuts off what has not finished.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from heapq import nsmallest
from math import inf

from sdserve.config.model import Listener
from sdserve.core.gateway.options import WorkerOptions
from sdserve.core.http.connection import FIRST_REQUEST
from sdserve.core.http.options import HttpOptions
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.core.wire.moved import Moved
from sdserve.errors import RemoteProtocolError
from sdserve.host import scoreboard
from sdserve.host.scoreboard import ScoreboardRow
from sdserve.worker.accept import Acceptor
from sdserve.worker.access import AccessLog
from sdserve.worker.clock import TICK, Clock
from sdserve.worker.exchange import Gateway
from sdserve.worker.handover import Inbox, Outbox
from sdserve.worker.http import HttpProtocol
from sdserve.worker.in_flight import InFlight
from sdserve.worker.peer import Peer
from sdserve.worker.proxies import Proxies
from sdserve.worker.recycling import Recycling
from sdserve.worker.refusals import Refusals
from sdserve.worker.tls import Handshakes
from sdserve.worker.tls_contexts import TlsContexts
from sdserve.worker.websockets import WebSockets

log = logging.getLogger("sdserve.worker")

_LAST_WORD = 1.0
"""Seconds that the application's shutdown gets even if the time to drain is used up."""

_CLOSING_TIME = 0.2
"""The last part of the time to drain, in which connections are closed in order, and not handed over."""

_QUIET = 5.0
"""Seconds that a connection which cannot be handed over may be idle while others are: long enough for who
sends requests one after the other, short enough not to keep a worker for who may never send another."""

_RECLAIMED = 16
"""Idle connections that are closed at once when there is no room for more."""
_SAY_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Heir:
    """Who takes over the connections of a worker that drains."""

    mailbox: socket.socket
    """Where they are sent; the server's from now on."""
    generation: int
    is_own: bool = False
    """Whether they are of this worker's own generation, and so read the same mailbox."""


class Server:
    """Serves connections with one gateway until it is drained."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        gateway: Gateway,
        http: HttpOptions,
        websocket: WebSocketOptions,
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
        self.proxies = Proxies(loop, http.head_timeout)
        self._drain_timeout = workers.drain_timeout
        self._drain_soft = workers.drain_soft
        self._recycling = Recycling(workers)
        self.in_flight = 0
        self.requests = 0
        """Both are counted here and put into the row at each tick; `in_flight` also when a request begins, so
        that the row is right should the loop never turn again."""
        self._protocols: set[HttpProtocol] = set()
        self._in_flight = InFlight(self._protocols, self.clock.now)
        self._websockets = gateway.websockets = WebSockets(self, websocket)
        self._websocket_drain = min(workers.websocket_drain, workers.drain_timeout * (1 - _CLOSING_TIME))
        self._adoptions: set[asyncio.Task[None]] = set()
        self.tls: dict[str, TlsContexts] = {}
        """For new connections, by the name of the listener; those not in it speak plain HTTP."""
        self._handshakes = Handshakes(
            now=lambda: self.clock.now,
            standing=lambda: self.clock.standing[0],
            failed=self._handshake_failed,
            refused=self._handshake_refused,
        )
        self._listeners: dict[str, Listener] = {}
        self._acceptors: list[Acceptor] = []
        self._inbox: Inbox | None = None
        self.outbox: Outbox | None = None
        """Where connections go while this worker drains and somebody takes them over."""
        self._connections = 0
        """Those that are being adopted as well."""
        self._most_connections = http.max_connections
        self._full = False
        self._said_full = float("-inf")
        self.when_retiring: Callable[[str], None] | None = None
        """Called once with the reason, if this worker should be replaced; None until it could be."""
        self._retiring = False
        self._drained = loop.create_future()
        self._drain_deadline: float | None = None
        self._soft_deadline = inf
        self._closing_time = inf

    def stand_by(self) -> None:
        """Begin to tick, so that it can be seen whether the loop turns. `serve` or `drain` follows.

        What was served before (`warmup`) does not count.
        """
        self.requests = 0
        self.row.words[scoreboard.ACCEPTED] = self.row.words[scoreboard.ERRORS] = 0
        self.row.words[scoreboard.STATE] = scoreboard.READY
        self._tick()

    def serve(
        self, listeners: list[tuple[Listener, socket.socket]], mailbox: socket.socket | None = None
    ) -> None:
        """Begin to accept from `listeners` and to take over what comes by `mailbox`; they stay their owner's.

        Does nothing once it drains.
        """
        if self._drain_deadline is not None:
            return
        self._listeners = {options.name: options for options, _ in listeners}
        self._acceptors = [
            Acceptor(self.loop, options, listener, self.adopt, self._reclaim)
            for options, listener in listeners
        ]
        for acceptor in self._acceptors:
            acceptor.start()
        if mailbox is not None:
            self._inbox = Inbox(self.loop, mailbox, self._adopt_moved, self._reclaim)
            self._inbox.start()

    # Connections

    def _adopt_moved(self, connected: socket.socket, moved: Moved) -> None:
        """Take over a socket that another worker has served, or send it on."""
        self.row.words[scoreboard.ADOPTED] += 1
        if self.outbox is not None and self.outbox.send(connected.fileno(), moved):
            self.row.words[scoreboard.HANDED_OVER] += 1
            connected.close()  # it is on its way to those who stay
            return
        # Workers of different generations share listeners, and may have read different sections about them.
        listener = self._listeners.get(moved.listener) or Listener(name=moved.listener)
        self.adopt(connected, listener, moved)

    def adopt(self, connected: socket.socket, listener: Listener, moved: Moved | None = None) -> None:
        """Take over a connected, non-blocking socket that came by `listener`, perhaps to another worker."""
        task = self.loop.create_task(self._connect(connected, listener, moved))
        self._adoptions.add(task)
        task.add_done_callback(self._adoptions.discard)
        self._connections += 1
        if self._most_connections:
            self._check_full()

    async def _connect(self, connected: socket.socket, listener: Listener, moved: Moved | None) -> None:
        try:
            peer = Peer(connected)
            if moved is not None:
                if moved.header is not None:
                    peer.introduce(moved.header)
            elif listener.proxy_protocol:
                peer.introduce(await self.proxies.read_header(connected, listener, peer))
            contexts = self.tls.get(listener.name) if moved is None or moved.tls else None
            # What was only handed over before its TLS is new to HTTP.
            known = None if contexts is not None else moved

            def make_http() -> HttpProtocol:
                return HttpProtocol(self, listener, peer, known)

            make: Callable[[], asyncio.Protocol] = make_http
            if contexts is not None:
                make = self._handshakes.factory(listener, contexts, make_http, peer.header)
            await self.loop.connect_accepted_socket(make, connected)
        except RemoteProtocolError as error:
            connected.close()
            self._disconnected()
            self.refusals.refused_connection(peer.client, peer.local, error)
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
        if self._drain_deadline is None:
            return
        if self.outbox is None or protocol.tls is not None:
            protocol.drain(grace=FIRST_REQUEST)
        elif self.outbox.keeps:
            protocol.connection.hurry(self.clock.now)
        else:
            self.loop.call_soon(protocol.move)  # its transport is not complete before this has returned

    def closed(self, protocol: HttpProtocol) -> None:
        """A connection is gone."""
        self._protocols.discard(protocol)
        self._in_flight.forget(protocol)
        self.gone()

    def switched(self, protocol: HttpProtocol, head: bytes) -> None:
        """A request was answered with `head`, a 101: its connection is none of HTTP's any more."""
        self._protocols.discard(protocol)
        self._in_flight.forget(protocol)
        self.requests += 1
        self.in_flight -= 1
        protocol.exchange = None
        if protocol.access is not None:
            protocol.access.response_began(head, 0)
            protocol.access.response_ended(protocol.peer.client)

    def gone(self) -> None:
        """There is a connection less."""
        self.row.words[scoreboard.CONNECTIONS] -= 1
        self._disconnected()
        self._check_drained()

    def _handshake_failed(self) -> None:
        self._disconnected()
        self._check_drained()

    def _handshake_refused(self, transport: asyncio.Transport, error: Exception) -> None:
        self.refusals.shaken_off(transport.get_extra_info("peername"), error)

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
        if self._inbox is not None:
            (self._inbox.stop if full else self._inbox.start)()
        if full and self.clock.now - self._said_full >= _SAY_EVERY:
            self._said_full = self.clock.now
            log.warning("this worker has http.max_connections = %d: more wait", self._most_connections)
        if full:
            self._make_room()

    def _make_room(self) -> None:
        """Give who waits the places of who is idle; if nobody waits, other workers have room."""
        if any(door.is_awaited() for door in (*self._acceptors, self._inbox) if door is not None):
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
        self._in_flight.tick(now)
        self._websockets.tick(now)
        if self._handshakes:
            self._handshakes.tick(now)
        if self._drain_deadline is not None:
            self._go_on_draining(now)
            return
        if self._full:
            self._make_room()
        if reason := self._recycling.reason(self.requests, now):
            self._ask(reason)

    def say_what_is_in_flight(self) -> None:
        """For a log that is to show why this worker does not go on. At any moment; never raises."""
        with suppress(Exception):
            log.error("%s", self._in_flight.describe(time.monotonic()))

    # The end

    def drain(self, heir: Heir | None = None) -> None:
        """Begin to drain; `wait_drained` returns when it is done. Connections go to the `heir`, if any.

        Called again it changes nothing but the heir.
        """
        self._choose(heir)
        if self._drain_deadline is None:
            self._drain_deadline = now = time.monotonic()
            self._drain_deadline += self._drain_timeout
            self._soft_deadline = now + self._drain_soft
            self._closing_time = self._drain_deadline - self._drain_timeout * _CLOSING_TIME
            self.row.words[scoreboard.STATE] = scoreboard.DRAINING
            self.gateway.when_idle = self._check_drained
            for acceptor in self._acceptors:
                acceptor.stop()
            self.gateway.draining.set()
            self.proxies.hurry()
        self._websockets.drain(self._websocket_drain, restart=heir is not None)
        self._send_away()
        self._check_drained()

    def _choose(self, heir: Heir | None) -> None:
        """Hand over to `heir` from now on. Mail for ourselves is read on unless others are there for it."""
        if self.outbox is not None:
            self.outbox.close()
            self.outbox = None
        if heir is not None:
            self.outbox = Outbox(
                self.loop, heir.mailbox, heir.generation, room=self._send_away, gone=self._hand_over_no_more
            )
        if self._inbox is not None:
            (self._inbox.stop if heir is not None and heir.is_own else self._inbox.start)()

    def _send_away(self) -> None:
        """Have each connection go, or see to it that it goes once it can."""
        outbox, now = self.outbox, self.clock.now
        if outbox is None or outbox.keeps:
            self._handshakes.hurry()
        else:
            self.row.words[scoreboard.HANDED_OVER] += self._handshakes.hand_over(outbox)
        # The newest first: there may not be room for all.
        for protocol in sorted(self._protocols, key=lambda one: one.connection.deadline, reverse=True):
            if outbox is None:
                protocol.drain()
            elif protocol.tls is not None:
                protocol.drain(grace=0.0 if outbox.keeps else _QUIET)
            elif outbox.keeps and not protocol.connection.requests:
                protocol.connection.hurry(now)  # the first request on it may be on its way
            elif not outbox.is_full:
                protocol.move()

    def _hand_over_no_more(self) -> None:
        if self.outbox is not None:
            self.outbox.close()
            self.outbox = None
            self._send_away()

    def _go_on_draining(self, now: float) -> None:
        assert self._drain_deadline is not None
        if now >= self._soft_deadline:
            self._soft_deadline = inf
            self.gateway.end_streams()
        if now >= self._closing_time:
            self._closing_time = inf
            self._hand_over_no_more()
        elif self.outbox is not None:
            self._send_away()
        self._check_drained()
        if now >= self._drain_deadline:
            self._cut_off()

    def retire(self, reason: str) -> None:
        """Ask for a successor, once: something is wrong with this worker that only its end can heal."""
        if not self._retiring and self._drain_deadline is None:
            log.warning("this worker asks to be replaced: %s", reason)
            self._ask(reason)

    def _ask(self, reason: str) -> None:
        """Ask for a successor, once, and serve until `drain` is called."""
        if self._retiring or self._drain_deadline is not None or self.when_retiring is None:
            return
        self._retiring = True
        self.when_retiring(reason)

    def _check_drained(self) -> None:
        if (
            self._drain_deadline is not None
            and not self._protocols
            and not self._websockets
            and not self._adoptions
            and not self._handshakes
            and not self.gateway.busy
            and not self._drained.done()
            and not self._take_last_mail()
        ):
            self._drained.set_result(None)
            self._close_mail()

    def _take_last_mail(self) -> bool:
        """Whether a connection came for which nobody else may be there; it is served or sent on."""
        return self._inbox is not None and self._inbox.is_open and self._inbox.take()

    def _close_mail(self) -> None:
        if self._inbox is not None:
            self._inbox.stop()
        if self.outbox is not None:
            self.outbox.close()
            self.outbox = None

    def _cut_off(self) -> None:
        connections = len(self._protocols) + len(self._websockets)
        if connections or self.gateway.busy:
            log.warning(
                "workers.drain_timeout has passed: %d connections are cut off, %d calls are left",
                connections,
                self.gateway.busy,
            )
        for protocol in list(self._protocols):
            protocol.abort()
        self._websockets.abort()
        self._handshakes.abort()
        if not self._drained.done():
            self._drained.set_result(None)
            self._close_mail()

    async def wait_drained(self) -> None:
        """Return once `drain` was called, nothing is in flight any more, and the application has stopped."""
        await self._drained
        assert self._drain_deadline is not None
        await self.gateway.stop(max(self._drain_deadline - time.monotonic(), _LAST_WORD))
