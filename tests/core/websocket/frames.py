"""Frames as a client sends them, and what a connection makes of them: one way of talking for all tests."""

from __future__ import annotations

from collections.abc import Iterable

from sdserve.core.websocket.connection import CONTROL, WebSocketConnection
from sdserve.core.websocket.deflate import DeflateTerms
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.errors import RemoteProtocolError

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
KEY = b"\x37\xfa\x21\x3d"
"""RFC 6455 section 5.7."""


def mask(payload: bytes, key: bytes = KEY) -> bytes:
    """The slow way, byte by byte, so that it is not the code that is tested."""
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def header(first: int, length: int, *, masked: bool = True) -> bytes:
    bit = 0x80 if masked else 0
    if length < 126:
        return bytes((first, bit | length))
    if length < 0x10000:
        return bytes((first, bit | 126)) + length.to_bytes(2, "big")
    return bytes((first, bit | 127)) + length.to_bytes(8, "big")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, key: bytes = KEY) -> bytes:
    """A masked frame."""
    first = opcode | rsv | (FIN if fin else 0)
    return header(first, len(payload)) + key + mask(payload, key)


def plain(opcode: int, payload: bytes = b"", rsv: int = 0) -> bytes:
    """A whole frame as a server sends it."""
    return header(FIN | rsv | opcode, len(payload), masked=False) + payload


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def message(opcode: int, *fragments: bytes) -> bytes:
    """A message in so many frames."""
    last = len(fragments) - 1
    return b"".join(
        frame(CONTINUATION if index else opcode, fragment, fin=index == last)
        for index, fragment in enumerate(fragments)
    )


class Talk:
    """One connection, what came out of it, and what it wrote. Nothing is asked of it after an error."""

    def __init__(
        self, options: WebSocketOptions | None = None, terms: DeflateTerms | None = None, now: float = 100.0
    ) -> None:
        self.connection = WebSocketConnection(options or WebSocketOptions(), terms, now)
        self.messages: list[str | bytes] = []
        self.written = b""
        self.failed: int | None = None

    def receive(self, data: bytes) -> None:
        connection = self.connection
        connection.receive_data(data)
        try:
            while (event := connection.next_event()) is not None:
                if event is not CONTROL:
                    self.messages.append(event)
        except RemoteProtocolError as error:
            self.failed = error.status
            self.written += connection.take_output() + connection.fail(error)
        self.written += connection.take_output()

    @property
    def facts(self) -> tuple[object, ...]:
        connection = self.connection
        return (
            self.messages, self.written, self.failed, connection.close_code, connection.close_reason,
            connection.over, connection.closed,
        )  # fmt: skip


def talk(
    pieces: Iterable[bytes], options: WebSocketOptions | None = None, terms: DeflateTerms | None = None
) -> Talk:
    talking = Talk(options, terms)
    for piece in pieces:
        if talking.failed is None:
            talking.receive(piece)
    return talking


def said(
    data: bytes, options: WebSocketOptions | None = None, offer: dict[bytes, bytes | None] | None = None
) -> Talk:
    """What becomes of `data`: the same, whole and byte by byte."""

    def terms() -> DeflateTerms | None:
        return DeflateTerms(offer) if offer is not None else None

    whole = talk([data], options, terms())
    bytewise = talk((data[at : at + 1] for at in range(len(data))), options, terms())
    assert bytewise.facts == whole.facts
    return whole


def refused(
    data: bytes, options: WebSocketOptions | None = None, offer: dict[bytes, bytes | None] | None = None
) -> int:
    """The close code that `data` is refused with, which is also on the wire, once, at the end."""
    result = said(data, options, offer)
    assert result.failed is not None, "not refused"
    assert result.written.count(bytes((FIN | CLOSE,))) >= 1
    assert result.connection.over
    assert not result.connection.closed
    return result.failed
