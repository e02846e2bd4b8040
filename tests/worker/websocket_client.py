"""A WebSocket client without any idea of its own about what it may do: frames out, frames in."""

from __future__ import annotations

from tests.core.websocket.frames import CLOSE, TEXT, close, frame
from tests.worker.serving import Client, Worker

FIELDS = {
    "Host": "a",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def handshake(target: str = "/", *more: str, **changes: str | None) -> bytes:
    """A request for a WebSocket; `Sec_WebSocket_Key=None` leaves a field out."""
    fields = FIELDS | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines, *more, "", ""]).encode()


class Socket:
    """An open WebSocket over a raw connection."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @classmethod
    def open(cls, worker: Worker, target: str = "/", *more: str, receive_buffer: int = 0) -> Socket:
        client = worker.connect(receive_buffer)
        client.send(handshake(target, *more))
        status, fields = client.head()
        assert status == 101, status
        opened = cls(client)
        opened.fields = fields
        return opened

    fields: dict[str, str]

    def send(self, opcode: int, payload: bytes = b"", **more: int) -> None:
        self.client.send(frame(opcode, payload, **more))

    def text(self, text: str) -> None:
        self.send(TEXT, text.encode())

    def frame(self) -> tuple[int, bytes]:
        """The next frame: its first byte and its payload. It is not masked."""
        first, length = self.client.read(2)
        if length > 125:
            length = int.from_bytes(self.client.read(2 if length == 126 else 8), "big")
        return first, self.client.read(length)

    def message(self) -> bytes:
        """The payload of the next frame, which is a whole text or binary message."""
        first, payload = self.frame()
        assert first in (0x81, 0x82), first
        return payload

    def closed(self) -> tuple[int | None, str]:
        """The code and the reason of the close frame that is next."""
        first, payload = self.frame()
        assert first == 0x80 | CLOSE, (first, payload)
        return (int.from_bytes(payload[:2], "big"), payload[2:].decode()) if payload else (None, "")

    def close(self, code: int | None = 1000, reason: bytes = b"") -> tuple[int | None, str]:
        """Close in order; what the server answered. The server has then ended the connection."""
        self.client.send(close(code, reason))
        answer = self.closed()
        assert self.client.is_over()
        return answer
