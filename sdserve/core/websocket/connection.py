"""One WebSocket connection after its handshake, the server's side, without any I/O: RFC 6455.

Laws:

1. What a frame may be is decided from its header, before its payload has arrived.
2. Nothing is buffered but one frame, the fragments of one message, and the pongs of one call, all bounded.
3. Nothing is parsed after a close frame, nor after an error; nothing but a close frame is sent after one.

The shell's part::

    connection.receive_data(data)
    while (event := connection.next_event()) is not None: ...   # a message, or CONTROL
    transport.write(connection.take_output())                   # pongs and the answer to a close frame
    transport.write(connection.send_text(text))                 # or send_bytes, or send_close
    connection.tick(now, waiting=False)                         # then take_output() again
    if connection.closed: ...                                   # both sides have closed: the transport's end

It is the shell that gives a client up which does not answer a close frame, or does not leave.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from math import inf

from sdserve.core.websocket.codes import (
    ABNORMAL,
    INTERNAL_ERROR,
    INVALID_DATA,
    LONGEST_REASON,
    NO_CODE,
    PROTOCOL_ERROR,
    TOO_BIG,
    may_be_sent,
)
from sdserve.core.websocket.deflate import Deflater, DeflateTerms, Inflater
from sdserve.core.websocket.masking import apply_mask
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.errors import LocalProtocolError, RemoteProtocolError

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_FIN, _RSV1, _RSV, _MASKED = 0x80, 0x40, 0x70, 0x80
_LEAST_PLAIN = _FIN | _TEXT
"""The first byte of a whole message without compression, or of a control frame, is this or more."""
_OPCODES = frozenset({_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG})

_MOST_PONGS = 4096
"""Bytes of pongs that wait to be sent: by RFC 6455 section 5.5.3 the last of many pings may stand for all."""

_LEAST_COMPRESSED = 64
"""Bytes of a message that is worth compressing."""

_DIRECT = 4096
"""A frame longer than this is put together once, when all of it is here, so that no byte is copied often."""

_UTF8 = getincrementaldecoder("utf-8")


Frame = tuple[bytes, bytes]
"""Header and payload: a long one is not copied to be put behind the other."""


class Control:
    """What `next_event` gives for a frame that completes no message."""

    __slots__ = ()


CONTROL = Control()


class WebSocketConnection:
    """The state of one connection."""

    __slots__ = (
        "_at",
        "_awaited",
        "_compressed",
        "_data",
        "_deflater",
        "_fragments",
        "_inflater",
        "_long",
        "_options",
        "_ping",
        "_ping_due",
        "_pong_due",
        "_taken",
        "_text",
        "_utf8",
        "close_code",
        "close_reason",
        "closed",
        "closing",
        "output",
        "over",
    )

    def __init__(self, options: WebSocketOptions, terms: DeflateTerms | None, now: float) -> None:
        self._options = options
        self._deflater = Deflater(terms) if terms is not None else None
        self._inflater = Inflater(terms) if terms is not None else None
        self._data: bytes | bytearray = b""
        self._at = 0
        """Where in `_data` the next frame begins."""
        self._long = bytearray()
        """The beginning of a long frame."""
        self._awaited = 0
        """The length of that frame; 0: there is none."""
        self._fragments: bytearray | None = None
        """The message whose end has not arrived, as far as it is here."""
        self._taken = 0
        """Bytes of its frames, which are fewer if it is compressed."""
        self._text = False
        self._compressed = False
        self._utf8 = _UTF8()
        self.closing = False
        """True once a close frame was sent: no message may be sent any more."""
        self.over = False
        """True once nothing that the client sends is of any interest: it has closed, or broken a rule."""
        self.closed = False
        """True once both sides have sent a close frame; section 7.1.1: the server then ends it all."""
        self.output = b""
        """What is to be sent for the protocol's own sake: see `take_output`."""
        self.close_code = ABNORMAL
        """What the client's close frame said, for the application."""
        self.close_reason = ""
        self._ping = 0
        self._ping_due = now + options.ping_interval if options.ping_interval else inf
        self._pong_due = inf

    # Bytes in

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the socket; then ask `next_event` until it gives None."""
        # So the client is there. In the middle of a long frame it could not send a pong.
        self._pong_due = inf
        if self._awaited:
            self._long += data
        elif self._at == len(self._data):
            self._data = data
            self._at = 0
        else:
            self._data = self._data[self._at :] + data
            self._at = 0

    def next_event(  # noqa: C901 - one flat run over the frame, as each call in it costs every message
        self,
    ) -> str | bytes | Control | None:
        """Return a message, CONTROL for another frame, or None if more bytes are needed.

        Raises:
            RemoteProtocolError: answer with `fail`; its status is the close code.
        """
        if self._awaited and not self._put_together():
            return None
        data = self._data
        at = self._at
        left = len(data) - at
        if left < 2 or self.over:
            return None
        first = data[at]
        length = data[at + 1] - _MASKED
        key_at = at + 2
        if length > 125 or length < 0 or first & _RSV or first & 0x0F not in _OPCODES:
            # Longer than most, or none of the plain ones.
            self._check_header(first, length)
            if length > 125:
                key_at += 2 if length == 126 else 8
                if key_at > len(data):
                    return None
                length = _extended_length(data[at + 2 : key_at])
        opcode = first & 0x0F
        if first < _LEAST_PLAIN or self._fragments is not None or length > self._options.max_message:
            self._check_kind(first, opcode, length)
        payload_at = key_at + 4
        end = payload_at + length
        if end > len(data):
            if end - at > _DIRECT:
                self._long += memoryview(data)[at:]
                self._awaited = end - at
                self._data = b""
                self._at = 0
            return None
        self._at = end
        masked = data[payload_at:end] if length < _DIRECT else memoryview(data)[payload_at:end]
        payload = apply_mask(masked, data[key_at:payload_at])
        if opcode > _BINARY:
            return self._take_control(opcode, payload)
        if first < _FIN or opcode == _CONTINUATION or first & _RSV1:
            return self._take_fragment(first, opcode, payload)
        if opcode == _TEXT:
            try:
                return payload.decode()
            except UnicodeDecodeError as error:
                raise _not_utf8() from error
        return payload

    def _put_together(self) -> bool:
        """Join a long frame once all of it has arrived."""
        if len(self._long) < self._awaited:
            return False
        self._data = self._long
        self._long = bytearray()
        self._awaited = 0
        return True

    def _check_header(self, first: int, length: int) -> None:
        """Refuse what RFC 6455 section 5.2 does not have, from the first two bytes."""
        opcode = first & 0x0F
        if opcode not in _OPCODES:
            raise RemoteProtocolError("a frame with a reserved opcode", PROTOCOL_ERROR)
        if length < 0:
            raise RemoteProtocolError("a frame that is not masked", PROTOCOL_ERROR)  # section 5.1
        rsv = first & _RSV
        # RFC 7692 section 6: the first frame of a message says whether that is compressed.
        if rsv and not (rsv == _RSV1 and self._inflater is not None and opcode in (_TEXT, _BINARY)):
            raise RemoteProtocolError("a frame with a reserved bit", PROTOCOL_ERROR)
        if opcode >= _CLOSE and length > 125:
            raise RemoteProtocolError("a control frame that is too long", PROTOCOL_ERROR)  # section 5.5

    def _check_kind(self, first: int, opcode: int, length: int) -> None:
        """Refuse a frame that does not fit where it stands, or whose message would be too long."""
        if opcode >= _CLOSE:
            if first < _FIN:
                raise RemoteProtocolError("a control frame in fragments", PROTOCOL_ERROR)
            return
        if opcode == _CONTINUATION:
            if self._fragments is None:
                raise RemoteProtocolError("a continuation of nothing", PROTOCOL_ERROR)
            compressed = self._compressed
        elif self._fragments is not None:
            raise RemoteProtocolError("a new message in the middle of another", PROTOCOL_ERROR)
        else:
            compressed = first & _RSV1 != 0
        most = self._options.max_message
        taken = self._taken if opcode == _CONTINUATION else 0
        # What cannot be compressed grows a little: zlib.h, deflateBound.
        if taken + length > (most + (most >> 3) + 128 if compressed else most):
            raise RemoteProtocolError("a message is larger than websocket.max_message", TOO_BIG)

    def _take_fragment(self, first: int, opcode: int, payload: bytes) -> str | bytes | Control:
        """Take a message that is compressed, or a part of a message."""
        final = first >= _FIN
        fragments = self._fragments
        if opcode != _CONTINUATION:
            self._taken = 0
            self._text = opcode == _TEXT
            self._compressed = first & _RSV1 != 0
            self._utf8.reset()
        self._taken += len(payload)
        if self._compressed:
            assert self._inflater is not None
            most = self._options.max_message - len(fragments or b"")
            payload = self._inflater.inflate(payload, most, final)
        if final and fragments is None:
            if not self._text:
                return payload
        else:
            if fragments is None:
                self._fragments = fragments = bytearray()
            fragments += payload
        if self._text:
            try:
                # Section 8.1: each fragment is checked when it arrives.
                text = self._utf8.decode(payload, final)
                if final:
                    return self._joined().decode() if fragments is not None else text
            except UnicodeDecodeError as error:
                raise _not_utf8() from error
        return self._joined() if final else CONTROL

    def _joined(self) -> bytes:
        fragments, self._fragments = self._fragments, None
        assert fragments is not None
        return bytes(fragments)

    def _take_control(self, opcode: int, payload: bytes) -> Control:
        if opcode == _PING:
            if not self.closing:
                pong = _control(_PONG, payload)
                self.output = self.output + pong if len(self.output) < _MOST_PONGS else pong
        elif opcode == _PONG:
            pass  # that bytes have come is all there is to it
        else:
            self._take_close(payload)
        return CONTROL

    def _take_close(self, payload: bytes) -> None:
        """RFC 6455 section 5.5.1."""
        code = NO_CODE
        reason = ""
        if payload:
            code = int.from_bytes(payload[:2], "big")
            if len(payload) < 2 or not may_be_sent(code):
                raise RemoteProtocolError("a close frame without a valid code", PROTOCOL_ERROR)
            try:
                reason = payload[2:].decode()
            except UnicodeDecodeError as error:
                raise _not_utf8() from error
        self.close_code = code
        self.close_reason = reason
        self.over = self.closed = True
        if not self.closing:
            self.closing = True
            self.output += _control(_CLOSE, payload[:2])

    # Bytes out

    def take_output(self) -> bytes:
        """Return what is to be sent for the protocol's own sake; nothing of it is kept."""
        output, self.output = self.output, b""
        return output

    def send_text(self, text: str) -> Frame:
        """Return a message of text as one frame.

        Raises:
            LocalProtocolError: it is no str, or one that has no UTF-8; nothing may be sent.
        """
        if not isinstance(text, str):
            raise LocalProtocolError(f"the application sent a text that is no str but {type(text).__name__}")
        try:
            payload = text.encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"the application sent a text that has no UTF-8: {error}") from error
        if self._deflater is not None and len(payload) >= _LEAST_COMPRESSED:
            payload = self._deflater.compress(payload)
            return _header(_FIN | _RSV1 | _TEXT, len(payload)), payload
        return _header(_FIN | _TEXT, len(payload)), payload

    def send_bytes(self, data: bytes) -> Frame:
        """Return a message of bytes as one frame; LocalProtocolError if they are none."""
        if type(data) is not bytes:
            if not isinstance(data, bytes | bytearray | memoryview):
                raise LocalProtocolError(
                    f"the application sent bytes that are none but {type(data).__name__}"
                )
            data = bytes(data)
        if self._deflater is not None and len(data) >= _LEAST_COMPRESSED:
            data = self._deflater.compress(data)
            return _header(_FIN | _RSV1 | _BINARY, len(data)), data
        return _header(_FIN | _BINARY, len(data)), data

    def send_close(self, code: int, reason: str) -> bytes:
        """Return a close frame, b"" if one was sent; its reason is cut where a frame ends.

        Raises:
            LocalProtocolError: no close frame may say that; nothing may be sent.
        """
        if not may_be_sent(code):
            raise LocalProtocolError(f"the application sent {code}, which is no close code")
        if self.closing:
            return b""
        words = reason.encode(errors="replace")
        if len(words) > LONGEST_REASON:
            # Not in the middle of a character.
            words = words[:LONGEST_REASON].decode(errors="ignore").encode()
        self.closing = True
        self.output = b""
        return _control(_CLOSE, code.to_bytes(2, "big") + words)

    def fail(self, error: RemoteProtocolError) -> bytes:
        """The client broke a rule: return a close frame that says so (section 7.1.7), b"" if one was sent."""
        data = self.send_close(error.status, str(error))
        self.over = True
        self._data = b""
        self._at = self._awaited = 0
        self._long = bytearray()
        self._fragments = None
        return data

    # Time

    def tick(self, now: float, waiting: bool) -> None:
        """Ask whether the client is still there, by a ping for `take_output`, when it is time for that.

        Args:
            now: seconds.
            waiting: nothing was read from the client, or it did not read, for reasons of our own or its own;
                nothing can be said about it now.

        Raises:
            RemoteProtocolError: it has not answered; as with `next_event`.
        """
        if self.closing:
            return  # how long it may take from now on is the shell's to say
        if waiting:
            if self._pong_due != inf:
                self._pong_due = now + self._options.ping_timeout
        elif self._pong_due <= now:
            raise RemoteProtocolError("no answer to a ping within websocket.ping_timeout", INTERNAL_ERROR)
        elif self._ping_due <= now:
            self._ping_due = now + self._options.ping_interval
            self._ping += 1
            self.output += _control(_PING, b"%d" % self._ping)
            if self._options.ping_timeout and self._pong_due == inf:
                self._pong_due = now + self._options.ping_timeout


def _extended_length(raw: bytes | bytearray) -> int:
    """RFC 6455 section 5.2: the shortest form, and no 64th bit."""
    length = int.from_bytes(raw, "big")
    if length < (126 if len(raw) == 2 else 0x10000) or length >> 63:
        raise RemoteProtocolError("a frame whose length is not in its shortest form", PROTOCOL_ERROR)
    return length


def _header(first: int, length: int) -> bytes:
    """Section 5.2; a server masks nothing (section 5.1)."""
    if length < 126:
        return bytes((first, length))
    if length < 0x10000:
        return bytes((first, 126, length >> 8, length & 0xFF))
    return bytes((first, 127)) + length.to_bytes(8, "big")


def _control(opcode: int, payload: bytes) -> bytes:
    return bytes((_FIN | opcode, len(payload))) + payload


def _not_utf8() -> RemoteProtocolError:
    return RemoteProtocolError("a text that is not UTF-8", INVALID_DATA)
