"""One call of an ASGI application for a WebSocket, with the `receive` and `send` it is given.

Laws:

1. Until the handshake is accepted this is an exchange of HTTP, and what the application says instead is an
   ordinary response; from then on it is the channel of a `WebSocketProtocol`.
2. What a message may be follows from the phase; `send` changes it, and so does the end of the connection.
3. A mistake of the application's is raised in its `send` and remembered, as in `asgi_exchange`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sdserve.core.gateway.asgi import mistake_in
from sdserve.core.gateway.websocket import websocket_scope
from sdserve.core.http.request import Field, Request
from sdserve.core.http.response import status_line
from sdserve.core.websocket.codes import ABNORMAL, INTERNAL_ERROR, NORMAL
from sdserve.core.websocket.handshake import Opening, accept_head
from sdserve.errors import ClientDisconnectedError, LocalProtocolError
from sdserve.worker.asgi_scope import scope_of
from sdserve.worker.http import HttpProtocol
from sdserve.worker.suspended import position
from sdserve.worker.waiters import Waiters
from sdserve.worker.websocket import WebSocketProtocol

if TYPE_CHECKING:
    from sdserve.worker.asgi import AsgiGateway

log = logging.getLogger("sdserve.asgi")

_BUFFERED = 256 * 1024
"""Bytes of messages that may wait for the application before the socket is no longer read."""

_LAST_WORD = 1.0
"""Seconds in which a cancelled application may still answer the handshake by itself."""

_HANDSHAKE, _DENIAL, _DENIAL_BODY, _OPEN, _CLOSED, _DENIED, _GONE = range(7)
"""Phases: nothing was answered; a response in place of the handshake has a start, which was not sent yet; its
head, perhaps more, is sent; accepted; closed by the application; such a response is complete; the client has
gone before it was answered, or was answered by us in place of an application that took too long."""

_REFUSALS = {
    _HANDSHAKE: "%s before websocket.accept",
    _DENIAL: "%s in the middle of a websocket.http.response",
    _DENIAL_BODY: "%s in the middle of a websocket.http.response",
    _OPEN: "%s after websocket.accept",
    _CLOSED: "%s after websocket.close",
    _DENIED: "%s after the handshake was denied",
}


class AsgiWebSocket:
    """One handshake, one task, and all messages if it is accepted."""

    __slots__ = (
        "_cancelled",
        "_code",
        "_connect_told",
        "_fields",
        "_gateway",
        "_http",
        "_left",
        "_mistake",
        "_most",
        "_opening",
        "_phase",
        "_queue",
        "_queued",
        "_reason",
        "_request",
        "_since",
        "_socket",
        "_status",
        "_waiters",
        "full",
        "task",
    )

    def __init__(
        self, gateway: AsgiGateway, protocol: HttpProtocol, request: Request, opening: Opening
    ) -> None:
        self._gateway = gateway
        self._http = protocol
        self._socket: WebSocketProtocol
        """What the connection is from `_OPEN` on."""
        self._request = request
        self._opening = opening
        self._phase = _HANDSHAKE
        self._since = 0.0
        """When the handshake began, in seconds; 0: since the last tick, which puts in the time."""
        self._cancelled = 0.0
        """When it was cancelled because it took too long; 0: it was not."""
        self._connect_told = False
        self._queue: deque[str | bytes] = deque()
        self._queued = 0
        self.full = False
        self._most = gateway.websocket.max_queue
        self._left = False
        """Nothing will come any more but what is in the queue."""
        self._code = ABNORMAL
        self._reason = ""
        self._status: bytes
        self._fields: Iterable[Field] = ()
        self._mistake: LocalProtocolError | None = None
        self._waiters = Waiters(gateway.loop)
        self.task: asyncio.Task[None]

    # The call

    async def run(self) -> None:
        """Call the application and see to it that the client gets an answer, or a close frame."""
        gateway = self._gateway
        http = self._http
        scope = websocket_scope(scope_of(self._request, http, gateway.state), self._opening.subprotocols)
        try:
            await gateway.application(scope, self.receive, self.send)
        except asyncio.CancelledError as error:
            self._ended(error)
            raise
        except BaseException as error:
            # SystemExit too: nothing an application raises ends a worker.
            self._ended(error)
        else:
            self._ended(None)
        finally:
            gateway.exchanges.discard(self)
            if gateway.when_idle is not None and not gateway.exchanges:
                gateway.when_idle()

    def _ended(self, error: BaseException | None) -> None:
        """The call ended with `error`, or returned."""
        answered = self._phase >= _OPEN
        # Once the client has left, an exception is the application's usual way out.
        level = logging.DEBUG if self._left or self._cancelled else logging.ERROR
        if self._mistake is not None:
            log.error("%s: %s", self.where, self._mistake, exc_info=error or self._mistake)
        elif error is not None:
            log.log(level, "%s: the application raised", self.where, exc_info=error)
        elif not answered:
            log.log(level, "%s: the application returned without an answer to the handshake", self.where)
        self._queue.clear()
        self._queued = 0
        self.full = False
        if not answered:
            self._phase = _GONE
            self._http.fail(504 if self._cancelled else 500)
        elif self._phase == _OPEN and not self._left:
            self._phase = _CLOSED
            self._socket.close(NORMAL if error is None and self._mistake is None else INTERNAL_ERROR)

    @property
    def where(self) -> str:
        return f"WebSocket {self._request.path.decode('ascii')}"

    # The application's side

    async def receive(self) -> dict[str, Any]:
        """The application's `receive`."""
        if not self._connect_told:
            self._connect_told = True
            return {"type": "websocket.connect"}
        queue = self._queue
        while not queue:
            if self._left:
                return {"type": "websocket.disconnect", "code": self._code, "reason": self._reason}
            await self._waiters.wait()
        message = queue.popleft()
        self._queued -= len(message)
        if self.full and self._queued < _BUFFERED:
            self.full = False
            self._socket.advance()
        if type(message) is str:
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def send(self, message: dict[str, Any]) -> None:
        """The application's `send`.

        Raises:
            LocalProtocolError: the message is out of order or malformed.
            ClientDisconnectedError: the client is gone.
        """
        try:
            kind = message["type"]
            if kind == "websocket.send" and self._phase == _OPEN:
                if self._left:
                    raise ClientDisconnectedError
                text = message.get("text")
                socket = self._socket
                if text is not None:
                    socket.send_text(text)
                else:
                    socket.send_bytes(message["bytes"])
                if socket.write_paused:
                    await self._wait_writable()
                elif socket.transport.is_closing():
                    self.ended(ABNORMAL, "")  # the loop may not turn until we say so
                    raise ClientDisconnectedError
            elif self._phase >= _OPEN:
                self._send_open(kind, message)
            else:
                await self._send_handshake(kind, message)
        except LocalProtocolError as error:
            self._remember(error)
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            wrong = mistake_in(message)
            if not wrong and message["type"] == "websocket.send":
                wrong = "websocket.send with neither text nor bytes"
            if not wrong:
                raise
            mistake = LocalProtocolError(f"the application sent {wrong}")
            self._remember(mistake)
            raise mistake from error

    def _send_open(self, kind: str, message: dict[str, Any]) -> None:
        """Take what is no message for the client, after the handshake."""
        if self._phase == _GONE or (self._left and kind in ("websocket.send", "websocket.close")):
            raise ClientDisconnectedError
        if kind != "websocket.close" or self._phase != _OPEN:
            raise self._refusal(kind)
        code = message.get("code")
        self._socket.close(NORMAL if code is None else code, message.get("reason") or "")
        self._phase = _CLOSED

    async def _send_handshake(self, kind: str, message: dict[str, Any]) -> None:
        """Take an answer to the handshake: accept it, or deny it with a response of HTTP."""
        phase = self._phase
        if self._left and kind.startswith("websocket."):
            raise ClientDisconnectedError
        if kind == "websocket.http.response.body" and phase in (_DENIAL, _DENIAL_BODY):
            await self._deny(message.get("body", b""), message.get("more_body", False))
        elif phase != _HANDSHAKE:
            raise self._refusal(kind)
        elif kind == "websocket.accept":
            self._accept(message.get("subprotocol"), message.get("headers") or ())
        elif kind == "websocket.http.response.start":
            self._status = status_line(message["status"])
            self._fields = message.get("headers", ())
            self._phase = _DENIAL
        elif kind == "websocket.close":
            # The specification: the server answers with 403.
            self._status = status_line(403)
            self._fields = [(b"content-type", b"text/plain; charset=utf-8")]
            self._phase = _DENIAL
            await self._deny(b"Forbidden\n", False)
        else:
            raise self._refusal(kind)

    def _accept(self, subprotocol: str | None, fields: Iterable[Field]) -> None:
        gateway = self._gateway
        sockets = gateway.websockets
        head = accept_head(self._opening, subprotocol, fields, sockets.clock.standing)
        self._socket = sockets.take_over(self._http, self, self._opening.terms, head)
        self._phase = _OPEN

    async def _deny(self, body: bytes, more: bool) -> None:
        http = self._http
        if self._phase == _DENIAL_BODY:
            http.send_data(body, more)
        else:
            http.send_response(self._status, self._fields, body, more)
        self._phase = _DENIAL_BODY
        if not more:
            self._phase = _DENIED
            self.ended(ABNORMAL, "")
            return
        while http.write_paused and not self._left:
            await self._waiters.wait()
        if self._left or http.transport.is_closing():
            self.ended(ABNORMAL, "")
            raise ClientDisconnectedError

    async def _wait_writable(self) -> None:
        socket = self._socket
        while socket.write_paused and not self._left:
            await self._waiters.wait()
        if self._left:
            raise ClientDisconnectedError

    def _refusal(self, kind: str) -> LocalProtocolError:
        if not isinstance(kind, str) or not kind.startswith("websocket."):
            return LocalProtocolError(
                f"the application sent a message that a WebSocket does not have: {kind!r:.60}"
            )
        return LocalProtocolError("the application sent " + _REFUSALS[self._phase] % kind)

    def _remember(self, mistake: LocalProtocolError) -> None:
        if self._mistake is None:
            self._mistake = mistake
            if self.task.done():
                # Of something that the application left behind.
                log.error("%s: %s", self.where, mistake, exc_info=mistake)

    # The connection's side, before it is a WebSocket

    def body_received(self, data: bytes) -> None:
        """A handshake has no body."""

    def body_ended(self) -> None:
        """A handshake has no body."""

    def client_left(self) -> None:
        self.ended(ABNORMAL, "")

    def disconnected(self) -> None:
        self._phase = _GONE
        self.ended(ABNORMAL, "")

    # The connection's side, since then

    def message_received(self, message: str | bytes) -> None:
        if self._phase == _OPEN and not self.full:
            self._queue.append(message)
            self._queued += len(message)
            self.full = self._queued >= _BUFFERED or len(self._queue) >= self._most
            self._waiters.wake()

    def writable(self) -> None:
        self._waiters.wake()

    def ended(self, code: int, reason: str) -> None:
        if not self._left:
            self._left = True
            self._code = code
            self._reason = reason
            self._waiters.wake()

    def end_stream(self) -> None:
        """Nothing: a WebSocket has its own end when the worker drains."""

    # Time

    def tick(self, now: float, timeout: float) -> None:
        """End the call if the handshake is not answered within `timeout` seconds."""
        if self._phase >= _OPEN:
            return
        if self._cancelled:
            if now - self._cancelled >= _LAST_WORD:
                self.disconnected()  # as far as the application is concerned, which may come back later
                self._http.fail(504)
        elif not self._since:
            # From now on, so that nobody pays for the time in which somebody else held the loop.
            self._since = now
        elif now - self._since >= timeout:
            self._cancelled = now
            log.error(
                "%s: the application did not answer the handshake within %.0f seconds"
                " (workers.request_timeout) and is cancelled; it was at %s",
                self.where,
                now - self._since,
                position(self.task),
            )
            self.task.cancel()
