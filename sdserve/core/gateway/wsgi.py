"""What a request means to a WSGI application, and what its answer means to us: PEP 3333."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from sdserve.core.http.request import Field, Request
from sdserve.errors import LocalProtocolError

_VARIABLES: dict[bytes, str] = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
"""Field name -> environ key, "" for one that is dropped; one dictionary per process, never more than ..."""
_MOST_VARIABLES = 1024
_LONGEST_NAME = 64

_STATUS = re.compile(r"[2-9][0-9][0-9](?: [\t -~\x80-\xff]*)?")
_STATUS_LINES: dict[str, bytes] = {}
_MOST_STATUS_LINES = 256


def _learn_variable(name: bytes) -> str:
    # A name with `_` would be taken for the one with `-`, so a client could forge what a proxy sets. The body
    # has been decoded when the application sees it, so the coding it came in is not told.
    dropped = b"_" in name or name == b"transfer-encoding"
    variable = "" if dropped else "HTTP_" + name.decode("ascii").upper().replace("-", "_")
    if len(_VARIABLES) < _MOST_VARIABLES and len(name) <= _LONGEST_NAME:
        _VARIABLES[name] = variable
    return variable


def make_environ(request: Request, standing: dict[str, Any], body_size: int) -> dict[str, Any]:
    """Return a new environ for `request`.

    Args:
        request: the head.
        standing: what all requests of the connection have in common; copied.
        body_size: bytes of the complete body.
    """
    environ = standing.copy()
    environ["REQUEST_METHOD"] = request.method
    path = request.path
    # PEP 3333: native strings that hold bytes, latin-1 decoded.
    decoded = (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1")
    environ["PATH_INFO"] = decoded
    if (origin := request.origin) is not None:
        environ["REMOTE_ADDR"], port = origin.client or ("", 0)
        environ["REMOTE_PORT"] = str(port or "")
        environ["wsgi.url_scheme"] = origin.scheme
        environ["SCRIPT_NAME"] = origin.root_path
        environ["PATH_INFO"] = decoded[len(origin.root_path) - len(origin.prefix) :]
    environ["QUERY_STRING"] = request.query.decode("ascii")
    environ["SERVER_PROTOCOL"] = "HTTP/1.1" if request.minor else "HTTP/1.0"
    variables = _VARIABLES
    for name, value in request.fields:
        variable = variables.get(name)
        if variable is None:
            variable = _learn_variable(name)
        if not variable:
            continue
        text = value.decode("latin-1")
        if variable in environ:
            # RFC 9110 section 5.3; cookies join with a semicolon (RFC 9113 section 8.2.3).
            text = environ[variable] + ("; " if variable == "HTTP_COOKIE" else ", ") + text
        environ[variable] = text
    if request.length:
        environ["CONTENT_LENGTH"] = str(body_size)
    return environ


def status_line(status: str) -> bytes:
    """Return the status line without its CRLF for what the application gave as `status`.

    Raises:
        LocalProtocolError: not three digits, a space and a reason.
    """
    line = _STATUS_LINES.get(status)
    if line is None:
        if not isinstance(status, str) or _STATUS.fullmatch(status) is None:
            raise LocalProtocolError(f"the application sent a bad status: {status!r}")
        line = b"HTTP/1.1 " + status.encode("latin-1")
        if len(status) == 3:
            line += b" "
        if len(_STATUS_LINES) < _MOST_STATUS_LINES:
            _STATUS_LINES[status] = line
    return line


_HOP_BY_HOP = frozenset(
    {
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""The server's own business: RFC 9110 section 7.6.1, and PEP 3333, "Other HTTP Features"."""
_FIELD_NAMES: dict[str, bytes] = {}
"""Name as the application wrote it -> as bytes; one dictionary per process, never more than ..."""
_MOST_FIELD_NAMES = 1024


def _field_name(name: str, value: str) -> bytes:
    lower = name.lower()
    if lower == "connection":
        # Frameworks send these two, whatever the rule says. Not remembered, so each value is looked at.
        if value.strip().lower() not in ("close", "keep-alive"):
            raise LocalProtocolError(f"the application sent a Connection that is the server's: {value!r:.80}")
        return name.encode("latin-1")
    if lower in _HOP_BY_HOP:
        raise LocalProtocolError(f"the application sent {name}, which belongs to the connection, not to it")
    encoded = name.encode("latin-1")
    if len(_FIELD_NAMES) < _MOST_FIELD_NAMES and len(name) <= _LONGEST_NAME:
        _FIELD_NAMES[name] = encoded
    return encoded


def encode_fields(headers: Iterable[tuple[str, str]]) -> list[Field]:
    """Return the application's headers as bytes.

    Raises:
        LocalProtocolError: not pairs of native strings in latin-1, or a hop-by-hop field.
    """
    names = _FIELD_NAMES
    try:
        return [
            (names.get(name) or _field_name(name, value), value.encode("latin-1")) for name, value in headers
        ]
    except (AttributeError, TypeError, ValueError) as error:
        raise LocalProtocolError(
            f"the application sent headers that are not latin-1 strings: {error}"
        ) from error


def promised_length(fields: Iterable[Field]) -> int | None:
    """Return the Content-Length among the application's fields, None if there is none."""
    for name, value in fields:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return None
