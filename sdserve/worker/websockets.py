"""All WebSocket connections of a worker, and how they come to their end.

They cannot be handed over to another worker, as their application is here. So when the worker drains they are
closed: with 1012 (service restart) where others serve on, one after the other over `workers.websocket_drain`,
so that their clients do not all come back at the same moment; with 1001 (going away) within a second where
nobody does. The application is told before the first of them.
"""

from __future__ import annotations

import asyncio
from math import ceil
from random import shuffle
from typing import TYPE_CHECKING

from sdserve.core.websocket.codes import GOING_AWAY, SERVICE_RESTART
from sdserve.core.websocket.deflate import DeflateTerms
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.errors import RemoteProtocolError
from sdserve.worker.http import HttpProtocol
from sdserve.worker.websocket import Channel, WebSocketProtocol

if TYPE_CHECKING:
    from sdserve.worker.server import Server

_STOP_WINDOW = 1.0
"""Seconds for the good-byes of applications, where nobody serves on and nothing can be spread."""

_LEAST_PAUSE = 0.02
"""Seconds between two rounds of closing: a worker with many connections closes several at once."""


class WebSockets:
    """Made and asked by the server; a gateway gives it connections."""

    def __init__(self, server: Server, options: WebSocketOptions) -> None:
        self.loop = server.loop
        self.clock = server.clock
        self.http = server.http
        self.options = options
        self._server = server
        self._protocols: set[WebSocketProtocol] = set()
        self._code = 0
        """What they are closed with, once they are."""
        self._reason = ""
        self._leaving: list[WebSocketProtocol] = []
        """Those whose turn to be closed has not come, the next one last."""
        self._window = 0.0
        self._total = 0
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._protocols)

    def take_over(
        self, http: HttpProtocol, exchange: Channel, terms: DeflateTerms | None, head: bytes
    ) -> WebSocketProtocol:
        """Answer the request of `exchange` with `head`, a 101; from now on its connection is a WebSocket."""
        protocol = WebSocketProtocol(self, http, exchange, terms)
        http.transport.write(head)
        http.resume_reading()
        http.transport.set_protocol(protocol)
        self._server.switched(http, head)
        self._protocols.add(protocol)
        if received := http.connection.leave():
            # Not at once: the application is in the middle of its `send`.
            self.loop.call_soon(protocol.data_received, received)
        if self._code:
            self._total += 1
            self._leaving.insert(0, protocol)
            self.loop.call_soon(self._close_some)
        return protocol

    def closed(self, protocol: WebSocketProtocol) -> None:
        """A connection is gone."""
        self._protocols.discard(protocol)
        self._server.gone()

    def refused(
        self, client: tuple[str, int] | None, local: tuple[str, int | None], error: RemoteProtocolError
    ) -> None:
        """A client broke a rule."""
        self._server.refusals.refused(client, local, error)

    def tick(self, now: float) -> None:
        """Look at the deadlines of all."""
        for protocol in list(self._protocols):
            protocol.tick(now)

    def drain(self, window: float, *, restart: bool) -> None:
        """Close all, over `window` seconds if others serve on (`restart`); a second call can hurry it."""
        if self._code == GOING_AWAY or (self._code and restart):
            return
        self._code = SERVICE_RESTART if restart else GOING_AWAY
        self._reason = "service restart" if restart else "going away"
        self._leaving = list(self._protocols)
        shuffle(self._leaving)
        self._total = len(self._leaving)
        self._window = window if restart else min(window, _STOP_WINDOW)
        self._began = self.loop.time()
        self._wait()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._leaving:
            pause = max(self._window / (self._total + 1), _LEAST_PAUSE)
            self._timer = self.loop.call_later(pause, self._close_some)

    def _close_some(self) -> None:
        """Close those whose turn has come: of N the first after the (N + 1)th part of the time, and so on."""
        passed = self.loop.time() - self._began
        stay = 0
        if passed < self._window:
            stay = ceil((self._total + 1) * (1 - passed / self._window)) - 1
        while len(self._leaving) > stay:
            self._leaving.pop().close(self._code, self._reason)
        self._wait()

    def abort(self) -> None:
        """Cut all off."""
        if self._timer is not None:
            self._timer.cancel()
        for protocol in list(self._protocols):
            protocol.abort()
