"""Bytes that have arrived and no request has used yet, and where the next head in them ends.

Both parsers read from one of these, so both see the same heads. A head is refused as soon as it can no longer
become a good one; each byte is looked at a bounded number of times, however the bytes were split on the way.
"""

from __future__ import annotations

from sdserve.core.http.options import HttpOptions
from sdserve.core.http.rules import check_head
from sdserve.errors import RemoteProtocolError


class HeadBuffer:
    """What a connection has received and not used."""

    __slots__ = ("_options", "_scanned", "data")

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._scanned = 0
        self.data: bytes | bytearray = b""
        """Mostly the very object that the socket gave; a bytearray only while a head dribbles in."""

    def receive_data(self, data: bytes) -> None:
        if not self.data:
            self.data = data
        else:
            if not isinstance(self.data, bytearray):
                self.data = bytearray(self.data)
            self.data += data

    def maybe_head(self) -> bytes | None:
        """Take the next head out, without the empty line that ends it; None if more bytes are needed.

        Raises:
            RemoteProtocolError: it is too large, or has a byte that no head may have.
        """
        data = self.data
        if not data:
            return None
        if data[0] == 0x0D:
            data = self._skip_empty_lines()
        end = data.find(b"\r\n\r\n", self._scanned)
        if end < 0:
            self._check_partial(data)
            return None
        self._scanned = 0
        self.data = b"" if end + 4 == len(data) else bytes(data[end + 4 :])
        return bytes(data[:end])

    def take(self, most: int) -> bytes:
        """Take out up to `most` bytes."""
        data = self.data
        if len(data) <= most:
            self.data = b""
            return bytes(data)
        self.data = bytes(data[most:])
        return bytes(data[:most])

    def _skip_empty_lines(self) -> bytes | bytearray:
        """RFC 9112 section 2.2: ignore empty lines before the request line."""
        start = 0
        while self.data.startswith(b"\r\n", start):
            start += 2
        if start:
            self.data = self.data[start:]
            self._scanned = 0
        return self.data

    def _check_partial(self, data: bytes | bytearray) -> None:
        options = self._options
        # The new bytes, and what was too near the old end to be judged; a LF there had its CR before it.
        fresh = bytes(data[self._scanned :]).removesuffix(b"\r")
        if self._scanned and fresh.startswith(b"\n"):
            fresh = fresh[1:]
        check_head(fresh, fresh.count(b"\r\n"))
        # What may be the beginning of the line end, or of the empty line, is not counted yet.
        longest = options.max_request_line + 2
        if len(data) >= longest and data.find(b"\r\n", 0, longest) < 0:
            raise RemoteProtocolError("the request line is larger than http.max_request_line", 414)
        if len(data) > options.max_head + 3:
            raise RemoteProtocolError("the head is larger than http.max_head", 431)
        self._scanned = max(0, len(data) - 3)
