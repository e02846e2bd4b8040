"""Reading answers: bytes in, whole answers out, strictly: no mistake looks like an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_LONGEST_HEAD = 64 * 1024


class GarbledError(Exception):
    """What came is not an answer of HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    fields: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def announces_close(self) -> bool:
        return "close" in self.fields.get("connection", "").lower()


class AnswerReader:
    """Takes the bytes of one connection apart (RFC 9112)."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    @property
    def begun(self) -> bool:
        """Whether there are bytes that no answer has used yet."""
        return bool(self._buffer)

    def next(self) -> Answer | None:
        """Return the next whole answer, None while it is not all there; GarbledError if it never will be."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _LONGEST_HEAD:
                raise GarbledError("a head that does not end")
            return None
        status, fields = _parse_head(bytes(self._buffer[:end]))
        if "transfer-encoding" in fields:
            if fields["transfer-encoding"] != "chunked" or "content-length" in fields:
                raise GarbledError(f"a doubtful length: {fields}")
            found = self._chunked_body(end + 4)
        elif (length := fields.get("content-length", "")).isdecimal():
            stop = end + 4 + int(length)
            found = (bytes(self._buffer[end + 4 : stop]), stop) if len(self._buffer) >= stop else None
        else:
            raise GarbledError(f"no length: {fields}")
        if found is None:
            return None
        body, stop = found
        del self._buffer[:stop]
        return Answer(status, fields, body)

    def _chunked_body(self, position: int) -> tuple[bytes, int] | None:
        """The body whose first chunk is at `position`, and where it ends; None as long as it does not."""
        pieces: list[bytes] = []
        while (line := self._buffer.find(b"\r\n", position)) >= 0:
            size_text = bytes(self._buffer[position:line])
            if not _CHUNK_SIZE.fullmatch(size_text):
                raise GarbledError(f"not the size of a chunk: {size_text[:40]!r}")
            begin = line + 2
            end = begin + int(size_text, 16)
            if len(self._buffer) < end + 2:
                return None
            if self._buffer[end : end + 2] != b"\r\n":
                raise GarbledError("a chunk, or the trailer, does not end where it has to")
            if begin == end:
                return b"".join(pieces), end + 2
            pieces.append(bytes(self._buffer[begin:end]))
            position = end + 2
        return None


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.split(b"\r\n")
    if (match := _STATUS_LINE.match(first)) is None:
        raise GarbledError(f"not a status line: {first[:80]!r}")
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or name.lower() in fields:
            raise GarbledError(f"not a field, or one given twice: {line[:80]!r}")
        fields[name.lower()] = value.strip()
    return int(match[1]), fields
