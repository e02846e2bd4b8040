"""The shell around one HTTP connection: bytes from the loop into `core.http`, answers out to the loop.

It decides nothing about HTTP. It owns the transport, says when to read and when to wait, and pairs each
request with the exchange that answers it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING, cast

from sdserve.core.http.connection import Connection
from sdserve.core.http.request import Field, Request
from sdserve.core.http.response import status_line
from sdserve.errors import RemoteProtocolError
from sdserve.host.scoreboard import ERRORS, IN_FLIGHT
from sdserve.worker.clock import TICK
from sdserve.worker.exchange import Exchange

if TYPE_CHECKING:
    from sdserve.worker.server import Server

log = logging.getLogger("sdserve.http")

_LINGER = 2.0
"""Seconds that a connection is read on after its last answer, so that a reset does not overtake it."""
_LINGER_BYTES = 256 * 1024
_TURN = 16
"""Pipelined requests answered in one go before other connections have their turn."""

Peer = tuple[str, int] | None


class HttpProtocol(asyncio.Protocol):
    """One connection. Made by `Server.adopt`, which is told when it is gone."""

    __slots__ = (
        "_advancing",
        "_clock",
        "_close_deadline",
        "_lingering",
        "_read_paused",
        "_server",
        "_write_deadline",
        "_written",
        "access",
        "client",
        "connection",
        "environ",
        "exchange",
        "local",
        "transport",
        "write_paused",
    )

    def __init__(self, server: Server, client: Peer, local: tuple[str, int | None]) -> None:
        self._server = server
        self._clock = server.clock
        self.client = client
        self.local = local
        self.connection = Connection(server.http, server.clock.now)
        self.exchange: Exchange | None = None
        """Set by the gateway when it begins one, cleared when that has ended or is lost."""
        self.environ: dict[str, object] | None = None
        """What the WSGI gateway keeps per connection."""
        self.access = server.access.begin() if server.access is not None else None
        self.transport: asyncio.Transport
        self.write_paused = False
        """True while the client does not read what we write; whoever produces an answer then waits."""
        self._read_paused = False
        self._advancing = False
        self._lingering = -1
        self._close_deadline = inf
        self._write_deadline = inf
        self._written = 0

    # From the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface without the class.
        self.transport = cast(asyncio.Transport, transport)
        self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._lingering >= 0:
            self._lingering += len(data)
            if self._lingering > _LINGER_BYTES:
                self.transport.abort()
            return
        connection = self.connection
        connection.receive_data(data, self._clock.now)
        self._advance()
        if self.exchange is not None and connection.pipelined:
            # One request at a time: what follows it waits in the kernel, not here.
            self.pause_reading()

    def eof_received(self) -> bool:
        """Keep the connection open for the answer if there is one to come."""
        self.connection.receive_eof()
        exchange = self.exchange
        if exchange is None or not self.connection.answering:
            return False
        exchange.client_left()
        return True

    def pause_writing(self) -> None:
        self.write_paused = True
        self._written = self.transport.get_write_buffer_size()
        self._write_deadline = self._clock.now + self._server.http.write_timeout

    def resume_writing(self) -> None:
        self.write_paused = False
        self._write_deadline = inf
        if self.exchange is not None:
            self.exchange.writable()

    def connection_lost(self, error: Exception | None) -> None:
        del error  # that it is gone is all that matters
        exchange = self.exchange
        self.exchange = None
        self.connection.abandon()
        if exchange is not None:
            self._server.in_flight -= 1
            exchange.disconnected()
        self._server.closed(self)

    # Requests

    def _advance(self) -> None:
        """Do what the bytes that are here allow."""
        if self._advancing:
            return  # called by an exchange that ended at once; the loop below goes on
        self._advancing = True
        connection = self.connection
        now = self._clock.now
        turns = _TURN
        try:
            while (event := connection.next_event(now)) is not None:
                if isinstance(event, Request):
                    turns -= 1
                    self._begin(event)
                    if not turns:
                        self._server.loop.call_soon(self._advance)
                        break
                elif self.exchange is not None:
                    if event:
                        self.exchange.body_received(event)
                    else:
                        self.exchange.body_ended()
        except RemoteProtocolError as error:
            self._refuse(error)
        except Exception:
            log.exception("an exchange failed in sdserve itself")
            self.fail()
        finally:
            self._advancing = False

    def _begin(self, request: Request) -> None:
        server = self._server
        server.in_flight += 1
        server.row.words[IN_FLIGHT] = server.in_flight
        if self.access is not None:
            self.access.request_began(request)
        server.gateway.begin(self, request)

    def _refuse(self, error: RemoteProtocolError) -> None:
        """Answer a broken request, if nothing has been answered yet, and be done with the connection."""
        log.info("refused a request from %s with %d: %s", self.client or "a unix socket", error.status, error)
        self._abandon_exchange()
        self.transport.write(self.connection.send_error(error.status, self._clock.standing))
        self._close(linger=True)

    def _abandon_exchange(self) -> None:
        exchange = self.exchange
        if exchange is not None:
            self.exchange = None
            self._server.in_flight -= 1
            exchange.disconnected()

    # For exchanges

    def send_response(self, status: bytes, fields: Iterable[Field], body: bytes, more: bool) -> None:
        """Send a response's head and the first part of its body; without `more` the exchange is over.

        Raises:
            LocalProtocolError: the application broke a rule; nothing was sent.
        """
        clock = self._clock
        data = self.connection.send_response(status, fields, body, more, clock.standing, clock.now)
        if self.access is not None:
            self.access.response_began(status, len(body))
        self.transport.write(data)
        if not more:
            self._exchange_ended()

    def send_data(self, body: bytes, more: bool) -> None:
        """Send the next part of the body; without `more` the exchange is over."""
        data = self.connection.send_data(body, more, self._clock.now)
        if self.access is not None:
            self.access.sent += len(body)
        if data:
            self.transport.write(data)
        if not more:
            self._exchange_ended()

    def send_continue(self) -> None:
        """Ask for the body, if the client waits to be asked."""
        data = self.connection.send_continue()
        if data:
            self.transport.write(data)

    def fail(self, status: int = 500) -> None:
        """The application failed: answer so, or cut the connection if an answer has begun."""
        self._server.row.words[ERRORS] += 1
        if self.connection.response_started:
            # Not a clean end: the client must see that the answer is not complete.
            self._abandon_exchange()
            self.transport.abort()
            return
        line = status_line(status)
        self.send_response(
            line, [(b"content-type", b"text/plain; charset=utf-8")], line[9:] + b"\n", more=False
        )

    def pause_reading(self) -> None:
        """Read no more until `resume_reading`: what was sent waits in the kernel."""
        if not self._read_paused and not self.transport.is_closing():
            self._read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        if self._read_paused and not self.transport.is_closing():
            self._read_paused = False
            self.transport.resume_reading()

    def _exchange_ended(self) -> None:
        self.exchange = None
        server = self._server
        server.requests += 1
        server.in_flight -= 1
        connection = self.connection
        if connection.complaint:
            log.error("%s", connection.complaint)
        if self.access is not None:
            self.access.response_ended(self.client)
        if connection.must_close:
            self._close(linger=not connection.all_read)
            return
        if self._read_paused:
            self.resume_reading()
        if connection.pipelined:
            self._advance()

    # The end

    def _close(self, linger: bool) -> None:
        """Close in stages (RFC 9112 section 9.6): with bytes unread, close(2) would reset the answer away."""
        if self.transport.is_closing():
            return
        if not linger:
            self._close_deadline = self._clock.now + self._server.http.write_timeout
            self.transport.close()
            return
        self._lingering = 0
        self._close_deadline = self._clock.now + _LINGER
        self.resume_reading()
        self.transport.write_eof()

    def drain(self) -> None:
        """Finish the request that is being answered, then close; close at once if there is none."""
        if self.connection.drain(self._clock.now):
            self._close(linger=False)

    def abort(self) -> None:
        """Give up: whatever is in flight is lost."""
        self._abandon_exchange()
        self.transport.abort()

    def tick(self, now: float) -> None:
        """Look at the deadlines. They were set by a clock up to a tick old, so they get that much more."""
        now -= TICK
        if self.connection.deadline <= now:
            self._time_out()
        elif self._write_deadline <= now:
            self._check_write_progress(now + TICK)
        elif self._close_deadline <= now:
            self.transport.abort()

    def _time_out(self) -> None:
        status = self.connection.timed_out()
        self._abandon_exchange()
        if status:
            self.transport.write(self.connection.send_error(status, self._clock.standing))
        self._close(linger=bool(status))

    def _check_write_progress(self, now: float) -> None:
        left = self.transport.get_write_buffer_size()
        if left < self._written:
            self._written = left
            self._write_deadline = now + self._server.http.write_timeout
        else:
            self.abort()
