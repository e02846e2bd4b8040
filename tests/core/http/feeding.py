"""Bytes into a parser, what it makes of them out: one way of reading for all tests of the parsers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sdserve.core.http.options import HttpOptions
from sdserve.core.http.parser import make_parser
from sdserve.core.http.request import Request
from sdserve.errors import RemoteProtocolError

PARSERS = ("strict", "h11")

NEXT = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"
"""A request that stands behind another one."""


class Message:
    """A request that has come out, its body so far, and after how many bytes each was complete."""

    def __init__(self, request: Request, at: int) -> None:
        self.request = request
        self.head_at = at
        self.body = b""
        self.end_at = at if request.length == 0 else None

    @property
    def line(self) -> str:
        request = self.request
        return f"{request.method} {request.target.decode('ascii')} HTTP/1.{request.minor}"

    def facts(self) -> tuple[object, ...]:
        """Everything that a parser says about the request, but for the fields' values of framing."""
        request = self.request
        return (
            self.line,
            request.path,
            request.query,
            request.length,
            request.keep_alive,
            request.expects_continue,
            request.upgrade,
            [
                (name, value.lower() if name == b"transfer-encoding" else value)
                for name, value in request.fields
            ],
            self.body,
            self.end_at is not None,
        )


class Reading:
    """One parser, and what came out of it. Nothing is asked of it after an error."""

    def __init__(self, options: HttpOptions) -> None:
        self.parser = make_parser(options)
        self.messages: list[Message] = []
        self.error: RemoteProtocolError | None = None
        self.fed = 0

    def feed(self, data: bytes) -> None:
        if self.error is not None:
            return
        self.fed += len(data)
        self.parser.input.receive_data(data)
        try:
            self._ask()
        except RemoteProtocolError as error:
            self.error = error

    def _ask(self) -> None:
        while True:
            last = self.messages[-1] if self.messages else None
            if last is None or last.end_at is not None:
                request = self.parser.next_request()
                if request is None:
                    return
                self.messages.append(Message(request, self.fed))
                continue
            body = self.parser.next_body()
            if body is None:
                return
            last.body += body
            if not body:
                last.end_at = self.fed

    @property
    def facts(self) -> list[tuple[object, ...]]:
        return [message.facts() for message in self.messages]


def read(options: HttpOptions, pieces: Iterable[bytes]) -> Reading:
    reading = Reading(options)
    for piece in pieces:
        reading.feed(piece)
    return reading


def each_byte(data: bytes) -> Iterator[bytes]:
    return (data[position : position + 1] for position in range(len(data)))


def cuts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Cut `data` in two, at each position; long data only near its ends and, in between, now and then."""
    last = len(data)
    for position in range(1, last):
        if position < 200 or position > last - 200 or position % 499 == 0:
            yield data[:position], data[position:]
