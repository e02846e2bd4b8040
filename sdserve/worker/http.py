"""The shell around one HTTP connection: bytes from the loop into `core.http`, answers out to the loop.

It decides nothing about HTTP. It owns the transport, says when to read and when to wait, and pairs each
request with the exchange that answers it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from math import ceil, inf
from typing import TYPE_CHECKING, cast

from sdserve.core.http.connection import Connection
from sdserve.core.http.request import Field, Request
from sdserve.core.http.response import status_line
from sdserve.errors import RemoteProtocolError
from sdserve.host.scoreboard import ERRORS, HANDED_OVER, IN_FLIGHT
from sdserve.worker.clock import TICK
from sdserve.worker.exchange import Exchange
from sdserve.worker.file_body import Done, FileBody
from sdserve.worker.patience import pending, took_enough
from sdserve.worker.sockets import descriptor_of, reset_when_closed, unread

if TYPE_CHECKING:
    from sdserve.config.model import Listener
    from sdserve.core.tls.facts import TlsFacts
    from sdserve.core.wire.moved import Moved
    from sdserve.worker.peer import Peer
    from sdserve.worker.server import Server

log = logging.getLogger("sdserve.http")

_LINGER = 2.0
"""Seconds that a connection is read on after its last answer, so that a reset does not overtake it."""
_LINGER_BYTES = 256 * 1024
_GONE = "the connection is gone"


class HttpProtocol(asyncio.Protocol):
    """One connection. Made by `Server.adopt`, which is told when it is gone."""

    __slots__ = (
        "_advancing",
        "_clock",
        "_close_deadline",
        "_file",
        "_lingering",
        "_read_paused",
        "_server",
        "_write_deadline",
        "_written",
        "access",
        "connection",
        "environ",
        "exchange",
        "listener",
        "loop",
        "peer",
        "tls",
        "transport",
        "write_paused",
    )

    def __init__(self, server: Server, listener: Listener, peer: Peer, moved: Moved | None = None) -> None:
        """Serve a new connection, or go on with one that was `moved` here from another worker."""
        self._server = server
        self._clock = server.clock
        self.loop = server.loop
        self.listener = listener
        self.peer = peer
        self.tls: TlsFacts | None = None
        self.connection = Connection(server.http, server.clock.now)
        if moved is not None:
            self.connection.resume(moved.pending, moved.requests, moved.deadline)
        self.exchange: Exchange | None = None
        """Set by the gateway when it begins one, cleared when that has ended or is lost."""
        self.environ: dict[str, object] | None = None
        """What the WSGI gateway keeps per connection."""
        self.access = server.access.begin() if server.access is not None else None
        self.transport: asyncio.Transport
        self.write_paused = False
        """True while the client does not read what we write; whoever produces an answer then waits."""
        self._file: FileBody | None = None
        self._read_paused = False
        self._advancing = False
        self._lingering = -1
        self._close_deadline = inf
        self._write_deadline = inf
        self._written: float = 0
        """What the client had yet to take when its time began."""

    # From the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface without the class.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(self._server.http.max_output)
        self._server.opened(self)
        if self.connection.pipelined:
            self.loop.call_soon(self._advance)  # the transport is not complete before this has returned

    def data_received(self, data: bytes) -> None:
        if self._lingering >= 0:
            self._lingering += len(data)
            if self._lingering > _LINGER_BYTES:
                self.transport.abort()
            return
        connection = self.connection
        connection.receive_data(data, self._clock.now)
        self._advance()

    def eof_received(self) -> bool:
        """Keep the connection open for the answer if there is one to come."""
        self.connection.receive_eof()
        exchange = self.exchange
        if exchange is None or not self.connection.answering:
            self._mark_incomplete()
            return False
        exchange.client_left()
        return True

    def pause_writing(self) -> None:
        self.write_paused = True
        self._written = self._pending()
        self._write_deadline = self._clock.now + self._server.http.write_timeout

    def resume_writing(self) -> None:
        self.write_paused = False
        self.connection.restart_deadline(self._clock.now)
        if self._file is not None:
            return  # it goes on by itself, and the client's time with it
        self._write_deadline = inf
        # The transport is in the middle of its work: asyncio's is lost twice if a write fails in here.
        self.loop.call_soon(self._write_on)

    def _write_on(self) -> None:
        if self.exchange is None:
            self._take_turn()
        elif not self.write_paused:
            self.exchange.writable()

    def connection_lost(self, error: Exception | None) -> None:
        del error  # that it is gone is all that matters
        self.connection.abandon()
        try:
            self._abandon_exchange()
        finally:
            self._server.closed(self)

    # Requests

    def _advance(self) -> None:
        """Do what the bytes that are here allow."""
        if self._advancing:
            return  # called by an exchange that ended at once; the loop below goes on
        self._advancing = True
        connection = self.connection
        now = self._clock.now
        turns = self._server.http.max_pipelined
        try:
            # No further request for a client that does not read its answers.
            while (self.exchange is not None or not self.write_paused) and (
                event := connection.next_event(now)
            ) is not None:
                if isinstance(event, Request):
                    turns -= 1
                    self._begin(event)
                    if not turns:
                        self._yield_turn()
                        return
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
        if self._read_paused or connection.pipelined or connection.must_close:
            self._regulate()

    def _yield_turn(self) -> None:
        """Go on when the other connections have had their turn; what the client sends until then can wait."""
        self._server.loop.call_soon(self._take_turn)
        if not self.connection.must_close:
            self.pause_reading()

    def _take_turn(self) -> None:
        if self.exchange is None and self._server.outbox is not None:
            self.move()
        else:
            self._advance()

    def _regulate(self) -> None:
        """Read or do not, or close, as the connection's state wants it."""
        connection = self.connection
        if self.exchange is None and connection.must_close:
            if self._lingering < 0:
                self._close(linger=not connection.all_read)
        elif connection.pipelined and (connection.answering or (self.exchange is None and self.write_paused)):
            # One request at a time: what follows it waits in the kernel, not here.
            self.pause_reading()
        elif self.exchange is None or connection.answering:
            # Who does not read does not see a client leave.
            self.resume_reading()

    def _begin(self, request: Request) -> None:
        server = self._server
        if request.proxied is not None or self.listener.root_path:
            server.proxies.judge(request, self.listener, self.peer)
        if request.length:
            self.resume_reading()
        server.in_flight += 1
        server.row.words[IN_FLIGHT] = server.in_flight
        if self.access is not None:
            self.access.request_began(request)
        server.gateway.begin(self, request)

    def _refuse(self, error: RemoteProtocolError) -> None:
        """Answer a broken request, if nothing has been answered yet, and be done with the connection."""
        self._server.refusals.refused(self.peer.client, self.peer.local, error)
        self._send_error(error.status)

    def _send_error(self, status: int) -> None:
        """Answer for the application, as far as that is still possible, and be done with the connection."""
        if (data := self.connection.send_error(status, self._clock.standing)) and self.access is not None:
            self.access.response_began(data, 0)
        self._abandon_exchange()
        self.transport.write(data)
        self._close(linger=True)

    def _abandon_exchange(self) -> None:
        exchange = self.exchange
        if exchange is not None:
            self.exchange = None
            self._server.in_flight -= 1
            if self.access is not None:
                self.access.response_ended(self.peer.client)
            try:
                exchange.disconnected()
            finally:
                file, self._file = self._file, None
                if file is not None:
                    file.end(ConnectionAbortedError(_GONE))

    # For exchanges

    def send_early_hints(self, fields: Iterable[Field]) -> None:
        """Send a 103 (RFC 8297) ahead of the response; nothing to a client of HTTP/1.0.

        Raises:
            LocalProtocolError: a field may not stand there, or the response has begun; nothing was sent.
        """
        if data := self.connection.send_early_hints(fields):
            self.transport.write(data)

    def send_response(self, status: bytes, fields: Iterable[Field], body: bytes, more: bool) -> None:
        """Send a response's head and the first part of its body; without `more` the exchange is over.

        Raises:
            LocalProtocolError: the application broke a rule; nothing was sent.
        """
        clock = self._clock
        data = self.connection.send_response(status, fields, body, more, clock.standing, clock.now)
        if self.access is not None:
            size = len(body)
            if self.connection.bodiless:
                size = 0
            elif self.connection.complaint:
                size = len(data) - data.index(b"\r\n\r\n") - 4  # some of it was cut off
            self.access.response_began(status, size)
        self.transport.write(data)
        if not more:
            self._exchange_ended()

    def send_data(self, body: bytes, more: bool) -> None:
        """Send the next part of the body; without `more` the exchange is over."""
        data = self.connection.send_data(body, more, self._clock.now)
        if self.access is not None and not self.connection.bodiless:
            self.access.sent += len(data if self.connection.complaint else body)
        if data:
            self.transport.write(data)
        if not more:
            self._exchange_ended()

    def send_file(self, file: int, offset: int, count: int, more: bool, done: Done) -> None:
        """Send the next `count` bytes of the body from a file; without `more` the exchange is then over.

        Until `done` is called nothing else may be sent, and `file`, the descriptor of a regular file, is
        borrowed. `done` gets None once the kernel, or at the end the transport, has all bytes; an OSError if
        the file could not be read or is too short, in which case the connection is cut, or if the client has
        gone. It is never called before this returns.
        """
        body = FileBody(self, file, offset, count, more, done)
        if self.exchange is None:
            self.loop.call_soon(body.end, ConnectionAbortedError(_GONE))
            return
        self._file = body
        self._written = self._pending()
        self._write_deadline = self._clock.now + self._server.http.write_timeout
        # What was written before is on its way then: the loops collect it until the end of their turn.
        self.loop.call_soon(body.send)

    def plain_sent(self, count: int) -> None:
        """So many bytes of the file went to the socket past the transport."""
        self.connection.plain_sent(count)
        if self.access is not None:
            self.access.sent += count

    def file_sent(self) -> None:
        """All bytes of the file are on their way."""
        file, self._file = self._file, None
        assert file is not None
        if not self.write_paused:
            self._write_deadline = inf
        if not file.more:
            self.send_data(b"", more=False)
        file.end(None)

    def file_failed(self, error: OSError) -> None:
        """The client must see that the answer is not complete."""
        log.error("a file cannot be sent to its end: %s", error)
        file, self._file = self._file, None
        assert file is not None
        self.fail()
        file.end(error)

    def send_trailers(self, fields: Iterable[Field]) -> None:
        """End the response with trailer fields; they are dropped if it is not sent in chunks.

        Raises:
            LocalProtocolError: a field may not stand there; the response has not ended.
        """
        if data := self.connection.send_trailers(fields, self._clock.now):
            self.transport.write(data)
        self._exchange_ended()

    def send_continue(self) -> None:
        """Ask for the body, if the client waits to be asked."""
        if data := self.connection.send_continue(self._clock.now):
            self.transport.write(data)

    def fail(self, status: int = 500, retry_after: float | None = None) -> None:
        """The application failed: answer so, or cut the connection if an answer has begun.

        `retry_after` is in seconds, and sent in whole ones (RFC 9110 section 10.2.3).
        """
        self._server.row.words[ERRORS] += 1
        if self.connection.response_started:
            # Not a clean end: the client must see that the answer is not complete.
            self._abandon_exchange()
            self._cut()
            return
        line = status_line(status)
        fields = [(b"content-type", b"text/plain; charset=utf-8")]
        if retry_after is not None:
            fields.append((b"retry-after", b"%d" % ceil(retry_after)))
        self.send_response(line, fields, line[9:] + b"\n", more=False)

    def pause_reading(self) -> None:
        """Read no more until `resume_reading`: what was sent waits in the kernel."""
        if not self._read_paused and not self.transport.is_closing():
            self._read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        if self._read_paused and not self.transport.is_closing():
            self._read_paused = False
            self.connection.restart_deadline(self._clock.now)
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
            self.access.response_ended(self.peer.client)
        if connection.must_close:
            self._close(linger=not connection.all_read)
        elif server.outbox is not None:
            self.loop.call_soon(self.move)  # the loops send what was written at the end of their turn
        elif self._read_paused or connection.pipelined:
            self._advance()

    # Leaving for another worker

    def move(self) -> None:
        """Hand the connection over if nothing keeps it here; else go on, and be asked again."""
        transport = self.transport
        if self.exchange is not None or self._advancing or transport.is_closing():
            return
        if self._server.outbox is None or self.tls is not None or not self.connection.movable:
            self._advance()
        elif transport.get_write_buffer_size():
            # Have the transport tell, by `resume_writing`, when the last byte of the answer is sent.
            transport.set_write_buffer_limits(0)
        elif self._server.outbox.take(descriptor_of(transport), self):
            self._server.row.words[HANDED_OVER] += 1
            # Closes our descriptor, and does not shut the connection down.
            self.transport.abort()
        else:
            self._advance()

    # The end

    def _close(self, linger: bool) -> None:
        """Close in stages (RFC 9112 section 9.6): with bytes unread, close(2) would reset the answer away."""
        transport = self.transport
        if transport.is_closing():
            return
        self._written = inf
        self._close_deadline = self._clock.now + _LINGER
        if not linger:
            transport.close()
            return
        self._lingering = 0
        self.resume_reading()
        try:
            transport.write_eof()
        except OSError:
            transport.abort()  # the client is gone already

    def drain(self, grace: float = 0.0) -> None:
        """Finish the request that is being answered, then close; without one after `grace` seconds."""
        if self._lingering < 0 and self.connection.drain(self._clock.now, grace=grace):
            self.close_idle()

    def abort(self) -> None:
        """Give up: whatever is in flight is lost."""
        self._abandon_exchange()
        self._cut()

    def close_idle(self) -> None:
        """Close a connection on which nothing is in flight, unless a request waits to be read."""
        if not unread(self.transport):
            self.connection.abandon()
            self._close(linger=False)

    def _cut(self) -> None:
        """End the connection at once."""
        self._mark_incomplete()
        self.transport.abort()

    def _mark_incomplete(self) -> None:
        """Where the end of the connection is that of the answer, a reset says that this is not the whole."""
        if self.connection.open_ended:
            reset_when_closed(self.transport)

    def tick(self, now: float) -> None:
        """Look at the deadlines. They were set by a clock up to a tick old, so they get that much more."""
        late = now - TICK
        if self.write_paused or self._file is not None:
            if self._write_deadline <= late:
                self._write_deadline = self._extended(now)
        elif self._close_deadline <= late:
            self._close_deadline = self._extended(now)
        elif self.connection.deadline <= late and not self._read_paused:
            self._time_out()

    def _time_out(self) -> None:
        if status := self.connection.timed_out():
            self._send_error(status)
        else:
            self._abandon_exchange()
            self._mark_incomplete()
            self._close(linger=False)

    def _extended(self, now: float) -> float:
        """Return a new deadline for a client that has taken enough since the last one; give up any other."""
        http = self._server.http
        left = self._pending()
        if took_enough(self._written, left, http):
            self._written = left
            return now + http.write_timeout
        self.abort()
        return inf

    def _pending(self) -> int:
        """Bytes that the client has yet to take."""
        return (self._file.left if self._file is not None else 0) + pending(self.transport)
