"""A third reader, only for comparison: RFC 9112 in four patterns, over bytes that are all here.

It shares nothing with the parsers, which share their reading of chunks with each other.
"""

from __future__ import annotations

import re

from tests.fuzz.generate import Meant

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINE = rb"[^\x00-\x08\x0a-\x1f\x7f]*\r\n"
_FIELDS = rb"((?:" + _TOKEN + rb":" + _LINE + rb")*)\r\n"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_EXTENSION = rb"[ \t]*;[ \t]*" + _TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?"

HEAD = re.compile(rb"(?:\r\n)*(" + _TOKEN + rb") ([!-\"$-~]+) HTTP/1\.[0-9]\r\n" + _FIELDS)
SIZE = re.compile(rb"([0-9A-Fa-f]+)(?:" + _EXTENSION + rb")*\r\n")
TRAILERS = re.compile(_FIELDS)
LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]+)")
CODING = re.compile(rb"(?im)^transfer-encoding:[ \t]*chunked[ \t]*\r$")


def read_all(data: bytes) -> list[Meant]:
    """The complete requests at the beginning of `data`, up to the first that is not one."""
    requests = []
    position = 0
    while (head := HEAD.match(data, position)) is not None:
        length = LENGTH.search(head[3])
        if CODING.search(head[3]) is not None:
            found = _read_chunks(data, head.end())
        else:
            end = head.end() + (int(length[1]) if length is not None else 0)
            found = (data[head.end() : end], end) if end <= len(data) else None
        if found is None:
            break
        body, position = found
        requests.append(Meant(head[1].decode(), head[2], body))
    return requests


def _read_chunks(data: bytes, position: int) -> tuple[bytes, int] | None:
    """The payload and where it ends; None if it does not, or is not well-formed."""
    body = b""
    while (size := SIZE.match(data, position)) is not None:
        count = int(size[1], 16)
        if count == 0:
            trailers = TRAILERS.match(data, size.end())
            return (body, trailers.end()) if trailers is not None else None
        position = size.end() + count + 2
        if data[position - 2 : position] != b"\r\n":
            return None
        body += data[size.end() : position - 2]
    return None
