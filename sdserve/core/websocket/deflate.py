"""permessage-deflate (RFC 7692): what is agreed on, and compressors that never make more than asked for.

Laws:

1. No message is inflated beyond its limit: what would be longer is known after one byte more than that.
2. A compressor or decompressor is made when it is first needed: who compresses nothing has none.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from sdserve.core.websocket.codes import INVALID_DATA, TOO_BIG
from sdserve.errors import RemoteProtocolError

EXTENSION = b"permessage-deflate"

_TAIL = b"\x00\x00\xff\xff"
"""What a sender cuts off the end of a message: RFC 7692 section 7.2.1."""

_PADDINGS = (b"", b"\x00", _TAIL, b"\x00" + _TAIL)
"""What may stand behind the end of a deflate stream: section 7.2.3.4, and the tail that we put there."""

_WINDOW_BITS = 12
"""At most, where the client lets us choose: 4 KiB of history compress text nearly as well as 32 KiB, in an
eighth of the memory. The websockets library chose the same."""
_LARGEST_WINDOW = 15
_MEMORY_LEVEL = 5
_LEVEL = 6

_BITS = {b"%d" % bits: bits for bits in range(8, 16)}
"""RFC 7692 section 7.1.2: without leading zeros."""
_LEAST_BITS = 9
"""zlib cannot compress raw data with a window of 8 bits (zlib.h, deflateInit2)."""

_FLAGS = (b"server_no_context_takeover", b"client_no_context_takeover")
_SERVER_BITS = b"server_max_window_bits"
_CLIENT_BITS = b"client_max_window_bits"


class DeflateTerms:
    """What server and client have agreed on; `answer` is the extension as the response names it."""

    __slots__ = ("answer", "client_bits", "client_forgets", "server_bits", "server_forgets")

    def __init__(self, offer: Mapping[bytes, bytes | None]) -> None:
        """Agree to an offer that is `acceptable`."""
        self.server_forgets = _FLAGS[0] in offer
        """Whether each of our messages is compressed without knowledge of those before."""
        self.client_forgets = _FLAGS[1] in offer
        self.server_bits = min(_BITS.get(offer.get(_SERVER_BITS) or b"", _WINDOW_BITS), _WINDOW_BITS)
        self.client_bits = _LARGEST_WINDOW
        answer = [EXTENSION, *(flag for flag in _FLAGS if flag in offer)]
        # Section 7.1.2.1: it may stand in the response whether or not it was offered.
        answer.append(b"%s=%d" % (_SERVER_BITS, self.server_bits))
        if _CLIENT_BITS in offer:
            self.client_bits = min(_BITS.get(offer[_CLIENT_BITS] or b"", _WINDOW_BITS), _WINDOW_BITS)
            answer.append(b"%s=%d" % (_CLIENT_BITS, self.client_bits))
        self.answer = b"; ".join(answer)


def acceptable(offer: Mapping[bytes, bytes | None]) -> bool:
    """Whether an offer can be agreed to: RFC 7692 section 7 wants all others to be declined.

    Args:
        offer: parameter to value, None for one without.
    """
    for name, value in offer.items():
        if name in _FLAGS:
            if value is not None:
                return False
        elif name == _SERVER_BITS:
            if _BITS.get(value or b"", 0) < _LEAST_BITS:
                return False
        elif name != _CLIENT_BITS or not (value is None or value in _BITS):
            return False
    return True


class Deflater:
    """Compresses our messages."""

    __slots__ = ("_compressor", "_terms")

    def __init__(self, terms: DeflateTerms) -> None:
        self._terms = terms
        self._compressor: zlib._Compress | None = None

    def compress(self, data: bytes) -> bytes:
        """Return the payload that stands for a whole message: RFC 7692 section 7.2.1."""
        compressor = self._compressor
        if compressor is None:
            compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -self._terms.server_bits, _MEMORY_LEVEL)
            if not self._terms.server_forgets:
                self._compressor = compressor
        return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Inflater:
    """Decompresses the client's messages, fragment by fragment."""

    __slots__ = ("_decompressor", "_terms")

    def __init__(self, terms: DeflateTerms) -> None:
        self._terms = terms
        self._decompressor: zlib._Decompress | None = None

    def inflate(self, data: bytes, most: int, final: bool) -> bytes:
        """Return what the next fragment of a message stands for: RFC 7692 section 7.2.2.

        Args:
            data: the fragment's payload.
            most: bytes that the message may still have.
            final: whether the message ends with it.

        Raises:
            RemoteProtocolError: it is longer than that, or no deflated data.
        """
        decompressor = self._decompressor
        if decompressor is None:
            self._decompressor = decompressor = zlib.decompressobj(-self._terms.client_bits)
        if final:
            data += _TAIL
        try:
            inflated = decompressor.decompress(data, most + 1)
        except zlib.error as error:
            raise RemoteProtocolError("a compressed message is no deflated data", INVALID_DATA) from error
        if len(inflated) > most:
            raise RemoteProtocolError("a message is larger than websocket.max_message", TOO_BIG)
        # A sender without Z_SYNC_FLUSH ends the stream, and pads it: section 7.2.3.4.
        if decompressor.eof and decompressor.unused_data not in _PADDINGS:
            raise RemoteProtocolError("a compressed message goes on behind its end", INVALID_DATA)
        if final and (self._terms.client_forgets or decompressor.eof):
            self._decompressor = None
        return inflated
