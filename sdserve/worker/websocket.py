"""The shell around one WebSocket connection: bytes from the loop into `core.websocket`, frames out.

It takes a connection over from `HttpProtocol` once its request was answered with 101, and pairs it with the
exchange that its application talks through.
"""

from __future__ import annotations

import asyncio
import logging
from math import inf
from typing import TYPE_CHECKING, Protocol

from sdserve.core.websocket.codes import INTERNAL_ERROR
from sdserve.core.websocket.connection import Control, Frame, WebSocketConnection
from sdserve.core.websocket.deflate import DeflateTerms
from sdserve.errors import ClientDisconnectedError, RemoteProtocolError
from sdserve.worker.clock import TICK
from sdserve.worker.http import HttpProtocol
from sdserve.worker.patience import pending, took_enough

if TYPE_CHECKING:
    from sdserve.worker.websockets import WebSockets

log = logging.getLogger("sdserve.websocket")

_FRAMES = 100
"""Frames of one connection that are read in one go before other connections have their turn."""

_JOINED = 4096
"""A payload shorter than this is cheaper to copy behind its header than to send beside it."""

_LINGER_BYTES = 1024 * 1024
"""What is read, and thrown away, of a client that broke a rule: a reset would overtake the close frame."""


class Channel(Protocol):
    """The application's side of a connection. All methods are called on the loop's thread."""

    full: bool
    """Whether so much waits for the application that no more should be read."""

    def message_received(self, message: str | bytes) -> None:
        """A whole message; none is needed any more once we close and it is `full`."""

    def writable(self) -> None:
        """The socket takes bytes again after `WebSocketProtocol.write_paused` was true."""

    def ended(self, code: int, reason: str) -> None:
        """Nothing will be received any more, and nothing that is sent will arrive. May be called twice."""


class WebSocketProtocol(asyncio.Protocol):
    """One connection. Made by `WebSockets.take_over`, which is told when it is gone."""

    __slots__ = (
        "_client",
        "_clock",
        "_connection",
        "_deadline",
        "_discarded",
        "_exchange",
        "_left",
        "_local",
        "_read_paused",
        "_sockets",
        "_write_deadline",
        "_yielding",
        "transport",
        "write_paused",
    )

    def __init__(
        self, sockets: WebSockets, http: HttpProtocol, exchange: Channel, terms: DeflateTerms | None
    ) -> None:
        self._sockets = sockets
        self._clock = sockets.clock
        self._client = http.peer.client
        self._local = http.peer.local
        self._exchange = exchange
        self._connection = WebSocketConnection(sockets.options, terms, sockets.clock.now)
        self.transport = http.transport
        self.write_paused = http.write_paused
        """True while the client does not read what we write; whoever sends messages then waits."""
        self._read_paused = False
        self._yielding = False
        self._discarded = 0
        self._deadline = inf
        """Until when the client has to have answered our close frame, or to have left."""
        self._write_deadline = inf
        self._left: float = 0
        """What the client had yet to take when its time began."""

    # From the loop

    def data_received(self, data: bytes) -> None:
        connection = self._connection
        if connection.over:
            self._discarded += len(data)
            if self._discarded > _LINGER_BYTES:
                self.transport.abort()
            return
        connection.receive_data(data)
        if not self._yielding:
            self.advance()

    def eof_received(self) -> bool:
        return False  # a WebSocket has no half that could be open

    def pause_writing(self) -> None:
        self.write_paused = True
        self._left = pending(self.transport)
        self._write_deadline = self._clock.now + self._sockets.http.write_timeout

    def resume_writing(self) -> None:
        self.write_paused = False
        self._write_deadline = inf
        # The transport is in the middle of its work: asyncio's is lost twice if a write fails in here.
        self._sockets.loop.call_soon(self._write_on)

    def _write_on(self) -> None:
        self._flush()
        if not self.write_paused:
            self._exchange.writable()

    def connection_lost(self, error: Exception | None) -> None:
        del error  # that it is gone is all that matters
        try:
            self._exchange.ended(self._connection.close_code, self._connection.close_reason)
        finally:
            self._sockets.closed(self)

    # Frames

    def advance(self) -> None:
        """Do what the bytes that are here allow; also called when the application has taken messages."""
        connection = self._connection
        exchange = self._exchange
        turns = _FRAMES
        self._yielding = False
        if connection.over:
            return
        try:
            while (not exchange.full or connection.closing) and (
                event := connection.next_event()
            ) is not None:
                if not isinstance(event, Control):
                    exchange.message_received(event)
                turns -= 1
                if not turns:
                    self._yielding = True
                    self._sockets.loop.call_soon(self._go_on)
                    break
        except RemoteProtocolError as error:
            self._fail(error)
            return
        except Exception:
            log.exception("a WebSocket failed in sdserve itself")
            self.close(INTERNAL_ERROR)
            return
        if connection.output:
            self._flush()
        if connection.closed:
            exchange.ended(connection.close_code, connection.close_reason)
            self._end()
        elif self._read_paused or exchange.full or self._yielding:
            self._regulate()

    def _go_on(self) -> None:
        if self._yielding:
            self.advance()

    def _flush(self) -> None:
        """Send pongs and the like, but not to a client that does not read: one pong is kept for it."""
        if not (self.write_paused or self.transport.is_closing()):
            output = self._connection.take_output()
            if output:
                self.transport.write(output)

    def _regulate(self) -> None:
        """Read, or do not: what the application does not take waits in the kernel, not here."""
        connection = self._connection
        full = self._exchange.full and not connection.closing  # its close frame has to be seen
        pause = (self._yielding or full) and not connection.over
        if pause != self._read_paused and not self.transport.is_closing():
            self._read_paused = pause
            if pause:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    # For exchanges

    def send_text(self, text: str) -> None:
        """Send a message of text; ClientDisconnectedError once we close, LocalProtocolError if it is none."""
        if self._connection.closing:
            raise ClientDisconnectedError
        self._write(self._connection.send_text(text))

    def send_bytes(self, data: bytes) -> None:
        """Send a message of bytes, else like `send_text`."""
        if self._connection.closing:
            raise ClientDisconnectedError
        self._write(self._connection.send_bytes(data))

    def _write(self, frame: Frame) -> None:
        header, payload = frame
        if len(payload) < _JOINED:
            self.transport.write(header + payload)
        else:
            self.transport.writelines(frame)

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame, once, and wait for the client's. LocalProtocolError if none may say that."""
        data = self._connection.send_close(code, reason)
        if data and not self.transport.is_closing():
            self.transport.write(data)
            self._deadline = self._clock.now + self._sockets.options.close_timeout
            self.advance()

    # The end

    def _end(self) -> None:
        """RFC 6455 section 7.1.1: the server ends the connection first."""
        self._deadline = self._clock.now + self._sockets.options.close_timeout
        self.transport.close()

    def _fail(self, error: RemoteProtocolError) -> None:
        """RFC 6455 section 7.1.7, in stages: with bytes unread, close(2) would reset the close frame away."""
        self._sockets.refused(self._client, self._local, error)
        connection = self._connection
        data = connection.fail(error)
        self._deadline = self._clock.now + self._sockets.options.close_timeout
        self._exchange.ended(connection.close_code, str(error))
        transport = self.transport
        if transport.is_closing():
            return
        if data:
            transport.write(data)
        self._regulate()
        try:
            if transport.can_write_eof():
                transport.write_eof()
        except OSError:
            transport.abort()  # the client is gone already

    def abort(self) -> None:
        """Give up: whatever is on its way is lost."""
        self.transport.abort()

    def tick(self, now: float) -> None:
        """Look at the deadlines. They were set by a clock up to a tick old, so they get that much more."""
        late = now - TICK
        if self._deadline <= late or (self._write_deadline <= late and not self._extend(now)):
            self.abort()
            return
        try:
            self._connection.tick(now, self._read_paused or self.write_paused)
        except RemoteProtocolError as error:
            self._fail(error)
        else:
            self._flush()

    def _extend(self, now: float) -> bool:
        """Whether a client has taken enough to get more time."""
        http = self._sockets.http
        left = pending(self.transport)
        if not took_enough(self._left, left, http):
            return False
        self._left = left
        self._write_deadline = now + http.write_timeout
        return True
