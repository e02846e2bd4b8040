"""The chunked transfer coding: RFC 9112 section 7.1, every byte of it checked.

Laws: a decoder is given bytes and returns payload, it never keeps payload; what it keeps is at most one line.
Extensions and trailers are checked, counted against a limit over the whole body, and dropped: trailers are
never merged into the headers (RFC 9110 section 6.5.1).
"""

from __future__ import annotations

from sdserve.core.http.grammar import CHUNK_EXTENSION, CHUNK_SIZE
from sdserve.core.http.options import HttpOptions
from sdserve.core.http.rules import check_body_size, check_field_name, check_head
from sdserve.errors import RemoteProtocolError

_LONGEST_SIZE_LINE = 256
"""Bytes of one chunk-size line with its extensions."""

_SIZE, _DATA, _DATA_END, _TRAILER, _END = range(5)


class ChunkedDecoder:
    """Turns chunks into payload. Feed it with `decode` until `ended`."""

    __slots__ = (
        "_extension_bytes",
        "_options",
        "_remaining",
        "_state",
        "_total",
        "_trailer_bytes",
        "_trailers",
        "ended",
    )

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._state = _SIZE
        self._remaining = 0
        self._total = 0
        self._extension_bytes = 0
        self._trailer_bytes = 0
        self._trailers = 0
        self.ended = False

    def decode(self, data: bytes) -> tuple[bytes, bytes]:
        """Return (payload found in `data`, bytes not used): keep those and put them before what comes next.

        Raises:
            RemoteProtocolError: malformed framing, or more than a limit allows.
        """
        pieces: list[bytes] = []
        position = 0
        while self._state != _END:
            if self._state == _DATA:
                piece = data[position : position + self._remaining]
                if not piece:
                    break
                pieces.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                if self._remaining == 0:
                    self._state = _DATA_END
            elif self._state == _DATA_END:
                if not self._ends_with_crlf(data[position : position + 2]):
                    break
                position += 2
                self._state = _SIZE
            else:
                line = self._maybe_line(data, position)
                if line is None:
                    break
                position += len(line) + 2
                self._read_line(line)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), data[position:]

    @staticmethod
    def _ends_with_crlf(end: bytes) -> bool:
        """Whether the two bytes behind a chunk's data are there; both must be right (CVE-2025-43859)."""
        if not b"\r\n".startswith(end):
            raise RemoteProtocolError("a chunk does not end in CRLF")
        return len(end) == 2

    def _maybe_line(self, data: bytes, position: int) -> bytes | None:
        """Return the line at `position` without its CRLF, or None if more bytes are needed."""
        end = data.find(b"\r\n", position)
        limit = _LONGEST_SIZE_LINE if self._state == _SIZE else self._options.max_field
        # A CR at the end of what is here may be half of the line end.
        line = data[position:end] if end >= 0 else data[position:].removesuffix(b"\r")
        if len(line) > limit:
            if self._state == _SIZE:
                raise RemoteProtocolError("a chunk-size line is too long")
            raise RemoteProtocolError("a trailer field is larger than http.max_field", 431)
        check_head(line, 0)
        return line if end >= 0 else None

    def _read_line(self, line: bytes) -> None:
        if self._state == _SIZE:
            self._read_size(line)
        elif line:
            self._read_trailer(line)
        else:
            self._state = _END
            self.ended = True

    def _read_size(self, line: bytes) -> None:
        match = CHUNK_SIZE.match(line)
        if match is None:
            raise RemoteProtocolError("a chunk size is not a hexadecimal number")
        position = match.end()
        self._extension_bytes += len(line) - position
        if self._extension_bytes > self._options.max_chunk_extensions:
            # RFC 9112 section 7.1.1
            raise RemoteProtocolError("chunk extensions are larger than http.max_chunk_extensions")
        while position < len(line):
            extension = CHUNK_EXTENSION.match(line, position)
            if extension is None:
                raise RemoteProtocolError("a chunk size or extension is malformed")
            position = extension.end()
        self._remaining = int(match[0], 16)
        self._total += self._remaining
        check_body_size(self._total, self._options)
        self._state = _DATA if self._remaining else _TRAILER

    def _read_trailer(self, line: bytes) -> None:
        """RFC 9112 section 7.1.2: field lines under the rules and the limits of the head."""
        self._trailers += 1
        self._trailer_bytes += len(line) + 2
        if self._trailers > self._options.max_fields:
            raise RemoteProtocolError("more trailers than http.max_fields", 431)
        if self._trailer_bytes > self._options.max_trailers:
            raise RemoteProtocolError("the trailers are larger than http.max_trailers", 431)
        name, colon, _ = line.partition(b":")
        if not colon:
            raise RemoteProtocolError("a trailer line without a colon")
        check_field_name(name)
