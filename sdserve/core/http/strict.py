"""Our own parser: strict, in plain Python, and fast because it does everything in few passes.

Laws: a head is parsed only when it is complete; it is then split once, and each field costs one partition and
one look-up in a cache of names.
"""

from __future__ import annotations

from sdserve.core.http.chunked import ChunkedDecoder
from sdserve.core.http.head_buffer import HeadBuffer
from sdserve.core.http.options import HttpOptions
from sdserve.core.http.request import CHUNKED, Field, Request
from sdserve.core.http.rules import SPECIAL, check_field_name, check_head, check_head_limits, make_request
from sdserve.errors import RemoteProtocolError

_NAMES: dict[bytes, bytes] = {}
"""Field names as received -> checked and in lower case. One dictionary per process, never more than ..."""
_MOST_NAMES = 1024
_LONGEST_NAME = 64


def _learn(name: bytes) -> bytes:
    lower = check_field_name(name)
    if len(_NAMES) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
        _NAMES[name] = lower
    return lower


def parse_head(head: bytes, options: HttpOptions) -> Request:
    """Return the request whose head, without the empty line at its end, is `head`."""
    lines = head.split(b"\r\n")
    check_head(head, len(lines) - 1)
    check_head_limits(lines, len(head), options)
    names = _NAMES
    fields: list[Field] = []
    special: list[Field] = []
    request_line = lines.pop(0)
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise RemoteProtocolError("a field line without a colon")
        lower = names.get(name) or _learn(name)
        # Only SP and HTAB are left to strip: every other white space was refused with the controls.
        field = (lower, value.strip())
        fields.append(field)
        if lower in SPECIAL:
            special.append(field)
    return make_request(request_line, fields, special, options)


class StrictParser:
    """See `sdserve.core.http.parser.Parser` for the contract."""

    __slots__ = ("_chunked", "_options", "_remaining", "input")

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._remaining = 0
        self._chunked: ChunkedDecoder | None = None
        self.input = HeadBuffer(options)

    def next_request(self) -> Request | None:
        head = self.input.maybe_head()
        if head is None:
            return None
        request = parse_head(head, self._options)
        if request.length:
            if request.length == CHUNKED:
                self._chunked = ChunkedDecoder(self._options)
            else:
                self._remaining = request.length
        return request

    def next_body(self) -> bytes | None:
        if self._chunked is not None:
            return self._next_chunked(self._chunked)
        if self._remaining == 0:
            return b""
        body = self.input.take(self._remaining)
        self._remaining -= len(body)
        return body or None

    def _next_chunked(self, decoder: ChunkedDecoder) -> bytes | None:
        if self.input.data and not decoder.ended:
            body, self.input.data = decoder.decode(bytes(self.input.data))
            if body:
                return body
        if decoder.ended:
            self._chunked = None
            return b""
        return None
