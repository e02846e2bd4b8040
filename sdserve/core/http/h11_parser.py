"""The second parser: h11 behind the same interface, held to the same rules by checks above it.

h11 (0.14 to 0.16) accepts bare LF, folded lines, CR and NUL in chunk extensions, any two bytes behind a chunk
(0.14) and Content-Length with Transfer-Encoding. So it never sees a byte that our own checks of lines and
chunks have not passed, and what it makes of a head goes through the same `make_request`. One h11 connection
serves one request: our own code writes the answers, which h11 would otherwise have to see.
"""

from __future__ import annotations

import h11

from sdserve.core.http.chunked import ChunkedDecoder
from sdserve.core.http.head_buffer import HeadBuffer
from sdserve.core.http.options import HttpOptions
from sdserve.core.http.request import CHUNKED, Request
from sdserve.core.http.rules import SPECIAL, make_request
from sdserve.core.http.strict import parse_head
from sdserve.errors import RemoteProtocolError


class H11Parser:
    """See `sdserve.core.http.parser.Parser` for the contract."""

    __slots__ = ("_chunked", "_connection", "_options", "_remaining", "input")

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._remaining = 0
        self._chunked: ChunkedDecoder | None = None
        self._connection: h11.Connection | None = None
        self.input = HeadBuffer(options)

    def next_request(self) -> Request | None:
        head = self.input.maybe_head()
        if head is None:
            return None
        # Our rules first: they refuse what h11 lets pass, and know the right status where h11 says 400.
        parse_head(head, self._options)
        self._connection = connection = h11.Connection(
            h11.SERVER, max_incomplete_event_size=self._options.max_head + 4
        )
        connection.receive_data(head + b"\r\n\r\n")
        event = _next_event(connection)
        assert isinstance(event, h11.Request)
        fields = list(event.headers)
        special = [field for field in fields if field[0] in SPECIAL]
        line = b" ".join((event.method, event.target, b"HTTP/" + event.http_version))
        request = make_request(line, fields, special, self._options)
        self._remaining = max(request.length, 0)
        self._chunked = ChunkedDecoder(self._options) if request.length == CHUNKED else None
        return request

    def next_body(self) -> bytes | None:
        connection = self._connection
        if connection is None:
            return b""
        framed = self._take_framed()
        if framed:
            connection.receive_data(framed)
        event = _next_event(connection)
        if isinstance(event, h11.Data):
            pieces = []
            while isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
                event = _next_event(connection)
            if isinstance(event, h11.EndOfMessage):
                self._connection = None
            return b"".join(pieces)
        if isinstance(event, h11.EndOfMessage):
            self._connection = None
            return b""
        return None

    def _take_framed(self) -> bytes:
        """Take out the bytes that belong to this body and, if they are chunks, have passed our decoder."""
        decoder = self._chunked
        if decoder is None:
            taken = self.input.take(self._remaining)
            self._remaining -= len(taken)
            return taken
        if decoder.ended or not self.input.data:
            return b""
        payload, self.input.data = decoder.decode(bytes(self.input.data))
        # Framed anew: h11 does not take the bad white space that RFC 9112 section 7.1.1 has us take.
        framed = b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""
        return framed + b"0\r\n\r\n" if decoder.ended else framed


def _next_event(connection: h11.Connection) -> object:
    try:
        return connection.next_event()
    except h11.RemoteProtocolError as error:
        # It goes to the log; what h11 quotes of the request is escaped, but may be long.
        raise RemoteProtocolError(f"h11: {error!s:.200}", error.error_status_hint) from None
