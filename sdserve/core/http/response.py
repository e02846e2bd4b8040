"""Response heads as bytes, and the rules for the fields an application may send.

Laws: a field's name is checked once and then remembered; a whole head is checked for CR, LF and NUL in one
pass, so nothing an application puts into a status, a name or a value can start a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from sdserve.core.http.grammar import CONTROLS, TOKEN
from sdserve.core.http.request import Field
from sdserve.errors import LocalProtocolError

_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    # RFC 9110 section 15.5 has new ones, and Python since 3.13.
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
_STATUS_LINES = {code: f"HTTP/1.1 {code} {phrase}".encode() for code, phrase in _PHRASES.items()}

PLAIN, CONTENT_LENGTH_FIELD, CONNECTION, DATE, SERVER, DROPPED = range(6)
"""What a name means to us."""

_KINDS = {
    b"content-length": CONTENT_LENGTH_FIELD,
    b"connection": CONNECTION,
    b"date": DATE,
    b"server": SERVER,
    # The server's own business (RFC 9110 section 7.6.1; the ASGI specification says to ignore it).
    b"transfer-encoding": DROPPED,
    b"keep-alive": DROPPED,
}

_NAMES: dict[bytes, tuple[bytes, int]] = {}
"""Name as the application wrote it -> (b"name: ", kind); one dictionary per process, never more than ..."""
_MOST_NAMES = 1024
_LONGEST_NAME = 64
_LONGEST_LENGTH = 18


def _learn(name: bytes) -> tuple[bytes, int]:
    if TOKEN.fullmatch(name) is None:
        raise LocalProtocolError(f"the application sent a field name that is not a token: {name!r}")
    entry = (name + b": ", _KINDS.get(name.lower(), PLAIN))
    if len(_NAMES) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
        _NAMES[name] = entry
    return entry


_NOT_IN_TRAILERS = frozenset(
    b"age authorization cache-control connection content-encoding content-length content-range content-type "
    b"date expect expires host keep-alive location max-forwards pragma proxy-authenticate "
    b"proxy-authorization range retry-after set-cookie te trailer transfer-encoding upgrade vary warning "
    b"www-authenticate".split()
)
"""Framing, routing, control data, authentication, what is needed before the body: RFC 9110 section 6.5.1."""

_EARLY_HINTS = b"HTTP/1.1 103 Early Hints"


def early_hints(fields: Iterable[Field]) -> bytes:
    """Return a whole interim response: RFC 8297.

    Raises:
        LocalProtocolError: a field would break the head, or belongs to a connection or a body.
    """
    lines = [_EARLY_HINTS]
    for name, value in fields:
        prefix, kind = _NAMES.get(name) or _learn(name)
        if kind in (CONTENT_LENGTH_FIELD, CONNECTION, DROPPED):
            raise LocalProtocolError(f"the application sent {name!r} in an interim response")
        lines.append(prefix + value)
    return _checked(lines) + b"\r\n\r\n"


def trailer_section(fields: Iterable[Field]) -> bytes:
    """Return trailer fields, each with its line end: RFC 9112 section 7.1.2.

    Raises:
        LocalProtocolError: a field would break the message, or may not be a trailer (RFC 9110 section 6.5.1).
    """
    lines = []
    for name, value in fields:
        prefix, _ = _NAMES.get(name) or _learn(name)
        if name.lower() in _NOT_IN_TRAILERS:
            raise LocalProtocolError(f"the application sent {name!r}, which cannot be a trailer")
        lines.append(prefix + value)
    return _checked(lines) + b"\r\n" if lines else b""


def _checked(lines: list[bytes]) -> bytes:
    """Join lines, none of which may hold the beginning of another."""
    block = b"\r\n".join(lines)
    # All that may be found is the CRLF between the lines.
    if len(block) - len(block.translate(None, CONTROLS)) != 2 * len(lines) - 2:
        raise LocalProtocolError("the application sent a control character in a header or in the status")
    return block


def status_line(status: int) -> bytes:
    """Return the status line without its CRLF, with the standard reason phrase or none.

    Raises:
        LocalProtocolError: not a final status (RFC 9110 section 15).
    """
    if not 200 <= status <= 999:
        raise LocalProtocolError(f"the application sent {status}, which is not a final status")
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status


Standing = tuple[bytes, bytes, bytes, bytes]
"""Our own Date and Server lines, each with a CRLF before it: both, without Date, without Server, neither."""


def make_standing(date: str, server: str) -> Standing:
    """Return the lines that every response carries unless the application sent its own.

    Args:
        date: an IMF-fixdate (RFC 9110 section 5.6.7).
        server: empty for no Server field.
    """
    date_line = f"\r\ndate: {date}".encode("ascii")
    server_line = f"\r\nserver: {server}".encode("latin-1") if server else b""
    return date_line + server_line, server_line, date_line, b""


class Head:
    """What the fields of a response say, and the lines made of them."""

    __slots__ = ("close", "length", "lines", "own")

    def __init__(self, status: bytes, fields: Iterable[Field]) -> None:
        """Check and encode.

        Args:
            status: the status line without its CRLF.
            fields: name and value each; names in any case.

        Raises:
            LocalProtocolError: a value, a name or the status would break the head, or the lengths conflict.
        """
        self.lines = lines = [status]
        self.length: int | None = None
        self.close = False
        self.own = 0
        names = _NAMES
        for name, value in fields:
            prefix, kind = names.get(name) or _learn(name)
            if kind == PLAIN or self._keeps(kind, value):
                lines.append(prefix + value)

    def _keeps(self, kind: int, value: bytes) -> bool:
        """Note a field of ours; False if the line is not to be sent as it is."""
        if kind == CONTENT_LENGTH_FIELD:
            # bytes.isdigit knows ASCII only, which is what RFC 9110 section 8.6 wants.
            if self.length is not None or not value.isdigit() or len(value) > _LONGEST_LENGTH:
                raise LocalProtocolError(f"the application sent a bad or second Content-Length: {value!r}")
            self.length = int(value)
            # RFC 9110 section 8.6: never with 204. Django and Quart say 0. With 205 it is ours.
            return self.lines[0][9:12] not in (b"204", b"205")
        if kind == CONNECTION:
            self.close = self.close or b"close" in value.lower()
            # RFC 9110 section 15.5.22: it says what to upgrade to.
            return value.lower() == b"upgrade" and self.lines[0][9:12] == b"426"
        if kind == DATE:
            self.own |= 1
        elif kind == SERVER:
            self.own |= 2
        return kind != DROPPED

    def encode(self, standing: Standing) -> bytes:
        """Return the head with the empty line that ends it."""
        return _checked(self.lines) + standing[self.own] + b"\r\n\r\n"


def chunk(body: bytes, more: bool) -> bytes:
    """A part of a body in chunks, RFC 9112 section 7.1; none of an empty part, for that would be the end."""
    if not body:
        return b"" if more else b"0\r\n\r\n"
    if more:
        return b"%x\r\n%b\r\n" % (len(body), body)
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
