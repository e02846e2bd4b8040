"""A connection without a socket: what the client sends, what the application answers, what is on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sdserve.core.http.connection import Connection
from sdserve.core.http.options import HttpOptions
from sdserve.core.http.request import Field, Request
from sdserve.core.http.response import make_standing, status_line
from sdserve.errors import RemoteProtocolError

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECTING = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
STANDING = make_standing("Thu, 01 Jan 1970 00:00:00 GMT", "test")


def post(length: int, *fields: bytes) -> bytes:
    lines = [b"POST / HTTP/1.1", b"Host: a", b"Content-Length: %d" % length, *fields, b"", b""]
    return b"\r\n".join(lines)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was written, taken apart."""

    status: bytes
    fields: dict[bytes, bytes]
    body: bytes

    @classmethod
    def of(cls, data: bytes) -> Answer:
        head, separator, body = data.partition(b"\r\n\r\n")
        assert separator, data
        status, *lines = head.split(b"\r\n")
        fields = [line.partition(b": ")[::2] for line in lines]
        assert len(dict(fields)) == len(fields), f"a field came twice: {lines}"
        return cls(status, dict(fields), body)


class Dialogue:
    """Drives one Connection; its clock stands still until a test moves it."""

    def __init__(self, **options: object) -> None:
        self.now = 1000.0
        self.connection = Connection(HttpOptions(**options), self.now)  # type: ignore[arg-type]

    def receive(self, data: bytes) -> list[Request | bytes]:
        """Bytes of the client's; the events that follow."""
        self.connection.receive_data(data, self.now)
        return self.events()

    def events(self) -> list[Request | bytes]:
        events = []
        while (event := self.connection.next_event(self.now)) is not None:
            events.append(event)
        return events

    def refused(self, data: bytes) -> int:
        """The status that bytes of the client's are refused with."""
        self.connection.receive_data(data, self.now)
        try:
            self.events()
        except RemoteProtocolError as error:
            return error.status
        raise AssertionError("not refused")

    def start(
        self,
        status: int = 200,
        fields: Iterable[Field] = (),
        body: bytes = b"",
        *,
        more: bool = False,
    ) -> bytes:
        return self.connection.send_response(
            status_line(status), list(fields), body, more, STANDING, self.now
        )

    def answer(self, status: int = 200, fields: Iterable[Field] = (), body: bytes = b"") -> Answer:
        return Answer.of(self.start(status, fields, body))

    def data(self, body: bytes, *, more: bool = True) -> bytes:
        return self.connection.send_data(body, more, self.now)

    def wait(self, seconds: float) -> bool:
        """Let time pass; whether the deadline has then passed."""
        self.now += seconds
        return self.connection.deadline <= self.now
