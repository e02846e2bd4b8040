"""What a head means: the rules that both parsers share, each with its section of RFC 9110 or 9112.

There is one decision about the length of a message, and it is taken here. Everything that could be read in
two ways is refused: what one server reads as a body another reads as the next request.
"""

from __future__ import annotations

from sdserve.core.http.grammar import CONTENT_LENGTH, CONTROLS, HOST, TARGET_CHARACTERS, TOKEN, VERSION
from sdserve.core.http.options import HttpOptions
from sdserve.core.http.request import CHUNKED, Field, Request
from sdserve.core.proxy import names as proxied
from sdserve.errors import RemoteProtocolError

SPECIAL = proxied.ALL | {
    b"host",
    b"content-length",
    b"transfer-encoding",
    b"connection",
    b"expect",
    b"upgrade",
}
"""Names of the fields that `apply_fields` reads; the others are the application's."""

_METHODS = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
}


def method_name(raw: bytes) -> str:
    """Return the method; RFC 9110 section 9.1: a case-sensitive token, whose meaning is the application's."""
    if TOKEN.fullmatch(raw) is None:
        raise RemoteProtocolError("the method is not a token")
    name = raw.decode("ascii")
    if name == "CONNECT":
        raise RemoteProtocolError("CONNECT is for proxies", 501)
    return name


def minor_version(raw: bytes) -> int:
    """Return 0 or 1; RFC 9112 section 2.3. A higher minor version of 1 is answered as 1.1."""
    match = VERSION.fullmatch(raw)
    if match is None:
        raise RemoteProtocolError("the version is not HTTP/DIGIT.DIGIT")
    if match[1] != b"1":
        raise RemoteProtocolError("only HTTP/1.0 and HTTP/1.1 are served here", 505)
    return min(int(match[2]), 1)


def check_head(head: bytes, line_ends: int) -> None:
    """Refuse NUL and other controls, bare CR and bare LF anywhere in `head`.

    RFC 9110 section 5.5, 9112 section 2.2. `line_ends` is how many CRLF `head` has.
    """
    if len(head) - len(head.translate(None, CONTROLS)) != 2 * line_ends:
        raise RemoteProtocolError("a bare CR or LF, or another control character, in the head")


def check_head_limits(lines: list[bytes], size: int, options: HttpOptions) -> None:
    """Refuse a head of `size` bytes whose `lines`, the request line first, are too many or too long."""
    if len(lines[0]) > options.max_request_line:
        raise RemoteProtocolError("the request line is larger than http.max_request_line", 414)
    if len(lines) - 1 > options.max_fields:
        raise RemoteProtocolError("the head has more fields than http.max_fields", 431)
    if size > options.max_head:
        raise RemoteProtocolError("the head is larger than http.max_head", 431)
    # No field of a head that is smaller than the limit of one field can be larger than that.
    if size > options.max_field and max(map(len, lines[1:]), default=0) > options.max_field:
        raise RemoteProtocolError("a field is larger than http.max_field", 431)


def check_field_name(name: bytes) -> bytes:
    """Return `name` in lower case; RFC 9112 section 5.1: a token, so no space before the colon."""
    if TOKEN.fullmatch(name) is None:
        if name[:1] in (b" ", b"\t"):
            raise RemoteProtocolError("a folded field line")  # RFC 9112 section 5.2
        raise RemoteProtocolError("a field name is not a token")
    return name.lower()


def make_request(
    request_line: bytes, fields: list[Field], special: list[Field], options: HttpOptions
) -> Request:
    """Build a request from its first line and its checked fields, and apply every rule.

    Args:
        request_line: without its CRLF, no control character but HTAB left in it.
        fields: all fields; names in lower case, values stripped.
        special: those of them whose name is in `SPECIAL`.
        options: for `max_body`.

    Raises:
        RemoteProtocolError: the status it carries is the answer.
    """
    try:
        method, target, version = request_line.split(b" ")
    except ValueError:
        raise RemoteProtocolError(
            "the request line does not have three parts"
        ) from None  # RFC 9112 section 3
    if target.translate(None, TARGET_CHARACTERS):
        raise RemoteProtocolError("a character that no request target may have")
    request = Request(
        _METHODS.get(method) or method_name(method),
        target,
        1 if version == b"HTTP/1.1" else minor_version(version),
        fields,
    )
    apply_fields(request, special, options)
    if target[:1] != b"/":
        _apply_target(request)
    return request


def _apply_target(request: Request) -> None:
    """Handle the forms of RFC 9112 section 3.2 other than origin-form."""
    target = request.target
    if target == b"*":
        if request.method != "OPTIONS":
            raise RemoteProtocolError("a target of * is for OPTIONS")
        return
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise RemoteProtocolError("the target is neither a path nor an http URI")
    split = min(position for position in (rest.find(b"/"), rest.find(b"?"), len(rest)) if position >= 0)
    authority = rest[:split]
    if not authority or HOST.fullmatch(authority) is None or authority.startswith(b":"):
        raise RemoteProtocolError(
            "the target has no valid host"
        )  # RFC 9110 section 4.2.1; no userinfo (4.2.4)
    path, _, request.query = rest[split:].partition(b"?")
    request.path = path or b"/"
    # Section 3.2.2: the authority replaces whatever Host says.
    request.fields = [field for field in request.fields if field[0] != b"host"]
    request.fields.insert(0, (b"host", authority))


_HOSTS: set[bytes] = set()
"""Values of Host that have passed; one set per process, never more than ..."""
_MOST_HOSTS = 256
_LONGEST_HOST = 256


def _check_host(value: bytes) -> None:
    """RFC 9112 section 3.2."""
    if HOST.fullmatch(value) is None:
        raise RemoteProtocolError("Host is not valid")
    if len(_HOSTS) < _MOST_HOSTS and len(value) <= _LONGEST_HOST:
        _HOSTS.add(value)


def apply_fields(  # noqa: C901 - one flat branch a field is the plainest form, and the fastest
    request: Request, special: list[Field], options: HttpOptions
) -> None:
    """Set length, persistence and expectation from the fields that decide them."""
    hosts = 0
    lengths: list[bytes] | None = None
    codings: list[bytes] | None = None
    connection: list[bytes] | None = None
    for name, value in special:
        if name == b"host":
            hosts += 1
            if value not in _HOSTS:
                _check_host(value)
        elif name == b"connection":
            connection = (connection or []) + value.lower().split(b",")
        elif name == b"content-length":
            lengths = (lengths or []) + value.split(b",")
        elif name == b"transfer-encoding":
            codings = (codings or []) + value.lower().split(b",")
        elif name == b"expect":
            _apply_expect(request, value)
        elif name != b"upgrade":
            if request.proxied is None:
                request.proxied = []
            request.proxied.append((name, value))
        elif request.minor:  # RFC 9110 section 7.8: not in HTTP/1.0
            request.upgrade = request.upgrade + b", " + value if request.upgrade else value
    if hosts != 1 and (hosts or request.minor):
        raise RemoteProtocolError("Host is missing or given twice")  # RFC 9112 section 3.2
    if codings is not None:
        _apply_codings(request, codings, lengths)
    elif lengths is not None:
        _apply_lengths(request, lengths, options)
    if connection is not None:
        _apply_connection(request, connection)
    elif request.upgrade:
        request.upgrade = b""  # RFC 9110 section 7.8: Upgrade counts only if Connection names it


def _apply_codings(request: Request, codings: list[bytes], lengths: list[bytes] | None) -> None:
    """RFC 9112 section 6.1 and 6.3; refuse where the text allows to guess."""
    if request.minor == 0:
        raise RemoteProtocolError("Transfer-Encoding in HTTP/1.0")
    if lengths is not None:
        raise RemoteProtocolError("both Transfer-Encoding and Content-Length")
    names = [coding.strip(b" \t") for coding in codings]
    if names != [b"chunked"]:
        # A coding that we do not know is 501, a list that does not end in one `chunked` is 400.
        unknown = names.count(b"chunked") == 1 and names[-1] == b"chunked"
        raise RemoteProtocolError("a transfer coding other than one chunked", 501 if unknown else 400)
    request.length = CHUNKED


def _apply_lengths(request: Request, lengths: list[bytes], options: HttpOptions) -> None:
    """RFC 9110 section 8.6: equal members of a list count as one, anything odd is unrecoverable."""
    values = {length.strip(b" \t") for length in lengths}
    value = values.pop()
    if values or CONTENT_LENGTH.fullmatch(value) is None:
        raise RemoteProtocolError("Content-Length is not one number")
    if len(lengths) > 1:
        request.fields = _with_one_length(request.fields, value)
    request.length = int(value)
    check_body_size(request.length, options)


def _with_one_length(fields: list[Field], value: bytes) -> list[Field]:
    """RFC 9110 section 8.6: whoever accepts several equal lengths has to pass on one."""
    first = next(index for index, field in enumerate(fields) if field[0] == b"content-length")
    others = [field for field in fields if field[0] != b"content-length"]
    return [*others[:first], (b"content-length", value), *others[first:]]


def check_body_size(size: int, options: HttpOptions) -> None:
    """Refuse a body of `size` bytes if the configuration does (RFC 9110 section 15.5.14)."""
    if options.max_body and size > options.max_body:
        raise RemoteProtocolError("the body is larger than http.max_body", 413)


def _apply_connection(request: Request, options: list[bytes]) -> None:
    """RFC 9112 section 9.3: `close` wins wherever it stands; HTTP/1.0 persists only if asked to."""
    names = {option.strip(b" \t") for option in options}
    if b"close" in names:
        request.keep_alive = False
    elif b"keep-alive" in names:
        request.keep_alive = True
    if b"upgrade" not in names:
        request.upgrade = b""


def _apply_expect(request: Request, value: bytes) -> None:
    """RFC 9110 section 10.1.1: ignored in HTTP/1.0; an expectation that we do not know is 417."""
    if request.minor == 0:
        return
    if value.lower() != b"100-continue":
        raise RemoteProtocolError("an expectation other than 100-continue", 417)
    request.expects_continue = True
