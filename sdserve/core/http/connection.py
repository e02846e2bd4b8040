"""One HTTP/1.1 connection, the server's side, without any I/O.

Laws:

1. Everything that decides what a connection does next is here; the shell reads, feeds, asks and writes.
2. Requests are answered one at a time and in order: `next_event` gives no further request until the current
   exchange has ended on both sides (RFC 9112 section 9.3.2).
3. After an error, or once the connection is to be closed, no byte of it is parsed again.

The shell's part::

    connection.receive_data(data, now)
    while (event := connection.next_event(now)) is not None: ...      # Request, then bytes; b"" ends a body
    transport.write(connection.send_response(...))                    # then send_data until it says done
    if connection.must_close: ...                                     # after the response is complete
    if connection.deadline <= now: transport.write(connection.timed_out(now))

Times are seconds of a monotonic clock that need not be more precise than the shell's tick.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from sdserve.core.http.options import HttpOptions
from sdserve.core.http.parser import make_parser
from sdserve.core.http.request import CHUNKED, Field, Request
from sdserve.core.http.response import Head, Standing, chunk, early_hints, status_line, trailer_section
from sdserve.errors import LocalProtocolError, RemoteProtocolError

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_IDLE, _HEAD, _BODY, _ANSWER, _DISCARD, _CLOSED = range(6)
"""What we wait for: a request's first byte; the rest of its head; its body; only the answer; the rest of a
body that nobody wants; nothing any more."""

_LARGEST_DISCARD = 64 * 1024
"""A body that the application did not read: up to this many bytes are thrown away to keep the connection."""

FIRST_REQUEST = 1.0
"""Seconds that a new connection has for its first request once we drain."""

_TOO_LONG = "the application sent more than its Content-Length; the rest was cut off"

_UNKNOWN = -1
"""The length of a response that the application did not tell: chunks, or the end of the connection."""


class Connection:
    """The state of one connection and of its current exchange."""

    __slots__ = (
        "_chunks",
        "_clean",
        "_draining",
        "_grace",
        "_head_only",
        "_input",
        "_options",
        "_parser",
        "_received",
        "_remaining",
        "_state",
        "complaint",
        "deadline",
        "must_close",
        "request",
        "requests",
        "response_complete",
        "response_started",
    )

    def __init__(self, options: HttpOptions, now: float) -> None:
        self._options = options
        self._parser = make_parser(options)
        self._input = self._parser.input
        self._state = _IDLE
        self._draining = False
        self._grace = 0.0
        self._received = 0
        self._remaining = 0
        self._head_only = False
        self._chunks = True
        self._clean = False
        self.complaint = ""
        """What the application did wrong in the current exchange, for the log."""
        self.request: Request | None = None
        self.requests = 0
        """Requests begun on this connection."""
        self.response_started = False
        self.response_complete = False
        self.must_close = False
        """True once the connection may not be used again; the shell closes it when all is written."""
        self.deadline = now + options.head_timeout
        """When `timed_out` is due; infinite while the application has its turn."""

    # Bytes in

    @property
    def pipelined(self) -> bool:
        """True if bytes are here that `next_event` may turn into more once the current exchange has ended."""
        return bool(self._input.data)

    @property
    def answering(self) -> bool:
        """True while the request is complete and its response is not."""
        return self._state == _ANSWER

    @property
    def filled(self) -> bool:
        """True once the response has as many bytes as its Content-Length says."""
        return self._remaining == 0

    @property
    def idle(self) -> bool:
        """True between two requests: closing the connection then loses nothing."""
        return self._state == _IDLE and self.requests > 0

    @property
    def movable(self) -> bool:
        """True between two requests, or in a head: another one may `resume` with what is `unused`."""
        return self._state in (_IDLE, _HEAD) and not self._draining

    @property
    def unused(self) -> bytes:
        """The bytes that were received and that no request has used."""
        return bytes(self._input.data)

    @property
    def open_ended(self) -> bool:
        """True while a response is sent that only the end of the connection ends: HTTP/1.0, no length."""
        return not (self._chunks or self.response_complete)

    @property
    def bodiless(self) -> bool:
        """True if the response is one to HEAD, a 204, 205 or 304: nothing of its body is sent."""
        return self._head_only

    @property
    def all_read(self) -> bool:
        """True if no byte of the client's is known to be unread: the connection may be closed at once."""
        return self._state == _CLOSED and self._clean and not self._input.data

    def resume(self, unused: bytes, requests: int, deadline: float) -> None:
        """Go on, being new, where another connection stood that was `movable`."""
        self._input.data = unused
        self._state = _HEAD if unused else _IDLE
        self.requests = requests
        self.deadline = deadline

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes from the socket; then ask `next_event`."""
        state = self._state
        if state == _CLOSED:
            return
        if self._input.data:
            self._input.receive_data(data)
        else:
            self._input.data = data
        if state == _IDLE:
            # Absolute: the bytes that follow do not move it (slowloris).
            self._state = _HEAD
            self.deadline = now + self._options.head_timeout
        elif state in (_BODY, _DISCARD):
            # Each byte earns what it takes at the least rate, and never more than `body_timeout` from now:
            # neither silence nor a drip, also not after a burst, keeps a connection for longer than that.
            options = self._options
            rate = options.body_min_rate
            latest = now + options.body_timeout
            if rate and (earned := self.deadline + len(data) / rate) < latest:
                self.deadline = earned
            else:
                self.deadline = latest

    def next_event(self, now: float) -> Request | bytes | None:
        """Return a Request, a piece of its body, b"" at the body's end, or None if there is nothing to do.

        Raises:
            RemoteProtocolError: answer with `send_error` and close.
        """
        state = self._state
        if state == _HEAD:
            return self._next_request(now)
        if state == _BODY:
            return self._next_body()
        if state == _DISCARD:
            self._discard(now)
            return self._next_request(now) if self._state == _HEAD else None
        return None

    def _next_request(self, now: float) -> Request | None:
        try:
            request = self._parser.next_request()
        except RemoteProtocolError:
            self._state = _CLOSED
            self.must_close = True
            self.deadline = inf
            raise
        if request is None:
            return None
        self.request = request
        self.requests += 1
        self.response_started = self.response_complete = False
        self.complaint = ""
        self._received = 0
        if request.length:
            self._state = _BODY
            # A client that waits for 100 (Continue) is not late: it is not its turn.
            self.deadline = inf if request.expects_continue else now + self._options.body_timeout
        else:
            self._state = _ANSWER
            self.deadline = inf
        return request

    def _next_body(self) -> bytes | None:
        try:
            body = self._parser.next_body()
        except RemoteProtocolError:
            self.abandon()
            raise
        if body is not None:
            self._received += len(body)
            if not body:
                self._state = _ANSWER
                self.deadline = inf
        return body

    def _discard(self, now: float) -> None:
        """Throw away the rest of a body whose response is complete."""
        try:
            while body := self._parser.next_body():
                self._received += len(body)
        except RemoteProtocolError:
            body = None
            self.abandon()
        if body == b"":
            self._end_exchange(now)
        elif self._received > _LARGEST_DISCARD:
            self.abandon()

    def receive_eof(self) -> None:
        """The client sends no more. An exchange whose request is complete may still be answered."""
        if self._state == _ANSWER:
            self.must_close = True
        else:
            self.abandon()

    def abandon(self) -> None:
        """Parse nothing of this connection any more and let it be closed."""
        self._state = _CLOSED
        self.must_close = True
        self.deadline = inf

    def leave(self) -> bytes:
        """The connection speaks another protocol from now on: return what was received of that."""
        unused, self._input.data, self._state = self.unused, b"", _CLOSED
        return unused

    # Bytes out

    def send_continue(self, now: float) -> bytes:
        """Return 100 (Continue), b"" if the client does not wait for it (RFC 9110 section 10.1.1)."""
        request = self.request
        if request is None or not request.expects_continue or self.response_started:
            return b""
        request.expects_continue = False
        if self._state != _BODY:
            return b""
        self.deadline = now + self._options.body_timeout
        # It needs none if its body is already here.
        return b"" if self._received or self._input.data else CONTINUE

    def send_early_hints(self, fields: Iterable[Field]) -> bytes:
        """Return a 103 (RFC 8297), b"" for a client of HTTP/1.0, which knows none (RFC 9110 section 15.2).

        Raises:
            LocalProtocolError: a field may not stand there, or the response has begun; nothing may be sent.
        """
        request = self.request
        if request is None or self.response_started:
            raise LocalProtocolError("the application sent early hints after the response")
        hints = early_hints(fields)
        return hints if request.minor else b""

    def send_response(
        self, status: bytes, fields: Iterable[Field], body: bytes, more: bool, standing: Standing, now: float
    ) -> bytes:
        """Return the head of the response and the first part of its body.

        Args:
            status: the status line without its CRLF.
            fields: the application's fields.
            body: may be empty.
            more: whether `send_data` follows.
            standing: our own Date and Server, for where the application sent none.
            now: for the next deadline, if this completes the exchange.

        Raises:
            LocalProtocolError: nothing of it may be sent; `send_error` is still possible.
        """
        request = self.request
        assert request is not None
        if type(body) is not bytes:
            body = _as_bytes(body)
        head = Head(status, fields)
        lines = head.lines
        code = status[9:12]
        bodiless = code != b"200" and code in (b"204", b"205", b"304")
        self._head_only = head_only = bodiless or request.method == "HEAD"
        close_delimited = False
        if head.length is not None:
            self._remaining = head.length
        elif not more and not bodiless and (body or not head_only):
            self._remaining = len(body)
            lines.append(b"content-length: %d" % len(body))
        else:
            self._remaining = _UNKNOWN
            if not head_only:
                close_delimited = request.minor == 0
            if not (bodiless or request.minor == 0):
                lines.append(b"transfer-encoding: chunked")
        if code == b"205":
            lines.append(b"content-length: 0")  # RFC 9110 section 15.3.6: it has content, and that is empty
        self._chunks = not close_delimited
        # An unanswered `Expect` closes: the body may come or not, so the next bytes cannot be told apart.
        awaited = request.expects_continue and self._state == _BODY
        if head.close or close_delimited or self._draining or not request.keep_alive or awaited:
            self.must_close = True
        if self.must_close:
            lines.append(b"connection: close")  # RFC 9112 section 9.6
        elif request.minor == 0:
            lines.append(b"connection: keep-alive")  # section 9.3
        block = head.encode(standing)
        self.response_started = True
        if not more and self._remaining == len(body) and self._state == _ANSWER:
            # By far the most frequent answer: whole, and of the length it should have.
            self.response_complete = True
            self._end_exchange(now)
            return block if head_only else block + body
        return block + self.send_data(body, more, now)

    def send_data(self, body: bytes, more: bool, now: float) -> bytes:
        """Return the bytes that carry `body`; without `more` the response is complete.

        What is longer than the Content-Length is cut; after less than that the connection is not used again.
        Both are told in `complaint`.

        Raises:
            LocalProtocolError: `body` is not bytes, or no response is open; nothing of it may be sent.
        """
        if self.response_complete or not self.response_started:
            raise LocalProtocolError("the application sent a part of a body outside of its response")
        if type(body) is not bytes:
            body = _as_bytes(body)
        if self._head_only:
            data = b""
        elif self._remaining == _UNKNOWN:
            data = chunk(body, more) if self._chunks else body
        else:
            data = body
            if len(body) > self._remaining:
                data = body[: self._remaining]
                self.complaint = _TOO_LONG
            self._remaining -= len(data)
            if self._remaining and not more:
                self.must_close = True
                self.complaint = f"the application sent {self._remaining} bytes less than its Content-Length"
        if not more:
            self._complete(now)
        return data

    def send_trailers(self, fields: Iterable[Field], now: float) -> bytes:
        """Return the end of the response, with trailers where it is chunked (RFC 9112 section 7.1.2).

        Raises:
            LocalProtocolError: a field may not stand there, or no response is open; nothing may be sent.
        """
        section = trailer_section(fields)
        last_chunk = self.send_data(b"", False, now)
        return b"0\r\n%b\r\n" % section if last_chunk else b""

    def plain_room(self, count: int) -> int:
        """Return how many of the body's next `count` bytes may go out as they are, without `send_data`.

        -1 if they have to go through it, because they are sent in chunks. Tell what was sent to `plain_sent`;
        `send_data` ends the response.
        """
        if self._head_only:
            return 0
        if self._remaining == _UNKNOWN:
            return -1 if self._chunks else count
        if count > self._remaining:
            self.complaint = _TOO_LONG
        return min(count, self._remaining)

    def plain_sent(self, count: int) -> None:
        """So many bytes of the body went out without `send_data`."""
        if self._remaining != _UNKNOWN:
            self._remaining -= count

    def _complete(self, now: float) -> None:
        self.response_complete = True
        if self._state == _ANSWER:
            self._end_exchange(now)
        elif self._state == _BODY:
            if self.must_close or self._request_is_large():
                self.abandon()
            else:
                self._state = _DISCARD
                self._discard(now)

    def _request_is_large(self) -> bool:
        request = self.request
        assert request is not None
        return request.length != CHUNKED and request.length - self._received > _LARGEST_DISCARD

    def _end_exchange(self, now: float) -> None:
        self.request = None
        if self.must_close or (self._draining and not self._grace):
            self.abandon()
            self._clean = True
        elif self._input.data:
            self._state = _HEAD
            self.deadline = now + self._options.head_timeout
        else:
            self._state = _IDLE
            self.deadline = now + (self._grace or self._options.keepalive_timeout)

    def send_error(self, status: int, standing: Standing) -> bytes:
        """Return a whole error response, or b"" if a response has begun; the connection must then be closed.

        It is text/plain and reflects nothing of the request.
        """
        self.abandon()
        if self.response_started and not self.response_complete:
            return b""
        line = status_line(status)
        body = line[9:] + b"\n"
        head_only = self.request is not None and self.request.method == "HEAD"
        return b"\r\n".join(
            [
                line + standing[0],
                b"content-type: text/plain; charset=utf-8",
                b"content-length: %d" % len(body),
                b"connection: close",
                b"",
                b"" if head_only else body,
            ]
        )

    # Time

    def drain(self, now: float, *, grace: float = 0.0) -> bool:
        """Finish the current exchange, then close; True if there is none and it may go at once.

        With `grace` it has so many seconds for one more request, whose answer says that it is the last.
        """
        self._draining = True
        self._grace = grace
        if self._state == _IDLE and (grace or not self.requests):
            # Just accepted: its first request is on its way and has nowhere else to go.
            self.deadline = min(self.deadline, now + (grace or FIRST_REQUEST))
            return False
        return self._state in (_IDLE, _CLOSED)

    def hurry(self, now: float) -> None:
        """A connection on which nothing was asked yet has little time for that; others are not concerned."""
        if self._state == _IDLE and not self.requests:
            self.deadline = min(self.deadline, now + FIRST_REQUEST)

    def restart_deadline(self, now: float) -> None:
        """The shell or the client reads again after a pause: the time for the next bytes begins anew."""
        if self._state == _HEAD:
            self.deadline = now + self._options.head_timeout
        elif self._state == _IDLE:
            self.deadline = now + self._options.keepalive_timeout
        elif self._state in (_BODY, _DISCARD):
            self.deadline = now + self._options.body_timeout

    def timed_out(self) -> int:
        """The deadline has passed: return the status to answer with `send_error`, 0 to close without a word.

        Silence between two requests, or nothing but empty lines, is no error; a request that was begun
        deserves its 408 (RFC 9110 section 15.5.9).
        """
        begun = (
            self._input.data if self._state == _HEAD else self._state == _BODY and not self.response_started
        )
        self.abandon()
        return 408 if begun else 0


def _as_bytes(body: object) -> bytes:
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    raise LocalProtocolError(f"the application sent a body that is not bytes but {type(body).__name__}")
